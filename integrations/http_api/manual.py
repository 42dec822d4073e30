"""The manual: `/docs`, a page that describes the API, made of its OpenAPI document.

It loads nothing from elsewhere, so that it is there without a network, and runs no scripts.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}h2{margin-top:3rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0;"
    "vertical-align:top;border-bottom:1px solid #8884}:root{color-scheme:light dark}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """What the API offers, for people."""
    page = "".join(_page(request.app.openapi()))
    return HTMLResponse(page, headers={"content-security-policy": POLICY})


def _page(document: dict[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
    yield f"<style>{STYLE}</style><h1>{title} {escape(document['info']['version'])}</h1>"
    yield f"<p>{escape(document['info']['summary'])} For machines: "
    yield "<a href=/openapi.json>openapi.json</a>.</p>"
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield "".join(
                f"<p>{escape(part)}</p>" for part in route.get("description", "").split("\n\n")
            )
            yield from _table("Parameter", _parameters(route))
            yield from _table("Body", _fields(document, route))
            yield from _table("Status", _statuses(route))
    yield "</html>"


def _parameters(route: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in route.get("parameters", ()):
        needed = "; required" if each.get("required") else ""
        yield each["name"], f"in the {each['in']}: {_kind(each['schema'])}{needed}"


def _fields(document: dict[str, Any], route: dict[str, Any]) -> Iterator[tuple[str, str]]:
    content = route.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        schema = body["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"][name] if name else schema
        for field, shape in schema.get("properties", {}).items():
            needed = "; required" if field in schema.get("required", ()) else ""
            words = shape.get("description", "")
            yield field, f"{_kind(shape)}{needed}. {words} ({media_type})"


def _statuses(route: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in sorted(route["responses"].items()):
        yield status, answer["description"]


def _kind(shape: dict[str, Any]) -> str:
    """What a value is, in a word or two."""
    if "anyOf" in shape:
        return " or ".join(_kind(each) for each in shape["anyOf"])
    named = shape.get("$ref", "").rpartition("/")[2]
    return str(named or shape.get("type", "anything"))


def _table(head: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    lines = [f"<tr><td><code>{escape(name)}</code><td>{escape(words)}" for name, words in rows]
    if lines:
        yield f"<table><tr><th>{head}<th>{''.join(lines)}</table>"
