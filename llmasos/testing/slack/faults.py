"""What can go wrong with a call: a test orders it by method."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. Made by the functions below."""

    error: str | None = None
    status: int = 200
    retry_after: float | None = None
    hang: float = 0.0
    reset: bool = False
    done: bool = False
    """Whether Slack does what was asked before the answer is lost."""

    @classmethod
    def says(cls, error: str) -> "Fault":
        """Slack answers with this error code."""
        return cls(error=error)

    @classmethod
    def limits(cls, retry_after: float) -> "Fault":
        """Slack answers 429 and names the seconds to wait."""
        return cls(error="ratelimited", status=429, retry_after=retry_after)

    @classmethod
    def breaks(cls, *, done: bool = False) -> "Fault":
        """Slack answers 500."""
        return cls(error="internal_error", status=500, done=done)

    @classmethod
    def resets(cls, *, done: bool) -> "Fault":
        """The connection is reset, before or after it was done."""
        return cls(reset=True, done=done)

    @classmethod
    def hangs(cls, seconds: float, *, done: bool = False) -> "Fault":
        """Slack takes so long to answer; undone it then resets the connection."""
        return cls(hang=seconds, reset=True, done=done)
