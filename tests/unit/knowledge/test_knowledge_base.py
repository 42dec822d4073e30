"""The knowledge base: adding, finding, removing, and saying plainly what cannot be done."""

import shutil

import pytest

from knowledge import KnowledgeBase
from knowledge.langchain_retriever import KnowledgeRetriever
from llmasos.errors import (
    EmbeddingModelChanged,
    EngineUnavailable,
    InvalidRequest,
    KnowledgeError,
    UnknownCollection,
)
from llmasos.request import LOCAL, Principal
from llmasos.settings import KnowledgeSettings
from llmasos.testing.retrieval import HashingEmbedder

PAGES = {
    "refunds.md": "# Refunds\n\nMoney back in fourteen days.\n\n## Abroad\n\nIt takes a month.\n",
    "billing/invoices.txt": "An invoice is sent on the first day of each month.",
    "billing/plans.html": "<h1>Plans</h1><p>The free plan has ten thousand messages.</p>",
}


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    for name, text in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def knowledge(tmp_path):
    base = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())
    yield base
    base.close()


def find(knowledge, query, *collections, k=1, principal=LOCAL):
    return knowledge.search(query, collections=collections or ("help",), principal=principal, k=k)


def test_a_folder_is_added_and_found_with_source_title_and_span(knowledge, docs):
    report = knowledge.add("help", [docs])

    (passage,) = find(knowledge, "how long abroad: a month?")

    assert report.added == [
        "docs/refunds.md",
        "docs/billing/invoices.txt",
        "docs/billing/plans.html",
    ]
    assert passage.source == "docs/refunds.md#abroad"
    assert passage.title == "Refunds › Abroad"
    assert passage.text == PAGES["refunds.md"][slice(*passage.span)] == "It takes a month."
    assert 0 < passage.score <= 1


def test_only_what_changed_is_embedded_again(knowledge, docs, tmp_path):
    knowledge.add("help", [docs])
    (docs / "refunds.md").write_text("# Refunds\n\nNo money back.\n")
    embedder = HashingEmbedder()

    report = KnowledgeBase(tmp_path / "knowledge", embedder).add("help", [docs])

    assert report.changed == ["docs/refunds.md"]
    assert len(report.unchanged) == 2
    assert embedder.embedded == 1
    assert find(knowledge, "fourteen days abroad", k=9)[0].text != "It takes a month."
    assert knowledge.stats("help").documents == 3


def test_a_document_that_cannot_be_read_stops_no_other_and_stays_as_it_was(knowledge, docs):
    knowledge.add("help", [docs])
    (docs / "refunds.md").write_bytes(b"\x00\x01")
    (docs / "empty.md").write_text(" \n")
    (docs / "new.md").write_text("# New\n\nWords.\n")

    report = knowledge.add("help", [docs, docs / "missing.md"])

    assert report.added == ["docs/new.md"]
    assert {each.source: each.reason for each in report.failed} == {
        str(docs / "missing.md"): "there is no such file or folder",
        str(docs / "empty.md"): "it is empty",
        str(docs / "refunds.md"): "it is a binary file, not text",
    }
    assert find(knowledge, "a month abroad")[0].source == "docs/refunds.md#abroad"


def test_a_folder_with_nothing_to_read_is_said_and_makes_no_collection(knowledge, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"x")

    report = knowledge.add("help", [tmp_path / "pictures"])

    assert "nothing in it matches, or ends in" in report.failed[0].reason
    assert [each.source for each in report.skipped] == [str(tmp_path / "pictures" / "a.png")]
    assert knowledge.collections() == []


def test_a_file_that_is_too_large_is_refused(docs, tmp_path):
    small = KnowledgeSettings(max_file_bytes=60)

    report = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder(), small).add(
        "help", [docs / "refunds.md", docs / "billing" / "invoices.txt"]
    )

    assert report.added == ["invoices.txt"]
    assert "more than 60 (knowledge.max_file_bytes)" in report.failed[0].reason


def test_an_engine_that_fails_leaves_nothing_half_added(knowledge, docs, tmp_path):
    class Failing(HashingEmbedder):
        def embed(self, texts):
            raise EngineUnavailable("http://127.0.0.1:1", "refused")

    with pytest.raises(EngineUnavailable):
        KnowledgeBase(tmp_path / "knowledge", Failing()).add("help", [docs])

    assert knowledge.collections() == []


def test_documents_and_folders_are_removed_by_source(knowledge, docs):
    knowledge.add("help", [docs])

    report = knowledge.remove("help", ["docs/billing", "docs/refunds.md#abroad"])

    assert len(report.removed) == 3
    assert find(knowledge, "refunds", k=9) == []
    assert knowledge.stats("help").chunks == 0


def test_a_source_that_is_not_there_removes_nothing_and_names_the_nearest(knowledge, docs):
    knowledge.add("help", [docs])

    with pytest.raises(InvalidRequest, match=r"Did you mean 'docs/refunds\.md'"):
        knowledge.remove("help", ["docs/refund.md", "docs/billing"])

    assert knowledge.stats("help").documents == 3


