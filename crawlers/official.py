"""Official publications and consolidated regulations: their XML, HTML and metadata as printed fields. No I/O.

The shapes are those of the op-xsd-2012 and CVDR schemas and of the OWMS metadata in its XML and HTML forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from crawlers.official_xml import headed_text, heading_of, name, text_of, tree
from crawlers.reading import Unreadable, clean, headed, links, one, parsed

_ID = re.compile(r"\b((?:bgr|gmb|prb|stb|stcrt|wsb)-\d{4}-\d+)\b|CVDR(?:://)?(\d+)|\b(BWBR\d{7})")
_JOURNALS = {"provinciaal blad": "prb", "blad gemeenschappelijke regeling": "bgr"}
_JOURNALS |= {"staatscourant": "stcrt", "stcrt.": "stcrt"}
_CITED = re.compile(  # a journal, its year and number; before 2014 each province numbered its own
    r"\b(Provinciaal blad|Blad gemeenschappelijke regeling|Staatscourant|Stcrt\.)\s+"
    r"(?:(20(?:1[4-9]|[2-9]\d)),\s*(?:nr\.?\s*)?(\d+)|(?:nummer|nr\.?)\s+(\d+)\s+van\s+(20(?:1[4-9]|[2-9]\d)))",
    re.IGNORECASE,
)
_PUBLISHERS = frozenset(
    """
    wetten.overheid.nl lokaleregelgeving.overheid.nl zoek.officielebekendmakingen.nl snn.nl fryslan.frl
    provincie.drenthe.nl provinciegroningen.nl rvo.nl europaomdehoek.nl
    """.split()
)
_NO_KIND = "officiële publicatie"  # the type that all of them have
_SCHEME = re.compile(
    r"subsid|openstelling|plafond|\btender|voucher|cofinancier|uitvoeringsregeling|stimuleringsregeling",
    re.IGNORECASE,
)
_NO_SCHEME = re.compile(
    r"mandaat|mandater|volmacht|machtiging|algemene subsidie|kaderverordening", re.IGNORECASE
)
_NOTICE = re.compile(
    r"vergunning|ontheffing|melding|asbest|verkeersbesluit|ter inzage|zienswijze|omgevingsplan"
    r"|bestemmingsplan|benoeming|aanwijzing|vergadering",
    re.IGNORECASE,
)


def concerns_scheme(title: str, abstract: str | None = None, *, telling: bool = True) -> bool:
    """Whether a publication can concern a subsidy scheme, by its printed title and abstract.

    Mandates and frameworks for all schemes do not; permits, notices and appointments only where the title
    speaks of a subsidy. Where titles are not `telling`, all others may.
    """
    if _NO_SCHEME.search(title):
        return False
    if _SCHEME.search(title):
        return True
    return not _NOTICE.search(title) and (not telling or bool(_SCHEME.search(abstract or "")))


def read_publication(text: str, url: str) -> dict[str, Any]:
    """Title, subtitle, sections and references, from the XML of a publication or a regulation in force."""
    root = tree(text)
    if name(root) not in ("officiele-publicatie", "cvdr"):
        raise Unreadable(f"a {name(root)!r} is no publication")
    body = next((e for e in root if name(e) not in ("kop", "meta", "metadata")), root)
    heads = [e for e in (*body, *(inner for e in body for inner in e)) if name(e) in ("kop", "intitule")]
    title = (heading_of(heads[0], "titel") or text_of(heads[0])) if heads else ""
    sections = headed_text(body, heads[0]) if heads else []
    if not (title and sections):
        raise Unreadable("a publication without a title or a text")
    cited = [e.get("doc") for e in root.iter("{*}extref") if e.get("doc")]
    own = [url, *(e.get("content") or "" for e in root.iter("meta"))]
    return {
        "title": title,
        "subtitle": heading_of(heads[0], "subtitel") or None,
        "sections": sections,
        "references": references([" ".join(body.itertext())], cited, own),
    }


def read_html(text: str, url: str) -> dict[str, Any]:
    """The same from a publication's HTML page, with its metadata; for a publication that has no XML."""
    soup = parsed(re.sub(r"^\s*<\?xml[^>]*>", "", text.lstrip("\ufeff")))
    body = one(soup, "#broodtekst")
    metas = soup.select("meta[name][content]")
    fields = _described([(str(m["name"]), str(m.get("scheme") or ""), str(m["content"])) for m in metas])
    cited = links(body, url)
    sections = headed(body, drop="h1, .staatscourant_kop, .koning, .ondertekening")
    if not (fields["identifier"] and fields["title"] and sections):
        raise Unreadable("a publication without an identifier, a title or a text")
    found = references([section["text"] for section in sections], cited, own=[fields["identifier"], url])
    return fields | {"subtitle": None, "sections": sections, "references": found}


