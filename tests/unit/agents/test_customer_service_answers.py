from typing import Any

import pytest

from agents.catalog import load_catalog
from agents.customer_service_answers import CuratedAnswer, CuratedAnswers, read_answers
from llmasos.embeddings import Vectors
from llmasos.errors import EngineUnavailable, SettingsError
from llmasos.testing.retrieval import HashingEmbedder
from llmasos.testing.turns import reply_of

REFUND = CuratedAnswer(
    ("How do I get a refund?", "Can I have my money back?"), "Write to us.", "answers.csv#1"
)
PLAN = CuratedAnswer(
    ("How do I upgrade my plan?", "如何升级套餐？"), "Open Plans.", "answers.csv#2"
)
CSV = "question,answer\nHow do I get a refund?|Money back?,Write to us within 30 days.\n"


class BrokenEmbedder(HashingEmbedder):
    def embed(self, texts: Any) -> Vectors:
        raise EngineUnavailable("http://gone", "refused")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("how do i get a refund", REFUND),
        ("How do I get the refund?", REFUND),
        ("can I have my money back??", REFUND),
        ("How can I upgrade the plan?", PLAN),
        ("如何升级套餐", PLAN),
    ],
)
@pytest.mark.parametrize("embedder", [None, HashingEmbedder(), BrokenEmbedder()])
def test_the_same_question_gets_its_answer(message, expected, embedder):
    found = CuratedAnswers([REFUND, PLAN], embedder).answer_to(message)

    assert found is not None
    assert found[0] is expected


@pytest.mark.parametrize(
    "message",
    [
        "Why was my refund rejected?",
        "Why do I get a refund?",
        "How do I get a refund for my Apple Watch?",
        "How do I not get a refund?",
        "How do I get 2 refunds?",
        "When do I get a refund?",
        "How do I downgrade my plan?",
        "如何取消套餐？",
        "hello",
        "",
    ],
)
@pytest.mark.parametrize("embedder", [None, HashingEmbedder()])
def test_another_question_gets_none(message, embedder):
    assert CuratedAnswers([REFUND, PLAN], embedder).answer_to(message) is None


@pytest.mark.parametrize(
    ("asked", "opposite", "same"),
    [("enable", "disable", "switch on"), ("activate", "deactivate", "use")],
)
def test_an_opposite_gets_none_however_near_its_meaning(asked, opposite, same):
    class Same(HashingEmbedder):
        def embed(self, texts: Any) -> Vectors:
            return super().embed(["the same"] * len(texts))

    entry = CuratedAnswer((f"How do I {asked} notifications?",), "Settings.", "answers.csv#1")
    curated = CuratedAnswers([entry], Same())

    assert curated.answer_to(f"How do I {opposite} notifications?") is None
    assert curated.answer_to(f"How do I {same} notifications?") is not None


def test_what_two_entries_answer_alike_gets_none():
    other = CuratedAnswer(REFUND.questions, "Call us.", "answers.csv#9")

    assert CuratedAnswers([REFUND, other]).answer_to("How do I get a refund?") is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "question,answer,url\nQ1|Q2,A,https://example.com\n"),
        (
            "a.toml",
            '[[answers]]\nquestions = ["Q1", "Q2"]\nanswer = "A"\nurl = "https://example.com"\n',
        ),
    ],
)
def test_a_file_holds_questions_answer_and_page(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    assert read_answers(path) == [
        CuratedAnswer(("Q1", "Q2"), "A", f"{name}#1", "https://example.com")
    ]


def test_headings_of_markdown_are_questions(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# Q1\n## Q2\n\nA line.\n\nAnother.\n\n# Q3\nB\n", encoding="utf-8")

    first, second = read_answers(path)

    assert (first.questions, first.answer) == (("Q1", "Q2"), "A line.\n\nAnother.")
    assert (second.questions, second.answer) == (("Q3",), "B")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "text,answer\n", "columns question"),
        ("a.csv", "question,answer\nQ,\n", "a.csv#1 needs"),
        ("a.csv", "question,answer\n", "no answer"),
        ("a.toml", "answers = 1", "tables"),
        ("a.toml", '[[answers]]\nquestions = 3\nanswer = "A"', "needs a question"),
        ("a.txt", "Q", "must end in"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(make_settings, tmp_path, name, content, reason):
    (tmp_path / name).write_text(content, encoding="utf-8")
    settings = make_settings(f'[agents.customer_service]\nanswers = "{name}"\n')

    with pytest.raises(SettingsError, match=reason):
        load_catalog(settings)


def test_an_agent_that_serves_no_answers_says_so(make_settings, tmp_path):
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")

    with pytest.raises(SettingsError, match=r"agents\.writing\.answers"):
        load_catalog(make_settings('[agents.writing]\nanswers = "a.csv"\n'))


def test_a_curated_answer_goes_first_and_is_cited(make_settings, tmp_path, ask):
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    settings = make_settings('[agents.customer_service]\nanswers = "a.csv"\n')
    turn = ask(load_catalog(settings).find("customer_service"), "How can I get a refund?")

    reply = reply_of(turn)

    assert reply.text == "Write to us within 30 days. [1]"
    assert [each.source for each in reply.citations] == ["a.csv#1"]
    assert turn.retriever.queries == []