def test_a_removed_collection_is_gone_for_every_reader_and_may_come_again(
    knowledge, docs, tmp_path
):
    reader = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())
    knowledge.add("help", [docs])
    find(reader, "refunds")

    knowledge.remove("help")
    with pytest.raises(UnknownCollection):
        find(reader, "refunds")
    knowledge.add("help", [docs / "refunds.md"])

    assert find(reader, "money back")[0].source == "refunds.md"


def test_several_collections_are_searched_as_one(knowledge, docs):
    knowledge.add("money", [docs / "refunds.md"])
    knowledge.add("bills", [docs / "billing"])

    found = find(knowledge, "refunds: money back within fourteen days", "bills", "money", k=9)

    assert found[0].collection == "money"
    assert {each.collection for each in found} == {"money", "bills"}
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_what_a_principal_may_not_read_does_not_exist_for_them(knowledge, docs):
    knowledge.add("help", [docs])
    knowledge.add("salaries", [docs / "refunds.md"])
    knowledge.set_readers("salaries", ["group:hr"])

    with pytest.raises(UnknownCollection) as caught:
        find(knowledge, "money", "salaries", principal=Principal(id="slack:T1:U1"))
    seen = find(knowledge, "money", "salaries", principal=Principal(id="x", groups=("hr",)))

    assert caught.value.known == ("help",)
    assert seen[0].collection == "salaries"


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a" * 64, "a\n", "名"])
def test_a_name_that_could_lead_elsewhere_is_no_collection(knowledge, docs, tmp_path, name):
    with pytest.raises(InvalidRequest):
        knowledge.add(name, [docs])
    with pytest.raises(UnknownCollection):
        knowledge.remove(name)
    with pytest.raises(UnknownCollection):
        find(knowledge, "x", name)

    assert not (tmp_path / "knowledge").exists()


def test_another_embedding_model_is_refused_until_the_collection_is_rebuilt(
    knowledge, docs, tmp_path
):
    knowledge.add("help", [docs])
    other = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder("other", dimension=32))
    with pytest.raises(EmbeddingModelChanged, match="llmasos knowledge rebuild help"):
        find(other, "refunds")
    with pytest.raises(EmbeddingModelChanged):
        other.add("help", [docs])

    stats = other.rebuild("help")

    assert (stats.model, stats.dimension) == ("other", 32)
    assert find(other, "a month abroad")[0].source == "docs/refunds.md#abroad"
    with pytest.raises(EmbeddingModelChanged):
        find(knowledge, "refunds")


def test_a_server_that_serves_another_model_under_the_same_name_is_noticed(
    knowledge, docs, tmp_path
):
    knowledge.add("help", [docs])
    other = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder(dimension=32))

    with pytest.raises(KnowledgeError, match="length 64, the embedding server gives 32"):
        find(other, "refunds")


def test_the_same_file_keeps_its_source_and_another_gets_one_of_its_own(knowledge, docs, tmp_path):
    twin = tmp_path / "other" / "docs"
    twin.mkdir(parents=True)
    (twin / "refunds.md").write_text("# Other refunds\n\nNone.\n")
    knowledge.add("help", [docs])

    alone = knowledge.add("help", [docs / "refunds.md"])
    report = knowledge.add("help", [twin])

    assert alone.unchanged == ["docs/refunds.md"]
    assert report.added == ["other/docs/refunds.md"]
    assert knowledge.stats("help").documents == 4


def test_a_folder_that_moved_is_the_same_folder(knowledge, docs, tmp_path):
    knowledge.add("help", [docs])
    moved = tmp_path / "elsewhere" / "docs"
    moved.parent.mkdir()
    docs.rename(moved)

    report = knowledge.add("help", [moved])
    shutil.copytree(moved, docs)
    again = knowledge.add("help", [docs])

    assert len(report.unchanged) == 3
    assert again.added[0] == f"{tmp_path.name}/docs/refunds.md"


def test_hidden_files_and_links_that_lead_out_are_left_alone(knowledge, docs, tmp_path):
    (tmp_path / "secret.md").write_text("# Secret\n\nsesame\n")
    (docs / "link.md").symlink_to(tmp_path / "secret.md")
    (docs / ".git").mkdir()
    (docs / ".git" / "notes.md").write_text("hidden")

    report = knowledge.add("help", [docs])

    assert len(report.added) == 3
    assert len(report.skipped) == 1


@pytest.mark.parametrize(("query", "k"), [(" ", 5), ("x", 0), ("x", 1_001)])
def test_a_search_for_nothing_is_refused(knowledge, docs, query, k):
    knowledge.add("help", [docs])

    with pytest.raises(InvalidRequest):
        find(knowledge, query, k=k)


def test_progress_tells_each_document(knowledge, docs):
    heard = []

    knowledge.add("help", [docs], progress=heard.append)

    assert [(each.done, each.total) for each in heard] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_langchain_gets_documents_with_their_source(knowledge, docs):
    knowledge.add("help", [docs])

    (found,) = KnowledgeRetriever(retriever=knowledge, collections=("help",), k=1).invoke(
        "a month abroad"
    )

    assert found.page_content == "It takes a month."
    assert found.metadata["source"] == "docs/refunds.md#abroad"
    assert found.metadata["span"] == (52, 69)
