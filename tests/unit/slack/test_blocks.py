import pytest

from integrations.slack.blocks import Ending, Look, source_of
from integrations.slack.markdown import LIMIT
from llmasos.events import Citation
from llmasos.testing.slack.checks import check_content


def source(number: int, title: str = "A page", path: str = "help/page.md", url: str | None = None):
    return source_of(number, Citation(source=path, title=title, quote="", score=1.0, url=url))


@pytest.mark.parametrize("letter", ["a", "&", "<", "退", "\n", "*"])
@pytest.mark.parametrize("url", [None, "https://example.com/" + "a" * 200])
def test_the_largest_message_is_one_that_slack_takes(letter: str, url: str | None) -> None:
    ending = Ending(
        sources=tuple(source(n, letter * 500, letter * 500, url) for n in range(1, 51)),
        files=tuple(f"{letter * 100}{n}.py" for n in range(50)),
        agent="customer_service",
        job_id="j" * 32,
        person=True,
    )

    look = Look("x" + letter * (LIMIT - 1), ending=ending, job_id="j" * 32, final=True)

    check_content(look.arguments(), text_limit=4_000)


def test_a_source_without_a_title_of_its_own_is_named_once() -> None:
    assert source(1, title="help/page.md").plain == "[1] help/page.md"


def test_the_title_of_a_page_leads_to_the_page() -> None:
    look = Look(
        "Text", ending=Ending(sources=(source(1, "Refunds", url="https://a.com/r?x=1&y=2"),))
    )

    [sources] = [block for block in look.blocks() if block["type"] == "context"]
    assert sources["elements"] == [
        {
            "type": "mrkdwn",
            "text": "Sources\n[1] <https://a.com/r?x=1&amp;y=2|Refunds>",
            "verbatim": True,
        }
    ]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a.com|x", "https://a.com/ b", "https://" + "a" * 400]
)
def test_what_is_no_plain_address_is_not_linked(url: str) -> None:
    assert source(1, url=url).url is None


def test_a_title_means_nothing_in_slacks_markup() -> None:
    title = "<!channel> *a* _b_ `c` :tada: <https://evil.com|x>"

    linked = source(1, title, url="https://a.com").linked

    inert = linked.removeprefix("[1] <https://a.com|").removesuffix(">")
    assert "<" not in inert
    assert ">" not in inert
    assert all(f"\u2060{mark}" in inert for mark in "*_`:")


def test_sources_that_do_not_fit_are_counted() -> None:
    sources = tuple(source(n, title="x" * 120, path="y" * 70) for n in range(1, 31))
    look = Look("Text", ending=Ending(sources=sources))

    [shown] = [block for block in look.blocks() if block["type"] == "context"]
    assert shown["elements"][0]["text"].endswith("… and 24 more")


def test_an_answer_without_text_or_status_still_has_a_fallback() -> None:
    assert Look().arguments()["text"] == "…"
