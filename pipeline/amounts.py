"""Printed amounts of money → EUR: nl, fy, en and de forms, ranges, and million words.

An amount whose digits can be read in two ways has no value. Other currencies are no amounts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

SPACES = str.maketrans(
    dict.fromkeys("\t\u00a0\u00ad\u2007\u2009\u200a\u200b\u202f\u2060\ufeff", " ") | dict.fromkeys("–—−", "-")
)
_NUMBER = re.compile(
    r"(?<![0-9.,'’])(?:[0-9]{1,3}(?: [0-9]{3}){1,4}(?:[.,][0-9]{1,2})?(?![0-9])"
    r"|[0-9]{1,15}(?:[.,'’][0-9]{1,15}){0,6})"
)
_BEFORE = re.compile(r"(?:€|(?<!\w)(?:[kMT]€|[kMT]?EUR|eur|[Ee]uro|EURO))[.:]? {0,3}$")
_TAIL = re.compile(r" ?[.,] ?(?:-{1,3}|=)")
_SCALE = re.compile(
    r" {0,2}(?:(?P<thousand>duizend|tûzen|tausend|thousand|tsd\.?|k)"
    r"|(?P<million>miljoen|miljoenen|millions?|millionen|mln\.?|mio\.?|m)"
    r"|(?P<milliard>miljard|milliarden?|mld\.?|mrd\.?|bn)|(?P<billion>billions?))(?![\w²³/])",
    re.IGNORECASE,
)
_AFTER = re.compile(r" {0,2}(?:€|(?:EUR|eur|[Ee]uro'?s?|EURO)(?![\w-]))")
_POWER = {"thousand": 3, "million": 6, "milliard": 9, "billion": 9}
_PREFIX = {"k": "thousand", "T": "thousand", "M": "million"}
_MARK = "[ .,'’]"
_DECIMAL_MARK = {"nl": ",", "fy": ",", "de": ",", "en": "."}
_DIGIT, _PERCENT = re.compile(" {0,2}[0-9]"), re.compile(" ?%")
_SHORT = re.compile("[0-9]{1,3}(?:[.,][0-9]{1,2})?")
_RANGE = re.compile(" {0,2}(?:(?P<to>-|tot|tot en met|t/m|to|bis|oant)|en|and|und|of|or|oder) {0,2}")
_BETWEEN = re.compile(r"\b(?:tussen|tusken|between|zwischen) $", re.IGNORECASE)
# digits that go on behind a gap, or a letter, which tags and footnotes leave behind
_BROKEN = re.compile(r" [0-9]| ?[.,] [0-9]{3}(?![0-9])| [.,][0-9]|[^\W\d_]")
_BROKEN_BEFORE = re.compile(r"(?<![0-9])(?!(?:19|20)[0-9]{2} $)[0-9]+ ?[.,]? ?$")


@dataclass(frozen=True)
class Amount:
    """An amount of money in a text; `eur` is None where its value is ambiguous."""

    eur: float | None
    start: int
    end: int
    printed: str


@dataclass(frozen=True)
class _Number:
    digits: str
    start: int  # with its currency and scale, as is the end
    end: int
    scale: str | None
    grouped: bool  # printed as only an amount is, not as a year or a count
    currency: bool
    broken: bool = False


def euros(printed: str | None) -> float | None:
    """A plain amount in EUR; zero is the portal's way to say "not stated".

    Below 1,000 the unit is unclear (the portal mixes EUR and millions), so the amount is unknown.
    """
    try:
        amount = float((printed or "").strip())
    except ValueError:
        return None
    return amount if 1_000 <= amount < 1e12 else None


def amounts(text: str, language: str | None = None) -> list[Amount]:
    """All printed amounts of money in EUR, in order. `language` (ISO 639-1) tells what a comma is."""
    plain = text.translate(SPACES)
    found: list[_Number] = []
    for match in _NUMBER.finditer(plain):
        found.append(_number(plain, match, found[-1].end if found else 0))
    for i in range(len(found) - 1):
        left, right = found[i : i + 2]
        if gap := _RANGE.fullmatch(plain, left.end, right.start):
            words = plain[max(0, left.start - 10) : left.start]
            found[i], found[i + 1] = _range(left, right, gap["to"] is not None, words)
    return [Amount(_value(n, language), n.start, n.end, text[n.start : n.end]) for n in found if n.currency]


def _number(plain: str, match: re.Match[str], free: int) -> _Number:
    """A number with the currency, the scale and the dashes around it; what stands before `free` is taken."""
    digits, start, end = match[0], match.start(), match.end()
    left = plain[max(free, start - 12) : start]
    before = _BEFORE.search(left)
    tail = _TAIL.match(plain, end)
    end = tail.end() if tail else end
    found = _SCALE.match(plain, end)
    scale, end = (found.lastgroup, found.end()) if found else (None, end)
    grouped = bool(tail or scale or not digits.isdigit())
    after = _AFTER.match(plain, end)
    if _PERCENT.match(plain, end) or (left[-1:].isalpha() and not before):
        return _Number(digits, start, end, scale, grouped, False)
    disputed = after is not None and _DIGIT.match(plain, after.end()) is not None
    if disputed and (before or not grouped):
        after = None  # "in 2026 € 300.000": the sign belongs to the number behind it
    if before and not grouped and len(digits) == 1 and before[0].lower().startswith("euro"):
        before = None  # "Euro 6" is a norm of emissions
    broken = False
    if before and not after:
        code = before[0].strip()
        scale = scale or (_PREFIX.get(code[0]) if code[1:].startswith(("€", "EUR")) else None)
        broken = not (tail or scale) and _BROKEN.match(plain, end) is not None
        start -= len(before[0])
    elif after:
        end = after.end()
        start -= len(before[0]) if before else 0
        broken = (disputed and "€" in after[0]) or _BROKEN_BEFORE.search(left) is not None
    return _Number(digits, start, end, scale, grouped, bool(before or after), broken)


def _range(left: _Number, right: _Number, is_to: bool, words: str) -> tuple[_Number, _Number]:
    """Two numbers of one range, which may share a currency and a scale: "€ 2,5 - 25 miljoen"."""
    short = not left.scale and _SHORT.fullmatch(left.digits) is not None
    if left.currency and right.currency:
        unclear = short and right.scale is not None  # "€ 1 tot € 3 miljoen": one euro, or one million?
        return replace(left, broken=left.broken or unclear), right
    if not (left.currency or right.currency) or left.broken or right.broken:
        return left, right
    if not (left.currency or is_to or _BETWEEN.search(words)):
        return left, right  # "in 3 en 5 miljoen euro"
    if short and right.scale:
        return replace(left, currency=True, scale=right.scale), replace(right, currency=True)
    if left.grouped and right.grouped:
        return replace(left, currency=True), replace(right, currency=True)
    # "€ 500 - 750": it is not clear that the second is an amount
    return replace(left, broken=left.currency and is_to and not left.grouped), right


def _value(number: _Number, language: str | None) -> float | None:
    """EUR of a number, or None where it is malformed or can be read in two ways."""
    groups, marks = re.split(_MARK, number.digits), re.findall(_MARK, number.digits)
    last = marks[-1] if marks else " "
    decimal = last in ".," and marks.count(last) == 1 and (len(groups[-1]) != 3 or groups[0] == "0")
    if number.scale and len(marks) == 1 and last in ".," and not decimal:
        decimal = _DECIMAL_MARK.get(language or "") == last
        if not decimal:
            return None  # "8.105 miljoen"
    whole, fraction = (groups[:-1], groups[-1]) if decimal else (groups, "0")
    thousands = marks[: len(whole) - 1]
    in_threes = len(whole) == 1 or (0 < len(whole[0]) < 4 and all(len(group) == 3 for group in whole[1:]))
    if number.broken or not in_threes or len(set(thousands)) > 1 or (thousands and whole[0][0] == "0"):
        return None
    if (not number.scale and len(fraction) > 2) or (number.scale == "billion" and language != "en"):
        return None  # tenths of cents; a thousand or a million millions
    eur = float(Decimal(f"{''.join(whole)}.{fraction}").scaleb(_POWER[number.scale] if number.scale else 0))
    return eur if eur < 1e12 else None
