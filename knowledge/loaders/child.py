"""The process in which hostile formats are read: one document after another, within limits.

Its parent is `reader.py`. It takes a line of JSON for each document and answers with one, so that
nothing that a document did to this process is ever unpickled there. It cannot write large files,
has no secrets in its environment, and ends with its parent. Start reading at `main`.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from knowledge.documents import Limits, Loader
from knowledge.loaders import OUT_OF_MEMORY, loader_of, loaders_by_suffix, read_document
from knowledge.loaders.archive import unpack
from llmasos.errors import UnreadableDocument


def main() -> None:
    """Answer until the parent closes the pipe."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    start = json.loads(sys.stdin.readline())
    sys.path[:] = start["path"]  # the parent's plug-ins
    limits, seconds = Limits(**start["limits"]), start["seconds"]
    resource.setrlimit(resource.RLIMIT_AS, (start["memory"], start["memory"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.unpacked, limits.unpacked))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    loaders = loaders_by_suffix()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        _limit_time(seconds)
        print(_answer(json.loads(line), loaders, limits), file=answers, flush=True)


def _limit_time(seconds: float) -> None:
    """End this process when it computes longer than this from now: its parent may be gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _answer(asked: dict[str, Any], loaders: Mapping[str, Loader], limits: Limits) -> str:
    path = Path(asked["path"])
    try:
        if into := asked.get("into"):
            return json.dumps({"members": unpack(path, Path(into), limits, asked["files"])})
        document = read_document(path, loader_of(path, loaders), limits)
        return json.dumps({"document": asdict(document)})
    except UnreadableDocument as error:
        return json.dumps({"reason": error.reason})
    except MemoryError:
        return json.dumps({"reason": OUT_OF_MEMORY})


if __name__ == "__main__":
    main()
