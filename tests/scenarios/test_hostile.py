"""A thousand hostile requests to a real web server: none is taken, none breaks it, none stays."""

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from integrations.webhooks.generic import sign
from llmasos.database import Database
from llmasos.jobs import JobStatus
from llmasos.processes import TETHER
from llmasos.settings import Settings
from llmasos.tables import jobs
from llmasos.testing.slack import SlackStandIn
from llmasos.testing.slack.signing import signed_headers
from tests.scenarios.homes import slack_home

SECRET = "a-secret-that-is-not-logged"
SOURCES = ("generic", "standard", "github", "gitlab", "alertmanager", "stripe", "hmac", "token")
CONFIGURATION = 'agents.load = ["./echo.py"]\n' + "\n".join(
    f'[[webhooks]]\nname = "{each}"\nsource = "{each}"\nsecret = "{SECRET}"\nagent = "echo"\n'
    for each in SOURCES
)
ECHO = """
from llmasos import agent

@agent("echo", "Says it again.")
def echo(turn):
    yield turn.text
"""
PROOFS = {
    "generic": "X-Llmasos-Signature", "standard": "Webhook-Signature",
    "github": "X-Hub-Signature-256", "gitlab": "X-Gitlab-Token", "alertmanager": "Authorization",
    "stripe": "Stripe-Signature", "hmac": "X-Signature", "token": "Authorization",
}  # fmt: skip
MEMORY = 100e6
"""Bytes by which the server may grow: far below what it was sent."""


