"""The running system in trouble: killed and hung processes, a broken Slack, a full disk."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmasos.testing.slack import SlackStandIn
from llmasos.testing.slack.faults import Fault

AGENTS = """
import itertools
import time
from pathlib import Path
from llmasos import Reply, agent

@agent("echo", "Says it again.")
def echo(turn):
    yield Reply(text=f"echo: {turn.text}")

@agent("slow", "Counts for two seconds.")
def slow(turn):
    for number in range(20):
        yield f"{number} "
        time.sleep(0.5 if "slowly" in turn.text else 0.1)

@agent("endless", "Counts for ever the first time, for two seconds the second.")
def endless(turn):
    first = not Path(turn.text).exists()
    Path(turn.text).touch()
    for number in itertools.count() if first else range(20):
        yield f"{number} "
        time.sleep(0.1)

@agent("moody", "Fails the first time.")
def moody(turn):
    yield "half an ans"
    time.sleep(4)  # until a draft may be shown again
    if not Path(turn.text).exists():
        Path(turn.text).touch()
        raise ConnectionError("the engine is gone")
    yield "wer"
"""
COUNTED = " ".join(str(number) for number in range(20))
FULL = "cannot be written (disk I/O error). Free some space"


@pytest.fixture(scope="module")
def sender() -> Iterator[SlackStandIn]:
    """A Slack of its own, so that faults reach nobody else."""
    with SlackStandIn() as stand_in:
        yield stand_in


def with_slack(made: Any, sender: SlackStandIn, bot_token: str) -> Any:
    """Let a system use this Slack."""
    with (made.folder / "llmasos.toml").open("a") as lines:
        lines.write(
            f'[slack]\nbot_token = "{bot_token}"\napp_token = "{sender.app_token}"\n'
            f'api_url = "{sender.api_url}"\nupdate_interval = 0.1\n'
        )
    return made


@pytest.fixture(scope="module")
def up(make_up: Callable[..., Any], sender: SlackStandIn) -> Iterator[Any]:
    """A system with two workers."""
    made = with_slack(make_up(agents=AGENTS, with_slack=False), sender, sender.bot_token)
    path = made.folder / "llmasos.toml"
    path.write_text(path.read_text().replace("[worker]", "[worker]\nprocesses = 2"))
    made.start()
    made.ready()
    sender.wait(lambda: sender.connections, seconds=60)
    yield made
    made.stop()


@dataclass(frozen=True)
class Place:
    """Where a person asks, and how an answer comes to be there."""

    ask: Callable[[str], tuple[str, str]]
    """Gives the channel and the message."""
    creates: str
    """The method that makes the answer's message."""
    ends: str
    """The method that gives it its last content."""


@pytest.fixture(params=["channel", "direct message"])
def place(request: pytest.FixtureRequest, sender: SlackStandIn) -> Place:
    """Both kinds of place in turn."""
    if request.param == "channel":
        return Place(lambda text: ("C1", sender.say("C1", text)), "chat.postMessage", "chat.update")
    return Place(lambda text: (sender.im(), sender.dm(text)), "chat.startStream", "chat.stopStream")


def the_answer(sender: SlackStandIn, channel: str, ts: str) -> str:
    """The one final answer to a message; there must be no other message of ours."""
    sender.wait(lambda: sender.answers(channel, ts), seconds=60)
    (answer,) = sender.answers(channel, ts, final=False)
    return answer.shown.strip()


def half_said(sender: SlackStandIn, channel: str, ts: str) -> None:
    """Wait for the first words of an answer that counts."""

    def begun() -> bool:
        shown = (each.shown for each in sender.answers(channel, ts, final=False))
        return " 2 3" in "".join(shown)

    sender.wait(begun, seconds=60)


def worker_of_last_job(up: Any) -> int:
    """The process that began the last job."""
    begun = [line for line in up.log.read_text().splitlines() if "job.started" in line]
    return int(up.running.pids[begun[-1].split()[0]])


@contextmanager
def hung(pid: int) -> Iterator[None]:
    """A process that does nothing while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def full_disk(*pids: int) -> Iterator[None]:
    """Processes that cannot write to any file while the block runs."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        for pid, limit in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


def test_workers_killed_between_the_commit_and_the_delivery_leave_one_answer(
    up: Any, sender: SlackStandIn, place: Place
) -> None:
    channel, ts = place.ask("slow: go")
    half_said(sender, channel, ts)
    sender.fail(place.ends, Fault.hangs(3, done=True))
    up.until(lambda: up.http("GET", "/v1/jobs?limit=1").json()["jobs"][0]["finished_at"])

    for name in ("worker-1", "worker-2"):
        os.kill(up.running.pids[name], signal.SIGKILL)

    assert the_answer(sender, channel, ts) == COUNTED


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize(
    "fault", [Fault.breaks(done=True), Fault.resets(done=True)], ids=["error 500", "reset"]
)
def test_a_message_whose_confirmation_was_lost_is_not_posted_twice(
    sender: SlackStandIn, place: Place, fault: Fault
) -> None:
    sender.fail(place.creates, fault)

    channel, ts = place.ask("slow: go")

    assert the_answer(sender, channel, ts) == COUNTED


