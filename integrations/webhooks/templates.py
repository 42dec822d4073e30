"""Templates: from a delivery's body to the message of an agent, in a sandbox.

The templates are the owner's, the values in them a stranger's: a value can neither reach Python's
own objects nor make a small template run for minutes or grow without end. Start reading at
`Prompt` and `Condition`.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import ChainableUndefined, StrictUndefined, nodes, pass_context
from jinja2.exceptions import TemplateRuntimeError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_ROUNDS = 10_000
"""How often the loops of one rendering may go round, all together."""
LONGEST_STEP = 1_000_000
"""Characters that one filter may make."""
MOST_SECONDS = 2.0
"""Seconds of the processor's time that one rendering may take."""

_ROUNDS = "_rounds"
_until: ContextVar[float] = ContextVar("_until", default=float("inf"))
"""When the rendering on this thread must have ended, by the thread's own clock."""
# Only filters whose result is about as large as what they are given, and two that are measured.
_FILTERS = (
    "abs capitalize count d default dictsort first float int items last length list lower map max "
    "min reject rejectattr reverse select selectattr sort string striptags title trim "
    "truncate unique upper urlencode wordcount"
)
_METHODS: Mapping[type, str] = {
    str: (
        "capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower "
        "isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rpartition "
        "rsplit rstrip split splitlines startswith strip swapcase title upper"
    ),
    dict: "get items keys values",
    list: "count index",
}
"""What a template may call on a value: what changes nothing and makes nothing larger."""


class Prompt:
    """The template of a message. Raises jinja2's TemplateSyntaxError when it is wrong."""

    def __init__(self, source: str) -> None:
        self._template = _Environment(_Missing).from_string(source)

    def render(self, values: Mapping[str, Any], longest: int) -> str:
        """The text for these values, without white space around it.

        longest: characters that it may have. Raises ValueError, which says why there is none.
        """
        text = ""
        with _explained():
            for piece in self._template.generate(**values, **{_ROUNDS: [MOST_ROUNDS]}):
                text += piece
                if len(text) > longest:
                    raise TemplateRuntimeError(f"it becomes longer than {longest} characters")
        return text.strip()


class Condition:
    """An expression that holds or not; what a delivery lacks counts as false.

    Raises jinja2's TemplateSyntaxError when it is wrong.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._value = _Environment(_Absent).compile_expression(source)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds for these values. Raises ValueError when that cannot be told."""
        with _explained():
            return bool(self._value(**values))


@contextmanager
def _explained() -> Iterator[None]:
    """Turn whatever a template raises into a ValueError with a sentence; bound its time."""
    outer = _until.set(time.thread_time() + MOST_SECONDS)
    try:
        yield
    except TemplateRuntimeError as error:  # the sandbox's and our own, and what is undefined
        raise ValueError(str(error)) from error
    except Exception as error:  # a filter met a value of the wrong kind; its words would repeat it
        raise ValueError(f"a value is not of the kind it needs ({type(error).__name__})") from error
    finally:
        _until.reset(outer)


def _check_time() -> None:
    if time.thread_time() > _until.get():
        raise TemplateRuntimeError(f"it takes more than {MOST_SECONDS:g} seconds")


class _Missing(StrictUndefined):
    """What is not in the delivery, said in its words."""

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or f"the delivery has no {str(self._undefined_name)[:80]!r}"


class _Absent(ChainableUndefined):
    """What is not in the delivery, for a condition: neither more nor less than anything."""

    def _neither(self, _other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _neither  # type: ignore[assignment]


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which values cannot make a template large or slow."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def __init__(self, undefined: type[Undefined]) -> None:
        super().__init__(undefined=undefined)
        offered = {name: FILTERS[name] for name in _FILTERS.split()} | {
            "join": _join, "replace": _replace, "round": _round, "tojson": _tojson
        }  # fmt: skip
        self.filters = {name: _timed(each) for name, each in offered.items()}
        self.filters["counted"] = _counted
        self.globals = {"range": self.globals["range"], "dict": dict}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The field of that name, even if dictionaries have a method of that name (`items`)."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """No text's own `format`: it makes a million characters of twenty."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may use an attribute."""
        if obj is None or isinstance(obj, str | dict | list | tuple | int | float):
            methods = next((_METHODS[kind] for kind in _METHODS if isinstance(obj, kind)), "")
            return attr in methods.split()
        return super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method or a macro, while there is time."""
        _check_time()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, with numbers of a sensible size only: `'x' * 10**9` is a text too."""
        sensible = all(isinstance(each, int | float) and abs(each) < 1e15 for each in (left, right))
        if not sensible or (operator == "**" and abs(right) > 15):
            raise TemplateRuntimeError(f"`{operator}` is for numbers of a sensible size")
        return super().call_binop(context, operator, left, right)


@pass_context
def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    """What a loop goes through, its rounds counted against those of the whole rendering."""
    left = context[_ROUNDS]
    for value in values:
        _check_time()
        left[0] -= 1
        if left[0] < 0:
            raise TemplateRuntimeError(f"its loops go round more than {MOST_ROUNDS} times")
        yield value


def _timed(kind: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that works only while there is time."""

    @wraps(kind)  # with what Jinja has written on it
    def timed(*args: Any, **kwargs: Any) -> Any:
        _check_time()
        return kind(*args, **kwargs)

    return timed


def _join(values: Iterable[Any], separator: str = "") -> str:
    words = [str(value) for value in values]
    _measure(sum(map(len, words)) + len(words) * len(separator))
    return str(separator).join(words)


def _replace(text: str, old: str, new: str) -> str:
    _measure(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _round(value: float, precision: int = 0) -> float:
    return round(value, max(-15, min(precision, 15)))


def _tojson(value: Any, indent: int | None = None) -> str:
    encoder = json.JSONEncoder(ensure_ascii=False, indent=min(indent, 8) if indent else None)
    pieces, size = [], 0
    for piece in encoder.iterencode(value):  # on many levels the white space outgrows the rest
        pieces.append(piece)
        size += len(piece)
        _measure(size)
    return "".join(pieces)


def _measure(size: int) -> None:
    if size > LONGEST_STEP:
        raise TemplateRuntimeError(f"a filter makes more than {LONGEST_STEP} characters")
