"""Chunks: the text they say they are, whole sentences, under the headings that they stand under."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.chunking import Recipe, chunks
from knowledge.documents import Document
from knowledge.loaders.markdown import parse
from knowledge.tokens import FRAME
from llmasos.testing.retrieval import WordTokens

MARKDOWN = st.lists(
    st.sampled_from(
        [
            "# Title\n",
            "## Section\n",
            "### 小节\n",
            "Underlined\n====\n",
            "# " + "long " * 200 + "\n",
            "A paragraph of words. It has two sentences.\n\n",
            "中文段落。第二句。\n\n",
            "- one\n- two\n",
            "```\n# not a heading\n```\n",
            "~~~\nnever closed\n",
            "---\ntitle: x\n---\n",
            "| Zone | Price |\n|---|---|\n" + "| EU | 5 |\n" * 30,
            "[link](https://example.com/a(b)) **bold**\n",
            "\n",
        ]
    )
    | st.text(max_size=40),
    max_size=25,
).map("".join)
TOKENS = WordTokens()
SMALL = Recipe(TOKENS, size=48)


def bare(text):
    return "".join(text.split())


@settings(max_examples=300, deadline=None)
@given(MARKDOWN, st.booleans())
def test_a_chunk_is_what_its_span_says_in_the_order_of_the_text(text, code):
    parsed = parse(text, "name")
    document = Document(parsed.title, text, parsed.headings, parsed.anchors, parsed.begin, code)

    made = chunks(document, SMALL)

    assert all(document.text[each.start : each.end] == each.text for each in made)
    assert all(before.end <= after.start for before, after in pairwise(made))
    assert all(each.text == each.text.strip() != "" for each in made)


@settings(max_examples=300, deadline=None)
@given(MARKDOWN)
def test_all_of_the_text_but_headings_is_in_some_chunk(text):
    document = parse(text, "name")
    left = list(document.text)
    for span in [(0, document.begin), *((each.start, each.end) for each in document.headings)]:
        left[slice(*span)] = " " * (span[1] - span[0])

    for each in chunks(document, SMALL):
        left[each.start : each.end] = " " * (each.end - each.start)

    assert "".join(left).strip() == ""


@settings(max_examples=300, deadline=None)
@given(MARKDOWN)
def test_a_chunk_with_its_title_fits_the_embedder(text):
    plain = re.sub(r"[^\w\s.#|-]", " ", text)  # marks are embedded as nothing; here all counts

    made = chunks(parse(plain, "name"), SMALL)

    assert all(len(TOKENS.starts(each.title + each.text)) <= 48 - FRAME for each in made)


SENTENCES = st.lists(
    st.sampled_from(
        [
            "The bill comes monthly. ",
            "Ask Dr. Who, e.g. on Monday, in the U.S. Senate. ",
            "Is it late?! ",
            "“Never.” ",
            "账单每月发送一次。",
            "您可以稍后付款！",
            "「はい。」と答えます。",
            "Das kostet z. B. drei Euro. ",
            "Version 2.5 is out... ",
        ]
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(SENTENCES, st.integers(0, 12))
def test_no_sentence_is_cut(sentences, overlap):
    text = "".join(sentences)

    made = chunks(Document("t", text), Recipe(TOKENS, size=48, overlap=overlap))

    ends, place = set(), 0
    for sentence in sentences:
        place += len(sentence)
        ends.add(len(text[:place].rstrip()))
    ends.add(len(text.rstrip()))
    assert {each.end for each in made} <= ends


def test_an_overlap_repeats_whole_sentences_of_the_chunk_before():
    text = "".join(f"This is the sentence number {n}. " for n in range(30))

    made = chunks(Document("t", text), Recipe(TOKENS, size=48, overlap=14))

    assert len(made) > 3
    for before, after in pairwise(made):
        shared = text[after.start : before.end]
        assert 1 <= shared.count("This is") <= 2
        assert before.text.endswith(shared)


def test_a_chunk_carries_the_headings_above_it_and_the_anchor_of_its_section():
    text = "# Refunds\nIt is quick.\n\n## How long?\nIt takes two days.\n\n### Abroad\nIt takes four days.\n\n## How long?\nWe said it.\n"  # noqa: E501

    made = chunks(parse(text, "refunds"), Recipe(TOKENS, size=26))

    assert [(each.title, each.anchor, each.text) for each in made] == [
        ("Refunds", "", "It is quick."),
        ("Refunds › How long?", "how-long", "It takes two days."),
        ("Refunds › How long? › Abroad", "abroad", "It takes four days."),
        ("Refunds › How long?", "how-long-1", "We said it."),
    ]


def test_sections_that_say_too_little_alone_are_joined_with_their_neighbours():
    text = (
        "# Contact\n\n## Call\n\n555.\n\n## Write\n\nTo us.\n\n## Visit\n\n" + "We are open. " * 12
    )

    made = chunks(parse(text, "contact"), Recipe(TOKENS, size=48))

    assert [(each.title, each.anchor) for each in made] == [
        ("Contact", "call"),
        ("Contact › Visit", "visit"),
    ]
    assert made[0].text == "555.\n\n## Write\n\nTo us."


def test_a_heading_that_leads_nowhere_is_found_all_the_same():
    text = "# Contact\n\n## Call 555-0100\n\n## Write\n\nTo us, or to them.\n"

    made = chunks(parse(text, "contact"), Recipe(TOKENS, size=26))

    assert [each.text for each in made] == ["## Call 555-0100", "To us, or to them."]


def test_a_table_that_is_cut_repeats_its_header_and_one_that_fits_stays_whole():
    small = "| Zone | Price |\n|---|---|\n| EU | 5 |\n"
    large = small + "".join(f"| Zone {n} | {n} |\n" for n in range(40))

    (whole,) = chunks(parse(f"# Prices\n\nNet.\n\n{small}", "p"), SMALL)
    first, *others = chunks(parse(f"# Prices\n\n{large}", "p"), SMALL)

    assert whole.title == "Prices"
    assert first.title == "Prices"
    assert first.text.startswith("| Zone | Price |")
    assert {each.title for each in others} == {"Prices › Zone | Price"}
    assert all(re.fullmatch(r"(\| Zone \d+ \| \d+ \|\n?)+", each.text) for each in others)


def test_what_is_embedded_has_the_title_and_no_markup():
    text = "# Plans\n\n> See **[the list](/help/plans)** and `more`.\n"

    (chunk,) = chunks(parse(text, "plans"), SMALL)

    assert chunk.embedded == "Plans\nSee the list and more."
    assert chunk.text == "> See **[the list](/help/plans)** and `more`."


def test_code_is_no_heading_and_front_matter_is_no_text():
    text = '---\ntitle: "The guide"\ntags: x\n---\n\nWords.\n\n```sh\n# comment\n```\n'

    made = chunks(parse(text, "guide"), SMALL)

    assert [(each.title, each.text) for each in made] == [
        ("The guide", "Words.\n\n```sh\n# comment\n```")
    ]


@pytest.mark.parametrize(("size", "overlap"), [(40, 0), (48, 8)])
def test_another_recipe_has_another_number(size, overlap):
    assert Recipe(TOKENS, size, overlap).number != SMALL.number
    assert Recipe(TOKENS, 48, 0).number == Recipe(TOKENS, 400, 0).number == SMALL.number
