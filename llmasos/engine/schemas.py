"""What requests to the engine look like: TGI's types, and `/embed`'s of Text Embeddings Inference.

Shapes only; ranges and limits are checked in `validation.py` in TGI's words. As in TGI, fields
that nobody knows are ignored, and `null` is the same as absent.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**64)]
Count = Annotated[int, Field(ge=0, lt=2**32)]


def _null_is_absent(value: Any) -> Any:
    """Drop nulls: clients send them for everything that they leave open."""
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if part is not None}
    return value


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Grammar(_Body):
    """What the text must follow: `json` with a schema, or `regex`."""

    type: Literal["json", "json_object", "json_schema", "regex"]
    value: Any = None


class Parameters(_Body):
    """How a text is generated."""

    adapter_id: str | None = None
    best_of: Count | None = None
    decoder_input_details: bool = False
    details: bool = False
    do_sample: bool = False
    frequency_penalty: float | None = None
    grammar: Grammar | None = None
    max_new_tokens: Count | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    return_full_text: bool = False
    seed: Seed | None = None
    stop: list[str] = []
    temperature: float | None = None
    top_k: int | None = None
    top_n_tokens: Count | None = None
    top_p: float | None = None
    truncate: Count | None = None
    typical_p: float | None = None
    watermark: bool = False


class GenerateRequest(_Body):
    """A prompt to go on from. `stream` counts at `POST /` only."""

    inputs: str
    parameters: Annotated[Parameters, BeforeValidator(_null_is_absent)] = Parameters()
    stream: bool = False


class EmbedRequest(_Body):
    """Texts to turn into vectors."""

    inputs: str | list[str]
    normalize: bool = True
    truncate: bool = True
    prompt_name: None = None
    dimensions: None = None


def without_nulls(body: Any) -> Any:
    """The body as the types above expect it."""
    return _null_is_absent(body)
