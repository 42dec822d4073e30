"""Aliases: names like `default` that point at one revision of a model, and who moved them when.

Kept in `aliases.json` in the models' folder, which is only ever replaced whole. Whoever serves or
asks for a model reads it again when it has changed, so a promotion needs no restart.
"""

import fcntl
import json
import os
import pwd
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from llmasos.engine.records import write_whole
from llmasos.errors import AliasRefused, HomeNotWritable, SettingsError

_FILE = "aliases.json"
_LOCKS = ".locks"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Move:
    """One line of an alias's history.

    action: `failed` takes back a promotion whose model did not start; `reason` says why.
    model: NAME@REVISION that the alias points at from then on.
    """

    at: str
    by: str
    action: Literal["promoted", "rolled back", "failed"]
    model: str
    reason: str = ""


class Aliases:
    """The aliases of one models' folder.

    built_in: the NAME@REVISION that those point at which nobody has moved.
    """

    def __init__(self, folder: Path, built_in: Mapping[str, str]) -> None:
        self._path = folder / _FILE
        self._lock = folder / _LOCKS / _FILE
        self._built_in = dict(built_in)
        self._read: tuple[tuple[int, int, int], dict[str, list[Move]]] | None = None

    def names(self) -> tuple[str, ...]:
        """Every alias, sorted."""
        return tuple(sorted({*self._built_in, *self._moves()}))

    def target(self, alias: str) -> str | None:
        """The NAME@REVISION that an alias points at; None when there is no such alias."""
        moves = self._moves().get(alias)
        return moves[-1].model if moves else self._built_in.get(alias)

    def history(self, alias: str) -> list[Move]:
        """Its moves, the oldest first. Raises AliasRefused when there is no such alias."""
        if self.target(alias) is None:
            raise AliasRefused(alias, f"there is none. Known: {', '.join(self.names()) or 'none'}")
        return list(self._moves().get(alias, ()))

    def pointing_at(self, model: str) -> tuple[str, ...]:
        """The aliases that point at NAME@REVISION now."""
        return tuple(alias for alias in self.names() if self.target(alias) == model)

    def moved_to(self, model: str) -> tuple[str, ...]:
        """The aliases that somebody pointed at a model: NAME (any revision) or NAME@REVISION."""
        return tuple(
            alias
            for alias, moves in sorted(self._moves().items())
            if model in (moves[-1].model, moves[-1].model.partition("@")[0])
        )

    def before(self, alias: str) -> str:
        """What a rollback would point it at. Raises AliasRefused when there is nothing before."""
        base = self._built_in.get(alias)
        trail = [base] if base else []
        for move in self.history(alias):
            if move.action != "promoted" and trail:
                trail.pop()
            if not trail or trail[-1] != move.model:
                trail.append(move.model)
        if len(trail) < 2:
            raise AliasRefused(alias, f"there is nothing before {trail[-1]} to go back to")
        return trail[-2]

    def promote(self, alias: str, model: str) -> None:
        """Point an alias at NAME@REVISION. Raises AliasRefused or HomeNotWritable."""
        if not _NAME.fullmatch(alias):
            reason = "is no name; take small letters, digits, '.', '_' and '-', at most 100"
            raise AliasRefused(alias, reason)
        if self.target(alias) == model:
            raise AliasRefused(alias, f"it points at {model} already")
        self._append(alias, "promoted", model)

    def roll_back(self, alias: str, model: str) -> None:
        """Point an alias at what `before` said. Raises HomeNotWritable."""
        self._append(alias, "rolled back", model)

    def take_back(self, alias: str, model: str, serving: str, reason: str) -> None:
        """Point an alias at what is being served, since a model it was moved to did not start.

        Does nothing when it has been moved on meanwhile. Raises HomeNotWritable.
        """
        self._append(alias, "failed", serving, f"{model} did not start: {reason}", only_if=model)

    def _append(
        self,
        alias: str,
        action: Literal["promoted", "rolled back", "failed"],
        model: str,
        reason: str = "",
        *,
        only_if: str | None = None,
    ) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        move = Move(at, _who(), action, model, reason)
        try:
            with self._locked():
                if only_if is not None and self.target(alias) != only_if:
                    return
                moves = self._moves()
                plain = {name: [asdict(each) for each in kept] for name, kept in moves.items()}
                plain[alias] = [*plain.get(alias, ()), asdict(move)]
                write_whole(self._path, {"aliases": plain})
        except OSError as error:
            raise HomeNotWritable(str(self._path), error.strerror or str(error)) from error

    def _moves(self) -> dict[str, list[Move]]:
        """The file, read again when it is another one. Raises SettingsError if it is damaged."""
        try:
            found = self._path.stat()
        except OSError:
            return {}
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._read is None or self._read[0] != version:
            self._read = version, self._parsed()
        return self._read[1]

    def _parsed(self) -> dict[str, list[Move]]:
        try:
            plain: Any = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                alias: [Move(**move) for move in moves]
                for alias, moves in plain["aliases"].items()
                if moves
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"cannot be read ({error}). Mend it, or remove it to forget every promotion"
            raise SettingsError(str(self._path), "", reason) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _who() -> str:
    """Who moves an alias: the user of this process and the machine."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
