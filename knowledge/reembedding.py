"""Making a collection's index again, and its vectors when another embedding model is in force."""

from dataclasses import replace

import numpy as np

from knowledge.collection import Collection
from knowledge.embedding import Embedder, Vectors
from knowledge.report import Notify, Progress

PIECE = 256
"""Chunks that are embedded between two words on the progress."""


def rebuild(collection: Collection, embedder: Embedder, notify: Notify) -> None:
    """Check the store, embed again if the model or its vectors' length changed, index again.

    What was there serves until the new is complete. Hold `locked` around it.
    Raises StoreDamaged, EngineError.
    """
    with collection.store.read() as snapshot:
        snapshot.check()
        facts = snapshot.facts()
        chunks = list(snapshot.all_chunks())
    dimension = embedder.embed(["dimension"]).shape[1]
    if (facts.model, facts.dimension) == (embedder.model, dimension):
        with collection.write():
            return
    pieces: list[Vectors] = []
    for first in range(0, len(chunks), PIECE):
        notify(Progress(done=first, total=len(chunks), source=chunks[first].source))
        pieces.append(embedder.embed([c.chunk.embedded for c in chunks[first : first + PIECE]]))
    with collection.write() as draft:
        if pieces:
            draft.revector([each.id for each in chunks], np.concatenate(pieces))
        draft.set_facts(replace(draft.facts(), model=embedder.model, dimension=dimension))
    notify(Progress(done=len(chunks), total=len(chunks), source=""))
