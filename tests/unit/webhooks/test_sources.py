"""The sources: whom each believes, and by what it knows a delivery again."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from integrations.webhooks.source import Refused, Source
from llmasos import plugins
from llmasos.errors import InvalidRequest, SettingsError
from llmasos.settings import WebhookSettings

NOW = 1_767_225_600.0
BODY = '{"text": "grüße 你好"}'.encode()
SECRET = "dev-secret-2"
SOURCES: dict[str, Any] = dict(plugins.load("llmasos.webhooks"))
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def source(kind: str, secret: Any = SECRET, **more: Any) -> Source:
    values = {"name": "w", "source": kind, "secret": secret, **more}
    made: Source = SOURCES[kind](WebhookSettings.model_validate(values))
    return made


def digest(signed: bytes = BODY, secret: str = SECRET) -> "hmac.HMAC":
    return hmac.new(secret.encode(), signed, hashlib.sha256)


def stripe(at: float = NOW, body: bytes = BODY) -> str:
    return f"t={at:.0f},v0=6ffbb59b2300,v1={digest(b'%d.%b' % (at, body)).hexdigest()}"


def standard(at: float = NOW, own_id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    signed = hmac.new(key, f"{own_id}.{at:.0f}.".encode() + BODY, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": own_id, "webhook-timestamp": f"{at:.0f}", "webhook-signature": signature}


PROVED: dict[str, tuple[Source, dict[str, str]]] = {
    "github": (source("github"), {"x-hub-signature-256": f"sha256={digest().hexdigest()}"}),
    "gitlab": (source("gitlab"), {"x-gitlab-token": SECRET}),
    "stripe": (source("stripe"), {"stripe-signature": stripe()}),
    "standard": (source("standard", WHSEC), standard()),
    "alertmanager": (source("alertmanager"), {"authorization": f"Bearer {SECRET}"}),
    "token": (source("token"), {"authorization": SECRET}),
    "token in a header of its own": (source("token", header="X-Key"), {"x-key": SECRET}),
    "hmac in base64, as Shopify has it": (
        source("hmac", header="X-Shopify-Hmac-Sha256"),
        {"x-shopify-hmac-sha256": base64.b64encode(digest().digest()).decode()},
    ),
    "hmac in hex": (source("hmac"), {"x-signature": digest().hexdigest()}),
}


@pytest.mark.parametrize("case", PROVED)
def test_a_genuine_delivery_is_believed(case: str) -> None:
    at, headers = PROVED[case]

    at.verify(headers, BODY, NOW)

    assert at.proofs >= {name for name in headers if name[:10] not in ("webhook-id", "webhook-ti")}


@pytest.mark.parametrize("case", PROVED)
def test_what_is_not_exactly_right_is_refused(case: str) -> None:
    at, headers = PROVED[case]
    name, right = next((n, v) for n, v in headers.items() if n in at.proofs)

    for wrong in ("", " ", right[:-1], f"{right}x", f"{right},{right}", right.swapcase(),
                  right[::-1], "é\xff", "\ud800", "x" * 30_000):  # fmt: skip
        with pytest.raises(Refused):
            at.verify({**headers, name: wrong}, BODY, NOW)
    with pytest.raises(Refused):
        at.verify({}, BODY, NOW)


@pytest.mark.parametrize("case", [each for each in PROVED if "token" not in each])
@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], b"", b"\xff\xfe"])
def test_an_altered_body_is_refused(case: str, body: bytes) -> None:
    at, headers = PROVED[case]
    if "x-gitlab-token" in headers or "authorization" in headers:
        return  # a token says nothing of the body

    with pytest.raises(Refused):
        at.verify(headers, body, NOW)


@pytest.mark.parametrize("kind", ["github", "gitlab", "stripe", "alertmanager", "hmac"])
def test_two_secrets_are_good_while_one_takes_the_others_place(kind: str) -> None:
    headers = PROVED.get(kind, PROVED["hmac in hex"])[1]

    source(kind, ["new", SECRET]).verify(headers, BODY, NOW)
    with pytest.raises(Refused):
        source(kind, ["new", "newer"]).verify(headers, BODY, NOW)


def test_the_vector_in_githubs_documentation_is_genuine() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    at = source("github", "It's a Secret to Everybody")

    known = at.verify({"x-hub-signature-256": signature, "x-github-delivery": "72d3162e"},
                      b"Hello, World!", NOW)  # fmt: skip

    assert known.id == "72d3162e"


def test_what_any_standard_webhooks_library_signs_is_genuine() -> None:
    from datetime import UTC, datetime

    now = time.time()
    signature = Webhook(WHSEC).sign("msg_2", datetime.fromtimestamp(now, UTC), BODY.decode())
    headers = {"webhook-id": "msg_2", "webhook-timestamp": f"{int(now)}",
               "webhook-signature": f"v1a,abc v1,bm8= {signature}"}  # fmt: skip

    assert source("standard", ["whsec_bm8=", WHSEC]).verify(headers, BODY, now).id == "msg_2"


def test_the_id_is_part_of_what_standard_webhooks_sign() -> None:
    with pytest.raises(Refused):
        source("standard", WHSEC).verify({**standard(), "webhook-id": "msg_3"}, BODY, NOW)


@pytest.mark.parametrize("off", [-301, 301, 10**9])
def test_a_stale_signature_is_refused_and_the_window_can_be_set(off: int) -> None:
    with pytest.raises(Refused, match="off our clock"):
        source("stripe").verify({"stripe-signature": stripe(NOW + off)}, BODY, NOW)
    with pytest.raises(Refused, match="off our clock"):
        source("standard", WHSEC).verify(standard(NOW + off), BODY, NOW)

    if off < 1000:
        wide = source("stripe", window=600)
        wide.verify({"stripe-signature": stripe(NOW + off)}, BODY, NOW)


def test_a_secret_that_cannot_be_one_is_named_at_start() -> None:
    with pytest.raises(SettingsError, match=r"webhooks\.w\.secret"):
        source("standard", "whsec_a")


def test_a_sender_without_an_id_of_its_own_gives_none() -> None:
    for case in ("alertmanager", "token", "github", "gitlab"):
        at, headers = PROVED[case]
        assert at.verify(headers, BODY, NOW).id is None


def test_a_stripe_event_is_known_by_the_id_in_its_body() -> None:
    body = json.dumps({"id": "evt_1"}).encode()

    assert source("stripe").verify({"stripe-signature": stripe(body=body)}, body, NOW).id == "evt_1"


def test_a_gitlab_delivery_is_known_by_its_key_or_by_event_and_body() -> None:
    at, headers = PROVED["gitlab"]
    event = {**headers, "x-gitlab-event-uuid": "u1"}

    own = at.verify({**event, "idempotency-key": "k"}, BODY, NOW).id
    ids = [at.verify(event, body, NOW).id for body in (BODY, BODY, b"{}")]

    assert own == "k"
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "ключ"])
def test_an_unusable_id_of_a_genuine_delivery_is_named(key: str) -> None:
    at, headers = PROVED["github"]

    with pytest.raises(InvalidRequest, match="X-GitHub-Delivery"):
        at.verify({**headers, "x-github-delivery": key}, BODY, NOW)


@given(st.sampled_from(sorted(PROVED)), st.text(max_size=100), st.binary(max_size=50))
def test_nothing_makes_a_source_stumble(case: str, header: str, body: bytes) -> None:
    at, headers = PROVED[case]

    with pytest.raises(Refused):
        at.verify(dict.fromkeys(headers, header), body, NOW)
