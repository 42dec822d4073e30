"""Reading the settings: the file, the environment over it, and what is wrong with them in words.

The only module that reads the environment. Start reading at `load`.
"""

import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from llmasos.errors import SettingsError
from llmasos.settings.kinds import PREFIX
from llmasos.settings.whole import Settings

CONFIG_NAME = "llmasos.toml"


def load(config: Path | None = None) -> Settings:
    """Read `llmasos.toml` and the environment.

    config: the file; None takes `llmasos.toml` in the working folder if there is one.
    Raises SettingsError for the first wrong setting, with its name, value and what is allowed.
    """
    path = config or Path.cwd() / CONFIG_NAME
    if config and not path.is_file():
        raise SettingsError("--config", str(path), "there is no such file")
    plain = _read(path) if path.exists() else {}
    folder = path.parent.resolve()
    _refuse_unknown_variables()
    try:
        settings = Settings(**plain)
    except ValidationError as error:
        raise _explain(error, path if plain else None) from None
    rooted = _rooted(settings, folder)
    rooted._file = path.resolve() if path.is_file() else None
    return rooted


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Settle where a relative home starts: here if the environment names it, else at the file."""
    base = Path.cwd() if os.environ.get(f"{PREFIX}HOME") else folder
    rooted = settings.model_copy(update={"home": (base / settings.home).resolve()})
    rooted._folder = folder
    return rooted


def replaced(settings: Settings, **sections: BaseModel) -> Settings:
    """The settings with other sections: no longer those of the file, and so not read from it again.

    sections: by their names, such as `llm`.
    """
    other = settings.model_copy(update=sections)
    other._file = None
    return other


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(path), "", f"cannot be read: {error}") from error


def _refuse_unknown_variables() -> None:
    """A misspelt variable would be ignored silently; say so instead."""
    known = set(Settings.model_fields)
    for name in sorted(os.environ):
        if name.startswith(PREFIX):
            head = name.removeprefix(PREFIX).split("__")[0].lower()
            if head not in known:
                raise SettingsError(name, "", f"there is no such setting.{_hint(head, known)}")


def _hint(name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {PREFIX}{close[0].upper()} ([{close[0]}] in the file)?" if close else ""


def _explain(error: ValidationError, path: Path | None) -> SettingsError:
    """The first mistake, in terms of the file and the variable. Secrets are not repeated."""
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    name = ".".join(where)
    secret = any(word in name.lower() for word in ("token", "secret", "key", "url"))
    given = first.get("input")
    value = "" if secret or isinstance(given, (dict, list, BaseModel)) else repr(given)
    if first["type"] == "extra_forbidden":
        reason = "there is no such setting." + _hint_in(where)
    else:
        reason = first["msg"].removeprefix("Value error, ")
    variable = PREFIX + "__".join(part.upper() for part in where)
    file = f"{path.name} or " if path else ""
    return SettingsError(name, value, f"{reason} (set in {file}{variable})")


def _hint_in(where: list[str]) -> str:
    """The nearest setting of the same section."""
    fields: dict[str, Any] = dict(Settings.model_fields)
    for part in where[:-1]:
        annotation = fields[part].annotation if part in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        fields = dict(annotation.model_fields)
    close = get_close_matches(where[-1], list(fields), n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Known here: {', '.join(sorted(fields))}."


def redacted(settings: Settings) -> dict[str, Any]:
    """The settings as plain values that may be shown: secrets and passwords in URLs hidden."""
    plain = settings.model_dump(mode="json")
    for name in ("database_url", "broker_url", "bus_url"):
        plain[name] = without_password(plain[name]) if plain[name] else None
    return plain


def without_password(url: str) -> str:
    """A URL that may be shown: the password in it hidden."""
    return re.sub(r"(?<=:)[^:/@]+(?=@)", "***", url)


def environment(**changes: str) -> dict[str, str]:
    """The environment for a child process: ours, with some variables set."""
    return {**os.environ, **changes}


def prefer(**variables: str) -> None:
    """Set variables for the libraries of this process, those that are set already left alone."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
