"""Figures of the model servers for Prometheus, as each worker tells them.

A series is one server as one worker sees it, and goes when that worker is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llmasos.pool.breaker import State
from llmasos.pool.reports import Report, ServerReport

LABELS = ("server", "model", "worker")
GAUGES: tuple[tuple[str, str, Callable[[ServerReport], float | None]], ...] = (
    ("healthy", "Whether its last health check went well.", lambda s: s.problem is None),
    ("running", "Requests that it works on.", lambda s: s.running),
    ("outstanding_tokens", "Tokens that these may have.", lambda s: s.outstanding_tokens),
    ("resting_seconds", "Seconds it asked to be left alone for.", lambda s: s.resting),
    (
        "first_token_seconds",
        "Median seconds to the first token.",
        lambda s: None if s.first_token_ms is None else s.first_token_ms / 1000,
    ),
    ("tokens_per_second", "Median speed of one text.", lambda s: s.tokens_per_second),
)
COUNTERS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("requests", "Requests by how they ended.", "outcome", ("answered", "failed", "overloaded")),
    ("prefixes", "Requests by whether it holds their beginning.", "place", ("stayed", "moved")),
)


class Servers(Collector):
    """Reads the workers' reports when the figures are asked for."""

    def __init__(self, reports: Callable[[], Sequence[Report]]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """The figures of every server that a worker tells of."""
        seen = [(each, report.process) for report in self._reports() for each in report.servers]
        for name, meaning, value in GAUGES:
            gauge = GaugeMetricFamily(f"llmasos_server_{name}", meaning, labels=LABELS)
            for server, worker in seen:
                if (figure := value(server)) is not None:
                    gauge.add_metric(_labels(server, worker), figure)
            yield gauge
        for name, meaning, label, kinds in COUNTERS:
            counter = CounterMetricFamily(
                f"llmasos_server_{name}", meaning, labels=(*LABELS, label)
            )
            for server, worker in seen:
                for kind in kinds:
                    counter.add_metric([*_labels(server, worker), kind], getattr(server, kind))
            yield counter
        yield _breakers(seen)

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the bus when the collector is registered."""
        yield GaugeMetricFamily("llmasos_server_healthy", GAUGES[0][1], labels=LABELS)


def _labels(server: ServerReport, worker: str) -> list[str]:
    return [server.url, ",".join(server.models), worker]


def _breakers(seen: Sequence[tuple[ServerReport, str]]) -> Metric:
    """One of the states is 1, the others are 0."""
    family: Any = GaugeMetricFamily(
        "llmasos_server_breaker", "State of its circuit breaker.", labels=(*LABELS, "state")
    )
    for server, worker in seen:
        for state in get_args(State):
            family.add_metric([*_labels(server, worker), state], state == server.breaker)
    metric: Metric = family
    return metric
