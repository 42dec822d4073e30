"""The intake: a delivery is checked, told apart from its repeats, made a job, and written down.

Every delivery to a webhook that exists ends in the ledger, whatever becomes of it. Knows nothing of
HTTP servers. Start reading at `Intake.take`.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from integrations.webhooks import proof
from integrations.webhooks.hooks import Hook, Skipped, UnknownHook
from integrations.webhooks.ledger import Arrival, Ledger, Outcome
from integrations.webhooks.source import Genuine, Refused
from llmasos.errors import UsageError
from llmasos.jobs import Jobs, Submitted

log = structlog.get_logger()


class Intake:
    """Takes deliveries for the webhooks there are."""

    def __init__(self, hooks: Mapping[str, Hook], jobs: Jobs, ledger: Ledger) -> None:
        self._hooks, self._jobs, self._ledger = hooks, jobs, ledger

    def take(self, name: str, headers: Mapping[str, str], body: bytes) -> Submitted | Skipped:
        """Take one delivery.

        name: the webhook's; headers: names in lower case; body: the raw bytes.
        Raises UnknownHook, Refused, MalformedBody, and what `Jobs.submit` raises.
        """
        hook = self._hook(name)
        now = time.time()
        try:
            arrival = self._checked(hook, headers, body, now)
        except UsageError as error:
            log.info("webhook.taken", hook=name, outcome="refused")
            self._ledger.add_refused(name, now, str(error))
            raise
        return self._placed(hook, arrival)

    def again(self, entry_id: int) -> Submitted | Skipped:
        """Take a delivery of the log once more, by today's settings.

        If it made a job before, it makes another. Raises UnknownDelivery, and what `take` raises.
        """
        entry, arrival = self._ledger.kept(entry_id)
        key = arrival.key if entry.job_id is None else f"again-{entry_id}-{time.time_ns()}"
        fresh = replace(arrival, key=key, seal=None, received_at=time.time())
        return self._placed(self._hook(arrival.hook), fresh)

    def _hook(self, name: str) -> Hook:
        if name not in self._hooks:
            raise UnknownHook(name)
        return self._hooks[name]

    def _checked(self, hook: Hook, headers: Mapping[str, str], body: bytes, now: float) -> Arrival:
        """The delivery, if it is genuine; its key tells repeats."""
        genuine = hook.source.verify(headers, body, now)
        key, seal = self._told_apart(hook, genuine, body, now)
        return Arrival(hook.name, now, key, seal, hook.visible(headers), body)

    def _told_apart(
        self, hook: Hook, genuine: Genuine, body: bytes, now: float
    ) -> tuple[str, str | None]:
        """The key that a repeat of it has too, and the seal."""
        window = hook.settings.window
        if genuine.id is None:
            seal = proof.digest(body).hex()
            known = self._ledger.key_of(hook.name, seal, now - window)
            return known or f"{seal[:32]}-{time.time_ns()}", seal
        if genuine.seal is not None:
            # The id is not signed: who records a delivery could send it again under another. A
            # signature lives for two windows: it may come from a clock that goes ahead by one.
            known = self._ledger.key_of(hook.name, genuine.seal, now - 2 * window)
            if known not in (None, genuine.id):
                raise Refused("This signature was used before with another Idempotency-Key.")
        return genuine.id, genuine.seal

    def _placed(self, hook: Hook, arrival: Arrival) -> Submitted | Skipped:
        """Make a job of a genuine delivery, and write down what became of it."""
        try:
            read = hook.read(arrival.headers, arrival.body, arrival.key)
            taken = read if isinstance(read, Skipped) else self._jobs.submit(read)
        except UsageError as error:
            self._write(arrival, Outcome.UNUSABLE, reason=str(error))
            raise
        if isinstance(taken, Skipped):
            self._write(arrival, Outcome.FILTERED, reason=taken.reason)
        else:
            outcome = Outcome.ACCEPTED if taken.new else Outcome.REPEATED
            self._write(arrival, outcome, job=taken.job.id)
        return taken

    def _write(
        self, arrival: Arrival, outcome: Outcome, reason: str | None = None, job: str | None = None
    ) -> None:
        log.info("webhook.taken", hook=arrival.hook, outcome=outcome.value, job=job)
        self._ledger.add(arrival, outcome, reason, job)
