"""The same model as a LangChain chat model, for whoever builds with LangChain.

Stands on a `Backend`, as `LLM` does: it generates, streams, calls tools, answers by a schema, stops
at sequences and tells its use. How messages are translated is in `chat_messages.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from operator import itemgetter
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, model_validator

from llmasos.chat_messages import as_chunk, as_message, as_tool, whole_message
from llmasos.errors import EngineOverloaded, EngineUnavailable, InvalidRequest, nearest
from llmasos.generation import Backend, Options, Piece
from llmasos.structured import Shape, continued

_OTHER_NAMES = {"max_tokens": "max_new_tokens"}
_CHOICES = {"any": "required", True: "required", False: "none", None: "auto"}
_FIRST_PAUSE = 0.5


class ChatLLM(BaseChatModel):
    """A LangChain chat model: `ChatLLM(model="smollm2-135m-instruct", temperature=0.2)`.

    `ChatLLM(backend=llm.backend)` takes the backend of an `LLM`. Every field of `Options` may be
    given as a keyword here and in each call; `max_tokens` is LangChain's word for `max_new_tokens`.
    A call may name another model too: `chat.invoke("Hello", model="strong")`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str = ""
    """A name in the library, a file or an address, as `LLM.from_pretrained` takes it."""
    api_key: SecretStr | None = None
    """The bearer token of the server at an address."""
    backend: Any = Field(default=None, exclude=True, repr=False)
    """The `Backend` that generates; None: that of the model, found when it is first asked."""
    options: Options = Options()
    """How, unless a call says otherwise."""
    max_retries: int = Field(default=0, ge=0)
    """How often to ask again a server that is away or overloaded."""
    streaming: bool = False
    """Whether `invoke` asks for a stream as well."""
    _others: dict[str, Backend] = PrivateAttr(default_factory=dict)

    def __init__(self, **given: Any) -> None:  # any option may be given: pydantic checks them below
        super().__init__(**given)

    @model_validator(mode="before")
    @classmethod
    def _named_options(cls, given: Any) -> Any:
        """Gather the options among the keywords; a word that nothing knows is refused."""
        plain: dict[str, Any] = {_OTHER_NAMES.get(name, name): given[name] for name in given}
        named = {name: plain.pop(name) for name in Options.model_fields if name in plain}
        for name in plain:
            if name not in cls.model_fields:
                known = (*Options.model_fields, *cls.model_fields)
                raise InvalidRequest(f"ChatLLM has no field '{name}'.{nearest(name, known)}")
        if not plain.get("model") and plain.get("backend") is None:
            raise InvalidRequest("ChatLLM needs a model or a backend: ChatLLM(model=…).")
        options = plain.get("options") or Options()
        return {**plain, "options": _merged(options, named)}

    @property
    def _llm_type(self) -> str:
        return "llmasos"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model or self._model_name(), **self.options.model_dump(mode="json")}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        options = self._options(stop, _of_options(kwargs))
        return LangSmithParams(
            ls_provider="llmasos",
            ls_model_name=kwargs.get("model") or self._model_name(),
            ls_model_type="chat",
            ls_temperature=options.temperature,
            ls_max_tokens=options.max_new_tokens,
            ls_stop=list(options.stop),
        )

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools that it may call.

        tool_choice: `auto`, `none`, `any` or `required`, or a tool's name, also in OpenAI's form.
        strict: nothing changes, since arguments always follow the tool's schema.
        Raises InvalidRequest when the choice names no tool.
        """
        specs = tuple(as_tool(each) for each in tools)
        choice: Any = tool_choice
        if isinstance(choice, dict):
            choice = choice.get("function", {}).get("name", "")
        choice = _CHOICES.get(choice, choice)
        names = tuple(spec.name for spec in specs)
        if choice not in ("auto", "none", "required", *names):
            raise InvalidRequest(f"tool_choice '{choice}' names no tool.{nearest(choice, names)}")
        return self.bind(tools=specs, tool_choice=choice, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["json_schema", "json_mode", "function_calling"] = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """This model with answers that follow a schema: a Pydantic model's instance, else a dict.

        method: `function_calling` asks for a call of a tool; the two others are the same here.
        strict: nothing changes, since answers always follow the schema.
        Raises SchemaImpossible when no answer can fit the schema.
        """
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        described = convert_to_json_schema(schema)
        shape = Shape(described, described.get("title", "the schema"))
        model = self.bind(
            json_schema=shape.grammar(self.options.max_new_tokens),
            instruction=shape.instruction,
            ls_structured_output_format={"kwargs": {"method": method}, "schema": described},
            **kwargs,
        )
        parser: Runnable[Any, Any] = (
            PydanticOutputParser(pydantic_object=schema)
            if isinstance(schema, type) and is_basemodel_subclass(schema)
            else JsonOutputParser()
        )
        return _with_raw(model, parser) if include_raw else model | parser

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        backend = self._backend(kwargs.pop("model", None))
        pieces = list(self._pieces(backend, messages, stop, kwargs))
        message = whole_message(pieces, backend.info().model)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        backend = self._backend(kwargs.pop("model", None))
        with closing(self._pieces(backend, messages, stop, kwargs)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                chunk = ChatGenerationChunk(message=as_chunk(piece, backend.info().model))
                if run_manager and piece.text:
                    run_manager.on_llm_new_token(piece.text, chunk=chunk)
                yield chunk

    def _pieces(
        self,
        backend: Backend,
        messages: list[BaseMessage],
        stop: list[str] | None,
        named: dict[str, Any],
    ) -> Iterator[Piece]:
        """The backend's pieces for LangChain's messages; asked for again as `max_retries` says."""
        plain = dict(named)
        instruction = plain.pop("instruction", None)
        options = self._options(stop, plain)
        conversation = [as_message(message) for message in messages]
        if instruction:
            conversation = continued(conversation, (instruction,))
        begun = False
        for attempt in range(self.max_retries + 1):
            try:
                with closing(backend.chat(conversation, options)) as pieces:  # type: ignore[type-var]
                    for piece in pieces:
                        begun = True
                        yield piece
                return
            except (EngineUnavailable, EngineOverloaded):
                if begun or attempt == self.max_retries:
                    raise
            time.sleep(_FIRST_PAUSE * 2**attempt)

    def _options(self, stop: list[str] | None, named: dict[str, Any]) -> Options:
        """The options of a call."""
        plain = {_OTHER_NAMES.get(name, name): value for name, value in named.items()}
        return _merged(self.options, {**plain, "stop": stop} if stop else plain)

    def _backend(self, model: str | None = None) -> Backend:
        """The backend, or that of another model; found now if it was not before."""
        from llmasos.pretrained import backend_of  # late: clients, and maybe an engine

        if self.backend is None:
            key = self.api_key.get_secret_value() if self.api_key else None
            self.backend = backend_of(self.model, key=key)
        own: Backend = self.backend
        if model is None or model == self.model:
            return own
        if model not in self._others:
            self._others[model] = backend_of(model)
        return self._others[model]

    def _model_name(self) -> str:
        return str(self._backend().info().model)


def _merged(options: Options, named: dict[str, Any]) -> Options:
    """The options with those that are named instead. Raises InvalidRequest."""
    try:
        return options.merged({**named})  # type: ignore[typeddict-item]  # checked in there
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"Option {name}: {first['msg']}.") from None


def _of_options(named: dict[str, Any]) -> dict[str, Any]:
    """Those keywords of a call that are options."""
    known = (*Options.model_fields, *_OTHER_NAMES)
    return {name: value for name, value in named.items() if name in known}


def _with_raw(
    model: Runnable[LanguageModelInput, AIMessage], parser: Runnable[Any, Any]
) -> Runnable[LanguageModelInput, Any]:
    """The raw message, what is in it, and the error if it cannot be read, as LangChain has it."""
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    either = parsed.with_fallbacks([failed], exception_key="parsing_error")
    return RunnableMap(raw=model) | either
