"""What proves a sender: the checks that the sources share, each in constant time.

Whatever comes from outside is compared as bytes of any kind and length; how long that takes tells
nothing of the secret.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from integrations.webhooks.source import Refused
from llmasos.errors import InvalidRequest
from llmasos.settings import WebhookSettings

LONGEST_ID = 200
"""Characters of a sender's own id of a delivery."""
_STAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


def secrets_of(settings: WebhookSettings) -> tuple[bytes, ...]:
    """The secrets that a webhook takes at present."""
    return tuple(each.get_secret_value().encode() for each in settings.secret)


def digest(content: bytes) -> bytes:
    """The SHA-256 of something."""
    return hashlib.sha256(content).digest()


def digests(secrets: Iterable[bytes], signed: bytes) -> list[bytes]:
    """The HMAC-SHA256 of what was signed, with each secret."""
    return [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]


def any_fits(right: Iterable[bytes], given: Iterable[bytes]) -> bool:
    """Whether one of the values given is right. All are compared, whichever fits."""
    others, fits = tuple(given), False
    for one in right:
        for other in others:
            fits |= hmac.compare_digest(one, other)
    return fits


def from_hex(text: str) -> bytes:
    """The bytes of a signature in small hex digits; none when it is anything else."""
    return bytes.fromhex(text) if re.fullmatch(r"([0-9a-f]{2})+", text, re.ASCII) else b""


def from_base64(text: str) -> bytes:
    """The bytes of a signature in base64; none when it is anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def as_bytes(text: str) -> bytes:
    """A header's text as bytes, whatever characters are in it."""
    return text.encode(errors="surrogatepass")


def stamp(text: str, now: float, window: float) -> int:
    """The time that a sender signed, in seconds since the epoch.

    Raises Refused when it is none, or further than `window` seconds from `now`.
    """
    if not _STAMP.fullmatch(text):
        raise Refused("The timestamp must be whole seconds since 1970.")
    off = abs(now - int(text))
    if off > window:
        raise Refused(
            f"The signature is {off:.0f} seconds off our clock, at most {window:.0f} are allowed. "
            "Sign the delivery again right before it is sent."
        )
    return int(text)


def own_id(headers: Mapping[str, str], header: str) -> str | None:
    """The sender's own id of the delivery, None without the header.

    header: its name as it is usually written. Raises InvalidRequest when it is unusable.
    """
    given = headers.get(header.lower())
    if given is None:
        return None
    if not (given.isascii() and given.isprintable() and 0 < len(given) <= LONGEST_ID):
        raise InvalidRequest(f"The {header} must be 1 to {LONGEST_ID} printable ASCII characters.")
    return given
