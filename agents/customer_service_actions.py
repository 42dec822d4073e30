"""Actions: what is done for an intent, with what the customer has said over several messages.

An action is a tool and its slots. A slot is filled from the person's own words, by an expression or
by the type that the tool's signature says; what is missing is asked for, one at a time. What is
under way is read from the conversation itself, so that nothing is kept beside it. Knows no
classifier. Start reading at `Action` and `underway`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmasos.generation import Message
from llmasos.language.phrases import everywhere, say
from llmasos.settings import SlotSettings
from llmasos.tools import Tool

LONGEST_VALUE = 200
"""Characters of a message that is taken as a value as it is."""
_NUMBER = re.compile(r"(?<![\w.,-])-?\d+(?:\.\d+)?(?![\w]|[.,-]\d)")
_FORMATS = {
    "date": re.compile(r"\b\d{4}-\d\d-\d\d\b"),
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
}
_YES = re.compile(r"\W*(?:yes|yeah|yep|sure|是的?|对|好的?)\W*", re.IGNORECASE)
_NO = re.compile(r"\W*(?:no|nope|not?|不是?|不用)\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Slot:
    """A value that an action needs.

    schema: what the tool says of it. pattern: finds it in a message; its first group, if it has
    one. ask: the question for it.
    """

    name: str
    schema: Mapping[str, Any]
    required: bool
    pattern: re.Pattern[str] | None = None
    ask: str | None = None

    def found(self, text: str, *, asked: bool) -> Any:
        """The value that a message holds, or None. asked: whether it was just asked for."""
        if self.pattern:
            hit = self.pattern.search(text)
            return self._typed(hit[1 if self.pattern.groups else 0]) if hit else None
        if "enum" in self.schema:
            known = [str(each) for each in self.schema["enum"]]
            said = [e for e in known if re.search(rf"(?<!\w){re.escape(e)}(?!\w)", text, re.I)]
            return said[0] if len(said) == 1 else None
        if self.kind in ("integer", "number"):
            hits = _NUMBER.findall(text)
            return self._typed(hits[0]) if len(hits) == 1 else None
        if self.kind == "boolean":
            yes, no = _YES.fullmatch(text), _NO.fullmatch(text)
            return bool(yes) if asked and (yes or no) else None
        if self.schema.get("format") in _FORMATS:
            hit = _FORMATS[self.schema["format"]].search(text)
            return hit[0] if hit else None
        words = text.strip()
        free = self.kind == "string" and asked and 0 < len(words) <= LONGEST_VALUE
        return words if free else None

    @property
    def what(self) -> str:
        """What it is, as a question names it."""
        return str(self.schema.get("description", self.name.replace("_", " "))).rstrip(" .")

    @property
    def kind(self) -> str:
        """Its JSON type."""
        return str(self.schema.get("type", "string"))

    def _typed(self, found: str | None) -> Any:
        """What was found, as its type; None when it is not of it."""
        if found is None:
            return None
        try:
            return {"integer": int, "number": float}.get(self.kind, str)(found)
        except ValueError:
            return None


@dataclass(frozen=True)
class Action:
    """What is done for an intent. title: what customers are told that it is."""

    title: str
    tool: Tool
    slots: tuple[Slot, ...]

    def question(self, slot: Slot, language_of: str) -> str:
        """What is asked for a slot; it says what for, so that the answer is told from others."""
        return f"{self.title}: {slot.ask or say('slot', language_of, what=slot.what)}"

    def asked(self, said: str) -> Slot | None:
        """The slot that a message of the agent asks for, if it does."""
        for slot in self.slots:
            asks = (slot.ask,) if slot.ask else everywhere("slot", what=slot.what)
            if said.endswith(tuple(f"{self.title}: {ask}" for ask in asks)):
                return slot
        return None

    def values(self, told: Sequence[tuple[Slot | None, str]]) -> dict[str, Any]:
        """The values in what was said. told: each message with the slot that it was asked for."""
        kinds = [slot.kind for slot in self.slots if slot.pattern is None]
        values: dict[str, Any] = {}
        for asked, text in told:
            for slot in self.slots:
                alone = slot.pattern is not None or kinds.count(slot.kind) == 1
                if slot is asked or (slot.name not in values and asked is None and alone):
                    value = slot.found(text, asked=slot is asked)
                    if value is not None:
                        values[slot.name] = value
        return values

    def missing(self, values: Mapping[str, Any]) -> Slot | None:
        """The next slot to ask for."""
        return next((s for s in self.slots if s.required and s.name not in values), None)


def slots_of(tool: Tool, own: Mapping[str, SlotSettings]) -> tuple[Slot, ...]:
    """The slots of a tool: its arguments, with what the configuration says of them."""
    required = tool.parameters.get("required", [])
    return tuple(
        Slot(
            name,
            schema,
            required=name in required or name in own,
            pattern=re.compile(pattern) if (pattern := _pattern(name, schema, own)) else None,
            ask=own[name].ask if name in own else None,
        )
        for name, schema in tool.parameters["properties"].items()
    )


def _pattern(name: str, schema: Mapping[str, Any], own: Mapping[str, SlotSettings]) -> str | None:
    configured = own[name].pattern if name in own else None
    inherent = schema.get("pattern")
    return configured or (str(inherent).removeprefix("^").removesuffix("$") if inherent else None)


@dataclass(frozen=True)
class Underway:
    """An action that was begun. told: each message of the customer with what it was asked for."""

    action: Action
    told: tuple[tuple[Slot | None, str], ...]

    @property
    def tries(self) -> int:
        """How often the slot of the last message was asked for."""
        last = self.told[-1][0]
        return sum(asked is last for asked, _ in self.told)


def underway(
    actions: Sequence[Action], history: Sequence[Message], message: str
) -> Underway | None:
    """The action that the agent's last message asks something for."""
    for action in actions:
        told = list(_told(action, history, message))
        if told[0][0] is not None:
            return Underway(action, tuple(reversed(told)))
    return None


def _told(
    action: Action, history: Sequence[Message], message: str
) -> Iterator[tuple[Slot | None, str]]:
    """What the customer said to an action, the last first, and the message that began it."""
    text = message
    for each in reversed(history):
        if each.role == "user":
            text = text or each.content
            continue
        asked = action.asked(each.content)
        if asked:
            yield asked, text
        elif action.title not in choices_of(each.content):
            break
        text = ""  # the answer to a choice is no value
    yield None, text


def clarifying(titles: Sequence[str], language_of: str) -> str:
    """The question which of several things is meant."""
    choices = "\n".join(f"{number}. {title}" for number, title in enumerate(titles, 1))
    return f"{say('clarify', language_of)}\n{choices}"


def choices_of(said: str) -> list[str]:
    """The choices that a message of the agent offers; none when it is no such question."""
    head, *lines = said.splitlines() or [""]
    if head not in everywhere("clarify"):
        return []
    return [line.partition(". ")[2] for line in lines]


def chosen(choices: Sequence[str], message: str) -> str | None:
    """The choice that an answer means: by its number or by its words."""
    number = re.fullmatch(r"\D{0,12}(\d)\D{0,12}", message.strip())
    if number and 1 <= int(number[1]) <= len(choices):
        return choices[int(number[1]) - 1]
    said = message.casefold().strip(" .!?。！？")
    folded = {each: each.casefold() for each in choices}
    named = [each for each, words in folded.items() if said and (said in words or words in said)]
    return named[0] if len(named) == 1 else None
