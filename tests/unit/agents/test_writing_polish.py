"""Polishing: each piece reads better or stays as it is."""

from agents.writing import writing
from llmasos.testing.turns import reply_of

FIRST = "Anna Keller did open the library in Hamburg in the year of 1998 for the students."
BETTER = "Anna Keller opened the library in Hamburg for its students in the year 1998."
SECOND = "The cafe that there is closes at six and it is not open on a Sunday."


def test_what_reads_better_and_says_the_same_is_taken(ask):
    reply = reply_of(ask(writing, f"Polish this:\n\n{FIRST}", BETTER))

    assert reply.text == BETTER


def test_a_piece_whose_new_version_says_something_else_is_only_corrected(ask):
    open_on_sunday = SECOND.replace("is not open", "is open")

    reply = reply_of(ask(writing, f"Polish this:\n\n{FIRST}\n\n{SECOND}", BETTER, open_on_sunday))

    assert reply.text.startswith(f"{BETTER}\n\n{SECOND}\n\nOf 2 passages I only corrected 1")


def test_a_text_of_which_nothing_could_be_taken_says_so_in_one_sentence(ask):
    reply = reply_of(ask(writing, f"Polish this:\n\n{FIRST}", "It was fun."))

    assert reply.text.startswith(FIRST)
    assert "I only corrected this" in reply.text


def test_headings_and_lists_are_not_rewritten(ask):
    reply = reply_of(ask(writing, f"Polish this:\n\n# Library\n\n{FIRST}\n\n- one\n- two", BETTER))

    assert reply.text == f"# Library\n\n{BETTER}\n\n- one\n- two"
