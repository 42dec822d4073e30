"""What the engine counts, under TGI's names as far as it has the same things to count."""

from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from llmasos.engine.text_model import Job

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)
_TOKENS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Lasted(Protocol):
    """When what happened to a text, in seconds."""

    began: float
    validated: float
    started: float
    ended: float


class Metrics:
    """The engine's counts. TGI's counters lack the `_total` that the library insists on for
    counters, so they are gauges that only grow.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._gauge("tgi_request_count", "Requests received.")
        self.failures = Gauge(
            "tgi_request_failure", "Requests refused or failed.", ["err"], registry=self._registry
        )
        self.queue_size = self._gauge("tgi_queue_size", "Texts that wait for a slot.")
        self.cached = Counter(
            "llmasos_engine_prompt_tokens_cached",
            "Prompt tokens that were in the key-value cache already.",
            registry=self._registry,
        )
        self.embedded = self._gauge("te_embed_count", "Texts embedded.")
        self.embedding = self._seconds("te_request_duration", "Embedding request.")
        self._successes = self._gauge("tgi_request_success", "Requests answered.")
        self._duration = self._seconds("tgi_request_duration", "Request, from arrival to end.")
        self._validation = self._seconds("tgi_request_validation_duration", "Validation.")
        self._queue = self._seconds("tgi_request_queue_duration", "Wait for a slot.")
        self._inference = self._seconds("tgi_request_inference_duration", "Work in a slot.")
        self._per_token = self._seconds(
            "tgi_request_mean_time_per_token_duration", "Work in a slot for one token."
        )
        self._input_length = self._lengths("tgi_request_input_length", "Prompt tokens.")
        self._max_new = self._lengths("tgi_request_max_new_tokens", "Tokens asked for at most.")
        self._generated = self._lengths("tgi_request_generated_tokens", "Tokens generated.")
        self._size = self._gauge("tgi_batch_current_size", "Texts being generated.")
        self._room = self._gauge(
            "tgi_batch_current_max_tokens", "Tokens that they may have together, prompts and all."
        )

    def taken(self, job: Job, seconds: float) -> None:
        """Count a request that is valid. seconds: how long it took to find out."""
        self._validation.observe(seconds)
        self._input_length.observe(len(job.tokens))
        self._max_new.observe(job.max_new_tokens)

    def begun(self, room: int) -> None:
        """Count a text that has a slot. room: its tokens at most."""
        self._size.inc()
        self._room.inc(room)

    def ended(self, room: int) -> None:
        """Count a text that has given its slot back."""
        self._size.dec()
        self._room.dec(room)

    def answered(self, times: Lasted, generated: int) -> None:
        """Count a request whose text is complete."""
        self._successes.inc()
        self._duration.observe(times.ended - times.began)
        self._queue.observe(times.started - times.validated)
        self._inference.observe(times.ended - times.started)
        self._per_token.observe((times.ended - times.started) / max(generated, 1))
        self._generated.observe(generated)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self._registry)

    def _seconds(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, f"{meaning} In seconds.", buckets=_SECONDS, registry=self._registry)

    def _lengths(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=_TOKENS, registry=self._registry)

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)
