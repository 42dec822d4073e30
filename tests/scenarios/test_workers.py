"""Workers through thick and thin: a real Valkey, real Celery, real processes, killed as it comes.

Each worker process runs the script `WORKER` below: the real worker with one agent that does what
the message says, and a channel that keeps its messages in a file, as Slack would.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.broker import valkey_command, valkey_url
from llmasos.database import Database, migrate
from llmasos.jobs import Job, Jobs, JobStatus
from llmasos.processes import TETHER, free_port
from llmasos.request import Request
from llmasos.settings import JobSettings
from workers.dispatcher import CeleryDispatcher

WORKER = '''
import json, os, sqlite3, sys, time
from pathlib import Path
from dataclasses import replace
from llmasos import logs
from llmasos.agent import agent
from llmasos.bus import open_bus
from llmasos.database import Database, require_schema
from llmasos.events import Reply
from llmasos.settings import JobSettings, WorkerSettings
from llmasos.testing import ScriptedEngine, make_turn
from llmasos.tools import tool
from workers.means import Means
from workers.dispatcher import CeleryDispatcher
from workers.process import serve_worker

home, settings = Path(sys.argv[1]), json.loads(sys.argv[4])
database_url, broker_url = sys.argv[2:4]
logs.configure("worker", "INFO", "text")


def note(line):
    with open(home / "notes", "a") as file:
        file.write(line + "\\n")


@tool(effect=True)
def pay(amount: int) -> str:
    """Pay. amount: how much."""
    note(f"paid {amount}")
    time.sleep(30)
    return "paid"


@agent("script")
def script(turn):
    """Do what the message says."""
    note(f"started {turn.job_id} {os.getpid()}")
    word, _, rest = turn.request.text.partition(" ")
    if word == "slow":
        for second in range(int(float(rest) * 10)):
            yield f"{second} "
            time.sleep(0.1)
    if word == "pay":
        turn.journal.call(pay, {"amount": int(rest)})
    if word == "die":
        os._exit(9)
    yield Reply(text=f"{turn.request.text} done")


class Turns:
    def begin(self, job, memory, journal, checkpoint, usage):
        turn = make_turn(script, job.request.text, ScriptedEngine(), journal=journal)
        return replace(turn, request=job.request, job_id=job.id)


class Place:
    """Keeps messages as Slack does: creating one cannot be taken back, updating one can."""

    scheme, interval = "file", 0.05

    def __init__(self):
        self.ask("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, job, text)")

    def ask(self, statement, *values):
        connection = sqlite3.connect(home / "place.db", isolation_level=None, timeout=10)
        try:
            cursor = connection.execute(statement, values)
            return cursor.fetchone() or cursor.lastrowid
        finally:
            connection.close()

    def open(self, address, turn, journal):
        return Post(self, turn, journal)


class Post:
    interval = 0.05

    def __init__(self, place, turn, journal):
        self.place, self.turn, self.journal = place, turn, journal

    def ours(self):
        rows = self.journal.rows()
        if rows and rows[0].external_id:
            return int(rows[0].external_id)
        if rows:
            found = self.place.ask("SELECT id FROM messages WHERE job = ?", self.turn.job_id)
        else:
            self.journal.begin(0, streaming=False)
            found = None
        if not found:
            time.sleep(0.02)
            self.journal.check()
            found = [self.place.ask("INSERT INTO messages (job) VALUES (?)", self.turn.job_id)]
            time.sleep(0.02)
        self.journal.opened(0, str(found[0]), streaming=False)
        return found[0]

    def write(self, text):
        message = self.ours()
        self.journal.check()
        self.place.ask("UPDATE messages SET text = ? WHERE id = ?", text, message)

    def show(self, draft):
        self.write("DRAFT " + draft.text)

    def finish(self, outcome):
        self.write(outcome.text if outcome.kind == "reply" else "FAILED " + outcome.message)
        self.journal.closed(0)


database = Database(database_url)
require_schema(database)
means = Means(
    database, CeleryDispatcher(broker_url), open_bus(broker_url), {"file": Place()}, Turns(),
    WorkerSettings(**settings), JobSettings(),
)
serve_worker(means, broker_url)
note("drained")
'''


class Stage:
    """A broker, a database and workers, each a process that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "worker.py").write_text(WORKER)
        self._port = free_port()
        self.broker_url = valkey_url(self._port, "test")
        self.database = Database(f"sqlite:///{folder / 'state.db'}")
        migrate(self.database)
        dispatcher = CeleryDispatcher(self.broker_url)
        self.jobs = Jobs(
            self.database, dispatcher, JobSettings(), ["script"], ["file"], lambda *_: True
        )
        self.processes: list[subprocess.Popen[bytes]] = []
        self.broker = self.start_broker()

    def start_broker(self) -> "subprocess.Popen[bytes]":
        self.broker = self._start(valkey_command(self.folder / "broker", self._port, "test"))
        return self.broker

    def start_worker(self, **settings: Any) -> "subprocess.Popen[bytes]":
        settings = {"lease_seconds": 1.0, "threads": 4, "drain_seconds": 1.0, **settings}
        process = self._start(
            (
                sys.executable,
                str(self.folder / "worker.py"),
                str(self.folder),
                f"sqlite:///{self.folder / 'state.db'}",
                self.broker_url,
                json.dumps(settings),
            )
        )
        self.until(lambda: f":{process.pid}:" in self.log() or process.poll() is not None)
        return process

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _start(self, command: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=TETHER)
        self.processes.append(process)
        return process

    def submit(self, text: str, **fields: Any) -> str:
        request = Request(agent="script", text=text, reply_to=("file:a",), **fields)
        return self.jobs.submit(request).job.id

    def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        give_up = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up, self.log()[-3000:]
            time.sleep(0.02)
        return found

    def settled(self, job_id: str) -> Job:
        """The job once it is finished and its answer brought."""

        def brought() -> Job | None:
            job = self.jobs.find(job_id)
            there = all(each.state == "delivered" for each in job.deliveries)
            return job if job.status.finished and there else None

        found: Job = self.until(brought)
        return found

    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def messages(self) -> list[tuple[str, str]]:
        """(job, text) of what people see."""
        if not (self.folder / "place.db").exists():
            return []
        with sqlite3.connect(self.folder / "place.db") as place:
            rows = place.execute("SELECT job, text FROM messages ORDER BY id").fetchall()
        place.close()
        return rows

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.database.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def test_a_worker_killed_in_the_middle_of_an_answer_leaves_exactly_one(stage: Stage) -> None:
    stage.start_worker()
    stage.start_worker()
    job = stage.submit("slow 2")
    stage.until(lambda: any(text and "DRAFT 0" in text for _, text in stage.messages()))
    (line,) = (each for each in stage.notes() if job in each)
    killed = next(each for each in stage.processes if each.pid == int(line.split()[2]))

    killed.send_signal(signal.SIGKILL)

    assert stage.settled(job).attempts == 2
    assert stage.messages() == [(job, "slow 2 done")]


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_whenever_a_worker_dies_nothing_is_lost_and_nothing_doubled(
    stage: Stage, moment: float
) -> None:
    first = stage.start_worker()
    jobs = [stage.submit("slow 0.2", conversation="c") for _ in range(3)]
    stage.until(stage.notes)
    time.sleep(moment)

    first.kill()
    stage.start_worker()

    for job in jobs:
        stage.settled(job)
    assert stage.messages() == [(job, "slow 0.2 done") for job in jobs]


