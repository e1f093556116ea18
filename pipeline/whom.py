"""Whether a kind of organisation may apply, by all that a call's texts and its list of applicants say.

A sentence that is not understood can still narrow its neighbours: below a heading such as "Voor wie?" it
takes their say away, and so does one that asks for a size, an age or a trade.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from pipeline.kinds import EVERYONE, LEAD, OF_ANY_FORM, ONLY, Kinds, Said, read
from pipeline.prose import clauses
from pipeline.schema import Verdict
from pipeline.terms import WHO

_PART = re.compile(
    r"\b(?:lot|strand|track|work\s+strand|part\s+\w|onderdeel|spoor|module|lijn|perceel|pijler|pillar"
    r"|category"
    r"|categorie|stage|phase|fase|voucher)\b",
    re.IGNORECASE,
)
# Headings over what others than the applicants get, and over who may not apply.
_OF_OTHERS = re.compile(
    r"\bthird\s+part(?:y|ies)\b|\bderden\b|\bfstp\b|\bcascad\w+|\bsub-?grant\w*|\bvouchers?\b"
    r"|\bopen\s+calls?\b"
    r"|\binfo\w*\s+(?:sessions?|days?)\b|\bworkshops?\b|\bwebinars?\b|\bevents?\b|\b\w*bijeenkomst\w*"
    r"|\b(?:outcomes?|impacts?)\b",
    re.IGNORECASE,
)
_OF_NOBODY = re.compile(
    r"\b(?:niet|geen|not|no|nicht|kein\w*|net|gjin|uitgesloten|uitgezonderd|exclu\w+|weiger\w+)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:moet(?:en)?|dien(?:t|en)|must|shall|ha(?:ve|s)\s+to|mits|als|indien|wanneer|if|provided|minimaal"
    r"|ten\s+minste|at\s+least|maximaal|minder\s+dan|meer\s+dan|less\s+than|more\s+than|voorwaarde\w*"
    r"|u\s+bent|uw\s+\w+\s+(?:is|heeft))\b",
    re.IGNORECASE,
)
# What speaks of another thing than the applicant, or asks the reader to look elsewhere.
_OF_ELSE = re.compile(
    r"^\W*(?:(?:(?:de|het|deze|dit|een|met|in|voor|the|this|a|an|with|under)\s+)*(?:hoogte|subsidie\w*"
    r"|regeling|project\w*"
    r"|aanvra(?:ag|gen)|openstelling|budget|bijdrage|kosten|doel|programma|call|grants?|scheme|topic"
    r"|funding|aim"
    r"|proposals?|applications?|budget|costs?)\b|er\s+is|there\s+is|lees|bekijk|kijk|meer\s+\w+|neem|vraag"
    r"|doe"
    r"|see|read|more|check|contact|for\s+more|please|questions?|vragen)\b",
    re.IGNORECASE,
)
_A_TITLE = re.compile(r"[:?]$")
_MEANT = re.compile(
    r"\b(?:bedoeld|bestemd|geldt|gelden|richt|gericht|geschikt|intended|aimed|targets?|meant|designed"
    r"|ornearre|richtet|gilt)\b"
    rf"|\b(?:is|are|zijn)\s+(?:er\s+)?(?:voor|for)\b|\b{ONLY}\b",
    re.IGNORECASE,
)
_NARROWS = re.compile(
    rf"^\W*(?:{ONLY}|mits|provided|if|in|uit|from|with|met|actief|active|gevestigd|established|die|that"
    rf"|which)\b",
    re.IGNORECASE,
)
_TO_BE_ELIGIBLE = re.compile(
    r"^\W*(?:eligible\s+\w+\s+(?:are|is|must)|(?:to\s+be\s+eligible"
    r"|om\s+in\s+aanmerking\s+te\s+komen)\b[^.]{0,30}?\b"
    r"(?:applicants?|smes?|compan\w+|organi[sz]ation\w*|entit\w+|u|uw|aanvragers?|ondernem\w+|bedrij\w+))\b",
    re.IGNORECASE,
)
# Size, age or trade of whoever applies: it narrows a kind wherever it stands.
_OF_APPLICANT = re.compile(
    r"^\W*(?:(?:u|jij|je|you|(?:uw|jouw|your|de|het|the|een|an?)\s+(?:\w+\s+)?(?:onderneming|bedrijf"
    r"|organisatie|aanvrager|applicant"
    r"|company|business|enterprise|organi[sz]ation)|aanvragers|applicants)\b)(?!.{0,60}\b(?:niet|not|geen"
    r"|no)\b).{0,80}?"
    r"(?:\b(?:medewerkers|werknemers|personeelsleden|fte|employees|staff|omzet|turnover|sbi|sbi-code\w*"
    r"|nace|jaar\s+oud"
    r"|jaar\s+(?:bestaat|actief|geleden)|years?\s+old|opgericht|founded|incorporated|bestaat)\b"
    r"|\b(?:actief|werkzaam|active)\s+(?:is\s+)?(?:in|binnen)\b|\bbehoort\s+tot\b"
    r"|\bbelongs\s+to\b|\b\w*(?:landbouw|visserij|industrie|toeris\w+|sector|branche)\b)"
    r"|^\W*u\s+(?:bent|hebt|heeft)\s+(?:\w+\s+){0,3}?(?!mkb)\w+(?:bedrijf|onderneming|houderij|houder"
    r"|winkel)\b"
    r"|^\W*(?:applicants|beneficiaries|participants|aanvragers|deelnemers)\s+(?:must|shall|have\s+to"
    r"|should|moeten|dienen)\s+"
    r"(?:(?:be|zijn)\s+(?!(?:established|located|based|registered|gevestigd)\b)|hold|have|possess|own"
    r"|beschikken|lid)",
    re.IGNORECASE,
)


def verdict(kind: str, said: tuple[Said, ...]) -> tuple[Verdict, str | None]:
    """The verdict for a kind, with its sentence.

    It passes where it is named as a whole and no sentence takes that back; it fails where it is shut out, or
    missing where the call lists all, and no sentence names it.
    """
    denied = next((s for s in said if kind in s.denied), None)
    doubted = next((s for s in said if kind in s.doubted), None)
    names = next((s for s in said if kind in s.whole), None)
    closes = next((s for s in said if s.closes and kind not in s.some), None)
    narrows = next((s for s in said if s.closes and kind not in s.whole), None)
    partly = next((s for s in said if kind in s.some), None)
    if denied and not (names or doubted):
        return "fail", denied.clause
    joins = any(kind in s.joining for s in said)
    if closes and kind not in OF_ANY_FORM and not (partly or doubted or joins):
        return "fail", closes.clause
    if names and not (denied or doubted or narrows):
        return "pass", names.clause
    first = denied or narrows or (doubted if names else partly)  # a doubt alone is seldom about applying
    return "unknown", first.clause if first else None


@lru_cache(maxsize=1 << 12)
def said(texts: tuple[tuple[str, str], ...], listed: tuple[str, ...], areas: Kinds) -> tuple[Said, ...]:
    """What a call's texts, each with its heading, and its list of applicants say of who may apply."""
    told = [(heading, tuple(clauses([text]))) for heading, text in texts]
    printed = {sentence for _, sentences in told for sentence in sentences}
    alone = [item for item in listed if " ".join(item.split()) not in printed]  # else its section tells more
    of_sections = [found for heading, sentences in told for found in _of_section(heading, sentences, areas)]
    return (*_of_list(alone, areas), *of_sections)


