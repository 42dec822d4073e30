from agents.writing import writing
from agents.writing_translation import glossary_of
from llmasos.testing.engine import ScriptedEngine
from llmasos.testing.turns import make_turn, reply_of

ASKED = (
    "Translate into German. Glossary: invoice = Faktura; order = Auftrag\n\n"
    "The invoice for order 4711 is late."
)


def test_a_glossary_is_parted_from_the_message():
    assert glossary_of(ASKED) == (
        {"invoice": "Faktura", "order": "Auftrag"},
        "Translate into German.\n\nThe invoice for order 4711 is late.",
    )
    assert glossary_of("翻译成英文。术语表：订单 → order；发票 → invoice\n\n订单已发货")[0] == {
        "订单": "order",
        "发票": "invoice",
    }
    assert glossary_of("Explain these terms: a, b") == ({}, "Explain these terms: a, b")


def test_a_translation_that_keeps_the_glossary_is_shown_as_it_is(ask):
    new = "Die Faktura zum Auftrag 4711 ist verspätet."

    assert reply_of(ask(writing, ASKED, new)).text == new


def test_a_model_that_misses_terms_is_told_so_once():
    right = "Die Faktura zum Auftrag 4711 ist verspätet."
    engine = ScriptedEngine(["Die Rechnung zum Auftrag 4711 ist verspätet.", right])

    assert reply_of(make_turn(writing, ASKED, engine)).text == right
    assert "invoice = Faktura" in engine.calls[1].messages[-1].content


def test_what_could_not_be_kept_is_said():
    engine = ScriptedEngine(["Die Rechnung zur Bestellung 4712 ist da."] * 2)

    reply = reply_of(make_turn(writing, ASKED, engine))

    assert "could not keep: invoice = Faktura; order = Auftrag" in reply.text
    assert "4711, 4712" in reply.text


def test_a_term_that_was_left_as_it_is_is_put_right(ask):
    reply = reply_of(ask(writing, ASKED, "Die Invoice zum Auftrag 4711 ist verspätet."))

    assert reply.text == "Die Faktura zum Auftrag 4711 ist verspätet."


def test_the_length_of_a_rewriting_is_measured(ask):
    asked = "Rewrite this in 8 words:\n\nThe shop on the corner opens at nine every single morning."

    reply = reply_of(ask(writing, asked, "The corner shop opens at nine every morning."))

    assert reply.text.endswith("Length: 8 words (8 asked for).")
