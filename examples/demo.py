"""`make demo`: the whole product once, on real parts, in a scratch folder that it removes.

Starts a system of its own on free ports, lets it read this project's documentation, and asks it
through three doors: a signed webhook, Slack (a stand-in on this machine), and the command line.
Start reading at `main`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from integrations.webhooks.generic import sign
from llmasos import system
from llmasos.testing.slack import SlackStandIn

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "integrations.cli.main"]
SECRET = "a-secret-for-this-demo-only"
READY_SECONDS = 90.0
ANSWER_SECONDS = 90.0

CONFIGURATION = f"""
[web]
port = 0

[agents.customer_service]
knowledge = ["help-center"]

[slack]
bot_token = "{{slack.bot_token}}"
app_token = "{{slack.app_token}}"
api_url = "{{slack.api_url}}"

[[webhooks]]
name = "support-form"
secret = "{SECRET}"
agent = "customer_service"
prompt = "{{{{{{{{ body.question }}}}}}}}"
"""


def main() -> None:
    """Run the demo; any failure ends it with a message and a non-zero exit code."""
    begun = time.monotonic()
    models = Path(os.environ.get("LLMASOS_HOME", PROJECT / ".llmasos")).resolve() / "models"
    with scratch(models) as folder, SlackStandIn() as slack:
        (folder / "llmasos.toml").write_text(CONFIGURATION.format(slack=slack))
        with running(folder) as web:
            say(f"The system is up at {web} after {time.monotonic() - begun:.1f} s.")
            add_documents(folder)
            ask_by_webhook(web, "How often is a failed job tried again?")
            ask_in_slack(web, slack, "How do I connect my Slack workspace?")
            ask_on_the_command_line(folder, "What does LLMasOS cost per month?")
            write_code(web, slack)
    say(f"Everything is stopped and removed. All of it took {time.monotonic() - begun:.1f} s.")


@contextmanager
def scratch(models: Path) -> Iterator[Path]:
    """A folder with a home in it that has the models and nothing else."""
    folder = Path(tempfile.mkdtemp(prefix="llmasos-demo-"))
    try:
        (folder / ".llmasos").mkdir()
        (folder / ".llmasos" / "models").symlink_to(models)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """`llmasos up` in that folder; gives the web address once every part answers."""
    log = folder / "up.log"
    with log.open("w") as lines:
        process = subprocess.Popen(
            [*COMMAND, "up"], cwd=folder, env=environment(), stderr=lines, stdout=lines
        )
    try:
        yield wait_until_ready(folder, process, log)
    except BaseException:
        print(log.read_text()[-6000:], file=sys.stderr)
        raise
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=40)
    if process.returncode != 0:
        sys.exit(f"`llmasos up` ended with {process.returncode}:\n{log.read_text()[-6000:]}")


def environment() -> dict[str, str]:
    """Ours without any setting of LLMasOS: the demo has its own."""
    return {name: text for name, text in os.environ.items() if not name.startswith("LLMASOS_")}


def wait_until_ready(folder: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until `/readyz` says that all parts answer."""

    def ready() -> str | None:
        if process.poll() is not None:
            sys.exit(f"`llmasos up` ended with {process.returncode}:\n{log.read_text()[-6000:]}")
        found = system.find(folder / ".llmasos")
        if found is None or found.web_url is None:
            return None
        try:
            answer = httpx.get(f"{found.web_url}/readyz", timeout=5.0)
        except httpx.TransportError:
            return None
        return found.web_url if answer.status_code == 200 else None

    return wait_for(ready, READY_SECONDS, "the system to be ready")


