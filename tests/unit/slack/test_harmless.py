import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.slack.harmless import harmless, settled

TEXT = st.lists(
    st.sampled_from(
        [*"ab <!@[]()|.\n\x00\u202e", "<@U1", "<!channel", "https://", "x.com", "](", "slack:"]
    ),
    max_size=60,
).map("".join)


@pytest.mark.parametrize(
    "ping", ["<!channel>", "<!here|x>", "<!EVERYONE>", "<@U012>", "<@w012|x>", "<!subteam^S1>"]
)
def test_a_ping_is_broken(ping: str) -> None:
    assert harmless(ping) == f"<\u2060{ping[1:]}"


def test_a_ping_that_hides_behind_what_is_not_seen_is_broken() -> None:
    assert harmless("<\u202e!chan\x00nel> <\ufeff@U1>") == "<\u2060!channel> <\u2060@U1>"


@pytest.mark.parametrize(
    "code",
    [
        "<!DOCTYPE html>",
        "<!-- note -->",
        "a <b> c",
        "x<@",
        "<#C1>",
        "rows[0](x)",
        "[1] and [2]",
        "a\tb\n",
    ],
)
def test_other_text_is_left_as_it_is(code: str) -> None:
    assert harmless(code) == code


@pytest.mark.parametrize(
    "link",
    [
        "[the docs](https://a.com/b_(c))",
        "[a.com](https://a.com/x)",
        "<https://a.com>",
        "[m](mailto:a@b.c)",
    ],
)
def test_an_honest_link_stays(link: str) -> None:
    assert harmless(link) == link


@pytest.mark.parametrize(
    ("lie", "truth"),
    [
        ("[https://bank.com](https://evil.com/x)", "https://bank.com (https://evil.com/x)"),
        ("[www.bank.com](https://bank.com.evil.org)", "www.bank.com (https://bank.com.evil.org)"),
        ("[bank.com](https://bank.com@evil.com/)", "bank.com (https://bank.com@evil.com/)"),
        ("[bank.com](https://evil.com 'bank.com')", "bank.com (https://evil.com)"),
        ("<https://evil.com|https://bank.com>", "https://bank.com (https://evil.com)"),
        ("[press](javascript:alert(1))", "press (javascript:alert(1))"),
        ("[press](slack://user?id=U1)", "press (slack://user?id=U1)"),
        ("[b\u202eank](data:text/html,x)", "bank (data:text/html,x)"),
    ],
)
def test_a_link_that_leads_astray_shows_where_it_leads(lie: str, truth: str) -> None:
    assert harmless(lie) == truth


def test_what_turns_text_around_or_cannot_be_seen_is_gone() -> None:
    assert harmless("a\u202eb\u2066c\x1b[31md\x00e\x85") == "abc[31mde"


@given(TEXT, st.integers(0, 400))
def test_what_was_harmless_stays_so_while_a_text_grows(text: str, end: int) -> None:
    assert harmless(text).startswith(harmless(settled(text[:end])))


@given(TEXT)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)
