"""The error tree: what can go wrong, said in words that tell what, which, and what now.

    LLMasOSError
    ├── UsageError            the caller's mistake; nothing was changed
    │   ├── SettingsError, AgentLoadError, AgentDefinitionError, ToolDefinitionError
    │   ├── UnknownAgent, UnknownCollection, UnknownVersion, UnknownModel, UnknownJob,
    │   │   UnknownArtifact, UnknownKey
    │   ├── KeyRefused, RateExceeded
    │   ├── InvalidRequest, SchemaImpossible, IdempotencyConflict, NotAllowed, WrongJobState
    │   ├── AlreadyDecided, BudgetSpent
    │   ├── AliasRefused, EntryRefused, ModelInUse
    │   └── SystemAlreadyRunning, PortInUse
    ├── EngineError           text generation or embedding failed
    │   ├── EngineUnavailable (ModelUnavailable: all of its servers), EngineOverloaded,
    │   │   EngineRejected (EngineMisconfigured: any request), GenerationFailed
    │   └── AnswerTooSlow, AnswerCut, AnswerUnfit, BatchFailed
    ├── ModelError            a model's files
    │   └── ModelMissing, ModelFileMissing, WrongHash, DownloadFailed, GatedModel, ModelTooLarge,
    │       NotAModel
    ├── KnowledgeError        documents and indexes
    │   └── UnreadableDocument, StoreDamaged, IndexDamaged, CollectionBusy,
    │       EmbeddingModelChanged
    ├── StateError            what the system stands on
    │   └── DatabaseUnavailable, SchemaMismatch, BrokerUnavailable, HomeNotWritable, DumpUnfit,
    │       BackupUnfit
    ├── ChannelError          the place where an answer should go
    │   └── ChannelRefused (for good), ChannelUnavailable (try again; ChannelBusy: it says when)
    ├── SandboxUnavailable    generated code cannot be run here
    ├── ToolFailed            a tool did not do its work
    └── JobError              why a job ended before its agent did
        └── LeaseLost, JobCancelled, NotApproved, DeadlineExceeded, RetriesExhausted,
            AgentBroke, EmptyReply, EffectUnknown, LimitExceeded, AgentsInCircle

Each file holds a branch or two. Every constructor takes exactly what `args` holds, so that an error
can be rebuilt on the far side of a queue. Knows nothing of any other module.
"""

from llmasos.errors.engine import (
    AnswerCut,
    AnswerTooSlow,
    AnswerUnfit,
    BatchFailed,
    DownloadFailed,
    EngineError,
    EngineMisconfigured,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    GatedModel,
    GenerationFailed,
    ModelError,
    ModelFileMissing,
    ModelMissing,
    ModelTooLarge,
    ModelUnavailable,
    NotAModel,
    WrongHash,
)
from llmasos.errors.jobs import (
    AgentBroke,
    AgentsInCircle,
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    ChannelUnavailable,
    DeadlineExceeded,
    EffectUnknown,
    EmptyReply,
    JobCancelled,
    JobError,
    LeaseLost,
    LimitExceeded,
    NotApproved,
    RetriesExhausted,
    SandboxUnavailable,
    ToolFailed,
)
from llmasos.errors.state import (
    BackupUnfit,
    BrokerUnavailable,
    CollectionBusy,
    DatabaseUnavailable,
    DumpUnfit,
    EmbeddingModelChanged,
    HomeNotWritable,
    IndexDamaged,
    KnowledgeError,
    SchemaMismatch,
    StateError,
    StoreDamaged,
    UnreadableDocument,
)
from llmasos.errors.tree import LLMasOSError, UsageError, nearest
from llmasos.errors.usage import (
    AgentDefinitionError,
    AgentLoadError,
    AliasRefused,
    AlreadyDecided,
    BudgetSpent,
    EntryRefused,
    IdempotencyConflict,
    InvalidRequest,
    KeyRefused,
    ModelInUse,
    NotAllowed,
    PortInUse,
    RateExceeded,
    SchemaImpossible,
    SettingsError,
    SystemAlreadyRunning,
    ToolDefinitionError,
    UnknownAgent,
    UnknownArtifact,
    UnknownCollection,
    UnknownJob,
    UnknownKey,
    UnknownModel,
    UnknownVersion,
    WrongJobState,
)

__all__ = [
    "AgentBroke",
    "AgentDefinitionError",
    "AgentLoadError",
    "AgentsInCircle",
    "AliasRefused",
    "AlreadyDecided",
    "AnswerCut",
    "AnswerTooSlow",
    "AnswerUnfit",
    "BackupUnfit",
    "BatchFailed",
    "BrokerUnavailable",
    "BudgetSpent",
    "ChannelBusy",
    "ChannelError",
    "ChannelRefused",
    "ChannelUnavailable",
    "CollectionBusy",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "DownloadFailed",
    "DumpUnfit",
    "EffectUnknown",
    "EmbeddingModelChanged",
    "EmptyReply",
    "EngineError",
    "EngineMisconfigured",
    "EngineOverloaded",
    "EngineRejected",
    "EngineUnavailable",
    "EntryRefused",
    "GatedModel",
    "GenerationFailed",
    "HomeNotWritable",
    "IdempotencyConflict",
    "IndexDamaged",
    "InvalidRequest",
    "JobCancelled",
    "JobError",
    "KeyRefused",
    "KnowledgeError",
    "LLMasOSError",
    "LeaseLost",
    "LimitExceeded",
    "ModelError",
    "ModelFileMissing",
    "ModelInUse",
    "ModelMissing",
    "ModelTooLarge",
    "ModelUnavailable",
    "NotAModel",
    "NotAllowed",
    "NotApproved",
    "PortInUse",
    "RateExceeded",
    "RetriesExhausted",
    "SandboxUnavailable",
    "SchemaImpossible",
    "SchemaMismatch",
    "SettingsError",
    "StateError",
    "StoreDamaged",
    "SystemAlreadyRunning",
    "ToolDefinitionError",
    "ToolFailed",
    "UnknownAgent",
    "UnknownArtifact",
    "UnknownCollection",
    "UnknownJob",
    "UnknownKey",
    "UnknownModel",
    "UnknownVersion",
    "UnreadableDocument",
    "UsageError",
    "WrongHash",
    "WrongJobState",
    "nearest",
]
