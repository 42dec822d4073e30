"""Reading apart: what a hostile document, or a bad loader, costs is one document."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from knowledge.loaders import loaders_by_suffix
from knowledge.reader import Reader
from llmasos.errors import SettingsError, UnreadableDocument
from llmasos.settings import KnowledgeSettings

PLUGIN = """
    import os, time
    from pathlib import Path
    from knowledge import Document, Limits, Loader
    from llmasos.errors import UnreadableDocument

    def load(path: Path, limits: Limits) -> Document:
        word = path.read_text()
        if word == "sleep": time.sleep(600)
        if word == "spin":
            while True: pass
        if word == "grow": _ = "x" * 10**12
        if word == "die": os._exit(3)
        if word == "raise": raise RuntimeError("no")
        if word == "print": print("noise on standard output")
        if word == "write": Path(path.parent, "big").write_bytes(b"x" * 2_000_000)
        if word == "environment": word = repr(dict(os.environ))
        if word == "refuse": raise UnreadableDocument(path.name, "it says no")
        return Document(title="A toy", text=word, anchors=((0, "top"),))

    loader = Loader(suffixes=(".toy",), load=load)
"""
SETTINGS = KnowledgeSettings(parse_seconds=3.0, max_unpacked_bytes=1_000_000)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's loader, as an installer leaves it."""
    site = tmp_path / "site"
    metadata = site / "llmasos_toy-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "llmasos_toy.py").write_text(textwrap.dedent(PLUGIN))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: llmasos-toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[llmasos.loaders]\ntoy = llmasos_toy:loader\n")
    monkeypatch.syspath_prepend(str(site))


@pytest.fixture
def reader(plugin):
    with Reader(loaders_by_suffix(), SETTINGS) as made:
        yield made


def test_a_third_partys_loader_is_found_and_read_with(reader, write):
    document = reader.read(write("a.toy", "print"))

    assert (document.title, document.text, document.anchors) == ("A toy", "print", ((0, "top"),))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sleep", "takes more than 3 seconds"),
        ("spin", "takes more than 3 seconds"),
        ("grow", "takes more memory"),
        ("die", "its reader died of it"),
        ("raise", "RuntimeError"),
        ("write", "File too large"),
        ("refuse", "it says no"),
    ],
)
def test_a_document_that_does_harm_fails_and_the_next_is_read(reader, write, word, said):
    with pytest.raises(UnreadableDocument, match=said):
        reader.read(write("bad.toy", word))

    assert reader.read(write("good.toy", "fine")).text == "fine"


def test_the_reading_process_has_no_secrets_and_ends(reader, write, monkeypatch):
    monkeypatch.setenv("SLACK_TOKEN", "sesame")

    assert "sesame" not in reader.read(write("a.toy", "environment")).text
    child = reader._child.pid
    reader.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_two_loaders_of_one_ending_are_a_mistake_that_is_named(plugin, tmp_path, monkeypatch):
    module = tmp_path / "site" / "llmasos_toy.py"
    module.write_text(module.read_text().replace(".toy", ".md"))
    monkeypatch.delitem(sys.modules, "llmasos_toy", raising=False)

    with pytest.raises(SettingsError, match=r"llmasos\.loaders\.toy = \.md"):
        loaders_by_suffix()
