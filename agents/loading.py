"""Loading: how a Python file, a folder of them, or `module:name` becomes agents.

Whatever a file of somebody else's raises comes out as an AgentLoadError that names the file and the
line. Used by `catalog.py`. Start reading at `from_path` and `from_module`.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from llmasos.agent import Agent
from llmasos.errors import AgentLoadError, LLMasOSError
from llmasos.tools import Tool, as_tool


def from_value(place: str, value: Any) -> Sequence[Agent]:
    """The agents that a named value is: one, or a list of them."""
    agents = list(value) if isinstance(value, (list, tuple)) else [value]
    for agent in agents:
        if not isinstance(agent, Agent):
            kind = type(agent).__name__
            raise AgentLoadError(place, f"is not an Agent or a list of them, but a {kind}")
    return agents


def from_module(named: str, folder: Path) -> Sequence[Agent]:
    """The agents that `module:name` means; all of the module's for `module` alone.

    folder: where modules are looked for besides the installed ones.
    """
    _importable(folder)
    module_name, _, name = named.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # somebody's code: say whose, and where
        raise AgentLoadError(named, _reason(error, None)) from error
    if not name:
        return _agents_of(module, named)
    if not hasattr(module, name):
        raise AgentLoadError(named, f"the module has no '{name}'")
    return from_value(named, getattr(module, name))


def tool_from_module(named: str, folder: Path) -> Tool:
    """The tool that `module:name` means. folder: where modules are looked for besides installed
    ones. Raises AgentLoadError."""
    _importable(folder)
    module_name, _, name = named.partition(":")
    try:
        return as_tool(getattr(importlib.import_module(module_name), name))
    except Exception as error:  # somebody's code: say whose, and where
        raise AgentLoadError(named, _reason(error, None)) from error


def from_path(path: Path) -> Iterator[tuple[str, Sequence[Agent]]]:
    """The module-level agents of a file, or of each file in a folder, with the file's name."""
    if not path.exists():
        raise AgentLoadError(str(path), "there is no such file or folder")
    files = [path] if path.is_file() else sorted(path.glob("*.py"))
    for file in files:
        if not file.name.startswith("_") or path.is_file():
            yield str(file), _of_file(file, required=path.is_file())


def _of_file(file: Path, *, required: bool) -> Sequence[Agent]:
    """A file's agents. required: whether having none is an error."""
    _importable(file.parent)
    place = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]
    name = f"llmasos_agent_file_{place}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise AgentLoadError(str(file), "is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # somebody's code: say whose, and where
        del sys.modules[name]
        raise AgentLoadError(str(file), _reason(error, file)) from error
    return _agents_of(module, str(file)) if required else _all_of(module)


def _agents_of(module: ModuleType, place: str) -> Sequence[Agent]:
    agents = _all_of(module)
    if not agents:
        raise AgentLoadError(place, "defines no agent: write `name = Agent(...)` at its top level")
    return agents


def _all_of(module: ModuleType) -> Sequence[Agent]:
    found = [value for value in vars(module).values() if isinstance(value, Agent)]
    return list({id(agent): agent for agent in found}.values())


def _importable(folder: Path) -> None:
    """Let files find their neighbours; after the installed modules, so that they shadow none."""
    if str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))


def _reason(error: Exception, file: Path | None) -> str:
    """What went wrong, and in which line."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    said = error.message() if isinstance(error, LLMasOSError) else str(error)
    words = said if isinstance(error, LLMasOSError) else f"{type(error).__name__}: {said}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file and Path(frame.filename) == file]
    return f"line {own[-1].lineno}: {words}" if own else words
