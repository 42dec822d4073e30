"""Adding models of one's own: an entry in `models.toml`, made of what the files say of themselves.

`entry_of_path` reads local files, `entry_on_hub` asks the Hub; `write` appends the entry, `drop`
takes it out again. All else in the file stays as somebody wrote it.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmasos.engine.catalogue import FIRST_PULL, OWN_CATALOGUE, Entry, read
from llmasos.engine.gguf import read_head
from llmasos.engine.hub import Hub, HubFile, Listing, sha256
from llmasos.errors import EntryRefused, HomeNotWritable

_MARK = "[[models]]"
_HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_BESIDE = ("*.json", "*.txt", "*.model", "*.jinja", "1_Pooling/*.json", "2_Dense/*")
_CONTEXTS = ("max_seq_length", "max_position_embeddings", "n_positions", "model_max_length")


@dataclass(frozen=True)
class Wish:
    """What whoever adds a model says of it. None: what its files say."""

    name: str | None = None
    kind: str | None = None
    licence: str | None = None
    context: int | None = None
    files: Sequence[str] = ()
    """Names or patterns of the files that are wanted, where there are several models."""


def entry_of_path(path: Path, wish: Wish) -> Entry:
    """The entry for a GGUF file or a folder with safetensors on this machine.

    Raises EntryRefused, or NotAModel when the file is damaged.
    """
    path = path.expanduser().resolve()
    called = wish.name or _name_of(path.stem if path.is_file() else path.name)
    if not path.exists():
        raise EntryRefused(called, f"there is no {path}")
    if path.is_file():
        if path.suffix != ".gguf":
            raise EntryRefused(called, "give a .gguf file, or the folder of a safetensors model")
        said = _of_head(path)
        files = {path.name: sha256(path)}
        digest = files[path.name]
    else:
        found = sorted(each for each in path.rglob("*") if each.is_file())
        names = [each.relative_to(path).as_posix() for each in found]
        wanted = [name for name in names if not name.startswith(".") and not name.endswith(".bin")]
        if not any(name.endswith(".safetensors") for name in wanted):
            raise EntryRefused(
                called, f"{path} holds no .safetensors file; name a .gguf file in it"
            )
        said = _of_folder(path)
        files = {name: sha256(path / name) for name in wanted}
        digest = next(files[name] for name in wanted if name.endswith(".safetensors"))
    size = sum(((path / name) if path.is_dir() else path).stat().st_size for name in files)
    plain = {**said, "size": size, "source": f"file:{path}", "files": files}
    return _entry(called, digest[:12], plain, wish)


def entry_on_hub(source: str, wish: Wish, hub: Hub) -> Entry:
    """The entry for `hf:ORG/REPO[@REVISION]`, pinned to the commit that it is at now.

    Raises EntryRefused, DownloadFailed or GatedModel.
    """
    parts = _HUB.fullmatch(source)
    if not parts:
        raise EntryRefused(source, "give hf:ORG/REPO, or hf:ORG/REPO@REVISION")
    repo = parts["repo"]
    called = wish.name or _name_of(repo.partition("/")[2].removesuffix("-GGUF"))
    listing = hub.listing(called, repo, parts["revision"] or "main")
    files = _chosen(called, listing, wish.files)
    is_gguf = any(file.name.endswith(".gguf") for file in files)
    about = listing.about
    said: dict[str, Any] = {
        "format": "gguf" if is_gguf else "safetensors",
        "licence": listing.licence,
        "gated": listing.gated,
        "kind": "embedding" if _embeds(listing) else "generation",
        "context": about["gguf"].get("context_length") or _largest(about["config"]),
        "template": "gguf" if is_gguf else "tokenizer",
        "size": sum(file.size for file in files),
        "source": f"hf:{repo}@{listing.commit}",
        "files": {file.name: file.sha256 or FIRST_PULL for file in files},
    }
    return _entry(called, listing.commit[:12].lower(), said, wish)


def write(home: Path, entry: Entry) -> Path:
    """Append an entry to the home's `models.toml`, and say where that is.

    Raises EntryRefused when the revision is there already, SettingsError when the file is damaged,
    or HomeNotWritable.
    """
    path = home / OWN_CATALOGUE
    there = read(path).models if path.is_file() else []
    if any(each.address == entry.address for each in there):
        raise EntryRefused(entry.name, f"{entry.address} is in {path} already")
    text = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if path.is_file() else ""
    _replace(path, text + _block(entry))
    return path


def drop(home: Path, address: str) -> bool:
    """Take the entry of NAME@REVISION out of the home's `models.toml`; False if it is not there.

    Raises SettingsError when the file is damaged, or HomeNotWritable.
    """
    path = home / OWN_CATALOGUE
    if not path.is_file() or all(each.address != address for each in read(path).models):
        return False
    head, *blocks = re.split(rf"(?m)^(?={re.escape(_MARK)})", path.read_text(encoding="utf-8"))
    kept = [block for block in blocks if _address(block) != address]
    _replace(path, (head + "".join(kept)).rstrip("\n") + "\n")
    return True


def _entry(name: str, revision: str, said: dict[str, Any], wish: Wish) -> Entry:
    """The entry of what the files say and what was wished, or why there can be none."""
    wished = {"kind": wish.kind, "licence": wish.licence, "context": wish.context}
    plain = said | {key: value for key, value in wished.items() if value is not None}
    if not plain.get("context"):
        raise EntryRefused(name, "its files do not say how long a text may be; give --context")
    if plain["kind"] == "embedding":
        plain["template"] = "none"
    try:
        return Entry(name=name, revision=revision, **plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EntryRefused(name, f"{where}: {first['msg']}") from None


def _of_head(path: Path) -> dict[str, Any]:
    head = read_head(path)
    return {
        "format": "gguf",
        "kind": "generation",
        "licence": head.licence or "unknown",
        "context": head.context,
        "template": "gguf" if head.has_template else "none",
    }


def _of_folder(folder: Path) -> dict[str, Any]:
    embeds = (folder / "modules.json").is_file()  # Sentence Transformers' table of contents
    said = [_json(folder / name) for name in ("sentence_bert_config.json", "config.json")]
    return {
        "format": "safetensors",
        "kind": "embedding" if embeds else "generation",
        "licence": "unknown",
        "context": next((found for each in said if (found := _largest(each))), None),
        "template": "tokenizer",
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _largest(config: dict[str, Any]) -> int | None:
    """The longest text that a model's configuration names."""
    named = (config.get(key) for key in _CONTEXTS)
    return next((value for value in named if isinstance(value, int) and 0 < value < 1 << 31), None)


