"""One printed date with its hour and zone (Dutch, Frisian, English, German) → day, moment, or unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml

Clock = time | Literal["unread", "start", "end", "midnight"] | None
Bound = Literal["in", "out", "unclear"]  # is the last day in the period?


@cache
def words() -> dict[str, Any]:
    """The word lists of `dates.yml`."""
    lists: dict[str, Any] = yaml.safe_load(files("pipeline").joinpath("dates.yml").read_text("utf-8"))
    return lists


def numbered(lines: list[str], first: int) -> dict[str, int]:
    return {name: number for number, names in enumerate(lines, first) for name in names.split()}


def either(names: Iterable[str]) -> str:
    """A pattern of one of the names, the longest that fits."""
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))


_MONTHS = numbered(words()["months"], 1)
_WEEKDAYS = numbered(words()["weekdays"], 0)
_ZONES: dict[str, tuple[str, int | None]] = {
    name: (clock, ahead) for clock, names in words()["zones"].items() for name, ahead in names.items()
}
MONTH = either(_MONTHS)


@dataclass(frozen=True)
class Printed:
    """A date as it stands in a text, in parts; a part that is not printed is None."""

    start: int
    end: int
    day: int
    month: int | None
    year: int | None
    weekday: int | None
    clock: Clock  # unread: some hour of that day; start, end: its two midnights; midnight: one of these
    zone: str | None  # as printed, in lower case
    sure: bool  # false: it contradicts itself, or its parts have no certain order

    def calendar_day(self) -> date | None:
        """The calendar day; None where a part is missing or the parts cannot be."""
        if not self.sure or self.month is None or self.year is None or self.year < 2000:
            return None
        try:
            found = date(self.year, self.month, self.day)
        except ValueError:
            return None
        return found if self.weekday in (None, found.weekday()) else None

    def opening(self, zone: str | None) -> date | datetime | None:
        """The first day or moment, where the date begins a period."""
        found = self.calendar_day()
        if found is None or self.clock in ("end", "midnight"):
            return None
        return _at(found, self.clock, self.zone, zone) if isinstance(self.clock, time) else found

    def closing(self, bound: Bound, zone: str | None) -> date | datetime | None:
        """The last day or moment: an hour settles what the word before the date leaves open."""
        found = self.calendar_day()
        if found is None or self.clock == "midnight":
            return None
        if isinstance(self.clock, time):
            return _at(found, self.clock, self.zone, zone)
        if self.clock in ("unread", "end"):
            return found
        if bound == "out":
            return found - timedelta(days=1)
        return found if bound == "in" and self.clock is None else None


def _at(day: date, clock: time, stated: str | None, zone: str | None) -> date | datetime:
    """The moment, with the offset of that day; only the day where the hour's zone is not certain."""
    local = datetime.combine(day, clock)
    if stated and (offset := _OFFSET.fullmatch(stated)):
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        if shift > timedelta(hours=14):
            return day
        return local.replace(tzinfo=timezone(-shift if offset[1] == "-" else shift))
    name, ahead = _ZONES.get(stated, (None, None)) if stated else (zone, None)
    if not name:
        return day
    found, other = (local.replace(tzinfo=ZoneInfo(name), fold=fold).utcoffset() for fold in (0, 1))
    if found is None or found != other or (ahead is not None and found != timedelta(hours=ahead)):
        return day  # the clock skips or repeats that hour, or the zone is not that season's
    return local.replace(tzinfo=timezone(found) if found else UTC)


_OFFSET = re.compile(r"(?:utc|gmt)? ?([+-])([0-9]{1,2}):?([0-9]{2})?")
_OTHER_ZONE = (
    "(?:local|uk|eastern|pacific) time|(?:lokale|plaatselijke) tijd|pleatslike tiid|ortszeit|"
    "wet|west|aoe|ist|jst|msk|[ecmp][sd]t|et|pt"
)
_ZONE = rf"(?:{either(_ZONES)}|{_OTHER_ZONE})(?![\w+-])|(?:(?:utc|gmt) ?)?[+-][0-9]{{1,2}}(?::?[0-9]{{2}})?\b"
_MIDNIGHT = ("midnight", "middernacht", "mitternacht")


def _clock(name: str) -> str:
    """A pattern of an hour and its zone, its groups named `name` and a letter."""
    unit = r"(?:uur|uhr|oere|hours|hrs?|h|u)\b"
    half = rf"[ap]\.?m\b\.?|noon|midday|{either(_MIDNIGHT)}"
    return (
        rf"(?:(?P<{name}h>[0-9]{{1,2}})"
        rf"(?:(?P<{name}x>[:.hu])(?P<{name}m>[0-9]{{2}})(?::(?P<{name}s>[0-9]{{2}})(?:\.[0-9]{{1,6}})?)?"
        rf"(?P<{name}u> ?{unit})?(?: ?\(?(?P<{name}p>{half})\)?)?"
        rf"| ?(?P<{name}v>{unit})| ?(?P<{name}q>{half}))"
        rf"(?P<{name}d> (?:'s [a-z]+|nachmittags|abends|in the (?:afternoon|evening|morning)))?"
        rf"|(?P<{name}w>noon|midday|{either(_MIDNIGHT)})\b)"
        rf"(?![\w:/-]?[0-9]|\.[0-9]| ?(?:euro?\b|€|%|mil|mln|mio))(?:,? ?\(?(?P<{name}z>{_ZONE})\)?)?"
    )


