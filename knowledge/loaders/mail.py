"""E-mail (`.eml`): who wrote what to whom and when; attachments are named, not opened."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.decoding import decode, unix_lines
from knowledge.loaders.html import parse
from knowledge.loaders.writing import Writing

SHOWN = ("From", "To", "Cc", "Date")


def load(path: Path, limits: Limits) -> Document:
    """Read a message. Its title is its subject's or its name's."""
    message = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    writing = Writing(path.name, limits)
    writing.paragraph(
        "\n".join(f"{name}: {message[name]}" for name in SHOWN if message[name] is not None)
    )
    body = message.get_body(preferencelist=("plain", "html"))
    if isinstance(body, EmailMessage):
        writing.paragraph(_words(body, path.name))
    attached = [each.get_filename() for each in message.iter_attachments()]
    if names := [name for name in attached if name]:
        writing.paragraph(f"Attachments: {', '.join(names)}")
    subject = " ".join(str(message["Subject"] or "").split())
    return writing.document(subject or title_from_name(path))


def _words(body: EmailMessage, name: str) -> str:
    """The text of a message's body, in the encoding that it declares or that fits."""
    data = body.get_payload(decode=True)
    assert isinstance(data, bytes)  # a body has no parts
    try:
        text = unix_lines(data.decode(body.get_content_charset("utf-8")))
    except (LookupError, UnicodeDecodeError):
        text = decode(data, name)
    return parse(text, name).text if body.get_content_subtype() == "html" else text


loader = Loader(suffixes=(".eml",), load=load)