def test_two_quick_messages_are_answered_in_order(stage: Stage) -> None:
    stage.start_worker()
    stage.start_worker()

    jobs = [stage.submit(f"slow 0.{n}", conversation="c", order=float(n)) for n in (5, 6, 7)]
    for job in jobs:
        stage.settled(job)

    started = [line.split()[1] for line in stage.notes() if line.startswith("started")]
    assert started == jobs
    assert [job for job, _ in stage.messages()] == jobs


def test_a_job_submitted_while_the_broker_is_down_runs_once_it_is_back(stage: Stage) -> None:
    stage.broker.kill()
    stage.broker.wait()

    began = time.monotonic()
    job = stage.submit("hello")
    assert time.monotonic() - began < 1
    stage.start_broker()
    stage.start_worker()

    assert stage.settled(job).status == JobStatus.SUCCEEDED


def test_without_a_broker_work_goes_on_from_the_table(stage: Stage) -> None:
    stage.start_worker()
    running = stage.submit("slow 1")
    stage.until(stage.notes)

    stage.broker.kill()
    stage.broker.wait()
    waiting = stage.submit("hello")

    assert stage.settled(waiting).attempts == 1
    assert stage.settled(running).attempts == 1


def test_a_worker_that_starts_before_its_broker_finds_it(stage: Stage) -> None:
    stage.broker.kill()
    stage.broker.wait()
    stage.start_worker()

    stage.start_broker()
    stage.until(lambda: "broker.connected" in stage.log())

    began = time.monotonic()
    job = stage.submit("hello")
    stage.settled(job)
    assert time.monotonic() - began < 2


def test_a_worker_that_is_told_to_stop_ends_what_it_can_and_gives_back_the_rest(
    stage: Stage,
) -> None:
    worker = stage.start_worker(drain_seconds=1.5)
    short, long = stage.submit("slow 0.5"), stage.submit("slow 4")
    stage.until(lambda: len(stage.notes()) == 2)

    worker.terminate()
    assert worker.wait(timeout=15) == 0

    assert stage.settled(short).attempts == 1
    assert stage.jobs.find(long).status == JobStatus.QUEUED
    stage.start_worker()
    assert stage.settled(long).attempts == 2
    assert sorted(stage.messages()) == [(short, "slow 0.5 done"), (long, "slow 4 done")]


def test_a_job_that_kills_its_workers_is_given_up_with_a_plain_message(stage: Stage) -> None:
    job = stage.submit("die")

    for _ in range(3):
        doomed = stage.start_worker(max_lost_leases=2, lease_seconds=0.5)
        assert doomed.wait(timeout=30) == 9
    stage.start_worker(max_lost_leases=2)

    found = stage.settled(job)
    assert found.error is not None
    assert stage.messages() == [(job, f"FAILED {found.error.message}")]


def test_a_payment_is_not_made_again_after_a_crash(stage: Stage) -> None:
    worker = stage.start_worker()
    job = stage.submit("pay 100")
    stage.until(lambda: "paid 100" in stage.notes())

    worker.kill()
    stage.start_worker()

    found = stage.settled(job)
    assert found.error is not None
    assert found.error.type == "EffectUnknown"
    assert stage.notes().count("paid 100") == 1
    assert "Please check it" in stage.messages()[0][1]
