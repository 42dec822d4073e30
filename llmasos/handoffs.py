"""Handoffs: conversations that a person has taken over, in which the bot stays quiet.

Shared by all processes: workers begin one when an agent asks for a person, edges when somebody
presses the button, and edges ask before they take a message. Knows nothing of any place.
"""

import time

from sqlalchemy import select, update

from llmasos.database import Database
from llmasos.tables import handoffs

TELLING = 60.0
"""Seconds that telling people may take."""


class Handoffs:
    """The conversations that people have taken over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, conversation: str, job_id: str, by: str) -> bool:
        """Note that a person takes over; whether it is for the caller to tell people.

        job_id: whose answer gave rise to it; by: the principal who wants it. One caller tells them;
        another may once that one has given up or not come back for a minute.
        """
        row = {"job_id": job_id, "by": by, "begun_at": time.time()}
        untold = handoffs.c.told_at.is_(None) & (handoffs.c.begun_at < time.time() - TELLING)
        with self._database.writing() as connection:
            mine = connection.execute(
                self._database.insert(handoffs)
                .values(conversation=conversation, **row)
                .on_conflict_do_update(index_elements=["conversation"], set_=row, where=untold)
                .returning(handoffs.c.conversation)
            )
            return mine.first() is not None

    def untold(self, conversation: str) -> None:
        """Note that people could not be told: whoever tries next tells them."""
        with self._database.writing() as connection:
            here = handoffs.c.conversation == conversation
            connection.execute(update(handoffs).where(here).values(begun_at=0.0))

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
