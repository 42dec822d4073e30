"""The embedder: texts to vectors with sentence-transformers. The only module that loads torch.

Requests that wait at the same time are computed together, the shortest requests first, texts of
like length in one batch, in bfloat16 where the processor has instructions for it. One thread
works; whoever asks waits on a future. Start reading at `Embedder.submit`.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llmasos.errors import ModelError

BATCH_TOKENS = 4096
"""Tokens of one batch, padding included."""
BATCH_TEXTS = 64


@dataclass(eq=False)
class _Request:
    """Tokenised texts of one caller, and the vectors that are there already."""

    tokens: list[list[int]]
    normalize: bool
    future: "Future[np.ndarray[Any, Any]]"
    waiting: list[int] = field(default_factory=list)
    """Numbers of the texts not yet computed, the longest last."""
    vectors: dict[int, Any] = field(default_factory=dict)


class Embedder:
    """A loaded embedding model.

    folder: its files. threads: 0 for as many as there are cores. Raises ModelError when it cannot
    be loaded.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        self._torch = torch
        if threads:
            torch.set_num_threads(threads)
        try:
            self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{folder} cannot be loaded: {error}") from error
        self._model.eval()
        if _fast_bfloat16(torch):
            self._model[0].to(torch.bfloat16)
        self.max_tokens = int(self._model.max_seq_length)
        self._requests: list[_Request] = []
        self._change = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="embedder", daemon=True)
        self._worker.start()

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The texts' lengths in tokens, uncut."""
        found = self._model.tokenizer([t.strip() for t in texts], truncation=False, verbose=False)
        return [len(ids) for ids in found["input_ids"]]

    def submit(self, texts: Sequence[str], *, normalize: bool) -> "Future[np.ndarray[Any, Any]]":
        """Ask for vectors, float32 of shape (texts, dimensions); long texts are cut.

        Cancelling the future drops what is not computed yet.
        """
        cut = self._model.tokenizer(
            [text.strip() for text in texts], truncation=True, max_length=self.max_tokens
        )
        request = _Request(cut["input_ids"], normalize, Future())
        request.waiting = sorted(range(len(texts)), key=lambda n: len(request.tokens[n]))
        with self._change:
            self._requests.append(request)
            self._change.notify()
        return request.future

    def close(self) -> None:
        """Stop the work; who still waits is cancelled."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._worker.join()
        for request in self._requests:
            request.future.cancel()

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                vectors = self._vectors([request.tokens[n] for request, n in batch])
            except Exception as error:  # noqa: BLE001  # a thread's edge: the askers are told
                for request, _ in batch:
                    self._drop(request)
                    if not request.future.done():
                        request.future.set_exception(error)
                continue
            for (request, number), vector in zip(batch, vectors, strict=True):
                request.vectors[number] = vector
            for request in {id(request): request for request, _ in batch}.values():
                self._finish(request)

    def _next_batch(self) -> list[tuple[_Request, int]]:
        """Wait for texts and take some: the smallest request's first. Empty when closed."""
        with self._change:
            while True:
                self._requests = [r for r in self._requests if not r.future.cancelled()]
                ready = sorted(
                    (r for r in self._requests if r.waiting), key=lambda r: len(r.waiting)
                )
                if self._closed:
                    return []
                if ready:
                    break
                self._change.wait()
        batch: list[tuple[_Request, int]] = []
        longest = 0
        for request in ready:
            while request.waiting and len(batch) < BATCH_TEXTS:
                longest = max(longest, len(request.tokens[request.waiting[-1]]))
                if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
                    return batch
                batch.append((request, request.waiting.pop()))
        return batch

    def _finish(self, request: _Request) -> None:
        """Hand the vectors over if all are there."""
        if len(request.vectors) < len(request.tokens):
            return
        self._drop(request)
        result = np.stack([request.vectors[n] for n in range(len(request.tokens))])
        if request.normalize:
            result /= np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)
        if request.future.set_running_or_notify_cancel():
            request.future.set_result(result)

    def _drop(self, request: _Request) -> None:
        with self._change:
            request.waiting.clear()
            if request in self._requests:
                self._requests.remove(request)

    def _vectors(self, tokens: list[list[int]]) -> "np.ndarray[Any, Any]":
        """One batch through the model; the pooling is done in float32."""
        torch = self._torch
        ids = torch.full((len(tokens), max(map(len, tokens))), self._model.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        features: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        with torch.inference_mode():
            for number, module in enumerate(self._model):
                features = module(features)
                if number == 0:
                    features["token_embeddings"] = features["token_embeddings"].float()
        return np.asarray(features["sentence_embedding"].float().numpy())


def _fast_bfloat16(torch: Any) -> bool:
    """Whether this processor computes bfloat16 faster than float32."""
    capabilities = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in capabilities)
