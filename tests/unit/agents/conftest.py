"""What the tests of agents share: pages to answer from, and turns over a scripted engine."""

from collections.abc import Callable
from typing import Any

import pytest

from llmasos.agent import Agent
from llmasos.retrieval import Passage
from llmasos.testing.engine import ScriptedEngine
from llmasos.testing.turns import make_turn
from llmasos.turn import Turn

REFUNDS = Passage(
    collection="help-center",
    source="billing/refunds.md",
    title="Refunds",
    text=(
        "You can ask for a refund within 30 days of your purchase. Refunds are paid to the card "
        "that was charged, and arrive within 5 business days.\n\n"
        "Gift cards cannot be refunded."
    ),
    span=(0, 170),
    score=0.0,
)
EXPORT = Passage(
    collection="help-center",
    source="data/export.md",
    title="Export your data",
    text=(
        "Organization owners can export all data as a ZIP archive.\n\n"
        "1. Open **Settings**.\n1. Select **Data**.\n1. Click **Export**.\n\n"
        "The archive holds `messages.json` and `users.json`."
    ),
    span=(0, 180),
    score=0.0,
)
REFUNDS_ZH = Passage(
    collection="help-center",
    source="zh/refunds.md",
    title="退款",
    text="您可以在购买后30天内申请退款。退款将在5个工作日内退回原支付卡。礼品卡不支持退款。",
    span=(0, 45),
    score=0.0,
)


@pytest.fixture
def pages() -> list[Passage]:
    return [REFUNDS, EXPORT, REFUNDS_ZH]


@pytest.fixture
def ask(pages: list[Passage]) -> Callable[..., Turn]:
    """A turn of an agent over these pages, with what its model will say."""

    def make(agent: Agent, text: str, *says: str, **parts: Any) -> Turn:
        return make_turn(agent, text, ScriptedEngine(says), parts.pop("passages", pages), **parts)

    return make