def wait_for(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """Wait until the condition gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found is not None:
            return found
        time.sleep(0.1)
    sys.exit(f"Waited {seconds:.0f} s in vain for {what}.")


def add_documents(folder: Path) -> None:
    """Let it read the project's own documentation."""
    docs = str(PROJECT / "docs")
    say("llmasos knowledge add help-center docs/")
    run(folder, "knowledge", "add", "help-center", docs, stderr=None)


def ask_by_webhook(web: str, question: str) -> None:
    """A system posts a signed webhook, and follows its job's events."""
    heading("Webhook", f"POST /hooks/support-form: {question}")
    body = json.dumps({"question": question}).encode()
    posted = time.monotonic()
    headers = {"X-Llmasos-Signature": sign(SECRET, body, time.time())}
    answer = httpx.post(f"{web}/hooks/support-form", content=body, headers=headers)
    accepted = time.monotonic() - posted
    answer.raise_for_status()
    job = answer.json()["id"]
    with httpx.stream("GET", f"{web}/v1/jobs/{job}/events", timeout=ANSWER_SECONDS) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                show_event(json.loads(line.removeprefix("data:")))
    print()
    show_job(web, job, accepted)


def show_event(event: dict[str, Any]) -> None:
    """Show an event as it comes."""
    if event["kind"] == "status":
        print(f"  … {event['text']}")
    elif event["kind"] == "token":
        print(event["text"], end="", flush=True)


def ask_in_slack(web: str, slack: SlackStandIn, question: str) -> None:
    """A person writes to the bot in a direct message, then asks on in the thread."""
    heading("Slack", f"direct message: {question}")
    slack.wait(lambda: slack.connections, seconds=30)
    follow_slack(web, slack, slack.dm(question))


def write_code(web: str, slack: SlackStandIn) -> None:
    """A person asks for code in a channel; it is run in the sandbox before it is shown."""
    question = "code_generation: Write a function add(a, b) that adds two numbers. add(2, 3) == 5"
    heading("Slack", f"#general, @bot {question}")
    follow_slack(web, slack, slack.say("C0GENERAL", question), channel="C0GENERAL")


def follow_slack(web: str, slack: SlackStandIn, ts: str, channel: str | None = None) -> None:
    """Show the bot's message as it grows, until it is final."""
    place = channel or slack.im()
    deadline = time.monotonic() + ANSWER_SECONDS
    shown = ""
    while time.monotonic() < deadline:
        final = slack.answers(place, ts)
        latest = final or slack.answers(place, ts, final=False)
        seen = latest[-1].shown if latest else ""
        if seen != shown:
            grown = seen.removeprefix(shown) if seen.startswith(shown) else f"\n{seen}"
            print(grown, end="", flush=True)
            shown = seen
        if final:
            print(f"\n{final[-1].small_print}".rstrip())
            show_job(web, final[-1].payload["job"], acknowledged(slack, ts), sources=False)
            return
        time.sleep(0.05)
    sys.exit(f"No answer in Slack after {ANSWER_SECONDS:.0f} s.")


def acknowledged(slack: SlackStandIn, ts: str) -> float:
    """How long Slack waited for the acknowledgement of a message, in seconds."""
    waited = [s for each in slack.deliveries if each.event.get("ts") == ts for s in each.seconds]
    return max(waited)


def ask_on_the_command_line(folder: Path, question: str) -> None:
    """A person asks in a terminal. The documentation does not answer this one."""
    heading("Terminal", f"llmasos ask {question!r}")
    begun = time.monotonic()
    print(run(folder, "ask", question, "--agent", "customer_service").strip())
    print(f"  the whole command took {time.monotonic() - begun:.2f} s")


def run(folder: Path, *words: str, stderr: int | None = subprocess.PIPE) -> str:
    """Run a command of ours in the demo's folder; its standard output."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    if done.returncode != 0:
        sys.exit(f"`llmasos {words[0]}` ended with {done.returncode}: {done.stderr}")
    return done.stdout


def show_job(web: str, job_id: str, accepted: float, *, sources: bool = True) -> None:
    """The job's sources and timings."""
    job = httpx.get(f"{web}/v1/jobs/{job_id}").json()
    if job["status"] != "succeeded":
        sys.exit(f"The job {job_id} is {job['status']}: {job['error']}")
    for number, cited in enumerate(job["reply"]["citations"] if sources else [], start=1):
        print(f"  [{number}] {cited['title']} — {cited['source']}")
    first = job["usage"]["first_token_ms"]
    shown = {
        "accepted": accepted,
        "started": seconds(job["started_at"]) - seconds(job["created_at"]),
        "first token": first / 1000 if first is not None else None,
        "done": seconds(job["finished_at"]) - seconds(job["created_at"]),
    }
    print("  " + ", ".join(f"{k} {v:.3f} s" for k, v in shown.items() if v is not None))


def seconds(moment: str) -> float:
    """A time of the job JSON in seconds."""
    return datetime.fromisoformat(moment).timestamp()


def heading(door: str, text: str) -> None:
    """Begin a scene."""
    print(f"\n── {door} ── {text}")


def say(text: str) -> None:
    """Tell what happens."""
    print(f"• {text}", flush=True)


if __name__ == "__main__":
    main()
