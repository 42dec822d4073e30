"""Which slot of llama.cpp takes a prompt, so that as little of it as possible is computed again.

A slot holds the computed state of one text. What a slot holds can be saved to a file and restored
into another one, in milliseconds where computing takes seconds: so agents that begin with the same
instructions share them, also when they come at once, and a conversation finds its state again after
its slot went to another. Used by `llama.py`; knows no request and no sampling. Start at `take`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

WORTH = 64
"""Tokens that a state must save to be worth the trouble."""
Act = Callable[[int, str, str], Awaitable[int | None]]
"""Does `save`, `restore` or `erase` with a slot and a file; the file's bytes, None if it failed."""


@dataclass(eq=False)
class Slot:
    """A slot of llama.cpp. tokens: the prompt whose state it holds, maybe with what followed.

    held: how many tokens of its prompt were there when it was taken.
    """

    id: int
    tokens: tuple[int, ...] = ()
    held: int = 0
    busy: bool = False
    room: int = 0
    used: int = 0
    computing: asyncio.Event | None = None
    """Set once the state of its prompt is there; None where there is little to compute."""


@dataclass
class Slots:
    """The slots. context: tokens that fit into all of them together. limit: bytes to save."""

    number: int
    context: int
    folder: Path
    act: Act
    limit: int
    _slots: list[Slot] = field(init=False)
    _saved: OrderedDict[tuple[int, ...], tuple[str, int]] = field(default_factory=OrderedDict)
    _clock: "count[int]" = field(default_factory=count)
    _bytes_per_token: float = 0.0

    def __post_init__(self) -> None:
        self._slots = [Slot(number) for number in range(self.number)]

    async def take(self, tokens: Sequence[int], room: int, *, afresh: bool = False) -> Slot:
        """A slot for a prompt, which may grow to so many tokens; give it back with `give`.

        Who needs what another is just computing waits for that. afresh: nothing that is there is
        wanted. There must be a free slot.
        """
        prompt = tuple(tokens)
        if afresh:
            slot = self._oldest()
            slot.held = 0
            return await self._prepared(slot, prompt, room)
        slot = self._nearest(prompt)
        while other := self._computing(prompt, shared(slot.tokens, prompt) + WORTH):
            await other.wait()
            slot = self._nearest(prompt)
        held = shared(slot.tokens, prompt)
        saved = max(self._saved, key=lambda state: shared(state, prompt), default=())
        restored = shared(saved, prompt) >= held + WORTH
        if restored:
            slot, held = self._oldest(), shared(saved, prompt)
        slot.held = held
        slot.computing = asyncio.Event() if len(prompt) - held >= WORTH else None
        return await self._prepared(slot, prompt, room, saved if restored else ())

    async def _prepared(
        self, slot: Slot, prompt: tuple[int, ...], room: int, saved: tuple[int, ...] = ()
    ) -> Slot:
        """Take this slot, once what would be lost is saved. saved: the state to restore."""
        previous, lost = slot.tokens, len(slot.tokens) - shared(slot.tokens, prompt)
        slot.busy, slot.room, slot.tokens = True, room, prompt
        try:
            if lost >= WORTH:
                await self._save(slot, previous)
            await self._make_room()
            if saved:
                await self._restore(slot, saved)
        except BaseException:
            self.give(slot)
            raise
        return slot

    async def computed(self, slot: Slot) -> None:
        """Say that the state of a slot's prompt is there, while it is at rest; it is saved."""
        await self._save(slot, slot.tokens)
        self._ready(slot)

    def give(self, slot: Slot) -> None:
        """Give a slot back."""
        self._ready(slot)
        slot.busy, slot.room, slot.used = False, 0, next(self._clock)

    @staticmethod
    def _ready(slot: Slot) -> None:
        """Say that nobody needs to wait for a slot any more."""
        if slot.computing:
            slot.computing.set()
            slot.computing = None

    def _nearest(self, prompt: tuple[int, ...]) -> Slot:
        """The free slot that holds most of a prompt; where none does, the one least missed."""

        def rank(slot: Slot) -> tuple[int, bool, int]:
            held = shared(slot.tokens, prompt)
            return held if held >= WORTH else 0, not slot.tokens, -slot.used

        return max(self._free(), key=rank)

    def _oldest(self) -> Slot:
        return min(self._free(), key=lambda slot: (bool(slot.tokens), slot.used))

    def _free(self) -> list[Slot]:
        return [slot for slot in self._slots if not slot.busy]

    def _computing(self, prompt: tuple[int, ...], least: int) -> asyncio.Event | None:
        """What to wait for: the computing of a state that has at least so much of a prompt."""
        if self._too_large(prompt):
            return None
        for slot in self._slots:
            if slot.computing and shared(slot.tokens, prompt) >= least:
                return slot.computing
        return None

    async def _save(self, slot: Slot, tokens: tuple[int, ...]) -> None:
        """Save a state under these tokens; the oldest ones give way."""
        if self._too_large(tokens):
            return
        name = f"{next(self._clock)}.state"
        size = await self.act(slot.id, "save", name)
        if size is None:
            return
        self._bytes_per_token = size / len(tokens)
        self._forget(tokens)
        self._saved[tokens] = (name, size)
        while sum(size for _, size in self._saved.values()) > self.limit:
            self._forget(next(iter(self._saved)))

    def _too_large(self, tokens: tuple[int, ...]) -> bool:
        """Whether a state is too large to be saved."""
        return len(tokens) * self._bytes_per_token > self.limit

    async def _restore(self, slot: Slot, tokens: tuple[int, ...]) -> None:
        if tokens in self._saved:
            self._saved.move_to_end(tokens)
            await self.act(slot.id, "restore", self._saved[tokens][0])

    def _forget(self, tokens: tuple[int, ...]) -> None:
        if tokens in self._saved:
            name, _ = self._saved.pop(tokens)
            (self.folder / name).unlink(missing_ok=True)

    async def _make_room(self) -> None:
        """Empty free slots, the oldest first, until everything that runs fits."""
        while True:
            running = sum(slot.room for slot in self._slots if slot.busy)
            resting = [slot for slot in self._free() if slot.tokens]
            if not resting or running + sum(len(s.tokens) for s in resting) <= self.context:
                return
            oldest = min(resting, key=lambda slot: slot.used)
            tokens, oldest.tokens, oldest.busy = oldest.tokens, (), True
            try:
                if len(tokens) >= WORTH:
                    await self._save(oldest, tokens)
                await self.act(oldest.id, "erase", "")
            finally:
                oldest.busy = False


def shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
