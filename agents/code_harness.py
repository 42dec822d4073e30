"""Runs inside the sandbox: executes `main.py`, then each check and test, and prints the verdicts.

Alone with the standard library. Arguments: a mark, and the name that tests import the code by. The
last line of output is the mark and a JSON list of [name, what was seen]: null for one that holds.
"""

import ast
import json
import sys
import types
import unittest
from collections.abc import Iterator
from typing import Any

Verdict = tuple[str, str | None]


def loaded(path: str, name: str, module: str) -> dict[str, Any]:
    """The names of a file that was run as a module."""
    made = types.ModuleType(name)
    made.__file__ = path
    sys.modules[module] = made
    with open(path, encoding="utf-8") as file:
        source = file.read()
    try:
        exec(compile(source, path, "exec"), made.__dict__)
    except SystemExit as error:
        if error.code:
            raise
    return made.__dict__


def seen_by(check: str, names: dict[str, Any]) -> str | None:
    """What was seen of a condition; None: it holds."""
    tree = ast.parse(check, mode="eval").body
    try:
        if eval(check, names):
            return None
        if isinstance(tree, ast.Compare):
            return "it gave " + repr(eval(ast.unparse(tree.left), names))[:200]
    except Exception as error:  # noqa: BLE001  (generated code may raise anything)
        return told(error)
    return "it is not true"


def verdicts_of(path: str) -> Iterator[Verdict]:
    """A file of tests: its functions `test_*` without arguments, and its `TestCase`s."""
    try:
        names = loaded(path, path.removesuffix(".py"), path.removesuffix(".py"))
    except Exception as error:  # noqa: BLE001
        yield path, told(error)
        return
    for name, thing in list(names.items()):
        if isinstance(thing, type) and issubclass(thing, unittest.TestCase):
            for case in unittest.defaultTestLoader.loadTestsFromTestCase(thing):
                result = unittest.TestResult()
                case.run(result)
                wrong = [words for _, words in [*result.failures, *result.errors]]
                yield f"{path}::{name}", wrong[0].strip()[-200:] if wrong else None
        elif name.startswith("test") and isinstance(thing, types.FunctionType):
            try:
                thing()
            except Exception as error:  # noqa: BLE001
                yield f"{path}::{name}", told(error)
            else:
                yield f"{path}::{name}", None


def told(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}"[:200]


if __name__ == "__main__":
    mark, module = sys.argv[1:3]
    sys.argv = ["main.py"]
    sys.path.insert(0, ".")
    names = loaded("main.py", "__main__", module)
    with open("checks.json", encoding="utf-8") as file:
        given = json.load(file)
    verdicts: list[Verdict] = [(check, seen_by(check, names)) for check in given["checks"]]
    for path in given["tests"]:
        verdicts.extend(verdicts_of(path))
    sys.stdout.write(f"\n{mark}{json.dumps(verdicts)}\n")
    sys.stdout.flush()
