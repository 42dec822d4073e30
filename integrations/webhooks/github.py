"""The source `github`: GitHub's webhooks, signed in `X-Hub-Signature-256`.

A delivery is known by its `X-GitHub-Delivery`. Choose `application/json` as content type there.
What an event tells is found by the same rules for all of GitHub's many kinds: who did what to which
thing, where it is, what it says. Start reading at `told`.
"""

from collections.abc import Mapping
from typing import Any

from integrations.webhooks import proof, telling
from integrations.webhooks.shared import check_hmac
from integrations.webhooks.source import Event, Genuine
from integrations.webhooks.telling import first, found, joined, labelled, quoted, words
from llmasos.settings import WebhookSettings

THINGS = {
    "branch_protection_rule": "rule", "code_scanning_alert": "alert", "commit_comment": "comment",
    "dependabot_alert": "alert", "deployment_review": "workflow_run",
    "deployment_status": "deployment", "discussion_comment": "discussion", "fork": "forkee",
    "installation_repositories": "installation", "issue_comment": "issue", "issues": "issue",
    "membership": "member", "org_block": "blocked_user", "package": "package",
    "page_build": "build", "pull_request_review": "pull_request",
    "pull_request_review_comment": "pull_request", "pull_request_review_thread": "pull_request",
    "pull_request_target": "pull_request", "registry_package": "registry_package",
    "repository_vulnerability_alert": "alert", "secret_scanning_alert": "alert",
    "secret_scanning_alert_location": "alert", "sub_issues": "sub_issue", "team_add": "team",
}  # fmt: skip
"""What an event is about, where that is not what it is called."""
AROUND = frozenset(
    ("repository", "sender", "organization", "installation", "enterprise", "changes", "hook")
)
"""What every event may have beside what it is about."""


class GitHubSource:
    """What happens in repositories and organisations."""

    proofs = frozenset(("x-hub-signature-256", "x-hub-signature"))

    def __init__(self, settings: WebhookSettings) -> None:
        self._secrets = proof.secrets_of(settings)

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        header = "X-Hub-Signature-256"
        check_hmac(headers.get(header.lower(), ""), body, self._secrets, header)
        return Genuine(proof.own_id(headers, "X-GitHub-Delivery"))

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        name = headers.get("x-github-event", "") or "event"
        action = words(body, "action")
        return telling.event(f"{name}.{action}" if action else name, told(name, body))


def told(name: str, body: Any) -> list[str]:
    """An event in lines. name: as `X-GitHub-Event` has it."""
    where = first(body, "repository.full_name", "organization.login", "enterprise.name")
    place = f" in {where}" if where else ""
    who = first(body, "sender.login", "pusher.name") or "Someone"
    if name == "push":
        return _push(body, who, place)
    if name == "ping":
        return [f"{who} has set up this webhook{place}: GitHub can reach it."]
    key = THINGS.get(name) or (name if isinstance(found(body, name), dict) else _main(body))
    thing = found(body, key) if key else None
    lines = [f"{who} {_deed(name, body)}{_label(key, thing)}{place}".strip()]
    lines += _aside(body)
    said = next((each for each in ("comment", "review", "answer") if each in _keys(body)), "")
    if said and said != key:
        lines += labelled("link", body, f"{said}.html_url")
        lines += labelled("state", body, f"{said}.state")
        lines += quoted(words(body, f"{said}.body"))
        lines += ["", f"About{_label(key, thing)}:"]
    return [*lines, *_details(thing)]


def _push(body: Any, who: str, place: str) -> list[str]:
    """The commits that were pushed."""
    ref = words(body, "ref")
    tag = ref.startswith("refs/tags/")
    branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    deed = "pushed"
    if found(body, "deleted") is True:
        deed = "deleted"
    elif found(body, "forced") is True:
        deed = "force pushed"
    commits = telling.each(body, "commits", most=1000)
    count = f"{len(commits)} commit{'' if len(commits) == 1 else 's'} to " if commits else ""
    lines = [f"{who} {deed} {count}{'tag' if tag else 'branch'} {branch}{place}"]
    lines += labelled("link", body, "compare")
    for commit in commits[:20]:
        title = words(commit, "message").partition("\n")[0]
        by = first(commit, "author.username", "author.name")
        lines.append(f"- {title} ({words(commit, 'id')[:11]}{f', {by}' if by else ''})")
    return [*lines, *([f"… and {len(commits) - 20} more"] if len(commits) > 20 else [])]


