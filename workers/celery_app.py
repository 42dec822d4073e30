"""The fence around Celery: the one task, the two ends of a wake-up, and a worker in this process.

A message is a wake-up and nothing else: acknowledged early, without result, retry, ETA or time
limit; a lost, late or doubled one changes nothing. Start reading at `consumer` and `publisher`.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.worker import WorkController
from celery.worker import state as celery_state
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu import Exchange, Queue
from kombu.utils.uuid import uuid

from llmasos.request import Queue as Kind

log = structlog.get_logger()

TASK = "llmasos.run_job"
PUBLISH_TIMEOUT = 0.25
"""Seconds that a wake-up may take."""
RECONNECT = {"interval_start": 0.2, "interval_step": 0.3, "interval_max": 2.0}
"""Seconds between the tries to reach a broker that is away."""
LOOK = 0.5
"""Seconds between two looks whether a consumer is to stop: a quiet RabbitMQ would not wake it."""


def queue_name(queue: Kind) -> str:
    """The name of a queue of ours at the broker, which others may use too."""
    return f"llmasos.{queue.value}"


def publisher(broker_url: str) -> Celery:
    """An application that only sends: each step of it gives up soon."""
    options: dict[str, Any] = {}
    if broker_url.startswith(("redis", "valkey")):
        options = {
            "socket_timeout": PUBLISH_TIMEOUT,
            "socket_connect_timeout": PUBLISH_TIMEOUT,
            "max_retries": 0,
        }
    elif broker_url.startswith(("amqp", "pyamqp")):
        options = {"read_timeout": PUBLISH_TIMEOUT, "write_timeout": PUBLISH_TIMEOUT}
    return _application(
        broker_url,
        tuple(Kind),
        broker_transport_options=options,
        broker_connection_timeout=PUBLISH_TIMEOUT,
        broker_pool_limit=1,
    )


def consumer(broker_url: str, queues: Sequence[Kind], run: Callable[[str, Kind], object]) -> Celery:
    """An application whose one task calls `run`; the job that a message names is only a hint."""
    options: dict[str, Any] = {"queue_order_strategy": "priority"}  # in the order of `queues`
    application = _application(
        broker_url,
        queues,
        broker_transport_options={"health_check_interval": 10, **options},
        broker_connection_timeout=2.0,
    )

    @application.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def run_job(job_id: str, queue: str) -> None:
        """Run what is eligible."""
        run(job_id, Kind(queue))

    return application


class Wakes:
    """Sends wake-ups over one connection, in Celery's form and without the detours of `send_task`.

    What all wake-ups of a queue have in common is made once.
    """

    def __init__(self, application: Celery) -> None:
        self._application = application
        self._producer = application.amqp.Producer(application.connection_for_write())
        self._common: dict[Kind, Any] = {}

    def send(self, job_id: str, queue: Kind) -> None:
        """Send one. Raises whatever the broker's client raises."""
        common = self._common.get(queue) or self._prepare(queue)
        task_id = uuid()
        self._producer.publish(
            ([job_id, queue.value], *common.body[1:]),
            headers={**common.headers, "id": task_id, "root_id": task_id},
            exchange="",
            routing_key=queue_name(queue),
            serializer="json",
            delivery_mode="transient",
            retry=False,
            **{**common.properties, "correlation_id": task_id},
        )

    def _prepare(self, queue: Kind) -> Any:
        self._producer.maybe_declare(self._application.amqp.queues[queue_name(queue)])
        common = self._application.amqp.as_task_v2(uuid(), TASK, ignore_result=True)
        self._common[queue] = common
        return common

    def drop(self) -> None:
        """Let go of a connection that failed."""
        with contextlib.suppress(Exception):  # it is broken already
            self._producer.connection.collect(socket_timeout=PUBLISH_TIMEOUT)


def _application(broker_url: str, queues: Sequence[Kind], **options: Any) -> Celery:
    application = Celery("llmasos", broker=broker_url, set_as_current=False)
    # Redis hands out a message once and keeps books about it only for acknowledgements, which a
    # wake-up does not need; RabbitMQ would push all it has to the first worker.
    unbooked = broker_url.startswith("redis")
    kept = [
        Queue(name, Exchange(name), routing_key=name, durable=True, no_ack=unbooked)
        for name in map(queue_name, queues)
    ]
    application.conf.update(
        task_default_queue=kept[0].name,
        task_queues=kept,
        task_default_delivery_mode="transient",
        task_ignore_result=True,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        worker_disable_prefetch=unbooked,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        **options,
    )
    return application


class _Patient(Consumer):  # type: ignore[misc]
    """Celery's consumer, but back within seconds however long the broker was away.

    It holds one message more than it has threads for, so that the others wake whoever is idle.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "initial_prefetch_count": 1})

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying again until it works or the process is to stop."""

        def tell(error: Exception, interval: float) -> None:
            log.warning("broker.away", url=conn.as_uri(), error=str(error))

        return conn.ensure_connection(tell, None, callback=maybe_shutdown, **RECONNECT)


def serve(application: Celery, threads: int, told: Callable[[bool], None]) -> None:
    """Consume on this thread until `stop` is called.

    threads: how many wake-ups are handled at a time; told: called with whether the broker is there
    whenever that changes.
    """

    class Watch(bootsteps.StartStopStep):  # type: ignore[misc]
        """Begun after each connection, ended with it."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        turning: Any = None

        def start(self, parent: Any) -> None:
            if parent.hub is not None:
                self.turning = parent.hub.call_repeatedly(LOOK, lambda: None)
            told(True)

        def stop(self, parent: Any) -> None:
            if self.turning is not None:
                self.turning.cancel()
            told(False)

    application.steps["consumer"].add(Watch)
    worker = WorkController(
        app=application,
        pool_cls="threads",
        concurrency=threads,
        consumer_cls=_Patient,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
    )
    worker.start()


def stop() -> None:
    """Have `serve` return once the running jobs have ended. May be called by a signal handler."""
    celery_state.should_stop = 0
