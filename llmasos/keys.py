"""API keys: who may call the HTTP API, for what, and until when.

A key's text is shown once, when it is made; what is kept of it is a digest. It is looked up for
each request, so that a revoked one stops working at once in every process. Knows nothing of HTTP.
Start reading at `Keys.check`.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Row, or_, select, update

from llmasos import request
from llmasos.database import Database
from llmasos.errors import InvalidRequest, KeyRefused, StateError, UnknownKey
from llmasos.tables import keys

log = structlog.get_logger()

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEXT = re.compile(r"llmasos_([0-9a-f]{10})_[A-Za-z0-9_-]{43}")
"""A key as its holder has it: a mark that scanners for secrets find, its id, 256 random bits."""
NOTED_EVERY = 60.0
"""Seconds within which a key's use is noted once."""


class Scope(StrEnum):
    """What a key may be used for."""

    RUN = "run"
    """Ask agents; see, follow, cancel and retry one's own jobs."""
    JOBS_READ = "jobs:read"
    """See and follow everybody's jobs."""
    JOBS_WRITE = "jobs:write"
    """See, follow, cancel and retry everybody's jobs."""
    KNOWLEDGE_READ = "knowledge:read"
    """Search the collections that everyone may read, or that name the key; list what they hold."""
    KNOWLEDGE_WRITE = "knowledge:write"
    """Read them, add documents to them, remove them, and have their sources mirrored."""
    DELIVER = "deliver"
    """Have answers brought to Slack channels and URLs (`reply_to`)."""
    ACT_AS = "act-as"
    """Ask and search on behalf of anybody whom a request names."""
    METRICS = "metrics"
    """Read `/metrics`, and the reasons in `/readyz`."""
    ADMIN = request.ADMIN
    """All of these."""

    def covers(self, wanted: "Scope") -> bool:
        """Whether a key with this scope may do what another stands for."""
        writes = self.value.endswith(":write") and wanted.value.endswith(":read")
        same_noun = self.value.partition(":")[0] == wanted.value.partition(":")[0]
        return self in (wanted, Scope.ADMIN) or (writes and same_noun)


@dataclass(frozen=True)
class Key:
    """A key, without its secret. Times are seconds since the epoch."""

    id: str
    name: str
    """Whose it is. All keys of a name are one caller, so that a key can be replaced by another."""
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= time.time()
        return "expired" if expired else "active"


class Keys:
    """The keys there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, scopes: Sequence[Scope], expires_at: float | None = None
    ) -> tuple[Key, str]:
        """Make a key; gives it and its text, which cannot be read again.

        Raises InvalidRequest for a name that cannot be one, and for a key that could do nothing.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequest(
                f"'{name[:80]}' cannot be a key's name: take 1 to 64 letters, digits, dots, dashes "
                "and underscores."
            )
        if not scopes:
            raise InvalidRequest("A key without a scope could do nothing. Name one: run.")
        key_id = secrets.token_hex(5)
        text = f"llmasos_{key_id}_{secrets.token_urlsafe(32)}"
        kept = tuple(each for each in Scope if each in scopes)
        made = Key(key_id, name, kept, time.time(), expires_at, None, None)
        with self._database.writing() as connection:
            connection.execute(
                keys.insert().values(
                    id=made.id,
                    name=made.name,
                    scopes=" ".join(kept),
                    digest=_digest(key_id, text),
                    created_at=made.created_at,
                    expires_at=made.expires_at,
                )
            )
        return made, text

    def list(self) -> list[Key]:
        """All keys, the oldest first, also those that work no more."""
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id))
            return [_key(row) for row in rows]

    def any(self) -> bool:
        """Whether there are keys, so that every caller needs one; revoked ones count, too."""
        with self._database.reading() as connection:
            return connection.execute(select(keys.c.id).limit(1)).first() is not None

    def revoke(self, key_id: str) -> Key:
        """Make a key useless from now on. Raises UnknownKey."""
        with self._database.writing() as connection:
            connection.execute(
                update(keys)
                .where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
                .values(revoked_at=time.time())
            )
            row = connection.execute(select(keys).where(keys.c.id == key_id)).first()
        if row is None:
            raise UnknownKey(key_id, tuple(each.id for each in self.list()))
        return _key(row)

    def forget(self, key_id: str) -> None:
        """Take a key out of the table. With the last one, callers need none again.

        Raises UnknownKey.
        """
        with self._database.writing() as connection:
            gone = connection.execute(keys.delete().where(keys.c.id == key_id)).rowcount
        if not gone:
            raise UnknownKey(key_id, tuple(each.id for each in self.list()))

    def check(self, text: str) -> Key:
        """The key with this text. Raises KeyRefused when none has it or it works no more."""
        form = TEXT.fullmatch(text)
        if form is None:
            raise KeyRefused("it does not have the form of an API key")
        key_id = form[1]
        with self._database.reading() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key_id)).first()
        if row is None or not hmac.compare_digest(row.digest, _digest(key_id, text)):
            raise KeyRefused("nobody has it")
        key = _key(row)
        if key.state != "active":
            raise KeyRefused(f"it is {key.state}")
        self._note_use(key)
        return key

    def _note_use(self, key: Key) -> None:
        now = time.time()
        if key.last_used_at is not None and now - key.last_used_at < NOTED_EVERY:
            return
        stale = or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < now - NOTED_EVERY)
        noted = update(keys).where(keys.c.id == key.id, stale).values(last_used_at=now)
        try:
            with self._database.writing(durable="later") as connection:
                connection.execute(noted)
        except StateError as error:  # who may read should not be kept from it by a full disk
            log.warning("key.use_not_noted", key=key.id, error=str(error))


def _digest(key_id: str, text: str) -> str:
    """What is kept of a key. A fast hash is enough: nobody guesses 256 random bits."""
    return hashlib.blake2b(text.encode(), key=key_id.encode(), digest_size=32).hexdigest()


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope(each) for each in row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
