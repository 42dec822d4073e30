"""JSON and JSONL: each record of a list is a section; a value stands in a line under its key.

`{"title": "Refunds", "days": 14}` becomes the section `Refunds` with the line `days: 14`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.decoding import read_text
from knowledge.loaders.writing import Writing
from llmasos.errors import UnreadableDocument

NAMING = ("title", "name", "question", "subject", "heading", "id", "_id", "key")
"""Keys whose value names a record, the best first."""
LONG = 80
"""From this length on, in characters, a text is a paragraph of its own."""
LONGEST_NAME = 200


def load_json(path: Path, limits: Limits) -> Document:
    """Read a JSON file. An object's own title is the document's."""
    value = _parsed(read_text(path), path.name, "")
    writing = Writing(path.name, limits)
    title = _name(value) if isinstance(value, dict) else ""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        _write_records(writing, enumerate(value, start=1), "record-{}")
    else:
        _write_sections(writing, value)
    return writing.document(title or title_from_name(path))


def load_jsonl(path: Path, limits: Limits) -> Document:
    """Read a file with one JSON value in each line, reached by `LN`."""
    writing = Writing(path.name, limits)
    lines = enumerate(read_text(path).split("\n"), start=1)
    filled = (
        (number, _parsed(line, path.name, f" in line {number}"))
        for number, line in lines
        if line.strip()
    )
    _write_records(writing, filled, "L{}")
    return writing.document(title_from_name(path))


def _parsed(text: str, name: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnreadableDocument(name, f"it is not JSON{where}: {error}") from error


def _write_records(writing: Writing, records: Iterator[tuple[int, Any]], anchor: str) -> None:
    for number, value in records:
        own = _name(value) if isinstance(value, dict) else ""
        writing.heading(1, own or f"Record {number}", anchor.format(number))
        _write_lines(writing, value, without=own)


def _write_sections(writing: Writing, value: Any) -> None:
    """An object whose values are objects or lists: each is a section."""
    if not isinstance(value, dict):
        _write_lines(writing, value)
        return
    plain = {key: each for key, each in value.items() if not isinstance(each, (dict, list))}
    _write_lines(writing, plain)
    for key, each in value.items():
        if isinstance(each, (dict, list)) and each:
            writing.heading(1, key, key)
            _write_lines(writing, each)


def _write_lines(writing: Writing, value: Any, without: str = "") -> None:
    """The leaves of a value; short ones that follow each other in one paragraph."""
    short: list[str] = []
    for key, leaf in _leaves(value):
        if leaf == without and key in NAMING:
            continue
        line = f"{key}: {leaf}" if key else leaf
        if len(leaf) < LONG:
            short.append(line)
            continue
        writing.paragraph("\n".join(short))
        writing.paragraph(line)
        short = []
    writing.paragraph("\n".join(short))


def _leaves(top: Any) -> Iterator[tuple[str, str]]:
    """Every leaf with its path of keys, without recursion."""
    stack: list[tuple[str, Any]] = [("", top)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            inner = [(f"{path}.{key}" if path else key, each) for key, each in value.items()]
            stack.extend(reversed(inner))
        elif isinstance(value, list) and all(_is_short(each) for each in value):
            if value:
                yield path, ", ".join(map(_shown, value))
        elif isinstance(value, list):
            stack.extend(reversed([(path, each) for each in value]))
        elif value is not None and _shown(value).strip():
            yield path, _shown(value)


def _is_short(value: Any) -> bool:
    return not isinstance(value, (dict, list)) and len(_shown(value)) < LONG


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(record: dict[str, Any]) -> str:
    """What names a record, or ''."""
    named = (record.get(key) for key in NAMING)
    return next(
        (
            _shown(each)
            for each in named
            if isinstance(each, (str, int)) and 0 < len(_shown(each).strip()) <= LONGEST_NAME
        ),
        "",
    )


json_files = Loader(suffixes=(".json",), load=load_json)
jsonl = Loader(suffixes=(".jsonl", ".ndjson"), load=load_jsonl)
