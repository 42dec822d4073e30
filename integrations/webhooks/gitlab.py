"""The source `gitlab`: GitLab's webhooks, proved by the secret token in `X-Gitlab-Token`.

A delivery is known by its `Idempotency-Key`, or, from a GitLab that sends none, by its
`X-Gitlab-Event-UUID` together with its body, since events that follow from one another share that.
"""

from collections.abc import Mapping
from typing import Any

from integrations.webhooks import proof, telling
from integrations.webhooks.shared import check_token
from integrations.webhooks.source import Event, Genuine
from integrations.webhooks.telling import first, found, joined, labelled, quoted, words
from llmasos.settings import WebhookSettings

DEEDS = {
    "open": "opened", "close": "closed", "reopen": "reopened", "update": "updated",
    "merge": "merged", "approved": "approved", "unapproved": "unapproved", "approval": "approved",
    "unapproval": "unapproved", "create": "created", "delete": "deleted",
}  # fmt: skip
"""GitLab's actions as deeds."""
NOWHERE = "0" * 40
"""The commit before the first and after the last."""


class GitLabSource:
    """What happens in projects and groups."""

    proofs = frozenset(("x-gitlab-token",))

    def __init__(self, settings: WebhookSettings) -> None:
        self._secrets = proof.secrets_of(settings)

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        check_token(headers.get("x-gitlab-token", ""), self._secrets, "X-Gitlab-Token")
        key = proof.own_id(headers, "Idempotency-Key")
        event = proof.own_id(headers, "X-Gitlab-Event-UUID")
        if key is None and event is not None:
            key = proof.digest(event.encode() + body).hex()
        return Genuine(key)

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        name = first(body, "object_kind", "event_type", "event_name") or "event"
        action = words(body, "object_attributes.action")
        kind = f"{name}.{action}" if action else name
        return telling.event(kind, _told(name, body))


def _told(name: str, body: Any) -> list[str]:
    where = first(body, "project.path_with_namespace", "project.name", "project_name", "group_name")
    place = f" in {where}" if where else ""
    who = first(body, "user.name", "user_name", "user.username", "user_username") or "Someone"
    if name in ("push", "tag_push"):
        return _push(name, body, who, place)
    if name in ("pipeline", "build"):
        return _run(name, body, who, place)
    return _thing(name, body, who, place)


def _push(name: str, body: Any, who: str, place: str) -> list[str]:
    """The commits that were pushed."""
    ref = words(body, "ref").removeprefix("refs/heads/").removeprefix("refs/tags/")
    commits = telling.each(body, "commits", most=1000)
    number = words(body, "total_commits_count") or str(len(commits))
    deed = "deleted" if words(body, "after") == NOWHERE else "pushed"
    count = f"{number} commit{'' if number == '1' else 's'} to " if number != "0" else ""
    lines = [f"{who} {deed} {count}{'tag' if name == 'tag_push' else 'branch'} {ref}{place}"]
    web, before, after = (words(body, each) for each in ("project.web_url", "before", "after"))
    if web and NOWHERE not in (before, after):
        lines.append(f"Link: {web}/-/compare/{before}...{after}")
    for commit in commits[:20]:
        title = words(commit, "message").partition("\n")[0]
        by = words(commit, "author.name")
        lines.append(f"- {title} ({words(commit, 'id')[:11]}{f', {by}' if by else ''})")
    return lines


def _run(name: str, body: Any, who: str, place: str) -> list[str]:
    """A pipeline or one of its jobs."""
    state = first(body, "object_attributes.status", "build_status")
    number = first(body, "object_attributes.id", "build_id")
    named = joined(words(body, "build_name"), f"#{number}" if number else "")
    lines = [f"{name.capitalize()} {named}{place}: {state}"]
    web = words(body, "project.web_url")
    if name == "pipeline" and web and number:
        lines.append(f"Link: {web}/-/pipelines/{number}")
    lines += labelled("ref", body, "object_attributes.ref") or labelled("ref", body, "ref")
    lines += labelled("stage", body, "build_stage")
    lines += labelled("reason", body, "build_failure_reason")
    lines += [f"Started by {who}"]
    for build in telling.each(body, "builds"):
        lines.append(f"- {words(build, 'name')}: {words(build, 'status')}")
    return [*lines, *labelled("commit", body, "commit.message")]


def _thing(name: str, body: Any, who: str, place: str) -> list[str]:
    """An issue, a merge request, a comment, a wiki page, a release …"""
    own = found(body, "object_attributes")
    own = own if isinstance(own, dict) else body
    action = words(own, "action")
    note = name == "note"
    deed = "commented on" if note else DEEDS.get(action, action or "reports")
    about = words(own, "noteable_type") if note else name
    kind = "".join(f" {c.lower()}" if c.isupper() else c for c in about).strip().replace("_", " ")
    subject = found(body, kind.replace(" ", "_")) if note else own
    number = first(subject, "iid", "number")
    title = first(subject, "title", "name", "tag", "message", "user_name").partition("\n")[0]
    label = ": ".join(filter(None, (f"#{number}" if number else "", title)))
    lines = [joined(who, deed, kind, label) + place]
    for field, path in (
        ("link", "url"), ("state", "state"), ("state", "status"), ("from", "source_branch"),
        ("into", "target_branch"), ("severity", "severity"), ("due", "due_date"), ("tag", "tag"),
        ("environment", "environment"),
    ):  # fmt: skip
        lines += labelled(field, own, path)
    people = [words(each, "name") for each in telling.each(body, "assignees")]
    people = people or [words(body, "assignee.name")]
    lines += [f"Assignees: {', '.join(people)}"] if any(people) else []
    labels = [words(each, "title") for each in telling.each(body, "labels")]
    lines += [f"Labels: {', '.join(labels)}"] if any(labels) else []
    lines += _changes(body)
    if note:
        lines += quoted(words(own, "note"))
    return [*lines, *quoted(first(subject, "description", "content"))]


def _changes(body: Any) -> list[str]:
    """What an update changed."""
    changes = found(body, "changes")
    return [
        f"{field.replace('_', ' ').capitalize()}: was {telling.plain(found(change, 'previous'))}, "
        f"is {telling.plain(found(change, 'current'))}"
        for field, change in (changes.items() if isinstance(changes, dict) else ())
        if isinstance(change, dict) and not field.endswith(("_id", "_at"))
    ][:20]
