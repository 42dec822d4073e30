import pytest

from agents.code_generation import code_generation
from agents.customer_service import customer_service
from agents.router import route
from agents.writing import writing
from llmasos import Agent

BILLING = Agent(
    name="billing",
    description="Invoices, refunds and orders.",
    examples=["Where is my invoice?", "我的发票在哪里？"],
)
ALL = [BILLING, code_generation, customer_service, writing]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Write a Python function that sorts a list", "code_generation"),
        ("Fix this:\n```\nTraceback (most recent call last)\n```", "code_generation"),
        ("Can you implement quicksort in Python?", "code_generation"),
        ("用 Python 写一个快速排序函数", "code_generation"),
        ("Write a birthday poem for my mother", "writing"),
        ("Proofread this: i has a cat", "writing"),
        ("Summarise the following text:\n\nOnce upon a time", "writing"),
        ("帮我写一封感谢信", "writing"),
        ("把这段话改写得更正式：明天来", "writing"),
        ("How do I change my password?", "customer_service"),
        ("the app does not open any more", "customer_service"),
        ("怎么修改密码？", "customer_service"),
        ("I never got an invoice for March", "billing"),
        ("三月份的发票在哪里", "billing"),
        ("hello", "customer_service"),
    ],
)
def test_a_message_goes_to_the_agent_that_it_speaks_for(text, name):
    assert route(ALL, text).name == name


@pytest.mark.parametrize("text", ["ok", "And shorter?", "now with numbers", "再短一点"])
def test_an_unclear_message_stays_with_the_agent_of_its_conversation(text):
    assert route(ALL, text, previous="writing").name == "writing"


def test_a_clear_message_leaves_the_agent_of_its_conversation():
    assert route(ALL, "Write a Python script", previous="writing").name == "code_generation"


def test_the_only_agent_gets_everything():
    assert route([BILLING], "Write a poem") is BILLING


def test_without_customer_service_the_nearest_answers():
    assert route([BILLING, writing], "Where did the money go?") in (BILLING, writing)
