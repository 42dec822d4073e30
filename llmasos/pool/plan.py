"""The plan: which model has which servers, as the settings and the run file say it now.

A plan is a value; `Plans` reads it again when a file that it comes from has changed, so that no
process needs a restart. Knows nothing of connections. Start reading at `Plans.current`.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from llmasos import system
from llmasos.engine.library import ModelLibrary
from llmasos.errors import SettingsError, UnknownModel
from llmasos.settings import EMBEDDED, ModelAlias, Settings, load

log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""How often the files are looked at, at most."""

ALIASES_FILE = "aliases.json"
"""Beside the models: says which of them the embedded engine serves."""

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Address:
    """One server, and how to speak with it."""

    url: str
    kind: Literal["tgi", "openai"] | None = None
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    slots: int = 8
    context: int | None = None


@dataclass(frozen=True)
class Timeouts:
    """Seconds to a connection, and between two pieces of text."""

    connect: float = 5.0
    idle: float = 120.0


@dataclass(frozen=True)
class Plan:
    """Which model has which servers, and which other models stand in for it."""

    servers: Mapping[str, tuple[Address, ...]]
    """By the model's name. Without any: its engine is not running."""
    fallback: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def chain(self, alias: str) -> Iterator[tuple[Address, ...]]:
        """The servers of a model, then those of each that stands in for it.

        Raises UnknownModel.
        """
        if alias not in self.servers:
            raise UnknownModel(alias, tuple(self.servers))
        seen: list[str] = []
        waiting = [alias]
        while waiting:
            name = waiting.pop(0)
            if name not in seen:
                seen.append(name)
                waiting += self.fallback.get(name, ())
                yield self.servers[name]

    def addresses(self) -> frozenset[Address]:
        """Every server that any model has."""
        return frozenset(each for servers in self.servers.values() for each in servers)

    def names(self, address: Address) -> tuple[str, ...]:
        """The models that a server serves."""
        return tuple(name for name, servers in self.servers.items() if address in servers)


def plan(settings: Settings) -> Plan:
    """The plan of these settings, and of the system that runs in their home."""
    aliases = settings.llm.aliases
    engine = _engine(settings) if settings.llm.embedded else ()
    servers = {name: tuple(_servers(settings, alias, engine)) for name, alias in aliases.items()}
    return Plan(servers, {name: alias.fallback for name, alias in aliases.items()})


def _engine(settings: Settings) -> tuple[Address, ...]:
    running = system.find(settings.home)
    if running is None or running.engine_url is None:
        return ()
    return (
        Address(
            running.engine_url, kind="tgi", key=running.engine_key, slots=settings.engine.slots
        ),
    )


def _servers(
    settings: Settings, alias: ModelAlias, engine: tuple[Address, ...]
) -> Iterator[Address]:
    for backend in alias.backends:
        if backend.url == EMBEDDED:
            yield from engine
            continue
        key = backend.api_key
        yield Address(
            url=backend.url.removesuffix("/v1"),
            kind=backend.kind,
            model=_asked(settings, backend.model),
            key=key.get_secret_value() if key else None,
            slots=backend.slots,
            context=backend.context,
        )


def _asked(settings: Settings, model: str | None) -> str | None:
    """The name that a server is asked for: of an alias of the model library, what it points at."""
    if model is None:
        return None
    library = ModelLibrary.of(settings)
    return library.show(model).served_as if model in library.aliases.names() else model


class Plans:
    """The plan in force, read again when `llmasos.toml`, the run file or the aliases have changed.

    settings: the ones to begin with. A file that has become wrong changes nothing and is logged.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stamp = self._look()
        self._looked = time.monotonic()
        self._reading = threading.Lock()
        self._plan = plan(settings)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    def current(self) -> Plan:
        """The plan. Looks at the files once a second at most, and never waits for another look."""
        if time.monotonic() - self._looked >= LOOK_SECONDS and self._reading.acquire(
            blocking=False
        ):
            try:
                self._read_again()
            finally:
                self._looked = time.monotonic()
                self._reading.release()
        return self._plan

    def _read_again(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            if self._settings.file is not None:
                changed = load(self._settings.file)
                self._settings = self._settings.model_copy(update={"llm": changed.llm})
            self._plan = plan(self._settings)
        except (SettingsError, UnknownModel) as error:
            log.error("pool.plan_kept", error=str(error))
            return
        servers = sorted(address.url for address in self._plan.addresses())
        log.info("pool.plan_read", models=sorted(self._plan.servers), servers=servers)

    def _look(self) -> Stamp:
        """What tells that a file has changed."""
        here = self._settings
        files = [system.run_file(here.home), here.models_dir / ALIASES_FILE]
        if self._settings.file is not None:
            files.append(self._settings.file)
        return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
