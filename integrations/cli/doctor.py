"""`llmasos doctor`: looks at every part and says how to mend what is broken."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import typer

from integrations.cli.console import Json, print_json, settings
from llmasos.errors import HomeNotWritable, LLMasOSError
from llmasos.packages import check_packages
from llmasos.settings import Settings


@dataclass(frozen=True)
class Finding:
    """What was found of one part. problem: None when it is well, else what and how to mend it."""

    part: str
    problem: str | None
    detail: str = ""


def command(context: typer.Context, as_json: Json = False) -> None:
    """Check every part and say how to mend what is broken. Exits 1 when something is."""
    findings = list(examine(settings(context)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for found in findings:
            mark = "✗" if found.problem else "✓"
            typer.echo(f"{mark} {found.part:<10} {found.problem or found.detail}")
    if any(found.problem for found in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at every part, the ones that others stand on first."""
    yield _look("packages", _packages)
    yield _look("home", lambda: _home(settings))
    yield _look("models", lambda: _models(settings))
    yield _look("agents", lambda: _agents(settings))
    yield _look("sandbox", _sandbox)
    yield _look("webhooks", lambda: _webhooks(settings))
    yield _look("slack", lambda: _slack(settings))
    yield from _running(settings)


def _look(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, None, look())
    except LLMasOSError as error:
        return Finding(part, str(error))


def _packages() -> str:
    check_packages()
    return "all five are ours"


def _home(settings: Settings) -> str:
    probe = settings.home / ".probe"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise HomeNotWritable(str(settings.home), error.strerror or str(error)) from error
    free = os.statvfs(settings.home)
    return f"{settings.home} ({free.f_bavail * free.f_frsize / 2**30:.0f} GiB free)"


def _models(settings: Settings) -> str:
    from integrations.up import require_models  # late: only what is asked for is loaded

    wanted = require_models(settings)
    return ", ".join(wanted) or "none is needed: other servers are named"


def _agents(settings: Settings) -> str:
    from agents.catalog import load_catalog

    return ", ".join(load_catalog(settings).names())


def _sandbox() -> str:
    from llmasos.errors import SandboxUnavailable
    from llmasos.sandbox import Sandbox

    reason = Sandbox().available()
    if reason:
        raise SandboxUnavailable(f"generated code will be returned untested: {reason}")
    return "generated code runs in bubblewrap"


def _webhooks(settings: Settings) -> str:
    from agents.catalog import load_catalog
    from integrations.webhooks.hooks import load_hooks

    load_hooks(settings, load_catalog(settings))
    return ", ".join(hook.name for hook in settings.webhooks) or "none"


def _slack(settings: Settings) -> str:
    if not settings.slack.on:
        return "not set up: no bot token (slack.bot_token)"
    from integrations.slack.calls import try_tokens

    who = try_tokens(settings.slack)
    way = "Socket Mode" if settings.slack.app_token else "signed HTTP events"
    if not settings.slack.app_token and not settings.slack.signing_secret:
        way = "answers only: no app token or signing secret is set"
    return f"{who.user} in {who.team}, {way}" if who else f"several workspaces, {way}"


def _running(settings: Settings) -> Iterator[Finding]:
    from integrations.app import compose

    try:
        doors = compose(settings)
    except LLMasOSError as error:
        yield Finding("system", str(error))
        return
    try:
        for part, problem in doors.checks().items():
            yield Finding(part, problem, "answers")
        yield Finding("queues", " ".join(doors.warnings()) or None, "each is served")
    finally:
        doors.close()
