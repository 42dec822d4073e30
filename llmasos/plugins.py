"""Plug-ins: what other distributions, and this one, offer under an entry point.

Groups: `llmasos.agents` (an `Agent`), `llmasos.channels` (a function of the `Settings`),
`llmasos.webhooks` (a source), `llmasos.loaders` (a loader). The house uses the guests' door.
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from llmasos.errors import SettingsError

Group = Literal[
    "llmasos.agents", "llmasos.channels", "llmasos.sources", "llmasos.webhooks", "llmasos.loaders"
]


def names(group: Group) -> list[str]:
    """The names that a group has."""
    return sorted({point.name for point in entry_points(group=group)})


def load(group: Group) -> Iterator[tuple[str, Any]]:
    """Everything that a group offers, as (name, object), by name.

    Raises SettingsError when a plug-in cannot be imported or two have one name.
    """
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            raise SettingsError(
                f"{group}.{point.name}",
                point.value,
                f"is also offered as {other.value}; remove one",
            )
    for name in sorted(points):
        yield name, load_one(points[name])


def load_one(point: EntryPoint) -> Any:
    """The object that an entry point names."""
    try:
        return point.load()
    except Exception as error:  # a guest's code: whatever it raises, say whose it is
        raise SettingsError(
            f"{point.group}.{point.name}", point.value, f"cannot be loaded: {error!r}"
        ) from error
