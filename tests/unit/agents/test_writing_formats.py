from io import BytesIO

import docx
import pytest

from agents.writing import writing
from agents.writing_docx import document
from agents.writing_formats import files_of, page
from llmasos.testing.turns import reply_of


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Write a note as HTML", "text.html"),
        ("Write a note as a Markdown file", "text.md"),
        ("写一份通知，HTML格式", "text.html"),
        ("Write a note as a Word document", "text.docx"),
        ("Write me a note in Word", "text.docx"),
        ("Write a note as DOCX", "text.docx"),
        ("写一份通知，Word 文档", "text.docx"),
    ],
)
def test_the_format_is_named_by_the_message(message, name):
    assert [file.name for file in files_of(message, "# Note")] == [name]


@pytest.mark.parametrize(
    "message",
    [
        "Write a note on why HTML matters",
        "Write a note in word-perfect English",
        "In a word: write",
    ],
)
def test_no_file_is_made_unless_a_format_is_named(message):
    assert files_of(message, "# Note") == ()


def test_a_page_holds_no_markup_but_that_of_markdown():
    made = page("# A & B\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))")

    assert "<title>A &amp; B</title>" in made
    assert "<script>" not in made
    assert 'href="javascript' not in made


def test_what_is_written_freely_is_a_file_too(ask):
    reply = reply_of(ask(writing, "Write a short note as Markdown", "# Note\n\nThanks."))

    assert [file.text for file in reply.artifacts] == ["# Note\n\nThanks.\n"]


def test_a_word_document_has_what_the_markdown_has():
    text = (
        "# Note\x00\n\nSome **bold** and `code`,\nsee [us](https://a.example).\n\n"
        "- one\n  - two\n\n1. first\n\n> said\n\n"
        "```\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "<script>alert(1)</script>\n"
    )

    made = docx.Document(BytesIO(document(text)))

    shown = [(each.style.name, each.text) for each in made.paragraphs]
    assert shown == [
        ("Heading 1", "Note"),
        ("Normal", "Some bold and code, see us (https://a.example)."),
        ("List Bullet", "one"),
        ("List Bullet 2", "two"),
        ("List Number", "first"),
        ("Quote", "said"),
        ("Normal", "x = 1"),
        ("Normal", "<script>alert(1)</script>"),
    ]
    assert [run.text for run in made.paragraphs[1].runs if run.bold] == ["bold"]
    assert [cell.text for row in made.tables[0].rows for cell in row.cells] == list("ab12")
    assert made.core_properties.title == "Note"
