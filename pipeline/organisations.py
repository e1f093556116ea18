"""Organisations by all that we know of them: profiles, a catalogue's hubs, participants; no persons.

What is one organisation is told by its participant code, by its name in its country, or by its own website.
Where none of these says so, two entries stay two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal
from urllib.parse import urlsplit

from pipeline.nuts import ISO, countries
from pipeline.offers import Service, of_catalogue, of_text, themes_of_catalogue
from pipeline.schema import Organisation, Participant, Profile, Record

Kind = Literal[
    "company", "university", "research", "public", "ngo", "fieldlab", "testbed", "hub", "other", "unknown"
]
KINDS: Mapping[str, Kind] = {
    "sme": "company",
    "large_company": "company",
    "research_organisation": "research",
    "public_body": "public",
    "PRC": "company",
    "HES": "university",
    "REC": "research",
    "PUB": "public",
    "OTH": "other",
    **{kind: kind for kind in ("ngo", "fieldlab", "testbed", "hub")},
}
_SMALL = {"sme": True, "large_company": False}
_LEGAL = frozenset(
    "bv nv vof cv ua gmbh mbh ag kg ev ug se sa sas sarl srl srls spa scrl scarl sprl asbl vzw ltd limited "
    "llp plc inc oy oyj ab as asa aps sl slu sau lda ood ead eood doo dd kft zrt nyrt sro spol zoo sp uab "
    "oue ike ae epe stichting foundation fundacion fundacja vereniging cooperatie the de het".split()
)
_SHARED_HOSTS = re.compile(
    r"(?:^|\.)(?:facebook|linkedin|twitter|x|youtube|google|wordpress|wixsite|github|europa)\.\w+$"
)
_ASIDE = re.compile(r"\(([^()]{2,40})\)")


class Known(Record):
    """An organisation and where each fact about it was read."""

    org_id: str  # of its first source: profile id, participant code, or "<catalogue>:<key>"
    name: str  # as its first source writes it
    kind: Kind
    sme: bool | None = None  # small or medium-sized enterprise
    country: str | None = None  # as NUTS writes it: EL, UK
    nuts: tuple[str, ...] = ()  # codes of where it is
    place: str | None = None  # town, or address
    website: str | None = None  # its own
    pic: str | None = None  # participant code, by which its projects are found
    profile_id: str | None = None  # where it has a profile here
    designated_hub: bool | None = None  # whether it is a designated European Digital Innovation Hub
    themes: tuple[str, ...] = ()  # of `themes.yml`
    offers: tuple[str, ...] = ()  # in its own words
    terms: tuple[str, ...] = ()  # services and technologies, as a catalogue lists them
    services: tuple[Service, ...] = ()  # of the four that hubs give
    says: str | None = None  # what it says of itself
    language: str | None = None  # ISO 639-1, of its words
    also: tuple[str, ...] = ()  # other ids and names under which it is known
    sources: tuple[str, ...] = ()  # where the facts were read


def of_profile(profile: Profile) -> Known:
    """What a profile tells of itself."""
    offers = tuple(dict.fromkeys((*profile.offers,)))
    return Known(
        org_id=profile.id,
        name=profile.name,
        kind=KINDS.get(profile.kind, "unknown"),
        sme=_SMALL.get(profile.kind),
        country=country_code(profile.country),
        nuts=profile.nuts,
        place=profile.place,
        website=profile.website,
        pic=profile.pic,
        profile_id=profile.id,
        designated_hub=profile.designated_hub,
        themes=profile.themes,
        offers=offers,
        services=tuple(dict.fromkeys(s for offer in offers for s in of_text(offer))),
        says=profile.description,
        language=profile.language,
        sources=profile.sources or (f"profile {profile.id}, {profile.label}",),
    )


def of_hub(hub: Organisation) -> Known:
    """What the catalogue of hubs tells of one; only the kind EDIH is a designation."""
    return Known(
        org_id=hub.org_id,
        name=hub.name,
        kind="hub",
        country=country_code(hub.country),
        place=hub.place,
        website=hub.website,
        designated_hub=True if hub.kind == "EDIH" else None,
        themes=themes_of_catalogue((*hub.technologies, *hub.sectors)),
        terms=tuple(dict.fromkeys((*hub.services, *hub.technologies))),
        services=of_catalogue(hub.services),
        says=hub.description,
        also=(hub.title,) if hub.title and hub.title != hub.name else (),
        sources=(hub.page.url,),
    )


def of_participant(participant: Participant) -> Known:
    """What CORDIS tells of an organisation."""
    return Known(
        org_id=participant.org_id,
        name=participant.name,
        kind=KINDS.get(participant.activity or "", "unknown"),
        sme=participant.sme if participant.activity == "PRC" else None,
        country=country_code(participant.country),
        nuts=(participant.nuts,) if participant.nuts else (),
        place=participant.place,
        pic=participant.org_id,
        sources=(f"CORDIS, participant {participant.org_id}",),
    )


def country_code(printed: str | None) -> str | None:
    """A country's code as NUTS writes it (EL, UK), from a code or a name in either spelling; else None."""
    text = " ".join((printed or "").split())
    if re.fullmatch(r"[A-Za-z]{2}", text):
        return ISO.get(text.upper(), text.upper())
    return countries().get(text.lower())


