"""Each example in examples/ runs."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from llmasos import LLM, Profile
from llmasos.testing import HashingEmbedder, ScriptedEngine, make_turn, reply_of

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("path", "field"), [("/predict", "text"), ("/ask", "question")])
def test_questions_are_answered_over_http(path, field):
    engine = ScriptedEngine(["They take 14 days."])
    app = example("question_answering").make(LLM(engine))
    web = TestClient(app, base_url="http://127.0.0.1")

    answer = web.post(path, json={field: "How long do refunds take?"})

    assert answer.json() == {"result": "They take 14 days."}
    assert "Refunds take 14 days" in engine.calls[0].messages[0].content


def test_a_translation_gets_its_glossary():
    module, engine = example("translation"), ScriptedEngine(["Die Rechnung ist bezahlt."])
    translator = module.Translator(LLM(engine), "German", module.GLOSSARY["German"])

    assert translator.run("The invoice is paid.") == "Die Rechnung ist bezahlt."
    assert "invoice: Rechnung" in engine.calls[0].messages[0].content


@pytest.mark.parametrize(
    ("history", "text", "expected"),
    [
        ((), "Hello", "Give me a sum"),
        ((), "Practise 7 x 8", "What is 7 times 8?"),
        ((("user", "7 x 8"), ("assistant", "What is 7 times 8?")), "56", "Right!"),
        ((("user", "7 x 8"), ("assistant", "What is 7 times 8?")), "54", "Not 54. Think of 7"),
    ],
)
def test_the_tutor_checks_by_itself(history, text, expected):
    engine = ScriptedEngine(["Think of 7 times 7, and one more 7."])

    reply = reply_of(make_turn(example("tutoring").tutor, text, engine, history=history))

    assert reply.text.startswith(expected)


def test_the_tutor_never_tells_the_result():
    engine = ScriptedEngine(["It is 56, of course."])
    history = (("user", "7 x 8"), ("assistant", "What is 7 times 8?"))

    reply = reply_of(make_turn(example("tutoring").tutor, "54", engine, history=history))

    assert "56" not in reply.text


def test_books_are_recommended():
    module = example("recommendation")

    found = module.books_for(Profile(liked=["robots"]), "the sea", HashingEmbedder())

    assert len(found) == 2
    assert "meer" not in found
