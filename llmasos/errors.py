"""The error tree: what can go wrong, said in words that tell what, which, and what now.

    LLMasOSError
    ├── UsageError            the caller's mistake; nothing was changed
    │   ├── SettingsError, AgentLoadError, AgentDefinitionError, ToolDefinitionError
    │   ├── UnknownAgent, UnknownCollection, UnknownModel, UnknownJob
    │   ├── InvalidRequest, IdempotencyConflict, NotAllowed, WrongJobState
    │   └── SystemAlreadyRunning, PortInUse
    ├── EngineError           text generation or embedding failed
    │   └── EngineUnavailable, EngineOverloaded, EngineRejected, GenerationFailed
    ├── ModelError            a model's files
    │   └── ModelMissing, WrongHash, DownloadFailed
    ├── KnowledgeError        documents and indexes
    │   └── UnreadableDocument, StoreDamaged, EmbeddingModelChanged
    ├── StateError            what the system stands on
    │   └── DatabaseUnavailable, SchemaMismatch, BrokerUnavailable, HomeNotWritable
    ├── ChannelError          the place where an answer should go
    │   └── ChannelRefused (for good), ChannelUnavailable (try again)
    ├── SandboxUnavailable    generated code cannot be run here
    └── JobError              why a job ended before its agent did
        └── LeaseLost, JobCancelled, DeadlineExceeded, RetriesExhausted,
            AgentBroke, EmptyReply, EffectUnknown

Every constructor takes exactly what `args` holds, so that an error can be rebuilt on the far side
of a queue. Knows nothing of any other module.
"""

from difflib import get_close_matches


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Say which known names are meant by a wrong one: `Did you mean 'x'? Known: x, y.`"""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Known: {', '.join(sorted(known)) or 'none'}."


class LLMasOSError(Exception):
    """Something went wrong in LLMasOS."""

    def __str__(self) -> str:
        return self.message()

    def message(self) -> str:
        """The whole message for a person: what happened, to what, and what to do next."""
        return " ".join(str(part) for part in self.args) or (self.__doc__ or "").strip()


class UsageError(LLMasOSError):
    """The caller asked for something that cannot be done as asked."""


class SettingsError(UsageError):
    """A setting is wrong."""

    def __init__(self, name: str, value: str, reason: str) -> None:
        super().__init__(name, value, reason)
        self.name, self.value, self.reason = name, value, reason

    def message(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        return f"Setting {self.name}{shown}: {self.reason}"


class AgentLoadError(UsageError):
    """An agent named in the configuration or by a plug-in could not be loaded."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def message(self) -> str:
        return f"The agent at {self.where} cannot be loaded: {self.reason}"


class AgentDefinitionError(UsageError):
    """An agent is defined wrongly."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def message(self) -> str:
        return f"Agent '{self.name}': {self.reason}"


class ToolDefinitionError(UsageError):
    """A function cannot serve as a tool."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def message(self) -> str:
        return f"Tool '{self.name}': {self.reason}"


class _Unknown(UsageError):
    """A name that nothing bears."""

    kind = "thing"

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(name, tuple(known))
        self.name, self.known = name, tuple(known)

    def message(self) -> str:
        return f"No {self.kind} is named '{self.name}'.{nearest(self.name, self.known)}"


class UnknownAgent(_Unknown):
    """The application has no agent with that name."""

    kind = "agent"


class UnknownCollection(_Unknown):
    """There is no knowledge collection with that name."""

    kind = "collection"


class UnknownModel(_Unknown):
    """The model library has no model with that name."""

    kind = "model"


class UnknownJob(UsageError):
    """There is no job with that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def message(self) -> str:
        return f"There is no job '{self.job_id}'. `llmasos jobs list` shows the latest."


class InvalidRequest(UsageError):
    """A request cannot be taken: it is empty, too long or malformed."""


class IdempotencyConflict(UsageError):
    """The same idempotency key came with another content."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def message(self) -> str:
        return (
            f"The idempotency key '{self.key}' was used before for another request. "
            "Send a new key for a new request."
        )


