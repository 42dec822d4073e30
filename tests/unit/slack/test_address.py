import pytest

from integrations.slack.address import Address, parse
from integrations.slack.calls import REMEDIES, Limited, Refused, as_channel_error
from llmasos.errors import ChannelRefused, ChannelUnavailable


@pytest.mark.parametrize(
    "address",
    [
        Address("C0123"),
        Address("C0123", "1760000000.000100"),
        Address("G0123", "1760000000.000100", "T1", "U1"),
        Address("D0123", "1760000000.000100", "T1", "U1", dm=True),
    ],
    ids=str,
)
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "slack:general",
        "slack:#general",
        "slack:C0123/yesterday",
        "slack:C0123/",
        "slack:C0123?x=1",
        "slack:C0123?user=U1%26dm%3D1",
        "slack:",
        "C0123",
        "http:C0123",
    ],
)
def test_what_is_no_address_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ChannelRefused, match="slack:CHANNEL"):
        parse(text)


def test_only_a_direct_message_with_a_person_streams() -> None:
    assert Address("D0123", "1.1", "T1", "U1", dm=True).streams
    assert not Address("C0123", "1.1", "T1", "U1").streams
    assert not Address("D0123", "1.1", dm=True).streams


@pytest.mark.parametrize("code", sorted(REMEDIES))
def test_a_refusal_says_slacks_word_and_the_remedy(code: str) -> None:
    error = as_channel_error(Refused(code, "chat:write"), "slack:C0123")

    assert isinstance(error, ChannelRefused)
    assert f"Slack says {code} (scope chat:write): {REMEDIES[code]}" in str(error)


def test_a_limit_says_how_long_to_wait() -> None:
    error = as_channel_error(Limited(17), "slack:C0123")

    assert isinstance(error, ChannelUnavailable)
    assert error.retry_after == 17
