"""Failures of what is kept: documents and indexes, the database, the broker, the home."""

from llmasos.errors.tree import LLMasOSError


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


class CollectionBusy(KnowledgeError):
    """Another process has been writing to a collection for as long as this one would wait."""

    def __init__(self, collection: str, seconds: float) -> None:
        super().__init__(collection, seconds)
        self.collection, self.seconds = collection, seconds

    def message(self) -> str:
        return (
            f"Another process has been writing to collection '{self.collection}' for "
            f"{self.seconds:.0f} seconds. Try again when it is done."
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


class DumpUnfit(StateError):
    """A dump of the state cannot be loaded into this version's tables."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def message(self) -> str:
        return f"{self.name} cannot be loaded: {self.reason}. The database is as it was."


class BackupUnfit(StateError):
    """A file is no backup that can be restored here."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def message(self) -> str:
        return f"{self.path} cannot be restored: {self.reason}. Nothing was changed."


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
