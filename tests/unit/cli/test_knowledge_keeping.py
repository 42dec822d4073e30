"""`llmasos knowledge versions`, `rollback`, `backup`, `restore` and `readers`."""

import json

import pytest
from typer.testing import CliRunner

from integrations.cli.main import build
from knowledge import KnowledgeBase
from llmasos.testing.retrieval import HashingEmbedder


@pytest.fixture
def llmasos(make_settings, tmp_path, monkeypatch):
    """Runs `llmasos knowledge …` in a home with a collection `help` of two pages."""
    settings = make_settings("")
    monkeypatch.chdir(tmp_path)
    base = KnowledgeBase(settings.knowledge_dir, HashingEmbedder(settings.embedding.model))
    for name in ("a", "pay"):
        (tmp_path / f"{name}.md").write_text(f"# Page\n\nSome words of {name}.\n")
    base.add("help", [tmp_path / "a.md"])
    base.add("help", [tmp_path / "pay.md"])

    def run(*words):
        return CliRunner().invoke(build("knowledge"), ["knowledge", *words])

    return run


def documents(llmasos, collection="help"):
    listed = json.loads(llmasos("list", collection, "--json").stdout)
    return [each["source"] for each in listed]


def test_a_collection_is_rolled_back_to_its_last_version(llmasos):
    listed = json.loads(llmasos("versions", "help", "--json").stdout)

    undone = llmasos("rollback", "help")

    assert undone.stdout == f"help: 1 documents, 1 chunks, version {listed[0]['name']}\n"
    assert documents(llmasos) == ["a.md"]
    assert listed[0]["name"] in llmasos("versions", "help").stdout


def test_a_collection_is_backed_up_and_restored_under_another_name(llmasos, tmp_path):
    saved = llmasos("backup", "help", "help.backup")
    restored = llmasos("restore", "copy", "help.backup")
    refused = llmasos("restore", "help", "help.backup")
    replaced = llmasos("restore", "help", "help.backup", "--replace")

    assert f"{(tmp_path / 'help.backup').stat().st_size:,} bytes" in saved.stdout
    assert restored.exit_code == replaced.exit_code == 0
    assert "already" in str(refused.exception)
    assert documents(llmasos, "copy") == ["a.md", "pay.md"]


def test_readers_are_set_and_shown(llmasos):
    llmasos("readers", "help", "group:staff", "team:T1")
    llmasos("readers", "help", "group:hr", "--document", "pay.md")

    shown = json.loads(llmasos("readers", "help", "--json").stdout)
    assert shown == {
        "readers": ["group:staff", "team:T1"],
        "documents": {"pay.md": ["group:hr"]},
    }

    told = llmasos("readers", "help", "--document", "pay.md", "--inherit")
    assert told.stdout.startswith("help: 1 documents set")
    assert "pay.md" not in llmasos("readers", "help").stdout


def test_what_makes_no_sense_is_refused(llmasos):
    for words in (["help", "group:"], ["help", "x", "--inherit"], ["help", "--inherit"]):
        assert llmasos("readers", *words).exit_code == 1
    assert "No version" in str(llmasos("rollback", "help", "no-such").exception)


def test_the_figures_of_a_collection_are_told(llmasos):
    plain = json.loads(llmasos("stats", "help", "--json").stdout)

    assert (plain["documents"], plain["index"], plain["recall"]) == (2, "flat", 1.0)
    assert "documents\t2\n" in llmasos("stats", "help").stdout
