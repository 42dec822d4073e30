"""`import llmasos`: a short list of names, each loaded when it is first asked for."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import llmasos

LIMIT = 0.2
"""Seconds of the processor: others may be at work on it too."""


def public_names() -> list[str]:
    """The names that a type checker sees in the package."""
    tree = ast.parse(Path(llmasos.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    return [alias.name for node in imports for alias in node.names]


def test_the_list_of_names_is_complete() -> None:
    assert sorted(llmasos.__all__) == sorted(public_names())


@pytest.mark.parametrize("name", llmasos.__all__)
def test_a_public_name_is_what_a_type_checker_takes_it_for(name: str) -> None:
    tree = ast.parse(Path(llmasos.__file__).read_text(encoding="utf-8"))
    homes = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("llmasos.")
        for alias in node.names
    }

    assert getattr(llmasos, name) is getattr(import_module(str(homes[name])), name)


def test_the_decorator_is_not_hidden_by_its_module() -> None:
    code = (
        "import llmasos.agent, llmasos.turn\n"
        "from llmasos import agent\n"
        "from llmasos.agent import Agent\n"
        "print(type(agent('echo')(lambda turn: iter(()))) is Agent)"
    )

    assert _run(code) == "True"


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'llmasos' has no attribute 'Agnet'"):
        _ = llmasos.Agnet


def test_importing_the_package_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; began = time.process_time(); import llmasos\n"
        "seconds = time.process_time() - began\n"
        "heavy = {'pydantic', 'sqlalchemy', 'langchain_core', 'httpx', 'llmasos.settings'}\n"
        "print(seconds, sorted(heavy & set(sys.modules)))"
    )

    results = [_run(code).split(" ", 1) for _ in range(5)]

    assert {loaded for _, loaded in results} == {"[]"}
    assert min(float(seconds) for seconds, _ in results) < LIMIT


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()
