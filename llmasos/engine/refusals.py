"""What the engine answers when it does not answer: TGI's errors, their words and status codes."""

from typing import Any


class Refusal(Exception):
    """A request ends without its result. status: HTTP's; kind: TGI's `error_type`."""

    status = 500
    kind = "generation"

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def body(self) -> dict[str, Any]:
        """The error as TGI writes it."""
        return {"error": str(self), "error_type": self.kind}


class Invalid(Refusal):
    """The request cannot be served as it is."""

    status = 422
    kind = "validation"

    def __init__(self, message: str) -> None:
        super().__init__(f"Input validation error: {message}")


class Malformed(Refusal):
    """The body is not JSON, or not of the right shape, or too large."""

    kind = "validation"

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class BadTemplate(Refusal):
    """The model's chat template does not take these messages."""

    status = 422
    kind = "template_error"

    def __init__(self, message: str) -> None:
        super().__init__(f"Template error: {message}")


class BadTools(Refusal):
    """The tools of a chat, or the choice among them, cannot be followed."""

    status = 422
    kind = "tool_error"

    def __init__(self, message: str) -> None:
        super().__init__(f"Tool error: {message}")


class NoSuffix(Refusal):
    """A completion cannot be made to end in a given text."""

    status = 422
    kind = "suffix not supported"

    def __init__(self) -> None:
        super().__init__("`suffix` is not supported: write what is to be completed into `prompt`")


class BatchTooLarge(Refusal):
    """More prompts in one request than there may be."""

    status = 422
    kind = "batch size exceeded"

    def __init__(self, most: int) -> None:
        super().__init__(f"Number of prompts exceeds the maximum allowed batch size of {most}")


class Overloaded(Refusal):
    """As many requests are held as may be."""

    status = 429
    kind = "overloaded"

    def __init__(self) -> None:
        super().__init__("Model is overloaded")


class Failed(Refusal):
    """The model could not go on."""

    status = 424

    def __init__(self, message: str) -> None:
        super().__init__(f"Request failed during generation: {message}")


class Incomplete(Refusal):
    """The text ended before it was complete; the engine is stopping."""

    kind = "incomplete_generation"

    def __init__(self) -> None:
        super().__init__("Incomplete generation")


class Unhealthy(Refusal):
    """The engine is not able to work."""

    status = 503
    kind = "healthcheck"

    def __init__(self) -> None:
        super().__init__("unhealthy")


class Unauthorized(Refusal):
    """The bearer token is missing or wrong."""

    status = 401
    kind = "unauthorized"

    def __init__(self) -> None:
        super().__init__("Unauthorized: send the engine's key as a bearer token")


class BadEmbedding(Refusal):
    """An `/embed` request that cannot be served, in the form of Text Embeddings Inference."""

    def __init__(self, message: str, kind: str = "Validation", status: int = 413) -> None:
        super().__init__(message)
        self.kind, self.status = kind, status
