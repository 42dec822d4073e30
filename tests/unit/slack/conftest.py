"""Slack's edge over real jobs: what arrives here becomes a row, or Slack hears of it again."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from agents.catalog import Catalog
from integrations.slack import socket_mode
from integrations.slack.desk import Desk
from integrations.slack.http import PATH, slack_routes
from llmasos import Agent
from llmasos.bus import MemoryBus
from llmasos.conversations import Conversations
from llmasos.corrections import Corrections
from llmasos.database import Database, migrate
from llmasos.feedback import Feedback
from llmasos.handoffs import Handoffs
from llmasos.jobs import Jobs, Submitted
from llmasos.rates import MemoryRates
from llmasos.request import Request
from llmasos.settings import JobSettings, Settings
from llmasos.testing.slack import SlackStandIn, signed_headers
from workers.inline import InlineDispatcher

CATALOG = Catalog(
    [
        Agent("writing", "Writes.", examples=["Shorten this text"]),
        Agent("customer_service", "Answers.", examples=["How long do refunds take?"]),
        Agent("finance", "Counts.", users=["group:S0FINANCE", "slack:T0TEAM:U0BEN"]),
    ]
)


def jobs_of(kind: type[Jobs], database: Database) -> Jobs:
    limits, schemes = JobSettings(max_text=200), ("slack", "slack-command")
    names = tuple(CATALOG.names())
    return kind(database, InlineDispatcher(), limits, names, schemes, CATALOG.may_use)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}") as made:
        migrate(made)
        yield made


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return jobs_of(Jobs, database)


@pytest.fixture
def desk(database: Database, jobs: Jobs) -> Desk:
    return Desk(
        jobs=jobs,
        catalog=CATALOG,
        conversations=Conversations(database),
        corrections=Corrections(database, jobs),
        feedback=Feedback(database),
        handoffs=Handoffs(database),
        rates=MemoryRates(),
        bus=MemoryBus(),
    )


@pytest.fixture
def slack_settings(
    make_settings: Callable[..., Settings], slack: SlackStandIn
) -> Callable[..., Settings]:
    """Settings for the stand-in; `socket` for Socket Mode, else signed HTTP."""

    def make(toml: str = "", *, socket: bool = False) -> Settings:
        door = (
            f'app_token = "{slack.app_token}"'
            if socket
            else f'signing_secret = "{slack.signing_secret}"'
        )
        return make_settings(
            f'[slack]\nbot_token = "{slack.bot_token}"\napi_url = "{slack.api_url}"\n{door}\n{toml}'
        )

    return make


@pytest.fixture
def broken(desk: Desk, database: Database) -> Callable[[Exception, int], Desk]:
    """A desk whose first `times` jobs cannot be stored."""

    def make(error: Exception, times: int) -> Desk:
        left = [error] * times

        class Failing(Jobs):
            def submit(self, request: Request) -> Submitted:
                if left:
                    raise left.pop()
                return super().submit(request)

        return replace(desk, jobs=jobs_of(Failing, database))

    return make


class Door:
    """The route as Slack meets it."""

    def __init__(self, slack: SlackStandIn, settings: Settings, desk: Desk) -> None:
        self.slack = slack
        app = Starlette(routes=slack_routes(settings, desk))
        self.http = TestClient(app, raise_server_exceptions=True)

    def post(self, body: bytes, **headers: str) -> int:
        signed = signed_headers(body, self.slack.signing_secret)
        return self.http.post(PATH, content=body, headers=signed | headers).status_code

    def event(self, **event: Any) -> int:
        return self.post(json.dumps(self.slack.envelope(event)).encode())

    def form(self, **fields: Any) -> int:
        """What people do beside writing: a command, or an interaction as `payload`."""
        form = "application/x-www-form-urlencoded"
        return self.post(urlencode(fields).encode(), **{"Content-Type": form})

    def mention(self, text: str = "Hi?", ts: str = "1760000000.000100", **more: Any) -> int:
        fields = {"channel": "C0GENERAL", "user": "U0ANN", "team": "T0TEAM", "ts": ts}
        return self.event(type="app_mention", text=f"<@U0BOT> {text}", **fields, **more)


@pytest.fixture
def make_door(slack: SlackStandIn, desk: Desk) -> Iterator[Callable[..., Door]]:
    """Routes over settings and a desk, all in one loop each until the test ends."""
    slack.echo = False
    with ExitStack() as opened:

        def make(settings: Settings, at: Desk = desk) -> Door:
            door = Door(slack, settings, at)
            opened.enter_context(door.http)
            return door

        yield make


@pytest.fixture
def door(make_door: Callable[..., Door], slack_settings: Callable[..., Settings]) -> Door:
    return make_door(slack_settings())


@contextmanager
def bot(settings: Settings, desk: Desk) -> Iterator[None]:
    """The bot in Socket Mode, on a thread."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(socket_mode.serve(settings.slack, desk, stop))
        except BaseException as error:  # noqa: BLE001  (it is raised again below)
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
    assert not failed, failed


@pytest.fixture
def running(
    slack: SlackStandIn, slack_settings: Callable[..., Settings], desk: Desk
) -> Iterator[SlackStandIn]:
    """Slack with the bot connected to it."""
    with bot(slack_settings(socket=True), desk):
        yield slack
