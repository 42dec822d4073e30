"""The error tree: what can go wrong, said in words that tell what, which, and what now.

    LLMasOSError
    ├── UsageError            the caller's mistake; nothing was changed
    │   ├── SettingsError, AgentLoadError, AgentDefinitionError, ToolDefinitionError
    │   ├── UnknownAgent, UnknownCollection, UnknownVersion, UnknownModel, UnknownJob
    │   ├── InvalidRequest, SchemaImpossible, IdempotencyConflict, NotAllowed, WrongJobState
    │   ├── AliasRefused, EntryRefused, ModelInUse
    │   └── SystemAlreadyRunning, PortInUse
    ├── EngineError           text generation or embedding failed
    │   ├── EngineUnavailable (ModelUnavailable: all of its servers), EngineOverloaded,
    │   │   EngineRejected (EngineMisconfigured: any request), GenerationFailed
    │   └── AnswerTooSlow, AnswerCut, AnswerUnfit, BatchFailed
    ├── ModelError            a model's files
    │   └── ModelMissing, WrongHash, DownloadFailed, GatedModel, ModelTooLarge, NotAModel
    ├── KnowledgeError        documents and indexes
    │   └── UnreadableDocument, StoreDamaged, IndexDamaged, EmbeddingModelChanged
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
from typing import Any


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


class UnknownVersion(_Unknown):
    """The collection keeps no version with that name."""

    kind = "version"


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


class SchemaImpossible(UsageError):
    """No answer of a model can fit the schema that it should follow."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def message(self) -> str:
        return f"No answer can fit {self.name}: {self.reason}."


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


class AliasRefused(UsageError):
    """An alias of the model library cannot be moved as asked."""

    def __init__(self, alias: str, reason: str) -> None:
        super().__init__(alias, reason)
        self.alias, self.reason = alias, reason

    def message(self) -> str:
        return f"Alias '{self.alias}': {self.reason}"


class EntryRefused(UsageError):
    """A model cannot be written to the catalogue as asked."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def message(self) -> str:
        return f"Model '{self.name}' cannot be added: {self.reason}"


class ModelInUse(UsageError):
    """A model's files are needed by an alias that points at it."""

    def __init__(self, name: str, aliases: tuple[str, ...]) -> None:
        super().__init__(name, tuple(aliases))
        self.name, self.aliases = name, tuple(aliases)

    def message(self) -> str:
        named = ", ".join(f"'{alias}'" for alias in self.aliases)
        return (
            f"Model '{self.name}' is what {named} points at, so it was not removed. Point it "
            f"elsewhere first: llmasos models promote {self.aliases[0]} NAME"
        )


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
        name = self.path.rstrip("/").rpartition("/")[2]
        return (
            f"The collection at {self.path} is damaged ({self.reason}). Restore it from a backup: "
            f"llmasos knowledge restore {name} FILE --replace, or remove it and add the documents "
            "again."
        )


class IndexDamaged(KnowledgeError):
    """A file that is derived from a collection's store cannot be used; it can be made again."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def message(self) -> str:
        return (
            f"The index at {self.path} cannot be used ({self.reason}). Nothing is lost: make it "
            "again with `llmasos knowledge rebuild COLLECTION`."
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
