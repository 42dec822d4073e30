import time

import pytest

from llmasos.language.words import is_chinese, names, numbers, sentences, stem, terms


@pytest.mark.parametrize(
    "forms",
    [
        "delete deletes deleted deleting deletion",
        "archive archived archiving",
        "policy policies",
        "run running runs",
        "configure configured configuration",
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms):
    assert len({stem(word) for word in forms.split()}) == 1


def test_terms_are_stems_without_stop_words_and_pairs_of_characters():
    assert terms("How do I delete the messages?") == ["delet", "messag"]
    assert terms("如何申请退款？") == ["申请", "请退", "退款"]


def test_a_text_is_chinese_by_most_of_its_letters():
    assert is_chinese("如何在 Slack 里申请退款和换货呢？")
    assert not is_chinese("What does 退款 mean in English?")
    assert not is_chinese("123 !?")


def test_sentences_keep_their_places_and_their_markup():
    text = "First one, e.g. this. Second!\n\n1. Open **Settings**.\n1. Click it.\n\n你好。再见！"

    found = sentences(text)

    assert [each.text for each in found] == [
        "First one, e.g. this.",
        "Second!",
        "1. Open **Settings**.",
        "1. Click it.",
        "你好。",
        "再见！",
    ]
    assert all(text[each.start : each.end] == each.text for each in found)


def test_numbers_and_names_are_found_however_they_are_written():
    assert numbers("10,000 in two of 2.5%") == {"10000", "2", "2.5"}
    assert names("We asked Anna Keller at ACME (anna@acme.com).") == {
        "anna",
        "keller",
        "acme",
        "anna@acme.com",
    }


def test_hostile_input_is_read_in_time():
    began = time.process_time()
    for text in ("a" * 20_000, "退" * 20_000, ". " * 10_000, "(" * 20_000, "\n" * 20_000):
        sentences(text)
        names(text)
        terms(text)

    assert time.process_time() - began < 20  # what is quadratic takes minutes
