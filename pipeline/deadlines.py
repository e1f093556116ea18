"""Deadlines and status: rounds of application put together, and what they make of a call on a given day.

A claim yields to stated dates. Statements of one document that exclude each other leave the deadline
unknown; what they say is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise

from pipeline.dates import Round, day
from pipeline.moments import either, is_bare, numbered, words
from pipeline.schema import Call, Contradiction, Deadline, DeadlineKind, Status

ENTRY_KINDS = ("single", "stage 1", "cut-off")


def deadlines(printed: Sequence[str], model: str | None) -> tuple[Deadline, ...]:
    """Deadlines of a structured list in order of time, each with its role in the procedure; days only."""
    days = sorted({(found, text) for text in printed if (found := day(text))})
    first_of_day = dict(reversed(days))

    def kind(position: int) -> DeadlineKind:
        if model == "two-stage":
            return "stage 1" if position == 0 else "stage 2"
        return "cut-off" if model == "several cut-offs" or len(first_of_day) > 1 else "single"

    ordered = sorted(first_of_day.items())
    return tuple(Deadline(at=at, printed=text, kind=kind(i)) for i, (at, text) in enumerate(ordered))


def entry_deadlines(call: Call) -> list[Deadline]:
    """Deadlines by which a newcomer can still enter: a second stage is only for those in the first."""
    return [d for d in call.deadlines if d.kind in ENTRY_KINDS]


def next_deadline(call: Call, as_of: date) -> Deadline | None:
    """The first deadline on or after `as_of` that a newcomer can meet."""
    return next((d for d in entry_deadlines(call) if on(d) >= as_of), None)


def may_be_open(call: Call, as_of: date) -> bool:
    """Whether one can apply as far as is stated: open; or no opening is stated and the end lies ahead; or the
    opening is past and it ends when the money is spent."""
    if call.status != "unknown":
        return call.status == "open"
    begun = call.opens_on is not None and call.opens_on <= as_of
    return bool(next_deadline(call, as_of)) or (begun and bool(call.until_spent) and not call.deadlines)


def disputed_deadlines(call: Call) -> Contradiction | None:
    """What the call's documents state differently of its deadlines, where they do."""
    return next((c for c in call.contradictions if c.field == "deadlines"), None)


def on(deadline: Deadline) -> date:
    """The day of a deadline, in the zone it was stated in."""
    return day_of(deadline.at)


def day_of(at: date | datetime) -> date:
    """The day of a day or a moment."""
    return at.date() if isinstance(at, datetime) else at


@dataclass(frozen=True)
class Window:
    """What a document states of when one can apply. `disputed`: closings that exclude each other."""

    opens_on: date | None
    deadlines: tuple[Deadline, ...]
    disputed: tuple[Round, ...] = ()
    printed_opening: str = ""


def window(groups: Sequence[Sequence[Round]]) -> Window:
    """The rounds of all statements of one document, put together. A group is what one statement says.

    Rounds that end on the same day are one, in its most precise form. Several closings stand side by side
    where one statement lists them, where each round opens after the one before has closed, or where they are
    the two stages of one procedure; else they exclude each other.
    """
    closing: dict[date, Round] = {}
    for found in (r for group in groups for r in group if r.closes is not None):
        closes = day_of(found.closes)  # type: ignore[arg-type]
        closing[closes] = _more_precise(closing.get(closes), found)
    ordered = [closing[key] for key in sorted(closing)]
    openings = {
        day_of(r.opens): r.printed for g in groups for r in g if r.opens and not r.closes and r.stage != 2
    }
    stages = [r.stage for r in ordered]
    if any(stages):
        agree = stages in ([1], [2], [1, 2])
    else:
        agree = len(ordered) < 2 or _listed(groups, set(closing)) or _one_after_another(ordered)
    if not agree:
        return Window(None, (), disputed=tuple(ordered))
    entries = [r for r in ordered if r.stage != 2]
    if len(entries) == 1 and len(openings) == 1 and entries[0].opens is None:
        (opens, told), only = next(iter(openings.items())), entries[0]
        if only.closes and opens <= day_of(only.closes):
            ordered[0] = entries[0] = replace(only, opens=opens)
            openings = {opens: told}
    found_deadlines = tuple(
        Deadline(at=r.closes, printed=r.printed, kind=kind, opens_on=day_of(r.opens) if r.opens else None)
        for r, kind in zip(ordered, _kinds(ordered), strict=True)
        if r.closes is not None
    )
    stated = {day_of(r.opens): r.printed for r in entries if r.opens} or openings
    one = next(iter(stated)) if len(stated) == 1 else None  # rounds keep each their own opening
    printed = " … ".join(dict.fromkeys(stated.values()))
    return Window(one, found_deadlines, printed_opening=printed)