def joined(found: Iterable[Known]) -> list[Known]:
    """One of each organisation, in the order given: its first entry, with what the others add.

    `also` tells under which other ids and names it is known.
    """
    groups: list[list[Known]] = []
    by_key: dict[tuple[str, ...], int] = {}
    for known in found:
        keys = _keys(known)
        place = next((by_key[k] for k in keys if k in by_key and _may_be(groups[by_key[k]], known)), None)
        if place is None:
            place = len(groups)
            groups.append([])
        groups[place].append(known)
        for key in keys:
            by_key.setdefault(key, place)
    return [_one(group) for group in groups]


def find(name: str, among: Sequence[Known]) -> list[Known]:
    """The organisations that an id, a participant code, a name, or words of a name mean; none, or several."""
    exact = [known for known in among if name in (known.org_id, known.pic, known.profile_id, *known.also)]
    if exact:
        return exact
    wanted = simple_name(name)
    if alike := [k for k in among if wanted and wanted in {simple_name(n) for n in _names(k)}]:
        return alike
    words = name.casefold().split()
    pattern = re.compile(r"(?<!\w)" + r"\b.*?(?<!\w)".join(map(re.escape, words)) + r"(?!\w)")
    return [k for k in among if words and any(pattern.search(n.casefold()) for n in _names(k))]


def simple_name(name: str) -> str:
    """A name without legal form, marks, capitals and spaces; what stands in brackets is left out."""
    text = unicodedata.normalize("NFKD", _ASIDE.sub(" ", name)).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=\b\w)\.(?=\w\b)|(?<=\b\w)\.(?=\s|$)", "", text))
    return "".join(word for word in words if word not in _LEGAL) or "".join(words)


def _keys(known: Known) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = [("pic", known.pic)] if known.pic else []
    if known.country:
        keys += [("name", known.country, simple_name(name)) for name in (known.name, *known.also)]
        if host := _own_host(known.website):
            keys.append(("site", known.country, host))
    return [key for key in keys if key[-1]]


def _own_host(website: str | None) -> str | None:
    """The host of an address that is a site's first page, since a page below it may be of somebody else."""
    if not website:
        return None
    try:
        parts = urlsplit(website if "://" in website else f"https://{website}")
    except ValueError:
        return None
    host = (parts.hostname or "").removeprefix("www.")
    return host if "." in host and parts.path in ("", "/") and not _SHARED_HOSTS.search(host) else None


def _may_be(group: Sequence[Known], known: Known) -> bool:
    """Whether nothing says that they are two: other codes in other towns, or two entries of one catalogue."""
    codes = {each.pic for each in group if each.pic}
    if known.pic and codes and known.pic not in codes:
        towns = {(each.place or "").casefold() for each in group}
        return (known.place or "").casefold() in towns and known.place is not None
    return known.pic is not None or not any(_catalogue(each) == _catalogue(known) for each in group)


def _catalogue(known: Known) -> str:
    return known.org_id.partition(":")[0] if ":" in known.org_id else ("pic" if known.pic else "profile")


def _one(group: Sequence[Known]) -> Known:
    first = group[0]
    if len(group) == 1:
        return first

    def told(field: str) -> object:
        return next((v for each in group if (v := getattr(each, field)) not in (None, ())), None)

    def all_of(field: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for each in group for value in getattr(each, field)))

    names = [n for each in group for n in (each.org_id, each.name, *each.also)]
    single = ("sme", "country", "place", "website", "pic", "profile_id", "designated_hub", "says", "language")
    kind = next((k for each in group if (k := each.kind) not in ("unknown", "other")), first.kind)
    return first.model_copy(
        update={field: told(field) for field in single}
        | {field: all_of(field) for field in ("nuts", "themes", "offers", "terms", "services", "sources")}
        | {
            "kind": kind,
            "also": tuple(dict.fromkeys(n for n in names if n not in (first.org_id, first.name))),
        }
    )


def _names(known: Known) -> list[str]:
    within = [found for name in (known.name, *known.also) for found in _ASIDE.findall(name)]
    return [known.name, *known.also, *within]
