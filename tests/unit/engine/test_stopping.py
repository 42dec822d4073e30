"""Stop sequences in a text that comes in pieces."""

import pytest

from llmasos.engine.stopping import StopWatch


def feed(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    """What is shown of the pieces, and whether a stop sequence ended them."""
    watch, shown = StopWatch(stops), ""
    for piece in pieces:
        text, stopped = watch.feed(piece)
        shown += text
        if stopped:
            return shown, True
    return shown, False


@pytest.mark.parametrize(
    ("stops", "pieces", "shown", "stopped"),
    [
        (["END"], ["a E", "N", "D b"], "a END", True),
        (["END"], ["a ENDING"], "a END", True),
        (["bc", "b"], ["abc"], "ab", True),
        (["xyz", "c"], ["abc", "xyz"], "abc", True),
        (["aab"], ["a", "a", "a", "b", "c"], "aaab", True),
        (["END"], ["E", "N", "d"], "ENd", False),
        ([], ["anything"], "anything", False),
        (["好吗"], ["你好", "吗？"], "你好吗", True),
    ],
)
def test_a_text_ends_with_its_first_stop_sequence(
    stops: list[str], pieces: list[str], shown: str, stopped: bool
) -> None:
    assert feed(stops, pieces) == (shown, stopped)
