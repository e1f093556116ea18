"""One call out of what several documents state of it: what they agree on, and what excludes each other.

Values that differ are unknown and kept side by side. One rule settles a difference: a later ceiling
decision replaces an earlier ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pipeline.deadlines import on, status
from pipeline.schema import Call, Claim, Consortium, Contradiction, Deadline, DocumentRole

_LEADS: Mapping[DocumentRole, int] = {"page": 0, "opening": 1, "regulation": 2, "ceiling": 3, "amendment": 4}
_OF_A_ROUND = ("opens_on", "deadlines", "rolling", "until_spent", "budget_total_eur", "remaining_budget_eur")
_OF_A_SCHEME = (
    "programme",
    "allocation",
    "grant_max_eur",
    "grant_min_eur",
    "eligible_costs_min_eur",
    "eligible_costs_max_eur",
    "own_contribution_min_eur",
    "own_contribution_min_rate",
    "funding_rate",
    "funding_rate_sme",
    "trl_min",
    "trl_max",
    "applicants",
    "regions",
    "consortium",
)
_UNKNOWN: Mapping[str, Any] = {"deadlines": (), "applicants": (), "regions": (), "consortium": Consortium()}

Stated = list[tuple[Call, Any]]  # the document's call, and the value it states


def merged(group: Sequence[Call], as_of: date) -> Call:
    """One call out of the calls of single documents; a page leads, else the opening, else the regulation.

    What an amendment says of a field is only a difference to another text, so it states nothing here.
    """
    ordered = sorted(group, key=lambda c: (_LEADS[c.documents[0].role], c.call_id))
    lead = ordered[0]
    if len(ordered) == 1:
        return lead
    values: dict[str, Any] = {}
    printed = dict(lead.printed)
    contradictions = [c for c in lead.contradictions if c.field not in (*_OF_A_ROUND, *_OF_A_SCHEME)]
    for name in (*_OF_A_ROUND, *_OF_A_SCHEME):
        stated = [(call, getattr(call, name)) for call in _witnesses(ordered, name)]
        values[name], against = _agreed(name, [(c, v) for c, v in stated if v != _UNKNOWN.get(name)])
        inside = [c for call in _witnesses(ordered, name) for c in call.contradictions if c.field == name]
        if inside:
            values[name] = _UNKNOWN.get(name)
        contradictions += inside + ([against] if against else [])
        words = next((c.printed[name] for c, _ in stated if name in c.printed), None)
        printed |= {name: words} if words else {}
    if values["rolling"] and values["deadlines"]:  # one says that there is no fixed end, another names one
        endless = [(c, c.rolling) for c in _witnesses(ordered, "rolling") if c.rolling]
        ends = [(c, c.deadlines) for c in _witnesses(ordered, "deadlines") if c.deadlines]
        claims = _claims("rolling", endless) + _claims("deadlines", ends)
        contradictions.append(Contradiction(field="rolling", claims=claims))
        values["rolling"] = None
    claim = _claim(ordered)
    disputed = [] if values["deadlines"] else _days(contradictions)
    state, note = status(
        claim, values["opens_on"], values["deadlines"], as_of, rolling=values["rolling"], disputed=disputed
    )
    values |= {"status": state, "status_note": note, "claimed_status": claim}
    if lead.documents[0].role == "opening":
        law = [c for c in ordered if c.documents[0].role == "regulation"]
        values["sections"] = lead.sections + tuple(s for c in law for s in c.sections)
    values |= {"documents": tuple(d for c in ordered for d in c.documents), "printed": printed}
    return lead.model_copy(update=values | {"contradictions": tuple(contradictions)})


def _witnesses(ordered: Sequence[Call], name: str) -> list[Call]:
    """The calls whose document can state a field: of a round, not the regulation, which serves many."""
    roles = {call.documents[0].role for call in ordered}
    silent = {"amendment"} | ({"ceiling"} if name != "budget_total_eur" else set())
    silent |= {"regulation"} if name in _OF_A_ROUND and "opening" in roles else set()
    told = [call for call in ordered if call.documents[0].role not in silent]
    if name in _OF_A_ROUND and "page" in roles:
        told = [c for c in told if c.documents[0].role != "regulation" or _of_one_round(c, ordered[0])]
    return told


def _of_one_round(regulation: Call, page: Call) -> bool:
    """Whether a regulation's own window is that of the page: a regulation outlives its rounds."""
    return not (page.deadlines and regulation.deadlines) or on(page.deadlines[-1]) == on(
        regulation.deadlines[-1]
    )


