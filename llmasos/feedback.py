"""Feedback: what people thought of an answer.

One opinion a person and job; a later one replaces it. Knows nothing of buttons.
"""

import time
from typing import Any, Literal

from llmasos.database import Database
from llmasos.errors import UnknownJob
from llmasos.tables import feedback, jobs

Opinion = Literal["good", "bad"]
LONGEST_COMMENT = 4_000
"""Characters of a comment that are kept."""


class Feedback:
    """The opinions there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self, job_id: str, principal_id: str, opinion: Opinion, comment: str | None = None
    ) -> None:
        """Keep what a person thinks of a job's answer. comment: in their words; None: as before.

        Raises UnknownJob.
        """
        with self._database.writing() as connection:
            known = connection.execute(jobs.select().where(jobs.c.id == job_id)).first()
            if known is None:
                raise UnknownJob(job_id)
            given: dict[str, Any] = {"opinion": opinion, "given_at": time.time()}
            if comment is not None:
                given["comment"] = comment.replace("\0", "")[:LONGEST_COMMENT]
            connection.execute(
                self._database.insert(feedback)
                .values(job_id=job_id, principal_id=principal_id, **given)
                .on_conflict_do_update(index_elements=["job_id", "principal_id"], set_=given)
            )

    def opinions(self, job_id: str) -> dict[str, Opinion]:
        """Who thinks what of a job's answer, by principal."""
        with self._database.reading() as connection:
            rows = connection.execute(feedback.select().where(feedback.c.job_id == job_id))
            return {row.principal_id: row.opinion for row in rows}

    def comments(self, job_id: str) -> dict[str, str]:
        """What people say of a job's answer in their own words, by principal."""
        with self._database.reading() as connection:
            rows = connection.execute(feedback.select().where(feedback.c.job_id == job_id))
            return {row.principal_id: row.comment for row in rows if row.comment}
