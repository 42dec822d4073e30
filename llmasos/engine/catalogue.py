"""The catalogue: which models there are, where each comes from, and what its files must hash to.

`catalogue.toml` beside this file, and `models.toml` in the home for an installation's own; an
entry there goes before one of the same name here. `library.py` keeps what the catalogue names.
"""

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
)

from llmasos.errors import SettingsError

OWN_CATALOGUE = "models.toml"
_BUILT_IN = Path(__file__).with_name("catalogue.toml")
_SOURCE = re.compile(r"file:.+|hf:[\w.-]+/[\w.-]+@[\w./-]+|pypi:[A-Za-z0-9._-]+==[\w.+!-]+")


def _inside(path: str) -> str:
    """A path that cannot leave the folder it is joined to."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path:
        raise ValueError("must be a relative path without '..'")
    return path


def _known_source(source: str) -> str:
    if not _SOURCE.fullmatch(source):
        raise ValueError("must be file:PATH, hf:REPO@REVISION or pypi:PACKAGE==VERSION")
    return source


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Inside = Annotated[str, AfterValidator(_inside)]


class Entry(BaseModel):
    """One model of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Literal["generation", "embedding"]
    revision: Name
    format: Literal["gguf", "safetensors"]
    licence: str
    size: Annotated[int, Field(ge=0)]
    """Bytes of all files together."""
    download: Annotated[int, Field(ge=0)] | None = None
    """Bytes that are transferred; None: as many as the files have."""
    context: Annotated[int, Field(ge=1)]
    """Longest text in tokens that the model was made for."""
    template: Literal["gguf", "none"] = "none"
    """Where its prompt template is read."""
    source: Annotated[str, AfterValidator(_known_source)]
    folder: Inside = ""
    """Where the files stand inside the source."""
    files: Annotated[dict[Inside, Sha256], Field(min_length=1)]
    """Each file, relative to `folder`, with its sha256."""

    _catalogue: Path = PrivateAttr(default=_BUILT_IN)

    @property
    def main_file(self) -> str:
        """What a program opens: the GGUF file (the first part of several), or "" for the folder."""
        if self.format == "gguf":
            return min(name for name in self.files if name.endswith(".gguf"))
        return ""

    @property
    def local_source(self) -> Path:
        """The place that a `file:` source names; relative to the catalogue that says so."""
        return self._catalogue.parent / self.source.removeprefix("file:")


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: list[Entry] = []


def load(own: Path) -> dict[str, Entry]:
    """All entries by name: the built-in ones, and those of the file `own` if it exists.

    Raises SettingsError naming the file and the wrong entry.
    """
    entries = {entry.name: entry for entry in _read(_BUILT_IN)}
    if own.is_file():
        entries |= {entry.name: entry for entry in _read(own)}
    return entries


def _read(path: Path) -> list[Entry]:
    try:
        plain: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = _Catalogue.model_validate(plain).models
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(str(path), "", f"{where}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(path), "", f"cannot be read: {error}") from error
    for entry in entries:
        if entry.format == "gguf" and not any(name.endswith(".gguf") for name in entry.files):
            raise SettingsError(str(path), "", f"{entry.name}: names no .gguf file")
        entry._catalogue = path
    return entries
