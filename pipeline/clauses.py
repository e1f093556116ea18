"""What the sentences of a call's text state: readiness levels, funding rates, consortium rules.

A sentence that binds only some proposals, and sentences that contradict each other, state nothing; the
words are kept either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pipeline.schema import Consortium

_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[A-Z(\[])|\n+")
_TRL = re.compile(
    r"(?P<before>\bat least|\bminimum(?: of)?|\bup to|"
    r"\bstart(?:ing)?(?: from| at| with)?(?: an?)?(?: minimum)?)?"
    r"\s*(?:at )?\b(?:TRLs?|[Tt]echnology [Rr]eadiness [Ll]evels?(?: \(TRLs?\))?)\s*(?:of\s+)?"
    r"(?P<low>[1-9])(?!\d)(?:\s*(?:-|–|to|and|or)\s*(?:TRL\s*)?(?P<high>[1-9])(?!\d))?"
    r"(?P<after>\s*(?:and|or) (?:above|higher|beyond))?"
)
_TRL_IS_ASKED = re.compile(
    r"\b(expected|achieve|start|reach|target|aim|move|by the end|activities)", re.IGNORECASE
)
_TRL_SENTENCE = re.compile(r"\bactivities (?:are|may be) expected to\b", re.IGNORECASE)
_PERCENT = r"(\d{1,3}(?:\.\d+)?)\s?%"
_RATE = re.compile(
    rf"\bfunding rates?\b[^.%]{{0,90}}?{_PERCENT}"
    rf"|\b(?:fund|financ|reimburs|cover)\w*\b[^.%]{{0,60}}?{_PERCENT} of (?:the )?(?:total )?eligible costs",
    re.IGNORECASE,
)
_RATE_OF_A_PART = re.compile(r"\badditional activities\b|\bnot exceed\b", re.IGNORECASE)
_NUMBER = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNT = r"(one|two|three|four|five|six|\d{1,2})"
_PARTNERS = re.compile(
    rf"\b(?:at least|minimum of|minimum)\s+{_COUNT}\s+(?:(other)\s+)?(?:\w+\s+){{0,2}}"
    r"(?:legal entit(?:y|ies)|beneficiaries|applicants|partners)\b",
    re.IGNORECASE,
)
_COUNTRIES = re.compile(
    rf"\b{_COUNT}\s+different\s+(?:\w+\s+){{0,3}}(?:countries|Member States)\b", re.IGNORECASE
)
_MUST = re.compile(r"\b(?:must|shall|needs?|requires?|required)\b|^\W*(?:at least|minimum)", re.IGNORECASE)
_ONLY_SOMETIMES = re.compile(
    r"\bif\b|\bor more\b|\bin case\b|\bexcept\b|\beither\b|\bin addition to\b|\bor a\b", re.IGNORECASE
)
_ALONE = re.compile(
    r"\b(?:single|one|individual) (?:applicant|legal entity|beneficiary|company|SME) (?:may|can)\b|"
    r"\bmono-?beneficiar",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 14)
def sentences(text: str) -> tuple[str, ...]:
    """Sentences and list items of a text, trimmed, none empty."""
    return tuple(part.strip() for part in _SENTENCE.split(text) if part.strip())


def readiness(texts: Iterable[str]) -> tuple[int | None, int | None, str | None]:
    """Lowest and highest TRL that the work is expected to span, and the sentences that say so.

    The portal's own sentence ("Activities are expected to ...") decides where there is one. "At least 5"
    and "4 and above" state no highest level, "up to 6" no lowest.
    """
    said = (s for text in texts for s in sentences(text) if "TRL" in s or "eadiness" in s)
    asked = [s for s in said if _TRL.search(s) and _TRL_IS_ASKED.search(s)]
    asked = [s for s in asked if _TRL_SENTENCE.search(s)] or asked
    lowest: list[int] = []
    highest: list[int] = []
    for found in (match for sentence in asked for match in _TRL.finditer(sentence)):
        before = (found["before"] or "").lower()
        low, high = int(found["low"]), int(found["high"] or found["low"])
        if before != "up to":
            lowest.append(low)
        if found["high"] or not (found["after"] or (before and before != "up to")):
            highest.append(high)
    printed = " … ".join(dict.fromkeys(asked))[:600]
    return min(lowest, default=None), max(highest, default=None), printed or None


def funding_rate(texts: Iterable[str]) -> tuple[float | None, str | None]:
    """The one funding rate a text states, as a fraction; several different rates leave it unknown."""
    rates: dict[float, str] = {}
    for text in texts:
        for found in _RATE.finditer(text):
            start = max(text.rfind(mark, 0, found.start()) for mark in (".", "\n")) + 1
            said = " ".join(re.split(r"[.\n]", text[start:], maxsplit=1)[0].split())
            said = said if "%" in said else " ".join(text[start : found.end()].split())
            if not _RATE_OF_A_PART.search(said):
                rates.setdefault(float(found[1] or found[2]) / 100, said)
    printed = " … ".join(dict.fromkeys(rates.values()))[:600] or None
    rate = next(iter(rates)) if len(rates) == 1 else None
    return (rate if rate is not None and 0 < rate <= 1 else None), printed


def consortium(texts: Iterable[str]) -> tuple[Consortium, str | None]:
    """Least numbers of partners and countries, where the text requires them of every proposal.

    A sentence that holds only sometimes ("consortia of three or more must ...") proves nothing, and
    two that differ leave the numbers unknown.
    """
    found: dict[tuple[int, int | None], str] = {}
    sometimes = False
    for sentence in (sentence for text in texts for sentence in sentences(text)):
        partners = _PARTNERS.findall(sentence)
        if _ALONE.search(sentence) or (partners and _ONLY_SOMETIMES.search(sentence)):
            sometimes = True
        if not partners or not _MUST.search(sentence):
            continue
        least = _count(partners[0][0]) + sum(_count(word) for word, other in partners[1:] if other)
        countries = _COUNTRIES.search(sentence)
        found.setdefault((least, _count(countries[1]) if countries else None), sentence[:600])
    printed = " … ".join(found.values())[:600] or None
    if len(found) != 1 or sometimes:
        return Consortium(), printed
    least, countries_needed = next(iter(found))
    if least < 2:
        return Consortium(), printed
    return Consortium(min_partners=least, min_countries=countries_needed), printed


def _count(word: str) -> int:
    return _NUMBER.get(word.lower()) or int(word)
