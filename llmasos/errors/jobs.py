"""Why a job ended before its agent did, or its answer did not get where it should."""

from llmasos.errors.tree import LLMasOSError


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


class ChannelBusy(ChannelUnavailable):
    """The place takes no more for the moment, and says for how many seconds: `retry_after`."""

    def message(self) -> str:
        return f"{self.address} takes nothing at the moment: {self.reason}"


class SandboxUnavailable(LLMasOSError):
    """Generated code cannot be run here, so it was not run."""


class ToolFailed(LLMasOSError):
    """A tool did not do its work."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(tool, reason)
        self.tool, self.reason = tool, reason

    def message(self) -> str:
        return f"The tool '{self.tool}' failed: {self.reason}"


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


class NotApproved(JobError):
    """What needed a person's approval did not get it; the job is cancelled."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what, self.reason = what, reason

    def message(self) -> str:
        return f"{self.what} was not approved: {self.reason}. Nothing was done."


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


class LimitExceeded(JobError):
    """An agent used more than one run of it may. what: the limit's name."""

    def __init__(self, agent: str, what: str, most: float) -> None:
        super().__init__(agent, what, most)
        self.agent, self.what, self.most = agent, what, most

    def message(self) -> str:
        return (
            f"The agent '{self.agent}' was stopped: one run of it may use {self.most:g} "
            f"{self.what.replace('_', ' ')}. Ask for less at a time, or raise {self.what} in "
            f"[agents.{self.agent}.limits]."
        )


class AgentsInCircle(JobError):
    """Agents asked one another without an end. agents: who asked whom, in order."""

    def __init__(self, agents: tuple[str, ...]) -> None:
        super().__init__(tuple(agents))
        self.agents = tuple(agents)

    def message(self) -> str:
        return (
            f"The agents asked one another in a circle, or too far: {' → '.join(self.agents)}. "
            "They were stopped. Let one of them answer by itself."
        )


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
