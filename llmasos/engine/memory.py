"""How much memory there is, and whether a model fits: asked before it is loaded.

Counts what the kernel calls available, and the limit of the container that this runs in.
"""

import os
from pathlib import Path

from llmasos.errors import ModelTooLarge

_CGROUP = Path("/sys/fs/cgroup")
_SPARE = 1.1
"""Beside its weights a model needs a cache and buffers; their size is known once it is loaded, so
this asks for the least that any model takes."""


def require_memory(
    name: str, path: Path, *, expansion: float = 1.0, free: int | None = None
) -> None:
    """Check that a model fits into the memory that is free.

    path: the GGUF file (all parts of a split one count), or the folder with the weights.
    expansion: bytes in memory for one on the disk, such as 2.0 for 16-bit weights that are
    computed with in 32 bits. free: bytes of the device that it goes to, else of this machine.
    Raises ModelTooLarge.
    """
    needed = int(weights(path) * expansion * _SPARE)
    free = available() if free is None else free
    if needed > free:
        raise ModelTooLarge(name, needed, free)


def weights(path: Path) -> int:
    """The bytes of a model's weights on the disk."""
    if path.is_file():
        stem, marker, _ = path.name.rpartition("-00001-of-")
        parts = path.parent.glob(f"{stem}-*-of-*.gguf") if marker else [path]
        return sum(part.stat().st_size for part in parts)
    return sum(part.stat().st_size for part in path.rglob("*.safetensors"))


def card_is_here(devices: Path = Path("/dev")) -> bool:
    """Whether there is a graphics card with memory of its own. Light: asks no library."""
    return any(devices.glob("nvidia[0-9]*")) or (devices / "kfd").exists()


def available() -> int:
    """Bytes that a process may still take here."""
    return min(_machine(), _container())


def _machine() -> int:
    """What the machine has left, without what the page cache would give back."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _container() -> int:
    """What a container's limit leaves; as good as endless where there is none."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = (_CGROUP / limit).read_text(encoding="ascii").strip()
            taken = int((_CGROUP / used).read_text(encoding="ascii"))
            statistics = (_CGROUP / limit).with_name("memory.stat").read_text(encoding="ascii")
        except (OSError, ValueError):
            continue
        if most != "max":
            words = statistics.split()
            cached = int(words[words.index("inactive_file") + 1]) if "inactive_file" in words else 0
            return int(most) - taken + cached
    return 1 << 62
