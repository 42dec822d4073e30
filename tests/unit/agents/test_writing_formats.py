import pytest

from agents.writing import writing
from agents.writing_formats import files_of, page
from llmasos.testing.turns import reply_of


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Write a note as HTML", "text.html"),
        ("Write a note as a Markdown file", "text.md"),
        ("写一份通知，HTML格式", "text.html"),
    ],
)
def test_the_format_is_named_by_the_message(message, name):
    assert [file.name for file in files_of(message, "# Note")] == [name]


def test_no_file_is_made_unless_a_format_is_named():
    assert files_of("Write a note on why HTML matters", "# Note") == ()


def test_a_page_holds_no_markup_but_that_of_markdown():
    made = page("# A & B\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))")

    assert "<title>A &amp; B</title>" in made
    assert "<script>" not in made
    assert 'href="javascript' not in made


def test_what_is_written_freely_is_a_file_too(ask):
    reply = reply_of(ask(writing, "Write a short note as Markdown", "# Note\n\nThanks."))

    assert [file.text for file in reply.artifacts] == ["# Note\n\nThanks.\n"]
