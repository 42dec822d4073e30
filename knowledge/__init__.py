"""Knowledge: documents in, passages out.

Each name is loaded when it is first asked for: the process that reads documents needs no index.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knowledge.documents import Document, Heading, Limits, Loader
    from knowledge.embedding import Embedder, HttpEmbedder, Server
    from knowledge.knowledge_base import KnowledgeBase
    from knowledge.report import CollectionStats, DocumentInfo
    from knowledge.tokens import Tokens
    from llmasos.upkeep import LeftOut, Progress, Report

__all__ = [
    "CollectionStats",
    "Document",
    "DocumentInfo",
    "Embedder",
    "Heading",
    "HttpEmbedder",
    "KnowledgeBase",
    "LeftOut",
    "Limits",
    "Loader",
    "Progress",
    "Report",
    "Server",
    "Tokens",
]

_MODULES = {
    "knowledge.documents": ("Document", "Heading", "Limits", "Loader"),
    "knowledge.embedding": ("Embedder", "HttpEmbedder", "Server"),
    "knowledge.knowledge_base": ("KnowledgeBase",),
    "knowledge.report": ("CollectionStats", "DocumentInfo"),
    "knowledge.tokens": ("Tokens",),
    "llmasos.upkeep": ("LeftOut", "Progress", "Report"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'knowledge' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
