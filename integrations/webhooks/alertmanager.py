"""The source `alertmanager`: Prometheus' Alertmanager (and Grafana), with a bearer token.

In Alertmanager: `webhook_configs: [{url: …/hooks/NAME, http_config: {authorization:
{credentials: TOKEN}}}]`. It gives its notifications no id: the same group in the same state within
the webhook's `window` is a repeat.
"""

from collections.abc import Mapping
from typing import Any

from integrations.webhooks import telling
from integrations.webhooks.shared import TokenSource
from integrations.webhooks.source import Event, Genuine
from llmasos.settings import WebhookSettings

SEVERITIES = (
    ("disaster", "emergency", "fatal", "page"),
    ("critical", "crit", "p1"),
    ("error", "high", "major", "p2"),
    ("warning", "warn", "medium", "minor", "p3"),
    ("low", "p4"),
    ("info", "information", "notice", "none", "p5"),
)
"""The words that people use, the worst first; a word that is not here counts as a warning."""
_SAID = ("alertname", "severity")


class AlertmanagerSource:
    """Groups of alerts, the worst first."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._token = TokenSource(settings)
        self.proofs = self._token.proofs

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        return self._token.verify(headers, body, now)

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        alerts = telling.each(body, "alerts", most=1000)
        if not alerts:
            return telling.of_any(headers, body)
        kind = telling.words(body, "status") or telling.words(alerts[0], "status")
        ranked = sorted(alerts, key=_rank)
        firing = sum(not _resolved(each) for each in alerts)
        lines = [_head(body, len(alerts), firing)]
        for alert in ranked[:20]:
            lines += ["", *_alert(alert)]
        if len(ranked) > 20:
            lines += ["", f"… and {len(ranked) - 20} more alerts"]
        lines += ["", *telling.labelled("Alertmanager", body, "externalURL")]
        return telling.event(kind or "alert", lines)


def _head(body: Any, number: int, firing: int) -> str:
    """How many alerts of what are in which state."""
    group = telling.found(body, "groupLabels")
    named = ", ".join(f"{name}={telling.plain(value)}" for name, value in
                      (group.items() if isinstance(group, dict) else ()))  # fmt: skip
    states = [f"{firing} firing"] if firing else []
    states += [f"{number - firing} resolved"] if number > firing else []
    return f"Alerts: {', '.join(states)}{f' ({named})' if named else ''}"


def _alert(alert: Any) -> list[str]:
    """One alert: its state, severity and name, what its annotations say, and where to look."""
    state = "RESOLVED" if _resolved(alert) else "FIRING"
    severity = telling.words(alert, "labels.severity")
    name = telling.words(alert, "labels.alertname") or "alert"
    lines = [f"[{state}] {f'{severity}: ' if severity else ''}{name}"]
    notes = telling.found(alert, "annotations")
    for key, value in list(notes.items())[:10] if isinstance(notes, dict) else ():
        said = telling.plain(value)
        lines.append(said if key in ("summary", "description", "message") else f"{key}: {said}")
    labels = telling.found(alert, "labels")
    rest = [f"{key}={telling.plain(value)}" for key, value in
            (labels.items() if isinstance(labels, dict) else ()) if key not in _SAID]  # fmt: skip
    lines += [f"Labels: {', '.join(rest[:20])}"] if rest else []
    lines += telling.labelled("since", alert, "startsAt")
    if _resolved(alert):
        lines += telling.labelled("until", alert, "endsAt")
    for field in ("generatorURL", "dashboardURL", "silenceURL"):
        lines += telling.labelled(field.removesuffix("URL"), alert, field)
    return lines


def _resolved(alert: Any) -> bool:
    return telling.words(alert, "status") == "resolved"


def _rank(alert: Any) -> tuple[bool, int]:
    """Firing before resolved, and the worst first."""
    word = telling.words(alert, "labels.severity").lower()
    known = (place for place, severities in enumerate(SEVERITIES) if word in severities)
    return _resolved(alert), next(known, 3)
