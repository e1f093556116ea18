"""What is news: each call told once, then only what changed with it, and deadlines as they draw near."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from conftest import a_call
from hypothesis import given
from hypothesis import strategies as st

from pipeline.news import FURTHER, SHOWN, News, Week, changes_of, nearly_empty, news, now_told
from pipeline.schema import (
    Call,
    Claim,
    Contradiction,
    Deadline,
    Document,
    Eligibility,
    Evidence,
    Match,
    Told,
    Wishes,
)

TODAY = date(2026, 6, 15)
NEXT_WEEK = date(2026, 6, 22)
PAST, SOON, FAR, FURTHER_ON = date(2026, 6, 1), date(2026, 7, 1), date(2026, 9, 15), date(2026, 12, 1)


def ends(*days: Any, kind: Any = "single") -> tuple[Deadline, ...]:
    kind = "cut-off" if len(days) > 1 else kind
    return tuple(Deadline(at=day, printed=str(day), kind=kind) for day in days)


def told_of(call: Call, day: date = TODAY, *, listed: bool = True) -> Told:
    week = Week(day, {call.call_id: call}, frozenset([call.call_id] if listed else []))
    return now_told(None, "one", call, week, None)


def at(hour: int) -> datetime:
    return datetime(2026, 9, 15, hour, tzinfo=UTC)


DISPUTE = (
    Contradiction(
        field="deadlines",
        claims=(
            Claim(document_id="a:1", value="2026-09-15", printed="15 September"),
            Claim(document_id="a:2", value="2026-09-16", printed="16 September"),
        ),
    ),
)
POT = {"until_spent": True, "budget_total_eur": 1e6}

# what the reader was told, what is known now, whether it is listed, and the news
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], bool, list[str]]] = {
    "nothing": ({}, {}, True, []),
    "another title is no news": ({}, {"title": "New words"}, True, []),
    "earlier": ({"deadlines": ends(FAR)}, {"deadlines": ends(SOON)}, True, ["deadline_earlier"]),
    "later": ({"deadlines": ends(SOON)}, {"deadlines": ends(FAR)}, True, ["deadline_later"]),
    "an hour is stated": ({"deadlines": ends(FAR)}, {"deadlines": ends(at(15))}, True, ["deadline_detail"]),
    "an hour that moves": (
        {"deadlines": ends(at(10))},
        {"deadlines": ends(at(15))},
        True,
        ["deadline_detail"],
    ),
    "only other words for it": (
        {"deadlines": ends(FAR)},
        {"deadlines": (Deadline(at=FAR, printed="midden september", kind="single"),)},
        True,
        [],
    ),
    "withdrawn": ({"deadlines": ends(FAR)}, {"deadlines": ()}, True, ["deadline_withdrawn"]),
    "disputed": (
        {"deadlines": ends(FAR)},
        {"deadlines": (), "contradictions": DISPUTE, "status": "unknown"},
        True,
        ["deadline_disputed"],
    ),
    "stated at last": ({"deadlines": ()}, {"deadlines": ends(FAR)}, True, ["deadline_stated"]),
    "a past cut-off is no move": ({"deadlines": ends(PAST, FAR)}, {"deadlines": ends(FAR)}, True, []),
    "one more cut-off": (
        {"deadlines": ends(SOON, FAR)},
        {"deadlines": ends(SOON, FAR, FURTHER_ON)},
        True,
        ["deadline_detail"],
    ),
    "a new round after the last": (
        {"deadlines": ends(PAST)},
        {"deadlines": ends(FAR)},
        True,
        ["deadline_stated"],
    ),
    "a second stage is no way in": (
        {"deadlines": ends(FAR, kind="stage 1")},
        {"deadlines": (*ends(FAR, kind="stage 1"), *ends(FURTHER_ON, kind="stage 2"))},
        True,
        [],
    ),
    "closed early": ({"deadlines": ends(FAR)}, {"status": "closed"}, True, ["closed_early"]),
    "closed on its day": ({"deadlines": ends(PAST)}, {"deadlines": ends(PAST), "status": "closed"}, True, []),
    "closed without a day": (
        {"deadlines": (), "rolling": True},
        {"deadlines": (), "status": "closed"},
        True,
        ["closed_early"],
    ),
    "closed, and told so": ({"status": "closed"}, {"status": "closed"}, True, []),
    "open again": (
        {"status": "closed", "deadlines": ends(FAR)},
        {"status": "open", "deadlines": ends(FAR)},
        True,
        ["opened"],
    ),
    "opened": (
        {"status": "forthcoming", "deadlines": ends(FAR)},
        {"status": "open", "deadlines": ends(FAR)},
        True,
        ["opened"],
    ),
    "nearly empty": (POT, POT | {"remaining_budget_eur": 2e5}, True, ["nearly_empty"]),
    "not yet nearly empty": (POT, POT | {"remaining_budget_eur": 3e5}, True, []),
    "vanished": ({"deadlines": ends(FAR)}, {"deadlines": ends(FAR)}, False, ["not_listed"]),
    "vanished after its day": ({"deadlines": ends(PAST)}, {"deadlines": ends(PAST)}, False, []),
    "vanished, whatever its old state says": (
        {"deadlines": ends(FAR)},
        {"deadlines": ends(SOON)},
        False,
        ["not_listed"],
    ),
}


@pytest.mark.parametrize(("before", "now", "listed", "kinds"), TABLE.values(), ids=TABLE.keys())
def test_what_changed_with_a_call_that_was_told(
    before: Any, now: Any, listed: bool, kinds: list[str]
) -> None:
    told = told_of(a_call(**before))
    found = changes_of(told, a_call(**now), TODAY, listed=listed)
    assert [change.kind for change in found] == kinds
    again = changes_of(told_of(a_call(**now), listed=listed), a_call(**now), NEXT_WEEK, listed=listed)
    assert not again, "what was told is not told again"


def test_a_call_that_comes_back_is_told_so_once() -> None:
    gone = told_of(a_call(deadlines=ends(FAR)), listed=False)
    (change,) = changes_of(gone, a_call(deadlines=ends(FAR)), NEXT_WEEK, listed=True)
    assert change.kind == "listed_again" and change.after == ends(FAR)[0]


def test_a_pot_is_nearly_empty_by_the_same_rule_as_in_the_warehouse() -> None:
    assert nearly_empty(a_call(allocation="first come", budget_total_eur=100.0, remaining_budget_eur=25.0))
    assert not nearly_empty(
        a_call(allocation="first come", budget_total_eur=100.0, remaining_budget_eur=26.0)
    )
    assert not nearly_empty(a_call(allocation="ranking", budget_total_eur=100.0, remaining_budget_eur=1.0))
    assert not nearly_empty(a_call(allocation="first come", remaining_budget_eur=1.0))
    assert nearly_empty(a_call(until_spent=True, budget_total_eur=100.0, remaining_budget_eur=0.0))


def match(number: int, *, weight: float = 0.6, percentile: float = 99.0, **more: Any) -> Match:
    base: dict[str, Any] = {
        "profile_id": "one",
        "call_id": f"eu_portal:{number}",
        "rank": number,
        "score": 0.5,
        "percentile": percentile,
        "confidence": "high",
        "eligibility": Eligibility(verdict="unknown", rules=()),
        "evidence": (Evidence(profile_text="a", call_text="b", weight=weight),),
        "reasons": ("r",),
    }
    return Match(**base | more)


def world(count: int = 12, day: date = TODAY, **more: Any) -> Week:
    calls = {
        f"eu_portal:{n}": a_call(call_id=f"eu_portal:{n}", deadlines=ends(FAR), **more)
        for n in range(1, count + 1)
    }
    return Week(day, calls, frozenset(calls))


def ids(matches: Any) -> list[str]:
    return [each.call_id.partition(":")[2] for each in matches]


def test_each_call_is_new_once_and_what_finds_no_room_waits_for_the_next_mail() -> None:
    matches = [match(n, weight=0.6 if n <= 8 else 0.3) for n in range(1, 13)]
    first = news("one", matches, (), Wishes(), world())
    assert ids(first.new) == ["1", "2", "3", "4", "5"] and len(first.new) == SHOWN and first.waiting == 3
    assert ids(first.further) == ["9", "10", "11"] and len(first.further) == FURTHER
    second = news("one", matches, first.told, Wishes(), world(day=NEXT_WEEK))
    assert ids(second.new) == ["6", "7", "8"] and ids(second.further) == ["12"] and not second.changes
    told = {each.call_id: each for each in (*first.told, *second.told)}
    third = news("one", matches, list(told.values()), Wishes(), world(day=NEXT_WEEK))
    assert third.nothing and third == News()


def test_what_is_below_the_cut_off_failed_refused_or_over_is_never_new() -> None:
    fails = Eligibility(verdict="fail", rules=())
    matches = [
        match(1, percentile=79.9),
        match(2, eligibility=fails),
        match(3, feedback="not-for-us"),
        match(4, percentile=80.0),
        match(5, percentile=10.0, weight=0.1, feedback="relevant"),
        match(6),
    ]
    week = world()
    over = week.calls["eu_portal:6"].model_copy(update={"deadlines": ends(PAST)})
    week = Week(TODAY, {**week.calls, "eu_portal:6": over}, week.listed)
    found = news("one", matches, (), Wishes(), week)
    assert ids(found.new) == ["4", "5"] and found.waiting == 0 and not found.further


def test_a_call_that_was_marked_not_for_us_is_not_told_of_again_whatever_changes() -> None:
    first = news("one", [match(1)], (), Wishes(), world())
    moved = world(day=NEXT_WEEK)
    moved = Week(
        NEXT_WEEK,
        moved.calls | {"eu_portal:1": a_call(call_id="eu_portal:1", deadlines=ends(SOON))},
        moved.listed,
    )
    assert [c.kind for c in news("one", [match(1)], first.told, Wishes(), moved).changes] == [
        "deadline_earlier"
    ]
    refused = [match(1, feedback="not-for-us")]
    assert news("one", refused, first.told, Wishes(), moved).nothing


def test_a_call_keeps_its_place_under_another_id() -> None:
    first = news("one", [match(1)], (), Wishes(), world(1))
    document = Document(
        document_id="eu_portal:1",
        source="eu_portal",
        role="page",
        title="Call 1",
        url="https://example.org/1",
        fetched_at=datetime(2026, 6, 15, 5, tzinfo=UTC),
        page_sha256="a" * 64,
        archive_record="w#1",
        printed={},
    )
    joined = a_call(call_id="rvo:7", deadlines=ends(FAR), documents=(document,))
    week = Week(NEXT_WEEK, {"rvo:7": joined}, frozenset(["rvo:7"]))
    assert news("one", [match(1, call_id="rvo:7")], first.told, Wishes(), week).nothing


DAYS_LEFT = {92: [], 57: [], 56: [56], 40: [56], 28: [28], 14: [14], 8: [14], 7: [7], 0: [7], -1: []}


@pytest.mark.parametrize(("left", "steps"), DAYS_LEFT.items())
def test_the_deadline_of_a_relevant_call_is_told_at_few_steps(left: int, steps: list[int]) -> None:
    day = date.fromordinal(FAR.toordinal() - left)
    week = world(1, day)
    told = [told_of(week.calls["eu_portal:1"])]
    marked = [match(1, feedback="relevant")]
    assert [r.step for r in news("one", marked, told, Wishes(), week).reminders] == steps
    assert not news("one", [match(1)], told, Wishes(), week).reminders


def test_a_step_is_told_once_and_anew_when_the_deadline_moves() -> None:
    marked, told, steps = [match(1, feedback="relevant")], [told_of(world(1).calls["eu_portal:1"])], []
    for ordinal in range(TODAY.toordinal(), FAR.toordinal() + 1, 7):
        found = news("one", marked, told, Wishes(), world(1, date.fromordinal(ordinal)))
        steps += [reminder.step for reminder in found.reminders]
        told = list(found.told) or told
    assert steps == [56, 28, 14, 7]
    later = world(1, date(2026, 9, 14))
    later = Week(later.as_of, {"eu_portal:1": a_call(deadlines=ends(date(2026, 10, 1)))}, later.listed)
    moved = news("one", marked, told, Wishes(), later)
    assert [c.kind for c in moved.changes] == ["deadline_later"] and [r.step for r in moved.reminders] == [28]


def test_a_reader_of_deadlines_alone_hears_of_no_new_call_and_of_every_deadline() -> None:
    matches = [match(1, feedback="relevant"), match(2)]
    told = [told_of(call) for call in world(1).calls.values()]
    week = world(2, date(2026, 8, 20))
    moved = week.calls | {
        "eu_portal:1": a_call(
            deadlines=ends(date(2026, 9, 1)), until_spent=True, budget_total_eur=4.0, remaining_budget_eur=1.0
        )
    }
    found = news("one", matches, told, Wishes(), Week(week.as_of, moved, week.listed), new_calls=False)
    assert not found.new and not found.further
    assert [c.kind for c in found.changes] == ["deadline_earlier"] and [r.step for r in found.reminders] == [
        14
    ]


def test_a_first_mail_tells_the_loosely_related_only_beside_something_that_fits() -> None:
    found = news("one", [match(1, weight=0.2)], (), Wishes(), world())
    assert found.nothing and ids(found.further) == ["1"]


@given(
    st.lists(st.tuples(st.sampled_from([PAST, SOON, FAR, FURTHER_ON]), st.booleans()), max_size=4),
    st.lists(st.tuples(st.sampled_from([PAST, SOON, FAR, FURTHER_ON]), st.booleans()), max_size=4),
    st.sampled_from(["forthcoming", "open", "closed", "unknown"]),
    st.sampled_from(["forthcoming", "open", "closed", "unknown"]),
    st.booleans(),
    st.booleans(),
)
def test_whatever_changes_it_is_told_at_most_once(
    before: Any, after: Any, was: Any, now: Any, listed_before: bool, listed: bool
) -> None:
    def one(stated: Any, status: Any) -> Call:
        days = sorted({day for day, _ in stated})
        return a_call(status=status, deadlines=ends(*days) if days else ())

    told = told_of(one(before, was), listed=listed_before)
    call = one(after, now)
    week = Week(TODAY, {call.call_id: call}, frozenset([call.call_id] if listed else []))
    changed = changes_of(told, call, TODAY, listed=listed)
    assert len({change.kind for change in changed}) == len(changed)
    if changed:
        assert not changes_of(now_told(told, "one", call, week, None), call, TODAY, listed=listed)
