"""A project against a call's thresholds: how ready it is, and what it costs. Each verdict with its clause."""

from __future__ import annotations

import re

from pipeline.schema import Call, Profile, Rule, Verdict

_LEVEL = re.compile(r"(?<![\d.\[])[1-9](?![\d.,]\d|\d)")
_SPAN = r"{}\s*(?:[-–/]|to|and|or|tot|tot\s+en\s+met|t/m|en|of|bis|und)\s*(?:TRL\s*)?{}(?!\d)"
_START = re.compile(
    r"\b(?:start(?:s|ed|ing|en|et)?|begin\w*|begint|outset|aanvang|ingang\w*|ausgang\w*|currently|thans|at\s+entry|entry\s+level)\b",
    re.IGNORECASE,
)
_END = re.compile(
    r"\b(?:achiev\w+|reach\w*|target\w*|attain\w*|arrive\w*|end(?:s|ing)?|result\w*|by\s+the\s+end"
    r"|einde?|eindig\w*|afloop|afronding|bereik\w*|ende|erreich\w*)\b",
    re.IGNORECASE,
)
# Wishes, exceptions, and levels of a part: these decide nothing.
_SOFT = re.compile(
    r"\b(?:cent(?:re|er)\s+of\s+gravity|zwaartepunt|around|about|rond|mainly|mostly|ideally|preferabl\w+|preferred|indicativ\w+|typically|usually|recommended|voorkeur|bij\s+voorkeur"
    r"|indicatief|doorgaans|meestal|unless|except\w*|tenzij|if|als|indien|wenn|falls|sofern|may\s+also|area"
    r"|strand|lot|track|spoor|perceel|lijn|respectively|components?)\b",
    re.IGNORECASE,
)
# Sentences that pages print with no space between, or with the name of an empty field.
_GLUED = re.compile(r"(?<=[a-zà-ÿ)\]][.!?;])(?:null)?(?=[A-ZÀ-Þ][a-zà-ÿ])|\s…\s")
_OF_LEVELS = re.compile(r"TRL|eadiness|reifegrad")
_BARE_NUMBER = re.compile(r"[\d\s.,€]+")
_PERCENT = re.compile(r"(?<![\d.,])(\d{1,3}(?:[.,]\d+)?)\s?(?:%|per\s?cent|procent|prozent)", re.IGNORECASE)
# A rate that may turn out lower, and one that may turn out higher.
_UP_TO = re.compile(
    r"\b(?:up\s+to|at\s+most|maximum|maxim(?:aal|ale)|ten\s+hoogste|hoogstens|höchstens|bis\s+zu)\s+(?:\w+\s+){0,2}?"
    r"\d{1,3}(?:[.,]\d+)?\s?(?:%|per\s?cent|procent|prozent)",
    re.IGNORECASE,
)
_RAISED = re.compile(
    r"\b(?:plus|extra|bonus\w*|top-?up|verhoogd|verhoging|opslag|ophoging|hoger|higher|increase\w*|erhöh\w+)\b",
    re.IGNORECASE,
)
# A limit of some applicants or of each partner.
_FOR_SOME = re.compile(
    r"\b(?:if|als|indien|wanneer|wenn|falls|sofern)\b|\bper\s+(?:partner|deelnemer|participant)\b|\beach\s+partner\b"
    r"|\b(?:voor|for|für|foar)\s+(?:[\w-]+\s+){0,2}?(?:ondernemingen|bedrijven|mkb\S*|smes|companies|enterprises"
    r"|organisations|kennisinstellingen|unternehmen|kmu)\b",
    re.IGNORECASE,
)
# A ceiling on what is counted, and not on the project.
_COUNTED = re.compile(
    r"\b(?:vergoed\w*|gesubsidieerd|subsidieerbaar|in\s+aanmerking|berekend\w*|bere\w*kening|count(?:ed)?|considered"
    r"|reimburs\w+|taken\s+into\s+account|calculat\w+|angerechnet|berücksichtigt|per\s+(?:deelnemer|partner"
    r"|aanvrager|applicant|participant))\b",
    re.IGNORECASE,
)


def decided(call: Call, rule: str, verdict: Verdict, clause: str | None, field: str | None = None) -> Rule:
    """A rule with its clause and the address of the document that prints it, else of the call's own page."""
    if not clause:
        return Rule(rule=rule, verdict="unknown", clause=None)
    own = (d.url for d in call.documents if field and clause in (d.printed.get(field) or ""))
    return Rule(rule=rule, verdict=verdict, clause=clause[:600], url=next(own, call.url))


def differ(call: Call, *fields: str) -> str | None:
    """What a call's documents state of the first of these fields that they leave in dispute; None without."""
    for told in call.contradictions:
        if told.field in fields and told.settled_by is None:
            return " / ".join(claim.printed for claim in told.claims)
    return None


