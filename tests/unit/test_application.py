"""Small applications: routes over HTTP, checked, and closed to everyone else."""

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from llmasos import LLM, Application, LLMApp, TextClassifier
from llmasos.errors import EngineUnavailable, InvalidRequest
from llmasos.testing import HashingEmbedder, ScriptedEngine


class Loud(LLMApp):
    def process_input(self, text):
        return f"Say loudly: {text}"

    def generate_output(self, prompt):
        return super().generate_output(prompt).upper()


def client(app: Application, **headers: str) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8000", headers=headers)


def test_predict_is_answered_by_the_model():
    answer = client(Application(LLM(ScriptedEngine(["Hello!"])))).post(
        "/predict", json={"text": "Hi"}
    )

    assert answer.json() == {"result": "Hello!"}


def test_an_app_makes_its_input_and_its_output():
    engine = ScriptedEngine(["hello"])

    answer = client(Application(Loud(LLM(engine), max_new_tokens=5))).post(
        "/predict", json={"text": "Hi"}
    )

    assert answer.json() == {"result": "HELLO"}
    assert engine.calls[0].messages[0].content == "Say loudly: Hi"
    assert engine.calls[0].options.max_new_tokens == 5


def test_a_classifier_is_served_as_well():
    model = TextClassifier(["money back", "opening hours"], embedder=HashingEmbedder())

    answer = client(Application(model)).post("/predict", json={"text": "my money"})

    assert answer.json()["result"]["label"] == "money back"


def test_a_route_takes_its_functions_parameters():
    app = Application(LLM(ScriptedEngine()))

    class Total(BaseModel):
        total: int

    @app.route("/add")
    def add(left: int, right: int = 1) -> Total:
        """Add two numbers."""
        return Total(total=left + right)

    @app.route("/ask")
    def ask(question):
        return f"{question}?"

    web = client(app)
    assert web.post("/add", json={"left": 2}).json() == {"result": {"total": 3}}
    assert web.post("/ask", json={"question": "why"}).json() == {"result": "why?"}
    assert add(1, 2) == Total(total=3)
    assert "Add two numbers." in web.get("/openapi.json").text


@pytest.mark.parametrize("body", [{}, {"text": 7}, {"text": "a", "more": 1}, [1]])
def test_a_wrong_body_is_refused_as_a_problem(body):
    answer = client(Application(LLM(ScriptedEngine()))).post("/predict", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_a_body_that_is_too_long_is_refused():
    answer = client(Application(LLM(ScriptedEngine()))).post(
        "/predict", json={"text": "a" * 1_000_001}
    )

    assert answer.status_code == 413


def test_an_engine_that_is_away_is_told_without_its_address():
    engine = ScriptedEngine([EngineUnavailable("http://10.0.0.9", "refused")])

    answer = client(Application(LLM(engine))).post("/predict", json={"text": "Hi"})

    assert answer.status_code == 503
    assert "10.0.0.9" not in answer.text


def test_a_mistake_of_the_caller_is_told():
    app = Application(LLM(ScriptedEngine()))

    @app.route("/fail")
    def fail():
        raise InvalidRequest("Give a longer text.")

    answer = client(app).post("/fail", json={})

    assert (answer.status_code, answer.json()["detail"]) == (400, "Give a longer text.")


def test_without_a_key_only_this_machine_is_served():
    app = Application(LLM(ScriptedEngine(["x"])))

    answer = TestClient(app, base_url="http://evil.example").post("/predict", json={"text": "Hi"})

    assert answer.status_code == 403
    with pytest.raises(InvalidRequest, match="key"):
        app.run(host="0.0.0.0")


@pytest.mark.parametrize(("key", "status"), [("right", 200), ("wrong", 401), ("", 401)])
def test_with_a_key_only_who_has_it_is_served(key, status):
    app = Application(LLM(ScriptedEngine(["x"])), key="right")
    web = TestClient(app, base_url="http://example.org", headers={"Authorization": f"Bearer {key}"})

    assert web.post("/predict", json={"text": "Hi"}).status_code == status
    assert web.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/predict", "ask", "/docs"])
def test_a_path_that_is_taken_or_none_is_refused(path):
    with pytest.raises(InvalidRequest, match="taken"):
        Application(LLM(ScriptedEngine())).route(path)(lambda: "x")
