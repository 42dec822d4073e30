"""Models from the Hub: pulled once, taken up again, pinned, and never another than was stated."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.engine.hub import Hub
from llmasos.engine.library import ModelLibrary
from llmasos.engine.records import recorded
from llmasos.errors import DownloadFailed, GatedModel, NotAModel, WrongHash
from llmasos.testing.hub import COMMIT, HubStandIn

Models = Callable[..., Path]
BIG = os.urandom(1 << 20) * 12
"""Beyond what the Hub's client takes at once, so that a break leaves a part behind."""
PULL = (
    "import sys; from pathlib import Path; from llmasos.engine.library import ModelLibrary;"
    "from llmasos.engine.hub import Hub;"
    "ModelLibrary(Path(sys.argv[1]), Hub(sys.argv[2])).pull('tiny')"
)


def big(models_with: Models, hub: HubStandIn) -> ModelLibrary:
    """A library whose model `tiny` has twelve megabytes."""
    hub.files["tiny.gguf"] = BIG
    digest = hashlib.sha256(BIG).hexdigest()
    folder = models_with("hf:someone/tiny@main", sha256=digest, size=len(BIG))
    return ModelLibrary(folder, Hub(hub.url))


def so_far(library: ModelLibrary) -> int:
    """The bytes that an unfinished pull has left."""
    left = (library.folder / ".partial").rglob("*.incomplete")
    return sum(path.stat().st_size for path in left)


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_a_model_is_pulled_with_progress(
    models_with: Models, hub: HubStandIn, content: bytes
) -> None:
    told: list[tuple[int, int]] = []
    library = ModelLibrary(models_with("hf:someone/tiny@v2"), Hub(hub.url))

    path = library.pull("tiny", lambda done, total: told.append((done, total)))

    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == ["tiny.gguf"]
    assert told[-1] == (len(content), len(content))
    assert all("/someone/tiny/resolve/v2/tiny.gguf" in line for line in hub.seen)


