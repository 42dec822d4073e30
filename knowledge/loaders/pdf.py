"""PDF: the text of its pages, each reached by the fragment `page=N`; no headings."""

import logging
import re
from pathlib import Path

from knowledge.documents import Document, Limits, Loader, title_from_name
from llmasos.errors import UnreadableDocument

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff]")
SILENT = logging.CRITICAL + 1


def load(path: Path, limits: Limits) -> Document:
    """Read a PDF. Its title is its metadata's or its name's.

    Raises UnreadableDocument when it is encrypted, broken, too long, or only pictures.
    """
    from pypdf import PdfReader  # only where such a file is read
    from pypdf.errors import FileNotDecryptedError, PyPdfError

    logging.getLogger("pypdf").setLevel(SILENT)  # its warnings quote the document
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableDocument(path.name, "it is encrypted; save it without a password")
        pages = len(reader.pages)
        if pages > limits.pages:
            raise UnreadableDocument(
                path.name,
                f"it has {pages} pages, more than {limits.pages} (knowledge.max_pages); split it",
            )
        texts = [page.extract_text() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except FileNotDecryptedError as error:
        raise UnreadableDocument(
            path.name, "it is encrypted; save it without a password"
        ) from error
    except PyPdfError as error:
        raise UnreadableDocument(path.name, f"it is not a sound PDF: {error}") from error
    if not any(text.strip() for text in texts):
        raise UnreadableDocument(
            path.name, "no text is in it (scanned pictures?); run text recognition on it first"
        )
    return _joined(_clean(str(title or "")) or title_from_name(path), texts)


def _joined(title: str, texts: list[str]) -> Document:
    """The pages as one text: a sentence may go on over a page's end."""
    anchors = []
    parts = []
    position = 0
    for number, text in enumerate(texts, start=1):
        part = _clean(text) + "\n"
        anchors.append((position, f"page={number}"))
        parts.append(part)
        position += len(part)
    return Document(title=title, text="".join(parts), anchors=tuple(anchors))


def _clean(text: str) -> str:
    return UNPRINTABLE.sub(" ", text).strip()


loader = Loader(suffixes=(".pdf",), load=load)
