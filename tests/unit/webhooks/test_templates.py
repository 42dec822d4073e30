"""Templates: what they make of a delivery, and what no delivery makes of them."""

import time
from functools import reduce
from typing import Any

import pytest
from jinja2 import TemplateSyntaxError

from integrations.webhooks.templates import Condition, Prompt


def render(source: str, body: Any, longest: int = 20_000) -> str:
    return Prompt(source).render({"body": body, "headers": {}}, longest)


def test_a_prompt_is_filled_in_and_trimmed() -> None:
    body = {"subject": "Refund", "message": "How long?"}

    text = render("\n{{ body.subject }}\n\n{{ body.message }}\n", body)

    assert text == "Refund\n\nHow long?"


def test_text_is_not_escaped_and_stays_data() -> None:
    body = {"text": "<b>&</b> {{ 7 * 7 }} 你好"}

    assert render("{{ body.text }}", body) == body["text"]


def test_a_field_named_like_a_method_is_the_field() -> None:
    body = {"items": [1, 2], "keys": "k"}

    text = render("{% for each in body.items %}{{ loop.index }}:{{ each }} {% endfor %}", body)

    assert text == "1:1 2:2"


def test_a_body_can_be_shown_whole() -> None:
    assert render("{{ body | tojson }}", {"a": ["é", "<"]}) == '{"a": ["é", "<"]}'


@pytest.mark.parametrize("body", [{}, [], None, 7, "text", {"Subject": 1}])
def test_what_a_delivery_lacks_is_named(body: Any) -> None:
    with pytest.raises(ValueError, match="the delivery has no 'subject'"):
        render("{{ body.subject }}", body)


def test_the_value_is_not_repeated_when_it_is_of_the_wrong_kind() -> None:
    with pytest.raises(ValueError, match="not of the kind") as raised:
        render("{{ body.n + 1 }}", {"n": "hunter2"})

    assert "hunter2" not in str(raised.value)


HOSTILE = {
    "loops in loops": (
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        {},
    ),
    "a loop over the body": (
        "{% for a in body %}{% for b in body %}{% endfor %}{% endfor %}",
        [0] * 100_000,
    ),
    "multiplied text": ("{{ 'x' * body.n }}", {"n": 10**10}),
    "multiplied list": ("{{ [1] * body.n }}", {"n": 10**10}),
    "a power": ("{{ 9 ** body.n }}", {"n": 10**9}),
    "a format": ("{{ '%*d' % (body.n, 1) }}", {"n": 10**9}),
    "a format method": ("{{ '{:>{n}}'.format(1, n=body.n) }}", {"n": 10**9}),
    "a format of theirs": ("{{ body.f.format(1) }}", {"f": "{:>999999999}"}),
    "a replacement": (
        "{{ body.a | replace('a', body.b) }}",
        {"a": "a" * 500_000, "b": "b" * 500_000},
    ),
    "a join": ("{{ body.a | join(body.b) }}", {"a": [1] * 100_000, "b": "b" * 100_000}),
    "a centred text": ("{{ 'a'.center(body.n) }}", {"n": 10**10}),
    "Python's classes": ("{{ body.__class__.__mro__ }}", {}),
    "Python's globals": ("{{ range.__globals__ }}", {}),
    "attributes by name": ("{{ body | attr('__class__') }}", {}),
    "a change of the body": ("{{ body.a.append(1) }}", {"a": []}),
    "an endless macro": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {}),
    "macros that call themselves twice": (
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
        "{{ m(body.n) }}",
        {"n": 60},
    ),
    "filters in a loop": (
        "{% for a in body.a %}{% set b = body.a | sort %}{% endfor %}",
        {"a": ["x"] * 100_000},
    ),
    "a large number's bytes": ("{{ (7).to_bytes(body.n, 'big') }}", {"n": 10**10}),
    "a round of many digits": ("{{ 'a' | round(body.n) }}", {"n": 10**10}),
    "a deep indentation": (
        "{{ body | tojson(indent=8) }}",
        reduce(lambda inner, _: [inner], range(90), [1] * 20_000),
    ),
    "a generator's frame": ("{{ (body.items() | map('string')).gi_frame }}", {}),
    "Jinja's own objects": ("{{ self.__init__.__globals__ }}", {}),
    "a format string's way in": ("{{ '{0.__class__}'.format(body) }}", {}),
    "the environment": ("{{ body.get.__self__ }}", {}),
    "another template": ("{% include body.t %}", {"t": "/etc/passwd"}),
    "a long text": ("{{ body.t }}{{ body.t }}", {"t": "x" * 15_000}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_no_template_runs_for_long_grows_or_reaches_out(case: str) -> None:
    source, body = HOSTILE[case]
    began = time.thread_time()

    with pytest.raises((ValueError, TemplateSyntaxError)):
        render(source, body)

    assert time.thread_time() - began < 10


@pytest.mark.parametrize(
    ("condition", "body", "holds"),
    [
        ("body.kind == 'question'", {"kind": "question"}, True),
        ("body.kind == 'question'", {"kind": "praise"}, False),
        ("body.kind == 'question'", {}, False),
        ("body.issue.labels.first == 'bug'", {"issue": 3}, False),
        ("body.size > 3", {}, False),
        ("'bug' in body.labels", {"labels": ["bug"]}, True),
        ("body.text", {"text": ""}, False),
    ],
)
def test_a_condition_holds_or_not(condition: str, body: Any, holds: bool) -> None:
    assert Condition(condition).holds({"body": body}) is holds


def test_a_condition_that_cannot_be_told_is_an_error() -> None:
    with pytest.raises(ValueError, match="not of the kind"):
        Condition("body.size > 3").holds({"body": {"size": "large"}})


@pytest.mark.parametrize("source", ["{{ body.", "{% for %}", "{{ body | nosuchfilter }}"])
def test_a_template_that_is_wrong_is_found_at_start(source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        Prompt(source)