class NotAllowed(UsageError):
    """The caller may not do that."""

    def __init__(self, who: str, what: str, remedy: str) -> None:
        super().__init__(who, what, remedy)
        self.who, self.what, self.remedy = who, what, remedy

    def message(self) -> str:
        return f"{self.who} may not {self.what}. {self.remedy}"


class WrongJobState(UsageError):
    """What was asked of a job does not fit the state that it is in."""

    def __init__(self, job_id: str, status: str, action: str) -> None:
        super().__init__(job_id, status, action)
        self.job_id, self.status, self.action = job_id, status, action

    def message(self) -> str:
        return f"Job {self.job_id} is {self.status}: it cannot {self.action}."


class SystemAlreadyRunning(UsageError):
    """A system already runs in this home."""

    def __init__(self, home: str, pid: int) -> None:
        super().__init__(home, pid)
        self.home, self.pid = home, pid

    def message(self) -> str:
        return (
            f"A system already runs in {self.home} (process {self.pid}). Stop it with Ctrl-C "
            "there, or give this one a home of its own with LLMASOS_HOME."
        )


class PortInUse(UsageError):
    """The port that a server should listen on is taken."""

    def __init__(self, host: str, port: int, setting: str) -> None:
        super().__init__(host, port, setting)
        self.host, self.port, self.setting = host, port, setting

    def message(self) -> str:
        return (
            f"Port {self.port} on {self.host} is in use by another program. "
            f"Stop that program or choose another port with {self.setting} (0 takes a free one)."
        )


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


class EngineOverloaded(EngineError):
    """The engine has as many requests as it takes; try again later."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def message(self) -> str:
        return f"The engine at {self.url} is overloaded. Try again in a moment."


class EngineRejected(EngineError):
    """The engine refused the request as invalid; trying again changes nothing."""


class GenerationFailed(EngineError):
    """The engine broke off in the middle of a text."""


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


class WrongHash(ModelError):
    """A downloaded file is not the one that the catalogue names; it was removed."""

    def __init__(self, name: str, file: str, expected: str, found: str) -> None:
        super().__init__(name, file, expected, found)
        self.name, self.file, self.expected, self.found = name, file, expected, found

    def message(self) -> str:
        return (
            f"Model '{self.name}': {self.file} has sha256 {self.found}, the catalogue says "
            f"{self.expected}. The file was removed; fetch it again from a source you trust."
        )


class DownloadFailed(ModelError):
    """A model could not be fetched."""

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(name, source, reason)
        self.name, self.source, self.reason = name, source, reason

    def message(self) -> str:
        return f"Model '{self.name}' could not be fetched from {self.source}: {self.reason}"


class KnowledgeError(LLMasOSError):
    """Documents or their indexes are not as they should be."""


class UnreadableDocument(KnowledgeError):
    """A document cannot be read; the others are not touched by it."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def message(self) -> str:
        return f"{self.source}: {self.reason}"


class StoreDamaged(KnowledgeError):
    """A collection's own store cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def message(self) -> str:
        return (
            f"The collection at {self.path} is damaged ({self.reason}). Restore that folder from a "
            "backup, or remove it and add the documents again."
        )


class EmbeddingModelChanged(KnowledgeError):
    """A collection was built with another embedding model than the one in force."""

    def __init__(self, collection: str, built_with: str, current: str) -> None:
        super().__init__(collection, built_with, current)
        self.collection, self.built_with, self.current = collection, built_with, current

    def message(self) -> str:
        return (
            f"Collection '{self.collection}' was built with embedding model '{self.built_with}', "
            f"embedding.model is '{self.current}'. Set it back, or embed the documents again: "
            f"llmasos knowledge rebuild {self.collection}"
        )


class StateError(LLMasOSError):
    """Something that the system stands on is missing or broken."""


class DatabaseUnavailable(StateError):
    """The database does not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def message(self) -> str:
        return f"The database at {self.url} does not answer: {self.reason}"


