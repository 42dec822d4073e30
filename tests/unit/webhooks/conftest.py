"""Webhooks over real jobs in a database, without a server."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from integrations.app import Doors, open_doors
from integrations.webhooks.generic import sign
from integrations.webhooks.hooks import load_hooks
from integrations.webhooks.intake import Intake
from integrations.webhooks.ledger import Ledger
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.settings import Settings
from workers.inline import InlineDispatcher

SECRET = "a-long-secret"
ECHO = """
from llmasos import agent

@agent("echo", "Says it again.")
def echo(turn):
    yield turn.text
"""


class Desk:
    """An intake for the webhooks of some settings, and what stands behind it."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.hooks = load_hooks(doors.settings, doors.catalog)
        self.ledger = Ledger(doors.database, doors.settings.webhooks)
        self.intake = Intake(self.hooks, doors.jobs, self.ledger)

    def send(self, name: str, body: bytes, **headers: str) -> Any:
        """A delivery with these headers (`_` for `-`)."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.intake.take(name, named, body)

    def send_signed(self, name: str, body: bytes, at: float | None = None, **headers: str) -> Any:
        """One that is signed as the source `generic` wants it."""
        signature = sign(SECRET, body, time.time() if at is None else at)
        return self.send(name, body, x_llmasos_signature=signature, **headers)

    @property
    def outcomes(self) -> list[str]:
        """What became of all deliveries, the latest first."""
        return [str(each.outcome) for each in self.ledger.entries(None, None, 1000)]


@pytest.fixture
def make_desk(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> Iterator[Callable[[str], Desk]]:
    """Makes desks with the agent `echo`; `toml` has the webhooks."""
    with ExitStack() as open_things:

        def make(toml: str) -> Desk:
            (tmp_path / "echo.py").write_text(ECHO)
            settings = make_settings(f'agents.load = ["./echo.py"]\n{toml}')
            with Database(settings.state_url) as database:
                migrate(database)
            doors = open_doors(settings, InlineDispatcher(), MemoryBus())
            open_things.callback(doors.close)
            return Desk(doors)

        yield make
