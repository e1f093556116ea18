"""Rounds put together: what several statements of one document make of a call, and its status on a day."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from conftest import a_call

from pipeline.dates import Round
from pipeline.deadlines import may_be_open, status, window
from pipeline.schema import Deadline

AS_OF = date(2026, 6, 15)
MARCH, JUNE, SEPTEMBER, OCTOBER = (date(2026, month, 30) for month in (3, 6, 9, 10))


def rounds(*pairs: tuple[date | None, date | datetime | None]) -> list[Round]:
    return [Round(opens, closes, f"{opens} to {closes}") for opens, closes in pairs]


def ends(*groups: list[Round]) -> list[date | datetime]:
    return [deadline.at for deadline in window(groups).deadlines]


def test_the_same_day_twice_is_one_deadline_with_the_hour_that_one_states() -> None:
    exact = datetime(2026, 9, 30, 15, tzinfo=UTC)
    assert ends(rounds((None, SEPTEMBER)), rounds((None, exact))) == [exact]
    other = datetime(2026, 9, 30, 12, tzinfo=UTC)
    assert ends(rounds((None, exact)), rounds((None, other))) == [SEPTEMBER]


def test_days_that_exclude_each_other_are_no_deadline_but_kept() -> None:
    found = window([rounds((None, SEPTEMBER)), rounds((None, OCTOBER))])
    assert found.deadlines == () and {r.closes for r in found.disputed} == {SEPTEMBER, OCTOBER}


def test_days_listed_in_one_statement_are_cut_offs() -> None:
    listed = [Round(None, day, "30 maart en 30 september 2026") for day in (MARCH, SEPTEMBER)]
    found = window([listed])
    assert [d.kind for d in found.deadlines] == ["cut-off", "cut-off"] and found.opens_on is None
    assert window([rounds((None, MARCH), (None, SEPTEMBER))]).deadlines == ()  # two sentences of one text


def test_rounds_that_follow_each_other_stand_side_by_side_each_with_its_opening() -> None:
    first, second = (date(2026, 1, 5), MARCH), (date(2026, 8, 1), SEPTEMBER)
    found = window([rounds(first), rounds(second)])
    assert [(d.opens_on, d.at) for d in found.deadlines] == [first, second]
    assert found.opens_on is None
    overlapping = window([rounds((date(2026, 1, 5), SEPTEMBER)), rounds((date(2026, 2, 1), OCTOBER))])
    assert overlapping.deadlines == ()


def test_an_opening_alone_belongs_to_the_one_end_that_follows_it() -> None:
    found = window([rounds((JUNE, None)), rounds((None, SEPTEMBER))])
    assert found.opens_on == JUNE and found.deadlines[0].opens_on == JUNE
    before = window([rounds((OCTOBER, None)), rounds((None, SEPTEMBER))])
    assert before.deadlines[0].opens_on is None
    two = window([rounds((MARCH, None)), rounds((JUNE, None))])
    assert two.opens_on is None and two.deadlines == ()


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 1, 1), "forthcoming"),
        (date(2026, 2, 1), "open"),
        (date(2026, 5, 1), "forthcoming"),  # between two rounds
        (date(2026, 8, 15), "open"),
        (date(2026, 12, 1), "closed"),
    ],
)
def test_between_two_rounds_a_call_is_forthcoming(day: date, expected: str) -> None:
    found = window([rounds((date(2026, 1, 5), MARCH), (date(2026, 8, 1), SEPTEMBER))])
    assert status(None, found.opens_on, found.deadlines, day)[0] == expected


def test_closed_for_now_with_an_opening_ahead_is_forthcoming() -> None:
    ahead = (Deadline(at=OCTOBER, printed="x", kind="single", opens_on=SEPTEMBER),)
    assert status("closed", SEPTEMBER, ahead, AS_OF)[0] == "forthcoming"
    assert status("closed", MARCH, ahead[:0], AS_OF)[0] == "closed"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"status": "open"}, True),
        ({"status": "closed"}, False),
        ({"status": "forthcoming"}, False),
        ({"status": "unknown", "deadlines": (Deadline(at=SEPTEMBER, printed="x", kind="single"),)}, True),
        ({"status": "unknown", "deadlines": ()}, False),
        ({"status": "unknown", "deadlines": (), "opens_on": MARCH, "until_spent": True}, True),
        ({"status": "unknown", "deadlines": (), "opens_on": SEPTEMBER, "until_spent": True}, False),
        ({"status": "unknown", "deadlines": (), "opens_on": MARCH}, False),
    ],
)
def test_a_call_whose_opening_is_not_stated_may_be_open_while_its_end_lies_ahead(
    more: dict[str, object], expected: bool
) -> None:
    assert may_be_open(a_call(**more), AS_OF) is expected
