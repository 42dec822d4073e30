"""A whole system for scenarios: `llmasos up` in a folder of its own, Slack a stand-in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.webhooks.generic import sign
from llmasos import system
from llmasos.testing.slack import SlackStandIn

SECRET = "the-secret-of-the-hook"


class Up:
    """`llmasos up` in a folder that holds `llmasos.toml`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".llmasos"
        self.log = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `ready` waits."""
        with self.log.open("a") as lines:
            self.process = subprocess.Popen(
                self.words("up"), cwd=self.folder, stdout=lines, stderr=lines
            )

    def ready(self) -> None:
        """Wait until every part answers."""
        self.until(lambda: self.http("GET", "/readyz").status_code == 200, seconds=90)

    def stop(self) -> int:
        """Press Ctrl-C and wait; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=40)

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "integrations.cli.main", *words]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Another command in the same folder."""
        return subprocess.run(
            self.words(*words), cwd=self.folder, capture_output=True, text=True, timeout=300
        )

    @property
    def running(self) -> system.System:
        found = system.find(self.home)
        assert found is not None, self.log.read_text()
        return found

    def http(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        found = system.find(self.home)
        if found is None or found.web_url is None:
            return httpx.Response(503)
        try:
            return httpx.request(method, f"{found.web_url}{path}", timeout=100, **kwargs)
        except httpx.TransportError:
            return httpx.Response(503)

    def ask(self, agent: str, text: str, **fields: Any) -> dict[str, Any]:
        """Ask over HTTP and wait for the job."""
        body = {"text": text, **fields}
        job: dict[str, Any] = self.http(
            "POST", f"/v1/agents/{agent}/runs?wait=100", json=body
        ).json()
        return job

    def post_hook(self, text: str) -> dict[str, Any]:
        """Send a signed webhook and wait for its job."""
        body = json.dumps({"text": text}).encode()
        headers = {"X-Llmasos-Signature": sign(SECRET, body, time.time())}
        taken = self.http("POST", "/hooks/form", content=body, headers=headers)
        assert taken.status_code == 202, taken.text

        def finished() -> Any:
            job = self.http("GET", f"/v1/jobs/{taken.json()['id']}").json()
            return job if job["finished_at"] else None

        job: dict[str, Any] = self.until(finished)
        return job

    def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait until the condition gives something."""
        give_up = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up, self.log.read_text()[-4000:]
            time.sleep(0.02)
        return found


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="session")
def is_alive() -> Callable[[int], bool]:
    """Tells whether a process runs."""
    return alive


@pytest.fixture(scope="session")
def slack() -> Iterator[SlackStandIn]:
    """Slack on this machine."""
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def make_up(
    tmp_path_factory: pytest.TempPathFactory, engine: Any, slack: SlackStandIn
) -> Iterator[Callable[..., Up]]:
    """Makes folders with a configuration: the session's engine, the stand-in, one webhook."""
    made: list[Up] = []

    def make(top: str = "", agents: str = "", *, with_slack: bool = True) -> Up:
        folder = tmp_path_factory.mktemp("up")
        (folder / "my_agents.py").write_text(agents)
        bot = (
            f'[slack]\nbot_token = "{slack.bot_token}"\napp_token = "{slack.app_token}"\n'
            f'api_url = "{slack.api_url}"\nupdate_interval = 0.1\n'
        )
        (folder / "llmasos.toml").write_text(
            f'{top}\nagents = ["./my_agents.py"]\n[web]\nport = 0\n[worker]\nlease_seconds = 2\n'
            f'[llm]\nurls = ["{engine.url}"]\napi_key = "{engine.key}"\n'
            f'[embedding]\nurl = "{engine.url}"\napi_key = "{engine.key}"\n'
            f'[[webhooks]]\nname = "form"\nsecret = "{SECRET}"\n'
            f'agent = "customer_service"\n{bot if with_slack else ""}'
        )
        made.append(Up(folder))
        return made[-1]

    settings = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("LLMASOS_")}
    try:
        yield make
    finally:
        for each in made:
            if each.process is not None:
                each.stop()
        os.environ.update(settings)
