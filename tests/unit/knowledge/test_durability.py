"""What is on disk: damage is noticed, derived files come again, failed writes leave no trace."""

import os
import shutil
import threading

import pytest

from knowledge import KnowledgeBase
from knowledge.chunking import Chunk
from knowledge.folders import locked
from knowledge.records import Entry
from llmasos.errors import HomeNotWritable, KnowledgeError, StoreDamaged
from llmasos.request import LOCAL
from llmasos.testing.retrieval import HashingEmbedder


@pytest.fixture
def place(tmp_path):
    return tmp_path / "knowledge"


@pytest.fixture
def page(tmp_path):
    def write(name, text):
        path = tmp_path / "pages" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def filled(place, page):
    """A closed collection with one page."""
    base = KnowledgeBase(place, HashingEmbedder())
    base.add("help", [page("refunds.md", "# Refunds\n\nWithin fourteen days.\n")])
    base.close()
    return place / "help"


def found(place, query="fourteen days", k=9):
    base = KnowledgeBase(place, HashingEmbedder())
    passages = base.search(query, collections=["help"], principal=LOCAL, k=k)
    base.close()
    return [each.text for each in passages]


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def damage_flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def damage_remove(path):
    path.unlink()


def version_of(folder):
    (version,) = (folder / "versions").iterdir()
    return version


@pytest.mark.parametrize(
    "name", ["vectors.faiss", "ids.npy", "keywords/meta.json", "manifest.json"]
)
@pytest.mark.parametrize(
    "damage", [damage_truncate, damage_flip, damage_remove], ids=lambda d: d.__name__
)
def test_a_version_that_is_damaged_is_made_again(place, filled, damage, name):
    before = version_of(filled)
    damage(before / name)

    assert found(place) == ["Within fourteen days."]
    assert version_of(filled) != before or name == "manifest.json"
    assert found(place) == ["Within fourteen days."]


def test_a_version_of_another_collection_is_not_used(place, filled, tmp_path):
    other = KnowledgeBase(tmp_path / "other", HashingEmbedder(dimension=8))
    other.add("help", [tmp_path / "pages"])
    own = version_of(filled)
    shutil.rmtree(own)
    shutil.copytree(version_of(tmp_path / "other" / "help"), own)

    assert found(place) == ["Within fourteen days."]


def test_damage_where_nothing_can_be_written_is_no_reason_to_find_nothing(place, filled):
    damage_flip(version_of(filled) / "vectors.faiss")

    with locked(filled):  # another process is writing
        assert found(place) == ["Within fourteen days."]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database" * 500),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40_000),
    ],
    ids=["replaced", "emptied", "overwritten"],
)
def test_a_damaged_store_is_named_with_what_to_do(place, filled, damage):
    damage(filled / "store.db")

    with pytest.raises(StoreDamaged, match="knowledge restore help FILE --replace"):
        found(place)


def test_a_folder_without_its_store_is_damaged_and_not_filled_anew(place, filled, page):
    (filled / "store.db").unlink()

    with pytest.raises(StoreDamaged, match="missing"):
        KnowledgeBase(place, HashingEmbedder()).add("help", [page("new.md", "# New\n\nBrand.\n")])


def test_rebuild_finds_damage_that_a_search_does_not_meet(place, filled):
    store = filled / "store.db"
    data = bytearray(store.read_bytes())
    data[4096 * 2 : 4096 * 3] = b"\xee" * 4096
    store.write_bytes(data)

    with pytest.raises(StoreDamaged):
        KnowledgeBase(place, HashingEmbedder()).rebuild("help")


def test_a_reader_sees_a_new_version_at_its_next_search(place, filled, page):
    reader = KnowledgeBase(place, HashingEmbedder())
    reader.search("x", collections=["help"], principal=LOCAL)

    KnowledgeBase(place, HashingEmbedder()).add("help", [page("new.md", "# New\n\nBrand new.\n")])

    (first,) = reader.search("brand new", collections=["help"], principal=LOCAL, k=1)
    assert first.text == "Brand new."


def full(descriptor):
    raise OSError(28, "No space left on device")


def test_no_room_for_a_new_version_leaves_the_old_one_and_what_was_added(
    place, filled, page, monkeypatch
):
    before = version_of(filled)
    base = KnowledgeBase(place, HashingEmbedder())
    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr("knowledge.publishing.LEAST", 0)

    base.add("help", [page("new.md", "# New\n\nBrand new.\n")])

    assert found(place, "brand new")[0] == "Brand new."
    assert version_of(filled) == before
    with pytest.raises(HomeNotWritable, match="No space left on device"):
        base.rebuild("help")


def test_a_home_that_is_no_folder_is_named(tmp_path, page):
    (tmp_path / "file").write_text("")

    with pytest.raises(HomeNotWritable, match=str(tmp_path / "file")):
        KnowledgeBase(tmp_path / "file", HashingEmbedder()).add(
            "help", [page("a.md", "# A\n\nB.\n")]
        )


def test_a_second_writer_waits_and_then_says_so(place, filled):
    with (
        locked(filled),
        pytest.raises(KnowledgeError, match="Another process has been writing"),
        locked(filled, patience=0.1),
    ):
        pytest.fail("two writers at once")


def test_threads_search_while_another_adds(place, filled, page):
    base = KnowledgeBase(place, HashingEmbedder())
    stop, failures, searched = threading.Event(), [], []

    def search():
        while not stop.is_set():
            try:
                hits = base.search("fourteen days", collections=["help"], principal=LOCAL, k=3)
                searched.append(hits[0].text)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
                failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        base.add("help", [page(f"{number}.md", f"# Page {number}\n\nSome words {number}.\n")])
    base.remove("help", ["0.md", "1.md"])
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert set(searched) == {"Within fourteen days."}
    assert base.stats("help").documents == 19


def test_storing_a_document_costs_the_same_however_many_there_are(shelf):
    steps = []
    made = shelf()
    for first in (0, 1_000):
        made.put({f"{n}.md": f"page {n}" for n in range(first, first + 999)})
        with locked(made.collection.folder), made.collection.store.write() as draft:
            steps.append(0)

            def count():
                steps[-1] += 1

            draft._connection.set_progress_handler(count, 1)
            draft.remove("nothing.md")
            chunk = Chunk("", "", "one more", 0, 8)
            entry = Entry(f"new-{first}.md", f"/new-{first}", "", "0", 1, [chunk], 1)
            draft.put(entry, HashingEmbedder(dimension=32).embed([chunk.embedded]))

    assert steps[1] < 1.2 * steps[0]