def test_a_worker_that_hung_writes_nothing_once_it_awakes(
    up: Any, sender: SlackStandIn, place: Place
) -> None:
    channel, ts = place.ask("slow: go slowly")
    half_said(sender, channel, ts)

    with hung(worker_of_last_job(up)):
        answered = the_answer(sender, channel, ts)
        log = len(up.log.read_text())

    up.until(lambda: "lease_lost" in up.log.read_text()[log:])
    assert answered == the_answer(sender, channel, ts) == COUNTED


@pytest.mark.usefixtures("up")
def test_who_waits_for_another_try_is_told_so(
    sender: SlackStandIn, place: Place, tmp_path: Path
) -> None:
    channel, ts = place.ask(f"moody: {tmp_path}/tried")

    def told() -> bool:
        shown = [each.small_print for each in sender.answers(channel, ts, final=False)]
        below = sender.workspace.statuses.get((channel, ts), [])
        return "trying again in" in " ".join([*shown, *below])

    sender.wait(told, seconds=60)

    assert the_answer(sender, channel, ts) == "half an answer"


def test_a_hung_broker_delays_nobody_who_asks(up: Any, sender: SlackStandIn) -> None:
    up.ask("echo", "first")  # the connections are open

    with hung(up.running.pids["broker"]):
        began = time.monotonic()
        job = up.http("POST", "/v1/agents/echo/runs", json={"text": "meanwhile"})
        accepted = time.monotonic() - began
        ts = sender.say("C2", "echo: meanwhile")
        mine = [each for each in sender.deliveries if each.event.get("ts") == ts]
        sender.wait(lambda: all(each.acknowledged for each in mine))

    assert job.status_code == 202
    assert accepted < 1.0
    assert max(each.seconds[0] for each in mine) < 1.5
    assert the_answer(sender, "C2", ts) == "echo: meanwhile"
    up.until(lambda: up.http("GET", f"/v1/jobs/{job.json()['id']}").json()["reply"])


def follow(url: str, events: list[dict[str, Any]], last: str = "", until: str = "") -> str:
    """Read a job's events after one of them, to the first of a kind; gives that one's id."""
    with httpx.stream("GET", url, headers={"Last-Event-ID": last}, timeout=60) as lines:
        for line in lines.iter_lines():
            if line.startswith("id: "):
                last = line[4:]
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
                if events[-1]["kind"] == until:
                    break
    return last


def counted(events: list[dict[str, Any]]) -> list[int]:
    """What an agent that counts has said."""
    return [int(each["text"]) for each in events if each["kind"] == "token"]


def test_a_reader_goes_on_where_it_was_though_worker_and_web_process_are_killed(
    up: Any, tmp_path: Path
) -> None:
    job = up.http("POST", "/v1/agents/endless/runs", json={"text": f"{tmp_path}/tried"}).json()
    url, web = f"{up.running.web_url}/v1/jobs/{job['id']}/events", up.running.pids["web"]
    events: list[dict[str, Any]] = []

    last = follow(url, events, until="token")
    os.kill(worker_of_last_job(up), signal.SIGKILL)
    last = follow(url, events, last, until="restarted")
    last = follow(url, events, last, until="token")
    os.kill(web, signal.SIGKILL)
    up.until(lambda: up.running.pids["web"] != web and up.http("GET", "/healthz").is_success)
    follow(url, events, last)

    kinds = [each["kind"] for each in events]
    again = kinds.index("restarted")
    first, second = counted(events[:again]), counted(events[again:])
    assert kinds.count("restarted") == kinds.count("reply") == 1
    # The first ones may be lost to a bus that a busy machine holds up, none in between.
    assert first == list(range(first[0], first[0] + len(first)))
    assert second == list(range(20))[-len(second) :]
    assert events[-1]["text"].strip() == COUNTED


def test_on_a_full_disk_nothing_is_promised_and_slack_comes_again(
    up: Any, sender: SlackStandIn
) -> None:
    sender.redeliver_after(0.2, 1.0, 5.0)
    before = len(up.http("GET", "/v1/jobs").json()["jobs"])

    with full_disk(up.running.pids["web"], up.running.pids["slack"]):
        answer = up.http("POST", "/v1/agents/echo/runs", json={"text": "no room"})
        ts = sender.say("C3", "echo: kept")
        mine = [each for each in sender.deliveries if each.event.get("ts") == ts]
        sender.wait(lambda: all(each.tries == 2 for each in mine))
        promised = [each.acknowledged for each in mine]
        stored = len(up.http("GET", "/v1/jobs").json()["jobs"])

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:llmasos:error:HomeNotWritable")
    assert FULL in answer.json()["detail"]
    assert promised == [False, False]
    assert stored == before
    assert the_answer(sender, "C3", ts) == "echo: kept"


