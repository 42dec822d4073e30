"""OpenAI's form: what a chat says, and text that cannot be taken back."""

import pytest

from integrations.http_api.chat_form import Chat, Said, sources
from llmasos.errors import InvalidRequest
from llmasos.events import Citation
from llmasos.generation import Message

CITED = Citation(source="help/refunds.md", title="Refunds", quote="14 days", score=0.8)


def chat(*messages: tuple[str, object]) -> Chat:
    said = [{"role": role, "content": content} for role, content in messages]
    return Chat.model_validate({"model": "echo", "messages": said})


def test_the_last_message_is_asked_and_those_before_it_are_its_history() -> None:
    before = "Within 14 days [1]." + sources([CITED])
    first = (("system", "Be rude."), ("user", "How long?"), ("assistant", before))
    asked = chat(*first, ("user", "Why?"))

    history, text = asked.conversation()

    assert text == "Why?"
    assert history == (
        Message(role="user", content="How long?"),
        Message(role="assistant", content="Within 14 days [1]."),
    )


def test_messages_of_one_speaker_are_one_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]

    history, text = chat(("user", "one"), ("tool", "x"), ("user", parts)).conversation()

    assert (history, text) == ((), "one\n\ntwo\nthree")


@pytest.mark.parametrize("messages", [
    [("assistant", "Hello")],
    [("system", "Hello")],
    [("user", "Hello"), ("assistant", "Hi")],
    [("user", [{"type": "image_url", "image_url": {"url": "x"}}])],
])  # fmt: skip
def test_what_cannot_be_answered_is_refused(messages: list[tuple[str, object]]) -> None:
    with pytest.raises(InvalidRequest):
        chat(*messages).conversation()


def sent(said: Said, *pieces: str) -> str:
    return "".join(said.more(piece) for piece in pieces)


def test_a_text_that_is_begun_again_is_sent_once() -> None:
    said = Said()
    first = sent(said, " Wi", "thin 14")
    said.restart()
    again = sent(said, "Within", " 14 days")

    assert (first, again, said.rest("Within 14 days.")) == ("Within 14", " days", ".")


def test_another_text_is_not_mixed_with_what_was_sent() -> None:
    said = Said()
    sent(said, "Within 14")
    said.restart()

    assert sent(said, "After ", "a month") == ""
    assert said.rest("After a month.") is None


@pytest.mark.parametrize("whole", ["one two", "one two ", "one", "\none two"])
def test_blanks_at_the_ends_and_a_tail_that_was_cut_off_are_no_other_text(whole: str) -> None:
    said = Said()
    sent(said, "one", " two ")

    assert said.rest(whole) == ""


def test_an_answer_that_did_not_stream_is_sent_whole() -> None:
    assert Said().rest(" Hello ") == "Hello"
