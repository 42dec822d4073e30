"""A job that waits for a person: what is shown meanwhile, and what is done once they decide."""

from typing import Any

import pytest

from llmasos.errors import AlreadyDecided, ChannelUnavailable, NotAllowed
from llmasos.events import Approval, Handoff, Reply
from llmasos.jobs import JobStatus
from llmasos.request import LOCAL, Principal
from llmasos.tools import tool

ASKER = Principal(id="slack:T:U1")
LEAD = Principal(id="slack:T:U2", groups=("leads",))


def asking(turn: Any) -> Any:
    decision = turn.decision("go")
    if decision is None:
        yield Approval(key="go", question="Shall I?", payload={"n": 1})
    yield Reply(text=f"{decision.granted} {decision.payload} {decision.by}")


def refunds(paid: list[int], fails: bool = False) -> Any:
    """A flow that pays back what its tool is told, once the asker agrees."""

    @tool(effect=True, approvers=["asker"])
    def refund(cents: int) -> str:
        """Pay back. cents: how much."""
        paid.append(cents)
        return "paid"

    amounts = iter((100, 999, 999))

    def flow(turn: Any) -> Any:
        call = turn.call(refund, cents=next(amounts))
        if fails and len(paid) == 1:
            fails_now = ConnectionError("the worker's world ended")
            paid.append(0)
            raise fails_now
        yield Reply(text=f"{call.result} {call.arguments['cents']}")

    return flow


def test_a_job_that_asks_leaves_its_worker_and_is_resumed(bench: Any) -> None:
    job = bench.submit(principal=ASKER, reply_to=("test:a",))
    runner = bench.runner(asking)
    runner.work()
    waiting = bench.jobs.find(job)
    assert (waiting.status, runner.running) == (JobStatus.AWAITING_APPROVAL, 0)
    assert waiting.as_json()["approval"]["payload"] == {"n": 1}

    bench.jobs.decide(job, True, ASKER)
    runner.work()

    found = bench.jobs.find(job)
    assert found.reply.text == "True {'n': 1} slack:T:U1"
    assert bench.channel.texts() == ["Shall I?", found.reply.text]
    assert found.as_json()["approval"] is None


def test_a_declined_question_goes_back_to_the_agent(bench: Any) -> None:
    job = bench.submit(principal=ASKER)
    runner = bench.runner(asking)
    runner.work()

    bench.jobs.decide(job, False, ASKER)
    runner.work()

    assert bench.jobs.find(job).reply.text.startswith("False")


def test_the_stream_says_what_is_asked_and_not_what_is_decided_on(bench: Any) -> None:
    job = bench.submit()

    bench.runner(asking).work()

    assert bench.bus.read(job)[-1].event == Approval(key="go", question="Shall I?")


def test_a_call_is_made_as_it_was_granted_and_once(bench: Any) -> None:
    paid: list[int] = []
    job = bench.submit(principal=ASKER)
    runner = bench.runner(refunds(paid))
    runner.work()
    assert (paid, bench.jobs.find(job).waiting.approval.question) == (
        [],
        "May I call refund(cents=100)?",
    )

    bench.jobs.decide(job, True, ASKER)
    runner.work()

    assert paid == [100]
    assert bench.jobs.find(job).reply.text == "paid 100"


def test_a_granted_call_is_not_made_again_when_the_run_after_it_fails(bench: Any) -> None:
    paid: list[int] = []
    job = bench.submit(principal=ASKER)
    runner = bench.runner(refunds(paid, fails=True))
    runner.work()
    bench.jobs.decide(job, True, ASKER)
    runner.work()
    bench.hurry()

    runner.work()

    assert [each for each in paid if each] == [100]
    assert bench.jobs.find(job).reply.text == "paid 100"


def test_a_declined_call_is_not_made(bench: Any) -> None:
    paid: list[int] = []
    job = bench.submit(principal=ASKER)
    runner = bench.runner(refunds(paid))
    runner.work()

    bench.jobs.decide(job, False, ASKER)
    runner.work()

    found = bench.jobs.find(job)
    assert (paid, found.status) == ([], JobStatus.CANCELLED)
    assert found.error.message == (
        "The call of 'refund' was not approved: it was declined. Nothing was done."
    )


