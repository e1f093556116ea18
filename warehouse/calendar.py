"""Deadlines as an iCalendar file (RFC 5545) whose events move when a deadline moves.

An event is one entry deadline of a call through all states that the warehouse knows of it: its UID stays, and
SEQUENCE rises when its time or its standing changes, so that importing a newer file brings a calendar up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal
from urllib.parse import quote

from pipeline.deadlines import ENTRY_KINDS, on
from pipeline.schema import Deadline
from pipeline.wording import READERS_ZONE, Words, line, web_address

ALARM_DAYS = (14, 3)
ALARM_HOUR = 9  # of alarms for a deadline without an hour
LONGEST_TITLE = 200

Standing = Literal["CONFIRMED", "TENTATIVE", "CANCELLED"]
# why an event is not confirmed: a key of the wording of calendars
Why = Literal["withdrawn", "closed", "disputed", "not_listed"]


@dataclass(frozen=True)
class State:
    """A call from a run's day on, as far as its deadlines go."""

    day: date
    status: str
    deadlines: tuple[Deadline, ...]
    disputed: bool = False  # its documents state deadlines that exclude each other
    returned: bool = False  # its source had not listed it for a while


@dataclass(frozen=True)
class Event:
    """One entry deadline through the states of its call; `number` counts a call's events from 1."""

    number: int
    deadline: Deadline
    created_on: date
    changed_on: date
    sequence: int = 0
    why: Why | None = None

    @property
    def standing(self) -> Standing:
        """CANCELLED where it was withdrawn, TENTATIVE where it is no longer known to hold."""
        if self.why is None:
            return "CONFIRMED"
        return "CANCELLED" if self.why in ("withdrawn", "closed") else "TENTATIVE"


def follow(states: Sequence[State], gone_on: date | None = None) -> list[Event]:
    """A call's entry deadlines through its states, by number; `gone_on`: since when it is not listed.

    From one state to the next an event is the deadline of the same day and kind, else of the same day. What
    is then left on both sides was moved: put together in the order of time, least days apart in all. What
    lay in the past stays as it was; a round that only ended is not withdrawn.
    """
    events: list[Event] = []
    for state in states:
        if state.returned:
            events = [_stand(event, "not_listed", state.day) for event in events]
        events = _next(events, state)
    if gone_on:
        events = [_stand(event, "not_listed", gone_on) for event in events]
    return events


def _next(events: list[Event], state: State) -> list[Event]:
    told = [d for d in state.deadlines if d.kind in ENTRY_KINDS]
    pairs: dict[int, Deadline] = {}
    for with_kind in (True, False):
        for event in (each for each in events if each.number not in pairs):
            found = next((d for d in told if _same(event.deadline, d, with_kind)), None)
            if found:
                pairs[event.number] = found
                told.remove(found)
    left = [
        event
        for event in events
        if event.number not in pairs and event.standing != "CANCELLED" and on(event.deadline) >= state.day
    ]
    for event, moved in _in_order(left, told):
        pairs[event.number] = moved
        told.remove(moved)
    after = []
    for event in events:
        if event.number in pairs:
            event = _tell(event, pairs[event.number], state)
        elif event in left:
            event = _stand(event, "disputed" if state.disputed else "withdrawn", state.day)
        after.append(event)
    for number, deadline in enumerate(told, start=len(events) + 1):
        after.append(_tell(Event(number, deadline, state.day, state.day), deadline, state, new=True))
    return after


def _same(one: Deadline, other: Deadline, with_kind: bool) -> bool:
    """Whether two deadlines are of one day, and of one kind where that counts."""
    return on(one) == on(other) and (one.kind == other.kind or not with_kind)


def _in_order(events: Sequence[Event], told: Sequence[Deadline]) -> list[tuple[Event, Deadline]]:
    """As many pairs as there can be, both in the order of time, with the least sum of days between them."""
    rows = sorted(events, key=lambda event: on(event.deadline))
    columns = sorted(told, key=on)
    few, many = sorted(([on(e.deadline) for e in rows], [on(d) for d in columns]), key=len)
    # least[i][j]: days between, of the first i of the few, each put to one of the first j of the many
    least: list[list[float]] = [[0.0] * (len(many) + 1)]
    for i, day in enumerate(few, start=1):
        costs = [float("inf")]
        for j, other in enumerate(many, start=1):
            costs.append(min(costs[j - 1], least[i - 1][j - 1] + abs((day - other).days)))
        least.append(costs)
    pairs, j = [], len(many)
    for i in range(len(few), 0, -1):
        while least[i][j] == least[i][j - 1]:
            j -= 1
        pairs.append((i - 1, j - 1))
        j -= 1
    if len(rows) > len(columns):
        pairs = [(long, short) for short, long in pairs]
    return [(rows[row], columns[column]) for row, column in reversed(pairs)]


