"""What the documentation shows is run: Python, settings, JSON, and how a webhook is signed."""

import io
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import load_catalog
from integrations.webhooks.generic import GenericSource
from llmasos import LLM, Message
from llmasos.settings import Settings, WebhookSettings, load
from llmasos.testing.engine import ScriptedEngine

ROOT = Path(__file__).parents[3]
SECRET = "the secret in llmasos.toml"


def test_a_python_block_runs(
    python_block: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def scripted(*_: object, **__: object) -> LLM:
        return LLM(ScriptedEngine(_said))

    monkeypatch.setattr(LLM, "from_pretrained", scripted)
    monkeypatch.chdir(tmp_path)

    exec(compile(python_block.text, str(python_block), "exec"), {"__name__": "docs"})


def _said(messages: Sequence[Message]) -> str:
    """What the script says: text, or where JSON is asked for that of the page on Python."""
    asked = "Answer with JSON" in messages[-1].content
    return '{"number": "4711", "total": 12.5, "paid": true}' if asked else "said by the script"


def test_a_toml_block_is_a_right_configuration(
    toml_block: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in re.findall(r'"env:(\w+)"', toml_block.text):
        monkeypatch.setenv(name, "a-secret")
    path = tmp_path / "llmasos.toml"
    path.write_text(toml_block.text, encoding="utf-8")

    settings = load(path)

    assert settings != load_nothing(tmp_path)


def load_nothing(folder: Path) -> object:
    """The settings of an empty file."""
    empty = folder / "empty.toml"
    empty.touch()
    return load(empty)


def test_a_json_block_is_json(json_block: Any) -> None:
    json.loads(json_block.text)


def test_every_block_names_its_language(page: Any) -> None:
    known = ("sh", "python", "toml", "json", "text", "mermaid")

    assert [str(block) for block in page.blocks if block.language not in known] == []


def test_few_python_blocks_are_shown_only(pages: dict[str, Any]) -> None:
    shown = [
        b for page in pages.values() for b in page.blocks if b.language == "python" and b.title
    ]

    assert len(shown) <= 3


@pytest.mark.skipif(not shutil.which("openssl"), reason="the example signs with openssl")
@pytest.mark.parametrize("name", ["docs/how-to/webhooks.md", "docs/tutorial.md"])
def test_the_shell_example_signs_as_it_must(name: str, pages: dict[str, Any]) -> None:
    (block,) = (b for b in pages[name].blocks if b.language == "sh" and "openssl" in b.text)
    secret = re.search(r"SECRET='(.*)'", block.text)
    assert secret is not None
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + block.text

    shown = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"]}, timeout=30,
    ).stdout.split("\0")  # fmt: skip

    headers = _headers(dict(w.split(": ", 1) for w in shown if re.match(r"[\w-]+: ", w)))
    body = shown[shown.index("--data-binary") + 1].encode()
    assert _generic(secret[1]).verify(headers, body, time.time())
    assert json.loads(body)["message"]


def test_the_python_example_signs_as_it_must(
    pages: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = (b for b in pages["docs/how-to/webhooks.md"].blocks if "urlopen" in b.text)
    sent: list[urllib.request.Request] = []

    def urlopen(request: urllib.request.Request) -> io.BytesIO:
        sent.append(request)
        return io.BytesIO(b'{"id": "1"}')

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)

    exec(compile(block.text, str(block), "exec"), {"__name__": "docs"})

    (request,) = sent
    assert isinstance(request.data, bytes)
    headers = _headers(dict(request.header_items()))
    assert _generic(SECRET).verify(headers, request.data, time.time()).id == "ticket-4711"


def _generic(secret: str) -> GenericSource:
    return GenericSource(WebhookSettings.model_validate({"name": "form", "secret": secret}))


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_the_agent_of_the_readme_is_the_example_and_loads(
    pages: dict[str, Any], make_settings: Callable[..., Settings]
) -> None:
    example = ROOT / "examples" / "ten_lines.py"
    (shown,) = (block for block in pages["README.md"].blocks if block.language == "python")

    catalog = load_catalog(make_settings(f'agents = ["{example}"]'))

    assert catalog.find("billing").knowledge == ("help-center",)
    assert example.read_text(encoding="utf-8").endswith(f"\n{shown.text}")
    assert len([line for line in shown.text.splitlines() if line]) <= 10
