import pytest

from llmasos.language.questions import Question, find_evidence, holds
from llmasos.retrieval import Passage


def passage(title: str, text: str) -> Passage:
    return Passage(
        collection="c", source="p.md", title=title, text=text, span=(0, len(text)), score=0.5
    )


PRICES = passage("Plans", "The Team plan has 20 seats. The Business plan costs $12 per user.")
CALLS = passage("Start a video call", "Click the camera to start a video call in a stream.")
DELIVERY = passage("配送", "下单后3个工作日内发货。偏远地区需要7天。")


def held(question: str, *passages: Passage) -> bool:
    asked = Question.of(question)
    return holds(asked, find_evidence(asked, passages))


@pytest.mark.parametrize(
    "question",
    [
        "What does the Business plan cost?",
        "How many seats has the Team plan?",
        "what's the price of the business plan per user",
    ],
)
def test_a_question_that_the_page_answers_is_held(question):
    assert held(question, PRICES)


@pytest.mark.parametrize(
    "question",
    [
        "What does the Enterprise plan cost?",
        "How do I cancel the Business plan?",
        "How do I record a video call?",
        "Which country is the video call routed through?",
        "Is there a video call app for the Apple Watch?",
        "How long does a video call in a stream last?",
        "Does the stream need two-factor codes to start a video call?",
    ],
)
def test_the_topic_alone_is_not_enough(question):
    assert not held(question, PRICES, CALLS)


def test_another_word_for_the_same_thing_counts():
    page = passage("Messages", "Deleted messages can be restored for 30 days.")

    assert held("Can I recover messages that I erased?", page)


def test_chinese_questions_are_held_or_not():
    assert held("下单后多久发货？", DELIVERY)
    assert not held("退款需要多长时间？", DELIVERY)


def test_a_list_of_steps_is_one_piece():
    steps = "To export data:\n\n1. Open it.\n1. Choose data.\n1. Click export.\n1. Wait for it."

    (best, *_) = find_evidence(Question.of("How do I export data?"), [passage("Export", steps)])

    assert best.quote.endswith("1. Wait for it.")
    assert best.quote in steps


def test_nothing_holds_nothing():
    assert not held("Anything?")
    assert not held("", PRICES) or Question.of("").weights == {}


def test_a_hostile_question_is_read_in_time():
    for text in ("what is " * 2500, "a-" * 10_000, "how do i " * 2000, "写" * 20_000):
        Question.of(text)
