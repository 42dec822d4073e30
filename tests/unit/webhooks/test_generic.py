"""The source `generic`: whom it believes."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.webhooks.generic import GenericSource, sign
from integrations.webhooks.source import Refused
from llmasos.errors import InvalidRequest
from llmasos.settings import WebhookSettings

SECRET = b"s3cret"
NOW = 1_767_225_600.0
BODY = b'{"text": "hello"}'
WINDOW = 300


def generic(*secrets: str) -> GenericSource:
    return GenericSource(WebhookSettings.model_validate({"name": "w", "secret": secrets}))


SOURCE = generic("s3cret")


def signed(body: bytes = BODY, at: float = NOW, **headers: str) -> dict[str, str]:
    plain = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"x-llmasos-signature": sign(SECRET, body, at), **plain}


def test_the_signature_is_the_hex_digest_of_timestamp_dot_body() -> None:
    expected = hmac.new(b"s3cret", b"1767225600." + BODY, hashlib.sha256).hexdigest()

    assert sign("s3cret", BODY, NOW + 0.9) == f"t=1767225600,v1={expected}"


def test_a_genuine_delivery_has_its_own_key_or_else_its_signature() -> None:

    own = SOURCE.verify(signed(idempotency_key="order-1"), BODY, NOW)
    first = SOURCE.verify(signed(at=NOW + 1), BODY, NOW)
    again = SOURCE.verify(signed(at=NOW + 1), BODY, NOW + 5)
    other = SOURCE.verify(signed(at=NOW + 2), BODY, NOW)

    assert own.id == "order-1"
    assert first.id == again.id != other.id
    assert first.seal == first.id


@pytest.mark.parametrize("offset", [-WINDOW - 1, WINDOW + 1])
def test_a_signature_outside_the_window_is_refused_even_with_a_known_key(offset: float) -> None:
    SOURCE.verify(signed(idempotency_key="k"), BODY, NOW)

    with pytest.raises(Refused, match="301 seconds"):
        SOURCE.verify(signed(at=NOW + offset, idempotency_key="k"), BODY, NOW)


@pytest.mark.parametrize("offset", [-WINDOW, WINDOW])
def test_a_signature_at_the_windows_edge_is_taken(offset: float) -> None:
    assert SOURCE.verify(signed(at=NOW + offset), BODY, NOW)


def test_one_of_several_signatures_is_enough_while_a_secret_changes() -> None:
    old, new = sign(b"old", BODY, NOW), sign(SECRET, BODY, NOW)
    both = f"{old},{new.split(',')[1]}"

    assert SOURCE.verify({"x-llmasos-signature": both}, BODY, NOW)


def test_two_secrets_are_good_while_we_change_ours() -> None:
    both = generic("new", "s3cret")

    assert both.verify(signed(), BODY, NOW) == SOURCE.verify(signed(), BODY, NOW)


GOOD = sign(SECRET, BODY, NOW)
DIGEST = GOOD.split("v1=")[1]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=" + DIGEST,
        f"t={NOW:.0f}",
        f"t={NOW:.0f},v1=",
        f"t={NOW:.0f},v1={DIGEST[:-1]}",
        f"t={NOW:.0f},v1={DIGEST.upper()}",
        f"t={NOW:.0f},v1={'0' * 64}",
        f"t={NOW:.0f}.0,v1={DIGEST}",
        f"t=-{NOW:.0f},v1={DIGEST}",
        f"t=٣{NOW:.0f},v1={DIGEST}",
        f"t={NOW:.0f},t=1,v1={DIGEST}",
        f"t={NOW:.0f},t=ab,v1={DIGEST}",
        f"t={'9' * 60},v1={DIGEST}",
        f"t={NOW:.0f},v0={DIGEST}",
        f"t={NOW:.0f},v1={DIGEST},x=1",
        f"t={NOW + 1:.0f},v1={DIGEST}",
        f"t={NOW:.0f},v1=ü{DIGEST}",
        f"t={NOW:.0f},v1={DIGEST}\x00",
        f"t={NOW:.0f}," + ",".join(["v1=" + "0" * 64] * 40 + [f"v1={DIGEST}"]),
        GOOD + ", " + GOOD,
        "," * 100_000,
    ],
)
def test_a_header_that_is_not_exactly_right_is_refused(header: str) -> None:
    with pytest.raises(Refused):
        SOURCE.verify({"x-llmasos-signature": header}, BODY, NOW)


@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], b"", BODY.replace(b"hello", b"hullo")])
def test_an_altered_body_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="does not fit"):
        SOURCE.verify(signed(), body, NOW)


def test_another_secret_is_refused() -> None:
    with pytest.raises(Refused):
        generic("another").verify(signed(), BODY, NOW)


@given(st.text(max_size=200))
def test_no_header_at_all_makes_it_stumble(header: str) -> None:
    with pytest.raises(Refused):
        SOURCE.verify({"x-llmasos-signature": header}, BODY, NOW)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "a\nb", "ключ"])
def test_an_unusable_key_of_a_genuine_delivery_is_named(key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        SOURCE.verify(signed(idempotency_key=key), BODY, NOW)
