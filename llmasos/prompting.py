"""Prompts: fitting them into a model's context, and taking whole sentences from its answer.

Used by the flows; knows messages and options, nothing of agents.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import cast

from llmasos.generation import Message, Options, Sampling
from llmasos.language.words import sentences
from llmasos.llm import LLM

SMALL_CONTEXT = 4096
"""A model with no more context than this gets short prompts: it reads slowly."""
SMALL_PROMPT = 700
"""Tokens of a prompt for such a model."""
PER_MESSAGE = 8
"""Tokens that a chat template adds to each message, about."""
ENDS = tuple(".!?。！？…:：)]\"”'`")
"""What a sentence that was not broken off ends with."""


def sampling(options: Options) -> Sampling:
    """Options as the keywords of a call."""
    return cast(Sampling, options.model_dump(exclude_none=True))


def budget(llm: LLM, options: Options) -> int:
    """The number of prompt tokens that a turn may have with this model."""
    info = llm.info()
    most = min(info.max_input_tokens, info.max_total_tokens - options.max_new_tokens)
    return min(most, SMALL_PROMPT) if info.max_total_tokens <= SMALL_CONTEXT else most


def windowed(history: Sequence[Message], tokens: int, llm: LLM) -> list[Message]:
    """The latest messages of a conversation that fit into so many tokens, oldest first."""
    kept: list[Message] = []
    for said in reversed(history):
        message = _signed(said)
        tokens -= llm.count_tokens(message.content) + PER_MESSAGE
        if tokens < 0:
            break
        kept.append(message)
    if kept and kept[-1].role == "assistant":  # a conversation begins with a question
        kept.pop()
    return kept[::-1]


def _signed(message: Message) -> Message:
    """A message that says who wrote it, where that is known."""
    if not message.author:
        return message
    return message.model_copy(update={"content": f"{message.author}: {message.content}"})


def shortened(text: str, tokens: int, llm: LLM) -> str:
    """The beginning of a text that fits into so many tokens, cut at a word."""
    while text and (count := llm.count_tokens(text)) > tokens:
        text = text[: min(len(text) - 1, int(len(text) * tokens / count))].rpartition(" ")[0]
    return text


def whole_sentences(pieces: Iterable[str]) -> Generator[str, None, None]:
    """The sentences of a text that comes in pieces, each once it is whole.

    A last one that was broken off is left out. Closing this closes the pieces.
    """
    rest = ""
    try:
        for piece in pieces:
            rest += piece
            found = sentences(rest)
            for sentence in found[:-1]:
                yield sentence.text
            if len(found) > 1:
                rest = rest[found[-1].start :]
        if rest.strip().endswith(ENDS):
            yield rest.strip()
    finally:
        close = getattr(pieces, "close", None)
        if close:
            close()
