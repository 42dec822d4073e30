import shutil

import pytest

from agents.code_generation import code_generation
from llmasos.errors import SandboxUnavailable
from llmasos.request import Attachment
from llmasos.sandbox import Limits, Sandbox
from llmasos.testing.turns import reply_of

RIGHT = "```python\ndef double(n):\n    return 2 * n\n```"
WRONG = "```python\ndef double(n):\n    return n\n```"
REQUEST = "Write double(n). double(2) == 4, double(0) == 0"

needs_sandbox = pytest.mark.skipif(
    Sandbox().available() is not None, reason=f"no sandbox here: {Sandbox().available()}"
)


def needs(program: str):
    """Skips where a program is missing."""
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program} here")


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
def test_wrong_code_is_repaired_with_the_error_in_view(ask):
    turn = ask(code_generation, REQUEST, WRONG, RIGHT)

    reply = reply_of(turn)

    assert "**Tested.**" in reply.text
    assert "double(2) == 4 fails: it gave 2" in turn.llm.backend.calls[1].messages[-1].content


@needs_sandbox
def test_code_that_stays_wrong_is_said_to_fail_and_how(ask):
    reply = reply_of(ask(code_generation, REQUEST, *[WRONG] * 6))

    assert "**It fails.**" in reply.text
    assert "- `double(2) == 4`: it gave 2" in reply.text
    assert reply.confidence is not None
    assert reply.confidence < 0.5


@needs_sandbox
def test_a_worse_repair_is_not_taken(ask):
    reply = reply_of(
        ask(code_generation, REQUEST, *[WRONG] * 5, "```python\nraise SystemExit(3)\n```")
    )

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
    limits = Limits(seconds=1.0 if "while" in code else 60.0)
    answer = f"```python\n{code}\n```"
    turn = ask(code_generation, "Do it", *[answer] * 6, sandbox=Sandbox(limits))

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

    reply = reply_of(ask(code_generation, REQUEST, *[cheat] * 6))

    assert "**It fails.**" in reply.text


def test_without_a_sandbox_nothing_is_run_and_the_reply_says_so(ask):
    reply = reply_of(ask(code_generation, REQUEST, RIGHT, sandbox=NoSandbox()))

    assert "**Untested.** The code was not run: namespaces are refused." in reply.text
    assert "return 2 * n" in reply.text


def test_a_language_without_its_toolchain_is_returned_untested(ask):
    reply = reply_of(ask(code_generation, "In Kotlin", "```kotlin\nval x = 1\n```"))

    assert "**Untested.** This machine has nothing to run kotlin with." in reply.text
    assert reply.artifacts[0].name == "main.kt"


@needs_sandbox
@pytest.mark.parametrize(
    ("word", "code", "file"),
    [
        ("sh", "echo $((6 * 7))", "main.sh"),
        pytest.param("js", "console.log(6 * 7)", "main.js", marks=needs("node")),
        pytest.param(
            "c", '#include <stdio.h>\nint main() { printf("42"); }', "main.c", marks=needs("gcc")
        ),
    ],
)
def test_another_language_is_run_where_its_toolchain_is(ask, word, code, file):
    reply = reply_of(ask(code_generation, f"Print it in {word}", f"```{word}\n{code}\n```"))

    assert "```\n42\n```" in reply.text
    assert "**untested**" in reply.text
    assert reply.artifacts[0].name == file


@needs_sandbox
def test_a_program_in_another_language_that_breaks_is_said_to_fail(ask):
    reply = reply_of(ask(code_generation, "In bash", "```bash\necho no >&2; exit 3\n```"))

    assert "**It fails.**" in reply.text
    assert "no" in reply.text


def test_an_answer_without_code_is_admitted(ask):
    reply = reply_of(ask(code_generation, "Write it", *["I am a language model."] * 3))

    assert "could not write code" in reply.text
    assert reply.artifacts == ()


@needs_sandbox
def test_a_chinese_request_is_answered_in_chinese(ask):
    reply = reply_of(ask(code_generation, "写一个函数 double(n)，double(2) 返回 4", RIGHT))

    assert "**已测试。**" in reply.text


@needs_sandbox
def test_versions_are_sampled_until_one_passes_all(ask):
    half = "```python\ndef double(n):\n    return 4\n```"
    turn = ask(code_generation, REQUEST, WRONG, half, RIGHT)

    reply = reply_of(turn)

    assert "**Tested.**" in reply.text
    assert "the best of 3 versions" in reply.text
    temperatures = [call.options.temperature for call in turn.llm.backend.calls]
    assert temperatures[:2] == [0, 0]
    assert temperatures[2] > 0