def _of_list(listed: Iterable[str], areas: Kinds) -> Iterator[Said]:
    for item in listed:
        if found := read(item, listed=True, areas=areas):
            yield found
        elif _NARROWS.search(item):
            yield Said(item, doubted=EVERYONE)


def _of_section(heading: str, sentences: Iterable[str], areas: Kinds) -> Iterator[Said]:
    of_nobody = _OF_NOBODY.search(heading) is not None
    of_who = WHO.search(heading) is not None and not of_nobody
    pairs = [(sentence, read(sentence, listed=of_who, areas=areas)) for sentence in sentences]
    silent = [sentence for sentence, found in pairs if not found or found.joining]
    unread = next((sentence for sentence in silent if of_who and _may_narrow(sentence)), None)
    for sentence, found in pairs:
        if found and (found.closes or found.denied) and _PART.search(f"{heading} {sentence}"):
            found = Said(sentence, doubted=EVERYONE)
        elif found and (_OF_OTHERS.search(heading) or (of_nobody and not found.denied)):
            found = Said(sentence, doubted=found.some)
        elif found and found.whole and unread:
            found = replace(found, clause=sentence if found.closes else unread, whole=frozenset())
        if found:
            yield found
            yield from _doubts(sentence, found)
        asked = (of_who and _CONDITION.search(sentence)) or _TO_BE_ELIGIBLE.search(sentence)
        if (asked and sentence in silent) or _OF_APPLICANT.search(sentence):
            yield Said(sentence, doubted=EVERYONE)


def _doubts(sentence: str, found: Said) -> Iterator[Said]:
    """Kinds that a sentence leaves in doubt: all but the lead it names, and those of which it means some."""
    if LEAD.search(sentence) and not found.doubted:
        yield Said(sentence, doubted=EVERYONE - found.some)
    if found.some - found.whole and _MEANT.search(sentence) and not found.doubted:
        yield Said(sentence, doubted=found.some - found.whole)


def _may_narrow(sentence: str) -> bool:
    """Whether a sentence below a heading such as "Voor wie?" may say which of those named are meant."""
    return bool(_MEANT.search(sentence)) or not (_OF_ELSE.search(sentence) or _A_TITLE.search(sentence))
