import json

import pytest

from llmasos.agent import Agent
from llmasos.events import Token, ToolCall
from llmasos.request import Attachment
from llmasos.testing.turns import reply_of
from llmasos.tools import tool

CHATTER = Agent(name="chatter", instructions="Be brief.")


@tool
def order_status(order: str) -> str:
    """Look up the status of an order. order: the order's number."""
    return f"Order {order} was shipped on 3 May"


@tool(effect=True)
def cancel_order(order: str) -> str:
    """Cancel an order. order: the order's number."""
    raise AssertionError("must not be called")


CLERK = Agent(name="clerk", tools=[order_status, cancel_order])
CHOSEN = json.dumps({"tool": "order_status"})


def test_an_agent_without_knowledge_streams_what_the_model_says(ask):
    pieces: list[str] = []

    reply = reply_of(
        ask(CHATTER, "Hi", "Hello to you."),
        lambda event: isinstance(event, Token) and pieces.append(event.text),
    )

    assert reply.text == "Hello to you."
    assert len(pieces) == 3


def test_the_prompt_is_instructions_conversation_message(ask):
    history = [("user", "One"), ("assistant", "Two")]
    turn = ask(CHATTER, "Three", "ok", history=history)

    reply_of(turn)

    contents = [(m.role, m.content) for m in turn.llm.backend.calls[0].messages]
    assert contents == [("system", "Be brief."), *history, ("user", "Three")]


def test_a_long_conversation_is_cut_to_what_the_model_takes(ask):
    history = [("user", "word " * 300), ("assistant", "word " * 300)] * 5
    turn = ask(CHATTER, "Now?", "ok", history=history)

    reply_of(turn)

    prompt = turn.llm.backend.calls[0].messages
    assert sum(len(message.content.split()) for message in prompt) <= 700
    assert prompt[1].role == "user"


def test_a_file_goes_with_the_message_as_far_as_there_is_room(ask):
    file = Attachment(name="log.txt", text="line " * 5000)
    turn = ask(CHATTER, "What is this?", "ok", attachments=[file])

    reply_of(turn)

    message = turn.llm.backend.calls[0].messages[-1].content
    assert "log.txt" in message
    assert len(message.split()) <= 700


def test_silence_of_the_model_is_put_into_words(ask):
    assert "put an answer into words" in reply_of(ask(CHATTER, "Hi", "")).text


def test_a_tool_is_called_with_what_the_person_said(ask):
    said = "Order A-17 was shipped on 3 May."
    turn = ask(CLERK, "What is the status of order A-17?", CHOSEN, '{"order": "A-17"}', said)
    calls: list[ToolCall] = []

    reply = reply_of(turn, lambda event: isinstance(event, ToolCall) and calls.append(event))

    assert calls[0].arguments == {"order": "A-17"}
    assert reply.text == said


def test_a_tool_is_not_called_with_what_the_person_did_not_say(ask):
    turn = ask(CLERK, "What is the status of my order?", CHOSEN, '{"order": "A-17"}', "Which one?")

    assert reply_of(turn).text == "Which one?"


def test_a_wrongly_told_result_is_replaced_by_the_result_itself(ask):
    turn = ask(CLERK, "Status of order A-17?", CHOSEN, '{"order": "A-17"}', "It ships on 9 June.")

    assert reply_of(turn).text == "order_status: Order A-17 was shipped on 3 May"


def test_a_tool_with_effects_is_never_offered_to_the_model(ask):
    turn = ask(CLERK, "Cancel order A-17", '{"tool": "none"}', "A person does that.")

    reply = reply_of(turn)

    assert reply.text == "A person does that."
    assert all("cancel_order" not in str(c.options.json_schema) for c in turn.llm.backend.calls)


@pytest.mark.parametrize("choice", ['{"tool": "none"}', '{"tool": "order_st', "[]"])
def test_no_tool_is_called_when_the_choice_is_none_or_broken(ask, choice):
    turn = ask(CLERK, "What is the status of order A-17?", choice, "I can't say.")

    assert reply_of(turn).text == "I can't say."


def test_a_message_about_something_else_costs_no_choice(ask):
    turn = ask(CLERK, "Tell me a joke", "Knock knock.")

    assert reply_of(turn).text == "Knock knock."
    assert len(turn.llm.backend.calls) == 1
