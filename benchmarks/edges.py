"""How soon Slack is answered: an event by its 200, a person by the first text.

A Slack of its own sends signed HTTP events to `llmasos up`.

- Event → 200, by when its job is stored, at a steady pace and with workers that are busy with what
  came before. A mention is two events and one job. The stand-in shares the machine with all of the
  system. Slack waits three seconds; goal: 99 of 100 within 0.2 s.
- Message → first text that Slack accepts, in a direct message, with an agent that needs no model:
  what is our own share of the wait, while nothing else goes on (goal: half of them within 60 ms)
  and while those events come in.
- The same with the embedded model (`--model`): an agent that streams, and customer service.

    python benchmarks/edges.py [--rate 100] [--seconds 20] [--rounds 10] [--model]
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from upped import found, running

from llmasos.testing.model_server import ModelServer
from llmasos.testing.slack import SlackStandIn

GOAL_EVENT, GOAL_TEXT = 0.2, 0.06
CHANNELS = 50
WARM_UP = 3
"""Messages that are not counted: they open connections."""
AGENTS = """
import time
from llmasos import agent

@agent("counter", "Counts slowly.")
def counter(turn):
    for number in range(5):
        yield f"{number} "
        time.sleep(0.05)

@agent("prompt", "Answers at once.")
def prompt(turn):
    yield "Here you are. "
    time.sleep(0.2)
    yield "That is all."
"""
STAND_IN = """
[llm]
urls = ["{model.url}"]
[embedding]
url = "{model.url}"
"""
CONFIGURATION = """
agents = ["./our_agents.py"]
[web]
port = 0
[slack]
bot_token = "{slack.bot_token}"
signing_secret = "{slack.signing_secret}"
api_url = "{slack.api_url}"
"""


PAGES = {
    "refunds.md": "# Refunds\n\nA refund takes 14 days. It is paid to the card that was charged.",
    "shipping.md": "# Shipping\n\nParcels arrive within 3 days, express ones the next day.",
}
ASKED = {
    "writing": "writing: Write two sentences about the sea.",
    "customer_service": "customer_service: How long does a refund take?",
}


def main() -> None:
    options = _options()
    model = ModelServer("stand-in", "tgi", 0)
    try:
        with _system(STAND_IN.format(model=model)) as (slack, _):
            figures = _first_texts(slack, options.rounds, "message_to_first_text")
            figures["text_goal"] = f"p50 <= {GOAL_TEXT * 1000:.0f}"
            figures |= _both(slack, options)
    finally:
        model.kill()
    if options.model:
        figures |= _with_model(options.rounds)
    print(json.dumps(figures, indent=2))


@contextmanager
def _system(more: str) -> Iterator[tuple[SlackStandIn, str]]:
    """Slack, the system behind it, and that one's address. more: of its configuration."""
    with tempfile.TemporaryDirectory() as scratch, SlackStandIn() as slack:
        folder = Path(scratch)
        (folder / "our_agents.py").write_text(AGENTS)
        (folder / "llmasos.toml").write_text(CONFIGURATION.format(slack=slack) + more)
        with running(folder):
            url = found(folder / ".llmasos").web_url
            slack.send_events_to(f"{url}/slack/events")
            yield slack, str(url)


def _both(slack: SlackStandIn, options: argparse.Namespace) -> dict[str, object]:
    """Events, and first texts while they come in."""
    figures: dict[str, object] = {}

    def ask() -> None:
        figures.update(_first_texts(slack, options.rounds, "at_load", "U0BEN"))

    asking = threading.Thread(target=ask)
    asking.start()
    figures.update(_events(slack, options.rate, options.seconds))
    asking.join()
    return figures


def _with_model(rounds: int) -> dict[str, object]:
    """First texts of the embedded model."""
    figures: dict[str, object] = {}
    with _system("") as (slack, url):
        for name, text in PAGES.items():
            answer = httpx.post(
                f"{url}/v1/knowledge/help-center/documents",
                files={"file": (name, text.encode())},
                timeout=120,
            )
            answer.raise_for_status()
        for agent, text in ASKED.items():
            figures |= _first_texts(slack, rounds, agent, asked=lambda _, text=text: text)
    return figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=10, help="Slack takes 20 streams a minute")
    parser.add_argument("--model", action="store_true", help="ask the embedded model, too")
    return parser.parse_args()


def _first_texts(
    slack: SlackStandIn,
    rounds: int,
    named: str,
    user: str = "U0ANN",
    asked: Callable[[int], str] = "prompt: {}".format,
) -> dict[str, object]:
    """One message after another, each in a conversation of its own."""
    waits, place = [], slack.im(user)
    for number in range(rounds + WARM_UP):
        before, began = len(slack.calls), time.monotonic()
        ts = slack.dm(asked(number), user)
        slack.wait(lambda ts=ts: slack.answers(place, ts), seconds=120)
        waits.append(_first_text(slack, before, place, ts) - began)
    waits = sorted(waits[WARM_UP:])
    return {
        f"{named}_p50_ms": _ms(statistics.median(waits)),
        f"{named}_p95_ms": _ms(_percentile(waits, 0.95)),
    }


def _first_text(slack: SlackStandIn, before: int, place: str, ts: str) -> float:
    """When the first call came that brought an answer's text."""
    ours = {message.ts for message in slack.answers(place, ts)}
    for call in slack.calls[before:]:
        told = call.arguments
        blocks = told.get("blocks") or ()
        text = told.get("markdown_text") or any(b.get("type") == "markdown" for b in blocks)
        if text and (told.get("thread_ts") == ts or told.get("ts") in ours):
            return call.at
    raise LookupError("an answer came without any text")


def _events(slack: SlackStandIn, rate: float, seconds: float) -> dict[str, object]:
    """Mentions at a steady pace; each is two events."""
    before = len(slack.deliveries)
    pause, following = 2 / rate, time.monotonic()
    for number in range(int(rate / 2 * seconds)):
        time.sleep(max(0.0, following - time.monotonic()))
        following += pause
        slack.say(f"C{number % CHANNELS}", f"counter: {number}")
    sent = [each for each in slack.deliveries[before:] if each.event.get("user") == "U0ANN"]
    slack.wait(lambda: all(each.acknowledged or each.given_up for each in sent), seconds=60)
    took = sorted(each.seconds[0] for each in sent if each.acknowledged)
    lost = len(sent) - len(took)
    if lost:
        print(f"{lost} events were not acknowledged", file=sys.stderr)
    return {
        "events": len(sent),
        "events_not_acknowledged": lost,
        "events_per_second": rate,
        "event_to_200_p50_ms": _ms(statistics.median(took)),
        "event_to_200_p99_ms": _ms(_percentile(took, 0.99)),
        "event_goal": f"p99 <= {GOAL_EVENT * 1000:.0f}",
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    main()
