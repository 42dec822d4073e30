"""Knowledge: documents in, passages out."""

from knowledge.documents import Document, Heading, Loader
from knowledge.embedding import Embedder, HttpEmbedder, Server
from knowledge.knowledge_base import KnowledgeBase
from knowledge.report import CollectionStats, DocumentInfo, Failure, Progress, Report

__all__ = [
    "CollectionStats",
    "Document",
    "DocumentInfo",
    "Embedder",
    "Failure",
    "Heading",
    "HttpEmbedder",
    "KnowledgeBase",
    "Loader",
    "Progress",
    "Report",
    "Server",
]
