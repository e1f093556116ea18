"""Rounds of applying, and which of them are the two stages of one procedure.

Words for what is handed in (an outline, a full proposal) tell a stage only beside those of the other stage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from pipeline.moments import lower


@dataclass(frozen=True)
class Round:
    """One period in which applications are taken."""

    opens: date | datetime | None  # first day or moment
    closes: date | datetime | None  # last day (inclusive) or last moment
    printed: str  # the sentence or labelled value it was read from, at most 300 characters
    stage: int | None = None  # 1 or 2, in a procedure of two stages


@dataclass(frozen=True)
class Staged:
    """A round of a stage. `place`: of its sentence; `told`: it is said to be a stage."""

    place: int
    told: bool
    round: Round


_PAPER = r"(?:proposals?|applications?|voorstel(?:len)?|aanvra(?:ag|gen)|oanfra(?:ach|gen)|antr(?:ag|äge))"


def _words(number: int, ordinals: str, papers: str) -> re.Pattern[str]:
    """The words for what is handed in at a stage; `told` where they say that it is one.

    Phases alone are no stages: they can be rounds, or a project's.
    """
    said = rf"(?:{ordinals})[ -]stage|stage {number}"
    phase = rf"(?:{ordinals})[ -](?:stage|fase|faze|stufe|phase)|(?:stage|fase|faze|stufe|phase) {number}"
    due = rf"(?:{said})(?= (?:deadline|closing date|cut-off|{_PAPER}))"
    told = rf"{due}|deadlines? (?:for )?(?:the )?\(?(?:{said})\)?"
    sent = rf"(?:{papers})(?: \((?:{phase})\))?|{_PAPER} \((?:{phase})\)"
    return re.compile(rf"\b(?:(?P<told>{told})|{sent})(?!\w)")


STAGES = {
    1: _words(
        1,
        "first|1st|eerste|1e|earste|erste[nr]?",
        r"(?:short|outline|pre)[ -]?proposals?|project outlines?|vooraanmelding(?:en)?|vooraanvra(?:ag|gen)|"
        r"foaroanmelding|(?:projekt)?skizzen?",
    ),
    2: _words(
        2,
        "second|2nd|tweede|2e|twadde|zweite[nr]?",
        rf"full (?:proposals?|applications?)|uitgewerkte? {_PAPER}|útwurke (?:foarstel|oanfraach)|"
        r"vollantr(?:ag|äge)",
    ),
}
EITHER_STAGE = "|".join(words.pattern.replace("?P<told>", "?:") for words in STAGES.values())
_NUMBERED_CALL = re.compile(r"\b(?:call|round|ronde|tender|tranche|aufruf) [0-9]+")
_MAY_SKIP = re.compile(
    r"\b(?:niet (?:verplicht|nodig)|vrijwillig|optioneel|not (?:mandatory|compulsory|required|obligatory)|"
    r"optional|voluntary|freiwillig|nicht (?:verpflichtend|erforderlich)|net ferplichte|frijwillich)"
)


def stage_of(clause: str) -> tuple[int, bool] | None:
    """The stage of a clause in lower case (0 where it names both), and whether it is said to be one."""
    found = {number: match for number, words in STAGES.items() if (match := words.search(clause))}
    if not found:
        return None
    number, match = next(iter(found.items()))
    return (number, bool(match["told"])) if len(found) == 1 else (0, False)


def of_one_procedure(staged: list[Staged], text: str) -> list[Round]:
    """The rounds out of a text that are certain to be stages of one procedure."""
    first, second = ([s for s in staged if s.round.stage == n and s.round.closes] for n in (1, 2))
    calls = {found[0] for s in staged for found in _NUMBERED_CALL.finditer(lower(s.round.printed))}
    if len(first) > 1 or len(second) > 1 or len(calls) > 1 or _MAY_SKIP.search(lower(text)):
        return []
    pair = bool(first and second)
    if pair and _last_day(first[0]) >= _last_day(second[0]):
        return []
    beside = pair and 0 <= second[0].place - first[0].place <= 1
    return [s.round for s in staged if s.round.stage and (s.told or beside)]


def hides_a_stage(staged: list[Staged], kept: list[Round], text: str) -> bool:
    """Whether there may be a first stage that was not understood: another end may not be the way in."""
    lost = any(s.round.closes and s.round.stage != 2 and s.round not in kept for s in staged)
    return lost and not _MAY_SKIP.search(lower(text))


def _last_day(found: Staged) -> date:
    closes = found.round.closes
    return closes.date() if isinstance(closes, datetime) else closes or date.max
