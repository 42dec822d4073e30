"""A small storm: jobs from Slack and webhooks while parts are killed and hung at random."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STORM = Path(__file__).resolve().parents[2] / "benchmarks" / "storm.py"
GIVE_UP = 400.0
"""Seconds: ten times what it takes, since other tests run beside it."""


@pytest.mark.timeout(GIVE_UP + 60)
def test_a_storm_loses_nothing_and_doubles_nothing(engine: Any, tmp_path: Path) -> None:
    words = ["--jobs", "40", "--seconds", "8", "--keep", str(tmp_path), "--spare", "slack"]
    words += ["--engine", engine.url, "--engine-key", engine.key]

    storm = subprocess.run(
        [sys.executable, str(STORM), *words], capture_output=True, text=True, timeout=GIVE_UP
    )

    assert storm.returncode == 0, storm.stdout + storm.stderr
    figures = json.loads(storm.stdout)
    counted = {name: figures[name] for name in ("lost", "doubled", "wrong", "stuck")}
    assert counted == dict.fromkeys(counted, 0)
    assert figures["jobs_stored"] + figures["untaken"] >= figures["jobs"] == 40
    assert sum(figures["blows"].values()) > 0
