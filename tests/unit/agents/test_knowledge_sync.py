"""The agent that mirrors a collection's sources: who may, what it says, and how it is stopped."""

from dataclasses import replace

import pytest

from agents.catalog import load_catalog
from agents.knowledge_sync import knowledge_sync, request_to
from knowledge import KnowledgeBase
from llmasos.errors import (
    InvalidRequest,
    JobCancelled,
    KnowledgeError,
    NotAllowed,
    UnknownCollection,
)
from llmasos.request import AUTO, LOCAL, Principal, Request
from llmasos.testing import ScriptedEngine
from llmasos.testing.retrieval import HashingEmbedder
from llmasos.testing.turns import make_turn, reply_of

WRITER = Principal(id="key:docs", scopes=("knowledge:write",))


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.md").write_text(f"# Page {name}\n\nThese are the words of {name}.\n")
    return folder


@pytest.fixture
def knowledge(tmp_path):
    base = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())
    yield base
    base.close()


@pytest.fixture
def turn(knowledge):
    def make(text="help", **parts):
        return make_turn(knowledge_sync, text, ScriptedEngine(), upkeep=knowledge, **parts)

    return make


def test_it_follows_what_changed_and_says_so(knowledge, docs, turn):
    knowledge.sync("help", [docs])
    (docs / "new.md").write_text("# New\n\nBrand new words.\n")
    (docs / "a.md").unlink()
    (docs / "empty.md").write_text("")

    reply = reply_of(turn())

    assert reply.text.startswith("help: 1 added, 2 unchanged, 1 removed, 1 failed\nnot added: ")
    assert reply.output is not None
    assert (reply.output["added"], len(reply.output["left_out"])) == (1, 1)
    assert [each.source for each in knowledge.documents("help")] == [
        "docs/b.md",
        "docs/c.md",
        "docs/new.md",
    ]


def test_a_message_can_name_no_source(knowledge, docs, turn):
    knowledge.add("help", [docs])

    with pytest.raises(InvalidRequest, match="mirrors no source yet"):
        reply_of(turn())
    with pytest.raises(UnknownCollection):
        reply_of(turn(f"help {docs}"))


def test_a_source_that_is_gone_as_a_whole_fails_the_job_and_removes_nothing(knowledge, docs, turn):
    knowledge.sync("help", [docs])
    docs.rename(docs.with_name("unmounted"))

    with pytest.raises(KnowledgeError, match="its 3 documents stay"):
        reply_of(turn())
    assert len(knowledge.documents("help")) == 3


def test_it_is_stopped_between_two_files_and_goes_on_behind_what_was_stored(
    knowledge, docs, turn, monkeypatch
):
    monkeypatch.setattr("knowledge.ingest.BATCH_CHUNKS", 1)
    knowledge.remember("help", [docs])
    for number in range(200):
        (docs / f"{number}.md").write_text(f"# Page {number}\n\nWords of page {number}.\n")
    seen = []

    def checkpoint():
        seen.append(1)
        if len(seen) == 150:
            raise JobCancelled("1")

    with pytest.raises(JobCancelled):
        reply_of(replace(turn(), checkpoint=checkpoint))
    stored = len(knowledge.documents("help"))
    reply = reply_of(turn())

    assert 0 < stored < 203
    assert reply.text == f"help: {203 - stored} added, {stored} unchanged"


def test_only_who_may_write_to_a_collection_may_have_it_mirrored(make_settings, knowledge, docs):
    catalog = load_catalog(make_settings())
    asker = Principal(id="slack:T1:U1", team="T1")

    assert catalog.choose(request_to("help", LOCAL)).agent.name == "knowledge_sync"
    assert catalog.choose(request_to("help", WRITER)).agent.name == "knowledge_sync"
    with pytest.raises(NotAllowed):
        catalog.choose(request_to("help", asker))


def test_a_writer_mirrors_only_what_it_may_read(knowledge, docs, turn):
    knowledge.sync("help", [docs])
    knowledge.set_readers("help", ["slack:T1:U1"])

    with pytest.raises(UnknownCollection):
        reply_of(turn(principal=WRITER))
    assert reply_of(turn(principal=LOCAL)).text == "help: 3 unchanged"


def test_the_router_never_chooses_it(make_settings):
    catalog = load_catalog(make_settings())

    routed = catalog.choose(Request(agent=AUTO, text="knowledge_sync: mirror the sources again"))

    assert "knowledge_sync" not in (routed.agent.name, *routed.alternatives)
