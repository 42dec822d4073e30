"""From a file's bytes to its text: encodings, and files that are no text at all."""

import codecs
import re
from pathlib import Path

from llmasos.errors import UnreadableDocument

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
CJK = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
KANA = re.compile(r"[\u3040-\u30ff]")


def read_text(path: Path) -> str:
    """The text of a file, lines ending in `\\n`.

    UTF-8, UTF-16 with its mark, else the Chinese, Japanese or Western encoding that fits.
    Raises UnreadableDocument for a binary file.
    """
    return decode(path.read_bytes(), path.name)


def decode(data: bytes, name: str) -> str:
    """The text in these bytes. name: the file's name, for the error."""
    text = _decoded(data, name)
    if len(CONTROL.findall(text)) * 100 > len(text):
        raise UnreadableDocument(name, "it is a binary file, not text")
    return unix_lines(text)


def unix_lines(text: str) -> str:
    """The text with lines ending in `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, name: str) -> str:
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    if b"\x00" in data:
        raise UnreadableDocument(name, "it is a binary file, not text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _legacy(data)


def _legacy(data: bytes) -> str:
    """Bytes that are not UTF-8: Japanese if kana come out, Chinese if hanzi do, else Western."""
    for encoding, signs, share in (("shift_jis", KANA, 0.2), ("gb18030", CJK, 0.9)):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        foreign = sum(char > "\x7f" for char in text)
        if len(signs.findall(text)) >= share * foreign:
            return text
    return data.decode("cp1252", errors="replace")
