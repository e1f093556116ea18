"""Calls that are left to designated European Digital Innovation Hubs alone, by the sentence that says so."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.prose import sentences

_HUB = r"(?:European\s+Digital\s+Innovation\s+Hubs?|E-?DIHs?)\b"
EDIH = re.compile(_HUB, re.IGNORECASE)
# "the designated", "entities that were selected as": words that still mean the hubs
_OF_HUBS = (
    r"(?:(?:an?|the|those|all|current(?:ly)?|existing|already|established|operational|funded|designated"
    r"|selected|recogni[sz]ed|eligible|initial|legal|entit(?:y|ies)|organi[sz]ations?|hubs?|applicants?"
    r"|proposals?|network|consorti(?:um|a)|of|by|that|which|who|are|is|were"
    r"|was|have|has|been|being|act(?:ing)?|as|the\s+Member\s+States?|their\s+Member\s+States?)\s+){0,14}?"
)
_HUBS = rf"{_OF_HUBS}{_HUB}(?:\s*\([^)]{{0,60}}\))?"
# "EDIH activities" or "EDIHs and SMEs" are not the hubs alone
_ALONE = (
    r"(?=\s*(?:[.,;:]|$|\(|only\b|exclusively\b"
    r"|(?:that|which|who|designated|selected|listed|funded|recogni[sz]ed|established|located|in|from|under"
    r"|with|holding|having|as|may|can|are|is|and\s+(?:to\s+)?(?:holders|(?:entities|hubs)\s+(?:with|holding))"
    r"\s+(?:of\s+)?(?:a|the)\s+seal)\b))"
)
_THIS_CALL = r"(?:this|the)\s+(?:call|topic|action|competition|work\s+strand)(?:\s+for\s+proposals)?"
_APPLICATIONS = (
    r"(?:^|[,:]\s*|\b(?:this|the|these|all|that)\s+(?:restricted\s+)?)(?:calls?(?:\s+for\s+proposals)?|topics?"
    r"|competition|eligibility|(?:eligible\s+)?applicants?|applications?|proposals?|submissions?|participation)"
    rf"(?:\s+(?:in|to|under|for|of)\s+{_THIS_CALL})?"
)
_END = rf"(?=\s*[.,;)]|\s*$|\s+(?:to|under|in|for|within)\s+{_THIS_CALL})"
_MAY_APPLY = (
    rf"(?:(?:may|can|shall)\s+(?:apply|participate|submit\s+(?:an?\s+|their\s+)?(?:applications?|proposals?)"
    rf"|be\s+(?:applicants?|beneficiaries)){_END}"
    rf"|(?:is|are)\s+(?:(?:eligible|allowed|entitled|invited)\s+to\s+(?:apply|participate){_END}"
    rf"|eligible(?:\s+applicants?|\s+for\s+funding)?{_END}))"
)
_BE = r"\s+(?:is|are|shall\s+be|will\s+be)\s+"
_ONLY = r"(?:only|exclusively)"
_ONLY_HUBS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # only designated EDIHs may apply
        rf"(?:^|[,:]\s*|\bthat\s+|^[-–•]\s*){_ONLY}\s+{_HUBS}[^.;]{{0,160}}?\s{_MAY_APPLY}",
        # applications may only be submitted by EDIHs
        rf"{_APPLICATIONS}\s+(?:may|can|must|shall)\s+{_ONLY}\s+be\s+(?:submitted|made)\s+by\s+{_HUBS}{_ALONE}",
        # the call is restricted to EDIHs; is open only to EDIHs; is open to EDIHs only
        rf"{_APPLICATIONS}{_BE}(?:(?:strictly\s+)?(?:limited|restricted|reserved)\s+(?:{_ONLY}\s+)?(?:to|for)"
        rf"|{_ONLY}\s+(?:open\s+)?(?:to|for)|open\s+{_ONLY}\s+(?:to|for))\s+{_HUBS}{_ALONE}",
        rf"{_APPLICATIONS}{_BE}open\s+(?:to|for)\s+{_HUBS}\s+{_ONLY}\b",
        # applicants must be designated EDIHs
        rf"\bapplicants?\s+(?:must|shall|have\s+to|has\s+to)\s+be\s+{_HUBS}{_ALONE}",
        rf"\beligible\s+applicants?(?:{_BE}|\s*:\s*){_ONLY}\s+{_HUBS}{_ALONE}",
    )
)
# Words that open a second door or turn the clause around: then only a person can tell.
_OTHER_DOOR = re.compile(
    r"\b(?:unless|except|where|if|priority|as\s+well\s+as)\b",
    re.IGNORECASE,
)
# "and" or "or" before anybody but hubs; what may follow it is listed, since anything else is a guess.
_ALSO_OTHERS = re.compile(
    r"\b(?:and|or)\b(?!\s+(?:to\s+)?(?:holders|(?:those|entities|hubs)\s+(?:with|holding|awarded|that|which|having)"
    r"|designated|selected|funded|recogni[sz]ed|listed|established|associated|EEA\b|EFTA\b))|[^\s\d]/[^\s\d]",
    re.IGNORECASE,
)
# Which of the designated hubs: then a designation alone does not open the call.
_WHICH_HUBS = re.compile(
    r"\b(?:seal|selected|funded|awarded|listed|established|located|initial|operational|recogni[sz]ed|with|from"
    rf"|having|holding|holders|those|(?:in|under|of|for)(?!\s+{_THIS_CALL}))\b",
    re.IGNORECASE,
)
# "and holders of a seal": some who are not designated may come too.
_OTHER_HOLDERS = re.compile(r"\b(?:and|or)\s+(?:to\s+)?(?:holders|those|entities|hubs)\b", re.IGNORECASE)


def only_for_hubs(sentence: str) -> bool:
    """Whether a sentence closes a call to all but designated European Digital Innovation Hubs."""
    found = next((match for pattern in _ONLY_HUBS if (match := pattern.search(sentence))), None)
    if found is None or _OTHER_DOOR.search(sentence):
        return False
    return not _ALSO_OTHERS.search(sentence, found.start())


def hubs_clause(texts: Iterable[str]) -> str | None:
    """The first sentence that closes a call to all but hubs."""
    about = (text for text in texts if EDIH.search(text))
    return next((s for text in about for s in sentences(text) if only_for_hubs(s)), None)


def for_every_hub(clause: str) -> bool:
    """Whether a designation alone is enough for a clause: it asks for no seal, grant, list or place."""
    return not _WHICH_HUBS.search(clause)


def for_designated_alone(clause: str) -> bool:
    """Whether nobody without a designation can come in, as holders of a seal might."""
    return not _OTHER_HOLDERS.search(clause)
