from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.customer_service import Desk, customer_service
from agents.customer_service_actions import Action, choices_of, clarifying, slots_of
from agents.customer_service_dialogue import Dialogue
from agents.customer_service_intents import Intents, train
from llmasos.errors import InvalidRequest
from llmasos.events import ASKER, Decision, ToolCall
from llmasos.settings import IntentSettings, SlotSettings
from llmasos.testing.retrieval import HashingEmbedder
from llmasos.testing.turns import reply_of
from llmasos.tools import tool
from llmasos.turn import Suspended

EXAMPLES = {
    "order_status": ["where is my order", "track my order please", "has my order shipped"],
    "cancel_order": ["cancel my order", "I want to cancel the order", "please cancel an order"],
    "opening_hours": ["when are you open", "what are your opening hours", "open on sunday"],
}
ASKED = "Order status: What is its number?"
CONFIRMED = "Cancelling: please tell me this: which order."


@tool
def order_status(number: int, city: str) -> str:
    """Where an order is. number: the order. city: where it goes."""
    return f"Order {number} is in {city}."


@tool(effect=True)
def cancel_order(number: int) -> str:
    """Cancel an order. number: which order."""
    return f"Order {number} is cancelled."


WANTED = {
    "order_status": IntentSettings(
        title="Order status",
        tool="order_status",
        slots={"number": SlotSettings(ask="What is its number?")},
    ),
    "cancel_order": IntentSettings(title="Cancelling", tool="shop:cancel_order"),
}


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    lines = [f"{text},{name}" for name, texts in EXAMPLES.items() for text in texts]
    lines += ["tell me a joke,", "who won the match,out_of_scope"]
    (tmp_path / "examples.csv").write_text("\n".join(["text,intent", *lines]), encoding="utf-8")
    train(tmp_path / "examples.csv", tmp_path / "home" / "learned.zip", HashingEmbedder())
    return tmp_path / "home" / "learned.zip"


@pytest.fixture
def talk(ask: Callable[..., Any], learned: Path) -> Callable[..., Any]:
    """A turn of customer service that was taught intents, after a conversation."""

    def make(*said: str, **parts: Any) -> Any:
        desk = Desk(dialogue=Dialogue(Intents(learned, HashingEmbedder()), WANTED))
        agent = customer_service.with_changes(flow=desk, tools=[order_status, cancel_order])
        roles = ["user", "assistant"] * len(said)
        return ask(agent, said[-1], "!", history=list(zip(roles, said[:-1], strict=False)), **parts)

    return make


def called(turn: Any) -> list[dict[str, Any]]:
    seen: list[Any] = []
    reply_of(turn, seen.append)
    return [each.arguments for each in seen if isinstance(each, ToolCall)]


def test_what_is_missing_is_asked_for_one_at_a_time(talk):
    first = reply_of(talk("where is my order"))
    second = reply_of(talk("where is my order", first.text, "4711"))

    assert first.text == ASKED
    assert second.text == "Order status: please tell me this: where it goes."


def test_with_all_it_needs_the_tool_is_called_once_with_the_customers_words(talk):
    turn = talk(
        "where is my order", ASKED, "it is 4711",
        "Order status: please tell me this: where it goes.", "Bonn",
    )  # fmt: skip

    assert called(turn) == [{"number": 4711, "city": "Bonn"}]


def test_a_value_in_the_first_message_is_not_asked_for(talk):
    reply = reply_of(talk("where is my order 4711"))

    assert reply.text == "Order status: please tell me this: where it goes."


def test_an_answer_without_the_value_is_asked_for_again_and_then_left_to_a_person(talk):
    again = reply_of(talk("where is my order", ASKED, "no idea at all"))
    given_up = reply_of(talk("where is my order", ASKED, "no idea", again.text, "really none"))

    assert again.text.endswith(ASKED)
    assert again.handoff is None
    assert given_up.handoff is not None
    assert "really" not in given_up.handoff.summary
    assert "Customer: no idea" in given_up.handoff.summary


