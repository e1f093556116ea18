"""Why a call fits a profile: the sentences that meet, and plain reasons in the profile's language."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.profiles import OwnPassage
from pipeline.prose import cut, sentences
from pipeline.schema import Call, Evidence, Match, Profile, Project

SENTENCE_CHARACTERS = 300
TERMS = 4  # in a reason, at most
FEW_WORDS = 5  # with less a sentence is a heading or a filler
QUOTED_CHARACTERS = 70  # of a sentence inside a reason
CLOSE = 0.45  # cosine of two passages from which they mean much the same; unlike ones reach some .4

SharedTerms = Callable[[str, str], list[str]]  # words and phrases of the second text that the first has

# Words of nearly every call or company, by how they begin ("-") or whole: alone they explain nothing.
_GENERIC = re.compile(
    "|".join(
        word.replace("-", r"\w*")
        for word in """
        abilit- access act action- activit- addition- advanc- analys- applicat- approach- area- bio busines-
        challeng- cluster- co compan- concept- cost- cross customer- demand- demonstrat- deploy- develop-
        different effective efficient enterpris- environment- eu europe- expect- experienc- facilit- field-
        focus follow- framework- good group- grow- high hub- impact- implement- improv- industr- initiativ-
        innovat- institution- invest- key knowledge large learn less level- life line- local main make
        makers? makes making maturity method- model- more multi national need- network- non northern
        objectiv- opportunit- organi[sz]ation- outcome- participat- partner- people perform- pilot- place-
        potential practice- problem- process- produc- programme- project- proposal- provid- quality
        readiness region- report- research- result- role- scale scope sector- servic- sets? site- skill-
        smart sme smes social solution- space stakeholder- standard- start start-ups state- step- strateg-
        study support- sustainab- system- take- task- team- techni- technolog- test testing time tool-
        topic- training transition- type- universit- use use[drs] value- work- year- build-
        aanvra- advies bedrijf bedrijven bijdra- binnen budget- dienst- doel- drenthe drentse extra fr[iy]es-
        fr[iy]sl- goed groei- groningen groninger grote? hulp jaar jaren kennis- klant- klein- kosten maak
        maakt maken maxim- mkb mogelijk- nederland- nieuwe? noord- onderne- ons onze ontwikkel- plan plannen
        product- provincie- regeling- samen- subsid- verder wij willen zelf
        """.split()
    )
)
# Sentences that stand in every call, and footnotes: no evidence of anything.
_BOILERPLATE = re.compile(
    r"https?://|^\W*\[\d+\]|following (?:expected )?outcomes|participation of SMEs is|^\W*(?:n/?a|null)\b",
    re.IGNORECASE,
)


def telling(shared_terms: SharedTerms) -> SharedTerms:
    """The same function without terms that every call and company has."""

    def shared(a: str, b: str) -> list[str]:
        return [term for term in shared_terms(a, b) if not all(map(_GENERIC.fullmatch, term.lower().split()))]

    return shared


def is_close(match: Match) -> bool:
    """Whether what a match rests on means much the same; else the call is only loosely related."""
    return any(pair.weight >= CLOSE for pair in match.evidence)


def pairs_of(
    own: Sequence[OwnPassage],
    theirs: Sequence[tuple[str, str]],
    cosines: NDArray[np.float32] | NDArray[np.float64],
    shared: SharedTerms,
) -> list[tuple[Evidence, OwnPassage]]:
    """The two closest pairs of passages, each told by its most telling sentences; passages of a word last.

    `theirs` are the call's passages as (heading, text); `cosines` is (own passages, their passages). The
    profile's passage comes along.
    """
    mute = [len(text.split()) < FEW_WORDS for _, text in theirs]
    pairs = sorted(
        (mute[j], -round(float(cosines[i, j]), 6), i, j) for i in range(len(own)) for j in range(len(theirs))
    )
    found: list[tuple[Evidence, OwnPassage]] = []
    used: set[int] = set()
    for _, negative, i, j in pairs:
        if j in used:
            continue
        used.add(j)
        heading, text = theirs[j]
        said = _telling(text, own[i].searched, shared)
        mine = own[i].shown if own[i].of_themes else _telling(own[i].searched, said, shared)
        pair = Evidence(profile_text=mine, call_text=said, call_heading=heading, weight=-negative)
        found.append((pair, own[i]))
        if len(found) == 2:
            break
    return found


def _telling(text: str, other: str, shared: SharedTerms) -> str:
    """The sentence of `text` that shares most with `other`; where none does, the first that says much.

    Headings, footnotes and phrases of every call are passed over while there is anything else.
    """
    found = [sentence.strip("-–•; ") for sentence in sentences(text)]
    full = [s for s in found if len(s.split()) >= FEW_WORDS and not _BOILERPLATE.search(s)]
    best = max(full or found or [text], key=lambda sentence: len(shared(other, sentence)))
    return cut(best, SENTENCE_CHARACTERS)


_PHRASES = {
    "en": {
        "shared": "Your {own} and the call both speak of {terms}.",
        "close": "The call's {part} is close in meaning to your {own}.",
        "loose": "Only loosely related; nearest in your profile: {own}.",
        "text": "text",
        "themes": "themes",
        "title": "Only the call's title is known, so read the call before you count on it.",
        "and": " and ",
        "project": "Near to your earlier project “{title}”{year}.",
    },
    "nl": {
        "shared": "Uw {own} en de call gaan allebei over {terms}.",
        "close": "De call ({part}) ligt qua betekenis dicht bij uw {own}.",
        "loose": "Slechts zijdelings verwant; het dichtst erbij in uw profiel: {own}.",
        "text": "tekst",
        "themes": "thema’s",
        "title": "Alleen de titel van de call is bekend; lees de call voordat u erop rekent.",
        "and": " en ",
        "project": "Ligt dicht bij uw eerdere project „{title}”{year}.",
    },
}


def reasons_for(
    profile: Profile,
    call: Call,
    pairs: Sequence[tuple[Evidence, OwnPassage]],
    shared: SharedTerms,
    project: Project | None = None,
) -> tuple[str, ...]:
    """Plain sentences in the profile's language; the first can stand alone. `project`: a near earlier one."""
    say = _PHRASES[profile.language]
    mine = "\n".join(own.searched if own.of_themes else pair.profile_text for pair, own in pairs)
    theirs = "\n".join(pair.call_text for pair, _ in pairs)
    few = [_within_a_sentence(term) for term in shared(mine, theirs)[:TERMS]]
    if sum(len(term.split()) for term in few) >= 2:
        whose = say["themes" if all(own.of_themes for _, own in pairs) else "text"]
        terms = say["and"].join(filter(None, [", ".join(few[:-1]), few[-1]]))
        first = say["shared"].format(own=whose, terms=terms)
    elif project and pairs[0][0].weight < CLOSE:
        first = ""  # the project says more than that the words are far apart
    else:
        pair, own = pairs[0]
        quoted = f"“{cut(pair.profile_text, QUOTED_CHARACTERS).rstrip('.;')}”"
        first = say["close" if pair.weight >= CLOSE else "loose"].format(
            part=f"“{pair.call_heading}”" if pair.call_heading else say["text"],
            own=f"{say['themes']} {quoted}" if own.of_themes else quoted,
        )
    near = _earlier_project(project, profile.language) if project else ""
    return tuple(filter(None, (first, near, "" if call.sections else say["title"])))


def evidence_of(
    call: Call, pairs: Sequence[Evidence], near: tuple[Project, float] | None
) -> tuple[Evidence, ...]:
    """The pairs of sentences, and an earlier project beside the call's title where it is near: first, unless
    the sentences are close too."""
    if near is None:
        return tuple(pairs)
    told = Evidence(profile_text=_title(near[0], SENTENCE_CHARACTERS), call_text=call.title, weight=near[1])
    return (*pairs, told) if pairs and pairs[0].weight >= CLOSE else (told, *pairs)


def _title(project: Project, characters: int) -> str:
    return cut(" ".join((project.title or project.project_id).split()), characters)


def _earlier_project(project: Project, language: str) -> str:
    """That a call is near to a project the profile was in, in its language."""
    year = f" ({project.signed_on.year})" if project.signed_on else ""
    return _PHRASES[language]["project"].format(title=_title(project, QUOTED_CHARACTERS), year=year)


def _within_a_sentence(term: str) -> str:
    """A term as it stands inside a sentence: "Smart Grids" becomes "smart grids", "AI" stays."""
    return " ".join(
        word.lower() if word[1:].islower() else word for word in " ".join(term.split()).split(" ")
    )