def readiness(profile: Profile, call: Call) -> Rule:
    """The readiness today against the levels that a call asks its projects to start at, end at or span."""
    disputed = differ(call, "trl_min", "trl_max")
    field = "trl_min" if call.printed.get("trl_min") else "trl_max"
    printed = call.printed.get(field) or ""
    told = [piece for piece in _GLUED.split(printed) if _OF_LEVELS.search(piece) and _LEVEL.search(piece)]
    clause = told[0] if len(told) == 1 else printed
    verdict: Verdict = "unknown"
    if profile.trl and told and not disputed and not any(_SOFT.search(piece) for piece in told):
        verdict = _ready(profile.trl, call.trl_min, call.trl_max, " … ".join(told))
    return decided(call, "readiness", verdict, disputed or clause, field)


def _ready(today: int, low: int | None, high: int | None, clause: str) -> Verdict:
    starts, ends = _START.search(clause) is not None, _END.search(clause) is not None
    if high is not None and today > high:
        return "unknown" if starts and not ends else "fail"  # of a start, more may be welcome
    if low is not None and today < low:
        if ends and not starts:  # one level up is in the span; how far a project may climb is not told
            return "pass" if today == low - 1 else "unknown"
        return "fail" if starts and not ends and high is None else "unknown"
    if high is None:
        # whether it is where work starts or ends, one who is beyond it already fits a start alone
        return "pass" if low is not None and not ends else "unknown"
    if starts and not ends:
        return "pass" if low is not None else "unknown"
    if today == high:
        return "unknown"  # nothing may be left to reach
    two = len(_LEVEL.findall(clause)) == (2 if low and low != high else 1)
    one_span = two and (starts or low in (None, high) or re.search(_SPAN.format(low, high), clause))
    return "pass" if one_span or (today == low and starts) else "unknown"


def budget(profile: Profile, call: Call) -> Rule:
    """The project's costs in EUR against the least and the most that a call states of costs and of grants."""
    limits = ("eligible_costs_min_eur", "eligible_costs_max_eur", "grant_min_eur", "grant_max_eur")
    rates = ("funding_rate", "funding_rate_sme")
    stated = [name for name in limits if getattr(call, name) is not None and call.printed.get(name)]
    disputed = differ(call, *limits, *rates)
    if disputed or not stated or not profile.project_costs_eur:
        first = next((name for name in limits if call.printed.get(name)), None)
        return decided(call, "budget", "unknown", disputed or call.printed.get(first or ""), first)
    found = [(_within(profile, call, name), name) for name in stated if name != "grant_max_eur"]
    if not found:  # the most that is paid asks nothing of a project
        return decided(call, "budget", "unknown", call.printed[stated[0]], stated[0])
    order: tuple[Verdict, ...] = ("fail", "unknown", "pass")
    verdict, name = min(found, key=lambda pair: order.index(pair[0]))
    return decided(call, "budget", verdict, call.printed[name], name)


def _within(profile: Profile, call: Call, name: str) -> Verdict:
    """Whether the costs, or the grant that they would give, keep to one stated limit."""
    costs, limit, clause = profile.project_costs_eur or 0.0, float(getattr(call, name)), call.printed[name]
    if _FOR_SOME.search(clause):
        return "unknown"
    if name == "eligible_costs_min_eur":
        return "pass" if costs >= limit else "fail"
    if name == "eligible_costs_max_eur":
        return "pass" if costs <= limit else "unknown" if _COUNTED.search(clause) else "fail"
    shares = _shares(profile, call)
    least, most = costs * shares[0], costs * shares[1]
    if most < limit:
        return "unknown" if _BARE_NUMBER.fullmatch(clause) else "fail"  # a bare amount is an estimate
    return "pass" if least >= limit else "unknown"


def _shares(profile: Profile, call: Call) -> tuple[float, float]:
    """The least and the most of its costs that a project of this applicant can get, 0 to 1 where not stated.

    The other rates of the same sentences may be those of its partners.
    """
    own = call.funding_rate_sme if profile.kind == "sme" and call.funding_rate_sme else call.funding_rate
    if own is None:
        return 0.0, 1.0
    texts = {call.printed.get("funding_rate") or "", call.printed.get("funding_rate_sme") or ""}
    printed = [float(p.replace(",", ".")) / 100 for text in texts for p in _PERCENT.findall(text)]
    all_rates = [own, *(rate for rate in (call.funding_rate, call.funding_rate_sme) if rate), *printed]
    said = " ".join(sorted(texts))
    least = 0.0 if _UP_TO.search(said) else min(all_rates)
    return least, 1.0 if _RAISED.search(said) else max(rate for rate in all_rates if rate <= 1)