def test_two_processes_at_once_fetch_once(
    models_with: Models, hub: HubStandIn, content: bytes
) -> None:
    folder = models_with("hf:someone/tiny@main")
    command = [sys.executable, "-c", PULL, str(folder), hub.url]

    both = [subprocess.Popen(command) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert ModelLibrary(folder).path("tiny").read_bytes() == content
    assert hub.downloads() == ["HEAD", "GET"]


def test_threads_at_once_fetch_once_and_all_see_how_far_it_is(
    models_with: Models, hub: HubStandIn
) -> None:
    library = big(models_with, hub)
    hub.stall_after = 11 << 20
    told: dict[int, int] = {}

    def pull() -> None:
        library.pull("tiny", lambda done, _: told.update({threading.get_native_id(): done}))

    threads = [threading.Thread(target=pull) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert hub.stalled.wait(30)
    hub.go_on.set()
    for thread in threads:
        thread.join(30)

    assert library.path("tiny").read_bytes() == BIG
    assert hub.downloads() == ["HEAD", "GET"]


def test_a_download_that_broke_off_goes_on_where_it_was(
    models_with: Models, hub: HubStandIn
) -> None:
    library = big(models_with, hub)
    hub.break_after = 11 << 20

    with pytest.raises(DownloadFailed, match="What was fetched so far is kept"):
        library.pull("tiny")
    path = library.pull("tiny")

    assert path.read_bytes() == BIG
    assert hub.ranges == [f"bytes={10 << 20}-"]


def test_a_killed_puller_leaves_its_part_and_no_lock(models_with: Models, hub: HubStandIn) -> None:
    library = big(models_with, hub)
    hub.stall_after = 11 << 20
    command = [sys.executable, "-c", PULL, str(library.folder), hub.url]
    with subprocess.Popen(command) as puller:
        until(lambda: so_far(library) >= 10 << 20)

        puller.send_signal(signal.SIGKILL)
        puller.wait(30)
    hub.go_on.set()

    assert library.pull("tiny").read_bytes() == BIG
    assert len(hub.ranges) == 1


def test_a_first_pull_is_checked_by_what_the_hub_states_and_written_down(
    models_with: Models, hub: HubStandIn, content: bytes
) -> None:
    library = ModelLibrary(models_with("hf:someone/tiny@main", sha256="first-pull"), Hub(hub.url))
    assert library.expected("tiny") is None

    library.pull("tiny")

    first = recorded(library.folder, "tiny@1")
    assert first is not None
    assert first.commit == COMMIT
    assert library.expected("tiny") == {"tiny.gguf": hashlib.sha256(content).hexdigest()}


def test_a_first_pull_that_is_not_what_the_hub_states_is_refused(
    models_with: Models, hub: HubStandIn
) -> None:
    hub.lies = True
    folder = models_with("hf:someone/tiny@main", sha256="first-pull")
    library = ModelLibrary(folder, Hub(hub.url))

    with pytest.raises(WrongHash, match="the Hub says"):
        library.pull("tiny")

    assert not list(folder.rglob("*.gguf"))


def test_what_was_pulled_first_is_held_against_later_pulls(
    models_with: Models, hub: HubStandIn
) -> None:
    folder = models_with("hf:someone/tiny@main", sha256="first-pull")
    library = ModelLibrary(folder, Hub(hub.url))
    library.pull("tiny")
    library.remove("tiny")
    hub.files["tiny.gguf"] = b"GGUF another"

    with pytest.raises(WrongHash, match="the first pull says"):
        library.pull("tiny")

    assert not library.has("tiny")


def test_a_branch_is_fetched_again_at_the_commit_of_the_first_pull(
    models_with: Models, hub: HubStandIn
) -> None:
    folder = models_with("hf:someone/tiny@main", sha256="first-pull")
    library = ModelLibrary(folder, Hub(hub.url))
    library.pull("tiny")
    library.remove("tiny")
    hub.seen.clear()

    library.pull("tiny")

    assert hub.seen[0] == f"GET /api/models/someone/tiny/revision/{COMMIT}"
    assert all(f"/resolve/{COMMIT}/" in line for line in hub.seen[1:])


def test_patterns_fetch_what_fits_and_nothing_from_deeper_folders(
    models_with: Models, hub: HubStandIn
) -> None:
    hub.files |= {"config.json": b"{}", "onnx/config.json": b"{}", "weights.bin": b"x"}
    folder = models_with("hf:someone/tiny@main", sha256="first-pull", patterns=["*.json"])

    path = ModelLibrary(folder, Hub(hub.url)).pull("tiny")

    assert sorted(each.name for each in path.parent.iterdir()) == ["config.json", "tiny.gguf"]


def test_a_repository_cannot_write_outside_its_folder(
    models_with: Models, hub: HubStandIn, tmp_path: Path
) -> None:
    hub.files["../../evil.json"] = b"{}"
    folder = models_with("hf:someone/tiny@main", sha256="first-pull", patterns=["*.json"])

    with pytest.raises(DownloadFailed, match="outside its folder"):
        ModelLibrary(folder, Hub(hub.url)).pull("tiny")


def test_a_gated_model_says_what_to_accept_and_which_setting(
    models_with: Models, hub: HubStandIn
) -> None:
    hub.gated = True
    folder = models_with("hf:someone/tiny@main")

    with pytest.raises(GatedModel, match=r"huggingface\.co/someone/tiny.*hub\.token"):
        ModelLibrary(folder, Hub(hub.url)).pull("tiny")
    with pytest.raises(GatedModel, match="the token's owner has no access"):
        ModelLibrary(folder, Hub(hub.url, "hf_bad")).pull("tiny")

    assert ModelLibrary(folder, Hub(hub.url, "hf_good")).pull("tiny").is_file()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("hf:someone/missing@main", "no repository 'someone/missing'"),
        ("hf:someone/tiny@gone", "no revision 'gone'"),
    ],
)
def test_what_the_hub_does_not_have_is_named(
    models_with: Models, hub: HubStandIn, source: str, reason: str
) -> None:
    library = ModelLibrary(models_with(source, sha256="first-pull"), Hub(hub.url))

    with pytest.raises(DownloadFailed, match=reason):
        library.pull("tiny")


def test_a_hub_out_of_reach_says_what_can_be_done(models_with: Models, hub: HubStandIn) -> None:
    folder = models_with("hf:someone/tiny@main", sha256="first-pull")
    url = hub.url
    hub.__exit__()

    with pytest.raises(DownloadFailed, match=r"cannot be reached.*hub\.url.*copy"):
        ModelLibrary(folder, Hub(url)).pull("tiny")


def test_a_damaged_record_trusts_nothing(models_with: Models, hub: HubStandIn) -> None:
    folder = models_with("hf:someone/tiny@main", sha256="first-pull")
    library = ModelLibrary(folder, Hub(hub.url))
    library.pull("tiny")
    (folder / ".records" / "tiny@1.json").write_text("{")

    with pytest.raises(NotAModel, match=r"tiny@1\.json.*damaged"):
        library.pull("tiny")
