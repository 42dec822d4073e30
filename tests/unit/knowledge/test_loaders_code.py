"""Source code: the text is the file, a section is a class or function."""

import pytest

PYTHON = '''"""Doc."""
import os

# what f does
@cache
def f():
    def inner(): ...

LIMIT = 2

class Store:
    size = 1

    async def put(self): ...

if LIMIT:
    print(1)
'''
OTHERS = {
    "a.ts": (
        "/** Opens. */\nexport class Store<T> {\n  a = 1\n  // puts\n  put(x: T) {}\n}\n"
        "export const open = async () => { function inner() {} }\n",
        ["Store", "put", "open"],
    ),
    "a.js": ("function a() {}\nclass B {\n  m() {}\n}\n", ["a", "B", "m"]),
    "a.go": ("package a\nfunc Add() {}\ntype S struct {}\nfunc (s *S) M() {}\n", ["Add", "S", "M"]),
    "a.rs": ("struct A {}\nimpl A {\n fn new() {}\n}\nfn main() {}\n", ["A", "A", "new", "main"]),
    "a.java": ("public class A {\n int x;\n public int f() { return 1; }\n}\n", ["A", "f"]),
    "a.c": ("struct S { int a; };\nstruct S s;\nstatic int *f(int a)\n{ }\n", ["S", "f"]),
    "a.cpp": ("namespace n {\nclass C {\n int f() { }\n};\nint C::h() { }\n}\n", list("nCfh")),
    "a.cs": ("namespace N {\nclass A {\n public int F() { return 1; }\n}\n}\n", ["N", "A", "F"]),
    "a.rb": ("module M\n class A\n  def f\n  end\n end\nend\n", ["M", "A", "f"]),
    "a.php": ("<?php\nclass A {\n function f() {}\n}\nfunction g() {}\n", ["A", "f", "g"]),
}


def test_python_is_parted_by_class_and_function_with_their_lines(write, read):
    document = read(write("store.py", PYTHON))

    assert (document.title, document.text, document.code) == ("store.py", PYTHON, True)
    assert [(each.level, each.title) for each in document.headings] == [
        (1, "f"), (1, ""), (1, "Store"), (2, "put"), (1, ""),
    ]  # fmt: skip
    assert [PYTHON[at:].partition("\n")[0] for at, _ in document.anchors] == PYTHON.split("\n")
    assert [fragment for _, fragment in document.anchors][:3] == ["L1", "L2", "L3"]
    assert PYTHON[document.headings[0].start :].startswith("# what f does\n@cache\ndef f")


@pytest.mark.parametrize("name", OTHERS)
def test_other_languages_are_parted_by_their_grammar(write, read, name):
    text, names = OTHERS[name]

    document = read(write(name, text))

    assert [each.title for each in document.headings if each.title] == names
    assert document.text == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "def f(:\n"),
        ("a.py", "print 'two'\n"),
        ("a.py", "x = " + "(" * 5_000),
        ("a.ts", "class {{{{"),
        ("a.c", "{" * 50_000),
        ("a.sh", "echo one\n\necho two\n"),
        ("a.yaml", "a: 1\n"),
    ],
)
def test_what_does_not_parse_is_read_as_it_stands(write, read, name, text):
    assert read(write(name, text)).text == text
