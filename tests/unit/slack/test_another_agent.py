from integrations.slack.blocks import Ending, below
from llmasos.jobs import Jobs
from llmasos.testing.slack import SlackStandIn


def press(slack: SlackStandIn, job_id: str, agent: str, channel: str, user: str = "U0ANN") -> None:
    where = {"channel": {"id": channel}, "message": {"ts": "1760000000.000100"}}
    sent = slack.press_button(f"llmasos_ask_agent:{agent}", job_id, user, **where)
    slack.wait(lambda: sent.acknowledged, 30)


def test_an_answer_that_found_nothing_offers_the_other_agents() -> None:
    blocks = below(Ending(job_id="j1", alternatives=("writing", "finance")))

    [buttons] = [each for each in blocks if each["type"] == "actions"]
    texts = [each["text"]["text"] for each in buttons["elements"]]
    assert texts[-2:] == ["Ask writing", "Ask finance"]


def test_a_button_asks_another_agent_the_same_once(running: SlackStandIn, jobs: Jobs) -> None:
    running.dm("a calm text")
    [first] = running.wait(jobs.list, 30)

    for _ in range(2):
        press(running, first.id, "writing", running.im())

    again, _ = jobs.list()
    assert (again.agent, again.request.text) == ("writing", "a calm text")
    assert again.request.reply_to == first.request.reply_to


def test_a_button_opens_no_agent_and_no_other_channel(running: SlackStandIn, jobs: Jobs) -> None:
    running.say("C0GENERAL", "a calm text")
    [first] = running.wait(jobs.list, 30)

    press(running, first.id, "finance", "C0GENERAL")
    press(running, first.id, "writing", "C0OTHER")

    running.wait(lambda: running.workspace.ephemerals, 30)
    assert "[agents.finance]" in running.workspace.ephemerals[0]["text"]
    assert len(jobs.list()) == 1
