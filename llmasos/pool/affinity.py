"""Affinity: which server holds the beginning of a conversation, and which is next best.

A server that has read a prompt's beginning need not read it again. The beginning of a conversation
decides by rendezvous hashing: every process comes to the same server without a word, and when one
is added or removed only its own share moves. Start reading at `ranked`.
"""

import hashlib
import math
from collections.abc import Sequence

from llmasos.generation import Message
from llmasos.pool.server import Server

UNEVEN = 2.0
"""How many times the other's load a busy server may have and keep its conversations."""
UNEVEN_PACE = 4.0
"""How many times the other's wait for a first token it may have, above `SLOW_SECONDS`."""
SLOW_SECONDS = 1.0
BEGINNING = 2000
"""Characters of a raw prompt that count as its beginning."""


def key_of(messages: Sequence[Message]) -> str:
    """What identifies a conversation: its beginning up to the first message of the user."""
    beginning = []
    for message in messages:
        beginning.append(f"{message.role}\n{message.content}")
        if message.role == "user":
            break
    return "\n".join(beginning)


def score(key: str, server: Server) -> float:
    """How much a conversation belongs to a server; those with more slots get more of them.

    Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): -weight / ln(hash in (0, 1)).
    """
    digest = hashlib.blake2b(f"{server.address.url}\n{key}".encode(), digest_size=8).digest()
    share = (int.from_bytes(digest) + 0.5) / 2**64
    return -server.address.slots / math.log(share)


def home_of(key: str, servers: Sequence[Server]) -> Server:
    """The server that a conversation belongs to."""
    return max(servers, key=lambda server: score(key, server))


def ranked(key: str, servers: Sequence[Server]) -> list[Server]:
    """The servers in the order in which to ask them.

    First the one that a conversation belongs to, unless it is overloaded beside the best of the
    others; then by their load, which is their outstanding tokens a slot.
    """
    if len(servers) < 2:
        return list(servers)
    home = home_of(key, servers)
    rest = sorted(
        (server for server in servers if server is not home),
        key=lambda server: (server.busy, server.load, -score(key, server)),
    )
    return [*rest, home] if overloaded(home, rest[0]) else [home, *rest]


def overloaded(home: Server, other: Server) -> bool:
    """Whether a conversation is better off elsewhere, where its beginning must be read again."""
    if home.busy and (not other.busy or home.load > UNEVEN * other.load):
        return True
    if other.busy or home.pace is None or other.pace is None:
        return False
    return home.pace > max(SLOW_SECONDS, UNEVEN_PACE * other.pace)
