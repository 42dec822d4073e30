"""`llmasos agents`: the agents there are, what one of them is made of, and a new one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agents.catalog import Catalog, load_catalog
from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.agent import NAME, RESERVED, Agent
from llmasos.errors import AgentDefinitionError, HomeNotWritable, UsageError
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
    plain = _as_json(catalog.find(name), catalog)
    if as_json:
        print_json(plain)
        return
    for word, value in plain.items():
        if word == "tools":
            value = [f"{each['name']}: {each['description']}" for each in value]
        elif word == "options":
            value = [f"{option} = {chosen}" for option, chosen in value.items()]
        lines = [str(each) for each in value] if isinstance(value, list) else [str(value or "")]
        typer.echo(f"{word}: " + ("\n  " if len(lines) > 1 else "") + "\n  ".join(lines))


@app.command("new")
def new_agent(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, `_`, `-`.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where to write it [default: my_agents, by llmasos.toml].")
    ] = None,
) -> None:
    """Write a working agent of ten lines."""
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
    path = (folder or chosen.folder / "my_agents") / f"{variable}.py"
    if path.exists():
        raise UsageError(f"{path} is there already; nothing was touched.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEMPLATE.format(name=name, variable=variable), encoding="utf-8")
    except OSError as error:
        raise HomeNotWritable(str(path.parent), error.strerror or str(error)) from error
    typer.echo(str(path))
    if not _is_loaded(path, chosen):
        note(f'Now name it in llmasos.toml: under [agents], load = ["{path.parent}/"]')


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
        "examples": list(agent.examples),
        "model": agent.model,
        "options": agent.options.model_dump(exclude_none=True),
        "checked": agent.checked,
        "users": None if agent.users is None else list(agent.users),
        "from": catalog.where(agent.name),
    }
