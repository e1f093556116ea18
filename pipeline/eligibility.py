"""May this profile apply: pass, fail or unknown, each with the clause of the call that says so.

What the call does not say is unknown, never a pass: most EU topics only point to an annex. A false
fail hides money, so a sentence closes a call only where its grammar leaves no other reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from pipeline import hubs, whom
from pipeline.deadlines import entry_deadlines, next_deadline, on
from pipeline.nuts import ISO, same, stated_regions
from pipeline.prose import clauses
from pipeline.schema import Call, Eligibility, Profile, Rule, Verdict
from pipeline.thresholds import budget, decided, differ, readiness

_COMPANIES = ("sme", "large_company")
_EU = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())
_NOUN = (
    r"(?:ondernemers|ondernemingen|bedrijven|mkb['’]?ers|mkb-\w+|organisaties|aanvragers|undernimmers"
    r"|bedriuwen"
    r"|companies|smes|applicants|businesses|unternehmen)"
)
# Where an applicant has its seat, and not where the work is done or who is served.
_SEAT = re.compile(
    r"\b(?:gevestigd|vestiging|fêstige|fêstiging|established|based|located|registered|ansässig"
    r"|niedergelassen|sitz)\b"
    rf"|\b{_NOUN}\s+(?:in|uit|yn|út|from|within|binnen|aus)\b",
    re.IGNORECASE,
)
_NO_SEAT = re.compile(
    r"\b(?:plaats\s?(?:te\s+)?vind\w*|vindt\s+plaats|vinden\s+plaats|take\s+place|plakfine|stattfinden"
    r"|carried\s+out"
    r"|uitgevoerd|gerealiseerd|implemented|durchgeführt|umgesetzt|útfierd|lead\w*|penvoerder"
    r"|co[-ö]?ordinat\w+"
    r"|penfierder|ten\s+minste\s+één|at\s+least\s+one|partners?)\b"
    rf"|(?<!bedoeld)(?<!bestemd)(?<!open)(?<!intended)(?<!subsidie)(?<!regeling)(?<!^)\s(?:voor|for|foar"
    rf"|für|met|with"
    rf"|mei|mit|bij|aan|to)\s+(?:[\w-]+\s+){{0,3}}?{_NOUN}\b",
    re.IGNORECASE,
)
# Words that bind who applies, and the start of another way in behind a list of areas.
_MUST_BE = re.compile(
    r"\b(?:moet(?:en)?|dien(?:t|en)|uitsluitend|alleen|enkel|slechts|must|shall|only|exclusively|ha(?:ve"
    r"|s)\s+to"
    r"|required|muss|müssen|nur|ausschließlich|moatt?e?|allinnich|allinne|u|je|uw|jouw|jo|your?"
    r"|(?:de\s+)?aanvrager\s+(?:is|heeft)|the\s+applicant\s+(?:is|has))\b",
    re.IGNORECASE,
)
# A kind of place within the areas that are named, or without.
_WITHIN = re.compile(
    r"\b(?:\w*gebied\w*|areas?|zones?|uitzonder\w+|except\w*|behalve|grenz\w+|nabij|near|buiten|outside"
    r"|ausgenommen|dorp\w*|stad\w*|steden|wijk\w*|kern(?:en)?|inwoners|villages?|towns?|city|cities"
    r"|inhabitants"
    r"|districts?|rural|urban|plattelands?\w*|doarp\w*|stêd\w*|dörfer|dorf|städte|einwohner\w*)\b",
    re.IGNORECASE,
)
# All that a clause may say beside names of places to shut out those elsewhere: more may open a way in.
_SEAT_ALONE = re.compile(
    r"^[\W\d]*(?:(?:uw|je|jouw|u|jo|bent|onderneming(?:en)?|bedrij(?:f|ven)|organisaties?|vestiging|heeft"
    r"|hebt|hebben"
    r"|de|het|een|aanvragers?|ondernemers?|mkb|mkb-\w+|is|zijn|staat|moet(?:en)?|dien(?:t|en)|te|alleen"
    r"|uitsluitend"
    r"|enkel|gevestigd|in|uit|binnen|provincies?|regio|en|of|kunnen|kan|aanvragen|subsidie|ingeschreven"
    r"|the|your|applicants?|compan(?:y|ies)|organi[sz]ations?|smes?|legal|entit(?:y|ies)|must|shall|has"
    r"|have|to|be"
    r"|are|established|based|located|registered|within|from|province|region|and|or|only|can|may|apply"
    r"|eligible"
    r"|bedriuw(?:en)?|undernim\w+|moatt?e?|fêstige|yn|út|allinnich|wêze|oanfreegje|kinne|fan"
    r"|unternehmen|antragsteller|muss|müssen|ihren?|sitz|haben|ansässig|aus|nur|sein|und|oder|der"
    r"|die)\b[\W\d]*"
    r"|(?<=[\s(])(?-i:[A-ZÀ-Þ])[\w'’-]+[\W\d]*)++$",
    re.IGNORECASE,
)
# All that a clause may say for counts of partners and countries to be enough: another word may ask for more.
_PLAIN = re.compile(
    r"(?:[\s\d.,;:()–-]|\b(?:an?|one|two|three|four|five|six|the|at|least|minimum|independent|legal"
    r"|entit(?:y|ies)|partners?"
    r"|part(?:y|ies)|applicants?|beneficiar(?:y|ies)|organi[sz]ations?|not\s+affiliated\s+entities"
    r"|affiliated\s+entities\s+do\s+not\s+count|for\s+(?:both|all)\s+scopes(?:\s+[A-C]\s+and\s+[B-D])?"
    r"|needs?|participants?|proposals?|projects?"
    r"|consorti(?:um|a)|must|shall|should|may|can|be|is|are|submit(?:ted)?|apply|by|or|alone|single"
    r"|individual|consists?"
    r"|consisting|composed|compris(?:es?|ing)|includ(?:es?|ing)|involv(?:es?|ing)|of|from|in|with|each"
    r"|every|them|established|located|based|different"
    r"|countr(?:y|ies)|member|states?|eligible|associated|eu|european|union"
    r"|een|één|twee|drie|vier|vijf|zes|de|het|ten|tenminste|minste|minimaal|minstens|onafhankelijke?"
    r"|partijen|deelnemers"
    r"|aanvragers?|organisaties|samenwerkingsverband(?:en)?|consortium|project|bestaa?t?n?d?e?|moet(?:en)?"
    r"|dien(?:t|en)|te"
    r"|uit|van|met|elk|ieder|gevestigd|verschillende|andere?|land(?:en)?|lidsta(?:at|ten)|eu-land(?:en)?"
    r"|kan|kunnen"
    r"|alleen|aanvragen|indienen|worden|ingediend|door|individuele?"
    r"|ien|twa|trije|fjouwer|op|syn|minst|dielnimmers|gearwurkingsferb\w*|út|lannen|ferskillende|moatt?e?"
    r"|ein(?:e|em|en|er)?|zwei|drei|vier|fünf|mindestens|unabhängige[nr]?|partnern?|einrichtungen"
    r"|organisationen|konsorti\w+"
    r"|verbund\w*|aus|verschiedenen|ländern|mitgliedstaaten|muss|müssen|besteh(?:t|en)|jeweils)\b)++",
    re.IGNORECASE,
)
_OF_COUNTRIES = re.compile(
    r"\b(?:eu|member\s+states?|lidsta\w+|mitgliedst\w+|lidsteat\w*|eligible|participating|associated"
    r"|deelnemende"
    r"|europe\w*|union)\b",
    re.IGNORECASE,
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
    the last deadline is past; unknown while the call's documents differ, or say that it takes nobody now."""
    ahead = next_deadline(call, as_of)
    disputed = differ(call, "deadlines")
    last = (entry_deadlines(call) or call.deadlines)[-1:]
    shut = _shut(call)
    if last and not ahead and on(last[0]) < as_of:
        return decided(call, "time", "fail", last[0].printed, "deadlines")
    if shut:
        told = [d.printed[shut] for d in call.documents if shut in d.printed] or [call.printed.get(shut, "")]
        return decided(call, "time", "unknown", " / ".join(dict.fromkeys(told)), shut)
    if ahead:
        return decided(call, "time", "pass", ahead.printed, "deadlines")
    if disputed and not call.deadlines:
        return decided(call, "time", "unknown", disputed, "deadlines")
    if call.rolling and not call.deadlines:
        return decided(call, "time", "pass", call.printed.get("rolling"), "rolling")
    return decided(call, "time", "unknown", None)


