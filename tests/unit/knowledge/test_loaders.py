"""Loaders: what a reader sees is what is extracted; what cannot be read says why."""

import codecs
import io
import time

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from knowledge.chunking import Recipe, chunks
from knowledge.loaders.markdown import parse


def pdf(*pages, title=None, password=None):
    """A PDF with one line of text a page."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(200, 200)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def test_html_gives_what_is_seen_and_where_it_stands(write, read):
    page = """<html><head><title>Site</title><style>x{}</style><body><nav>Menu</nav>
        <h1>Shipping &amp; costs</h1><p>We  ship\n to <b>all</b>.<script>evil()</script></p>
        <section id="prices"><h2>Prices <a aria-hidden="true" href="#prices">¶</a></h2>
        <ul><li><p>One</p></li><li>Two</li></ul>
        <table><tr><th>Zone</th><th>Price</th></tr><tr><td>EU</td><td>5</td></tr></table>
        <pre>a\n  b</pre></section><h2>Rest</h2>None of that.<footer>Imprint</footer>"""

    document = read(write("ship.html", page))
    made = chunks(document, Recipe(size=30))

    assert document.title == "Shipping & costs"
    assert [(each.title, each.anchor) for each in made] == [
        ("Shipping & costs", ""),
        ("Shipping & costs › Prices", "prices"),
        ("Shipping & costs › Rest", ""),
    ]
    assert made[0].text == "We ship to all."
    assert made[1].text.split("\n") == [
        "- One", "", "- Two", "", "| Zone | Price", "| EU | 5", "", "```", "a", "  b", "```",
    ]  # fmt: skip


def test_html_that_never_closes_its_tags_is_read_at_any_depth(write, read):
    path = write("deep.html", "<div><p>" * 20_000 + "At the bottom.")

    assert read(path).text.strip() == "At the bottom."


def test_html_that_would_fill_the_memory_is_refused(write, reason):
    assert "tags, more than" in reason(write("bomb.html", "<p>" * 200_001))


def test_html_is_read_in_the_encoding_that_it_declares(write, read):
    path = write("gb.html", '<meta charset="gb2312"><p>退款政策</p>'.encode("gb2312"))

    assert read(path).text.strip() == "退款政策"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (codecs.BOM_UTF8 + "Größe".encode(), "Größe"),
        (codecs.BOM_UTF16_LE + "Größe 大".encode("utf-16-le"), "Größe 大"),
        ("Größe “quoted”".encode("cp1252"), "Größe “quoted”"),
        ("退款会在十四天内到账。".encode("gb18030"), "退款会在十四天内到账。"),
        ("返金は二週間以内に行われます。".encode("shift_jis"), "返金は二週間以内に行われます。"),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree"),
    ],
)
def test_text_is_read_in_the_encoding_that_fits(write, data, text, read):
    document = read(write("file.txt", data))

    assert document.text == text


@pytest.mark.parametrize("name", ["file.txt", "file.md", "file.html"])
@pytest.mark.parametrize("data", [b"\x7fELF\x00\x01\x02", bytes(range(1, 9)) * 50])
def test_binary_files_are_refused_whatever_they_are_called(write, name, data, reason):
    assert reason(write(name, data)) == "it is a binary file, not text"


def test_a_pdf_gives_its_pages_and_the_fragment_of_each(write, read):
    document = read(write("guide.pdf", pdf("First page.", "Second page.", title="The guide")))

    assert document.title == "The guide"
    assert document.text == "First page.\nSecond page.\n"
    assert document.anchors == ((0, "page=1"), (12, "page=2"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pdf("Secret.", password="sesame"), "it is encrypted"),
        (pdf("Fine.")[:200], "it is not a sound PDF"),
        (b"no pdf at all", "it is not a sound PDF"),
        (pdf(""), "no text is in it"),
    ],
)
def test_a_pdf_that_cannot_be_read_says_why(write, data, said, reason):
    assert reason(write("file.pdf", data)).startswith(said)


def test_a_pdf_with_too_many_pages_is_refused(write, reason):
    said = reason(write("long.pdf", pdf("a", "b", "c")), pages=2)

    assert said == "it has 3 pages, more than 2 (knowledge.max_pages); split it"


def test_a_pdf_encrypted_without_a_password_is_read(write, read):
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("Open."))))
    writer.encrypt("", owner_password="owner", algorithm="RC4-128")
    data = io.BytesIO()
    writer.write(data)

    assert read(write("open.pdf", data.getvalue())).text == "Open.\n"


def test_empty_and_unknown_files_say_so(write, reason):
    assert reason(write("front.md", "---\ntitle: x\n---\n\n")) == "it is empty"
    assert ".md" in reason(write("table.xyz", "a"))


@pytest.mark.parametrize(
    "text",
    ["# " + " " * 500_000 + "x", "[" * 500_000, "#" * 500_000, "a\n=" * 200_000, "[a](" * 200_000,
     "**" * 300_000, "```\n" * 200_000, "---\n:" + "\n" * 500_000, "# [" + "a](" * 200_000],
    ids=range(9),
)  # fmt: skip
def test_hostile_markdown_is_read_in_linear_time(text):
    began = time.process_time()

    chunks(parse(text, "hostile"), Recipe())

    assert time.process_time() - began < 20  # what is quadratic takes minutes
