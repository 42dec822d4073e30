"""Every call of `llmasos` that the documentation shows can be made as it stands there."""

from types import ModuleType
from typing import Any

import pytest
import typer.main

from integrations.cli.main import COMMANDS, build


def test_a_shown_command_can_be_called(shell_command: Any) -> None:
    command, path, rest = _found(shell_command.words)

    # Parses and checks every argument and option, and runs nothing.
    context = command.make_context(path, list(rest))

    assert context.args == []


def test_a_command_in_a_sentence_exists(mention: Any) -> None:
    command, _, rest = _found(mention.words)
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in rest if word.startswith("-")} <= known | {"--help"}


def test_every_command_has_a_heading(generate: ModuleType, pages: dict[str, Any]) -> None:
    paths = {f"llmasos {path}" for name in COMMANDS for path in _paths(name, _command(name))}

    assert paths <= set(pages["docs/reference/cli.md"].titles())


def _found(words: tuple[str, ...]) -> tuple[Any, str, tuple[str, ...]]:
    """The command that these words name, its path, and its arguments."""
    rest = list(words)
    if rest[:1] == ["--config"]:
        rest = rest[2:]
    assert rest, "no command is named"
    assert rest[0] in COMMANDS, f"there is no command {rest[0]}"
    command, path = _command(rest[0]), [rest.pop(0)]
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"there is no command {' '.join([*path, rest[0]])}"
        command, path = command.commands[rest[0]], [*path, rest.pop(0)]
    return command, " ".join(path), tuple(rest)


def _command(name: str) -> Any:
    group: Any = typer.main.get_command(build(name))
    return group.commands[name]


def _paths(name: str, command: Any) -> list[str]:
    """A command's path, and those of the commands below it."""
    below = getattr(command, "commands", {})
    return [name, *(f"{name} {path}" for key in below for path in _paths(key, below[key]))]


@pytest.mark.parametrize("words", [("nothing",), ("knowledge", "nothing"), ("ask", "Hi", "--nope")])
def test_a_command_that_does_not_exist_is_noticed(words: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match=r"nothing|nope"):
        test_a_shown_command_can_be_called(type("Shown", (), {"words": words}))
