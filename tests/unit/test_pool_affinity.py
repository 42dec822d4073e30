"""Which server a conversation goes to."""

import time
from collections import Counter
from collections.abc import Sequence

import pytest

from llmasos.generation import Message, Piece
from llmasos.pool.affinity import home_of, key_of, ranked
from llmasos.pool.plan import Address, Timeouts
from llmasos.pool.server import Server

KEYS = [f"conversation {number}" for number in range(1000)]


def server(name: str, slots: int = 8) -> Server:
    return Server(Address(f"http://{name}", slots=slots), Timeouts(), 5.0)


def make(count: int) -> list[Server]:
    return [server(f"gpu-{number}") for number in range(count)]


def homes(servers: Sequence[Server]) -> dict[str, str]:
    return {key: home_of(key, servers).url for key in KEYS}


def occupy(server: Server, times: int, tokens: int = 100) -> None:
    server.running += times
    server.outstanding += times * tokens


def first(key: str, servers: Sequence[Server]) -> Server:
    return ranked(key, servers)[0]


def test_a_conversation_is_known_by_its_beginning() -> None:
    begun = [Message(role="system", content="Be brief."), Message(role="user", content="Hello")]
    later = [*begun, Message(role="assistant", content="Hi"), Message(role="user", content="More")]
    other = [begun[0], Message(role="user", content="Goodbye")]

    assert key_of(later) == key_of(begun)
    assert key_of(other) != key_of(begun)


def test_conversations_spread_evenly_and_alike_in_every_process() -> None:
    spread = Counter(homes(make(4)).values())

    assert all(200 < count < 300 for count in spread.values())
    assert homes(make(4)) == homes(list(reversed(make(4))))


def test_a_server_with_more_slots_gets_more() -> None:
    spread = Counter(homes([server("small", 8), server("large", 24)]).values())

    assert spread["http://large"] == pytest.approx(750, abs=50)


def test_a_server_that_is_added_or_removed_moves_only_its_share() -> None:
    three, four = make(3), make(4)
    before, after = homes(three), homes(four)

    moved = [key for key in KEYS if before[key] != after[key]]

    assert len(moved) < 300
    assert {after[key] for key in moved} == {four[3].url}


def test_a_conversation_stays_while_its_server_has_room() -> None:
    servers = make(3)
    home = home_of("talk", servers)
    occupy(home, 7)

    assert first("talk", servers) is home


def test_a_conversation_moves_to_the_least_loaded_when_its_server_is_busy() -> None:
    servers = make(3)
    home, *others = ranked("talk", servers)
    occupy(home, 8)
    occupy(others[0], 3)

    assert ranked("talk", servers) == [others[1], others[0], home]


def test_where_all_are_busy_it_stays_unless_the_others_have_half_as_much() -> None:
    servers = make(2)
    home, other = ranked("talk", servers)
    occupy(home, 10)
    occupy(other, 8)
    assert first("talk", servers) is home

    occupy(home, 10)
    assert first("talk", servers) is other


def test_load_is_counted_in_tokens_a_slot() -> None:
    home, small, large = server("home", 1), server("small", 2), server("large", 20)
    key = next(key for key in KEYS if home_of(key, [home, small, large]) is home)
    occupy(home, 1)
    occupy(small, 1, tokens=100)
    occupy(large, 2, tokens=400)

    assert ranked(key, [home, small, large])[:2] == [large, small]


def test_a_server_much_slower_than_another_is_left_aside() -> None:
    servers = make(2)
    home, other = ranked("talk", servers)
    home.measures.first_token(6.0)
    other.measures.first_token(1.0)
    assert first("talk", servers) is other

    home.measures.first_token(0.5)
    assert first("talk", servers) is home


def test_a_call_counts_its_tokens_until_it_ends() -> None:
    one = server("one")
    call = one.begin(500)
    assert call is not None
    assert (one.running, one.outstanding) == (1, 500)

    call.came(Piece(text="Hi"))
    time.sleep(0.01)  # a speed needs a time
    call.came(Piece(text="", finish_reason="eos_token", completion_tokens=3))
    call.end()

    figures = one.measures.figures()
    assert (one.running, one.outstanding, figures.answered) == (0, 0, 1)
    assert figures.tokens_per_second is not None
    assert 0 < figures.tokens_per_second <= 200
    one.close()
