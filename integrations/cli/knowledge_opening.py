"""The knowledge base for a command: with an embedding server, or without for what needs no vectors.

Where no system runs, a command that needs vectors uses an engine that this home's programs share.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from integrations.cli.console import note
from llmasos.settings import Settings

if TYPE_CHECKING:  # `--help` must not wait for it
    from knowledge import KnowledgeBase, Server


@contextmanager
def opened(settings: Settings) -> Iterator["KnowledgeBase"]:
    """The knowledge base, with an embedding server: the one in force, or an engine of our own."""
    from knowledge import HttpEmbedder, KnowledgeBase, Server
    from knowledge.embedding import tokens_of
    from knowledge.retrieve import Tuning
    from llmasos.system import addresses

    with ExitStack() as stack:
        started: list[Server] = []
        starting = Lock()

        def own_engine() -> Server:  # started by the first text that needs it, if any does
            with starting:
                if not started:
                    started.append(stack.enter_context(_engine(settings)))
            return started[0]

        if addresses(settings).embedding_url:
            embedder = HttpEmbedder.from_settings(settings)
        else:
            embedder = HttpEmbedder(own_engine, settings.embedding.model, tokens_of(settings))
        stack.callback(embedder.close)
        knowledge = KnowledgeBase(
            settings.knowledge_dir, embedder, settings.knowledge, Tuning.of(settings)
        )
        stack.callback(knowledge.close)
        yield knowledge


@contextmanager
def _engine(settings: Settings) -> Iterator["Server"]:
    """The engine that the programs of this home share, for as long as this command needs it."""
    from knowledge import Server
    from llmasos.engine.serving import embedding_only
    from llmasos.engine.sharing import needed

    served = embedding_only(settings)
    with needed(settings, [served], lambda: note("Starting an engine …")) as (address,):
        yield Server(address.url, address.key)


def stored(settings: Settings) -> "KnowledgeBase":
    """The knowledge base for what needs no vectors: nothing is started."""
    from knowledge import KnowledgeBase

    return KnowledgeBase.open(settings)
