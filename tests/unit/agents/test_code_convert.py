from agents.code_generation import code_generation
from llmasos.testing.turns import reply_of
from tests.unit.agents.test_code_generation import NoSandbox, needs_sandbox

REQUEST = "Convert this to bash:\n```python\nprint(6 * 7)\n```"
SAME, OTHER = "```bash\necho 42\n```", "```bash\necho 41\n```"


@needs_sandbox
def test_both_programs_are_run_and_their_outputs_compared(ask):
    reply = reply_of(ask(code_generation, REQUEST, SAME))

    assert "both printed the same:\n```\n42\n```" in reply.text
    assert reply.artifacts[0].name == "main.sh"


@needs_sandbox
def test_another_try_is_made_when_the_outputs_differ(ask):
    assert "both printed the same" in reply_of(ask(code_generation, REQUEST, OTHER, SAME)).text


@needs_sandbox
def test_outputs_that_differ_to_the_end_are_both_shown(ask):
    reply = reply_of(ask(code_generation, REQUEST, *[OTHER] * 3))

    assert "**It differs.**" in reply.text
    assert "42" in reply.text
    assert "41" in reply.text


def test_without_a_sandbox_the_program_is_called_untested(ask):
    assert (
        "**Untested.**" in reply_of(ask(code_generation, REQUEST, SAME, sandbox=NoSandbox())).text
    )


@needs_sandbox
def test_without_a_toolchain_it_is_called_untested(ask):
    request = REQUEST.replace("bash", "Kotlin")

    reply = reply_of(ask(code_generation, request, "```kotlin\nprintln(42)\n```"))

    assert "nothing to run kotlin with" in reply.text
