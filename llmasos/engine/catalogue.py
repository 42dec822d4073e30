"""The catalogue: which models there are, where each comes from, and what its files must hash to.

`catalogue.toml` beside this file, and `models.toml` in the home for an installation's own; an
entry there goes before one of the same name here. Revisions of a name stand side by side.
`library.py` keeps what the catalogue names, `additions.py` writes to the installation's own.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from llmasos.errors import SettingsError, UnknownModel

OWN_CATALOGUE = "models.toml"
FIRST_PULL = "first-pull"
"""In place of a sha256: the one that the file has when it is first pulled is held from then on."""
_BUILT_IN = Path(__file__).with_name("catalogue.toml")
_SOURCE = re.compile(r"file:.+|hf:[\w.-]+/[\w.-]+@[\w./-]+|pypi:[A-Za-z0-9._-]+==[\w.+!-]+")


def is_inside(path: str) -> bool:
    """Whether a path cannot leave the folder that it is joined to."""
    pure = PurePosixPath(path)
    return not (pure.is_absolute() or ".." in pure.parts or "\\" in path)


def _inside(path: str) -> str:
    if not is_inside(path):
        raise ValueError("must be a relative path without '..'")
    return path


def _known_source(source: str) -> str:
    if not _SOURCE.fullmatch(source):
        raise ValueError("must be file:PATH, hf:REPO@REVISION or pypi:PACKAGE==VERSION")
    return source


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Digest = Annotated[str, StringConstraints(pattern=rf"^([0-9a-f]{{64}}|{FIRST_PULL})$")]
Inside = Annotated[str, AfterValidator(_inside)]


class Entry(BaseModel):
    """One revision of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Literal["generation", "embedding"]
    revision: Name
    format: Literal["gguf", "safetensors"]
    licence: str
    gated: bool = False
    """Whether the Hub asks for a token of somebody who has accepted the licence."""
    parameters: str | None = None
    """How many it has, such as `7.6B`."""
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes of all files together; None: the source says so when it is pulled."""
    download: Annotated[int, Field(ge=0)] | None = None
    """Bytes that are transferred; None: as many as the files have."""
    context: Annotated[int, Field(ge=1)]
    """Longest text in tokens that the model was made for."""
    template: Literal["gguf", "tokenizer", "none"] = "none"
    """Where its chat template is read: in the GGUF file, or in the tokenizer's files."""
    gpu: str | None = None
    """A card that holds it in 16 bits."""
    tgi: tuple[str, ...] = ()
    """Arguments for `text-generation-launcher` beside the model and its revision."""
    source: Annotated[str, AfterValidator(_known_source)]
    folder: Inside = ""
    """Where the files stand inside the source."""
    files: dict[Inside, Digest] = {}
    """Each file, relative to `folder`, with its sha256 or `first-pull`."""
    patterns: tuple[Inside, ...] = ()
    """Further files of a Hub repository, such as `*.safetensors`; their hashes are `first-pull`."""

    _catalogue: Path = PrivateAttr(default=_BUILT_IN)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.files and not self.patterns:
            raise ValueError("names no files")
        if self.patterns and not self.source.startswith("hf:"):
            raise ValueError("patterns are for hf: sources; name the files")
        if self.format == "gguf" and not any(
            name.endswith(".gguf") for name in (*self.files, *self.patterns)
        ):
            raise ValueError("names no .gguf file")
        return self

    @property
    def address(self) -> str:
        """What names this revision and no other: `NAME@REVISION`."""
        return f"{self.name}@{self.revision}"

    @property
    def checked_by(self) -> Literal["catalogue", "first pull"]:
        """Who says what the files must hash to: this entry, or the record of the first pull."""
        known = not self.patterns and FIRST_PULL not in self.files.values()
        return "catalogue" if known else "first pull"

    @property
    def hub(self) -> tuple[str, str] | None:
        """The Hub's repository and revision; None for models from elsewhere."""
        if not self.source.startswith("hf:"):
            return None
        repo, _, revision = self.source.removeprefix("hf:").partition("@")
        return repo, revision

    @property
    def served_as(self) -> str:
        """What a server on the network calls it: its id on the Hub, if it can serve it from there.

        GGUF files are served by name, since their server is told a file.
        """
        return self.hub[0] if self.hub and self.format == "safetensors" else self.name

    @property
    def launch(self) -> tuple[str, ...]:
        """The arguments for `text-generation-launcher`; empty if TGI cannot serve it."""
        if self.kind != "generation" or self.format != "safetensors" or self.hub is None:
            return ()
        repo, revision = self.hub
        return ("--model-id", repo, "--revision", revision, *self.tgi)

    @property
    def local_source(self) -> Path:
        """The place that a `file:` source names; relative to the catalogue that says so."""
        return self._catalogue.parent / self.source.removeprefix("file:")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    aliases: dict[Name, Name] = {}
    models: list[Entry] = []


class Catalogue:
    """The entries, in the order of the files. Of a name's revisions the last is meant.

    aliases: where those point that nobody has moved.
    """

    def __init__(self, entries: Iterable[Entry], aliases: dict[str, str] | None = None) -> None:
        self._revisions: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            revisions = self._revisions.setdefault(entry.name, {})
            revisions.pop(entry.revision, None)
            revisions[entry.revision] = entry
        self.aliases = aliases or {}

    def __iter__(self) -> Iterator[Entry]:
        for name in self.names():
            yield from self._revisions[name].values()

    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._revisions)

    def find(self, name: str) -> Entry:
        """The entry of `NAME@REVISION`, or the last of `NAME`. Raises UnknownModel."""
        name, _, revision = name.partition("@")
        revisions = self._revisions.get(name)
        if not revisions:
            wrong = f"{name}@{revision}" if revision else name
            raise UnknownModel(wrong, (*self.aliases, *self._revisions))
        if revision and revision not in revisions:
            known = tuple(entry.address for entry in revisions.values())
            raise UnknownModel(f"{name}@{revision}", known)
        return revisions[revision] if revision else next(reversed(revisions.values()))


def load(own: Path) -> Catalogue:
    """The built-in entries, and after them those of the file `own` if it exists.

    Raises SettingsError naming the file and the wrong entry.
    """
    files = [read(_BUILT_IN), *([read(own)] if own.is_file() else [])]
    aliases: dict[str, str] = {}
    for file in files:
        aliases |= file.aliases
    return Catalogue((entry for file in files for entry in file.models), aliases)


def read(path: Path) -> _File:
    """One catalogue file. Raises SettingsError naming the file and the wrong entry."""
    try:
        plain: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        found = _File.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(str(path), "", f"{where}: {reason}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(path), "", f"cannot be read: {error}") from error
    for entry in found.models:
        entry._catalogue = path
    return found
