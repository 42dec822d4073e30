"""What the engine refuses, in TGI's words, and how it puts the rest in llama.cpp's terms."""

from dataclasses import replace
from typing import Any

import pytest

from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import Parameters
from llmasos.engine.serving import with_limits
from llmasos.engine.validation import Limits, another, check, fit, samples
from llmasos.errors import SettingsError
from llmasos.settings import EngineSettings

LIMITS = Limits(input_tokens=10, total_tokens=16)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temperature": 0.0}, "`temperature` must be strictly positive"),
        ({"temperature": float("nan")}, "`temperature` must be strictly positive"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 2.5}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 0.0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"truncate": 11}, "`truncate` must be strictly positive and less than 10. Given: 11"),
        ({"best_of": 3, "do_sample": True}, "`best_of` must be > 0 and <= 2. Given: 3"),
        ({"best_of": 0}, "`best_of` must be > 0 and <= 2. Given: 0"),
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        (
            {"best_of": 2, "do_sample": True, "seed": 7},
            "`seed` must not be set when `best_of` > 1",
        ),
        ({"watermark": True}, "`watermark` == true is not supported"),
        ({"adapter_id": "mine"}, "`adapter_id` names no adapter: none are loaded"),
    ],
)
def test_a_wrong_parameter_is_refused_in_words_of_tgi(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check(Parameters(**given), LIMITS, stream=False)

    assert str(refusal.value).startswith(f"Input validation error: {said}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"best_of": 2, "do_sample": True}, "`best_of` != 1 is not supported when streaming"),
        ({"decoder_input_details": True}, "`decoder_input_details` == true is not supported when"),
    ],
)
def test_what_needs_the_whole_text_is_not_streamed(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        check(Parameters(**given), LIMITS, stream=True)


def test_a_server_may_allow_one_text_only() -> None:
    alone = replace(LIMITS, best_of=1)

    with pytest.raises(Invalid, match="`best_of` != 1 is not allowed for this endpoint"):
        check(Parameters(best_of=2, do_sample=True), alone, stream=False)


def fitted(length: int, **given: Any) -> Any:
    return fit(list(range(length)), Parameters(**given), LIMITS, identified=False)


def test_a_prompt_that_is_too_long_is_refused() -> None:
    with pytest.raises(Invalid, match=r"must have less than 10 tokens\. Given: 11"):
        fitted(11, max_new_tokens=1)


def test_a_prompt_whose_tokens_are_too_many_to_be_told_is_refused() -> None:
    wide = Limits(input_tokens=1000, total_tokens=2000)
    p = Parameters(decoder_input_details=True, max_new_tokens=1)

    assert fit(range(512), p, wide, identified=True).prefill
    with pytest.raises(Invalid, match="is supported for up to 512 `inputs` tokens"):
        fit(range(513), p, wide, identified=True)


def test_copies_of_a_job_differ_in_their_seeds_alone() -> None:
    job = fitted(3, do_sample=True)

    copies = [another(job) for _ in range(5)]

    assert len({copy.sampling.seed for copy in [job, *copies]}) == 6
    assert {copy.seed == copy.sampling.seed for copy in copies} == {True}
    assert all(copy.tokens == job.tokens for copy in copies)


def test_a_prompt_and_its_answer_must_fit_together() -> None:
    said = "must be <= 16. Given: 9 `inputs` tokens and 8 `max_new_tokens`"

    with pytest.raises(Invalid, match=said):
        fitted(9, max_new_tokens=8)


def test_truncation_keeps_the_end_of_the_prompt() -> None:
    assert fitted(40, truncate=4, max_new_tokens=1).tokens == [36, 37, 38, 39]


def test_without_a_length_the_answer_takes_what_is_left() -> None:
    assert fitted(9).max_new_tokens == 7


@pytest.mark.parametrize(
    ("given", "chance"),
    [
        ({}, False),
        ({"temperature": 1.0}, False),
        ({"temperature": 0.5}, True),
        ({"do_sample": True}, True),
        ({"top_k": 5}, True),
    ],
)
def test_chance_plays_a_part_exactly_when_it_does_in_tgi(
    given: dict[str, Any], chance: bool
) -> None:
    job = fitted(3, **given)

    assert samples(Parameters(**given)) is chance
    assert (job.sampling.temperature > 0) is chance
    assert (job.seed is not None) is chance


def test_a_smaller_total_alone_makes_room_for_an_answer() -> None:
    limited = with_limits(EngineSettings(), max_total_tokens=100)

    assert (limited.max_input_tokens, limited.max_total_tokens) == (99, 100)


@pytest.mark.parametrize(
    "given",
    [
        {"max_input_tokens": 100, "max_total_tokens": 100},
        {"max_total_tokens": 100_000},
        {"max_concurrent_requests": 0},
    ],
)
def test_limits_that_contradict_each_other_stop_the_start(given: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=r"engine\.max_"):
        with_limits(EngineSettings(), **given)
