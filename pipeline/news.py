"""What is news to a reader: calls not told before, what differs from what was told, deadlines drawing near.

What a reader was told is kept with each mail (`Told`), so that nothing is told twice unless it changed, and a
reader who skipped weeks hears of all that changed since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Literal

from pipeline.deadlines import disputed_deadlines, entry_deadlines, may_be_open, next_deadline, on
from pipeline.feedback import hidden
from pipeline.identity import ids_of
from pipeline.reasons import is_close
from pipeline.schema import Call, Deadline, Match, Told, Wishes

SHOWN = 5  # new calls that a mail tells in full: more are not read, and wait for the next
FURTHER = 3  # loosely related ones that it names below
REMINDERS = (56, 28, 14, 7)  # days ahead at which the deadline of a call that is relevant is told again
NEARLY_EMPTY = 0.25  # of its money a pot has left; the same as in mart.nearly_empty_pots

Kind = Literal[
    "closed_early",
    "deadline_earlier",
    "deadline_disputed",
    "deadline_withdrawn",
    "not_listed",
    "nearly_empty",
    "opened",
    "deadline_stated",
    "deadline_later",
    "deadline_detail",
    "listed_again",
]
# changes that a reader of deadlines alone is told of, too
OF_DEADLINES: frozenset[Kind] = frozenset(
    {
        "closed_early",
        "deadline_earlier",
        "deadline_disputed",
        "deadline_withdrawn",
        "not_listed",
        "deadline_stated",
        "deadline_later",
        "deadline_detail",
        "listed_again",
    }
)

URGENT: frozenset[Kind] = frozenset(
    {"closed_early", "deadline_earlier", "deadline_disputed", "deadline_withdrawn"}
)
URGENT_DAYS = 14  # ahead, of the deadline that was told or the one that is now: then it cannot wait a week


@dataclass(frozen=True)
class Change:
    """One thing about a call that is otherwise than the reader was told; a deadline before and after."""

    call: Call
    kind: Kind
    before: Deadline | None = None
    after: Deadline | None = None


@dataclass(frozen=True)
class Reminder:
    """The next deadline of a call that was marked relevant, and the step in days that it has come within."""

    call: Call
    deadline: Deadline
    step: int


@dataclass(frozen=True)
class News:
    """What there is to tell one reader of one profile. `told` is what the reader then knows."""

    new: tuple[Match, ...] = ()
    further: tuple[Match, ...] = ()
    waiting: int = 0  # new ones that fit, and are left for the next mail
    changes: tuple[Change, ...] = ()
    reminders: tuple[Reminder, ...] = ()
    told: tuple[Told, ...] = ()

    def only(self, kept: set[str]) -> News:
        """The same without new calls but those of `kept`, which then are not told."""
        new = tuple(match for match in self.new if match.call_id in kept)
        left = {match.call_id for match in self.new} - {match.call_id for match in new}
        told = tuple(each for each in self.told if each.call_id not in left)
        return replace(self, new=new, waiting=self.waiting + len(left), told=told)

    def urgent(self, as_of: date) -> News:
        """What cannot wait for the weekly mail: a deadline near enough that went, or came nearer."""
        near = tuple(
            change
            for change in self.changes
            if change.kind in URGENT
            and any(d and 0 <= (on(d) - as_of).days <= URGENT_DAYS for d in (change.before, change.after))
        )
        spoken = {change.call.call_id for change in near}
        return News(changes=near, told=tuple(each for each in self.told if each.call_id in spoken))

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that is worth a mail: loosely related calls alone are not."""
        return not (self.new or self.changes or self.reminders)


def nearly_empty(call: Call) -> bool:
    """Whether a pot that is given out until it is spent had a quarter or less left when it was read."""
    drained = bool(call.until_spent) or call.allocation == "first come"
    left, whole = call.remaining_budget_eur, call.budget_total_eur
    return drained and left is not None and bool(whole) and left <= NEARLY_EMPTY * (whole or 0)


@dataclass(frozen=True)
class Week:
    """What is the same for all readers: the day, all calls by id, and the ids of those still listed."""

    as_of: date
    calls: Mapping[str, Call]
    listed: frozenset[str]

    @cached_property
    def goes_by(self) -> dict[str, str]:
        """Any id that a call may have been told by → the one that it has now."""
        names = {name: key for key, call in self.calls.items() for name in ids_of(call)}
        return names | {key: key for key in self.calls}

    @cached_property
    def enterable(self) -> frozenset[str]:
        """Ids of the calls that one may still apply to, as far as is stated."""
        return frozenset(key for key, call in self.calls.items() if _enterable(call, self.as_of))


