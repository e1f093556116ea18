"""Partners for a call: who is known to the lead, who is new, who is a newcomer, each with reasons and facts.

The three lists are ranked apart, so that those without a record are never drowned by those with one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.asks import BY_ONE, Need, fills, met
from pipeline.consortium import Candidate
from pipeline.organisations import Kind, Known
from pipeline.schema import Project, Record
from pipeline.themes import themes

List = Literal["known", "new", "newcomers"]
NORTH = ("NL1",)  # Groningen, Fryslân and Drenthe together (NUTS 1)
BRINGS = 0.05  # what each competence that is missing adds to a newcomer's cosine
FALL = 12.0  # ranks after which a candidate is worth half of the best of its list
REASONS = 4
LOOSE = 0.35  # cosine below which an organisation's own words have little to do with a call


class Partner(Record):
    """An organisation that could join, with what speaks for it. No persons."""

    org_id: str  # profile id, participant code, or "<catalogue>:<key>"
    name: str
    kind: Kind
    sme: bool | None  # small or medium-sized enterprise; None: not known
    country: str | None  # as NUTS writes it
    nuts: tuple[str, ...]
    place: str | None
    website: str | None
    rank: int  # 1 is best, in its list
    score: float  # only its order within the list means something
    role: str | None  # of those that the call asks, the first that it fills
    covers: tuple[str, ...]  # needs that it fills, or helps to fill, and the lead alone does not
    newcomer: bool | None  # in no EU project; None: not known
    partnered_before: bool | None  # with the lead; None: the lead's projects are not known
    projects: int | None  # EU projects that are known; None: its code is not known
    coordinated: int | None  # of those
    reasons: tuple[str, ...]  # best first
    also: tuple[str, ...]  # other ids and names of the same organisation
    sources: tuple[str, ...]  # where the facts were read


@dataclass(frozen=True)
class Fit:
    """What was found of one organisation for a call and a lead."""

    known: Known
    score: float
    projects: int | None = None
    coordinated: int = 0
    together: int = 0  # projects with the lead
    through: tuple[str, ...] = ()  # names of the lead's partners that it worked with
    nearest: Project | None = None  # of its projects, the one most like the call
    likeness: float = 0.0  # cosine of that, or of its own words
    sentence: str | None = None  # of its own words, the nearest to the call
    shown: Mapping[str, str] = field(default_factory=dict)  # theme → title of the project that shows it


def in_north(known: Known) -> bool | None:
    """Whether an organisation is in Groningen, Fryslân or Drenthe; None where its region is not known."""
    if any(code.startswith(NORTH) for code in known.nuts):
        return True
    if known.nuts and not any(NORTH[0].startswith(code) for code in known.nuts):
        return False
    return None if known.country in (None, "NL") else False


def with_themes(fit: Fit) -> Known:
    """The organisation with the themes that its projects show, besides its own."""
    return fit.known.model_copy(update={"themes": tuple(dict.fromkeys((*fit.known.themes, *fit.shown)))})


def listed(
    fits: Iterable[Fit],
    lead: Known | None,
    needs: Sequence[Need],
    most: int,
    always: Collection[str] = (),
    detailed: Callable[[Fit], Fit] = lambda fit: fit,
) -> dict[List, list[Partner]]:
    """Each list's partners, best first; ties go by id.

    Those after the `most` best are left out, but for who is of the north or in `always`. `detailed` finds out
    what only those need that are told of.
    """
    missing = [need for need in needs if need.tellable and not (lead and met(need, [lead]))]
    groups: dict[List, list[tuple[Fit, float]]] = {"known": [], "new": [], "newcomers": []}
    for fit in fits:
        name: List = "known" if fit.together else "new" if fit.projects else "newcomers"
        brings = sum(need.what == "theme" and fills(need, with_themes(fit)) for need in missing)
        groups[name].append((fit, fit.score + (BRINGS * brings if name == "newcomers" else 0.0)))
    found: dict[List, list[Partner]] = {}
    for name, group in groups.items():
        group.sort(key=lambda pair: (-round(pair[1], 6), pair[0].known.org_id))
        found[name] = [
            _partner(detailed(fit), score, rank, lead, needs, missing)
            for rank, (fit, score) in enumerate(group, 1)
            if rank <= most or fit.known.org_id in always or in_north(fit.known)
        ]
    return found


def candidates(
    lists: Mapping[List, Sequence[Partner]],
    fits: Mapping[str, Fit],
    most: Mapping[List, int],
    always: Collection[str] = (),
) -> list[Candidate]:
    """Those that a consortium is chosen from: the best of each list, all of the north, and whoever alone is
    among the best to fill a need. Each list's best is worth as much as another's."""
    found: dict[str, Candidate] = {}
    fill: dict[tuple[str, str | None], int] = {}
    for name, partners in lists.items():
        for partner in partners:
            fit = fits[partner.org_id]
            north = in_north(fit.known) is True
            rare = [key for need in partner.covers if fill.setdefault(key := (need, partner.country), 0) < 3]
            if partner.rank > most[name] and not (north or rare or partner.org_id in always):
                continue
            for key in rare:
                fill[key] += 1
            worth = 1.0 / (1.0 + (partner.rank - 1) / FALL)
            found[partner.org_id] = Candidate(
                with_themes(fit), worth, name != "known", name == "newcomers", north
            )
    return list(found.values())


def for_need(need: Need, lists: Mapping[List, Sequence[Partner]], most: int) -> list[Partner]:
    """Who fills one need, the best of each list in turn."""
    columns = [[p for p in partners if need.need_id in p.covers][:most] for partners in lists.values()]
    turns = [partner for row in range(most) for column in columns for partner in column[row : row + 1]]
    return turns[:most]


def _partner(
    fit: Fit,
    score: float,
    rank: int,
    lead: Known | None,
    needs: Sequence[Need],
    missing: Sequence[Need],
) -> Partner:
    known = with_themes(fit)
    roles = [need for need in needs if need.what == "role" and need.tellable and fills(need, known)]
    covers = [need for need in missing if need.what in BY_ONE and fills(need, known)]
    return Partner(
        **{name: getattr(known, name) for name in _SHARED},
        rank=rank,
        score=round(score, 6),
        role=roles[0].words.removeprefix("at least 1 ") if roles else None,
        covers=tuple(need.need_id for need in covers),
        newcomer=None if fit.projects is None else fit.projects == 0,
        partnered_before=None if lead is None or lead.pic is None else fit.together > 0,
        projects=fit.projects,
        coordinated=fit.coordinated if fit.projects else None,
        reasons=tuple(_reasons(fit, lead, covers))[:REASONS],
    )


_SHARED = ("org_id", "name", "kind", "sme", "country", "nuts", "place", "website", "also", "sources")


def _reasons(fit: Fit, lead: Known | None, covers: Collection[Need]) -> Iterable[str]:
    """What speaks for it, in sentences, the weightiest first."""
    if fit.together and lead:
        times = "a project" if fit.together == 1 else f"{fit.together} projects"
        yield f"was in {times} with the lead"
    if fit.nearest and fit.nearest.title:
        year = f", signed in {fit.nearest.signed_on.year}" if fit.nearest.signed_on else ""
        yield f"was in “{fit.nearest.title}”{year}, the nearest of its projects to this call"
    if fit.sentence:
        loosely = ", only loosely related" if fit.likeness < LOOSE else ""
        yield f"says of itself{loosely}: “{fit.sentence}”"
    for need in covers:
        if need.theme:
            label = themes()[need.theme]["en"][0]
            shown = fit.shown.get(need.theme)
            yield f"brings {label}" + (
                f", as “{shown}” shows" if shown else ", by its own words or the catalogue's"
            )
        elif need.what == "role":
            yield f"is {_as_role(fit.known)}: fills “{need.words}”"
    if fit.through:
        yield f"has worked with {' and '.join(fit.through)}, partners of the lead"
    if fit.projects:
        led = f", coordinated {fit.coordinated}" if fit.coordinated else ""
        yield f"{fit.projects} EU project{'s' if fit.projects > 1 else ''} known{led}"
    if in_north(fit.known):
        yield f"is in the north{f', in {fit.known.place}' if fit.known.place else ''}"


def _as_role(known: Known) -> str:
    told = {
        "company": "an SME" if known.sme else "a company",
        "university": "a university or school of higher education",
        "research": "a research organisation",
        "public": "a public body",
        "ngo": "a civil society organisation",
        "hub": "a hub",
    }
    return told.get(known.kind, f"a {known.kind}")
