"""A project against a call's thresholds: how ready it is, and what it costs. Each verdict with its clause."""

from __future__ import annotations

import re
from functools import lru_cache

from pipeline.schema import Call, Profile, Rule, Section, Verdict

_LEVEL = re.compile(r"(?<![\d.\[])[1-9](?![\d.,]\d|\d)")
_SPAN = r"{}\s*(?:[-–/]|to|and|or|tot|tot\s+en\s+met|t/m|en|of|bis|und)\s*(?:TRL\s*)?{}(?!\d)"
_FROM_TO = r"\b(?:from|van|vanaf|von)\s+TRL\s*{}\b[^.;]*?\b(?:to|tot|naar|bis)\s+TRL\s*{}(?!\d)"
_START = re.compile(
    r"\b(?:start(?:s|ed|ing|en|et)?|begin\w*|begint|outset|aanvang|ingang\w*|ausgang\w*|currently|thans"
    r"|at\s+entry|entry\s+level)\b",
    re.IGNORECASE,
)
_END = re.compile(
    r"\b(?:achiev\w+|reach\w*|target\w*|attain\w*|arrive\w*|end(?:s|ing)?|conclu\w+|finish\w*|result\w*"
    r"|by\s+the\s+end"
    r"|einde?|eindig\w*|afloop|afronding|bereik\w*|ende|erreich\w*)\b",
    re.IGNORECASE,
)
# Wishes, exceptions, and levels of a part: these decide nothing.
_SOFT = re.compile(
    r"\b(?:cent(?:re|er)\s+of\s+gravity|zwaartepunt|around|about|rond|mainly|mostly|ideally|preferabl\w+"
    r"|preferred|indicativ\w+|typically|usually|recommended|voorkeur|bij\s+voorkeur"
    r"|indicatief|doorgaans|meestal|unless|except\w*|tenzij|if|als|indien|wenn|falls|sofern|may\s+also|area"
    r"|strand|lot|track|spoor|perceel|lijn|respectively|components?|fstp|third\s+part(?:y|ies)|beyond"
    r"|use\s+cases?|at\s+least\s+one|ten\s+minste\s+één"
    r"|feasibility|haalbaarheid\w*|studies|voorrang|priorit\w+|krijg\w*|receiv\w+)\b|\d\s?%",
    re.IGNORECASE,
)
# How the portal states the levels of all work under a topic.
_OF_THE_TOPIC = re.compile(
    r"(?:^|[^\w\s,]\s*|projects)Activities\s+are\s+expected\s+to\s+(?:achieve|start)\b"
)
# All that another clause may say for its levels to be those of any project.
_OF_ALL = re.compile(
    r"(?:[\s\d.,;:()–—/…-]|\b(?:(?:trl|trls|technology|readiness|levels?|technologies|the|an?|all"
    r"|projects?|proposals?"
    r"|activities|work|results?|solutions?|innovations?|techniques?|development|expected|are|is|be|must"
    r"|shall|should"
    r"|ha(?:s|ve)|need|needs|to|at|from|where|they|when|with|and|or|in|of|by|between|within|minimum|least"
    r"|up|above|higher|start"
    r"|starts|starting|started|begin|begins|outset|entry|level|any|may|achieved?|reach|reached|arrive"
    r"|attain|end|ends"
    r"|close|closes|conclude|finish|stand|move|go|goes|span|action|reifegrad|technologiereifegrad"
    r"|het|de|een|project(?:en)?|innovaties?|technologie|techniek|valt|vallen|binnen|bevindt|zich|bij"
    r"|aanvang|start|begin"
    r"|van|op|ten|minste|tenminste|minimaal|minstens|tot|met|en|of|vanaf|hoger|is|zijn|moet(?:en)?|bewezen"
    r"|eindigt|eindigen"
    r"|einde|eind|afloop|tussen|ligt|liggen|hebben|heeft|t/m"
    r"|das|die|vorhaben|projekte?|beginnt|beginnen|bei|bis|und|oder|mindestens|ende|liegt|liegen|zwischen"
    r"|muss|müssen"
    r"|fan|oant|mei|op\s+syn|minst|tusken)\b|trl(?=\d)))++",
    re.IGNORECASE,
)
# A call in parts: levels that a sentence states without naming one may be those of the part it stands in.
_IN_PARTS = re.compile(
    r"(?:^|[.;:)\n]|null)[\s–•-]{0,8}(?:(?:for|voor|für)\s+)?(?:sub-?)?(?:area|strand|lot|track|spoor"
    r"|perceel|lijn|onderdeel|pijler"
    r"|module|option|category|work\s?stream|topic\s+area|teil|los)\s+(?:no\.?\s+)?(?:[A-H]|[1-9]|one|two"
    r"|een|één|twee)"
    r"(?:\s*\([^)]{1,80}\))?\s*(?:[:–—-]|\.(?!\d))",
    re.IGNORECASE | re.MULTILINE,
)
# Sentences that pages print with no space between, or with the name of an empty field.
_GLUED = re.compile(r"(?<=[a-zà-ÿ)\]][.!?;])(?:null)?(?=[A-ZÀ-Þ][a-zà-ÿ])|\s…\s")
_OF_LEVELS = re.compile(r"TRL|eadiness|reifegrad")
_BARE_NUMBER = re.compile(r"[\d\s.,€]+")
_PERCENT = re.compile(r"(?<![\d.,])(\d{1,3}(?:[.,]\d+)?)\s?(?:%|per\s?cent|procent|prozent)", re.IGNORECASE)
# A rate that may turn out lower, and one that may turn out higher.
_UP_TO = re.compile(
    r"\b(?:up\s+to|at\s+most|maximum|maxim(?:aal|ale)|ten\s+hoogste|hoogstens|höchstens"
    r"|bis\s+zu)\s+(?:\w+\s+){0,2}?"
    r"\d{1,3}(?:[.,]\d+)?\s?(?:%|per\s?cent|procent|prozent)",
    re.IGNORECASE,
)
_RAISED = re.compile(
    r"\b(?:plus|extra|bonus\w*|top-?up|verhoogd|verhoging|opslag|ophoging|hoger|higher|increase\w*"
    r"|erhöh\w+)\b",
    re.IGNORECASE,
)
# All that a clause may say for its limit to be that of any project: another word may set a part apart.
_PLAIN = re.compile(
    r"(?:[\s\d.,;:()%€…–-]|\b(?:de|het|een|van|aan|per\s+(?:project|aanvraag)|totale?|subsidiabele"
    r"|in\s+totaal|kosten|projectkosten"
    r"|projectbegroting|begroting|project(?:en)?|subsidie|subsidiebedrag|bijdrage|bedrag|bedraagt|bedragen"
    r"|bedrage|zijn|is|worden|wordt"
    r"|moet(?:en)?|dien(?:t|en)|te|met|en|of|tot|tussen|minimaal|minimale?|minimum|minstens|tenminste"
    r"|ten\s+minste|ten\s+hoogste"
    r"|hoogstens|maximaal|maximale?|maximum|meer|minder|lager|hoger|kleiner|groter|vanaf|dan|niet"
    r"|afgewezen|geweigerd|verleend|verstrekt"
    r"|euro|eur|miljoen|mln|ton|komen|komt|in\s+aanmerking|subsidy|the|an?|of|and|or|to|up|at|least|most"
    r"|more|less|than|between"
    r"|total|eligible|costs?|grants?|projects?|proposals?|budget|amounts?|amount|request(?:ed)?|must|shall"
    r"|should|be|are|not|rejected"
    r"|million|min|max|per\s+(?:project|grant|proposal)|op\s+syn\s+(?:minst|meast)|subsydzje"
    r"|projekt(?:en)?|kosten|fan|binne|moatt?e"
    r"|die|der|des|zuwendung|förderung|beträgt|betragen|mindestens|höchstens|gesamtkosten"
    r"|zuwendungsfähigen?|projekte?|liegen|muss|müssen"
    r"|sein|und|oder|von|bis)\b)++",
    re.IGNORECASE,
)
# A ceiling on what is counted, and not on the project.
_COUNTED = re.compile(
    r"\b(?:vergoed\w*|gesubsidieerd|subsidieerbaar|in\s+aanmerking|berekend\w*|bere\w*kening|count(?:ed)?"
    r"|considered"
    r"|reimburs\w+|taken\s+into\s+account|calculat\w+|angerechnet|berücksichtigt|per\s+(?:deelnemer|partner"
    r"|aanvrager|applicant|participant))\b",
    re.IGNORECASE,
)


