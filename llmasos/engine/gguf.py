"""The head of a GGUF file: what a model says of itself, read without loading it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Used to add a model to the
catalogue and to tell a damaged file from a model.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from llmasos.errors import NotAModel

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_KEYS = 100_000
_MOST_ITEMS = 10_000_000
_LONGEST = 64 << 20
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""The kinds of number, as `struct` calls them."""
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class GgufHead:
    """What a GGUF file says of itself. context: None when it does not say."""

    architecture: str
    context: int | None
    licence: str | None
    has_template: bool


def read_head(path: Path) -> GgufHead:
    """Read the head. Raises NotAModel when the file is no whole GGUF head."""
    try:
        with path.open("rb") as file:
            said = _said(file, path)
    except OSError as error:
        raise NotAModel(str(path), error.strerror or str(error)) from error
    except (struct.error, UnicodeDecodeError) as error:
        raise NotAModel(
            str(path), "its head ends too early or is damaged; fetch it again"
        ) from error
    architecture = str(said.get("general.architecture", ""))
    context = said.get(f"{architecture}.context_length")
    licence = said.get("general.license")
    return GgufHead(
        architecture=architecture,
        context=int(context) if isinstance(context, int) and context > 0 else None,
        licence=str(licence) if licence else None,
        has_template="tokenizer.chat_template" in said,
    )


def _said(file: BinaryIO, path: Path) -> dict[str, Any]:
    """The keys and their values; of lists only that they are there."""
    if file.read(4) != _MAGIC:
        raise NotAModel(str(path), "it is no GGUF file (it does not begin with 'GGUF')")
    (version,) = struct.unpack("<I", file.read(4))
    if version not in _VERSIONS:
        raise NotAModel(str(path), f"its format is GGUF {version}; 2 and 3 are known")
    _, keys = struct.unpack("<QQ", file.read(16))
    if keys > _MOST_KEYS:
        raise NotAModel(str(path), "its head is damaged; fetch it again")
    said: dict[str, Any] = {}
    for _ in range(keys):
        key = _string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        said[key] = _value(file, kind)
    return said


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if inner == _ARRAY or count > _MOST_ITEMS:
            raise struct.error("a list as no model has it")
        if inner in _NUMBERS:
            file.seek(count * struct.calcsize(_NUMBERS[inner]), 1)
        else:
            for _ in range(count):
                _value(file, inner)
        return None
    if kind not in _NUMBERS:
        raise struct.error(f"unknown kind {kind}")
    form = f"<{_NUMBERS[kind]}"
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST:
        raise struct.error("a text is longer than any")
    raw = file.read(length)
    if len(raw) < length:
        raise struct.error("the file ends within a text")
    return raw.decode("utf-8", errors="replace")