def drafts(runs: list[int]) -> Any:
    def flow(turn: Any) -> Any:
        runs.append(1)
        yield "a sec"
        yield Reply(text=f"answer {len(runs)}")

    return flow


def test_a_draft_is_sent_as_it_was_read(bench: Any) -> None:
    runs: list[int] = []
    job = bench.submit(principal=ASKER, conversation="c", reply_to=("test:a",))
    runner = bench.runner(drafts(runs), reviewers=("group:leads",))
    runner.work()
    assert bench.jobs.find(job).waiting.approval.payload["reply"]["text"] == "answer 1"
    assert "sec" not in str(bench.bus.read(job)) + str(bench.channel.drafts)

    bench.jobs.decide(job, True, LEAD)
    runner.work()

    found = bench.jobs.find(job)
    assert (found.reply.text, runs) == ("answer 1", [1])
    assert bench.channel.texts()[-1] == "answer 1"


def test_a_declined_draft_is_never_sent(bench: Any) -> None:
    job = bench.submit(principal=ASKER, reply_to=("test:a",))
    runner = bench.runner(drafts([]), reviewers=("group:leads",))
    runner.work()

    bench.jobs.decide(job, False, LEAD)
    runner.work()

    assert bench.jobs.find(job).status is JobStatus.CANCELLED
    assert bench.channel.texts()[-1] == (
        "The answer was not approved: it was declined. Nothing was done."
    )


@pytest.mark.parametrize("asked_at", [("test:a",), ()], ids=["asked in a place", "asked over HTTP"])
def test_a_draft_is_read_where_the_reviewers_are(bench: Any, asked_at: tuple[str, ...]) -> None:
    job = bench.submit("What?", principal=ASKER, reply_to=asked_at)
    runner = bench.runner(drafts([]), reviewers=("group:leads",), review_in=("test:leads",))
    runner.work()
    asked = dict(bench.channel.by_address())

    bench.jobs.decide(job, True, LEAD)
    runner.work()

    assert set(asked) == {*asked_at, "test:leads"}
    assert "answer 1" in asked["test:leads"]
    assert "**slack:T:U1 asks:** What?" in asked["test:leads"]
    assert "answer 1" not in asked.get("test:a", "")
    assert bench.channel.by_address() == dict.fromkeys(asked, "answer 1")
    assert {each.state for each in bench.jobs.find(job).deliveries} == {"delivered"}


def test_those_who_read_a_draft_are_told_that_it_was_declined(bench: Any) -> None:
    job = bench.submit(principal=ASKER)
    runner = bench.runner(drafts([]), reviewers=("group:leads",), review_in=("test:leads",))
    runner.work()

    bench.jobs.decide(job, False, LEAD)
    runner.work()

    assert "it was declined" in bench.channel.by_address()["test:leads"]
    assert bench.jobs.find(job).status is JobStatus.CANCELLED


