"""Which documents are one call: regulation, opening, amendment, ceiling decision and pages of a scheme.

An opening decision makes the call of its round; an amendment or a ceiling decision never makes one, and a
scheme's next round is another call.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from pipeline.deadlines import on
from pipeline.merge import merged
from pipeline.schema import Call, Document, DocumentRole, Issue
from pipeline.vocabulary import vocabulary

# Read in this order: "wijziging van het openstellingsbesluit" is an amendment, not an opening.
_ROLES: tuple[tuple[DocumentRole, re.Pattern[str]], ...] = tuple(
    (role, re.compile(pattern, re.IGNORECASE))  # type: ignore[misc]
    for role, pattern in (
        (
            "ceiling",
            r"\b(?:wijziging|verhoging|verlaging|aanpassing|bijstelling)\s+(?:van\s+(?:het|de)\s+)?"
            r"(?:subsidie|deel)?plafond",
        ),
        ("amendment", r"\bwijziging|\bintrekking|\brectificatie|\bgewijzigd|\bamend(?:ment|ing)\b"),
        ("opening", r"openstel|\baanvraag(?:periode|tijdvak|termijn)|\bindieningstermijn"),
        ("ceiling", r"plafond|\bverhoging\b.*\bbudget|\bbudget\b.*\bverhoging"),
    )
)
_YEARS = re.compile(r"\b20\d\d\s*[-–/]\s*(?:20)?\d\d\b")
_YEAR = re.compile(r"\b20\d\d\b")
_WORD = re.compile(r"[^\W_]+(?:[&+'’][^\W_]+)*\+?")
# Words that say what kind of document it is, who made it or where, but not which scheme.
_COMMON = frozenset(
    """
    aan aanvraagperiode aanvraagperiodes aanvraagtijdvak algemeen algemene als and behoeve
    beleidsregel beleidsregels besluit besluiten bestuur betreffende bij bijlage budget call college
    dagelijks de deelplafond deelplafonds derde directeur door drenthe drents drentse economische
    een eerste en for fonds fries friese friesland frysk fryske fryslan fund funding gedeputeerde
    gelet gewijzigd grant grants groningen groninger het houdende in indieningstermijn inzake
    intrekking jaar kaderregeling kaderverordening klimaat met mbt minister ministerie nadere
    nederland netherlands nl noord noordelijk noordelijke northern of om op openstelling openstellen
    openstellingsbesluit over periode plafond plafonds programma programme provincie provinciale
    provinsje province rectificatie regeling regelingen regels reglement ronde rvo
    samenwerkingsverband scheme schemes snn staatssecretaris staten subsidie subsidieplafond
    subsidieplafonds subsidieregeling subsidieregelingen subsidies subsidieverordening subsydzje
    subsydzjeregeling subsydzjes te tbv ten tender tenders ter the tijdvak tot tranche tweede uit
    uitvoeringsbesluit uitvoeringsregeling van vaststellen vaststelling verhoging verordening vierde
    vijfde voor wijziging wijzigingsbesluit wijzigingsregeling zaken zesde
    groepsvrijstellingsverordening
    """.split()
)
_PROVINCES = {"groning": "groningen", "dren": "drenthe", "fries": "fryslan", "frys": "fryslan"}


def role_of(title: str, document_type: str | None) -> DocumentRole:
    """What a document is, by its title; only an official publication is anything but a page."""
    if not document_type:
        return "page"
    return next((role for role, pattern in _ROLES if pattern.search(title)), "regulation")


@dataclass(frozen=True)
class Name:
    """What a title says of the scheme: its telling words, the province it names, the years it names."""

    words: frozenset[str]
    province: str | None
    years: frozenset[int]


@cache
def name_of(title: str, issuer: str | None = None) -> Name:
    """The name of a scheme as documents of different publishers share it."""
    plain = _YEARS.sub(" ", _plain(title))
    for pattern, scheme in _aliases():
        plain = pattern.sub(f" {scheme} ", plain)
    years = frozenset(int(year) for year in _YEAR.findall(plain))
    words = frozenset(_WORD.findall(_YEAR.sub(" ", plain))) - _COMMON
    spoken = _plain(f"{title} {issuer or ''}")
    found = {province for stem, province in _PROVINCES.items() if re.search(rf"\b{stem}", spoken)}
    return Name(words, found.pop() if len(found) == 1 else None, years)


def _plain(text: str) -> str:
    """Lower case without accents, as names are compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@cache
