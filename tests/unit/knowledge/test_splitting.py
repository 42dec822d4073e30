"""Cutting: exact spans, limits that hold, sentences that stay whole."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.splitting import size, split

LIMIT = 120
TEXTS = st.lists(
    st.sampled_from(
        [
            "A short sentence. ",
            "Is this one? ",
            "这是一个句子。",
            "これは文です！",
            "\n\n",
            "\n",
            "- item one\n",
            "1. numbered\n",
            "```\ncode = 1\n\ncode = 2\n```\n",
            "| a | b |\n",
            "word " * 40,
            "x" * 300,
            "汉" * 90,
            "...",
            "\t \u3000",
            "e.g. Dr. Who",
            "🙂",
        ]
    )
    | st.text(max_size=30),
    max_size=25,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_spans_follow_each_other_and_lose_only_white_space(text):
    spans = split(text, (0, len(text)), LIMIT)

    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())
    assert [place for span in spans for place in span] == sorted(
        place for span in spans for place in span
    )


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_no_piece_is_empty_ragged_or_larger_than_the_limit(text):
    pieces = [text[start:end] for start, end in split(text, (0, len(text)), LIMIT)]

    assert all(piece and piece == piece.strip() for piece in pieces)
    assert all(size(piece) <= LIMIT for piece in pieces)


@pytest.mark.parametrize(
    "sentences",
    [
        [
            "The bill comes monthly. ",
            "It is sent by Dr. Who, e.g. on Monday. ",
            "You can pay later. ",
        ],
        ["账单每月发送一次。", "您可以稍后付款！", "如果有问题，请联系我们？"],
        ["請求書は毎月届きます。", "後で支払えます。", "「はい。」と答えます。"],
    ],
)
def test_a_long_paragraph_is_cut_between_sentences(sentences):
    text = "".join(sentences) * 8
    whole = {sentence.strip() for sentence in sentences}

    pieces = [text[start:end] for start, end in split(text, (0, len(text)), LIMIT)]

    assert len(pieces) > 3
    for piece in pieces:
        for sentence in whole:
            piece = piece.replace(sentence, "")
        assert not piece.strip()


def test_a_block_of_code_is_cut_at_lines_and_a_list_at_items():
    code = "```python\n" + "".join(f"value_{n} = compute({n})\n\n" for n in range(20)) + "```\n"
    items = "".join(f"- Step {n}: press the button. Then wait.\n" for n in range(20))

    pieces = split(code + "\n" + items, (0, len(code + items) + 1), LIMIT)

    starts = [(code + "\n" + items)[start:].split("\n")[0] for start, _ in pieces]
    assert all(line.startswith(("```", "value_", "- Step")) for line in starts)


@pytest.mark.parametrize("unit", [".", " ", "\n", "#", "[", "- ", "`", "。", "a", '!"', "\n \n"])
def test_a_hostile_text_takes_no_more_than_linear_time(unit):
    text = unit * (1_000_000 // len(unit))
    began = time.monotonic()

    split(text, (0, len(text)), 850)

    assert time.monotonic() - began < 10
