import json
from typing import Any

from integrations.slack.ask_about import CARRIED, modal, to_request
from llmasos.jobs import Jobs
from llmasos.testing.slack import SlackStandIn
from tests.unit.slack.test_translate import house


def open_modal(slack: SlackStandIn, ts: str) -> dict[str, Any]:
    """The modal that the shortcut opens at a message."""
    delivery = slack.ask_about("C0GENERAL", ts)
    slack.wait(lambda: delivery.acknowledged, 30)
    slack.wait(lambda: slack.workspace.views, 30)
    return next(iter(slack.workspace.views.values()))


def test_a_question_about_a_message_becomes_a_job(running: SlackStandIn, jobs: Jobs) -> None:
    ts = running.say("C0GENERAL", "The build &lt;failed&gt;", user="U0BEN", mention=False)
    view = open_modal(running, ts)

    sent = running.submit(view["id"], question="writing: what happened?")
    running.wait(lambda: sent.acknowledged, 30)

    [job] = jobs.list()
    assert sent.answer is None
    assert (job.agent, job.request.text) == ("writing", "what happened?")
    assert job.request.reply_to == (f"slack-command:C0GENERAL/{ts}?team=T0TEAM&user=U0ANN",)
    assert job.request.metadata["about"] == {
        "ts": ts,
        "user": "U0BEN",
        "text": "The build <failed>",
    }


def test_a_question_that_is_refused_stays_in_the_modal(running: SlackStandIn, jobs: Jobs) -> None:
    view = open_modal(running, running.say("C0GENERAL", "A build", mention=False))

    sent = running.submit(view["id"], question="word " * 100)
    running.wait(lambda: sent.acknowledged, 30)

    assert sent.answer is not None
    assert "at most 200" in sent.answer["errors"]["question"]
    assert jobs.list() == []


def test_a_long_message_fits_into_the_modal() -> None:
    view = modal(
        {
            "channel": {"id": "C0123"},
            "message": {"ts": "1760000000.000100", "user": "U0BEN", "text": 'say "你好"\n' * 2000},
        }
    )

    assert view is not None
    assert len(view["private_metadata"]) <= CARRIED
    assert json.loads(view["private_metadata"])["text"].endswith("…")


def test_a_broken_modal_makes_no_request() -> None:
    good = {"channel": "C0123", "ts": "1760000000.000100", "thread": ""}
    values = {"values": {"question": {"question": {"value": "what?"}}}}

    def made(carried: object, state: object = values, user: object = "U0ANN") -> object:
        view = {"id": "V1", "private_metadata": json.dumps(carried), "state": state}
        return to_request({"view": view, "user": {"id": user}}, house())

    assert made(good) is not None
    assert made(None) is None
    assert made({}) is None
    assert made({**good, "channel": "C1/../2"}) is None
    assert made({**good, "ts": "now"}) is None
    assert made(good, state={"values": []}) is None
    assert made(good, user=None) is None
