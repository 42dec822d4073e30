"""A survey of all servers: each asked now, and what the running processes measured beside it.

For `llmasos models status`. Start reading at `survey`.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict

from llmasos.errors import EngineError
from llmasos.pool.breaker import State
from llmasos.pool.fleet import Fleet
from llmasos.pool.reports import Report, ServerReport
from llmasos.pool.scrape import Scraped, scraped
from llmasos.pool.server import Server, why

ASK_SECONDS = 2.0
"""How long a server may take for each answer."""


class Standing(BaseModel):
    """How one server stands. None: nobody knows."""

    model_config = ConfigDict(frozen=True)

    models: tuple[str, ...]
    """The models that it serves, by their names in the settings."""
    url: str
    kind: str | None
    """`tgi` or `openai`."""
    served: str | None
    """What it says that it serves."""
    healthy: bool
    problem: str | None
    """Why it is not well, or cannot be used as it is set up."""
    slots: int
    running: int | None
    """Texts that it generates, for whomever: as it says, else as our processes know."""
    queue: int | None
    """Requests that wait there, as it says."""
    first_token_ms: float | None
    """The median: as our processes measured it, else as it says."""
    tokens_per_second: float | None
    """Of one text: as our processes measured it, else as it says."""
    cache_hits: float | None
    """The share of prompt tokens that it had in its prefix cache, as it says."""
    breaker: State | None
    """The worst among our processes."""
    processes: dict[str, ServerReport]
    """What each of our running processes sees and measured."""


def survey(fleet: Fleet, reports: Sequence[Report]) -> list[Standing]:
    """How every server stands, in the order of the settings. reports: those of all processes."""
    servers = fleet.servers()
    if not servers:
        return []
    with ThreadPoolExecutor(len(servers)) as threads:
        return list(threads.map(lambda each: _standing(each[0], each[1], reports), servers))


def _standing(models: tuple[str, ...], server: Server, reports: Sequence[Report]) -> Standing:
    own = Scraped()
    try:
        server.identity()
        problem = server.check(ASK_SECONDS)
        status, page = server.wire.page("/metrics", ASK_SECONDS)
        own = scraped(page) if status == 200 else own
    except EngineError as error:
        problem = why(error)
    seen = {
        report.process: each
        for report in reports
        for each in report.servers
        if (each.url, each.wanted) == (server.url, server.address.model)
    }
    known = server.known
    running = sum(each.running for each in seen.values()) if seen else None
    first, speed = _typical(seen, "first_token_ms"), _typical(seen, "tokens_per_second")
    return Standing(
        models=models,
        url=server.url,
        kind=known.backend.kind if known else server.address.kind,
        served=known.info.model if known else None,
        healthy=problem is None,
        problem=problem,
        slots=server.address.slots,
        running=running if own.running is None else own.running,
        queue=own.queue,
        first_token_ms=own.first_token_ms if first is None else first,
        tokens_per_second=own.tokens_per_second if speed is None else speed,
        cache_hits=own.cache_hits,
        breaker=_worst([each.breaker for each in seen.values()]),
        processes=seen,
    )


def _worst(states: Sequence[State]) -> State | None:
    order: tuple[State, ...] = ("open", "half-open", "closed")
    return next((state for state in order if state in states), None)


def _typical(seen: Mapping[str, ServerReport], name: str) -> float | None:
    """The mean of the processes' medians, each as heavy as its answers."""
    told = [(getattr(each, name), max(each.answered, 1)) for each in seen.values()]
    known = [(value, weight) for value, weight in told if value is not None]
    if not known:
        return None
    return float(sum(value * weight for value, weight in known) / sum(w for _, w in known))
