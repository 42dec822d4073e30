"""Slack's limits, enforced by the stand-in: many answers at once, none lost, few calls refused."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.slack.calls import Calls, sync_client
from integrations.slack.channel import SlackChannel
from integrations.slack.limits import Limits
from integrations.slack.post import Pace
from llmasos.channels import Draft, Turnover
from llmasos.errors import ChannelBusy
from llmasos.events import Reply
from llmasos.rates import MemoryRates, Rates, RedisRates
from llmasos.request import Request
from llmasos.testing.jobs import MemoryPostJournal
from llmasos.testing.slack import Fault, SlackStandIn

MINUTE = 3.0
"""Seconds that a minute of Slack's has here."""
QUICK = Pace(update_interval=0.1, stream_interval=0.05, settle_seconds=0.2)
PEOPLE = 60


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        stand_in.redeliver_after()
        stand_in.echo = False
        yield stand_in


def channel_of_a_process(slack: SlackStandIn, rates: Rates, minute: float) -> SlackChannel:
    limits = Limits(rates, "bot", minute)
    calls = Calls(sync_client(slack.bot_token, slack.api_url), limits)
    return SlackChannel(lambda _: calls, QUICK)


class Answer:
    """One person's question, and how its answer gets to Slack."""

    def __init__(self, slack: SlackStandIn, channel: SlackChannel, number: int) -> None:
        self.slack, self.channel, self.job = slack, channel, f"job{number}"
        user = f"U0P{number:03}"
        dm = number % 2 == 0
        self.place = slack.im(user) if dm else f"C0P{number % 10:03}"
        self.asked = slack.dm("Hi?", user) if dm else slack.say(self.place, "Hi?", user)
        tail = f"?team=T0TEAM&user={user}" + ("&dm=1" if dm else "")
        self.address = f"slack:{self.place}/{self.asked}{tail}"
        self.text = f"Answer {number}. " + "Word by word it grows. " * 12
        self.journal = MemoryPostJournal(self.job)
        self.busy = 0

    def bring(self) -> None:
        post = self._post()
        for end in range(0, len(self.text), 30):
            post.show(Draft(text=self.text[:end]))
            time.sleep(post.interval)
        while True:
            try:
                post.finish(Reply(text=self.text))
                return
            except ChannelBusy as error:
                self.busy += 1
                time.sleep(error.retry_after)
                self.journal.attempt += 1
                post = self._post()

    def _post(self):
        request = Request(text="Hi?", order=float(self.asked), reply_to=(self.address,))
        turn = Turnover(self.job, "writing", request, asked_at=time.time())
        return self.channel.open(self.address, turn, self.journal)

    @property
    def seen(self) -> list[str]:
        answers = self.slack.answers(self.place, self.asked)
        return [each.shown for each in answers if each.payload["job"] == self.job]


def test_sixty_answers_of_two_processes_arrive_without_a_storm_of_refusals(
    slack: SlackStandIn, valkey: str
) -> None:
    slack.limits.minute = MINUTE
    processes = [channel_of_a_process(slack, RedisRates(valkey), MINUTE * 1.1) for _ in range(2)]
    answers = [Answer(slack, processes[n // 2 % 2], n) for n in range(PEOPLE)]

    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(Answer.bring, answers))

    assert [answer.seen for answer in answers] == [[a.text.strip()] for a in answers]
    assert slack.called("chat.startStream")
    assert slack.called("chat.appendStream")
    assert len(slack.limits.refused) < len(slack.calls) / 20


def test_slacks_word_to_wait_holds_for_the_other_process_too(
    slack: SlackStandIn, valkey: str
) -> None:
    one, other = (channel_of_a_process(slack, RedisRates(valkey), 0.777) for _ in range(2))
    slack.fail("chat.postMessage", Fault.limits(600))
    first, second = Answer(slack, one, 1), Answer(slack, other, 11)
    with pytest.raises(ChannelBusy) as told:
        first._post().finish(Reply(text="Yes."))
    calls = len(slack.calls)

    with pytest.raises(ChannelBusy, match=r"Slack asks to wait until \d\d:\d\d:\d\d UTC"):
        second._post().finish(Reply(text="Yes."))

    assert told.value.retry_after == 600
    assert len(slack.calls) == calls
    assert first.journal.rows() == second.journal.rows() == []


def test_where_no_stream_is_to_be_had_the_answer_is_posted_and_updated(
    slack: SlackStandIn,
) -> None:
    rates = MemoryRates()
    rates.pause("slack:bot:chat.startStream", 600)
    answer = Answer(slack, channel_of_a_process(slack, rates, 60), 2)

    answer.bring()

    assert answer.seen == [answer.text.strip()]
    assert slack.called("chat.startStream") == []
    assert slack.called("chat.update")


def test_drafts_are_left_out_where_the_updates_are_needed_for_answers(
    slack: SlackStandIn,
) -> None:
    rates = MemoryRates()
    limits = Limits(rates, "bot", 600)
    for number in range(36):
        limits.wait("chat.update", {}, f"other{number}", must=True)
    answer = Answer(slack, channel_of_a_process(slack, rates, 600), 1)

    answer.bring()

    assert answer.seen == [answer.text.strip()]
    assert len(slack.called("chat.postMessage")) == 1
    assert slack.called("chat.update") == []
    assert slack.called("assistant.threads.setStatus")[0]["status"] == "Thinking…"


def test_the_last_words_of_many_are_booked_one_after_another(slack: SlackStandIn) -> None:
    rates = MemoryRates()
    channel = channel_of_a_process(slack, rates, 1.0)
    lock = threading.Lock()
    answers = [Answer(slack, channel, 10 * n + 1) for n in range(12)]  # all in one channel

    def bring(answer: Answer) -> None:
        answer.text = "Short."
        answer.bring()
        with lock:
            done.append(answer.job)

    done: list[str] = []
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(bring, answers))

    assert len(done) == 12
    assert all(answer.seen == ["Short."] for answer in answers)
