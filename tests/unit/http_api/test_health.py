"""Health and figures over HTTP."""

import re
from typing import Any

from llmasos.events import Reply


def test_a_process_that_answers_is_alive(desk: Any) -> None:
    assert desk.http.get("/healthz").json() == {"status": "ok"}


def test_what_does_not_answer_is_named(desk: Any) -> None:
    answer = desk.http.get("/readyz")

    assert answer.status_code == 503
    assert {"worker", "engine"} <= set(answer.json()["missing"])
    assert "state" not in answer.json()["missing"]
    assert "llmasos worker" in answer.json()["detail"]


def test_jobs_and_requests_are_counted_without_a_series_for_each_job(desk: Any) -> None:
    desk.ask("One")
    desk.succeed(desk.take(), Reply(text="1"))
    for job in (desk.ask("Two"), desk.ask("Three")):
        desk.http.get(f"/v1/jobs/{job.json()['id']}")
    desk.http.request("BREW", "/v1/nowhere/else")

    figures = desk.http.get("/metrics").text

    assert 'llmasos_jobs{status="succeeded"} 1.0' in figures
    assert 'llmasos_jobs{status="queued"} 2.0' in figures
    counted = 'method="GET",route="/v1/jobs/{job_id}",status="200"'
    assert f"llmasos_http_requests_total{{{counted}}} 2.0" in figures
    assert 'method="other",route="(none)"' in figures
    assert not re.search(r"[0-9a-f]{24}", figures)


def test_the_api_describes_itself(desk: Any) -> None:
    document = desk.http.get("/openapi.json").json()

    assert "/v1/agents/{name}/runs" in document["paths"]
    page = desk.http.get("/docs")
    assert page.status_code == 200
    assert "POST /v1/agents/{name}/runs" in page.text
    assert not re.search(r"<script|(src|href)=.?(https?:)?//", page.text)
