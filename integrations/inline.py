"""The doors for one command: those of the running system, or a small one of its own.

Where no system runs, `ask` and `chat` share the home's engines and run their jobs in this process,
by the same code as a worker does. What they ask is stored all the same. Start reading at
`doors_here`.
"""

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
from llmasos.request import AUTO, Queue
from llmasos.settings import Settings, replaced
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
            settings = stack.enter_context(_engines(settings, tell))
            doors = stack.enter_context(_own(settings))
        yield doors


@contextmanager
def _engines(settings: Settings, tell: Tell) -> Iterator[Settings]:
    """The settings, with the addresses of engines that the programs of this home share."""
    from llmasos.engine.serving import chosen, embedding_only  # late: not needed where one runs
    from llmasos.engine.sharing import needed

    wanted = {}
    if settings.llm.embedded:
        wanted["llm"] = chosen(settings, settings.llm.model, embeddings=False)
    if not settings.embedding.url:
        wanted["embedding"] = embedding_only(settings)

    def starting() -> None:
        tell("No system runs here: starting an engine …")

    with needed(settings, list(wanted.values()), starting) as found:
        at = dict(zip(wanted, found, strict=True))
        llm, embedding = settings.llm, settings.embedding
        if own := at.get("llm"):
            llm = llm.with_engine(own.url, SecretStr(own.key))
        if own := at.get("embedding"):
            update = {"url": own.url, "api_key": SecretStr(own.key)}
            embedding = embedding.model_copy(update=update)
        yield replaced(settings, llm=llm, embedding=embedding)


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
    doors = open_doors(settings, _Here(run), bus)
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

    def wake(self, job_id: str, queue: Queue) -> Callable[[], None]:
        """Run the job."""
        threading.Thread(target=self._run, args=(job_id,), name="worker", daemon=True).start()
        return lambda: None


def _prepare(database: Database) -> None:
    """Make the tables in a home that never had a system; another schema is left alone."""
    with database.reading() as connection:
        new = not found_schema(connection)
    if new:
        migrate(database)
    require_schema(database)
