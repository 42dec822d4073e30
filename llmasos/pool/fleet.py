"""The fleet: all servers that one process may ask, whatever model they serve.

Follows the plan as it changes: new servers join, old ones retire when their last answer ends.
State is per process; what processes tell each other is in `reports.py`. Start reading at `Fleet`.
"""

import threading
from functools import partial

from llmasos.errors import ModelUnavailable
from llmasos.pool.plan import Address, Plan, Plans, Timeouts
from llmasos.pool.pool import Pool
from llmasos.pool.route import Route, nobody
from llmasos.pool.server import Server
from llmasos.settings import DEFAULT_MODEL, LLMSettings, Settings, replaced

CHECK_SECONDS = 2.0


class Fleet:
    """Safe in threads. settings: the ones to begin with; their file is followed."""

    def __init__(self, settings: Settings) -> None:
        self._plans = Plans(settings)
        self._lock = threading.Lock()
        self._plan: Plan | None = None
        self._servers: dict[Address, Server] = {}
        self._current()

    def pool(self, alias: str | None = None) -> Pool:
        """The backend of a model; None is `default`. Raises UnknownModel."""
        name = alias or DEFAULT_MODEL
        self.tiers(name)
        return Pool(self, name)

    def calls_tools(self, alias: str | None = None) -> bool:
        """Whether a model calls tools well; None is `default`."""
        found = self._plans.settings.llm.aliases.get(alias or DEFAULT_MODEL)
        return found is not None and found.tools

    def tiers(self, alias: str) -> list[list[Server]]:
        """The servers of a model now, and those of the models that stand in for it.

        Raises UnknownModel.
        """
        plan = self._current()
        servers = self._servers
        return [[servers[each] for each in tier if each in servers] for tier in plan.chain(alias)]

    def route(self, alias: str, key: str, timeout: float | None) -> Route:
        """A way for one request. key: its beginning; timeout: seconds, None: as the settings say.

        Raises UnknownModel.
        """
        llm = self._plans.settings.llm
        self.tiers(alias)
        seconds = min(llm.deadline, timeout or llm.deadline)
        return Route(alias, partial(self.tiers, alias), key, seconds, llm.patience)

    def servers(self) -> list[tuple[tuple[str, ...], Server]]:
        """Every server with the models that it serves."""
        plan, servers = self._current(), self._servers
        ordered = dict.fromkeys(each for tier in plan.servers.values() for each in tier)
        return [(plan.names(each), servers[each]) for each in ordered if each in servers]

    def check(self, alias: str = DEFAULT_MODEL) -> None:
        """Raises EngineError when no server of a model, or of those that stand in, is well."""
        reasons: list[str] = []
        for tier in self.tiers(alias):
            for server in tier:
                problem = server.check(CHECK_SECONDS)
                if problem is None:
                    return
                reasons.append(f"{server.url} ({problem})")
        raise ModelUnavailable(alias, tuple(reasons)) if reasons else nobody()

    def require(self, alias: str = DEFAULT_MODEL) -> None:
        """Raises EngineUnavailable when a model has no server at all, so that none can answer."""
        if not any(self.tiers(alias)):
            raise nobody()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for server in self._servers.values():
                server.close()

    def _current(self) -> Plan:
        """The plan now; the servers are those that it names."""
        plan = self._plans.current()
        if plan is not self._plan:
            with self._lock:
                if plan is not self._plan:
                    self._adopt(plan)
        return plan

    def _adopt(self, plan: Plan) -> None:
        """Take the servers of a new plan on, and let the others go."""
        llm = self._plans.settings.llm
        timeouts = Timeouts(llm.connect_timeout, llm.idle_timeout)
        before = self._servers
        wanted = plan.addresses()
        self._servers = {
            address: before.get(address) or Server(address, timeouts, llm.health_interval)
            for address in wanted
        }
        self._plan = plan
        for address, server in before.items():
            if address in wanted:
                server.timeouts = timeouts
                server.forget()  # another model may run there now
            else:
                server.retire()


def connect(settings: Settings, alias: str | None = None) -> Pool:
    """The backend of a model, with connections of its own.

    Raises UnknownModel, or EngineUnavailable when the settings name no server and no system runs.
    """
    fleet = Fleet(settings)
    pool = fleet.pool(alias)
    fleet.require(pool.alias)
    return pool


def at(url: str, settings: Settings) -> Pool:
    """The backend of the one server at an address, of whatever kind it is."""
    only = LLMSettings(**{**settings.llm.model_dump(), "urls": (url,), "models": {}})
    return connect(replaced(settings, llm=only))
