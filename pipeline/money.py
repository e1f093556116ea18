"""What a text states of a call's money: of which field each printed amount (nl, fy, en, de) is.

An amount whose meaning is not said, or that is money of something else (a turnover, a loan, an hour), states
nothing; one that may be what it seems is stated without a value. The words that decide are in `money.yml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.amounts import Amount, amounts, euros
from pipeline.cues import CLAUSE, PHRASE, Place, cut, has, places_of, sentences, words

__all__ = ["Amount", "Stated", "amounts", "euros", "stated"]

End = Literal["most", "least", "under", "over"]
_LEAST = {"grant": "grant_min_eur", "costs": "eligible_costs_min_eur", "own": "own_contribution_min_eur"}
_MOST = {"grant": "grant_max_eur", "costs": "eligible_costs_max_eur"}
_STATE_AID_CEILINGS = (200_000, 300_000)  # Regulations (EU) 1407/2013 and 2023/2831, Article 3(2)

_MOST_AMOUNTS = 12  # in one sentence; what has more is a table
_OR_AND = r"(?:en|and|und|of|or|oder|plus|respectievelijk|resp\.)"
_BY_COMMA = re.compile(rf"[,)]? {_OR_AND} |, ")
_LISTED = re.compile(rf"(?:^|[,;-]|\b{_OR_AND}) ?-? ?(?:(?:voor|for|foar|für) (?:[\w-]+ ){{1,3}})?$")
_OR = re.compile(r" (?:of|or|oder) (?:- )?$")
_TO = re.compile(r" ?(?:-|tot|tot en met|t/m|to|bis|oant) ?")
_TO_AND = re.compile(r" ?(?:en|and|und) ?")
_AND = re.compile(r" (?:en|and|und)(?: an?| een| in)? *(?:of |van |fan |von )?")
_BETWEEN = re.compile(r"\b(?:tussen|tusken|between|zwischen) $", re.IGNORECASE)
_OF = re.compile(r"\b(?:van|of|op|voor|for|fan|der|des)(?: [\w-]+){0,2} $", re.IGNORECASE)
_DIRECT = re.compile(r" (?:(?:aan|in|of|an|oan) )?")
_NEARBY = re.compile(r" (?:[\w-]+ ){0,2}")
_AFTER_RATE = re.compile("% *[^.;:]{0,60}$")
_BRACKET = re.compile("% {2,}(?:tot|oant|bis) $")  # "40% van de kosten tot € 1.000": costs, or grant?
_ONE = re.compile(r"\b(?:een|an?|in|eine?) [\w-]+ (?:van|of|fan|von) $", re.IGNORECASE)
_FOR = re.compile(r" (?:voor|for|foar|für) ", re.IGNORECASE)
_CAPPED = re.compile(r",|\b(?:tot|oant|bis|up to|met een|mei in|with a)\b", re.IGNORECASE)
_SINGULAR = re.compile(r"\b(?:bedraagt|is|beträgt|ist|amounts)\b", re.IGNORECASE)
_EXACT = re.compile(r"(?: per [\w-]+)? (?:bedraagt|is|beträgt|ist|amounts to) ", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:tota|gesamt)", re.IGNORECASE)
_PAID_BACK = re.compile("(?:ver|fer)goed(?:en|zje)?$", re.IGNORECASE)
_SUBSIDY = re.compile("subsid|subsyd|grant|voucher|zusch|zuwend|vergoed|fergoed|tegemoet", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_NOT_A_CUE = re.compile(r"[0-9%,;]")  # between a cue and an amount: the cue is of something else
_DIFFERENCE = re.compile(r"\b(?:van|from|met|by|mei|fan|von|um) $", re.IGNORECASE)


@dataclass(frozen=True)
class Stated:
    """A fact of money: a field of a call, its amount in EUR, and the sentence that it was read from."""

    field: str
    eur: float | None  # None: stated, but not clearly one value
    printed: str  # at most 300 characters


@dataclass(frozen=True)
class _Sense:
    """What an amount is taken to be."""

    kind: str | None = None
    end: End | None = None
    said: str = ""  # the word that says the kind
    exact: bool = False  # the kind's one amount, though no "at most" says so
    sole: bool = False  # a condition turns on it
    clear: bool = True  # else it is stated, but may be otherwise
    mute: bool = False  # of this kind, and yet of no field: a difference, a share, an hour's


def stated(text: str, language: str | None = None, label: str | None = None) -> list[Stated]:
    """What a text states of a call's money, in order, each field and amount once.

    `label` is the label or heading that the text stands under; it gives a bare amount its meaning. Fields:
    budget_total_eur and remaining_budget_eur (of this opening), grant_min_eur and grant_max_eur (of one
    grant), eligible_costs_min_eur and eligible_costs_max_eur, own_contribution_min_eur.
    """
    full = f"{label or ''}\n{text}"
    lent, minor = has("lending", full), "minimis" in full.lower()
    found: dict[tuple[str, float | None], Stated] = {}
    for head, sentence in sentences(text, label or ""):
        money = amounts(sentence, language)
        if not 0 < len(money) <= _MOST_AMOUNTS or has("silent", sentence):
            continue
        for amount, (place, sense) in zip(money, _senses(sentence, money, head), strict=True):
            if sense.kind == "grant" and has("handled", sentence):
                continue
            weak = sense.kind == "grant" and not _SUBSIDY.search(sense.said)
            doubted = weak and (lent or (minor and amount.eur in _STATE_AID_CEILINGS))
            eur = amount.eur if sense.clear and not doubted else None
            for field, value in _facts(eur, sense, place):
                printed = sentence[max(0, amount.end - 300) :][:300]
                found.setdefault((field, value), Stated(field, value, printed))
    return list(found.values())


def _senses(sentence: str, money: list[Amount], label: str) -> list[tuple[Place, _Sense]]:
    """What each amount of a sentence is; one without words of its own goes with the one before it."""
    places = places_of(sentence, money, label)
    senses: list[_Sense] = []
    for i, place in enumerate(places):
        previous = senses[-1] if senses else None
        sense = _sense(place, previous)
        if previous and previous.kind and _is_range(places[i - 1], place):
            low, high = money[i - 1].eur, money[i].eur
            clear = previous.clear and (low is None or high is None or low < high)
            senses[-1] = replace(previous, end="least", clear=clear)
            sense = replace(previous, end="most", clear=clear)
        elif previous and (previous.end, sense.end) == ("least", "most"):
            if not previous.kind and sense.kind == "grant" and _AND.fullmatch(cut("most", place.before)):
                senses[-1] = replace(previous, kind="grant", said=sense.said)
        elif previous and sense.kind == previous.kind and _OR.search(place.before):
            senses[-1] = replace(previous, clear=False)  # "€ 2.500 of € 5.000"
            sense = replace(sense, clear=False)
        senses.append(sense)
    if any(sense.kind == "grant" and sense.end == "most" for sense in senses):
        senses = [replace(s, kind="grant") if s.kind is None and s.end == "most" else s for s in senses]
    return list(zip(places, senses, strict=True))


def _is_range(left: Place, right: Place) -> bool:
    gap = cut("most", right.before)
    to = _TO.fullmatch(gap) or (_TO_AND.fullmatch(gap) and _BETWEEN.search(left.before))
    return to is not None and not has("change", left.before)


def _sense(place: Place, previous: _Sense | None) -> _Sense:
    """What one amount is, by the nearest word before it or a word right behind it."""
    before = place.before
    sole = _is_threshold(place)
    base = _Sense(None, _end(place), sole=sole, clear=_is_clear(place, sole), mute=_is_mute(place, sole))
    nouns = list(words("kinds").finditer(before))
    link = before[nouns[-1].end() :] if nouns else ""
    listed = (
        previous is not None and (_BY_COMMA.fullmatch(link) if nouns else _LISTED.search(before)) is not None
    )
    behind = words("kinds").search(PHRASE.split(place.after)[0])
    if behind and not (_DIRECT if behind.lastgroup in _LEAST else _NEARBY).fullmatch(
        behind.string, 0, behind.start()
    ):
        behind = None
    if behind and behind.lastgroup in ("whole", "remaining"):
        behind = None  # the label of the next amount, or the predicate of "beschikbaar"
    if behind and not _FOR.match(place.after) and (listed or not nouns or len(link) > 2):
        return replace(base, kind=behind.lastgroup, said=behind[0])
    if nouns and not listed:
        return _by_noun(base, before, nouns, link, part=behind is not None and behind.lastgroup == "other")
    changed = previous is not None and has("change", place.lead[-60:])
    if previous and previous.kind and (listed or base.end or changed):
        return replace(
            previous,
            end=base.end or (None if changed else previous.end),
            clear=base.clear and (previous.clear or changed),
            mute=base.mute or (previous.mute and not changed),
        )
    if previous and previous.kind == "whole" and has("share", before) and has("opening", place.near):
        return replace(previous, end=base.end, clear=base.clear, mute=base.mute)
    if (
        place.label
        and (base.end or len(before.split()) <= 6)
        and (noun := words("kinds").search(place.label))
    ):
        exact = has("one_grant", place.label) or has("per_grant", place.label)
        end = base.end or _cue(f"{place.label} ")
        return replace(base, kind=noun.lastgroup, end=end, said=noun[0], exact=exact)
    shared_out = base.end or has("available", place.near) or _BETWEEN.search(before)
    if (shared_out and has("per_grant", place.near)) or (_AFTER_RATE.search(before) and base.end == "most"):
        return replace(base, kind="grant", exact=True)
    return base


def _by_noun(base: _Sense, before: str, nouns: list[re.Match[str]], link: str, part: bool) -> _Sense:
    """The sense by the last of the nouns before an amount. `part`: the amount is "for" some other thing."""
    noun, others = nouns[-1], {other.lastgroup for other in nouns[:-1]}
    kind = noun.lastgroup
    if "other" in others and (_OF.search(before[: noun.start()]) or _PAID_BACK.match(noun[0])):
        kind = "other"  # "de waarde van de subsidie", "reiskosten vergoeden wij"
    capped = _SINGULAR.search(link) or (base.end == "most" and _CAPPED.search(link))
    unsure = kind == "costs" and "grant" in others and bool(capped)
    clear = base.clear and not (unsure or part or (has("relative", link) and not base.sole))
    return replace(base, kind=kind, said=noun[0], exact=_EXACT.fullmatch(link) is not None, clear=clear)


def _end(place: Place) -> End | None:
    """Which end of a range an amount is, by the words nearest to it."""
    before = place.before
    changed = has("change", place.lead[-60:])  # "verhoogd tot": the new value, not the most
    if has("most_near", before) or has("least_near", before):
        end: End = "most" if has("most_near", before) else "least"
        return _cue(before) if changed else end
    beyond = words("under_near").search(before) or words("over_near").search(before)
    if cue := _cue(before, beyond.start() if beyond else 0):
        return cue
    if beyond:
        return "under" if has("under_near", before) else "over"
    close = place.after[:40]
    return "most" if has("most_after", close) else "least" if has("least_after", close) else None


def _cue(before: str, start: int = 0) -> End | None:
    """The last "at most" or "at least" before an amount that is about it and ends behind `start`."""
    ends: tuple[End, ...] = ("most", "least")
    cues = [(match.end(), end) for end in ends for match in words(end).finditer(before)]
    for position, end in sorted(cues, reverse=True):
        if (
            position > start
            and not _NOT_A_CUE.search(before, position)
            and not words("counted").search(before, position)
        ):
            return end
    return None


def _is_clear(place: Place, sole: bool) -> bool:
    return not (
        has("about_near", place.before)
        or (has("conditional", place.around) and not sole)
        or _BRACKET.search(place.before)
    )


def _is_threshold(place: Place) -> bool:
    """Whether the amount is what an "only if" or a refusal turns on, with nothing else said beside it."""
    rest = f"{place.lead} {place.tail}"
    if has("only", rest) == has("refused", rest):
        return False
    rest = words("kinds").sub(
        lambda match: "" if match.lastgroup in _MOST else match[0], cut("refused", rest)
    )
    for name in ("only", "most", "least", "plain"):
        rest = cut(name, rest)
    return _LETTER.search(rest) is None


def _is_mute(place: Place, sole: bool) -> bool:
    """Whether an amount is of an hour or another unit, a share, a former value, a difference, a condition."""
    difference = _DIFFERENCE.search(place.before) is not None
    shared = has("share", place.before) and not (place.is_left or has("opening", place.near))
    return (
        (difference and has("change", place.lead[-60:] + place.after))
        or shared
        or has("per_unit", f"{place.before} {place.after[:40]}")
        or has("former_near", place.before)
        or (has("conditional", place.clause) and not sole)
        or has("conditional_here", place.clause)
        or words("conditional_start").match(place.lead) is not None
        or (place.is_first and words("bracket").match(place.lead) is not None and not _is_offered(place))
    )


def _is_offered(place: Place) -> bool:
    """Whether "grants of up to ..." or "projects with costs of ..." are then offered, refused, or no more."""
    rest = place.after.strip(" .")
    return not rest or words("offered").match(rest) is not None or has("refused", rest)


def _facts(eur: float | None, sense: _Sense, place: Place) -> list[tuple[str, float | None]]:
    """The fields that an amount of this sense states."""
    kind, end = sense.kind, sense.end
    if sense.mute or kind == "other":
        return []
    of_each, available = has("per_grant", place.near), has("available", place.near)
    if kind == "remaining" or (place.is_left and (kind in (None, "whole") or (kind == "grant" and not end))):
        if kind != "remaining" and (of_each or _is_part(place, place.around)):
            return []
        return [("remaining_budget_eur", eur if end in (None, "most") and _is_a_pot(eur) else None)]
    if kind == "whole" or (kind in (None, "grant") and end is None and available and not sense.exact):
        return _whole(eur, sense, place)
    if (
        kind == "grant"
        and available
        and end == "most"
        and not of_each
        and not words("bracket").match(place.lead)
    ):
        return [("budget_total_eur", None), ("grant_max_eur", None)]
    if kind not in _LEAST:
        return []
    refused = has("refused", place.around)
    if end == "under":
        end = "least" if refused else None
    elif end == "over":
        end = "most" if refused else "least" if kind == "costs" else None
    elif refused and has("refused", f"{CLAUSE.split(place.clause)[-1]} {place.after.split(',')[0]}"):
        return []  # "projecten met kosten van maximaal € 20.000 komen niet in aanmerking"
    elif end is None and kind == "grant" and (sense.exact or of_each):
        end = "most"
    if kind == "grant" and ((_TOTAL.search(place.before) and not of_each) or _is_for_some(place)):
        eur = None  # of all grants, or of one? Of any grant, or of one kind of them?
    field = (_MOST if end == "most" else _LEAST).get(kind) if end else None
    return [(field, None if has("yearly", place.near) else eur or None)] if field else []


def _is_part(place: Place, around: str) -> bool:
    """Whether an amount of the scheme's money is that of a year, or of a part of the scheme."""
    return has("yearly", around) or has("part", place.before) or has("part_after", place.after)


def _is_for_some(place: Place) -> bool:
    """Whether a grant's amount is that of some kind of project or applicant."""
    return words("for_some").match(place.clause.lstrip()) is not None or has("some", place.clause)


def _whole(eur: float | None, sense: _Sense, place: Place) -> list[tuple[str, float | None]]:
    """What an amount of the scheme's money states: nothing where it is a part, a year's or a programme's."""
    around = place.near if has("share", place.before) else place.around
    is_ceiling = "plafond" in sense.said.lower()
    if _is_part(place, around) or (has("beyond", around) and not is_ceiling):
        return []
    if has("per_grant", place.near):
        return [("grant_max_eur", None)]
    is_one = sense.kind == "grant" and _ONE.search(place.before) is not None
    if is_one or (sense.end == "most" and not is_ceiling and not has("kinds", place.label)):
        return [("budget_total_eur", None), ("grant_max_eur", None)]
    return [("budget_total_eur", eur if sense.end in (None, "most") and eur and _is_a_pot(eur) else None)]


def _is_a_pot(eur: float | None) -> bool:
    """Whether an amount can be a scheme's money; below 1,000 its unit is unclear, and 0 is nothing left."""
    return eur is not None and (eur == 0 or eur >= 1_000)
