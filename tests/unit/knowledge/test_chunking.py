"""Chunks: the text they say they are, under the headings that they stand under."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.chunking import LEAST, LIMIT, chunks
from knowledge.loaders.markdown import parse
from knowledge.splitting import size

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
            "[link](https://example.com/a(b)) **bold**\n",
            "\n",
        ]
    )
    | st.text(max_size=40),
    max_size=25,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(MARKDOWN)
def test_a_chunk_is_what_its_span_says_and_fits_the_embedder(text):
    document = parse(text, "name")

    made = chunks(document)

    assert all(document.text[each.start : each.end] == each.text for each in made)
    assert all(before.end <= after.start for before, after in pairwise(made))
    assert all(size(each.text) <= max(LEAST, LIMIT - size(each.title)) for each in made)


def test_a_chunk_carries_the_headings_above_it_and_the_anchor_of_its_section():
    text = "# Refunds\nIntro.\n\n## How long?\nTwo.\n\n### Abroad\nFour.\n\n## How long?\nAgain.\n"

    made = chunks(parse(text, "refunds"))

    assert [(each.title, each.anchor, each.text) for each in made] == [
        ("Refunds", "", "Intro."),
        ("Refunds › How long?", "how-long", "Two."),
        ("Refunds › How long? › Abroad", "abroad", "Four."),
        ("Refunds › How long?", "how-long-1", "Again."),
    ]


def test_a_heading_that_leads_nowhere_is_found_all_the_same():
    made = chunks(parse("# Contact\n\n## Call 555-0100\n\n## Write\n\nTo us.\n", "contact"))

    assert [each.text for each in made] == ["## Call 555-0100", "To us."]


def test_what_is_embedded_has_the_title_and_no_markup():
    chunk = chunks(parse("# Plans\n\n> See **[the list](/help/plans)** and `more`.\n", "plans"))[0]

    assert chunk.embedded == "Plans\nSee the list and more."
    assert chunk.text == "> See **[the list](/help/plans)** and `more`."


def test_chinese_chunks_are_short_enough_for_a_model_that_reads_signs():
    made = chunks(parse("# 退款\n\n" + "退款会在十四天内到账。" * 100, "退款"))

    assert max(len(each.text) for each in made) < 230
    assert all(each.text.endswith("。") for each in made)


def test_code_is_no_heading_and_front_matter_is_no_text():
    text = '---\ntitle: "The guide"\ntags: x\n---\n\nWords.\n\n```sh\n# comment\n```\n'

    made = chunks(parse(text, "guide"))

    assert [(each.title, each.text) for each in made] == [
        ("The guide", "Words.\n\n```sh\n# comment\n```")
    ]
