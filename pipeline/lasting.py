"""Applying without a fixed end, or until the money is spent, in running text (nl, fy, en, de)."""

from __future__ import annotations

import re

from pipeline.applying import SPENT, Part, always, only_of_applying, parts, sentences, speaks_of_applying
from pipeline.moments import DATE, dates, lower
from pipeline.stages import stage_of


def open_ended(text: str, labelled: bool = False) -> str | None:
    """The sentence that states that one can apply at any time; one with an end or an exception does not."""
    for sentence in sentences(text):
        said = _WITHOUT_ROUNDS.sub("", sentence)
        small = lower(said)
        if not always().search(small) or DATE.search(small) or _EXCEPT.search(small) or small.endswith("?"):
            continue
        for part in parts(small, []):
            clause = small[part.start : part.end]
            if not only_of_applying(said, part):
                break
            if always().search(clause) and (labelled or speaks_of_applying(clause)) and not _other(clause):
                return sentence[:300]
    return None


def until_spent(text: str) -> str | None:
    """The sentence that states that applying ends when the money is spent.

    An order of award that ends there is the same only where the first come are served.
    """
    for sentence in sentences(text):
        small = lower(sentence)
        spent = SPENT.search(small)
        if not spent or _RANKED.search(small) or small.endswith("?"):
            continue
        end = spent.end()
        start = max(small.rfind(sign, 0, end) + 1 for sign in ("; ", ": "))
        part = Part(start, end, [found for found in dates(small) if start <= found.start < found.end <= end])
        told = only_of_applying(sentence, part) and speaks_of_applying(small[start:end])
        if told or _FIRST_SERVED.search(small):
            return sentence[:300]
    return None


def _other(clause: str) -> bool:
    """Whether "at any time" is of how one applies, of closing, or within a period or a stage."""
    rest = always().sub(" ", clause)
    how = _ALWAYS.search(clause) and not _CAN.search(rest)
    return bool(how or stage_of(clause) or _MUST_OR_CLOSE.search(rest) or _WITHIN.search(rest))


_FIRST_SERVED = re.compile(
    r"\bop ?= ?op\b|\bop is op\b|\bfirst[- ]come\b|\bwie het eerst komt\b|\bwindhund|"
    r"\b(?:volgorde|folchoarder) (?:van|fan) (?:de )?(?:binnenkomst|ontvangst|indiening|ûntfangst)|"
    r"\border (?:of (?:receipt|arrival|submission)|in which)\b|\breihenfolge (?:des|ihres) \w*eingangs\b"
)
_RANKED = re.compile(
    r"\b(?:(?:ge)?rang(?:schik|orde|lijst)|rank|punten\b|punkt|scor|points\b|loting|lotting|lottery|geloot|hoogst|"
    r"heechst|highest|höchst|best(?:e|en)?\b)"
)
_EXCEPT = re.compile(
    r"\b(?:tenzij|mits|behalve|unless|except|sofern|útsein|maar|but|aber|mar|echter|however|jedoch|allerdings)\b"
)
_WITHOUT_ROUNDS = re.compile(
    r"^(?:there (?:are|is) no|(?:the|this) (?:programme|scheme|fund) (?:has no|does not work with)|"
    r"er zijn geen|(?:de|deze) regeling kent geen|het programma (?:kent geen|werkt niet met)|es gibt keine|"
    r"das programm (?:hat keine|arbeitet nicht mit)) (?:fixed |set |vaste |festen? )?"
    r"(?:calls?|rounds?|deadlines?|cut-offs?|oproepen|rondes?|tenders?|fristen|runden|aufrufen?)"
    r"(?: (?:in|for|voor|bij) (?:the|this|de|deze|dit|het) \w+)?(?::|;| -|,? (?:so|dus|zodat|sodass)) ",
    re.IGNORECASE,
)
_ALWAYS = re.compile(r"\b(?:altijd|altyd|te allen tijde)\b")
_CAN = re.compile(r"\b(?:kunt|kun|kan|kunnen|mag|mogen|kin|kinne|mogelijk|mooglik|open|iepen)\b")
_MUST_OR_CLOSE = re.compile(
    r"\b(?:moet|moeten|moat|moatte|dient|dienen|must|should|muss|müssen|sollen|sluit|sluiten|slút|slute|closed?|"
    r"closes|schließt|verlengd|extended)\b"
)
_WITHIN = re.compile(
    r"\b(?:tot|v[oó]{2}r|binnen|tijdens|in|oant|foar|yn|until|till|before|by|within|bis|vor|im) "
    r"(?:(?:de|het|een|deze|the|a|this|each|der|die|den|dem|zum|zur|it|dizze) ){0,2}(?:\w+ )?"
    r"(?:deadlines?|\w*sluiting\w*|einddatum|openstelling\w*|aanvraag(?:periode|termijn|tijdvak|ronde)|rondes?|"
    r"oanfraachperioade|rûnten?|closing|cut-?offs?|rounds?|window|calls?|period|\w*frist|stichtag|einsendeschluss)\b"
)
