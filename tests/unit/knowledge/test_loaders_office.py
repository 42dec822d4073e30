"""Office files: headings, lists, tables and notes; bombs and entities are refused."""

import io
import zipfile

import docx
import openpyxl
import pptx
import pytest


@pytest.fixture
def word(tmp_path):
    """A Word document with a title, two headings, a list and a table."""
    made = docx.Document()
    made.add_heading("Handbook", 0)
    made.add_heading("Leave", 1)
    made.add_paragraph("You get 30 days.")
    made.add_paragraph("Ask early", style="List Bullet")
    table = made.add_table(2, 2)
    for row, cells in enumerate((("Zone", "Price"), ("EU", "5"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    made.add_heading("Sick leave", 2)
    made.add_paragraph("Call us.")
    path = tmp_path / "handbook.docx"
    made.save(str(path))
    return path


def test_a_word_document_gives_its_structure_in_order(word, read):
    document = read(word)

    assert document.title == "Handbook"
    assert [(each.level, each.title) for each in document.headings] == [
        (1, "Leave"),
        (2, "Sick leave"),
    ]
    assert document.text.split("\n\n") == [
        "Leave", "You get 30 days.", "- Ask early", "| Zone | Price |\n| EU | 5 |", "Sick leave",
        "Call us.\n",
    ]  # fmt: skip


def test_slides_are_sections_with_their_notes(tmp_path, read):
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "The plan"
    slide.placeholders[1].text = "One\nTwo"
    slide.notes_slide.notes_text_frame.text = "Say hello."
    show.save(str(tmp_path / "plan.pptx"))

    document = read(tmp_path / "plan.pptx")

    assert document.text == "The plan\n\n- One\n- Two\n\nSay hello.\n"
    assert document.anchors == ((0, "slide=1"),)


def test_a_workbook_gives_values_and_not_formulas(tmp_path, read):
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    for row in (["Zone", "Price"], ["EU", 5.0], [None, None], ["US", 7.5], ["=1+1", None]):
        book.active.append(row)
    book.save(tmp_path / "prices.xlsx")

    document = read(tmp_path / "prices.xlsx")

    assert document.text == "Prices\n\n| Zone | Price |\n| EU | 5 |\n| US | 7.5 |\n"
    assert [each.title for each in document.headings] == ["Prices"]


def altered(path, member, change):
    """The same Office file with one member changed."""
    data = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(data, "w") as new:
        for each in old.namelist():
            content = old.read(each)
            new.writestr(each, change(content) if each == member else content)
    path.write_bytes(data.getvalue())


def laughs(content):
    """The XML with entities that unfold to gigabytes."""
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE x [<!ENTITY l0 "ha">{levels}]>'
    head, _, rest = content.decode().partition("?>")
    return f"{head}?>{doctype}{rest}".replace("You get 30 days.", "&l9;").encode()


def prying(content):
    """The XML with an entity that stands for a file of this machine."""
    head, _, rest = content.decode().partition("?>")
    doctype = '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    return f"{head}?>{doctype}{rest}".replace("30 days", "&file;").encode()


def test_entities_are_not_unfolded(word, reason):
    altered(word, "word/document.xml", laughs)

    assert "broken" in reason(word)


def test_no_file_of_this_machine_is_read(word, read):
    altered(word, "word/document.xml", prying)

    assert "root:" not in read(word).text


def test_entities_in_a_workbook_are_refused(tmp_path, reason):
    book = openpyxl.Workbook()
    book.active.append(["You get 30 days."])
    path = tmp_path / "laughs.xlsx"
    book.save(path)
    altered(path, "xl/worksheets/sheet1.xml", laughs)

    assert "broken" in reason(path)


def test_an_office_file_that_unpacks_to_too_much_is_refused(word, reason):
    altered(word, "word/document.xml", lambda content: content + b" " * 1_000_000)

    assert "more than 900,000 (knowledge.max_unpacked_bytes)" in reason(word, unpacked=900_000)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "encrypted, or of Office before 2007"),
        (b"PK\x03\x04 and no more", "not a sound Office file"),
        (b"plain words", "not a sound Office file"),
    ],
)
@pytest.mark.parametrize("ending", ["docx", "pptx", "xlsx"])
def test_what_is_no_office_file_says_why(write, reason, ending, data, said):
    assert said in reason(write(f"file.{ending}", data))
