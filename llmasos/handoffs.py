"""Handoffs: conversations that a person has taken over, in which the bot stays quiet.

Shared by all processes: workers begin one when an agent asks for a person, edges when somebody
presses the button, and edges ask before they take a message. Knows nothing of any place.
"""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, update

from llmasos.database import Database
from llmasos.tables import handoffs

TELLING = 60.0
"""Seconds that telling people may take."""


@dataclass(frozen=True)
class Try:
    """A try to tell people."""

    job_id: str
    begun_at: float


@dataclass(frozen=True)
class Telling:
    """It is for the caller to tell people."""

    own: Try
    earlier: Try | None = None
    """Of this one nobody knows whether they were told."""


class Handoffs:
    """The conversations that people have taken over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, conversation: str, job_id: str, by: str, *, alone: bool = False
    ) -> Telling | None:
        """Note that a person takes over; None: it is not for the caller to tell people.

        job_id: whose answer gave rise to it; by: the principal who wants it; alone: nobody else
        acts for these two now, so that what they began before has ended. One caller tells people;
        another may once that one has given up or not come back for a minute.
        """
        now = time.time()
        row = {"job_id": job_id, "by": by, "begun_at": now, "held_until": now + TELLING}
        free = handoffs.c.held_until < now
        if alone:
            free = or_(free, (handoffs.c.job_id == job_id) & (handoffs.c.by == by))
        here = handoffs.c.conversation == conversation
        with self._database.writing() as connection:
            before = connection.execute(select(handoffs).where(here).with_for_update()).first()
            mine = connection.execute(
                self._database.insert(handoffs)
                .values(conversation=conversation, **row)
                .on_conflict_do_update(
                    index_elements=["conversation"],
                    set_=row,
                    where=handoffs.c.told_at.is_(None) & free,
                )
                .returning(handoffs.c.conversation)
            )
            if mine.first() is None:
                return None
        earlier = Try(before.job_id, before.begun_at) if before and before.begun_at else None
        return Telling(Try(job_id, now), earlier)

    def untold(self, conversation: str, doubt: Try | None = None) -> None:
        """Note that people could not be told: whoever tries next sees to it.

        doubt: the try by which they may know nevertheless.
        """
        values: dict[str, Any] = {"held_until": 0.0, "begun_at": doubt.begun_at if doubt else 0.0}
        if doubt is not None:
            values["job_id"] = doubt.job_id
        with self._database.writing() as connection:
            here = handoffs.c.conversation == conversation
            connection.execute(update(handoffs).where(here).values(**values))

    def told(self, conversation: str) -> None:
        """Note that people know of it."""
        with self._database.writing() as connection:
            here = handoffs.c.conversation == conversation
            connection.execute(update(handoffs).where(here).values(told_at=time.time()))

    def quiet(self, conversation: str) -> bool:
        """Whether the bot stays quiet in a conversation."""
        here = select(handoffs.c.conversation).where(handoffs.c.conversation == conversation)
        with self._database.reading() as connection:
            return connection.execute(here).first() is not None

    def end(self, conversation: str) -> None:
        """The bot was asked back."""
        with self._database.writing() as connection:
            connection.execute(handoffs.delete().where(handoffs.c.conversation == conversation))
