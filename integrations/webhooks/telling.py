"""Telling: from a delivery's JSON to words that a person can read.

A body may be of any form, whatever its sender promised: what is not there, or of another kind, is
passed over. The sources read theirs with `found`, `words` and `labelled`; `of_any` makes what can
be made of a body that nobody knows.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from integrations.webhooks.source import Event

LONGEST_TEXT = 6_000
"""Characters of an event's text."""
LONGEST_VALUE = 2_000
MOST_LINES = 40
MOST_LEAVES = 5_000

_KINDS = (
    "type", "event_type", "eventType", "event", "webhookEvent", "event_name", "kind", "action",
    "alert_type_friendly_name", "status", "state",
)  # fmt: skip
_HEADLINES = ("title", "subject", "summary", "headline", "name")
_SPEAKING = (
    "title subject summary headline name message text body raw comment description content note "
    "details reason error culprit status state severity level priority result from to key number "
    "displayname username email login nickname value branch url link href html_url web_url "
    "permalink tags labels"
)
"""Keys whose values people want to read first."""
_MUTE = re.compile(
    r"^(_.*|.*(avatar|gravatar|icon|image|thumb|token|signature|hash|sha|uuid|guid|colou?r).*|"
    r".*_?ids?|.*Ids?|id.*|self|node_id|uri|position|pos|prefs|permissions|version|.*timezone.*)$"
)
_EVENT_HEADER = re.compile(r"(x-)?([a-z0-9]+-)*(event|event-key|event-type|topic)")
"""Headers in which many services name the event."""
_API = re.compile(r"https?://(api\.|[^/]+/(rest/)?api/|[^/]+/rest/)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_PLACEHOLDER = re.compile(r"^\W?\{?\*[\w ]+\*\}?$")


def found(value: Any, path: str) -> Any:
    """What is at a place such as `issue.labels.0.name`; None where there is nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def words(value: Any, path: str, longest: int = LONGEST_VALUE) -> str:
    """The text or number at a place, on its own; empty where there is none."""
    here = found(value, path)
    if isinstance(here, str | int | float) and not isinstance(here, bool):
        return cut(str(here).strip(), longest)
    return ""


def first(value: Any, *paths: str) -> str:
    """The first of these places that has words."""
    return next(filter(None, (words(value, path) for path in paths)), "")


def each(value: Any, path: str, most: int = 50) -> list[Any]:
    """The members of the list at a place."""
    here = found(value, path)
    return here[:most] if isinstance(here, list) else []


def labelled(label: str, value: Any, path: str) -> list[str]:
    """`Label: words`, if there are any."""
    said = words(value, path)
    return [f"{label[:1].upper()}{label[1:]}: {said}"] if said else []


def quoted(text: str) -> list[str]:
    """Somebody's words, after an empty line."""
    return ["", text] if text else []


def joined(*parts: str) -> str:
    """The parts that say something, with spaces between."""
    return " ".join(filter(None, parts))


def plain(value: Any) -> str:
    """A value in a line of text."""
    if isinstance(value, dict | list):
        return f"{len(value)} values"
    if value is None or value == "":
        return "none"
    return cut(str(value).lower() if isinstance(value, bool) else str(value).strip(), 300)


def cut(text: str, longest: int) -> str:
    """A text of at most so many characters; one that is longer ends with `…`."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def event(kind: str, lines: list[str]) -> Event:
    """An event of these lines, within the limits."""
    return Event(cut(kind, 100), cut("\n".join(lines).strip(), LONGEST_TEXT))


def of_any(headers: Mapping[str, str], body: Any) -> Event:
    """What can be told of JSON that nobody knows: its `text`, or else its telling fields."""
    named = (cut(text, 100) for name, text in headers.items() if _EVENT_HEADER.fullmatch(name))
    kind = next(named, "") or first(body, *_KINDS) or "event"
    if isinstance(body, str):
        return Event(kind, body)
    text = found(body, "text")
    if isinstance(text, str) and text.strip():
        return Event(kind, text)
    return event(kind, [*([] if kind == "event" else [f"Event: {kind}"]), *_outline(body)])


def _outline(body: Any) -> list[str]:
    """A line for each field that tells something: a headline, then those that people read first."""
    told: set[str] = set()
    fields: dict[str, list[str]] = {}
    for path, value in _leaves(body):
        if value not in told:
            told.add(value)
            fields.setdefault(path, []).append(value)
    leaves = {path: _line(values) for path, values in fields.items()}
    head = next((path for key in _HEADLINES for path in leaves if path.split(".")[-1] == key), None)
    lines = [leaves.pop(head)] if head and head.count(".") <= 1 else []
    telling = [path for path in leaves if _speaks(path)]
    other = [path for path in leaves if not _speaks(path)]
    for path in [*telling, *other][:MOST_LINES]:
        label = path.replace("_", " ").replace(".", " ")
        lines.append(f"{label[:1].upper()}{label[1:]}: {leaves[path]}")
    return lines


def _line(values: list[str]) -> str:
    """The values of one field, which a list may have many times."""
    return ("\n" if any(len(each) > 40 for each in values) else ", ").join(values)


def _speaks(path: str) -> bool:
    """Whether people want to read what is there first."""
    return any(part.lower() in _SPEAKING.split() for part in path.split(".")[-2:])


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    """The values in JSON that tell something, with their places, the shallow ones first."""
    level, seen = [("", value)], 0
    while level:
        deeper: list[tuple[str, Any]] = []
        for path, here in level:
            seen += 1
            if seen > MOST_LEAVES:
                return
            if isinstance(here, dict):
                deeper += [
                    (f"{path}.{key}".lstrip("."), inner)
                    for key, inner in here.items()
                    if not _MUTE.match(key)
                ]
            elif isinstance(here, list):
                deeper += [(path, inner) for inner in here[:20]]
            elif (said := _readable(here)) is not None:
                yield path or "value", said
        level = deeper


def _readable(value: Any) -> str | None:
    """A value in words; None when it tells nobody anything."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    if isinstance(value, str) and _TAG.search(text):
        text = str(Markup(text).striptags())
    if not text or _API.match(text) or _PLACEHOLDER.match(text):
        return None
    return cut(text, LONGEST_VALUE)