_YEAR = r"(?:19|20)[0-9]{2}(?![0-9])"
_TH = r"(?: ?(?:st|nd|rd|th)\b|\.|(?:e|ste|de)\b)?"
_JOIN = (
    r"(?: ?- ?| (?:tot(?: en met)?|t/m|oant(?: en mei)?|en|and|und|until|through|to|up to and including|"
    r"bis(?: einschließlich)?(?: zum)?) )"
)
_ENGLISH_MONTH = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec"
)
DATE = re.compile(
    rf"(?<!\w)(?<![0-9][.,:/])(?:{_clock('b')},? (?:(?:on|op|am) )?)?"
    rf"(?:(?P<weekday>{either(_WEEKDAYS)})\b\.?,? (?:(?:the|den) )?)?"
    rf"(?:(?P<iy>{_YEAR})-(?P<im>[0-9]{{2}})-(?P<id>[0-9]{{2}})(?![0-9])"
    r"|(?P<nd>[0-9]{1,2})(?P<sep>[./-]) ?(?P<nm>[0-9]{1,2})"
    rf"(?:(?P=sep) ?(?P<ny>{_YEAR}|[0-9]{{2}}(?![0-9]))|(?<=[0-9]\.[0-9]|\.[0-9]{{2}})\.(?! ?[0-9]))"
    rf"|(?P<td>[0-9]{{1,2}}){_TH}(?: of)? (?P<tm>{MONTH})\b\.?(?:,? ?(?P<ty>{_YEAR}))?"
    rf"|(?P<um>{_ENGLISH_MONTH})\b\.? (?P<ud>[0-9]{{1,2}})(?![0-9.:/]){_TH}(?:,? (?P<uy>{_YEAR}))?"
    rf"|(?P<lone>[0-9]{{1,2}}){_TH}(?={_JOIN}[0-9]{{1,2}}{_TH} (?:{MONTH})\b))"  # "4" of "4 - 20 mei 2026"
    rf"(?:,? \(?(?P<after>{either(_WEEKDAYS)})\b\)?)?"
    r"(?:(?:t|,? ?\(?(?:- )?(?:(?:uiterlijk|at the latest|no later than|spätestens) )?"
    r"(?:(?:om|at|um|by|before|voor|vóór|foar|vor|from|vanaf|fan|ab|tot|oant|until|till|bis|te) )?)"
    rf"(?>{_clock('a')}\)?)(?! (?:op|on|am) (?:[a-z]+ )?[0-9])"  # else it is the next date's
    r"(?P<range> ?(?:-|tot|to|until|bis|oant) ?[0-9]{1,2}(?:[:.][0-9]{2}|(?= ?u))(?![.0-9]))?)?"
)
_EACH = re.compile(
    r",? \(?(?:telkens|steeds|elke keer|(?:alle|beide) keren|each(?: time)?|both|jeweils|elke kear)"
    rf" (?:(?:om|at|um|by|before|voor|vóór|foar|vor|tot|oant|until|bis) )?{_clock('e')}\)?"
)
_AND = re.compile(r"(?:,|,? (?:en|and|und)) (?:(?:der|den|de|the) )?")
_CONTINENTAL = re.compile(
    r"\b(?:tot|t/m|van|vanaf|uur|uiterlijk|voor|aanvra\w+|oant|fan|foar|bis|vom|uhr|\w*antr[aä]g\w*|\w*frist)\b"
)


def tidy(text: str) -> str:
    """One kind of space, dash and apostrophe, so that patterns need only one."""
    text = re.sub(r"[\u00ad\u200b-\u200d\ufeff]", "", text)
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text).replace("\u2019", "'")
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text))


