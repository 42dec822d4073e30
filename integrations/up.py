"""The whole system from one command: which parts there are, where they listen, when all is ready.

Checks what can be checked before anything starts (agents, webhooks, ports, schema), writes the run
file, and hands the parts to the supervisor. Start reading at `run`.
"""

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import structlog

from agents.catalog import load_catalog
from integrations.http_api.exposure import check_host
from integrations.supervisor import Part, Supervisor
from integrations.switching import Engine, Switching
from integrations.webhooks.hooks import load_hooks
from llmasos import logs, system
from llmasos.broker import valkey_command, valkey_url
from llmasos.database import Database, migrate
from llmasos.engine.library import ModelLibrary
from llmasos.engine.serving import chosen, is_file_name
from llmasos.errors import ModelFileMissing, PortInUse, SettingsError
from llmasos.processes import free_port, port_taken
from llmasos.queues import told, used
from llmasos.settings import Settings
from llmasos.system import System

log = structlog.get_logger()

BASE, WORK, EDGE = 0, 1, 2
"""Stages: what others stand on is stopped last."""


def run(settings: Settings, config: str | None) -> None:
    """Run the system until SIGINT or SIGTERM.

    config: the `--config` option, handed on to every part.
    Raises before anything has started: a UsageError when something is set up wrongly, a ModelError
    when the engine's models have not been fetched, ModelTooLarge when the text model does not fit.
    """
    logs.configure("up", settings.log_level, settings.log_format)
    with system.hold(settings.home):
        catalog = load_catalog(settings)
        load_hooks(settings, catalog)
        require_models(settings)
        if settings.llm.embedded:
            chosen(settings, None, embeddings=False)  # before anything starts: does it fit?
        _check_slack(settings)
        _check_queues(settings)
        with Database(settings.state_url) as database:
            migrate(database)
            check_host(settings.web.host, database)
        plan, engine, running = _plan(settings, config)
        told = _RunFile(settings.home, running)
        supervisor = Supervisor(plan, told.runs)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        stopped = threading.Event()
        threading.Thread(target=_announce, args=(running.web_url, stopped), daemon=True).start()
        if engine and (alias := _alias(settings)):
            aliases = ModelLibrary.of(settings).aliases
            make = partial(_engine, settings, _own(config), engine.key)
            switching = Switching(aliases, alias, engine, supervisor, make, told.serves)
            threading.Thread(target=switching.run, args=(stopped,), daemon=True).start()
        log.info("system.starting", home=str(settings.home), parts=[part.name for part in plan])
        supervisor.run()
        stopped.set()
        log.info("system.stopped")


def require_models(settings: Settings) -> list[str]:
    """The models that the embedded engine serves.

    Raises UnknownModel, ModelMissing or ModelFileMissing.
    """
    wanted = [
        *([settings.llm.model] if settings.llm.embedded else []),
        *([] if settings.embedding.url else [settings.embedding.model]),
    ]
    library = ModelLibrary.of(settings)
    for name in wanted:
        if not is_file_name(name):
            library.path(name)
        elif not Path(name).expanduser().exists():
            raise ModelFileMissing(name)
    return [_meaning(library, name) for name in wanted]


def _meaning(library: ModelLibrary, name: str) -> str:
    """A model as a person wants to see it: what an alias points at, too."""
    target = library.aliases.target(name)
    return f"{name} ({target})" if target else name


class _RunFile:
    """The run file of this system; the supervisor and the switching of models both change it."""

    def __init__(self, home: Path, running: System) -> None:
        self._home, self._running = home, running
        self._lock = threading.Lock()
        system.write(home, running)

    def runs(self, pids: dict[str, int]) -> None:
        """Other processes run now."""
        self._write(lambda running: replace(running, pids=pids))

    def serves(self, engine: Engine) -> None:
        """Another engine is to be asked now."""
        self._write(
            lambda running: replace(
                running, engine_url=engine.url, engine_model=engine.model or None
            )
        )

    def _write(self, change: Callable[[System], System]) -> None:
        with self._lock:
            self._running = change(self._running)
            system.write(self._home, self._running)


def _check_slack(settings: Settings) -> None:
    """Say what is missing for a bot that hears and answers. Raises SettingsError."""
    slack = settings.slack
    heard = slack.app_token or slack.signing_secret
    if heard and not slack.on:
        raise SettingsError(
            "slack.bot_token",
            "",
            "is not set, so the bot cannot answer: set LLMASOS_SLACK__BOT_TOKEN (xoxb-…), or "
            "remove the other tokens of [slack] to run without Slack",
        )
    if slack.on and not heard:
        log.warning("slack.hears_nothing", set="slack.app_token or slack.signing_secret")


