"""From a person's hands in Slack to what they read there: the bot, a worker, and nothing between.

Socket Mode, the table of jobs, the worker's gathering and the channels are real; the agent is a
function that tells what it was given.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from integrations.slack import socket_mode
from integrations.slack.blocks import APPROVE_ACTION
from integrations.slack.desk import Desk
from llmasos.bus import MemoryBus
from llmasos.conversations import Conversations
from llmasos.corrections import Corrections
from llmasos.database import Database, migrate
from llmasos.feedback import Feedback
from llmasos.handoffs import Handoffs
from llmasos.jobs import Jobs, JobStatus
from llmasos.rates import MemoryRates
from llmasos.settings import JobSettings, Settings
from llmasos.testing.slack import SlackStandIn
from workers.app import compose
from workers.inline import InlineDispatcher
from workers.means import Means
from workers.runner import Runner

PATIENCE = 60.0


AGENT_FILE = """
import threading

from llmasos import Agent, Reply


def tell(turn):
    while "forever" in turn.text:
        turn.checkpoint()
        threading.Event().wait(0.02)
    before = " / ".join(f"{m.author or m.role}: {m.content}" for m in turn.history)
    files = ", ".join(f"{each.name}: {each.text}" for each in turn.attachments)
    yield Reply(text=f"asked: {turn.text} | before: {before} | files: {files}")


teller = Agent("teller", "Tells what it was given.", flow=tell)
other = Agent("other", "Tells it too.", flow=tell)
read = Agent(
    "read", "Its answers are read first.", flow=tell,
    reviewers=["channel:C0REVIEW"], review_in=["slack:C0REVIEW"],
)
"""


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def jobs(
    make_settings: Callable[..., Settings], slack: SlackStandIn, tmp_path: Path
) -> Iterator[Jobs]:
    """The bot and a worker, both running."""
    (tmp_path / "tellers.py").write_text(AGENT_FILE)
    settings = make_settings(
        f'[agents]\nload = ["{tmp_path / "tellers.py"}"]\n'
        f'[slack]\nbot_token = "{slack.bot_token}"\napi_url = "{slack.api_url}"\n'
        f'app_token = "{slack.app_token}"\ndefault_agent = "teller"\nupdate_interval = 0.05\n'
    )
    with ExitStack() as stack:
        database = stack.enter_context(Database(settings.state_url))
        migrate(database)
        worker = compose(settings, InlineDispatcher(), MemoryBus())
        stack.callback(worker.close)
        catalog, conversations = worker.catalog, Conversations(database)
        made = Jobs(
            database,
            InlineDispatcher(),
            JobSettings(),
            catalog.names(),
            tuple(worker.means.channels),
            catalog.may_use,
        )
        corrections = Corrections(database, made)
        feedback, handoffs = Feedback(database), Handoffs(database)
        desk = Desk(
            made,
            catalog,
            conversations,
            corrections,
            feedback,
            handoffs,
            rates=MemoryRates(),
            bus=worker.means.bus,
        )
        stack.enter_context(working(worker.means))
        stack.enter_context(bot(settings, desk))
        slack.wait(lambda: slack.connections, PATIENCE)
        yield made


@contextmanager
def working(means: Means) -> Iterator[None]:
    """A worker of two threads."""
    runner, stop = Runner(means, "worker"), threading.Event()
    runner.start()

    def work() -> None:
        while not stop.wait(0.02):
            runner.work()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        runner.drain(10)
        for thread in threads:
            thread.join(30)


@contextmanager
def bot(settings: Settings, desk: Desk) -> Iterator[None]:
    """The bot in Socket Mode, on a thread."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serve = socket_mode.serve(settings.slack, desk, stop)
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


def answer(slack: SlackStandIn, channel: str, thread_ts: str, number: int = 1) -> str:
    """What the bot has said last in a thread, once it has so many answers."""
    found = slack.wait(
        lambda: (said := slack.answers(channel, thread_ts)) and len(said) >= number and said,
        PATIENCE,
    )
    return found[-1].shown


