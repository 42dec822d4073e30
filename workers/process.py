"""The worker process: Celery wakes it, the sweeper looks after it, SIGTERM drains it.

Everything that it runs with is handed in by `app.py`. Start reading at `serve_worker`.
"""

import os
import signal
import socket
import threading
from types import FrameType

import structlog

from llmasos.queues import Limits
from workers import celery_app
from workers.means import Means
from workers.runner import Runner, worker_name
from workers.sweeper import Sweeper

log = structlog.get_logger()

LAST_SECONDS = 5.0
"""How long the broker's client may take to end once no job runs."""


def serve_worker(
    means: Means, broker_url: str, limits: Limits | None = None, keep_days: float = 0.0
) -> None:
    """Run jobs in this process until SIGTERM or SIGINT. Call it on the main thread.

    limits: how many jobs of whom run at a time, over all workers; keep_days: for how many days
    finished jobs are kept, 0: for ever.

    On a signal it takes no more jobs, lets running ones go on for `worker.drain_seconds`, gives
    back what is left, and returns; at the latest then the process should end.
    """
    runner = Runner(means, worker_name(socket.gethostname(), os.getpid()), limits)
    sweeper = Sweeper(means.database, runner, means.dispatcher, means.settings, keep_days)
    drained = threading.Event()

    def drain() -> None:
        runner.drain(means.settings.drain_seconds)
        sweeper.stop()
        drained.set()
        # An agent that hangs must not hold the process: its job belongs to others by now.
        if not ended.wait(LAST_SECONDS):
            log.warning("worker.ended_hard")
            os._exit(0)

    def on_signal(number: int, _: FrameType | None) -> None:
        if stopping.is_set():
            return
        stopping.set()
        log.info("worker.stopping", signal=signal.Signals(number).name, running=runner.running)
        runner.stop_claiming()
        celery_app.stop()
        threading.Thread(target=drain, name="drain").start()

    def told(connected: bool) -> None:
        log.info("broker.connected" if connected else "broker.lost")
        if connected:
            sweeper.broker_connected()
        else:
            sweeper.broker_lost()

    stopping, ended = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    runner.start()
    sweeper.start()
    log.info("worker.ready", worker=runner.claims.worker, threads=means.settings.threads)
    consumer = celery_app.consumer(broker_url, means.settings.queues, runner.woken)
    try:
        celery_app.serve(consumer, means.settings.threads, told)
        if not stopping.is_set():
            log.error("worker.broke", reason="Celery's consumer ended by itself")
            drain()
        drained.wait()
    finally:
        ended.set()
    log.info("worker.stopped")
