"""A storm: jobs from Slack and webhooks while every part is killed and hung at random.

Runs `llmasos up` with a Slack of its own that sends signed HTTP events, some of them twice, and
senders of signed webhooks that repeat themselves; kills, hangs and breaks parts all the while
(`weather.py`); then waits for calm and counts. Goals: no job lost, doubled or stuck. Lost: taken
and never answered. Doubled: a second answer in a Slack thread, a second job of one webhook, or two
different callbacks for it; a callback that is sent again bears the same `webhook-id` and counts as
repeated. Stuck: a job that is not at its end. An answer of the model may also be a plain word that
it failed, when the engine was away for longer than a job waits for it; those are counted apart.

    python benchmarks/storm.py [--jobs 500] [--seconds 60] [--seed N] [--broker URL]
        [--database URL] [--engine URL --engine-key KEY] [--spare PART …]
        [--keep FOLDER]

Without --engine the embedded one runs and is killed too; a broker or database that is named is not
ours to kill. The database must be empty.
"""

import argparse
import json
import random
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, or_, select
from standardwebhooks.webhooks import Webhook
from upped import found, running
from weather import Weather

from integrations.webhooks.generic import sign
from llmasos.database import Database
from llmasos.tables import jobs
from llmasos.testing.slack import SlackStandIn
from llmasos.testing.slack.delivery import Delivery

SECRET = "the-secret-of-the-storm"
SHARE_OF_HOOKS, SHARE_OF_MODEL, SHARE_REPEATED, SHARE_REFUSED = 0.4, 0.04, 0.2, 0.05
PATIENCE = 600.0
"""Seconds after the storm until an answer that has not come is lost."""
CALM = 3.0
"""Seconds that are watched after the last answer for one too many."""
REDELIVERIES = (1.0, 8.0, 30.0, 60.0)
"""Seconds before Slack sends an event again; Slack's own go on for six minutes."""

AGENTS = """
import random
import time
from llmasos import Agent, Options, agent

@agent("counter", "Says a number slowly.")
def counter(turn):
    yield "answer "
    time.sleep(random.uniform(0, 0.6))
    yield turn.text.split()[-1]

thinker = Agent(
    name="thinker",
    description="Thinks.",
    instructions="Answer in one short sentence.",
    options=Options(max_new_tokens=24),
)
"""
CONFIGURATION = """
agents = ["./storm_agents.py"]
{top}
[web]
port = 0
[worker]
processes = 2
lease_seconds = 2
[slack]
bot_token = "{slack.bot_token}"
signing_secret = "{slack.signing_secret}"
api_url = "{slack.api_url}"
update_interval = 0.5
[callbacks]
secret = "{secret}"
allow_private = true
[[webhooks]]
name = "storm"
secret = "{secret}"
agent = "counter"
reply_to = ["{callback}"]
{engine}
"""


@dataclass
class Question:
    """One thing that was asked, and what is known of its answer."""

    number: int
    text: str | None
    """What the answer must be; None: anything."""
    place: tuple[str, str] | None
    """Channel and timestamp in Slack; None: a webhook."""
    asked: float = field(default_factory=time.monotonic)
    answered: float | None = None
    jobs: set[str] = field(default_factory=set)
    """The jobs that a webhook was told of."""


def main() -> None:
    options = _options()
    print(f"seed {options.seed}", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="llmasos-storm-") as scratch,
        SlackStandIn() as slack,
        Receiver(random.Random(options.seed)) as receiver,
    ):
        folder = Path(options.keep or scratch)
        _lay_out(folder, options, slack, receiver)
        with running(folder):
            storm = Storm(folder / ".llmasos", options, slack, receiver)
            storm.run()
            state = options.database or f"sqlite:///{folder}/.llmasos/state.db"
            figures = {**storm.figures(), **_stuck(state)}
    print(json.dumps(figures, indent=2))
    extra = figures["jobs_stored"] > figures["jobs"]
    if extra or any(figures[name] for name in ("lost", "doubled", "stuck", "wrong")):
        sys.exit(f"The storm did harm. Again: --seed {options.seed}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--broker")
    parser.add_argument("--database")
    parser.add_argument("--engine")
    parser.add_argument("--engine-key", default="")
    parser.add_argument("--spare", nargs="*", default=[], help="parts that are not struck")
    parser.add_argument("--keep", help="the folder to work in, left as it is")
    return parser.parse_args()


