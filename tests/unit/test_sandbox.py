import os
import time

import pytest

from llmasos.errors import InvalidRequest, JobCancelled, SandboxUnavailable
from llmasos.sandbox import Limits, Sandbox

pytestmark = pytest.mark.skipif(
    Sandbox().available() is not None, reason=f"no sandbox here: {Sandbox().available()}"
)


def run(code: str, **limits: float):
    return Sandbox(Limits(**limits)).run({"main.py": code}, ["python3", "main.py"])


def test_code_runs_and_its_output_is_read():
    result = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert result.killed_by is None
    assert not result.ok


def test_files_lie_in_the_working_folder_also_in_folders_below():
    files = {"main.py": "from pack.inner import x; print(x)", "pack/inner.py": "x = 'ü'"}

    result = Sandbox().run(files, ["python3", "main.py"])

    assert result.stdout == "ü\n"


@pytest.mark.parametrize("name", ["../x.py", "/etc/x", "a/../../x", "a\0b"])
def test_a_file_outside_the_folder_is_refused(name):
    with pytest.raises(InvalidRequest):
        Sandbox().run({name: ""}, ["python3", "-V"])


def test_a_program_that_is_not_there_is_said():
    result = Sandbox().run({}, ["no-such-program"])

    assert result.exit_code == 1
    assert "no-such-program: No such file" in result.stderr


def test_the_code_has_no_rights_and_no_environment(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")

    result = run(
        "import os; print(os.getuid(), dict(os.environ)); print(open('/proc/self/status').read())"
    )

    assert "hunter2" not in result.stdout
    assert not result.stdout.startswith("0 ")
    assert "CapEff:\t0000000000000000" in result.stdout
    assert "NoNewPrivs:\t1" in result.stdout


def test_a_cancelled_job_ends_its_run():
    began = time.monotonic()

    def checkpoint() -> None:
        if time.monotonic() - began > 0.3:
            raise JobCancelled("j1")

    with pytest.raises(JobCancelled):
        Sandbox().run({}, ["/bin/sleep", "7.654321"], checkpoint=checkpoint)

    assert time.monotonic() - began < 2
    assert ends("7.654321")


def test_where_isolation_is_refused_nothing_is_run(monkeypatch, tmp_path):
    refusing = tmp_path / "bwrap"
    refusing.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2; exit 1"
    )
    refusing.chmod(0o755)
    monkeypatch.setattr("llmasos.sandbox._bubblewrap", lambda: str(refusing))

    with pytest.raises(SandboxUnavailable, match="No permissions to create a new namespace"):
        Sandbox().run({}, ["/bin/true"])


def ends(word: str) -> bool:
    """Whether no process with this word is left, the kernel given a moment for it."""
    until = time.monotonic() + 2
    while running(word) and time.monotonic() < until:
        time.sleep(0.02)
    return not running(word)


def running(word: str) -> list[str]:
    """The processes of this machine whose command line has a word, each test its own."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().decode(errors="replace")
        except OSError:
            continue
        if word in line and "pytest" not in line:
            found.append(line)
    return found