def _aliases() -> list[tuple[re.Pattern[str], str]]:
    """Patterns of the other names of known schemes, the longest first."""
    named = sorted(vocabulary()["scheme"].items(), key=lambda pair: (-len(pair[0]), pair))
    return [(re.compile(rf"\b{re.escape(_plain(name))}\b"), scheme) for name, scheme in named]


def join(
    calls: Sequence[Call], known: Mapping[tuple[str, int | None], str], as_of: date
) -> tuple[list[Call], list[Issue]]:
    """Calls of single documents → calls with all their documents, by id; and what belongs to none.

    `known` (see `known_ids`) gives the id that the call of a document had before, so that an id lasts when
    documents are added. Records with an identity of their own, those of the EU portal, pass unchanged.
    """
    joined: list[Call] = []
    issues: list[Issue] = []
    for scheme in _schemes([call for call in calls if call.kind is None]):
        groups, orphans = _rounds(scheme)
        issues += [_orphan(call) for call in orphans]
        joined += [merged(group, as_of) for group in groups]
    own = [call for call in calls if call.kind is not None]
    return sorted([*own, *_with_ids(joined, known)], key=lambda call: call.call_id), issues


def known_ids(calls: Iterable[Call]) -> dict[tuple[str, int | None], str]:
    """(document, year) → the id of the call that it told of, from calls of earlier runs."""
    return {(d.document_id, _year(c)): c.call_id for c in calls if c.kind is None for d in _of_the_round(c)}


def ids_of(call: Call) -> set[str]:
    """All ids that a call may have been known by: its own, its documents', and those with its year."""
    names = {call.call_id, *(document.document_id for document in call.documents)}
    if call.kind is None and call.documents and (year := _year(call)):
        names |= {f"{document.document_id}@{year}" for document in _of_the_round(call)}
    return names


def _orphan(call: Call) -> Issue:
    key, role = call.call_id.partition(":")[2], call.documents[0].role
    told = f"{role} decision of a scheme that is not known here, so no call: {call.title}"
    return Issue(source=call.source, severity="info", code="no_call_of_its_own", detail=told[:500], key=key)


def _schemes(calls: Sequence[Call]) -> list[list[Call]]:
    """Documents parted by scheme: of one name in one province, or citing one of a kindred name."""
    ordered = sorted(calls, key=lambda call: call.call_id)
    leader = {call.call_id: call.call_id for call in ordered}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    names = {call.call_id: name_of(call.title, call.documents[0].issuer) for call in ordered}
    roles = {call.call_id: call.documents[0].role for call in ordered}
    cited_as = {alias: call.call_id for call in ordered for alias in _called(call.documents[0])}
    namesakes: dict[frozenset[str], list[str]] = defaultdict(list)
    for call in ordered:
        mine = names[call.call_id]
        cited = [cited_as[r] for r in map(_citation, call.documents[0].references) if r in cited_as]
        kindred = [other for other in cited if _kin(mine, names[other]) and roles[other] != "page"]
        for other in [*(namesakes[mine.words] if mine.words else []), *kindred]:
            if None in (mine.province, names[other].province) or mine.province == names[other].province:
                leader[find(other)] = find(call.call_id)
        namesakes[mine.words].append(call.call_id)
    parted: dict[str, list[Call]] = defaultdict(list)
    for call in ordered:
        parted[find(call.call_id)].append(call)
    return [parted[name] for name in sorted(parted)]


def _kin(one: Name, other: Name) -> bool:
    """Whether the names share half of the shorter one's words, as a decision and its regulation do."""
    return len(one.words & other.words) * 2 >= max(1, min(len(one.words), len(other.words)))


_ID = re.compile(r"\b((?:bgr|prb|stcrt|gmb|stb)-\d{4}-\d+|CVDR\d+|BWBR\d+)", re.IGNORECASE)


def _citation(reference: str) -> str:
    """The official identifier in a reference, or the address without scheme, www and trailing slash."""
    found = _ID.search(reference)
    return found[1].lower() if found else re.sub(r"^https?://(?:www\.)?", "", reference.lower()).rstrip("/")


