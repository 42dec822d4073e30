"""Journals: what a job has done to the outside world, so that no other worker does it again.

`PostJournal` is a channel's memory of its messages; `DatabaseJournal` is the memory of the tools
with effects that an agent called. Both commit before the deed and after it, and both are fenced by
the job's attempt.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from llmasos.channels import Posted
from llmasos.database import Database
from llmasos.errors import EffectUnknown, LeaseLost
from llmasos.jobs import JobStatus
from llmasos.tables import posts, tool_calls
from llmasos.tools import Tool
from workers.claims import fence


class PostJournal:
    """What was posted for one job at one address: a `channels.Journal` in the database."""

    def __init__(self, database: Database, job_id: str, attempt: int, address: str) -> None:
        self._database = database
        self._job_id, self._attempt, self._address = job_id, attempt, address
        self._here = (posts.c.job_id == job_id, posts.c.address == address)

    def rows(self) -> Sequence[Posted]:
        """All messages of this job at this address, by part."""
        with self._database.reading() as connection:
            fence(connection, self._job_id, self._attempt)
            found = connection.execute(select(posts).where(*self._here).order_by(posts.c.part))
            return [
                Posted(
                    part=row["part"],
                    state=row["state"],
                    external_id=row["external_id"],
                    streaming=row["streaming"],
                    attempt=row["attempt"],
                    begun_at=row["begun_at"],
                )
                for row in found.mappings()
            ]

    def begin(self, part: int, *, streaming: bool) -> None:
        """Commit that a message is about to be created."""
        row = {
            "state": "posting",
            "external_id": None,
            "streaming": streaming,
            "attempt": self._attempt,
            "begun_at": time.time(),
        }
        key = {"job_id": self._job_id, "address": self._address, "part": part}
        put = self._database.insert(posts).values(**key, **row)
        self._write(put.on_conflict_do_update(index_elements=list(key), set_=row))

    def opened(self, part: int, external_id: str, *, streaming: bool) -> None:
        """Commit the place's name of it."""
        self._write(
            update(posts)
            .where(*self._here, posts.c.part == part)
            .values(
                state="open", external_id=external_id, streaming=streaming, attempt=self._attempt
            )
        )

    def dropped(self, part: int) -> None:
        """Commit that it was surely not created."""
        self._write(delete(posts).where(*self._here, posts.c.part == part))

    def closed(self, part: int) -> None:
        """Commit that it has its last content."""
        self._write(
            update(posts)
            .where(*self._here, posts.c.part == part)
            .values(state="closed", streaming=False, attempt=self._attempt)
        )

    def known(self, external_ids: Sequence[str]) -> set[str]:
        """Which of these messages any job's row at this address knows."""
        query = select(posts.c.external_id).where(
            posts.c.address == self._address, posts.c.external_id.in_(external_ids)
        )
        with self._database.reading() as connection:
            return {str(found) for found in connection.scalars(query)}

    def check(self) -> None:
        """Nothing but the fence: call it right before each call to the outside."""
        with self._database.reading() as connection:
            fence(connection, self._job_id, self._attempt)

    def _write(self, statement: Any) -> None:
        with self._database.writing() as connection:
            fence(connection, self._job_id, self._attempt)
            connection.execute(statement)


class DatabaseJournal:
    """The tools with effects that a job has called: a `turn.ToolJournal` in the database.

    What earlier attempts did is replayed: the same call gives the result that it had then. A call
    that was begun and never ended, or another call in its place, ends the job, since nobody knows
    what would be done twice.
    """

    def __init__(self, database: Database, job_id: str, attempt: int) -> None:
        self._database = database
        self._job_id, self._attempt = job_id, attempt
        self._earlier: list[dict[str, Any]] | None = None

    def call(self, tool: Tool, arguments: dict[str, Any]) -> str:
        """Call the tool, or give the result of the same call made before a crash.

        Raises EffectUnknown when a call was begun and its outcome is not known, and LeaseLost.
        """
        if not tool.effect:
            return tool.call(arguments)
        tool.checked(arguments)  # what does not fit is refused before anything is written
        said = json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
        if self._earlier is None:
            self._earlier = self._done_before()
        if self._earlier:
            return self._replay(self._earlier, tool.name, said)
        row = self._begin(tool.name, said)
        try:
            result = tool.call(arguments)
        except Exception as error:
            # It may have had its effect and failed after: that is not known either.
            self._end(row, "failed", type(error).__name__)
            raise
        self._end(row, "done", result)
        return result

    def _replay(self, earlier: list[dict[str, Any]], name: str, said: str) -> str:
        same = [row for row in earlier if (row["tool"], row["arguments"]) == (name, said)]
        if same and same[0]["state"] == "done":
            earlier.remove(same[0])
            return str(same[0]["result"])
        unknown = same[0] if same else earlier[0]
        how = {
            "begun": "was begun in an earlier try, and whether it took effect is not known",
            "failed": "failed in an earlier try, and whether it took effect is not known",
            "done": "was made in an earlier try, and now the agent wanted another call instead",
        }[unknown["state"]]
        call = f"'{unknown['tool']}' with {unknown['arguments'][:200]}"
        raise EffectUnknown(self._job_id, call, how)

    def _done_before(self) -> list[dict[str, Any]]:
        query = select(tool_calls).where(
            tool_calls.c.job_id == self._job_id, tool_calls.c.attempt < self._attempt
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(tool_calls.c.id)).mappings()
            return [dict(row) for row in rows]

    def _begin(self, name: str, said: str) -> int:
        with self._database.writing() as connection:
            self._fence(connection)
            made = insert(tool_calls).values(
                job_id=self._job_id,
                attempt=self._attempt,
                tool=name,
                arguments=said,
                state="begun",
            )
            row: int = connection.execute(made.returning(tool_calls.c.id)).scalar_one()
            return row

    def _end(self, row: int, state: str, result: str) -> None:
        """Commit how a call ended, also when the job is no longer ours: it is a fact."""
        with self._database.writing() as connection:
            connection.execute(
                update(tool_calls)
                .where(tool_calls.c.id == row)
                .values(state=state, result=result.replace("\0", ""))
            )

    def _fence(self, connection: Connection) -> None:
        """A job that was cancelled or ran out of time calls nothing more."""
        status = fence(connection, self._job_id, self._attempt)
        if status != JobStatus.RUNNING:
            raise LeaseLost(self._job_id, self._attempt)
