"""Logging: events, not sentences; one line each, for people or for machines.

`log.info("job.claimed", job=id, attempt=2)`. Message texts never go above DEBUG; secrets and
personal data are masked at every level.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from llmasos.masking import masked

QUIET = ("slack_bolt", "slack_sdk", "httpx", "httpcore", "celery", "kombu", "amqp", "urllib3")
"""Loggers of libraries, some of which print bodies and signatures at INFO."""


def configure(process: str, level: str, form: Literal["text", "json"]) -> None:
    """Set logging up for this process, on standard error.

    process: its kind (`worker`, `web` …), shown in every line.
    """
    threshold = getattr(logging, level)
    shown = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    )
    structlog.contextvars.bind_contextvars(process=process)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(
                fmt="%H:%M:%S" if form == "text" else "iso", utc=form == "json"
            ),
            structlog.processors.format_exc_info,
            mask,
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=sys.stderr, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def mask(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide what nobody should read in a log: a structlog processor."""
    for name, value in event.items():
        if name != "event":
            event[name] = _masked(value)
    return event


def _masked(value: Any) -> Any:
    """A value of a log line without secrets."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, (list, tuple)):
        return [_masked(each) for each in value]
    if isinstance(value, dict):
        return {name: _masked(each) for name, each in value.items()}
    return value