def test_whoever_reads_a_draft_does_not_hand_the_conversation_over(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        yield Reply(text="Ask a person.", handoff=Handoff(reason="no source"))

    job = bench.submit(principal=ASKER, reply_to=("test:a",))
    runner = bench.runner(flow, reviewers=("group:leads",), review_in=("test:leads",))
    runner.work()
    bench.jobs.decide(job, True, LEAD)
    runner.work()

    last = {address: outcome for address, _, outcome in bench.channel.outcomes}
    assert last["test:a"].handoff is not None
    assert last["test:leads"].handoff is None


@pytest.mark.parametrize(
    ("who", "may"),
    [(ASKER, False), (LEAD, True), (LOCAL, True), (Principal(id="x", member=False), False)],
)
def test_only_those_who_are_named_decide(bench: Any, who: Principal, may: bool) -> None:
    job = bench.submit(principal=ASKER)
    bench.runner(drafts([]), reviewers=("group:leads",)).work()

    if not may:
        with pytest.raises(NotAllowed, match="group:leads"):
            bench.jobs.decide(job, True, who)
        assert bench.jobs.find(job).waiting
        return

    assert bench.jobs.decide(job, True, who).status is JobStatus.QUEUED


def test_what_was_decided_stays_decided(bench: Any) -> None:
    job = bench.submit(principal=ASKER)
    bench.runner(asking).work()
    bench.jobs.decide(job, True, ASKER)

    with pytest.raises(AlreadyDecided, match="granted already"):
        bench.jobs.decide(job, False, ASKER)


def test_a_worker_that_dies_after_the_decision_changes_nothing(bench: Any) -> None:
    paid: list[int] = []
    job = bench.submit(principal=ASKER)
    runner = bench.runner(refunds(paid))
    runner.work()
    bench.jobs.decide(job, True, ASKER)
    assert runner.claims.take() is not None  # and its worker is gone
    bench.hurry()

    runner.work()

    assert (paid, bench.jobs.find(job).reply.text) == ([100], "paid 100")


def test_a_worker_that_dies_before_it_has_asked_is_replaced(bench: Any) -> None:
    away = [ChannelUnavailable("test:a", "503")]

    def refuse(_: str) -> None:
        if away:
            raise away.pop()

    bench.channel.before_finish = refuse
    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(asking)
    runner.work()
    assert bench.jobs.find(job).deliveries[0].state == "pending"
    bench.hurry()

    runner.work()

    assert bench.channel.texts() == ["Shall I?"]
    assert bench.jobs.find(job).deliveries[0].state == "asked"


def test_nobody_decides_in_time(bench: Any) -> None:
    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(asking, limits={"approval_seconds": 0.05})
    runner.work()

    bench.until(lambda: runner.work() or bench.jobs.find(job).status.finished)
    runner.work()

    assert bench.jobs.find(job).status is JobStatus.CANCELLED
    assert "nobody decided in time" in bench.channel.texts()[-1]
    with pytest.raises(AlreadyDecided, match="expired"):
        bench.jobs.decide(job, True, LOCAL)


def test_a_job_that_waits_for_a_person_can_be_cancelled(bench: Any) -> None:
    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(asking)
    runner.work()

    assert bench.jobs.cancel(job).status is JobStatus.CANCELLED
    runner.work()

    assert bench.channel.texts()[-1] == "This was stopped before it was done."


def test_a_conversation_goes_on_while_one_of_its_jobs_waits_for_a_person(bench: Any) -> None:
    bench.submit("one", conversation="c", reply_to=("test:a",))
    runner = bench.runner(asking)
    runner.work()

    second = bench.submit("two", conversation="c")
    runner.work()

    assert bench.jobs.find(second).status is JobStatus.AWAITING_APPROVAL


def test_what_was_declined_is_asked_again_when_the_job_is_run_again(bench: Any) -> None:
    job = bench.submit(principal=ASKER)
    runner = bench.runner(drafts([]), reviewers=("asker",))
    runner.work()
    bench.jobs.decide(job, False, ASKER)

    bench.jobs.retry(job)
    runner.work()

    assert bench.jobs.find(job).waiting.approval.payload["reply"]["text"] == "answer 2"


@pytest.mark.parametrize(
    ("approval", "words"),
    [
        (Approval(question="?", payload={"x": float("nan")}), None),
        (Approval(question="?", payload={"x": object()}), "AgentBroke"),
        (Approval(question="?", about="reply", payload={"reply": 3}), "AgentBroke"),
    ],
)
def test_what_cannot_be_stored_is_not_asked(bench: Any, approval: Any, words: str | None) -> None:
    def flow(turn: Any) -> Any:
        yield approval

    job = bench.submit()
    bench.runner(flow).work()

    found = bench.jobs.find(job)
    assert (found.error.type if found.error else None) == words


def test_an_agent_that_asks_the_same_for_ever_breaks_off(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        yield Approval(question="Again?")

    job = bench.submit()
    runner = bench.runner(flow)
    runner.work()
    bench.jobs.decide(job, True, LOCAL)
    runner.work()

    assert "waited for 'approval' again" in bench.jobs.find(job).error.message
