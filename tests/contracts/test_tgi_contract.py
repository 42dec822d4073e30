"""The engine against TGI's own OpenAPI file: what the file allows is answered as it says.

The file is not part of the project: `TEST_TGI_CONTRACT` names its place. Requests are drawn from
it, right ones and wrong ones, and kept small on the way, since each of them generates text.
"""

import copy
import json
import os
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error, response_schema_conformance

NEW_TOKENS = 2
LARGEST_BODY = 4000
OPERATIONS = [
    ("POST", "/"),
    ("POST", "/chat_tokenize"),
    ("POST", "/generate"),
    ("POST", "/generate_stream"),
    ("GET", "/health"),
    ("GET", "/info"),
    ("POST", "/invocations"),
    ("GET", "/metrics"),
    ("POST", "/tokenize"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("GET", "/v1/models"),
]
REFUSALS = {400, 413, 422}
"""Not all of them stand in the file, though TGI gives them: bodies that it cannot read."""
CHUNKS = {
    "/": ["StreamResponse"],
    "/generate_stream": ["StreamResponse"],
    "/invocations": ["StreamResponse", "ChatCompletionChunk", "Chunk"],
    "/v1/chat/completions": ["ChatCompletionChunk"],
    "/v1/completions": ["Chunk"],
}
"""What a stream's events may be; an error may end each."""


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    """The file, its slips put right."""
    place = os.environ.get("TEST_TGI_CONTRACT")
    if not place or not Path(place).is_file():
        pytest.skip("TEST_TGI_CONTRACT does not name TGI's openapi.json")
    plain: dict[str, Any] = normalised(json.loads(Path(place).read_text(encoding="utf-8")))
    plain["openapi"] = "3.1.0"  # its `exclusiveMinimum` is a number already
    models = plain["paths"]["/v1/models"]["get"]["responses"]["200"]["content"]
    card = models["application/json"]["schema"]  # TGI lists its models, as OpenAI's API does
    models["application/json"]["schema"] = {
        "type": "object",
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": card}},
    }
    return plain


def normalised(value: Any) -> Any:
    """A copy without examples and defaults, many of which are texts like "null"; and `nullable` in
    the words of JSON Schema.
    """
    if isinstance(value, list):
        return [normalised(part) for part in value]
    if not isinstance(value, dict):
        return value
    plain = {
        name: normalised(part)
        for name, part in value.items()
        if name not in ("example", "default", "nullable", "discriminator")
    }
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


def sensible(contract: dict[str, Any]) -> dict[str, Any]:
    """A copy that is narrowed to what clients send, since texts drawn from all of Unicode make
    roles and names that are refused before anything is generated.
    """
    plain = copy.deepcopy(contract)
    schemas = plain["components"]["schemas"]
    word = {"type": "string", "pattern": "^[a-z]{1,9}$"}
    _, named = schemas["Message"]["allOf"]
    named["properties"] = {"role": {"enum": ["system", "user", "assistant"]}, "name": word}
    schemas["MessageContent"] = {"type": "string"}
    schemas["FunctionDefinition"]["properties"] |= {"name": word, "arguments": {"const": {}}}
    schemas["FunctionName"]["properties"] = {"name": {"const": "nobody"}}
    schemas["JsonSchemaConfig"]["properties"]["schema"] = {"const": {"properties": {}}}
    chat = schemas["ChatRequest"]["properties"]
    chat["messages"] |= {"minItems": 1, "maxItems": 3}
    chat |= {"n": {"const": 1}, "logit_bias": {"type": "null"}, "stop": {"type": "null"}}
    chat |= {name: {"type": "null"} for name in ("top_logprobs", "response_format")}
    for each in ("ChatRequest", "CompletionRequest"):
        fields = schemas[each]["properties"]
        fields["temperature"] = fields["top_p"] = {"enum": [0.5, None]}
        fields["frequency_penalty"] = fields["presence_penalty"] = {"enum": [0.5, None]}
    schemas["Prompt"] |= {"items": word, "minItems": 1, "maxItems": 3}
    schemas["CompletionRequest"]["properties"] |= {
        "suffix": {"type": "null"},
        "stop": {"type": "null"},
        "repetition_penalty": {"enum": [1.1, None]},
    }
    return plain


def kept_small(body: Any) -> None:
    """Ask for few tokens, so that a request takes little."""
    if isinstance(body, dict):
        body["max_tokens"] = NEW_TOKENS
        if isinstance(body.get("parameters"), dict) or "inputs" in body:
            body.setdefault("parameters", {})["max_new_tokens"] = NEW_TOKENS


def events_of(text: str) -> list[Any]:
    """The data of a stream's events; `[DONE]` is none."""
    data = [line.removeprefix("data:").strip() for line in text.splitlines()]
    return [json.loads(part) for part in data if part and part != "[DONE]" and part != ":"]


def test_the_file_names_what_the_engine_is_tested_for(contract: dict[str, Any]) -> None:
    named = [(verb.upper(), path) for path, item in contract["paths"].items() for verb in item]

    assert sorted(named) == sorted(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("verb", "path"), OPERATIONS)
def test_requests_are_answered_as_the_contract_says(
    engine: Any, contract: dict[str, Any], verb: str, path: str, mode: GenerationMode
) -> None:
    if verb == "GET" and mode is GenerationMode.NEGATIVE:
        pytest.skip("it takes nothing that could be wrong")
    drawn = sensible(contract) if mode is GenerationMode.POSITIVE else contract
    operation = schemathesis.openapi.from_dict(drawn)[path][verb]
    documented = {int(status) for status in operation.definition.raw["responses"]}
    chunks = [*CHUNKS.get(path, ()), "ErrorResponse"]
    chunk = {
        "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in chunks],
        "components": contract["components"],
    }
    right = jsonschema_rs.validator_for(chunk)

    statuses = set()

    @settings(
        max_examples=8 if verb == "POST" else 1,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def ask(case: Case) -> None:
        kept_small(case.body)
        headers = {"Authorization": f"Bearer {engine.key}"}
        response = case.call(engine.url, headers=headers, timeout=60)
        assert response.status_code in documented | REFUSALS, response.text
        statuses.add(response.status_code)
        if response.headers.get("content-type", [""])[0].startswith("text/event-stream"):
            for event in events_of(response.text):
                right.validate(event)
        else:
            checks = [not_a_server_error, response_schema_conformance]
            case.validate_response(response, checks=checks)

    ask()
    assert mode is GenerationMode.NEGATIVE or 200 in statuses
