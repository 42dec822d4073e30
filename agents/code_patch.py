"""Patches: new code put into the file that it is for, and the difference as a unified diff.

Knows Python's syntax; nothing of models. Start reading at `placed`.
"""

import ast
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from agents.code_request import definitions_in, parses


@dataclass(frozen=True)
class Placed:
    """Code in the file that it belongs to."""

    code: str
    """The whole file."""
    target: str = ""
    """The name of the given file that it changes; empty: it is a new one."""


def placed(files: Mapping[str, str], code: str) -> Placed:
    """Python code put into the file that defines most of what it defines, if one does."""
    new = definitions_in(code).keys() if parses(code) else set()
    shared = {
        name: len(new & definitions_in(text).keys())
        for name, text in files.items()
        if name.endswith(".py") and parses(text)
    }
    best = max(shared, key=shared.__getitem__, default="")
    return Placed(merged(files[best], code), best) if shared.get(best) else Placed(code)


def merged(original: str, code: str) -> str:
    """A file with what the code defines put in place of what it had by these names.

    What is new goes to the end, new imports below the file's own. Code that defines all that the
    file does is the new file. Both are Python.
    """
    old, new = definitions_in(original), definitions_in(code)
    if old.keys() <= new.keys():
        return code
    lines = original.splitlines(keepends=True)
    for name in sorted(old.keys() & new.keys(), key=lambda each: -old[each].lineno):
        first, last = _span(old[name])
        lines[first:last] = [_source(code, new[name])]
    for name in [each for each in new if each not in old]:
        lines.append(f"\n\n{_source(code, new[name])}")
    imports = [line for line in _imports(code) if line not in _imports(original)]
    lines[_top(original) : _top(original)] = [f"{line}\n" for line in imports]
    return "".join(lines)


def completed(code: str, header: str) -> str:
    """Code with what the request's beginning has above its function and the code left out.

    header: as `code_request.header_in` gives it.
    """
    if not header or not parses(code):
        return code
    body = ast.parse(code).body
    has = {ast.unparse(each) for each in body} | definitions_in(code).keys()
    above = ast.parse(f"{header}    ...").body[:-1]
    left_out = [
        ast.unparse(each)
        for each in above
        if getattr(each, "name", "") not in has and ast.unparse(each) not in has
    ]
    return "\n".join([*left_out, "", "", code]) if left_out else code


def patch(name: str, before: str, after: str) -> str:
    """The unified diff of a file."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines) + "\n"


def _span(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> tuple[int, int]:
    """The lines of a definition with its decorators: [first, last) from 0."""
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return first - 1, node.end_lineno or first


def _source(code: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    first, last = _span(node)
    return "\n".join(code.splitlines()[first:last]) + "\n"


def _imports(code: str) -> list[str]:
    kinds = (ast.Import, ast.ImportFrom)
    return [ast.unparse(each) for each in ast.parse(code).body if isinstance(each, kinds)]


def _top(code: str) -> int:
    """The line below a file's docstring and imports."""
    last = 0
    for place, each in enumerate(ast.parse(code).body):
        docstring = (
            place == 0 and isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
        )
        if not (docstring or isinstance(each, (ast.Import, ast.ImportFrom))):
            break
        last = each.end_lineno or last
    return last
