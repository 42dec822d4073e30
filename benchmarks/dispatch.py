"""How soon an agent starts after its job was submitted, against a bare Celery no-op task.

Both run on one broker in one run, in turns: a real worker process each. Goal: at most 1.5 times the
bare task's median. Also jobs a second with an agent that does nothing, against the bare task with a
result (goal: at least 0.7 times). The broker is a Valkey of its own unless another is named, such
as a RabbitMQ; that Valkey then still carries events, results and marks for both.

    python benchmarks/dispatch.py [--rounds 300] [--database postgresql://…] [--broker amqp://…]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from llmasos import logs
from llmasos.agent import agent
from llmasos.broker import valkey_command, valkey_url
from llmasos.bus import open_bus
from llmasos.database import Database, migrate
from llmasos.events import Reply
from llmasos.jobs import Jobs
from llmasos.processes import free_port
from llmasos.request import Request
from llmasos.settings import JobSettings, WorkerSettings
from llmasos.testing import ScriptedEngine, make_turn
from workers.dispatcher import CeleryDispatcher
from workers.means import Means
from workers.process import serve_worker

GOAL_LATENCY, GOAL_THROUGHPUT = 1.5, 0.7
THREADS = 8


def main() -> None:
    options = _options()
    if options.serve:
        SERVE[options.serve](options)
        return
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        options.valkey = valkey_url(port, "bench")
        options.broker = options.broker or options.valkey
        options.database = options.database or f"sqlite:///{folder}/state.db"
        with Database(options.database) as database:
            migrate(database)
        server = valkey_command(Path(folder) / "broker", port, "bench")
        processes = [subprocess.Popen(server, stdout=subprocess.DEVNULL)]
        try:
            processes += [_start(name, options) for name in SERVE]
            _report(options)
        finally:
            for process in reversed(processes):  # the broker last
                process.terminate()
            for process in processes:
                process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--burst", type=int, default=400)
    parser.add_argument("--database")
    parser.add_argument("--broker", help="used by nobody else: a vhost or a number of its own")
    parser.add_argument("--valkey", help=argparse.SUPPRESS)
    parser.add_argument("--serve", choices=("ours", "bare"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _start(name: str, options: argparse.Namespace) -> "subprocess.Popen[bytes]":
    addresses = ["--broker", options.broker, "--database", options.database]
    addresses += ["--valkey", options.valkey]
    return subprocess.Popen((sys.executable, __file__, "--serve", name, *addresses))


def _report(options: argparse.Namespace) -> None:
    until_up = Retry(ConstantBackoff(0.1), 100)
    marks = redis.Redis.from_url(options.valkey, socket_timeout=90.0, retry=until_up)
    database = Database(options.database)
    dispatcher = CeleryDispatcher(options.broker)
    jobs = Jobs(database, dispatcher, JobSettings(), ["noop"], [], lambda name, who: True)
    bare = _bare(options)

    def submit() -> None:
        jobs.submit(Request(agent="noop", text="x"))

    def send() -> None:
        bare.tasks["bare"].apply_async(retry=False)

    def send_for_result() -> None:
        bare.tasks["bare_with_result"].apply_async(retry=False)

    marks.ping()
    ours, theirs = [], []
    for _ in range(20):
        _latency(marks, "ours", submit)
        _latency(marks, "bare", send)
    for _ in range(options.rounds):
        ours.append(_latency(marks, "ours", submit))
        theirs.append(_latency(marks, "bare", send))
    our_rate = _rate(marks, "ours", submit, options.burst)
    bare_rate = _rate(marks, "bare", send_for_result, options.burst)
    latency = statistics.median(ours) / statistics.median(theirs)
    throughput = our_rate / bare_rate
    figures = {
        "submit_to_start_ms": round(statistics.median(ours), 2),
        "bare_task_ms": round(statistics.median(theirs), 2),
        "ratio": round(latency, 2),
        "goal": f"<= {GOAL_LATENCY}",
        "jobs_per_second": round(our_rate),
        "bare_tasks_per_second": round(bare_rate),
        "throughput_ratio": round(throughput, 2),
        "throughput_goal": f">= {GOAL_THROUGHPUT}",
    }
    print(json.dumps(figures, indent=2))


def _latency(marks: Any, kind: str, act: Callable[[], None]) -> float:
    """Milliseconds from the call to the start that the worker reports."""
    before = time.time()
    act()
    _, mark = marks.blpop(f"started:{kind}", timeout=60)
    return (float(mark) - before) * 1000


def _rate(marks: Any, kind: str, act: Callable[[], None], count: int) -> float:
    """Runs a second, from the first submission to the last start."""
    before = time.time()
    for _ in range(count):
        act()
    last = max(float(marks.blpop(f"started:{kind}", timeout=60)[1]) for _ in range(count))
    return count / (last - before)


def _bare(options: argparse.Namespace, mark: Callable[[], object] | None = None) -> Celery:
    addresses = {"broker": options.broker, "backend": options.valkey}
    application = Celery("bare", **addresses, set_as_current=False)
    application.conf.update(
        task_default_queue="bare",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_retry=True,
    )

    def bare() -> None:
        if mark:
            mark()

    application.task(name="bare", ignore_result=True)(bare)
    application.task(name="bare_with_result")(bare)
    return application


def _serve_bare(options: argparse.Namespace) -> None:
    mark = _marker(options.valkey, "bare")
    application = _bare(options, mark)
    application.Worker(
        pool="threads",
        concurrency=THREADS,
        loglevel="ERROR",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    ).start()


def _serve_ours(options: argparse.Namespace) -> None:
    logs.configure("worker", "WARNING", "text")
    mark = _marker(options.valkey, "ours")

    @agent("noop")
    def noop(turn: Any) -> Any:
        """Nothing."""
        mark()
        yield Reply(text="x")

    class Turns:
        """Gives the same agent to every job, and nothing to work with."""

        def begin(self, job: Any, *_: Any) -> Any:
            return make_turn(noop, "", ScriptedEngine())

    settings = WorkerSettings(threads=THREADS)
    means = Means(
        database=Database(options.database),
        dispatcher=CeleryDispatcher(options.broker),
        bus=open_bus(options.valkey),
        channels={},
        turns=Turns(),
        settings=settings,
        limits=JobSettings(),
    )
    serve_worker(means, options.broker)


def _marker(valkey: str, kind: str) -> Callable[[], object]:
    """Reports a start: the time is taken before it is sent."""
    client = redis.Redis.from_url(valkey)
    return lambda: client.rpush(f"started:{kind}", repr(time.time()))


SERVE = {"ours": _serve_ours, "bare": _serve_bare}

if __name__ == "__main__":
    main()
