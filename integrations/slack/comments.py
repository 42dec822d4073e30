"""What people say about an answer that was no good: a modal with one field.

Pure. Start reading at `comment_modal` and `to_comment`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMMENT = "llmasos_comment"
"""The `callback_id` of the modal, and the block and action of its only field."""
LONGEST = 3_000
_JOB = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class Comment:
    """What somebody says about a job's answer."""

    job_id: str
    text: str


def comment_modal(job_id: str) -> dict[str, Any]:
    """The modal."""
    field = {
        "type": "plain_text_input",
        "action_id": COMMENT,
        "multiline": True,
        "max_length": LONGEST,
    }
    return {
        "type": "modal",
        "callback_id": COMMENT,
        "private_metadata": job_id,
        "title": _plain("What was wrong?"),
        "submit": _plain("Send"),
        "close": _plain("Skip"),
        "blocks": [
            {
                "type": "input",
                "block_id": COMMENT,
                "label": _plain("What should the answer have said?"),
                "element": field,
            }
        ],
    }


def to_comment(view: Mapping[str, Any]) -> Comment | None:
    """The comment in a modal that was sent; None when there is none in it."""
    job_id = view.get("private_metadata")
    text: Any = view
    for name in ("state", "values", COMMENT, COMMENT, "value"):
        text = text.get(name) if isinstance(text, dict) else None
    if not isinstance(job_id, str) or not _JOB.fullmatch(job_id) or not isinstance(text, str):
        return None
    return Comment(job_id, text[:LONGEST]) if text.strip() else None


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}
