import pytest

from agents.writing_checker import Note, checked, reviewed


def test_mistakes_are_mended_and_listed_with_place_and_reason():
    text, notes = checked("All is well. He recieved a apple and i was glad.")

    assert text == "All is well. He received an apple and I was glad."
    assert notes[0] == Note(2, "recieved", "received", "spelling")
    assert [(note.before, note.after) for note in notes[1:]] == [("a", "an"), ("i", "I")]


@pytest.mark.parametrize(
    "text",
    [
        "The library in Hamburg opened in 1998 and was renovated by Anna Keller in 2015.",
        "The colour of the theatre is grey.",
        "The color of the theater is gray.",
        "Run `pip instal teh` and see https://example.com/teh for more.",
        "Dear Mr Przybylski, your order A-1072 cost 40.50 EUR.",
        "我们明天去公园，的确很好。",
        "请问您在吗？",
        "他大约三点到，左右看了看。",
    ],
)
def test_what_is_no_mistake_stays(text):
    assert checked(text) == (text, [])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("i recieved teh the letter , alot of it .", "I received the letter, a lot of it."),
        ("She enjoy the the music.", "She enjoys the music."),
        (
            "# Plan\n\n- buy bread\n- call becouse of rain",
            "# Plan\n\n- buy bread\n- call because of rain",
        ),
        ("我们公司的产品质量有了很大的题高。", "我们公司的产品质量有了很大的提高。"),
        ("通过这次培训，使员工的意识得到了加强。", "通过这次培训，员工的意识得到了加强。"),
        ("我们明天去，，请的的人", "我们明天去，请的人"),
    ],
)
def test_what_rules_can_tell_is_mended(wrong, right):
    assert checked(wrong)[0] == right


def test_of_a_models_version_only_what_corrects_is_taken():
    original = "Yesterday Anna have paid 40 euros for the small lamp that stand there."
    written = "Yesterday Anna has paid 50 euros for the small lamp that stands there."

    text, notes, whole = reviewed(original, written)

    assert text == "Yesterday Anna has paid 40 euros for the small lamp that stands there."
    assert not whole
    assert [(note.before, note.after) for note in notes] == [("have", "has"), ("stand", "stands")]


@pytest.mark.parametrize(
    "written",
    ["She can pay it today.", "He can't pay it today.", "She can't pay it on 3 May."],
)
def test_a_model_cannot_change_who_or_whether(written):
    assert reviewed("She can't pay it today.", written)[0] == "She can't pay it today."


def test_a_models_version_that_strays_is_left_out():
    text, _, whole = reviewed("He recieved it in 2015.", "Sure! Here is an essay on schools.")

    assert text == "He received it in 2015."
    assert not whole


def test_a_text_keeps_its_lines_whatever_the_model_does_to_them():
    text, _, whole = reviewed("First line.\n\nShe go home.", "First line. She goes home.")

    assert text == "First line.\n\nShe goes home."
    assert whole


def test_chinese_corrections_of_a_model_are_taken_by_character():
    text, notes, whole = reviewed("他每天都回家吃反，很开心。", "他每天都回家吃饭，很开心。")

    assert (text, whole) == ("他每天都回家吃饭，很开心。", True)
    assert notes == [Note(1, "反", "饭", "语法")]
