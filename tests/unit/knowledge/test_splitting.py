"""Cutting: exact spans, limits that hold, sentences that stay whole, linear time."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.splitting import CODE, PROSE, Ruler, split
from knowledge.tokens import Estimate

LIMIT = 30
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
KINDS = st.sampled_from([PROSE, CODE])


def ruler(text):
    return Ruler(len(text), Estimate().starts(text))


@settings(max_examples=300, deadline=None)
@given(TEXTS, KINDS)
def test_spans_follow_each_other_and_lose_only_white_space(text, joints):
    spans = split(text, (0, len(text)), LIMIT, ruler(text), joints)

    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())
    assert [place for span in spans for place in span] == sorted(
        place for span in spans for place in span
    )


@settings(max_examples=300, deadline=None)
@given(TEXTS, KINDS)
def test_no_piece_is_empty_ragged_or_larger_than_the_limit(text, joints):
    measured = ruler(text)

    spans = split(text, (0, len(text)), LIMIT, measured, joints)

    pieces = [text[start:end] for start, end in spans]
    assert all(piece and piece == piece.strip() for piece in pieces)
    assert all(measured.size(span) <= LIMIT for span in spans)


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

    spans = split(text, (0, len(text)), LIMIT, ruler(text), PROSE)

    assert len(spans) > 3
    for start, end in spans:
        piece = text[start:end]
        for sentence in whole:
            piece = piece.replace(sentence, "")
        assert not piece.strip()


def test_a_block_of_code_is_cut_at_lines_and_a_list_at_items():
    code = "```python\n" + "".join(f"value_{n} = compute({n})\n\n" for n in range(20)) + "```\n"
    items = "".join(f"- Step {n}: press the button. Then wait.\n" for n in range(20))
    text = f"{code}\n{items}"

    spans = split(text, (0, len(text)), LIMIT, ruler(text), PROSE)

    starts = [text[start:].split("\n")[0] for start, _ in spans]
    assert all(line.startswith(("```", "value_", "- Step")) for line in starts)


def test_the_last_piece_is_not_tiny():
    text = "".join(f"Here is number {n}. " for n in range(6)) + "End."
    measured = ruler(text)

    spans = split(text, (0, len(text)), LIMIT, measured, PROSE)

    assert min(measured.size(span) for span in spans) * 4 >= LIMIT


@pytest.mark.parametrize(
    "unit",
    [".", " ", "\n", "#", "[", "- ", "`", "。", "a", '!"', "\n \n", "```\n", "~~~\n```\n", "|\n"],
)
@pytest.mark.parametrize("joints", [PROSE, CODE], ids=["prose", "code"])
def test_a_hostile_text_takes_no_more_than_linear_time(unit, joints):
    text = unit * (500_000 // len(unit))
    began = time.process_time()

    split(text, (0, len(text)), 250, ruler(text), joints)

    assert time.process_time() - began < 20  # what is quadratic takes minutes
