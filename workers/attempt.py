"""One attempt at one job: run its agent, commit what came of it, bring it where it belongs.

The agent runs on the caller's thread. If the keeper says that the job must stop, another thread
concludes it without waiting for the agent; whoever concludes first does so alone. Knows ports only:
what agents and places there are is decided in `app.py`. Start reading at `Attempt.go`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from llmasos.channels import Draft, Outcome, Turnover
from llmasos.errors import (
    ChannelError,
    ChannelRefused,
    ChannelUnavailable,
    DatabaseUnavailable,
    HomeNotWritable,
    InvalidRequest,
    JobCancelled,
    JobError,
    LeaseLost,
    LLMasOSError,
    NotApproved,
    RetriesExhausted,
    UsageError,
)
from llmasos.events import Approval, Delegate, Event, Failure, Restarted, Status
from llmasos.jobs import Due
from llmasos.network import shown
from llmasos.turn import Suspended
from workers.agent_run import AgentRun
from workers.claims import Claim
from workers.courier import Courier, Couriers, channel_of
from workers.gathering import fill
from workers.journal import PostJournal
from workers.keeper import Hold, Keeper
from workers.means import Means
from workers.outcomes import Outcomes
from workers.retries import next_try

log = structlog.get_logger()

FIRST_STATUS = "Thinking …"
"""What people see until the agent says what it does."""
DELIVERY_SECONDS = 300.0
"""How long one round of bringing an outcome may take."""
COMMIT_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries to commit an outcome while the database does not answer."""

T = TypeVar("T")