def _check_queues(settings: Settings) -> None:
    """Name the queues that are used and that none of our workers will serve."""
    for queue, who in used(settings).items():
        if settings.worker.processes and queue not in settings.worker.queues:
            log.warning("queue.unserved", queue=queue.value, reason=told(queue, who))


def _own(config: str | None) -> tuple[str, ...]:
    """The words with which our own commands begin."""
    given = ("--config", config) if config else ()
    return (sys.executable, "-m", "integrations.cli.main", *given)


def _plan(settings: Settings, config: str | None) -> tuple[list[Part], Engine | None, System]:
    """The parts that these settings need, the engine among them, and where they will be found."""
    own = _own(config)
    parts: list[Part] = []
    engine: Engine | None = None
    running = System(pid=os.getpid())
    if not settings.broker_url or not system.addresses(settings).bus_url:
        port, password = free_port(), secrets.token_urlsafe(24)
        command = valkey_command(settings.home / "broker", port, password)
        parts.append(Part("broker", command, stage=BASE))
        url = valkey_url(port, password)
        running = replace(running, broker_url=url, bus_url=url)
    if settings.llm.embedded or not settings.embedding.url:
        _port(settings.engine.host, settings.engine.port, "engine.port")
        key = settings.engine.api_key
        secret = key.get_secret_value() if key else secrets.token_urlsafe(24)
        engine = _engine(settings, own, secret, 1, _text_model(settings))
        parts.append(engine.part)
        running = replace(
            running, engine_url=engine.url, engine_key=secret, engine_model=engine.model or None
        )
    patience = settings.worker.drain_seconds + 3
    for number in range(1, settings.worker.processes + 1):
        parts.append(Part(f"worker-{number}", (*own, "worker"), stage=WORK, patience=patience))
    port = _port(settings.web.host, settings.web.port, "web.port")
    parts.append(Part("web", (*own, "web", "--port", str(port)), stage=EDGE))
    running = replace(running, web_url=f"http://{_reached(settings.web.host)}:{port}")
    if settings.slack.on and settings.slack.app_token:
        parts.append(Part("slack", (*own, "slack", "run"), stage=EDGE))
    return parts, engine, running


def _text_model(settings: Settings) -> str:
    """The model that the embedded engine generates with: NAME@REVISION, or a file; else empty."""
    model = settings.llm.model
    if not settings.llm.embedded:
        return ""
    return model if is_file_name(model) else ModelLibrary.of(settings).show(model).address


def _alias(settings: Settings) -> str | None:
    """The alias that the embedded engine follows, if `llm.model` names one."""
    model = settings.llm.model
    followed = settings.llm.embedded and ModelLibrary.of(settings).aliases.target(model)
    return model if followed else None


def _engine(settings: Settings, own: tuple[str, ...], key: str, number: int, model: str) -> Engine:
    """The engine of a number for a model. Two cannot share a port: the one that is set goes to
    the first that finds it free.
    """
    host, port = settings.engine.host, settings.engine.port
    if not port or port_taken(host, port):
        port = free_port(host)
    words = (*own, "engine", *((model,) if model else ()), "--port", str(port))
    name = "engine" if number == 1 else f"engine-{number}"
    part = Part(name, words, {"LLMASOS_ENGINE__API_KEY": key}, BASE)
    return Engine(part, model, f"http://{host}:{port}", key)


def _port(host: str, port: int, setting: str) -> int:
    """The port to listen on: the one that is set, if it is free, else any free one."""
    if port == 0:
        return free_port(host)
    if port_taken(host, port):
        raise PortInUse(host, port, setting)
    return port


def _reached(host: str) -> str:
    """Where this machine reaches a server that listens on an address."""
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # those stand for all that it has
    host = every.get(host, host)
    return f"[{host}]" if ":" in host else host


def _announce(web_url: str | None, stopped: threading.Event) -> None:
    """Say once that all is ready, or every ten seconds what is still missing."""
    opener = build_opener(ProxyHandler({}))
    begun = told = time.monotonic()
    while not stopped.wait(0.2):
        try:
            with opener.open(f"{web_url}/readyz", timeout=5):
                seconds = round(time.monotonic() - begun, 1)
                log.info("system.ready", web=web_url, seconds=seconds)
                return
        except URLError as error:
            missing = error.read().decode() if hasattr(error, "read") else str(error.reason)
        except OSError as error:
            missing = str(error)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            log.warning("system.not_ready", missing=missing)
