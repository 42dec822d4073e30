"""What the engine counts, under TGI's names as far as it has the same things to count."""

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)
_TOKENS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Metrics:
    """The engine's counts. TGI's counters lack the `_total` that the library insists on for
    counters, so they are gauges that only grow.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._grows("tgi_request_count", "Requests received.")
        self.successes = self._grows("tgi_request_success", "Requests answered.")
        self.failures = Gauge(
            "tgi_request_failure", "Requests refused or failed.", ["err"], registry=self._registry
        )
        self.duration = self._seconds("tgi_request_duration", "Request, from arrival to end.")
        self.queue = self._seconds("tgi_request_queue_duration", "Wait for a slot.")
        self.inference = self._seconds("tgi_request_inference_duration", "Work in a slot.")
        self.per_token = self._seconds(
            "tgi_request_mean_time_per_token_duration", "Work in a slot for one token."
        )
        self.input_length = self._lengths("tgi_request_input_length", "Prompt tokens.")
        self.max_new = self._lengths("tgi_request_max_new_tokens", "Tokens asked for at most.")
        self.generated = self._lengths("tgi_request_generated_tokens", "Tokens generated.")
        self.cached = self._lengths(
            "llmasos_request_cached_tokens", "Prompt tokens found in the prefix cache."
        )
        self.queue_size = self._grows("tgi_queue_size", "Requests that wait for a slot.")
        self.batch_size = self._grows("tgi_batch_current_size", "Texts being generated.")
        self.embedded = self._grows("te_embed_count", "Texts embedded.")
        self.embedding = self._seconds("te_request_duration", "Embedding request.")

    def _grows(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self._registry)

    def _seconds(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, f"{meaning} In seconds.", buckets=_SECONDS, registry=self._registry)

    def _lengths(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=_TOKENS, registry=self._registry)

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)
