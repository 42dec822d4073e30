"""Word and PowerPoint: headings, paragraphs, lists and tables; nothing is run or fetched.

Both are zip archives of XML: what they unpack to is bounded before they are opened, and the
parsers expand no entities. Macros, embedded objects and links to other files are left alone.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.writing import Writing
from llmasos.errors import UnreadableDocument

if TYPE_CHECKING:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

HEADING = re.compile(r"(?:heading|überschrift|titre|标题) (\d)", re.IGNORECASE)
LIST = re.compile(r"list", re.IGNORECASE)
OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DEEPEST_GROUP = 20
"""Groups of shapes within each other on a slide."""


def load_word(path: Path, limits: Limits) -> Document:
    """Read a Word document. Its title is its own, its first heading's or its name's."""
    import docx  # only where such a file is read

    with package(path, limits):
        word = docx.Document(str(path))
        writing = Writing(path.name, limits)
        title = ""
        for part in word.iter_inner_content():
            if isinstance(part, docx.table.Table):
                _write_table(writing, part)
            elif _is_title(part):
                title = title or part.text.strip()
            else:
                _write_paragraph(writing, part)
    return _titled(writing, title or (word.core_properties.title or "").strip(), path)


def load_slides(path: Path, limits: Limits) -> Document:
    """Read a PowerPoint presentation: a section a slide, notes at its end, reached by `slide=N`."""
    import pptx  # only where such a file is read

    with package(path, limits):
        show = pptx.Presentation(str(path))
        writing = Writing(path.name, limits)
        for number, slide in enumerate(show.slides, start=1):
            heading = slide.shapes.title.text_frame.text if slide.shapes.title else ""
            writing.heading(1, heading.strip() or f"Slide {number}", f"slide={number}")
            for shape in _shapes(slide.shapes):
                if shape != slide.shapes.title:
                    _write_shape(writing, shape)
            if slide.has_notes_slide and slide.notes_slide.notes_text_frame:
                writing.paragraph(slide.notes_slide.notes_text_frame.text)
        title = (show.core_properties.title or "").strip()
    return writing.document(title if title != "PowerPoint Presentation" and title else _named(path))


@contextmanager
def package(path: Path, limits: Limits) -> Iterator[None]:
    """Guard the reading of an Office file. Raises UnreadableDocument for a bomb, or none."""
    with path.open("rb") as file:
        if file.read(len(OLD)) == OLD:
            raise UnreadableDocument(
                path.name,
                "it is encrypted, or of Office before 2007; save it in today's form without a "
                "password",
            )
    try:
        with zipfile.ZipFile(path) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
        if unpacked > limits.unpacked:
            raise UnreadableDocument(
                path.name,
                f"it unpacks to {unpacked:,} bytes, more than {limits.unpacked:,} "
                "(knowledge.max_unpacked_bytes); split it",
            )
        yield
    except zipfile.BadZipFile as error:
        raise UnreadableDocument(path.name, f"it is not a sound Office file: {error}") from error


def _is_title(paragraph: "Paragraph") -> bool:
    return paragraph.style is not None and paragraph.style.name == "Title"


def _write_paragraph(writing: Writing, paragraph: "Paragraph") -> None:
    text = paragraph.text.strip()
    style = (paragraph.style.name or "") if paragraph.style is not None else ""
    if not text:
        return
    if heading := HEADING.match(style):
        writing.heading(int(heading[1]), text)
    elif LIST.search(style) or _is_numbered(paragraph):
        writing.paragraph(f"- {text}")
    else:
        writing.paragraph(text)


def _is_numbered(paragraph: "Paragraph") -> bool:
    properties = paragraph._p.pPr
    return properties is not None and properties.numPr is not None


def _write_table(writing: Writing, table: "Table") -> None:
    for row in table.rows:
        cells = {id(cell._tc): cell.text for cell in row.cells}  # a merged one comes repeatedly
        if any(text.strip() for text in cells.values()):
            writing.row(list(cells.values()))


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:
    """Every shape, those in groups too."""
    for shape in shapes:
        if hasattr(shape, "shapes") and depth < DEEPEST_GROUP:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _write_shape(writing: Writing, shape: Any) -> None:
    if getattr(shape, "has_table", False):
        for row in shape.table.rows:
            writing.row([cell.text for cell in row.cells])
    elif shape.has_text_frame:
        lines = (paragraph.text.strip() for paragraph in shape.text_frame.paragraphs)
        writing.paragraph("\n".join(f"- {line}" for line in lines if line))


def _titled(writing: Writing, title: str, path: Path) -> Document:
    """The document under its title, or its first heading's, or its name's."""
    made = writing.document(title)
    first = next((each.title for each in made.headings if each.level == 1), "")
    return made if title else writing.document(first or _named(path))


def _named(path: Path) -> str:
    return title_from_name(path)


word = Loader(suffixes=(".docx", ".docm"), load=load_word)
slides = Loader(suffixes=(".pptx", ".pptm"), load=load_slides)
