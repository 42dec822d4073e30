"""Writes the reference pages that are made from the code, so that they cannot lie.

    python docs/generate.py            write them
    python docs/generate.py --check    change nothing; exit 1 naming each page that differs

`settings.md` comes from the docstrings in `llmasos/settings/`, `cli.md` from the command tree in
`integrations/cli/`. Start reading at `PAGES`.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main
from pydantic import BaseModel

from integrations.cli.main import COMMANDS, build
from llmasos.settings import (
    PREFIX,
    AgentOverride,
    BackendSettings,
    IntentSettings,
    McpSettings,
    ModelAlias,
    Settings,
    SlackChannelSettings,
    SlackWorkspaceSettings,
    SlotSettings,
    WebhookSettings,
)

HERE = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from the code. Change it there. -->"

SETTINGS_HEAD = """\
# Settings

LLMasOS reads its settings from `llmasos.toml` in the working folder, or from the file that
`--config` names. Environment variables override the file. `llmasos settings` prints what is in
force, with secrets hidden.

The variable of a setting is `LLMASOS_`, its section, two underscores and its name:
`LLMASOS_WEB__PORT` is `port` in `[web]`. Lists in variables are separated by commas. A secret may
be written as `env:NAME`: then it is read from the environment variable `NAME`.

A wrong setting stops the start. The message names the setting, its value and what is allowed.

## General
"""

TABLES: dict[str, tuple[str, type[BaseModel], str]] = {
    "agents.overrides": ("agents.NAME", AgentOverride, "[agents.NAME]"),
    "agents.NAME.intents": (
        "agents.NAME.intents.INTENT",
        IntentSettings,
        "[agents.NAME.intents.INTENT]",
    ),
    "agents.NAME.intents.INTENT.slots": (
        "agents.NAME.intents.INTENT.slots.SLOT",
        SlotSettings,
        "[agents.NAME.intents.INTENT.slots.SLOT]",
    ),
    "llm.models": ("llm.models.NAME", ModelAlias, "[llm.models.NAME]"),
    "llm.models.NAME.backends": (
        "llm.models.NAME.backends",
        BackendSettings,
        "[[llm.models.NAME.backends]]",
    ),
    "slack.workspaces": (
        "slack.workspaces.ID",
        SlackWorkspaceSettings,
        "[slack.workspaces.ID]",
    ),
    "slack.channels": ("slack.channels.ID", SlackChannelSettings, "[slack.channels.ID]"),
    "mcp": ("mcp", McpSettings, "[[mcp]]"),
    "webhooks": ("webhooks", WebhookSettings, "[[webhooks]]"),
}
"""Settings that are tables of their own: their place, what is in them, and their heading."""

CLI_HEAD = """\
# Command line

`llmasos` is one command with a subcommand for each task. Answers go to standard output,
everything else to standard error. The exit code is 0 when it is done, 1 when it failed and 2 when
it was used wrongly.

