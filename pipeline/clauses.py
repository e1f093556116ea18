"""What the sentences of a call's text state: readiness levels and consortium rules.

A sentence that binds only some proposals, and sentences that contradict each other, state nothing; the
words are kept either way. Read in Dutch, West Frisian, English and German.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from pipeline.nuts import countries
from pipeline.prose import clauses, sentences
from pipeline.schema import Consortium

_THROUGH = r"(?:-|–|tot en met|t/m|oant en mei|to|and|or|en|of|und|oder|bis|/)"
_UP_TO = r"(?:up to|maximaal|ten hoogste|tot en met|t/m|oant en mei|höchstens)"
_TRL = re.compile(
    r"(?:(?P<least>\b(?i:at least|minimum(?: of)?|minimaal|ten minste|tenminste|minstens|mindestens|vanaf"
    r"|op syn minst|ab|start(?:ing)?(?: from| at| with)?(?: an?)?(?: minimum)?))"
    rf"|(?P<most>\b(?i:{_UP_TO}))"
    r"|(?P<open>\b(?i:tot|oant|bis|below|boven|onder|beneden|(?:hoger|lager|heger|higher|lower) (?:dan|as"
    r"|than)|tussen|tusken|zwischen|über|unter|boppe|ûnder)))?"
    r"\s*(?:at )?\b(?:TRL(?:['’]?s)?|TRL-?niveaus?|[Tt]echnology [Rr]eadiness [Ll]evels?(?: \(TRLs?\))?"
    r"|[Tt]echnologiereifegrad(?: \(TRL\))?)\s*(?:(?:of|van|fan|von|:)\s+)?"
    r"(?P<low>[1-9])(?!\d)(?:\s*,\s*[1-9](?!\d))*"
    rf"(?:\s*(?:{_THROUGH}|(?P<until>tot|oant))\s*(?:TRL\s*)?(?P<high>[1-9])(?!\d))?"
    r"(?P<after>\s*(?:and|or|of|en|oder|und) (?:above|higher|beyond|hoger|heger|höher))?"
)
_TRL_IS_ASKED = re.compile(
    r"\b(expected|achieve|start|reach|target|aim|move|by the end|activities)", re.IGNORECASE
)
_TRL_SENTENCE = re.compile(r"\bactivities (?:are|may be) expected to\b", re.IGNORECASE)
# How pages of national and regional funders say it: a project, an innovation, "you", or the bare levels.
_TRL_IS_SAID = re.compile(
    r"^(?=.*\b(?:projects?|innovations?) (?:must|should|needs? to|ha(?:s|ve) to)\b"
    r"|(?!.*\b(?:the|are|and|be|will|at|from|to|may)\b).*(?:proje[ck]t|\binnovati|\btechnologie|\bvorhaben"
    r"|\bu kunt\b)|\W*TRL(?:['’]?s|-?niveaus?)?[\s:]*[1-9](?:\s*(?:-|–|t/m|tot en met|to|bis)\s*[1-9])?\W*$)"
    r"(?!.*\b(?:niet|geen|net|gjin|not|no|nicht|keine?|betekent|means|bedeutet|\w*schaal|scale|skala"
    r"|staat voor|uitgesloten|excluded|out)\b)",
    re.IGNORECASE,
)
_ENGLISH = re.compile(r"\b(?:the|are|and|be|will|at|from|to|may)\b", re.IGNORECASE)

_NUMBER = {
    word: number
    for number, words in enumerate(
        (
            "one een één ien ein eine einem",
            "two twee twa zwei",
            "three drie trije drei",
            "four vier fjouwer",
            "five vijf fiif fünf",
            "six zes seis sechs",
        ),
        start=1,
    )
    for word in words.split()
}
_COUNT = rf"({'|'.join(_NUMBER)}|\d{{1,2}})"
_LEAST = r"\b(?:at least|minimum of|minimum|ten minste|tenminste|minimaal|minstens|op syn minst|mindestens)"
_PARTNERS = re.compile(
    rf"(?:\b(?P<german>mindestens)"
    rf"|{_LEAST})\s+(?P<count>{_COUNT})\s+(?:(?P<other>other)\s+)?(?:\w+\s+){{0,2}}"
    r"(?(german)(?:partnern?|legal entit(?:y|ies))"
    r"|(?:legal entit(?:y|ies)|beneficiaries|applicants|partners))\b",
    re.IGNORECASE,
)
# These also name who is served, so they count only where a consortium is spoken of.
_MEMBERS = re.compile(
    rf"{_LEAST}\s+{_COUNT}\s+(?:(?!met\b|voor\b|with\b|for\b|mit\b|mei\b)[\w-]+\s+){{0,3}}?"
    r"(?:entities|companies|organi[sz]ations|partners|partijen|deelnemers|ondernemingen|ondernemers|bedrijven"
    r"|organisaties|mkb-\w+|mkb['’]ers|aanvragers|bedriuwen|dielnimmers|organisaasjes|partnern?|unternehmen"
    r"|einrichtungen|organisationen|antragstellern?)\b",
    re.IGNORECASE,
)
# "and a research organisation": whether it comes on top is a matter of reading.
_ANOTHER = re.compile(
    rf"\b(?:{'|'.join(_NUMBER)}|an?|\d)\s+(?:\w+\s+)?\w*(?:instelling|ynstelling|organi[sz]ati"
    rf"|organisaasje|universit"
    r"|hogeschool|hochschul|einrichtung|partner|partij|institut|company|onderneming)",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"samenwerkingsverband|consorti|konsorti|\bverband|\bverbund|gearwurkingsferb|partnerschap|\bpartnership",
    re.IGNORECASE,
)
_COUNTRIES = re.compile(
    rf"\b{_COUNT}\s+different\s+(?:\w+\s+){{0,3}}(?:countries|Member States)\b"
    rf"|\bfrom\s+(?:{_LEAST}\s+)?{_COUNT}\s+(?:(?!of\b|or\b)[\w-]+\s+){{0,2}}?(?:countries|Member States)\b"
    r"(?!\s+or\b)"
    rf"|\b(?:uit|aus|út)\s+(?:{_LEAST}\s+)?{_COUNT}\s+(?:(?:verschillende|verschiedenen|ferskillende"
    rf"|europese|eu-)\s*)*"
    r"(?:landen|lidstaten|ländern|mitgliedstaaten|lannen|lidsteaten)\b",
    re.IGNORECASE,
)
_EACH_ELSEWHERE = re.compile(
    r"\b(?:each|elk|ieder|jeweils)\s+(?:(?:of|them|established|based|located|registered|coming|gevestigd"
    r"|fêstige|mit|sitz|from|in|uit|út|aus)\s+){0,4}(?:an?|een|einem|in)\s+(?:different|other|andere?|anderen"
    r"|verschillend|oare?)\s+(?:EU\s+)?(?:country|Member State|land|lidstaat|mitgliedstaat|lân|lidsteat)\b"
    r"|\beach\s+(?:of\s+them\s+)?from\s+another\s+country\b",
    re.IGNORECASE,
)
_MUST = re.compile(
    r"\b(?:must|shall|needs?|requires?|required|moet(?:en)?|dien(?:t|en)|besta(?:at|an|ande)|vereist"
    r"|muss|müssen|besteh(?:t|en)|erforderlich|notwendig|moatt?e?|nodig|nedich)\b"
    r"|\bverband(?:en)? (?:van|met|fan)\b|samenwerkingsverband(?:en)? (?:van|met)\b"
    r"|\b(?:each|every|elk|ieder|jedes|jedem)\s+(?:project|vorhaben|projekt|consortium|partnership"
    r"|partnerschap"
    r"|samenwerkingsverband|proposal)\b|\b(?:an?|the|all)\s+(?:consorti(?:um|a)|partnerships?)\s+(?:consists?"
    r"|comprises?|includes?|involves?)\b"
    rf"|^\W*(?:{_LEAST[2:]})",
    re.IGNORECASE,
)
_ONLY_SOMETIMES = re.compile(
    r"\bif\b|\bor more\b|\bin (?:the )?case\b|\bexcept\b|\beither\b|\bin addition to\b|\bor a\b"
    r"|\b(?:als|indien|wanneer|tenzij|behalve|hetzij|ofwel|naast|falls|wenn|sofern|entweder)\b|\bof meer\b"
    r"|\bor one\b|\bof één\b|\b(?:for|voor|für|foar|bij|bei) (?:large|small|grote|kleine|große)\b"
    r"|\b(?:from|uit|aus|út) (?:each|elk|elke|jedem|jeder)\b|\b(?:per|je) (?:country|land|lân)\b"
    r"|\bof (?:in )?een\b|\boder (?:mehr|ein)",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"\b(?:single|one|individual) (?:applicant|legal entity|beneficiary|company|SME) (?:may|can)\b|"
    r"\bmono-?beneficiar|\b(?:zelfstandig|individueel|alleen) (?:of|aanvragen|indienen)\b"
    r"|\bindividuele (?:aanvra\w+|ondern\w+) (?:kan|kunnen|mag|mogen)\b",
    re.IGNORECASE,
)


_WISH = r"\b(?:ideal|preferabl[ey]|preferred|recommended|encouraged|voorkeur|aanbevolen|wünschenswert)\b"
_WISHED = re.compile(rf"{_WISH}[^.]{{0,60}}{_LEAST}|{_LEAST}[^.]{{0,100}}{_WISH}", re.IGNORECASE)
# "At least two partners must sign": these need not be all of them.
_SOME_OF_THEM = re.compile(
    rf"^\W*{_LEAST[2:]}\s+{_COUNT}\s[^.;]{{0,80}}?\b(?:must|shall|should|have to|moeten|dienen|müssen"
    rf"|moatte)\b"
    r"(?!.*\b(?:take part|participate|involved|cooperat\w+|collaborat\w+|together|apply|submit|join|form"
    r"|samen\w*|deelnemen|meedoen|aanvragen|indienen|beteiligt|zusammen\w*|gear\w*|oanfreegje)\b)",
    re.IGNORECASE,
)


def readiness(texts: Iterable[str]) -> tuple[int | None, int | None, str | None]:
    """Lowest and highest TRL that the work is expected to span, and the sentences that say so.

    The portal's own sentence ("Activities are expected to ...") decides where there is one. "At least 5"
    and "4 and above" state no highest level, "up to 6" no lowest; whether the Dutch "tot 7" counts the 7
    is not said. Ranges of several sentences in another language than English do not add up.
    """
    about = [text for text in texts if "TRL" in text or "eadiness" in text or "reifegrad" in text]
    said = [s for s in clauses(about) if _TRL.search(s)]
    asked = [s for s in said if _TRL_IS_ASKED.search(s) and _ENGLISH.search(s)]
    asked = [s for s in asked if _TRL_SENTENCE.search(s)] or asked
    if asked:
        lows, highs = _levels(asked)
        printed = " … ".join(dict.fromkeys(asked))[:600]
        return min(lows, default=None), max(highs, default=None), printed
    stated = [s for s in said if _TRL_IS_SAID.search(s) and not _one_bare_level(s)]
    spans = {
        (min(lows, default=None), max(highs, default=None))
        for lows, highs in map(_levels, ([s] for s in stated))
    }
    lowest, highest = {low for low, _ in spans if low}, {high for _, high in spans if high}
    if len(lowest) > 1 or len(highest) > 1 or not (lowest or highest) or (1, 9) in spans:
        return None, None, None
    printed = " … ".join(dict.fromkeys(stated))[:600]
    return min(lowest, default=None), max(highest, default=None), printed


def _one_bare_level(sentence: str) -> bool:
    """Whether a sentence names a single level, which may be where the work starts or where it ends."""
    first, *more = _TRL.finditer(sentence)
    return not more and not any(first[name] for name in ("least", "most", "high", "after"))


def _levels(said: Iterable[str]) -> tuple[list[int], list[int]]:
    """Levels that sentences give as lowest and as highest."""
    lowest: list[int] = []
    highest: list[int] = []
    for found in (match for sentence in said for match in _TRL.finditer(sentence)):
        low, high = int(found["low"]), int(found["high"] or found["low"])
        if found["open"] or high < low:
            continue
        if not found["most"]:
            lowest.append(low)
        if not found["until"] and (found["high"] or not (found["after"] or found["least"])):
            highest.append(high)
    return lowest, highest


@cache
def _one_from_each() -> re.Pattern[str]:
    """One partner from this country and one from that; German says it of a whole list with "je"."""
    named = "|".join(sorted(map(re.escape, countries()), key=len, reverse=True))
    one = (
        r"(?:one|één|een|ein(?:e|er|en|em)?|ien|1)(?:\s+(?:partner|company|organi[sz]ation|entity|bedrijf"
        r"|onderneming|organisatie|unternehmen|bedriuw|organisaasje))?"
    )
    place = (
        rf"(?:from|aus|uit|út)\s+(?:(?:the|de|den|der|dem)\s+)?"
        rf"(?:{named}|another country|een ander land|einem anderen land|in oar lân)(?![\w-])"
    )
    joint = r"(?:\s*,\s*|\s*,?\s+(?:and|en|und)\s+)"
    return re.compile(
        rf"(?:{_LEAST}|\b(?:waarvan|wêrfan|davon|of which|of whom))\s+(?:{_LEAST}\s+)?"
        rf"(?:{one}\s+{place}(?:{joint}(?:{_LEAST}\s+)?{one}\s+{place})+"
        rf"|(?:je|jeweils)\s+{one}\s+{place}(?:{joint}(?:aus\s+)?(?:(?:den|der"
        rf"|dem)\s+)?(?:{named})(?![\w-]))+)"
        r"(?!\s*,?\s*(?:and|en|und|or|of|oder)\b)",
        re.IGNORECASE,
    )


def _countries_named(sentence: str) -> int:
    """How many countries a sentence asks one partner of each from; 0 where it asks no such thing."""
    found = _one_from_each().search(sentence)
    if found is None:
        return 0
    words = found[0].lower()
    codes = {
        code for name, code in countries().items() if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words)
    }
    return len(codes) + len(
        re.findall(r"another country|een ander land|einem anderen land|in oar lân", words)
    )


def consortium(texts: Iterable[str]) -> tuple[Consortium, str | None]:
    """Least numbers of partners and countries, where the text requires them of every proposal.

    A sentence that holds only sometimes ("consortia of three or more must ...") proves nothing, and
    two that differ leave the numbers unknown.
    """
    found: dict[tuple[int, int | None], str] = {}
    sometimes = False
    for sentence in (sentence for text in texts for sentence in sentences(text)):
        partners = list(_PARTNERS.finditer(sentence))
        among = _COUNTRIES.search(sentence)
        members = None if partners or not _TOGETHER.search(sentence) else _MEMBERS.search(sentence)
        if members and _ENGLISH.search(sentence) and not among:
            members = None  # "at least three entities from one of these regions" are not all of them
        named = _countries_named(sentence)
        told = bool(partners or members or named)
        if _ALONE.search(sentence) or (told and _ONLY_SOMETIMES.search(sentence)):
            sometimes = True
        asked = _MUST.search(sentence) and not _WISHED.search(sentence)
        if not told or not asked or (_SOME_OF_THEM.search(sentence) and not among):
            continue
        if members:
            least = _count(members[1])
            sometimes = sometimes or _ANOTHER.search(sentence, members.end()) is not None
        elif partners:
            least = _count(partners[0]["count"]) + sum(_count(m["count"]) for m in partners[1:] if m["other"])
        else:
            least = named
        needed = _count(next(filter(None, among.groups()))) if among else named or None
        if needed is None and len(partners) < 2 and _EACH_ELSEWHERE.search(sentence):
            needed = least
        found.setdefault((least, needed), sentence[:600])
    printed = " … ".join(found.values())[:600] or None
    if len(found) != 1 or sometimes:
        return Consortium(), printed
    least, needed = next(iter(found))
    if least < 2:
        return Consortium(), printed
    return Consortium(min_partners=least, min_countries=needed), printed


def _count(word: str) -> int:
    return _NUMBER.get(word.lower()) or int(word)