def _kinds(ordered: Sequence[Round]) -> list[DeadlineKind]:
    """What each closing is; a second stage alone is no way in."""
    several: DeadlineKind = "single" if len(ordered) == 1 else "cut-off"
    of_stage: dict[int | None, DeadlineKind] = {1: "stage 1", 2: "stage 2"}
    return [of_stage.get(r.stage, several) for r in ordered]


def _more_precise(one: Round | None, other: Round) -> Round:
    """One round out of two that end on the same day; hours or openings that differ are not stated."""
    if one is None:
        return other
    closes = one.closes if isinstance(one.closes, datetime) else other.closes
    hours = {r.closes for r in (one, other) if isinstance(r.closes, datetime)}
    opens = {day_of(r.opens) for r in (one, other) if r.opens}
    return Round(
        opens=next(iter(opens)) if len(opens) == 1 else None,
        closes=day_of(closes) if closes and len(hours) > 1 else closes,
        printed=one.printed if isinstance(one.closes, datetime) or one.opens else other.printed,
        stage=one.stage or other.stage,
    )


def _listed(groups: Sequence[Sequence[Round]], days: set[date]) -> bool:
    """Whether one statement lists all closings: in one sentence, as dates only, or as numbered rounds."""
    for group in groups:
        ends = {day_of(r.closes): r.printed for r in group if r.closes}
        if ends.keys() == days:
            said = list(ends.values())
            numbers = [_number(text) for text in said]
            if len(set(said)) == 1 or all(map(is_bare, said)):
                return True
            if None not in numbers and len(set(numbers)) == len(numbers):
                return True
    return False


def _number(printed: str) -> int | None:
    """The number of the round that a sentence is of."""
    found = _NUMBER.search(printed.lower())
    return (int(found["figure"]) if found["figure"] else _ORDINALS[found["word"]]) if found else None


_ORDINALS = numbered(words()["ordinals"], 1)
_ROUND = (
    r"\w*(?:rond[en]|runde|round|rûnte|call|oproep|oprop|tranche|tender|periode|cut-?off|deadline|aufruf)"
)
_NUMBER = re.compile(
    rf"\b(?:(?P<word>{either(_ORDINALS)}) {_ROUND}|{_ROUND} (?P<figure>[0-9]{{1,2}})(?![\w-]))"
)


def _one_after_another(ordered: Sequence[Round]) -> bool:
    return all(
        later.opens is not None
        and earlier.closes is not None
        and day_of(later.opens) > day_of(earlier.closes)
        for earlier, later in pairwise(ordered)
    )


def status(
    claim: str | None,
    opens_on: date | None,
    found: Sequence[Deadline],
    as_of: date,
    *,
    rolling: bool | None = None,
    disputed: Sequence[date] = (),
) -> tuple[Status, str | None]:
    """Status on a day, and why it differs from the source's claim. A claim yields to stated dates.

    `disputed` are closing days that exclude each other: only what all of them say counts.
    """
    entry = [d for d in found if d.kind in ENTRY_KINDS]
    days = [on(d) for d in entry] or list(disputed)
    known: Status = claim if claim in ("forthcoming", "open", "closed") else "unknown"  # type: ignore[assignment]
    if days and max(days) < as_of:
        later = any(on(d) >= as_of for d in found)
        which = "first stage, the only way in," if later else "last deadline"
        note = f"the source says {known}, but its {which} ended on {max(days).isoformat()}"
        return "closed", note if known != "closed" else None
    if disputed and not entry and min(disputed) < as_of and known != "closed":
        return "unknown", "the deadlines it states exclude each other, and one of them is past"
    starts = [d.opens_on or opens_on for d in entry if on(d) >= as_of] or [opens_on]
    begins = min((s for s in starts if s), default=None) if all(starts) else None
    if begins and begins > as_of:
        note = f"the source says {known}, but it opens on {begins.isoformat()}"
        return "forthcoming", note if known != "forthcoming" else None
    if known == "closed":
        return "closed", None
    if (begins or any(starts)) and (days or rolling):
        began = begins or min(s for s in starts if s)
        if began <= as_of:
            note = f"the source says {known}, but it opened on {began.isoformat()}"
            return "open", note if known != "open" else None
    if rolling and known == "unknown" and not days:
        return "open", None
    return known, None if days or rolling else "the source states no deadline"
