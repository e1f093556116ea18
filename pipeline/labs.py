"""One-stop shop: which lab or hub offers what a company needs, and how labs can help one another.

Every offer is an offer of one of the four services of hubs, or of none that its words name: then the service
is unknown, and the offer is found by its words alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.offers import Service, of_text
from pipeline.organisations import Known
from pipeline.places import distance
from pipeline.prose import sentences
from pipeline.schema import Profile, Record
from pipeline.themes import themes, themes_in
from pipeline.wording import wording

SHARED = 0.06  # that a theme named on both sides adds to the cosine of need and offer, for two at most
SERVED = 0.05  # that the service adds which is asked for
FAR = 0.0004  # that a kilometre takes, for FARTHEST at most
FARTHEST = 250.0
NO_PLACE = 60.0  # km that an unknown place counts as
LOOSE = 0.40  # score below which an offer is only loosely related
_KINDS = frozenset(("fieldlab", "testbed", "hub", "research"))
# Companies that show their factory, or teach in it, are labs too, by what they say of themselves.
_SHOWS = re.compile(
    r"\b(?:demonstratiefabrie\w+|demofabrie\w+|demo(?:nstration)?\s+(?:factor\w+|labs?)|skills\s+labs?|demolabs?"
    r"|skillslabs?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Offer:
    """One thing that a lab or hub offers, in its words."""

    lab: Known
    words: str
    services: tuple[Service, ...]  # none: its words name none
    themes: tuple[str, ...]  # that the words name; of a single offer, or else the lab's


@dataclass(frozen=True)
class Wish:
    """What somebody needs, in their words."""

    words: str
    language: str
    services: tuple[Service, ...] = ()  # that the words, or whoever asks, name
    themes: tuple[str, ...] = ()
    place: str | None = None


class Help(Record):
    """A lab that offers what is needed, with its reasons."""

    lab_id: str
    name: str
    kind: str
    place: str | None
    rank: int
    score: float  # only its order means something
    loosely: bool  # whether the offer is only loosely related
    offer: str  # the lab's own words
    services: tuple[Service, ...]  # of the four; none: not stated
    skills: tuple[str, ...]  # where it teaches: themes that the offer names
    wish: str  # that it answers
    km: float | None  # as the crow flies; None: a place is not known
    website: str | None
    reasons: tuple[str, ...]  # in the language of who asks
    sources: tuple[str, ...]


def is_lab(known: Known) -> bool:
    """Whether an organisation helps others by what it is, or by what it says of itself."""
    return known.kind in _KINDS or _SHOWS.search(known.says or "") is not None


def offers_of(lab: Known) -> list[Offer]:
    """What a lab offers: its offers, each sentence that it says of itself, and a catalogue's terms for it."""
    pieces = [*lab.offers, *sentences(lab.says or ""), *([", ".join(lab.terms)] if lab.terms else [])]
    found = []
    for words in dict.fromkeys(pieces):
        named = tuple(themes_in(words))
        shows: tuple[Service, ...] = ("test",) if _SHOWS.search(words) else ()
        services = tuple(dict.fromkeys((*of_text(words), *shows)))
        found.append(Offer(lab, words, services, named or lab.themes))
    return found


def wishes_of(profile: Profile) -> list[Wish]:
    """What a profile seeks, piece by piece; its description where it seeks nothing in particular."""
    pieces = list(profile.seeks) or [profile.description]
    return [
        Wish(
            words, profile.language, of_text(words), tuple(themes_in(words)) or profile.themes, profile.place
        )
        for words in pieces
    ]


def ranked(
    wishes: Sequence[Wish],
    offers: Sequence[Offer],
    cosines: NDArray[np.float64],
    service: Service | None = None,
    language: str = "en",
) -> list[Help]:
    """Labs for some wishes, best first: a lab by its best offer to any of them. Ties go by id.

    `cosines` are (wishes, offers). With a `service`, only offers of it, and those of no stated one.
    """
    best: dict[str, tuple[float, int, int]] = {}
    for j, offer in enumerate(offers):
        if service and offer.services and service not in offer.services:
            continue
        for i, wish in enumerate(wishes):
            score = round(_score(wish, offer, float(cosines[i, j]), service), 6)
            if score > best.get(offer.lab.org_id, (-1.0,))[0]:
                best[offer.lab.org_id] = (score, i, j)
    order = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))
    return [
        _help(wishes[i], offers[j], rank, score, language) for rank, (_, (score, i, j)) in enumerate(order, 1)
    ]


def overlaps(
    offers: Sequence[Offer], cosines: NDArray[np.float64], close: float
) -> list[tuple[Offer, Offer, float]]:
    """Pairs of labs whose offers are close, closest first, by their (offers, offers) cosines."""
    found: dict[tuple[str, str], tuple[float, int, int]] = {}
    for i, one in enumerate(offers):
        for j, other in enumerate(offers):
            if one.lab.org_id < other.lab.org_id and set(one.themes) & set(other.themes):
                key, value = (one.lab.org_id, other.lab.org_id), round(float(cosines[i, j]), 6)
                if value >= close and value > found.get(key, (0.0, 0, 0))[0]:
                    found[key] = (value, i, j)
    order = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
    return [(offers[i], offers[j], value) for _, (value, i, j) in order]


def _score(wish: Wish, offer: Offer, cosine: float, service: Service | None) -> float:
    shared = len(set(wish.themes) & set(offer.themes))
    asked = {service} if service else set(wish.services)
    km = distance(wish.place, offer.lab.place) if wish.place else 0.0
    away = min(NO_PLACE if km is None else km, FARTHEST)
    return cosine + SHARED * min(shared, 2) + SERVED * bool(asked & set(offer.services)) - FAR * away


def _help(wish: Wish, offer: Offer, rank: int, score: float, language: str) -> Help:
    lab, words = offer.lab, wording(language)["labs"]
    km = distance(wish.place, lab.place) if wish.place else None
    taught = [theme for theme, term in themes_in(offer.words).items() if "skills" not in of_text(term)]
    skills = tuple(_labels(taught, language)) if "skills" in offer.services else ()
    return Help(
        lab_id=lab.org_id,
        name=lab.name,
        kind=lab.kind,
        place=lab.place,
        rank=rank,
        score=score,
        loosely=score < LOOSE,
        offer=offer.words,
        services=offer.services,
        skills=skills,
        wish=wish.words,
        km=None if km is None else round(km, 1),
        website=lab.website,
        reasons=tuple(_reasons(wish, offer, km, skills, language, words)),
        sources=lab.sources,
    )


def _reasons(
    wish: Wish, offer: Offer, km: float | None, skills: Sequence[str], language: str, words: Mapping[str, str]
) -> list[str]:
    shared = _labels([theme for theme in offer.themes if theme in wish.themes], language)
    told = [words["offers"].format(words=offer.words)]
    told += (
        [words["service"].format(names=", ".join(words[f"of_{s}"] for s in offer.services))]
        if offer.services
        else []
    )
    told += [words["skills"].format(names=", ".join(skills))] if skills else []
    told += [words["themes"].format(names=", ".join(shared))] if shared else []
    if km is not None:
        told.append(words["near"].format(km=round(km), place=wish.place))
    elif wish.place:
        told.append(words["far_unknown"])
    return told


def _labels(slugs: Sequence[str], language: str) -> list[str]:
    return [themes()[slug][language][0] if slug in themes() else slug for slug in slugs]
