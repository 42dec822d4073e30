"""Handoffs and feedback, on every database."""

import pytest

from llmasos.database import Database
from llmasos.feedback import LONGEST_COMMENT, Feedback
from llmasos.handoffs import Handoffs
from llmasos.jobs import Jobs
from llmasos.request import Request


@pytest.fixture
def handoffs(database: Database) -> Handoffs:
    return Handoffs(database)


def test_a_conversation_is_quiet_from_its_handoff_until_its_end(handoffs: Handoffs) -> None:
    before = handoffs.quiet("c1")
    handoffs.begin("c1", "job1", "slack:T1:U1")
    meanwhile = handoffs.quiet("c1"), handoffs.quiet("c2")

    handoffs.end("c1")

    assert (before, meanwhile, handoffs.quiet("c1")) == (False, (True, False), False)


def test_one_caller_tells_people_and_another_only_if_that_one_could_not(
    handoffs: Handoffs,
) -> None:
    first = [handoffs.begin("c1", "job1", "a"), handoffs.begin("c1", "job2", "b")]
    handoffs.untold("c1")
    again = [handoffs.begin("c1", "job2", "b"), handoffs.begin("c1", "job3", "c")]
    handoffs.told("c1")
    handoffs.untold("c1")

    assert [bool(each) for each in (*first, *again)] == [True, False, True, False]
    assert handoffs.begin("c1", "job3", "c") is None


def test_whoever_comes_after_a_crash_hears_of_the_try_before(handoffs: Handoffs) -> None:
    first = handoffs.begin("c1", "job1", "agent:a")
    busy = handoffs.begin("c1", "job1", "agent:a")
    second = handoffs.begin("c1", "job1", "agent:a", alone=True)
    assert first is not None
    assert second is not None
    handoffs.untold("c1", second.earlier)
    third = handoffs.begin("c1", "job2", "b")
    handoffs.untold("c1")
    last = handoffs.begin("c1", "job2", "b")

    assert first.earlier is None
    assert busy is None
    assert second.earlier == first.own
    assert third is not None
    assert third.earlier == first.own
    assert last is not None
    assert last.earlier is None


def test_a_comment_stays_when_the_opinion_is_given_again(database: Database, jobs: Jobs) -> None:
    job = jobs.submit(Request(agent="echo", text="hi")).job.id
    feedback = Feedback(database)
    feedback.record(job, "ann", "bad", "The price is\0 wrong." + "x" * 9_000)

    feedback.record(job, "ann", "bad")
    feedback.record(job, "ben", "good")

    assert feedback.opinions(job) == {"ann": "bad", "ben": "good"}
    assert list(feedback.comments(job)) == ["ann"]
    assert feedback.comments(job)["ann"].startswith("The price is wrong.x")
    assert len(feedback.comments(job)["ann"]) == LONGEST_COMMENT
