"""The EU Funding & Tenders Portal: grant topics, calls for proposals and cascade calls, by its search API.

The API's answers are checked, not trusted: a query it ignored, pages that overlap, rows that went
missing between pages, translations, leftovers of an older index and empty stubs are all recognised.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from scrapy import Request
from scrapy.http import Response

from crawlers.archive import multipart
from crawlers.reading import Fields, clean, html_to_text, json_in_string, sections, words
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

API = "https://api.tech.ec.europa.eu/search-api/prod/rest"
PORTAL = "https://ec.europa.eu/info/funding-tenders/opportunities"
TYPES = ["1", "2", "8"]  # grant topic, call for proposals, cascade funding
STATUSES = ["31094501", "31094502"]  # forthcoming, open
LEGACY = "SEDIA_PRD_CENTRICITY"  # an older index whose rows still claim to be open
PAGE_SIZE = 100
WINDOW = int(os.environ.get("FUNDMATCH_EU_PORTAL_WINDOW", "10000"))  # results the API lets one page through
SPLITS = ("frameworkProgramme", "programmeDivision")
# Orders that keep every document; sorting on a field that some lack would drop those.
ORDERS = (
    {"field": "identifier", "order": "ASC"},
    {"field": "identifier", "order": "DESC"},
    {"field": "esDA_IngestDate", "order": "ASC"},
)
RESCANS = 6  # rows of one identifier are shuffled between pages, so a scan may need repeating

Row = dict[str, Any]


@dataclass(frozen=True)
class Slice:
    """A part of the index that is paged through on its own."""

    terms: tuple[tuple[str, str], ...] = ()

    def query(self) -> dict[str, Any]:
        """The search query in the API's dialect, which knows bool, must, terms and range."""
        must = [{"terms": {"type": TYPES}}, {"terms": {"status": STATUSES}}]
        return {"bool": {"must": must + [{"terms": {name: [value]}} for name, value in self.terms]}}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.terms) or "all programmes"


@dataclass(frozen=True)
class ResultPage:
    """One page of search results: rows, provenance, and the total and page size the portal claims."""

    rows: list[Row]
    page: Page
    total: int
    size: int


