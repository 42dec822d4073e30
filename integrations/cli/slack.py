"""`llmasos slack`: the Slack bot, the manifest to create its app with, and a doctor for it."""

import json
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlsplit

import typer

from integrations.cli.console import Json, note, print_json, settings
from llmasos.errors import SettingsError, UsageError
from llmasos.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

PATH = "/slack/events"
INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"


@app.command("manifest")
def show_manifest(
    context: typer.Context,
    http: Annotated[
        str | None,
        typer.Option(help="Take events over HTTP at this public address (https://…)."),
    ] = None,
    socket: Annotated[
        bool, typer.Option("--socket", help="Take events over Socket Mode, whatever is set.")
    ] = False,
    install: Annotated[
        str | None,
        typer.Option(help="Let several workspaces add the app at this public address (https://…)."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the bot is called (35 characters).")] = "LLMasOS",
) -> None:
    """Print the manifest (JSON): paste it at https://api.slack.com/apps, `From a manifest`."""
    if socket and http:
        raise UsageError("--socket and --http exclude each other: an app takes events one way.")
    if not 1 <= len(name) <= 35:
        raise UsageError(f"--name has {len(name)} characters; Slack allows 1 to 35.")
    chosen = settings(context)
    if not (socket or http or chosen.slack.app_token) and chosen.slack.signing_secret:
        raise UsageError(
            "A signing secret and no app token are set, so events come over HTTP: say where with "
            "--http https://YOUR-HOST, or choose --socket."
        )
    install = install or (http if chosen.slack.client_id else None)
    if chosen.slack.client_id and install is None:
        raise UsageError(
            "A client id is set, so workspaces add the app: say where with --install "
            "https://YOUR-HOST."
        )
    url = _public(http, PATH, "--http") if http else None
    redirect = _public(install, REDIRECT, "--install") if install else None

    from agents.catalog import load_catalog  # late: agents need LangChain
    from integrations.slack.manifest import Wanted, first_examples, manifest

    prompts = first_examples(load_catalog(chosen))
    made = manifest(Wanted(name, prompts, chosen.slack.commands, url, redirect))
    typer.echo(json.dumps(made, ensure_ascii=False, indent=2))
    _say_what_follows(url, redirect)


def _say_what_follows(url: str | None, redirect: str | None) -> None:
    if redirect is None:
        first = "install the app, set LLMASOS_SLACK__BOT_TOKEN (OAuth & Permissions)"
    else:
        first = (
            "set LLMASOS_SLACK__CLIENT_ID and LLMASOS_SLACK__CLIENT_SECRET (Basic Information), "
            "name the workspaces in [slack.workspaces.ID]"
        )
    second = (
        "LLMASOS_SLACK__APP_TOKEN (Basic Information, App-Level Tokens, connections:write)"
        if url is None
        else "LLMASOS_SLACK__SIGNING_SECRET (Basic Information)"
    )
    last = ""
    if redirect is not None:
        last = f" Each workspace then adds the app at {redirect.removesuffix(REDIRECT)}{INSTALL}"
    note(f"Then: {first}, and {second}.{last}")


def _public(given: str, path: str, option: str) -> str:
    """The address of one of our routes on a public host."""
    parts = urlsplit(given)
    if parts.scheme != "https" or not parts.hostname:
        raise UsageError(
            f"{option} {given}: Slack needs a public address that begins with https://"
        )
    before = parts.path.rstrip("/")
    for known in (PATH, REDIRECT, INSTALL):
        before = before.removesuffix(known)
    return f"https://{parts.netloc}{before}{path}"


@app.command()
def doctor(
    context: typer.Context,
    channel: Annotated[
        str | None,
        typer.Option(
            help="Post a message in this channel (its id; T0123/C0123 in one of several "
            "workspaces), read and delete it."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check Slack's side, and say how to mend what is broken. Exits 1 when something is."""
    chosen = settings(context)

    from agents.catalog import load_catalog  # late: agents need LangChain
    from integrations.slack.doctor import examine
    from integrations.slack.installations import installations_of
    from llmasos.database import Database

    with Database(chosen.state_url) as database:
        agents = load_catalog(chosen).names()
        findings = list(examine(chosen, agents, channel, installations_of(chosen.slack, database)))
    if as_json:
        print_json([asdict(found) for found in findings])
    else:
        for found in findings:
            mark = "✗" if found.problem else "✓"
            typer.echo(f"{mark} {found.check:<18} {found.problem or found.detail}")
    if any(found.problem for found in findings):
        raise typer.Exit(1)


@app.command("run")
def run_bot(context: typer.Context) -> None:
    """Run the bot in Socket Mode until Ctrl-C or SIGTERM."""
    chosen = settings(context)
    _require_tokens(chosen)

    from integrations.app import compose  # late: `--help` must not wait for them
    from integrations.slack.doors import desk_of
    from integrations.slack.socket_mode import run
    from llmasos import logs

    logs.configure("slack", chosen.log_level, chosen.log_format)
    doors = compose(chosen)
    try:
        run(chosen.slack, desk_of(doors))
    finally:
        doors.close()


def _require_tokens(chosen: Settings) -> None:
    """Say what is missing before anything is started."""
    if not chosen.slack.on:
        raise SettingsError(
            "slack.bot_token",
            "",
            "is not set: `llmasos slack manifest` makes the app; its bot token (xoxb-…) goes into "
            "LLMASOS_SLACK__BOT_TOKEN",
        )
    if chosen.slack.app_token is None:
        raise SettingsError(
            "slack.app_token",
            "",
            "is not set: Socket Mode needs it (xapp-…, LLMASOS_SLACK__APP_TOKEN). With a signing "
            "secret instead, `llmasos web` takes Slack's events and this command is not needed",
        )
