"""The system calls that code in the sandbox may make: a seccomp filter, given to bubblewrap.

Namespaces and limits keep the code in; the filter keeps it from the parts of the kernel that such
code never needs and where ways out have been found: tracing, keys, BPF, io_uring, mounts, further
namespaces, rare kinds of sockets, other processors' system calls. The program is classic BPF, made
here for x86_64 and aarch64; elsewhere there is none. Start reading at `program`.
"""

import errno
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, value."""
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Where in the kernel's record a call's number, its architecture and its arguments are."""
NEW_NAMESPACE = 0x7E020000
"""The flags of `clone` that make namespaces."""
PUSH_INPUT = 0x5412
"""The `ioctl` that types into a terminal (TIOCSTI)."""
FAMILIES = (1, 2, 10)
"""Sockets that may be made: Unix, IPv4, IPv6, in a network without a way out."""
OTHER_TABLE = 0x40000000
"""From here on a call on x86_64 is one of the x32 table."""


@dataclass(frozen=True)
class _Machine:
    """A processor: how the kernel names it, and its numbers of system calls."""

    audit: int
    refused: tuple[int, ...]
    clone: int
    clone3: int
    socket: int
    ioctl: int


_EVERYWHERE = (*range(425, 434), 438, 442, 443)
"""io_uring, the new calls for mounts, pidfd_getfd, quotactl_fd: everywhere the same numbers."""
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        refused=(
            *(101, 103, 134, 135, 139, 153, 154, 155, 159, 161, 163, 164, 165, 166, 167, 168, 169),
            *(170, 171, 172, 173, 175, 176, 179, 180, 212, 227, 246, 248, 249, 250, 272, 298, 300),
            *(303, 304, 305, 308, 310, 311, 312, 313, 320, 321, 323),
            *_EVERYWHERE,
        ),
        clone=56,
        clone3=435,
        socket=41,
        ioctl=16,
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        refused=(
            *(18, 39, 40, 41, 42, 51, 58, 60, 89, 92, 97, 104, 105, 106, 112, 116, 117, 142, 161),
            *(162, 170, 171, 217, 218, 219, 224, 225, 241, 262, 264, 265, 266, 268, 270, 271, 272),
            *(273, 280, 282, 294),
            *_EVERYWHERE,
        ),
        clone=220,
        clone3=435,
        socket=198,
        ioctl=29,
    ),
}
"""Refused: ptrace, process_vm_*, kcmp, kexec_*, bpf, perf_event_open, userfaultfd, keys, mounts,
chroot, pivot_root, unshare, setns, modules, file handles, fanotify, personality, accounting,
quotas, swap, reboot, clocks, syslog, host names, vhangup, the processor's ports and tables.
"""


def program() -> bytes | None:
    """The filter as bubblewrap takes it; None: this processor's system calls are not known."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    return b"".join(struct.pack("<HBBI", *each) for each in _instructions(machine))


def _instructions(machine: _Machine) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, machine.audit
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    yield _AT_LEAST, 0, 1, OTHER_TABLE
    yield _RETURN, 0, 0, _KILL
    for number in machine.refused:
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _ERROR | errno.EPERM
    yield _EQUAL, 0, 1, machine.clone3  # its flags cannot be read: libraries then use `clone`
    yield _RETURN, 0, 0, _ERROR | errno.ENOSYS
    yield _EQUAL, 0, 4, machine.clone
    yield _LOAD, 0, 0, _FIRST
    yield _ANY_BIT, 0, 1, NEW_NAMESPACE
    yield _RETURN, 0, 0, _ERROR | errno.EPERM
    yield _RETURN, 0, 0, _ALLOW
    yield _EQUAL, 0, 4, machine.ioctl
    yield _LOAD, 0, 0, _SECOND
    yield _EQUAL, 0, 1, PUSH_INPUT
    yield _RETURN, 0, 0, _ERROR | errno.EPERM
    yield _RETURN, 0, 0, _ALLOW
    yield _EQUAL, 0, len(FAMILIES) + 2, machine.socket
    yield _LOAD, 0, 0, _FIRST
    for index, family in enumerate(FAMILIES):
        yield _EQUAL, len(FAMILIES) - index, 0, family
    yield _RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT
    yield _RETURN, 0, 0, _ALLOW