@needs_sandbox
def test_of_several_versions_that_fail_the_one_that_passes_most_is_shown(ask):
    request = "Write double(n). double(2) == 4, double(0) == 0, double(3) == 6"
    half = "```python\ndef double(n):\n    return n * n\n```"
    none = "```python\ndef double(n):\n    return n + 7\n```"

    reply = reply_of(ask(code_generation, request, none, WRONG, half, none, none, WRONG))

    assert "return n * n" in reply.text
    assert "2 of 3 passed" in reply.text


@needs_sandbox
def test_no_more_is_written_than_the_budget_says(ask):
    long = "```python\ndef double(n):\n    return n\n" + "# word\n" * 350 + "```"
    turn = ask(code_generation, REQUEST, *[long] * 6)

    reply = reply_of(turn)

    assert "**It fails.**" in reply.text
    assert [call.options.max_new_tokens for call in turn.llm.backend.calls] == [400] * 5


@needs_sandbox
def test_a_function_that_the_request_begins_is_also_gone_on_with(ask):
    request = 'def double(n):\n    """Twice n.\n\n    >>> double(2)\n    4\n    """'
    wrong = "\n    return n\n\n# done"
    right = "\n    return 2 * n\n    return (\n\nprint(double(3))"
    turn = ask(code_generation, request, wrong, wrong, "```", right, wrong)

    reply = reply_of(turn)

    assert "**Tested.**" in reply.text
    assert reply.artifacts[0].text == f"{request}\n    return 2 * n\n"
    assert {call.messages[0].content for call in turn.llm.backend.calls} == {request}


@needs_sandbox
def test_a_function_that_is_not_gone_on_with_is_asked_for(ask):
    request = 'def double(n):\n    """Twice n.\n\n    >>> double(2)\n    4\n    """'

    reply = reply_of(ask(code_generation, request, "```\nThis function doubles.", RIGHT))

    assert "**Tested.**" in reply.text


@needs_sandbox
def test_checks_that_the_agent_writes_itself_are_said_to_be_weaker(ask):
    checks = "```python\nassert double(2) == 4\nassert triple(1) == 3\n```"
    turn = ask(code_generation, "Write a function that doubles a number", RIGHT, checks)

    reply = reply_of(turn)

    assert "passes 1 checks that I wrote **myself**" in reply.text
    assert "- `double(2) == 4`" in reply.text
    assert "return 2 * n" not in turn.llm.backend.calls[1].messages[-1].content


@needs_sandbox
def test_code_that_fails_only_the_agents_own_checks_is_called_untested(ask):
    checks = "```python\nassert double(2) == 5\n```"

    reply = reply_of(ask(code_generation, "Write a function", RIGHT, checks, *[RIGHT] * 3))

    assert "is **untested**" in reply.text
    assert "`double(2) == 5`: it gave 4" in reply.text


TESTS = """
import unittest
from numbers_of_ours import double

def test_two():
    assert double(2) == 4

def test_three():
    assert double(3) == 6, "three"

class More(unittest.TestCase):
    def test_zero(self):
        self.assertEqual(double(0), 0)
"""


@needs_sandbox
def test_given_tests_are_run(ask):
    tests = Attachment(name="test_numbers.py", text=TESTS)
    half = "```python\ndef double(n):\n    return n * n\n```"
    turn = ask(code_generation, "Make the tests pass", half, RIGHT, attachments=[tests])

    reply = reply_of(turn)

    assert "on your tests in `test_numbers.py`: 3 of 3 passed" in reply.text
    assert "test_numbers.py::test_three fails: AssertionError: three" in (
        turn.llm.backend.calls[1].messages[-1].content
    )


@needs_sandbox
def test_tests_that_cannot_be_loaded_are_said_to_fail(ask):
    tests = Attachment(name="test_numbers.py", text="from main import double, missing")

    reply = reply_of(ask(code_generation, "Do", *[RIGHT] * 6, attachments=[tests]))

    assert "**It fails.**" in reply.text
    assert "`test_numbers.py`: ImportError" in reply.text


@needs_sandbox
def test_a_file_that_came_along_is_changed_by_a_patch(ask):
    old = "import os\n\n\ndef double(n):\n    return n\n\n\ndef half(n):\n    return n / 2\n"
    file = Attachment(name="numbers_of_ours.py", text=old)
    tests = Attachment(name="test_numbers.py", text=TESTS)

    reply = reply_of(ask(code_generation, "Fix double", RIGHT, attachments=[file, tests]))

    assert "```diff\n--- a/numbers_of_ours.py\n+++ b/numbers_of_ours.py\n" in reply.text
    assert "-    return n\n+    return 2 * n\n" in reply.text
    assert [each.name for each in reply.artifacts] == [
        "numbers_of_ours.py.patch",
        "numbers_of_ours.py",
    ]
    assert "3 of 3 passed" in reply.text


@needs_sandbox
def test_an_answer_without_code_is_asked_for_anew(ask):
    reply = reply_of(ask(code_generation, REQUEST, "I am a language model.", RIGHT))

    assert "**Tested.**" in reply.text
