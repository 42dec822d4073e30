"""Homes for tests that start one process of the system by itself."""

from collections.abc import Callable

from llmasos.database import Database, migrate
from llmasos.processes import free_port
from llmasos.settings import Settings
from llmasos.testing.slack import SlackStandIn


def slack_home(
    make_settings: Callable[..., Settings], slack: SlackStandIn, doors: str, top: str = ""
) -> Settings:
    """A home with a database; nothing listens where the broker should be.

    doors: what `[slack]` has beside the address of the stand-in; top: what stands before it.
    """
    broker = f"redis://127.0.0.1:{free_port()}/0"
    made = make_settings(
        f'broker_url = "{broker}"\nbus_url = "{broker}"\n{top}\n'
        f'[slack]\napi_url = "{slack.api_url}"\n{doors}\n'
    )
    with Database(made.state_url) as database:
        migrate(database)
    return made
