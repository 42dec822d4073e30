"""`llmasos worker`, as it is started in production: its agents, a guest's channel, its memory."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.broker import valkey_command, valkey_url
from llmasos.database import Database
from llmasos.jobs import Jobs, JobStatus
from llmasos.processes import TETHER, free_port
from llmasos.request import Request
from llmasos.settings import JobSettings
from workers.dispatcher import CeleryDispatcher

AGENT = """
from llmasos import Reply, agent

@agent(name="echo", description="Says it again.")
def echo(turn):
    yield turn.status("Listening …")
    yield Reply(text=f"{len(turn.history)} {turn.text}")
"""
CHANNEL = """
from pathlib import Path

class FileChannel:
    scheme = "file"
    def open(self, address, turn, journal):
        return FilePost(Path(address.partition(":")[2]))

class FilePost:
    interval = 0.0
    def __init__(self, path):
        self.path = path
    def show(self, draft):
        pass
    def finish(self, outcome):
        self.path.write_text(outcome.text)

def channel(settings):
    return FileChannel()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, an agent, and a plug-in that is installed."""
    (tmp_path / "echo.py").write_text(AGENT)
    (tmp_path / "llmasos.toml").write_text('home = "home"\nagents = ["./echo.py"]\n')
    site = tmp_path / "site"
    information = site / "file_channel-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "file_channel.py").write_text(CHANNEL)
    (information / "METADATA").write_text("Name: file-channel\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[llmasos.channels]\nfile = file_channel:channel\n"
    )
    return tmp_path


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "rabbitmq":
        url = os.environ.get("TEST_RABBITMQ_URL")
        if not url:
            pytest.skip("TEST_RABBITMQ_URL names no RabbitMQ server")
        yield url
        return
    port = free_port()
    broker = subprocess.Popen(
        valkey_command(tmp_path / "broker", port, "test"),
        stdout=subprocess.DEVNULL,
        preexec_fn=TETHER,
    )
    yield valkey_url(port, "test")
    broker.kill()
    broker.wait()


@pytest.fixture
def llmasos(folder: Path, broker_url: str) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    started = []

    def start(*words: str) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder / "site"),
            "LLMASOS_BROKER_URL": broker_url,
            "LLMASOS_LLM__URLS": "http://127.0.0.1:1",
        }
        command = (sys.executable, "-m", "integrations.cli.main", *words)
        with (folder / "log").open("w") as log, (folder / "out").open("w") as out:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=out, stderr=log, preexec_fn=TETHER
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(condition: Callable[[], Any], words: Callable[[], str]) -> None:
    give_up = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < give_up, words()
        time.sleep(0.05)


def test_a_worker_answers_through_an_agent_file_and_a_guests_channel(
    folder: Path, llmasos: Callable[..., "subprocess.Popen[bytes]"], broker_url: str
) -> None:
    assert llmasos("migrate").wait(timeout=60) == 0
    worker = llmasos("worker")
    with Database(f"sqlite:///{folder / 'home' / 'state.db'}") as database:
        dispatcher = CeleryDispatcher(broker_url)
        jobs = Jobs(database, dispatcher, JobSettings(), ["echo"], ["file"], lambda *_: True)
        place = folder / "answer.txt"
        request = Request(agent="echo", text="hello", conversation="c", reply_to=(f"file:{place}",))

        ids = [jobs.submit(request).job.id for _ in range(2)]

        log = folder / "log"
        until(lambda: all(jobs.find(job).status.finished for job in ids), log.read_text)
        until(lambda: place.exists() and place.read_text() == "2 hello", log.read_text)
        assert [jobs.find(job).status for job in ids] == [JobStatus.SUCCEEDED] * 2
        _assert_light(worker.pid)
        worker.terminate()
        assert worker.wait(timeout=20) == 0
        assert "hello" not in log.read_text()  # message texts stay out of the log


def _assert_light(pid: int) -> None:
    """Less than 300 MB of private memory, and no torch."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(size) for size in re.findall(r"Private_\w+:\s+(\d+) kB", rollup))
    assert private < 300_000
    assert "torch" not in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_a_worker_without_a_schema_says_what_to_do(
    folder: Path, llmasos: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    worker = llmasos("worker")

    assert worker.wait(timeout=60) == 1
    assert "llmasos migrate" in (folder / "log").read_text().splitlines()[-1]


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_a_worker_with_a_broken_agent_names_the_file(
    folder: Path, llmasos: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    (folder / "echo.py").write_text("def broken(:")

    worker = llmasos("worker")

    assert worker.wait(timeout=60) == 2
    assert "echo.py" in (folder / "log").read_text().splitlines()[-1]


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_migrating_says_what_it_did(
    folder: Path, llmasos: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    shown = []
    for _ in range(2):
        assert llmasos("migrate", "--json").wait(timeout=60) == 0
        shown.append(json.loads((folder / "out").read_text()))

    assert [each["before"] for each in shown] == [None, shown[0]["after"]]