def news(
    profile_id: str,
    matches: Sequence[Match],
    told: Sequence[Told],
    wishes: Wishes,
    week: Week,
    *,
    new_calls: bool = True,
) -> News:
    """What to tell of a profile: `matches` are its own, best first, `told` the last told of each call.

    Without `new_calls` only deadlines are news. A call that one may not apply for, or that was marked
    not-for-us, is never news.
    """
    known = {week.goes_by[each.call_id]: each for each in told if each.call_id in week.goes_by}
    marked = [match for match in matches if match.feedback is not None]
    refused = {match.call_id for match in marked if match.feedback == "not-for-us"}
    changes = tuple(
        change
        for call_id, earlier in sorted(known.items())
        if call_id not in refused
        for change in changes_of(earlier, week.calls[call_id], week.as_of, listed=call_id in week.listed)
        if new_calls or change.kind in OF_DEADLINES
    )
    reminders = tuple(
        reminder
        for match in marked
        if not hidden(match)
        for reminder in _reminder(week.calls[match.call_id], known.get(match.call_id), week.as_of)
    )
    fitting, further = _new(matches, known, wishes, week) if new_calls else ([], [])
    new = fitting[:SHOWN]
    steps = {reminder.call.call_id: reminder.step for reminder in reminders}
    spoken = [m.call_id for m in (*new, *further)] + [c.call.call_id for c in changes] + list(steps)
    after = tuple(
        now_told(known.get(call_id), profile_id, week.calls[call_id], week, steps.get(call_id))
        for call_id in dict.fromkeys(spoken)
    )
    return News(tuple(new), tuple(further), len(fitting) - len(new), changes, reminders, after)


def _new(
    matches: Sequence[Match], known: Mapping[str, Told], wishes: Wishes, week: Week
) -> tuple[list[Match], list[Match]]:
    """Matches of calls not told before that one may still apply to: those that fit, and a few loose ones."""
    fitting: list[Match] = []
    loose: list[Match] = []
    for match in matches:
        if match.call_id in known or match.call_id not in week.enterable:
            continue
        if len(loose) == FURTHER and match.percentile < wishes.least_percentile and match.feedback is None:
            continue  # as most are
        if fits(match, wishes):
            if not hidden(match):
                fitting.append(match)
        elif len(loose) < FURTHER and match.feedback is None and not is_close(match) and not hidden(match):
            loose.append(match)
    return fitting, loose


def _enterable(call: Call, as_of: date) -> bool:
    """Whether a call may be open, and not all deadlines by which one could enter are past."""
    over = bool(entry_deadlines(call)) and next_deadline(call, as_of) is None
    return may_be_open(call, as_of) and not over


def fits(match: Match, wishes: Wishes) -> bool:
    """Whether a match is told in full: close in meaning and above the reader's cut-off, or marked so."""
    above = match.percentile >= wishes.least_percentile and is_close(match)
    return above or match.feedback == "relevant"


def now_told(before: Told | None, profile_id: str, call: Call, week: Week, step: int | None) -> Told:
    """What a reader knows of a call who is told of it now; `step` is the reminder that this mail gives."""
    ahead = next_deadline(call, week.as_of)
    same = before is not None and ahead is not None and any(on(d) == on(ahead) for d in before.deadlines)
    return Told.model_construct(  # of parts that were checked before
        profile_id=profile_id,
        call_id=call.call_id,
        on=week.as_of,
        status=call.status,
        listed=call.call_id in week.listed,
        deadlines=tuple(entry_deadlines(call)),
        nearly_empty=nearly_empty(call),
        reminded=step or (before.reminded if before and same else None),
    )


def changes_of(told: Told, call: Call, as_of: date, *, listed: bool) -> tuple[Change, ...]:
    """What is otherwise with a call than a reader was told, the gravest first.

    A deadline that has passed, and a call that closed on it, are no change. Of a call that is not listed any
    more nothing else is known, so nothing else is told.
    """
    ahead = [d for d in told.deadlines if on(d) >= as_of]
    done = told.status == "closed" or (bool(told.deadlines) and not ahead)
    soonest = next(iter(ahead), None)
    if not listed:
        return (Change(call, "not_listed", before=soonest),) if told.listed and not done else ()
    if call.status == "closed":
        return () if done else (Change(call, "closed_early", before=soonest),)
    found = [*_moved(ahead, call, as_of)]
    if nearly_empty(call) and not told.nearly_empty:
        found.append(Change(call, "nearly_empty"))
    if call.status == "open" and told.status in ("forthcoming", "closed"):
        found.append(Change(call, "opened", after=next_deadline(call, as_of)))
    if not told.listed:
        found.append(Change(call, "listed_again", after=next_deadline(call, as_of)))
    return tuple(found)


def _moved(before: Sequence[Deadline], call: Call, as_of: date) -> list[Change]:
    """How the deadlines ahead differ from those told: at most one change, of the one that counts now."""
    after = [d for d in entry_deadlines(call) if on(d) >= as_of]
    # the last cut-off alone is printed as the only deadline, which changes nothing for a newcomer
    if {(d.at, d.kind == "stage 1") for d in before} == {(d.at, d.kind == "stage 1") for d in after}:
        return []
    old, new = next(iter(before), None), next(iter(after), None)
    if new is None:
        kind: Kind = "deadline_disputed" if disputed_deadlines(call) else "deadline_withdrawn"
    elif old is None:
        kind = "deadline_stated"
    elif on(new) != on(old):
        kind = "deadline_earlier" if on(new) < on(old) else "deadline_later"
    else:
        kind = "deadline_detail"
    return [Change(call, kind, old, new)]


def _reminder(call: Call, told: Told | None, as_of: date) -> list[Reminder]:
    """The next deadline, where it has come within a step that the reader was not told of yet."""
    ahead = next_deadline(call, as_of)
    if ahead is None:
        return []
    left = (on(ahead) - as_of).days
    step = min((days for days in REMINDERS if left <= days), default=None)
    same = told is not None and any(on(d) == on(ahead) for d in told.deadlines)
    done = told.reminded if told is not None and same else None
    return [] if step is None or (done is not None and done <= step) else [Reminder(call, ahead, step)]
