"""Continuity: what sections that were written apart say differently."""

from agents.writing_continuity import breaks

ASKED = "Write a long guide to the library."


def test_numbers_that_disagree_on_one_thing_are_told():
    found = breaks(
        ASKED,
        [
            ("History", "The library in Hamburg was opened in 1998. It holds 400 maps."),
            ("Today", "The library in Hamburg was opened in 1989. Its hall holds 90 people."),
        ],
    )

    assert found == [
        "Two numbers for one thing? “The library in Hamburg was opened in 1998.” and "
        "“The library in Hamburg was opened in 1989.”"
    ]


def test_a_name_in_two_spellings_is_told():
    found = breaks(
        ASKED,
        [
            ("One", "It was led by Anna Schmidt. The Libraries of Hamburg agreed."),
            ("Two", "Later it was led by Anna Schmitdt. The Library of Hamburg grew."),
        ],
    )

    assert found == ["One name in two spellings? “Schmidt” and “Schmitdt”"]


def test_a_section_in_another_person_is_told():
    found = breaks(
        ASKED, [("One", "We read in our hall."), ("Two", "We meet."), ("Three", "I read my book.")]
    )

    assert found == ["“Three” speaks in another person (I, we) than the rest."]


def test_a_piece_of_one_piece_has_no_breaks():
    assert breaks(ASKED, [("One", "We opened in 1998."), ("Two", "We close at 6.")]) == []
    assert breaks("写一篇2000字的指南", [("一", "图书馆于1998年开放。")]) == []
