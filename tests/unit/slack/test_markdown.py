import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.slack.markdown import closing, cut, harmless, open_fence, pieces, settled

TEXT = st.text(alphabet="ab <!@`~\n#.|。", max_size=400)


@pytest.mark.parametrize(
    "ping", ["<!channel>", "<!here|x>", "<!EVERYONE>", "<@U012>", "<@w012|x>", "<!subteam^S1>"]
)
def test_a_ping_is_broken(ping: str) -> None:
    assert harmless(ping) == f"<\u2060{ping[1:]}"


@pytest.mark.parametrize("code", ["<!DOCTYPE html>", "<!-- note -->", "a <b> c", "x<@", "<#C1>"])
def test_other_text_is_left_as_it_is(code: str) -> None:
    assert harmless(code) == code


@given(TEXT, st.integers(0, 400))
def test_what_was_harmless_stays_so_while_a_text_grows(text: str, end: int) -> None:
    text = text.replace("|", "<!channel").replace("#", "<@U1")

    assert harmless(text).startswith(harmless(settled(text[:end])))


@given(TEXT, st.integers(40, 120))
def test_no_piece_is_too_long_and_nothing_is_lost(text: str, limit: int) -> None:
    made = pieces(text, limit)

    assert all(len(piece) <= limit for piece in made)
    assert "".join("".join(made).split("`")).count("a") == text.count("a")


@given(TEXT, st.integers(40, 120))
def test_every_piece_closes_its_code_blocks(text: str, limit: int) -> None:
    for piece in pieces(text, limit)[:-1]:
        assert open_fence(piece) == ""


def test_a_code_block_goes_on_with_its_language() -> None:
    first, second = pieces("```python\n" + "x = 1\n" * 10 + "```", 60)

    assert first.endswith("\n```")
    assert second.startswith("```python\nx = 1")


def test_a_cut_is_made_at_the_end_of_a_paragraph_sentence_or_word() -> None:
    assert cut("One two.\n\nThree four five", 18) == len("One two.\n\n")
    assert cut("One two. Three four five", 16) == len("One two. ")
    assert cut("退款需要十四天。国外的订单需要更久", 10) == len("退款需要十四天。")
    assert cut("onelongwordwithoutend", 10) == 10


def test_a_cut_does_not_depend_on_what_comes_later() -> None:
    text = "Some words and more words. " * 20

    assert {cut(text[:end], 100) for end in range(101, len(text))} == {cut(text, 100)}


def test_what_looks_like_a_fence_within_a_line_is_none() -> None:
    assert closing("see ```x``` here") == ""
    assert closing("~~~~\n```\n") == "~~~~"
