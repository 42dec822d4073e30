"""Settings: the file, the environment over it, and plain words for mistakes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.errors import SettingsError
from llmasos.settings import Settings, load, redacted, without_password

Make = Callable[..., Settings]


def test_the_home_lies_beside_the_file_by_default(tmp_path: Path) -> None:
    (tmp_path / "llmasos.toml").write_text("")

    assert load(tmp_path / "llmasos.toml").home == tmp_path / ".llmasos"


def test_a_home_from_the_environment_starts_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llmasos.toml").write_text("home = 'elsewhere'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMASOS_HOME", "mine")

    assert load().home == tmp_path / "mine"


def test_the_environment_goes_before_the_file(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMASOS_LLM__URLS", "http://a:1, http://b:2")
    monkeypatch.setenv("LLMASOS_AGENTS", "./one, two:three")

    settings = make_settings("[llm]\nurls = ['http://c']\nmodel = 'other'")

    assert settings.llm.urls == ("http://a:1", "http://b:2")
    assert settings.llm.model == "other"
    assert settings.agents.load == ("./one", "two:three")


def test_agents_may_be_a_list_or_tables(make_settings: Make) -> None:
    listed = make_settings("agents = ['./my_agents/']")
    tables = make_settings("[agents]\nload = ['./a']\n[agents.writing]\nknowledge = ['style']")

    assert listed.agents.load == ("./my_agents/",)
    assert tables.agents.load == ("./a",)
    assert tables.agents.overrides["writing"].knowledge == ("style",)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[llm]\nurlz = []", "llm.urlz: there is no such setting. Did you mean 'urls'?"),
        ("[web]\nport = 99999", "web.port = 99999: Input should be less than or equal to 65535"),
        ("[llm]\nurls = ['nonsense']", "llm.urls.0: Input should be a valid URL"),
        ("nonsense = ", "cannot be read"),
        ("[slack]\nbot_token = ''", "slack.bot_token: must not be empty"),
        (
            "[[webhooks]]\nname = 'a'\nsecret = 'env:NOT_THERE'",
            "the environment variable NOT_THERE is not set",
        ),
        ("[[webhooks]]\nname = 'A B'\nsecret = 'x'", "webhooks.0.name = 'A B'"),
        ("[[schedules]]\nname = 'a'\ncron = '61 * * * *'\ntext = 'x'", "Bad minute"),
        (
            "[[schedules]]\nname = 'a'\ncron = '* * * * *'\ntext = 'x'\ntimezone = 'Mars'",
            "is no time zone",
        ),
        (2 * "[[schedules]]\nname = 'a'\ncron = '* * * * *'\ntext = 'x'\n", "the same name"),
    ],
)
def test_a_mistake_is_named_with_its_value_and_what_is_allowed(
    make_settings: Make, toml: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings(toml)

    assert said in str(caught.value)


def test_a_misspelt_variable_is_not_ignored(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMASOS_BROKR_URL", "redis://x")

    with pytest.raises(SettingsError, match=r"LLMASOS_BROKR_URL.*Did you mean LLMASOS_BROKER_URL"):
        make_settings()


def test_a_missing_configuration_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load(tmp_path / "nowhere.toml")


def test_secrets_never_print(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "hidden-hook")
    settings = make_settings(
        "broker_url = 'amqp://me:hidden-url@host//'\n"
        "[slack]\nbot_token = 'xoxb-hidden'\n"
        "[[webhooks]]\nname = 'a'\nsecret = 'env:HOOK_SECRET'"
    )

    shown = f"{settings!r} {settings} {redacted(settings)}".replace("'amqp://me:hidden-url", "")

    assert settings.webhooks[0].secret[0].get_secret_value() == "hidden-hook"
    assert "hidden" not in shown
    assert os.environ["HOOK_SECRET"] == "hidden-hook"


def test_a_wrong_secret_is_not_repeated_in_the_error(make_settings: Make) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings("[slack]\nbot_tokens = 'xoxb-hidden'")

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:1/0", "redis://:***@h:1/0"),
        ("postgresql://u:p%40w@h/db", "postgresql://u:***@h/db"),
        ("sqlite:////home/state.db", "sqlite:////home/state.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
