"""OpenAI's options in the terms of `/generate`, translated as TGI does.

What this server cannot do is refused, never ignored. Pure; used by `chats.py` and
`completion_routes.py`. Raises `Invalid` or `BadTools`.
"""

from llmasos.engine.chat_schemas import ChatRequest, CompletionRequest, ResponseFormat
from llmasos.engine.refusals import BadTools, Invalid
from llmasos.engine.schemas import Grammar, Parameters
from llmasos.engine.tool_grammar import ToolUse

_FORMATS = ("text", "json", "json_object", "json_schema", "regex")


def chat_parameters(chat: ChatRequest, tools: ToolUse | None = None) -> Parameters:
    """A chat's parameters. tools: what may be called in this answer.

    Stop sequences end words only: a call ends with its own last brace.
    """
    if not chat.messages:
        raise Invalid("`messages` cannot be empty")
    if chat.guideline is not None:
        raise Invalid("`guideline` is not supported by this server")
    if chat.top_logprobs and not chat.logprobs:
        raise Invalid("`top_logprobs` needs `logprobs` == true")
    grammar = _grammar(chat.response_format) if chat.response_format else None
    if grammar and chat.tools:
        raise BadTools("`response_format` and `tools` are mutually exclusive")
    plain = _common(chat)
    wanted = chat.max_completion_tokens if chat.max_tokens is None else chat.max_tokens
    plain = plain.model_copy(
        update={"max_new_tokens": wanted, "top_n_tokens": chat.top_logprobs, "grammar": grammar}
    )
    if tools is None:
        return plain
    call = Grammar(type="json", value=tools.schema)
    return plain.model_copy(update={"stop": [], "grammar": call})


def completion_parameters(completion: CompletionRequest) -> Parameters:
    """The parameters of each of a completion's prompts."""
    if completion.best_of not in (None, 1):
        raise Invalid("`best_of` != 1 is not supported for completions")
    if completion.echo:
        raise Invalid("`echo` == true is not supported by this server")
    if completion.logprobs is not None:
        raise Invalid("`logprobs` is not supported for completions: `/generate` tells them")
    update = {
        "max_new_tokens": completion.max_tokens,
        "repetition_penalty": completion.repetition_penalty,
    }
    return _common(completion).model_copy(update=update)


def _common(request: ChatRequest | CompletionRequest) -> Parameters:
    """What both have. Temperature 0 is greedy; without a temperature text is sampled at 1."""
    if request.n not in (None, 1):
        raise Invalid("`n` != 1 is not supported by this server")
    if request.logit_bias:
        raise Invalid("`logit_bias` is not supported by this server")
    greedy = request.temperature == 0
    return Parameters(
        do_sample=not greedy,
        temperature=None if greedy else request.temperature,
        top_p=None if greedy or request.top_p == 1 else request.top_p,
        seed=request.seed,
        stop=request.stops,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        details=True,
    )


def _grammar(wanted: ResponseFormat) -> Grammar | None:
    """What the answer must follow; None for plain text."""
    if wanted.type not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise Invalid(f"`response_format` cannot be '{wanted.type[:64]}'. Known: {known}")
    if wanted.type == "text":
        return None
    value = wanted.json_schema if wanted.value is None else wanted.value
    return Grammar.model_validate({"type": wanted.type, "value": value})
