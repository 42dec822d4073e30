import pytest

from llmasos.language.checks import support
from llmasos.retrieval import Passage


def passage(text: str, title: str = "Page") -> Passage:
    return Passage(
        collection="c", source="p.md", title=title, text=text, span=(0, len(text)), score=0.5
    )


PAGE = passage(
    "Owners can delete the organization after 30 days. Guests cannot see private streams. "
    "Set `archive_days` in the settings. Message content is disabled by default."
)
ZH = passage("您可以在购买后30天内申请退款。礼品卡不支持退款。")


@pytest.mark.parametrize(
    "sentence",
    [
        "Owners can delete the organization after 30 days.",
        "Guests can't see private streams.",
        "You set `archive_days` in the settings.",
    ],
)
def test_what_the_page_says_is_supported(sentence):
    assert support(sentence, [PAGE]) is not None


@pytest.mark.parametrize(
    "sentence",
    [
        "Owners can delete the organization after 90 days.",
        "Owners cannot delete the organization after 30 days.",
        "Guests can see private streams.",
        "The organization can delete owners after 30 days.",
        "Owners at Zulip can delete the organization after 30 days.",
        "Set `archive_weeks` in the settings.",
        "Message content is enabled by default.",
        "Owners can delete everything.",
        "Yes.",
        "",
    ],
)
def test_what_differs_in_one_fact_is_not(sentence):
    assert support(sentence, [PAGE]) is None


def test_chinese_is_checked_too():
    assert support("购买后30天内可以申请退款。", [ZH]) is not None
    assert support("购买后90天内可以申请退款。", [ZH]) is None
    assert support("礼品卡支持退款。", [ZH]) is None


def test_support_names_the_passage_and_the_place():
    found = support("Guests cannot see private streams.", [ZH, PAGE])

    assert found is not None
    assert found.passage == 1
    assert PAGE.text[slice(*found.span)] == "Guests cannot see private streams."


DELIVERIES = passage(
    "A repeat within a day gets no second job. A sender may repeat a delivery as long as it gets "
    "no answer. If the queue is full, the sender waits a minute. Jobs are kept for 30 days."
)


@pytest.mark.parametrize(
    "patched",
    [
        "So a sender may repeat a delivery as long as it gets no second job.",
        "A sender may repeat a delivery within a day.",
        "The sender waits a minute.",
        "A sender may repeat a delivery if the queue is full.",
        "A sender may repeat a delivery and jobs are kept for 90 days.",
    ],
)
def test_a_claim_is_not_patched_together_from_several_sentences(patched):
    assert support(patched, [DELIVERIES]) is None


def test_two_whole_clauses_may_come_from_two_sentences_side_by_side():
    page = passage(
        "Exports of messages start at night. The archive is kept for 30 days. Guests wait."
    )

    found = support(
        "Exports of messages start at night and the archive is kept for 30 days.", [page]
    )

    assert found is not None
    assert page.text[slice(*found.span)].endswith("for 30 days.")
