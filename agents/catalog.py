"""The catalog: every agent that there is, found, changed as the configuration says, and chosen.

Built-in agents and guests come by entry point, others from `[agents] load` in the configuration.
Imported by the worker, the web process and the command line: nothing heavy here. `loading.py`
makes agents of files and modules, `router.py` chooses for `auto`. Start at `load_catalog`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agents.customer_service import equipped
from agents.loading import from_module, from_path, from_value
from agents.router import Routed, Router
from llmasos import plugins
from llmasos.agent import Agent
from llmasos.embeddings import Embeds
from llmasos.errors import AgentLoadError, NotAllowed, SettingsError, UnknownAgent, nearest
from llmasos.generation import Message, Sampling
from llmasos.language.followups import standalone
from llmasos.request import AUTO, Principal, Request
from llmasos.settings import AgentOverride, Settings

NO_MODEL = "no model has that name; [llm.models.NAME] in the configuration makes one."


class Catalog:
    """The agents of this installation, by name.

    where: for each name the entry point or file that it comes from. router: who chooses for `auto`.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        where: Mapping[str, str] | None = None,
        router: Router | None = None,
    ) -> None:
        self._router = router or Router()
        self._agents = {agent.name: agent for agent in agents}
        self._where = dict(where or {})

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents[name] for name in self.names())

    def __len__(self) -> int:
        return len(self._agents)

    def names(self) -> list[str]:
        """The agents' names, sorted."""
        return sorted(self._agents)

    def find(self, name: str) -> Agent:
        """The agent with this name. Raises UnknownAgent, which names the nearest."""
        if name not in self._agents:
            raise UnknownAgent(name, tuple(self.names()))
        return self._agents[name]

    def where(self, name: str) -> str:
        """The entry point or file that an agent comes from."""
        return self._where.get(name, "")

    def may_use(self, name: str, principal: Principal) -> bool:
        """Whether someone may use an agent; for `auto`, whether there is one that they may use.

        A guest from another organisation may use only the agents that name them.
        Raises UnknownAgent.
        """
        if name == AUTO:
            return bool(self._open_to(principal))
        users = self.find(name).users
        if users is None:
            return principal.member
        return principal.among(users)

    def choose(
        self, request: Request, history: Sequence[Message] = (), previous_agent: str | None = None
    ) -> Routed:
        """The agent for a request: the one that it names, or for `auto` the router's choice.

        history: the conversation before it, read where the message leans on it; previous_agent:
        who answered in it last.
        Raises UnknownAgent, or NotAllowed when the asker may use none.
        """
        if request.agent != AUTO:
            chosen = self.find(request.agent)
            if not self.may_use(chosen.name, request.principal):
                raise self._refused(request.principal, f"use the agent '{chosen.name}'")
            return Routed(chosen)
        open_to = self._open_to(request.principal)
        if not open_to:
            raise self._refused(request.principal, "use any agent here")
        names = [attachment.name for attachment in request.attachments]
        asked = standalone(request.text, history).text
        return self._router.route(open_to, "\n".join([asked, *names]), previous_agent)

    def _open_to(self, principal: Principal) -> list[Agent]:
        """The agents that may be chosen for someone who names none."""
        return [each for each in self if each.routed and self.may_use(each.name, principal)]

    def _refused(self, principal: Principal, what: str) -> NotAllowed:
        return NotAllowed(
            principal.name or principal.id,
            what,
            "Whoever runs this installation can allow it with `users` in `[agents.NAME]`.",
        )


def load_catalog(
    settings: Settings, router: Router | None = None, embedder: Embeds | None = None
) -> Catalog:
    """Find every agent and apply the configuration's changes.

    router: who chooses for `auto`; None: one that goes by words. embedder: what agents compare
    meanings with; None: they go by words.

    Raises AgentLoadError for one that cannot be loaded, with the file and the reason, and for two
    of one name; SettingsError for changes to an agent that there is not, or to a model that there
    is not.
    """
    agents: dict[str, Agent] = {}
    where: dict[str, str] = {}
    for place, found in _found(settings):
        for agent in found:
            if agents.get(agent.name) is agent:
                continue  # a file that imports another's agent
            if agent.name in agents:
                raise AgentLoadError(
                    place,
                    f"its name '{agent.name}' is taken by {where[agent.name]}. Rename one of them.",
                )
            agents[agent.name], where[agent.name] = agent, place
    for name, override in settings.agents.overrides.items():
        if name not in agents:
            hint = nearest(name, tuple(agents))
            raise SettingsError(f"agents.{name}", "", f"there is no such agent.{hint}")
        if override.model is not None and override.model not in settings.llm.aliases:
            hint = nearest(override.model, tuple(settings.llm.aliases))
            raise SettingsError(f"agents.{name}.model", repr(override.model), f"{NO_MODEL}{hint}")
        agents[name] = equipped(changed(agents[name], override), override, settings, embedder)
    servers = tuple(each.name for each in settings.mcp)
    for name, agent in agents.items():
        for server in agent.mcp:
            if server not in servers:
                hint = nearest(server, servers)
                raise AgentLoadError(where[name], f"no [[mcp]] is named '{server}'.{hint}")
    for name, agent in agents.items():
        if agent.model is not None and agent.model not in settings.llm.aliases:
            hint = nearest(agent.model, tuple(settings.llm.aliases))
            raise AgentLoadError(where[name], f"its model is '{agent.model}': {NO_MODEL}{hint}")
    return Catalog(list(agents.values()), where, router)


def changed(agent: Agent, override: AgentOverride) -> Agent:
    """The agent as this installation wants it."""
    given = override.model_dump(
        exclude_none=True, exclude={"concurrency", "limits", "answers", "intents"}
    )
    options: Sampling = {}
    if "temperature" in given:
        options["temperature"] = given.pop("temperature")
    if "max_new_tokens" in given:
        options["max_new_tokens"] = given.pop("max_new_tokens")
    given["options"] = agent.options.merged(options)
    limited = override.limits.model_dump(exclude_unset=True)
    given["limits"] = agent.limits.model_copy(update=limited)
    if "knowledge" in given:
        given["checked"] = None  # told anew by whether it has knowledge
    return agent.with_changes(**given)


def _found(settings: Settings) -> Iterator[tuple[str, Sequence[Agent]]]:
    """Each place where agents are, with its agents."""
    try:
        for name, value in plugins.load("llmasos.agents"):
            place = f"entry point {name}"
            yield place, from_value(place, value)
    except SettingsError as error:
        raise AgentLoadError(f"{error.name} = {error.value}", error.reason) from error
    for named in settings.agents.load:
        path = settings.folder / Path(named).expanduser()
        if named.endswith(".py") or "/" in named or path.is_dir():
            yield from from_path(path)
        else:
            yield named, from_module(named, settings.folder)
