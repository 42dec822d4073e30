"""The whole system from one command: every door, and what becomes of answers in trouble."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.testing.slack import SlackStandIn

AGENTS = """
import time
from llmasos import Agent, Reply, agent

@agent("echo", "Says it again.")
def echo(turn):
    yield Reply(text=f"echo: {turn.text}")

@agent("slow", "Counts for three seconds.")
def slow(turn):
    for number in range(30):
        yield f"{number} "
        time.sleep(0.1)

plain = Agent(name="plain", description="Talks.", instructions="Be brief.")
"""
REFUNDS = """# Refunds

## How long does a refund take?

A refund takes 14 days from the day on which the parcel reaches our warehouse.

## Who pays for the way back?

We pay for the way back when the article was damaged.
"""


@pytest.fixture(scope="module")
def up(make_up: Callable[..., Any]) -> Iterator[Any]:
    """A system with two more agents and a help center of one page."""
    made = make_up(agents=AGENTS)
    made.start()
    made.ready()
    (made.folder / "refunds.md").write_text(REFUNDS)
    added = made.run("knowledge", "add", "help-center", "refunds.md")
    assert added.returncode == 0, added.stderr
    yield made
    made.stop()


def the_answer(slack: SlackStandIn, channel: str, ts: str) -> str:
    """The one final answer to a message; there must be no other message of ours."""
    slack.wait(lambda: slack.answers(channel, ts), seconds=60)
    (answer,) = slack.answers(channel, ts, final=False)
    return answer.shown


def test_an_agent_of_ones_own_answers_through_every_door(up: Any, slack: SlackStandIn) -> None:
    slack.wait(lambda: slack.connections, seconds=60)

    in_channel = slack.say("C1", "echo: one")
    alone = slack.dm("echo: two")
    over_http = up.ask("echo", "three")
    in_terminal = up.run("ask", "four", "--agent", "echo")

    assert the_answer(slack, "C1", in_channel) == "echo: one"
    assert the_answer(slack, slack.im(), alone) == "echo: two"
    assert over_http["reply"]["text"] == "echo: three"
    assert in_terminal.stdout == "echo: four\n"


def test_a_declared_agent_answers_with_the_embedded_model(up: Any) -> None:
    job = up.ask("plain", "Say hello.")

    assert job["status"] == "succeeded"
    assert job["reply"]["text"].strip()
    assert job["usage"]["completion_tokens"] > 0


def test_a_webhooks_question_is_answered_from_its_source(up: Any) -> None:
    job = up.post_hook("How long does a refund take?")

    (cited,) = job["reply"]["citations"]
    assert "14 days" in job["reply"]["text"]
    assert cited["source"].startswith("refunds.md")
    assert " ".join(cited["quote"].split()) in " ".join(REFUNDS.split())


def test_what_the_documents_do_not_hold_is_not_invented(up: Any) -> None:
    job = up.post_hook("Do you deliver to Australia on Sundays?")

    assert job["status"] == "succeeded"
    assert job["reply"]["handoff"]["to"] == "person"
    assert job["reply"]["citations"] == []


def test_an_answer_says_which_agent_was_chosen(up: Any, slack: SlackStandIn) -> None:
    ts = slack.dm("How long does a refund take?")

    slack.wait(lambda: slack.answers(slack.im(), ts), seconds=60)

    (answer,) = slack.answers(slack.im(), ts)
    assert "refunds.md" in answer.small_print
    assert "Answered by customer_service" in answer.small_print


def test_a_follow_up_in_a_thread_needs_no_mention(up: Any, slack: SlackStandIn) -> None:
    first = slack.say("C2", "customer_service: How long does a refund take?")
    the_answer(slack, "C2", first)

    second = slack.say("C2", "and who pays for the way back?", thread_ts=first, mention=False)

    slack.wait(lambda: len(slack.answers("C2", first)) == 2, seconds=60)
    assert second
    assert "damaged" in slack.answers("C2", first)[1].shown


def test_two_quick_messages_of_a_thread_are_answered_in_order(up: Any, slack: SlackStandIn) -> None:
    first = slack.say("C3", "slow: one")
    slack.say("C3", "echo: two", thread_ts=first)

    slack.wait(lambda: len(slack.answers("C3", first)) == 2, seconds=60)

    texts = [each.shown for each in slack.answers("C3", first)]
    assert [text[:5] for text in texts] == ["0 1 2", "echo:"]


@pytest.mark.parametrize("place", ["channel", "direct message"])
def test_a_worker_killed_in_the_middle_of_an_answer_leaves_exactly_one(
    up: Any, slack: SlackStandIn, place: str
) -> None:
    channel = "C4" if place == "channel" else slack.im()
    ts = slack.say("C4", "slow: go") if place == "channel" else slack.dm("slow: go")
    slack.wait(lambda: " 3 4" in "".join(m.shown for m in slack.messages(channel, ts)), seconds=60)

    os.kill(up.running.pids["worker-1"], signal.SIGKILL)

    counted = " ".join(str(number) for number in range(30))
    assert the_answer(slack, channel, ts).strip() == counted


def test_a_killed_broker_comes_back_and_nothing_is_lost(up: Any) -> None:
    os.kill(up.running.pids["broker"], signal.SIGKILL)

    jobs = [up.ask("echo", f"number {number}") for number in range(3)]

    assert [job["reply"]["text"] for job in jobs] == [f"echo: number {n}" for n in range(3)]


def test_a_second_system_in_the_same_home_is_refused(up: Any) -> None:
    second = up.run("up")

    assert second.returncode == 2
    assert f"process {up.process.pid}" in second.stderr


def test_ctrl_c_leaves_nothing_behind(
    make_up: Callable[..., Any], is_alive: Callable[[int], bool]
) -> None:
    made = make_up(agents=AGENTS)
    made.start()
    made.ready()
    pids = made.running.pids

    code = made.stop()

    assert code == 0
    assert sorted(pids) == ["broker", "slack", "web", "worker-1"]
    assert [name for name, pid in pids.items() if is_alive(pid)] == []
    assert not (made.home / "run" / "system.json").exists()


def test_a_killed_system_takes_its_parts_with_it_and_starts_again(
    make_up: Callable[..., Any], is_alive: Callable[[int], bool]
) -> None:
    made = make_up(agents=AGENTS, with_slack=False)
    made.start()
    made.ready()
    pids = made.running.pids

    made.process.kill()
    made.process.wait()

    made.until(lambda: not any(is_alive(pid) for pid in pids.values()), seconds=10)
    made.start()
    made.ready()
    assert made.ask("echo", "again")["reply"]["text"] == "echo: again"


def test_a_bad_agent_file_ends_the_start_and_is_named(make_up: Callable[..., Any]) -> None:
    made = make_up(agents="from llmasos import Agent\nbroken = Agent(name='a b')\n")

    ended = made.run("up")

    assert ended.returncode == 2
    assert "my_agents.py" in ended.stderr.splitlines()[-1]


def test_a_taken_port_is_named_with_its_setting(make_up: Callable[..., Any]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        made = make_up(agents=AGENTS)
        text = (made.folder / "llmasos.toml").read_text()
        (made.folder / "llmasos.toml").write_text(text.replace("port = 0", f"port = {port}"))

        ended = made.run("up")

    assert ended.returncode == 2
    assert f"Port {port}" in ended.stderr
    assert "web.port" in ended.stderr


def test_a_job_that_mirrors_a_folder_outlives_its_worker(up: Any, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.md").write_text(f"# Page {number}\n\nWords of page {number}.\n")
    assert up.run("knowledge", "sources", "manual", "--add", str(tmp_path)).returncode == 0
    job = up.http("POST", "/v1/knowledge/manual/sync").json()

    def now() -> Any:
        return up.http("GET", f"/v1/jobs/{job['id']}").json()

    up.until(lambda: now()["status"] != "queued")
    os.kill(up.running.pids["worker-1"], signal.SIGKILL)
    done = up.until(lambda: now()["finished_at"] and now(), seconds=120)
    again = up.run("knowledge", "sync", "manual", "--job")

    assert done["status"] == "succeeded", done["error"]
    assert done["reply"]["output"]["added"] + done["reply"]["output"]["unchanged"] == 300
    assert again.stdout == "manual: 300 unchanged\n"