@dataclass
class Attack:
    """One request, as bytes or in pieces; `body` comes after the head."""

    path: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b'{"text": "hostile"}'
    method: str = "POST"
    repeat: int = 1
    """How often the body is sent, one after the other, in chunks."""
    length: str | None = None
    """What Content-Length claims, if not the truth."""

    def head(self, host: str) -> bytes:
        names = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [] if "host" in names else [f"Host: {host}"]
        if self.repeat > 1:
            lines.append("Transfer-Encoding: chunked")
        elif "transfer-encoding" not in names:
            lines.append(f"Content-Length: {self.length or len(self.body)}")
        lines += [] if "content-type" in names else ["Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("latin-1")


class Server:
    """`llmasos web` in a process of its own."""

    def __init__(self, folder: Path, slack: SlackStandIn) -> None:
        self.folder, self.slack, self.log = folder, slack, folder / "log"
        address = folder / "address"
        with self.log.open("w") as lines:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "integrations.cli.main", "web", "--port", "0",
                 "--address-file", str(address)],
                cwd=folder, stdout=lines, stderr=lines, env={**os.environ}, preexec_fn=TETHER,
            )  # fmt: skip
        give_up = time.monotonic() + 60
        while not address.exists():
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.02)
        self.host = address.read_text().removeprefix("http://")

    def send(self, attack: Attack) -> int:
        """The status; 0 when the server ended the connection without a word."""
        name, _, port = self.host.rpartition(":")
        with closing(socket.create_connection((name, int(port)), timeout=60)) as connection:
            with contextlib.suppress(ConnectionError):  # it need not hear us out
                connection.sendall(attack.head(self.host))
                for _ in range(attack.repeat):
                    piece = attack.body
                    framed = b"%x\r\n%b\r\n" % (len(piece), piece) if attack.repeat > 1 else piece
                    connection.sendall(framed)
                if attack.repeat > 1:
                    connection.sendall(b"0\r\n\r\n")
                if attack.length is not None:
                    connection.shutdown(socket.SHUT_WR)  # a sender that left in the middle
            answer = b""
            with contextlib.suppress(ConnectionError):
                while b"\r\n" not in answer and (piece := connection.recv(4096)):
                    answer += piece
        return int(answer.split(b" ")[1]) if answer else 0

    @property
    def memory(self) -> int:
        """Bytes of it that are in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def settings(make_settings: Callable[..., Settings], slack: SlackStandIn) -> Settings:
    """All doors are open."""
    doors = f'bot_token = "{slack.bot_token}"\nsigning_secret = "{slack.signing_secret}"'
    return slack_home(make_settings, slack, doors, CONFIGURATION)


@pytest.fixture
def server(settings: Settings, slack: SlackStandIn, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "echo.py").write_text(ECHO)
    running = Server(tmp_path, slack)
    yield running
    running.stop()


def proved(body: bytes, at: float | None = None) -> list[tuple[str, str]]:
    """The headers of a genuine delivery to the webhook `generic`."""
    return [(PROOFS["generic"], sign(SECRET, body, time.time() if at is None else at))]


def digest(signed: bytes) -> str:
    return hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def forged(rng: random.Random) -> Iterator[Attack]:
    """Deliveries that anybody could make up."""
    for name in itertools.cycle(SOURCES):
        stamp = int(time.time())
        other = hmac.new(b"guessed", rng.randbytes(8), hashlib.sha256)
        proof = rng.choice([
            "", other.hexdigest(), f"sha256={other.hexdigest()}",
            f"t={stamp},v1={other.hexdigest()}",
            f"v1,{base64.b64encode(other.digest()).decode()}", f"Bearer {other.hexdigest()[:24]}",
            SECRET[:-1], f"{SECRET} ", "Bearer", f"sha1={other.hexdigest()[:40]}", "é\xff",
            "t=,v1=;" * rng.randrange(1, 200), "x" * rng.randrange(20_000), f"t={'9' * 300},v1=00",
        ])  # fmt: skip
        more = [("Webhook-Id", "m"), ("Webhook-Timestamp", rng.choice([str(stamp), "nan", "-1"]))]
        if proof != f"{SECRET} ":  # white space around a value is no part of it
            yield Attack(f"/hooks/{name}", [(PROOFS[name], proof), *more])


def stale_or_altered(rng: random.Random) -> Iterator[Attack]:
    """Deliveries that were genuine once, or whose proof belongs to another body."""
    body = b'{"text": "recorded"}'
    while True:
        off = rng.choice([-301, -3600, 3600, 10**6, -(10**9)])
        yield Attack("/hooks/generic", proved(body, time.time() + off), body)
        old = int(time.time()) + off
        proof = f"t={old},v1={digest(b'%d.%b' % (old, body))}"
        yield Attack("/hooks/stripe", [(PROOFS["stripe"], proof)], body)
        for changed in (body[:-1], body + b" ", body.replace(b"rec", b"REC"), b""):
            yield Attack("/hooks/generic", proved(body), changed)
            yield Attack("/hooks/github", [(PROOFS["github"], f"sha256={digest(body)}")], changed)
        yield Attack("/hooks/hmac", [(PROOFS["hmac"], digest(body)), (PROOFS["hmac"], "x")], body)


def unusable(rng: random.Random) -> Iterator[Attack]:
    """Genuine deliveries of which no job can be made."""
    bodies = [
        b"", b"{", b"text=hostile", b"\xff\xfe", b"[" * 90_000, b'{"a":' * 5_000, b"NaN",
        b"[" * 150 + b"]" * 150, b'{"text": ' + b"9" * 5_000 + b"}", b'{"text": "\\ud800"}',
        json.dumps({"text": "x" * 30_000}).encode(), b'{"text": "\x00"}', b'"   "', b"-Infinity",
    ]  # fmt: skip
    while True:
        body = rng.choice(bodies)
        yield Attack("/hooks/generic", proved(body), body)
        yield Attack("/hooks/generic", [*proved(body), ("Idempotency-Key", "k" * 300)], body)


def crooked(rng: random.Random) -> Iterator[Attack]:
    """Paths, methods and headers that lead astray."""
    paths = [
        "/hooks/../v1/jobs", "/hooks/..%2f..%2fetc/passwd", "/hooks/generic/", "/hooks/generic%00",
        "/hooks/", "/hooks", "//hooks/generic", "/HOOKS/generic", "/hooks/generic;x=1",
        "/hooks/%67eneri%63%0d%0aX:1", "/hooks/" + "a" * 8_000, "/hooks/%ff%fe",
        "/slack/../hooks/x",
        "/slack/events/..%2f", "/slack/", "/v1/agents/..%2f/runs", "/v1/agents/%00/runs",
        "http://evil.example/hooks/x", "*", "/v1/jobs/%F0%9F%92%A9/cancel", "/hooks/gen\u00e9ric",
    ]  # fmt: skip
    headers = [
        ("Host", "evil.example"), ("Origin", "https://evil.example"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("Content-Length", "7"), ("Transfer-Encoding", "gzip, chunked"), ("X-Http-Method", "GET"),
        ("Content-Type", "multipart/form-data"), ("Cookie", "c=" + "x" * 9_000), ("X" * 9_000, "1"),
        ("Sec-Fetch-Site", "cross-site"), ("Content-Encoding", "gzip"), ("Expect", "200-maybe"),
    ]  # fmt: skip
    ways = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "post"]
    while True:
        yield Attack(rng.choice(paths), [rng.choice(headers)])
        yield Attack(f"/hooks/{rng.choice(SOURCES)}", [rng.choice(headers)])
        yield Attack(f"/hooks/{rng.choice(SOURCES)}", method=rng.choice(ways))
        away = [each for each in headers if each[0] in ("Host", "Origin", "X-Forwarded-For")]
        yield Attack("/v1/agents/echo/runs", [rng.choice(away)])


def wrong_calls(rng: random.Random) -> Iterator[Attack]:
    """Calls of the API with values of the wrong kind."""
    values: list[Any] = [
        None, 7, [], {}, "", "x" * 30_000, ["a"] * 50, {"a": {}}, 1e400, True, "\ud800",
    ]  # fmt: skip
    while True:
        key = rng.choice(["text", "conversation", "reply_to", "principal", "attachments", "x"])
        value = rng.choice(values)
        fine = {"text": (), "conversation": (None,), "principal": (None,), "attachments": ([],),
                "reply_to": ([], None), "x": ()}[key]  # fmt: skip
        if not any(value is each or value == each for each in fine):
            body = {"text": "hostile", key: value}
            yield Attack("/v1/agents/echo/runs", body=json.dumps(body).encode())
        deep = b'{"text": ' + b"[" * rng.randrange(100, 90_000)
        yield Attack("/v1/agents/echo/runs", body=rng.choice([deep, b"\xff", b"", b"7"]))
        yield Attack("/v1/agents/nobody/runs")
        yield Attack(f"/v1/jobs/{rng.randbytes(8).hex()}/retry")


def from_slack(rng: random.Random) -> Iterator[Attack]:
    """Requests to Slack's door: forged, stale, and signed ones that lack this or that."""
    event = {"type": "app_mention", "channel": "C0GENERAL", "user": "U0ANN", "ts": "1.2",
             "text": "<@U0BOT> hostile"}  # fmt: skip
    whole = {
        "type": "event_callback",
        "team_id": "T0TEAM",
        "api_app_id": "A0",
        "event_id": "Ev1",
        "event": event,
        "authorizations": [{"team_id": "T0TEAM", "user_id": "U0BOT"}],
    }
    crooked = [None, [], 7, "x", {"type": []}, {"type": "message", "ts": []}]
    lacking = [{key: whole[key] for key in whole if key != gone} for gone in ("type", "event")]
    cut = [{**whole, "event": {key: event[key] for key in event if key != gone}}
           for gone in ("type", "channel", "user", "ts")]  # fmt: skip
    bent = [{**whole, "event": each} for each in crooked]
    asked = [*lacking, *cut, *bent, [], "text", 7, {}, {"type": "event_callback"}]
    pressed = [{"type": kind, place: each} for each in crooked
               for kind in ("block_actions", "view_submission", "message_action", None)
               for place in ("user", "view", "actions")]  # fmt: skip
    forms = [urlencode({"payload": json.dumps(each)}).encode() for each in [*asked, *pressed]]
    forms += [b"payload=%7B", b"payload=7", b"command=%2Fask", b"command=&payload="]
    raws = [json.dumps(each).encode() for each in asked] + [b"{", b"\xff", b""] + forms
    rng.shuffle(raws)
    for raw in itertools.cycle(raws):
        kind = "application/x-www-form-urlencoded" if raw in forms else "application/json"
        signed = {**signed_headers(raw, SlackStandIn.signing_secret), "Content-Type": kind}
        yield Attack("/slack/events", [*signed.items()], raw)
        body = json.dumps(whole).encode()
        off = signed_headers(body, SlackStandIn.signing_secret, at=time.time() - 301)
        guessed = signed_headers(body, "guessed")
        altered = signed_headers(body + b" ", SlackStandIn.signing_secret)
        yield Attack("/slack/events", [*rng.choice([off, guessed, altered]).items()], body)


