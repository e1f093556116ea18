"""May this profile apply: pass, fail or unknown, each with the clause of the call that says so.

What the call does not say is unknown, never a pass: most EU topics only point to an annex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from pipeline.normalise import next_deadline, sentences
from pipeline.schema import Call, Eligibility, Profile, Rule, Verdict

_EDIH = r"(?:European\s+Digital\s+Innovation\s+Hubs?|E-?DIHs?)\b"
_ONLY_HUBS = re.compile(
    rf"\b(?:only|limited to|restricted to|reserved for)\b[^.]{{0,160}}{_EDIH}|{_EDIH}[^.]{{0,120}}\bonly\b",
    re.IGNORECASE,
)
_MAY_APPLY = re.compile(
    r"\b(?:open|apply|applicants?|eligible|participa\w+|submit\w*|proposals?)\b", re.IGNORECASE
)


def eligibility(profile: Profile, call: Call, as_of: date) -> Eligibility:
    """All rules for one profile and one call, as of a day."""
    rules = (_time(call, as_of), _applicant(profile, call), _consortium(call))
    return Eligibility(verdict=overall(rule.verdict for rule in rules), rules=rules)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """One fail fails; all must pass to pass; anything else is unknown."""
    given = set(verdicts)
    if "fail" in given:
        return "fail"
    return "pass" if given == {"pass"} else "unknown"


def _time(call: Call, as_of: date) -> Rule:
    """In time while a deadline that a newcomer can meet lies ahead."""
    ahead = next_deadline(call, as_of)
    if ahead:
        return Rule(rule="time", verdict="pass", clause=ahead.printed, url=call.url)
    if call.deadlines:
        return Rule(rule="time", verdict="fail", clause=call.deadlines[-1].printed, url=call.url)
    return Rule(rule="time", verdict="unknown", clause=None)


def _applicant(profile: Profile, call: Call) -> Rule:
    """Calls for designated European Digital Innovation Hubs are closed to everybody else."""
    texts = [call.conditions or "", *(section.text for section in call.sections)]
    for sentence in (sentence for text in texts for sentence in sentences(text)):
        if _ONLY_HUBS.search(sentence) and _MAY_APPLY.search(sentence):
            # a hub may or may not be among the designated ones: only its designation can tell
            verdict: Verdict = "unknown" if profile.kind == "hub" else "fail"
            return Rule(rule="applicant", verdict=verdict, clause=sentence[:600], url=call.url)
    return Rule(rule="applicant", verdict="unknown", clause=None)


def _consortium(call: Call) -> Rule:
    """Whether partners are needed; whether the profile has them is not known here."""
    clause = call.printed.get("consortium")
    return Rule(rule="consortium", verdict="unknown", clause=clause, url=call.url if clause else None)
