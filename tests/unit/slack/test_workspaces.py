"""Several workspaces: each adds the app, is answered with its own token, and may leave."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from integrations.slack.channel import SlackChannel, channel
from integrations.slack.doctor import examine
from integrations.slack.install import INSTALL, REDIRECT, States
from integrations.slack.installations import Installations, installations_of
from integrations.slack.manifest import SCOPES
from integrations.slack.workspaces import workspaces_of
from llmasos.channels import Turnover
from llmasos.database import Database
from llmasos.dump import dump
from llmasos.errors import ChannelRefused, SettingsError
from llmasos.events import Reply
from llmasos.jobs import Job, Jobs
from llmasos.settings import Settings
from llmasos.testing import MemoryPostJournal
from llmasos.testing.slack import SlackStandIn
from tests.unit.slack.conftest import Desk, Door, bot

TEAMS = ("T0EAST", "T0WEST")

# The SDK's own way to name an app's secret.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")


@pytest.fixture
def several(
    slack: SlackStandIn, make_settings: Callable[..., Settings], database: Database, tmp_path: Path
) -> Callable[..., Settings]:
    """Settings of an app that two workspaces may add."""

    def make(toml: str = "", secret: str = slack.directory.client_secret) -> Settings:
        return make_settings(
            f'database_url = "sqlite:///{tmp_path / "state.db"}"\n'
            f'[slack]\nclient_id = "{slack.directory.client_id}"\nclient_secret = "{secret}"\n'
            f'signing_secret = "{slack.signing_secret}"\napi_url = "{slack.api_url}"\n{toml}\n'
            "[slack.workspaces.T0EAST]\n[slack.workspaces.T0WEST]\n"
        )

    return make


@pytest.fixture
def kept(several: Callable[..., Settings], database: Database) -> Installations:
    made = installations_of(several().slack, database)
    assert made is not None
    return made


@pytest.fixture
def shared(
    several: Callable[..., Settings],
    make_door: Callable[..., Door],
    desk: Desk,
    kept: Installations,
) -> Door:
    """The door of that app."""
    return make_door(several(), replace(desk, installations=kept))


def add(door: Door, team: str, **changed: str) -> Any:
    """What a browser does to add the app; gives the last answer."""
    begun = door.http.get(INSTALL, follow_redirects=False)
    assert begun.status_code == 302
    back = urlsplit(door.slack.directory.allow(begun.headers["location"], team))
    cookie = changed.get("cookie", begun.headers["set-cookie"].partition(";")[0])
    query = changed.get("query", back.query)
    return door.http.get(f"{REDIRECT}?{query}", headers={"Cookie": cookie})


def mention(door: Door, team: str, text: str = "writing: Hi?") -> None:
    """Somebody mentions the bot in a workspace."""
    with door.slack.at(team):
        space = door.slack.workspace
        place, said = space.channel(f"C{team[1:]}"), f"<@{space.bot_user}> {text}"
        message, _ = door.slack._write(place.id, said, "U0ANN", None)
        event = {"channel": place.id, "user": "U0ANN", "team": team, "ts": message.ts}
        assert door.event(type="app_mention", text=said, **event) == 200


def bring(slack_channel: SlackChannel, job: Job) -> None:
    turn = Turnover(job.id, job.agent, job.request, job.created_at)
    [address] = job.request.reply_to
    journal = MemoryPostJournal(job.id)
    slack_channel.open(address, turn, journal).finish(Reply(text=f"For {job.id}."))


def test_each_workspace_is_answered_with_its_own_token(
    shared: Door, jobs: Jobs, several: Callable[..., Settings]
) -> None:
    for team in TEAMS:
        assert add(shared, team).status_code == 200
        mention(shared, team)
    slack_channel = channel(several())
    assert slack_channel is not None

    for job in jobs.list():
        bring(slack_channel, job)

    for job, team in zip(jobs.list(), reversed(TEAMS), strict=True):
        assert job.request.principal.id == f"slack:{team}:U0ANN"
        assert job.request.reply_to[0].startswith(f"slack:{team}/C{team[1:]}/")
        with shared.slack.at(team):
            seen = shared.slack.messages(f"C{team[1:]}")
        assert [message.shown for message in seen[1:]] == [f"For {job.id}."]
        assert seen[1].bot_id == f"B0BOT{team[1:]}"


def test_a_workspace_that_did_not_add_the_app_is_not_heard(shared: Door, jobs: Jobs) -> None:
    add(shared, "T0EAST")

    mention(shared, "T0WEST")

    assert jobs.list() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"cookie": "slack-app-oauth-state=other"},
        {"query": "code=abc"},
        {"query": "code=abc&state=1.2.3"},
        {"query": "error=access_denied&state=x"},
        {"query": "code=guessed"},
    ],
)
def test_what_a_browser_did_not_begin_adds_nothing(
    shared: Door, kept: Installations, changed: dict[str, str]
) -> None:
    said = add(shared, "T0EAST", **changed)

    assert "Nothing was added" in said.text
    assert "abc" not in said.text
    assert kept.all() == ()


@pytest.mark.anyio
async def test_a_state_holds_for_ten_minutes_and_is_signed(monkeypatch: Any) -> None:
    states = States("secret")
    state = await states.async_issue()

    assert await states.async_consume(state)
    assert not await States("another").async_consume(state)
    assert not await states.async_consume(state[:-1] + ("0" if state[-1] != "0" else "1"))
    later = time.time() + 601
    monkeypatch.setattr(time, "time", lambda: later)
    assert not await states.async_consume(state)


def test_a_workspace_that_is_not_named_may_not_add_the_app(
    shared: Door, kept: Installations
) -> None:
    said = add(shared, "T0ELSE")

    assert said.status_code == 403
    assert "[slack.workspaces.T0ELSE]" in said.text
    assert kept.all() == ()


def test_tokens_are_sealed_in_the_database_and_in_a_backup(
    shared: Door, kept: Installations, database: Database, tmp_path: Path, capfd: Any
) -> None:
    add(shared, "T0EAST")
    token = kept.find("T0EAST").token  # type: ignore[union-attr]
    (tmp_path / "dump").mkdir()
    dump(database, tmp_path / "dump")
    database.close()

    assert token.startswith("xoxb-T0EAST-")
    assert token not in repr(kept.all())
    assert token not in "".join(capfd.readouterr())
    for path in (*tmp_path.glob("state.db*"), *(tmp_path / "dump").iterdir()):
        assert token.encode() not in path.read_bytes()
    [line] = (tmp_path / "dump" / "slack_installations.jsonl").read_text().splitlines()
    assert json.loads(line)["workspace"] == "T0EAST"


def test_with_another_client_secret_the_app_must_be_added_again(
    shared: Door, several: Callable[..., Settings], database: Database
) -> None:
    add(shared, "T0EAST")
    other = workspaces_of(several(secret="changed"), database)
    assert other is not None

    with pytest.raises(Exception, match="sealed_otherwise"):
        other.calls("T0EAST")


def test_a_workspace_that_removes_the_app_is_forgotten(
    shared: Door, jobs: Jobs, kept: Installations, several: Callable[..., Settings]
) -> None:
    add(shared, "T0EAST")
    mention(shared, "T0EAST")
    [job] = jobs.list()
    slack_channel = channel(several())
    assert slack_channel is not None

    with shared.slack.at("T0EAST"):
        gone = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U0BOT0EAST"]}}
        assert shared.event(**gone) == 200
        assert shared.event(type="app_uninstalled") == 200
    mention(shared, "T0EAST", "writing: Still there?")

    assert kept.find("T0EAST") is None
    assert len(jobs.list()) == 1
    with pytest.raises(ChannelRefused, match="add it at /slack/install"):
        bring(slack_channel, job)


def test_a_late_word_of_a_removal_does_not_undo_a_new_installation(
    shared: Door, kept: Installations
) -> None:
    add(shared, "T0EAST")
    with shared.slack.at("T0EAST"):
        body = shared.slack.envelope({"type": "app_uninstalled"})
    body["event_time"] -= 60

    assert shared.post(json.dumps(body).encode()) == 200

    assert kept.find("T0EAST") is not None


def test_a_persons_own_token_that_is_revoked_changes_nothing(
    shared: Door, kept: Installations
) -> None:
    add(shared, "T0EAST")

    with shared.slack.at("T0EAST"):
        shared.event(type="tokens_revoked", tokens={"oauth": ["U0ANN"], "bot": []})

    assert kept.find("T0EAST") is not None


def test_an_address_without_a_workspace_leads_to_the_only_one(
    shared: Door, several: Callable[..., Settings], database: Database
) -> None:
    workspaces = workspaces_of(several(), database)
    assert workspaces is not None

    with pytest.raises(Exception, match="not_installed"):
        workspaces.calls(None)
    add(shared, "T0EAST")
    assert workspaces.calls(None) is workspaces.calls("T0EAST")
    add(shared, "T0WEST")
    with pytest.raises(Exception, match="which_workspace"):
        workspaces.calls(None)
    assert workspaces.calls("T0EAST") is not workspaces.calls("T0WEST")


def test_each_workspace_has_limits_of_its_own(
    shared: Door, several: Callable[..., Settings], database: Database
) -> None:
    for team in TEAMS:
        add(shared, team)
    workspaces = workspaces_of(several(), database)
    assert workspaces is not None
    east, west = (workspaces.calls(team)._limits for team in TEAMS)

    east.told("chat.startStream", {}, 600)

    assert east.wait("chat.startStream", {}, "job", must=False) > 500
    assert west.wait("chat.startStream", {}, "job", must=False) == 0


@pytest.fixture
def in_socket_mode(
    shared: Door, several: Callable[..., Settings], desk: Desk, kept: Installations
) -> Iterator[SlackStandIn]:
    for team in TEAMS:
        add(shared, team)
    settings = several(f'app_token = "{shared.slack.app_token}"')
    with ExitStack() as stack:
        stack.enter_context(bot(settings, replace(desk, installations=kept)))
        yield shared.slack


def test_one_socket_serves_all_workspaces(in_socket_mode: SlackStandIn, jobs: Jobs) -> None:
    slack = in_socket_mode
    for team in TEAMS:
        with slack.at(team):
            slack.say(f"C{team[1:]}", "writing: Hi?")

    slack.wait(lambda: len(jobs.list()) == 2, 30)

    teams = {job.request.principal.team for job in jobs.list()}
    assert teams == set(TEAMS)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('client_id = "1.2"', "client_id and client_secret belong together"),
        ('client_id = "1.2"\nclient_secret = "s"\nbot_token = "xoxb-1"', "exclude each other"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    make_settings: Callable[..., Settings], toml: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        make_settings(f"[slack]\n{toml}")


def test_the_doctor_looks_at_the_app_and_at_every_workspace(
    shared: Door, several: Callable[..., Settings], kept: Installations, slack: SlackStandIn
) -> None:
    slack.scopes |= set(SCOPES)
    for team in TEAMS:
        add(shared, team)
    slack.directory.revoke("T0WEST")
    settings = several(f'app_token = "{slack.app_token}"')

    found = {each.check: each.problem or "" for each in examine(settings, (), None, kept)}

    assert found["app secret"] == found["bot token T0EAST"] == found["permissions T0EAST"] == ""
    assert "invalid_auth" in found["bot token T0WEST"]
    assert "start `llmasos up`" in found["install"]
    assert "not connected" in found["socket"]


def test_the_doctor_says_when_the_client_secret_is_wrong(
    several: Callable[..., Settings], kept: Installations
) -> None:
    found = {
        each.check: each.problem or "" for each in examine(several(secret="x"), (), None, kept)
    }

    assert "Slack says bad_client_secret" in found["app secret"]
    assert "none has added the app" in found["workspaces"]


def test_a_workspace_that_is_named_no_more_is_not_served(
    shared: Door, several: Callable[..., Settings], database: Database
) -> None:
    add(shared, "T0EAST")
    secret = shared.slack.directory.client_secret

    without = Installations(database, secret, ("T0WEST",))

    assert without.find("T0EAST") is None
    assert without.all() == ()
    assert Installations(database, secret, ("*",)).find("T0EAST") is not None


def test_people_of_a_named_workspace_are_members_in_a_shared_channel(
    shared: Door, jobs: Jobs
) -> None:
    add(shared, "T0EAST")
    with shared.slack.at("T0EAST"):
        event = {"channel": "C0EAST", "user": "U0BEN", "user_team": "T0WEST", "ts": "1760000000.1"}
        assert shared.event(type="app_mention", text="<@U0BOT0EAST> writing: Hi?", **event) == 200

    [job] = jobs.list()
    assert job.request.principal.id == "slack:T0WEST:U0BEN"
    assert job.request.reply_to[0].startswith("slack:T0EAST/C0EAST/")


HOSTILE = (
    "",
    "code=&state=",
    f"code=x&state={'9' * 5_000}",
    "code=x&state=%00%ff%fe",
    "code=x&state=1.2&state=3.4",
    "error=%3Cscript%3Ealert(1)%3C/script%3E",
    f"code={'x' * 20_000}&state=9999999999.{'0' * 32}.{'0' * 64}",
)


def test_nonsense_from_a_browser_is_refused(shared: Door) -> None:
    cookies = ("", "slack-app-oauth-state=", "=;=;\\u00e9", "x" * 5_000)
    for query, cookie in itertools.product(HOSTILE, cookies):
        said = shared.http.get(f"{REDIRECT}?{query}", headers={"Cookie": cookie})

        assert said.status_code in (200, 400, 401)
        assert "Nothing was added" in said.text
        assert "<" not in said.text

    assert shared.slack.called("oauth.v2.access") == []
