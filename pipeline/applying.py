"""What a text says of applying: its sentences, their parts, and which parts are about nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pipeline.moments import MONTH, Printed, either, lower, tidy, words
from pipeline.stages import EITHER_STAGE, STAGES, stage_of

_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:nr|no|art|d\.d|bijv|ca|incl|excl|max|min|mr|dr|st|[ap]\.m|e\.g|i\.e|z\.b|u\.a|o\.a|abs|vgl)\.$",
    re.IGNORECASE,
)
_BREAK = re.compile(rf"\n|(?<=[.!?]) (?=[^\sa-z0-9])(?!(?i:{MONTH})\b)")
_LISTED = re.compile(r":((?:\n(?:[-•*·] ?|(?=[0-9]))[^\n]*)+)")
_HOUR_ON_NEXT_LINE = re.compile(r"\n(?=[0-9]{1,2}(?:[:.u][0-9]{2}(?![.0-9])| ?(?:uur|Uhr)\b))")

_PART = re.compile(
    r"[;,] |\b(?:en|and|und|mar|maar|but|aber) (?=(?:het|de|uw|the|your|das|der|die|it) [^\d\W]"
    rf"|{EITHER_STAGE})|\Z"
)


def sentences(text: str) -> Iterator[str]:
    """Sentences and lines; a list stays with the line that introduces it, an hour with its day."""
    text = _LISTED.sub(lambda found: ": " + re.sub(r"\n(?:[-•*·] ?)?", ", ", found[1])[2:], tidy(text))
    text = _HOUR_ON_NEXT_LINE.sub(" ", text.replace(":\n", ": "))
    start = 0
    for found in _BREAK.finditer(text):
        if found[0] == " " and _ABBREVIATED.search(text[max(0, found.start() - 8) : found.start()]):
            continue
        yield text[start : found.start()].strip()
        start = found.end()
    yield text[start:].strip()


@dataclass(frozen=True)
class Part:
    """Where a part of a sentence stands, and the dates in it."""

    start: int
    end: int
    dates: list[Printed]


def parts(sentence: str, found: list[Printed]) -> Iterator[Part]:
    """What a sentence says one after another; a comma right before a date goes on with the part before it."""
    start = ahead = passed = 0
    for gap in _PART.finditer(sentence):
        while passed < len(found) and found[passed].start < gap.start():
            passed += 1
        if passed and found[passed - 1].end > gap.start():
            continue
        to_date = found[passed].start - gap.end() if passed < len(found) else 99
        near = to_date < 40 and sentence.count(" ", gap.end(), gap.end() + to_date) <= 4
        if gap[0] == ", " and near and not any(p.match(sentence, gap.end()) for p in STAGES.values()):
            continue
        yield Part(start, gap.start(), found[ahead:passed])
        start, ahead = gap.end(), passed


SUBJECT = (
    r"(?:calls?|oproep|aanvraag(?:periode|termijn|tijdvak|ronde)|indien\w+|openstelling\w*|rondes?|tender|tranche|"
    r"(?:subsidie|e-?)?loket|rounds?|window|applications?|submissions?|oprop|rûnte|oanfraachperioade|\w*aufruf|"
    r"ausschreibung|\w*antragstellung)"
)
_APPLYING = re.compile(
    r"\b(?:indien(?:en|t)|indiening\w*|ingediend|in te dienen|aangevraagd|aan te vragen|\w*aanvragen|"
    r"aanvraag(?:periode|termijn|tijdvak|ronde)|sluitingsmoment(?:en)?|"
    r"dien(?:t|en)? (?:(?:u|je|uw|de|een|dan) ){0,3}\w*aanvra\w+|"
    r"openstelling\w*|oanfreegje|oanfrege|oanfraachperioade|yntsjin\w+|ynlever\w+|ynstjoer\w*|"
    r"apply|submi(?:t|tted|tting|ssions?)|applications?|proposals?|\w*antr[aä]g\w*|beantrag\w+|einreich\w+|"
    r"eingereicht|einzureichen|bewerbungsfrist|deadlines?|sluitingsdat\w+|openingsdat\w+|inleverdatum|"
    r"(?:closing|opening) dates?|cut-?offs?|einsendeschluss|stichtage?)\b|\bcall [0-9]+\b"
)
_APPLICATION = re.compile(r"\b(?:\w*aanvraag|vraagt?|\w*oanfreech|\w*oanfraach)\b")
_HANDED_IN = re.compile(
    r"\b(?:ontvangen|binnen|ingestuurd|insturen|inleveren|ingeleverd|doen|gedaan|mogelijk|opsturen|aan|"
    r"ûntfongen|dien|reach)\b"
)
_TAKES = re.compile(
    rf"\b(?:{SUBJECT}|\w*regeling|subsidie|fonds|programma|scheme|fund|programme|\w*programm|portal|portaal)\b"
)
_OPENS_OR_CLOSES = re.compile(
    r"\b(?:geopend|opengesteld|open|opent|opens|opened|iepene?|iepenet|geöffnet|öffnet|offen|sluit|sluiten|sloot|slút|"
    r"close[sd]?|schließt)\b"
)
_RUN = re.compile(
    r"(?:loopt|liep|runs?|ran|rint|läuft|start|starts|startet|begint|begins?|eindigt|ends?|endet)"
)
_RUNS = re.compile(rf"\b{SUBJECT}(?: [\w'-]+){{0,4}} {_RUN.pattern}\b")
_OF_A_SPAN = re.compile(
    r"\b(?:voor|over|foar|for|für) (?:\w+ ){0,2}(?:periode|tijdvak|termijn|perioade|termyn|period|window)\b"
)
_SET_PHRASE = re.compile(
    rf"\bnot? later than\b|\baan te vragen\b|\bniet later dan\b|\bclosed on\b|\b(?:19|20)[0-9]{{2}}\b"
    rf"|(?:(?<=call)|(?<=calls)|(?<=ronde)|(?<=round)|(?<=tranche)|(?<=rûnte)) [0-9]{{1,2}}\b"
    rf"|\b[0-9]{{1,2}} ?(?:e|de|ste|st|nd|rd|th) (?={SUBJECT})"
    r"|[/(] ?[0-9]{1,2}[:.][0-9]{2}(?: (?:uur|uhr|hours|h))?(?: [a-z]{3,4})?\)?"  # a moment told twice
    r"|\b(?:kin|kinne|wer) no\b|\bis no (?:wer )?iepen\b|\bwie (?:wer )?iepen\b|\bas (?:of|from)\b"
    r"|\bproject (?=(?:applications?|proposals?)\b)"
    r"|\bbesluit(?:en)?(?= (?:om )?(?:de|het) (?:periode|tijdvak|aanvraag(?:periode|termijn|tijdvak)))"
    r"|\b(?:vast te stellen|vastgesteld)(?= (?:op|van) \|)"
)
# What the money is for, said after the window: it does not change the days, unless it names some only.
_PURPOSE = re.compile(
    r"(?:\b(?:subsidie|subsydzje) (?:aan(?: te )?vragen|oanfreegje)|\bapply for (?:funding|a grant)) "
    r"(?:voor|foar|for) (?:(?:een|in|a|uw|jo|your) )?(?:plan(?:nen|s)?|proje[ck]t(?:en|s)?|"
    r"initiatie(?:f|ven)|inisjatyf|inisjativen|a[ck]tiviteit(?:en)?|initiatives?|activit(?:y|ies))\b(?P<rest>[^|0-9]{0,300})\Z"
)
_SOME = re.compile(
    r"\b(?:niet|geen|nog|net|gjin|noch|not?|als|as|indien|mits|tenzij|alleen|allinnich|only|if|unless|\w*fas[en]\w*|"
    r"faze|stage|phase|rondes?|rounds?|rûnte|categorie\w*|kategory\w*|categor\w+|onderde\w+|ûnderdiel\w*|lijn|spoor|"
    r"thema\w*|tema\w*|lot|track|strand|module|paragraaf)\b"
)
_MONEY = (
    r"(?:\w+ ){0,2}(?:\w*budget|\w*plafond|geld|middelen|\w*bedrag|vouchers|\w*budzjet|jild|middels|funds?|"
    r"funding|money|\w*mittel|\w*topf)(?: \w+){0,3}?"
)
_WHEN = (
    r"(?:(?:het|it|the|such|zu dem|zum) )?(?:(?:moment|tijdstip|momint|tiidstip|point|time|zeitpunkt),? "
    r"(?:waarop|dat|when|that|at which|as|an dem|zu dem) )?"
)
SPENT = re.compile(
    rf"\btot(?:dat)? {_WHEN}{_MONEY} (?:uitgeput|bereikt|op|besteed|verbruikt|vergeven)\b|"
    rf"\b(?:tot|bij) uitputting van {_MONEY}\b|"
    rf"\bzolang {_MONEY} (?:toelaat|strekt|beschikbaar|is)\b|"
    r"\bop ?= ?op\b|\bop is op(?= ?(?:[.,;!?)]|$))|"
    rf"\boant {_WHEN}{_MONEY} (?:op|útput|berikt)\b|\bsalang(?:'t| as) {_MONEY} (?:is|beskikber|talit)\b|"
    rf"\buntil {_WHEN}{_MONEY} (?:exhausted|spent|used up|depleted|runs? out|committed)\b|"
    rf"\b(?:while|as long as) {_MONEY} (?:lasts?|available|remains?)\b|"
    rf"\bbis {_WHEN}{_MONEY} (?:ausgeschöpft|erschöpft|aufgebraucht|verbraucht)\b|"
    rf"\bsolange {_MONEY} (?:verfügbar|vorhanden)\b"
)
_CAN = re.compile(r"\b(?:kunt|kun|kan|kunnen|kon|konden)\b")
_TO_APPLY = re.compile(r"\baanvragen\b")
_NO_NAME = re.compile(r"vaststell|voorschot|uitstel|verleng|wijzig|betal")
_WORD = re.compile(r"[^\W_](?:[\w'&+/-]*[\w+])?")


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(word for listed in words()["applying"].values() for word in listed.split())


@cache
def _applicants() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{either(words()['applying']['applicants'].split())})(?![\w-])")


@cache
def always() -> re.Pattern[str]:
    """A pattern of the phrases that say there is no fixed end."""
    return re.compile(rf"(?<!\w)(?:{either(words()['always'])})(?! [0-9]{{4}})(?!\w)")


def for_some_each(sentence: str, found: list[Printed]) -> bool:
    """Whether a sentence names applicants on both sides of a date: some may have other days than others."""
    starts = [0, *(printed.end for printed in found)]
    ends = [*(printed.start for printed in found), len(sentence)]
    named = [_applicants().search(sentence, start, end) for start, end in zip(starts, ends, strict=True)]
    return len([name for name in named if name]) > 1


def speaks_of_applying(clause: str) -> bool:
    """Whether a clause, in lower case, is about taking applications."""
    return bool(
        _APPLYING.search(clause)
        or (_TAKES.search(clause) and _OPENS_OR_CLOSES.search(clause))
        or (_APPLICATION.search(clause) and _HANDED_IN.search(clause))
        or _RUNS.search(clause)
        or stage_of(clause)
    )


def only_of_applying(sentence: str, part: Part) -> bool:
    """Whether a part holds no words beside its dates but those of applying, and names of schemes."""
    pieces, end = [], part.end
    for printed in reversed(part.dates):
        pieces.append(sentence[printed.end : end])
        end = printed.start
    text = "|".join([sentence[part.start : end], *reversed(pieces)])
    small = lower(text)
    if _OF_A_SPAN.search(small):
        return False
    purpose = _PURPOSE.search(small)
    if purpose and not any(p.search(purpose["rest"]) for p in (_SOME, SPENT, always())):
        small = small[: purpose.start()] + " aanvragen"
    runs = bool(_RUNS.search(small))
    for pattern in (SPENT, always(), *STAGES.values(), _SET_PHRASE):
        small = pattern.sub(lambda found: " " * len(found[0]), small)
    named = bool(_CAN.search(small) and _TO_APPLY.search(small))
    return all(
        found[0] in _vocabulary()
        or _vocabulary().issuperset(found[0].split("-"))
        or (runs and _RUN.fullmatch(found[0]))
        or (named and found.start() and text[found.start()].isupper() and not _NO_NAME.match(found[0]))
        for found in _WORD.finditer(small)
    )
