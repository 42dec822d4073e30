"""Promoting a model while a system runs: another engine takes over, and no request fails."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

AGENTS = """
from llmasos import Agent

plain = Agent(name="plain", description="Talks.", instructions="Be brief.")
"""
SETTINGS = """
[agents]
load = ["./my_agents.py"]
[web]
port = 0
[engine]
threads = 1
max_total_tokens = 512
context = 1024
[agents.plain]
max_new_tokens = 12
"""
ENTRY = """
[[models]]
name = "smol"
kind = "generation"
revision = "{revision}"
format = "gguf"
licence = "Apache-2.0"
context = 8192
template = "gguf"
source = "file:{path}"
[models.files]
"{file}" = "{sha256}"
"""
SMOL = "smollm2-135m-instruct"
pytestmark = pytest.mark.timeout(400)  # three engines are started, one beside another


class Askers:
    """Threads that ask one thing after another until they are told to stop."""

    def __init__(self, up: Any, number: int) -> None:
        self.jobs: list[dict[str, Any]] = []
        self._up, self._stop = up, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def __enter__(self) -> "Askers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stop.is_set():
            self.jobs.append(self._up.ask("plain", "Say hello."))

    def failures(self) -> list[str]:
        """What went wrong."""
        return [json.dumps(job) for job in self.jobs if job.get("status") != "succeeded"]


@pytest.fixture(scope="module")
def up(make_up: Callable[..., Any], fetched_models: Path) -> Iterator[Any]:
    """A system on the embedded engine, whose library has two revisions of `smol`."""
    made = make_up(agents=AGENTS, with_slack=False)
    (made.folder / "llmasos.toml").write_text(SETTINGS)
    models = made.home / "models"
    models.mkdir(parents=True)
    for name in (SMOL, "all-minilm-l6-v2"):
        (models / name).symlink_to(fetched_models / name)
    [file] = (fetched_models / SMOL).rglob("*.gguf")
    shown = made.run("models", "show", SMOL, "--json")
    digest = json.loads(shown.stdout)["files"][file.name]
    entries = [
        ENTRY.format(revision=revision, path=file, file=file.name, sha256=digest)
        for revision in (1, 2)
    ]
    (made.home / "models.toml").write_text("".join(entries))
    pulled = made.run("models", "pull", "smol@1", "smol@2")
    assert pulled.returncode == 0, pulled.stderr
    promoted = made.run("models", "promote", "default", "smol@1")
    assert "the next one serves it" in promoted.stderr
    made.start()
    made.until(lambda: made.http("GET", "/readyz").status_code == 200, seconds=300)
    yield made
    made.stop()


def served(up: Any) -> dict[str, Any]:
    """What the engine that the run file names says of itself."""
    running = up.running
    headers = {"Authorization": f"Bearer {running.engine_key}"}
    reply = httpx.get(f"{running.engine_url}/info", headers=headers, trust_env=False)
    answer: dict[str, Any] = reply.raise_for_status().json()
    return answer


def test_no_request_fails_while_another_revision_takes_over(
    up: Any, is_alive: Callable[[int], bool]
) -> None:
    before = up.running
    old = before.pids["engine"]
    with Askers(up, 3) as askers:
        up.until(lambda: len(askers.jobs) >= 3, seconds=200)

        promoted = up.run("models", "promote", "default", "smol@2", "--wait", "200")
        up.until(lambda: not is_alive(old), seconds=200)
        asked = len(askers.jobs)
        up.until(lambda: len(askers.jobs) >= asked + 4, seconds=200)

    assert promoted.returncode == 0, promoted.stderr
    assert askers.failures() == []
    assert up.running.engine_url != before.engine_url
    assert up.running.engine_model == "smol@2"
    assert served(up)["model_sha"] == "2"
    up.until(lambda: up.http("GET", "/readyz").status_code == 200)


def test_a_model_that_does_not_start_leaves_the_old_one_serving(up: Any) -> None:
    model = up.running.engine_model
    damaged = up.folder / "damaged.gguf"
    [whole] = (up.home / "models" / "smol" / "1").rglob("*.gguf")
    damaged.write_bytes(whole.read_bytes()[:8_000_000])
    added = up.run("models", "add", "damaged.gguf")
    pulled = up.run("models", "pull", "damaged")

    promoted = up.run("models", "promote", "default", "damaged", "--wait", "200")

    assert (added.returncode, pulled.returncode) == (0, 0), added.stderr + pulled.stderr
    assert promoted.returncode == 1
    assert "did not start" in promoted.stderr
    [*_, last] = json.loads(up.run("models", "history", "default", "--json").stdout)
    assert (last["action"], last["model"]) == ("failed", model)
    assert up.running.engine_model == model
    assert up.ask("plain", "Say hello.")["status"] == "succeeded"
    assert "engine.switch_failed" in up.log.read_text()


def test_rolling_back_serves_what_was_served_before(up: Any) -> None:
    back = up.run("models", "rollback", "default", "--wait", "200", "--json")

    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["model"] == "smol@1"
    assert served(up)["model_sha"] == "1"
    assert up.ask("plain", "Say hello.")["status"] == "succeeded"