class Attempt:
    """One claimed job, from the claim to its release."""

    def __init__(self, means: Means, keeper: Keeper, claim: Claim) -> None:
        self._means, self._keeper, self._claim = means, keeper, claim
        self._outcomes = Outcomes(means.database)
        self._agent = claim.job.agent  # the router may choose another
        self._usage = claim.job.usage.model_copy()  # what earlier runs used counts, too
        self._began = time.monotonic()
        self._concluding = threading.Lock()  # taken once and kept
        self._log = log.bind(job=claim.job.id, attempt=claim.attempt)
        self._couriers = Couriers(
            lambda agent: [self._courier(address, agent) for address in claim.addresses]
        )
        self._hold = Hold(claim, means.limits.deadline_seconds, self.stop)

    def go(self) -> None:
        """Do what is left to do for this job. Raises nothing: every end is an outcome or a log."""
        self._keeper.keep(self._hold)
        with self._edge():
            if self._claim.only_delivery:
                self._deliver_again()
            else:
                self._answer()

    def stop(self, reason: JobError) -> None:
        """End the job now, whatever its agent is doing. Called on a thread of the keeper's."""
        with self._edge():
            if isinstance(reason, LeaseLost):
                raise reason
            self._conclude_failed(reason)

    @contextmanager
    def _edge(self) -> Iterator[None]:
        """Whatever goes wrong, the job is not kept: it falls due, and another takes it over."""
        try:
            yield
        except LeaseLost:
            self._let_go("job.lease_lost")
        except LLMasOSError as error:  # the database, for longer than we insisted
            self._let_go("job.left", error=str(error))
        except Exception as error:  # noqa: BLE001  (a mistake of ours must not keep the lease)
            self._log.debug("job.left", exc_info=error)
            self._let_go("job.left", error=type(error).__name__)

    def _answer(self) -> None:
        job = self._claim.job
        self._log.info("job.started", agent=job.agent, runs=job.attempts)
        if job.attempts > 1:
            self._publish(Restarted())
        try:
            self._refuse_poison()
            self._claim = fill(self._means.database, self._means.sources, self._claim)
            run = AgentRun(self._means, self._claim, self._hold, self._usage, self)
            reply = run.go()
        except Suspended as suspended:
            self._suspend(suspended.wait)
        except LeaseLost:
            raise
        except JobError as error:
            if error is self._hold.reason:
                return  # whoever stopped it concludes it
            self._conclude_failed(error)
        except Exception as error:  # noqa: BLE001  (an agent's code may raise anything)
            self._failed(error)
        else:
            self._conclude(
                lambda: self._outcomes.succeed(self._claim, self._agent, reply, self._usage), reply
            )

    def chosen(self, agent: str) -> None:
        """It is known which agent answers: it may be shown at work."""
        if agent != self._agent:
            self._agent = agent
            self._outcomes.routed(self._claim, agent)
        self._couriers.start(agent)
        self._couriers.show(Draft(status=FIRST_STATUS))

    def show(self, event: Event, draft: Draft) -> None:
        """Let people see what the agent does. The reply itself is shown once it is committed."""
        self._publish(event)
        if self._claim.addresses:
            self._couriers.show(draft)

    def _refuse_poison(self) -> None:
        """Give a job up whose worker vanished too often."""
        lost = self._claim.lost_leases
        if lost > self._means.settings.max_lost_leases:
            raise RetriesExhausted(self._claim.job.id, lost, "its worker died while it ran")

    def _failed(self, error: Exception) -> None:
        """Try again later what is worth it, as long as it may."""
        try:
            again = next_try(self._claim, error, self._means.settings, self._means.limits)
        except Exception as last:  # noqa: BLE001  (whatever the agent's code raised)
            self._conclude_failed(last)
            return
        if not self._concluding.acquire(blocking=False):
            return
        counts = again.failures > self._claim.failures
        self._log.warning(
            "job.retried" if counts else "job.waits_for_backend",
            failures=again.failures,
            wait=round(again.seconds, 1),
            error=str(error),
        )
        reason = "That did not work" if counts else "The model does not answer now"
        status = f"{reason}; trying again in {again.seconds:.0f} s …"
        self._publish(Status(text=status))
        self._hold.closing = True
        self._insist(lambda: self._outcomes.try_again(self._claim, self._usage, again))
        self._couriers.abandon(Draft(status=status))
        self._keeper.release(self._hold)

    def _suspend(self, wait: Approval | Delegate) -> None:
        """Leave this thread to others until a person has decided, or all parts are finished."""
        try:
            if isinstance(wait, Delegate):
                self._delegate(wait)
            else:
                self._ask(wait)
        except (JobCancelled, InvalidRequest) as error:  # it must not wait: nothing is concluded
            self._concluding.release()
            self._conclude_failed(error)

    def _ask(self, approval: Approval) -> None:
        seconds = self._means.limits.approval_seconds
        self._conclude(
            lambda: self._outcomes.suspend(
                self._claim, self._agent, approval, self._usage, seconds
            ),
            approval,
        )

    def _delegate(self, delegate: Delegate) -> None:
        """Hand out the parts and leave the job; the last of them brings it back."""
        if not self._concluding.acquire(blocking=False):
            return
        self._hold.closing = True
        limits = self._means.limits
        made = self._insist(
            lambda: self._outcomes.delegate(self._claim, self._agent, delegate, self._usage, limits)
        )
        self._log.info("job.divided", parts=len(made))
        status = f"Waiting for {len(made)} parts …"
        self._publish(Status(text=status))
        self._couriers.abandon(Draft(status=status))
        self._keeper.release(self._hold)
        for each in made:
            if not self._wake(each):
                break  # the sweeper wakes the others

    def _conclude_failed(self, error: Exception) -> None:
        cancelled = isinstance(error, (JobCancelled, NotApproved))
        kind = JobCancelled.__name__ if cancelled else type(error).__name__
        failure = Failure(type=kind, message=_for_people(error))
        self._conclude(
            lambda: self._outcomes.fail(self._claim, failure, self._usage, cancelled=cancelled),
            failure,
        )

    def _conclude(self, commit: Callable[[], Due | None], outcome: Outcome) -> None:
        """Commit what came of this attempt, then bring it, then let the job go. Once only."""
        if not self._concluding.acquire(blocking=False):
            return
        self._usage.total_ms = self._elapsed_ms()
        self._hold.closing = not self._claim.addresses
        following = self._insist(commit)
        kind = outcome.type if isinstance(outcome, Failure) else outcome.kind
        self._log.info("job.concluded", outcome=kind, ms=round(self._usage.total_ms))
        self._publish(outcome)
        if self._claim.addresses:
            following = self._deliver(outcome)
        self._keeper.release(self._hold)
        self._wake(following)

    def _deliver_again(self) -> None:
        """Bring what an earlier attempt committed: an outcome, or what people are asked."""
        job = self._claim.job
        asked = job.waiting.approval if job.waiting else None
        outcome = job.reply or job.error or asked
        if outcome is None or not self._concluding.acquire(blocking=False):
            return
        following: Due | None
        if self._claim.expired:
            self._hold.closing = True
            following = self._outcomes.expire(self._claim)
        elif self._claim.lost_leases > self._means.settings.max_lost_leases:
            for address in self._claim.addresses:
                self._brought(address, ChannelRefused(address, "workers died bringing it"))
            following = self._outcomes.settle(self._claim)
        else:
            following = self._deliver(outcome)
        self._keeper.release(self._hold)
        self._wake(following)

    def _deliver(self, outcome: Outcome) -> Due | None:
        """Bring a committed outcome to every address; gives the job whose turn it is then."""
        # From here on the deadline is that of bringing it, and it is kept here.
        self._hold.deadline = float("inf")
        self._couriers.start(self._agent)
        for address in self._couriers.finish(outcome, DELIVERY_SECONDS):
            late = ChannelUnavailable(address, f"took more than {DELIVERY_SECONDS:.0f} s")
            self._brought(address, late)
        self._couriers.abandon()
        self._hold.closing = True
        return self._insist(lambda: self._outcomes.settle(self._claim))

    def _courier(self, address: str, agent: str) -> Courier:
        job, means = self._claim.job, self._means
        turn = Turnover(job.id, agent, job.request, job.created_at)
        journal = PostJournal(means.database, job.id, self._claim.attempt, address)
        channel = channel_of(means.channels, address)
        return Courier(channel, address, turn, journal, self._brought)

    def _brought(self, address: str, error: ChannelError | None) -> None:
        """Commit that an outcome stands at its address, or why it does not."""
        if error is None:
            self._insist(lambda: self._outcomes.delivered(self._claim, address))
            return
        wait = self._insist(lambda: self._outcomes.undelivered(self._claim, address, error))
        event = "delivery.refused" if wait is None else "delivery.postponed"
        why = str(error).replace(address, shown(address))
        self._log.warning(event, address=shown(address), again_in=wait, error=why)

    def _insist(self, write: Callable[[], T]) -> T:
        """Write to the database, also if it does not answer at once."""
        for wait in COMMIT_WAITS:
            try:
                return write()
            except (DatabaseUnavailable, HomeNotWritable) as error:
                self._log.warning("database.waited_for", error=str(error))
                time.sleep(wait)
        return write()

    def _let_go(self, event: str, **words: str) -> None:
        """Leave the job to whoever has it or takes it next."""
        self._log.warning(event, **words)
        self._couriers.abandon()
        self._keeper.release(self._hold)

    def _wake(self, due: Due | None) -> bool:
        """Wake a job, if there is one; whether that worked."""
        if due is not None:
            try:
                self._means.dispatcher.wake(due.job_id, due.queue)()
            except LLMasOSError as error:  # the sweeper will
                self._log.debug("job.wake_failed", next=due.job_id, error=str(error))
                return False
        return True

    def _publish(self, event: Event) -> None:
        if isinstance(event, Approval):  # what is decided on is shown to those who may read the job
            event = event.model_copy(update={"payload": {}})
        self._means.bus.publish(self._claim.job.id, self._claim.attempt, event)

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)


def _for_people(error: Exception) -> str:
    """What failed and what happens next, for whoever asked."""
    if isinstance(error, (UsageError, JobCancelled, NotApproved)):
        return str(error)
    words = str(error) if isinstance(error, LLMasOSError) else f"An error came up: {error}"
    return f"{words} Please ask again later." if not isinstance(error, JobError) else words
