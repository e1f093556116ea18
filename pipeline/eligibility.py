"""May this profile apply: pass, fail or unknown, each with the clause of the call that says so.

What the call does not say is unknown, never a pass: most EU topics only point to an annex. A false
fail hides money, so a sentence closes a call only where its grammar leaves no other reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from pipeline import hubs, kinds
from pipeline.deadlines import disputed_deadlines, entry_deadlines, next_deadline, on
from pipeline.nuts import countries, same, stated_regions
from pipeline.prose import clauses
from pipeline.schema import Call, Eligibility, Profile, Rule, Verdict
from pipeline.thresholds import budget, decided, differ, readiness

_COMPANIES = ("sme", "large_company")
_ISO = {"GR": "EL", "GB": "UK"}  # ISO 3166 → NUTS
_EU = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())
_NOUN = (
    r"(?:ondernemers|ondernemingen|bedrijven|mkb['’]?ers|mkb-\w+|organisaties|aanvragers|undernimmers|bedriuwen"
    r"|companies|smes|applicants|businesses|unternehmen)"
)
# Where an applicant has its seat, and not where the work is done or who is served.
_SEAT = re.compile(
    r"\b(?:gevestigd|vestiging|fêstige|fêstiging|established|based|located|registered|ansässig|niedergelassen|sitz)\b"
    rf"|\b{_NOUN}\s+(?:in|uit|yn|út|from|within|binnen|aus)\b",
    re.IGNORECASE,
)
_NO_SEAT = re.compile(
    r"\b(?:plaats\s?(?:te\s+)?vind\w*|vindt\s+plaats|vinden\s+plaats|take\s+place|plakfine|stattfinden|carried\s+out"
    r"|uitgevoerd|gerealiseerd|implemented|durchgeführt|umgesetzt|útfierd|lead\w*|penvoerder|co[-ö]?ordinat\w+"
    r"|penfierder|ten\s+minste\s+één|at\s+least\s+one|partners?)\b"
    rf"|(?<!bedoeld)(?<!bestemd)(?<!open)(?<!intended)(?<!subsidie)(?<!regeling)(?<!^)\s(?:voor|for|foar|für|met|with"
    rf"|mei|mit|bij|aan|to)\s+(?:[\w-]+\s+){{0,3}}?{_NOUN}\b",
    re.IGNORECASE,
)
# Words that bind who applies, and the start of another way in behind a list of areas.
_MUST_BE = re.compile(
    r"\b(?:moet(?:en)?|dien(?:t|en)|uitsluitend|alleen|enkel|slechts|must|shall|only|exclusively|ha(?:ve|s)\s+to"
    r"|required|muss|müssen|nur|ausschließlich|moatt?e?|allinnich|allinne|u|je|uw|jouw|jo|your?"
    r"|(?:de\s+)?aanvrager\s+(?:is|heeft)|the\s+applicant\s+(?:is|has))\b",
    re.IGNORECASE,
)
_OR_ELSE = re.compile(
    r"(?i:\b(?:or|of|oder)\s+)(?!(?:in|de|het|the|der|den|een|provin\w+|regio|region)\b)(?-i:[a-z])"
)
# Who the partners must be, or how many at most: a count alone does not tell.
_COMPOSED = re.compile(
    r"\b(?:smes?|mkb\w*|mkb-\w+|compan\w+|ondernem\w+|bedrij\w+|unternehmen|bedriuw\w*|undernim\w+|universit\w+"
    r"|hogescho\w+|hochschul\w+|research|kennis\w+|onderzoek\w*|forschung\w*|public|overhe\w+|gemeente\w*"
    r"|municipal\w*|hubs?|edihs?|end[- ]?users?|eindgebruikers?|industr\w+|startups?|start-ups?|sectors?"
    r"|disciplin\w+|regions?|regio\w*|provinc\w+|of\s+which|of\s+whom|waarvan|wêrfan|davon|including|waaronder|maximum|maximaal"
    r"|at\s+most|ten\s+hoogste|hoogstens|höchstens|up\s+to|no\s+more\s+than|between|tussen|except\w*|tenzij|unless)\b",
    re.IGNORECASE,
)
_OF_COUNTRIES = re.compile(
    r"\b(?:eu|member\s+states?|lidsta\w+|mitgliedst\w+|lidsteat\w*|eligible|participating|associated|deelnemende"
    r"|europe\w*|union)\b",
    re.IGNORECASE,
)
_OF_AREA = re.compile(
    r"\b(?:programme|program|programma\w*|area|gebied|participating|deelnemende)\b", re.IGNORECASE
)


def eligibility(profile: Profile, call: Call, as_of: date) -> Eligibility:
    """All rules for one profile and one call, as of a day."""
    rules = (
        _time(call, as_of),
        _applicant(profile, call),
        _region(profile, call),
        _consortium(profile, call),
        readiness(profile, call),
        budget(profile, call),
    )
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


def _applicant(profile: Profile, call: Call) -> Rule:
    """The kind of organisation against those that the call names, leaves out or closes itself to."""
    printed = call.printed.get("applicants") or ""
    texts = (("", call.conditions or ""), *((section.heading, section.text) for section in call.sections))
    clause = _hubs_clause((*(text for _, text in texts), printed))
    if clause is not None:
        return decided(call, "applicant", _of_hubs(profile, clause), clause, "applicants")
    disputed = differ(call, "applicants")
    if disputed:
        return decided(call, "applicant", "unknown", disputed, "applicants")
    listed = tuple(part for part in re.split(r"; | … ", printed) if part.strip())
    verdict, found = _of_kind(profile.kind, kinds.said(texts, listed, frozenset(call.regions)))
    return decided(call, "applicant", verdict, found or printed, "applicants")


def _of_kind(kind: str, said: tuple[kinds.Said, ...]) -> tuple[Verdict, str | None]:
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
    if closes and kind not in kinds.OF_ANY_FORM and not (partly or doubted):
        return "fail", closes.clause
    if names and not (denied or doubted or narrows):
        return "pass", names.clause
    first = denied or narrows or (doubted if names else partly)  # a doubt alone is seldom about applying
    return "unknown", first.clause if first else None


def _of_hubs(profile: Profile, clause: str) -> Verdict:
    """Calls for designated European Digital Innovation Hubs are closed to companies.

    Whether another organisation is, or is part of, a designated hub only its designation can tell: while
    that is not stated, a hub, and who speaks of an EDIH in its own profile, stays unknown.
    """
    if profile.designated_hub:
        return "pass" if hubs.for_every_hub(clause) else "unknown"
    if profile.designated_hub is False:
        return "fail" if hubs.for_designated_alone(clause) else "unknown"
    own = " ".join((profile.name, profile.description, *profile.offers))
    may_be_one = profile.kind not in _COMPANIES and (profile.kind == "hub" or hubs.EDIH.search(own))
    return "unknown" if may_be_one else "fail"


@lru_cache(maxsize=1 << 13)
def _hubs_clause(texts: tuple[str, ...]) -> str | None:
    """The sentence that closes a call to all but hubs; remembered, since every profile asks."""
    return hubs.hubs_clause(texts)


def _region(profile: Profile, call: Call) -> Rule:
    """Where the applicant is against where the call states that applicants must be.

    A list of regions may be where projects take place, so only a sentence about the seat decides.
    """
    printed = call.printed.get("regions") or ""
    disputed = differ(call, "regions")
    texts = (("", printed), *((section.heading, section.text) for section in call.sections))
    clause = _seat_clause(texts, frozenset(call.regions)) if call.regions and not disputed else None
    verdict = _lies_in(profile, call.regions) if clause else "unknown"
    if verdict == "fail" and clause and (_OR_ELSE.search(clause) or not _MUST_BE.search(clause)):
        verdict = "unknown"  # it names who is meant, and shuts out nobody
    return decided(call, "region", verdict, disputed or clause or printed, "regions")


@lru_cache(maxsize=1 << 13)
def _seat_clause(texts: tuple[tuple[str, str], ...], areas: frozenset[str]) -> str | None:
    """The sentence that asks every applicant to be in just these areas."""
    for heading, text in texts:
        for sentence in clauses([text]) if _SEAT.search(text) else ():
            found, words = stated_regions([sentence], heading or None)
            if words and frozenset(found) == areas and _SEAT.search(words) and not _NO_SEAT.search(words):
                return words
    return None


def _lies_in(profile: Profile, areas: Iterable[str]) -> Verdict:
    """Whether all places of a profile lie in some of the areas, or all outside; unknown where it is only told
    more broadly than the areas are."""
    country = _ISO.get(profile.country, profile.country)
    wanted = [code for area in areas for code in same(_ISO.get(area[:2], area[:2]) + area[2:])]
    own = [code for code in profile.nuts if _ISO.get(code[:2], code[:2]) == country] or [country]
    codes = [tuple(same(_ISO.get(code[:2], code[:2]) + code[2:])) for code in own]
    inside = [any(code.startswith(area) for code in versions for area in wanted) for versions in codes]
    around = [any(area.startswith(code) for code in versions for area in wanted) for versions in codes]
    if all(inside):
        return "pass"
    return "unknown" if any(inside) or any(around) or len(own) < len(profile.nuts) else "fail"


def _consortium(profile: Profile, call: Call) -> Rule:
    """Whether the partners that are ready are enough; too few are no fail, since partners can be found."""
    disputed = differ(call, "consortium")
    clause = disputed or call.printed.get("consortium")
    least = call.consortium.min_partners
    verdict: Verdict = "unknown"
    if clause and least and not disputed and not _COMPOSED.search(clause):
        together = least == 1 or (profile.partners is not None and profile.partners + 1 >= least)
        verdict = "pass" if together and _from_enough(profile, call, clause) else "unknown"
    return decided(call, "consortium", verdict, clause, "consortium")


def _from_enough(profile: Profile, call: Call, clause: str) -> bool:
    """Whether profile and partners come from enough countries, of those that surely count."""
    named = {
        code
        for name, code in countries().items()
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", clause.lower())
    }
    least = call.consortium.min_countries
    if least is None or least <= 1:
        asks = re.search(r"\b(?:countr\w+|land(?:en)?|länder\w*|lannen)\b", clause, re.IGNORECASE)
        return least == 1 or not (named or asks or _OF_COUNTRIES.search(clause))
    own = {_ISO.get(code, code) for code in (profile.country, *profile.partner_countries)}
    if named or _OF_AREA.search(clause):
        return False  # only some countries count
    return len(own & _EU if _OF_COUNTRIES.search(clause) else own) >= least
