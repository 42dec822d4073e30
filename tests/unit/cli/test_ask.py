"""Asking from a terminal: what is shown of an answer, and where."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integrations.app import Doors, open_doors
from integrations.cli.answering import JobGoesOn, Nothing, Plain, Terminal, ask
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.errors import UnknownAgent
from llmasos.events import Citation, Event, Failure, Reply, Restarted, Status, Token
from llmasos.generation import Usage
from llmasos.request import Request
from llmasos.settings import Settings
from workers.claims import Claims
from workers.outcomes import Outcomes

ECHO = """
from llmasos.agent import agent

@agent("echo", "Says it again.")
def echo(turn):
    yield turn.text
"""
SOURCED = Reply(
    text="Within 14 days [1].",
    citations=(Citation(source="help/refunds.md", title="Refunds", quote="14 days", score=0.8),),
)


@dataclass
class Script:
    """A worker that says what the test wants; a `jobs.Dispatcher`."""

    database: Database
    bus: MemoryBus
    says: list[Event] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def wake(self, job_id: str, queue: str) -> Callable[[], None]:
        if self.says:
            self.threads.append(threading.Thread(target=self._play))
            self.threads[-1].start()
        return lambda: None

    def _play(self) -> None:
        claim = Claims(self.database, "test", 60).take()
        assert claim is not None
        *before, outcome = self.says
        for event in before:
            self.bus.publish(claim.job.id, claim.attempt, event)
        if isinstance(outcome, Reply):
            Outcomes(self.database).succeed(claim, "echo", outcome, Usage())
        elif isinstance(outcome, Failure):
            Outcomes(self.database).fail(claim, outcome, Usage(), cancelled=False)
        self.bus.publish(claim.job.id, claim.attempt, outcome)


@dataclass
class Terminals:
    doors: Doors
    script: Script

    def ask(self, view: Any, *says: Event, timeout: float = 20, text: str = "How long?") -> Any:
        self.script.says = list(says)
        return ask(self.doors, Request(agent="echo", text=text), view, timeout)


@pytest.fixture
def here(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Terminals]:
    (tmp_path / "echo.py").write_text(ECHO)
    settings = make_settings('agents.load = ["./echo.py"]')
    with Database(settings.state_url) as database:
        migrate(database)
        bus = MemoryBus()
        script = Script(database, bus)
        doors = open_doors(settings, script, bus)
        yield Terminals(doors, script)
        for thread in script.threads:
            thread.join()
        doors.close()


def test_a_pipe_gets_the_answer_and_nothing_else(here: Terminals, capsys: Any) -> None:
    job = here.ask(Plain(), Status(text="Searching …"), Token(text="Within "), SOURCED)

    assert capsys.readouterr() == ("Within 14 days [1].\n", "")
    assert job.reply == SOURCED


def test_a_terminal_gets_the_text_as_it_comes_then_the_sources(
    here: Terminals, capsys: Any
) -> None:
    here.ask(
        Terminal(), Status(text="Searching …"), Token(text="Within "), Token(text="14 "), SOURCED
    )

    out, err = capsys.readouterr()
    assert out == "Within 14 days [1].\n"
    assert "Searching …" in err
    assert "[1] Refunds (help/refunds.md)" in err


def test_what_was_streamed_and_is_not_the_answer_is_followed_by_the_answer(
    here: Terminals, capsys: Any
) -> None:
    here.ask(Terminal(), Token(text="Within a year."), SOURCED)

    assert capsys.readouterr().out == "Within a year.\n\nWithin 14 days [1].\n"


def test_a_new_attempt_begins_anew(here: Terminals, capsys: Any) -> None:
    here.ask(Terminal(), Token(text="With"), Restarted(), Token(text="Within 14 days"), SOURCED)

    out, err = capsys.readouterr()
    assert out.endswith("Within 14 days [1].\n")
    assert "again from the start" in err


def test_an_answer_cannot_steer_the_terminal(here: Terminals, capsys: Any) -> None:
    evil = "\x1b]0;owned\x07\x1b[2Jfine\r\n\x9b31m"

    here.ask(Terminal(), Status(text=evil), Token(text=evil), Reply(text=evil))

    out, err = capsys.readouterr()
    assert out == "]0;owned[2Jfine\n31m\n"
    assert "owned\x07" not in err


def test_a_failed_job_is_given_back_with_its_error(here: Terminals, capsys: Any) -> None:
    failure = Failure(type="EngineUnavailable", message="It does not answer.")

    job = here.ask(Nothing(), failure)

    assert job.error == failure
    assert capsys.readouterr().out == ""


def test_who_waits_too_long_is_told_where_the_answer_will_be(here: Terminals) -> None:
    with pytest.raises(JobGoesOn, match=r"llmasos jobs show [0-9a-f]+"):
        here.ask(Plain(), timeout=0.3)

    assert [job.status for job in here.doors.jobs.list()] == ["queued"]


def test_an_interrupt_cancels_the_job(here: Terminals) -> None:
    class Interrupted(Plain):
        def show(self, event: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        here.ask(Interrupted(), Token(text="Wait"), Status(text="for ever"))

    with here.doors.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT cancel_requested FROM jobs").scalar() == 1


def test_an_unknown_agent_is_named_with_the_nearest(here: Terminals) -> None:
    with pytest.raises(UnknownAgent, match="Did you mean 'echo'"):
        ask(here.doors, Request(agent="ehco", text="Hi"), Plain(), 5)
