"""Whole consortia for a call: the best-ranked members that together meet every rule, chosen exactly.

A mixed-integer programme picks the members (HiGHS through SciPy); the same input gives the same consortium.
Where no choice can meet the rules, the rules that cannot be met, alone or together, are told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from pipeline.asks import Need, fills, met
from pipeline.organisations import Known

MOST = 8  # members, where nothing else is asked
THEME = 0.6  # what a theme that nobody else brings is worth, beside 1 for the best-ranked candidate
SWAPS = 3


@dataclass(frozen=True)
class Candidate:
    """An organisation that could join. `worth` is 1 for the best of its list, falling with its rank."""

    known: Known
    worth: float
    new: bool  # never a partner of the lead, as far as is known
    newcomer: bool  # in no EU project, as far as is known
    northern: bool


@dataclass(frozen=True)
class Proposal:
    """A whole consortium, the lead first; who meets which need, and who could take whose place."""

    name: str
    members: tuple[Known, ...]
    needs: Mapping[str, tuple[str, ...]]  # need → ids of the members that count for it
    open: tuple[str, ...]  # wishes that nobody in it meets
    swaps: Mapping[str, tuple[str, ...]]  # member → ids of others with whom all rules still hold


@dataclass(frozen=True)
class Wanted:
    """What a proposal must be, beside the call's rules."""

    name: str
    keep: frozenset[str] = frozenset()  # ids that must be in it
    newcomers: int = 0  # least number of them
    northern: int = 0  # least number, the lead not counted
    new_only: bool = False  # nobody whom the lead knows


def propose(
    needs: Sequence[Need],
    lead: Known | None,
    candidates: Sequence[Candidate],
    wanted: Wanted,
    size: int | None = None,
) -> Proposal | None:
    """The consortium of greatest worth that meets every rule, or None where there is none.

    It has as many members as the rules need, and more, to MOST, while they bring a theme that nobody brings;
    with `size` exactly so many. Needs that nothing can tell of are left for a person to fill.
    """
    rules = [need for need in needs if need.must and need.tellable]
    themes = [need for need in needs if need.what == "theme"]
    pool = [c for c in candidates if lead is None or c.known.org_id != lead.org_id]
    pool = [c for c in pool if not wanted.new_only or c.new or c.known.org_id in wanted.keep]
    chosen = _solve(rules, themes, lead, pool, wanted, size)
    if chosen is None:
        return None
    members = ((lead,) if lead else ()) + tuple(pool[i].known for i in chosen)
    return Proposal(
        name=wanted.name,
        members=members,
        needs={n.need_id: tuple(m.org_id for m in members if n.tellable and fills(n, m)) for n in needs},
        open=tuple(need.need_id for need in needs if not (need.tellable and met(need, members))),
        swaps=_swaps(needs, members, lead, pool, wanted),
    )


def unmet(
    needs: Sequence[Need], lead: Known | None, candidates: Sequence[Candidate], size: int | None = None
) -> tuple[Need, ...]:
    """The rules that no choice of candidates can meet together; none where they can be met.

    None of them is idle: without any one of them the others can be met (deletion filter, Chinneck 2008).
    """
    rules = [need for need in needs if need.must and need.tellable]
    pool = [c for c in candidates if lead is None or c.known.org_id != lead.org_id]
    if _solve(rules, [], lead, pool, Wanted(""), size) is not None:
        return ()
    kept = list(rules)
    for need in rules:
        fewer = [other for other in kept if other is not need]
        if _solve(fewer, [], lead, pool, Wanted(""), size) is None:
            kept = fewer
    return tuple(kept)


