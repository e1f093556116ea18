"""May this profile apply: pass, fail or unknown, each with the clause of the call that says so.

What the call does not say is unknown, never a pass: most EU topics only point to an annex. A false
fail hides money, so a sentence closes a call only where its grammar leaves no other reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from pipeline.deadlines import disputed_deadlines, entry_deadlines, next_deadline, on
from pipeline.prose import sentences
from pipeline.schema import Call, Eligibility, Profile, Rule, Verdict

_HUB = r"(?:European\s+Digital\s+Innovation\s+Hubs?|E-?DIHs?)\b"
_EDIH = re.compile(_HUB, re.IGNORECASE)
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
_COMPANIES = ("sme", "large_company")


def eligibility(profile: Profile, call: Call, as_of: date) -> Eligibility:
    """All rules for one profile and one call, as of a day."""
    rules = (_time(call, as_of), _applicant(profile, call), _consortium(call))
    return Eligibility(verdict=overall(rule.verdict for rule in rules), rules=rules)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """One fail fails; all must pass to pass; anything else, also no rule at all, is unknown."""
    given = set(verdicts)
    if "fail" in given:
        return "fail"
    return "pass" if given == {"pass"} else "unknown"


def _time(call: Call, as_of: date) -> Rule:
    """In time while a deadline that a newcomer can meet lies ahead, or while there is no fixed end; late once
    the last deadline is past; unknown while the call's documents differ."""
    ahead = next_deadline(call, as_of)
    if ahead:
        return Rule(rule="time", verdict="pass", clause=ahead.printed, url=call.url)
    disputed = disputed_deadlines(call)
    if disputed and not call.deadlines:
        clause = " / ".join(claim.printed for claim in disputed.claims)
        return Rule(rule="time", verdict="unknown", clause=clause[:600], url=call.url)
    if call.rolling and not call.deadlines:
        return Rule(rule="time", verdict="pass", clause=call.printed.get("rolling"), url=call.url)
    last = (entry_deadlines(call) or call.deadlines)[-1:]
    if last and on(last[0]) < as_of:
        return Rule(rule="time", verdict="fail", clause=last[0].printed, url=call.url)
    return Rule(rule="time", verdict="unknown", clause=None)


def only_for_hubs(sentence: str) -> bool:
    """Whether a sentence closes a call to all but designated European Digital Innovation Hubs."""
    found = next((match for pattern in _ONLY_HUBS if (match := pattern.search(sentence))), None)
    if found is None or _OTHER_DOOR.search(sentence):
        return False
    return not _ALSO_OTHERS.search(sentence, found.start())


def _applicant(profile: Profile, call: Call) -> Rule:
    """Calls for designated European Digital Innovation Hubs are closed to companies.

    Whether another organisation is, or is part of, a designated hub only its designation can tell: a
    hub, and who speaks of an EDIH in its own profile, stays unknown.
    """
    clause = _hubs_clause((call.conditions or "", *(section.text for section in call.sections)))
    if clause is None:
        return Rule(rule="applicant", verdict="unknown", clause=None)
    own = " ".join((profile.name, profile.description, *profile.offers))
    may_be_one = profile.kind not in _COMPANIES and (profile.kind == "hub" or _EDIH.search(own))
    verdict: Verdict = "unknown" if may_be_one else "fail"
    return Rule(rule="applicant", verdict=verdict, clause=clause[:600], url=call.url)


@lru_cache(maxsize=1 << 13)
def _hubs_clause(texts: tuple[str, ...]) -> str | None:
    """The sentence that closes a call to all but hubs; remembered, since every profile asks."""
    about = (text for text in texts if _EDIH.search(text))
    return next((s for text in about for s in sentences(text) if only_for_hubs(s)), None)


def _consortium(call: Call) -> Rule:
    """Whether partners are needed; whether the profile has them is not known here."""
    clause = call.printed.get("consortium")
    return Rule(rule="consortium", verdict="unknown", clause=clause, url=call.url if clause else None)
