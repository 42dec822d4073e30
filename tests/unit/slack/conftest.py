"""Slack's edge over real jobs: what arrives here becomes a row, or Slack hears of it again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integrations.slack.desk import Desk
from llmasos.conversations import Conversations
from llmasos.database import Database, migrate
from llmasos.feedback import Feedback
from llmasos.jobs import Jobs
from llmasos.settings import JobSettings, Settings
from llmasos.testing.slack import SlackStandIn


class NobodyToWake:
    """A dispatcher without workers: the jobs stay where they are."""

    def wake(self, job_id: str, queue: str) -> None:
        """Nobody is there."""


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
    agents = ("writing", "customer_service")
    limits = JobSettings(max_text=200)
    return Jobs(database, NobodyToWake(), limits, agents, ("slack",), lambda _, who: who.member)


@pytest.fixture
def desk(database: Database, jobs: Jobs) -> Desk:
    return Desk(
        submit=jobs.submit,
        takes_part=Conversations(database).known,
        record_feedback=Feedback(database).record,
        agents=("writing", "customer_service"),
        prompts=("Shorten this text", "How long do refunds take?"),
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
def broken(desk: Desk) -> Callable[[Exception, int], Desk]:
    """A desk whose first `times` jobs cannot be stored."""

    def make(error: Exception, times: int) -> Desk:
        left = [error] * times

        def submit(request):
            if left:
                raise left.pop()
            return desk.submit(request)

        return replace(desk, submit=submit)

    return make