class EuPortal(Source):
    """Crawls the search index and, where a row has no text, the topic's details."""

    name = "eu_portal"
    level: ClassVar[Level] = "european"
    home = f"{PORTAL}/portal/"
    hosts = ("api.tech.ec.europa.eu", "ec.europa.eu")
    expect = Expect(min_records=20, fill={"title": 1.0, "deadlines": 0.9, "programme": 0.95, "opens_on": 0.9})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every call of the index once, and what was odd about the index."""
        self.harvest: dict[str, tuple[Row, Page]] = {}  # by reference, with the page first seen on
        try:
            async for issue in self._scan(Slice(), set()):
                yield issue
        except FetchError as error:
            yield self.issue("error", "search_failed", str(error))
        rows, oddities = recognise(self.harvest)
        for code, detail, key in oddities:
            yield self.issue("info", code, detail, key)
        unknown: Counter[str] = Counter()
        for reference, (row, page) in sorted(rows.items()):
            fields, leftovers = read_row(row)
            unknown += leftovers
            pages = [page]
            if not fields["sections"] and fields["kind"] == "1":
                async for found in self._details(reference, fields, pages):
                    yield found
            yield RawCall(source=self.name, key=reference, fields=fields, pages=tuple(pages))
        for name, count in sorted(unknown.items()):
            yield self.issue("info", "unknown_field", f"field {name!r} is new, in {count} rows")

    async def _scan(self, part: Slice, seen: set[str]) -> AsyncIterator[Issue]:
        """Page through a slice until as many references are `seen` as it claims to have."""
        first = await self._search(part, 1, ORDERS[0])
        if not part.terms:
            self.total = first.total
        too_large = first.total > WINDOW and len(part.terms) < len(SPLITS)
        if too_large:
            by = SPLITS[len(part.terms)]
            for value in await self._facet(part, by):
                inside: set[str] = set()
                async for issue in self._scan(replace(part, terms=(*part.terms, (by, value))), inside):
                    yield issue
                seen |= inside
        claimed = first.total
        # after a split one scan is left: for rows without that field, as far as the window shows them
        for scan in range(1 if too_large else RESCANS):
            if len(seen) >= claimed:
                return
            try:
                order = ORDERS[scan % len(ORDERS)]
                first = await self._search(part, 1, order) if scan else first
            except FetchError:
                break  # a replay has only the scans that were made
            async for page in self._pages(part, order, first):
                if isinstance(page, Issue):
                    yield page
                else:
                    claimed = page.total
                    seen |= self._keep(page)
        if len(seen) < claimed:
            detail = f"{part}: the portal says {claimed} records, {len(seen)} distinct ones were served"
            yield self.issue("warning", "totals_differ", detail)

    async def _pages(
        self, part: Slice, order: dict[str, str], first: ResultPage
    ) -> AsyncIterator[ResultPage | Issue]:
        """Result pages until one is empty, the window ends, or the claimed total is behind us."""
        current, number = first, 1
        while current.rows:
            yield current
            while True:
                if number * current.size >= min(current.total, WINDOW):
                    return
                number += 1
                try:
                    current = await self._search(part, number, order)
                    break
                except FetchError as error:
                    yield self.issue("error", "page_missing", f"{part}, page {number}: {error}")

    def _keep(self, found: ResultPage) -> set[str]:
        """Keep the rows not seen before; the references of all."""
        references = set()
        for row in found.rows:
            reference = str(row.get("reference") or hashlib.sha1(json.dumps(row).encode()).hexdigest())  # noqa: S324
            references.add(reference)
            self.harvest.setdefault(reference, (row, found.page))
        return references

    async def _search(self, part: Slice, number: int, order: dict[str, str]) -> ResultPage:
        """One result page. Raises FetchError, also when the portal answered another question."""
        parts = {"query": part.query(), "languages": ["en"], "sort": order}
        url = f"{API}/search?apiKey=SEDIA&text=***&pageSize={PAGE_SIZE}&pageNumber={number}"
        answer, page = await self._post(url, parts)
        rows, total = answer.get("results"), answer.get("totalResults")
        if not isinstance(rows, list) or not isinstance(total, int):
            raise FetchError(f"{url}: no results in the answer")
        alien = next((row for row in rows if not _asked_for(row)), None)
        if alien is not None:
            raise FetchError(f"{url}: the portal ignored the query (it served {alien.get('reference')!r})")
        return ResultPage(rows, page, total, int(answer.get("pageSize") or PAGE_SIZE))

    async def _facet(self, part: Slice, name: str) -> list[str]:
        """The values a field takes within a slice, sorted."""
        parts = {"query": part.query(), "languages": ["en"]}  # a sort part is answered with HTTP 500
        answer, _ = await self._post(f"{API}/facet?apiKey=SEDIA&text=***", parts)
        facets = [facet for facet in answer.get("facets", []) if facet.get("rawName") == name]
        return sorted({str(value["rawValue"]) for facet in facets for value in facet.get("values", [])})

    async def _post(self, url: str, parts: dict[str, Any]) -> tuple[dict[str, Any], Page]:
        """Post a form of JSON files; an answer that is cut off is asked for again."""
        body, content_type = multipart(parts)
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        request = Request(
            self.at(url), method="POST", body=body, headers=headers, dont_filter=True, priority=10
        )
        for attempt in (1, 2, 3):
            response = await self.fetch(request)
            try:
                return _object(response), self.page(response)
            except ValueError as error:
                if attempt == 3:
                    raise FetchError(f"{url}: cut off or no JSON ({error})") from error
        raise AssertionError("unreachable")

    async def _details(
        self, reference: str, fields: dict[str, Any], pages: list[Page]
    ) -> AsyncIterator[Issue]:
        """Add what the topic's own page says to `fields`, where the search row has no text."""
        identifier = str(fields["identifier"]).lower()  # upper case is answered with 404
        request = Request(self.at(f"{PORTAL}/data/topicDetails/{identifier}.json"), dont_filter=True)
        try:
            response = await self.fetch(request)
            details = _object(response).get("TopicDetails")
        except FetchError as error:
            severity = "info" if error.status == 404 else "warning"
            yield self.issue(severity, "no_details", str(error), reference)
            return
        except ValueError as error:
            yield self.issue(
                "warning", "no_details", f"{identifier}: cut off or no JSON ({error})", reference
            )
            return
        if not isinstance(details, dict):
            yield self.issue("warning", "no_details", f"{identifier}: no TopicDetails in it", reference)
            return
        fields["sections"] = sections(str(details.get("description") or ""))
        if not fields["conditions"] and details.get("conditions"):
            fields["conditions"] = html_to_text(str(details["conditions"]))
        if not fields["budget_lines"]:
            fields["budget_lines"] = budget_lines(details.get("budgetOverviewJSONItem"))
        pages.append(self.page(response))


def _object(response: Response) -> dict[str, Any]:
    value = json.loads(response.body)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _flat(row: Row) -> Row:
    """Metadata and top level as one; some cascade rows carry their fields without `metadata`."""
    metadata = row.get("metadata")
    outer = {key: value for key, value in row.items() if key != "metadata"}
    return outer | metadata if isinstance(metadata, dict) else outer


def _asked_for(row: Row) -> bool:
    """Whether a row is of the types and statuses asked for; a row that states neither may be a stub."""
    flat = Fields(_flat(row))
    kind, status = flat.first("type"), flat.first("status")
    return kind in (None, *TYPES) and status in (None, *STATUSES)


