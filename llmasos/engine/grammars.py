"""Grammars: JSON Schemas that the text must follow, refused when the model cannot be held to them.

llama.cpp silently drops a schema that it does not understand, and the text would then follow
nothing. So only keywords that are known to work pass here. Pure; used by `validation.py`.
"""

import json
from typing import Any

from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import Grammar

_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated"}
_SCHEMAS = {"items", "additionalProperties"}
_LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_MAPS = {"properties", "$defs", "definitions"}
_COUNTS = {"minItems", "maxItems", "minLength", "maxLength"}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_DEPTH = 32


def schema_of(grammar: Grammar) -> dict[str, Any]:
    """The JSON Schema that a grammar asks for. Raises Invalid."""
    if grammar.type == "regex":
        raise Invalid("grammar is not supported: this server takes `json`, not `regex`")
    schema = grammar.value
    if grammar.type == "json_schema":
        schema = schema.get("schema") if isinstance(schema, dict) else None
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError as error:
            raise Invalid(f"grammar is not valid: {error}") from None
    if not isinstance(schema, dict):
        raise Invalid("grammar is not supported")
    if "properties" not in schema:
        raise Invalid("grammar is not valid: Grammar must have a 'properties' field")
    _check(schema, schema, 0)
    return {"type": "object", **schema}


def _refuse(reason: str) -> Invalid:
    return Invalid(f"grammar is not valid: {reason}")


def _check(schema: Any, root: dict[str, Any], depth: int) -> None:
    """Raise Invalid unless every part of the schema is known to be obeyed."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise _refuse("a schema must be an object")
    if depth > _DEPTH:
        raise _refuse(f"it is nested deeper than {_DEPTH} levels")
    for keyword, value in schema.items():
        if keyword in _MAPS:
            if not isinstance(value, dict):
                raise _refuse(f"'{keyword}' must be an object")
            for part in value.values():
                _check(part, root, depth + 1)
        elif keyword in _LISTS:
            if not isinstance(value, list) or not value:
                raise _refuse(f"'{keyword}' must be a list of schemas")
            for part in value:
                _check(part, root, depth + 1)
        elif keyword in _SCHEMAS:
            _check(value, root, depth + 1)
        else:
            _check_plain(keyword, value, root)


def _check_plain(keyword: str, value: Any, root: dict[str, Any]) -> None:
    """Check a keyword that holds no schema."""
    if keyword in _NOTES or keyword == "const":
        return
    if keyword == "type":
        names = value if isinstance(value, list) else [value]
        right = bool(names) and all(isinstance(n, str) and n in _TYPES for n in names)
    elif keyword == "enum":
        right = isinstance(value, list) and bool(value)
    elif keyword == "required":
        right = isinstance(value, list) and all(isinstance(name, str) for name in value)
    elif keyword in _COUNTS:
        right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif keyword in _BOUNDS:
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif keyword == "$ref":
        right = isinstance(value, str) and _resolves(value, root)
    else:
        raise _refuse(f"the keyword '{keyword}' is not supported by this server")
    if not right:
        raise _refuse(f"'{keyword}' cannot be {json.dumps(value)[:80]}")


def _resolves(reference: str, root: dict[str, Any]) -> bool:
    """Whether a reference names a part of this very schema."""
    if not reference.startswith("#/"):
        return reference == "#"
    place: Any = root
    for part in reference.removeprefix("#/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or key not in place:
            return False
        place = place[key]
    return isinstance(place, (dict, bool))
