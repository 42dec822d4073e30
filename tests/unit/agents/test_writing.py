import pytest

from agents.writing import writing
from agents.writing_gate import alike, changes, keeps_words
from agents.writing_tasks import task_of
from llmasos.events import Token
from llmasos.request import Attachment
from llmasos.testing.engine import ScriptedEngine
from llmasos.testing.turns import make_turn, reply_of

TEXT = (
    "The library in Hamburg opened in 1998 and was renovated by Anna Keller in 2015. "
    "It holds 40,000 books. Students come to read and to work. The cafe closes at six."
)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Give me a title for this text:\n\nOnce upon a time", "title"),
        ("Suggest a headline: we won the cup", "title"),
        ("Continue this story: Once upon a time", "continue"),
        ("Please rewrite this in a friendlier tone: Go away now.", "rewrite"),
        ("Make it shorter:\n\nLong text", "rewrite"),
        ("Polish this:\n\nI has a cat", "polish"),
        ("Please make this read better: i has a cat", "polish"),
        ("Translate this into Polish: I have a cat", "translate"),
        ("Proofread: i has a cat", "proofread"),
        ("Can you fix the grammar mistakes?\n\ni has a cat", "proofread"),
        ("Summarize the following:\n\nLong text", "summarise"),
        ("tl;dr\n\nLong text", "summarise"),
        ("Write a letter to my landlord", "free"),
        ("给这段话起个标题：\n今天天气很好", "title"),
        ("续写：从前有座山", "continue"),
        ("润色一下：今天天气很好", "polish"),
        ("校对：今天天汽很好", "proofread"),
        ("总结：今天天气很好", "summarise"),
        ("写一封道歉信", "free"),
        ("Write a note:\n\nplease rewrite the summary of the title", "free"),
    ],
)
def test_the_task_is_told_by_the_instruction_not_by_the_text(message, name):
    assert task_of(message).name == name


def test_the_text_is_parted_from_the_instruction():
    assert task_of("Proofread this: i has a cat").text == "i has a cat"
    assert task_of("Summarise “the whole long text that stands here” please").text.startswith(
        "the w"
    )


def test_free_writing_streams(ask):
    pieces: list[Token] = []

    reply = reply_of(
        ask(writing, "Write a short note", "Dear all, thanks."),
        lambda event: isinstance(event, Token) and pieces.append(event),
    )

    assert len(pieces) == 3
    assert reply.text == "Dear all, thanks."


def test_a_continuation_goes_on_from_the_text_itself_and_ends_whole():
    engine = ScriptedEngine([" She opened it. It said that he w"])

    reply = reply_of(make_turn(writing, "Continue this: A letter came.", engine))

    assert engine.calls[0].messages[-1].content == "A letter came."
    assert reply.text == "She opened it."


def test_a_correction_is_shown_and_listed(ask):
    turn = ask(writing, "Proofread: He go to school in 2015.", "He goes to school in 2015.")

    reply = reply_of(turn)

    assert reply.text.startswith("He goes to school in 2015.")
    assert "- sentence 1: go → goes (" in reply.text


@pytest.mark.parametrize(
    "meddled",
    [
        "He goes to school in 2016.",
        "Anna goes to school in 2015.",
        "He goes to school in 2015. He likes it there very much, and so do I.",
        "Sure! Here is an essay on schools.",
        "",
    ],
)
def test_a_correction_that_changes_facts_is_not_shown(ask, meddled):
    reply = reply_of(ask(writing, "Proofread: He recieved it in 2015.", meddled))

    assert reply.text.startswith("He received it in 2015.")
    assert "left that out" in reply.text


def test_a_rewrite_that_keeps_all_facts_is_shown(ask):
    new = (
        "Opened in 1998 and renovated by Anna Keller in 2015, the library in Hamburg holds 40,000 "
        "books. Students love to read and work here, and the cafe closes at six."
    )

    assert reply_of(ask(writing, f"Rewrite this, friendlier:\n\n{TEXT}", new)).text == new


def test_a_rewrite_that_loses_facts_is_refused_with_the_reason(ask):
    reply = reply_of(
        ask(writing, f"Rewrite this:\n\n{TEXT}", "The library in Hamburg is nice to read.")
    )

    assert "−1998" in reply.text
    assert TEXT in reply.text


def test_a_summary_that_invents_is_replaced_by_the_texts_own_sentences(ask):
    reply = reply_of(
        ask(writing, f"Summarise:\n\n{TEXT}", "The library has 90,000 books in Berlin.")
    )

    assert "Berlin" not in reply.text
    assert "The library in Hamburg opened in 1998" in reply.text


def test_a_title_that_invents_is_replaced_by_the_texts_own_words(ask):
    reply = reply_of(ask(writing, f"A title for this:\n\n{TEXT}", "Berlin's 7 Best Libraries"))

    assert "Berlin" not in reply.text
    assert reply.text.startswith("The library in Hamburg")


def test_a_title_is_one_line_without_quotes(ask):
    written = '"A Library in Hamburg"\n\nThis title works because it is short.'

    assert (
        reply_of(ask(writing, f"A title for this:\n\n{TEXT}", written)).text
        == "A Library in Hamburg"
    )


def test_an_attached_file_is_the_text(ask):
    file = Attachment(name="text.txt", text=TEXT)
    turn = ask(writing, "Please summarise this", "Made up 77.", attachments=[file])

    assert "Hamburg" in reply_of(turn).text


def test_the_gate_names_what_was_lost_and_what_was_added():
    assert changes("Anna paid 40 euros", "She paid 50 euros to Bob") == ["−40", "+50", "+bob"]


def test_the_gate_tells_a_correction_from_another_text():
    assert alike("He go home", "He goes home")
    assert not alike("He goes home", "She stays there in the evening")
    assert keeps_words("go", "goes")
    assert not keeps_words("leaves", "stays")


def test_a_summary_of_a_file_cites_its_sentences():
    file = Attachment(name="library.md", text=TEXT)
    said = "The library in Hamburg holds 40,000 books. The cafe closes at six."

    turn = make_turn(writing, "Summarise this", ScriptedEngine([said]), attachments=[file])
    reply = reply_of(turn)

    assert reply.text == (
        "The library in Hamburg holds 40,000 books. [1] The cafe closes at six. [2]"
    )
    assert [(each.source, each.quote) for each in reply.citations] == [
        ("library.md", "It holds 40,000 books."),
        ("library.md", "The cafe closes at six."),
    ]
