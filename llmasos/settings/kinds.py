"""The kinds of values that settings have: lists, secrets, addresses, ports, sections."""

import os
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import NoDecode

from llmasos.request import Queue

PREFIX = "LLMASOS_"


DEFAULT_MODEL = "default"
"""The model that is used where none is named."""


EMBEDDED = "embedded"
"""What stands for the address of the running system's own engine."""


_HTTP_URL = TypeAdapter(HttpUrl)


def split(value: object) -> object:
    """A list in the environment is comma-separated."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _resolve_secret(value: object) -> object:
    """`env:NAME` stands for the environment variable NAME."""
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if not os.environ.get(name):
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]
    return value


def _not_empty(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


def _several(value: object) -> object:
    """One secret or a list of them."""
    return value if isinstance(value, list | tuple) else (value,)


def http_url(value: str) -> str:
    """An HTTP address, without the slash at its end. Raises ValueError."""
    try:
        _HTTP_URL.validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None
    return value.rstrip("/")


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]


Queues = Annotated[tuple[Queue, ...], NoDecode, BeforeValidator(split), Field(min_length=1)]


Secret = Annotated[SecretStr, BeforeValidator(_resolve_secret), AfterValidator(_not_empty)]


Secrets = Annotated[
    tuple[Secret, ...], BeforeValidator(_several), Field(min_length=1, max_length=5)
]


Url = Annotated[str, AfterValidator(http_url)]


Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A table of the file: what it does not know is refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True
    )
