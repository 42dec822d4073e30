import pytest

from agents.code_request import block_of, checks_in, given_in, header_in, named_as_asked
from llmasos.request import Attachment


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("f(2) == 4", "f(2) == 4"),
        ("so that `add(1, 2)` -> `3`.", "add(1, 2) == 3"),
        ("add('a,b', 2) should return 'a)b', always", "add('a,b', 2) == 'a)b'"),
        ("f(3) returns [1, 2, 3].", "f(3) == [1, 2, 3]"),
        ("is_prime(7) is True.", "is_prime(7) == True"),
        ("square(3) 返回 9", "square(3) == 9"),
        (">>> f({'a': 1})\n{'a': 2}", "f({'a': 1}) == {'a': 2}"),
        ("assert f(1) > 3 and f(2)", "f(1) > 3 and f(2)"),
        ("f((1, 2)) == -0.5, and so on", "f((1, 2)) == -0.5"),
    ],
)
def test_examples_are_taken_from_the_words_of_a_request(text, check):
    assert checks_in(
        f"Write it. {text}" if "\n" not in text and "assert" not in text else text
    ) == [check]


@pytest.mark.parametrize(
    "text",
    [
        "Write f(x) that returns a list",
        "def f(x): return 4",
        "print(f(x)) gives something",
        "f(2 == 4",
        "f(" * 5000,
        ">>> import os\n4",
    ],
)
def test_what_is_no_example_is_not_taken_for_one(text):
    assert checks_in(text) == []


def test_there_is_an_end_to_examples():
    assert len(checks_in("\n".join(f"f({i}) == {i}" for i in range(100)))) == 20


def test_the_first_block_of_an_answer_is_its_code():
    assert block_of("Sure:\n```python\nx = 1\n```\nand\n```\ny\n```") == ("python", "x = 1\n")
    assert block_of("```js\nlet x\n```") == ("js", "let x\n")
    assert block_of("```python\nx = 1\ny = 2") == ("python", "x = 1\ny = 2\n")
    assert block_of("def f():\n    return 1") == ("python", "def f():\n    return 1\n")
    assert block_of("I cannot do that.") == ("", "")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def fibonacci(n):\n    return fibonacci(n - 1)\n", "fib"),
        ("import math\ndef f(n):\n    return math.sqrt(n)\n", "fib"),
    ],
)
def test_the_only_function_gets_the_name_that_was_asked_for(code, name):
    named = named_as_asked(code, ["fib(10) == 55", "sorted([fib(1)]) == [1]"])

    assert f"def {name}(n)" in named
    assert "fibonacci" not in named


@pytest.mark.parametrize(
    "code",
    [
        "def fib(n):\n    return n\n",
        "def one(n):\n    return n\ndef two(n):\n    return n\n",
        "def broken(:\n",
        "from mine import fib\ndef helper(n):\n    return n\n",
    ],
)
def test_code_is_left_alone_where_it_is_not_clear_what_was_meant(code):
    assert named_as_asked(code, ["fib(10) == 55"]) == code


def test_files_are_told_apart_by_their_names():
    files = [
        Attachment(name="test_it.py", text="from pack.it import f\nx = 1\nassert f(x) == 2"),
        Attachment(
            name="it.py", text='def f(x):\n    """\n    >>> f(3)\n    4\n    """\n    assert x > 0'
        ),
        Attachment(name="notes.txt", text="f(5) == 6"),
    ]

    given = given_in("f(1) == 2", files)

    assert given.checks == ("f(1) == 2", "f(5) == 6", "f(3) == 4")
    assert list(given.tests) == ["test_it.py"]
    assert list(given.files) == ["it.py", "notes.txt"]
    assert given.module == "pack.it"


def test_a_function_that_is_begun_is_told_from_one_that_is_whole():
    begun = 'import re\n\ndef f(x):\n    """Do."""'

    assert header_in(f"Finish this:\n{begun}\n") == begun + "\n"
    assert header_in(f"Finish:\n```python\n{begun}\n```\nfast") == begun + "\n"
    assert header_in("def f(x):\n    return 1") == ""
    assert header_in("Write a function") == ""
