"""What one engine serves: which models, found in the library, and how long texts may be.

Decided before a process starts, by `llmasos engine` or by `launch.py`. Light: loads no model.
"""

from dataclasses import dataclass
from pathlib import Path

from llmasos.engine.library import ModelLibrary
from llmasos.errors import ModelMissing, SettingsError
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

    model: a name or a GGUF file; None takes the one that the settings name, unless they name
    servers that generate text. Raises UnknownModel or ModelMissing.
    """
    library = ModelLibrary(settings.models_dir)
    folder = str(library.path(settings.embedding.model)) if embeddings else None
    if model is None and settings.llm.urls and folder:
        return Served(None, None, None, folder)
    name = model or settings.llm.model
    if is_file_name(name):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise ModelMissing(name, str(path.parent))
        return Served(path.stem, str(path), None, folder)
    return Served(name, str(library.path(name)), library.show(name).revision, folder)


def is_file_name(model: str) -> bool:
    """Whether a model is named by its file."""
    return model.endswith(".gguf")


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
