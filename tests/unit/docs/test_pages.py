"""The pages: their links lead somewhere, the READMEs are short and say the same."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def test_every_internal_link_leads_somewhere(page: Any, pages: dict[str, Any]) -> None:
    broken = []
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (ROOT / page.name).parent / place if place else ROOT / page.name
        name = target.resolve().relative_to(ROOT).as_posix()
        if not target.exists() or (anchor and anchor not in pages[name].anchors):
            broken.append(link)

    assert broken == []


def test_every_page_can_be_reached_from_the_readme(pages: dict[str, Any]) -> None:
    linked = {
        ((ROOT / page.name).parent / link.partition("#")[0]).resolve()
        for page in pages.values()
        for link in page.links
        if not re.match(r"[a-z]+:|#", link)
    }

    documents = {ROOT / name for name in pages if name.startswith("docs/")} - {
        ROOT / "docs/index.md"
    }

    assert documents - linked == set()


def test_generated_pages_are_up_to_date(generate: ModuleType) -> None:
    assert generate.stale() == []


def test_a_page_that_differs_is_named(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])

    with pytest.raises(SystemExit) as ended:
        generate.main()

    assert ended.value.code == 1
    assert "docs/reference/settings.md is not up to date" in capsys.readouterr().err


def test_the_readmes_have_the_same_code(pages: dict[str, Any]) -> None:
    english, chinese = (
        [(block.language, _without_comments(block)) for block in pages[name].blocks]
        for name in ("README.md", "README.zh-CN.md")
    )

    assert chinese == english


def test_the_readmes_name_the_same_commands_and_links(pages: dict[str, Any]) -> None:
    english, chinese = pages["README.md"], pages["README.zh-CN.md"]

    assert [each.words for each in chinese.mentions()] == [
        each.words for each in english.mentions()
    ]
    assert set(chinese.links) - {"README.md"} == set(english.links) - {"README.zh-CN.md"}


def test_the_first_commands_of_the_readme_are_the_two(pages: dict[str, Any]) -> None:
    first = pages["README.md"].blocks[0]

    assert _without_comments(first).split("\n")[:2] == ["make demo", "make test"]


@pytest.mark.parametrize(
    ("name", "most"), [("README.md", 150), ("README.zh-CN.md", 150), ("CONTRIBUTING.md", 80)]
)
def test_a_page_to_begin_with_is_short(pages: dict[str, Any], name: str, most: int) -> None:
    assert len(pages[name].text.splitlines()) <= most


def test_every_make_target_that_is_named_exists(pages: dict[str, Any]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    named = {
        target
        for page in pages.values()
        for code in [*page.code, *(b.text for b in page.blocks if b.language == "sh")]
        for target in re.findall(r"^make ([a-z]+)", code, re.MULTILINE)
    }

    assert named - targets == set()


def _without_comments(block: Any) -> str:
    return re.sub(r"[ ]*# .*", "", block.text).strip()
