"""Patches: new code put into the file that it is for, and the difference as a unified diff.

Knows Python's syntax; nothing of models. Start reading at `placed`.
"""

import ast
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.code_request import definitions_in, parses

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Scope = ast.Module | ast.ClassDef


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

    Of a class the code may have a part: the rest of it stays. What is new goes to the end of the
    class or the file, new imports below the file's own. Code that defines all that the file does is
    the new file. Both are Python; the file's line ends are kept.
    """
    if "\r\n" in original:
        return merged(original.replace("\r\n", "\n"), code).replace("\n", "\r\n")
    if _defined(ast.parse(original)) <= _defined(ast.parse(code)):
        return code
    lines = original.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    _merge(lines, ast.parse(original), ast.parse(code), code)
    imports = [line for line in _imports(code) if line not in _imports(original)]
    top = _top(original)
    lines[top:top] = [f"{line}\n" for line in imports]
    return "".join(lines)


def _merge(lines: list[str], old: _Scope, new: _Scope, code: str) -> None:
    """Put a scope's new members into the lines of the old one, from the last to the first."""
    before, after = _members(old), _members(new)
    indent = " " * old.body[0].col_offset
    own = "\n" * (2 if isinstance(old, ast.Module) else 1)
    end = len(lines) if isinstance(old, ast.Module) else _span(old)[1]
    added = [own + _source(code, after[name], indent) for name in after if name not in before]
    lines[end:end] = added
    for name in sorted(before.keys() & after.keys(), key=lambda each: -before[each].lineno):
        there, here = before[name], after[name]
        if isinstance(there, ast.ClassDef) and isinstance(here, ast.ClassDef):
            _merge(lines, there, here, code)
            if _head(there) != _head(here):
                first, last = _head_span(there, marked=bool(here.decorator_list))
                begin, stop = _head_span(here, marked=True)
                lines[first:last] = _indented(code.splitlines()[begin:stop], here, indent)
        elif ast.dump(there) != ast.dump(here):
            first, last = _span(there)
            lines[first:last] = [_source(code, here, indent)]


def _members(scope: _Scope) -> dict[str, ast.stmt]:
    """What a file or a class defines, by name: functions, classes, and in a class its fields."""
    found: dict[str, ast.stmt] = {}
    for each in scope.body:
        if isinstance(each, _DEFINITIONS):
            found[each.name] = each
        elif isinstance(scope, ast.ClassDef) and isinstance(each, (ast.Assign, ast.AnnAssign)):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            if len(targets) == 1 and isinstance(targets[0], ast.Name):
                found[targets[0].id] = each
    return found


def _defined(scope: _Scope, above: str = "") -> set[str]:
    """The names of all that a file defines, what is in classes too."""
    found: set[str] = set()
    for name, each in _members(scope).items():
        found.add(above + name)
        if isinstance(each, ast.ClassDef):
            found |= _defined(each, f"{above}{name}.")
    return found


def _head(node: ast.ClassDef) -> list[str]:
    """What a class is made of; not its decorators, which who shows a part of it leaves out."""
    return [ast.unparse(each) for each in (*node.bases, *node.keywords)]


def _head_span(node: ast.ClassDef, *, marked: bool) -> tuple[int, int]:
    """The lines above a class's body, with its decorators where it is marked: [first, last)."""
    return _span(node)[0] if marked else node.lineno - 1, _span(node.body[0])[0]


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
    """The unified diff of a file, as `git apply` takes it."""
    lines = difflib.unified_diff(
        _with_ends(before), _with_ends(after), f"a/{name}", f"b/{name}", n=3
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _with_ends(text: str) -> list[str]:
    """The lines of a text with their ends; other marks that Python takes for ends are none."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _span(node: ast.stmt) -> tuple[int, int]:
    """The lines of a statement with its decorators: [first, last) from 0."""
    above = [each.lineno for each in getattr(node, "decorator_list", [])]
    first = min([node.lineno, *above])
    return first - 1, node.end_lineno or first


def _source(code: str, node: ast.stmt, indent: str) -> str:
    """The lines of a statement, set in so far."""
    first, last = _span(node)
    return "".join(_indented(code.splitlines()[first:last], node, indent))


def _indented(lines: Sequence[str], node: ast.stmt, indent: str) -> list[str]:
    """Lines of a statement, set in so far instead of as they were."""
    there = " " * node.col_offset
    if indent == there:
        return [f"{line}\n" for line in lines]
    return [f"{indent}{line.removeprefix(there)}\n" if line.strip() else "\n" for line in lines]


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
