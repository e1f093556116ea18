"""Which kinds of organisation a sentence lets apply, and which it leaves out.

A sentence counts only where all of it is understood: a word that may narrow whom it names, or open a second
door, leaves it without a say. Read in Dutch, English, German and West Frisian.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.nuts import regions
from pipeline.terms import SME

Kinds = frozenset[str]
# What these are in law is not known, so no sentence that does not name them lets them in or leaves them out.
OF_ANY_FORM: Kinds = frozenset(("fieldlab", "hub", "testbed"))
_COMPANY = (
    r"(?:ondernem(?:ing(?:en)?|ers?)|bedrij(?:f|ven)|enterprises?|compan(?:y|ies)|business(?:es)?|firms?"
    r"|undertakings?|unternehmen|bedriuw(?:en)?|undernim(?:ming(?:en)?|mers?))"
)
# Pattern → kinds that it names as a whole, kinds of which it names some. The first that matches counts.
_NAMES: dict[str, tuple[str, str]] = {
    rf"(?:micro-?,?\s+(?:(?:en|and)\s+)?)?(?:{SME})(?:[\s-]+sized)?(?:[\s-]+{_COMPANY})?": ("sme", ""),
    rf"grootbedrij(?:f|ven)|(?:grote?|large|grutte|große)\s+{_COMPANY}|großunternehmen": (
        "large_company",
        "",
    ),
    r"(?:small\s+)?mid-?caps?|scale-?ups?": ("", "sme large_company"),
    r"(?:digital\s+)?start-?ups?|starters|zzp['’]?ers?|zelfstandigen(?:\s+zonder\s+personeel)?|freelancers?"
    r"|self-employed(?:\s+persons?)?|(?:micro|kleine|small)[\s-]?(?:ondernemingen|bedrijven|enterprises)"
    r"|middelgrote\s+(?:ondernemingen|bedrijven)": ("", "sme"),
    r"farmers|boeren|agrariërs|landbouwers": ("", "sme large_company"),
    _COMPANY: ("sme large_company", ""),
    r"kennisinstelling(?:en)?|kennisynstellings?|onderzoeks?(?:organisaties?|instellingen)"
    r"|research\s+(?:and\s+technology\s+)?organi[sz]ations?|forschungseinrichtungen": (
        "research_organisation",
        "",
    ),
    r"universiteit(?:en)?|hogescho(?:ol|len)|universit(?:y|ies)|hochschulen?|research\s+(?:institut\w+"
    r"|cent(?:re|er)s?)|onderzoeks(?:instituut|instituten)|researchers|onderzoekers|higher\s+education"
    r"\s+(?:institutions?|establishments?)": ("", "research_organisation public_body"),
    r"(?:mede)?overhe(?:id|den)|overheids(?:instelling(?:en)?|organisaties?)|public\s+(?:bod(?:y|ies)"
    r"|authorit(?:y|ies))": ("public_body", ""),
    r"gemeenten?|waterschap(?:pen)?|provincies?|municipalit(?:y|ies)|gemeinden|kommunen|(?:local|regional"
    r"|national)\s+authorities": ("", "public_body"),
    r"ngo(?:['’]?s)?|(?:non-?profit|not-for-profit)[\s-]organi[sz]ations?|civil\s+society\s+organi[sz]ations?"
    r"|maatschappelijke\s+organisaties?": ("ngo", "research_organisation"),
    r"stichting(?:en)?|vereniging(?:en)?|foundations?|associations?|stiftungen|vereine|co[öo]peraties"
    r"|cooperatives": ("", "ngo research_organisation sme large_company"),
    r"fieldlabs?|field\s+labs?": ("fieldlab", ""),
    r"test-?\s?beds?|proeftuin(?:en)?": ("testbed", ""),
    r"scholen|schools|ziekenhuizen|hospitals|onderwijsinstellingen": (
        "",
        "research_organisation public_body ngo",
    ),
    r"(?:european\s+)?digital\s+innovation\s+hubs?|e?dihs?": ("", "hub research_organisation ngo"),
    r"(?:legal|private)\s+(?:entit(?:y|ies)|persons?)|rechtspers(?:oon|onen)|organi[sz]ations?|organisaties"
    r"|instellingen|entities|partijen|juristische\s+personen": (
        "",
        "sme large_company research_organisation public_body ngo",
    ),
}
_KINDS = [tuple(frozenset(kinds.split()) for kinds in pair) for pair in _NAMES.values()]
EVERYONE: Kinds = frozenset(kind for whole, some in _KINDS for kind in whole | some)
_NAME = re.compile("|".join(rf"(?P<n{i}>\b(?:{p})(?![\w-]))" for i, p in enumerate(_NAMES)), re.IGNORECASE)
_A_NAME = rf"(?:\b(?:{'|'.join(f'(?:{pattern})' for pattern in _NAMES)})(?![\w-]))"

ONLY = (
    r"(?:uitsluitend|alleen|enkel|slechts|exclusief|only|exclusively|solely|nur|ausschließlich"
    r"|allinnich|allinne)"
)
_AND = r"(?:en/of|and/or|en|and|ook|of|or|und|oder|als|alsook|evenals|as\s+well\s+as)"
_JOIN = rf"(?:\s*[,;/&]\s*(?:{_AND}\s+)?|\s+{_AND}\s+)"
_DET = r"(?:(?:de|het|een|alle|all|any|both|zowel|an?|the|every|elke|iedere?|alle|eine?|in|it)\s+)*?"
_ASIDE = r"(?:\s*\((?:(?:ook|incl\w*\.?|including)\s+[\w'’ -]{1,30}|smes?|mkb|ngos?|rtos?|kmu)\))?"
_LIST = rf"(?P<who>{_DET}{_A_NAME}{_ASIDE}(?:{_JOIN}{_DET}{_A_NAME}{_ASIDE}){{0,12}})"
# Whoever is named more closely is still of the kind named: "innovative SMEs established in the Union".
_PLAIN_WORD = (
    rf"(?!(?:{_AND}|{ONLY}|not?|non|niet|geen|nicht|kein\w*|net|gjin|kunnen|kan|mogen|may|can|kinne|können"
    r"|is|are|of|van|voor|for|by|door|with|met)\b)[\w'’-]+"
)
# A word that could close the call says nothing of it where it stands in what names them more closely.
_CLOSER = (
    rf"(?:\s+(?!(?:{_AND}|{ONLY}|must|shall|ha(?:ve|s)|moet(?:en)?|dien(?:t|en)|limited|restricted|reserved"
    r"|beperkt|voorbehouden)\b)[^\s,;:.()]+){0,14}?"
)
_SOME = rf"{_DET}(?:{_PLAIN_WORD}\s+){{0,2}}?{_A_NAME}{_ASIDE}{_CLOSER}"
_NARROWED = rf"(?P<who>{_SOME}(?:{_JOIN}{_SOME}){{0,6}})"

_SCHEME = (
    r"(?:(?:de|deze|dit|het|this|the|dizze|diese[rs]?|der|die)\s+)?(?:subsidieregeling|regeling|subsidie|subsydzje"
    r"|openstelling|oproep|voucherregeling|call(?:\s+for\s+proposals)?|topic|scheme|programme|grant|action"
    r"|competition|participation|eligibility|deelname|förderung)"
)
_PAPERS = r"(?:(?:de|een|an?|the|your)\s+)?(?:subsidie|aanvra(?:ag|gen)|applications?|proposals?|anträge)"
_END = rf"(?:\s+(?:to|for|under|in|voor|foar|für)\s+{_SCHEME})?\W*$"
_APPLY = (
    r"(?:apply(?:\s+for\s+(?:a\s+grant|funding))?|participate|take\s+part"
    r"|submit\s+(?:an?\s+)?(?:applications?|proposals?)"
    r"|(?:(?:een|de|deze|in)\s+)*(?:(?:subsidie|subsydzje|aanvraag)\s+)?(?:aanvragen|indienen|oanfreegje"
    r"|oanfraach\s+yntsjinje)|meedoen|deelnemen|in\s+aanmerking\s+komen|(?:einen\s+antrag|anträge)"
    r"\s+(?:stellen|einreichen))"
)
_CAN = (
    r"(?:kunnen|kan|mogen|mag|may|can|shall|kinne|kin|können|(?:is|are)\s+(?:eligible|allowed|entitled)\s+to)"
)
_START = (
    r"^\W*(?:\d{1,2}\.\s+)?(?:(?:please\s+note(?:\s+that)?|note\s+that|let\s+op|nb|achtung)\s*:?\s+)?"
    r"(?:(?:doelgroep(?:en)?|voor\s+wie|who\s+can\s+apply|(?:eligible\s+)?applicants?|aanvragers?|target\s+groups?"
    r"|zielgruppe|antragsberechtigte?)\s*[:?]\s*)?"
)


def _forms(only: str, who: str, closes: bool) -> Iterator[str]:
    """The sentence forms that let `who` apply; with `closes` those that let nobody else."""
    yield rf"{only}{who}\s+{_CAN}\s+{_APPLY}{_END}"
    yield rf"{only}{who}\s+(?:is|are|zijn|sind)\s+(?:eligible|subsidiabel|antragsberechtigt){_END}"
    yield rf"{only}{who}\s+(?:komt|komen)\s+in\s+aanmerking(?:\s+voor\s+(?:deze\s+)?subsidie)?{_END}"
    yield (
        rf"{_PAPERS}\s+(?:kan|kunnen|mag|mogen|wordt|worden|may|can|must|shall)\s+{only}(?:worden\s+|be\s+)?"
        rf"(?:aangevraagd|ingediend|gedaan|verstrekt|verleend|submitted|made)\s+(?:worden\s+)?{only}"
        rf"(?:door|aan|by)\s+{who}{_END}"
    )
    yield (
        rf"{_PAPERS}\s+(?:kan|kunnen|wordt|worden|können)\s+{only}(?:door|aan|von)\s+{who}"
        rf"\s+(?:worden\s+(?:aangevraagd|ingediend)|(?:aangevraagd|ingediend|verstrekt|verleend)(?:\s+worden)?"
        rf"|(?:gestellt|eingereicht)\s+werden){_END}"
    )
    yield (
        rf"{_SCHEME}\s+(?:is|staat|ist)\s+{only}(?:(?:bedoeld|bestemd|open|intended|beschikbaar|available|ornearre)"
        rf"\s+)?{only}(?:voor|for|to|foar|für)\s+{who}{_END}"
    )
    yield rf"(?:eligible\s+)?(?:applicants?|aanvragers?)\s+(?:is|are|zijn)\s+{only}{who}{_END}"
    yield rf"antragsberechtigt\s+sind\s+{only}{who}{_END}"
    yield rf"{only}(?:open\s+)?{only}(?:voor|for|foar|für|to)\s+{who}{_END}"
    if closes:
        yield (
            rf"{_SCHEME}\s+is\s+(?:strictly\s+|{ONLY}\s+)?(?:limited|restricted|reserved|beperkt|voorbehouden)"
            rf"\s+(?:to|for|tot|aan)\s+{who}{_END}"
        )
        yield rf"{_SCHEME}\s+(?:is|staat)\s+open\s+(?:to|for|voor)\s+{who}\s+{ONLY}{_END}"
        yield rf"{who}\s+{ONLY}\W*$"
        yield (
            r"(?:(?:de|een|the|all|alle)\s+)?(?:applicants?|aanvragers?)\s+(?:must|shall|have\s+to|has\s+to"
            rf"|moet(?:en)?|dien(?:t|en))\s+(?:be\s+)?{who}(?:\s+(?:te\s+)?zijn)?{_END}"
        )


def _compiled(only: str, who: str, closes: bool) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(_START + form, re.IGNORECASE) for form in _forms(only, who, closes))


_GRANTS = _compiled(rf"(?:{ONLY}\s+)?", _LIST, closes=True)
# "Only" stands in one of the places where a form leaves room for it.
_CLOSES = _compiled(rf"(?:{ONLY}\s+)?", _NARROWED, closes=True)
_DENIES = tuple(
    re.compile(rf"{_START}{_LIST}\s+{denial}{_END}", re.IGNORECASE)
    for denial in (
        r"(?:cannot|can\s*not|may\s+not)\s+(?:apply|participate)",
        r"(?:are|is)\s+(?:not\s+eligible(?:\s+to\s+apply)?|excluded(?:\s+from\s+(?:applying|participation))?"
        r"|ineligible|not\s+allowed\s+to\s+(?:apply|participate))",
        r"(?:kunnen|kan|mogen|mag)\s+(?:niet\s+(?:aanvragen|meedoen|deelnemen)"
        r"|geen\s+(?:subsidie|aanvraag)\s+(?:aanvragen|indienen))",
        r"(?:komen|komt)\s+niet\s+in\s+aanmerking(?:\s+voor\s+(?:deze\s+)?subsidie)?",
        r"(?:zijn|is)\s+uitgesloten(?:\s+van\s+(?:deze\s+)?(?:subsidie|deelname))?",
    )
)
_BARE = re.compile(rf"{_START}{_LIST}\W*$", re.IGNORECASE)
_IS_ONLY = re.compile(
    rf"\b{ONLY}\b|\b(?:limited|restricted|reserved|beperkt|voorbehouden|must|shall"
    r"|ha(?:ve|s)\s+to|moet(?:en)?|dien(?:t|en))\b",
    re.IGNORECASE,
)
# A second door, or another thing than the right to apply.
_DOOR = re.compile(
    r"\b(?:unless|except\w*|tenzij|behalve|uitzonder\w*|uitgezonderd|if|indien|als|wanneer|where|mits|provided"
    r"|partners?|priority|prioriteit|voorrang|voorkeur|also|ook|mede|stage|phase|fase|lot|perceel|strand|if|wenn"
    r"|falls|sofern|consorti\w+|samenwerk\w+|higher|hoger|subcontract\w*|not|niet|nicht)\b|\d\s?%",
    re.IGNORECASE,
)
# Words that turn a naming sentence into a condition, an exception or another role.
_DOUBTFUL = re.compile(
    rf"\b{ONLY}\b|\b(?:not|cannot|niet|geen|nicht|kein\w*|net|gjin|exclud\w+|uitgesloten|uitgezonderd|except\w*"
    r"|unless|tenzij|behalve|mits|provided|partners?|limited|restricted|reserved|beperkt|voorbehouden"
    r"|ineligible|maximum\s+of\s+one)\b",
    re.IGNORECASE,
)
LEAD = re.compile(
    r"\b(?:penvoerder|hoofdaanvrager|lead(?:\s+)?(?:applicant|partner)|main\s+applicant|co[-öo]?[öo]?rdinat\w+"
    r"|leads?\s+the\s+consortium|consortium\s+leader|leader\s+of\s+the\s+consortium)\b",
    re.IGNORECASE,
)
# They take part, or are paid, without being named as applicants.
_MAY_JOIN = re.compile(
    r"\b(?:meedoen|doe[tn]?\s+mee|deelnemen|neemt\s+deel|nemen\s+deel|medeaanvrager|join|participat\w+|take\s+part"
    r"|samenwerk\w+|beteilig\w*|meidwaan|dwaan\s+mei|percentage|tarief|rates?|funded|subcontract\w*|vergoed\w*"
    r"|krijg\w*|ontvang\w*|receiv\w+)\b|\d\s?%",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\s+(?:(?:die|that|which)\s+(?:(?:zijn|is|are)\s+)?)?(?:(?:gevestigd|established|located|based)\s+)?"
    r"(?:zijn\s+|is\s+)?(?:in|uit|within|from)\s+(?P<areas>(?:(?:de|het|the|provincies?|province\s+of|regio"
    r"|en|of|and|or)\s+|(?:[A-ZÀ-Þ][\w-]*)(?:,\s*|\s+|(?=[.)]|$)))+?)"
    r"(?=(?:kunnen|kan|mogen|may|can|komen|are|is|zijn)\b|\W*$)"
)
_APPLYING = re.compile(
    r"appl|eligib|propos|particip|aanvra|subsid|subsyd|aanmerking|regeling|openst|open\b|limited|restrict|reserved"
    r"|beperkt|voorbehouden|antrag|oanfre|excluded|uitgesloten|meedoen|deelne"
    rf"|\b{ONLY}\b|^\W*(?:voor|for|foar|für)\b",
    re.IGNORECASE,
)
_LONGEST = 400  # characters of a sentence that all can be understood of


@dataclass(frozen=True)
class Said:
    """A sentence and what it does: names kinds whole, or some of a kind; closes the call to all it does not
    name; shuts out those it names; leaves in doubt whether they may apply; or tells that they take part."""

    clause: str
    whole: Kinds = frozenset()
    some: Kinds = frozenset()  # all that it names, whole or in part
    closes: bool = False
    denied: Kinds = frozenset()
    doubted: Kinds = frozenset()
    joining: Kinds = frozenset()


def named(text: str) -> tuple[Kinds, Kinds]:
    """Kinds that a text names as a whole, and all of which it names any."""
    whole: set[str] = set()
    some: set[str] = set()
    for match in _NAME.finditer(text):
        full, part = _KINDS[int(str(match.lastgroup)[1:])]
        whole |= full
        some |= full | part
    return frozenset(whole), frozenset(some)


def read(sentence: str, listed: bool = False, areas: Kinds = frozenset()) -> Said | None:
    """What one sentence says; None where it speaks of no kind, or of none that can be told.

    `listed` is a sentence of a list of who may apply: names alone are enough. A place among `areas`, which
    bind every applicant, narrows no kind.
    """
    whole, some = named(sentence)
    if not some:
        return None
    plain = _PLACE.sub(
        lambda m: " " if areas and frozenset(regions([m["areas"]])) == areas else m[0], sentence
    )
    plain = " ".join(plain.split())
    if len(plain) <= _LONGEST and (listed or _APPLYING.search(plain)):
        denied = next((m for pattern in _DENIES if (m := pattern.search(plain))), None)
        if denied:
            return Said(sentence, denied=named(denied["who"])[0])
        granted = next((m for pattern in _GRANTS if (m := pattern.search(plain))), None)
        closes = _IS_ONLY.search(plain) is not None
        if granted or (listed and (granted := _BARE.search(plain))):
            whole, some = named(granted["who"])
            return Said(sentence, whole, some, closes=closes)
        if closes and not _DOOR.search(plain) and any(pattern.search(plain) for pattern in _CLOSES):
            return Said(sentence, frozenset(), some, closes=True, doubted=some)
    if _DOUBTFUL.search(sentence) or LEAD.search(sentence):
        return Said(sentence, doubted=some)
    return Said(sentence, joining=some) if _MAY_JOIN.search(sentence) else None
