"""The HTTP API and webhooks with every process real: Valkey, a worker, the web server."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.webhooks.generic import sign
from llmasos.broker import valkey_command, valkey_url
from llmasos.database import Database, migrate
from llmasos.processes import TETHER, free_port
from llmasos.settings import Settings

SECRET = "a-long-secret"
CONFIGURATION = f"""
agents.load = ["./echo.py"]
worker.lease_seconds = 1.0
[[webhooks]]
name = "form"
secret = "{SECRET}"
agent = "echo"
prompt = "{{{{ body.message }}}}"
"""
AGENTS = """
import time
from pathlib import Path
from llmasos.agent import agent

@agent("echo", "Says it again, word by word.")
def echo(turn):
    for word in turn.text.split(" "):
        yield word + " "

@agent("slow", "Waits until it is let go.")
def slow(turn):
    yield "Wait"
    while not (Path(__file__).parent / "go").exists():
        turn.checkpoint()
        time.sleep(0.02)
    yield " ... go"
"""


class System:
    """Processes of ours in one home."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.password = folder, free_port(), "pw"
        self.processes: list[subprocess.Popen[str]] = []
        self.base = ""

    def start(self, *command: str) -> subprocess.Popen[str]:
        log = (self.folder / "log").open("a")
        broker = valkey_url(self.port, self.password)
        # The agents here ask no model; a worker wants to know of one all the same.
        environment = {
            **os.environ,
            "LLMASOS_BROKER_URL": broker,
            "LLMASOS_LLM__URLS": "http://127.0.0.1:9",
        }
        process = subprocess.Popen(
            command, stdout=log, stderr=log, text=True, cwd=self.folder, env=environment,
            preexec_fn=TETHER,
        )  # fmt: skip
        log.close()
        self.processes.append(process)
        return process

    def command(self, *words: str) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-m", "integrations.cli.main", *words)

    def broker(self) -> subprocess.Popen[str]:
        return self.start(*valkey_command(self.folder / "broker", self.port, self.password))

    def web(self) -> subprocess.Popen[str]:
        address = self.folder / "address"
        address.unlink(missing_ok=True)
        process = self.command("web", "--port", "0", "--address-file", str(address))
        self.until(address.exists)
        self.base = address.read_text()
        return process

    def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
        give_up = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up, (self.folder / "log").read_text()
            time.sleep(0.02)
        return found

    def missing(self) -> set[str]:
        with suppress(httpx.HTTPError):
            return set(self.http("GET", "/readyz").json().get("missing", ()))
        return {"web"}

    def http(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        with httpx.Client(base_url=self.base, trust_env=False, timeout=60, verify=False) as client:
            return client.request(method, path, **kwargs)

    def ask(self, agent: str, text: str, wait: float = 0) -> httpx.Response:
        return self.http("POST", f"/v1/agents/{agent}/runs?wait={wait}", json={"text": text})

    def finished(self, job_id: str) -> dict[str, Any]:
        def found() -> Any:
            job = self.http("GET", f"/v1/jobs/{job_id}").json()
            return job if job["finished_at"] else None

        job: dict[str, Any] = self.until(found)
        return job

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait(10)


@pytest.fixture
def system(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[System]:
    (tmp_path / "echo.py").write_text(AGENTS)
    settings = make_settings(CONFIGURATION)
    with Database(settings.state_url) as database:
        migrate(database)
    running = System(tmp_path)
    try:
        running.broker()
        running.web()
        yield running
    finally:
        running.stop()


def test_a_question_is_answered_through_every_way_of_the_api(system: System) -> None:
    system.command("worker")
    system.until(lambda: system.missing() <= {"engine"})
    body = json.dumps({"message": "from a form"}).encode()
    signature = {"x-llmasos-signature": sign(SECRET, body, time.time())}

    waited = system.ask("echo", "one two three", wait=20)
    streamed = system.http(
        "POST",
        "/v1/agents/echo/runs",
        json={"text": "a b"},
        headers={"accept": "text/event-stream"},
    )
    delivered = system.http("POST", "/hooks/form", content=body, headers=signature)
    repeated = system.http("POST", "/hooks/form", content=body, headers=signature)

    assert (waited.status_code, said(waited.json())) == (200, "one two three")
    assert [line for line in streamed.text.split("\n") if line.startswith("event:")] == [
        "event: token", "event: token", "event: reply",
    ]  # fmt: skip
    assert (delivered.status_code, repeated.status_code) == (202, 200)
    assert said(system.finished(delivered.json()["id"])) == "from a form"
    assert repeated.json()["id"] == delivered.json()["id"]


def test_a_reader_sees_one_answer_though_the_worker_is_killed_in_the_middle(system: System) -> None:
    first = system.command("worker")
    job = system.ask("slow", "Go").json()["id"]
    events: list[str] = []

    def follow() -> None:
        with httpx.stream(
            "GET", f"{system.base}/v1/jobs/{job}/events", timeout=60, trust_env=False
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("event:"):
                    events.append(line.removeprefix("event: "))

    reader = threading.Thread(target=follow)
    reader.start()
    system.until(lambda: "token" in events)
    first.kill()
    system.command("worker")
    system.until(lambda: "restarted" in events)
    (system.folder / "go").touch()
    reader.join(30)

    heard = [event for event in events if event != "status"]
    assert heard == ["token", "restarted", "token", "token", "reply"]
    assert said(system.finished(job)) == "Wait ... go"


def test_a_question_asked_while_the_broker_is_down_is_kept_and_answered(system: System) -> None:
    broker = system.processes[0]
    system.command("worker")
    system.until(lambda: system.missing() <= {"engine"})
    broker.kill()
    broker.wait()

    began = time.monotonic()
    accepted = system.ask("echo", "still here")
    took = time.monotonic() - began
    missing = system.missing()
    system.broker()

    assert accepted.status_code == 202
    assert took < 1
    assert "broker" in missing
    assert said(system.finished(accepted.json()["id"])) == "still here"


def test_the_web_process_is_small_and_stops_in_order_with_readers_at_hand(system: System) -> None:
    web = system.processes[1]
    job = system.ask("echo", "nobody works").json()["id"]
    with httpx.stream(
        "GET", f"{system.base}/v1/jobs/{job}/events", timeout=30, trust_env=False
    ) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": following"
        private = private_bytes(web.pid)
        began = time.monotonic()
        web.send_signal(signal.SIGTERM)
        assert list(lines) == [""]

    assert web.wait(10) == 0
    assert time.monotonic() - began < 4
    assert private < 300e6


def said(job: dict[str, Any]) -> str:
    """The answer's text."""
    return str(job["reply"]["text"]).strip()


def private_bytes(pid: int) -> int:
    """Memory that a process shares with nobody."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private_"))


def web(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "integrations.cli.main", "web", *options],
        capture_output=True, text=True, cwd=folder, timeout=60,
    )  # fmt: skip


def test_a_port_in_use_stops_the_start_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        refused = web(tmp_path, "--port", str(port))

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"llmasos: Port {port} on 127.0.0.1 is in use")
    assert "web.port" in refused.stderr


def test_it_refuses_to_be_reached_from_outside(tmp_path: Path) -> None:
    refused = web(tmp_path, "--host", "0.0.0.0")

    assert refused.returncode == 2
    assert "web.host = 0.0.0.0" in refused.stderr
    assert "API keys" in refused.stderr