def _deed(name: str, body: Any) -> str:
    """What was done: the action in words, and to what kind of thing."""
    action = words(body, "action").replace("_", " ")
    noun = name.removesuffix("s") if name == "issues" else name
    noun = noun.replace("_", " ")
    if name in ("create", "delete"):
        return joined(f"{name}d", words(body, "ref_type"), words(body, "ref"))
    if name == "star":
        return f"{'' if action == 'created' else 'un'}starred the repository"
    if name == "pull_request" and found(body, "pull_request.merged") is True:
        action = "merged"
    return joined(action or "caused", noun)


def _main(body: Any) -> str:
    """The key of what an unknown event is about."""
    inner = (key for key in _keys(body) if isinstance(body[key], dict) and key not in AROUND)
    return next(inner, "")


def _keys(body: Any) -> tuple[str, ...]:
    return tuple(body) if isinstance(body, dict) else ()


def _label(key: str, thing: Any) -> str:
    """A thing's number and title, or its name."""
    number = words(thing, "number")
    name = first(
        thing, "title", "display_title", "name", "rule.description", "summary", "tag_name",
        "login", "full_name", "environment", "head_branch", "note",
    )  # fmt: skip
    name = telling.cut(name.partition("\n")[0], 200)
    shown = ": ".join(filter(None, (f"#{number}" if number else "", name)))
    return f" {shown}" if shown else ""


def _aside(body: Any) -> list[str]:
    """What the event adds: who was assigned, which label, what it was before."""
    lines: list[str] = []
    for label, path in (
        ("label", "label.name"), ("milestone", "milestone.title"), ("assignee", "assignee.login"),
        ("reviewer", "requested_reviewer.login"), ("reviewers", "requested_team.name"),
        ("team", "team.name"), ("member", "member.login"), ("scope", "scope"),
        ("environment", "environment"), ("ref", "ref"), ("branch", "branch"),
        ("status", "deployment_status.state"), ("link", "deployment_status.target_url"),
        ("reason", "reason"), ("workflow", "workflow"), ("error", "build.error.message"),
    ):  # fmt: skip
        lines += labelled(label, body, path)
    for name in ("repositories_added", "repositories_removed"):
        repositories = [words(each, "full_name") for each in telling.each(body, name)]
        if any(repositories):
            lines.append(f"{name.replace('_', ' ').capitalize()}: {', '.join(repositories)}")
    changes = found(body, "changes")
    for field, change in changes.items() if isinstance(changes, dict) else ():
        before = first(change, "from", "from.name", "old_value", "name.from")
        if before:
            lines.append(f"{field.replace('_', ' ').capitalize()} before: {before}")
    return lines


def _details(thing: Any) -> list[str]:
    """Where a thing is, what state it is in, whose it is, and what it says."""
    lines: list[str] = []
    for label, path in (
        ("link", "html_url"), ("author", "user.login"), ("author", "author.login"),
        ("state", "state"), ("status", "status"), ("conclusion", "conclusion"),
        ("merged", "merged_at"), ("branch", "head.ref"), ("into", "base.ref"),
        ("branch", "head_branch"), ("tag", "tag_name"), ("category", "category.name"),
        ("severity", "severity"), ("severity", "rule.severity"), ("tool", "tool.name"),
        ("environment", "environment"), ("commit", "commit_id"), ("path", "path"),
        ("privacy", "privacy"), ("permission", "permission"), ("role", "role_name"),
        ("commit", "head_commit.message"), ("pattern", "pattern"), ("due", "due_on"),
    ):  # fmt: skip
        lines += labelled(label, thing, path)
    labels = [words(each, "name") for each in telling.each(thing, "labels")]
    people = [words(each, "login") for each in telling.each(thing, "assignees")]
    lines += [f"Labels: {', '.join(labels)}"] if any(labels) else []
    lines += [f"Assignees: {', '.join(people)}"] if any(people) else []
    return [*lines, *quoted(first(thing, "body", "description", "note", "message"))]
