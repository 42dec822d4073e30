"""Callbacks: answers that go to a URL."""

import ipaddress
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from integrations.webhooks.callback import CallbackChannel, http_channel, https_channel
from llmasos.channels import Turnover
from llmasos.database import Database, migrate
from llmasos.errors import ChannelRefused, ChannelUnavailable, SettingsError
from llmasos.events import Failure, Reply
from llmasos.jobs import Jobs
from llmasos.network import is_public
from llmasos.request import Request
from llmasos.settings import JobSettings, Settings
from llmasos.testing.callbacks import CallbackReceiver
from workers.claims import Claims
from workers.inline import InlineDispatcher
from workers.journal import PostJournal

PRIVATE = '[callbacks]\nsecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\nallow_private = true\n'
REPLY = Reply(text="Within 14 days.")


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver() as made:
        yield made


class Bringing:
    """A job that has been answered, and its way to a URL."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = Database(f"sqlite:///{folder}/state.db")
        migrate(self.database)
        jobs = Jobs(
            self.database, InlineDispatcher(), JobSettings(), ["echo"], ["http"], lambda *_: True
        )
        request = Request(agent="echo", text="How long?", reply_to=(url,))
        job = jobs.submit(request).job
        claim = Claims(self.database, "test", 60).take()
        assert claim is not None
        self.job_id, self.attempt, self.url = job.id, claim.attempt, url
        self.turn = Turnover(job.id, "echo", request, job.created_at)

    def send(self, channel: CallbackChannel | None, outcome: Reply | Failure = REPLY) -> None:
        assert channel is not None
        journal = PostJournal(self.database, self.job_id, self.attempt, self.url)
        channel.open(self.url, self.turn, journal).finish(outcome)


@pytest.fixture
def bring(tmp_path: Path) -> Iterator[Callable[[str], Bringing]]:
    made: list[Bringing] = []

    def make(url: str) -> Bringing:
        made.append(Bringing(tmp_path, url))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


def test_a_receiver_can_verify_a_callback_with_any_standard_webhooks_library(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    bringing = bring(receiver.url)

    bringing.send(http_channel(make_settings(PRIVATE)))

    headers, body = receiver.taken[0]
    said = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(body, headers)
    assert said["type"] == "job.succeeded"
    assert said["data"]["reply"]["text"] == "Within 14 days."
    assert headers["webhook-id"] == said["data"]["id"] == bringing.job_id
    assert headers["host"] == receiver.url.split("/")[2]


def test_an_answer_that_was_brought_is_not_sent_again_by_the_next_worker(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    bringing = bring(receiver.url)
    channel = http_channel(make_settings(PRIVATE))

    bringing.send(channel)
    bringing.send(channel)

    assert len(receiver.taken) == 1


def test_a_try_that_failed_is_made_again_under_the_same_id(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    receiver.answers = [(503, {"Retry-After": "7"})]
    bringing = bring(receiver.url)
    channel = http_channel(make_settings(PRIVATE))

    with pytest.raises(ChannelUnavailable, match="503") as raised:
        bringing.send(channel)
    bringing.send(channel)

    assert raised.value.retry_after == 7
    (first, body), (second, again) = receiver.taken
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again


@pytest.mark.parametrize(("status", "error"), [
    (400, ChannelRefused), (410, ChannelRefused), (302, ChannelRefused),
    (408, ChannelUnavailable), (429, ChannelUnavailable), (500, ChannelUnavailable),
])  # fmt: skip
def test_a_refusal_for_good_and_one_for_now_are_told_apart(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
    status: int,
    error: type[Exception],
) -> None:
    receiver.answers = [(status, {"Location": receiver.url})]

    with pytest.raises(error):
        bring(receiver.url).send(http_channel(make_settings(PRIVATE)))

    assert len(receiver.taken) == 1


def test_a_failure_is_brought_as_such(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    failure = Failure(type="EngineUnavailable", message="The engine does not answer.")

    bring(receiver.url).send(http_channel(make_settings(PRIVATE)), failure)

    said = json.loads(receiver.taken[0][1])
    assert said["type"] == "job.failed"
    assert said["data"]["error"] == {"type": failure.type, "message": failure.message}
    assert said["data"]["reply"] is None


def test_nothing_goes_to_a_private_address_unless_it_is_allowed(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    channel = http_channel(make_settings(PRIVATE.replace("true", "false")))

    for host in (
        "127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.1", "2130706433",
        "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    ):  # fmt: skip
        url = receiver.url.replace("127.0.0.1", host)
        bringing = bring(url)
        with pytest.raises(ChannelRefused, match=r"private address|Invalid IPv4"):
            bringing.send(channel)

    assert receiver.taken == []


def test_a_name_is_looked_up_once_so_that_it_cannot_lead_elsewhere_a_moment_later(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, answers = socket.getaddrinfo, ["127.0.0.1"]

    def rebinding(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    bring(receiver.url.replace("127.0.0.1", "rebind.example")).send(
        http_channel(make_settings(PRIVATE))
    )

    assert answers == []
    assert receiver.taken[0][0]["host"].startswith("rebind.example:")


def test_a_name_with_a_private_address_among_public_ones_is_refused(
    make_settings: Callable[..., Settings],
    bring: Callable[[str], Bringing],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("8.8.8.8", "::1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)

    with pytest.raises(ChannelRefused, match="private address"):
        bring("http://mixed.example/").send(
            http_channel(make_settings(PRIVATE.replace("true", "false")))
        )


@pytest.mark.parametrize("address", [
    "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "::127.0.0.1", "::10.0.0.1", "64:ff9b:1::7f00:1", "0.0.0.0", "2001:db8::1",
])  # fmt: skip
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http:nohost",
        "http://",
        "http://[::1",
        "http://h:99999/",
        "ftp://h/",
        "http://①②⑦.0.0.1/",
        "http://user:pass@h/",
        "http://h\n.example/",
        "http://h:0/",
    ],
)
def test_what_is_no_url_is_refused(
    make_settings: Callable[..., Settings], bring: Callable[[str], Bringing], url: str
) -> None:
    channel = http_channel(make_settings(PRIVATE))
    bringing = bring("http://example.com/")
    bringing.url = url

    with pytest.raises(ChannelRefused, match="usable URL"):
        bringing.send(channel)


def test_a_receiver_that_speaks_slowly_is_left_in_time(
    make_settings: Callable[..., Settings], bring: Callable[[str], Bringing]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        stopping = threading.Event()

        def drip() -> None:
            connection, _ = slow.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not stopping.wait(0.05):
                    connection.sendall(b"X-Slow: 1\r\n")

        thread = threading.Thread(target=drip)
        thread.start()
        bringing = bring(f"http://127.0.0.1:{slow.getsockname()[1]}/")

        with pytest.raises(ChannelUnavailable, match="within 1 seconds"):
            bringing.send(http_channel(make_settings(PRIVATE + "timeout = 1\n")))

        stopping.set()
        thread.join(30)


def test_a_receiver_may_say_when_to_come_again_as_a_date(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    receiver.answers = [(429, {"Retry-After": later})]

    with pytest.raises(ChannelUnavailable) as raised:
        bring(receiver.url).send(http_channel(make_settings(PRIVATE)))

    assert 7000 < raised.value.retry_after <= 7200


@pytest.mark.parametrize("said", ["", "soon", "-5", "Mon, 01 Jan 2001 00:00:00 GMT", "１２"])
def test_a_pause_that_nobody_understands_is_none(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
    said: str,
) -> None:
    receiver.answers = [(503, {"Retry-After": said})]

    with pytest.raises(ChannelUnavailable) as raised:
        bring(receiver.url).send(http_channel(make_settings(PRIVATE)))

    assert raised.value.retry_after == 0


def test_while_a_secret_changes_receivers_of_the_old_and_of_the_new_believe_it(
    make_settings: Callable[..., Settings],
    receiver: CallbackReceiver,
    bring: Callable[[str], Bringing],
) -> None:
    toml = '[callbacks]\nsecret = ["the new one", "the old one"]\nallow_private = true\n'

    bring(receiver.url).send(http_channel(make_settings(toml)))

    headers, body = receiver.taken[0]
    for secret in (b"the new one", b"the old one"):
        assert Webhook(secret).verify(body, headers)


def test_without_a_secret_there_are_no_callbacks(make_settings: Callable[..., Settings]) -> None:
    assert https_channel(make_settings()) is None


def test_a_secret_that_cannot_sign_is_named(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match=r"callbacks\.secret"):
        https_channel(make_settings('[callbacks]\nsecret = "whsec_a"\n'))
