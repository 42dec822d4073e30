"""Knowledge through its front door, with the real embedded model."""

import json
import os
import subprocess
import sys

import pytest

from knowledge import HttpEmbedder, KnowledgeBase, Server
from llmasos.request import LOCAL

PAGES = {
    "retention.md": """# Message retention policy

Organization owners can have messages deleted automatically once they are older than a number of
days that they choose for the whole organization or for single channels.

## How it works

Retention policies are processed in a daily job; so changes in the policy won't have any effect
until the next time the daily job runs.
""",
    "billing.html": """<h1>Billing</h1><p>For an organization with ten other users, fifty guests are
included at no extra charge; every further guest costs as much as a user does
each month.</p><h2 id="free">Free plan</h2><p>Only the most recent 10,000 messages
can be searched. Older messages are still stored.</p>""",
    "themes.txt": "You can switch between a dark and a light theme in the settings.",
}
QUESTIONS = [
    ("When will my change of the retention policy take effect?", "retention.md#how-it-works"),
    ("How many recent messages can be searched without paying?", "billing.html#free"),
    ("How do I turn on night mode?", "themes.txt"),
]


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def llmasos(home, tmp_path):
    """Runs the command line in a folder and a home of its own."""

    def run(*words, **environment):
        plain = {key: text for key, text in os.environ.items() if not key.startswith("LLMASOS_")}
        return subprocess.run(
            [sys.executable, "-m", "integrations.cli.main", "knowledge", *map(str, words)],
            env={**plain, "LLMASOS_HOME": str(home), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


@pytest.fixture
def knowledge(engine, tmp_path):
    embedder = HttpEmbedder(lambda: Server(engine.url, engine.key), "all-minilm-l6-v2")
    base = KnowledgeBase(tmp_path / "knowledge", embedder)
    yield base
    base.close()
    embedder.close()


def test_questions_find_the_section_that_answers_them(knowledge, docs):
    knowledge.add("help", [docs])

    found = [
        knowledge.search(question, collections=["help"], principal=LOCAL, k=1)[0].source
        for question, _ in QUESTIONS
    ]

    assert found == [f"docs/{source}" for _, source in QUESTIONS]
    assert knowledge.stats("help").dimension == 384


def test_the_command_line_adds_finds_lists_and_removes(engine, docs, llmasos):
    (docs / "broken.pdf").write_text("no pdf")
    at = {"LLMASOS_EMBEDDING__URL": engine.url, "LLMASOS_EMBEDDING__API_KEY": engine.key}

    added = llmasos("add", "help", docs, **at)
    found = llmasos("search", "help", QUESTIONS[0][0], "-k", "2", "--json", **at)
    listed = llmasos("list", "--json")
    removed = llmasos("remove", "help", "docs/themes.txt")
    documents = llmasos("list", "help", "--json")

    assert (added.returncode, added.stdout) == (0, "help: 3 added, 1 failed\n"), added.stderr
    assert "broken.pdf: it is not a sound PDF" in added.stderr
    passages = json.loads(found.stdout)["passages"]
    assert [passages[0]["source"], len(passages)] == ["docs/retention.md#how-it-works", 2]
    assert PAGES["retention.md"][slice(*passages[0]["span"])] == passages[0]["text"]
    assert [each["collection"] for each in json.loads(listed.stdout)] == ["help"]
    assert removed.returncode == 0
    assert [each["source"] for each in json.loads(documents.stdout)] == [
        "docs/billing.html",
        "docs/retention.md",
    ]


def test_the_command_line_mirrors_a_folder(engine, docs, llmasos):
    at = {"LLMASOS_EMBEDDING__URL": engine.url, "LLMASOS_EMBEDDING__API_KEY": engine.key}
    made = llmasos("sync", "help", docs, **at)
    (docs / "themes.txt").unlink()
    (docs / "billing.html").rename(docs / "prices.html")

    tried = llmasos("sync", "help", "--dry-run", **at)
    followed = llmasos("sync", "help", "--json", **at)

    assert (made.returncode, made.stdout) == (0, "help: 3 added\n"), made.stderr
    assert "moved: docs/billing.html -> docs/prices.html" in tried.stdout.splitlines()
    assert tried.stdout.endswith("help: 1 unchanged, 1 moved, 1 removed\n")
    assert json.loads(followed.stdout)["removed"] == ["docs/themes.txt"]


def test_the_command_line_measures_a_collection_compares_and_calibrates(
    engine, docs, llmasos, tmp_path
):
    at = {"LLMASOS_EMBEDDING__URL": engine.url, "LLMASOS_EMBEDDING__API_KEY": engine.key}
    llmasos("add", "help", docs, **at)
    pages = [(query, f"docs/{source.partition('#')[0]}") for query, source in QUESTIONS]
    asked = [{"query": query, "relevant": [page]} for query, page in pages]
    asked.append({"query": "Do you have an office in Oslo?", "answerable": False})
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(f"{json.dumps(each)}\n" for each in asked))
    measure = ("evaluate", "help", "--queries", queries)

    first = llmasos(*measure, "--save", tmp_path / "first.json", **at)
    files = ("--compare", tmp_path / "first.json", "--html", tmp_path / "page.html")
    second = llmasos(*measure, "--calibrate", "--per-query", "--json", *files, **at)

    assert first.returncode == 0, first.stderr
    assert "hit rate@5" in first.stdout
    run = json.loads(second.stdout)
    assert (run["queries"], run["hit"], len(run["outcomes"])) == (4, 1.0, 4)
    assert {each["measure"] for each in run["comparisons"]} == {"ndcg", "recall", "mrr", "hit"}
    assert "calibrated on 7 cases" in second.stderr
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_the_command_line_says_what_was_wrong_and_exits_so(engine, docs, llmasos):
    (docs / "broken.pdf").write_text("no pdf")
    at = {"LLMASOS_EMBEDDING__URL": engine.url, "LLMASOS_EMBEDDING__API_KEY": engine.key}
    llmasos("add", "help", docs / "themes.txt", **at)

    nothing_added = llmasos("add", "help", docs / "broken.pdf", **at)
    unknown = llmasos("search", "hepl", "night mode", **at)
    wrong_key = llmasos("search", "help", "x", **{**at, "LLMASOS_EMBEDDING__API_KEY": "wrong"})

    assert nothing_added.returncode == 1
    assert "broken.pdf" in nothing_added.stderr
    assert (unknown.returncode, "Did you mean 'help'" in unknown.stderr) == (2, True)
    assert (wrong_key.returncode, "refuses the key" in wrong_key.stderr) == (1, True)


def test_without_a_system_the_command_line_starts_an_engine_for_itself(docs, llmasos):
    added = llmasos("add", "help", docs)
    found = llmasos("search", "help", QUESTIONS[2][0], "--json")

    assert (added.returncode, added.stdout) == (0, "help: 3 added\n"), added.stderr
    assert json.loads(found.stdout)["passages"][0]["source"] == "docs/themes.txt"
