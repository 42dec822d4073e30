import pytest

from agents.code_languages import named_in
from agents.code_tasks import task_of
from llmasos.request import Attachment

CODE = "```python\ndef f(x):\n    return x\n```"
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Write a function that explains itself", "write"),
        (f"Explain this:\n{CODE}", "explain"),
        (f"What does this do?\n{CODE}", "explain"),
        (f"解释这段代码\n{CODE}", "explain"),
        (f"Please review:\n{DIFF}", "review"),
        (DIFF, "review"),
        (f"Review this code\n{CODE}", "review"),
        (f"What does this change do?\n{DIFF}", "explain"),
        (f"Write unit tests for\n{CODE}", "tests"),
        (f"给这段代码写单元测试\n{CODE}", "tests"),
        (f"Make the tests pass\n{CODE}", "write"),
        (f"Convert this to JavaScript\n{CODE}", "convert"),
        (f"Rewrite it in Go\n{CODE}", "convert"),
        (f"Rewrite it to be faster\n{CODE}", "write"),
        ("Where is the token checked?", "write"),
    ],
)
def test_the_task_is_told_by_words_and_what_came_along(message, name):
    assert task_of(message, [], indexed=False).name == name


def test_a_question_is_about_the_repository_where_one_is_indexed():
    assert task_of("Where is the token checked?", [], indexed=True).name == "ask"
    assert task_of("Write a token checker", [], indexed=True).name == "write"


def test_code_and_diffs_may_come_as_files():
    file = Attachment(name="src/calc.py", text="def f(): ...\n")

    tests = task_of("Write tests", [file], indexed=False)
    review = task_of(
        "Review", [Attachment(name="x.patch", text=f"From: me\n\n{DIFF}")], indexed=False
    )

    assert tests.source is not None
    assert (tests.source.name, tests.source.language) == ("calc.py", "python")
    assert review.diff == DIFF


@pytest.mark.parametrize(
    ("words", "language"),
    [
        ("write a bash script", "bash"),
        ("go through the list", ""),
        ("port it to Go", "go"),
        ("a node of a tree", ""),
        ("in C++ please", "c++"),
        ("turn the script into c", "c"),
        ("from JavaScript to Rust", "rust"),
        ("write it down", ""),
    ],
)
def test_languages_are_told_from_words(words, language):
    assert named_in(words, but="python") == language
