"""Models of one's own: an entry made of what the files say, and a file that stays readable."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from llmasos.engine.additions import Wish, drop, entry_of_path, entry_on_hub, write
from llmasos.engine.catalogue import load
from llmasos.engine.gguf import read_head
from llmasos.engine.hub import Hub
from llmasos.engine.library import ModelLibrary
from llmasos.errors import EntryRefused, NotAModel
from llmasos.testing.hub import COMMIT, HubStandIn


def text(value: str) -> bytes:
    """A text as GGUF writes it."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(**said: Any) -> bytes:
    """The head of a GGUF file of the architecture `llama`."""
    keys: dict[str, Any] = {"general.architecture": "llama", **said}
    body = b""
    for key, value in keys.items():
        if isinstance(value, str):
            body += text(key) + struct.pack("<I", 8) + text(value)
        elif isinstance(value, list):
            body += text(key) + struct.pack("<IIQ", 9, 8, len(value))
            body += b"".join(text(each) for each in value)
        else:
            body += text(key) + struct.pack("<II", 4, value)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + body


WHOLE = gguf(
    **{
        "llama.context_length": 4096,
        "general.license": "mit",
        "tokenizer.ggml.tokens": ["a", "b"],
        "tokenizer.chat_template": "{{ messages }}",
    }
)


def test_a_gguf_file_says_itself_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "My Model.Q4.gguf"
    path.write_bytes(WHOLE)

    entry = entry_of_path(path, Wish())

    digest = hashlib.sha256(WHOLE).hexdigest()
    assert (entry.name, entry.context, entry.licence) == ("my-model.q4", 4096, "mit")
    assert (entry.template, entry.revision) == ("gguf", digest[:12])
    assert entry.files == {path.name: digest}


def test_what_is_added_can_be_pulled_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(WHOLE)
    home = tmp_path / "home"
    home.mkdir()
    (home / "models.toml").write_text("# written by hand\n[aliases]\n")

    write(home, entry_of_path(path, Wish(name="mine")))

    assert ModelLibrary(home / "models").pull("mine").read_bytes() == WHOLE
    assert (home / "models.toml").read_text().startswith("# written by hand\n")


def test_the_same_revision_is_not_added_twice(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(WHOLE)
    entry = entry_of_path(path, Wish())
    write(tmp_path, entry)

    with pytest.raises(EntryRefused, match=r"is in .*models\.toml already"):
        write(tmp_path, entry)


def test_an_entry_is_taken_out_and_the_others_stay_as_they_were(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(WHOLE)
        write(tmp_path, entry_of_path(path, Wish()))
    address = load(tmp_path / "models.toml").find("two").address

    assert drop(tmp_path, address)

    known = load(tmp_path / "models.toml").names()
    assert "two" not in known
    assert {"one", "three"} <= set(known)
    assert not drop(tmp_path, address)


def test_a_folder_of_an_embedder_is_told_from_one_that_generates(tmp_path: Path) -> None:
    folder = tmp_path / "embedder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    before = entry_of_path(folder, Wish())
    (folder / "modules.json").write_text("[]")

    after = entry_of_path(folder, Wish())

    assert (before.kind, before.context, before.template) == ("generation", 512, "tokenizer")
    assert (after.kind, after.template) == ("embedding", "none")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04", "does not begin with 'GGUF'"),
        (WHOLE[:40], "ends too early or is damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "format is GGUF 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 50), "damaged"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1),
            "damaged",
        ),
    ],
)
def test_a_damaged_file_is_no_model(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)

    with pytest.raises(NotAModel, match=reason):
        read_head(path)


def test_what_no_file_says_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())

    with pytest.raises(EntryRefused, match="give --context"):
        entry_of_path(path, Wish())

    assert entry_of_path(path, Wish(context=2048)).context == 2048


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.gguf", "there is no"), ("model.bin", r"give a \.gguf file")]
)
def test_a_path_without_a_model_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")

    with pytest.raises(EntryRefused, match=reason):
        entry_of_path(tmp_path / name, Wish())


def test_a_repository_is_pinned_to_its_commit_and_its_files(hub: HubStandIn) -> None:
    hub.gguf, hub.card = {"context_length": 8192}, {"license": "apache-2.0"}

    entry = entry_on_hub("hf:someone/Tiny-GGUF", Wish(), Hub(hub.url))

    assert entry.source == f"hf:someone/Tiny-GGUF@{COMMIT}"
    assert (entry.name, entry.licence, entry.context) == ("tiny", "apache-2.0", 8192)
    assert entry.checked_by == "catalogue"


def test_a_repository_of_many_files_asks_which(hub: HubStandIn) -> None:
    hub.gguf = {"context_length": 8192}
    hub.files["tiny-q8.gguf"] = b"GGUF other"

    with pytest.raises(EntryRefused, match=r"holds 2 GGUF files .*choose with --file"):
        entry_on_hub("hf:someone/tiny", Wish(), Hub(hub.url))
    entry = entry_on_hub("hf:someone/tiny", Wish(files=("*q8*",)), Hub(hub.url))

    assert list(entry.files) == ["tiny-q8.gguf"]


def test_small_files_of_a_repository_are_trusted_at_the_first_pull(
    hub: HubStandIn, tmp_path: Path
) -> None:
    hub.files = {"model.safetensors": b"weights", "config.json": b"{}"}
    entry = entry_on_hub("hf:someone/tiny", Wish(context=64), Hub(hub.url))
    write(tmp_path, entry)

    library = ModelLibrary(tmp_path / "models", Hub(hub.url))
    library.pull("tiny")

    assert entry.files["config.json"] == "first-pull"
    assert entry.checked_by == "first pull"
    assert library.expected("tiny") == {
        name: hashlib.sha256(content).hexdigest() for name, content in hub.files.items()
    }


def test_what_is_no_repository_is_refused(hub: HubStandIn) -> None:
    with pytest.raises(EntryRefused, match="give hf:ORG/REPO"):
        entry_on_hub("hf:tiny", Wish(), Hub(hub.url))
