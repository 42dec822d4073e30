"""`llmasos slack run` as a process: Slack on one side, the table of jobs on the other."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmasos.database import Database, migrate
from llmasos.processes import free_port
from llmasos.settings import Settings
from llmasos.tables import jobs
from llmasos.testing.slack import SlackStandIn


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def settings(make_settings: Callable[..., Settings], slack: SlackStandIn) -> Settings:
    """Slack is the stand-in; nothing listens where the broker should be."""
    broker = f"redis://127.0.0.1:{free_port()}/0"
    made = make_settings(
        f'broker_url = "{broker}"\nbus_url = "{broker}"\n'
        f'[slack]\nbot_token = "{slack.bot_token}"\napp_token = "{slack.app_token}"\n'
        f'api_url = "{slack.api_url}"\n'
    )
    with Database(made.state_url) as database:
        migrate(database)
    return made


@contextmanager
def bot(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process; killed if it is still there in the end."""
    command = [sys.executable, "-m", "integrations.cli.main", "slack", "run"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_message_is_taken_without_a_broker_and_the_process_stops_cleanly(
    slack: SlackStandIn, settings: Settings
) -> None:
    slack.redeliver_after(0.5, 0.5, 0.5, patience=3)
    with bot(settings.folder) as process:
        slack.wait(lambda: slack.connections == 1, seconds=60)
        slack.dm("How long do refunds take?")
        slack.wait(lambda: slack.deliveries and slack.deliveries[0].acknowledged, seconds=20)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)

    with Database(settings.state_url) as database, database.reading() as connection:
        stored = connection.execute(jobs.select()).all()
    assert (process.returncode, len(stored)) == (0, 1)
    assert slack.deliveries[0].tries == 1
    assert "refunds" not in said
    assert slack.bot_token not in said


def test_a_wrong_token_ends_the_process_with_slacks_word_and_the_setting(
    slack: SlackStandIn, settings: Settings
) -> None:
    slack.bot_token = "xoxb-another"

    with bot(settings.folder) as process:
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "Setting slack.bot_token: Slack says invalid_auth" in said.splitlines()[-1]
    assert "LLMASOS_SLACK__BOT_TOKEN" in said.splitlines()[-1]