def read_metadata(root: Any) -> dict[str, Any]:
    """What metadata says of a publication, in any of its forms; None or empty where it is not said."""
    meta = next((e for e in root.iter("{*}meta") if len(e)), root)
    return _described(list(_pairs(meta)))


def in_force(versions: Sequence[Mapping[str, Any]], day: date) -> Mapping[str, Any] | None:
    """The version that applies on a day: since it entered into force, and before the day it lapses."""
    begun = [(start, v) for v in versions if (start := iso_day(v["in_force_from"])) and start <= day]
    current = [(s, v) for s, v in begun if not (end := iso_day(v["in_force_until"])) or day < end]
    return max(current, key=lambda pair: pair[0])[1] if current else None


def read_manifest(text: str, day: date) -> dict[str, str] | None:
    """The expression of a law that applies on a day, from its manifest: label, first and last day."""
    for expression in tree(text).iter("{*}expression"):
        printed = {name(e): text_of(e) for e in expression.iterdescendants()}
        start, end = (iso_day(printed.get(n)) for n in ("datum_inwerkingtreding", "einddatum"))
        if start and end and start <= day <= end:
            return {"label": expression.get("label"), "from": start.isoformat(), "until": end.isoformat()}
    return None


def iso_day(printed: str | None) -> date | None:
    """The day of an ISO date, with or without hour and zone; None for anything else."""
    try:
        return date.fromisoformat((printed or "")[:10])
    except ValueError:
        return None


def references(texts: Iterable[str], urls: Iterable[str], own: Iterable[str]) -> list[str]:
    """Identifiers that texts and addresses name, and addresses of laws and schemes that name none.

    `own` are texts that name the document itself, which is no reference of its own.
    """
    mine = {found for text in own for found in _identifiers(text)}
    cited = [found for text in texts for found in _identifiers(text)]
    for url in urls:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
        if named := list(_identifiers(url)):
            cited += named
        elif parts.scheme in ("http", "https") and host in _PUBLISHERS and parts.path.strip("/"):
            cited.append(url.strip())
    return [found for found in dict.fromkeys(cited) if found not in mine]


def _identifiers(text: str) -> Iterator[str]:
    for publication, regulation, law in _ID.findall(text):
        yield publication or law or f"CVDR{regulation}"
    for journal, year, number, other, its_year in _CITED.findall(text):
        yield f"{_JOURNALS[journal.lower()]}-{year or its_year}-{number or other}"


def _pairs(meta: Any) -> Iterator[tuple[str, str, str]]:
    """(name, scheme, value) of each statement, as an element with text or with `name` and `content`."""
    for element in meta.iter("{*}*"):
        scheme = element.get("scheme") or ""
        if element.get("name") and element.get("content"):
            yield element.get("name"), scheme, element.get("content")
        elif len(element) == 0 and text_of(element):
            yield name(element), scheme, text_of(element)
        if element.get("resourceIdentifier"):
            yield "reference", "", element.get("resourceIdentifier")


def _described(pairs: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """Printed fields from (name, scheme, value); a name counts without its vocabulary ("DC.", "dcterms:")."""
    said = [(re.split(r"[.:]", label)[-1].lower(), scheme, clean(value)) for label, scheme, value in pairs]

    def of(*names: str) -> str | None:
        return next(
            (value for wanted in names for label, _, value in said if label == wanted and value), None
        )

    kinds = [(s, value) for label, s, value in said if label == "type" and value.lower() != _NO_KIND]
    topics = [value for label, _, value in said if label in ("subject", "category") and value]
    identifier = of("identifier")
    return {
        "identifier": identifier,
        "title": of("title"),
        "language": of("language"),
        "document_type": next((v for s, v in kinds if "Rubriek" in s), kinds[0][1] if kinds else None),
        "issuer": of("creator"),
        "issuer_type": of("organisatietype", "organisationtype"),
        "publication": of("publicatienaam", "publicationname"),
        "available": of("available"),
        "published_on": of("available", "date"),
        "abstract": of("abstract"),
        "keywords": list(dict.fromkeys(topics)),
        "in_force_from": of("inwerkingtredingdatum"),
        "in_force_until": of("uitwerkingtredingdatum"),
        "references": references([value for _, _, value in said], [], own=[identifier or ""]),
    }


def raw_fields(record: Mapping[str, Any], read: Mapping[str, Any], identifier: str) -> dict[str, Any]:
    """The raw fields of a publication but for its address, out of its metadata and its text."""
    names = "language document_type issuer issuer_type published_on keywords in_force_from in_force_until"
    cited = dict.fromkeys([*record["references"], *read["references"]])
    return {name: record[name] for name in names.split()} | {
        "identifier": identifier,
        "title": record["title"] or read["title"],
        "facts": [{"label": "Subtitel", "text": read["subtitle"]}] if read["subtitle"] else [],
        "sections": read["sections"],
        "references": [found for found in cited if found != identifier],
    }
