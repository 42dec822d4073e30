"""What agents say of themselves: every language says the same, with the same parts."""

from string import Formatter

import pytest

from llmasos.language.phrases import FOR_MODELS, LANGUAGES, phrases, say


def parts_of(phrase):
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_phrase_with_its_parts(language):
    english, said = phrases("en"), phrases(language)

    assert english.keys() - FOR_MODELS <= said.keys() <= english.keys()
    assert {name: parts_of(said[name]) for name in said} == {
        name: parts_of(english[name]) for name in said
    }


@pytest.mark.parametrize(
    ("text", "greeting"),
    [
        ("Hi there", "Hello! What can I help you with?"),
        ("Wie kann ich die Rechnung bezahlen?", "Guten Tag! Womit kann ich Ihnen helfen?"),
        ("Comment est-ce que je paie ma facture ?", "Bonjour ! En quoi puis-je vous aider ?"),
        ("¿Cómo puedo pagar la factura?", "¡Hola! ¿En qué puedo ayudarle?"),
        ("請求書の支払方法は？", "こんにちは。ご用件をお聞かせください。"),
        ("怎么付款？", "您好！请问有什么可以帮您？"),
        ("用 Python 写一个计算斐波那契数列的函数", "您好！请问有什么可以帮您？"),
        ("Как оплатить счёт?", "Hello! What can I help you with?"),
        ("", "Hello! What can I help you with?"),
    ],
)
def test_it_is_said_in_the_language_of_the_question(text, greeting):
    assert say("greeting", text) == greeting
