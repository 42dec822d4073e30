import pytest

from integrations.slack.blocks import Ending, Look, ending_of
from integrations.slack.markdown import LIMIT
from llmasos.events import Artifact, Citation, Reply
from llmasos.testing.slack.checks import check_content


def cited(number: int, title: str = "A page", source: str = "help/page.md") -> tuple[Citation, ...]:
    return (Citation(source=source, title=title, quote="", score=1.0),) * number


@pytest.mark.parametrize("letter", ["a", "&", "<", "退", "\n"])
def test_the_largest_message_is_one_that_slack_takes(letter: str) -> None:
    files = tuple(Artifact(name=f"{letter}{n}.py", text="") for n in range(50))
    reply = Reply(
        text="", citations=cited(50, title=letter * 500, source=letter * 500), artifacts=files
    )
    ending = ending_of(reply, "customer_service", "j" * 32)

    look = Look("x" + letter * (LIMIT - 1), ending=ending, job_id="j" * 32, final=True)

    check_content(look.arguments(), text_limit=4_000)


def test_a_source_without_a_title_of_its_own_is_named_once() -> None:
    ending = ending_of(Reply(text="", citations=cited(1, title="help/page.md")), "writing", "j1")

    assert ending.sources == ("[1] help/page.md",)


def test_sources_that_do_not_fit_are_counted() -> None:
    look = Look("Text", ending=Ending(sources=tuple(f"[{n}] " + "x" * 200 for n in range(1, 31))))

    [sources] = [block for block in look.blocks() if block["type"] == "context"]
    assert sources["elements"][0]["text"].endswith("… and 25 more")


def test_an_answer_without_text_or_status_still_has_a_fallback() -> None:
    assert Look().arguments()["text"] == "…"