def _called(document: Document) -> set[str]:
    """All that others may cite a document by."""
    return {_citation(document.document_id.partition(":")[2]), _citation(document.url)}


def _year(call: Call) -> int | None:
    """The year of the round: of its opening, else of its last deadline, else the one its title names."""
    stated = call.opens_on or max((on(d) for d in call.deadlines), default=None)
    if stated:
        return stated.year
    if call.documents[0].role == "regulation":
        return None  # its title names the year in which it was made
    years = name_of(call.title).years
    return next(iter(years)) if len(years) == 1 else None


def _rounds(scheme: Sequence[Call]) -> tuple[list[list[Call]], list[Call]]:
    """One scheme's documents parted into rounds, the opening or page first; and those that fit in none."""
    by_role: dict[DocumentRole, list[Call]] = defaultdict(list)
    for call in scheme:
        by_role[call.documents[0].role].append(call)
    groups: list[list[Call]] = []
    for call in [*by_role["opening"], *by_role["page"]]:
        home = _home(call, groups)
        if home is None:
            groups.append([call])
        else:
            home.append(call)
    for group in groups:
        group += by_role["regulation"]
    groups = groups or [[regulation] for regulation in by_role["regulation"]]
    orphans = []
    for call in [*by_role["ceiling"], *by_role["amendment"]]:
        home = _home(call, groups)
        if home is None:
            orphans.append(call)
        else:
            home.append(call)
    return groups, orphans


def _home(call: Call, groups: Sequence[list[Call]]) -> list[Call] | None:
    """The round that a document is of: the one whose opening it cites, else the one of its year, else, for a
    document that names no year, the newest that was known when it was published."""
    document = call.documents[0]
    fitting = [group for group in groups if _may_be(call, group[0])]
    cited = {_citation(reference) for reference in document.references}
    openings = [
        g for g in fitting if g[0].documents[0].role == "opening" and _called(g[0].documents[0]) & cited
    ]
    if len(openings) == 1:
        return openings[0]
    if _year(call) is not None:
        exact = [group for group in fitting if _year(group[0]) == _year(call)] or fitting
        return exact[0] if len(exact) == 1 else None
    if document.role == "opening":
        return None
    if document.role == "ceiling":  # its sum counts, so it is not given to a round by its date alone
        return fitting[0] if len(fitting) == 1 else None
    day = document.published_on if document.role != "page" else None
    earlier = [g for g in fitting if day is None or (g[0].documents[0].published_on or day) <= day]
    return max(earlier, key=lambda g: (_year(g[0]) or 0, g[0].call_id), default=None)


def _may_be(call: Call, other: Call) -> bool:
    """Whether two documents can be of one round."""
    if call.documents[0].role == other.documents[0].role == "opening":
        return bool(call.deadlines) and (call.opens_on, call.deadlines) == (other.opens_on, other.deadlines)
    one, two = _year(call), _year(other)
    if one is None or two is None or one == two:
        return True
    # "until 31 December 2027" and "from 25 November 2025 until 31 December 2027" are one round
    same_end = bool(call.deadlines and other.deadlines) and on(call.deadlines[-1]) == on(other.deadlines[-1])
    return same_end and None in (call.opens_on, other.opens_on)


def _with_ids(calls: Sequence[Call], known: Mapping[tuple[str, int | None], str]) -> list[Call]:
    """Each call under the id it had before, or a new one: of its opening decision, else of its leading
    document and the year of the round."""
    named: dict[str, Call] = {}
    for call in sorted(calls, key=lambda c: c.call_id):
        year = _year(call)
        before = sorted(known[key] for d in _of_the_round(call) if (key := (d.document_id, year)) in known)
        opening = next((d.document_id for d in call.documents if d.role == "opening"), None)
        fresh = opening or (f"{call.call_id}@{year}" if year else call.call_id)
        name = next((name for name in [*before, fresh] if name not in named), call.call_id)
        named[name] = call.model_copy(update={"call_id": name})
    return list(named.values())


def _of_the_round(call: Call) -> Sequence[Document]:
    """The documents that tell of this round and of no other."""
    return [d for d in call.documents if d.role != "regulation"] or call.documents
