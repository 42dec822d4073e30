"""Settings of the collections of documents."""

from pydantic import Field

from llmasos.settings.kinds import Secret, Section, Url


class KnowledgeSettings(Section):
    """How documents are read, cut and kept. The limits keep one bad document from costing much."""

    chunk_tokens: int = Field(default=256, ge=48, le=8192)
    """Longest passage with its headings, in tokens of the embedding model; never more than the
    model reads."""
    chunk_overlap: int = Field(default=0, ge=0, le=1024)
    """Tokens of whole sentences that a passage repeats of the one before it."""
    max_file_bytes: int = Field(default=50_000_000, ge=1)
    """Largest file or page that is read."""
    max_files: int = Field(default=100_000, ge=1)
    """Most files that one call may mean."""
    max_pages: int = Field(default=2_000, ge=1)
    """Most pages of a PDF."""
    max_text: int = Field(default=20_000_000, ge=1)
    """Longest text of a document in characters."""
    max_unpacked_bytes: int = Field(default=500_000_000, ge=1)
    """Most bytes that an archive or an Office document unpacks to."""
    max_upload_bytes: int = Field(default=20_000_000, ge=1_000)
    """Largest body of an upload over HTTP."""
    parse_seconds: float = Field(default=60.0, gt=0)
    """How long the reading of one document may take."""
    parse_memory: int = Field(default=2_000_000_000, ge=200_000_000)
    """How many bytes of memory the process that reads documents may take."""
    page_seconds: float = Field(default=30.0, gt=0)
    """How long the fetching of a web page may take."""
    allow_private_pages: bool = False
    """Whether web pages may be fetched from private addresses, such as 10.0.0.5 or localhost."""
    reranker_url: Url | None = None
    """Address of a server with `/rerank` (Text Embeddings Inference) that reads the best passages
    of a search once more, and orders them anew. None: there is no such thing."""
    reranker_api_key: Secret | None = None
    """Bearer token for the server at `reranker_url`."""
    keep_versions: int = Field(default=2, ge=0, le=100)
    """Earlier versions of a collection that stay for `llmasos knowledge rollback`; each takes disk
    space of its own."""