def _agreed(name: str, stated: Stated) -> tuple[Any, Contradiction | None]:
    """The value that all who state a field agree on; else unknown, or the newest ceiling, and the claims."""
    unknown = _UNKNOWN.get(name)
    if not stated:
        return unknown, None
    if all(value == stated[0][1] for _, value in stated):
        return stated[0][1], None
    if name == "deadlines" and (same := _same_days([value for _, value in stated])):
        hours = {tuple(d.at for d in value) for _, value in stated if isinstance(value[0].at, datetime)}
        return same, _against(name, stated) if len(hours) > 1 else None
    if name == "applicants":  # a list names some who may apply, and a longer one names more
        return tuple(dict.fromkeys(who for _, value in stated for who in value)), None
    newest = _newest_ceiling(stated) if name == "budget_total_eur" else None
    if newest:
        return newest.budget_total_eur, _against(name, stated, newest.documents[0].document_id)
    return unknown, _against(name, stated)


def _newest_ceiling(stated: Stated) -> Call | None:
    """The ceiling decision that is newer than every other decision; None where a page says another sum."""
    dated = [(c.documents[0].published_on or date.min, c) for c, _ in stated if c.documents[0].role != "page"]
    dated.sort(key=lambda found: found[0])
    newest = dated[-1][1]
    alone = len(dated) == 1 or dated[-1][0] > dated[-2][0]
    pages = {value for c, value in stated if c.documents[0].role == "page"} - {newest.budget_total_eur}
    return newest if newest.documents[0].role == "ceiling" and alone and not pages else None


def _same_days(found: Sequence[tuple[Deadline, ...]]) -> tuple[Deadline, ...] | None:
    """Deadlines of several documents that fall on the same days, with the hours that they agree on."""
    if len({tuple(on(d) for d in deadlines) for deadlines in found}) != 1:
        return None
    agreed = []
    for same in zip(*found, strict=True):
        exact = [d for d in same if isinstance(d.at, datetime)]
        best = (exact or same)[0]
        opens = {d.opens_on for d in same if d.opens_on}
        update = {
            "at": best.at if len({d.at for d in exact}) < 2 else on(best),
            "opens_on": next(iter(opens)) if len(opens) == 1 else None,
        }
        agreed.append(best.model_copy(update=update))
    return tuple(agreed)


def _against(name: str, stated: Stated, settled_by: str | None = None) -> Contradiction:
    return Contradiction(field=name, claims=_claims(name, stated), settled_by=settled_by)


def _claims(name: str, stated: Stated) -> tuple[Claim, ...]:
    return tuple(
        Claim(
            document_id=call.documents[0].document_id,
            value=call.model_dump(mode="json", include={name})[name],
            printed=call.printed.get(name, ""),
        )
        for call, _ in stated
    )


def _claim(ordered: Sequence[Call]) -> str | None:
    """What the documents claim the status is. One page that says closed is believed, whatever its dates:
    money may be spent before the end."""
    pages = [c.claimed_status for c in ordered if c.documents[0].role == "page" and c.claimed_status]
    claims = pages or [c.claimed_status for c in ordered if c.claimed_status]
    return "closed" if "closed" in claims else claims[0] if len(set(claims)) == 1 else None


def _days(contradictions: Sequence[Contradiction]) -> list[date]:
    """All days that somebody claims to be the last."""
    values = [claim.value for c in contradictions if c.field == "deadlines" for claim in c.claims]
    flat = [d["at"] for v in values if isinstance(v, list) for d in v if isinstance(d, dict)]
    flat += [v for v in values if isinstance(v, str)]
    return [date.fromisoformat(str(at)[:10]) for at in flat]
