"""`llmasos slack run` as a process: Slack on one side, the table of jobs on the other."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slack_sdk.oauth.installation_store import Installation

from integrations.slack.installations import installations_of
from llmasos.database import Database
from llmasos.settings import Settings
from llmasos.tables import jobs
from llmasos.testing.slack import SlackStandIn
from tests.scenarios.homes import slack_home


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def settings(make_settings: Callable[..., Settings], slack: SlackStandIn) -> Settings:
    tokens = f'bot_token = "{slack.bot_token}"\napp_token = "{slack.app_token}"'
    return slack_home(make_settings, slack, tokens)


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


def test_every_workspace_that_has_added_the_app_is_heard(
    slack: SlackStandIn, make_settings: Callable[..., Settings]
) -> None:
    app = slack.directory
    named = "[slack.workspaces.T0EAST]\n[slack.workspaces.T0WEST]"
    credentials = f'client_id = "{app.client_id}"\nclient_secret = "{app.client_secret}"'
    doors = f'{credentials}\napp_token = "{slack.app_token}"\n{named}'
    settings = slack_home(make_settings, slack, doors)
    with Database(settings.state_url) as database:
        kept = installations_of(settings.slack, database)
        for team in ("T0EAST", "T0WEST"):
            bot_user = app.workspace(team).bot_user
            token = app.token(team)
            kept.save(
                Installation(user_id="U0ANN", team_id=team, bot_token=token, bot_user_id=bot_user)
            )

    with bot(settings.folder) as process:
        slack.wait(lambda: slack.connections == 1, seconds=60)
        for team in ("T0EAST", "T0WEST"):
            with slack.at(team):
                slack.dm("How long do refunds take?")
        slack.wait(lambda: [d.acknowledged for d in slack.deliveries] == [True, True], seconds=20)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)

    with Database(settings.state_url) as database, database.reading() as connection:
        owners = {row.owner for row in connection.execute(jobs.select())}
    assert owners == {"slack:T0EAST:U0ANN", "slack:T0WEST:U0ANN"}
    assert "xoxb-" not in said


def test_a_wrong_token_ends_the_process_with_slacks_word_and_the_setting(
    slack: SlackStandIn, settings: Settings
) -> None:
    slack.bot_token = "xoxb-another"

    with bot(settings.folder) as process:
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "Setting slack.bot_token: Slack says invalid_auth" in said.splitlines()[-1]
    assert "LLMASOS_SLACK__BOT_TOKEN" in said.splitlines()[-1]
