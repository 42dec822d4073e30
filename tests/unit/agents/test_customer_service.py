import pytest

from agents.customer_service import customer_service
from llmasos.testing.turns import reply_of


@pytest.mark.parametrize(
    "greeting", ["hi", "Hello there!", "Good morning", "你好", "您好！", "Hey 👋"]
)
def test_a_greeting_is_answered_without_searching(ask, greeting):
    turn = ask(customer_service, greeting)

    reply = reply_of(turn)

    assert reply.handoff is None
    assert turn.retriever.queries == []


@pytest.mark.parametrize("thanks", ["Thanks a lot!", "ok, thank you", "谢谢", "好的，谢谢！"])
def test_thanks_are_taken_without_searching(ask, thanks):
    turn = ask(customer_service, thanks)

    reply_of(turn)

    assert turn.retriever.queries == []


@pytest.mark.parametrize(
    "wish", ["I want to talk to a human", "转人工", "please connect me with an agent"]
)
def test_the_wish_for_a_person_is_handed_over(ask, wish):
    assert reply_of(ask(customer_service, wish)).handoff is not None


@pytest.mark.parametrize(
    "question",
    ["Hello, how can I ask for a refund of my purchase?", "Can I talk to you about my refund?"],
)
def test_a_question_with_a_greeting_is_a_question(ask, question):
    turn = ask(customer_service, question, "No idea.")

    reply = reply_of(turn)

    assert [citation.source for citation in reply.citations] == ["billing/refunds.md"]


def test_it_searches_the_help_center():
    assert customer_service.knowledge == ("help-center",)
    assert customer_service.checked


@pytest.mark.parametrize(
    "message", ["This is ridiculous!", "I already told you that", "你们的服务太差了"]
)
def test_a_customer_who_has_had_enough_gets_a_person_who_knows_what_was_said(ask, message):
    history = [("user", "Where is my parcel?"), ("assistant", "I found no answer.")]

    handoff = reply_of(ask(customer_service, message, history=history)).handoff

    assert handoff is not None
    assert handoff.summary == "Customer: Where is my parcel?\nAgent: I found no answer."


def test_what_is_not_found_is_handed_over_with_a_summary(ask):
    history = [("user", "How do refunds work?"), ("assistant", "Within 30 days.")]

    handoff = reply_of(ask(customer_service, "Is it HIPAA compliant?", history=history)).handoff

    assert handoff is not None
    assert "How do refunds work?" in handoff.summary


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("What can you do?", "I answer questions from help-center"),
        ("Hi! Who are you?", "I answer questions from help-center"),
        ("Was kannst du?", "Ich beantworte Fragen aus help-center"),
        ("Bonjour", "Bonjour !"),
        ("¡Hola!", "¡Hola!"),
        ("Vielen Dank!", "Gern geschehen"),
        ("Ich möchte mit einem Menschen sprechen", "Ich übergebe das an einen Menschen"),
        ("こんにちは", "こんにちは。"),
        ("你能做什么？", "我根据help-center回答问题"),
    ],
)
def test_small_talk_is_met_in_the_customers_language(ask, message, said):
    assert said in reply_of(ask(customer_service, message)).text


@pytest.mark.parametrize("message", ["Help me export our data", "Who are your subprocessors?"])
def test_a_question_is_no_small_talk(ask, message):
    assert "I answer questions from" not in reply_of(ask(customer_service, message, "!")).text
