"""Settings of MCP servers: programs and services whose tools agents may call."""

import shlex
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from llmasos.settings.kinds import Secret, Section, Url, Words


def _command(value: object) -> object:
    """A command in one line is split as a shell would."""
    return shlex.split(value) if isinstance(value, str) else value


class McpSettings(Section):
    """`[[mcp]]`: a server of the Model Context Protocol, started by each worker or reached by URL.

    Agents that name it in `mcp` may call the tools that are listed here, and no others.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    """What agents call it; its tools become `NAME_TOOL`."""
    command: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_command)] = ()
    """The command that starts it, for a server that speaks over standard input and output."""
    url: Url | None = None
    """Its address, for a server that speaks streamable HTTP."""
    tools: Words = ()
    """Tools of it that change nothing: agents may call them as they need."""
    effects: Words = ()
    """Tools of it that change something: called once the person who asks has granted it, and once a
    job at most."""
    env: dict[str, Secret] = Field(default_factory=dict)
    """Variables that the command gets, beside `PATH`, `HOME` and their like. `env:NAME` works."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """HTTP headers that the server at `url` gets, such as `Authorization`."""
    start_timeout: float = Field(default=60.0, gt=0)
    """Seconds that it may take to start and to list its tools."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds that a call may take."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError(f"MCP server '{self.name}' needs a command or a url, not both")
        if not (self.tools or self.effects):
            raise ValueError(
                f"MCP server '{self.name}' has no tools: list those that agents may call in "
                "`tools`, or in `effects` if they change something"
            )
        if both := set(self.tools) & set(self.effects):
            raise ValueError(
                f"MCP server '{self.name}': {', '.join(sorted(both))} stands in `tools` and in "
                "`effects`: leave one of them out"
            )
        return self
