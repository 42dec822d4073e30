"""Who may read a collection."""

import pytest

from knowledge.readers import may_read
from llmasos.request import LOCAL, Principal

ANNA = Principal(id="slack:T1:U1", team="T1", channel="C1", groups=("staff",))
GUEST = Principal(id="slack:T9:U9", team="T9", channel="C1", member=False)


@pytest.mark.parametrize(
    "reader", ["everyone", "slack:T1:U1", "team:T1", "channel:C1", "group:staff"]
)
def test_a_principal_reads_what_names_them_or_their_place(reader):
    assert may_read(("group:others", reader), ANNA)


@pytest.mark.parametrize("reader", ["T1", "team:T2", "channel:", "group:", "slack:T1:U", "staff"])
def test_nobody_reads_by_likeness(reader):
    assert not may_read((reader,), ANNA)


def test_guests_are_not_everyone_and_this_machine_is():
    assert may_read(("everyone",), LOCAL)
    assert not may_read(("everyone",), GUEST)
    assert may_read(("channel:C1",), GUEST)
    assert not may_read((), LOCAL)
