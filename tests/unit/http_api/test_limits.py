"""Limits: how much one caller may send."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from integrations.http_api.limits import Limits
from llmasos.errors import RateExceeded
from llmasos.keys import Keys, Scope
from llmasos.rates import MemoryRates


def test_a_caller_has_so_many_requests_a_minute_and_then_waits() -> None:
    now = 600.0
    limits = Limits(MemoryRates(lambda: now))
    left = []
    for _ in range(2):
        left.append(limits.take("key:shop", 2).remaining)
        now += 20.0

    with pytest.raises(RateExceeded) as refused:
        limits.take("key:shop", 2)

    assert left == [1, 0]
    assert refused.value.seconds == 20.0  # then the first of them is a minute old
    assert limits.take("key:desk", 2).remaining == 1
    now += 20.0
    assert limits.take("key:shop", 2).remaining == 0


def test_a_caller_is_told_what_it_has_left_and_when_to_come_again(
    make_desk: Callable[..., Any],
) -> None:
    desk = make_desk("web.requests_per_minute = 3")
    _, text = Keys(desk.doors.database).add("shop", [Scope.RUN])
    headers = {"authorization": f"Bearer {text}"}

    answers = [desk.http.get("/v1/agents", headers=headers) for _ in range(7)]

    assert answers[0].headers["ratelimit-limit"] == "3"
    assert answers[0].headers["ratelimit-remaining"] == "2"
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert refused[0].json()["type"] == "urn:llmasos:error:RateExceeded"
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert refused[0].headers["ratelimit-remaining"] == "0"


def test_who_tries_keys_is_told_to_wait_and_who_has_one_is_not(
    make_desk: Callable[..., Any],
) -> None:
    desk = make_desk("web.refusals_per_minute = 2")
    _, text = Keys(desk.doors.database).add("shop", [Scope.RUN])

    tries: list[httpx.Response] = [desk.http.get("/v1/agents") for _ in range(5)]
    owner = desk.http.get("/v1/agents", headers={"authorization": f"Bearer {text}"})

    assert {each.status_code for each in tries} == {401, 429}
    assert owner.status_code == 200
