"""What one engine serves: which models, found in the library, and how long texts may be.

Decided before a process starts, by `llmasos engine` or by `launch.py`. Light: loads no model.
"""

from dataclasses import dataclass
from pathlib import Path

from llmasos.engine.library import ModelLibrary
from llmasos.engine.memory import card_is_here, require_memory
from llmasos.errors import ModelFileMissing, SettingsError
from llmasos.settings import EngineSettings, Settings


@dataclass(frozen=True)
class Served:
    """The models of one engine. None: it does without."""

    text_model: str | None
    text_file: str | None
    revision: str | None
    embedding_folder: str | None


def chosen(settings: Settings, model: str | None, *, embeddings: bool = True) -> Served:
    """Find the models' files.

    model: a name, NAME@REVISION, an alias, a GGUF file or a folder of safetensors; None takes the
    one that the settings name, unless they name servers that generate text. An alias is looked up
    once: the engine goes on with what it meant at its start.
    Raises UnknownModel, ModelMissing, ModelFileMissing, or ModelTooLarge for what does not fit.
    """
    library = ModelLibrary.of(settings)
    folder = str(library.path(settings.embedding.model)) if embeddings else None
    if model is None and not settings.llm.embedded and folder:
        return Served(None, None, None, folder)
    name = model or settings.llm.model
    if is_file_name(name):
        path = Path(name).expanduser().resolve()
        if not (path.is_file() or (path / "config.json").is_file()):
            raise ModelFileMissing(str(path))
        _require_memory(path.stem, path)
        return Served(path.stem, str(path), None, folder)
    entry = library.show(name)
    path = library.path(entry.address)
    _require_memory(entry.name, path)
    return Served(entry.name, str(path), entry.revision, folder)


def _require_memory(name: str, path: Path) -> None:
    """Check that a model fits, but for safetensors that go to a graphics card: only the engine,
    which has the library for it, can tell how much of that is free. Raises ModelTooLarge.
    """
    if not (path.is_dir() and card_is_here()):
        require_memory(name, path)


def embedding_only(settings: Settings) -> Served:
    """Find the embedding model's files alone. Raises UnknownModel or ModelMissing."""
    library = ModelLibrary.of(settings)
    return Served(None, None, None, str(library.path(settings.embedding.model)))


def is_file_name(model: str) -> bool:
    """Whether a model is named by its place: a GGUF file, or a folder of safetensors."""
    return model.endswith(".gguf") or model.startswith(("/", "./", "../", "~/"))


def with_limits(
    own: EngineSettings,
    *,
    max_concurrent_requests: int | None = None,
    max_input_tokens: int | None = None,
    max_total_tokens: int | None = None,
) -> EngineSettings:
    """The engine's settings with limits of this call, checked against each other.

    When only the total is set the longest prompt follows it. Raises SettingsError.
    """
    given = {
        "max_concurrent_requests": max_concurrent_requests,
        "max_input_tokens": max_input_tokens,
        "max_total_tokens": max_total_tokens,
    }
    update = {name: value for name, value in given.items() if value is not None}
    total = update.get("max_total_tokens", own.max_total_tokens)
    if "max_input_tokens" not in own.model_fields_set | update.keys():
        update["max_input_tokens"] = min(own.max_input_tokens, max(total - 1, 1))
    limited = own.model_copy(update=update)
    for name in given:
        if getattr(limited, name) < 1:
            raise SettingsError(f"engine.{name}", str(getattr(limited, name)), "must be at least 1")
    if limited.max_input_tokens >= total:
        reason = f"must be below engine.max_total_tokens, {total}"
        raise SettingsError("engine.max_input_tokens", str(limited.max_input_tokens), reason)
    if total > limited.context:
        reason = f"must not be above engine.context, {limited.context}"
        raise SettingsError("engine.max_total_tokens", str(total), reason)
    return limited
