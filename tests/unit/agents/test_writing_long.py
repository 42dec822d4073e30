import pytest

from agents.writing import writing
from agents.writing_long import divided
from llmasos.events import Child, Delegate, Failure, Reply
from llmasos.flow import run
from llmasos.request import Attachment
from llmasos.testing.engine import ScriptedEngine
from llmasos.testing.turns import make_turn, reply_of

ASKED = "Write a detailed guide to composting at home."
DOCUMENT = " ".join(
    f"In {1900 + n} the town of Hull built {n + 20} new houses for its workers." for n in range(300)
)


def parts_of(turn):
    """What a turn hands to others."""
    return next(each for each in run(turn) if isinstance(each, Delegate)).parts


def written(parts, texts):
    """What came of parts: a text each, or nothing."""
    return tuple(
        Child(
            job_id=str(number),
            agent="writing",
            text=part.text,
            reply=Reply(text=text) if text else None,
            error=None if text else Failure(type="EngineError", message="gone"),
        )
        for number, (part, text) in enumerate(zip(parts, texts, strict=True))
    )


def test_the_sections_of_a_long_piece_are_handed_out():
    engine = ScriptedEngine(["1. Why compost\n2. **The bin**\n- The bin\n3. Using compost"])

    parts = parts_of(make_turn(writing, ASKED, engine))

    assert [part.text.partition("\n")[0] for part in parts] == [
        "Write section 1 of 3: Why compost",
        "Write section 2 of 3: The bin",
        "Write section 3 of 3: Using compost",
    ]
    assert all(ASKED in part.text and part.agent == "writing" for part in parts)


def test_a_section_is_written_and_not_divided_again():
    parts = parts_of(make_turn(writing, ASKED, ScriptedEngine(["Why compost\nThe title"])))

    reply = reply_of(make_turn(writing, parts[1].text, ScriptedEngine(["It feeds the soil."])))

    assert reply.text == "It feeds the soil."


def test_sections_are_joined_without_what_they_repeat_and_with_what_is_missing():
    turn = make_turn(writing, ASKED, ScriptedEngine(["Why compost\nThe bin\nUsing compost"]))
    texts = (
        "## Why compost\nCompost feeds the soil of a home garden. It costs nothing.",
        "Compost feeds the soil of a home garden. The bin needs air.",
        None,
    )
    done = {"sections": written(parts_of(turn), texts)}

    reply = reply_of(make_turn(writing, ASKED, ScriptedEngine(), delegated=done))

    assert reply.text.startswith(
        "## Why compost\n\nCompost feeds the soil of a home garden. It costs nothing.\n\n"
        "## The bin\n\nThe bin needs air."
    )
    assert "“Using compost” could not be written." in reply.text
    assert "Repeated sentences that I cut: 1." in reply.text


def test_a_piece_is_a_file_in_the_format_that_is_named():
    asked = f"{ASKED} As HTML."
    parts = parts_of(make_turn(writing, asked, ScriptedEngine(["Why compost\nThe bin"])))
    done = {"sections": written(parts, ("It feeds the soil of a home.", None))}

    reply = reply_of(make_turn(writing, asked, ScriptedEngine(), delegated=done))

    file = reply.artifacts[0]
    assert (file.name, file.media_type) == ("text.html", "text/html")
    assert "<h2>Why compost</h2>\n<p>It feeds the soil of a home.</p>" in file.text
    assert "could not be written" not in file.text


def test_a_chinese_piece_is_divided_alike():
    asked = "写一篇2000字的家庭堆肥指南"
    parts = parts_of(make_turn(writing, asked, ScriptedEngine(["一、为什么堆肥\n二、堆肥箱"])))

    done = {"sections": written(parts, ("堆肥能改良土壤。", "堆肥箱需要通风。"))}
    reply = reply_of(make_turn(writing, asked, ScriptedEngine(), delegated=done))

    assert reply.text == ("## 为什么堆肥\n\n堆肥能改良土壤。\n\n## 堆肥箱\n\n堆肥箱需要通风。")


def test_an_outline_is_a_numbered_list(ask):
    reply = reply_of(ask(writing, "Give me an outline on bees", "Bees\nHives\n\nHoney"))

    assert reply.text == "1. Bees\n2. Hives\n3. Honey"


def test_a_model_without_an_outline_is_told_to_the_person(ask):
    assert "could not outline" in reply_of(ask(writing, ASKED, "Sorry.")).text


def test_a_long_document_is_summed_up_in_parts_with_their_places():
    file = Attachment(name="hull.txt", text=DOCUMENT)
    turn = make_turn(writing, "Summarise this", ScriptedEngine(), attachments=[file])
    parts = parts_of(turn)
    invented = "In 1950 London built 7,777 bridges."
    true = ["In 1900 the town built 20 new houses.", *[invented] * (len(parts) - 1)]
    done = {"parts": written(parts, true)}

    reply = reply_of(
        make_turn(writing, "Summarise this", ScriptedEngine(), attachments=[file], delegated=done)
    )

    assert reply.text.startswith("- In 1900 the town built 20 new houses. [1]\n- In ")
    assert "London" not in reply.text
    assert len(reply.citations) == len(parts) > 1
    assert reply.citations[0].title == f"hull.txt, part 1 of {len(parts)}"
    assert all(each.quote in DOCUMENT for each in reply.citations)


@pytest.mark.parametrize("text", [DOCUMENT, "天气很好。我们去公园。" * 400, "x" * 5000])
def test_nothing_of_a_divided_text_is_lost(text):
    parts = divided(text, 900)

    assert all(len(part) <= 900 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
