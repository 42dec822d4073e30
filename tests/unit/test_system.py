"""The run file: found while its owner holds the lock, and only then."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmasos import system
from llmasos.errors import HomeNotWritable, SystemAlreadyRunning
from llmasos.system import System

HOLDER = """
import sys, pathlib
from llmasos import system
with system.hold(pathlib.Path(sys.argv[1])):
    system.write(pathlib.Path(sys.argv[1]), system.System(pid=1, engine_url="http://e"))
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(home: Path) -> subprocess.Popen[str]:
    """Another process that holds the home until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_running_system_is_found_and_a_second_one_refused(home: Path) -> None:
    with hold_elsewhere(home) as other:
        found = system.find(home)
        with pytest.raises(SystemAlreadyRunning) as caught, system.hold(home):
            pass
        other.kill()

    assert found == System(pid=1, engine_url="http://e")
    assert caught.value.pid == other.pid


def test_the_file_of_a_killed_system_is_not_believed(home: Path) -> None:
    with hold_elsewhere(home) as other:
        other.kill()

    assert system.run_file(home).exists()
    assert system.find(home) is None


def test_only_its_owner_can_read_the_run_file(home: Path) -> None:
    system.write(home, System(pid=1, engine_key="secret"))

    assert stat.S_IMODE(system.run_file(home).stat().st_mode) == 0o600


def test_a_home_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(HomeNotWritable, match="LLMASOS_HOME"), system.hold(tmp_path / "file"):
        pass
