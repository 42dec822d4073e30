"""Tokens: the model's own counts, and an estimate that is not far below them."""

import time

import pytest

from knowledge.embedding import tokens_of
from knowledge.tokens import Estimate, Tokenizer

TEXTS = [
    "Organization owners can delete messages automatically after a number of days.",
    "Die Aufbewahrungsrichtlinien werden täglich verarbeitet; Änderungen gelten am nächsten Tag.",
    "退款会在十四天内到账。如果有问题，请联系我们的客服。",
    "返金は二週間以内に行われます。",
    "def embed(self, texts: Sequence[str]) -> Vectors:\n    return self._model(texts)\n",
]


@pytest.fixture
def tokenizer(make_settings):
    return tokens_of(make_settings())


def test_the_installed_model_counts_for_itself(tokenizer):
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.window == 256
    assert tokenizer.starts("Retention policies, 退款!") == [0, 10, 18, 20, 21, 22]


@pytest.mark.parametrize("text", TEXTS)
def test_an_estimate_is_seldom_below_the_count_and_never_double(tokenizer, text):
    counted, estimated = len(tokenizer.starts(text)), len(Estimate().starts(text))

    assert 0.8 * counted <= estimated <= 2 * counted


def test_a_long_text_is_counted_in_pieces_as_if_it_were_one(tokenizer):
    words = "retention policies are processed daily " * 6_000

    assert tokenizer.starts(words) == sorted(tokenizer.starts(words))
    assert len(tokenizer.starts(words)) == 5 * 6_000


def test_an_endless_word_is_not_one_token(tokenizer):
    assert len(tokenizer.starts("x" * 1_600)) == 100


@pytest.mark.parametrize("unit", ["x", " ", "汉", "a ", "\n"])
def test_a_hostile_text_is_counted_in_linear_time(tokenizer, unit):
    began = time.process_time()

    tokenizer.starts(unit * 1_000_000)

    assert time.process_time() - began < 20  # what is quadratic takes minutes


def test_a_model_that_is_not_here_is_estimated(make_settings):
    remote = make_settings('embedding = {url = "http://127.0.0.1:1", model = "bge-m3"}\n')

    assert isinstance(tokens_of(remote), Estimate)
