"""The worker's composition root: here, and only here, its parts are made of the `Settings`.

`run_worker` is the process behind `llmasos worker`; `inline` gives `llmasos ask` and `chat` the
same parts where no system runs. Start reading at `compose`.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from agents.catalog import Catalog, load_catalog
from agents.router import Router
from knowledge import KnowledgeBase
from knowledge.embedding import HttpEmbedder
from llmasos import plugins
from llmasos.bus import EventBus, open_bus
from llmasos.channels import Channel, Source
from llmasos.conversations import Conversations
from llmasos.database import Database, require_schema
from llmasos.errors import BrokerUnavailable, SettingsError, nearest
from llmasos.jobs import Dispatcher, Jobs
from llmasos.mcp import McpServers
from llmasos.pool import Fleet
from llmasos.pool.reports import Reporter
from llmasos.queues import Limits
from llmasos.request import AUTO
from llmasos.sandbox import Sandbox
from llmasos.schedules import Schedules
from llmasos.settings import Settings
from llmasos.system import addresses
from workers.courier import channel_of
from workers.dispatcher import CeleryDispatcher
from workers.means import Means
from workers.process import serve_worker
from workers.runner import Runner, worker_name
from workers.scheduler import Scheduler
from workers.turns import CatalogTurns, Equipment

log = structlog.get_logger()

NO_BROKER = "no system runs in this home: start one with `llmasos up`, or set broker_url"


@dataclass(frozen=True)
class WorkerParts:
    """What a worker is made of."""

    catalog: Catalog
    embedder: HttpEmbedder
    """What the router compares messages by."""
    knowledge: KnowledgeBase
    fleet: Fleet
    mcp: McpServers
    means: Means
    limits: Limits

    def close(self) -> None:
        """Let go of files and connections."""
        self.embedder.close()
        self.knowledge.close()
        self.fleet.close()
        self.mcp.close()
        self.means.database.close()


def run_worker(settings: Settings) -> None:
    """Run a worker in this process until SIGTERM or SIGINT.

    Raises BrokerUnavailable or EngineUnavailable when there is no address to be found, and what
    `compose` raises.
    """
    where = addresses(settings)
    if not where.broker_url:
        raise BrokerUnavailable("(none)", NO_BROKER)
    parts = compose(settings, CeleryDispatcher(where.broker_url), open_bus(where.bus_url))
    parts.fleet.require()  # without an engine's address no agent could answer
    for agent in parts.catalog:
        _check_places(f"agents.{agent.name}.review_in", agent.review_in, parts.means.channels)
    log.info("worker.composed", agents=parts.catalog.names(), channels=[*parts.means.channels])
    name = worker_name(socket.gethostname(), os.getpid())
    reporter = Reporter(parts.fleet, parts.means.bus, name)
    scheduler = _scheduler(settings, parts)
    reporter.start()
    scheduler.start()
    try:
        serve_worker(parts.means, where.broker_url, parts.limits, settings.jobs.keep_days)
    finally:
        scheduler.stop()
        reporter.stop()
        parts.close()


def inline(settings: Settings, dispatcher: Dispatcher, bus: EventBus) -> tuple[WorkerParts, Runner]:
    """The parts, and a runner that has begun, for running jobs within this process.

    See `inline.run_pending`; the caller drains the runner and closes the parts.
    """
    parts = compose(settings, dispatcher, bus)
    runner = Runner(parts.means, worker_name(socket.gethostname(), os.getpid()), parts.limits)
    runner.start()
    return parts, runner


def compose(settings: Settings, dispatcher: Dispatcher, bus: EventBus) -> WorkerParts:
    """Make a worker's parts.

    Raises AgentLoadError, SettingsError, SchemaMismatch or a StateError.
    """
    embedder = HttpEmbedder.from_settings(settings)
    catalog = load_catalog(settings, Router(embedder.embed), embedder)
    database = Database(settings.state_url)
    require_schema(database)
    knowledge = KnowledgeBase.open(settings)

    fleet = Fleet(settings)
    mcp = McpServers(settings.mcp)
    equipment = Equipment(fleet, mcp, knowledge, Sandbox(), settings.guards, knowledge)
    turns = CatalogTurns(catalog, Conversations(database), equipment)
    means = Means(
        database=database,
        dispatcher=dispatcher,
        bus=bus,
        channels=load_channels(settings),
        turns=turns,
        settings=settings.worker,
        limits=settings.jobs,
        sources=load_sources(settings),
    )
    limits = Limits.from_settings(settings)
    return WorkerParts(catalog, embedder, knowledge, fleet, mcp, means, limits)


def _scheduler(settings: Settings, parts: WorkerParts) -> Scheduler:
    """Who submits by the clock. Raises SettingsError for an agent or channel that is not there."""
    catalog, means = parts.catalog, parts.means
    for each in settings.schedules:
        if each.agent not in (AUTO, *catalog.names()):
            hint = nearest(each.agent, tuple(catalog.names()))
            named = f"schedules.{each.name}.agent"
            raise SettingsError(named, repr(each.agent), f"there is no such agent.{hint}")
        _check_places(f"schedules.{each.name}.reply_to", each.reply_to, means.channels)
    jobs = Jobs(
        means.database,
        means.dispatcher,
        settings.jobs,
        agents=catalog.names(),
        schemes=means.channels,
        may_use=catalog.may_use,
    )
    return Scheduler(Schedules(means.database, settings.schedules), jobs)


def _check_places(setting: str, places: Sequence[str], channels: Mapping[str, Channel]) -> None:
    """Raises SettingsError for an address that no channel serves."""
    for address in places:
        if channel_of(channels, address) is None:
            known = f"Known: {', '.join(sorted(channels)) or 'none'}."
            raise SettingsError(setting, repr(address), f"no channel is set up for it. {known}")


def load_channels(settings: Settings) -> dict[str, Channel]:
    """The channels that are set up, by their scheme. Raises SettingsError for a broken plug-in."""
    made = (make(settings) for _, make in plugins.load("llmasos.channels"))
    return {channel.scheme: channel for channel in made if channel is not None}


def load_sources(settings: Settings) -> dict[str, Source]:
    """The sources that are set up, by name. Raises SettingsError for a broken plug-in."""
    made = (make(settings) for _, make in plugins.load("llmasos.sources"))
    return {source.name: source for source in made if source is not None}
