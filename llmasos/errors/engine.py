"""Failures of models: the engine that serves them, and their files."""

from typing import Any

from llmasos.errors.tree import LLMasOSError


class EngineError(LLMasOSError):
    """Text generation or embedding failed."""


class EngineUnavailable(EngineError):
    """The engine does not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def message(self) -> str:
        return (
            f"The engine at {self.url} does not answer ({self.reason}). "
            "`llmasos doctor` shows what is wrong."
        )


class ModelUnavailable(EngineUnavailable):
    """None of the servers that a model has, and its fall-backs have, answers."""

    def __init__(self, alias: str, reasons: tuple[str, ...]) -> None:
        EngineError.__init__(self, alias, tuple(reasons))
        self.alias, self.reasons = alias, tuple(reasons)
        self.url, self.reason = alias, "; ".join(reasons)

    def message(self) -> str:
        return (
            f"No server of the model '{self.alias}' answers: {self.reason}. "
            "`llmasos models status` shows each of them."
        )


class EngineOverloaded(EngineError):
    """The engine has as many requests as it takes; try again later.

    retry_after: seconds to wait, 0 when it did not say.
    """

    def __init__(self, url: str, retry_after: float = 0.0) -> None:
        super().__init__(url, retry_after)
        self.url, self.retry_after = url, retry_after

    def message(self) -> str:
        return f"The engine at {self.url} is overloaded. Try again in a moment."


class EngineRejected(EngineError):
    """The engine refused the request as invalid; trying again changes nothing."""


class EngineMisconfigured(EngineRejected):
    """The engine can take no request as it is set up here: a wrong key, server or model."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def message(self) -> str:
        return f"The engine at {self.url} cannot be used as it is set up: {self.reason}."


class GenerationFailed(EngineError):
    """The engine broke off in the middle of a text."""


class AnswerTooSlow(EngineError):
    """An answer was not complete in the time that it may take, and was stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def message(self) -> str:
        return (
            f"The answer was not complete after {self.seconds:g} s and was stopped. "
            "Give a longer timeout or a smaller max_new_tokens."
        )


class AnswerCut(EngineError):
    """An answer was cut before its JSON was complete."""

    def __init__(self, name: str, max_new_tokens: int) -> None:
        super().__init__(name, max_new_tokens)
        self.name, self.max_new_tokens = name, max_new_tokens

    def message(self) -> str:
        return (
            f"The answer for {self.name} was cut at {self.max_new_tokens} tokens, before its JSON "
            "was complete. Give a larger max_new_tokens, or a schema with fewer or shorter fields."
        )


class AnswerUnfit(EngineError):
    """A model was asked several times, and its answers do not fit the schema."""

    def __init__(self, name: str, tries: int, reason: str, answer: str) -> None:
        super().__init__(name, tries, reason, answer)
        self.name, self.tries, self.reason, self.answer = name, tries, reason, answer

    def message(self) -> str:
        return (
            f"The model was asked {self.tries} times and its answer does not fit {self.name}: "
            f"{self.reason}. It said: {self.answer}"
        )


class BatchFailed(EngineError):
    """Some of many requests failed; the answers to the others are in `results`.

    results: in order, the answer to each request, or the error that came instead.
    """

    def __init__(self, results: list[Any]) -> None:
        super().__init__(results)
        self.results = results

    @property
    def failures(self) -> dict[int, Exception]:
        """The errors, by the number of the request, from 0."""
        return {n: each for n, each in enumerate(self.results) if isinstance(each, Exception)}

    def message(self) -> str:
        first = next(iter(self.failures.items()), None)
        said = f" The first, number {first[0]}: {first[1]}" if first else ""
        return (
            f"{len(self.failures)} of {len(self.results)} requests failed; the other answers are "
            f"in the error's `results`.{said}"
        )


class ModelError(LLMasOSError):
    """A model's files are not as they should be."""


class ModelMissing(ModelError):
    """A model is not on this machine."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, path)
        self.name, self.path = name, path

    def message(self) -> str:
        return (
            f"Model '{self.name}' is not in {self.path}. Fetch it: llmasos models pull {self.name}"
        )


class ModelFileMissing(ModelError):
    """There is no model at the path that was given."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def message(self) -> str:
        return (
            f"There is no model at {self.path}: give a GGUF file, or a folder with config.json and "
            "safetensors. `llmasos models list` shows the models that have names."
        )


class WrongHash(ModelError):
    """A downloaded file is not the one that was expected; it was removed.

    said_by: who says what it should be: the catalogue, the Hub, or the first pull.
    """

    def __init__(self, name: str, file: str, expected: str, found: str, said_by: str) -> None:
        super().__init__(name, file, expected, found, said_by)
        self.name, self.file, self.expected, self.found = name, file, expected, found
        self.said_by = said_by

    def message(self) -> str:
        return (
            f"Model '{self.name}': {self.file} has hash {self.found}, {self.said_by} says "
            f"{self.expected}. The file was removed; fetch it again from a source you trust."
        )


class DownloadFailed(ModelError):
    """A model could not be fetched."""

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(name, source, reason)
        self.name, self.source, self.reason = name, source, reason

    def message(self) -> str:
        return f"Model '{self.name}' could not be fetched from {self.source}: {self.reason}"


class GatedModel(ModelError):
    """The Hub gives a model only to those who have accepted its licence."""

    def __init__(self, name: str, repo: str, with_token: bool) -> None:
        super().__init__(name, repo, with_token)
        self.name, self.repo, self.with_token = name, repo, with_token

    def message(self) -> str:
        steps = f"Accept its licence at https://huggingface.co/{self.repo}"
        if self.with_token:
            return (
                f"Model '{self.name}' is gated, and the token's owner has no access to it. "
                f"{steps}, with the account of hub.token, and wait until it is granted."
            )
        return (
            f"Model '{self.name}' is gated. {steps}, make a read token in that account's settings, "
            "and set hub.token (LLMASOS_HUB__TOKEN)."
        )


class ModelTooLarge(ModelError):
    """A model does not fit into this machine's memory; it was not loaded."""

    def __init__(self, name: str, bytes_needed: int, bytes_free: int) -> None:
        super().__init__(name, bytes_needed, bytes_free)
        self.name, self.bytes_needed, self.bytes_free = name, bytes_needed, bytes_free

    def message(self) -> str:
        needed, free = self.bytes_needed / 1e9, self.bytes_free / 1e9
        return (
            f"Model '{self.name}' needs about {needed:.1f} GB of memory, {free:.1f} GB are "
            "free here, so it was not loaded. Choose a smaller one (llmasos models list), free "
            "some memory, or name a server that holds it with llm.urls."
        )


class NotAModel(ModelError):
    """A file is not the model that its name promises."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def message(self) -> str:
        return f"{self.path} is no model that can be used: {self.reason}"
