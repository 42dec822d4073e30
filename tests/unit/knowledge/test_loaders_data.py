"""Tables, records, mail, notebooks and reStructuredText: what a reader would see of each."""

import json

import pytest


def test_a_table_is_read_whatever_parts_its_cells(write, read):
    for text in ("Zone;Price\nEU;5\n", "Zone,Price\nEU,5\n", "Zone\tPrice\nEU\t5\n"):
        assert read(write("prices.csv", text)).text == "| Zone | Price |\n| EU | 5 |\n"


def test_a_cell_cannot_break_the_table(write, read):
    document = read(write("prices.csv", 'Zone,Price\n"EU | \nall","5"\n'))

    assert document.text == "| Zone | Price |\n| EU / all | 5 |\n"


def test_each_record_is_a_section_that_its_line_leads_to(write, read):
    lines = [
        '{"_id": "7", "title": "Refunds", "days": 14}',
        "",
        '{"question": "Why?", "tags": [1]}',
    ]

    document = read(write("faq.jsonl", "\n".join(lines)))

    assert document.text == "Refunds\n\n_id: 7\ndays: 14\n\nWhy?\n\ntags: 1\n"
    assert [each.title for each in document.headings] == ["Refunds", "Why?"]
    assert [fragment for _, fragment in document.anchors] == ["L1", "L3"]


def test_nested_json_becomes_lines_under_its_keys(write, read):
    value = {"title": "Setup", "port": 1, "server": {"host": "h", "ports": [1, 2]}, "none": None}

    document = read(write("setup.json", json.dumps(value)))

    assert document.title == "Setup"
    assert document.text == "title: Setup\nport: 1\n\nserver\n\nhost: h\nports: 1, 2\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "it is not JSON"),
        ("a.jsonl", '{"a": 1}\nnope', "in line 2"),
        ("a.json", "[" * 100_000, "broken"),
        ("a.ipynb", "{}", "not a notebook of format 4"),
        ("a.ipynb", '{"cells": [1]}', "not a notebook of format 4"),
    ],
)
def test_what_is_not_as_its_name_says_is_refused(write, reason, name, text, said):
    assert said in reason(write(name, text))


def test_a_mail_gives_its_people_its_words_and_the_names_of_attachments(write, read):
    mail = (
        "From: Ann <a@example.com>\nTo: b@example.com\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n'
        "--x\nContent-Type: text/html; charset=utf-8\n\n<p>Hello <b>you</b></p>"
        "<script>evil()</script>\n"
        "--x\nContent-Type: application/pdf\n"
        'Content-Disposition: attachment; filename="bill.pdf"\n\nJVBERi0\n--x--\n'
    )

    document = read(write("hello.eml", mail))

    assert document.title == "Grüße"
    assert document.text == (
        "From: Ann <a@example.com>\nTo: b@example.com\n\nHello you\n\nAttachments: bill.pdf\n"
    )


def test_a_notebook_gives_words_and_code_without_outputs(write, read):
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "Words."]},
        {"cell_type": "code", "source": "x = '```'", "outputs": [{"text": "secret"}]},
    ]
    book = {"nbformat": 4, "cells": cells, "metadata": {"language_info": {"name": "python"}}}

    document = read(write("study.ipynb", json.dumps(book)))

    assert document.title == "Study"
    assert document.text == "# Study\nWords.\n\n````python\nx = '```'\n````\n"


def test_restructured_text_is_read_with_what_only_sphinx_knows(write, read):
    source = (
        "Guide\n=====\n\nSee :ref:`the label <x>` and :py:func:`open`.\n\n"
        ".. confval:: port\n   :type: int\n\n   The port.\n\n"
        "Install\n-------\n\n.. code-block:: sh\n\n   pip install x\n\n"
        "===== =====\nZone  Price\n===== =====\nEU    5\n===== =====\n"
    )

    document = read(write("guide.rst", source))

    assert document.title == "Guide"
    assert [(each.level, each.title) for each in document.headings] == [
        (1, "Guide"),
        (2, "Install"),
    ]
    for words in ("See the label and open.", "The port.", "```\npip install x\n```", "| EU | 5"):
        assert words in document.text


def test_restructured_text_includes_no_file_and_no_raw_html(write, read, tmp_path):
    (tmp_path / "secret.txt").write_text("sesame")
    source = (
        f"Words.\n\n.. include:: {tmp_path}/secret.txt\n\n.. raw:: html\n\n   <p>raw</p>\n\n"
        f".. csv-table::\n   :file: {tmp_path}/secret.txt\n"
    )

    document = read(write("guide.rst", source))

    assert document.text.strip() == "Words."
