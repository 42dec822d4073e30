"""A job's events as server-sent events, and waiting for its end.

Each event has the kind as its name and the event as JSON; the last one is `reply` or `failure`.
Comments keep quiet connections open. A reader that comes back with `Last-Event-ID` goes on where
it was. No thread is held between two looks at the stream.
"""

import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import structlog
from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse

from integrations.app import Doors
from integrations.following import END, Followed, check_place, follow
from integrations.http_api.doors import Followers, short
from llmasos.errors import LLMasOSError
from llmasos.events import Reply, dump_event
from llmasos.jobs import Job

log = structlog.get_logger()

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent."""
MEDIA_TYPE = "text/event-stream"
HEARTBEAT_LINE = ": still here\n\n"


@dataclass(frozen=True)
class Following:
    """What one request follows jobs with."""

    doors: Doors
    followers: Followers
    request: Request

    async def stream(self, job_id: str, after: str = "", location: str = "") -> Response:
        """The response that streams a job's events.

        after: the id of the last event that the reader has. location: where the job is.
        Raises UnknownJob or InvalidRequest before anything is sent.
        """
        if after == END:
            return Response(status_code=204)  # tells a browser's EventSource not to come again
        check_place(after)
        await short(self.doors.jobs.find, job_id)
        headers = {"location": location} if location else {}
        return event_stream(_written(self.lively(job_id, after)), headers)

    async def lively(self, job_id: str, after: str = "") -> AsyncGenerator[Followed | None]:
        """The events; None when it is time to say that the connection still stands."""
        spoke = time.monotonic()
        async with aclosing(self.events(job_id, after)) as events:
            async for each in events:
                if each or time.monotonic() - spoke > HEARTBEAT:
                    spoke = time.monotonic()
                    yield each

    async def wait_for(self, job_id: str, seconds: float = math.inf) -> Job:
        """The job once it is finished, or as it stands when the time or the caller is gone."""
        deadline = time.monotonic() + seconds
        async with aclosing(self.events(job_id)) as events:
            async for each in events:
                if each and each.job:
                    return each.job
                if time.monotonic() > deadline or (each is None and await self.is_alone()):
                    break
        return await short(self.doors.jobs.find, job_id)

    async def is_alone(self) -> bool:
        """Whether the caller is gone."""
        return await self.request.is_disconnected()

    async def events(self, job_id: str, after: str = "") -> AsyncGenerator[Followed | None]:
        """`follow`, each step of it in a thread that is given back."""
        events = follow(self.doors.jobs, self.doors.bus, job_id, after)
        done = object()
        while not self.followers.stopping.is_set():
            each = await self.followers.step(partial(next, events, done))
            if each is done:
                return
            assert each is None or isinstance(each, Followed)
            yield each


def event_stream(lines: AsyncIterator[str], headers: Mapping[str, str]) -> Response:
    """A response of server-sent events that no cache or proxy keeps back."""
    fresh = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(lines, media_type=MEDIA_TYPE, headers={**fresh, **headers})


def _following(request: Request) -> Following:
    return Following(request.app.state.doors, request.app.state.followers, request)


Waiting = Annotated[Following, Depends(_following)]
"""A route's parameter of this type gets the means to follow a job."""


async def _written(events: AsyncIterator[Followed | None]) -> AsyncIterator[str]:
    """The events as text. The first line goes out at once: its reader knows that it is heard."""
    yield ": following\n\n"
    try:
        async for each in events:
            yield _as_text(each) if each else HEARTBEAT_LINE
    except LLMasOSError as error:  # the answer has begun: its reader comes back and goes on
        log.warning("http.stream_broke_off", error_type=type(error).__name__)


def _as_text(followed: Followed) -> str:
    """An event as the protocol writes it. JSON has no line breaks outside of strings' escapes."""
    event = followed.event
    if isinstance(event, Reply):  # the form that the job's JSON has
        data = json.dumps({"kind": "reply", **event.as_json()})
    else:
        data = dump_event(event)
    return f"id: {followed.place}\nevent: {event.kind}\ndata: {data}\n\n"
