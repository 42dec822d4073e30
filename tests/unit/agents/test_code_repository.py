import pytest

from agents.code_generation import code_generation
from agents.code_repository import place_of
from llmasos.retrieval import Passage
from llmasos.testing.turns import reply_of

CODER = code_generation.with_changes(knowledge=["code"])


def piece(source, text):
    return Passage(
        collection="code", source=source, title=source, text=text, span=(0, 9), score=0.0
    )


CHECK = piece("src/auth.py#L10", "def check_token(token):\n    return token in KNOWN\n")
STORE = piece("src/store.py#L3", "def store_token(token):\n    KNOWN.add(token)")
QUESTION = "Where is the token checked?"


@pytest.fixture
def asked(ask):
    return lambda text, *says: ask(CODER, text, *says, passages=[CHECK, STORE])


def test_a_place_is_a_file_and_its_lines():
    assert place_of(CHECK) == "src/auth.py#L10-L11"
    assert place_of(piece("guide.md#tokens", "Tokens")) == "guide.md#tokens"


def test_an_answer_cites_the_lines_that_it_rests_on(asked):
    reply = reply_of(asked(QUESTION, "Tokens are looked up by `check_token` [1]."))

    assert "by `check_token` [1]." in reply.text
    assert "[1] `src/auth.py#L10-L11`" in reply.text
    assert [each.source for each in reply.citations] == ["src/auth.py#L10-L11"]


def test_sentences_with_names_that_the_code_has_not_are_cut(asked):
    said = "It is `verify_all` [1]. It is kept by `store_token` [2]. It is nowhere."

    reply = reply_of(asked(QUESTION, said))

    assert reply.text.startswith("It is kept by `store_token` [1].")
    assert "verify_all" not in reply.text
    assert "nowhere" not in reply.text
    assert [each.source for each in reply.citations] == ["src/store.py#L3-L4"]


def test_when_nothing_stays_the_nearest_code_is_quoted(asked):
    reply = reply_of(asked(QUESTION, "I think so."))

    assert "def check_token(token):" in reply.text
    assert reply.citations[0].source == "src/auth.py#L10-L11"


def test_what_the_code_does_not_speak_of_is_declined(asked):
    reply = reply_of(asked("Where is the invoice printed?"))

    assert reply.citations == ()
    assert reply.handoff is not None
