"""Organisations that may be proposed: all that a home knows, but for those that opted out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING

from flows.home import Home, HomeError, write_whole
from flows.usage import UsageError
from pipeline.organisations import Known, find, joined, of_hub, of_participant, of_profile

if TYPE_CHECKING:
    from pipeline.schema import Profile
    from warehouse.records import Records

HINTS = 3


@dataclass(frozen=True)
class OptOut:
    """An organisation that does not want to be proposed, by an id or a name, and since when."""

    organisation: str
    since: date
    why: str | None = None


@dataclass(frozen=True)
class Organisations:
    """Those that may be proposed, and those that are known but left out."""

    listed: Sequence[Known]
    left_out: Sequence[Known]

    def lead(self, name: str) -> Known:
        """The one organisation that an id, a code or a name means, also one that opted out: it asks itself.

        Raises UsageError where nobody is called so, or several are.
        """
        everybody = [*self.listed, *self.left_out]
        found = find(name, everybody)
        if len(found) == 1:
            return found[0]
        if found:
            told = ", ".join(f"{k.org_id} ({k.name}, {k.place or k.country})" for k in found[:5])
            raise UsageError(f"{name!r} may be {len(found)} organisations; give one's id: {told}")
        names = {n.casefold(): k.org_id for k in everybody for n in (k.org_id, k.name, *k.also)}
        near = [names[n] for n in get_close_matches(name.casefold(), names, n=HINTS, cutoff=0.6)]
        hint = f"did you mean {', '.join(dict.fromkeys(near))}?" if near else "see: fundmatch organisations"
        raise UsageError(
            f"nobody we know is called {name!r}; {hint} A company of your own becomes known with: "
            "fundmatch profiles import FILE, then: fundmatch run"
        )


def organisations(home: Home, warehouse: Records) -> Organisations:
    """One of each organisation: profiles, then catalogues, then EU participants, joined where one."""
    found: list[Known] = [of_profile(profile) for profile in warehouse.profile_records()]
    found += [of_hub(hub) for hub in warehouse.organisation_records()]
    found += [of_participant(participant) for participant in warehouse.participant_records()]
    one_each = joined(found)
    left_out = {k.org_id for said in opt_outs(home) for k in find(said.organisation, one_each)}
    return Organisations(
        [known for known in one_each if known.org_id not in left_out],
        [known for known in one_each if known.org_id in left_out],
    )


def proposable(home: Home, profiles: Iterable[Profile]) -> list[Profile]:
    """The profiles that may be named to others: those that did not opt out under any of their names."""
    given = list(profiles)
    out = {
        k.profile_id for said in opt_outs(home) for k in find(said.organisation, [*map(of_profile, given)])
    }
    return [profile for profile in given if profile.id not in out]


def opt_outs(home: Home) -> list[OptOut]:
    """Who opted out. Raises HomeError where the file is damaged: nobody may be listed by mistake."""
    try:
        rows = json.loads(home.not_listed.read_text("utf-8"))
        return [OptOut(row["organisation"], date.fromisoformat(row["since"]), row["why"]) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HomeError(
            f"{home.not_listed}: is damaged, so who opted out is not known and nobody is proposed; mend it"
        ) from error


def opt_out(home: Home, organisation: str, day: date, why: str | None = None, *, back: bool = False) -> None:
    """Keep that an organisation does not want to be proposed, or with `back` that it may be again."""
    home.create()
    said = {each.organisation: each for each in opt_outs(home)}
    if back:
        said.pop(organisation, None)
    else:
        said.setdefault(organisation, OptOut(organisation, day, why))
    rows = [asdict(each) | {"since": each.since.isoformat()} for _, each in sorted(said.items())]
    write_whole(home.not_listed, json.dumps(rows, ensure_ascii=False, indent=1))
