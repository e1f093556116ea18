"""Regulations of the three northern provinces and SNN as they apply now, from the register of local rules.

A work's key is its number without the version; its record is the version in force on the crawl's day.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from crawlers.official import concerns_scheme, in_force, iso_day, raw_fields, read_publication
from crawlers.reading import Unreadable
from crawlers.source import FetchError
from crawlers.sru import Found, Rejected, SruSource
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, RawCall

SERVICE = "https://zoekservice.overheid.nl/sru/Search"
PROVINCE = "organisatietype=Provincie"
# No title in the queries: an index of whole words would not find "Subsidieregeling" by "subsidie".
QUERIES = {
    **{name: f'dcterms.creator="{name}" AND {PROVINCE}' for name in ("Drenthe", "Fryslân", "Groningen")},
    "Samenwerkingsverband Noord-Nederland": 'dcterms.creator="Samenwerkingsverband Noord-Nederland"',
}
_IDENTIFIER = re.compile(r"(?:CVDR)?(\d+)_(\d+)")  # the register wrote its numbers bare until 2012

Version = dict[str, Any]


class Cvdr(SruSource):
    """Searches the register by issuer and reads the regulations whose title is that of a scheme."""

    name = "cvdr"
    level: ClassVar[Level] = "regional"
    home = "https://lokaleregelgeving.overheid.nl/"
    hosts = ("zoekservice.overheid.nl", "repository.officiele-overheidspublicaties.nl")
    zone = "Europe/Amsterdam"
    endpoint = f"{SERVICE}?x-connection=cvdr&operation=searchRetrieve&version=1.2"
    expect = Expect(min_records=3, fill={"title": 1.0, "sections": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every scheme's regulation that is in force, and what was odd about the register."""
        assert self.day is not None
        found: Found = {}
        for issuer, query in QUERIES.items():
            async for issue in self._search(issuer, query, found):
                yield issue
        works, lapsed = by_work(found), 0
        for work, versions in sorted(works.items()):
            for version in versions:
                begins = iso_day(version["in_force_from"])
                if begins is None or begins > self.day:
                    when = f"enters into force on {begins}" if begins else "does not say since when"
                    detail = f"version {version['version']} {when}: not taken as in force"
                    yield self.issue("info", "future_version" if begins else "undated_version", detail, work)
            current = in_force(versions, self.day)
            if current is None:
                lapsed += 1
            else:
                yield await self._regulation(work, dict(current))
        other = len(found) - sum(map(len, works.values()))
        if other or lapsed:
            detail = f"{other} versions of what is no scheme, {lapsed} schemes that are not in force"
            yield self.issue("info", "left_out", detail)

    async def _search(self, issuer: str, query: str, found: Found) -> AsyncIterator[Issue]:
        """Take all versions of an issuer's regulations into `found`."""
        try:
            answer, page = await self.ask(query)
        except (FetchError, Unreadable) as error:
            code = "diagnostics" if isinstance(error, Rejected) else "search_failed"
            yield self.issue("error", code, f"{issuer}: {error}")
            return
        if not answer.total:
            detail = f"{issuer}: nothing at all, which it also says to a query it does not understand"
            yield self.issue("error", "silent_zero", detail)
        served: Found = {}
        async for issue in self.scan(query, answer, page, served):
            yield issue
        ours = {i: hit for i, hit in served.items() if _is_of(hit[0], issuer)}
        found |= ours
        if len(ours) < len(served):
            other = next(hit[0]["issuer"] for i, hit in served.items() if i not in ours)
            detail = f"{issuer}: {len(served) - len(ours)} records of others, as {other!r}, were left out"
            yield self.issue("warning", "other_issuer", detail)

    async def _regulation(self, work: str, version: Version) -> RawCall | Issue:
        """The record of a work, from the XML of its version in force."""
        url, page = version["files"].get("xml"), version["found_on"]
        if not url:
            return self.issue("warning", "no_text", "a regulation without XML", work)
        public = version["page"] or f"{self.home}{work}/{version['version']}"
        try:
            read, own_page = await self.read(url, lambda text: read_publication(text, public))
        except FetchError as error:
            return self.missing(error, work)
        except Unreadable as error:
            return self.issue("error", "layout_changed", f"{url}: {error}", work)
        fields = raw_fields(version, read, work) | {"url": public}
        fields["document_type"] = "regeling"  # what the register calls all that it holds
        return RawCall(source=self.name, key=work, fields=fields, pages=(own_page, page))


def by_work(found: Found) -> dict[str, list[Version]]:
    """Versions by work, in order of their number, of what is a scheme by its title."""
    works: dict[str, list[Version]] = defaultdict(list)
    for identifier, (record, page) in found.items():
        number = _IDENTIFIER.fullmatch(identifier)
        if number and concerns_scheme(record["title"] or ""):
            works[f"CVDR{number[1]}"].append(record | {"version": int(number[2]), "found_on": page})
    return {work: sorted(versions, key=lambda v: int(v["version"])) for work, versions in works.items()}


def _is_of(record: dict[str, Any], issuer: str) -> bool:
    """Whether a record is the issuer's: Groningen is a municipality too."""
    return record["issuer"] == issuer and (record["issuer_type"] or "").lower() != "gemeente"
