"""The words around an amount: its sentence, its place in that sentence, and the lists of words that decide.

The lists are in `money.yml`; their languages are nl, fy, en and de.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from pipeline.amounts import SPACES, Amount

_KINDS = ("remaining", "own", "costs", "other", "whole", "grant")
_REACH = 400  # characters on either side of an amount that may say what it is
_SHORTENED = frozenset(
    "max min mln mio mld mrd ca circa art nr no incl excl inkl bijv resp approx bzw ggf vgl tsd "
    "z.b o.a d.w.z i.e e.g m.n t.b.v i.v.m d.d".split()
)
_END = re.compile(r"[.!?]\)? (?=[A-Z0-9€(\[])")
# "35% van de subsidiabele kosten", "de helft van de kosten": a rate, with the costs that it is a rate of
_OF_COSTS = (
    r" (?:van|of|der|fan|von) (?:[\w-]{1,30} ){0,4}?(?:\w{0,30}kosten|costs|ausgaben|investering\w*)\b"
)
_RATE = re.compile(
    r"(?<![0-9])[0-9]{1,3}(?:[.,][0-9]{1,2})? ?(?:%|procent|percent|per cent|prozent)"
    rf"(?:{_OF_COSTS})?"
    r"|\b(?:(?:de |die )?(?:helft|helte|hälfte)|half|driekwart|trijekwart|three[ -]quarters|drei ?viertel"
    r"|(?:een|twee|one|two|a|in|twa|ein|zwei)[ -](?:derde|kwart|thirds?|quarter|tredde|drittel|viertel))"
    rf"{_OF_COSTS}",
    re.IGNORECASE,
)
_POT = re.compile(r"budget|budzjet|plafond", re.IGNORECASE)
_DIGIT = re.compile("[0-9]")
CLAUSE = re.compile(
    r"[;:]| (?:en|and|und|maar|but|zolang) "
    r"| (?:of|or|oder) (?!meer|hoger|minder|more|higher|less|mehr|mear|the\b|this\b)"
)
PHRASE = re.compile("[,(]")


@dataclass(frozen=True)
class Place:
    """An amount's surroundings within its sentence; the costs that a rate is taken of are blanked."""

    lead: str  # all that stands before it
    before: str  # what stands between the amount before it and itself
    after: str  # the rest of its own clause
    tail: str  # all that stands behind it
    label: str

    @property
    def near(self) -> str:
        return f"{self.before} {self.after}"

    @property
    def is_first(self) -> bool:
        return self.before == self.lead

    @property
    def around(self) -> str:
        return f"{self.lead} {self.after}"

    @property
    def clause(self) -> str:
        """What stands before it since the last comma."""
        return re.split("[,;:]", self.lead)[-1]

    @property
    def is_left(self) -> bool:
        """Whether it is said to be still there."""
        here = self.before if _DIGIT.search(self.tail) else f"{self.before} {PHRASE.split(self.after)[0]}"
        return (has("available", here) and has("still", here)) or (
            has("left", here) and _POT.search(self.around) is not None
        )


@cache
def words(name: str) -> re.Pattern[str]:
    """A list of `money.yml` as one pattern; `kinds` has a group a kind."""
    lists: dict[str, Any] = yaml.safe_load(files("pipeline").joinpath("money.yml").read_text("utf-8"))
    inner = (
        _any(lists[name])
        if name != "kinds"
        else "|".join(f"(?P<{kind}>{_any(lists['kinds'][kind])})" for kind in _KINDS)
    )
    end = r"(?: een bedrag van| an amount of)? $" if name.endswith("_near") else r"(?!\w)"
    return re.compile(rf"(?<!\w)(?:{inner}){end}", re.IGNORECASE)


def _any(entries: list[str]) -> str:
    patterns = "|".join(sorted(entries, key=len, reverse=True)).replace(".", r"\.")
    return patterns.replace("*", r"[\w'’]{0,30}").replace("~", "[^;]{0,40}?").replace("{year}", "20[0-9]{2}")


def has(name: str, text: str) -> bool:
    return words(name).search(text) is not None


def cut(name: str, text: str) -> str:
    return words(name).sub("", text)


def sentences(text: str, label: str) -> Iterator[tuple[str, str]]:
    """Each sentence under its label, single-spaced.

    A list makes one sentence with the line before it that ends in a colon. A short line that names a kind
    of money and ends in no stop is the label of the line after it.
    """
    lines: list[tuple[str, list[str]]] = []
    head = label
    for line in (" ".join(part.translate(SPACES).split()) for part in text.splitlines()):
        parts = lines[-1][1] if lines else []
        if line.startswith("- ") and parts and (len(parts) > 1 or parts[0].endswith(":")):
            parts.append(line)
        elif line:
            lines.append((head, [line]))
            is_label = len(line) <= 60 and not re.search("[0-9.!?]", line) and has("kinds", line)
            head = line if is_label else label
    for head, parts in lines:
        line, start = " ".join(parts), 0
        for match in _END.finditer(line):
            word = line[max(start, match.start() - 12) : match.start()].split(" ")[-1].lower().strip("(")
            if word not in _SHORTENED and not re.fullmatch("[0-9]{1,2}|[a-z]", word):
                yield head, line[start : match.end()].strip()
                start = match.end()
        yield head, line[start:].strip()


def places_of(sentence: str, money: list[Amount], label: str) -> list[Place]:
    """The place of each amount in its sentence."""
    plain = _RATE.sub(lambda match: "%".ljust(len(match[0])), sentence)
    places: list[Place] = []
    for i, amount in enumerate(money):
        first = max(0, amount.start - _REACH)
        before = plain[max(first, money[i - 1].end if i else 0) : amount.start]
        tail = plain[amount.end : amount.end + _REACH]
        last = i + 1 == len(money)
        after = CLAUSE.split(tail if last else plain[amount.end : money[i + 1].start])[0]
        after = after if last else after.split(",")[0]
        places.append(Place(plain[first : amount.start], before, after, tail, label))
    return places
