"""What an agent is: a frozen value with a name, knowledge, tools and a flow.

`Agent(...)` declares one; `@agent(...)` makes one of a generator function over a `Turn`. The flow
of a declared agent is in `flow.py`. Knows nothing of Slack, Celery or FAISS.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from pydantic import BaseModel

from llmasos.errors import AgentDefinitionError
from llmasos.events import Delegate, Event, HandOver
from llmasos.generation import Options
from llmasos.limits import RunLimits
from llmasos.request import AUTO
from llmasos.tools import Tool, as_tool

Emitted = Event | Delegate | HandOver | str
"""What a flow may yield: an event, parts for others, a text that is a piece of the answer, or at
its end that another agent takes over."""
Flow = Callable[[Any], Iterator[Emitted]]
"""A generator function over a `Turn`, which knows its agent: so its type is not named here."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
RESERVED = (AUTO, "load")


@dataclass(frozen=True)
class Agent:
    """One agent, defined once and reachable through every door.

    name: lower-case letters, digits, `_` and `-`.
    description: what it is for, in a line; the router reads it.
    instructions: how it should answer; the stable beginning of its prompt.
    knowledge: names of the collections that it searches.
    tools: typed, documented functions (or LangChain tools) that it may call.
    mcp: names of the MCP servers whose tools it may call as well.
    examples: messages that it is for; the router reads them too.
    options: how its text is generated.
    model: the model alias that it uses; None is the installation's default.
    checked: show only text that passed its checks; by default true when it has knowledge.
    output: a Pydantic model; the answer is then an object of it, as JSON.
    limits: what one run of it may use.
    users: who may use it (principals, `team:…`, `channel:…`, `group:…`, `scope:…` of an API key);
        None: every member.
    routed: whether the router may choose it; else it must be named.
    reviewers: who must grant an answer of it before anyone sees it (as `users`, and `asker`).
    review_in: addresses where they read it, `slack:C0123ABCD` for one.
    flow: its own generator function over a `Turn`; None is the declared agents' flow.

    Raises AgentDefinitionError or ToolDefinitionError when it is built wrongly.
    """

    name: str
    description: str = ""
    instructions: str = ""
    knowledge: Sequence[str] = ()
    tools: Sequence[Callable[..., Any] | Tool] = ()
    mcp: Sequence[str] = ()
    examples: Sequence[str] = ()
    options: Options = field(default_factory=Options)
    model: str | None = None
    checked: bool | None = None
    output: type[BaseModel] | None = None
    limits: RunLimits = field(default_factory=RunLimits)
    users: Sequence[str] | None = None
    routed: bool = True
    reviewers: Sequence[str] = ()
    review_in: Sequence[str] = ()
    flow: Flow | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name in RESERVED:
            raise AgentDefinitionError(
                self.name,
                "a name is 1 to 63 lower-case letters, digits, '_' or '-', begins with a letter, "
                f"and is none of {', '.join(RESERVED)}",
            )
        for word in ("knowledge", "examples", "tools", "mcp", "reviewers", "review_in"):
            if isinstance(getattr(self, word), str):
                raise AgentDefinitionError(self.name, f"{word} must be a list, not a text")
        object.__setattr__(self, "knowledge", tuple(self.knowledge))
        object.__setattr__(self, "examples", tuple(self.examples))
        object.__setattr__(self, "reviewers", tuple(self.reviewers))
        object.__setattr__(self, "review_in", tuple(self.review_in))
        if self.review_in and not self.reviewers:
            raise AgentDefinitionError(
                self.name, "`review_in` says where answers are read first: name `reviewers`, too"
            )
        object.__setattr__(self, "mcp", tuple(self.mcp))
        object.__setattr__(self, "tools", tuple(as_tool(each) for each in self.tools))
        if self.output is not None and self.knowledge and self.flow is None:
            raise AgentDefinitionError(
                self.name,
                "what is answered from `knowledge` is text that is checked, not an object: leave "
                "out `output`, or write a flow",
            )
        if self.users is not None:
            object.__setattr__(self, "users", tuple(self.users))
        if self.checked is None:
            object.__setattr__(self, "checked", bool(self.knowledge))

    def with_changes(self, **changes: Any) -> "Agent":
        """This agent with some fields replaced."""
        return replace(self, **changes)


def agent(name: str, description: str = "", **fields: Any) -> Callable[[Flow], Agent]:
    """Make an agent of a generator function over a `Turn`.

    name, description and fields are those of `Agent`; without a description the function's
    docstring is taken.
    """

    def make(flow: Flow) -> Agent:
        words = description or (flow.__doc__ or "").strip().split("\n")[0]
        return Agent(name=name, description=words, flow=flow, **fields)

    return make


def prompt(package: str, name: str) -> str:
    """The text of a prompt file that lies beside an agent.

    package: the package that holds it (`__package__`); name: the file below its `prompts` folder.
    """
    return (resources.files(package) / "prompts" / name).read_text(encoding="utf-8")
