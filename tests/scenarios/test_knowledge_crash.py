"""A real adding process, killed at any moment or out of disk: nothing committed is lost."""

import multiprocessing
import random
import resource
import time
from pathlib import Path

import pytest

from knowledge import KnowledgeBase, publishing
from knowledge.collection import Collection
from knowledge.filters import Filter
from llmasos.errors import HomeNotWritable
from llmasos.request import LOCAL
from llmasos.testing.retrieval import HashingEmbedder

PAGES = 400
KILLS = 50
CHUNKS = 2
"""Of a page."""


@pytest.fixture(scope="module")
def processes():
    """Makes processes that have imported everything already: fifty are started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "tantivy", "faiss"])
    return context


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(PAGES):
        words = f"Word{number} " * 30  # enough for a chunk of its own
        parts = (f"## Part {part}\n\n{words}part{part}.\n\n" for part in range(CHUNKS))
        (folder / f"{number:03}.md").write_text(f"# Page {number}\n\n{''.join(parts)}")
    return folder


def add_each(place: Path, pages: Path, told: Path, limit: int | None = None) -> None:
    """Add pages one at a time, and write down each that is committed. limit: bytes of a file."""
    publishing.LEAST = 20  # a version every few pages: crashes in the middle of one are tried
    with told.open("a", buffering=1) as said:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        base = KnowledgeBase(place, HashingEmbedder(dimension=64))
        try:
            done = len(committed(told))
            for page in sorted(pages.iterdir())[done:]:
                report = base.add("help", [page])
                said.writelines(f"{source}\n" for source in report.added)
        except HomeNotWritable:
            said.write("full\n")


def committed(told: Path) -> set[str]:
    """The pages that were committed for certain; a last line may be cut."""
    lines = told.read_text().splitlines() if told.exists() else []
    return {line for line in lines if line.endswith(".md")}


def check(place: Path, pages: set[str]) -> None:
    """It opens, and everything committed is there and found by both halves of a search."""
    base = KnowledgeBase(place, HashingEmbedder(dimension=64))
    known = {each.source for each in base.documents("help")} if base.collections() else set()
    assert pages <= known
    if known:
        stats = base.stats("help")
        collection = Collection(place / "help")
        with collection.view(LOCAL, Filter()) as view:
            near = view.nearest(HashingEmbedder(dimension=64).embed(["page"])[0], 9_999)
            chunks = view.chunks([hit.row for hit in near])
            matching = view.matching(["page"], 9_999)
        collection.close()
        assert len(near) == len(matching) == stats.chunks == CHUNKS * stats.documents
        assert {each.source for each in chunks} == known
    base.close()


@pytest.mark.timeout(400)
def test_an_adding_process_that_is_killed_fifty_times_loses_nothing_committed(
    tmp_path, pages, processes
):
    place, told = tmp_path / "knowledge", tmp_path / "told"
    chance = random.Random(7)

    for _ in range(KILLS):
        before = len(committed(told))
        adding = processes.Process(target=add_each, args=(place, pages, told))
        adding.start()
        while len(committed(told)) == before and adding.is_alive():
            time.sleep(0.005)  # until it is at work
        time.sleep(chance.uniform(0, 0.15))  # the moment of death is what is tried here
        adding.kill()
        adding.join()
        check(place, committed(told))
    rest = KnowledgeBase(place, HashingEmbedder(dimension=64)).add("help", [pages])

    assert len(rest.added) + len(committed(told)) >= PAGES - KILLS
    assert len(list(place.glob("help/versions/*"))) > 1
    check(place, committed(told))
    assert not list(place.glob("help/versions/*.new"))


def test_a_disk_that_is_full_stops_the_add_and_keeps_what_is_committed(tmp_path, pages, processes):
    place, told = tmp_path / "knowledge", tmp_path / "told"
    adding = processes.Process(target=add_each, args=(place, pages, told, 400_000))
    adding.start()
    adding.join(100)

    assert told.read_text().splitlines()[-1] == "full"
    assert len(committed(told)) > 3
    check(place, committed(told))
    assert not list(place.glob("help/versions/*.new"))