def test_another_question_is_answered_in_between(talk):
    turn = talk("where is my order", ASKED, "How can I ask for a refund of my purchase?")

    assert reply_of(turn).citations[0].source == "billing/refunds.md"


def test_a_customer_may_leave_it(talk):
    assert "leave it" in reply_of(talk("where is my order", ASKED, "never mind")).text


def test_a_chinese_customer_who_answers_with_a_number_is_asked_in_chinese(talk):
    assert "请告诉我" in reply_of(talk("我的订单在哪里", ASKED, "4711")).text


def test_what_changes_something_waits_for_the_customers_word(talk):
    with pytest.raises(Suspended) as asked:
        called(talk("cancel my order", CONFIRMED, "4711"))

    assert asked.value.wait.to == (ASKER,)
    assert asked.value.wait.payload["arguments"] == {"number": 4711}


def test_once_granted_it_is_done_as_it_was_shown(talk):
    payload = {"tool": "cancel_order", "arguments": {"number": 4711}}
    decided = {"call:cancel_order": Decision(granted=True, payload=payload, by="local")}

    turn = talk("cancel my order", CONFIRMED, "4711", decisions=decided)

    assert called(turn) == [{"number": 4711}]


class Close:
    """Intents of which two are always close."""

    def of(self, text: str) -> list[str]:
        return ["order_status", "opening_hours"]


@pytest.fixture
def unsure(talk: Callable[..., Any]) -> Callable[..., Any]:
    def make(*said: str) -> Any:
        turn = talk(*said)
        desk = Desk(dialogue=Dialogue(Close(), WANTED))  # type: ignore[arg-type]
        return replace(turn, agent=turn.agent.with_changes(flow=desk))

    return make


def test_close_intents_are_asked_about_with_their_names(unsure):
    reply = reply_of(unsure("my order on sunday"))

    assert reply.text == "Which of these do you mean?\n1. Order status\n2. opening hours"


@pytest.mark.parametrize("answer", ["1", "the 1.", "order status"])
def test_the_choice_goes_on_with_what_was_said_first(unsure, answer):
    asked = reply_of(unsure("my order 4711 on sunday")).text

    reply = reply_of(unsure("my order 4711 on sunday", asked, answer))

    assert reply.text == "Order status: please tell me this: where it goes."


def test_the_number_of_a_choice_is_no_value(unsure):
    asked = reply_of(unsure("my order on sunday")).text

    assert called(unsure("my order on sunday", asked, "1", ASKED, "4711")) == []


def test_what_was_not_taught_belongs_to_no_intent(learned):
    assert Intents(learned, HashingEmbedder()).of("banana helicopter zebra") == ()


def test_nothing_learned_tells_nothing(tmp_path):
    assert Intents(tmp_path / "none.zip", HashingEmbedder()).of("where is my order") == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("words,intent\na,b\n", "columns text and"),
        ("text,intent\n", "must have examples"),
        ("text,intent\na,b\n", "two labels"),
    ],
)
def test_examples_that_teach_nothing_say_why(tmp_path, content, reason):
    (tmp_path / "e.csv").write_text(content, encoding="utf-8")

    with pytest.raises(InvalidRequest, match=reason):
        train(tmp_path / "e.csv", tmp_path / "learned.zip", HashingEmbedder())


@pytest.mark.parametrize("tongue", ["¿Cómo puedo pagar?", "Wie kann ich die zahlen?", "怎么付款"])
def test_what_was_asked_is_known_again_in_every_language(tongue):
    slots = slots_of(order_status, WANTED["order_status"].slots)
    action = Action("Order status", order_status, slots)

    assert choices_of(clarifying(["Order status", "Cancelling"], tongue)) == [
        "Order status",
        "Cancelling",
    ]
    assert [action.asked(action.question(slot, tongue)) for slot in slots] == list(slots)
