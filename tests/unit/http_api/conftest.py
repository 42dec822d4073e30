"""The HTTP API as its callers meet it: a real server on a free port, over real jobs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from integrations.app import Doors, open_doors
from integrations.http_api.app import create_app
from integrations.http_api.server import bind
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.events import Failure, Reply
from llmasos.generation import Usage
from llmasos.settings import Settings
from workers.claims import Claim, Claims
from workers.inline import InlineDispatcher
from workers.outcomes import Outcomes

ECHO = """
from llmasos import agent

@agent("echo", "Says it again.")
def echo(turn):
    yield turn.text

@agent("private", "For the few.", users=["slack:T1:U1"])
def private(turn):
    yield "hush"
"""


@dataclass
class Desk:
    """A served API, and the worker's side of it."""

    doors: Doors
    http: httpx.Client
    claims: Claims
    outcomes: Outcomes

    def take(self) -> Claim:
        """Take the next job, as a worker does."""
        claim = self.claims.take()
        assert claim is not None, "no job is waiting"
        return claim

    def succeed(self, claim: Claim, reply: Reply) -> None:
        """Store a reply and say it, as a worker does."""
        self.outcomes.succeed(claim, "echo", reply, Usage())
        self.doors.bus.publish(claim.job.id, claim.attempt, reply)

    def fail(self, claim: Claim, failure: Failure) -> None:
        """Store a failure and say it, as a worker does."""
        self.outcomes.fail(claim, failure, Usage(), cancelled=False)
        self.doors.bus.publish(claim.job.id, claim.attempt, failure)

    def ask(self, text: str = "Hello", agent: str = "echo", **body: object) -> httpx.Response:
        """Ask an agent."""
        return self.http.post(f"/v1/agents/{agent}/runs", json={"text": text, **body})


@pytest.fixture
def make_desk(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> Iterator[Callable[..., Desk]]:
    """A served API with the agent `echo`; more settings as TOML."""
    with ExitStack() as open_things:

        def make(toml: str = "") -> Desk:
            (tmp_path / "echo.py").write_text(ECHO)
            settings = make_settings(f'agents.load = ["./echo.py"]\n{toml}')
            database = Database(settings.state_url)
            migrate(database)
            open_things.callback(database.close)
            doors = open_doors(settings, InlineDispatcher(), MemoryBus())
            open_things.callback(doors.close)
            base = open_things.enter_context(served(doors))
            http = open_things.enter_context(
                httpx.Client(base_url=base, trust_env=False, verify=False, timeout=60)
            )
            return Desk(doors, http, Claims(database, "test", 60.0), Outcomes(database))

        yield make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A served API with the agent `echo`."""
    return make_desk()


class served:
    """Serve on a free port while the block runs; gives the address."""

    def __init__(self, doors: Doors) -> None:
        app = create_app(doors)
        self._stopping = app.state.followers.stopping
        self._server = uvicorn.Server(
            uvicorn.Config(app, http="h11", log_config=None, lifespan="off")
        )
        self._door = bind("127.0.0.1", 0)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._door]}, daemon=True
        )

    def __enter__(self) -> str:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(10)
        self._door.close()
        assert not self._thread.is_alive()
