"""The ledger: every delivery that came to a webhook, and what became of it.

It serves people (who sent what, why was it refused), `llmasos webhooks redeliver`, and the check
that nothing signed once makes two jobs. Bodies of deliveries that were not genuine are never kept.
Start reading at `Ledger.add`.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, select

from llmasos.database import Database
from llmasos.errors import UsageError
from llmasos.settings import WebhookSettings
from llmasos.tables import hook_deliveries as rows

LARGEST_KEPT = 256_000
"""Bytes of a body or of headers that are kept."""
MOST_REFUSED = 1_000
"""Refused deliveries that are kept, so that nobody fills the disk with forgeries."""
DAY = 86_400.0
PRUNE_EVERY = 600.0
"""Seconds between two removals of what is old; as many refusals as `MOST_REFUSED` bring it too."""


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    """It made a job."""
    REPEATED = "repeated"
    """It came before: no other job was made."""
    FILTERED = "filtered"
    """`when` was false for it."""
    UNUSABLE = "unusable"
    """It was genuine, but no job could be made of it."""
    REFUSED = "refused"
    """It was not genuine."""


class UnknownDelivery(UsageError):
    """There is no such delivery in the log."""


@dataclass(frozen=True)
class Arrival:
    """A genuine delivery as it came."""

    hook: str
    received_at: float
    """Seconds since the epoch."""
    key: str
    """What a repeat of it has too: the sender's own id, or one that we made up."""
    seal: str | None
    """What tells it apart beside the key; see `source.Genuine`."""
    headers: Mapping[str, str]
    """Without those that prove the sender."""
    body: bytes


@dataclass(frozen=True)
class Entry:
    """A line of the log."""

    id: int
    hook: str
    received_at: float
    key: str | None
    outcome: Outcome
    reason: str | None
    job_id: str | None
    kept: bool
    """Whether its body is there, so that it can be delivered again."""

    def as_json(self) -> dict[str, Any]:
        """The entry as the command line prints it."""
        at = datetime.fromtimestamp(self.received_at, UTC).isoformat(timespec="milliseconds")
        return {
            "id": self.id,
            "webhook": self.hook,
            "received_at": at,
            "sender_id": self.key,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "job": self.job_id,
            "can_be_redelivered": self.kept,
        }


class Ledger:
    """The log of deliveries. hooks: the settings of the webhooks there are."""

    def __init__(self, database: Database, hooks: Iterable[WebhookSettings]) -> None:
        self._database = database
        self._hooks = {each.name: each for each in hooks}
        self._refusals = 0
        self._next_prune = 0.0

    def add(
        self, arrival: Arrival, outcome: Outcome, reason: str | None = None, job: str | None = None
    ) -> None:
        """Write down a genuine delivery."""
        headers = json.dumps(dict(arrival.headers))
        keeps = self._hooks[arrival.hook].keep_bodies and outcome is not Outcome.REPEATED
        keeps = keeps and max(len(arrival.body), len(headers)) <= LARGEST_KEPT
        self._write(
            hook=arrival.hook,
            received_at=arrival.received_at,
            key=arrival.key,
            seal=arrival.seal,
            outcome=outcome.value,
            reason=reason,
            job_id=job,
            headers=headers if keeps else None,
            body=arrival.body if keeps else None,
        )

    def add_refused(self, hook: str, received_at: float, reason: str) -> None:
        """Write down one that was not genuine: nothing that it brought, only why."""
        self._refusals += 1
        outcome = Outcome.REFUSED.value
        self._write(hook=hook, received_at=received_at, outcome=outcome, reason=reason)

    def key_of(self, hook: str, seal: str, since: float) -> str | None:
        """The key under which a delivery with this seal first came since then."""
        query = (
            select(rows.c.key)
            .where(rows.c.hook == hook, rows.c.seal == seal, rows.c.received_at >= since)
            .where(rows.c.outcome != Outcome.REPEATED.value)
            .order_by(rows.c.id)
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    def entries(self, hook: str | None, outcome: Outcome | None, limit: int) -> list[Entry]:
        """The latest deliveries, newest first. hook, outcome: only those."""
        query = select(*_SHOWN).order_by(rows.c.id.desc()).limit(limit)
        if hook is not None:
            query = query.where(rows.c.hook == hook)
        if outcome is not None:
            query = query.where(rows.c.outcome == outcome.value)
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def kept(self, entry_id: int) -> tuple[Entry, Arrival]:
        """A delivery with what it brought. Raises UnknownDelivery."""
        query = select(*_SHOWN, rows.c.headers, rows.c.body, rows.c.seal)
        with self._database.reading() as connection:
            row = connection.execute(query.where(rows.c.id == entry_id)).mappings().first()
        if row is None:
            raise UnknownDelivery(
                f"No delivery has the number {entry_id}. `llmasos webhooks deliveries` lists them."
            )
        if row["body"] is None:
            raise UnknownDelivery(
                f"The body of delivery {entry_id} was not kept: it was {row['outcome']}, larger "
                f"than {LARGEST_KEPT} bytes, or its webhook has keep_bodies = false."
            )
        arrival = Arrival(
            row["hook"], row["received_at"], row["key"], row["seal"],
            json.loads(row["headers"]), row["body"],
        )  # fmt: skip
        return _entry(row), arrival

    def _write(self, **values: Any) -> None:
        with self._database.writing(durable="later") as connection:
            connection.execute(rows.insert(), values)
        if time.monotonic() >= self._next_prune or self._refusals >= MOST_REFUSED:
            self._next_prune = time.monotonic() + PRUNE_EVERY
            self._refusals = 0
            self._prune()

    def _prune(self) -> None:
        """Remove what is older than its webhook keeps, and the oldest of too many refusals."""
        now = time.time()
        refused = rows.c.outcome == Outcome.REFUSED.value
        oldest = (
            select(rows.c.id)
            .where(refused)
            .order_by(rows.c.id.desc())
            .offset(MOST_REFUSED)
            .limit(1)
        )
        others = rows.c.hook.not_in(list(self._hooks))
        with self._database.writing(durable="later") as connection:
            for name, hook in self._hooks.items():
                old = rows.c.received_at < now - hook.keep_days * DAY
                connection.execute(rows.delete().where(rows.c.hook == name, old))
            connection.execute(rows.delete().where(others, rows.c.received_at < now - 7 * DAY))
            first = connection.execute(oldest).scalar()
            if first is not None:
                connection.execute(rows.delete().where(refused, rows.c.id <= first))


_SHOWN: tuple[ColumnElement[Any], ...] = (
    rows.c.id,
    rows.c.hook,
    rows.c.received_at,
    rows.c.key,
    rows.c.outcome,
    rows.c.reason,
    rows.c.job_id,
    rows.c.body.is_not(None).label("kept"),
)


def _entry(row: RowMapping) -> Entry:
    return Entry(
        id=row["id"],
        hook=row["hook"],
        received_at=row["received_at"],
        key=row["key"],
        outcome=Outcome(row["outcome"]),
        reason=row["reason"],
        job_id=row["job_id"],
        kept=bool(row["kept"]),
    )
