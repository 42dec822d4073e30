import pytest

from llmasos.generation import Message
from llmasos.language.followups import leans, standalone


@pytest.mark.parametrize(
    "message",
    [
        "And on mobile?",
        "What about guests?",
        "Why?",
        "How long does it take?",
        "Can I undo that?",
        "那手机上呢？",
        "它多久生效？",
        "为什么？",
    ],
)
def test_a_message_that_leans_on_the_one_before_is_told(message):
    assert leans(message)


@pytest.mark.parametrize(
    "message",
    [
        "How do I delete a message that I sent to the wrong stream?",
        "What is the largest file I can attach to a message?",
        "请问怎么修改我的账号绑定邮箱地址？",
    ],
)
def test_a_message_with_a_subject_of_its_own_stands_alone(message):
    assert not leans(message)


def test_a_chain_of_follow_ups_goes_back_to_the_question_that_began_it():
    history = [
        Message(role="user", content="How do I export the data of our organization?"),
        Message(role="assistant", content="Click export."),
        Message(role="user", content="And how long does it take?"),
        Message(role="assistant", content="An hour."),
    ]

    asked = standalone("Why?", history)

    assert asked.text.startswith("How do I export the data of our organization?")
    assert asked.text.endswith("Why?")


def test_without_a_conversation_nothing_is_added():
    assert standalone("And on mobile?", []).text == "And on mobile?"
