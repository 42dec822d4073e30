import numpy as np
import pytest

from agents.code_generation import code_generation
from agents.customer_service import customer_service
from agents.router import Routed, Router
from agents.writing import writing
from llmasos import Agent
from llmasos.errors import EngineUnavailable

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
    assert Router().route(ALL, text).agent.name == name


@pytest.mark.parametrize("text", ["ok", "And shorter?", "now with numbers", "再短一点"])
def test_an_unclear_message_stays_with_the_agent_of_its_conversation(text):
    assert Router().route(ALL, text, previous="writing").agent.name == "writing"


def test_a_clear_message_leaves_the_agent_of_its_conversation():
    routed = Router().route(ALL, "Write a Python script", previous="writing")

    assert routed.agent.name == "code_generation"


def test_the_only_agent_gets_everything():
    assert Router().route([BILLING], "Write a poem") == Routed(BILLING)


def test_without_customer_service_the_nearest_answers():
    routed = Router().route([BILLING, writing], "Where did the money go?")

    assert routed.agent in (BILLING, writing)


class Meanings:
    """Vectors for a few texts; all others mean nothing to each other."""

    def __init__(self, **axes: list[str]) -> None:
        self.axes, self.asked = axes, []

    def embed(self, texts):
        self.asked.append(list(texts))
        vectors = np.zeros((len(texts), len(self.axes) + 1), dtype=np.float32)
        for row, text in enumerate(texts):
            places = [n for n, known in enumerate(self.axes.values()) if text in known]
            vectors[row, places[0] if places else -1] = 1.0 if places else 0.0
        return vectors


def test_a_message_without_a_word_in_common_is_routed_by_its_meaning():
    meanings = Meanings(money=["Where is my invoice?", "I want my cash back"])
    router = Router(meanings.embed)

    routed = router.route(ALL, "I want my cash back")
    router.route(ALL, "I want my cash back")

    assert (routed.agent.name, routed.alternatives) == ("billing", ())
    unsure = Router().route(ALL, "I want my cash back")
    assert unsure.agent.name == "customer_service"
    assert set(unsure.alternatives) == {"billing", "code_generation", "writing"}
    assert [len(texts) > 1 for texts in meanings.asked] == [True, False, False]


def test_while_nothing_can_be_embedded_words_choose():
    def fail(texts):
        raise EngineUnavailable("http://127.0.0.1:1", "refused")

    routed = Router(fail).route(ALL, "I never got an invoice for March")

    assert routed.agent.name == "billing"
