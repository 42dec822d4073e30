"""Texts in one batch: the keys and values of each, padded on the left, and those worth keeping.

The shape that transformers' own `generate` works with: an attention mask says what is padding, and
positions are counted without it. Used by `torch_model.py` only. Start reading at `Batch.step`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

LEAST_SHARED = 16
"""Tokens that two prompts must begin with alike for it to be worth anything."""

Layers = list[tuple[Any, Any]]
"""Keys and values of each layer, shape (rows, heads, tokens, size of a head)."""


@dataclass(eq=False)
class Row:
    """One text: its tokens, and the keys and values of all but the last one drawn.

    layers: while it stands alone. length: of its keys and values, in tokens.
    """

    tokens: list[int] = field(default_factory=list)
    layers: Layers = field(default_factory=list)
    length: int = 0
    logits: Any = None
    cached: int = 0
    """Tokens of its prompt that were not computed again."""


class Batch:
    """The rows that are computed together."""

    def __init__(self, model: Any, device: str) -> None:
        self._model, self._device = model, device
        self.rows: list[Row] = []
        self._layers: Layers = []

    def read(self, row: Row, tokens: Sequence[int]) -> Any:
        """Read a part of a prompt into a row that stands alone; gives the last logits."""
        import torch

        ids = torch.tensor([list(tokens)], device=self._device)
        cache = _cache(row.layers)
        seen = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        row.layers = _layers(cache)
        row.tokens.extend(tokens)
        row.length += len(tokens)
        return seen.logits[0, -1].float()

    def join(self, row: Row) -> None:
        """Let a row be computed with the others."""
        width = max(self._width, row.length)
        own = _padded(row.layers, width)
        if self.rows:
            self._layers = _stacked([_padded(self._layers, width), own])
        else:
            self._layers = own
        row.layers = []
        self.rows.append(row)

    def leave(self, row: Row) -> None:
        """Let a row stand alone again; one that does already stays so."""
        if row not in self.rows:
            return
        at = self.rows.index(row)
        row.layers = [
            (
                keys[at : at + 1, :, -row.length :].clone(),
                values[at : at + 1, :, -row.length :].clone(),
            )
            for keys, values in self._layers
        ]
        self.rows.remove(row)
        rest = [number for number in range(len(self.rows) + 1) if number != at]
        width = max((each.length for each in self.rows), default=0)
        self._layers = [
            (keys[rest, :, keys.shape[2] - width :], values[rest, :, values.shape[2] - width :])
            for keys, values in self._layers
            if rest
        ]

    def step(self) -> Any:
        """Read every row's last token; gives the logits, shape (rows, vocabulary)."""
        import torch

        width = self._width
        lengths = torch.tensor([row.length for row in self.rows], device=self._device)
        places = torch.arange(width + 1, device=self._device)
        cache = _cache(self._layers)
        seen = self._model(
            input_ids=torch.tensor([[row.tokens[-1]] for row in self.rows], device=self._device),
            attention_mask=(places[None] >= width - lengths[:, None]).long(),
            position_ids=lengths[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        self._layers = _layers(cache)
        for row in self.rows:
            row.length += 1
        return seen.logits[:, -1].float()

    @property
    def _width(self) -> int:
        return self._layers[0][0].shape[2] if self._layers else 0


class Prefixes:
    """Keys and values of finished texts, for prompts that begin alike. room: tokens of them all."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: list[Row] = []

    def row(self, tokens: Sequence[int]) -> Row:
        """A new row that begins with as much of a prompt as is known; never all of it."""
        shared, best = 0, None
        for each in self._kept:
            alike = min(_alike(each.tokens[: each.length], tokens), len(tokens) - 1)
            if alike > shared:
                shared, best = alike, each
        if best is None or shared < LEAST_SHARED:
            return Row()
        self._kept.remove(best)
        self._kept.append(best)  # the latest used
        layers = [(keys[:, :, :shared], values[:, :, :shared]) for keys, values in best.layers]
        return Row(list(tokens[:shared]), layers, shared)

    def keep(self, row: Row) -> None:
        """Keep a text, and let go of those that were not used for longest."""
        if not row.length:
            return
        kept = Row(row.tokens[: row.length], row.layers, row.length)
        self._kept = [each for each in self._kept if _alike(each.tokens, kept.tokens) < each.length]
        self._kept.append(kept)
        while sum(each.length for each in self._kept) > self._room:
            del self._kept[0]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _cache(layers: Layers) -> Any:
    from transformers import DynamicCache

    return DynamicCache(ddp_cache_data=layers) if layers else DynamicCache()


def _layers(cache: Any) -> Layers:
    return [(layer.keys, layer.values) for layer in cache.layers]


def _padded(layers: Layers, width: int) -> Layers:
    """The same with padding on the left up to a width."""
    import torch

    def pad(kept: Any) -> Any:
        missing = width - kept.shape[2]
        return torch.nn.functional.pad(kept, (0, 0, missing, 0)) if missing else kept

    return [(pad(keys), pad(values)) for keys, values in layers]


def _stacked(parts: Sequence[Layers]) -> Layers:
    import torch

    return [
        (torch.cat([keys for keys, _ in layer]), torch.cat([values for _, values in layer]))
        for layer in zip(*parts, strict=True)
    ]
