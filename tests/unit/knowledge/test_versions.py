"""Versions: made when enough changed, swapped in for every reader, rolled back."""

import threading

import pytest

from knowledge import KnowledgeBase
from knowledge.filters import Filter
from knowledge.folders import locked
from knowledge.publishing import roll_back
from llmasos.errors import EmbeddingModelChanged, InvalidRequest, UnknownVersion
from llmasos.request import LOCAL, Principal
from llmasos.settings import KnowledgeSettings
from llmasos.testing.retrieval import HashingEmbedder

STAFF = Principal(id="slack:T1:U1", groups=("staff",))


@pytest.fixture
def knowledge(tmp_path):
    base = KnowledgeBase(
        tmp_path / "knowledge", HashingEmbedder(), KnowledgeSettings(keep_versions=2)
    )
    yield base
    base.close()


@pytest.fixture
def add(knowledge, tmp_path):
    """Adds pages by name and text; with `version`, a new version follows."""

    def write(version=False, **pages):
        (tmp_path / "pages").mkdir(exist_ok=True)
        for name, text in pages.items():
            (tmp_path / "pages" / f"{name}.md").write_text(f"{text} {name}")  # no two alike
        knowledge.add("help", [tmp_path / "pages" / f"{name}.md" for name in pages])
        if version:
            knowledge.rebuild("help")

    return write


def found(knowledge, query="words", principal=LOCAL):
    passages = knowledge.search(query, collections=["help"], principal=principal, k=50)
    return sorted(each.source for each in passages)


def test_the_first_add_makes_a_version_and_small_ones_after_it_none(knowledge, add):
    add(a="some words")
    first = knowledge.stats("help")
    add(b="more words")

    stats = knowledge.stats("help")

    assert (first.version, first.index, first.tail) == (stats.version, "flat", 0)
    assert (stats.tail, stats.chunks, stats.recall) == (1, 2, 1.0)
    assert stats.memory > 0
    assert found(knowledge) == ["a.md", "b.md"]


def test_a_version_is_made_when_the_tail_passes_a_twentieth_of_it(shelf, monkeypatch):
    monkeypatch.setattr("knowledge.publishing.LEAST", 5)
    help_center = shelf()
    help_center.put({f"{n}.md": f"words of page {n}" for n in range(200)})
    first = help_center.publish()
    tails = []
    for number in range(200, 212):
        help_center.put({f"{number}.md": f"words of page {number}"})
        with locked(help_center.collection.folder):
            help_center.collection.publish_if_due()
        contents = help_center.collection.contents()
        tails.append((contents.tail, contents.facts.version == first))

    assert tails[:10] == [(n, True) for n in range(1, 11)]
    assert tails[10:] == [(0, False), (1, False)]


def test_a_version_is_made_when_enough_was_added_or_removed(knowledge, add, monkeypatch):
    monkeypatch.setattr("knowledge.publishing.LEAST", 3)
    add(a="words", b="words", c="words", d="words", e="words")
    versions = [knowledge.stats("help").version]
    for change in ("f", "g", "h", "i"):
        add(**{change: "words"})
        versions.append(knowledge.stats("help").version)
    knowledge.remove("help", ["a.md", "b.md", "c.md", "d.md"])
    versions.append(knowledge.stats("help").version)

    assert len(set(versions[:4])) == 1
    assert len(set(versions)) == 3
    assert knowledge.stats("help").tail == 0


def test_an_add_that_goes_on_makes_versions_on_its_way(knowledge, add, monkeypatch):
    monkeypatch.setattr("knowledge.publishing.WHILE_ADDING", 10)
    monkeypatch.setattr("knowledge.ingest.BATCH_CHUNKS", 4)

    add(**{f"page{number}": f"words {number}" for number in range(60)})

    assert len(knowledge.versions("help")) == 3, "two earlier ones are kept"
    assert knowledge.stats("help").chunks == 60


def test_versions_are_listed_and_only_some_are_kept(knowledge, add, tmp_path):
    for name in "abcde":
        add(version=True, **{name: "words"})

    kept = knowledge.versions("help")

    assert [each.chunks for each in kept] == [5, 4, 3]
    assert [each.current for each in kept] == [True, False, False]
    assert kept[0].documents == 5
    folders = (tmp_path / "knowledge" / "help" / "versions").iterdir()
    assert {each.name for each in folders} == {each.name for each in kept}


def test_rolling_back_brings_the_documents_of_then(knowledge, add):
    add(version=True, a="old words", b="words")
    add(version=True, a="new words", c="words")
    knowledge.remove("help", ["b.md"])

    knowledge.rollback("help")
    assert found(knowledge) == ["a.md", "b.md", "c.md"], "first to the version in force"
    stats = knowledge.rollback("help")
    assert found(knowledge) == ["a.md", "b.md"]
    assert stats.documents == 2

    knowledge.rollback("help", knowledge.versions("help")[0].name)
    assert found(knowledge, "new words") == ["a.md", "b.md", "c.md"]
    assert [each.current for each in knowledge.versions("help")] == [True, False, False]


