"""`llmasos init`: the files that a new installation starts from."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import note
from llmasos.errors import HomeNotWritable, UsageError

CONFIGURATION = """\
# LLMasOS: settings of this installation. `llmasos settings` prints all that are in force.
# Each can also come from the environment: LLMASOS_WEB__PORT is `port` in [web].

# home = ".llmasos"                # models, knowledge and state

[agents]
load = ["./my_agents/"]            # agents of your own: a file, a folder, or "module:name"

# [agents.customer_service]        # changes to an agent that is there already
# knowledge = ["help-center"]

# [llm]
# urls = ["http://gpu-1:8080"]     # Text Generation Inference; without it the embedded engine

# [slack]                          # `llmasos slack manifest` makes the app to create
# bot_token = "env:SLACK_BOT_TOKEN"
# app_token = "env:SLACK_APP_TOKEN"
# default_agent = "auto"
# [slack.channels.C0123]
# agent = "writing"

[[webhooks]]
name = "support-form"              # POST /hooks/support-form
secret = "{secret}"
agent = "customer_service"
prompt = "{{{{ body.subject }}}}\\n\\n{{{{ body.message }}}}"
# when = "body.kind == 'question'"
# reply_to = ["slack:C0123"]
"""

AGENT = '''\
"""A sample agent: change it, or put others beside it."""

from llmasos import Agent

assistant = Agent(
    name="assistant",
    description="Explains things in plain words.",
    instructions="You explain things in plain words, in three sentences at most.",
    examples=["What is a message broker?"],
)
'''


def command(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")] = Path(),
) -> None:
    """Write a commented llmasos.toml, a sample agent and a secret."""
    configuration = folder / "llmasos.toml"
    agent = folder / "my_agents" / "assistant.py"
    if configuration.exists():
        raise UsageError(f"{configuration} is there already; nothing was touched.")
    try:
        agent.parent.mkdir(parents=True, exist_ok=True)
        _write_private(configuration, CONFIGURATION.format(secret=secrets.token_urlsafe(32)))
        if not agent.exists():
            agent.write_text(AGENT, encoding="utf-8")
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text(".llmasos/\nllmasos.toml\n", encoding="utf-8")
    except OSError as error:
        raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
    note(f"Wrote {configuration} (it holds a webhook's secret: only you can read it) and {agent}.")
    note("Next: llmasos knowledge add help-center PATH, then llmasos up")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
