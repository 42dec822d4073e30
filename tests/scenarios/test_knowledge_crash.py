"""A real adding process, killed at any moment or out of disk: nothing committed is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from knowledge import KnowledgeBase
from llmasos.request import LOCAL
from llmasos.testing.retrieval import HashingEmbedder

PAGES = 60
ADDING = """
import sys
from pathlib import Path
from knowledge import KnowledgeBase
from llmasos.testing.retrieval import HashingEmbedder

base = KnowledgeBase(Path(sys.argv[1]), HashingEmbedder(dimension=384))
for page in sorted(Path(sys.argv[2]).iterdir()):
    report = base.add("help", [page])
    print(*report.added, *report.unchanged, flush=True)
print("done", flush=True)
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
"""


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(PAGES):
        text = "".join(f"## Part {part}\n\nWord{number} part{part}.\n\n" for part in range(10))
        (folder / f"{number:03}.md").write_text(f"# Page {number}\n\n{text}")
    return folder


def start(place: Path, pages: Path, script: str = ADDING) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(place), str(pages)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check(place: Path, committed: set[str]) -> None:
    """Everything committed is there and found, by the index that is on disk."""
    base = KnowledgeBase(place, HashingEmbedder(dimension=384))
    known = {each.source for each in base.documents("help")}
    assert committed <= known
    stats = base.stats("help")
    found = base.search("page part", collections=["help"], principal=LOCAL, k=1000)
    base.close()
    assert len(found) == min(1000, stats.chunks) == min(1000, 10 * stats.documents)
    assert [path.name.split(".")[0] for path in place.glob("help/*.faiss")].count(
        stats.version
    ) == 1


def test_an_adding_process_that_is_killed_at_random_loses_nothing_committed(tmp_path, pages):
    place = tmp_path / "knowledge"
    committed: set[str] = set()
    chance = random.Random(7)

    for _ in range(4):
        adding = start(place, pages)
        assert adding.stdout
        committed.add(adding.stdout.readline().strip())
        time.sleep(chance.uniform(0, 0.25))  # the moment of death is what is tried here
        adding.send_signal(signal.SIGKILL)
        rest, _ = adding.communicate()
        committed.update(line for line in rest.splitlines(keepends=False) if line.endswith(".md"))
        check(place, committed)
    finishing = start(place, pages)
    said, errors = finishing.communicate(timeout=100)

    assert said.endswith("done\n"), errors
    check(place, {f"{number:03}.md" for number in range(PAGES)})


def test_a_disk_that_is_full_stops_the_add_and_keeps_what_is_committed(tmp_path, pages):
    place = tmp_path / "knowledge"
    adding = start(place, pages, LIMITED + ADDING)

    said, errors = adding.communicate(timeout=100)

    assert "HomeNotWritable" in errors.splitlines()[-1]
    committed = set(said.split())
    assert len(committed) > 3
    check(place, committed)
    assert len(list((place / "help").glob("*.faiss*"))) == 1
