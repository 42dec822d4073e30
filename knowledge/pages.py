"""Fetching one web page by its address, into a file that a loader can read.

Addresses come from people and from redirects: each is looked up once, what it leads to is judged,
and just that is connected to. Size and time are bounded; no proxy, cookie or script has a part.
Start reading at `fetch`.
"""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx

from llmasos.errors import UnreadableDocument
from llmasos.network import is_public, look_up
from llmasos.settings import KnowledgeSettings

SCHEMES = ("http", "https")
REDIRECTS = 5
"""How many are followed."""
SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/json": ".json",
    "application/pdf": ".pdf",
}
"""What a page is when its name does not say so."""
OWN_SUFFIXES = (
    ".htm",
    ".md",
    ".rst",
    ".csv",
    ".jsonl",
    ".docx",
    ".pptx",
    ".xlsx",
    ".ipynb",
    ".eml",
)
"""Endings that are believed whatever the server calls the page."""
LONGEST_NAME = 200


@dataclass(frozen=True)
class Page:
    """A page that was fetched."""

    path: Path
    """The file that it is in."""
    name: str
    """What it would like to be called: its host and path."""


def is_url(given: str) -> bool:
    """Whether this is a web address and not a path."""
    return given.lower().startswith(("http://", "https://"))


def fetch(url: str, into: Path, settings: KnowledgeSettings) -> Page:
    """Fetch a page. into: an empty folder.

    Raises UnreadableDocument when it cannot be had, is too large, or leads to a private address.
    """
    until = time.monotonic() + settings.page_seconds
    place = url
    try:
        with httpx.Client(trust_env=False, timeout=settings.page_seconds) as client:
            for _ in range(REDIRECTS + 1):
                with _asked(client, place, url, settings) as answer:
                    if not answer.is_redirect:
                        return _save(answer, url, into, settings, until)
                    place = str(httpx.URL(place).join(answer.headers.get("location", "")))
    except httpx.TimeoutException as error:
        raise _late(url, settings) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreadableDocument(url, f"it cannot be fetched: {type(error).__name__}") from error
    raise UnreadableDocument(url, f"it redirects more than {REDIRECTS} times")


def _asked(
    client: httpx.Client, place: str, url: str, settings: KnowledgeSettings
) -> AbstractContextManager[httpx.Response]:
    """Ask for this place: at the address that was judged, under the name that it has."""
    target = httpx.URL(place)
    if target.scheme not in SCHEMES or not target.host:
        raise UnreadableDocument(url, "it leads to an address that is not http or https")
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        addresses = look_up(target.host, port)
    except OSError as error:
        raise UnreadableDocument(url, f"{target.host} cannot be looked up") from error
    if not settings.allow_private_pages and not all(map(is_public, addresses)):
        raise UnreadableDocument(
            url,
            f"{target.host} is a private address. Where that is wanted, set [knowledge] "
            "allow_private_pages = true.",
        )
    headers = {
        "host": target.netloc.decode("ascii"),
        "user-agent": "llmasos",
        "accept": "text/html, text/*;q=0.9, application/pdf;q=0.8, */*;q=0.1",
        "accept-encoding": "identity",
    }
    return client.stream(
        "GET",
        target.copy_with(host=str(addresses[0])),
        headers=headers,
        extensions={"sni_hostname": target.host},
    )


def _save(
    answer: httpx.Response, url: str, into: Path, settings: KnowledgeSettings, until: float
) -> Page:
    if not answer.is_success:
        raise UnreadableDocument(url, f"its server answers {answer.status_code}")
    if "content-encoding" in answer.headers:  # a small answer could unpack to a huge one
        raise UnreadableDocument(url, "its server sends it compressed though asked not to")
    name = _name(url, answer.headers.get("content-type", ""))
    path = into / PurePosixPath(name).name
    size = 0
    with path.open("xb") as file:
        for piece in answer.iter_raw():
            size += len(piece)
            if size > settings.max_file_bytes:
                raise UnreadableDocument(
                    url,
                    f"it has more than {settings.max_file_bytes:,} bytes "
                    "(knowledge.max_file_bytes)",
                )
            if time.monotonic() > until:
                raise _late(url, settings)
            file.write(piece)
    return Page(path, name)


def _late(url: str, settings: KnowledgeSettings) -> UnreadableDocument:
    return UnreadableDocument(
        url,
        f"fetching it takes more than {settings.page_seconds:.0f} seconds (knowledge.page_seconds)",
    )


def _name(url: str, media_type: str) -> str:
    """Host and path, ending in a file's name with an ending that says what it is."""
    parts = urlsplit(url)
    inside = [each for each in unquote(parts.path).split("/") if each not in ("", ".", "..")]
    if not inside or parts.path.endswith("/"):
        inside.append("index")
    suffix = SUFFIXES.get(media_type.partition(";")[0].strip().lower(), ".html")
    if PurePosixPath(inside[-1]).suffix.lower() not in (suffix, *OWN_SUFFIXES):
        inside[-1] += suffix
    inside[-1] = inside[-1][-LONGEST_NAME:]
    return PurePosixPath(parts.hostname or "", *inside).as_posix()
