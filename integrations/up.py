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
from dataclasses import replace
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import structlog

from agents.catalog import load_catalog
from integrations.supervisor import Part, Supervisor
from integrations.webhooks.hooks import load_hooks
from llmasos import logs, system
from llmasos.broker import valkey_command, valkey_url
from llmasos.database import Database, migrate
from llmasos.engine.library import ModelLibrary
from llmasos.errors import PortInUse, SettingsError
from llmasos.processes import free_port, port_taken
from llmasos.settings import Settings
from llmasos.system import System

log = structlog.get_logger()

BASE, WORK, EDGE = 0, 1, 2
"""Stages: what others stand on is stopped last."""


def run(settings: Settings, config: str | None) -> None:
    """Run the system until SIGINT or SIGTERM.

    config: the `--config` option, handed on to every part.
    Raises before anything has started: a UsageError when something is set up wrongly, ModelMissing
    when the engine's models have not been fetched.
    """
    logs.configure("up", settings.log_level, settings.log_format)
    with system.hold(settings.home):
        catalog = load_catalog(settings)
        load_hooks(settings, catalog)
        require_models(settings)
        _check_slack(settings)
        with Database(settings.state_url) as database:
            migrate(database)
        plan, running = _plan(settings, config)
        system.write(settings.home, running)

        def changed(pids: dict[str, int]) -> None:
            system.write(settings.home, replace(running, pids=pids))

        supervisor = Supervisor(plan, changed)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        ready = threading.Event()
        threading.Thread(target=_announce, args=(running.web_url, ready), daemon=True).start()
        log.info("system.starting", home=str(settings.home), parts=[part.name for part in plan])
        supervisor.run()
        ready.set()
        log.info("system.stopped")


def require_models(settings: Settings) -> list[str]:
    """The models that the embedded engine serves. Raises UnknownModel or ModelMissing."""
    wanted = [
        *([] if settings.llm.urls else [settings.llm.model]),
        *([] if settings.embedding.url else [settings.embedding.model]),
    ]
    library = ModelLibrary(settings.models_dir)
    for name in wanted:
        library.path(name)
    return wanted


def _check_slack(settings: Settings) -> None:
    """Say what is missing for a bot that hears and answers. Raises SettingsError."""
    slack = settings.slack
    heard = slack.app_token or slack.signing_secret
    if heard and not slack.bot_token:
        raise SettingsError(
            "slack.bot_token",
            "",
            "is not set, so the bot cannot answer: set LLMASOS_SLACK__BOT_TOKEN (xoxb-…), or "
            "remove the other tokens of [slack] to run without Slack",
        )
    if slack.bot_token and not heard:
        log.warning("slack.hears_nothing", set="slack.app_token or slack.signing_secret")


def _plan(settings: Settings, config: str | None) -> tuple[list[Part], System]:
    """The parts that these settings need, and where they will be found."""
    own = (sys.executable, "-m", "integrations.cli.main", *(("--config", config) if config else ()))
    parts: list[Part] = []
    running = System(pid=os.getpid())
    if not settings.broker_url or not system.addresses(settings).bus_url:
        port, password = free_port(), secrets.token_urlsafe(24)
        command = valkey_command(settings.home / "broker", port, password)
        parts.append(Part("broker", command, stage=BASE))
        url = valkey_url(port, password)
        running = replace(running, broker_url=url, bus_url=url)
    if not settings.llm.urls or not settings.embedding.url:
        port = _port(settings.engine.host, settings.engine.port, "engine.port")
        key = settings.engine.api_key
        secret = key.get_secret_value() if key else secrets.token_urlsafe(24)
        variables = {"LLMASOS_ENGINE__API_KEY": secret}
        parts.append(Part("engine", (*own, "engine", "--port", str(port)), variables, BASE))
        running = replace(
            running, engine_url=f"http://{settings.engine.host}:{port}", engine_key=secret
        )
    patience = settings.worker.drain_seconds + 3
    for number in range(1, settings.worker.processes + 1):
        parts.append(Part(f"worker-{number}", (*own, "worker"), stage=WORK, patience=patience))
    port = _port(settings.web.host, settings.web.port, "web.port")
    parts.append(Part("web", (*own, "web", "--port", str(port)), stage=EDGE))
    running = replace(running, web_url=f"http://{settings.web.host}:{port}")
    if settings.slack.bot_token and settings.slack.app_token:
        parts.append(Part("slack", (*own, "slack", "run"), stage=EDGE))
    return parts, running


def _port(host: str, port: int, setting: str) -> int:
    """The port to listen on: the one that is set, if it is free, else any free one."""
    if port == 0:
        return free_port(host)
    if port_taken(host, port):
        raise PortInUse(host, port, setting)
    return port


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
