"""Couriers: bring a job's answer to its addresses, each on a thread of its own.

A courier takes the latest draft whenever its post may be changed again, so that a slow place slows
neither the agent nor the others. The outcome is handed to it once it is committed. Knows nothing of
how outcomes are stored. Start reading at `Courier._work`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from llmasos.channels import Channel, Draft, Journal, Outcome, Post, Turnover
from llmasos.errors import ChannelError, ChannelUnavailable, LeaseLost
from llmasos.events import Approval, Reply
from llmasos.network import shown

log = structlog.get_logger()

REFRESH = 45.0
"""Seconds after which the last draft is shown again: a place may forget what goes on."""

Done = Callable[[str, ChannelError | None], None]
"""Called with the address, and why the outcome is not there if it is not."""


class Courier:
    """Brings one job's answer to one address.

    channel: who knows the place; None: no channel here serves the address.
    done: called once, on the courier's thread, when the outcome was brought or could not be.
    refresh: seconds after which the last draft is shown again.
    """

    def __init__(
        self,
        channel: Channel | None,
        address: str,
        turn: Turnover,
        journal: Journal,
        done: Done,
        *,
        refresh: float = REFRESH,
    ) -> None:
        self.address, self._refresh = address, refresh
        self._channel, self._turn, self._journal, self._done = channel, turn, journal, done
        self._news = threading.Condition()
        self._draft: Draft | None = None
        self._last: Draft | None = None
        self._texted = False  # whether any text was taken to be shown
        self._outcome: Outcome | None = None
        self._abandoned = False
        self._ended = threading.Event()
        self._log = log.bind(job=turn.job_id, address=shown(address))

    def start(self) -> None:
        """Begin on a thread of its own."""
        threading.Thread(target=self._work, name=f"courier-{self.address}", daemon=True).start()

    def show(self, draft: Draft) -> None:
        """Show this as soon as the place allows it, unless a later draft comes before."""
        with self._news:
            self._draft = draft
            self._news.notify()

    def finish(self, outcome: Outcome) -> None:
        """Bring this; it is committed."""
        with self._news:
            self._outcome = self._for_reviewers(outcome) if self._reviewed_here else outcome
            self._news.notify()

    @property
    def _reviewed_here(self) -> bool:
        """Whether this is where people decide: the request names no such address."""
        return self.address not in self._turn.request.reply_to

    def _for_reviewers(self, outcome: Outcome) -> Outcome:
        """The outcome for those who decide: they read the draft, and take nobody's place."""
        if isinstance(outcome, Approval):
            asked = self._turn.request
            return outcome.in_full(asked.text, asked.principal.name or asked.principal.id)
        return (
            outcome.model_copy(update={"handoff": None}) if isinstance(outcome, Reply) else outcome
        )

    def abandon(self, last: Draft | None = None) -> None:
        """Stop: the job is no longer ours, or will be tried again. last: what to show before."""
        with self._news:
            self._draft, self._abandoned = last, True
            self._news.notify()

    def ended(self, timeout: float) -> bool:
        """Wait for its end; whether it has come."""
        return self._ended.wait(timeout)

    def _work(self) -> None:
        try:
            post = self._first_post()
            while (draft := self._next_draft()) is not None:
                if post is not None:
                    self._pause(self._shown(post, draft))
            if self._outcome is not None and not self._abandoned:
                self._done(self.address, self._brought(post, self._outcome))
        except LeaseLost:
            self._log.info("courier.lease_lost")
        except Exception as error:  # noqa: BLE001  (the edge of a thread)
            self._broke("courier.broke", error)
        finally:
            self._ended.set()

    def _next_draft(self) -> Draft | None:
        """The next draft to show, or the last once more; None when the time for drafts is over."""
        with self._news:
            news = self._news.wait_for(
                lambda: self._draft is not None or self._outcome is not None or self._abandoned,
                timeout=self._refresh if self._last else None,
            )
            if self._outcome is not None:
                return None
            if not news:
                return self._last
            draft, self._draft = self._draft, None
            self._last = draft or self._last
            self._texted = self._texted or bool(draft and draft.text)
            return draft

    def _pause(self, seconds: float) -> None:
        """Wait until the post may be changed again; the first text waits for no status."""
        with self._news:
            self._news.wait_for(
                lambda: self._outcome is not None or self._abandoned or self._has_first_text(),
                timeout=seconds,
            )

    def _has_first_text(self) -> bool:
        return not self._texted and self._draft is not None and bool(self._draft.text)

    def _first_post(self) -> Post | None:
        """The post, or None when it cannot be had before the outcome is there."""
        try:
            return self._open()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  (a guest's channel; `_brought` will say it)
            self._broke("courier.not_open", error)
            return None

    def _open(self) -> Post:
        if self._channel is None:
            raise ChannelUnavailable(self.address, "no channel for it is set up in this worker")
        return self._channel.open(self.address, self._turn, self._journal)

    def _shown(self, post: Post, draft: Draft) -> float:
        """Show a draft; gives the seconds to wait before the next. Losing one does not matter."""
        try:
            post.show(draft)
        except LeaseLost:
            raise
        except ChannelUnavailable as error:
            self._log.info("courier.draft_lost", error=error.reason)
            return max(post.interval, error.retry_after)
        except Exception as error:  # noqa: BLE001  (a guest's channel)
            self._broke("courier.draft_lost", error)
        return post.interval

    def _brought(self, post: Post | None, outcome: Outcome) -> ChannelError | None:
        """Bring the outcome; gives why it is not there if it is not."""
        try:
            (post or self._open()).finish(outcome)
        except LeaseLost:
            raise
        except ChannelError as error:
            return error
        except Exception as error:  # noqa: BLE001  (a guest's channel)
            self._broke("channel.broke", error)
            return ChannelUnavailable(self.address, f"its channel broke ({type(error).__name__})")
        return None

    def _broke(self, event: str, error: Exception) -> None:
        """Log an error; what it says may hold a message's text, so that goes to DEBUG only."""
        self._log.warning(event, kind=type(error).__name__)
        self._log.debug(event, exc_info=error)


class Couriers:
    """The couriers of one job, made once it is known which agent answers.

    make: makes them, given the agent's name.
    """

    def __init__(self, make: Callable[[str], Iterable[Courier]]) -> None:
        self._make = make
        self._couriers: tuple[Courier, ...] = ()
        self._started = False
        self._starting = threading.Lock()

    def start(self, agent: str) -> None:
        """Begin all, unless they have begun."""
        with self._starting:
            if self._started:
                return
            self._started = True
            self._couriers = tuple(self._make(agent))
            for each in self._couriers:
                each.start()

    def show(self, draft: Draft) -> None:
        """Show a draft everywhere."""
        for each in self._couriers:
            each.show(draft)

    def finish(self, outcome: Outcome, timeout: float) -> list[str]:
        """Bring the outcome everywhere and wait; gives the addresses that took too long."""
        for each in self._couriers:
            each.finish(outcome)
        until = time.monotonic() + timeout
        return [
            each.address
            for each in self._couriers
            if not each.ended(max(0.0, until - time.monotonic()))
        ]

    def abandon(self, last: Draft | None = None) -> None:
        """Stop all. last: what to show before."""
        for each in self._couriers:
            each.abandon(last)


def channel_of(channels: Mapping[str, Channel], address: str) -> Channel | None:
    """The channel that serves an address."""
    return channels.get(address.partition(":")[0])
