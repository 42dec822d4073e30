"""Question answering over your own text, as a small web application.

python examples/question_answering.py          then POST {"text": "How long do refunds take?"}
                                                to http://127.0.0.1:8000/predict
"""

from llmasos import LLM, Application, LLMApp

TEXT = """\
Refunds take 14 days. Gift cards cannot be refunded. Our shop is open from 9 to 5, Monday to Friday.
"""


class QAApp(LLMApp):
    """Answers from a text."""

    def process_input(self, text: str) -> str:
        return f"{TEXT}\nAnswer from the text above, in one sentence.\nQuestion: {text}"


def make(model: LLM) -> Application:
    """The application; `/ask` is a route of its own."""
    qa = QAApp(model, max_new_tokens=60)
    app = Application(qa)

    @app.route("/ask")
    def ask(question: str) -> str:
        """Answer a question from the text."""
        return qa.run(question)

    return app


if __name__ == "__main__":
    make(LLM.from_pretrained("smollm2-135m-instruct")).run()