def recognise(
    harvested: dict[str, tuple[Row, Page]],
) -> tuple[dict[str, tuple[Row, Page]], list[tuple[str, str, str]]]:
    """Keep one row a call; the others as (code, detail, reference).

    Left out are stubs (no title or no status), translations of a row that is there in English, and
    rows of the older index whose topic the current index has.
    """
    flat = {reference: Fields(_flat(row)) for reference, (row, _) in harvested.items()}
    facts = {
        reference: {
            "title": f.first("title", "callTitle", "summary"),
            "status": f.first("status"),
            "identifier": f.first("identifier"),
            "language": f.first("language") or "en",
            "legacy": f.first("DATASOURCE") == LEGACY,
        }
        for reference, f in flat.items()
    }
    current = {f["identifier"] for f in facts.values() if not f["legacy"] and f["language"] == "en"}
    kept: dict[str, tuple[Row, Page]] = {}
    odd: list[tuple[str, str, str]] = []
    for reference, fact in sorted(facts.items()):
        if not fact["title"] or not fact["status"]:
            odd.append(("stub_row", "a row without reference, title or status was left out", reference))
        elif fact["language"] != "en" and fact["identifier"] in current:
            odd.append(("translation", f"a row in {fact['language']!r} was left out", reference))
        elif fact["legacy"] and fact["identifier"] in current:
            odd.append(("stale_twin", "a leftover of the older index was left out", reference))
        else:
            kept[reference] = harvested[reference]
    return kept, odd


_OF_NO_USE = """
    REFERENCE ccm2Id callccm2Id typeOfMGAs programmePeriod sortStatus es_SortDate esDA_IngestDate
    esDA_QueueDate esST_URL esST_FileName esST_checksum checksum weight database content contentType
    accessRestriction pages groupById apiVersion children focusArea crossCuttingPriorities supportInfo
    sepTemplate links latestInfos allowPartnerSearch destination destinationDetails mission
    missionDetails missionDescription reference destinationGroup missionGroup additionalInfos duration
    currency cenTagsA caName projectAcronym projectName geographicalZones publicationDocuments cftId
    publicationDateLong programmeDivisionProspect specificObjective contractType
""".split()


def read_row(row: Row) -> tuple[dict[str, Any], Counter[str]]:
    """One search row as raw fields, and the names of fields that are new to us.

    A cascade row carries its parent topic's identifier and title; its own name is `callTitle`.
    """
    f = Fields(_flat(row))
    kind = f.first("type")
    cascade = kind == "8"
    summary, title, call_title = f.first("summary"), f.first("title"), f.first("callTitle")
    identifier = f.first("identifier")
    actions = json_in_string(f.first("actions") or "")
    text = [f.first(name) for name in ("descriptionByte", "description", "furtherInformation")]
    text += [f.first("beneficiaryAdministration")]
    fields: dict[str, Any] = {
        "title": clean((call_title or summary or title if cascade else title or summary) or ""),
        "url": f.first("url"),
        "kind": kind,
        "status": f.first("status"),
        "language": f.first("language"),
        "identifier": identifier,
        "call_identifier": f.first("callIdentifier"),
        "call_title": None if cascade or not call_title else clean(call_title),
        "parent_topic": identifier if cascade else None,
        "programme": f.first("frameworkProgramme"),
        "divisions": f.all("programmeDivision"),
        "opens_on": f.first("startDate"),
        "deadlines": f.all("deadlineDate"),
        "action_deadlines": _action_deadlines(actions),
        "deadline_model": f.first("deadlineModel"),
        "type_of_action": clean(f.first("typesOfAction") or "") or None,
        "keywords": [w for w in words(f.all("keywords") + f.all("tags")) if w != identifier],
        "destination": clean(f.first("destinationDescription") or "") or None,
        "budget": f.first("budget"),
        "budget_lines": budget_lines(json_in_string(f.first("budgetOverview") or "")),
        "sections": [section for html in text if html for section in sections(html)],
        "conditions": html_to_text(f.first("topicConditions") or "") or None,
        "index": f.first("DATASOURCE"),
    }
    f.drop(_OF_NO_USE)
    return fields, f.leftovers()


def _action_deadlines(actions: Any) -> list[str]:
    found: dict[str, None] = {}
    for action in actions if isinstance(actions, list) else []:
        for printed in (action.get("deadlineDates") or []) if isinstance(action, dict) else []:
            found[str(printed)] = None
    return list(found)


def budget_lines(overview: Any) -> list[dict[str, Any]]:
    """The lines of a budget overview: all topics of the call, amounts as printed."""
    by_topic = overview.get("budgetTopicActionMap") if isinstance(overview, dict) else None
    lines = []
    for entries in (by_topic or {}).values():
        # two-stage calls have been seen with one object instead of a list
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, dict):
                continue
            years = entry.get("budgetYearMap")
            lines.append(
                {
                    "action": str(entry.get("action") or ""),
                    "years": {str(y): str(v) for y, v in years.items()} if isinstance(years, dict) else {},
                    "grant_min": str(entry.get("minContribution") or ""),
                    "grant_max": str(entry.get("maxContribution") or ""),
                    "expected_grants": str(entry.get("expectedGrants") or ""),
                }
            )
    return lines
