"""The engine as a process: how it starts, why it does not, and that it always ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmasos import LLM
from llmasos.engine.launch import EngineProcess
from llmasos.errors import ModelMissing, UnknownModel
from llmasos.processes import free_port
from llmasos.settings import EngineSettings, Settings

MakeSettings = Callable[..., Settings]
COMMAND = [sys.executable, "-m", "integrations.cli.main", "engine"]


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `llmasos engine` with options in a folder without a configuration."""
    started = []

    def start(*options: str, folder: Path = home) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*COMMAND, *options],
            cwd=tmp_path,
            env={**os.environ, "LLMASOS_HOME": str(folder)},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for whoever inherited it to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_command_serves_and_ends_at_sigterm_in_the_middle_of_a_text(run: Any) -> None:
    port = free_port()
    process = run("--port", str(port), "--max-total-tokens", "1500")
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: healthy(url))
    endless = {"type": "regex", "value": "[a-z ]{9000}"}
    body = {"inputs": "Once", "parameters": {"max_new_tokens": 1400, "grammar": endless}}
    with httpx.stream("POST", f"{url}/generate_stream", json=body, timeout=60) as reply:
        next(reply.iter_lines())
        begun = time.monotonic()

        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 0
    assert time.monotonic() - begun < 10
    assert "engine.ready" in said
    assert url in said


def test_a_port_in_use_is_named_with_its_setting(run: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        process = run("--port", str(other.getsockname()[1]))
        _, said = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "engine.port / --port" in said


def test_a_missing_model_is_named_with_the_way_to_fetch_it(run: Any, tmp_path: Path) -> None:
    process = run(folder=tmp_path / "empty")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "llmasos models pull all-minilm-l6-v2" in said


def test_a_model_file_that_is_none_is_named(run: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing more")

    process = run(str(broken), "--port", "0")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "broken.gguf cannot be loaded" in said


def test_more_requests_than_it_holds_are_told_to_come_again(make_settings: MakeSettings) -> None:
    own = EngineSettings(max_concurrent_requests=2, slots=1)
    body = {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 60}}
    with EngineProcess.start(make_settings(), embeddings=False, own=own) as engine:

        def ask(_: int) -> httpx.Response:
            return httpx.post(f"{engine.url}/generate", json=body, timeout=60)

        with ThreadPoolExecutor(6) as threads:
            replies = list(threads.map(ask, range(6)))
        again = ask(0)

    refused = [reply for reply in replies if reply.status_code == 429]
    assert len(refused) >= 1
    assert refused[0].json() == {"error": "Model is overloaded", "error_type": "overloaded"}
    assert again.status_code == 200


def test_an_engine_dies_with_who_started_it(home: Path) -> None:
    code = (
        "import time; from llmasos.settings import load;"
        "from llmasos.engine.launch import EngineProcess;"
        "print(EngineProcess.start(load(), embeddings=False).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "LLMASOS_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())

    parent.kill()
    parent.wait()

    wait_for(lambda: ended(pid), 15)


def test_a_model_that_is_not_here_is_told_before_anything_starts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)

    with pytest.raises(ModelMissing):
        EngineProcess.start(settings, embeddings=False)
    with pytest.raises(UnknownModel, match="smollm2-135m-instruct"):
        EngineProcess.start(settings, model="smollm", embeddings=False)


def test_a_model_answers_by_its_name_alone(make_settings: MakeSettings, tmp_path: Path) -> None:
    make_settings()

    llm = LLM.from_pretrained("smollm2-135m-instruct", config=tmp_path / "llmasos.toml")

    assert llm.generate_text(prompt="The world is", max_length=12).strip()
    assert llm.info().model == "smollm2-135m-instruct"


def test_a_server_answers_by_its_address(
    engine: Any, make_settings: MakeSettings, tmp_path: Path
) -> None:
    make_settings(f"[llm]\napi_key = '{engine.key}'\n")

    llm = LLM.from_pretrained(engine.url, config=tmp_path / "llmasos.toml")

    assert llm.chat([("user", "Say hello.")], max_new_tokens=5)
