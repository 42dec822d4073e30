"""The embedded engine over HTTP against bare xllamacpp bindings, and what sharing prompts brings.

Four questions, each a ratio within one run:

- tokens a second at 1, 4 and 8 streams, over HTTP against the bindings (goal: at least 0.95 times).
  Both tell a log probability for each token, and take turns.
- the first token of a conversation's second turn against that of its first (at most 0.2 times).
- 8 agents with the same 500 tokens of instructions, 32 of their own and 96 to write, at once
  against one after another (at least 1.4 times as fast).
- the same with 600 tokens of which they share none (at least 0.85 times).

    python benchmarks/engine.py [--rounds 5] [--only streams|turns|agents]
"""

import argparse
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from llmasos.engine.launch import EngineProcess
from llmasos.engine.library import ModelLibrary
from llmasos.engine.process import SPINS
from llmasos.settings import EngineSettings, load, prefer

GOALS = {"streams": ">= 0.95", "turns": "<= 0.2", "shared": ">= 1.4", "distinct": ">= 0.85"}
SLOTS, CONTEXT, BATCH = 8, 16384, 256
NEW_TOKENS = 96
Text = tuple[int, float, float]
"""Tokens, seconds to the first, seconds to the last."""
fresh = count(int(time.time()))


def main() -> None:
    options = _options()
    if options.bare:
        _serve_bare(options.bare)
        return
    settings = load()
    own = EngineSettings(slots=SLOTS, context=CONTEXT)
    model = ModelLibrary(settings.models_dir).path(settings.llm.model)
    bare = (sys.executable, __file__, "--bare", str(model))
    with (
        EngineProcess.start(settings, embeddings=False, own=own) as engine,
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as bindings,
    ):
        _report(Server(engine.url), Bindings(bindings), options)
        bindings.terminate()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("streams", "turns", "agents"))
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    return parser.parse_args()


class Server:
    """The engine's HTTP side. Its client only counts, so that it takes little from two cores."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._threads = ThreadPoolExecutor(SLOTS)

    def text(self, prompt: str, new_tokens: int = NEW_TOKENS) -> Text:
        """Generate one text."""
        body = {"inputs": prompt, "parameters": {"max_new_tokens": new_tokens}}
        content = json.dumps(body).encode()
        head = (
            f"POST /generate_stream HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        began, first, tokens = time.perf_counter(), 0.0, 0
        with socket.create_connection((self._host, self._port)) as connection:
            connection.sendall(head.encode() + content)
            while part := connection.recv(65536):
                if found := part.count(b"data:"):
                    first = first or time.perf_counter()
                    tokens += found
        return tokens, first - began, time.perf_counter() - began

    def at_once(self, prompts: Sequence[str]) -> list[Text]:
        """Generate texts at the same time."""
        return list(self._threads.map(self.text, prompts))

    def rate(self, prompts: Sequence[str]) -> float:
        """Tokens a second of texts at once."""
        began = time.perf_counter()
        return sum(text[0] for text in self.at_once(prompts)) / (time.perf_counter() - began)


class Bindings:
    """The bare bindings in a process of their own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def rate(self, prompts: Sequence[str]) -> float:
        """Tokens a second of texts at once."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(prompts) + "\n")
        stdin.flush()
        return float(stdout.readline())


def _report(server: Server, bindings: Bindings, options: argparse.Namespace) -> None:
    server.rate(["Warm up"])
    bindings.rate(["Warm up"])
    figures: dict[str, Any] = {"goals": GOALS}
    if options.only in (None, "streams"):
        for streams in (1, 4, 8):
            figures[f"streams_{streams}"] = _streams(server, bindings, streams, options.rounds)
    if options.only in (None, "turns"):
        figures["turns"] = _turns(server, options.rounds)
    if options.only in (None, "agents"):
        figures["shared"] = _agents(server, options.rounds, shared=500, own=32)
        figures["distinct"] = _agents(server, options.rounds, shared=0, own=600)
    print(json.dumps(figures, indent=2))


def _streams(server: Server, bindings: Bindings, streams: int, rounds: int) -> Any:
    prompts = [f"{word} 1 2 3, {word} 1 2 3, {word}" for word in "abcdefgh"[:streams]]
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(server.rate(prompts))
        theirs.append(bindings.rate(prompts))
    return {
        "tokens_per_second": round(statistics.median(ours), 1),
        "bindings": round(statistics.median(theirs), 1),
        "ratio": _median_of(a / b for a, b in zip(ours, theirs, strict=True)),
    }


def _turns(server: Server, rounds: int) -> Any:
    ratios, firsts, seconds = [], [], []
    for _ in range(rounds):
        opening = _words(600) + "\nUser: What is this about?\nAssistant:"
        _, first, _ = server.text(opening, 24)
        _, second, _ = server.text(f"{opening} Numbers.\nUser: And then?\nAssistant:", 24)
        firsts.append(first)
        seconds.append(second)
        ratios.append(second / first)
    return {
        "first_turn_ms": round(1000 * statistics.median(firsts)),
        "second_turn_ms": round(1000 * statistics.median(seconds)),
        "ratio": _median_of(ratios),
    }


def _agents(server: Server, rounds: int, *, shared: int, own: int) -> Any:
    ratios, together, alone = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        for prompt in _prompts(shared, own):
            server.text(prompt)
        alone.append(time.perf_counter() - began)
        began = time.perf_counter()
        server.at_once(_prompts(shared, own))
        together.append(time.perf_counter() - began)
        ratios.append(alone[-1] / together[-1])
    return {
        "one_after_another_s": round(statistics.median(alone), 2),
        "at_once_s": round(statistics.median(together), 2),
        "ratio": _median_of(ratios),
    }


def _prompts(shared: int, own: int) -> list[str]:
    """Prompts of 8 agents that no round had before."""
    instructions = _words(shared) if shared else ""
    return [f"{instructions}\n{_words(own)}" for _ in range(8)]


def _words(tokens: int) -> str:
    """So many tokens, about, that no other text begins with: each digit is one, and each space."""
    chance = random.Random(next(fresh))
    return " ".join(str(chance.randrange(10)) for _ in range(tokens // 2))


def _median_of(ratios: Iterable[float]) -> float:
    return round(statistics.median(ratios), 3)


def _serve_bare(model: str) -> None:
    """Generate what comes on standard input with the bindings alone."""
    prefer(GOMP_SPINCOUNT=SPINS)  # as the engine does: else two threads wait for each other busily
    import xllamacpp

    with tempfile.TemporaryDirectory() as folder:
        params = xllamacpp.CommonParams()
        params.model.path = model
        params.n_parallel, params.n_ctx, params.kv_unified = SLOTS, CONTEXT, True
        params.n_batch = params.n_ubatch = BATCH
        params.hostnames = [str(Path(folder) / "bare.sock")]
        params.verbosity = -1
        server = xllamacpp.Server(params)

        def generate(prompt: str) -> int:
            tokens = 0

            def receive(chunk: dict[str, Any]) -> None:
                nonlocal tokens
                tokens += bool(chunk["choices"][0]["logprobs"])

            request = {"prompt": prompt, "n_predict": NEW_TOKENS, "temperature": 0.0}
            server.handle_completions(request | {"stream": True, "logprobs": 1}, receive)
            return tokens

        with ThreadPoolExecutor(SLOTS) as threads:
            for line in sys.stdin:
                began = time.perf_counter()
                tokens = sum(threads.map(generate, json.loads(line)))
                print(tokens / (time.perf_counter() - began), flush=True)


if __name__ == "__main__":
    main()
