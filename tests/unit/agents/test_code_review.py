from agents.code_generation import code_generation
from agents.code_review import Finding, Findings, hunks_of
from llmasos.testing.turns import reply_of

DIFF = """diff --git a/x.py b/x.py
--- a/x.py
+++ b/x.py
@@ -1,3 +1,4 @@ def top():
 import os
-old = 1
+new = 1
+more = 2
 last = 3
@@ -10 +11 @@
--- not a head
+++ not a head either
diff --git a/y.py b/y.py
--- a/y.py
+++ b/y.py
@@ -0,0 +1,2 @@
+def f():
+    return 1
"""


def finding(file, line, problem="it is wrong"):
    return Finding(file=file, line=line, severity="bug", problem=problem)


def test_lines_are_numbered_as_they_are_after_the_change():
    hunks = hunks_of(DIFF)

    assert [(each.file, each.lines) for each in hunks] == [
        ("x.py", {1: "import os", 2: "new = 1", 3: "more = 2", 4: "last = 3"}),
        ("x.py", {11: "++ not a head either"}),
        ("y.py", {1: "def f():", 2: "    return 1"}),
    ]
    assert hunks[0].shown[1:3] == ["     - old = 1", "    2+ new = 1"]


def test_findings_name_file_and_line_and_quote_it(ask):
    answers = [
        Findings(findings=[finding("x.py", 3)]),
        Findings(findings=[]),
        Findings(findings=[]),
    ]

    reply = reply_of(ask(code_generation, f"Review this:\n{DIFF}", *answers))

    assert "- `x.py:3` **bug**: it is wrong\n  `more = 2`" in reply.text


def test_what_is_said_of_lines_that_the_change_does_not_show_is_left_out(ask):
    wrong = Findings(findings=[finding("x.py", 99), finding("z.py", 1)])

    reply = reply_of(
        ask(code_generation, f"Review this:\n{DIFF}", wrong, *[Findings(findings=[])] * 2)
    )

    assert "nothing to report" in reply.text
    assert "left out 2 remarks" in reply.text


def test_a_part_that_the_model_cannot_answer_for_is_named(ask):
    turn = ask(
        code_generation, f"Review this:\n{DIFF}", *["no form"] * 3, *[Findings(findings=[])] * 2
    )

    reply = reply_of(turn)

    assert "Not wholly reviewed: x.py." in reply.text


def test_a_long_hunk_is_read_in_pieces(ask):
    lines = "".join(f"+word{n} = {n}\n" for n in range(600))
    diff = f"--- /dev/null\n+++ b/long.py\n@@ -0,0 +1,600 @@\n{lines}"
    turn = ask(code_generation, f"Review:\n{diff}", *[Findings(findings=[])] * 20)

    reply_of(turn)

    read = "".join(call.messages[-1].content for call in turn.llm.backend.calls)
    assert 2 <= len(turn.llm.backend.calls) <= 8
    assert "600+ word599" in read