def _solve(
    rules: Sequence[Need],
    themes: Sequence[Need],
    lead: Known | None,
    pool: Sequence[Candidate],
    wanted: Wanted,
    size: int | None,
) -> list[int] | None:
    """The numbers of the chosen candidates, best first.

    Variables: each candidate, each country that a rule about countries counts, each theme; all 0 or 1.
    """
    count = len(pool)
    fixed = [lead] if lead else []
    least = max([need.least for need in rules if need.what in ("members", "countries")], default=2)
    most = size or max(MOST, least)
    places = [need for need in rules if need.what == "countries"]
    lands = [(n, land) for n, need in enumerate(places) for land in _lands(need, pool)]
    width = count + len(lands) + len(themes)
    rows: list[np.ndarray] = []
    low: list[float] = []
    high: list[float] = []

    def add(row: np.ndarray, at_least: float, at_most: float = np.inf) -> None:
        rows.append(row)
        low.append(at_least)
        high.append(at_most)

    everyone = np.zeros(width)
    everyone[:count] = 1.0
    add(everyone, (size or min(least, most)) - len(fixed), most - len(fixed))
    for need in rules:
        if need.what != "countries":
            row = np.zeros(width)
            row[:count] = [fills(need, c.known) for c in pool]
            add(row, need.least - sum(fills(need, member) for member in fixed))
    for n, need in enumerate(places):
        mine = {m.country for m in fixed if fills(need, m)}
        row = np.zeros(width)
        for number, (of, land) in enumerate(lands):
            if of != n:
                continue
            row[count + number] = land not in mine
            there = np.zeros(width)  # a country counts only where somebody is from it
            there[:count] = [fills(need, c.known) and c.known.country == land for c in pool]
            there[count + number] = -1.0
            add(there, 0.0)
        add(row, need.least - len(mine))
    for number, need in enumerate(themes):
        row = np.zeros(width)
        row[:count] = [fills(need, c.known) for c in pool]
        row[count + len(lands) + number] = -1.0
        add(row, -1.0 if any(fills(need, member) for member in fixed) else 0.0)
    for flag, number_of in (("newcomer", wanted.newcomers), ("northern", wanted.northern)):
        if number_of:
            row = np.zeros(width)
            row[:count] = [getattr(c, flag) for c in pool]
            add(row, number_of)
    bounds = Bounds(np.zeros(width), np.ones(width))
    bounds.lb[:count] = [c.known.org_id in wanted.keep for c in pool]
    # every member costs a little more than the best is worth, so that nobody is in it for nothing
    gain = np.zeros(width)
    gain[:count] = [c.worth - 1.05 - 1e-6 * i for i, c in enumerate(pool)]
    gain[count + len(lands) :] = THEME + 0.45
    if not count and not fixed:
        return None
    if not width:
        return [] if all(met(need, fixed) for need in rules) else None
    found = milp(
        -gain,
        constraints=LinearConstraint(np.array(rows), low, high),
        bounds=bounds,
        integrality=np.ones(width),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        return None
    chosen = [i for i in range(count) if found.x[i] > 0.5]
    return sorted(chosen, key=lambda i: (-pool[i].worth, i))


def _lands(need: Need, pool: Sequence[Candidate]) -> list[str]:
    return sorted({c.known.country for c in pool if c.known.country and fills(need, c.known)})


def _swaps(
    needs: Sequence[Need],
    members: Sequence[Known],
    lead: Known | None,
    pool: Sequence[Candidate],
    wanted: Wanted,
) -> dict[str, tuple[str, ...]]:
    """Who could take each member's place with all rules met: those that keep most wishes first."""
    inside = {member.org_id for member in members}
    of = {c.known.org_id: c for c in pool}
    rules = [need for need in needs if need.must and need.tellable]
    wishes = [need for need in needs if not need.must and need.tellable]
    found = {}
    for member in members:
        if lead is not None and member.org_id == lead.org_id:
            continue
        rest = [m for m in members if m.org_id != member.org_id]
        leaving = of[member.org_id]
        fitting = [
            c
            for c in pool
            if c.known.org_id not in inside
            and not (wanted.newcomers and leaving.newcomer and not c.newcomer)
            and not (wanted.northern and leaving.northern and not c.northern)
            and all(met(need, [*rest, c.known]) for need in rules)
        ]
        kept = {c.known.org_id: sum(met(need, [*rest, c.known]) for need in wishes) for c in fitting}
        fitting.sort(key=lambda c: (-kept[c.known.org_id], -c.worth, c.known.org_id))
        found[member.org_id] = tuple(c.known.org_id for c in fitting[:SWAPS])
    return found


def missing(needs: Sequence[Need], members: Collection[Known]) -> tuple[Need, ...]:
    """What is still open once these members are in: rules and wishes that they do not meet together."""
    those = list(members)
    return tuple(need for need in needs if not (need.tellable and met(need, those)))
