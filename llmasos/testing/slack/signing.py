"""How Slack signs what it sends over HTTP."""

import hashlib
import hmac
import time


def signed_headers(body: bytes, secret: str, *, at: float | None = None) -> dict[str, str]:
    """The headers of a request from Slack with this body.

    at: when it was signed, in seconds since the epoch; now by default.
    """
    stamp = str(int(time.time() if at is None else at))
    base = b"v0:" + stamp.encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
    }
