"""What may be seen of an agent's emissions, and the reply that they come to."""

from typing import Any

import pytest

from llmasos.channels import Draft
from llmasos.errors import AgentBroke, EmptyReply
from llmasos.events import Artifact, Citation, Failure, Handoff, Reply, Status, Token
from workers.transcript import Transcript


def filled(*emitted: Any, checked: bool = False) -> Transcript:
    transcript = Transcript("echo", checked=checked)
    for each in emitted:
        transcript.take(each)
    return transcript


def test_a_plain_text_is_a_piece_of_the_answer() -> None:
    assert Transcript("echo", checked=False).take("Hel") == Token(text="Hel")


def test_a_checked_agent_shows_only_what_was_checked() -> None:
    transcript = Transcript("echo", checked=True)

    seen = [transcript.take(each) for each in ("raw", Token(text="ok", checked=True))]

    assert seen == [None, Token(text="ok", checked=True)]
    assert transcript.draft == Draft(text="ok")
    assert transcript.reply().text == "ok"


def test_unchecked_text_is_not_made_a_reply_either() -> None:
    with pytest.raises(EmptyReply, match="passed its checks"):
        filled("a guess", checked=True).reply()


def test_the_draft_is_the_status_until_there_is_text() -> None:
    transcript = filled(Status(text="Searching …"))
    assert transcript.draft == Draft(status="Searching …")

    transcript.take("Hello")

    assert transcript.draft == Draft(text="Hello")


def test_an_agent_that_ends_without_a_reply_gets_one_of_what_it_gave() -> None:
    citation = Citation(source="a.md", title="A", quote="q", score=1)
    artifact = Artifact(name="x.py", text="1")

    reply = filled("Hel", citation, "lo", artifact).reply()

    assert reply == Reply(text="Hello", citations=(citation,), artifacts=(artifact,))


def test_its_own_reply_goes_before_its_tokens() -> None:
    assert filled("draft", Reply(text="final")).reply().text == "final"


@pytest.mark.parametrize("emitted", [(), ("  \n",), (Reply(text=""),), (Status(text="…"),)])
def test_an_empty_reply_is_none(emitted: tuple[Any, ...]) -> None:
    with pytest.raises(EmptyReply, match="'echo' gave no answer"):
        filled(*emitted).reply()


def test_a_reply_may_be_nothing_but_a_handoff() -> None:
    handoff = Handoff(reason="not in the docs")

    assert filled(Reply(text="", handoff=handoff)).reply().handoff == handoff


@pytest.mark.parametrize("emitted", [7, {"kind": "token"}, Failure(type="X", message="y")])
def test_what_is_no_event_is_said_to_be_none(emitted: Any) -> None:
    with pytest.raises(AgentBroke, match="not an event or a text"):
        filled(emitted)


def test_a_reply_that_cannot_be_stored_is_the_agents_fault() -> None:
    citation = Citation(source="a.md", title="A", quote="q", score=float("nan"))

    with pytest.raises(AgentBroke, match="JSON"):
        filled(Reply(text="x", citations=(citation,))).reply()