def _chosen(name: str, listing: Listing, wanted: Sequence[str]) -> tuple[HubFile, ...]:
    """The files of one model in a repository that may hold many. Raises EntryRefused."""
    if wanted:
        files = listing.matching(wanted)
        if not files:
            raise EntryRefused(name, f"{listing.repo} has no file like {', '.join(wanted)}")
    elif gguf := listing.matching(("*.gguf",)):
        if len(gguf) > 1:
            names = ", ".join(file.name for file in gguf[:8])
            reason = f"{listing.repo} holds {len(gguf)} GGUF files ({names} …)"
            raise EntryRefused(name, f"{reason}; choose with --file")
        files = gguf
    else:
        files = listing.matching(("*.safetensors", *_BESIDE))
    if not any(file.name.endswith((".gguf", ".safetensors")) for file in files):
        raise EntryRefused(name, f"{listing.repo} holds no .gguf or .safetensors files of a model")
    return files


def _embeds(listing: Listing) -> bool:
    pipeline = listing.about.get("pipeline_tag")
    named = pipeline in ("feature-extraction", "sentence-similarity")
    return named or any(file.name == "modules.json" for file in listing.files)


def _name_of(text: str) -> str:
    """A name as the catalogue takes it: small letters, digits, dots and dashes."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
    return plain[:100] or "model"


def _block(entry: Entry) -> str:
    """An entry as a person would write it."""
    plain = entry.model_dump(exclude_defaults=True)
    files = plain.pop("files", {})
    lines = [_MARK, *(f"{key} = {_toml(value)}" for key, value in plain.items())]
    if files:
        lines += ["", "[models.files]"]
        lines += [f"{_toml(name)} = {_toml(digest)}" for name, digest in files.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML writes it; of texts and lists JSON's form is also TOML's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _address(block: str) -> str:
    [plain] = tomllib.loads(block)["models"]
    return f"{plain['name']}@{plain['revision']}"


def _replace(path: Path, text: str) -> None:
    """Write the file whole, after it has been read back as a catalogue."""
    aside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        read(aside)
        aside.replace(path)
    except OSError as error:
        raise HomeNotWritable(str(path), error.strerror or str(error)) from error
    finally:
        aside.unlink(missing_ok=True)
