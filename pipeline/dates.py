"""Application periods in running text (Dutch, Frisian, English, German) → rounds, or nothing.

A clause is read only where all its words are about applying and its dates say which days are in. Any
other word (a project, a report, a no, an if) makes it tell of something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Literal

from pipeline.applying import (
    SUBJECT,
    Part,
    for_some_each,
    only_of_applying,
    parts,
    sentences,
    speaks_of_applying,
)
from pipeline.lasting import open_ended, until_spent
from pipeline.moments import DATE, Bound, Printed, dates, day, lower, moment
from pipeline.stages import Round, Staged, hides_a_stage, of_one_procedure, stage_of

__all__ = ["Round", "day", "moment", "open_ended", "rounds", "until_spent"]

Role = Literal["opens", "between", "of", "next", "bare"] | Bound
Period = tuple[date | datetime | None, date | datetime | None]  # opens, closes


def rounds(text: str, zone: str | None = None, labelled: bool = False) -> list[Round]:
    """All application periods a text states, in its order.

    `zone` is the publisher's clock (IANA name), for hours without one. `labelled`: the text stands under
    the words "application period" or "deadline", so that a bare period counts.
    """
    found: dict[tuple[Period, int | None], Round] = {}
    staged: list[Staged] = []
    settling = after_award(text)
    for place, sentence in enumerate(sentences(text) if re.search("[0-9]", text) else ()):
        small = lower(sentence)
        stray_hour = bool(_SOME_HOUR.search(DATE.sub(" ", small)))
        printed = dates(small, zone)
        if not printed or _unsettled(small, printed) or (settling and _PAPERS.search(small)):
            continue
        for part in parts(small, printed):
            if not only_of_applying(sentence, part):
                break
            clause = small[part.start : part.end]
            if not part.dates or not (labelled or speaks_of_applying(clause)):
                continue
            stage, told = stage_of(clause) or (None, True)
            for period in _periods(_marks(small, part, labelled, stray_hour), zone, labelled):
                one = Round(*period, sentence[:300], stage)
                if stage is not None and (period, stage) not in found:
                    staged.append(Staged(place, told, one))
                found.setdefault((period, stage), one)
    kept = of_one_procedure(staged, text)
    lost = hides_a_stage(staged, kept, text)
    return [r for r in found.values() if r in kept or (r.stage is None and not (lost and r.closes))]


def after_award(text: str) -> bool:
    """Whether a text, or a heading, is of what follows the award: reports, the final claim, payments."""
    return bool(_AFTER_AWARD.search(text))


def _unsettled(sentence: str, printed: list[Printed]) -> bool:
    """Whether a sentence asks, tells what may come, is of some applications, or moves an end."""
    moved = _MOVED.search(sentence) and (len(printed) > 1 or _MAY.search(sentence))
    some = _WHICH.search(sentence) or for_some_each(sentence, printed)
    return bool(moved or some or _MAY_TURN.search(sentence) or sentence.endswith("?"))


_SOME_HOUR = re.compile(r"(?<![0-9.,€])[0-9]{1,2}(?:[:.u][0-9]{2}(?![0-9.])| ?(?:uur|uhr|oere)\b)")
_MOVED = re.compile(r"\b(?:extended|verlengd|verschoven|ferlinge|verlängert)\b")
_MAY = re.compile(r"\b(?:may|might|can|could|kan|kunnen|mag|kann|können|könnte|kin|kinne)\b")
_MAY_TURN = re.compile(
    r"\b(?:may|might|could) (?:open|close|start|be (?:opened|closed))\b|"
    r"\b(?:kan|kunnen|kin|kinne)\b(?: [^ ;]+){0,8}? (?:sluiten|openen|slute|worden (?:geopend|opengesteld))\b"
)
_WHICH = re.compile(r"\b(?:aanvra(?:ag|gen)|antr(?:ag|äge)|oanfra(?:ach|gen)),? (?:die|der|dy't)\b")
_PAPERS = re.compile(r"\b(?:unterlagen|aanvraagformulier|oanfraachformulier)\b")
_AFTER_AWARD = re.compile(
    r"vaststelling|verantwoord|verslag|voortgang|declaratie|fêststelling|ferantwurd|final report|reporting|"
    r"payment|grant agreement|nachweis|bericht|abrechnung|abruf|auszahlung|zuwendungsvertrag|bewilligung",
    re.IGNORECASE,
)
_CONJUNCTIONS = ("", "en", "and", "und", "of", "or", "oder", "maar", "but", "aber", "mar")

_THE = r"(?: (?:the|den|de))?$"
_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    (
        "in",
        re.compile(
            r"(?<![\w/])(?:tot en met|t/m|(?:tot )?uiterli(?:jk|k)(?: op| t/m| tot en met)?|"
            r"oant en mei|op syn lêst(?: op)?|op of v[oó]{2}r|v[oó]{2}r of op|niet later dan|verlengd naar|"
            r"(?:up to|until|till|to) and including|through|not? later than|at the latest(?: on| by)?|"
            r"on or before|extended to|by|"
            r"bis(?: einschließlich| inklusive| spätestens)?(?: zum)?|spätestens(?: bis)?(?: zum| am)?)"
            + _THE
        ),
    ),
    ("between", re.compile(r"(?<!\w)(?:between|tussen|tusken|zwischen)" + _THE)),
    (
        "unclear",
        re.compile(r"(?<!\w)(?:uiterli\w+ (?:v[oó]{2}r|tot|foar|oant)|tot aan|until|till|up to|to)" + _THE),
    ),
    ("out", re.compile(r"(?<!\w)(?:tot|oant|v[oó]{2}r|foar|before|prior to|vor(?: dem)?)" + _THE)),
    (
        "opens",
        re.compile(
            r"(?<!\w)(?:vanaf|fanôf|met ingang van|mei yngong fan|from|starting(?: from| on)?|as (?:of|from)|"
            r"ab(?: dem)?|sinds|sûnt|since|"
            r"(?:kan|mogelijk|open|opengesteld|geopend|aanvragen|indienen|kunt u) (?:weer |opnieuw )?per)"
            + _THE
        ),
    ),
    ("of", re.compile(r"(?<!\w)(?:van|fan|vom|von|of)$")),
    ("next", re.compile(r"^,?(?: ?(?:en|and|und|of|or|oder|/))?(?: (?:der|den|the|de))?$")),
)
_MORE = r"(?: (?!(?:en|and|und|mar|aan|an)\b)[\w'()/-]+){0,6}"
_ON = r"(?::| (?:op|on|am)(?: the)?)$"
_CLOSES_ON = re.compile(
    r"\b(?:deadlines?|sluitings(?:dat(?:um|a)|moment(?:en)?)|closing dates?|cut-?offs?(?: dates?)?|\w*frist|"
    r"uiter(?:ste|lijke) (?:(?:aanvraag|indien(?:ings)?|inlever|inzend)?datum|(?:indienings|inlever)moment)|"
    rf"einsendeschluss|einddatum|stichtage?)"
    rf"(?:{_MORE}(?::| (?:op|on|am|is|zijn|are|was|were|ist|sind)(?: the| der)?)"
    r"| (?:van|of|fan|vom|on))?$"
    rf"|\b(?:sluit|sluiten|sloot|slút|close[sd]?|schließt){_MORE}{_ON}"
    rf"|(?:\b{SUBJECT}{_MORE}|^ (?:en|and|und)) (?:eindigt|ends?|endet){_MORE}{_ON}"
)
_OPENS_ON = re.compile(
    rf"\b(?:openingsdatum|opening dates?|opening|startdatum){_MORE}(?::| (?:op|on|am|is|was)(?: the)?)$"
    rf"|\b(?:opent|opens|opened|geopend|opengesteld|iepenet|öffnet|open){_MORE}{_ON}"
    rf"|\b{SUBJECT}{_MORE} (?:start(?:s|et)?|begint|begins){_MORE}{_ON}"
)
_ON_THE_DAY = re.compile(
    r"(?:^|\b(?:en|and|und)|,|\b(?:gaat|ging|giet|gie)(?: [\w']+){0,2}) ?(?:op|on|am)(?: the)?$"
)
_THEN_OPENS = re.compile(r"^(?: [\w']+){0,4}? (?:open|opent|opens|iepen|iepenet|öffnet)\b")
_THEN_CLOSES = re.compile(r"^(?: [\w']+){0,4}? (?:sluit|sluiten|slút|closes?|schließt)\b")
_FROM_ON = re.compile(r"^,? (?:ôf|af|an)\b(?! (?:d[aeiu]\w+|ein\w*|uns\w*)\b)")
_INCLUSIVE = re.compile(r"^,? ?\(?(?:inclusive|inclusief|included|einschließlich|ynklusyf)\b")


@dataclass(frozen=True)
class _Mark:
    """A date and its role. `tight`: nothing but the words of the role parts it from the date before."""

    printed: Printed
    role: Role | None
    tight: bool
    by_verb: bool  # its role is said by a verb or noun ("closes on", "deadline"), not by a preposition


def _marks(sentence: str, part: Part, labelled: bool, stray_hour: bool) -> list[_Mark]:
    """The dates of a part with their roles; an hour that stands apart may belong to any of them."""
    marks: list[_Mark] = []
    starts = [printed.start for printed in part.dates[1:]] + [part.end]
    before = part.start
    for printed, after in zip(part.dates, starts, strict=True):
        lead = sentence[before : printed.start].rstrip(" (")[-120:]
        trail = sentence[printed.end : min(after, printed.end + 60)]
        role, tight, by_verb = _role(lead, trail, labelled)
        if role in ("out", "unclear") and printed.clock is None:
            role = "in" if _INCLUSIVE.match(trail) else "unclear" if stray_hour else role
        marks.append(_Mark(printed, role, tight and bool(marks), by_verb))
        before = printed.end
    return marks


def _role(lead: str, trail: str, labelled: bool) -> tuple[Role | None, bool, bool]:
    """What the words before a date, or a verb after it, make of it; and the flags of a mark."""
    if lead.strip() == "-":
        return "in", True, False
    if _CLOSES_ON.search(lead):
        return "in", False, True
    if _OPENS_ON.search(lead):
        return "opens", False, True
    for role, pattern in _ROLES:
        if lead.strip() and (found := pattern.search(lead.lstrip())):
            tight = found.string[: found.start()].strip(" ,()") in _CONJUNCTIONS
            return ("opens" if role == "of" and _FROM_ON.search(trail) else role), tight, False
    if not lead.strip() or _ON_THE_DAY.search(lead):
        opens, closes = bool(_THEN_OPENS.search(trail)), bool(_THEN_CLOSES.search(trail))
        if opens != closes:
            return ("opens" if opens else "in"), False, True
    return ("bare" if not lead.strip(" ,") or (labelled and lead.endswith(":")) else None), False, False


def _periods(marks: list[_Mark], zone: str | None, labelled: bool) -> list[Period]:
    """The periods of a clause: pairs that one phrase joins, lists, and single ends and openings."""
    found: list[Period] = []
    loose: list[Period] = []
    rest = marks
    while rest:
        first, rest = rest[0], rest[1:]
        if rest and _is_pair(first, rest[0]):
            found.append(_pair(first, rest[0], zone))
            rest = rest[1:]
            continue
        listed = [first]
        while rest and rest[0].role == "next" and not (rest[1:] and _is_pair(rest[0], rest[1])):
            listed.append(rest[0])
            rest = rest[1:]
        days = _single(listed, "in" if first.role == "bare" and labelled else first.role, zone)
        (found if first.by_verb or len(days) > 1 or labelled else loose).extend(days)
    for side in (0, 1):  # of two ends that only prepositions tell, one may be of something else
        one_side = [period for period in loose if period[side]]
        found += one_side if len(one_side) == 1 else []
    return _joined(found)


def _single(listed: list[_Mark], role: Role | None, zone: str | None) -> list[Period]:
    """Openings or ends that share a role; a list with an unknown day in it is unknown."""
    days: list[Period] = []
    for printed in (mark.printed for mark in listed):
        if role == "opens":
            days.append((printed.opening(zone), None))
        elif role in ("in", "out", "unclear"):
            days.append((None, printed.closing(role, zone)))
    return days if all(period != (None, None) for period in days) else []


def _is_pair(first: _Mark, second: _Mark) -> bool:
    if not second.tight or (first.role in ("in", "out", "unclear") and not first.by_verb):
        return False
    return second.role == "next" if first.role == "between" else second.role in ("in", "out", "unclear")


def _pair(first: _Mark, second: _Mark, zone: str | None) -> Period:
    """A period in one phrase, where the first date takes the month and the year of the second."""
    start, end = first.printed, second.printed
    if start.year is None and end.month is not None:
        full = replace(start, month=start.month or end.month, year=end.year)
        if (full.month or 0, full.day) <= (end.month, end.day):
            start = full
    if first.role == "between":  # an hour makes moments of its ends; else it is unclear whether days are in
        closes = end.closing("unclear", zone)
        exact = isinstance(start.clock, time) or isinstance(closes, datetime)
        return _ordered(start.opening(zone) if exact else None, closes)
    bound = second.role if second.role in ("in", "out") else "unclear"
    return _ordered(start.opening(zone), end.closing(bound, zone))


def _ordered(opens: date | datetime | None, closes: date | datetime | None) -> Period:
    """A period as it is, or nothing of one that ends before it starts."""
    if isinstance(opens, datetime) and isinstance(closes, datetime):
        return (opens, closes) if opens < closes else (None, None)
    first, last = (at.date() if isinstance(at, datetime) else at for at in (opens, closes))
    return (opens, closes) if first is None or last is None or first <= last else (None, None)


def _joined(found: list[Period]) -> list[Period]:
    """One opening and one end in one clause are one period."""
    opens = [period[0] for period in found if period[0] and not period[1]]
    closes = [period[1] for period in found if period[1] and not period[0]]
    if len(found) == 2 and len(opens) == len(closes) == 1:
        found = [_ordered(opens[0], closes[0])]
    return [period for period in found if period != (None, None)]