def test_a_thread_is_read_once_and_then_remembered(slack: SlackStandIn, jobs: Jobs) -> None:
    slack.workspace.users["U0BEN"]["profile"] = {"display_name": "Ben"}
    root = slack.say("C0GENERAL", "The build broke", user="U0BEN", mention=False)
    slack.say("C0GENERAL", "why?", thread_ts=root)
    first = answer(slack, "C0GENERAL", root)
    slack.say("C0GENERAL", "really?", user="U0BEN", thread_ts=root, mention=False)
    second = answer(slack, "C0GENERAL", root, 2)

    assert first == "asked: why? | before: Ben: The build broke | files:"
    assert second.startswith(
        "asked: really? | before: Ben: The build broke / U0ANN: why? / assistant: asked: why?"
    )
    assert len(slack.called("conversations.replies")) == 1


def test_a_file_is_read_and_one_that_cannot_be_is_said(slack: SlackStandIn, jobs: Jobs) -> None:
    files = [slack.upload("note.txt", b"Tuesday"), slack.upload("tool.exe", b"MZ")]

    ts = slack.dm("When?", subtype="file_share", files=files)

    told = answer(slack, slack.im(), ts)
    assert "files: note.txt: Tuesday" in told
    assert "I could not read:\ntool.exe: files ending in '.exe' cannot be read" in told


def test_stop_ends_what_runs(slack: SlackStandIn, jobs: Jobs) -> None:
    ts = slack.dm("go on forever")
    slack.wait(lambda: jobs.list() and jobs.list()[0].status is JobStatus.RUNNING, PATIENCE)

    slack.press_stop(slack.im(), ts)

    assert "stopped" in answer(slack, slack.im(), ts)
    assert jobs.list()[0].status is JobStatus.CANCELLED
    assert slack.workspace.sessions[(slack.im(), ts)]["status"] == "active"


def test_a_command_is_answered_where_the_bot_is_and_privately_elsewhere(
    slack: SlackStandIn, jobs: Jobs
) -> None:
    slack.workspace.channel("C0OTHER", joined=False)

    slack.command("/ask", "one", channel="C0GENERAL")
    slack.command("/agent", "other two", channel="C0OTHER")

    [public] = slack.wait(
        lambda: [m for m in slack.messages("C0GENERAL") if m.payload.get("final")], PATIENCE
    )
    [private] = slack.wait(lambda: slack.private_answers, PATIENCE)
    assert public.shown.startswith("> U0ANN asked: one\n\nasked: one |")
    assert "Answered by other" in str(private["blocks"])
    assert "asked: two |" in private["blocks"][0]["text"]
    assert slack.messages("C0OTHER") == []


def test_a_draft_is_approved_in_the_channel_where_it_is_read(
    slack: SlackStandIn, jobs: Jobs
) -> None:
    slack.workspace.channel("C0REVIEW")
    ts = slack.say("C0GENERAL", "read: what does it cost?")
    [draft] = slack.wait(
        lambda: [m for m in slack.messages("C0REVIEW") if "Draft" in m.shown], PATIENCE
    )
    [waiting] = slack.wait(
        lambda: [m.shown for m in slack.answers("C0GENERAL", ts, final=False)], PATIENCE
    )
    shown = draft.shown
    job = jobs.list()[0].id

    slack.press_button(
        APPROVE_ACTION, job, user="U0BEN", channel={"id": "C0REVIEW"}, message={"ts": draft.ts}
    )

    assert "asked:" in answer(slack, "C0GENERAL", ts)
    assert "asks:** what does it cost?" in shown
    assert "asked: what does it cost? |" in shown
    assert "asked:" not in waiting
    slack.wait(lambda: slack.messages("C0REVIEW")[0].payload.get("final"), PATIENCE)
    [brought] = slack.messages("C0REVIEW")
    assert brought.shown.startswith("asked: what does it cost?")


def test_a_message_is_asked_about(slack: SlackStandIn, jobs: Jobs) -> None:
    ts = slack.say("C0GENERAL", "The build broke", user="U0BEN", mention=False)
    slack.ask_about("C0GENERAL", ts)
    [view] = slack.wait(lambda: list(slack.workspace.views.values()), PATIENCE)

    slack.submit(view["id"], question="why?")

    told = answer(slack, "C0GENERAL", ts)
    assert "> U0ANN asked: why?" in told
    assert "before: U0BEN: The build broke" in told
