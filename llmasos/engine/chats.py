"""Answering a conversation: in words, or by calling a function.

Between `chat_routes.py`, which knows how answers are written, and `texts.py`, which generates.
Where the model may choose it first chooses a function under a grammar; if it chooses none of them,
a second text without tools is the answer, as in TGI. Start reading at `Chat.start`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from llmasos.engine.chat_prompt import prompt_of
from llmasos.engine.chat_schemas import ChatRequest
from llmasos.engine.openai_answers import REASONS, Reason, usage
from llmasos.engine.openai_parameters import chat_parameters
from llmasos.engine.reading import Finish, Step
from llmasos.engine.refusals import Invalid
from llmasos.engine.texts import Run, Texts
from llmasos.engine.tool_calls import CallReader
from llmasos.engine.tool_grammar import NO_TOOL, ToolUse, tool_use


@dataclass(frozen=True)
class Part:
    """A part of an answer: words, or of a call its name, which comes once, or its arguments.

    steps: the tokens that it is made of. reason: why the answer ends; in the last part alone.
    """

    steps: tuple[Step, ...]
    text: str = ""
    name: str | None = None
    arguments: str = ""
    reason: Reason | None = None


class Chat:
    """An answer that is being generated; must be closed, however it ends."""

    def __init__(self, texts: Texts, body: ChatRequest, tools: ToolUse | None, run: Run) -> None:
        self._texts, self._body, self._tools, self._run = texts, body, tools, run
        self._finish: Finish | None = None

    @classmethod
    async def start(cls, texts: Texts, body: ChatRequest) -> "Chat":
        """Validate a conversation and begin its answer. Raises a Refusal."""
        with texts.requested():
            tools = tool_use(body.tools, body.tool_choice)
        return cls(texts, body, tools, await _begin(texts, body, tools))

    @property
    def call_id(self) -> str:
        """The call's id: its number in the conversation, as in TGI."""
        return str(sum(len(message.tool_calls) for message in self._body.messages))

    @property
    def usage(self) -> dict[str, int]:
        """The tokens of the prompt and of the answer; once it is whole."""
        assert self._finish is not None
        return usage(len(self._run.job.tokens), self._finish.generated)

    async def close(self) -> None:
        """Stop it if it is still being generated."""
        await self._run.close()

    async def parts(self) -> AsyncGenerator[Part, None]:
        """The answer, part by part. Raises a Refusal."""
        if self._tools:
            reader = CallReader()
            async with aclosing(self._call(reader)) as parts:
                async for part in parts:
                    yield part
            if reader.name != NO_TOOL:
                return
            await self._run.close()
            self._run = await _begin(self._texts, self._body, None)
        async for step in self._run:
            self._finish = step.finish
            reason = REASONS[step.finish.reason] if step.finish else None
            yield Part((step,), "" if step.token.special else step.token.text, reason=reason)

    async def _call(self, reader: CallReader) -> AsyncGenerator[Part, None]:
        """The call that the model writes; ends early when it chooses no function."""
        held: tuple[Step, ...] = ()
        named = False
        async for step in self._run:
            held += (step,)
            arguments = reader.feed("" if step.token.special else step.token.text)
            if reader.name == NO_TOOL:
                return
            self._finish, reason = step.finish, None
            if step.finish:
                reason = "tool_calls" if reader.whole else REASONS[step.finish.reason]
            if arguments or reason or (reader.name and not named):
                name = None if named else reader.name
                yield Part(held, name=name, arguments=arguments, reason=reason)
                named, held = reader.name is not None, ()


async def chat_prompt(texts: Texts, body: ChatRequest, tools: ToolUse | None) -> str:
    """The prompt that a conversation makes. Raises a Refusal."""
    most = texts.limits.input_tokens
    if len(body.messages) > most:  # each is a token at least: known before the template is asked
        given = f"Given: {len(body.messages)} `messages`"
        raise Invalid(f"`inputs` must have less than {most} tokens. {given}")
    return await prompt_of(texts.model, body.messages, tools, body.tool_prompt)


async def _begin(texts: Texts, body: ChatRequest, tools: ToolUse | None) -> Run:
    with texts.requested():
        parameters = chat_parameters(body, tools)
        prompt = await chat_prompt(texts, body, tools)
    return await texts.start(
        prompt, parameters, stream=body.stream, identified=body.logprobs, special=False
    )
