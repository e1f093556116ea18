"""Labs and gaps out of the published warehouse: who here can help whom, and what nobody here offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.home import Home
from flows.partners.organisations import Organisations, organisations
from pipeline.labs import Help, Offer, Wish, is_lab, offers_of, overlaps, ranked, wishes_of
from pipeline.offers import Service, of_text
from pipeline.partners import in_north
from pipeline.prose import language_of
from pipeline.regions import Reserved, ThemeGap, region, reserved
from pipeline.schema import Profile, Record
from pipeline.themes import themes_in

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from warehouse.records import Records

CLOSE = 0.60  # cosine from which two labs' offers may be the same thing
Progress = Callable[[int, int], None]


class Overlap(Record):
    """Two labs of the north whose offers are close: they could send companies to one another, or share."""

    one: str  # ids
    other: str
    one_offers: str
    other_offers: str
    likeness: float  # cosine of the two offers


@dataclass(frozen=True)
class Region:
    """The north on a day."""

    as_of: date
    themes: Sequence[ThemeGap]
    overlaps: Sequence[Overlap]
    reserved: Sequence[Reserved]
    helps: Sequence[tuple[str, Help]]  # lab, and another one that offers what it seeks
    profiles: int
    confirmed: int
    left_out: int  # organisations that opted out


class Desk:
    """The one-stop desk: all labs' offers, encoded once."""

    def __init__(self, everybody: Organisations, encoder: Encoder, north: bool = True) -> None:
        labs = [known for known in everybody.listed if is_lab(known) and (not north or in_north(known))]
        self.offers: list[Offer] = [offer for lab in labs for offer in offers_of(lab)]
        self._encoder = encoder
        self.labs = {offer.lab.org_id for offer in self.offers}
        spoken = [language_of(offer.words) or offer.lab.language or "en" for offer in self.offers]
        self.vectors = self._encoded([offer.words for offer in self.offers], spoken)

    def help_for(
        self, wishes: Sequence[Wish], service: Service | None, language: str, but: str | None = None
    ) -> list[Help]:
        """Labs for some wishes, best first; `but` is who asks."""
        places = [i for i, offer in enumerate(self.offers) if offer.lab.profile_id != but or but is None]
        asked = self._encoded([wish.words for wish in wishes], [wish.language for wish in wishes])
        cosines = asked @ self.vectors[places].T
        return ranked(wishes, [self.offers[i] for i in places], np.round(cosines, 6), service, language)

    def _encoded(self, texts: Sequence[str], languages: Sequence[str]) -> NDArray[np.float64]:
        return self._encoder.encode(list(texts), kind="query", languages=languages).astype(np.float64)


def desk(home: Home, warehouse: Records, model: str | None = None, *, north: bool = True) -> Desk:
    """The desk of a home; all labs that are known where `north` is false."""
    from flows.corpus import encoder_for

    return Desk(organisations(home, warehouse), encoder_for(home, model), north)


def wish_of_text(text: str, language: str, place: str | None) -> Wish:
    """A need in somebody's own words."""
    return Wish(text, language, of_text(text), tuple(themes_in(text)), place)


def help_between(known: Desk, profiles: Sequence[Profile]) -> list[tuple[str, Help]]:
    """Lab → the best other lab for what it seeks, where one fits more than loosely; by lab."""
    labs = {offer.lab.profile_id for offer in known.offers}
    found = []
    for profile in profiles:
        if profile.id in labs and profile.seeks:
            helps = known.help_for(wishes_of(profile), None, "en", but=profile.id)
            found += [(profile.id, each) for each in helps[:1] if not each.loosely]
    return found


def region_of(home: Home, warehouse: Records, model: str | None = None) -> Region:
    """What is asked and offered in the north by theme, with what overlaps and what is reserved."""
    from flows.corpus import encoder_for

    everybody = organisations(home, warehouse)
    calls, profiles, as_of = warehouse.call_records(), warehouse.profile_records(), warehouse.day()
    here = Desk(everybody, encoder_for(home, model))
    cosines = np.round(here.vectors @ here.vectors.T, 6)
    return Region(
        as_of=as_of,
        themes=region(calls, profiles, everybody.listed, as_of),
        overlaps=[
            Overlap(
                one=one.lab.org_id,
                other=other.lab.org_id,
                one_offers=one.words,
                other_offers=other.words,
                likeness=round(value, 3),
            )
            for one, other, value in overlaps(here.offers, cosines, CLOSE)
        ],
        reserved=reserved(calls, everybody.listed, as_of),
        helps=help_between(here, profiles),
        profiles=len(profiles),
        confirmed=sum(profile.label == "confirmed" for profile in profiles),
        left_out=len(everybody.left_out),
    )
