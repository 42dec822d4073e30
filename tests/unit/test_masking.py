"""Masking: secrets and personal data by their form, check digits heeded."""

import pytest
import structlog

from llmasos.generation import Message, Options
from llmasos.logs import mask
from llmasos.masking import MaskedBackend, masked
from llmasos.testing import ScriptedEngine, calls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to eva@example.com!", "Write to [EMAIL]!"),
        ("Card 4111 1111 1111 1111.", "Card [CARD]."),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [IBAN]"),
        ("Call +49 30 901820 today", "Call [PHONE] today"),
        ("Call (030) 901-820", "Call [PHONE]"),
        ("手机 13812345678", "手机 [PHONE]"),
        ("身份证 11010519491231002X", "身份证 [ID]"),
        ("SSN 078-05-1120", "SSN [SSN]"),
        ("from 203.0.113.9", "from [IP]"),
        ("postgres://me:hunter2@db/x", "postgres://[SECRET]@db/x"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [SECRET]"),
        ("xoxb-123456789012-abcdef", "[SECRET]"),
        ("password=hunter22", "password=[SECRET]"),
    ],
)
def test_what_nobody_should_read_is_masked(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Order 4711-0815 of 2026-11-22 10:00",
        "Card 4111 1111 1111 1112",
        "http://127.0.0.1:8080/v1/jobs",
        "job 0123456789abcdef0123456789abcdef took 12.5 s",
        "version 1.22.3",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert masked(text) == text


def test_a_log_line_is_masked_wherever_it_holds_something():
    line = {"event": "x", "error": "no route to eva@example.com", "urls": ["redis://:pw12@h/0"]}

    shown = mask(structlog.get_logger(), "info", {**line, "deep": {"key": "password=hunter22"}})

    assert "eva@" not in str(shown)
    assert "hunter22" not in str(shown)


def test_the_answer_gets_the_words_again_over_the_pieces_of_a_stream():
    engine = ScriptedEngine(["I wrote to [EMAIL_1] and [EMAIL_2] , not [EMAIL_9]."])
    backend = MaskedBackend(engine)
    asked = [Message(role="user", content="Write to a@b.co, c@d.co and a@b.co.")]

    said = "".join(piece.text for piece in backend.chat(asked, Options()))

    assert engine.calls[0].messages[0].content == "Write to [EMAIL_1], [EMAIL_2] and [EMAIL_1]."
    assert said == "I wrote to a@b.co and c@d.co , not [EMAIL_9]."


def test_calls_of_tools_get_the_words_again():
    engine = ScriptedEngine([calls("mail", to="[EMAIL_1]")])
    spec = {"name": "mail", "description": "Mail.", "parameters": {"type": "object"}}
    options = Options.model_validate({"tools": [spec]})

    pieces = list(MaskedBackend(engine).chat([Message(role="user", content="a@b.co")], options))

    assert pieces[-1].tool_calls[0].arguments == {"to": "a@b.co"}
