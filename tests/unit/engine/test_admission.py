"""The engine's queue: who is let in, in which order, and that nothing is lost on the way."""

import asyncio

import pytest

from llmasos.engine.admission import Admission
from llmasos.engine.refusals import Overloaded


def test_more_requests_than_permits_are_refused() -> None:
    admission = Admission(permits=1, slots=1, tokens=100)
    leave = admission.enter()

    with pytest.raises(Overloaded):
        admission.enter()

    leave()
    leave()  # a second time counts for nothing
    admission.enter()
    with pytest.raises(Overloaded):
        admission.enter()


def test_slots_are_given_in_the_order_of_arrival() -> None:
    async def scene() -> list[int]:
        admission, order = Admission(permits=9, slots=1, tokens=100), []
        free = await admission.slot(10)

        async def wait(number: int) -> None:
            give_back = await admission.slot(10)
            order.append(number)
            give_back()

        waiting = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert admission.waiting == 3
        free()
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(scene()) == [0, 1, 2]


def test_a_text_waits_for_room_in_the_cache_though_a_slot_is_free() -> None:
    async def scene() -> None:
        admission = Admission(permits=9, slots=2, tokens=100)
        free = await admission.slot(80)
        waiting = asyncio.create_task(admission.slot(30))
        await asyncio.sleep(0)
        assert not waiting.done()
        free()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scene())


def test_who_goes_away_while_waiting_lets_the_next_one_in() -> None:
    async def scene() -> None:
        admission = Admission(permits=9, slots=2, tokens=100)
        await admission.slot(60)
        large = asyncio.create_task(admission.slot(90))
        small = asyncio.create_task(admission.slot(40))
        await asyncio.sleep(0)
        large.cancel()
        await asyncio.wait_for(small, 1)
        assert admission.waiting == 0

    asyncio.run(scene())


def test_who_goes_away_at_the_moment_of_its_turn_gives_the_slot_back() -> None:
    async def scene() -> None:
        admission = Admission(permits=9, slots=1, tokens=100)
        free = await admission.slot(10)
        waiting = asyncio.create_task(admission.slot(10))
        await asyncio.sleep(0)
        free()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(admission.slot(100), 1)

    asyncio.run(scene())
