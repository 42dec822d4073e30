"""One engine a home and model: found or started, shared, noticed when dead, gone when idle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos import LLM
from llmasos.engine.place import Address
from llmasos.engine.serving import chosen
from llmasos.engine.sharing import needed, place_of, shared
from llmasos.errors import ModelError, ModelFileMissing, UnknownModel
from llmasos.settings import Settings

MODEL = "smollm2-135m-instruct"
SCRIPT = f"""
import sys
from llmasos import LLM
model = LLM.from_pretrained({MODEL!r})
print(model.backend._engine[0], flush=True)
sys.stdin.readline()
print(model.generate_text("The capital of France is", max_new_tokens=4).strip())
"""
Make = Callable[..., Settings]


@pytest.fixture
def script(home: Path, tmp_path: Path) -> Callable[[], "subprocess.Popen[str]"]:
    """Three lines in a process of their own, which waits for a line before the third."""

    def begin() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "LLMASOS_HOME": str(home)},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    return begin


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_two_programs_share_an_engine_that_outlives_its_starter_and_then_ends(
    script: Callable[[], "subprocess.Popen[str]"], make_settings: Make, tmp_path: Path
) -> None:
    both = [script(), script()]
    urls = [each.stdout.readline().strip() for each in both]  # type: ignore[union-attr]
    engines = list((tmp_path / "home" / "run" / "engines").glob("*.json"))

    both[0].kill()
    both[0].communicate()
    said, _ = both[1].communicate("go on\n", timeout=100)

    assert urls[0] == urls[1] != ""
    assert "Paris" in said
    assert len(engines) == 1
    assert engines[0].stat().st_mode & 0o777 == 0o600
    wait_for(lambda: not engines[0].exists())


def test_an_engine_that_was_killed_is_noticed_and_another_takes_its_place(
    make_settings: Make, tmp_path: Path
) -> None:
    settings = make_settings()
    llm = LLM.from_pretrained(MODEL, config=tmp_path / "llmasos.toml")
    first = shared(settings, chosen(settings, MODEL, embeddings=False))

    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: gone(first.pid))
    text = llm.generate_text("The capital of France is", max_new_tokens=4)

    second = shared(settings, chosen(settings, MODEL, embeddings=False))
    assert "Paris" in text
    assert first.pid != second.pid


def test_an_engine_that_is_needed_stays_and_ends_when_it_is_not(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMASOS_ENGINE__IDLE_SECONDS", "0.2")
    settings = make_settings()
    served = chosen(settings, MODEL, embeddings=False)
    place = place_of(settings, served)
    told: list[str] = []

    with needed(settings, [served], lambda: told.append("starting")) as (engine,):
        time.sleep(1.5)  # several times as long as it would stay by itself
        assert place.find() == engine
        assert not gone(engine.pid)

    assert told == ["starting"]
    wait_for(lambda: gone(engine.pid))
    assert place.find() is None


def test_a_word_of_an_engine_that_is_dead_is_not_believed(make_settings: Make) -> None:
    settings = make_settings()
    served = chosen(settings, MODEL, embeddings=False)
    place_of(settings, served).publish(Address("http://127.0.0.1:9", "key", 1))

    assert shared(settings, served).url != "http://127.0.0.1:9"


def test_a_file_that_is_no_model_is_told_with_what_to_do(
    make_settings: Make, tmp_path: Path
) -> None:
    make_settings()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing more")

    with pytest.raises(ModelError, match=r"broken\.gguf cannot be loaded"):
        LLM.from_pretrained(str(broken), config=tmp_path / "llmasos.toml")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("smollm2-135m", UnknownModel, "Did you mean 'smollm2-135m-instruct'?"),
        ("absent.gguf", ModelFileMissing, "There is no model at .*absent.gguf: give a GGUF file"),
    ],
)
def test_a_model_that_is_not_here_is_told_before_anything_starts(
    name: str, error: type[Exception], said: str, make_settings: Make, tmp_path: Path
) -> None:
    make_settings()

    with pytest.raises(error, match=said.replace("?", r"\?")):
        LLM.from_pretrained(name, config=tmp_path / "llmasos.toml")
