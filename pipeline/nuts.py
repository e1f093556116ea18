"""Printed regions and countries → NUTS codes of the 2021 and the 2024 version, from `nuts.yml`.

A list that is understood only in part is unknown: what was missed would read as left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import yaml

from pipeline.prose import clauses
from pipeline.terms import WHO

ISO = {"GR": "EL", "GB": "UK"}  # ISO 3166 → NUTS, where they differ
_CODE = re.compile(r"[A-Z]{2}[A-Z0-9]{0,3}")
_CODE_AND_NAME = re.compile(r"([A-Z]{2}[A-Z0-9]{0,3})\b\s*[-–:]?\s*(.*)")
_NAME_AND_CODE = re.compile(r"(.*?)\s*\(([A-Z]{2}[A-Z0-9]{0,3})\)")
_WORDS_BEFORE = re.compile(
    r"^(?:(?:de|het|the|die|heel|hele|geheel|alle) )*(?:(?:provincies?|provinsjes?|provinz|province of"
    r"|regio|region)\s+)?(?:of )?|\s*\((?:de )?provincie\)$",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*[;,|/&\n]\s*(?:(?:en|of|and|or|und|oder)\s+)?|\s+(?:en|of|and|or|und|oder)\s+")


@dataclass(frozen=True)
class _Table:
    second: frozenset[str]
    third: frozenset[str]
    same: dict[str, str]
    names: dict[str, tuple[str, ...]]  # lower case → codes
    countries: dict[str, str]  # lower case → code
    cities: frozenset[str]
    in_prose: tuple[re.Pattern[str], ...]
    of_work: tuple[re.Pattern[str], ...]


@cache
def _table() -> _Table:
    listed = yaml.safe_load(files("pipeline").joinpath("nuts.yml").read_text("utf-8"))
    second = {
        country + group[0] + last
        for country, groups in listed["second"].items()
        for group in groups.split()
        for last in group[1:]
    }
    known = {**listed["names"], **listed["groups"], **listed["countries"]}
    names = {name.lower(): tuple(codes.split()) for codes, words in known.items() for name in words}
    later = {**listed["recoded"], **listed["shifted"]}
    words = sorted((re.escape(name) for spelt in known.values() for name in spelt), key=len, reverse=True)
    areas = _areas("|".join(words))
    return _Table(
        second=frozenset(second),
        third=frozenset(listed["third"].split()),
        same=later | {new: old for old, new in later.items()},
        names=names,
        countries={name.lower(): code for code, spelt in listed["countries"].items() for name in spelt},
        cities=frozenset(name.lower() for name in listed["cities"]),
        in_prose=tuple(re.compile(pattern.replace("AREAS", areas)) for pattern in _OF_APPLICANTS),
        of_work=tuple(re.compile(pattern.replace("AREAS", areas)) for pattern in _OF_WORK),
    )


def countries() -> dict[str, str]:
    """Codes of countries by the names that pages print, in lower case."""
    return _table().countries


def same(code: str) -> tuple[str, ...]:
    """The codes of one area in both versions, the given one first.

    For the areas listed as shifted the two differ by a municipality or two that was merged away.
    """
    other = _table().same.get(code)
    return (code, other) if other else (code,)


def regions(words: Iterable[str]) -> tuple[str, ...]:
    """Codes for the names and codes of a structured list, as printed and in order; () where one is unknown.

    "Groningen" is the province here. A municipality is no NUTS region, and so unknown.
    """
    found: list[str] = []
    for word in words:
        codes = _read(" ".join(word.split(" ")).strip(" .\n\t-–•"), 0)
        if codes is None:
            return ()
        found += codes
    return tuple(dict.fromkeys(found))


def _read(text: str, depth: int) -> tuple[str, ...] | None:
    """The codes of a name, a code, a code with its name, or a list of these; None where not understood."""
    table = _table()
    by_name = table.names.get(text.lower()) or table.names.get(_WORDS_BEFORE.sub("", text).lower())
    if by_name or not text:
        return by_name
    match = _CODE_AND_NAME.fullmatch(text) or _NAME_AND_CODE.fullmatch(text)
    if match:
        code, name = match.groups() if _CODE.fullmatch(match[1]) else (match[2], match[1])
        named = table.names.get(_WORDS_BEFORE.sub("", name).lower()) if name else None
        known = _known(code)
        if known and named:
            return (known,) if set(named) & set(same(known)) else None
        if known and not _BETWEEN.search(name):
            return (known,)
    pieces = [piece for piece in _BETWEEN.split(text) if piece]
    if len(pieces) < 2 or depth or len(pieces) > 1_000:
        return None
    read = [_read(piece.strip(), 1) for piece in pieces]
    return None if None in read else tuple(code for codes in read for code in codes or ())


def _known(code: str) -> str | None:
    """A country's or an area's code in NUTS spelling, or None where there is no such area."""
    table = _table()
    code = ISO.get(code, code)
    if len(code) == 5:
        parent = code[:4] in table.second
        return code if parent and (code in table.third or not code.startswith("NL")) else None
    if len(code) == 4:
        return code if code in table.second else None
    return code if any(area.startswith(code) for area in table.second) else None


def _areas(names: str) -> str:
    """A list of named areas, each with its code or without; then whatever makes it longer."""
    before = r"(?:(?:de|het|the|den|der|dem|provincie|provinsje|province of|regio|in|uit|yn)\s+){0,3}"
    area = rf"{before}(?:{names})(?![\w-])(?:\s*\([A-Z]{{2}}[A-Z0-9]{{0,3}}\))?"
    comma = r"(?:\s*,\s*(?:en|of|and|or|und|oder)\s+|\s*[,/&]\s*|\s+(?:en|of|and|or|und|oder)\s+)"
    return (
        r"(?:(?:een|één|ien|one|eines?|einer)\s+(?:van|fan|of"
        r"|der)\s+)?(?:(?:de|the|der|den)\s+)?(?P<province>(?:drie\s+)?(?:provincies?|provinsjes?"
        r"|provinces?(?:\s+of)?|regio|region)\s+)?"
        rf"(?P<areas>{area}(?:{comma}{area}){{0,30}})"
        rf"(?P<more>{comma}(?:(?:de|het|the|een|in|der|die|den)\s+)*(?:[Gg]emeente|stad\b|[Mm]unicipal"
        rf"|[A-Z]))?"
    )


# Whoever is established in, or companies from, these areas.
_OF_APPLICANTS = (
    r"(?:\b(?i:gevestigd|vestiging|fêstige|festige|established|based|located|registered|ansässig"
    r"|niedergelassen|sitz)\b(?:\s+(?:zijn|is|bent|hebben|wêze|sein|te))?"
    r"|\b(?i:ondernemers|ondernemingen|bedrijven|mkb['’]?ers|mkb-\w+|organisaties|aanvragers|undernimmers"
    r"|bedriuwen|companies|smes|applicants|businesses|unternehmen)(?:\s+die\s+gevestigd\s+zijn)?)"
    r"\s+(?:in|uit|yn|út|from|within|binnen|aus)\s+AREAS",
)
_WORK = (
    r"\b(?i:activiteiten|projecten|project|investeringen|investering|werkzaamheden|aktiviteiten|projekten"
    r"|projekt"
    r"|activities|projects?|investments?|vorhaben|projekte|maßnahmen)\b"
)
_DONE = (
    r"(?i:plaatsvinden|plaats\s+te\s+vinden|vinden\s+plaats|vindt\s+plaats|take\s+place|plakfine|stattfinden"
    r"|(?:uitgevoerd|gerealiseerd|gedaan)(?:\s+(?:te\s+)?worden)?|carried\s+out|implemented|realised"
    r"|(?:útfierd|dien)(?:\s+wurde)?|durchgeführt(?:\s+werden)?|umgesetzt(?:\s+werden)?)"
)
_GAP = r"(?:(?!\b(?i:die|dat|dy|that|which|waar\w*|where)\b)[^.;:]){0,40}?"
# Where the work is done; German and Frisian, and often Dutch, put the verb last.
_OF_WORK = (
    rf"{_WORK}{_GAP}\b{_DONE}\s+(?:in|yn|within|binnen)\s+AREAS",
    rf"{_WORK}{_GAP}\b(?:in|yn|binnen)\s+AREAS\s+(?:(?:te\s+)?worden\s+|wurde\s+|plaats\s+)?{_DONE}",
    r"\b(?i:uitsluitend|alleen|slechts|allinnich|allinne|only|exclusively|nur|ausschließlich)\s+"
    rf"(?:voor|foar|for|für)\s+{_WORK}\s+(?:in|yn|within|binnen)\s+AREAS",
)
_AREA_WORDS = re.compile(
    r"^(?:(?:de|het|the|den|der|dem|provincie|provinsje|province of|regio|in|uit|yn)\s+)+"
)
_BINDS = re.compile(
    r"\b(?:moet(?:en)?|dien(?:t|en)|uitsluitend|alleen|enkel|slechts|bedoeld|bestemd|aanvrager|u|uw|jouw"
    r"|je|must|shall"
    r"|only|exclusively|applicants?|eligible|muss|müssen|nur|antragsberechtigt|moatt?e?|allinnich|jo)\b"
    r"|\b(?:kunnen|komen)\b.*\b(?:aanvra\w+|aanmerking)\b",
    re.IGNORECASE,
)
_APPLICANT = re.compile(
    r"ondern|undernim|bedri|mkb|aanvrager|organisatie|\b(?:u|uw|je|jo|jouw)\b|compan|applicant|\bsmes?\b"
    r"|business|entit|beneficiar|unternehmen|antragsteller",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"\b(?:loket|kantoor|balie|adres|ontving\w*|kreeg|kregen|ontvangen|toegekend|received|awarded"
    r"|erhielt\w*|partner\w*|leverancier\w*|klant\w*"
    r"|afnemer\w*|customers?|suppliers?|niet|geen|not|no|net|gjin|nicht|keine?|buiten|outside|als|indien"
    r"|wanneer|if|tenzij|unless|behalve|except\w*|bijvoorbeeld|elders|wenn|voorkeur|priority|daarbuiten"
    r"|erbuiten|elsewhere|beyond|omgeving|omstreken|omliggende)\b"
    r"|\b(?:at least|ten minste|tenminste|minimaal|minstens|mindestens|op syn minst)\s+(?:je\s+|jeweils\s+)?"
    r"(?:\d+|one|two|three|een|één|ien|twee|twa|drie|trije|eine?|zwei|drei)\s+(?!vestiging)",
    re.IGNORECASE,
)
# All of them are those who apply.
_ALL_PARTNERS = re.compile(
    r"^\W*(?:(?:all|alle|the|de)\s+)?(?:project\s*)?partners?(?=\s+(?:must|shall|have\s+to|moeten|dienen"
    r"|müssen|moatte)\b)",
    re.IGNORECASE,
)
_MUST = re.compile(
    r"\b(?:moet(?:en)?|dien(?:t|en)|uitsluitend|alleen|slechts|must|shall|only|exclusively|has to|have to"
    r"|muss"
    r"|müssen|nur|ausschließlich|moatt?e?|allinnich|allinne)\b",
    re.IGNORECASE,
)
_IN_PART = re.compile(
    r"\b(?:deels|gedeeltelijk|grotendeels|hoofdzakelijk|vooral|mede|ook|helft|deel|partly|partially"
    r"|mainly|mostly"
    r"|also|part|half|teilweise|überwiegend|auch|kunnen|kan|may|can|mogen|mag|können|dürfen|kinne|minimaal"
    r"|ten minste|tenminste|minstens|at least|mindestens|op syn minst|eerdere?|vorige|previous|earlier"
    r"|frühere?"
    r"|aantonen|bijdragen|show|contribute|beitragen)\b|%",
    re.IGNORECASE,
)
_NOT_OUTSIDE = re.compile(
    rf"^\W*(?:(?:de|the)\s+)?{_WORK}[^.;:]{{0,30}}\b(?i:buiten|outside|außerhalb|bûten)\s+"
    r"(?:(?:de|deze|dizze|het|it|the|this|der|des|dieser)\s+)?(?:(?i:provin\w+|regio\w*|\w*gebied|\w*area"
    r"|\w*gebiets?)\b|[A-Z])[^.;:]{0,60}"
    r"\b(?i:niet|not|nicht|net|uitgesloten|excluded|ineligible)\b"
)


def stated_regions(texts: Iterable[str], label: str | None = None) -> tuple[tuple[str, ...], str | None]:
    """Codes of where applicants, or all of their work, must be, from sentences that bind them; and those.

    A sentence about applicants binds by its own words, or by standing under a `label` such as "Voor wie?";
    one about the work by its own words, or by a next one that leaves out what is done outside. Sentences
    that differ, and a list that goes on with something else than a region, leave it unknown.
    """
    found: dict[frozenset[str] | None, tuple[str, ...]] = {}
    printed: list[str] = []
    to_whom = label is not None and WHO.search(label) is not None
    for sentence, after in pairwise([*clauses(texts), ""]):
        for match in _bound(_ALL_PARTNERS.sub("applicants", sentence), after, to_whom):
            names = [_AREA_WORDS.sub("", part) for part in _BETWEEN.split(match["areas"])]
            if {name.lower() for name in names} <= _table().cities and "provinc" not in match[0]:
                continue  # the city or the province
            read = [_read(name, 1) for name in names]
            codes = tuple(dict.fromkeys(code for some in read for code in some or ()))
            nested = any(a != b and a.startswith(b) for a in codes for b in codes)
            unclear = nested or match["more"] or None in read
            found[None if unclear else frozenset(codes)] = codes
            printed.append(sentence)
    words = " … ".join(dict.fromkeys(printed))[:600] or None
    if len(found) != 1 or None in found:
        return (), words
    return next(iter(found.values())), words


def _bound(sentence: str, after: str, to_whom: bool) -> Iterator[re.Match[str]]:
    """Where a sentence names areas that bind who applies, or what they do."""
    table = _table()
    if _OTHERWISE.search(sentence):
        return
    if (to_whom or _BINDS.search(sentence)) and _APPLICANT.search(sentence):
        for pattern in table.in_prose:
            yield from pattern.finditer(sentence)
    must = _MUST.search(sentence) or _NOT_OUTSIDE.search(after)
    if must and not _IN_PART.search(sentence):
        for pattern in table.of_work:
            yield from pattern.finditer(sentence)