Options of `llmasos` itself stand before the subcommand: `llmasos --config other.toml up`.
"""


def settings_page() -> str:
    """The page of all settings, a heading each."""
    return "\n".join([NOTE, "", SETTINGS_HEAD.rstrip(), *_model(Settings, "")])


def _model(model: type[BaseModel], place: str) -> Iterator[str]:
    """The lines of a section: first its own settings, then the sections in it."""
    schema = model.model_json_schema()
    shapes = _resolved(schema["properties"], schema.get("$defs", {}))
    inner: list[str] = []
    for name, field in model.model_fields.items():
        full = f"{place}.{name}" if place else name
        if full in TABLES:
            table_place, table, heading = TABLES[full]
            inner += ["", f"## {heading}", "", _sentence(table.__doc__)]
            inner += _model(table, table_place)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            words = field.description or field.annotation.__doc__
            inner += ["", f"## [{full}]", "", _sentence(words)]
            inner += _model(field.annotation, full)
        else:
            yield from _setting(full, field.description, shapes[name], field.is_required())
    yield from inner


def _resolved(part: Any, definitions: dict[str, Any]) -> Any:
    """A part of a schema with what it refers to in its place."""
    if isinstance(part, list):
        return [_resolved(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        part = {**definitions[part["$ref"].rpartition("/")[2]], **part}
        del part["$ref"]
    return {name: _resolved(each, definitions) for name, each in part.items()}


def _setting(
    place: str, description: str | None, shape: dict[str, Any], required: bool
) -> list[str]:
    """The lines of one setting."""
    facts = [_kind(shape), "must be given" if required else f"default {_default(shape)}"]
    if "NAME" not in place and "ID" not in place and not place.startswith(("webhooks", "mcp")):
        facts.append(f"variable `{PREFIX}{place.replace('.', '__').upper()}`")
    return ["", f"### {place}", "", _sentence(description), "", f"{'; '.join(facts)}."]


def _kind(shape: dict[str, Any]) -> str:
    """What a value must be, in words."""
    if "anyOf" in shape:
        return _kind(next(each for each in shape["anyOf"] if each.get("type") != "null"))
    if "enum" in shape:
        return "One of " + ", ".join(f"`{each}`" for each in shape["enum"])
    words = {"password": "Secret", "uri": "URL", "path": "Path"}.get(shape.get("format", ""))
    plain = {
        "string": "Text", "integer": "Whole number", "number": "Number", "array": "List",
        "boolean": "`true` or `false`", "object": "Table",
    }  # fmt: skip
    limits = {
        "minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most",
        "pattern": "matching",
    }  # fmt: skip
    said = [f"{limits[key]} `{shape[key]}`" for key in limits if key in shape]
    return ", ".join([words or plain[shape["type"]], *said])


def _default(shape: dict[str, Any]) -> str:
    value = shape.get("default")
    if value in (None, [], {}, ""):
        return "none"
    if isinstance(value, list):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _sentence(text: str | None) -> str:
    """A docstring as a line."""
    if not text:
        raise SystemExit("a setting or command has no docstring")
    return " ".join(text.split())


def cli_page() -> str:
    """The page of all commands, a heading each."""
    lines = [NOTE, "", CLI_HEAD, "## llmasos", ""]
    root: Any = typer.main.get_command(build(None))
    lines += [_sentence(root.help), *_usage(root, "llmasos")]
    for name, summary in COMMANDS.items():
        lines += _command(_loaded(name), f"llmasos {name}", summary, level=2)
    return "\n".join(lines)


def _loaded(name: str) -> Any:
    """A command of the tree, which is loaded only when it is asked for."""
    group: Any = typer.main.get_command(build(name))
    return group.commands[name]


def _command(command: Any, path: str, summary: str, level: int) -> Iterator[str]:
    """The lines of a command, and of those below it."""
    yield from ("", f"{'#' * level} {path}", "")
    below = getattr(command, "commands", None)
    yield _sentence(summary if below else command.help)
    if below is None:
        yield from _usage(command, path)
        return
    for name, each in below.items():
        yield from _command(each, f"{path} {name}", each.help, level + 1)


def _usage(command: Any, path: str) -> Iterator[str]:
    """How a command is called, with a line for each argument and option."""
    context = command.make_context(path, [], resilient_parsing=True)
    yield from ("", "```text", " ".join([path, *command.collect_usage_pieces(context)]), "```")
    records = [each.get_help_record(context) for each in command.get_params(context)]
    shown = [(names, words) for names, words in filter(None, records) if names != "--help"]
    yield from [""] if shown else []
    for names, words in shown:
        yield f"- `{names}`: {_sentence(words)}"


PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings_page,
    "reference/cli.md": cli_page,
}
"""Each generated page below docs/, and what makes it."""


def stale() -> list[str]:
    """The generated pages that are not what the code makes of them."""
    return [
        name
        for name, make in PAGES.items()
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="utf-8") != _text(make)
    ]


def _text(make: Callable[[], str]) -> str:
    return make().rstrip() + "\n"


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description="Make the reference pages from the code.")
    parser.add_argument("--check", action="store_true", help="only say which pages differ")
    if parser.parse_args().check:
        differing = stale()
        for name in differing:
            print(f"docs/{name} is not up to date. Run: python docs/generate.py", file=sys.stderr)
        sys.exit(1 if differing else 0)
    for name, make in PAGES.items():
        (HERE / name).write_text(_text(make), encoding="utf-8")


if __name__ == "__main__":
    main()
