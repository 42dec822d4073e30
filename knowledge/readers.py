"""Who may read a collection: `everyone`, a principal's id, `team:…`, `channel:…` or `group:…`."""

from collections.abc import Sequence

from llmasos.request import Principal

EVERYONE = "everyone"
"""Everyone of the installation; not guests from another organisation."""


def may_read(readers: Sequence[str], principal: Principal) -> bool:
    """Whether one of the readers is this principal, or something that it is part of."""
    own = {principal.id, *(f"group:{group}" for group in principal.groups)}
    if principal.member:
        own.add(EVERYONE)
    if principal.team:
        own.add(f"team:{principal.team}")
    if principal.channel:
        own.add(f"channel:{principal.channel}")
    return not own.isdisjoint(readers)
