from hypothesis import given
from hypothesis import strategies as st

from integrations.slack.markdown import closing, cut, open_fence, pieces

TEXT = st.text(alphabet="ab <!@`~\n#.|。", max_size=400)


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


TABLE = "| a | b |\n|---|:-:|\n" + "".join(f"| {n} | value {n} |\n" for n in range(12))


def test_a_table_goes_on_under_its_head() -> None:
    made = pieces(f"What they cost:\n\n{TABLE}\nThat is all.", 100)

    assert all("| a | b |\n|---|:-:|\n| " in piece for piece in made)
    assert all(line.count("|") in (0, 3) for piece in made for line in piece.split("\n"))
    assert "".join(made).count("value") == 12


def test_a_table_that_fits_into_the_next_message_is_not_cut() -> None:
    first, second = pieces("Some words. " * 10 + "\n\n" + TABLE[:120] + "\n", 200)

    assert "|" not in first
    assert second.startswith("| a | b |")


def test_what_follows_a_table_has_no_head() -> None:
    text = "| a |\n|---|\n" + "| 1 |\n" * 8 + "\n" + "And so on. " * 10

    assert pieces(text, 90)[1].startswith("And so on.")


@given(st.text(alphabet="ab|-:\n` ", max_size=300), st.integers(40, 120))
def test_tables_of_any_kind_come_to_an_end(text: str, limit: int) -> None:
    made = pieces(text, limit)

    assert all(len(piece) <= limit for piece in made)
    assert "".join(made).count("b") >= text.count("b")
