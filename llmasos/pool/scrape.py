"""What a model server's own `/metrics` says, under whatever names it says it.

Names as TGI 3, vLLM, SGLang, llama-server and our own engine have them. Start reading at `scraped`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

QUEUE = (
    "tgi_queue_size",
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "llamacpp:requests_deferred",
)
RUNNING = (
    "tgi_batch_current_size",
    "vllm:num_requests_running",
    "sglang:num_running_reqs",
    "llamacpp:requests_processing",
)
FIRST_TOKEN = ("vllm:time_to_first_token_seconds", "sglang:time_to_first_token_seconds")
"""Histograms."""
SPEED = ("sglang:gen_throughput", "llamacpp:predicted_tokens_seconds")
"""Tokens a second."""
TOKEN_TIME = (
    "tgi_request_mean_time_per_token_duration",
    "vllm:inter_token_latency_seconds",
    "vllm:time_per_output_token_seconds",
)
"""Histograms of the seconds that a token takes."""
CACHE = (
    ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"),
    ("vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_queries_total"),
    ("llmasos_request_cached_tokens_sum", "tgi_request_input_length_sum"),
)
"""Prompt tokens that were found in the prefix cache, and all of them."""
CACHE_SHARE = ("sglang:cache_hit_rate",)

Samples = Mapping[str, float]
Buckets = Mapping[str, Mapping[float, float]]


@dataclass(frozen=True)
class Scraped:
    """A server's own figures. None: it does not tell."""

    queue: int | None = None
    running: int | None = None
    first_token_ms: float | None = None
    """The median, as far as the histogram's buckets tell."""
    tokens_per_second: float | None = None
    cache_hits: float | None = None
    """The share of prompt tokens that were in the prefix cache, in [0, 1]."""


def scraped(page: str) -> Scraped:
    """The figures on a page in Prometheus' text form; none of one that is not."""
    try:
        samples, buckets = _samples(page)
    except ValueError:
        return Scraped()
    first = next((buckets[name] for name in FIRST_TOKEN if name in buckets), {})
    median = _median(first)
    return Scraped(
        queue=_whole(_first(samples, QUEUE)),
        running=_whole(_first(samples, RUNNING)),
        first_token_ms=None if median is None else median * 1000,
        tokens_per_second=_speed(samples),
        cache_hits=_cache(samples),
    )


def _samples(page: str) -> tuple[Samples, Buckets]:
    """Every sample by its name, summed over its labels, and the buckets of each histogram."""
    samples: dict[str, float] = defaultdict(float)
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if "le" in sample.labels:
                name = sample.name.removesuffix("_bucket")
                buckets[name][float(sample.labels["le"])] += sample.value
            else:
                samples[sample.name] += sample.value
    return samples, buckets


def _first(samples: Samples, names: Iterable[str]) -> float | None:
    return next((samples[name] for name in names if name in samples), None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _speed(samples: Samples) -> float | None:
    said = _first(samples, SPEED)
    if said is not None:
        return said
    for name in TOKEN_TIME:
        seconds, count = samples.get(f"{name}_sum"), samples.get(f"{name}_count")
        if seconds and count:
            return count / seconds
    return None


def _cache(samples: Samples) -> float | None:
    for hits, queries in CACHE:
        if samples.get(queries):
            return min(samples.get(hits, 0.0) / samples[queries], 1.0)
    return _first(samples, CACHE_SHARE)


def _median(buckets: Mapping[float, float]) -> float | None:
    """The median of a histogram, taken as even within its bucket; None without a sample."""
    edges = sorted(buckets)
    if not edges or not buckets[edges[-1]]:
        return None
    half = buckets[edges[-1]] / 2
    below, start = 0.0, 0.0
    for edge in edges:
        if buckets[edge] >= half:
            if edge == float("inf"):
                return start
            return start + (edge - start) * (half - below) / (buckets[edge] - below)
        below, start = buckets[edge], edge
    return None
