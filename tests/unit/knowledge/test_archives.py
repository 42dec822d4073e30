"""Zip archives: their members are read as files; those that do harm are refused whole."""

import io
import zipfile

import pytest

from knowledge.documents import Limits
from knowledge.loaders.archive import unpack
from llmasos.errors import UnreadableDocument


@pytest.fixture
def pack(write):
    def make(*members):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return write("docs.zip", data.getvalue())

    return make


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "scratch" / "into"
    folder.mkdir(parents=True)
    return folder


def refusal(path, into, limits=Limits(), files=10):  # noqa: B008
    with pytest.raises(UnreadableDocument) as caught:
        unpack(path, into, limits, files)
    return caught.value.reason


def test_members_are_put_where_their_names_say(pack, into):
    archive = pack(("a.md", "A"), ("deep/er/b.md", "B"), ("empty/", ""))

    assert unpack(archive, into, Limits(), 10) == ["a.md", "deep/er/b.md"]
    assert (into / "deep" / "er" / "b.md").read_text() == "B"


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return member


@pytest.mark.parametrize(
    "name", ["../evil.md", "a/../../evil.md", "/etc/evil.md", "C:/evil.md", "a\\..\\evil.md"]
)
def test_a_member_that_leads_out_is_refused_and_nothing_is_written(pack, into, name):
    assert "outside of its folder" in refusal(pack(("a.md", "A"), (name, "evil")), into)
    assert list(into.parent.rglob("*")) == [into]


def test_links_bombs_crowds_and_locks_are_refused(pack, into):
    assert "outside of its folder" in refusal(pack((link("a.md"), "/etc/passwd")), into)
    bomb = pack(("a.md", b"\0" * 50_000_000))
    assert "it unpacks to 50,000,000 bytes" in refusal(bomb, into, Limits(unpacked=1_000_000))
    assert "more than 1 (knowledge.max_files)" in refusal(pack(("a", ""), ("b", "")), into, files=1)
    assert list(into.iterdir()) == []


def test_a_lie_about_a_size_unpacks_no_more_than_is_said(pack, into):
    path = pack(("a.md", b"x" * 100_000))
    data = path.read_bytes()
    path.write_bytes(data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))

    assert "not a sound zip archive" in refusal(path, into)
    assert (into / "a.md").stat().st_size <= 10


def test_what_is_no_archive_says_so(write, into):
    assert "not a sound zip archive" in refusal(write("a.zip", b"PK and no more"), into)
