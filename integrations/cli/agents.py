"""`llmasos agents`: the agents there are, what one of them is made of, and a new one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agents.catalog import Catalog, load_catalog
from agents.customer_service import Desk
from agents.customer_service_intents import place_of, train
from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.agent import NAME, RESERVED, Agent
from llmasos.errors import AgentDefinitionError, HomeNotWritable, UsageError
from llmasos.request import AUTO
from llmasos.settings import Settings
from llmasos.tools import Tool

app = typer.Typer(rich_markup_mode=None)

TEMPLATE = '''\
"""The {name} agent."""

from llmasos import Agent

{variable} = Agent(
    name="{name}",
    description="What {name} is for, in a line: the router reads it.",
    instructions="You are a helpful assistant. Answer briefly.",
    examples=["A message that it is for"],
)
'''
TEST = '''\
"""Tests of the {name} agent: they need no model and no server. Run them with pytest."""

from {variable} import {variable}

from llmasos.testing import ScriptedEngine, make_turn, reply_of


def test_it_answers_by_its_instructions():
    engine = ScriptedEngine(["Hello to you."])

    reply = reply_of(make_turn({variable}, "Hello", engine))

    assert reply.text == "Hello to you."
    assert engine.calls[0].messages[0].content == {variable}.instructions
'''


CONFTEST = '''\
"""Lets the tests find the agents beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
'''


ABSENT = {
    "flow": "that of every agent",
    "model": "the one that is served by default",
    "output": "text",
    "users": "every member",
}
"""What it means that an agent has no such thing of its own."""


@app.command("list")
def list_agents(context: typer.Context, as_json: Json = False) -> None:
    """The agents there are."""
    catalog = load_catalog(settings(context))
    if as_json:
        print_json([_as_json(agent, catalog) for agent in catalog])
        return
    rows: list[tuple[Any, ...]] = [
        (agent.name, agent.description, ", ".join(agent.knowledge), catalog.where(agent.name))
        for agent in catalog
    ]
    print_table(("NAME", "FOR", "KNOWLEDGE", "FROM"), rows)


@app.command("show")
def show_agent(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    as_json: Json = False,
) -> None:
    """What one agent is made of."""
    catalog = load_catalog(settings(context))
    chosen = settings(context)
    plain = {**_as_json(catalog.find(name), catalog), "surfaces": _surfaces(name, chosen)}
    if as_json:
        print_json(plain)
        return
    for word, value in plain.items():
        if word == "tools":
            value = [_tool_line(each) for each in value]
        elif word in ("options", "limits"):
            value = [f"{option} = {given}" for option, given in value.items()]
        lines = [str(each) for each in value] if isinstance(value, list) else [str(value)]
        if value is None or value == []:
            lines = [ABSENT.get(word, "none")]
        typer.echo(f"{word}: " + ("\n  " if len(lines) > 1 else "") + "\n  ".join(lines))


@app.command("new")
def new_agent(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, `_`, `-`.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where to write it [default: my_agents, by llmasos.toml].")
    ] = None,
) -> None:
    """Write a working agent of ten lines, and a test of it in `tests/` beside it."""
    chosen = settings(context)
    if not NAME.fullmatch(name) or name in RESERVED:
        raise AgentDefinitionError(
            name,
            "a name is 1 to 63 lower-case letters, digits, '_' or '-', and begins with a letter",
        )
    catalog = load_catalog(chosen)
    if name in catalog.names():
        raise UsageError(f"An agent named '{name}' is there already: {catalog.where(name)}.")
    variable = name.replace("-", "_")
    place = folder or chosen.folder / "my_agents"
    path, test = place / f"{variable}.py", place / "tests" / f"test_{variable}.py"
    for each in (path, test):
        if each.exists():
            raise UsageError(f"{each} is there already; nothing was touched.")
    written = {path: TEMPLATE, test: TEST, test.parent / "conftest.py": CONFTEST}
    try:
        for each, template in written.items():
            each.parent.mkdir(parents=True, exist_ok=True)
            if not each.exists():
                each.write_text(template.format(name=name, variable=variable), encoding="utf-8")
    except OSError as error:
        raise HomeNotWritable(str(place), error.strerror or str(error)) from error
    typer.echo(str(path))
    typer.echo(str(test))
    if not _is_loaded(path, chosen):
        note(f'Now name it in llmasos.toml: under [agents], load = ["{path.parent}/"]')


@app.command("train")
def train_agent(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    intents: Annotated[Path, typer.Option(help="CSV file with the columns `text` and `intent`.")],
) -> None:
    """Teach an agent the intents of its messages. Examples without an intent are out of scope."""
    from llmasos.embeddings import HomeEmbedder  # late: numpy, for this command alone

    chosen = settings(context)
    agent = load_catalog(chosen).find(name)
    if not isinstance(agent.flow, Desk):
        raise UsageError(f"The flow of '{name}' knows no intents: that of customer_service does.")
    learned = train(intents, place_of(chosen.home, name), HomeEmbedder(chosen.file))
    typer.echo(str(learned.path))
    note(
        f"Learned {len(learned.intents)} intents from {learned.texts} texts, and what is out of "
        f"scope from {learned.out_of_scope}. Running workers take it up at the next message."
    )


def _tool_line(tool: dict[str, Any]) -> str:
    """A tool in a line."""
    effect = " (changes something: called once a job at most)" if tool["effect"] else ""
    return f"{tool['name']}: {tool['description']}{effect}"


def _place(flow: object) -> str | None:
    """Where a flow of its own is written."""
    if flow is None:
        return None
    named = flow if hasattr(flow, "__qualname__") else type(flow)
    return f"{named.__module__}.{named.__qualname__}"


def _surfaces(name: str, chosen: Settings) -> list[str]:
    """The ways in that lead to an agent: those of every agent, and those that name it."""
    found = [f"llmasos ask --agent {name}", f"POST /v1/agents/{name}/runs"]
    if chosen.slack.default_agent in (name, AUTO):
        found.append("Slack")
    found += [
        f"Slack workspace {w}"
        for w, each in chosen.slack.workspaces.items()
        if each.default_agent == name
    ]
    found += [
        f"Slack channel {c}" for c, each in chosen.slack.channels.items() if each.agent == name
    ]
    found += [f"POST /hooks/{each.name}" for each in chosen.webhooks if each.agent == name]
    return found


def _is_loaded(path: Path, chosen: Settings) -> bool:
    """Whether the configuration already names a file or its folder."""
    named = {(chosen.folder / each).resolve() for each in chosen.agents.load}
    return not named.isdisjoint({path.resolve(), path.resolve().parent})


def _as_json(agent: Agent, catalog: Catalog) -> dict[str, Any]:
    tools = [each for each in agent.tools if isinstance(each, Tool)]
    return {
        "name": agent.name,
        "description": agent.description,
        "instructions": agent.instructions,
        "flow": _place(agent.flow),
        "knowledge": list(agent.knowledge),
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "effect": tool.effect,
            }
            for tool in tools
        ],
        "mcp": list(agent.mcp),
        "examples": list(agent.examples),
        "model": agent.model,
        "options": {
            "max_new_tokens": agent.options.max_new_tokens,
            "temperature": agent.options.temperature,
            **agent.options.model_dump(exclude_none=True, exclude_defaults=True),
        },
        "limits": agent.limits.model_dump(),
        "output": agent.output.model_json_schema() if agent.output else None,
        "checked": agent.checked,
        "users": None if agent.users is None else list(agent.users),
        "reviewers": list(agent.reviewers),
        "review_in": list(agent.review_in),
        "from": catalog.where(agent.name),
    }
