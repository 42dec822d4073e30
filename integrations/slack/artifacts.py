"""Artifacts in Slack: short texts stand in the answer, the others become files below it.

Pure functions; knows nothing of the SDK.
"""

import re
from pathlib import PurePosixPath

from llmasos.events import Artifact, Reply

LONG = 3_000
"""Characters from which on an artifact is a file."""
_TICKS = re.compile(r"`{3,}")


def is_file(artifact: Artifact) -> bool:
    """Whether an artifact becomes a file: it is long, or no text."""
    return artifact.data is not None or len(artifact.text or "") > LONG


def with_short_ones(reply: Reply) -> str:
    """The reply's text, followed by the short artifacts that it does not hold."""
    parts = [reply.text.rstrip()]
    for artifact in reply.artifacts:
        text = (artifact.text or "").strip("\n")
        if text.strip() and not is_file(artifact) and text.strip() not in reply.text:
            longest = max(map(len, _TICKS.findall(text)), default=2)
            fence = "`" * (longest + 1)
            language = PurePosixPath(artifact.name).suffix.lstrip(".")
            name = " ".join(artifact.name.replace("`", "").split())[:120]
            parts.append(f"`{name}`\n{fence}{language}\n{text}\n{fence}")
    return "\n\n".join(part for part in parts if part)


def unshared(job_id: str, reply: Reply) -> tuple[str, ...]:
    """The artifacts that are files where none can be shared, and how they are had."""
    return tuple(
        f"{each.file_name} (`llmasos jobs show {job_id} --save .`)"
        for each in reply.artifacts
        if is_file(each)
    )


def listed(reply: Reply) -> tuple[str, ...]:
    """The artifacts that lie elsewhere, and where."""
    return tuple(f"{each.name} ({each.url})" for each in reply.artifacts if each.url)