def _tell(event: Event, deadline: Deadline, state: State, *, new: bool = False) -> Event:
    """The event as a state tells it; a call that is closed before its deadline has no such deadline more."""
    early = state.status == "closed" and on(deadline) >= state.day
    why: Why | None = "closed" if early else None
    moved = (deadline.at, why) != (event.deadline.at, event.why) and not new
    said = deadline != event.deadline or moved
    return replace(
        event,
        deadline=deadline,
        why=why,
        sequence=event.sequence + moved,
        changed_on=state.day if said else event.changed_on,
    )


def _stand(event: Event, why: Why, day: date) -> Event:
    """The event with another standing from a day on; what is past or cancelled by then stays as it is."""
    if event.standing == "CANCELLED" or on(event.deadline) < day:
        return event
    return replace(event, why=why, sequence=event.sequence + 1, changed_on=day)


def write(rows: Iterable[dict[str, Any]], as_of: date, name: str, words: Words) -> bytes:
    """The calendar of events that lie on `as_of` or later.

    `rows` are the states of calls in order of call and version: call_id, title, url, valid_from, status,
    deadlines, disputed, returned, gone_on, wanted. A call that is not `wanted` is told only where it changed
    something that an earlier calendar had. `words` are a language's; the same rows give the same bytes.
    """
    from icalendar import Calendar

    calendar = Calendar()
    for key, value in (
        ("prodid", "-//fundmatch//deadlines//EN"),
        ("version", "2.0"),
        ("method", "PUBLISH"),
        ("x-wr-calname", line(name)),
        ("x-wr-timezone", READERS_ZONE.key),
    ):
        calendar.add(key, value)
    calendar.add("refresh-interval", timedelta(days=1), parameters={"VALUE": "DURATION"})
    for _, states in groupby(rows, key=lambda row: row["call_id"]):
        known = list(states)
        last = known[-1]
        for event in follow([_state(row) for row in known], last["gone_on"]):
            changed = event.sequence > 0
            fresh = last["wanted"] and event.why is None
            if on(event.deadline) >= as_of and (fresh or changed):
                calendar.add_component(_component(event, last, as_of, words))
    calendar.add_missing_timezones(first_date=date(as_of.year, 1, 1))
    return bytes(calendar.to_ical())


def _state(row: dict[str, Any]) -> State:
    told = tuple(Deadline.model_validate(each) for each in row["deadlines"])
    return State(row["valid_from"], row["status"], told, row["disputed"], row["returned"])


def _component(event: Event, call: dict[str, Any], as_of: date, words: Words) -> Any:
    from icalendar import Alarm
    from icalendar import Event as Component

    said, deadline = words["calendar"], event.deadline
    at = deadline.at.astimezone(READERS_ZONE) if isinstance(deadline.at, datetime) else deadline.at
    title = line(call["title"])[:LONGEST_TITLE]
    summary = f"{said['summary'][event.why or deadline.kind]}: {title}"
    lines = [
        said["why"][event.why] if event.why else "",
        said["printed"].format(printed=line(deadline.printed)),
        "" if isinstance(at, datetime) else said["no_hour"],
        said["counts"],
        web_address(call["url"]) or "",
    ]
    made = Component()
    made.add("uid", f"{quote(call['call_id'], safe=':')}/{event.number}@fundmatch")
    made.add("dtstamp", _midnight(as_of))
    made.add("created", _midnight(event.created_on))
    made.add("last-modified", _midnight(event.changed_on))
    made.add("sequence", event.sequence)
    made.add("dtstart", at)
    made.add("summary", summary)
    made.add("description", "\n".join(filter(None, lines)))
    made.add("status", event.standing)
    made.add("transp", "TRANSPARENT")
    made.add("categories", [said["category"]])
    if address := web_address(call["url"]):
        made.add("url", quote(address, safe=":/?#[]@!$&'()*+,;=%~"))
    for days in ALARM_DAYS if event.standing != "CANCELLED" else ():
        hours = 0 if isinstance(at, datetime) else ALARM_HOUR
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", said["alarm"].format(days=days, title=title))
        alarm.add("trigger", timedelta(days=-days, hours=hours))
        made.add_component(alarm)
    return made


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
