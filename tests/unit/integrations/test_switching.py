"""Switching: the new engine takes over once it answers, the old one ends once nobody uses it."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from integrations import switching
from integrations.supervisor import Part, Supervisor
from integrations.switching import Engine, Switching
from llmasos.engine.aliases import Aliases
from llmasos.processes import free_port

ENGINE = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port, model, busy = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if "broken" in model:
    sys.exit(f"llmasos: {model} is no model that can be used")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(busy, "rb").read() if self.path == "/metrics" else model.encode()
        self.send_response(503 if "slow" in model else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class Stage:
    """A supervisor with one engine, and what switches it. published: which engines were told."""

    def __init__(self, folder: Path) -> None:
        self.aliases = Aliases(folder, {"default": "first@1"})
        self.metrics = folder / "metrics"
        self.metrics.write_text("tgi_queue_size 0.0\ntgi_batch_current_size 0.0\n")
        self.published: list[Engine] = []
        self.pids: dict[str, int] = {}
        first = self.make(1, "first@1")
        self.supervisor = Supervisor([first.part], self.pids_changed)
        self.switching = Switching(
            self.aliases, "default", first, self.supervisor, self.make, self.published.append
        )
        self.first, self.stopped = first, threading.Event()
        self.threads = [
            threading.Thread(target=self.supervisor.run),
            threading.Thread(target=self.switching.run, args=(self.stopped,)),
        ]

    def make(self, number: int, model: str) -> Engine:
        port = free_port()
        words = (sys.executable, "-c", ENGINE, str(port), model, str(self.metrics))
        return Engine(Part(f"engine-{number}", words), model, f"http://127.0.0.1:{port}", "key")

    def pids_changed(self, pids: dict[str, int]) -> None:
        self.pids = pids

    def until(self, true: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not come true"
            time.sleep(0.02)

    def answers(self, engine: Engine) -> bool:
        try:
            return httpx.get(f"{engine.url}/health", trust_env=False).is_success
        except httpx.HTTPError:
            return False


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A running stage whose old engines stay for a moment only."""
    monkeypatch.setattr(switching, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(switching, "TICK", 0.05)
    stage = Stage(tmp_path)
    for thread in stage.threads:
        thread.start()
    stage.until(lambda: stage.answers(stage.first))
    yield stage
    stage.stopped.set()
    stage.supervisor.stop()
    for thread in stage.threads:
        thread.join(20)


def test_a_promoted_model_is_started_beside_the_old_one_which_then_ends(stage: Stage) -> None:
    stage.aliases.promote("default", "second@1")

    stage.until(lambda: stage.published)
    stage.until(lambda: sorted(stage.pids) == ["engine-2"])

    assert stage.answers(stage.published[0])
    assert not stage.answers(stage.first)
    assert stage.aliases.target("default") == "second@1"


def test_an_engine_that_is_busy_stays_until_it_is_idle(stage: Stage) -> None:
    stage.metrics.write_text("tgi_queue_size 0.0\ntgi_batch_current_size 1.0\n")
    stage.aliases.promote("default", "second@1")
    stage.until(lambda: stage.published)
    told = time.monotonic()

    stage.until(lambda: time.monotonic() > told + 1.0)
    still = stage.answers(stage.first)
    stage.metrics.write_text("tgi_queue_size 0.0\ntgi_batch_current_size 0.0\n")
    stage.until(lambda: not stage.answers(stage.first))

    assert still


def test_a_model_that_does_not_start_leaves_the_old_one_serving_and_says_why(
    stage: Stage,
) -> None:
    stage.aliases.promote("default", "broken@1")

    stage.until(lambda: len(stage.aliases.history("default")) == 2)

    assert stage.published == []
    assert stage.answers(stage.first)
    last = stage.aliases.history("default")[-1]
    assert (last.action, last.model) == ("failed", "first@1")
    assert last.reason == "broken@1 did not start: broken@1 is no model that can be used"


def test_a_model_that_failed_may_be_tried_again(stage: Stage) -> None:
    stage.aliases.promote("default", "broken@1")
    stage.until(lambda: len(stage.aliases.history("default")) == 2)

    stage.aliases.promote("default", "broken@1")
    stage.until(lambda: len(stage.aliases.history("default")) == 4)

    assert stage.aliases.target("default") == "first@1"


def test_a_promotion_while_another_is_starting_wins(stage: Stage) -> None:
    stage.aliases.promote("default", "slow@1")
    stage.until(lambda: "engine-2" in stage.pids)

    stage.aliases.promote("default", "third@1")
    stage.until(lambda: stage.published)
    stage.until(lambda: sorted(stage.pids) == ["engine-3"])

    assert [engine.model for engine in stage.published] == ["third@1"]


def test_a_damaged_file_of_aliases_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{")
    damaged = time.monotonic()

    stage.until(lambda: time.monotonic() > damaged + 0.5)
    still = stage.answers(stage.first)
    (tmp_path / "aliases.json").unlink()
    stage.aliases.promote("default", "second@1")
    stage.until(lambda: stage.published)

    assert still
