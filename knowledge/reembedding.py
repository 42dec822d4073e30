"""Making a collection's version again, and its vectors when another embedding model is in force.

What was there serves until the new is complete. Vectors of the new model are committed as they are
made: after a crash the next call goes on where this one was broken off.
"""

from knowledge.collection import Collection
from knowledge.embedding import Embedder
from knowledge.publishing import publish
from knowledge.records import StoredChunk
from llmasos.upkeep import Notify, Progress

PIECE = 256
"""Chunks that are embedded between two words on the progress."""


def rebuild(collection: Collection, embedder: Embedder, notify: Notify) -> None:
    """Check the store, embed again if the model or its vectors' length changed, index again.

    Hold `locked` around it. Raises StoreDamaged, EngineError.
    """
    dimension = embedder.embed(["dimension"]).shape[1]
    with collection.store.read() as snapshot:
        snapshot.check()
        vectors = snapshot.model(embedder.model, dimension)
        total = snapshot.counts()[1]
    if vectors is None:
        with collection.store.write() as draft:
            vectors = draft.add_model(embedder.model, dimension)
    done, last = 0, 0
    while chunks := _missing(collection, vectors, last):
        notify(Progress(done=done, total=total, source=chunks[0].source))
        made = embedder.embed([each.chunk.embedded for each in chunks])
        with collection.store.write() as draft:
            draft.add_vectors(vectors, [each.id for each in chunks], made)
        done, last = done + len(chunks), chunks[-1].id
    publish(collection.folder, collection.store, collection.keep, vectors)
    notify(Progress(done=total, total=total, source=""))


def _missing(collection: Collection, vectors: int, after: int) -> list[StoredChunk]:
    with collection.store.read() as snapshot:
        return snapshot.without_vector(vectors, after, PIECE)