def test_what_was_rolled_back_can_be_added_again(knowledge, add):
    add(version=True, a="words")
    add(version=True, a="other words", b="words")
    knowledge.rollback("help")

    add(a="other words", c="words")

    assert found(knowledge) == ["a.md", "c.md"]
    assert (
        knowledge.search("other", collections=["help"], principal=LOCAL)[0].text == "other words a"
    )


def test_everything_that_was_removed_can_be_rolled_back(knowledge, add):
    add(version=True, a="words")
    knowledge.remove("help", ["a.md"])
    knowledge.rebuild("help")
    assert found(knowledge) == []

    knowledge.rollback("help")

    assert found(knowledge) == ["a.md"]


def test_rolling_back_gives_nobody_rights_that_were_taken(knowledge, add):
    add(version=True, pay="salary words", a="words")
    knowledge.set_document_readers("help", ["pay.md"], ["group:staff"])
    knowledge.rebuild("help")

    knowledge.rollback("help", knowledge.versions("help")[-1].name)

    assert found(knowledge) == ["a.md"]
    assert found(knowledge, principal=STAFF) == ["a.md", "pay.md"]


def test_a_version_that_is_not_kept_is_named_with_those_that_are(knowledge, add):
    add(a="words")

    with pytest.raises(UnknownVersion, match=knowledge.stats("help").version):
        knowledge.rollback("help", "1-00000000")
    with pytest.raises(InvalidRequest, match="keeps no earlier version"):
        knowledge.rollback("help")


def test_a_version_whose_files_are_lost_can_be_rolled_back_to(knowledge, add, tmp_path):
    add(version=True, a="words")
    add(version=True, b="words")
    target = knowledge.versions("help")[1].name
    (tmp_path / "knowledge" / "help" / "versions" / target / "vectors.faiss").unlink()

    knowledge.rollback("help")

    assert found(knowledge) == ["a.md"]


def test_a_running_search_goes_on_with_the_version_that_it_began_with(shelf):
    help_ = shelf()
    help_.collection.keep = 0
    help_.put({"a.md": "refund", "b.md": "refund"})
    help_.publish()
    with help_.collection.view(LOCAL, Filter()) as view:
        help_.remove("a.md")
        writer = threading.Thread(target=help_.publish)
        writer.start()
        writer.join()

        hits = view.matching(["refund"], 5)
        assert [each.source for each in view.chunks([hit.row for hit in hits])] == ["a.md", "b.md"]

    assert help_.matching(["refund"], 5)[0][0] == "b.md"
    assert help_.count() == 1


def test_another_model_is_built_aside_and_its_unfinished_vectors_are_used(
    knowledge, add, tmp_path, monkeypatch
):
    add(version=True, **{f"page{number}": f"words {number}" for number in range(6)})
    monkeypatch.setattr("knowledge.reembedding.PIECE", 2)

    class Stopping(HashingEmbedder):
        def embed(self, texts):
            assert found(knowledge) == [f"page{number}.md" for number in range(6)]
            if self.embedded >= 5:
                raise KeyboardInterrupt
            return super().embed(texts)

    with pytest.raises(KeyboardInterrupt):
        KnowledgeBase(tmp_path / "knowledge", Stopping("other", dimension=16)).rebuild("help")
    other = HashingEmbedder("other", dimension=16)
    base = KnowledgeBase(tmp_path / "knowledge", other)
    base.rebuild("help")

    assert other.embedded == 1 + 2, "the length of its vectors, and what was missing"
    assert found(base) == [f"page{number}.md" for number in range(6)]
    with pytest.raises(EmbeddingModelChanged):
        found(knowledge)
    base.rollback("help")
    assert found(knowledge) == [f"page{number}.md" for number in range(6)]


def test_a_second_writer_in_this_process_waits_for_the_first(shelf):
    help_ = shelf()
    help_.put({"a.md": "refund"})
    waiting = threading.Thread(target=help_.put, args=({"b.md": "refund"},))

    with locked(help_.collection.folder):
        waiting.start()
        help_.collection.publish()
        assert help_.count() == 1
    waiting.join()

    assert help_.count() == 2


def test_a_document_that_moves_keeps_its_vectors_and_readers_and_rolls_back(shelf):
    help_ = shelf()
    help_.put({"pay.md": "salary"}, ["group:staff"])
    help_.put({"a.md": "refund", "b.md": "plan"})
    help_.publish()

    with help_.collection.write() as draft:
        moves = {"pay.md": "old/pay.md", "a.md": "b.md", "b.md": "a.md"}
        draft.move({source: (new, f"/{new}") for source, new in moves.items()})

    assert help_.matching(["refund"])[0][0] == "b.md"
    assert help_.matching(["salary"]) == []
    assert help_.matching(["salary"], principal=STAFF)[0][0] == "old/pay.md"

    with locked(help_.collection.folder):
        roll_back(help_.collection.folder, help_.collection.store, 2, None)
    assert help_.matching(["refund"])[0][0] == "a.md"
    assert help_.count() == 2
