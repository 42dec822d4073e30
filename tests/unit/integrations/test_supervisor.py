"""The supervisor: what dies is started again, what must stop stops, nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from integrations.supervisor import Part, Supervisor

STAYS = (sys.executable, "-c", "import time; time.sleep(60)")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)",
)


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_part_is_started_again_at_once() -> None:
    seen: list[dict[str, int]] = []
    supervisor = Supervisor([Part("one", STAYS)], seen.append)
    runs = threading.Thread(target=supervisor.run)
    runs.start()
    until(lambda: len(seen) == 1)

    os.kill(seen[0]["one"], signal.SIGKILL)
    until(lambda: len(seen) == 2, seconds=3)
    supervisor.stop()
    runs.join(10)

    assert seen[0]["one"] != seen[1]["one"]
    assert not alive(seen[1]["one"])


def test_a_part_that_does_not_listen_is_killed_after_its_patience() -> None:
    seen: list[dict[str, int]] = []
    supervisor = Supervisor([Part("deaf", DEAF, patience=0.3)], seen.append)
    runs = threading.Thread(target=supervisor.run)
    runs.start()
    until(lambda: len(seen) == 1)

    supervisor.stop()
    runs.join(10)

    assert not runs.is_alive()
    assert not alive(seen[0]["deaf"])


def test_parts_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = (
        "import sys, pathlib\n"
        "from integrations.supervisor import Part, Supervisor\n"
        f"Supervisor([Part('one', {STAYS!r})], lambda pids: "
        f"pathlib.Path({str(told)!r}).write_text(str(pids['one']))).run()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as owner:
        until(lambda: told.exists() and bool(told.read_text()))
        pid = int(told.read_text())
        assert alive(pid)

        owner.kill()

    until(lambda: not alive(pid), seconds=3)


def test_what_others_stand_on_is_stopped_last(tmp_path: Path) -> None:
    def part(name: str, stage: int) -> Part:
        code = (
            "import signal, sys, time\n"
            "def bye(*_):\n"
            f"    open({str(tmp_path / 'order')!r}, 'a').write({name!r} + ' ')\n"
            "    sys.exit()\n"
            "signal.signal(15, bye)\n"
            f"open({str(tmp_path / name)!r}, 'w').close()\n"
            "time.sleep(60)\n"
        )
        return Part(name, (sys.executable, "-c", code), stage=stage)

    supervisor = Supervisor([part("base", 0), part("edge", 2), part("work", 1)], lambda _: None)
    runs = threading.Thread(target=supervisor.run)
    runs.start()
    until(lambda: all((tmp_path / name).exists() for name in ("base", "edge", "work")))

    supervisor.stop()
    runs.join(10)

    assert (tmp_path / "order").read_text() == "edge work base "


def test_a_part_on_trial_that_dies_is_not_started_again_and_its_last_line_is_known() -> None:
    seen: list[dict[str, int]] = []
    supervisor = Supervisor([Part("one", STAYS)], seen.append)
    runs = threading.Thread(target=supervisor.run)
    runs.start()

    supervisor.add(Part("two", (sys.executable, "-c", "import sys; sys.exit('no such model')")))
    until(lambda: supervisor.ended("two") is not None)
    supervisor.stop()
    runs.join(10)

    assert supervisor.ended("two") == "no such model"
    assert supervisor.ended("one") is None
    assert [sorted(pids) for pids in seen] == [["one"], ["one", "two"], ["one"]]


def test_a_part_that_took_anothers_place_is_started_again_and_the_other_retires() -> None:
    seen: list[dict[str, int]] = []
    supervisor = Supervisor([Part("old", STAYS)], seen.append)
    runs = threading.Thread(target=supervisor.run)
    runs.start()
    supervisor.add(Part("new", STAYS))
    until(lambda: len(seen) == 2)
    first = seen[1]["new"]

    supervisor.swap("old", "new")
    supervisor.retire("old")
    until(lambda: sorted(seen[-1]) == ["new"])
    os.kill(first, signal.SIGKILL)
    until(lambda: seen[-1].get("new", first) != first)
    supervisor.stop()
    runs.join(10)

    assert supervisor.ended("old") is not None
    assert not alive(seen[1]["old"])


def test_a_retired_part_that_does_not_listen_is_killed() -> None:
    seen: list[dict[str, int]] = []
    supervisor = Supervisor([Part("deaf", DEAF, patience=0.3)], seen.append)
    runs = threading.Thread(target=supervisor.run)
    runs.start()
    until(lambda: len(seen) == 1)

    supervisor.retire("deaf")
    until(lambda: seen[-1] == {})
    supervisor.stop()
    runs.join(10)

    assert not alive(seen[0]["deaf"])
