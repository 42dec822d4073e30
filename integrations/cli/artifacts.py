"""The files of an answer at the terminal: written into a folder, or named with how they are had.

A file that is there already is never written over. Start reading at `told`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from llmasos.errors import InvalidRequest
from llmasos.events import Artifact, Reply

Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="FOLDER", help="Write the answer's files into this folder."),
]


def told(job_id: str, reply: Reply, folder: Path | None) -> list[str]:
    """Write an answer's files into a folder; gives what there is to say of them, in lines.

    folder: None: they are only named, and only those that the answer's text does not show.
    Raises InvalidRequest when the folder cannot be written.
    """
    if folder is not None:
        return [f"Saved {path}" for path in _saved(reply.artifacts, folder)]
    unseen = [each.file_name for each in reply.artifacts if not _shown(each, reply)]
    if not unseen:
        return []
    return [f"Files: {', '.join(unseen)}. `llmasos jobs show {job_id} --save .` writes them."]


def _shown(artifact: Artifact, reply: Reply) -> bool:
    """Whether the answer's text holds the file's."""
    return artifact.text is not None and artifact.text.strip() in reply.text


def _saved(artifacts: Iterable[Artifact], folder: Path) -> list[Path]:
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in artifacts:
            if each.content is not None:
                written.append(_placed(each.content, folder / each.file_name))
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidRequest(f"The answer's files cannot be written to {folder}: {why}") from error
    return written


def _placed(content: bytes, path: Path) -> Path:
    """Write a new file; where there is one by its name, beside that with a number."""
    free, number = path, 1
    while True:
        try:
            with free.open("xb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
        else:
            return free
