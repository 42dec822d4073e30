"""`llmasos keys`: made, listed, revoked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.cli.main import build
from llmasos.database import Database, migrate
from llmasos.errors import InvalidRequest, KeyRefused, UnknownKey
from llmasos.keys import Keys, Scope
from llmasos.settings import Settings


@pytest.fixture
def database(make_settings: Callable[..., Settings]) -> Any:
    with Database(make_settings().state_url) as made:
        migrate(made)
        yield made


@pytest.fixture
def run(database: Database, tmp_path: Path) -> Callable[..., Any]:
    def command(*words: str) -> Any:
        given = ["--config", str(tmp_path / "llmasos.toml"), "keys", *words]
        result = CliRunner().invoke(build("keys"), given)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


def test_the_key_is_all_that_is_printed_and_works(run: Any, database: Database) -> None:
    made = run("add", "shop", "--scope", "run", "--scope", "knowledge:read", "--expires", "30d")

    key = Keys(database).check(made.stdout.strip())
    assert key.scopes == (Scope.RUN, Scope.KNOWLEDGE_READ)
    assert key.expires_at == pytest.approx(key.created_at + 30 * 86400, abs=60)
    assert made.stdout.strip() not in made.stderr


def test_keys_are_listed_without_their_secrets(run: Any) -> None:
    made = json.loads(run("add", "shop", "--json").stdout)

    listed = json.loads(run("list", "--json").stdout)
    table = run("list").stdout

    assert [each["id"] for each in listed] == [made["id"]]
    assert (listed[0]["scopes"], listed[0]["state"]) == (["run"], "active")
    assert made["key"] not in table + json.dumps(listed)
    assert "shop" in table


def test_a_revoked_key_works_no_more(run: Any, database: Database) -> None:
    made = json.loads(run("add", "shop", "--json").stdout)

    told = run("revoke", made["id"])

    assert "works no more" in told.stderr
    with pytest.raises(KeyRefused):
        Keys(database).check(made["key"])
    assert "needs none" not in told.stderr
    assert "need none" in run("revoke", made["id"], "--forget").stderr
    with pytest.raises(UnknownKey):
        run("revoke", made["id"])


def test_a_second_key_of_a_name_is_told_of_the_first(run: Any) -> None:
    first = json.loads(run("add", "shop", "--json").stdout)

    assert f"llmasos keys revoke {first['id']}" in run("add", "shop").stderr


@pytest.mark.parametrize("words", ["", "30", "d", "-1d", "0d", "1.5h", "99999999w", "٣d"])
def test_a_time_that_makes_no_sense_makes_no_key(run: Any, database: Database, words: str) -> None:
    with pytest.raises(InvalidRequest, match="30d"):
        run("add", "shop", "--expires", words)

    assert Keys(database).list() == []