def decided(call: Call, rule: str, verdict: Verdict, clause: str | None, field: str | None = None) -> Rule:
    """A rule with its clause and the address of the document that prints it, else of the call's own page."""
    if not clause:
        return Rule(rule=rule, verdict="unknown", clause=None)
    first = clause.split(" / ")[0]  # of claims that differ
    told = [(d.url, " ".join(d.printed.get(field or "", "").split())) for d in call.documents]
    own = (url for part in (clause, first) for url, words in told if " ".join(part.split()) in words)
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
    of_topic = len(told) == 1 and _OF_THE_TOPIC.search(told[0])
    of_all = of_topic or (
        len(told) == 1 and _OF_ALL.fullmatch(told[0]) and not _in_parts(call.sections)
    )  # several may be of several things
    if profile.trl and of_all and not disputed and not _SOFT.search(told[0]):
        verdict = _ready(profile.trl, call.trl_min, call.trl_max, told[0])
    return decided(call, "readiness", verdict, disputed or clause, field)


@lru_cache(maxsize=1 << 13)
def _in_parts(sections: tuple[Section, ...]) -> bool:
    """Whether a call falls into parts that it numbers; remembered, since every profile asks."""
    return any(_IN_PARTS.search(f"{section.heading}:\n{section.text}") for section in sections)


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
    spans = (_SPAN, _FROM_TO)
    span = low in (None, high) or any(re.search(form.format(low, high), clause) for form in spans)
    if starts and not ends:  # two levels that are no span may be those of two things
        return "pass" if low is not None and span else "unknown"
    if today == high:
        return "unknown"  # nothing may be left to reach
    two = len(_LEVEL.findall(clause)) == (2 if low and low != high else 1)
    one_span = two and (starts or span)
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
    if not _PLAIN.fullmatch(clause):
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
