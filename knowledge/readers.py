"""Who may read a collection: `everyone`, a principal's id, `team:…`, `channel:…` or `group:…`."""

from collections.abc import Sequence

from llmasos.errors import InvalidRequest
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


def checked_readers(readers: Sequence[str]) -> tuple[str, ...]:
    """The readers that a caller names. Raises InvalidRequest for what can be none."""
    if isinstance(readers, str):
        raise InvalidRequest("The readers must be a list of names, not one text.")
    for each in readers:
        if not isinstance(each, str) or not each.strip() or each.endswith(":"):
            raise InvalidRequest(
                f"'{each}' cannot be a reader. Name everyone, a principal's id, team:…, "
                "channel:… or group:…."
            )
    return tuple(dict.fromkeys(readers))
