import json

from llmasos.jobs import Jobs, JobStatus
from llmasos.testing.slack import SlackStandIn


def home(slack: SlackStandIn, *words: str, user: str = "U0ANN") -> str:
    """A person's home once it shows all these words."""

    def shown() -> str:
        text = json.dumps(slack.workspace.views.get(user, {}), ensure_ascii=False)
        return text if text != "{}" and all(word in text for word in words) else ""

    return slack.wait(shown, 30)


def test_the_home_shows_my_questions_and_my_agents(running: SlackStandIn, jobs: Jobs) -> None:
    running.dm("How long do refunds take?")
    running.wait(jobs.list, 30)
    running.open_home_tab("U0BEN")
    running.open_home_tab()

    assert "llmasos_job_cancel" in home(running, "How long do refunds take?", "customer_service:")
    bens = home(running, "You have asked nothing yet", "finance: Counts.", user="U0BEN")
    assert "refunds take" not in bens.replace("How long do refunds take?", "", 0).split("Agents")[0]


def test_the_homes_buttons_stop_and_retry(running: SlackStandIn, jobs: Jobs) -> None:
    running.dm("How long do refunds take?")
    [job] = running.wait(jobs.list, 30)

    running.press_button("llmasos_job_cancel", job.id)
    home(running, "⏹️ cancelled", "llmasos_job_retry")
    running.press_button("llmasos_job_retry", job.id)
    home(running, "⏳ queued")

    assert jobs.find(job.id).status is JobStatus.QUEUED


def test_a_button_is_no_right(running: SlackStandIn, jobs: Jobs) -> None:
    running.dm("How long do refunds take?")
    [job] = running.wait(jobs.list, 30)

    running.press_button("llmasos_job_cancel", job.id, user="U0BEN")
    running.press_button("llmasos_job_cancel", "unknown")

    home(running, "may not", user="U0BEN")
    home(running, "no job")
    assert jobs.find(job.id).status is JobStatus.QUEUED
