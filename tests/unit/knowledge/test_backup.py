"""A collection in one file: made while it is used, restored whole or not at all."""

import sqlite3
import threading

import pytest

from knowledge import KnowledgeBase
from knowledge.calibration import Calibration
from llmasos.errors import HomeNotWritable, InvalidRequest, KnowledgeError, UnknownCollection
from llmasos.request import LOCAL, Principal
from llmasos.testing.retrieval import HashingEmbedder

HR = Principal(id="x", groups=("hr",))


@pytest.fixture
def knowledge(tmp_path):
    base = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())
    pages = tmp_path / "pages"
    pages.mkdir()
    for name in ("a", "b", "pay"):
        (pages / f"{name}.md").write_text(f"# Page\n\nSome words of {name}.\n")
    base.add("help", [pages])
    base.set_document_readers("help", ["pages/pay.md"], ["group:hr"])
    yield base
    base.close()


def found(knowledge, collection="help", principal=LOCAL):
    passages = knowledge.search("words", collections=[collection], principal=principal, k=9)
    return sorted(each.source for each in passages)


def test_a_backup_is_one_file_that_restores_to_the_same_collection(knowledge, tmp_path):
    size = knowledge.backup("help", tmp_path / "help.backup")
    stats = knowledge.restore("copy", tmp_path / "help.backup")

    assert size == (tmp_path / "help.backup").stat().st_size
    assert (stats.documents, stats.tail) == (3, 0)
    assert found(knowledge, "copy") == found(knowledge) == ["pages/a.md", "pages/b.md"]
    assert len(found(knowledge, "copy", HR)) == 3
    assert knowledge.add("copy", [tmp_path / "pages"]).added == []


def test_a_calibration_is_its_collections_own_and_goes_into_its_backup(knowledge, tmp_path):
    def relevance(collection):
        passages = knowledge.search("words", collections=[collection], principal=LOCAL)
        return passages[0].relevance

    knowledge.backup("help", tmp_path / "plain.backup")
    knowledge.set_calibration("help", Calibration(bias=20, signs={}))
    knowledge.backup("help", tmp_path / "calibrated.backup")
    knowledge.restore("plain", tmp_path / "plain.backup")
    knowledge.restore("calibrated", tmp_path / "calibrated.backup")

    assert relevance("help") == relevance("calibrated") == pytest.approx(1)
    assert relevance("plain") < 1
    knowledge.set_calibration("help", None)
    assert relevance("help") == relevance("plain")


def test_a_restore_replaces_what_is_there_for_every_reader_at_once(knowledge, tmp_path):
    reader = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())
    knowledge.backup("help", tmp_path / "help.backup")
    knowledge.remove("help", ["pages/a.md"])
    assert found(reader) == ["pages/b.md"]

    with pytest.raises(InvalidRequest, match="already"):
        knowledge.restore("help", tmp_path / "help.backup")
    knowledge.restore("help", tmp_path / "help.backup", replace=True)

    assert found(reader) == ["pages/a.md", "pages/b.md"]
    assert [each.current for each in knowledge.versions("help")] == [True]
    assert not list((tmp_path / "knowledge").glob(".help.restored"))


def test_a_damaged_collection_is_restored(knowledge, tmp_path):
    knowledge.backup("help", tmp_path / "help.backup")
    (tmp_path / "knowledge" / "help" / "store.db").write_bytes(b"no database" * 999)
    fresh = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())

    fresh.restore("help", tmp_path / "help.backup", replace=True)

    assert found(fresh) == ["pages/a.md", "pages/b.md"]


@pytest.mark.parametrize("kind", ["missing", "text", "foreign", "cut"])
def test_what_is_no_backup_is_refused_and_changes_nothing(knowledge, tmp_path, kind):
    path = tmp_path / "help.backup"
    knowledge.backup("help", path)
    match kind:
        case "missing":
            path.unlink()
        case "text":
            path.write_text("not a database at all" * 300)
        case "foreign":
            path.unlink()
            sqlite3.connect(path).execute("CREATE TABLE other (x)")
        case "cut":
            path.write_bytes(path.read_bytes()[:-8192])

    with pytest.raises((KnowledgeError, InvalidRequest), match=str(path)):
        knowledge.restore("help", path, replace=True)
    with pytest.raises((KnowledgeError, InvalidRequest)):
        knowledge.restore("copy", path)

    assert found(knowledge) == ["pages/a.md", "pages/b.md"]
    assert knowledge.collections() == ["help"]


def test_a_backup_that_cannot_be_written_leaves_no_trace(knowledge, tmp_path):
    with pytest.raises(HomeNotWritable):
        knowledge.backup("help", tmp_path / "no" / "such" / "help.backup")
    with pytest.raises(InvalidRequest, match="is a folder"):
        knowledge.backup("help", tmp_path)
    with pytest.raises(UnknownCollection):
        knowledge.backup("helps", tmp_path / "help.backup")

    assert not list(tmp_path.glob("*help.backup*"))


def test_a_backup_during_an_add_is_whole(knowledge, tmp_path):
    for number in range(40):
        (tmp_path / "pages" / f"{number}.md").write_text(f"# Page\n\nSome words {number}.\n")
    adding = threading.Thread(target=knowledge.add, args=("help", [tmp_path / "pages"]))
    adding.start()

    sizes = []
    while adding.is_alive():
        knowledge.backup("help", tmp_path / "help.backup")
        sizes.append(knowledge.restore("copy", tmp_path / "help.backup", replace=True).documents)
    adding.join()

    assert set(sizes) <= {3, 43}
