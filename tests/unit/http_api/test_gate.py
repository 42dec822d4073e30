"""The gate: who is let in, and how much they may bring."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from integrations.http_api.metrics import Metrics
from integrations.http_api.server import bind
from integrations.http_api.tracing import Tracing
from llmasos.errors import PortInUse


def own_host(desk: Any) -> str:
    return desk.http.base_url.netloc.decode()


FOREIGN = [
    "evil.example", "evil.example:8317", "127.0.0.1.evil.example", "localhost.evil.example",
    "192.168.1.5", "0.0.0.0", "", "[::1", "127.0.0.1@evil.example", "evil.example#127.0.0.1",
]  # fmt: skip
OWN = ["localhost", "127.0.0.1", "LOCALHOST:1", "[::1]:8317", "127.3.2.1"]


def test_a_name_that_is_not_this_machines_is_refused(desk: Any) -> None:
    answers = [desk.http.get("/v1/agents", headers={"host": host}) for host in FOREIGN]

    assert [answer.status_code for answer in answers] == [403] * len(FOREIGN)
    assert {answer.json()["type"] for answer in answers} == {"urn:llmasos:error:NotAllowed"}


def test_every_name_of_this_machine_is_served(desk: Any) -> None:
    answers = [desk.http.get("/v1/agents", headers={"host": host}) for host in OWN]

    assert [answer.status_code for answer in answers] == [200] * len(OWN)


PAGES = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    {"origin": "https://evil.example", "sec-fetch-mode": "navigate"},
]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_site_cannot_drive_the_api(desk: Any, method: str) -> None:
    path = "/v1/agents/echo/runs" if method == "POST" else "/v1/jobs"

    answers = [desk.http.request(method, path, headers=headers) for headers in PAGES]

    assert [answer.status_code for answer in answers] == [403] * len(PAGES)
    assert not [name for each in answers for name in each.headers if "access-control" in name]
    assert desk.doors.jobs.list() == []


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host"])
def test_a_caller_behind_a_proxy_is_not_this_machines_user(desk: Any, name: str) -> None:
    assert desk.http.get("/v1/jobs", headers={name: "127.0.0.1"}).status_code == 403


def test_a_page_of_this_server_and_a_followed_link_are_served(desk: Any) -> None:
    own = {"origin": f"http://{own_host(desk)}", "sec-fetch-site": "same-origin"}
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert desk.http.get("/v1/agents", headers=own).status_code == 200
    assert desk.http.get("/docs", headers=link).status_code == 200


def test_a_form_without_json_makes_no_job(desk: Any) -> None:
    answer = desk.http.post(
        "/v1/agents/echo/runs",
        content=json.dumps({"text": "Hello"}),
        headers={"content-type": "text/plain"},
    )

    assert answer.status_code == 422
    assert desk.doors.jobs.list() == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_while_it_is_read(
    make_desk: Callable[..., Any], chunked: bool
) -> None:
    desk = make_desk("web.max_body_bytes = 1000")
    body = json.dumps({"text": "x" * 2000}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    answer = desk.http.post(
        "/v1/agents/echo/runs",
        content=pieces() if chunked else body,
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:llmasos:error:ContentTooLarge"
    assert desk.doors.jobs.list() == []


def test_a_body_at_the_limit_is_taken(make_desk: Callable[..., Any]) -> None:
    desk = make_desk("web.max_body_bytes = 1000")
    body = json.dumps({"text": "Hello"}).ljust(1000)

    answer = desk.http.post(
        "/v1/agents/echo/runs", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 202


def test_a_body_that_only_claims_to_be_small_is_cut_off(make_desk: Callable[..., Any]) -> None:
    desk = make_desk("web.max_body_bytes = 1000")
    endless = b"POST /v1/agents/echo/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + (
        b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", desk.http.base_url.port), timeout=10) as raw:
        raw.sendall(endless + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n")
        said = raw.recv(65536)

    assert said.startswith(b"HTTP/1.1 413")


RAW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\n\r\n",
    "two lengths": b"POST /hooks/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\n",
    "an endless length": b"POST /hooks/x HTTP/1.1\r\nHost: a\r\nContent-Length: "
    + b"9" * 5000
    + b"\r\n\r\n",
    "a negative length": b"POST /hooks/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a bad chunk": b"POST /hooks/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "two hosts": b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    "no host": b"GET /v1/jobs HTTP/1.1\r\n\r\n",
    "an endless header": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    "an old client": b"GET /v1/jobs HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("case", RAW)
def test_what_is_no_proper_request_is_a_callers_mistake(desk: Any, case: str) -> None:
    with socket.create_connection(("127.0.0.1", desk.http.base_url.port), timeout=10) as raw:
        raw.sendall(RAW[case])
        said = raw.recv(65536)

    assert said[:10] == b"HTTP/1.1 4"
    assert desk.http.get("/healthz").status_code == 200


def test_a_sender_that_breaks_off_makes_no_job(desk: Any) -> None:
    head = b"POST /v1/agents/echo/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"

    with socket.create_connection(("127.0.0.1", desk.http.base_url.port)) as raw:
        raw.sendall(head)

    assert desk.http.get("/healthz").status_code == 200
    assert desk.doors.jobs.list() == []


def test_a_request_id_is_kept_if_it_is_sensible_and_made_if_not(desk: Any) -> None:
    own = desk.http.get("/healthz", headers={"x-request-id": "abc-123"})
    odd = desk.http.get("/healthz", headers={"x-request-id": "a b\x7f<script>"})
    none = desk.http.get("/v1/nowhere")

    assert own.headers["x-request-id"] == "abc-123"
    assert len(odd.headers["x-request-id"]) == 32
    assert len(none.headers["x-request-id"]) == 32


def test_a_port_in_use_is_named_with_its_setting() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortInUse, match=rf"Port {port} .* web\.port"):
            bind("127.0.0.1", port)


def test_what_nobody_foresaw_says_nothing_of_its_inside() -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a secret of the inside")

    async def asked() -> httpx.Response:
        traced = Tracing(broken, Metrics(dict, list))
        transport = httpx.ASGITransport(traced)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/", headers={"x-request-id": "r1"})

    answer = asyncio.run(asked())

    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:llmasos:error:InternalError"
    assert "r1" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_a_route_that_is_not_there_and_a_wrong_method_say_what_there_is(desk: Any) -> None:
    nothing, wrong = desk.http.get("/v2/jobs"), desk.http.get("/v1/agents/echo/runs")

    assert nothing.json()["detail"] == "There is nothing at /v2/jobs. /docs has what there is."
    assert wrong.json()["detail"].startswith("/v1/agents/echo/runs does not take GET, but POST.")
