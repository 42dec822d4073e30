"""The plan: from the settings and the run file, and read again when they change."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos import system
from llmasos.errors import SettingsError, UnknownModel
from llmasos.generation import Message, Options
from llmasos.pool import Fleet
from llmasos.pool import plan as plans
from llmasos.pool.plan import Plans, plan
from llmasos.settings import Settings
from llmasos.system import System

TWO = """
[llm.models.default]
backends = ["http://a:1", { url = "http://b:2/v1", kind = "openai", model = "m", slots = 32 }]
fallback = ["small"]

[llm.models.small]
backends = ["embedded"]
"""
SHORT = Options(max_new_tokens=5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files each time."""
    monkeypatch.setattr(plans, "LOOK_SECONDS", 0.0)


@pytest.fixture
def running(home: Path) -> Iterator[Callable[[System], None]]:
    """Writes the run file of a system that runs."""
    with system.hold(home):
        yield lambda running: system.write(home, running)


def urls(chain: Any) -> list[list[str]]:
    return [[address.url for address in tier] for tier in chain]


def test_without_a_word_the_engine_of_the_running_system_is_used(
    make_settings: Callable[..., Settings], running: Any
) -> None:
    running(System(pid=1, engine_url="http://e:1", engine_key="k"))

    (tier,) = plan(make_settings("engine.slots = 3")).chain("default")

    assert [(a.url, a.kind, a.key, a.slots) for a in tier] == [("http://e:1", "tgi", "k", 3)]


def test_addresses_alone_are_the_servers_of_the_default_model(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings('[llm]\nurls = ["http://a:1", "http://b:2"]\napi_key = "secret"')

    (tier,) = plan(settings).chain("default")

    assert [(address.url, address.key) for address in tier] == [
        ("http://a:1", "secret"),
        ("http://b:2", "secret"),
    ]
    assert "secret" not in repr(tier)


def test_a_model_has_servers_and_others_that_stand_in(
    make_settings: Callable[..., Settings], running: Any
) -> None:
    running(System(pid=1, engine_url="http://e:1"))
    found = plan(make_settings(TWO))

    assert urls(found.chain("default")) == [["http://a:1", "http://b:2"], ["http://e:1"]]
    second = found.servers["default"][1]
    assert (second.kind, second.model, second.slots) == ("openai", "m", 32)


def test_models_that_stand_in_for_each_other_are_asked_once(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(
        '[llm.models.x]\nbackends = ["http://x"]\nfallback = ["y"]\n'
        '[llm.models.y]\nbackends = ["http://y"]\nfallback = ["x"]\n'
    )

    assert urls(plan(settings).chain("y")) == [["http://y"], ["http://x"]]


def test_a_model_that_nobody_set_up_is_answered_with_the_nearest(
    make_settings: Callable[..., Settings],
) -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'small'"):
        list(plan(make_settings(TWO)).chain("smal"))


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[llm]\nurls = ["http://a"]\n[llm.models.default]\nbackends = ["http://b"]', "both say"),
        ('[llm.models.a]\nbackends = ["http://a"]\nfallback = ["b"]', "no model is named 'b'"),
        ("[llm.models.a]\nbackends = []", "at least 1 item"),
        (
            '[llm.models.a]\nbackends = [{ url = "embedded", model = "b" }]',
            "serves llm.model alone",
        ),
        ('[llm.models.a]\nbackends = ["nonsense"]', "valid URL"),
        ('[llm.models.a]\nbackends = [{ url = "http://a", kind = "x" }]', "'tgi' or 'openai'"),
        ('[llm.models.a]\nbackends = [{ url = "http://a", api_key = "env:NO" }]', "NO is not set"),
    ],
)
def test_a_wrong_model_stops_the_start(
    make_settings: Callable[..., Settings], toml: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        make_settings(toml)


def test_a_changed_file_changes_the_plan(make_settings: Callable[..., Settings]) -> None:
    current = Plans(make_settings('[llm]\nurls = ["http://a"]'))

    make_settings('[llm]\nurls = ["http://a", "http://b"]')

    assert urls(current.current().chain("default")) == [["http://a", "http://b"]]


def test_a_file_that_became_wrong_changes_nothing_and_is_logged(
    make_settings: Callable[..., Settings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    current = Plans(make_settings('[llm]\nurls = ["http://a"]'))

    (tmp_path / "llmasos.toml").write_text("[llm]\nurls = 'half a word")

    assert urls(current.current().chain("default")) == [["http://a"]]
    assert "pool.plan_kept" in capsys.readouterr().out


def test_another_engine_in_the_run_file_is_noticed(
    make_settings: Callable[..., Settings], running: Any
) -> None:
    running(System(pid=1, engine_url="http://e:1"))
    current = Plans(make_settings())

    running(System(pid=1, engine_url="http://e:2"))

    assert urls(current.current().chain("default")) == [["http://e:2"]]


def test_the_files_are_looked_at_once_a_second_at_most(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "LOOK_SECONDS", 3600.0)
    current = Plans(make_settings('[llm]\nurls = ["http://a"]'))

    make_settings('[llm]\nurls = ["http://b"]')

    assert urls(current.current().chain("default")) == [["http://a"]]


def test_running_answers_end_on_a_server_that_is_removed(
    make_settings: Callable[..., Settings], start_model_server: Callable[..., Any]
) -> None:
    old, new = start_model_server("old"), start_model_server("new")
    old.behave(between=0.1)
    fleet = Fleet(make_settings(f'[llm]\nurls = ["{old.url}"]'))
    pool = fleet.pool()
    pieces = pool.chat([Message(role="user", content="Hi")], SHORT)
    begun = next(pieces).text

    make_settings(f'[llm]\nurls = ["{new.url}"]')
    other = [piece.text for piece in pool.chat([Message(role="user", content="Hi")], SHORT)]
    rest = [piece.text for piece in pieces]

    assert (begun + "".join(rest)).split() == ["old"] * 5
    assert "".join(other).split() == ["new"] * 5
    assert [server.url for _, server in fleet.servers()] == [new.url]
    fleet.close()


def test_reading_again_while_many_ask_is_done_by_one(
    make_settings: Callable[..., Settings],
) -> None:
    current = Plans(make_settings('[llm]\nurls = ["http://a"]'))
    make_settings('[llm]\nurls = ["http://b"]')
    threads = [threading.Thread(target=current.current) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert urls(current.current().chain("default")) == [["http://b"]]
    assert os.environ.get("LLMASOS_LLM__URLS") is None
