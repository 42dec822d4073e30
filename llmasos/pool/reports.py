"""Reports: what each process tells the others of the servers that it uses.

A worker pins its report to the bus every few seconds; `llmasos models status` and the web process'
`/metrics` read them there. A process that ends is no longer told of when its notice is old.
"""

import threading
from dataclasses import asdict

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from llmasos.bus import EventBus
from llmasos.pool.breaker import State
from llmasos.pool.fleet import Fleet

log = structlog.get_logger()

BOARD = "pool"
PIN_SECONDS = 2.0
"""How often a process tells."""
OLD_SECONDS = 15.0
"""After this long without a word a process counts as gone."""


class ServerReport(BaseModel):
    """One server as one process sees it."""

    model_config = ConfigDict(frozen=True)

    url: str
    models: tuple[str, ...]
    """The models that it serves, by their names in the settings."""
    wanted: str | None
    """The one that is asked of it, where it serves several."""
    breaker: State
    resting: float
    """Seconds that it asked to be left alone for, and that are not over."""
    problem: str | None
    """Why its last health check failed."""
    running: int
    outstanding_tokens: int
    answered: int
    failed: int
    overloaded: int
    stayed: int
    moved: int
    first_token_ms: float | None
    tokens_per_second: float | None


class Report(BaseModel):
    """All servers as one process sees them."""

    model_config = ConfigDict(frozen=True)

    process: str
    servers: tuple[ServerReport, ...]


def report(fleet: Fleet, process: str) -> Report:
    """The report of this process, as it stands."""
    servers = [
        ServerReport(
            url=server.url,
            models=models,
            wanted=server.address.model,
            breaker=server.breaker.state,
            resting=round(server.breaker.rest, 1),
            problem=server.pulse.problem,
            running=server.running,
            outstanding_tokens=server.outstanding,
            **asdict(server.measures.figures()),
        )
        for models, server in fleet.servers()
    ]
    return Report(process=process, servers=tuple(servers))


def told(bus: EventBus) -> list[Report]:
    """The reports of all processes that have told lately."""
    reports = []
    for process, text in bus.pinned(BOARD).items():
        try:
            reports.append(Report.model_validate_json(text))
        except ValidationError:
            log.warning("pool.report_unknown", process=process)  # written by another version
    return reports


class Reporter:
    """Tells how this process sees its servers, from `start` to `stop`. process: its name."""

    def __init__(self, fleet: Fleet, bus: EventBus, process: str) -> None:
        self._fleet, self._bus, self._process = fleet, bus, process
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Tell no more."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            text = report(self._fleet, self._process).model_dump_json()
            self._bus.pin(BOARD, self._process, text, OLD_SECONDS)
            self._stopping.wait(PIN_SECONDS)