def _lay_out(
    folder: Path, options: argparse.Namespace, slack: SlackStandIn, receiver: "Receiver"
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "storm_agents.py").write_text(AGENTS)
    top = {"broker_url": options.broker, "database_url": options.database}
    engine = f'url = "{options.engine}"\napi_key = "{options.engine_key}"'
    lines = CONFIGURATION.format(
        top="\n".join(f'{name} = "{url}"' for name, url in top.items() if url),
        slack=slack,
        secret=SECRET,
        callback=receiver.url,
        engine=f"[llm]\n{engine.replace('url', 'urls', 1)}\n[embedding]\n{engine}"
        if options.engine
        else "",
    )
    (folder / "llmasos.toml").write_text(lines)


class Receiver:
    """Where callbacks go; it turns some away, and keeps all that it took. A context manager."""

    def __init__(self, chance: random.Random) -> None:
        self.taken: dict[str, list[str]] = defaultdict(list)
        """The answers that came, by `webhook-id`."""
        checked, took, lock = Webhook(SECRET.encode()), self.taken, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            """Takes one callback."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                said = checked.verify(body, dict(self.headers))
                with lock:
                    refused = chance.random() < SHARE_REFUSED
                    if not refused:
                        reply = said["data"]["reply"]
                        took[self.headers["webhook-id"]].append(reply["text"] if reply else "")
                self.send_response(503 if refused else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answers"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Storm:
    """The questions, the weather, and what came of both."""

    def __init__(
        self, home: Path, options: argparse.Namespace, slack: SlackStandIn, receiver: Receiver
    ) -> None:
        self._options, self._slack, self._receiver = options, slack, receiver
        self._chance = random.Random(options.seed)
        self._web = str(found(home).web_url)
        self._weather = Weather(
            random.Random(options.seed), lambda: found(home).pids, slack, options.spare
        )
        self._questions: list[Question] = []
        self._seconds = 0.0

    def run(self) -> None:
        """Ask everything while the weather blows, and wait for the answers."""
        began = time.monotonic()
        self._slack.redeliver_after(*REDELIVERIES)
        self._slack.send_events_to(f"{self._web}/slack/events")
        seconds = self._options.seconds
        blowing = threading.Thread(target=self._weather.blow, args=(seconds,))
        asking = threading.Thread(target=self._ask_all)
        blowing.start()
        asking.start()
        give_up = began + seconds + PATIENCE
        while blowing.is_alive() or asking.is_alive() or self._open():
            self._look()
            if time.monotonic() > give_up:
                break
            time.sleep(0.05)
        self._seconds = time.monotonic() - began
        time.sleep(CALM)

    def _ask_all(self) -> None:
        with ThreadPoolExecutor(16) as senders:
            for number in range(self._options.jobs):
                if self._chance.random() < SHARE_OF_HOOKS:
                    repeats = self._chance.random() < SHARE_REPEATED
                    senders.submit(self._post, number, repeats)
                else:
                    self._say(number)
                time.sleep(self._chance.expovariate(self._options.jobs / self._options.seconds))

    def _say(self, number: int) -> None:
        """A person writes in a channel, or to the bot alone."""
        thinks = self._chance.random() < SHARE_OF_MODEL
        text = f"thinker: Why is {number} odd or even?" if thinks else f"counter: {number}"
        if self._chance.random() < 0.5:
            channel = f"C{number % 20}"
            ts = self._slack.say(channel, text)
        else:
            user = f"U{number % 20}"
            channel, ts = self._slack.im(user), self._slack.dm(text, user)
        asked = Question(number, None if thinks else f"answer {number}", (channel, ts))
        self._questions.append(asked)
        if self._chance.random() < SHARE_REPEATED:
            (event, *_) = [each.event for each in self._slack.deliveries if _about(each, ts)]
            self._slack.send_event(event)

    def _post(self, number: int, repeats: bool) -> None:
        """A machine posts a webhook until it is taken, perhaps once more than it should."""
        asked = Question(number, f"answer {number}", None)
        self._questions.append(asked)
        body = json.dumps({"text": str(number)}).encode()
        for _ in range(2 if repeats else 1):
            while (answer := self._post_once(number, body)) is None:
                time.sleep(0.5)
            asked.jobs.add(str(answer["id"]))

    def _post_once(self, number: int, body: bytes) -> Any:
        signature = sign(SECRET, body, time.time())
        headers = {"X-Llmasos-Signature": signature, "Idempotency-Key": f"storm-{number}"}
        try:
            said = httpx.post(f"{self._web}/hooks/storm", content=body, headers=headers, timeout=5)
        except httpx.TransportError:
            return None
        if said.status_code >= 500:
            return None
        return said.raise_for_status().json()

    def _look(self) -> None:
        """See who has been answered."""
        for asked in list(self._questions):
            if asked.answered is None and self._answers(asked, final=True):
                asked.answered = time.monotonic()

    def _open(self) -> list[Question]:
        return [each for each in self._questions if each.answered is None and self._taken(each)]

    def _taken(self, asked: Question) -> bool:
        """Whether somebody was told that it arrived, or may still be."""
        if asked.place is None:
            return True
        _, ts = asked.place
        tries = [each for each in self._slack.deliveries if _about(each, ts)]
        return any(each.acknowledged or not each.given_up for each in tries)

    def _answers(self, asked: Question, *, final: bool) -> list[str]:
        if asked.place is not None:
            shown = self._slack.answers(*asked.place, final=final)
            return [each.shown.strip() for each in shown]
        return [text for job in asked.jobs for text in self._receiver.taken.get(job, ())]

    def figures(self) -> dict[str, Any]:
        """What is to be told."""
        harm: Counter[str] = Counter()
        repeated = 0
        for asked in self._questions:
            said = self._answers(asked, final=False)
            if asked.place is None:
                repeated += max(0, len(said) - 1)
                harm["doubled"] += len(asked.jobs) > 1 or len(set(said)) > 1
            else:
                harm["doubled"] += len(said) > 1
            harm["lost"] += self._taken(asked) and asked.answered is None
            harm["untaken"] += not self._taken(asked) and asked.answered is None
            failed = any(text.startswith("⚠️") for text in said)
            harm["failed"] += failed and asked.text is None
            harm["wrong"] += bool(said) and asked.text not in (None, *said)
            self._tell(asked, said)
        waits = sorted(each.answered - each.asked for each in self._questions if each.answered)
        tries = [each.tries for each in self._slack.deliveries]
        return {
            "seed": self._options.seed,
            "jobs": len(self._questions),
            **{name: harm[name] for name in ("lost", "doubled", "wrong", "failed", "untaken")},
            "seconds": round(self._seconds, 1),
            "jobs_per_second": round(len(waits) / self._seconds, 1),
            "answered_p50_s": round(statistics.median(waits), 2),
            "answered_p95_s": round(waits[int(0.95 * len(waits))], 2),
            "events_delivered_again": sum(tries) - len(tries),
            "callbacks_repeated": repeated,
            "blows": dict(sorted(self._weather.blows.items())),
        }

    def _tell(self, asked: Question, said: list[str]) -> None:
        """Say what is amiss with a question."""
        right = len(set(said)) == 1 and (asked.text is None or said[0] == asked.text)
        if not right or (asked.place and len(said) > 1):
            print(f"amiss: {asked}, answers {said}", file=sys.stderr)


def _about(delivery: Delivery, ts: str) -> bool:
    return delivery.event.get("ts") == ts


def _stuck(url: str) -> dict[str, int]:
    """What the database says at the end: jobs, and those that are not at theirs."""
    with Database(url) as database, database.reading() as connection:
        every = connection.execute(select(func.count()).select_from(jobs)).scalar_one()
        at_work = or_(jobs.c.unsettled, jobs.c.due_at.is_not(None), jobs.c.finished_at.is_(None))
        stuck = connection.execute(select(jobs.c.id, jobs.c.status).where(at_work)).all()
    for row in stuck:
        print(f"stuck: {row}", file=sys.stderr)
    return {"jobs_stored": every, "stuck": len(stuck)}


if __name__ == "__main__":
    main()
