"""Partners for a call out of the published warehouse: what is asked, who could join, and whole consortia."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from flows.corpus import passages_of_calls
from flows.home import Home
from flows.partners.organisations import Organisations, organisations
from flows.usage import UsageError
from pipeline.asks import BY_ONE, Need, needs
from pipeline.consortium import Candidate, Proposal, Wanted, missing, propose, unmet
from pipeline.eligibility import eligibility
from pipeline.match import BEST_PASSAGES
from pipeline.network import Network, scores
from pipeline.nuts import ISO
from pipeline.organisations import Known, country_code
from pipeline.partners import Fit, List, Partner, candidates, for_need, listed
from pipeline.profiles import pieces_of
from pipeline.prose import cut, language_of, sentences
from pipeline.schema import Call, Profile, Project, Topic, Verdict
from pipeline.themes import themes_in

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from warehouse.records import Records

POOL: Mapping[List, int] = {"known": 60, "new": 120, "newcomers": 40}  # of each list, for consortia
SAID = 12  # pieces of what an organisation says of itself, at most
WORDS = 240  # characters of a sentence in a reason
PER_NEED = 5
THROUGH = 2  # of the lead's partners, that are named
KEPT = 500  # of a list; the rest is further away than anybody looks
_PROFILE_KIND = {
    "university": "research_organisation",
    "research": "research_organisation",
    "public": "public_body",
}
_CODE = re.compile(r"[A-Z]{2}[A-Z0-9]{0,3}")  # of a NUTS area
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Filters:
    """Which organisations are wanted; empty: all. Consortia are chosen from those that are."""

    regions: tuple[str, ...] = ()  # NUTS codes; whose region is not known is left out
    countries: tuple[str, ...] = ()  # as NUTS writes them
    newcomers: bool = False  # only those in no EU project, as far as is known


@dataclass(frozen=True)
class Found:
    """All that is said of a call and a lead."""

    call: Call
    lead: Known | None
    as_of: date
    needs: tuple[Need, ...]
    covered: tuple[str, ...]  # needs that the lead fills itself
    gaps: Mapping[str, Sequence[Partner]]  # need that is open, and that one member can fill → who does
    lists: Mapping[List, Sequence[Partner]]
    proposals: tuple[Proposal, ...]
    unmet: tuple[Need, ...]  # rules that cannot be met by whom we know
    left_out: int  # organisations that opted out
    lead_barred: str | None  # the clause that does not let the lead itself apply
    home_only: bool  # whether only Dutch ones are told of, since the call is national or regional
    barred: Mapping[str, int]  # clause → organisations that it does not let apply
    projects: int  # earlier EU projects that the order rests on; 0: texts alone
    together: Mapping[tuple[str, str], int]  # members of consortia → EU projects that both were in


def find_partners(
    home: Home,
    warehouse: Records,
    call_id: str,
    lead: str | None = None,
    filters: Filters | None = None,
    keep: Collection[str] = (),
    drop: Collection[str] = (),
    size: int | None = None,
    model: str | None = None,
    progress: Progress | None = None,
) -> Found:
    """Rank all organisations as partners for a call, and propose consortia that meet its rules.

    `keep` are in every consortium, `drop` nowhere. Raises UnknownCall, and UsageError for an organisation
    that nobody knows, or that is to be kept and cannot be.
    """
    call, as_of = warehouse.call(call_id), warehouse.day()
    everybody = organisations(home, warehouse)
    leading = everybody.lead(lead) if lead else None
    kept = frozenset(_named(name, everybody).org_id for name in keep)
    out = {_named(name, everybody).org_id for name in drop} | ({leading.org_id} if leading else set())
    asked, first = needs(call), [leading] if leading else []
    finder = _Finder(home, warehouse, call, as_of, model, progress)
    may, barred = _may_apply(everybody.listed, call, as_of)
    fits = finder.fits([known for known in may if known.org_id not in out], leading, asked)
    fits += _kept(kept - {fit.known.org_id for fit in fits}, may, out)
    chosen = filters or Filters()
    home_only = call.level in ("national", "regional") and not (chosen.countries or chosen.regions)
    chosen = replace(chosen, countries=("NL",)) if home_only else chosen
    fits = [fit for fit in fits if fit.known.org_id in kept or _wanted(fit, chosen)]
    hidden = {code for known in everybody.left_out for code in (known.pic, *known.also) if code}
    lists = listed(fits, leading, asked, KEPT, kept, partial(finder.detailed, leading, hidden))
    pool = candidates(lists, {fit.known.org_id: fit for fit in fits}, POOL, kept)
    impossible = unmet(asked, leading, pool, size)
    proposals = () if impossible else _proposals(asked, leading, pool, kept, size)
    return Found(
        call=call,
        lead=leading,
        as_of=as_of,
        needs=asked,
        covered=tuple(n.need_id for n in asked if leading and not missing([n], first)),
        gaps={
            need.need_id: for_need(need, lists, PER_NEED)
            for need in missing(asked, first)
            if need.what in BY_ONE and need.tellable
        },
        lists=lists,
        proposals=proposals,
        unmet=impossible,
        left_out=len(everybody.left_out),
        lead_barred=next(iter(_may_apply(first, call, as_of)[1]), None),
        home_only=home_only,
        barred=barred,
        projects=len(finder.network.history.project_ids) if finder.network else 0,
        together=finder.together([member for proposal in proposals for member in proposal.members]),
    )


def _kept(absent: Collection[str], may: Sequence[Known], out: Collection[str]) -> list[Fit]:
    """Those that are to be kept and of whom nothing but a name is known. Raises UsageError for the others."""
    if both := sorted(set(absent) & set(out)):
        raise UsageError(f"{both[0]}: is the lead, or is to be kept and left out at once")
    found = [Fit(known=known, score=0.0) for known in may if known.org_id in absent]
    if barred := sorted(set(absent) - {fit.known.org_id for fit in found}):
        raise UsageError(
            f"{barred[0]}: a clause of the call does not let it apply; see the call without --with"
        )
    return found


def _named(name: str, everybody: Organisations) -> Known:
    known = everybody.lead(name)
    if known in everybody.left_out:
        raise UsageError(f"{known.org_id} ({known.name}) asked not to be proposed")
    return known


def _proposals(
    asked: Sequence[Need],
    lead: Known | None,
    pool: Sequence[Candidate],
    keep: frozenset[str],
    size: int | None,
) -> tuple[Proposal, ...]:
    """Up to three consortia that differ: of the strongest, with the north, of new faces."""
    wishes = (
        Wanted("strongest", keep),
        Wanted("with the north", keep, northern=1),
        Wanted("new faces", keep, newcomers=1, new_only=True),
    )
    found: list[Proposal] = []
    for wanted in wishes:
        proposal = propose(asked, lead, pool, wanted, size)
        members = {member.org_id for member in proposal.members} if proposal else set()
        if proposal and all(members != {m.org_id for m in other.members} for other in found):
            found.append(proposal)
    return tuple(found)


def _wanted(fit: Fit, filters: Filters) -> bool:
    known = fit.known
    there = not filters.regions or any(code.startswith(filters.regions) for code in known.nuts)
    from_there = not filters.countries or known.country in filters.countries
    return there and from_there and not (filters.newcomers and fit.projects)


def read_countries(text: str) -> tuple[str, ...]:
    """Countries as NUTS writes them, from codes or names in either spelling. Raises UsageError."""
    found = []
    for word in text.split(","):
        code = country_code(word)
        if code is None:
            raise UsageError(f"--country {word.strip()!r}: not a country we know; give codes, as NL,DE,EL,UK")
        found.append(code)
    return tuple(found)


def read_regions(text: str) -> tuple[str, ...]:
    """NUTS codes out of a list with commas. Raises UsageError."""
    codes = tuple(word.strip().upper() for word in text.split(",") if word.strip())
    odd = [code for code in codes if not _CODE.fullmatch(code)]
    if odd or not codes:
        raise UsageError(f"--region {text!r}: give NUTS codes, as NL11,NL12,NL13")
    return tuple(ISO.get(code[:2], code[:2]) + code[2:] for code in codes)


def _may_apply(known: Sequence[Known], call: Call, as_of: date) -> tuple[list[Known], dict[str, int]]:
    """Those whom no clause shuts out by their kind or their place, and how many each clause does."""
    told: dict[tuple[object, ...], tuple[Verdict, str | None]] = {}
    found, barred = [], dict[str, int]()
    for each in known:
        kinds = (
            ("sme", "large_company") if each.kind == "company" else (_PROFILE_KIND.get(each.kind, each.kind),)
        )
        if each.kind == "company" and each.sme is not None:
            kinds = ("sme",) if each.sme else ("large_company",)
        key = (kinds, each.country, each.nuts, each.designated_hub)
        if key not in told:
            told[key] = _shut_out(kinds, each, call, as_of)
        verdict, clause = told[key]
        if verdict == "fail":
            barred[clause or ""] = barred.get(clause or "", 0) + 1
        else:
            found.append(each)
    return found, barred


def _shut_out(kinds: Sequence[str], known: Known, call: Call, as_of: date) -> tuple[Verdict, str | None]:
    """Whether a clause shuts out all that an organisation may be; what is not known of it decides nothing."""
    country = {"EL": "GR", "UK": "GB"}.get(known.country or "", known.country)
    clauses = []
    for kind in kinds:
        if kind in ("other", "unknown") or country is None:
            return "unknown", None
        about = {
            "id": "x",
            "name": "x",
            "kind": kind,
            "language": "en",
            "label": "example",
            "description": "x",
        }
        codes = tuple(code for code in known.nuts if _CODE.fullmatch(code))  # others say nothing of a place
        place = {"country": country, "nuts": codes, "designated_hub": known.designated_hub}
        rules = eligibility(Profile.model_validate(about | place), call, as_of).rules
        failed = [r.clause for r in rules if r.rule in ("applicant", "region") and r.verdict == "fail"]
        if not failed:
            return "unknown", None
        clauses += failed
    return "fail", clauses[0]


class _Finder:
    """One call seen from the warehouse: vectors, and the network of earlier projects where there are any."""

    def __init__(
        self,
        home: Home,
        warehouse: Records,
        call: Call,
        as_of: date,
        model: str | None,
        progress: Progress | None,
    ) -> None:
        from flows.corpus import encoder_for

        self.call, self.warehouse, self.as_of, self._progress = call, warehouse, as_of, progress
        self.encoder: Encoder = encoder_for(home, model)
        self._projects = warehouse.projects(as_of).to_arrow_table()
        self.network = self._network() if self._projects.num_rows else None

    def fits(self, known: Sequence[Known], lead: Known | None, asked: Sequence[Need]) -> list[Fit]:
        """How each organisation fits: by the network where it has projects in it, else by its own words.

        Of whom nothing but a name is known, nothing is said.
        """
        from pipeline import ranking

        found = []
        in_network: dict[str, int] = {}
        if self.network:
            code = lead.pic if lead else None
            given = scores(self.network, ranking.load(ranking.PARTNERS), 0, code)
            together = self.network.met(code) if code else np.zeros(len(given), dtype=np.int64)
            in_network = {o: n for o, n in self.network.history.number_of.items() if self.network.projects[n]}
            shown = self._shown({need.theme for need in asked if need.theme})
        own = [k for k in known if k.pic not in in_network and (k.says or k.offers or k.terms)]
        said = dict(zip((k.org_id for k in own), self._by_words(own), strict=True))
        for each in known:
            if self.network and (org := in_network.get(each.pic or "")) is not None:
                fit = Fit(
                    known=each,
                    score=float(given[org]),
                    projects=int(self.network.projects[org]),
                    coordinated=int(self.network.members.coordinated[org]),
                    together=int(together[org]),
                    shown=shown.get(org, {}),
                )
                found.append(fit)
            elif (words := said.get(each.org_id)) is not None:
                projects = 0 if each.pic and self.network else None
                fit = Fit(known=each, score=words[0], likeness=words[0], sentence=words[1], projects=projects)
                found.append(fit)
        return found

    def detailed(self, lead: Known | None, hidden: Collection[str], fit: Fit) -> Fit:
        """The same with the nearest of its projects, and through whom it knows the lead; `hidden` participant
        codes are not named."""
        org = self.network.history.number_of.get(fit.known.pic or "") if self.network else None
        if not self.network or org is None or (near := self.network.nearest(0, org)) is None:
            return fit
        history, code = self.network.history, lead.pic if lead else None
        through = self.network.through(code, org, THROUGH + len(hidden)) if code and not fit.together else []
        shown = [o for other in through if (o := history.org_ids[other]) not in hidden][:THROUGH]
        names = tuple(self._names[other] for other in shown)
        return replace(
            fit, nearest=self._records[history.project_ids[near[0]]], likeness=near[1], through=names
        )

    def together(self, members: Sequence[Known]) -> dict[tuple[str, str], int]:
        """Pairs of members, by their ids → EU projects that both were in."""
        if not self.network:
            return {}
        ids = {member.pic: member.org_id for member in members if member.pic}
        return {(ids[a], ids[b]): n for (a, b), n in self.network.between(list(ids)).items()}

    def _network(self) -> Network | None:
        from embeddings.adapter import adapter_for
        from flows.past import heads, members, past

        adapter = adapter_for(self.encoder)
        participants = self.warehouse.participants().to_arrow_table()
        parts = self.warehouse.participations(self.as_of).to_arrow_table()
        told = (self.warehouse.topics().to_arrow_table(), self._projects, participants, parts)
        history = past(*told, self.encoder, adapter, self.as_of, self._progress)
        if not history.project_ids:
            return None
        about = members(history, participants, parts, self.encoder, self._progress)
        topic = Topic(
            topic_id=self.call.identifier or self.call.call_id,
            title=self.call.title,
            keywords=", ".join(self.call.keywords) or None,
        )
        return Network(history, about, heads([topic], self.encoder, adapter, languages=[self.call.language]))

    def _by_words(self, known: Sequence[Known]) -> list[tuple[float, str]]:
        """Of each organisation, how well its own words meet the call, and the words that do best."""
        passages = passages_of_calls([self.call], self.encoder)
        theirs = self.encoder.encode(
            [passage.embedded for passage in passages],
            kind="passage",
            languages=[self.call.language] * len(passages),
        )
        pieces = [_pieces(each) for each in known]
        spoken = [
            language_of(text) or each.language
            for each, some in zip(known, pieces, strict=True)
            for text in some
        ]
        texts = [text for some in pieces for text in some]
        mine = self.encoder.encode(texts, kind="query", languages=spoken, progress=self._progress)
        best = np.round((mine.astype(np.float64) @ theirs.T.astype(np.float64)).max(axis=1, initial=0.0), 6)
        starts = np.cumsum([0, *(len(some) for some in pieces)])
        found = []
        for some, start, end in zip(pieces, starts, starts[1:], strict=False):
            order = np.argsort(-best[start:end], kind="stable")
            found.append((float(np.mean(best[start:end][order[:BEST_PASSAGES]])), cut(some[order[0]], WORDS)))
        return found

    def _shown(self, wanted: Collection[str]) -> dict[int, dict[str, str]]:
        """Organisation → theme of the call → title of a project of its that names the theme, the newest."""
        assert self.network is not None
        joined = self.network.history.members.tocsc()
        found: dict[int, dict[str, str]] = {}
        rows = [self._records[key] for key in self.network.history.project_ids]
        for number in sorted(range(len(rows)), key=lambda n: (rows[n].signed_on or date.min, n)):
            project = rows[number]
            named = themes_in(f"{project.title or ''}\n{project.objective or ''}", wanted)
            for org in joined.indices[joined.indptr[number] : joined.indptr[number + 1]] if named else ():
                found.setdefault(int(org), {}).update(
                    dict.fromkeys(named, project.title or project.project_id)
                )
        return found

    @cached_property
    def _records(self) -> dict[str, Project]:
        return {row["project_id"]: Project.model_validate(row) for row in self._projects.to_pylist()}

    @cached_property
    def _names(self) -> dict[str, str]:
        rows = self.warehouse.participants().to_arrow_table().select(["org_id", "name"]).to_pylist()
        return {row["org_id"]: row["name"] for row in rows}


def _pieces(known: Known) -> list[str]:
    """What an organisation says of itself, in pieces; a catalogue's terms for it are one of them."""
    said = pieces_of(sentences(known.says or ""))[:SAID]
    return [*said, *known.offers, *([", ".join(known.terms)] if known.terms else [])]
