"""Other brokers and databases, each for real: asked, answered, the broker away, a worker killed.

Between the system and a broker stands a relay of the test's own, so that the broker can go away
though others use it too.
"""

import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from llmasos.database import Database, migrate
from llmasos.jobs import Job, Jobs, JobStatus
from llmasos.processes import TETHER
from llmasos.request import Request
from llmasos.settings import JobSettings
from workers.dispatcher import CeleryDispatcher

AGENTS = """
import time
from llmasos import Reply, agent

@agent("echo", "Says it again.")
def echo(turn):
    yield Reply(text=f"echo: {turn.text}")

@agent("slow", "Takes two seconds.")
def slow(turn):
    for number in range(20):
        yield f"{number} "
        time.sleep(0.1)
"""
SECONDS = 90.0
"""How long anything is waited for: a wake-up that another user of the broker took costs 30 s."""


class Relay:
    """A way to a server that can be cut. A context manager."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}")
        self._ends: list[socket.socket] = []
        self._cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """End all connections, and take no more until `mend`."""
        self._cut = True
        while self._ends:
            with suppress(OSError):
                self._ends.pop().shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Take connections again."""
        self._cut = False

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self._listener.accept()
                if self._cut:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._ends += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError), one:
        while piece := one.recv(65536):
            other.sendall(piece)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@dataclass
class Installation:
    """Workers on a broker and a database, and a door."""

    folder: Path
    jobs: Jobs
    relay: Relay
    worker: "subprocess.Popen[bytes] | None" = None

    def start_worker(self) -> None:
        with (self.folder / "log").open("a") as log:
            self.worker = subprocess.Popen(
                (sys.executable, "-m", "integrations.cli.main", "worker"),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=TETHER,
            )

    def kill_worker(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait()

    def ask(self, agent: str, text: str) -> str:
        return self.jobs.submit(Request(agent=agent, text=text)).job.id

    def answer(self, job_id: str) -> Job:
        self.until(lambda: self.jobs.find(job_id).status.finished)
        return self.jobs.find(job_id)

    def until(self, condition: Callable[[], Any]) -> None:
        give_up = time.monotonic() + SECONDS
        while not condition():
            alive = self.worker is not None and self.worker.poll() is None
            assert alive, (self.folder / "log").read_text()[-4000:]
            assert time.monotonic() < give_up, (self.folder / "log").read_text()[-4000:]
            time.sleep(0.05)


def service(name: str) -> str:
    """The URL of a service that tests may use; skips without one."""
    url = os.environ.get(f"TEST_{name}_URL")
    if not url:
        pytest.skip(f"TEST_{name}_URL names no server")
    return url


@pytest.fixture(params=["redis", "rabbitmq"])
def relay(request: pytest.FixtureRequest) -> Iterator[Relay]:
    """A way to a broker."""
    with Relay(service(request.param.upper())) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database's URL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
        return
    server = service("POSTGRES")
    schema = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
        connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


@pytest.fixture
def installation(tmp_path: Path, relay: Relay, state: str) -> Iterator[Installation]:
    (tmp_path / "our_agents.py").write_text(AGENTS)
    (tmp_path / "llmasos.toml").write_text(
        f'home = "home"\nagents = ["./our_agents.py"]\nbroker_url = "{relay.url}"\n'
        f'database_url = "{state}"\n[llm]\nurls = ["http://127.0.0.1:1"]\n'
        "[worker]\nlease_seconds = 2\n"
    )
    with Database(state) as database:
        migrate(database)
        names = ["echo", "slow"]
        dispatcher = CeleryDispatcher(relay.url)
        jobs = Jobs(database, dispatcher, JobSettings(), names, [], lambda *_: True)
        made = Installation(tmp_path, jobs, relay)
        try:
            yield made
        finally:
            made.kill_worker()


def test_nothing_is_lost_without_the_broker_or_a_worker(installation: Installation) -> None:
    installation.start_worker()
    assert installation.answer(installation.ask("echo", "one")).status == JobStatus.SUCCEEDED

    installation.relay.cut()
    away = installation.ask("echo", "two")
    assert installation.answer(away).status == JobStatus.SUCCEEDED

    installation.relay.mend()
    running = installation.ask("slow", "three")
    installation.until(lambda: installation.jobs.find(running).started_at)
    installation.kill_worker()
    installation.start_worker()

    answered = installation.answer(running)
    assert (answered.status, answered.attempts) == (JobStatus.SUCCEEDED, 2)
    assert answered.reply is not None
    assert answered.reply.text.split() == [str(number) for number in range(20)]
