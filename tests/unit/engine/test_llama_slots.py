"""Which slot takes a prompt: what is saved, restored, shared and waited for."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.engine.llama_slots import Slots, shared

Make = Callable[..., tuple[Slots, list[str]]]
RULES = tuple(range(500))


def prompt(number: int, length: int = 30) -> tuple[int, ...]:
    """The common rules, and something of one's own."""
    return (*RULES, *range(1000 * number, 1000 * number + length))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes slots over a llama.cpp that only writes down what it is told."""

    def build(
        number: int = 4, context: int = 8000, limit: int = 1 << 20
    ) -> tuple[Slots, list[str]]:
        done: list[str] = []

        async def act(slot: int, action: str, file: str) -> int:
            done.append(f"{action} {slot}")
            if action == "save":
                (tmp_path / file).write_bytes(b"state")
            return 1000

        return Slots(number, context, tmp_path, act, limit), done

    return build


def test_agents_that_come_at_once_share_what_they_begin_with(make: Make) -> None:
    async def scene() -> None:
        slots, done = make()
        first = await slots.take(prompt(1), 600)
        others = [asyncio.create_task(slots.take(prompt(n), 600)) for n in (2, 3, 4)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in others), "they wait for the common beginning"

        await slots.computed(first)
        taken = await asyncio.gather(*others)

        assert [slot.held for slot in taken] == [500, 500, 500]
        assert done[0] == f"save {first.id}"
        assert sorted(done[1:]) == [
            f"restore {slot.id}" for slot in sorted(taken, key=lambda s: s.id)
        ]

    asyncio.run(scene())


def test_a_conversation_goes_back_to_its_slot(make: Make) -> None:
    async def scene() -> None:
        slots, done = make()
        mine = await slots.take(prompt(1), 600)
        await slots.computed(mine)
        slots.give(mine)
        other = await slots.take(tuple(range(9000, 9200)), 300)
        slots.give(other)

        again = await slots.take((*prompt(1), 7, 8, 9), 600)

        assert again is mine is not other
        assert again.held == len(prompt(1))
        assert again.computing is None, "three tokens are not worth while to share"
        assert "restore" not in str(done)

    asyncio.run(scene())


def test_a_conversation_finds_its_state_though_its_slot_went_to_another(
    make: Make,
) -> None:
    async def scene() -> None:
        slots, done = make(number=1)
        for n in (1, 2):
            slot = await slots.take(tuple(range(1000 * n, 1000 * n + 200)), 300)
            slots.give(slot)

        again = await slots.take(tuple(range(1000, 1210)), 300)

        assert again.held == 200
        assert done == ["save 0", "save 0", "restore 0"]

    asyncio.run(scene())


def test_who_waited_computes_itself_when_the_other_gave_up(make: Make) -> None:
    async def scene() -> None:
        slots, _ = make()
        first = await slots.take(prompt(1), 600)
        second = asyncio.create_task(slots.take(prompt(2), 600))
        third = asyncio.create_task(slots.take(prompt(3), 600))
        await asyncio.sleep(0)
        slots._slots[0].tokens = ()
        slots.give(first)

        done, waiting = await asyncio.wait({second, third}, timeout=1)

        assert len(done) == len(waiting) == 1, "the other waits for this one now"
        slots.give(done.pop().result())
        await asyncio.wait_for(waiting.pop(), 1)

    asyncio.run(scene())


def test_a_text_that_must_come_the_same_again_takes_nothing_over(make: Make) -> None:
    async def scene() -> None:
        slots, done = make()
        first = await slots.take(prompt(1), 600)

        alone = await asyncio.wait_for(slots.take(prompt(1), 600, afresh=True), 1)

        assert alone is not first
        assert (alone.held, alone.computing, done) == (0, None, [])

    asyncio.run(scene())


def test_free_slots_make_room_for_what_runs(make: Make) -> None:
    async def scene() -> None:
        slots, done = make(context=1000)
        for n in (1, 2):
            slots.give(await slots.take(tuple(range(1000 * n, 1000 * n + 300)), 400))

        await slots.take(tuple(range(5000, 5100)), 600)

        assert done == ["save 0", "erase 0"], "the oldest went, and is kept aside"

    asyncio.run(scene())


def test_saved_states_stay_within_their_limit(make: Make, tmp_path: Path) -> None:
    async def scene() -> None:
        slots, _ = make(number=1, limit=2500)
        for n in range(5):
            slot = await slots.take(tuple(range(1000 * n, 1000 * n + 200)), 300)
            await slots.computed(slot)
            slots.give(slot)

        assert len(list(tmp_path.glob("*.state"))) == 2

    asyncio.run(scene())


def test_a_state_that_is_too_large_to_save_is_not_waited_for(make: Make) -> None:
    async def scene() -> None:
        slots, done = make(limit=900)
        first = await slots.take(prompt(1), 600)
        await slots.computed(first)
        slots.give(first)
        assert done == ["save 0"], "only now is its size known"

        await slots.take(prompt(7, 200), 800)
        await asyncio.wait_for(slots.take(prompt(8, 200), 800), 1)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [
        ((), (), 0),
        ((1,), (1,), 1),
        ((1, 2, 3), (1, 2, 4), 2),
        ((1, 2), (1, 2, 3), 2),
        ((5,), (6,), 0),
    ],
)
def test_what_two_texts_have_in_common_is_counted_from_the_start(
    one: tuple[int, ...], other: tuple[int, ...], length: int
) -> None:
    assert shared(one, other) == shared(other, one) == length
