"""The composition root of the edges: what web, Slack and the command line stand on.

Only here are the job store, the catalog and the knowledge bases of those processes made of the
`Settings`; `workers/app.py` does the same for workers. Start reading at `compose`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import structlog

from agents.catalog import Catalog, load_catalog
from knowledge import KnowledgeBase
from llmasos import plugins
from llmasos.bus import EventBus, RedisBus
from llmasos.conversations import Conversations
from llmasos.database import Database, require_schema
from llmasos.errors import BrokerUnavailable, LLMasOSError, StateError
from llmasos.feedback import Feedback
from llmasos.jobs import Dispatcher, Jobs
from llmasos.pool import Fleet
from llmasos.queues import Limits, told, unserved, used
from llmasos.settings import Settings
from llmasos.system import addresses
from llmasos.tables import leases
from workers.dispatcher import CeleryDispatcher

log = structlog.get_logger()

NOT_RUNNING = "no system runs in this home: start one with `llmasos up`, or name its address"

UNHEARD = "nothing can be said of it while the state does not answer"


@dataclass(frozen=True)
class Doors:
    """What every way in needs."""

    settings: Settings
    catalog: Catalog
    database: Database
    jobs: Jobs
    bus: EventBus
    knowledge: KnowledgeBase
    conversations: Conversations
    feedback: Feedback
    fleet: Fleet
    own_worker: bool = False
    """Whether jobs run within this process, so that no other worker is needed."""

    def has_worker(self) -> bool:
        """Whether anybody is there to run jobs."""
        return self.own_worker or self.jobs.live_workers() > 0

    def checks(self) -> dict[str, str | None]:
        """What the system stands on: None where it answers, else why not."""
        state = _why_not(self._try_state)
        return {
            "state": state,
            "broker": _why_not(lambda: self.bus.ping()),
            # Workers say there that they live: without it nobody hears them.
            "worker": _why_not(self._find_worker) if state is None else UNHEARD,
            "engine": _why_not(self._ask_engines),
        }

    def warnings(self) -> list[str]:
        """What is set up so that something will wait for ever, though all parts answer."""
        users = used(self.settings)
        try:
            queues = [] if self.own_worker else unserved(self.database, users)
        except StateError:
            return []  # `checks` says so
        return [told(queue, users.get(queue, "a waiting job")) for queue in queues]

    def close(self) -> None:
        """Let go of every connection."""
        self.fleet.close()
        self.knowledge.close()
        self.database.close()

    def _try_state(self) -> None:
        """Whether the state can be read and written; a full disk is noticed by writing alone."""
        require_schema(self.database)
        now = self.database.now()
        probe = self.database.insert(leases).values(name="probe", holder="readiness", until=now)
        with self.database.writing(durable="later") as connection:
            connection.execute(
                probe.on_conflict_do_update(index_elements=["name"], set_={"until": now})
            )

    def _ask_engines(self) -> None:
        """Whether texts can be generated and embedded."""
        self.fleet.check()
        url = addresses(self.settings).embedding_url  # asked each time: the engine may have moved
        if not url:
            raise LLMasOSError(NOT_RUNNING)
        try:
            httpx.get(f"{url}/health", timeout=2.0).raise_for_status()
        except httpx.HTTPError as error:
            raise LLMasOSError(f"the engine at {url} does not answer: {error!r}") from error

    def _find_worker(self) -> None:
        if not self.has_worker():
            raise LLMasOSError("no worker has shown a sign of life; start one: llmasos worker")


def compose(settings: Settings) -> Doors:
    """Make what the edges stand on, for a running system.

    Raises SchemaMismatch, SettingsError, AgentLoadError, or BrokerUnavailable when there is no
    broker's address to be found.
    """
    where = addresses(settings)
    if not where.broker_url or not where.bus_url:
        raise BrokerUnavailable("(none)", NOT_RUNNING)
    return open_doors(settings, CeleryDispatcher(where.broker_url), RedisBus(where.bus_url))


def open_doors(settings: Settings, dispatcher: Dispatcher, bus: EventBus) -> Doors:
    """The doors over any dispatcher and bus. Raises as `compose` does."""
    catalog = load_catalog(settings)
    database = Database(settings.state_url)
    require_schema(database)
    jobs = Jobs(
        database,
        dispatcher,
        settings.jobs,
        agents=catalog.names(),
        schemes=channel_schemes(settings),
        may_use=catalog.may_use,
        shares=Limits.from_settings(settings),
    )
    return Doors(
        settings=settings,
        catalog=catalog,
        database=database,
        jobs=jobs,
        bus=bus,
        knowledge=KnowledgeBase.open(settings),
        conversations=Conversations(database),
        feedback=Feedback(database),
        fleet=Fleet(settings),
    )


def channel_schemes(settings: Settings) -> tuple[str, ...]:
    """The kinds of address that an answer can go to here."""
    made = (make(settings) for _, make in plugins.load("llmasos.channels"))
    return tuple(channel.scheme for channel in made if channel is not None)


def _why_not(check: Callable[[], object]) -> str | None:
    try:
        check()
    except LLMasOSError as error:
        return str(error)
    return None
