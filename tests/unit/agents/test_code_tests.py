from agents.code_generation import code_generation
from llmasos.request import Attachment
from llmasos.testing.turns import reply_of
from tests.unit.agents.test_code_generation import NoSandbox, needs_sandbox

CALC = Attachment(name="calc.py", text="def double(n):\n    return 2 * n\n")
HEAD = "from calc import double\n\ndef test_two():\n    assert double(2) == "
GOOD, BAD = f"```python\n{HEAD}4\n```", f"```python\n{HEAD}5, double(2)\n```"


@needs_sandbox
def test_tests_are_run_against_the_code(ask):
    reply = reply_of(ask(code_generation, "Write tests for this", GOOD, attachments=[CALC]))

    assert "1 of 1 passed" in reply.text
    assert reply.artifacts[0].name == "test_calc.py"


@needs_sandbox
def test_tests_that_fail_are_tried_anew_and_the_best_are_shown(ask):
    turn = ask(code_generation, "Write tests for this", BAD, "no code", GOOD, attachments=[CALC])

    reply = reply_of(turn)

    assert "1 of 1 passed" in reply.text


@needs_sandbox
def test_of_tests_that_stay_failing_it_is_said_that_either_may_be_wrong(ask):
    reply = reply_of(ask(code_generation, "Write tests for this", *[BAD] * 3, attachments=[CALC]))

    assert "0 of 1 passed" in reply.text
    assert "either the code or the test is wrong" in reply.text
    assert "`test_calc.py::test_two`: AssertionError: 4" in reply.text


def test_without_a_sandbox_tests_are_called_untested(ask):
    turn = ask(code_generation, "Write tests", GOOD, attachments=[CALC], sandbox=NoSandbox())

    assert "**Untested.**" in reply_of(turn).text
