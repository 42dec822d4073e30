"""The built-in agents over the real embedded model, real retrieval and the real sandbox."""

import pytest

from agents.catalog import load_catalog
from knowledge import HttpEmbedder, KnowledgeBase, Server
from llmasos.llm import LLM
from llmasos.sandbox import Sandbox
from llmasos.testing.turns import make_turn, reply_of
from llmasos.tgi import TGIBackend

PAGES = {
    "refunds.md": "# Refunds\n\nYou can ask for a refund within 30 days of your purchase. "
    "Refunds are paid to the card that was charged, and arrive within 5 business days.\n\n"
    "Gift cards cannot be refunded.\n",
    "export.md": "# Export your data\n\nOwners can export all data as a ZIP archive.\n\n"
    "1. Open **Settings**.\n1. Select **Data**.\n1. Click **Export**.\n",
    "calls.md": "# Video calls\n\nClick the camera in the compose box to start a video call. "
    "Calls are hosted by Jitsi Meet.\n",
    "zh.md": "# 退款\n\n您可以在购买后30天内申请退款。退款将在5个工作日内退回原支付卡。\n",
}


@pytest.fixture(scope="module")
def knowledge(engine, tmp_path_factory):
    docs = tmp_path_factory.mktemp("docs")
    for name, text in PAGES.items():
        (docs / name).write_text(text, encoding="utf-8")
    embedder = HttpEmbedder(lambda: Server(engine.url, engine.key), "all-minilm-l6-v2")
    base = KnowledgeBase(tmp_path_factory.mktemp("knowledge"), embedder)
    base.add("help-center", [docs])
    yield base
    base.close()
    embedder.close()


@pytest.fixture
def ask(engine, knowledge, make_settings):
    """Ask a built-in agent; gives its reply."""
    catalog = load_catalog(make_settings())
    backend = TGIBackend(engine.url, key=engine.key)
    llm = LLM(backend)

    def answer(name, text, history=()):
        agent = catalog.find(name)
        return reply_of(
            make_turn(agent, text, backend, history=history, llm=llm, retriever=knowledge)
        )

    yield answer
    backend.close()


@pytest.mark.parametrize(
    ("question", "source", "fact"),
    [
        ("How many days do I have to ask for a refund?", "refunds.md", "30 days"),
        ("how do i export our data", "export.md", "Export"),
        ("退款多久退回到卡上？", "zh.md", "5个工作日"),
    ],
)
def test_customer_service_answers_with_the_fact_and_its_source(ask, question, source, fact):
    reply = ask("customer_service", question)

    assert fact in reply.text
    assert source in {
        citation.source.partition("#")[0].rpartition("/")[2] for citation in reply.citations
    }
    assert reply.handoff is None


def test_a_follow_up_is_understood(ask):
    history = [
        ("user", "How many days do I have to ask for a refund?"),
        ("assistant", "You can ask for a refund within 30 days of your purchase. [1]"),
    ]

    reply = ask("customer_service", "And when do they arrive?", history)

    assert "5 business days" in reply.text


@pytest.mark.parametrize(
    "question",
    [
        "How do I record a video call?",
        "Is the service HIPAA compliant?",
        "What does the Business plan cost per month?",
        "你们支持微信支付吗？",
    ],
)
def test_customer_service_does_not_guess(ask, question):
    reply = ask("customer_service", question)

    assert reply.handoff is not None
    assert reply.citations == ()


@pytest.mark.skipif(Sandbox().available() is not None, reason="no sandbox here")
def test_code_is_written_run_and_shown_with_what_was_seen(ask):
    reply = ask("code_generation", "Write add(a, b) that adds two numbers. add(1, 2) == 3")

    assert "def add(" in reply.text
    assert "**Tested.**" in reply.text
    assert reply.artifacts[0].name == "main.py"


def test_a_letter_is_written(ask):
    reply = ask("writing", "Write a short thank-you note to my team.")

    assert len(reply.text.split()) > 10


def test_proofreading_keeps_every_number_and_name(ask):
    reply = ask("writing", "Proofread this:\n\nAnna recieved 40 letters on 3 May , in Hamburg.")

    assert "received" in reply.text
    assert all(fact in reply.text for fact in ("Anna", "40", "3 May", "Hamburg"))
