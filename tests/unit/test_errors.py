"""Errors: every one can be rebuilt from its `args`, and says what, which, and what now."""

import inspect
import pickle
from collections.abc import Iterator

import pytest

from llmasos import errors
from llmasos.errors import LLMasOSError, UnknownAgent, UnknownModel


def tree(root: type[LLMasOSError]) -> Iterator[type[LLMasOSError]]:
    """A class and what is below it in the kernel; other rooms have errors of their own."""
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield from tree(child)


SAMPLES = {
    "known": ("a", "b"),
    "reasons": ("a", "b"),
    "pid": 1,
    "port": 2,
    "attempt": 3,
    "failures": 3,
}
SAMPLES |= {"most": 20, "agents": ("a", "b")}
SAMPLES |= {"bytes_needed": 8_000_000_000, "bytes_free": 4_000_000_000}


@pytest.mark.parametrize("kind", list(tree(LLMasOSError)), ids=lambda kind: kind.__name__)
def test_an_error_is_rebuilt_from_its_args(kind: type[LLMasOSError]) -> None:
    own = "__init__" in vars(kind) or any("__init__" in vars(c) for c in kind.__mro__[1:-4])
    names = list(inspect.signature(kind).parameters) if own else []
    arguments = [
        SAMPLES.get(n, 1.5 if n in ("seconds", "retry_after") else n) for n in names if n != "args"
    ]

    error = kind(*arguments)

    assert type(error)(*error.args).args == error.args
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error)


def test_every_public_error_is_in_the_drawn_tree() -> None:
    drawn = errors.__doc__ or ""

    missing = [k.__name__ for k in tree(LLMasOSError) if k.__name__[0] != "_"]

    assert [name for name in missing if name not in drawn] == []


def test_the_beginning_of_a_name_is_near_it() -> None:
    error = UnknownModel("smol", ("smollm2-135m-instruct", "a", "a"))

    assert "Did you mean 'smollm2-135m-instruct'? Known: a, smollm2" in str(error)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    error = UnknownAgent("writting", ("writing", "code_generation"))

    assert str(error) == (
        "No agent is named 'writting'. Did you mean 'writing'? Known: code_generation, writing."
    )
