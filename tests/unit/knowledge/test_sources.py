"""What a call means: folders, globs, .gitignore, archives, and names of a sender's."""

import io
import os
import zipfile

import pytest

from knowledge.loaders import loaders_by_suffix
from knowledge.names import upload_name
from knowledge.reader import Reader
from knowledge.sources import Search
from llmasos.errors import InvalidRequest
from llmasos.settings import KnowledgeSettings


@pytest.fixture
def search(tmp_path):
    """What some paths mean, as (names of files, reasons by the ends of their paths)."""
    loaders = loaders_by_suffix()

    def find(*given, **settings):
        limits = KnowledgeSettings(**settings)
        scratch = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        scratch.mkdir()
        with Reader(loaders, limits) as reader:
            made = Search(reader, loaders, scratch, limits)
            for each in given:
                made.take(each)
        return made

    return find


def names(found):
    return [each.name for each in found.files.values()]


def test_a_folder_is_searched_as_its_gitignores_say(search, write, tmp_path):
    for name in ("a.md", "build/b.md", "sub/c.md", "sub/keep.log", "sub/d.log", ".hidden.md"):
        write(f"docs/{name}", "words")
    write("docs/.gitignore", "build/\n*.log\n")
    write("docs/sub/.gitignore", "!keep.log\n")

    found = search(tmp_path / "docs")

    assert names(found) == ["docs/a.md", "docs/sub/c.md", "docs/sub/keep.log"]
    assert {(os.path.basename(each.source), each.reason) for each in found.skipped} == {
        ("build", ".gitignore names it"),
        ("d.log", ".gitignore names it"),
    }


def test_the_rules_of_the_repository_above_hold_too(search, write, tmp_path):
    write("repo/.git/HEAD", "ref")
    write("repo/.gitignore", "/docs/draft.md\n")
    write("repo/docs/draft.md", "words")
    write("repo/docs/done.md", "words")

    assert names(search(tmp_path / "repo" / "docs")) == ["docs/done.md"]


def test_a_glob_means_what_it_matches(search, write, tmp_path):
    for name in ("a.md", "a.txt", "deep/b.md", "deep/er/c.md"):
        write(f"docs/{name}", "words")

    assert names(search(f"{tmp_path}/docs/*.md")) == ["docs/a.md"]
    assert names(search(f"{tmp_path}/docs/**/*.md")) == [
        "docs/a.md", "docs/deep/b.md", "docs/deep/er/c.md",
    ]  # fmt: skip
    assert "nothing in it matches" in search(f"{tmp_path}/docs/*.pdf").failed[0].reason


def test_an_archive_is_read_like_a_folder(search, write, tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in ("guide/a.md", "guide/b.bin", "__MACOSX/a.md", ".git/c.md"):
            archive.writestr(name, "words")
    path = write("docs/pack.zip", data.getvalue())

    found = search(tmp_path / "docs")

    assert [(each.name, each.origin) for each in found.files.values()] == [
        ("docs/pack.zip/guide/a.md", f"{path}!/guide/a.md")
    ]
    assert [each.source for each in found.skipped] == [f"{path}!/guide/b.bin"]


def test_more_files_than_allowed_are_refused_before_anything_is_read(search, write, tmp_path):
    for number in range(4):
        write(f"docs/{number}.md", "words")

    with pytest.raises(InvalidRequest, match=r"more than 3 files \(knowledge\.max_files\)"):
        search(tmp_path / "docs", max_files=3)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("faq/refunds.md", "faq/refunds.md"),
        ("../../etc/passwd.txt", "etc/passwd.txt"),
        ("C:\\docs\\a.md", "C/docs/a.md"),
        ("/a//b/./c.md", "a/b/c.md"),
        ("a\x00b#c?.md", "a b c .md"),
        ("文档.md", "文档.md"),
    ],
)
def test_a_senders_name_stays_inside(given, name):
    assert upload_name(given) == name


@pytest.mark.parametrize("given", ["", "..", "/", "\x00", "a" * 301])
def test_a_name_of_nothing_is_refused(given):
    with pytest.raises(InvalidRequest):
        upload_name(given)
