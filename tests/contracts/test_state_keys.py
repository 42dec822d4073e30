"""API keys on each database."""

import time

import pytest

from llmasos.database import Database
from llmasos.errors import InvalidRequest, KeyRefused, UnknownKey
from llmasos.keys import Keys, Scope


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


def test_a_key_is_known_by_its_text_and_only_a_digest_is_kept(
    keys: Keys, database: Database
) -> None:
    made, text = keys.add("shop", [Scope.KNOWLEDGE_READ, Scope.RUN])

    assert keys.check(text) == made
    assert (made.name, made.scopes) == ("shop", (Scope.RUN, Scope.KNOWLEDGE_READ))
    with database.reading() as connection:
        row = connection.exec_driver_sql("SELECT * FROM keys").one()
    assert text.rpartition("_")[2] not in str(row)
    assert made.id in text


def test_a_text_that_is_not_quite_a_key_is_refused(keys: Keys) -> None:
    _, text = keys.add("shop", [Scope.RUN])
    wrong = ["", "x", text[:-1], text + "x", text[:-1] + ("a" if text[-1] != "a" else "b")]
    wrong += [text.upper(), f"llmasos_{'0' * 10}_{text.rpartition('_')[2]}", text + "\n", "é" * 60]

    for each in wrong:
        with pytest.raises(KeyRefused):
            keys.check(each)


def test_a_revoked_key_works_no_more_for_anybody(keys: Keys, database: Database) -> None:
    key, text = keys.add("shop", [Scope.RUN])
    elsewhere = Keys(database)
    elsewhere.check(text)

    keys.revoke(key.id)

    with pytest.raises(KeyRefused, match="revoked"):
        elsewhere.check(text)
    assert [each.state for each in keys.list()] == ["revoked"]


def test_a_key_works_until_it_expires(keys: Keys) -> None:
    _, fresh = keys.add("fresh", [Scope.RUN], time.time() + 60)
    _, stale = keys.add("stale", [Scope.RUN], time.time() - 1)

    keys.check(fresh)

    with pytest.raises(KeyRefused, match="expired"):
        keys.check(stale)
    assert [each.state for each in keys.list()] == ["active", "expired"]


def test_the_last_use_is_noted(keys: Keys) -> None:
    _, text = keys.add("shop", [Scope.RUN])

    keys.check(text)

    [kept] = keys.list()
    assert kept.last_used_at is not None
    assert kept.last_used_at >= kept.created_at


def test_a_revoked_key_counts_until_it_is_forgotten(keys: Keys) -> None:
    key, _ = keys.add("shop", [Scope.RUN])
    keys.revoke(key.id)
    before = keys.any()

    keys.forget(key.id)

    assert (before, keys.any()) == (True, False)


def test_an_id_that_no_key_has_is_said_with_those_there_are(keys: Keys) -> None:
    key, _ = keys.add("shop", [Scope.RUN])

    for act in (keys.revoke, keys.forget):
        with pytest.raises(UnknownKey, match=key.id):
            act("0000000000")


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "a\0", "../a", "é"])
def test_a_name_that_cannot_be_one_is_refused(keys: Keys, name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        keys.add(name, [Scope.RUN])


def test_writing_includes_reading_and_admin_all() -> None:
    assert Scope.KNOWLEDGE_WRITE.covers(Scope.KNOWLEDGE_READ)
    assert not Scope.KNOWLEDGE_READ.covers(Scope.KNOWLEDGE_WRITE)
    assert not Scope.KNOWLEDGE_WRITE.covers(Scope.JOBS_READ)
    assert all(Scope.ADMIN.covers(each) for each in Scope)
    assert [each for each in Scope if each.covers(Scope.ADMIN)] == [Scope.ADMIN]
