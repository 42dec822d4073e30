"""The circuit breaker: when a server may be asked."""

from collections.abc import Callable

import pytest

from llmasos.pool.breaker import FAILURES, LONGEST_PAUSE, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock, lambda: 0.0)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admit()
        breaker.failed("refused")


def test_a_few_failures_do_not_open_it(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, FAILURES - 1)

    assert breaker.state == "closed"
    assert breaker.admit()


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, FAILURES)

    assert breaker.state == "open"
    assert not breaker.admit()
    assert breaker.reason == "refused"


def test_after_a_pause_one_request_may_try(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += 1.0

    assert breaker.state == "half-open"
    assert [breaker.admit(), breaker.admit()] == [True, False]


def test_a_trial_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += 1.0
    breaker.admit()
    breaker.succeeded()

    assert breaker.state == "closed"
    assert [breaker.admit(), breaker.admit()] == [True, True]


def test_each_trial_that_fails_doubles_the_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    pauses = []
    for _ in range(7):
        before = clock.now
        while not breaker.admit():
            clock.now += 0.5
        pauses.append(clock.now - before)
        breaker.failed("again")

    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]


@pytest.mark.parametrize("end", [Breaker.gave_up, lambda b: b.overloaded(0.1)])
def test_a_trial_without_an_outcome_lets_another_try(
    breaker: Breaker, clock: Clock, end: Callable[[Breaker], None]
) -> None:
    fail(breaker, FAILURES)
    clock.now += 1.0
    breaker.admit()
    end(breaker)
    clock.now += 1.0

    assert breaker.admit()


def test_a_health_check_that_goes_well_ends_the_pause(breaker: Breaker) -> None:
    breaker.trip("no answer")
    assert not breaker.admit()
    breaker.recovered()

    assert breaker.state == "half-open"
    assert breaker.admit()


def test_a_server_rests_for_as_long_as_it_asks(breaker: Breaker, clock: Clock) -> None:
    breaker.admit()
    breaker.overloaded(7.0)

    assert breaker.state == "closed"
    assert not breaker.admit()
    assert breaker.rest == 7.0
    clock.now += 7.0
    assert breaker.admit()


def test_without_a_word_it_rests_longer_each_time(breaker: Breaker, clock: Clock) -> None:
    rests = []
    for _ in range(6):
        breaker.overloaded(0.0)
        rests.append(breaker.rest)
        clock.now += breaker.rest

    assert rests == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    breaker.succeeded()
    breaker.overloaded(0.0)
    assert breaker.rest == 0.25


def test_no_two_processes_come_back_at_the_same_moment(clock: Clock) -> None:
    early, late = Breaker(clock, lambda: 0.0), Breaker(clock, lambda: 0.99)
    early.trip("x")
    late.trip("x")
    clock.now += 1.0

    assert (early.state, late.state) == ("half-open", "open")
    clock.now += 0.25
    assert late.state == "half-open"