def test_a_worker_on_a_full_disk_ends_its_answer_when_there_is_room(
    up: Any, sender: SlackStandIn
) -> None:
    ts = sender.say("C4", "slow: go")
    half_said(sender, "C4", ts)

    with full_disk(worker_of_last_job(up)):
        up.until(lambda: "disk I/O error" in up.log.read_text())
        time.sleep(2.5)  # the answer is ready by now, and has nowhere to go

    assert the_answer(sender, "C4", ts) == COUNTED


def test_a_job_whose_wake_up_met_a_full_disk_is_taken_as_soon_as_there_is_room(up: Any) -> None:
    workers = [up.running.pids[name] for name in ("worker-1", "worker-2")]
    log = len(up.log.read_text())

    with full_disk(*workers):
        job = up.http("POST", "/v1/agents/echo/runs", json={"text": "patient"}).json()
        up.until(lambda: "runner.no_claim" in up.log.read_text()[log:], seconds=10)

    reply = up.until(lambda: up.http("GET", f"/v1/jobs/{job['id']}").json()["reply"], seconds=10)
    assert reply["text"] == "echo: patient"


def test_the_doctor_finds_all_well(up: Any) -> None:
    found = up.run("doctor")

    assert found.returncode == 0, found.stdout
    assert "✗" not in found.stdout
    assert "U0BOT in T0TEAM, Socket Mode" in found.stdout


def test_addresses_and_keys_are_for_the_owner_alone(up: Any, sender: SlackStandIn) -> None:
    run = up.home / "run" / "system.json"
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    log = up.log.read_text()

    password = json.loads(run.read_text())["broker_url"].split(":")[2].partition("@")[0]
    assert run.stat().st_mode & 0o777 == 0o600
    for secret in (password, sender.bot_token, sender.app_token):
        assert secret not in log
        assert secret not in processes.stdout
    assert "meanwhile" not in log


def test_a_system_that_is_told_to_stop_leaves_nothing_behind(
    make_up: Callable[..., Any], is_alive: Callable[[int], bool]
) -> None:
    made = make_up(agents=AGENTS, with_slack=False)
    made.start()
    made.ready()
    made.http("POST", "/v1/agents/slow/runs", json={"text": "go"})
    pids = made.running.pids

    made.process.terminate()

    assert made.process.wait(timeout=30) == 0
    assert [name for name, pid in pids.items() if is_alive(pid)] == []
    assert "part.killed" not in made.log.read_text()
    assert "Traceback" not in made.log.read_text()


def test_a_wrong_token_is_named_by_the_doctor(
    make_up: Callable[..., Any], sender: SlackStandIn
) -> None:
    made = with_slack(make_up(agents=AGENTS, with_slack=False), sender, "xoxb-wrong")

    found = made.run("doctor")

    plain = "Setting slack.bot_token: Slack says invalid_auth: the bot token is wrong"
    assert plain in found.stdout
    assert "xoxb-wrong" not in found.stdout
    assert found.returncode == 1


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        ("[embedding]\nurl =", "[embedding]\n# ", 1, "llmasos models pull all-minilm-l6-v2"),
        ("[web]", "[slack]\napp_token = 'xapp-1'\n[web]", 2, "Setting slack.bot_token: is not set"),
        ('agent = "customer_service"', 'agent = "costumer_service"', 2, "'customer_service'?"),
        ("[worker]", "[worker]\nthreds = 1", 2, "Did you mean 'threads'?"),
        ("[web]", "[web", 2, "llmasos.toml: cannot be read"),
    ],
    ids=["missing model", "lone token", "unknown agent", "unknown setting", "broken file"],
)
def test_what_is_set_up_wrongly_ends_the_start_with_one_line(
    make_up: Callable[..., Any], before: str, after: str, code: int, said: str
) -> None:
    made = make_up(agents=AGENTS, with_slack=False)
    path = made.folder / "llmasos.toml"
    path.write_text(path.read_text().replace(before, after))

    ended = made.run("up")

    assert ended.returncode == code
    assert said in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_home_that_cannot_be_written_is_said_so(make_up: Callable[..., Any]) -> None:
    made = make_up('home = "/dev/null/home"', agents=AGENTS, with_slack=False)

    ended = [made.run(*words) for words in (("up",), ("ask", "Hi?"), ("jobs", "list"))]

    assert [each.returncode for each in ended] == [1, 1, 1]
    assert all("Free some space, mend the folder's rights" in each.stderr for each in ended)
    assert not any("Traceback" in each.stderr for each in ended)
