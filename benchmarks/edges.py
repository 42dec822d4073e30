"""How soon Slack is answered: an event by its 200, a person by the first text.

A Slack of its own sends signed HTTP events to `llmasos up`.

- Event → 200, by when its job is stored, at a steady pace and with workers that are busy with what
  came before. A mention is two events and one job. The stand-in shares the machine with all of the
  system. Slack waits three seconds; goal: 99 of 100 within 0.2 s.
- Message → first text that Slack accepts, in a direct message, with an agent that needs no model:
  what is our own share of the wait. Goal: half of them within 60 ms.

    python benchmarks/edges.py [--rate 100] [--seconds 20] [--rounds 15]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

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
CONFIGURATION = """
agents = ["./our_agents.py"]
[web]
port = 0
[llm]
urls = ["{model.url}"]
[embedding]
url = "{model.url}"
[slack]
bot_token = "{slack.bot_token}"
signing_secret = "{slack.signing_secret}"
api_url = "{slack.api_url}"
"""


def main() -> None:
    options = _options()
    model = ModelServer("stand-in", "tgi", 0)
    try:
        with tempfile.TemporaryDirectory() as scratch, SlackStandIn() as slack:
            folder = Path(scratch)
            (folder / "our_agents.py").write_text(AGENTS)
            (folder / "llmasos.toml").write_text(CONFIGURATION.format(model=model, slack=slack))
            with running(folder):
                slack.send_events_to(f"{found(folder / '.llmasos').web_url}/slack/events")
                figures = _first_texts(slack, options.rounds)
                figures |= _events(slack, options.rate, options.seconds)
    finally:
        model.kill()
    print(json.dumps(figures, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=15, help="Slack takes 20 streams a minute")
    return parser.parse_args()


def _first_texts(slack: SlackStandIn, rounds: int) -> dict[str, object]:
    """One message after another, each in a conversation of its own."""
    waits = []
    for number in range(rounds + WARM_UP):
        before, began = len(slack.calls), time.monotonic()
        ts = slack.dm(f"prompt: {number}")
        slack.wait(lambda ts=ts: slack.answers(slack.im(), ts), seconds=60)
        calls = slack.calls[before:]
        waits.append(min(c.at for c in calls if "Here you" in str(c.arguments)) - began)
    waits = sorted(waits[WARM_UP:])
    return {
        "message_to_first_text_p50_ms": _ms(statistics.median(waits)),
        "message_to_first_text_p95_ms": _ms(_percentile(waits, 0.95)),
        "text_goal": f"p50 <= {GOAL_TEXT * 1000:.0f}",
    }


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
