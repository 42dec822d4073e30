"""The doors for one command: those of the running system, or a small one of its own.

Where no system runs, `ask` and `chat` start an engine and run their jobs in this process, by the
same code as a worker does. What they ask is stored all the same. Start reading at `doors_here`.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import structlog
from pydantic import SecretStr

from agents.catalog import load_catalog
from integrations.app import Doors, compose, open_doors
from llmasos.bus import MemoryBus
from llmasos.database import Database, found_schema, migrate, require_schema
from llmasos.errors import LLMasOSError
from llmasos.request import AUTO
from llmasos.settings import Settings
from llmasos.system import addresses
from workers import app as worker
from workers.inline import InlineDispatcher, run_pending

log = structlog.get_logger()

CLOSE_SECONDS = 3.0
"""How long a job that was cancelled may take to notice it."""

Tell = Callable[[str], None]


@contextmanager
def doors_here(settings: Settings, agent: str, tell: Tell) -> Iterator[Doors]:
    """The doors of the system that runs for this home, else of one within this process.

    agent: who will be asked; a name that nobody has is refused before anything starts.
    tell: says to the person what takes time. Raises what `compose` raises, UnknownAgent, and
    EngineUnavailable when the engine does not start.
    """
    where = addresses(settings)
    with ExitStack() as stack:
        if where.broker_url and where.bus_url:
            doors = compose(settings)
            stack.callback(doors.close)
        else:
            catalog = load_catalog(settings)
            if agent != AUTO:
                catalog.find(agent)
            settings = stack.enter_context(_engine(settings, tell))
            doors = stack.enter_context(_own(settings))
        yield doors


@contextmanager
def _engine(settings: Settings, tell: Tell) -> Iterator[Settings]:
    """The settings, with the address of an engine that is started for this command."""
    if settings.llm.urls and settings.embedding.url:
        yield settings
        return
    from llmasos.engine.launch import EngineProcess  # late: not needed where an engine runs

    tell("No system runs here: starting an engine for this command …")
    key = secrets.token_urlsafe(24)
    with EngineProcess.start(settings, key=key, embeddings=not settings.embedding.url) as engine:
        own = {"url": engine.url, "urls": (engine.url,), "api_key": SecretStr(key)}
        changes = {
            name: getattr(settings, name).model_copy(
                update={word: own[word] for word in (address, "api_key")}
            )
            for name, address in (("llm", "urls"), ("embedding", "url"))
            if not getattr(getattr(settings, name), address)
        }
        yield settings.model_copy(update=changes)


@contextmanager
def _own(settings: Settings) -> Iterator[Doors]:
    """Doors whose jobs run in this process."""
    with Database(settings.state_url) as database:
        _prepare(database)
    bus = MemoryBus()
    stopping = threading.Event()

    def run(job_id: str) -> None:
        try:
            run_pending(runner, doors.jobs, job_id, stopping.is_set)
        except LLMasOSError as error:  # whoever follows the job meets it as well
            log.warning("job.not_run", job=job_id, error_type=type(error).__name__)

    parts, runner = worker.inline(settings, InlineDispatcher(), bus)
    doors = open_doors(settings, addresses(settings), _Here(run), bus)
    try:
        yield replace(doors, own_worker=True)
    finally:
        stopping.set()
        runner.drain(CLOSE_SECONDS)
        doors.close()
        parts.close()


class _Here:
    """Runs each job on a thread of this process; a `jobs.Dispatcher`."""

    def __init__(self, run: Callable[[str], None]) -> None:
        self._run = run

    def wake(self, job_id: str, queue: str) -> None:
        """Run the job."""
        threading.Thread(target=self._run, args=(job_id,), name="worker", daemon=True).start()


def _prepare(database: Database) -> None:
    """Make the tables in a home that never had a system; another schema is left alone."""
    with database.reading() as connection:
        new = not found_schema(connection)
    if new:
        migrate(database)
    require_schema(database)
