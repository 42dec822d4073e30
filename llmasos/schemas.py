"""JSON Schemas made fit for a grammar: no references, nothing that a grammar cannot hold, an end.

Grammars differ in what they know, so only what all know is kept; the rest is checked when the
answer is there. Pure; used by `structured.py`.
"""

from collections.abc import Mapping
from typing import Any

from llmasos.errors import SchemaImpossible

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
_KEPT = ("type", "enum", "const", "description", "required", *_BOUNDS, *_COUNTS)
_PAIRS = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum"))
_LARGEST = 2**53
"""Whole numbers beyond it are not the same in every JSON."""
_MOST_ITEMS = 16
_ITEMS_IN_SHARE = 4
_LEAST_TEXT = 8
_NUMBER_LENGTH = 12


def plain_schema(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A schema without references, titles and what only a check can hold.

    name: what the schema is called in an error. Raises SchemaImpossible when it refers to itself,
    or asks for what contradicts itself.
    """
    return _Plain(name, schema.get("$defs", {})).of(schema, ())


class _Plain:
    """Makes one schema plain. definitions: what its references name."""

    def __init__(self, name: str, definitions: Mapping[str, Any]) -> None:
        self._name, self._definitions = name, definitions

    def of(self, node: Any, trail: tuple[str, ...]) -> dict[str, Any]:
        """A part of the schema made plain. trail: the definitions that it stands in."""
        if not isinstance(node, Mapping):  # `true`: anything goes
            return {}
        if "$ref" in node:
            return self._referred(node, trail)
        if len(node.get("allOf", ())) == 1:
            rest = {key: value for key, value in node.items() if key != "allOf"}
            return self.of({**node["allOf"][0], **rest}, trail)
        plain = {key: value for key, value in node.items() if key in _KEPT}
        if ways := node.get("anyOf") or node.get("oneOf"):
            plain["anyOf"] = [self.of(each, trail) for each in ways]
        if "properties" in node or node.get("type") == "object":
            plain |= self._object(node, trail)
        if "prefixItems" in node:
            plain["prefixItems"] = [self.of(each, trail) for each in node["prefixItems"]]
        elif "items" in node:
            plain["items"] = self.of(node["items"], trail)
        self._check(plain)
        return plain

    def _referred(self, node: Mapping[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        target = node["$ref"].removeprefix("#/$defs/")
        if target in trail:
            reason = f"{target} contains itself, and a grammar needs an end: write out each level"
            raise SchemaImpossible(self._name, reason)
        if target not in self._definitions:
            raise SchemaImpossible(
                self._name, f"it refers to {node['$ref']}, which it does not have"
            )
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return self.of({**self._definitions[target], **rest}, (*trail, target))

    def _object(self, node: Mapping[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        """What makes an object: its fields, or what its values are if its names are free."""
        others = node.get("additionalProperties")
        if "properties" in node:
            plain = {name: self.of(field, trail) for name, field in node["properties"].items()}
            return {"type": "object", "properties": plain, "additionalProperties": False}
        return {
            "type": "object",
            "additionalProperties": self.of(others, trail) if isinstance(others, Mapping) else {},
        }

    def _check(self, plain: Mapping[str, Any]) -> None:
        """Refuse what no answer can meet."""
        whole = 1 if plain.get("type") == "integer" else 0
        low, high = plain.get("exclusiveMinimum"), plain.get("exclusiveMaximum")
        ends = {
            **plain,
            **({"minimum": low + whole} if low is not None else {}),
            **({"maximum": high - whole} if high is not None else {}),
        }
        for least, most in _PAIRS:
            low, high = ends.get(least), ends.get(most)
            if low is not None and high is not None and low > high:
                reason = f"{least} {low} is above {most} {high}"
                raise SchemaImpossible(self._name, reason)
        if plain.get("enum") == []:
            raise SchemaImpossible(self._name, "there is no value that a field may have")


def bounded(schema: Mapping[str, Any], room: float, *, fair: bool) -> dict[str, Any]:
    """A plain schema whose answers end by themselves: texts, lists and whole numbers have bounds.

    room: characters. fair: it is divided among all parts, so that they fit together; else each
    text may take as much.
    """
    if "enum" in schema or "const" in schema:
        return dict(schema)
    if fair and schema.get("type") == "number":
        # It may go on behind its point for ever. As a text it cannot, and is read all the same.
        return {"type": "string", "minLength": 1, "maxLength": _NUMBER_LENGTH}
    made = {**schema, **_ends(schema, room, fair)}

    def inner(part: Mapping[str, Any], parts: int = 1, taken: int = 0) -> dict[str, Any]:
        return bounded(part, (room - taken) / parts if fair else room, fair=fair)

    if ways := schema.get("anyOf"):
        made["anyOf"] = [inner(each) for each in ways]
    if fields := schema.get("properties"):
        names = sum(len(name) + _LEAST_TEXT for name in fields)
        made["properties"] = {
            name: inner(field, len(fields), names) for name, field in fields.items()
        }
    if "items" in schema:
        made["items"] = inner(schema["items"], max(1, made["maxItems"]))
    if parts := schema.get("prefixItems"):
        made["prefixItems"] = [inner(each, len(parts)) for each in parts]
    return made


def _ends(node: Mapping[str, Any], room: float, fair: bool) -> dict[str, Any]:
    """What makes one part of an answer end."""
    kind = node.get("type")
    if kind == "string":
        most = max(_LEAST_TEXT, int(room), node.get("minLength", 0))
        return {"maxLength": min(node.get("maxLength", most), most)}
    if kind == "array":
        most = max(_ITEMS_IN_SHARE if fair else _MOST_ITEMS, node.get("minItems", 0))
        return {"maxItems": min(node.get("maxItems", most), most)}
    if kind == "integer":
        below = {} if "exclusiveMinimum" in node else {"minimum": -_LARGEST}
        above = {} if "exclusiveMaximum" in node else {"maximum": _LARGEST}
        return {**below, **above, **{k: node[k] for k in ("minimum", "maximum") if k in node}}
    return {}
