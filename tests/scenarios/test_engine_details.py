"""What the engine tells of a text beside the text: several to choose from, tokens, the prompt."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

EMOJI = "Write: 😀😀😀 \n😀😀😀 \n"
THREE = {"type": "regex", "value": "😀{3}"}


@pytest.fixture
def http(engine: Any) -> Iterator[httpx.Client]:
    """A client that bears the engine's key."""
    headers = {"Authorization": f"Bearer {engine.key}"}
    with httpx.Client(base_url=engine.url, headers=headers, timeout=200) as client:
        yield client


def generate(http: httpx.Client, inputs: str = "The world is", **parameters: Any) -> Any:
    body = {"inputs": inputs, "parameters": {"details": True, **parameters}}
    reply = http.post("/generate", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def mean(text: Any) -> float:
    logprobs = [token["logprob"] for token in text["tokens"]]
    return float(sum(logprobs) / len(logprobs))


def test_the_likeliest_of_several_texts_is_the_answer(http: httpx.Client) -> None:
    answer = generate(http, best_of=2, do_sample=True, temperature=1.5, max_new_tokens=8)

    best = answer["details"]
    (other,) = best["best_of_sequences"]
    assert mean(best) >= mean(other)
    assert best["seed"] != other["seed"]
    assert answer["generated_text"] == "".join(token["text"] for token in best["tokens"])
    assert other["generated_text"] == "".join(token["text"] for token in other["tokens"])


def test_a_prompts_tokens_are_told_with_what_the_model_thought_of_them(http: httpx.Client) -> None:
    text = "The world is"

    prefill = generate(http, text, decoder_input_details=True, max_new_tokens=1)["details"][
        "prefill"
    ]
    likeliest = generate(http, "The world", top_n_tokens=1, max_new_tokens=1)["details"]

    assert "".join(token["text"] for token in prefill) == text
    assert prefill[0]["logprob"] is None
    assert all(token["logprob"] < 0 for token in prefill[1:])
    assert prefill[2]["logprob"] <= likeliest["tokens"][0]["logprob"] + 0.1


def test_a_prompt_with_signs_and_split_characters_is_told_whole(http: httpx.Client) -> None:
    text = "Hi 世界 😀<|im_end|>\nYes"

    prefill = generate(http, text, decoder_input_details=True, max_new_tokens=1)["details"][
        "prefill"
    ]

    tokens = http.post("/tokenize", json={"inputs": text}).json()
    assert [token["id"] for token in prefill] == [token["id"] for token in tokens]
    assert "".join(token["text"] for token in prefill) == text


def test_the_tokens_of_a_split_character_each_count(http: httpx.Client) -> None:
    answer = generate(http, EMOJI, grammar=THREE, max_new_tokens=6)

    tokens = answer["details"]["tokens"]
    assert answer["generated_text"].count("😀") == 2
    assert answer["details"]["generated_tokens"] == len(tokens) == 6
    emoji = http.post("/tokenize", json={"inputs": "😀"}).json()
    assert [t["id"] for t in tokens[:3]] == [t["id"] for t in emoji]
    assert [(t["text"], t["logprob"] is None) for t in tokens[:3]] == [
        ("", True),
        ("", True),
        ("😀", False),
    ]


def test_a_text_may_end_in_the_middle_of_a_character(http: httpx.Client) -> None:
    answer = generate(http, EMOJI, grammar=THREE, max_new_tokens=5)

    assert answer["generated_text"] == "😀"
    assert answer["details"]["generated_tokens"] == len(answer["details"]["tokens"]) == 5
    assert answer["details"]["finish_reason"] == "length"


def test_a_text_follows_an_expression(http: httpx.Client) -> None:
    grammar = {"type": "regex", "value": "[0-9]{3}-[a-f]{2}/世"}

    answer = generate(http, "Her number:", grammar=grammar, max_new_tokens=40)

    assert re.fullmatch("[0-9]{3}-[a-f]{2}/世", answer["generated_text"])
    assert answer["details"]["finish_reason"] == "eos_token"


def test_the_rest_of_a_prompt_is_cut_off(http: httpx.Client) -> None:
    details = generate(
        http, "one two three four", truncate=2, max_new_tokens=3, decoder_input_details=True
    )["details"]

    assert [token["text"] for token in details["prefill"]] == [" three", " four"]


def test_headers_tell_how_long_it_took(http: httpx.Client) -> None:
    reply = http.post("/generate", json={"inputs": "Hi", "parameters": {"max_new_tokens": 3}})

    assert int(reply.headers["x-generated-tokens"]) == 3
    assert int(reply.headers["x-total-time"]) >= int(reply.headers["x-inference-time"]) > 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"inputs": "Hi", "parameters": {"max_new_tokens": 2}}, "generated_text"),
        ({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}, "choices"),
    ],
)
def test_one_route_takes_every_kind_of_request(http: httpx.Client, body: Any, kind: str) -> None:
    assert kind in http.post("/invocations", json=body).json()


def test_what_no_route_takes_is_refused(http: httpx.Client) -> None:
    assert http.post("/invocations", json={"x": 1}).status_code == 422
    assert http.post("/invocations", content=b"{").status_code == 400


def test_agents_that_come_at_once_compute_what_they_share_once(http: httpx.Client) -> None:
    rules = f"Rules of {time.monotonic()}: " + "be kind and be brief. " * 30
    length = len(http.post("/tokenize", json={"inputs": rules}).json())
    before = cached(http)

    with ThreadPoolExecutor(3) as threads:
        list(
            threads.map(lambda n: generate(http, f"{rules} Agent {n}", max_new_tokens=2), range(3))
        )

    assert cached(http) - before >= 2 * (length - 2)


@pytest.mark.parametrize("parameters", [{}, {"best_of": 2, "do_sample": True}])
def test_a_client_that_goes_away_while_its_prompt_is_read_frees_its_slot(
    http: httpx.Client, parameters: Any
) -> None:
    body = {
        "inputs": f"{time.monotonic()} " + "the sea " * 400,
        "parameters": {"max_new_tokens": 100, **parameters},
    }

    with pytest.raises(httpx.ReadTimeout):
        http.post("/generate", json=body, timeout=0.3)

    limit = time.monotonic() + 60
    while running(http) > 0:
        assert time.monotonic() < limit, "the slot is still taken"


def running(http: httpx.Client) -> float:
    return metric(http, "tgi_batch_current_size")


def cached(http: httpx.Client) -> float:
    return metric(http, "llmasos_engine_prompt_tokens_cached_total")


def metric(http: httpx.Client, name: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))
