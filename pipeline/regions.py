"""The region by theme: what open calls and its companies ask, who here offers it, and who elsewhere could.

It rests on what calls, profiles and catalogues say: a theme that somebody leaves out is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from pipeline.deadlines import may_be_open, next_deadline, on
from pipeline.eligibility import reserved_for_hubs
from pipeline.hubs import for_designated_alone, for_every_hub
from pipeline.labs import is_lab
from pipeline.organisations import Known
from pipeline.partners import in_north
from pipeline.places import distance
from pipeline.prose import sentences
from pipeline.schema import Call, Profile, Record
from pipeline.themes import named_themes, themes, themes_in

CENTRE = "Groningen"  # from where distances to hubs elsewhere are told
ELSEWHERE = 3  # hubs that are named for a theme
NEIGHBOURS = ("NL", "DE", "BE", "DK")  # whose hubs come first, in this order
DESIGNATION = (
    "A designation as European Digital Innovation Hub: named by the member state, then chosen by the "
    "Commission (Regulation (EU) 2021/694, Article 16)."
)


class Asked(Record):
    """A company that asks for a theme, in its own words."""

    profile_id: str
    name: str
    words: str | None  # the sentence that names it; None: its profile gives the theme


class Placed(Record):
    """An organisation that offers a theme, and where it is."""

    org_id: str
    name: str
    place: str | None
    country: str | None
    km: float | None  # from Groningen, as the crow flies; None: not known
    words: str | None  # of its offer that names the theme; None: its profile, or the catalogue, gives it


class OpenCall(Record):
    """A call that one may apply to, as far as is stated."""

    call_id: str
    title: str
    url: str
    words: str  # that name the theme
    next_deadline: date | None
    budget_eur: float | None  # its own money, where stated


class ThemeGap(Record):
    """One theme in the region: asked, offered, open."""

    theme: str  # of `themes.yml`
    label: str  # in English
    calls: tuple[OpenCall, ...]  # soonest first
    budget_eur: float | None  # of those that state their own; None: none does
    asked: tuple[Asked, ...]  # companies of the north
    labs: tuple[Placed, ...]  # labs and hubs of the north that offer it
    companies: tuple[Placed, ...]  # companies of the north that do, by what they say of themselves
    gap: bool  # asked by open calls or companies, and no lab of the north offers it
    nobody: bool  # and no company of the north is placed for it either
    elsewhere: tuple[Placed, ...]  # hubs elsewhere that offer it, the Netherlands first


class Reserved(Record):
    """A call that only designated hubs may apply to."""

    call_id: str
    title: str
    url: str
    next_deadline: date | None
    clause: str
    needs: str  # what is needed to qualify
    could: tuple[str, ...]  # ids of northern hubs that are designated, as far as is stated


def region(
    calls: Iterable[Call], profiles: Sequence[Profile], organisations: Sequence[Known], as_of: date
) -> list[ThemeGap]:
    """All themes that somebody asks or offers: gaps first, then by how many ask. Ties go by name."""
    open_calls = _open_calls(calls, as_of)
    northern = [known for known in organisations if in_north(known)]
    labs = _placed(known for known in northern if is_lab(known))
    firms = _placed((k for k in northern if not is_lab(k) and k.profile_id), by_words=True)
    hubs = _placed(known for known in organisations if is_lab(known) and in_north(known) is not True)
    asked = _asked(profiles)
    found = []
    for theme, spoken in themes().items():
        here = labs.get(theme, [])
        gap = bool(open_calls.get(theme) or asked.get(theme)) and not here
        money = [c.budget_eur for c in open_calls.get(theme, ()) if c.budget_eur is not None]
        if not (open_calls.get(theme) or asked.get(theme) or here):
            continue
        found.append(
            ThemeGap(
                theme=theme,
                label=spoken["en"][0],
                calls=tuple(open_calls.get(theme, ())),
                budget_eur=sum(money) if money else None,
                asked=tuple(asked.get(theme, ())),
                labs=tuple(here),
                companies=tuple(firms.get(theme, ())),
                gap=gap,
                nobody=gap and not firms.get(theme),
                elsewhere=tuple(_nearest(hubs.get(theme, []))),
            )
        )
    return sorted(
        found, key=lambda t: (not t.gap, -len(t.calls) - len(t.asked), -(t.budget_eur or 0), t.theme)
    )


def reserved(calls: Iterable[Call], organisations: Iterable[Known], as_of: date) -> list[Reserved]:
    """Open calls that designated hubs alone may apply to, and which hubs of the north could."""
    designated = [k for k in organisations if in_north(k) and k.designated_hub]
    found = []
    for call in calls:
        clause = reserved_for_hubs(call) if may_be_open(call, as_of) else None
        if clause is None:
            continue
        more = "" if for_every_hub(clause) else " The clause asks more than that: read it."
        others = "" if for_designated_alone(clause) else " Others that the clause names may apply too."
        ahead = next_deadline(call, as_of)
        found.append(
            Reserved(
                call_id=call.call_id,
                title=call.title,
                url=call.url,
                next_deadline=on(ahead) if ahead else None,
                clause=clause,
                needs=f"{DESIGNATION}{more}{others}",
                could=tuple(known.org_id for known in designated if for_every_hub(clause)),
            )
        )
    return sorted(found, key=lambda r: (r.next_deadline or date.max, r.call_id))


def _open_calls(calls: Iterable[Call], as_of: date) -> dict[str, list[OpenCall]]:
    found: dict[str, list[OpenCall]] = {}
    for call in calls:
        if not may_be_open(call, as_of) or reserved_for_hubs(call):
            continue
        ahead = next_deadline(call, as_of)
        for theme, words in named_themes(call).items():
            found.setdefault(theme, []).append(
                OpenCall(
                    call_id=call.call_id,
                    title=call.title,
                    url=call.url,
                    words=words,
                    next_deadline=on(ahead) if ahead else None,
                    budget_eur=call.budget_total_eur,
                )
            )
    for some in found.values():
        some.sort(key=lambda call: (call.next_deadline or date.max, call.call_id))
    return found


def _asked(profiles: Iterable[Profile]) -> dict[str, list[Asked]]:
    """Theme → companies of the north that seek it, or give it as a theme."""
    found: dict[str, list[Asked]] = {}
    for profile in profiles:
        if profile.kind not in ("sme", "large_company") or not _northern(profile):
            continue
        words: dict[str, str | None] = dict.fromkeys(profile.themes)
        for sentence in profile.seeks:
            words |= dict.fromkeys(themes_in(sentence), sentence)
        for theme, said in words.items():
            found.setdefault(theme, []).append(Asked(profile_id=profile.id, name=profile.name, words=said))
    return found


def _northern(profile: Profile) -> bool:
    return profile.country == "NL" and any(code[:4] in ("NL11", "NL12", "NL13") for code in profile.nuts)


def _placed(organisations: Iterable[Known], by_words: bool = False) -> dict[str, list[Placed]]:
    """Theme → who offers it, the nearest first.

    `by_words` goes by what an organisation says of itself: a company's themes may be what it seeks.
    """
    found: dict[str, list[Placed]] = {}
    for known in organisations:
        words: dict[str, str | None] = {} if by_words else dict.fromkeys(known.themes)
        said = sentences(known.says or "") if by_words else ()
        words |= {theme: text for text in (*said, *known.offers) for theme in themes_in(text)}
        km = distance(CENTRE, known.place)
        for theme, told in words.items():
            found.setdefault(theme, []).append(
                Placed(
                    org_id=known.org_id,
                    name=known.name,
                    place=known.place,
                    country=known.country,
                    km=None if km is None else round(km, 1),
                    words=told,
                )
            )
    for some in found.values():
        some.sort(key=lambda placed: (placed.km is None, placed.km or 0.0, placed.org_id))
    return found


def _nearest(hubs: Iterable[Placed]) -> list[Placed]:
    """The nearest hubs elsewhere: of the Netherlands, of its neighbours, then of the other countries."""

    def order(hub: Placed) -> tuple[int, bool, float, str]:
        country = NEIGHBOURS.index(hub.country) if hub.country in NEIGHBOURS else len(NEIGHBOURS)
        return country, hub.km is None, hub.km or 0.0, hub.org_id

    return sorted(hubs, key=order)[:ELSEWHERE]