def _shut(call: Call) -> str | None:
    """The field by which a call takes no applications whatever its dates say: it is closed, or spent."""
    if call.claimed_status == "closed" and call.status != "forthcoming":
        return "claimed_status"
    return "remaining_budget_eur" if call.remaining_budget_eur == 0 else None


def _applicant(profile: Profile, call: Call) -> Rule:
    """The kind of organisation against those that the call names, leaves out or closes itself to."""
    printed = call.printed.get("applicants") or ""
    texts = (("", call.conditions or ""), *((section.heading, section.text) for section in call.sections))
    clause = reserved_for_hubs(call)
    if clause is not None:
        return decided(call, "applicant", _of_hubs(profile, clause), clause, "applicants")
    disputed = differ(call, "applicants")
    if disputed:
        return decided(call, "applicant", "unknown", disputed, "applicants")
    listed = tuple(part for part in re.split(r"; | … ", printed) if part.strip())
    verdict, found = whom.verdict(profile.kind, whom.said(texts, listed, frozenset(call.regions)))
    return decided(call, "applicant", verdict, found or printed, "applicants")


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


def reserved_for_hubs(call: Call) -> str | None:
    """The sentence of a call that closes it to all but designated European Digital Innovation Hubs."""
    texts = (call.conditions or "", *(section.text for section in call.sections))
    return _hubs_clause((*texts, call.printed.get("applicants") or ""))


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
    if clause and _fits_loosely(verdict, clause):
        verdict = "unknown"
    return decided(call, "region", verdict, disputed or clause or printed, "regions")


