"""What share of the costs a text says is paid, by the funder and by the applicant: fractions, or unknown.

Most percentages of a page are no funding rate (an advance, overhead, a share of the budget, VAT), so
one counts only where its own clause, or the label it stands under, says that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.prose import clauses
from pipeline.terms import SME

Whose = Literal["all", "sme", "other", "part"]


@dataclass(frozen=True)
class FundingRates:
    """Shares of the eligible costs, 0 to 1. `sme` only where it is stated of SMEs apart from all."""

    rate: float | None = None
    sme: float | None = None
    own_contribution_min: float | None = None
    printed: str | None = None


_SIGN = r"(?:%|(?:procent|persint|percent|per cent|prozent)\b)"
_NUMBER = r"(?<![\d.,])\d{1,3}(?:[.,]\d{1,2})?"
# Words that stand for a percentage, or only name a group, are read as such.
_GROUP = (
    r"mkb|groot(?:bedrijf| bedrijf)|(?:middel)?(?:grote|kleine) (?:onderneming|bedrijf)|kennisinstelling"
    r"|(?:large|small|medium-sized) (?:company|enterprise|business)|research organi[sz]ation"
    r"|großes unternehmen|großunternehmen|grut bedriuw"
)
_PLAIN = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (SME, "mkb"),
        (r"\b(?:de helft|de helte|die hälfte|der hälfte)(?= (?:van|fan|der|des|von)\b)", "50%"),
        (r"(?<!first )(?<!second )(?<!other )\bhalf(?: of)?(?= (?:the|all|your) )", "50% of"),
        (r"\b(?:een kwart|in kwart|a quarter|ein viertel)(?= (?:van|fan|of|der|des|von)\b)", "25%"),
        (
            r"\b(?:drie ?kwart|trije ?kwart|three quarters|drei ?viertel)(?= (?:van|fan|of|der|des|von)\b)",
            "75%",
        ),
        # "10 percentage points higher, so 35%": only the outcome counts
        (
            r"\b\d{1,2}(?:[.,]\d+)? ?(?:%|procentpunt(?:en)?|percentage points?|prozentpunkte?"
            r"|persintaazjepunten)"
            r" (?:hoger|higher|höher|heger|meer|more|mehr),? (?:en )?(?:dus|so|thus|hence|also|i\.e\.|that is"
            r"|namelijk|oftewel|ofwel|nämlich),? ",
            "",
        ),
        (
            r",? ?\b(?:als|indien|wanneer|if|wenn|falls|sofern|as) (?:u|je|jo|you|sie|(?:de|the"
            r"|der) (?:aanvrager"
            r"|applicant|antragsteller)|uw (?:onderneming|bedrijf)|your (?:company|business)) (?:(?:are"
            r"|is) )?"
            rf"(?:een |in |an? |eine? )?({_GROUP})(?: (?:bent|is|binne|sind|ist))?"
            r"(?:,(?= (?:is|dan|krijgt|bedraagt|beträgt|wordt|you|the|der)\b)|(?=\W*$|[;)])"
            r"|(?=,? (?:en|and|und|maar|but) (?:voor |for |für |maximaal |max\. |ten hoogste |up to |at most "
            r"|bis zu |höchstens )*\d))",
            r" voor \1",
        ),
    )
)
_PERCENT = re.compile(
    rf"\b(?:tussen|between|tusken|zwischen) {_NUMBER} ?{_SIGN}? ?(?:en|and|und) ?{_NUMBER} ?{_SIGN}"
    rf"|{_NUMBER} ?{_SIGN}? ?(?:-|–|—|/|tot en met|tot|t/m|to|oant|bis|à) ?(?:maximaal |max\. "
    rf"|up to )?{_NUMBER} ?{_SIGN}|(?P<one>{_NUMBER}) ?{_SIGN}",
    re.IGNORECASE,
)
# Most texts state no share at all: the rest is not asked of them.
_SHARE = re.compile(
    "%|pro[cz]ent|persint|per ?cent|helft|helte|hälfte|half|kwart|quarter|viertel", re.IGNORECASE
)
_LABEL = re.compile(
    r"^\W*(?:(?:maximale?|maximum|hoogte|height|max\.)\s+(?:van\s+de\s+)?(?:subsidie|vergoeding|bijdrage"
    r"|steun|grant"
    r"|subsydzje)|hoe\s+hoog\b|subsidie(?:percentage|hoogte|bedrag)|steun(?:percentage|intensiteit)"
    r"|vergoedings?percentage|subsydzjepersintaazje|(?:maximum\s+)?(?:co-?)?(?:funding|financing|grant"
    r"|support|aid)\s+(?:rate|intensity)s?|(?:maximale[rs]?\s+)?(?:förder(?:satz|quote|höhe|sätze)"
    r"|höhe\s+der\s+förderung))\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[^\d.!?;%]{3,60}")
_LIST_OF_RATES = re.compile(
    r"\b(?:subsidie|steun|vergoedings?)percentages?\b[^\d%]*:$|\bfunding rates?\b[^\d%]*:$"
    r"|\bfördersätze\b[^\d%]*:$",
    re.IGNORECASE,
)
_IN_A_LIST = re.compile(
    r"\b(?:(?:subsidie|steun|vergoedings?)percentages?|funding rates?|fördersätze)\b[^.;%]{0,80}?:\s",
    re.IGNORECASE,
)
_GIVE = (
    r"(?:subsidie(?:percentage|bedrag)?|subsydzje|vergoeding|tegemoetkoming|steun(?:percentage|intensiteit)?"
    r"|(?:co-?)?(?:funding|financing|grant) rate|aid intensity|fördersatz|förderquote|zuschuss|zuwendung"
    r"|förderung"
    r"|voucher|grant)"
)
_GIVES = re.compile(
    rf"\b(?:{_GIVE}|subsid(?:ieert|iëren|ieren)|vergoed(?:t|en)?|bijdrage|financier(?:t|en)|fund(?:s|ed|ing)?"
    r"|financ(?:e|es|ed|ing)|reimburs\w+|cover(?:s|ed|ing)?|contribut\w+|fördert|gefördert|bezuschusst"
    r"|(?:programme|fund|scheme|we|wij|provincie|provinsje) (?:pays?|betaalt|betalen|betellet))\b",
    re.IGNORECASE,
)
_MOST = (
    r"(?:\s*\b(?:dan|bei|maximaal|ten hoogste|hoogstens|hooguit|niet meer dan|maximum(?: of)?|a maximum of"
    r"|max\.?|up to|at most|bis zu|höchstens|maximal|op syn (?:heechst|meast))(?=\s|$))*\s*$"
)
# No second verb, and no "with" or "that", may stand between the subsidy and its rate.
_GAP = (
    r"(?:(?!\b(?:is|bedraagt|wordt|worden|die|dat|waar\w*|met|which|that|where|whose|with|are)\b)[^,;%])"
    r"{0,90}?"
)
_RATE_IS = re.compile(
    rf"\b{_GIVE}\b{_GAP}(?:\b(?:is|bedraagt|beträgt|liegt|will be|shall be)|:|[-–—]){_MOST}"
    rf"|\b{_GIVE} (?:van|of|fan|von|in höhe von)\b{_MOST}"
    rf"|\b(?:is|bedraagt|beträgt) (?:(?:de|het|the|der|die) )?{_GIVE}{_MOST}"
    rf"|\b(?:is|wordt|geldt|bedraagt) (?:dit|dat|dit percentage){_MOST}"
    rf"|\b(?:co-?(?:funded|financed)|gecofinancierd|kofinanziert) (?:at|for|voor|zu"
    rf"|mit)(?: a rate of)?{_MOST}",
    re.IGNORECASE,
)
# These count where the sentence before stated a rate, or where a share of the costs follows.
_THE_RATE_IS = re.compile(
    r"\b(?:(?:the|this|het|dit|it|dizze|der) (?:rate|percentage|persintaazje|share|satz) (?:is|bedraagt"
    r"|beträgt"
    rf"|liegt)|(?:this|it|dat|dit) is|(?:liegt|beträgt) (?:er|dieser)|bedraagt het){_MOST}",
    re.IGNORECASE,
)
_PROJECTS = (
    r"^\W*(?:(?:all|alle|the|de|approved|selected|funded|successful|goedgekeurde|geselecteerde|bewilligte"
    r"|ausgewählte|goedkarde) )*(?:projects|projecten|projekte|projekten) "
)
_GET = re.compile(
    rf"(?:^|\b(?:u|je|jo|you|ondernemers|bedrijven|aanvragers|applicants|mkb) |{_PROJECTS})(?:krijgt|krijgen"
    rf"|ontvangt|ontvangen|krije|receives?|get|erhalten){_MOST}",
    re.IGNORECASE,
)
_FUND = r"(?:(?:erdf|efro|efre|eu|jtf|interreg)[- ])?"
_GOT = re.compile(
    rf"\s*(?:(?:aan )?{_FUND}(?:subsidie|subsydzje|bijdrage|cofinanciering|funding|co-?financing|grant"
    rf"|support"
    r"|förderung|kofinanzierung|mittel|zuschuss)|vergoed)\b",
    re.IGNORECASE,
)
_PASSIVE = r"(?:wordt|worden|wurdt|wurde|is|are|wird|werden)"
_PAYING = r"(?:vergoed|gesubsidieerd|gefinancierd|reimbursed|funded|covered|gefördert|erstattet)\b"
_PAID = re.compile(rf".{{0,60}}\b{_PASSIVE} {_PAYING}", re.IGNORECASE)
_OF = re.compile(r"\s*(?:van|of|fan|der|des|von)\s", re.IGNORECASE)
_COSTS = (
    r"(?:van|of|fan|der|des|von)\s+(?:[\w-]+\s+){0,3}?"
    r"(?:\w*(?:kosten|investering(?:en)?|uitgaven|ausgaben)|costs?(?!\s+of\s+(?!the (?:project|action)))"
    r"|expenditures?|investments?)\b"
)
_OF_COSTS = re.compile(rf"\s*{_COSTS}", re.IGNORECASE)
_COSTS_FIRST = re.compile(rf"^\W*{_COSTS} {_PASSIVE}{_MOST}", re.IGNORECASE)
_IS_PAID = re.compile(rf"\s*{_PAYING}", re.IGNORECASE)
_ABOUT = re.compile(
    r"(?:(?<!niet )\bmeer dan|\bminder dan|\b(?:ruim|bijna|ongeveer|circa|ca\.|zo'n|rond de"
    r"|(?<!no )(?<!not )more than|less than|about|approximately|around|nearly|almost|roughly"
    r"|(?<!nicht )mehr als"
    r"|weniger als|etwa|rund|fast|knapp|(?<!net )mear as|likernôch))\s*$|\b(?:gemiddeld|average"
    r"|durchschnitt\w*)\b",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(
    rf"^\W*(?:(?:maximaal|max\.|up to|bis zu) )?{_NUMBER} ?{_SIGN} (?:van|of|fan|der) (?:(?:de|het|the"
    rf"|total) ){{0,2}}"
    r"(?:subsidiabele|subsydzjabele|eligible|förderfähigen|in aanmerking komende) \w*(?:kosten|costs"
    r"|ausgaben)\W*$",
    re.IGNORECASE,
)
# What a percentage is of, when it is no funding rate.
_NO_RATE = re.compile(
    r"\b(?:voorschot\w*|advances?|pre-?financ\w+|vorschuss\w*|opslag\w*|verho(?:og|ging)\w*|ophoging"
    r"|procentpunt\w*"
    r"|percentage points?|extra|bonus|top-?up|forfait\w*|flat[- ]rate|overhead\w*|indirecte?|gemeinkosten"
    r"|pauschale"
    r"|btw|vat|mwst|rente|interest|zinsen|inflat\w+|omzet\w*|turnover|umsatz|bespa\w+|savings?|reduc\w+"
    r"|energie|uitstoot|emissi\w+|co2\S*|co₂\S*|punten|points?|scores?|stemrecht\w*|aandelen|shares|derden"
    r"|subcontract\w*"
    r"|third part\w+|cannot|uitbeste\w+|loonkosten|personeelskosten|staff|salar\w+|uren|budget|begroting"
    r"|\w*plafond|aanvragen|gehonoreerd"
    r"|lening|loans?|krediet|korting|garantie|guarantee|(?<!efro-)(?<!efro )cofinanciering|partners"
    r"|deelnemers"
    r"|additional activities|reis(?:e\w*|kosten)|travel\w*|(?:first|second|eerste|twadde|earste"
    r"|ersten?) (?:year|jaar|jier"
    r"|jahr|phase|fase)"
    r"|not exceed|minimaal|ten minste|tenminste|minstens|at least|mindestens|op syn minst)\b",
    re.IGNORECASE,
)
_RISE = re.compile(
    r"\s*(?:more|higher|hoger|meer|höher|mehr|heger|mear|lower|lager|niedriger|leger|less|minder|weniger"
    r"|bovenop"
    r"|on top)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:als|indien|wanneer|tenzij|mits|if|unless|in case|in geval|wenn|sofern|falls)\b"
    r"|^\W*(?:werkt|heeft|bent|doet) (?:u|je)\b|^\W*wurkje jo\b",
    re.IGNORECASE,
)
_FOR = re.compile(
    r"\b(?:voor|for|foar|für|bij)\s+(?!(?:de |het |the |alle |all )?(?:deze|this|dizze|diese|dit"
    r"|subsidiabele|eligible"
    r"|uw|je|jo|your|project|projecten|projects|kosten|aanvragers|applicants|ondernemers)\b)",
    re.IGNORECASE,
)
_SME = re.compile(r"\bmkb\b", re.IGNORECASE)
_OTHER = re.compile(
    r"\b(?:niet|geen|buiten|not|no|kein\w*)\s+(?:\w+\s+){0,2}mkb\b|\b(?:dan|than|als|met|with|mit"
    r"|mei) (?:\w+ )?mkb\b|\b(?:grote?|grootbedrijf|large|gro(?:ß|ss)\w+"
    r"|mittlere\w*|(?:andere|overige|other|sonstige|übrige|oare) (?:applicants|aanvragers|oanfregers"
    r"|ondern\w+|bedri\w+|compan\w+|organi\w+|part\w+|deelnemers|entities|beneficiaries|unternehmen"
    r"|antragsteller)|anderen|overigen|others|\w*instelling\w*|onderzoeks\w+|universit\w+|hogesch\w+"
    r"|hochsch\w+|forschungs\w+|research (?:org|inst|cent)\w+|non-?profits?|not-for-profit|public (?:bod"
    r"|auth|ent|org)\w+"
    r"|overhe\w+|gemeenten?|stichting\w*|zzp\S*|kleine?|middelgrote?|small|medium\S*|micro\S*|start-?ups?)\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\beigen (?:bijdrage|inbreng|middelen|financiering|cofinanciering|aandeel|bydrage)\b"
    r"(?! (?:van|fan) (?:de|it) (?:provinc|provins|gemeente))|\bown (?:contribution"
    r"|funds|funding|resources|financing)\b|\beigen(?:anteil|mittel|beitrag|leistung)\b",
    re.IGNORECASE,
)
_SELF = re.compile(r"\b(?:zelf|sels|selbst|selber)\b", re.IGNORECASE)
_PAYS = re.compile(
    r"\b(?:\w*financier\w*|\w*finansier\w*|finanz\w+|betaal\w*|betalen|betel\w+|bekosti\w+|dra(?:ag"
    r"|ge)\w*|dek(?:t|ken)"
    r"|(?:in)?breng\w*|leg(?:t|gen)|bijdra\w+|trag\w*|getragen|zahl\w+|rekening)\b",
    re.IGNORECASE,
)
_OF_ALL = re.compile(
    r"\s*(?:$|[.,;)]|(?:betaalt|draagt|financiert|brengt|legt|bekostigt|zelf|sels|selbst|uit|in|bij"
    r"|betellet)\b)",
    re.IGNORECASE,
)
# Of all costs, and by all who apply: "the costs for travel", "the applicants from industry" are a part.
_ON_THE_APPLICANT = re.compile(
    r"\s*(?:van|of|fan|der|des|von)\s+(?:(?:the|de|het|alle?|total|totale|eligible|subsidiabele|subsydzjabele"
    r"|förderfähigen)\s+)*(?:project )?(?:\w*kosten|costs|\w*ausgaben|expenditure)\s+(?:[\w-]+\s+){0,3}?"
    r"(?:(?:borne|covered|paid|financed|funded|provided|met) by (?:the )?(?:applicants?|beneficiar(?:y|ies)"
    r"|grant recipients?|consortium)|(?:door|troch) (?:de |it |het )?(?:aanvragers?|oanfreger"
    r"|subsidieontvanger) "
    r"(?:gedragen|betaald|gefinancierd|bekostigd)|voor rekening van de (?:aanvragers?|subsidieontvanger)"
    r"|(?:vom|von den) antragstellern? (?:selbst )?(?:zu tragen|getragen))\s*(?:$|[.,;)])",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"\b(?:maxim\w*|max|ten hoogste|hoogstens|hooguit|at most|up to|höchstens|bis zu|niet meer)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[;()]|,\s")
_SEGMENT = re.compile(r"[;()]|,\s|\b(?:en|and|und|sowie|maar|but|terwijl|while)\b", re.IGNORECASE)


def funding_rates(texts: Iterable[str], label: str | None = None) -> FundingRates:
    """The funding rate of all applicants, that of SMEs where it differs, the least own contribution.

    `label` is what the texts stand under: a rate's label gives a bare percentage its meaning. Rates
    that differ, ranges, and rates that hold in some cases only leave the rate unknown.
    """
    claims: set[tuple[Whose, float | None]] = set()
    own: set[float | None] = set()
    printed: list[str] = []
    labelled = label is not None and _LABEL.search(label) is not None
    heads = listed = told = False  # the line before is such a label; an item of a list of rates; after a rate
    for sentence in clauses(text for text in texts if _SHARE.search(text)):
        plain = _plain(sentence)
        listed = listed and sentence[0] in "-–•*"
        found = set(_rates(plain, labelled or heads or listed, told))
        found_own, told = set(_own_contributions(plain)), bool(found)
        heads = _LABEL.search(plain) is not None and _HEADING.fullmatch(plain) is not None
        listed = listed or (_LIST_OF_RATES.search(plain) is not None)
        claims |= found
        own |= found_own
        printed += [sentence] if found or found_own else []
    rates = {value for whose, value in claims if whose == "all"}
    smes = {value for whose, value in claims if whose == "sme"}
    others = {value for whose, value in claims if whose == "other"}
    in_part = any(whose == "part" for whose, _ in claims)
    rate = next(iter(rates)) if len(rates) == 1 and not in_part and others <= rates else None
    sme = next(iter(smes)) if len(smes) == 1 and not in_part else None
    return FundingRates(
        rate=rate,
        sme=sme if sme != rate else None,
        own_contribution_min=next(iter(own)) if len(own) == 1 else None,
        printed=" … ".join(dict.fromkeys(printed))[:600] or None,
    )


def _plain(sentence: str) -> str:
    for pattern, words in _PLAIN:
        sentence = pattern.sub(words, sentence)
    return sentence


def _rates(text: str, labelled: bool, told: bool) -> Iterator[tuple[Whose, float | None]]:
    """What each percentage of a sentence says, where it is a rate: of whom, and the fraction.

    `labelled`: a label says that these are rates; `told`: the sentence before stated one.
    """
    found = list(_PERCENT.finditer(text))
    if not found:
        return
    segments = list(_pieces(_SEGMENT, text, found))
    stray = any(_whose(text[a:b]) != "all" for a, b in segments if not any(a <= m.start() < b for m in found))
    said = labelled or _FRAGMENT.search(text) is not None
    for match in found:
        a, b = next(piece for piece in _pieces(_CLAUSE, text, found) if piece[0] <= match.start() < piece[1])
        if _NO_RATE.search(text, a, b) or _paid_by_oneself(text, match, a, b):
            continue
        start, end = match.span()
        of_costs = _OF_COSTS.match(text, end) is not None
        if _RISE.match(text, end) or (_OF.match(text, end) and not of_costs):
            continue
        said = bool(
            said
            or (of_costs and (_GIVES.search(text, 0, start) or _PAID.match(text, end)))
            or ((of_costs or _GOT.match(text, end)) and _GET.search(text, 0, start))
            or ((of_costs or told) and _THE_RATE_IS.search(text, 0, start))
            or (_IS_PAID.match(text, end) and _COSTS_FIRST.search(text, 0, start))
            or _IN_A_LIST.search(text, 0, start)
            or _RATE_IS.search(text, 0, start)
        )
        if not said:
            continue
        c, d = next(piece for piece in segments if piece[0] <= match.start() < piece[1])
        whose = _whose(text[c:d])
        if whose == "all" and (stray or _FOR.search(text, 0, start)):
            whose = "part"
        value = None if _ABOUT.search(text, a, start) else _fraction(match)
        yield ("part" if _CONDITION.search(text) else whose), value


def _own_contributions(text: str) -> Iterator[float | None]:
    """Fractions that a sentence says the applicant itself pays at least."""
    found = list(_PERCENT.finditer(text))
    for match in found:
        a, b = next(piece for piece in _pieces(_CLAUSE, text, found) if piece[0] <= match.start() < piece[1])
        if _paid_by_oneself(text, match, a, b) and not _AT_MOST.search(text, a, b):
            yield (
                None if _CONDITION.search(text) or _ABOUT.search(text, a, match.start()) else _fraction(match)
            )


def _paid_by_oneself(text: str, percentage: re.Match[str], start: int, end: int) -> bool:
    """Whether a clause says that the applicant bears this share."""
    after = percentage.end()
    pays = _SELF.search(text, start, end) and _PAYS.search(text, start, end)
    pays = pays and (_OF_COSTS.match(text, after) or _OF_ALL.match(text, after))
    return bool(_OWN.search(text, start, end) or pays or _ON_THE_APPLICANT.match(text, after))


def _fraction(match: re.Match[str]) -> float | None:
    """A percentage as a fraction; a range, and what is no share, are None."""
    value = round(float(match["one"].replace(",", ".")) / 100, 6) if match["one"] else 0
    return value if 0 < value <= 1 else None


def _whose(segment: str) -> Whose:
    if _OTHER.search(segment):
        return "other"
    return "sme" if _SME.search(segment) else "all"


def _pieces(cut: re.Pattern[str], text: str, found: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Start and end of each piece of a text between cuts; no cut is made inside a percentage, and none at
    a word for "and" that has no percentage before it: "groot bedrijf en anderen 40%" is one piece."""
    start = 0
    for mark in cut.finditer(text):
        inside = any(match.start() <= mark.start() < match.end() for match in found)
        joins = mark[0].isalpha() and not any(start <= match.start() < mark.start() for match in found)
        if not (inside or joins):
            yield start, mark.end()
            start = mark.end()
    yield start, len(text) + 1
