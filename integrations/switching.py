"""Changing the model that the embedded engine serves, without a moment in which nobody answers.

`llmasos models promote` moves the alias that `llm.model` names. The new model gets an engine beside
the old one; when it answers, the run file names its address; the old one ends when nobody uses it
any more. A new one that does not start changes nothing: the alias goes back, and its history says
why. Knows processes and addresses, not what a model is. Start reading at `Switching.step`.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import structlog

from integrations.supervisor import Part, Supervisor
from llmasos.engine.aliases import Aliases
from llmasos.errors import LLMasOSError

log = structlog.get_logger()

TICK = 0.3
START_SECONDS = 900.0
"""How long a new engine may take to answer; large models load for minutes."""
GRACE_SECONDS = 5.0
"""How long the old engine stays at least: clients look for a new address once a second."""
LONGEST_SECONDS = 900.0
"""How long it stays at most, whatever it is still doing."""
_BUSY = ("tgi_batch_current_size", "tgi_queue_size")


@dataclass(frozen=True)
class Engine:
    """An engine process.

    model: the NAME@REVISION that it generates text with, or a file; empty: it only embeds.
    key: its bearer token.
    """

    part: Part
    model: str
    url: str
    key: str


class Switching:
    """Keeps the engine at what an alias points at.

    make: prepares the engine of a number for a model. publish: tells the world which one serves.
    """

    def __init__(
        self,
        aliases: Aliases,
        alias: str,
        serving: Engine,
        supervisor: Supervisor,
        make: Callable[[int, str], Engine],
        publish: Callable[[Engine], None],
    ) -> None:
        self._aliases, self._alias = aliases, alias
        self._serving, self._supervisor = serving, supervisor
        self._make, self._publish = make, publish
        self._number = 1
        self._coming: Engine | None = None
        self._since = 0.0
        self._leaving: list[tuple[Engine, float]] = []
        self._refused: str | None = None
        self._trouble = ""
        self._http = httpx.Client(timeout=2.0, trust_env=False)

    def run(self, stopped: threading.Event) -> None:
        """Follow the alias until the system stops."""
        with self._http:
            while not stopped.wait(TICK):
                try:
                    self.step()
                    self._trouble = ""
                except LLMasOSError as error:  # an unreadable file, for one: the next look may do
                    if str(error) != self._trouble:
                        self._trouble = str(error)
                        log.error("engine.alias_not_followed", alias=self._alias, error=str(error))

    def step(self) -> None:
        """Do what there is to do now; waits for nothing."""
        self._let_go()
        wanted = self._aliases.target(self._alias)
        if self._coming is not None:
            self._look_at(self._coming, wanted)
        elif wanted is not None and wanted not in (self._serving.model, self._refused):
            self._number += 1
            self._coming, self._since = self._make(self._number, wanted), time.monotonic()
            log.info("engine.switching", alias=self._alias, old=self._serving.model, new=wanted)
            self._supervisor.add(self._coming.part)

    def _look_at(self, coming: Engine, wanted: str | None) -> None:
        """Whether the new engine answers, has failed, or is no longer wanted."""
        said = self._supervisor.ended(coming.part.name)
        if said is not None:
            self._give_up(coming, said.removeprefix("llmasos: ") or "it ended without a word")
        elif wanted != coming.model:
            self._coming = None
            self._supervisor.retire(coming.part.name)
            log.info("engine.switch_abandoned", model=coming.model, wanted=wanted)
        elif self._answers(coming):
            self._change_over(coming)
        elif time.monotonic() - self._since > START_SECONDS:
            self._supervisor.retire(coming.part.name)
            self._give_up(coming, f"it did not answer within {START_SECONDS:.0f} s")

    def _change_over(self, coming: Engine) -> None:
        """Have the new engine asked from now on."""
        old, self._serving, self._coming = self._serving, coming, None
        self._refused = None
        self._supervisor.swap(old.part.name, coming.part.name)
        self._publish(coming)
        self._leaving.append((old, time.monotonic()))
        seconds = round(time.monotonic() - self._since, 1)
        log.info("engine.switched", old=old.model, new=coming.model, seconds=seconds)

    def _give_up(self, coming: Engine, reason: str) -> None:
        """Leave the old engine serving, and say why."""
        self._coming, self._refused = None, coming.model
        log.error(
            "engine.switch_failed", model=coming.model, reason=reason, serving=self._serving.model
        )
        self._aliases.take_back(self._alias, coming.model, self._serving.model, reason)
        self._refused = None  # the alias is back: who promotes it again wants another try

    def _let_go(self) -> None:
        """Stop the old engines that nobody uses any more."""
        for engine, since in list(self._leaving):
            stayed = time.monotonic() - since
            if stayed > LONGEST_SECONDS or (stayed > GRACE_SECONDS and not self._busy(engine)):
                self._leaving.remove((engine, since))
                self._supervisor.retire(engine.part.name)
                log.info("engine.retired", model=engine.model, stayed=round(stayed, 1))

    def _answers(self, engine: Engine) -> bool:
        try:
            return self._http.get(f"{engine.url}/health").is_success
        except httpx.HTTPError:
            return False

    def _busy(self, engine: Engine) -> bool:
        """Whether an engine generates text, or somebody waits for it to."""
        headers = {"Authorization": f"Bearer {engine.key}"}
        try:
            page = self._http.get(f"{engine.url}/metrics", headers=headers).text
        except httpx.HTTPError:
            return False  # it has ended
        counts = (line.split() for line in page.splitlines() if line.startswith(_BUSY))
        return any(float(words[-1]) > 0 for words in counts)
