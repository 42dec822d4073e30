"""Mistakes of the caller: nothing was changed, and the message says what to do instead."""

from llmasos.errors.tree import UsageError, nearest


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


class UnknownKey(_Unknown):
    """There is no API key with that id."""

    kind = "API key"


class UnknownJob(UsageError):
    """There is no job with that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def message(self) -> str:
        return f"There is no job '{self.job_id}'. `llmasos jobs list` shows the latest."


class UnknownArtifact(UsageError):
    """The answer of that job has no such file."""

    def __init__(self, job_id: str, number: int, files: int) -> None:
        super().__init__(job_id, number, files)
        self.job_id, self.number, self.files = job_id, number, files

    def message(self) -> str:
        return f"Job '{self.job_id}' has no file {self.number} to download; it has {self.files}."


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
            "This idempotency key was used before for another request. "
            "Send a new key for a new request."
        )


class NotAllowed(UsageError):
    """The caller may not do that."""

    def __init__(self, who: str, what: str, remedy: str) -> None:
        super().__init__(who, what, remedy)
        self.who, self.what, self.remedy = who, what, remedy

    def message(self) -> str:
        return f"{self.who} may not {self.what}. {self.remedy}"


class KeyRefused(UsageError):
    """The caller showed no API key, or one that does not work."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def message(self) -> str:
        return (
            f"The API key was refused: {self.reason}. Send one that works as `Authorization: "
            "Bearer llmasos_…`; `llmasos keys add NAME` makes one."
        )


class RateExceeded(UsageError):
    """The caller sent more requests than it may. seconds: to wait before the next."""

    def __init__(self, who: str, per_minute: int, seconds: float) -> None:
        super().__init__(who, per_minute, seconds)
        self.who, self.per_minute, self.seconds = who, per_minute, seconds

    def message(self) -> str:
        return (
            f"{self.who} sent more than {self.per_minute} requests within a minute. Ask again in "
            f"{self.seconds:.0f} s."
        )


class WrongJobState(UsageError):
    """What was asked of a job does not fit the state that it is in."""

    def __init__(self, job_id: str, status: str, action: str) -> None:
        super().__init__(job_id, status, action)
        self.job_id, self.status, self.action = job_id, status, action

    def message(self) -> str:
        return f"Job {self.job_id} is {self.status}: it cannot {self.action}."


class BudgetSpent(UsageError):
    """Somebody has used up what is theirs for the day."""

    def __init__(self, who: str, budget: str, free_at: str, setting: str) -> None:
        super().__init__(who, budget, free_at, setting)
        self.who, self.budget, self.free_at, self.setting = who, budget, free_at, setting

    def message(self) -> str:
        return (
            f"{self.who} has used up the budget of {self.budget} a day. Something of it is free "
            f"again at {self.free_at}. Whoever runs this installation can change it with "
            f"{self.setting}."
        )


class AlreadyDecided(UsageError):
    """A person has decided on the approval before."""

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(job_id, state)
        self.job_id, self.state = job_id, state

    def message(self) -> str:
        return f"What job {self.job_id} asked for is {self.state} already; nothing was changed."


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
