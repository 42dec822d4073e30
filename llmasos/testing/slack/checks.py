"""What Slack refuses in a message: its limits on text, blocks and metadata."""

import json
from typing import Any

Json = dict[str, Any]

BLOCK_TYPES = {
    "actions", "context", "context_actions", "divider", "header", "markdown", "section", "table",
}  # fmt: skip
MARKDOWN_LIMIT = 12_000
BLOCKS_LIMIT = 13_200
TEXT_LIMIT = 40_000


class Refusal(Exception):
    """Slack says no: an error code and what else its answer holds."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error, self.more = error, more


def check_content(arguments: Json, *, text_limit: int = TEXT_LIMIT) -> None:
    """Refuse a message's text, blocks or metadata as Slack does."""
    text, markdown = arguments.get("text"), arguments.get("markdown_text")
    blocks = arguments.get("blocks") or []
    if markdown and (text or blocks):
        raise Refusal("markdown_text_conflict")
    if not (text or markdown or blocks):
        raise Refusal("no_text")
    if len(text or "") > text_limit or len(markdown or "") > MARKDOWN_LIMIT:
        raise Refusal("msg_too_long")
    check_blocks(blocks)
    check_metadata(arguments.get("metadata"))


def check_blocks(blocks: object) -> None:
    """Refuse blocks that Slack would not show."""
    if not isinstance(blocks, list) or len(blocks) > 50:
        raise Refusal("invalid_blocks")
    for block in blocks:
        _check_block(block)
    markdown = sum(len(b["text"]) for b in blocks if b["type"] == "markdown")
    if markdown > MARKDOWN_LIMIT or _letters(blocks) > BLOCKS_LIMIT:
        raise Refusal("msg_blocks_too_long")


def _check_block(block: Json) -> None:
    kind = block.get("type")
    elements = block.get("elements", [])
    if kind not in BLOCK_TYPES:
        raise Refusal("invalid_blocks")
    if kind == "markdown" and not block.get("text"):
        raise Refusal("invalid_blocks")
    if kind == "context":
        if not 1 <= len(elements) <= 10:
            raise Refusal("invalid_blocks")
        if any(e["type"] not in ("plain_text", "mrkdwn", "image") for e in elements):
            raise Refusal("invalid_blocks")
        if any(not 1 <= len(e.get("text", "")) <= 2000 for e in elements):
            raise Refusal("invalid_blocks")
    if kind == "context_actions":
        if not 1 <= len(elements) <= 5:
            raise Refusal("invalid_blocks")
        for element in elements:
            for button in ("positive_button", "negative_button"):
                if (
                    len(element[button]["text"]["text"]) > 75
                    or len(element[button]["value"]) > 2000
                ):
                    raise Refusal("invalid_blocks")
    if kind == "actions":
        if not 1 <= len(elements) <= 25:
            raise Refusal("invalid_blocks")
        for element in elements:
            if not 1 <= len(element["text"]["text"]) <= 75 or len(element["value"]) > 2000:
                raise Refusal("invalid_blocks")
    if kind == "section" and len(block["text"]["text"]) > 3000:
        raise Refusal("invalid_blocks")


def _letters(value: object) -> int:
    """How many characters of text a block tree holds."""
    if isinstance(value, dict):
        own = len(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(_letters(v) for v in value.values() if isinstance(v, (dict, list)))
    return sum(_letters(v) for v in value) if isinstance(value, list) else 0


def check_metadata(metadata: object) -> None:
    """Refuse metadata that Slack would not keep."""
    if metadata is None:
        return
    if (
        not isinstance(metadata, dict)
        or not isinstance(metadata.get("event_type"), str)
        or not isinstance(metadata.get("event_payload"), dict)
    ):
        raise Refusal("invalid_metadata_format")
    if len(json.dumps(metadata)) > 8_000:
        raise Refusal("metadata_too_large")
