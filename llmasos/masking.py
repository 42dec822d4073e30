"""Masking: secrets and personal data in a text, and placeholders in their place.

Always on the way to logs; on the way to models if the configuration says so, and then the model's
answer gets the real words back. By form (addresses, numbers with their check digits, keys):
names of people and places are not known here. Start reading at `masked` and `MaskedBackend`.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from llmasos.generation import Backend, Message, ModelInfo, Options, Piece, ToolCall

Fits = Callable[[str], bool]


_DATE = re.compile(r"\d{4}[.-]\d{2}[.-]\d{2}(?:[ -]\d{2,4})*|\d{2}[. -]\d{2}[. -]\d{4}")


def _any(found: str) -> bool:
    """Whatever has the form is of the kind."""
    return bool(found)


def _luhn(found: str) -> bool:
    """Whether a card's number has the right check digit."""
    digits = [int(each) for each in re.sub(r"\D", "", found)]
    doubled = [each * 2 - 9 * (each > 4) for each in digits[-2::-2]]
    return 12 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(found: str) -> bool:
    """Whether an account's number has the right check digits."""
    plain = re.sub(r"\s", "", found).upper()
    digits = "".join(str(int(each, 36)) for each in plain[4:] + plain[:4])
    return int(digits) % 97 == 1


def _chinese_id(found: str) -> bool:
    """Whether a Chinese identity number has the right check digit."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(found[:17], weights, strict=True))
    return "10X98765432"[total % 11] == found[17].upper()


def _address(found: str) -> bool:
    try:
        return not ipaddress.ip_address(found).is_loopback
    except ValueError:
        return False


def _telephone(found: str) -> bool:
    digits = sum(each.isdigit() for each in found.partition("x")[0])
    return 7 <= digits <= 15 and not _DATE.fullmatch(found)


SECRETS: tuple[tuple[str, str, Fits], ...] = (
    ("SECRET", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*-----|\Z)", _any),
    ("SECRET", r"\b(?:xox[abeoprs]|xapp)-[\w-]{8,}", _any),
    ("SECRET", r"\b(?:sk|pk|rk|whsec|hf|glpat|npm|shpat)[-_][A-Za-z0-9_-]{16,}", _any),
    ("SECRET", r"\bgh[opsur]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}", _any),
    ("SECRET", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}", _any),
    ("SECRET", r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{4,}", _any),
    ("SECRET", r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)", _any),
    ("SECRET", r"(?i)(?<=\bbearer )[\w.~+/=-]{8,}", _any),
    (
        "SECRET",
        r"(?i)(?:(?<=password[:=])|(?<=password[:=] )|(?<=passwd[:=])|(?<=secret[:=])"
        r"|(?<=secret[:=] )|(?<=token[:=])|(?<=token[:=] )|(?<=api_key[:=])|(?<=api-key[:=])"
        r"|(?<=apikey[:=])|(?<=api_key[:=] )|(?<=密码[:：])|(?<=密码是))[^\s,;\"'&]{4,}",
        _any,
    ),
)
PERSONAL: tuple[tuple[str, str, Fits], ...] = (
    ("EMAIL", r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", _any),
    ("IBAN", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", _iban),
    ("CARD", r"(?<![\w.+-])\d(?:[ -]?\d){11,18}(?![\w-])", _luhn),
    ("ID", r"(?<!\d)[1-9]\d{5}(?:19|20)\d{9}[\dXx](?!\w)", _chinese_id),
    ("SSN", r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", _any),
    (
        "IP",
        r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7})(?![\w:])",
        _address,
    ),
    (
        "PHONE",
        r"(?<![\w.+-])(?:\+\d{1,4}(?:[ .-]?\(?\d{1,8}\)?){1,6}|(?:00\d{1,3}[ .-]?)?\(\d{2,5}\)"
        r"(?:[ .-]?\d{2,5}){1,3}|\d{2,5}(?:[ .-]\d{2,5}){2,4}|\d{5}[ -]\d{6}|1[3-9]\d{9})"
        r"(?:x\d{1,5})?(?![\w-])",
        _telephone,
    ),
)
_KINDS = tuple((kind, re.compile(form), fits) for kind, form, fits in (*SECRETS, *PERSONAL))
_HOLDER = re.compile(r"\[[A-Z]+_\d+\]")
LONGEST_HOLDER = 16
"""Characters of the longest placeholder."""


def masked(text: str) -> str:
    """A text with each secret and each piece of personal data replaced by its kind: `[EMAIL]`."""
    return _replaced(text, lambda kind, _: f"[{kind}]")


def found(text: str) -> list[tuple[str, str]]:
    """The kind and the words of each secret and piece of personal data in a text."""
    seen: list[tuple[str, str]] = []

    def note(kind: str, words: str) -> str:
        seen.append((kind, words))
        return "\0"

    _replaced(text, note)
    return seen


def _replaced(text: str, replacement: Callable[[str, str], str]) -> str:
    for kind, form, fits in _KINDS:

        def one(match: re.Match[str], kind: str = kind, fits: Fits = fits) -> str:
            words = match.group()
            return replacement(kind, words) if fits(words) else words

        text = form.sub(one, text)
    return text


class _Ledger:
    """Which placeholder stands for which words, within one request."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], str] = {}
        self._words: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with placeholders: the same words get the same one."""
        return _replaced(text, self._holder)

    def show(self, text: str) -> str:
        """The text with the words again."""
        return _HOLDER.sub(lambda match: self._words.get(match.group(), match.group()), text)

    def _holder(self, kind: str, words: str) -> str:
        if (kind, words) not in self._holders:
            number = 1 + sum(each == kind for each, _ in self._holders)
            self._holders[kind, words] = f"[{kind}_{number}]"
            self._words[f"[{kind}_{number}]"] = words
        return self._holders[kind, words]


class MaskedBackend:
    """A backend that sees placeholders in the place of secrets and personal data.

    A `generation.Backend`. What it answers has the words again, also in the calls of tools.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        ledger = _Ledger()
        return _shown(self._backend.generate(ledger.hide(prompt), options), ledger)

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message."""
        ledger = _Ledger()
        hidden = [
            each.model_copy(
                update={
                    "content": ledger.hide(each.content),
                    "tool_calls": tuple(_changed(c, ledger.hide) for c in each.tool_calls),
                }
            )
            for each in messages
        ]
        return _shown(self._backend.chat(hidden, options), ledger)

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        return self._backend.count_tokens(text)

    def info(self) -> ModelInfo:
        """The model that is served and its limits."""
        return self._backend.info()


def _shown(pieces: Iterator[Piece], ledger: _Ledger) -> Iterator[Piece]:
    """The pieces with the words again; the beginning of a placeholder waits for its end."""
    rest = ""
    with closing(pieces):  # type: ignore[type-var]  # all are generators
        for piece in pieces:
            rest = ledger.show(rest + piece.text)
            begun = rest.rfind("[")
            waits = begun >= 0 and "]" not in rest[begun:] and len(rest) - begun < LONGEST_HOLDER
            ready = rest[:begun] if waits and piece.finish_reason is None else rest
            rest = rest[len(ready) :]
            calls = tuple(_changed(call, ledger.show) for call in piece.tool_calls)
            yield piece.model_copy(update={"text": ready, "tool_calls": calls})


def _changed(call: ToolCall, change: Callable[[str], str]) -> ToolCall:
    """A call with changed texts in its arguments."""
    plain = json.loads(change(json.dumps(call.arguments, ensure_ascii=False)))
    return call.model_copy(update={"arguments": plain})
