"""Mirroring: what is gone from a source goes, what moved keeps its vectors, the rest stays."""

import os
import shutil

import pytest

from knowledge import KnowledgeBase
from knowledge.mirroring import SyncOptions
from llmasos.errors import InvalidRequest
from llmasos.settings import KnowledgeSettings
from llmasos.testing.retrieval import HashingEmbedder


@pytest.fixture
def docs(write, tmp_path):
    for name in ("a", "b", "c"):
        write(f"docs/{name}.md", f"# Page {name}\n\nThese are the words of {name}.\n")
    return tmp_path / "docs"


@pytest.fixture
def embedder():
    return HashingEmbedder()


@pytest.fixture
def knowledge(tmp_path, embedder):
    base = KnowledgeBase(tmp_path / "knowledge", embedder)
    yield base
    base.close()


def sources(knowledge):
    return [each.source for each in knowledge.documents("help")]


def test_a_mirror_follows_what_is_added_changed_moved_and_removed(knowledge, docs, write, embedder):
    knowledge.sync("help", [docs])
    embedder.embedded = 0
    write("docs/new.md", "# New\n\nBrand new words.\n")
    write("docs/a.md", "# Page a\n\nOther words.\n")
    (docs / "deep").mkdir()
    (docs / "b.md").rename(docs / "deep" / "renamed.md")
    (docs / "c.md").unlink()

    report = knowledge.sync("help")

    assert report.added == ["docs/new.md"]
    assert report.changed == ["docs/a.md"]
    assert report.moved == {"docs/deep/renamed.md": "docs/b.md"}
    assert report.removed == ["docs/c.md"]
    assert embedder.embedded == 2
    assert sources(knowledge) == ["docs/a.md", "docs/deep/renamed.md", "docs/new.md"]


def test_a_dry_run_says_the_same_and_does_nothing(knowledge, docs, write, embedder):
    knowledge.sync("help", [docs])
    before, embedder.embedded = knowledge.stats("help").version, 0
    write("docs/new.md", "# New\n\nBrand new words.\n")
    (docs / "b.md").rename(docs / "renamed.md")
    (docs / "c.md").unlink()

    tried = knowledge.sync("help", options=SyncOptions(dry_run=True))

    assert (knowledge.stats("help").version, embedder.embedded) == (before, 0)
    assert tried == knowledge.sync("help")


def test_what_came_from_elsewhere_is_left_alone(knowledge, docs, write):
    other = write("other/docs.md", "# Other\n\nFrom elsewhere.\n")
    knowledge.add("help", [other])
    knowledge.upload("help", {"sent.md": b"# Sent\n\nBy somebody.\n"})
    knowledge.sync("help", [docs])
    other.unlink()

    report = knowledge.sync("help")

    assert report.removed == []
    assert {"docs.md", "sent.md"} < set(sources(knowledge))


@pytest.mark.parametrize("emptied", [True, False], ids=["empty", "gone"])
def test_a_source_that_vanished_removes_nothing_unless_that_is_wanted(knowledge, docs, emptied):
    knowledge.sync("help", [docs])
    shutil.rmtree(docs)
    if emptied:
        docs.mkdir()

    kept = knowledge.sync("help")
    left = sources(knowledge)
    followed = knowledge.sync("help", options=SyncOptions(allow_empty=True))

    assert "its 3 documents stay" in kept.failed[-1].reason
    assert (kept.removed, len(left)) == ([], 3)
    assert len(followed.removed) == 3
    assert sources(knowledge) == []


def test_a_folder_that_cannot_be_searched_loses_nothing(knowledge, docs, write, monkeypatch):
    write("docs/closed/d.md", "# D\n\nThese are more words.\n")
    knowledge.sync("help", [docs])
    (docs / "a.md").unlink()
    scan = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    report = knowledge.sync("help")

    assert report.removed == ["docs/a.md"]
    assert [each.reason for each in report.failed] == ["Permission denied"]


def test_a_file_that_cannot_be_read_any_more_stays_as_it_was(knowledge, docs):
    knowledge.sync("help", [docs])
    (docs / "a.md").write_bytes(b"\x00\x01")

    report = knowledge.sync("help")

    assert [each.reason for each in report.failed] == ["it is a binary file, not text"]
    assert len(sources(knowledge)) == 3


def test_a_renamed_text_whose_title_was_its_name_is_read_again(knowledge, write, tmp_path):
    path = write("docs/refund-policy.txt", "Money comes back within fourteen days.")
    knowledge.sync("help", [tmp_path / "docs"])
    path.rename(path.with_name("terms.txt"))

    report = knowledge.sync("help")

    assert (report.added, report.removed) == (["docs/terms.txt"], ["docs/refund-policy.txt"])
    assert knowledge.documents("help")[0].title == "terms"


def test_a_collection_without_sources_says_how_to_name_one(knowledge, docs):
    knowledge.add("help", [docs])

    with pytest.raises(InvalidRequest, match="llmasos knowledge sync help SOURCE"):
        knowledge.sync("help")


def test_another_size_of_chunks_cuts_everything_again(knowledge, docs, tmp_path, embedder):
    knowledge.sync("help", [docs])
    other = KnowledgeBase(tmp_path / "knowledge", embedder, KnowledgeSettings(chunk_overlap=10))

    assert len(other.sync("help").changed) == 3
    assert len(other.sync("help").unchanged) == 3


def test_an_upload_takes_the_place_of_the_one_before_it(knowledge):
    first = knowledge.upload("help", {"faq/a.md": b"# A\n\nOld words.\n", "b.pdf": b"no pdf"})
    second = knowledge.upload("help", {"faq/a.md": b"# A\n\nNew words.\n"})

    assert (first.added, [each.source for each in first.failed]) == (["faq/a.md"], ["upload:b.pdf"])
    assert (second.changed, sources(knowledge)) == (["faq/a.md"], ["faq/a.md"])


def test_sources_are_remembered_listed_and_forgotten(knowledge, docs, write):
    notes = write("notes.md", "# Notes\n\nThese are words.\n")

    knowledge.remember("help", [docs, notes])
    before = sources(knowledge)
    knowledge.sync("help")
    left = knowledge.forget("help", [str(notes)])
    notes.unlink()
    report = knowledge.sync("help")

    assert before == []
    assert left == knowledge.sources("help") == [str(docs)]
    assert report.removed == []
    assert "notes.md" in sources(knowledge)


def test_a_source_that_leads_nowhere_is_not_remembered(knowledge, docs):
    with pytest.raises(InvalidRequest, match="no file or folder"):
        knowledge.remember("help", [docs / "nowhere"])
    knowledge.remember("help", [docs / "*.md"])
    with pytest.raises(InvalidRequest, match="mirrors no source"):
        knowledge.forget("help", [str(docs)])


def test_what_hears_of_the_progress_can_end_the_work(knowledge, docs):
    def stop(progress):
        raise RuntimeError(progress.source)

    with pytest.raises(RuntimeError, match=r"docs/a\.md"):
        knowledge.sync("help", [docs], progress=stop)

    assert knowledge.sync("help", [docs]).added == ["docs/a.md", "docs/b.md", "docs/c.md"]