def lower(text: str) -> str:
    """Lower case of the same length."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def dates(text: str, zone: str | None = None) -> list[Printed]:
    """The dates in a text that is tidy and in lower case; an hour that is told once for a list is of each."""
    continental = (zone or "").startswith("Europe/") or bool(_CONTINENTAL.search(text))
    found = [_read(date, continental) for date in DATE.finditer(text)]
    for last in range(len(found) - 1, 0, -1):
        if each := _EACH.match(text, found[last].end):
            first = last
            while first and _AND.fullmatch(text[found[first - 1].end : found[first].start]):
                first -= 1
            _share(found, first, last, each)
    return found


def _share(found: list[Printed], first: int, last: int, each: re.Match[str]) -> None:
    """Give the dates of a list the hour that is told for each; one with an hour of its own is not sure."""
    clock, valid = _hour(each, "e")
    for place in range(first, last + 1):
        one = found[place]
        sure = one.sure and valid and one.clock is None
        found[place] = replace(one, clock=clock, zone=each["ez"], sure=sure)
    found[last] = replace(found[last], end=each.end())


def is_bare(printed: str) -> bool:
    """Whether words are a date and nothing else."""
    return DATE.fullmatch(lower(tidy(printed)).strip().rstrip(".")) is not None


def moment(printed: str, zone: str | None = None) -> date | datetime | None:
    """The one date in a structured field: a moment where hour and zone are known, else the day.

    `zone` is the publisher's clock (IANA name). A midnight is unknown: as an end it could be either side.
    """
    text = lower(tidy(printed)).strip().rstrip(".")
    found = DATE.fullmatch(text)
    return _read(found, (zone or "").startswith("Europe/")).closing("in", zone) if found else None


def opening(printed: str, zone: str | None = None) -> date | None:
    """The day of the one date in a structured field that says when a period begins, whatever the hour."""
    found = DATE.fullmatch(lower(tidy(printed)).strip().rstrip("."))
    begins = _read(found, (zone or "").startswith("Europe/")).opening(zone) if found else None
    return begins.date() if isinstance(begins, datetime) else begins


def _read(found: re.Match[str], continental: bool) -> Printed:
    """A match of `DATE`. `continental`: figures with dashes have the day first, as those with dots have."""
    number = {name: int(digits) for name, digits in found.groupdict().items() if digits and digits.isdigit()}
    word, year = found["tm"] or found["um"], found["iy"] or found["ny"] or found["ty"] or found["uy"]
    month = _MONTHS[word] if word else number.get("im") or number.get("nm")
    day = next(number[part] for part in ("id", "nd", "td", "ud", "lone") if part in number)
    weekdays = {_WEEKDAYS[name] for name in (found["weekday"], found["after"]) if name}
    before, after = bool(found["bh"] or found["bw"]), bool(found["ah"] or found["aw"])
    clock, valid = _hour(found, "b" if before else "a")
    ordered = not (found["sep"] == "/" or (found["sep"] == "-" and not continental)) or day in (
        month,
        *range(13, 32),
    )
    whole = not (found["ny"] and len(found["ny"]) == 2) and not found["range"] and not (before and after)
    return Printed(
        start=found.start(),
        end=found.end(),
        day=day,
        month=month,
        year=int(year) if year else None,
        weekday=next(iter(weekdays), None),
        clock=clock,
        zone=found["bz" if before else "az"],
        sure=ordered and whole and valid and len(weekdays) < 2,
    )


def _hour(found: re.Match[str], name: str) -> tuple[Clock, bool]:
    """The hour of a match, and whether it can be. One figure tells the half of the day with a unit only."""
    if word := found[name + "w"]:
        return ("midnight" if word in _MIDNIGHT else time(12)), True
    if not found[name + "h"]:
        return None, True
    hour, minute, second = (int(found[name + part] or 0) for part in "hms")
    half = (found[name + "p"] or found[name + "q"] or "").replace(".", "")
    if half in _MIDNIGHT:
        return "midnight", hour in (0, 12, 24)
    if half == "am" and hour == 12:
        return ("unread" if minute or second else "start"), True
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and (minute or second or half)):
        return None, False
    if half and (hour == 0 or (half == "am" and hour > 12) or (half in ("noon", "midday") and hour != 12)):
        return None, False
    if hour == 24:
        return "end", True
    if half == "pm" and hour < 12:
        return time(hour + 12, minute, second), True
    unit = found[name + "u"] or found[name + "v"] or found[name + "x"] in ("h", "u")
    clear = half or unit or len(found[name + "h"]) == 2
    if not clear or (found[name + "d"] and hour <= 12):
        return "unread", True
    return (time(hour, minute, second) if hour or minute or second else "start"), True


_ISO_DAY = re.compile(r"^(\d{4})-(\d{2})-(\d{2})(?=$|[T+\-Z ])")
_EPOCH_MS = re.compile(r"^\d{12,13}$")


def day(printed: str) -> date | None:
    """The calendar day a source prints, from ISO text or epoch milliseconds.

    The EU portal prints midnight UTC for days, and for some calls an hour whose zone is not to be
    trusted (local hours labelled as UTC, seconds that jitter), so only the printed day is a fact.
    """
    text = printed.strip()
    try:
        if match := _ISO_DAY.match(text):
            return date(int(match[1]), int(match[2]), int(match[3]))
        if _EPOCH_MS.match(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC).date()
    except (ValueError, OverflowError):
        return None
    return None
