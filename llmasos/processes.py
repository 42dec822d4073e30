"""Child processes that never outlive their parent, and free ports.

Used by whatever starts processes: `llmasos up`, and `LLM.from_pretrained` for its engine.
"""

import ctypes
import signal
import socket
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)


def _die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    if sys.platform == "linux" and _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
TETHER: Callable[[], None] = _die_with_parent
"""For `subprocess.Popen(preexec_fn=TETHER)`: the child dies with its parent, even by SIGKILL.

Linux only; elsewhere a killed parent leaves its children. The thread that calls Popen must live
as long as the child should.
"""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(host: str, port: int) -> bool:
    """Whether somebody listens on a port already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False
