"""Closed terms out of running text: who may apply, what a page claims of its status, how money is shared.

Only whole clauses that say so count. A word that is merely there, a condition and a negation say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from pipeline.prose import clauses
from pipeline.schema import Status

Allocation = Literal["first come", "ranking", "lottery"]

_FIRM = r"(?:['’-]?(?:ers?|ondernem\w+|bedrij\w+|bedriuw\w*|undernim\w+))?"
SME = (
    r"\b(?:(?:kleine?|small|lytse)-?,?\s+(?:en|and|of|or|to|und|&)\s+(?:middel\w+|middelgrutte"
    r"|medium(?:-sized)?|mittl\w+)|(?:middel\w+|medium(?:-sized)?)\s+(?:en|of|and|or)\s+(?:kleine|lytse"
    r"|small)"
    rf"|midden-?\s+en\s+kleinbedrijf|(?<!niet-)(?<!non-)(?:mkb|kmo){_FIRM}(?:['’]s)?|(?<!non-)smes?"
    rf"|kmus?)(?![\w-])"
)
_APPLICANTS = {
    "sme": SME,
    "large_company": r"\b(?:grootbedrij\w+|grote?\s+(?:bedri\w+|ondernem\w+)|grutte\s+bedriuw\w*"
    r"|large\s+(?:compan\w+|enterprises?|undertakings?|firms?)|großunternehmen)\b",
    "research_organisation": r"\b(?:kennisinstelling\w*|kennisynstelling\w*"
    r"|onderzoeks(?:instelling|organisatie|instituut|instituten)\w*|universiteit\w*|hogeschol\w+"
    r"|hogeschool|universit(?:y|ies)"
    r"|research\s+(?:organi[sz]ations?|institut\w+|cent(?:re|er)s?)|forschungseinrichtung\w*|hochschulen?)\b",
    "public_body": r"\b(?:(?:mede)?overheden|overheid|overheids(?:instelling|organisatie)\w*|gemeenten"
    r"|waterschappen|provincies|public\s+(?:bod(?:y|ies)|authorit(?:y|ies))|municipalit(?:y|ies)"
    r"|gemeinden|kommunen)(?![\w-])",
    "ngo": r"\b(?:(?:stichting|vereniging|stifting|feriening)(?:en|s)?(?-i:(?!\s+[A-Z]))|ngo(?:['’]?s)?"
    r"|(?:non-?profit|not-for-profit|civil\s+society)\s+organi[sz]ations?|maatschappelijke\s+organisaties?"
    r"|foundations|stiftungen)\b",
    "hub": r"\b(?:(?:european\s+)?digital\s+innovation\s+hubs?|e?dihs?)\b",
    "self_employed": r"\b(?:zzp(?:['’]?ers?)?|zelfstandigen?\s+zonder\s+personeel|freelancers?"
    r"|self-employed|solo-?selbständige|freiberufler)(?![\w-])",
}
_TERMS = {term: re.compile(pattern, re.IGNORECASE) for term, pattern in _APPLICANTS.items()}
# A place is no applicant: "in de gemeente Eemsdelta", "uit de drie provincies".
_PLACE = re.compile(r"\b(?:in|binnen|uit|van|buiten|within|from|yn|út)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
WHO = re.compile(
    r"^\W*(?:voor\s+wie\b|foar\s+wa\b|wie\s+(?:kan|kunnen|komt|komen|mag)\b|wa\s+kin\b|doelgroep\w*"
    r"|who\s+(?:can|may|is|should)\b|for\s+whom\b|eligible\s+(?:applicants?|entities|organi[sz]ations?)"
    r"|target\s+(?:groups?|audience)|(?:eligible\s+)?beneficiaries|aanvragers?\b|wer\s+(?:kann|ist|wird)\b"
    r"|zielgruppen?\b|antragsberechtigt\w*|für\s+wen\b)",
    re.IGNORECASE,
)
_BULLETS = "-–•*"
# "niet alleen" turns nothing around.
_NOT_ONLY = re.compile(
    r"\b(?:niet\s+(?:alleen|enkel|uitsluitend)|net\s+allinnich|not\s+only|nicht\s+nur)\b", re.I
)
# The verb is denied, so the whole sentence is.
_DENIED = re.compile(
    r"\bniet\s+(?:\w+\s+)?(?:in\s+aanmerking|aanvragen|verstrekt|verleend|indienen|meedoen|deelnemen|worden"
    r"|open|terecht)\b|\b(?:kan|kunnen|mag|mogen|komen|komt|wordt|worden)\s+(?:\w+\s+){0,3}?(?:niet|geen"
    r"|net|gjin)\b|\buitgesloten\b|\bcannot\b|\bexcluded\b|\bineligible\b"
    r"|\b(?:are|is|may|can|be|do|does|will|shall)\s+(?:not|never)\b|\b(?:nicht|kein\w*)\b|\bútsletten\b",
    re.IGNORECASE,
)
# From here on a sentence names whom it leaves out, or whom one works with.
_TURN = re.compile(
    r"\b(?:niet|geen|net|gjin|not(?!-for)|no|non(?!-?profit)|behalve|uitgezonderd|uitzondering|m\.u\.v"
    r"|exclusief|except\w*|excluding|unless|tenzij|ohne|außer|samenwerk\w+|samen\s+met|gearwurk\w+"
    r"|in\s+cooperation|together\s+with"
    r"|partnership\s+with|namens|on\s+behalf|im\s+namen|collaborat\w+|zusammen\w*|die|dat|waar\w*|who"
    r"|which|that|where|om|als|indien"
    r"|wanneer|if|door|by|durch|troch|projecten|projects|activiteiten)\b|\d\s?%",
    re.IGNORECASE,
)
_APPLY = (
    r"(?:(?:een\s+|in\s+|subsidie\s+|subsydzje\s+|de\s+|deze\s+)*(?:aanvraag\s+(?:indienen|doen)|aanvragen"
    r"|oanfraach\s+(?:yntsjinje|dwaan)|oanfreegje)|in\s+aanmerking\s+komen|apply"
    r"|submit\s+(?:an?\s+)?(?:applications?|proposals?)"
    r"|(?:einen\s+antrag|anträge)\s+(?:stellen|einreichen)|förderung\s+beantragen)"
)
_ONLY = r"(?:(?:uitsluitend|alleen|enkel|allinnich|allinne|only|exclusively|ausschließlich|nur|slechts)\s+)?"
# What may follow, where the grant is what one applies for: "for this call", "voor het herstel van oevers".
_FOR_WHAT = (
    r"(?:\W*$|(?<=subsidie aanvragen)\s+voor\s(?!.*\bandere?\b)"
    r"|(?<=subsydzje oanfreegje)\s+foar\s(?!.*\boare?\b)"
    r"|\s+for\s+(?:this|the)\s+(?:grant|call|scheme|programme|subsidy|funding)\W*$)"
)
# Whoever stands between a verb and what one can do; not those at, for or with whom one does it.
_BETWEEN = (
    r"(?P<who>(?:(?!\b(?:niet|geen|net|gjin|not|nicht|kein\w*|bij|by|voor|foar|für|met|mei|mit|namens|van"
    r"|fan|von"
    r"|via|aan|oan|over|oer|welke|hokker|hoe\w*|wie|wa|waar\w*|die|dat|dy|zien|lezen|vinden|sjen|lêze|om"
    r"|te|zu"
    r"|andere?|oare?)\b)[^.;:?!]){2,160}?)"
)
# Of whom, for whom, and by what means follow those who apply.
_ELSE = re.compile(
    r"\b(?:van|fan|von|voor|foar|für|for|met|mei|mit|with|via|per|by|to|bij|bei)\b", re.IGNORECASE
)
# Sentences that grant the right to apply; `who` is whom they grant it to.
_GRANTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:subsidie|aanvraag|aanvragen|regeling)\b[^.;,]{0,40}?\b(?:kan|kunnen)\b[^.;,]{0,20}?"
        rf"\s{_ONLY}(?:worden\s+)?{_ONLY}(?:aangevraagd|ingediend)(?:\s+worden)?\s+{_ONLY}door\s+(?P<who>.+)",
        rf"\b(?:kan|kunnen)\s+{_ONLY}door\s+(?P<who>[^.;]{{1,200}}?)\s+(?:worden\s+(?:aangevraagd|ingediend)"
        rf"|(?:aangevraagd|ingediend)\s+worden)\b",
        rf"\b(?:aanvraag\s+wordt|aanvragen\s+worden)\s+{_ONLY}(?:ingediend"
        rf"|gedaan)\s+{_ONLY}door\s+(?P<who>.+)",
        rf"\b(?:aanvragen|oanfreegje)\s+(?:kan|kin)\s+{_ONLY}(?:door|troch)\s+(?!.*\bte\s)(?P<who>.+)",
        rf"\bsubsidie\b[^.;,]{{0,30}}?\bwordt\s+{_ONLY}(?:verstrekt|verleend)\s+{_ONLY}aan\s+(?P<who>.+)",
        rf"\b(?:regeling|subsidie|subsydzje|call|scheme|voucher)\s+(?:is|staat)\s+{_ONLY}(?:bedoeld\s+"
        rf"|bestemd\s+|open\s+|intended\s+|ornearre\s+)?{_ONLY}(?:voor|for|foar|to)\s+(?P<who>.+)",
        rf"^\W*{_ONLY}(?P<who>[^.;]{{2,200}}?)\s+(?:kunnen|kinne|kan|may|can|können)\s+{_APPLY}{_FOR_WHAT}",
        rf"\b(?:kunnen|kinne|können)\s+{_ONLY}{_BETWEEN}\s+"
        rf"(?:(?<!\w)(?:subsidie|subsydzje)\s+(?:aanvragen|oanfreegje)\b|{_APPLY}\W*$)",
        rf"\b(?:applications?|proposals?)\s+(?:may|can|must)\s+{_ONLY}be\s+{_ONLY}"
        rf"(?:submitted|made)\s+{_ONLY}by\s+(?P<who>.+)",
        rf"^\W*(?:applications|proposals)\s+are\s+{_ONLY}(?:submitted|made)\s+{_ONLY}by\s+(?P<who>.+)",
        r"\beligible\s+applicants\s+are\s+(?P<who>.+)",
        r"\b(?:antragsberechtigt|förderberechtigt)\s+sind\s+(?P<who>.+)",
        rf"\banträge\s+können\s+{_ONLY}von\s+(?P<who>[^.;]{{2,200}}?)\s+(?:gestellt|eingereicht)\s+werden\b",
        r"\b(?:kin|kinne)\s+(?:oanfrege\s+wurde|oanfrege|yntsjinne\s+wurde)\s+troch\s+(?P<who>.+)",
    )
)


def applicants(texts: Iterable[str], label: str | None = None) -> tuple[tuple[str, ...], str | None]:
    """Who may apply, in closed terms, and the sentences that say so.

    Under a `label` such as "Voor wie?" every clause counts, elsewhere only one that grants it. The terms
    are those stated: one that is missing may apply all the same.
    """
    said: dict[str, str] = {}
    left_out = False
    labelled = label is not None and WHO.search(label) is not None
    for sentence in clauses(texts):
        plain = _NOT_ONLY.sub(" ", sentence)
        denied = _DENIED.search(plain) is not None
        left_out = left_out and sentence[0] in _BULLETS  # items of a list that names whom it leaves out
        if left_out or denied:
            left_out = left_out or plain.endswith(":")
            continue
        asked = plain.endswith("?")
        matches = [m for pattern in _GRANTS if not asked and (m := pattern.search(plain))]
        granted = [
            _ELSE.split(m["who"], maxsplit=1)[0]
            for m in matches
            if not _CONDITION.search(plain, 0, m.start("who"))
        ]
        for clause in [plain] if labelled else granted:
            for term in applicant_terms([_TURN.split(clause, maxsplit=1)[0]]):
                said.setdefault(term, sentence)
        left_out = plain.endswith(":") and _TURN.search(plain) is not None
    terms = tuple(term for term in _TERMS if term in said)
    return terms, " … ".join(dict.fromkeys(said.values()))[:600] or None


def applicant_terms(printed: Iterable[str]) -> tuple[str, ...]:
    """Our terms for the words of a structured list of target groups; a word without a term adds none."""
    words = list(printed)
    return tuple(
        term
        for term, pattern in _TERMS.items()
        if any(
            not (term == "public_body" and _is_place(text, m.start()))
            for text in words
            for m in pattern.finditer(text)
        )
    )


def _is_place(text: str, start: int) -> bool:
    return _PLACE.search(text, max(0, start - 30), start) is not None


_CALL = (
    r"(?:(?:deze|de|dit|het|dizze|it|this|the|dieser?|der|die|das|onze) )?(?:subsidieregeling|regeling"
    r"|subsidie|openstelling|oproep|tender|loket|subsidieloket|aanvraagperiode|aanvraagronde|scheme|programme"
    r"|call(?: for (?:(?:project )?(?:proposals|applications)|projects))?|application (?:window|period)"
    r"|oanfraachperioade"
    r"|aufruf|förderaufruf|förderprogramm)"
)
_NTH = (
    r"first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eerste|tweede|derde|vierde|vijfde"
    r"|zesde"
    r"|zevende|achtste|negende|tiende|earste|twadde|tredde|\d{1,2}(?:st|nd|rd|th|e|ste|de|\.)"
)
_NOW = (
    r"(?:(?:inmiddels|momenteel|op dit moment|tijdelijk|nu|weer|voorlopig|now|currently|derzeit|jetzt|no"
    r"|helaas|hier) )*"
)
_TO_ALL = (
    r"(?: (?:voor|foar|for|für) (?:nieuwe |nije |new |neue )?"
    r"(?:aanvragen|oanfragen|applications|submissions?|proposals|anträge))?"
)
_OPEN = r"(?:open|opengesteld|geopend|iepen|geöffnet)"
_NOW_OPEN = rf"(?:now|currently|nu|momenteel|op dit moment|weer|no|derzeit|jetzt) {_OPEN}"
# "Now" is said of today, so an end behind it takes nothing away; without it a period is a window.
_UNTIL = re.compile(
    rf"(\b{_NOW_OPEN}{_TO_ALL}) (?:until|till|tot(?: en met)?|t/m|oant(?: en mei)?|bis)"
    r"\b(?:(?!\b(?:for|voor|foar|für|only|alleen|if|als|unless|tenzij)\b).)*$",
    re.IGNORECASE,
)
_NO_MORE = r"(?:geen (?:nieuwe )?(?:subsidie|aanvraag|aanvragen)|niet)"
_CLAIMS: dict[Status, tuple[str, ...]] = {
    "closed": (
        rf"{_CALL} (?:is|has|ist) {_NOW}(?:gesloten|sletten|closed|geschlossen){_TO_ALL}",
        r"(?:het )?(?:subsidie)?loket gesloten|(?:tijdelijk )?gesloten voor aanvragen",
        rf"(?:u|je) kunt {_NOW}{_NO_MORE} {_NOW}meer (?:aanvragen|indienen|doen)",
        rf"(?:u|je) kunt (?:op dit moment|momenteel|nu|voorlopig) {_NO_MORE} (?:aanvragen|indienen|doen)",
        rf"aanvragen (?:is |zijn )?{_NOW}niet (?:(?:langer|meer) )?mogelijk|aanvragen kan {_NOW}niet meer",
        r"het (?:beschikbare )?(?:subsidieplafond|plafond|budget|subsidiebudget) is "
        r"(?:inmiddels |helaas |volledig )*(?:bereikt|uitgeput|op|vergeven)",
        r"jo kinne gjin oanfraach mear (?:yntsjinje|dwaan)|oanfreegjen is net mear mooglik",
        r"(?:new )?applications? (?:is|are) (?:now )?(?:no longer (?:possible|accepted)|closed)",
        r"you can no longer apply|no (?:more|further|new) applications (?:can be|are) (?:submitted|accepted)",
        r"(?:we are )?not planning any more (?:open )?calls(?: (?:during|in|under|for) [\w\s–-]{1,60})?",
        r"(?:eine )?antragstellung ist (?:derzeit )?nicht (?:mehr )?möglich",
        r"anträge können (?:derzeit )?nicht mehr (?:gestellt|eingereicht) werden",
    ),
    "open": (
        rf"{_CALL} (?:is|staat|ist) {_NOW}{_OPEN}{_TO_ALL}",
        r"open (?:voor aanvragen|for applications|for submission)",
        r"(?:u|je) kunt (?:nu|weer|op dit moment|momenteel|vanaf nu|nog steeds) (?:(?:een|uw|je) )?"
        r"(?:subsidie )?(?:aanvraag indienen|aanvragen)",
        r"aanvragen (?:is |kan )?(?:nu |weer )?mogelijk",
        r"jo kinne no (?:in )?(?:subsydzje )?(?:oanfraach yntsjinje|oanfreegje)",
        r"applications are (?:now |currently )?(?:open|possible)|you can (?:now )?apply now",
        r"anträge können (?:derzeit|jetzt|ab sofort) (?:gestellt|eingereicht) werden",
    ),
    "forthcoming": (
        rf"{_CALL} (?:is|staat) nog niet (?:open|opengesteld|geopend){_TO_ALL}|{_CALL} opent binnenkort",
        r"(?:u|je) kunt nog geen (?:aanvraag indienen|subsidie aanvragen)|aanvragen is nog niet mogelijk",
        rf"{_CALL} is not (?:yet )?open(?: yet)?{_TO_ALL}|(?:binnenkort|bijna) open(?: voor aanvragen)?",
    ),
}
_CLAIMED = {status: re.compile("|".join(said), re.IGNORECASE) for status, said in _CLAIMS.items()}
# One round of several counts only where it is open now, in a sentence of its own.
_ROUND_OPEN = re.compile(
    rf"(?:the|de|der|die|it) (?:{_NTH}) {_CALL} (?:is|staat|ist) {_NOW_OPEN}{_TO_ALL}", re.IGNORECASE
)
_LEAD = re.compile(r"^(?:\W|(?:let op|status|nb|please note|note|opgelet|achtung)\s*[:!]\s*)+", re.IGNORECASE)
_JOINT = re.compile(
    r"[,;:]\s|\s[–—-]\s|\s(?:en|and|und)\s(?=(?:u|je|het|de|deze|the|this|aanvragen)\s)", re.IGNORECASE
)
_CONDITION = re.compile(
    r"\b(?:als|indien|wanneer|zodra|totdat|zolang|nadat|tenzij|mocht|if|unless|when|once|until|till"
    r"|as soon|wenn|falls|sobald|sofern|sa gau|sadree)\b",
    re.IGNORECASE,
)


# After a question such as "what if the office is closed?" the answer is of that case.
_OF_STATUS = re.compile(r"gesloten|bereikt|sletten|closed|open|plafond|geschlossen|uitgeput", re.IGNORECASE)


def said_status(texts: Iterable[str]) -> tuple[Status | None, str | None]:
    """The status that whole clauses claim, and those sentences. Claims that differ leave it unknown."""
    found: dict[Status, str] = {}
    asked = False
    for sentence in clauses(texts):
        answers, asked = asked, sentence.endswith("?") and _OF_STATUS.search(sentence) is not None
        plain = _UNTIL.sub(r"\1", sentence)
        if answers or _CONDITION.search(plain):
            continue
        pieces = _JOINT.split(_LEAD.sub("", plain))
        if _ROUND_OPEN.fullmatch(pieces[0].strip(" .!")) and len(pieces) == 1:
            found.setdefault("open", sentence)
        for clause in pieces:
            bare = clause.strip(" .!;:–-•")
            for status, pattern in _CLAIMED.items():
                if pattern.fullmatch(bare):
                    found.setdefault(status, sentence)
    printed = " … ".join(dict.fromkeys(found.values()))[:600] or None
    return (next(iter(found)) if len(found) == 1 else None), printed


_PROPOSALS = (
    r"(?:proposals?|applications?|projects?|aanvra(?:ag|gen)|projecten|voorstellen|oanfragen|projekten"
    r"|anträge"
    r"|vorhaben|projekte)"
)
_RULES: dict[Allocation, str] = {
    "first come": (
        r"\b(?:volgorde|folchoarder) (?:van|fan) (?:de )?(?:binnenkomst|ontvangst|compleetheid|volledigheid"
        r"|indiening|ûntfangst)\b|\bwie het eerst komt\b|\bfirst[- ]come\b|\bwindhund\w*"
        r"|\border of (?:receipt|arrival|submission)\b"
        r"|\border in which (?:they|applications) (?:are|were) received\b"
        r"|\breihenfolge (?:des|ihres) (?:antrags)?eingangs\b"
    ),
    "ranking": (
        r"\b(?:ge)?rangschik\w*|\brangskik\w*|\brang(?:orde\w*|oarder|liste|folge)\b"
        r"(?! (?:van de|fan de|der|of the) (?:criteria|kriterien))"
        rf"|\b{_PROPOSALS} (?:are|will be|is|wurde) (?:then )?(?:ranked|(?:funded"
        rf"|selected) in order of (?:their )?"
        r"(?:score|rank))"
        rf"|\branks? (?:(?:all|the|these|eligible) )+{_PROPOSALS}\b"
        rf"|\branking (?:of (?:the )?{_PROPOSALS}|list)\b"
        rf"|(?P<best>\b(?:highest|best|hoogst)[- ](?:ranked|ranking|scoring|scorende|rated) {_PROPOSALS}\b"
        r"|\bthose (?:that are )?ranked highest\b"
        rf"|\b{_PROPOSALS} (?:met|mei|mit|with) (?:de|het|it|den|der|the) (?:meeste|measte|meisten|most"
        rf"|hoogste"
        r"|heechste|höchsten?|highest) (?:aantal )?(?:punten|scores?|skoare|puntzahl|punkten|punktzahl"
        r"|points?)\b)"
        r"|\btender(?:procedure|systeem|systematiek|regeling)\b"
        r"|\b(?:via|met|door|per|in|volgens) (?:een|de|deze) tender\b"
    ),
    "lottery": r"\b(?:loting|geloot|lotting|losverfahren|lottery|drawing of lots|drawn by lot)\b",
}
_RULE = {rule: re.compile(pattern, re.IGNORECASE) for rule, pattern in _RULES.items()}
# The best are ranked for the money, and not for a prize or a next stage.
_AWARD = re.compile(
    r"\b(?:fund(?:ed|ing|s)?|grants?|awarded|receive|krijgen|krijgt|ontvangen|subsidies?|gehonoreerd"
    r"|toegekend"
    r"|krije|subsydzje|gefördert|förderung|erhalten|bewilligt)\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"\b(?:kregen|ontvingen|received|erhielten|vorige?|last|previous|letzte\w*|ferline)\b|\b20\d\d\b",
    re.IGNORECASE,
)
_NO = re.compile(r"\b(?:niet|geen|net|gjin|not|no|nicht|keine?)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_TIE = re.compile(
    r"\bbij\s+(?:een\s+)?(?:gelijk\w*|overschrijding)|\bdezelfde\s+(?:dag|score)|\bgelijke\b|\bequal\b"
    r"|\bsame\b|\bin case\b",
    re.IGNORECASE,
)


def allocation(texts: Iterable[str]) -> tuple[Allocation | None, str | None]:
    """By which rule money is shared out, and the sentences that say so; two rules leave it unknown.

    Lots that only part those who came at once, or scored alike, are no rule of their own.
    """
    found: dict[Allocation, str] = {}
    for sentence in clauses(texts):
        for rule, pattern in _RULE.items():
            if any(
                not _NO.search(sentence, max(0, m.start() - 40), m.start())
                and not (rule == "ranking" and _TIE.search(sentence, 0, m.start()))
                and (not m.groupdict().get("best") or _AWARD.search(sentence))
                and not (m.groupdict().get("best") and _BEFORE.search(sentence))
                for m in pattern.finditer(sentence)
            ):
                in_a_case = rule == "lottery" and (_CONDITION.search(sentence) or _TIE.search(sentence))
                if not in_a_case:
                    found.setdefault(rule, sentence)
    main: list[Allocation] = [rule for rule in found if rule != "lottery"]
    main = main or list(found)
    printed = " … ".join(dict.fromkeys(found.values()))[:600] or None
    return (main[0] if len(main) == 1 else None), printed
