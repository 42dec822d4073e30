"""What is told of servers: between processes, on the command line, to Prometheus."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.cli.main import build
from integrations.http_api.metrics import Metrics
from llmasos.bus import MemoryBus
from llmasos.errors import EngineError
from llmasos.generation import Message, Options
from llmasos.pool import Fleet
from llmasos.pool.reports import BOARD, Report, Reporter, report, told
from llmasos.pool.scrape import Scraped, scraped
from llmasos.pool.survey import survey
from llmasos.processes import free_port
from llmasos.settings import Settings

VLLM = """
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{le="0.1",model_name="m"} 10.0
vllm:time_to_first_token_seconds_bucket{le="0.3",model_name="m"} 30.0
vllm:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"} 40.0
vllm:time_to_first_token_seconds_count{model_name="m"} 40.0
vllm:time_to_first_token_seconds_sum{model_name="m"} 9.0
# TYPE vllm:inter_token_latency_seconds histogram
vllm:inter_token_latency_seconds_bucket{le="+Inf",model_name="m"} 100.0
vllm:inter_token_latency_seconds_count{model_name="m"} 100.0
vllm:inter_token_latency_seconds_sum{model_name="m"} 2.0
# TYPE vllm:prefix_cache_queries counter
vllm:prefix_cache_queries_total{model_name="m"} 400.0
# TYPE vllm:prefix_cache_hits counter
vllm:prefix_cache_hits_total{model_name="m"} 100.0
"""


@pytest.fixture
def make_fleet(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def make(*urls: str) -> Fleet:
        made.append(Fleet(make_settings(f"[llm]\nurls = {list(urls)}\npatience = 0")))
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()


def use(fleet: Fleet, times: int = 3) -> None:
    for number in range(times):
        ask = [Message(role="user", content=f"Topic {number}")]
        list(fleet.pool().chat(ask, Options(max_new_tokens=5)))


def test_a_page_of_vllm_is_understood() -> None:
    assert scraped(VLLM) == Scraped(
        queue=4,
        running=5,
        first_token_ms=pytest.approx(200.0),
        tokens_per_second=50.0,
        cache_hits=0.25,
    )


@pytest.mark.parametrize(
    ("page", "figures"),
    [
        ("tgi_queue_size 3\ntgi_batch_current_size 2", Scraped(queue=3, running=2)),
        ("sglang:gen_throughput 90\nsglang:cache_hit_rate 0.5", Scraped(None, None, None, 90, 0.5)),
        ("llamacpp:requests_deferred 1\nllamacpp:predicted_tokens_seconds 7.5",
         Scraped(queue=1, tokens_per_second=7.5)),
        ("tgi_request_input_length_sum 80\nllmasos_request_cached_tokens_sum 60",
         Scraped(cache_hits=0.75)),
        ("<html>no metrics</html>", Scraped()),
        ("", Scraped()),
    ],
)  # fmt: skip
def test_other_servers_say_the_same_in_other_words(page: str, figures: Scraped) -> None:
    assert scraped(page) == figures


def test_a_process_tells_what_it_measured(make_fleet: Any, start_model_server: Any) -> None:
    fleet, bus = make_fleet(start_model_server().url), MemoryBus()
    use(fleet)
    reporter = Reporter(fleet, bus, "worker-1")
    reporter.start()
    until = time.monotonic() + 10
    while not told(bus):
        assert time.monotonic() < until
    reporter.stop()

    ((own,),) = [each.servers for each in told(bus)]

    assert (own.breaker, own.answered, own.stayed, own.running) == ("closed", 3, 3, 0)
    assert own.first_token_ms is not None
    assert 0 < own.first_token_ms < 5000


def test_a_notice_of_another_version_is_passed_over() -> None:
    bus = MemoryBus()
    bus.pin(BOARD, "new", '{"process": "new", "fleet": []}', 60)

    assert told(bus) == []


def test_a_survey_joins_what_servers_say_and_what_processes_measured(
    make_fleet: Any, start_model_server: Any
) -> None:
    openai, away = start_model_server("m", "openai"), f"http://127.0.0.1:{free_port()}"
    fleet = make_fleet(openai.url, away)
    use(fleet)

    well, gone = survey(fleet, [report(fleet, "worker-1")])

    assert (well.kind, well.served, well.healthy, well.queue, well.running) == (
        "openai", "m", True, 4, 1,
    )  # fmt: skip
    assert (well.cache_hits, well.breaker, well.models) == (0.75, "closed", ("default",))
    assert well.processes["worker-1"].answered == 3
    assert not gone.healthy
    assert "refused" in (gone.problem or "")


def test_the_worst_breaker_is_shown(make_fleet: Any, start_model_server: Any) -> None:
    server = start_model_server()
    one, two = make_fleet(server.url), make_fleet(server.url)
    two.servers()[0][1].breaker.trip("it hung")

    (standing,) = survey(one, [report(one, "w1"), report(two, "w2")])

    assert (standing.breaker, set(standing.processes)) == ("open", {"w1", "w2"})


def test_the_command_shows_every_server(
    start_model_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_model_server("mistral")
    (tmp_path / "llmasos.toml").write_text(f'llm.urls = ["{server.url}", "http://127.0.0.1:9"]')
    monkeypatch.chdir(tmp_path)

    table = CliRunner().invoke(build("models"), ["models", "status"])
    plain = CliRunner().invoke(build("models"), ["models", "status", "--json"])

    rows = [line.split("\t") for line in table.stdout.splitlines()]
    assert rows[1][:7] == ["default", server.url, "tgi", "mistral", "well", "2", "3"]
    assert "refused" in rows[2][4]
    first, second = json.loads(plain.stdout)
    assert (first["healthy"], first["queue"], second["healthy"]) == (True, 3, False)


def test_where_there_is_no_server_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(build("models"), ["models", "status"])

    assert (done.exit_code, done.stdout) == (0, "")
    assert "no system runs here" in done.stderr


def test_prometheus_gets_a_series_for_each_server_and_worker(
    make_fleet: Any, start_model_server: Any
) -> None:
    server = start_model_server()
    fleet = make_fleet(server.url)
    use(fleet)
    server.kill()
    with pytest.raises(EngineError):
        use(fleet, 1)
    reports: list[Report] = [report(fleet, "w1"), report(fleet, "w2")]

    page = Metrics(dict, lambda: reports).render().decode()

    whose = f'model="default",server="{server.url}",worker="w1"'
    assert 'llmasos_server_requests_total{model="default",outcome="answered",' in page
    assert f"llmasos_server_running{{{whose}}} 0.0" in page
    assert f"llmasos_server_first_token_seconds{{{whose}}}" in page
    breaker = f'model="default",server="{server.url}",state="closed",worker="w1"'
    assert f"llmasos_server_breaker{{{breaker}}}" in page
