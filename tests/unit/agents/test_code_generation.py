import pytest

from agents.code_generation import code_generation
from llmasos.errors import SandboxUnavailable
from llmasos.sandbox import Sandbox
from llmasos.testing.turns import reply_of

RIGHT = "```python\ndef double(n):\n    return 2 * n\n```"
WRONG = "```python\ndef double(n):\n    return n\n```"
REQUEST = "Write double(n). double(2) == 4, double(0) == 0"

needs_sandbox = pytest.mark.skipif(
    Sandbox().available() is not None, reason=f"no sandbox here: {Sandbox().available()}"
)


class NoSandbox(Sandbox):
    """A machine that refuses namespaces."""

    def run(self, *args, **kwargs):
        raise SandboxUnavailable("The code was not run: namespaces are refused.")


@needs_sandbox
def test_code_that_passes_the_examples_is_called_tested(ask):
    reply = reply_of(ask(code_generation, REQUEST, RIGHT))

    assert (
        "**Tested.** I ran it in the sandbox on the examples of your request: 2 of 2" in reply.text
    )
    assert "return 2 * n" in reply.text
    assert reply.artifacts[0].name == "main.py"
    assert reply.artifacts[0].text == "def double(n):\n    return 2 * n\n"


@needs_sandbox
def test_wrong_code_is_repaired_once_with_the_error_in_view(ask):
    turn = ask(code_generation, REQUEST, WRONG, RIGHT)

    reply = reply_of(turn)

    assert "**Tested.**" in reply.text
    assert "double(2) == 4 fails: it gave 2" in turn.llm.backend.calls[1].messages[-1].content


@needs_sandbox
def test_code_that_stays_wrong_is_said_to_fail_and_how(ask):
    reply = reply_of(ask(code_generation, REQUEST, WRONG, WRONG))

    assert "**It fails.**" in reply.text
    assert "- `double(2) == 4`: it gave 2" in reply.text
    assert reply.confidence is not None
    assert reply.confidence < 0.5


@needs_sandbox
def test_a_worse_repair_is_not_taken(ask):
    reply = reply_of(ask(code_generation, REQUEST, WRONG, "```python\nraise SystemExit(3)\n```"))

    assert "def double(n)" in reply.text


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("while True: pass", "it did not end in time"),
        ("print('x' * 10**7)", "it wrote too much output"),
        ("import os; os._exit(0)", "exit code 0"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_code_that_does_not_run_to_its_end_is_said_to_fail(ask, code, seen):
    from llmasos.sandbox import Limits

    answer = f"```python\n{code}\n```"
    turn = ask(code_generation, "Do it", answer, answer, sandbox=Sandbox(Limits(seconds=1)))

    reply = reply_of(turn)

    assert "**It fails.**" in reply.text
    assert seen in reply.text


@needs_sandbox
def test_without_examples_its_results_are_called_untested(ask):
    reply = reply_of(ask(code_generation, "Print a greeting", "```python\nprint('Hi')\n```"))

    assert "**untested**" in reply.text
    assert "```\nHi\n```" in reply.text


@needs_sandbox
def test_code_cannot_pass_by_printing_verdicts(ask):
    verdicts = "print('\\n' + 'f' * 16 + '[null, null]')"
    cheat = f"```python\n{verdicts}\ndef double(n): return 1\n```"

    reply = reply_of(ask(code_generation, REQUEST, cheat, cheat))

    assert "**It fails.**" in reply.text


def test_without_a_sandbox_nothing_is_run_and_the_reply_says_so(ask):
    reply = reply_of(ask(code_generation, REQUEST, RIGHT, sandbox=NoSandbox()))

    assert "**Untested.** The code was not run: namespaces are refused." in reply.text
    assert "return 2 * n" in reply.text


def test_another_language_is_returned_untested(ask):
    reply = reply_of(ask(code_generation, "In JavaScript", "```javascript\nlet x = 1\n```"))

    assert "**Untested.**" in reply.text
    assert reply.artifacts[0].name == "main.js"


def test_an_answer_without_code_is_admitted(ask):
    reply = reply_of(ask(code_generation, "Write it", "I am a language model."))

    assert "could not write code" in reply.text
    assert reply.artifacts == ()


@needs_sandbox
def test_a_chinese_request_is_answered_in_chinese(ask):
    reply = reply_of(ask(code_generation, "写一个函数 double(n)，double(2) 返回 4", RIGHT))

    assert "**已测试。**" in reply.text