def _fits_loosely(verdict: Verdict, clause: str) -> bool:
    """Whether a clause about the seat leaves more open than the verdict does.

    It passes those in a part of the areas alone; or it only names who is meant, or may have another way in,
    and so shuts out nobody.
    """
    if verdict == "pass":
        return _WITHIN.search(clause) is not None
    return not (_MUST_BE.search(clause) and _SEAT_ALONE.search(clause))


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
    country = ISO.get(profile.country, profile.country)
    wanted = [code for area in areas for code in same(ISO.get(area[:2], area[:2]) + area[2:])]
    own = [code for code in profile.nuts if ISO.get(code[:2], code[:2]) == country] or [country]
    codes = [tuple(same(ISO.get(code[:2], code[:2]) + code[2:])) for code in own]
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
    if clause and least and not disputed and _PLAIN.fullmatch(clause):
        together = least == 1 or (profile.partners is not None and profile.partners + 1 >= least)
        verdict = "pass" if together and _from_enough(profile, call, clause) else "unknown"
    return decided(call, "consortium", verdict, clause, "consortium")


def _from_enough(profile: Profile, call: Call, clause: str) -> bool:
    """Whether profile and partners come from enough countries, of those that surely count."""
    least = call.consortium.min_countries
    if least is None or least <= 1:
        asks = re.search(r"\b(?:countr\w+|land(?:en)?|länder\w*|lannen)\b", clause, re.IGNORECASE)
        return least == 1 or not (asks or _OF_COUNTRIES.search(clause))
    own = {ISO.get(code, code) for code in (profile.country, *profile.partner_countries)}
    return len(own & _EU if _OF_COUNTRIES.search(clause) else own) >= least
