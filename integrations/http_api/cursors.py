"""Cursors: where a page of a list ended, as a word that its reader need not understand.

A page goes on after a place, not after a number of entries, so that what comes or goes meanwhile
shifts nothing.
"""

import base64
import binascii
from typing import Annotated

from fastapi import Query

from llmasos.errors import InvalidRequest

Cursor = Annotated[str | None, Query(max_length=2_000)]
Limit = Annotated[int, Query(ge=1, le=200)]


def cursor_of(place: str) -> str:
    """The cursor for what comes after a place."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> str | None:
    """The place that a cursor stands for. Raises InvalidRequest for what is no cursor."""
    if cursor is None:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return place.decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(
            "The cursor is none of ours. Take `next` of the page before, as it is."
        ) from error
