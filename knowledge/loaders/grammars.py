"""Where classes and functions stand in a program: the one module that knows tree-sitter."""

from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

GRAMMARS: dict[str, tuple[str, str]] = {
    ".js": ("tree_sitter_javascript", "language"),
    ".mjs": ("tree_sitter_javascript", "language"),
    ".cjs": ("tree_sitter_javascript", "language"),
    ".jsx": ("tree_sitter_javascript", "language"),
    ".ts": ("tree_sitter_typescript", "language_typescript"),
    ".mts": ("tree_sitter_typescript", "language_typescript"),
    ".tsx": ("tree_sitter_typescript", "language_tsx"),
    ".java": ("tree_sitter_java", "language"),
    ".go": ("tree_sitter_go", "language"),
    ".rs": ("tree_sitter_rust", "language"),
    ".c": ("tree_sitter_c", "language"),
    ".h": ("tree_sitter_cpp", "language"),
    ".cc": ("tree_sitter_cpp", "language"),
    ".cpp": ("tree_sitter_cpp", "language"),
    ".cxx": ("tree_sitter_cpp", "language"),
    ".hpp": ("tree_sitter_cpp", "language"),
    ".cs": ("tree_sitter_c_sharp", "language"),
    ".rb": ("tree_sitter_ruby", "language"),
    ".php": ("tree_sitter_php", "language_php"),
}
"""Endings and, for each, the module and function of its grammar."""
# fmt: off
CONTAINERS = frozenset({
    "class_declaration", "abstract_class_declaration", "interface_declaration", "enum_declaration",
    "record_declaration", "struct_declaration", "trait_declaration", "namespace_declaration",
    "class_specifier", "struct_specifier", "namespace_definition", "impl_item", "trait_item",
    "mod_item", "class", "module", "object_declaration", "internal_module",
})
FUNCTIONS = frozenset({
    "function_declaration", "generator_function_declaration", "method_definition",
    "method_declaration", "constructor_declaration", "function_definition", "function_item",
    "struct_item", "enum_item", "macro_definition", "method", "singleton_method",
    "type_declaration", "type_alias_declaration", "enum_specifier",
})
BODILESS = frozenset({"struct_specifier", "class_specifier", "enum_specifier"})
"""In C these are uses of a type as well; only with a body they define one."""
# fmt: on
DEEPEST = 64
"""Levels of the tree that are searched; definitions stand far above."""


def definitions(text: str, suffix: str) -> Iterator[tuple[str, int, int, int]]:
    """(name, level, first line, last line) of each class and function, in order; lines from 0.

    None for an ending without a grammar.
    """
    if suffix not in GRAMMARS:
        return
    tree = _parser(suffix).parse(text.encode())
    stack: list[tuple[Node, int, int]] = [(tree.root_node, 1, 0)]
    while stack:
        node, level, depth = stack.pop()
        inner = level
        name = _name(node)
        if name:
            yield name, level, node.start_point[0], node.end_point[0]
            inner = level + 1
        if depth < DEEPEST and (node.type in CONTAINERS or not name) and not _is_body(node):
            stack.extend((child, inner, depth + 1) for child in reversed(node.named_children))


@cache
def _parser(suffix: str) -> "Parser":
    from tree_sitter import Language, Parser  # only where such a file is read

    module, function = GRAMMARS[suffix]
    grammar: Callable[[], Any] = getattr(import_module(module), function)
    return Parser(Language(grammar()))


def _name(node: "Node") -> str:
    """What a definition is called; '' for every other node."""
    if node.type == "variable_declarator":  # const open = () => …
        value = node.child_by_field_name("value")
        found = node if value and value.type in ("arrow_function", "function_expression") else None
    elif node.type in CONTAINERS or node.type in FUNCTIONS:
        bare = node.type in BODILESS and not node.child_by_field_name("body")
        found = None if bare or not node.is_named else node
    else:
        found = None
    return _words(found) if found else ""


def _words(node: "Node") -> str:
    """The name in a definition, found along the fields that grammars keep it in."""
    for _ in range(DEEPEST):
        inner = (
            node.child_by_field_name("name")
            or node.child_by_field_name("declarator")
            or node.child_by_field_name("type")
            or next((each for each in node.named_children if each.type == "type_spec"), None)
        )
        if inner is None:
            break
        node = inner
    words = " ".join((node.text or b"").decode(errors="replace").split())
    return words if len(words) <= 100 else ""


def _is_body(node: "Node") -> bool:
    """Whether it is the inside of a function: what is defined there is a part of that."""
    return node.type in ("statement_block", "compound_statement", "function_body")
