"""`/embed` against sentence-transformers itself."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

TEXTS = [
    "How do refunds take?",
    "  The billing page lists every invoice of the last two years.  ",
    "退款需要多长时间？",
    "x",
    "A long one. " * 200,
]


@pytest.fixture
def embed(engine: Any) -> Any:
    """Asks for vectors."""

    def ask(inputs: Any, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {engine.key}"}
        body = {"inputs": inputs, **more}
        return httpx.post(f"{engine.url}/embed", json=body, headers=headers, timeout=60)

    return ask


def test_vectors_are_those_of_sentence_transformers(embed: Any, home: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from llmasos.engine.library import ModelLibrary

    model = SentenceTransformer(
        str(ModelLibrary(home / "models").path("all-minilm-l6-v2")), device="cpu"
    )

    ours = np.array(embed(TEXTS).json())

    theirs = model.encode(TEXTS, normalize_embeddings=True)
    assert ours.shape == theirs.shape
    assert (ours * theirs).sum(axis=1).min() > 0.999
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_a_long_text_is_cut_unless_that_is_forbidden(embed: Any) -> None:
    long = "word " * 600

    cut = embed(long)
    refused = embed(long, truncate=False)

    assert len(cut.json()) == 1
    assert refused.status_code == 413
    assert refused.json() == {
        "error": "Input validation error: `inputs` must have less than 256 tokens. Given: 602",
        "error_type": "Validation",
    }


@pytest.mark.parametrize(
    ("inputs", "status"), [([], 400), ("", 400), (["a", ""], 400), (["a"] * 1025, 413), (3, 422)]
)
def test_what_cannot_be_embedded_is_refused(embed: Any, inputs: Any, status: int) -> None:
    assert embed(inputs).status_code == status
