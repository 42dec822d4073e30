"""Metrics for Prometheus: requests as they are handled, jobs as they stand when it asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from integrations.http_api.server_metrics import Servers
from llmasos.pool.reports import Report

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Metrics:
    """The figures of this process, and of the system that it belongs to.

    jobs: counts the jobs there are by status. reports: what each worker says of its model servers.
    """

    def __init__(
        self,
        jobs: Callable[[], Mapping[str, int]],
        reports: Callable[[], Sequence[Report]],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Jobs(jobs))
        self._registry.register(Servers(reports))
        self._requests = Counter(
            "llmasos_http_requests", "Requests handled.", ("method", "route", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "llmasos_http_seconds", "Seconds to the end of the answer.", ("route",),
            registry=self._registry,
        )  # fmt: skip

    def handled(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. status: 0 when its caller left before the answer."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """The figures in Prometheus' text form."""
        return generate_latest(self._registry)


class _Jobs(Collector):
    """Counts jobs when the figures are asked for."""

    def __init__(self, count: Callable[[], Mapping[str, int]]) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily("llmasos_jobs", "Jobs there are.", labels=["status"])
        for status, number in self._count().items():
            gauge.add_metric([status], number)
        yield gauge

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the database when the collector is registered."""
        yield GaugeMetricFamily("llmasos_jobs", "Jobs there are.", labels=["status"])
