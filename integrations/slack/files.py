"""Files that people attach: fetched from Slack, and read by knowledge's loaders, apart.

The token goes to Slack's hosts only and never across a redirect. What comes is not believed: an app
without permission is sent a login page with status 200. Start reading at `Files.read`.
"""

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from integrations.slack.calls import Calls, Refused, SlackError, in_words
from knowledge.loaders import loaders_by_suffix
from knowledge.reader import Reader
from llmasos.errors import KnowledgeError, UnreadableDocument
from llmasos.request import Attachment
from llmasos.settings import Settings

TIMEOUT = 20.0
"""Seconds to wait for a piece of a file."""
NO_PERMISSION = (
    "Slack gave a login page instead of the file: the app lacks the permission files:read "
    "(`llmasos slack manifest`, then reinstall it)"
)
LONGEST = 1_000_000
"""Characters that are taken of a file; as many as an attachment may have."""


class CannotRead(Exception):
    """A file's text cannot be had; the argument is why, for a person."""


class Files:
    """Reads the files of messages, for one bot. For one thread at a time."""

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self._calls, self._settings = calls, settings
        self._reader = Reader(loaders_by_suffix(), settings.knowledge)

    def close(self) -> None:
        """End the process that reads."""
        self._reader.close()

    def read(self, attachment: Attachment, file: dict[str, Any]) -> Attachment:
        """An attachment with its text, or with the reason why it has none.

        file: `id`, `url` and `size`, as `translate.py` found them.
        """
        try:
            text = self._text(attachment, file)
        except CannotRead as why:
            return attachment.model_copy(update={"unread": str(why)})
        return attachment.model_copy(update={"text": text[:LONGEST].replace("\0", "")})

    def _text(self, attachment: Attachment, file: dict[str, Any]) -> str:
        limit = self._settings.slack.max_file_bytes
        size = file.get("size")
        if isinstance(size, int) and size > limit:
            raise CannotRead(_too_large(size, limit))
        url = str(file.get("url") or "") or self._find(str(file.get("id") or ""))
        suffix = _suffix(attachment)
        with tempfile.TemporaryDirectory(prefix="llmasos-file-") as folder:
            path = Path(folder) / f"file{suffix}"
            self._fetch(url, path, limit, html=suffix in (".html", ".htm"))
            if isinstance(size, int) and path.stat().st_size != size:
                raise CannotRead("Slack gave something else than the file")
            try:
                return self._reader.read(path).text
            except UnreadableDocument as error:
                raise CannotRead(error.reason) from error
            except KnowledgeError as error:
                raise CannotRead(str(error)) from error

    def _find(self, file_id: str) -> str:
        """The address of a file that came without one, as in channels shared with others."""
        try:
            told = self._calls(self._calls.client.files_info, file=file_id).get("file")
        except Refused as error:
            raise CannotRead(in_words(error)) from error
        except SlackError as error:
            raise CannotRead("Slack does not say where it is") from error
        found = told if isinstance(told, dict) else {}
        return str(found.get("url_private_download") or found.get("url_private") or "")

    def _fetch(self, url: str, path: Path, limit: int, *, html: bool) -> None:
        if not self.is_slacks(url):
            raise CannotRead("it is not kept at Slack")
        headers = {"Authorization": f"Bearer {self._calls.client.token}"}
        try:
            with (
                httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client,
                client.stream("GET", url, headers=headers) as answer,
                path.open("wb") as kept,
            ):
                if answer.is_redirect:
                    raise CannotRead(NO_PERMISSION)
                if answer.status_code != 200:
                    raise CannotRead(f"Slack answered {answer.status_code} when it was fetched")
                is_page = answer.headers.get("content-type", "").startswith("text/html")
                if is_page and not html:
                    raise CannotRead(NO_PERMISSION)
                got = 0
                for piece in answer.iter_bytes():
                    got += len(piece)
                    if got > limit:
                        raise CannotRead(_too_large(got, limit))
                    kept.write(piece)
        except httpx.HTTPError as error:
            raise CannotRead(f"Slack does not give it ({type(error).__name__})") from error

    def is_slacks(self, url: str) -> bool:
        """Whether the token may be sent to an address: Slack's own, or that of its API here."""
        try:
            given, ours = urlsplit(url), urlsplit(self._settings.slack.api_url)
            host, port = given.hostname or "", given.port
        except ValueError:
            return False
        if given.username or given.password:
            return False
        if (given.scheme, given.netloc) == (ours.scheme, ours.netloc):
            return True
        own = host == "slack.com" or host.endswith(".slack.com")
        return given.scheme == "https" and own and port in (None, 443)


def _suffix(attachment: Attachment) -> str:
    """The ending by which a loader is found; a text without one is read as plain text."""
    suffix = Path(attachment.name).suffix.lower()
    if suffix and suffix[1:].isalnum():
        return suffix
    return ".txt" if attachment.media_type.startswith("text/") else ""


def _too_large(size: int, limit: int) -> str:
    return f"it has {size / 1e6:.1f} MB, at most {limit / 1e6:.1f} are read (slack.max_file_bytes)"
