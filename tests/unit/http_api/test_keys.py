"""API keys over HTTP: who is let in, and to what."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from integrations.http_api.callers import Callers, why_not_local
from integrations.http_api.exposure import check_host
from llmasos.database import Database
from llmasos.errors import SettingsError
from llmasos.events import Reply
from llmasos.keys import Keys, Scope
from llmasos.request import Principal, conversation_of


@pytest.fixture
def keys(desk: Any) -> Keys:
    return Keys(desk.doors.database)


@pytest.fixture
def caller(desk: Any, keys: Keys) -> Iterator[Callable[..., httpx.Client]]:
    """Makes a key with scopes; gives a client that sends it."""
    clients = ExitStack()

    def make(*scopes: str, name: str = "shop") -> httpx.Client:
        _, text = keys.add(name, [Scope(each) for each in scopes])
        headers = {"authorization": f"Bearer {text}"}
        return clients.enter_context(
            httpx.Client(
                base_url=desk.http.base_url, headers=headers, trust_env=False, verify=False
            )
        )

    with clients:
        yield make


def ask(client: httpx.Client, text: str = "Hello", **body: Any) -> httpx.Response:
    return client.post("/v1/agents/echo/runs", json={"text": text, **body})


def test_as_soon_as_there_is_a_key_every_caller_needs_one(desk: Any, caller: Any) -> None:
    before = desk.http.get("/v1/agents").status_code

    shop = caller("run")

    refused = desk.http.get("/v1/agents")
    assert (before, refused.status_code) == (200, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert "llmasos keys add" in refused.json()["detail"]
    assert shop.get("/v1/agents").status_code == 200


WRONG = [
    "",
    "Bearer",
    "Bearer x",
    "Basic eDp5",
    "llmasos_x",
    "Bearer llmasos_0000000000_" + "x" * 43,
]


@pytest.mark.parametrize("header", WRONG)
def test_what_is_no_key_is_refused(desk: Any, caller: Any, header: str) -> None:
    caller("run")

    answer = desk.http.get("/v1/agents", headers={"authorization": header})

    assert (answer.status_code, answer.json()["type"]) == (401, "urn:llmasos:error:KeyRefused")


def test_a_revoked_key_stops_working_at_once_and_opens_nothing(desk: Any, keys: Keys) -> None:
    key, text = keys.add("shop", [Scope.RUN])
    headers = {"authorization": f"Bearer {text}"}
    before = desk.http.get("/v1/agents", headers=headers).status_code

    keys.revoke(key.id)

    assert before == 200
    assert desk.http.get("/v1/agents", headers=headers).status_code == 401
    assert desk.http.get("/v1/agents").status_code == 401


NEEDS = [
    ("GET", "/v1/agents", "run"),
    ("POST", "/v1/agents/echo/runs", "run"),
    ("GET", "/v1/knowledge", "knowledge:read"),
    ("POST", "/v1/knowledge/help/search", "knowledge:read"),
    ("GET", "/v1/knowledge/help/documents", "knowledge:read"),
    ("POST", "/v1/knowledge/help/documents", "knowledge:write"),
    ("DELETE", "/v1/knowledge/help/documents?source=a", "knowledge:write"),
    ("DELETE", "/v1/knowledge/help/documents/a", "knowledge:write"),
    ("POST", "/v1/knowledge/help/sync", "knowledge:write"),
    ("GET", "/metrics", "metrics"),
]


@pytest.mark.parametrize(("method", "path", "scope"), NEEDS)
def test_a_key_opens_what_its_scope_says_and_nothing_else(
    caller: Any, method: str, path: str, scope: str
) -> None:
    others = [each for each in Scope if not each.covers(Scope(scope))]
    poor, right = caller(*others), caller(scope)

    refused = poor.request(method, path, json={"text": "Hi"})
    answered = right.request(method, path, json={"text": "Hi"})

    assert refused.status_code == 403
    assert f"--scope {scope}" in refused.json()["detail"]
    assert answered.status_code not in (401, 403)


def test_a_key_sees_and_stops_its_own_jobs_alone(caller: Any) -> None:
    shop, desk, boss = caller("run"), caller("run", name="desk"), caller("jobs:write", name="boss")
    mine, theirs = ask(shop).json()["id"], ask(desk).json()["id"]

    seen = [job["id"] for job in shop.get("/v1/jobs").json()["jobs"]]
    answers = [
        shop.get(f"/v1/jobs/{theirs}"),
        shop.get(f"/v1/jobs/{theirs}/events"),
        shop.post(f"/v1/jobs/{theirs}/cancel"),
        shop.post(f"/v1/jobs/{theirs}/retry"),
    ]

    assert seen == [mine]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert {job["id"] for job in boss.get("/v1/jobs").json()["jobs"]} == {mine, theirs}
    assert shop.post(f"/v1/jobs/{mine}/cancel").status_code == 200
    assert boss.post(f"/v1/jobs/{theirs}/cancel").json()["status"] == "cancelled"


def test_who_reads_all_jobs_stops_none_of_them(caller: Any) -> None:
    job = ask(caller("run")).json()["id"]
    reader = caller("jobs:read", name="reader")

    assert reader.get(f"/v1/jobs/{job}").status_code == 200
    assert reader.post(f"/v1/jobs/{job}/cancel").status_code == 403


def test_the_key_is_the_principal_unless_it_may_act_for_others(desk: Any, caller: Any) -> None:
    ann = {"id": "slack:T1:U1", "team": "T1"}
    shop, front = caller("run"), caller("run", "act-as", name="front")

    own = ask(shop, principal=ann, conversation="c").json()["id"]
    for_ann = ask(front, principal=ann, conversation="c").json()["id"]

    own_request = desk.doors.jobs.find(own).request
    anns_request = desk.doors.jobs.find(for_ann).request
    assert own_request.principal.id == "key:shop"
    assert own_request.conversation == conversation_of(Principal(id="key:shop"), "c")
    assert anns_request.principal.id == "slack:T1:U1"
    assert [job["id"] for job in front.get("/v1/jobs").json()["jobs"]] == [for_ann]
    assert shop.get(f"/v1/jobs/{for_ann}").status_code == 404


def test_who_acts_for_others_lends_them_no_scope_that_it_lacks(desk: Any, caller: Any) -> None:
    boss = {"id": "local", "scopes": ["admin", "run", "no such scope"]}
    front = caller("run", "act-as", name="front")

    asked = ask(front, principal=boss)
    refused = front.post(
        "/v1/agents/knowledge_sync/runs", json={"text": "help-center", "principal": boss}
    )

    assert desk.doors.jobs.find(asked.json()["id"]).request.principal.scopes == ("run",)
    assert refused.status_code == 403


def test_only_who_may_deliver_has_answers_brought_elsewhere(caller: Any) -> None:
    address = "https://example.com/answers"

    refused = ask(caller("run"), reply_to=address)
    taken = ask(caller("run", "deliver"), reply_to=address)

    assert "--scope deliver" in refused.json()["detail"]
    assert taken.status_code != 403  # whether anything brings answers there is another matter


def test_the_same_idempotency_key_of_two_callers_is_two_jobs(caller: Any) -> None:
    one, two = caller("run"), caller("run", name="desk")

    first, second = (ask(each, idempotency_key="k").json()["id"] for each in (one, two))

    assert first != second
    assert ask(one, idempotency_key="k").json()["id"] == first


def test_two_keys_of_one_name_are_one_caller(caller: Any) -> None:
    old, new = caller("run"), caller("run")

    job = ask(old).json()["id"]

    assert new.get(f"/v1/jobs/{job}").status_code == 200


def test_health_is_open_and_its_reasons_are_not(desk: Any, caller: Any) -> None:
    scraper = caller("metrics")
    behind = {"x-forwarded-for": "203.0.113.9"}

    open_to_all = [desk.http.get(path).status_code for path in ("/healthz", "/docs")]
    told = desk.http.get("/readyz", headers=behind).json()
    scraped = scraper.get("/readyz", headers=behind).json()
    here = desk.http.get("/readyz").json()

    assert open_to_all == [200, 200]
    assert set(told["missing"].values()) == {"does not answer"}
    assert told["missing"].keys() == scraped["missing"].keys() == here["missing"].keys()
    assert scraped["missing"] == here["missing"] != told["missing"]


def test_a_key_that_waits_for_a_job_is_told_its_end(desk: Any, caller: Any) -> None:
    job = ask(caller("run")).json()["id"]
    threading.Timer(0.2, lambda: desk.succeed(desk.take(), Reply(text="Hello"))).start()

    events = caller("run").get(f"/v1/jobs/{job}/events").text

    assert "event: reply" in events


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", ""])
def test_others_may_reach_it_only_once_there_is_a_key_that_works(
    desk: Any, keys: Keys, host: str
) -> None:
    database: Database = desk.doors.database
    with pytest.raises(SettingsError, match=r"web\.host.*llmasos keys add"):
        check_host(host, database)
    key, _ = keys.add("shop", [Scope.RUN])

    check_host(host, database)

    keys.revoke(key.id)
    with pytest.raises(SettingsError, match=r"web\.host"):
        check_host(host, database)


def test_without_keys_who_is_elsewhere_is_not_served(keys: Keys) -> None:
    headers = httpx.Headers({"host": "127.0.0.1"})

    assert why_not_local(headers, "127.0.0.1") is None
    assert why_not_local(headers, "192.168.1.5")
    assert why_not_local(headers, "")
    assert Callers(keys)