class SchemaMismatch(StateError):
    """The database's schema is not the one that this version works with."""

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(found, needed)
        self.found, self.needed = found, needed

    def message(self) -> str:
        remedy = (
            "It was made by a newer version of LLMasOS: install that one."
            if self.found > self.needed
            else "Run `llmasos migrate` (or start with `llmasos up`, which does it)."
        )
        return (
            f"The database has schema '{self.found or 'none'}', this version needs "
            f"'{self.needed}'. {remedy}"
        )


class BrokerUnavailable(StateError):
    """The broker does not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def message(self) -> str:
        return f"The broker at {self.url} does not answer: {self.reason}"


class HomeNotWritable(StateError):
    """The home folder cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def message(self) -> str:
        return (
            f"{self.path} cannot be written ({self.reason}). Free some space, mend the folder's "
            "rights, or name another with LLMASOS_HOME."
        )


class ChannelError(LLMasOSError):
    """An answer could not be brought to its place."""


class ChannelRefused(ChannelError):
    """The place refuses the answer for good: trying again changes nothing."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason

    def message(self) -> str:
        return f"{self.address} refuses the answer: {self.reason}"


class ChannelUnavailable(ChannelError):
    """The place cannot be reached now. retry_after: seconds to wait, 0 when it did not say."""

    def __init__(self, address: str, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(address, reason, retry_after)
        self.address, self.reason, self.retry_after = address, reason, retry_after

    def message(self) -> str:
        return f"{self.address} cannot be reached: {self.reason}"


class SandboxUnavailable(LLMasOSError):
    """Generated code cannot be run here, so it was not run."""


class JobError(LLMasOSError):
    """A job ended before its agent did."""


class LeaseLost(JobError):
    """Another worker has taken this job over; this one must stop."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(job_id, attempt)
        self.job_id, self.attempt = job_id, attempt

    def message(self) -> str:
        return f"Job {self.job_id} is no longer ours (attempt {self.attempt})."


class JobCancelled(JobError):
    """Someone cancelled the job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def message(self) -> str:
        return "This was stopped before it was done."


class DeadlineExceeded(JobError):
    """The job took longer than it may."""

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(job_id, seconds)
        self.job_id, self.seconds = job_id, seconds

    def message(self) -> str:
        return f"This took longer than the {self.seconds:.0f} seconds it may take and was stopped."


class RetriesExhausted(JobError):
    """The job failed as often as it may."""

    def __init__(self, job_id: str, failures: int, last: str) -> None:
        super().__init__(job_id, failures, last)
        self.job_id, self.failures, self.last = job_id, failures, last

    def message(self) -> str:
        return f"This failed {self.failures} times and was given up. The last error: {self.last}"


class AgentBroke(JobError):
    """An agent's own code raised an error that is none of ours."""

    def __init__(self, agent: str, kind: str) -> None:
        super().__init__(agent, kind)
        self.agent, self.kind = agent, kind

    def message(self) -> str:
        return (
            f"The agent '{self.agent}' broke down ({self.kind}); nothing was answered. "
            "The worker's log says where in its code."
        )


class EmptyReply(JobError):
    """An agent ended without an answer."""

    def __init__(self, agent: str, reason: str) -> None:
        super().__init__(agent, reason)
        self.agent, self.reason = agent, reason

    def message(self) -> str:
        return f"The agent '{self.agent}' gave no answer: {self.reason}."


class EffectUnknown(JobError):
    """A tool that changes things was called before a crash, and nobody knows whether it did."""

    def __init__(self, job_id: str, call: str, what: str) -> None:
        super().__init__(job_id, call, what)
        self.job_id, self.call, self.what = job_id, call, what

    def message(self) -> str:
        return (
            f"The call of {self.call} {self.what}. Nothing was called again. Please check it; then "
            f"`llmasos jobs retry {self.job_id}` goes on and makes an unknown call again."
        )
