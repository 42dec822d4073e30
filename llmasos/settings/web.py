"""Settings of the HTTP API."""

from pydantic import Field

from llmasos.settings.kinds import Port, Section


class WebSettings(Section):
    """The HTTP API, webhooks and Slack's HTTP events: one server."""

    host: str = "127.0.0.1"
    """Address it listens on: one of this machine's loopback addresses."""
    port: Port = 8317
    """Port it listens on; 0 takes a free one."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    """Largest request body."""
