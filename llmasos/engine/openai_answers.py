"""What all answers in OpenAI's form have: a head, a reason why they end, and the tokens used."""

import time
from importlib.metadata import version
from typing import Any, Literal

Reason = Literal["stop", "length", "stop_sequence", "tool_calls"]
REASONS: dict[str, Reason] = {
    "eos_token": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
}
"""TGI's reasons, in the words that it uses in these answers."""


def head(kind: str, model_id: str) -> dict[str, Any]:
    """What an answer or a chunk begins with. kind: its `object`."""
    return {
        "object": kind,
        "id": "",
        "created": int(time.time()),
        "model": model_id,
        "system_fingerprint": f"{version('llmasos')}-native",
    }


def usage(prompt: int, completion: int) -> dict[str, int]:
    """The tokens of prompt and answer."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
