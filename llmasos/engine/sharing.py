"""One engine a home and model, shared by every process there: found, or else started.

For `LLM.from_pretrained` and for commands where no system runs. The first who needs it starts it;
it is nobody's child, so it outlives who started it, and ends when it is idle (`lease.py`). That
there is only one is held by a lock that it inherits (`place.py`). Start reading at `shared`.
"""

import hashlib
import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from llmasos.engine.launch import COMMAND, START_SECONDS, plan, told
from llmasos.engine.place import Address, Place
from llmasos.engine.serving import Served, with_limits
from llmasos.errors import EngineUnavailable, HomeNotWritable
from llmasos.settings import Settings

_LOOK_SECONDS = 0.05
_LAST_CHARACTERS = 2000
_HOST = "127.0.0.1"  # whatever engine.host says: such an engine is for this machine's programs


def _silent() -> None:
    """Tell nobody."""


def shared(settings: Settings, served: Served, starting: Callable[[], None] = _silent) -> Address:
    """The home's engine that serves this; started when there is none.

    starting: told when it has to be started, which takes seconds. The engine ends by itself after
    `engine.idle_seconds`: ask again when it does not answer any more.
    Raises ModelError, SettingsError, HomeNotWritable or EngineUnavailable with its last lines.
    """
    place = place_of(settings, served)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        descriptor = place.own()
        if descriptor is not None:
            starting()
            try:
                return _started(settings, served, place, descriptor)
            finally:
                os.close(descriptor)
        if address := place.find():
            return address
        time.sleep(_LOOK_SECONDS)  # another process starts it, or it is just ending
    raise EngineUnavailable(str(place.log), f"not ready after {START_SECONDS:.0f} s")


@contextmanager
def needed(
    settings: Settings, engines: Sequence[Served], starting: Callable[[], None] = _silent
) -> Iterator[list[Address]]:
    """Several engines, started at the same time; within the block they do not end by themselves.

    starting: told once, when any has to be started. Raises what `shared` does.
    """
    say = _once(starting)
    with ExitStack() as stack:
        for served in engines:
            stack.callback(os.close, place_of(settings, served).need())
        with ThreadPoolExecutor(max(1, len(engines))) as threads:
            found = list(threads.map(lambda served: shared(settings, served, say), engines))
        yield found


def _once(say: Callable[[], None]) -> Callable[[], None]:
    """The same, said the first time only."""
    first = threading.Lock()

    def said() -> None:
        if first.acquire(blocking=False):
            say()

    return said


def place_of(settings: Settings, served: Served) -> Place:
    """Where the engine that serves this under these settings tells its address.

    Raises HomeNotWritable.
    """
    own = settings.engine.model_dump(mode="json", exclude={"host", "port", "api_key"})
    digest = hashlib.sha256(json.dumps([own, asdict(served)], sort_keys=True).encode())
    name = served.text_model or Path(served.embedding_folder or "").parent.name
    place = Place.of(settings.home, name, digest.hexdigest())
    try:
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HomeNotWritable(str(settings.home), error.strerror or str(error)) from error
    return place


def _started(settings: Settings, served: Served, place: Place, lock: int) -> Address:
    """Start the engine, which inherits the lock, and wait until it answers."""
    place.withdraw()
    own = with_limits(settings.engine).model_copy(update={"host": _HOST})
    whole = plan(settings, own, served, secrets.token_urlsafe(24)) | {
        "shared": {"folder": str(place.folder), "name": place.name}
    }
    with open(place.log, "w", opener=_private) as log:
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(lock,),
            text=True,
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        try:
            with process.stdin:
                process.stdin.write(json.dumps(whole) + "\n")
            process.wait()  # it leaves us at once: what runs on is nobody's child
            told(process.stdout)
        except (OSError, EOFError):  # TimeoutError and BrokenPipeError are OSErrors
            said = place.log.read_text(errors="replace")[-_LAST_CHARACTERS:].strip()
            raise EngineUnavailable("a process of its own", f"it did not start: {said}") from None
    address = place.find()
    if address is None:  # it has ended again, or its home was removed
        raise EngineUnavailable("a process of its own", f"it ended at once; see {place.log}")
    return address


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