def huge(_: random.Random) -> Iterator[Attack]:
    """Bodies of 50 MB, said beforehand or not, whole or broken off."""
    piece = b"x" * 1_000_000
    for path in itertools.cycle(["/hooks/generic", "/slack/events", "/v1/agents/echo/runs"]):
        yield Attack(path, body=piece, repeat=50)
        yield Attack(path, body=piece, length="50000000")
        yield Attack(path, body=b"x", length="9" * 30)
        yield Attack(path, body=b'{"text": "hosti', length="500")


KINDS: dict[Callable[[random.Random], Iterator[Attack]], int] = {
    forged: 240, stale_or_altered: 140, unusable: 100, crooked: 160, wrong_calls: 100,
    from_slack: 230, huge: 30,
}  # fmt: skip


@pytest.mark.timeout(600)
def test_a_thousand_hostile_requests_change_nothing(server: Server, settings: Settings) -> None:
    rng = random.Random(20)
    first = [attack for kind in KINDS for attack in itertools.islice(kind(rng), 8)]
    attacks = [attack for kind, n in KINDS.items() for attack in itertools.islice(kind(rng), n)]
    rng.shuffle(attacks)
    for attack in first:
        server.send(attack)
    before = server.memory

    answers = [(server.send(attack), attack) for attack in attacks]

    grown = server.memory - before
    log = server.log.read_text()
    wrong = [
        (status, attack.method, attack.path[:80], attack.headers, attack.body[:600])
        for status, attack in answers
        if status >= 500 or (status < 300 and status != 0 and "slack" not in attack.path)
    ]
    assert len(attacks) == 1000
    assert wrong == []
    assert count(settings) == 0
    assert grown < MEMORY
    for secret in (SECRET, SlackStandIn.signing_secret, "hostile", "recorded", "v1=", "sha256="):
        assert secret not in log


def test_after_all_that_a_genuine_delivery_is_taken_once(
    server: Server, settings: Settings
) -> None:
    body = b'{"text": "genuine"}'
    genuine = Attack("/hooks/generic", proved(body), body)

    answers = [server.send(genuine) for _ in range(3)]
    replayed = server.send(
        Attack("/hooks/generic", [*genuine.headers, ("Idempotency-Key", "other")], body)
    )

    assert answers == [202, 200, 200]
    assert replayed == 401
    assert count(settings) == 1


def count(settings: Settings) -> int:
    """How many jobs there are."""
    with Database(settings.state_url) as database, database.reading() as connection:
        rows = connection.execute(jobs.select()).all()
    assert all(row.status == JobStatus.QUEUED for row in rows)
    return len(rows)
