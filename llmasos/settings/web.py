"""Settings of the HTTP API."""

from pydantic import Field

from llmasos.settings.kinds import Port, Section


class WebSettings(Section):
    """The HTTP API, webhooks and Slack's HTTP events: one server."""

    host: str = "127.0.0.1"
    """Address it listens on. One that other machines can reach needs API keys first
    (`llmasos keys add`)."""
    port: Port = 8317
    """Port it listens on; 0 takes a free one."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    """Largest request body."""
    requests_per_minute: int = Field(default=600, ge=0)
    """Requests that one key may send within a minute, all processes counted. 0: any number."""
    refusals_per_minute: int = Field(default=60, ge=1)
    """Requests without a key that works which one address may send within a minute."""
