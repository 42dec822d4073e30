"""The writing agent: titles, outlines, continues, rewrites, proofreads, sums up, translates.

What is asked is told by `writing_tasks.py`. Where a text must keep its facts, `writing_gate.py`
holds the model to it; what does not pass is not shown. What is long, `writing_long.py` divides.
Start reading at `answer`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from agents.writing_checker import Note, checked, reviewed
from agents.writing_formats import files_of
from agents.writing_gate import changes, inventions, same_subject
from agents.writing_long import is_long, long_piece, long_summary, outline, short_summary
from agents.writing_polish import polished
from agents.writing_tasks import Name, Task, length_of, task_of
from agents.writing_translation import glossary_of, translated
from llmasos.agent import Agent, Emitted, prompt
from llmasos.events import Reply, Token
from llmasos.flow import converse, prompt_of
from llmasos.generation import Options
from llmasos.language.phrases import say
from llmasos.language.words import is_chinese, sentences, terms
from llmasos.prompting import ENDS, sampling
from llmasos.turn import Turn

PROMPTS: dict[Name, str] = {
    name: prompt(__package__, f"writing_{name}.md")
    for name in (
        "title",
        "rewrite",
        "polish",
        "proofread",
        "summarise",
        "outline",
        "translate",
        "free",
    )
}
LONGEST_TITLE = 90
"""Characters."""
CONTINUED = 1_500
"""Characters of the end of a text that its continuation is made of."""


def answer(turn: Turn) -> Iterator[Emitted]:
    """Do the piece of writing that a message asks for."""
    glossary, message = glossary_of(turn.text)
    task = _with_file(turn, task_of(message))
    if task.name == "long":
        yield from long_piece(turn, PROMPTS["outline"])
        return
    if task.name == "outline":
        yield from _outlined(turn)
        return
    if task.name in ("free", "section") or not task.text:
        yield from _written_freely(turn)
        return
    if task.name == "continue":
        yield from _continued(turn, task)
        return
    yield turn.status(say("writing_text", turn.text))
    if task.name == "summarise" and is_long(turn, task.text):
        name = turn.attachments[0].name if turn.attachments else say("your_text", turn.text)
        yield from long_summary(turn, name, task.text)
        return
    if task.name == "translate":
        yield Reply(text=translated(turn, PROMPTS["translate"], task.text, glossary))
        return
    if task.name == "polish":
        yield Reply(text=polished(turn, PROMPTS["polish"], task.text))
        return
    written = "".join(_generated(turn, task)).strip().strip('"“”')
    if task.name == "summarise":
        yield from short_summary(turn, task.text, written)
        return
    text = _FINISHED[task.name](turn, task, written)
    yield Token(text=text)
    yield Reply(text=text)


def _written_freely(turn: Turn) -> Iterator[Emitted]:
    """What the model writes, as a file too where the message names a format."""
    for emitted in converse(turn, PROMPTS["free"]):
        if isinstance(emitted, Reply) and not emitted.blocked and emitted.confidence != 0:
            files = files_of(turn.text, emitted.text)
            yield emitted.model_copy(update={"artifacts": files})
        else:
            yield emitted


def _outlined(turn: Turn) -> Iterator[Emitted]:
    """The headings of a piece, numbered."""
    yield turn.status(say("outlining", turn.text))
    headings = outline(turn, PROMPTS["outline"])
    listed = "\n".join(f"{number}. {heading}" for number, heading in enumerate(headings, 1))
    yield Reply(text=listed or say("outline_none", turn.text))


def _with_file(turn: Turn, task: Task) -> Task:
    """The task, with the first file as its text when the message is the instruction alone."""
    if task.text or not turn.attachments:
        return task
    return replace(task, text=turn.attachments[0].text)


def _continued(turn: Turn, task: Task) -> Iterator[Emitted]:
    """What the model goes on with from the text itself: no instruction stands between the two."""
    yield turn.status(say("writing_text", turn.text))
    text = ""
    end = task.text[-CONTINUED:].rstrip()
    for piece in turn.llm.stream_text(end, **sampling(turn.agent.options)):
        turn.checkpoint()
        text += piece
        yield Token(text=piece)
    yield Reply(text=_whole(text).strip() or say("empty", turn.text))


def _whole(text: str) -> str:
    """A text without its last sentence, if that was broken off and is not the only one."""
    parts = sentences(text)
    broken = bool(parts) and not text.rstrip().endswith(ENDS)
    return text[: parts[-1].start] if broken and len(parts) > 1 else text


def _generated(turn: Turn, task: Task) -> Iterator[str]:
    for piece in turn.llm.stream_chat(
        prompt_of(turn, PROMPTS[task.name]), **sampling(turn.agent.options)
    ):
        turn.checkpoint()
        yield piece


def _title(turn: Turn, task: Task, written: str) -> str:
    """One line that invents nothing; else the words of the first sentence."""
    title = written.partition("\n")[0].strip(' #*"“”.').removeprefix("Title:").strip(' *"')
    about = set(terms(title)) & set(terms(task.text))
    if title and len(title) <= LONGEST_TITLE and about and not inventions(task.text, title):
        return title
    first = sentences(task.text)[0].text.strip(" .。!！")
    return first if len(first) <= LONGEST_TITLE else first[:LONGEST_TITLE].rpartition(" ")[0] + " …"


def _proofread(turn: Turn, task: Task, written: str) -> str:
    """The corrected text, and what was corrected: where, what and why."""
    new, notes, whole = reviewed(task.text, written)
    if not notes:
        return say("proofread_none" if whole else "proofread_rules", turn.text, text=new)
    listed = "\n".join(_line(note, turn.text) for note in notes)
    text = say("proofread", turn.text, text=new, corrections=listed)
    return text if whole else f"{text}\n\n{say('proofread_partly', turn.text)}"


def _line(note: Note, asked: str) -> str:
    """A correction as an item of the list."""
    before, after = note.before or "∅", note.after or "∅"
    return say("correction", asked, at=note.sentence, before=before, after=after, why=note.why)


def _rewrite(turn: Turn, task: Task, written: str) -> str:
    """The new text if it keeps all facts; else the old one, and why."""
    changed = changes(task.text, written) if written else []
    wanted = length_of(task.instruction)
    fits = wanted is not None or 0.3 <= len(written) / len(task.text) <= 3
    if fits and same_subject(task.text, written) and not changed:
        if wanted is None:
            return written
        have = length(written)
        return say("measured", turn.text, text=written, wanted=wanted, have=have)
    reason = ", ".join(changed[:5]) or say("rewrite_strayed", turn.text)
    return say("rewrite_refused", turn.text, reason=reason, text=checked(task.text)[0])


def length(text: str) -> int:
    """How long a text is: words, in Chinese characters."""
    return len(re.findall(r"\w", text)) if is_chinese(text) else len(text.split())


_FINISHED: dict[Name, Callable[[Turn, Task, str], str]] = {
    "title": _title,
    "proofread": _proofread,
    "rewrite": _rewrite,
}

writing = Agent(
    name="writing",
    description="Writes: titles, drafts, rewriting, proofreading, summaries, translations.",
    instructions=PROMPTS["free"],
    examples=[
        "Write a launch note for our new release.",
        "Give me a title for this text: …",
        "Proofread this email: …",
        "Rewrite this paragraph to be friendlier: …",
        "Summarise this article: …",
        "Translate this into German: …",
        "帮我润色这段话：……",
        "写一封道歉邮件",
    ],
    options=Options(max_new_tokens=350, temperature=0.3, repetition_penalty=1.1, seed=7),
    flow=answer,
)
