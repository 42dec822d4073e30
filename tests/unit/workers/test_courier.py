"""A courier: the latest draft at its post's own pace, the outcome in the end, once."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from llmasos.channels import Channel, Draft, Journal, Turnover
from llmasos.errors import ChannelError, ChannelUnavailable, LeaseLost
from llmasos.events import Reply
from llmasos.request import Request
from llmasos.testing.jobs import MemoryPostJournal, RecordingChannel
from workers.courier import Courier, Couriers

TURN = Turnover("job", "echo", Request(text="hi"), 0.0)


@pytest.fixture
def results() -> list[tuple[str, ChannelError | None]]:
    return []


@pytest.fixture
def send(results: list[Any]) -> Callable[..., Courier]:
    def start(channel: Channel | None, journal: Journal | None = None) -> Courier:
        done = lambda address, error: results.append((address, error))  # noqa: E731
        courier = Courier(channel, "test:a", TURN, journal or MemoryPostJournal(), done)
        courier.start()
        return courier

    return start


def until(condition: Callable[[], Any]) -> None:
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_drafts_between_two_calls_melt_into_the_latest(send: Callable[..., Courier]) -> None:
    channel = RecordingChannel(interval=0.2)
    courier = send(channel)

    for number in range(50):
        courier.show(Draft(text=str(number)))
        time.sleep(0.005)
    until(lambda: channel.drafts[-1:] == [("test:a", Draft(text="49"))])
    courier.finish(Reply(text="done"))

    assert courier.ended(10)
    assert len(channel.drafts) <= 4


def test_while_nothing_new_comes_the_last_draft_is_shown_again(results: list[Any]) -> None:
    channel = RecordingChannel()
    done = lambda address, error: results.append((address, error))  # noqa: E731
    courier = Courier(channel, "test:a", TURN, MemoryPostJournal(), done, refresh=0.01)
    courier.start()

    courier.show(Draft(status="Searching"))
    until(lambda: channel.drafts.count(("test:a", Draft(status="Searching"))) >= 3)
    courier.finish(Reply(text="done"))

    assert courier.ended(10)
    assert results == [("test:a", None)]


def test_whoever_stops_for_now_leaves_a_last_word(
    send: Callable[..., Courier], results: list[Any]
) -> None:
    channel = RecordingChannel(interval=60)
    courier = send(channel)
    courier.show(Draft(text="half an ans"))
    until(lambda: channel.drafts)

    courier.abandon(Draft(status="Trying again …"))

    assert courier.ended(10)
    assert channel.drafts[-1] == ("test:a", Draft(status="Trying again …"))
    assert results == []


def test_the_first_text_does_not_wait_for_the_pace_of_statuses(
    send: Callable[..., Courier],
) -> None:
    channel = RecordingChannel(interval=60)
    courier = send(channel)
    courier.show(Draft(status="Thinking …"))
    until(lambda: channel.drafts)

    courier.show(Draft(status="Searching …"))
    courier.show(Draft(text="The first"))
    until(lambda: len(channel.drafts) == 2)
    courier.show(Draft(text="The first words"))
    courier.finish(Reply(text="The first words."))

    assert courier.ended(10)
    assert [draft for _, draft in channel.drafts[:2]] == [
        Draft(status="Thinking …"),
        Draft(text="The first"),
    ]
    assert len(channel.drafts) == 2


def test_the_outcome_does_not_wait_for_the_pace_of_drafts(
    send: Callable[..., Courier], results: list[Any]
) -> None:
    channel = RecordingChannel(interval=60)
    courier = send(channel)
    courier.show(Draft(text="a"))
    until(lambda: channel.drafts)

    courier.finish(Reply(text="done"))

    assert courier.ended(5)
    assert channel.texts() == ["done"]
    assert results == [("test:a", None)]


def test_a_slow_place_does_not_slow_the_agent(send: Callable[..., Courier]) -> None:
    let_go = threading.Event()

    class Slow(RecordingChannel):
        def open(self, *_: Any) -> Any:
            let_go.wait(30)
            return super().open(*_)

    courier = send(Slow())

    began = time.monotonic()
    for _ in range(1000):
        courier.show(Draft(text="x"))
    assert time.monotonic() - began < 1

    let_go.set()
    courier.finish(Reply(text="done"))
    assert courier.ended(10)


def test_a_draft_that_is_lost_does_not_lose_the_outcome(
    send: Callable[..., Courier], results: list[Any]
) -> None:
    class Moody(RecordingChannel):
        def open(self, *arguments: Any) -> Any:
            post = super().open(*arguments)
            failures: list[Exception] = [ValueError("bug"), ChannelUnavailable("test:a", "429")]

            def show(draft: Draft) -> None:
                raise failures.pop() if failures else ValueError

            post.show = show  # type: ignore[method-assign]
            return post

    channel = Moody()
    courier = send(channel)
    courier.show(Draft(text="a"))
    courier.finish(Reply(text="done"))

    assert courier.ended(10)
    assert (channel.texts(), results) == (["done"], [("test:a", None)])


def test_a_place_that_opens_late_still_gets_the_outcome(
    send: Callable[..., Courier], results: list[Any]
) -> None:
    class Late(RecordingChannel):
        tries = 0

        def open(self, *arguments: Any) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise ChannelUnavailable("test:a", "starting")
            return super().open(*arguments)

    channel = Late()
    courier = send(channel)
    courier.show(Draft(text="a"))
    courier.finish(Reply(text="done"))

    assert courier.ended(10)
    assert (channel.texts(), results) == (["done"], [("test:a", None)])


def test_an_address_without_a_channel_is_tried_again_later(
    send: Callable[..., Courier], results: list[Any]
) -> None:
    courier = send(None)

    courier.finish(Reply(text="done"))

    assert courier.ended(10)
    assert isinstance(results[0][1], ChannelUnavailable)


def test_a_courier_whose_job_was_taken_over_says_nothing_more(
    send: Callable[..., Courier], results: list[Any]
) -> None:
    journal, channel = MemoryPostJournal(), RecordingChannel()
    courier = send(channel, journal)
    courier.show(Draft(text="a"))
    until(lambda: channel.drafts)

    journal.lost = True
    courier.finish(Reply(text="done"))

    assert courier.ended(10)
    assert (channel.texts(), results) == ([], [])


def test_an_abandoned_courier_ends(send: Callable[..., Courier], results: list[Any]) -> None:
    courier = send(RecordingChannel())

    courier.abandon()

    assert courier.ended(10)
    assert results == []


def test_an_address_that_takes_too_long_is_named() -> None:
    let_go = threading.Event()
    channel = RecordingChannel(before_finish=lambda _: let_go.wait(30) and None)
    hung = Courier(channel, "test:slow", TURN, MemoryPostJournal(), lambda *_: None)
    couriers = Couriers(lambda agent: [hung])
    couriers.start("echo")

    assert couriers.finish(Reply(text="done"), timeout=0.1) == ["test:slow"]

    let_go.set()
    assert hung.ended(10)


def test_the_double_of_a_journal_fences_as_the_real_one_does() -> None:
    journal = MemoryPostJournal()
    journal.begin(0, streaming=False)
    journal.lost = True

    with pytest.raises(LeaseLost):
        journal.opened(0, "ts", streaming=False)
