"""The EU Funding & Tenders Portal: grant topics, calls for proposals and cascade calls, by its search API.

The API's answers are checked, not trusted: a query it ignored, pages that overlap, rows that went
missing between pages, translations, leftovers of an older index and empty stubs are all recognised.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from scrapy import Request

from crawlers.archive import multipart
from crawlers.reading import Fields, clean, html_to_text, json_in_string, parse_json, sections, words
from crawlers.settings import number
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

API = "https://api.tech.ec.europa.eu/search-api/prod/rest"
PORTAL = "https://ec.europa.eu/info/funding-tenders/opportunities"
TYPES = ["1", "2", "8"]  # grant topic, call for proposals, cascade funding
STATUSES = ["31094501", "31094502"]  # forthcoming, open
LEGACY = "SEDIA_PRD_CENTRICITY"  # an older index whose rows still claim to be open
PAGE_SIZE = 100
WINDOW = int(number("FUNDMATCH_EU_PORTAL_WINDOW", 10_000))  # results the API lets one page through
SPLITS = ("frameworkProgramme", "programmeDivision")
# Orders that keep every document; sorting on a field that some lack would drop those.
ORDERS = (
    {"field": "identifier", "order": "ASC"},
    {"field": "identifier", "order": "DESC"},
    {"field": "esDA_IngestDate", "order": "ASC"},
)
RESCANS = 6  # rows of one identifier are shuffled between pages, so a scan may need repeating
GIVE_UP = 3  # pages in a row that could not be had

Row = dict[str, Any]


@dataclass(frozen=True)
class Slice:
    """A part of the index that is paged through on its own: (field, value) pairs."""

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
    prose = False  # a topic's text speaks of the work; what matters for applying stands in fields
    largest_page = 32 * 1024 * 1024  # a hundred topics with their whole text
    expect = Expect(min_records=20, fill={"title": 1.0, "deadlines": 0.9, "programme": 0.95, "opens_on": 0.9})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every call of the index once, and what was odd about the index."""
        self.harvest: dict[str, tuple[Row, Page]] = {}  # by reference, with the page first seen on
        async for issue in self._scan(Slice(), set()):
            yield issue
        rows, oddities = recognise(self.harvest)
        for code, detail, key in oddities:
            yield self.issue("info", code, detail, key)
        unknown: Counter[str] = Counter()
        for reference, (row, page) in sorted(rows.items()):
            fields, leftovers = read_row(row)
            unknown += leftovers
            pages = [page]
            if not fields["sections"] and fields["kind"] == "1":
                try:
                    pages.append(await self._details(fields))
                except FetchError as error:
                    severity = "info" if error.status == 404 else "warning"
                    yield self.issue(severity, "no_details", str(error), reference)
            yield RawCall(source=self.name, key=reference, fields=fields, pages=tuple(pages))
        for name, count in sorted(unknown.items()):
            yield self.issue("info", "unknown_field", f"field {name!r} is new, in {count} rows")

    async def _scan(self, part: Slice, seen: set[str]) -> AsyncIterator[Issue]:
        """Page through a slice until as many references are `seen` as it claims to have."""
        try:
            first = await self._search(part, 1, ORDERS[0])
            smaller = await self._split(part) if first.total > WINDOW else []
        except FetchError as error:
            yield self.issue("error", "search_failed", f"{part}: {error}")
            return
        self.total = self.total if part.terms else first.total
        for piece in smaller:
            inside: set[str] = set()
            async for issue in self._scan(piece, inside):
                yield issue
            seen |= inside
        claimed = first.total
        missing: list[Issue] = []
        # after a split one scan is left: for rows without that field, as far as the window shows them
        for scan in range(0 if len(seen) >= claimed else 1 if smaller else RESCANS):
            try:
                order = ORDERS[scan % len(ORDERS)]
                first = await self._search(part, 1, order) if scan else first
            except FetchError:
                break  # a replay has only the scans that were made
            async for page in self._pages(part, order, first, missing):
                claimed = page.total
                seen |= self._keep(page)
                if len(seen) >= claimed:
                    return  # what was missing has come with other pages
        if len(seen) < claimed:
            for issue in missing:
                yield issue
            detail = f"{part}: the portal says {claimed} records, {len(seen)} distinct ones were served"
            yield self.issue("warning", "totals_differ", detail)

    async def _pages(
        self, part: Slice, order: dict[str, str], page: ResultPage, missing: list[Issue]
    ) -> AsyncIterator[ResultPage]:
        """Result pages from the first, `page`, until the total, the window or the portal's answers end."""
        yield page
        position, failed = 1, 0
        while page.rows and position * page.size < min(page.total, WINDOW) and failed < GIVE_UP:
            position += 1
            try:
                page, failed = await self._search(part, position, order), 0
                yield page
            except FetchError as error:
                failed += 1
                missing.append(self.issue("error", "page_missing", f"{part}, page {position}: {error}"))

    def _keep(self, found: ResultPage) -> set[str]:
        """Keep the rows not seen before; the keys of all. A row without reference goes by its fields."""
        keys = set()
        for row in found.rows:
            printed = json.dumps(row.get("metadata") or row, sort_keys=True).encode()
            key = _facts(row)["reference"] or f"no reference: {hashlib.sha256(printed).hexdigest()}"
            keys.add(key)
            self.harvest.setdefault(key, (row, found.page))
        return keys

    async def _search(self, part: Slice, position: int, order: dict[str, str]) -> ResultPage:
        """One result page. Raises FetchError, also when the portal answered another question."""
        parts = {"query": part.query(), "languages": ["en"], "sort": order}
        url = f"{API}/search?apiKey=SEDIA&text=***&pageSize={PAGE_SIZE}&pageNumber={position}"
        answer, page = await self._post(url, parts)
        rows, total, size = answer.get("results"), answer.get("totalResults"), answer.get("pageSize")
        if not (isinstance(rows, list) and all(isinstance(r, dict) for r in rows) and isinstance(total, int)):
            raise FetchError(f"{url}: no results in the answer")
        alien = next((row for row in rows if not _asked_for(row)), None)
        if alien is not None:
            raise FetchError(f"{url}: the portal ignored the query (it served {alien.get('reference')!r})")
        return ResultPage(rows, page, total, size if isinstance(size, int) and size > 0 else PAGE_SIZE)

    async def _split(self, part: Slice) -> list[Slice]:
        """Smaller slices, by the values the next field takes within this one; none after the last field."""
        if len(part.terms) == len(SPLITS):
            return []
        name = SPLITS[len(part.terms)]
        parts = {"query": part.query(), "languages": ["en"]}  # a sort part is answered with HTTP 500
        answer, _ = await self._post(f"{API}/facet?apiKey=SEDIA&text=***", parts)
        facets = [facet for facet in answer.get("facets", []) if facet.get("rawName") == name]
        values = {str(value["rawValue"]) for facet in facets for value in facet.get("values", [])}
        return [Slice((*part.terms, (name, value))) for value in sorted(values)]

    async def _post(self, url: str, parts: dict[str, Any]) -> tuple[dict[str, Any], Page]:
        """Post a form of JSON files."""
        body, content_type = multipart(parts)
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        return await self._object(Request(self.at(url), method="POST", body=body, headers=headers))

    async def _object(self, request: Request) -> tuple[dict[str, Any], Page]:
        """The JSON object that answers a request, asked for again where it is cut off. Or FetchError."""
        for _ in range(3):
            response = await self.fetch(request)
            try:
                value, wrong = parse_json(response.body), "no JSON object"
            except ValueError as error:
                value, wrong = None, f"cut off or no JSON ({error})"
            if isinstance(value, dict):
                return value, self.page(response)
        raise FetchError(f"{request.url}: {wrong}")

    async def _details(self, fields: dict[str, Any]) -> Page:
        """Add what the topic's own page says to `fields`, where the search row has no text.

        Raises FetchError where there is no such page, or nothing usable in it.
        """
        if not fields["identifier"]:
            raise FetchError("a row with no text and no identifier to find it by")
        name = quote(fields["identifier"].lower(), safe="")  # upper case is answered with 404
        answer, page = await self._object(Request(self.at(f"{PORTAL}/data/topicDetails/{name}.json")))
        details = answer.get("TopicDetails")
        if not isinstance(details, dict):
            raise FetchError(f"{page.url}: no TopicDetails in it")
        for name, value in read_topic(details).items():
            fields[name] = fields[name] or value
        fields["sections"] = sections(str(details.get("description") or ""))
        fields["conditions"] = (
            fields["conditions"] or html_to_text(str(details.get("conditions") or "")) or None
        )
        fields["budget_lines"] = fields["budget_lines"] or budget_lines(details.get("budgetOverviewJSONItem"))
        return page


def _flat(row: Row) -> Row:
    """Metadata and top level as one; some cascade rows carry their fields without `metadata`."""
    metadata = row.get("metadata")
    outer = {key: value for key, value in row.items() if key != "metadata"}
    return outer | metadata if isinstance(metadata, dict) else outer


def _asked_for(row: Row) -> bool:
    """Whether a row is of the types and statuses asked for; a row that states neither may be a stub."""
    f = Fields(_flat(row))
    return f.first("type") in (None, *TYPES) and f.first("status") in (None, *STATUSES)


def recognise(
    harvested: dict[str, tuple[Row, Page]],
) -> tuple[dict[str, tuple[Row, Page]], list[tuple[str, str, str | None]]]:
    """Keep one row a call, by its reference; the others as (code, detail, reference or None).

    Left out are stubs (no reference, title or status), translations of a row that is there in English,
    and rows of the older index whose topic the current index has.
    """
    facts = {key: _facts(row) for key, (row, _) in sorted(harvested.items())}
    whole = [fact for fact in facts.values() if not fact["lacks"]]
    current = {fact["call"] for fact in whole if not fact["legacy"] and fact["language"] == "en"}
    kept: dict[str, tuple[Row, Page]] = {}
    odd: list[tuple[str, str, str | None]] = []
    for key, fact in facts.items():
        if fact["lacks"]:
            odd.append(("stub_row", f"a row without {fact['lacks']} was left out", fact["reference"]))
        elif fact["language"] != "en" and fact["call"] in current:
            odd.append(("translation", f"a row in {fact['language']!r} was left out", key))
        elif fact["legacy"] and fact["call"] in current:
            odd.append(("stale_twin", "a leftover of the older index was left out", key))
        else:
            kept[key] = harvested[key]
    return kept, odd


def _facts(row: Row) -> dict[str, Any]:
    """What tells the rows of one call from all others. `call` is the same in all languages and indexes:
    the identifier, but of a cascade call, which bears its parent's, the reference."""
    f = Fields(_flat(row))
    reference, language = f.first("reference", "REFERENCE"), f.first("language") or "en"
    title, status = f.first("title", "callTitle", "summary"), f.first("status")
    needed = {"reference": reference, "title": title, "status": status}
    stem = (reference or "").lower().removesuffix(language.lower())
    return {
        "reference": reference,
        "language": language,
        "lacks": ", ".join(name for name, text in needed.items() if not text),
        "legacy": f.first("DATASOURCE") == LEGACY,
        "call": stem if f.first("type") == "8" else f.first("identifier") or stem,
    }


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
    overview = json_in_string(f.first("budgetOverview") or "")
    own = [line for line in _entries(overview) if str(line.get("action")).startswith(f"{identifier} - ")]
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
        "action_deadlines": _deadlines([*(actions if isinstance(actions, list) else []), *own]),
        "deadline_model": f.first("deadlineModel"),
        "type_of_action": clean(f.first("typesOfAction") or "") or None,
        "keywords": [w for w in words(f.all("keywords") + f.all("tags")) if w != identifier],
        "destination": clean(f.first("destinationDescription") or "") or None,
        "budget": f.first("budget"),
        "budget_lines": budget_lines(overview),
        "sections": [section for html in text if html for section in sections(html)],
        "conditions": html_to_text(f.first("topicConditions") or "") or None,
        "index": f.first("DATASOURCE"),
    }
    f.drop(_OF_NO_USE)
    return fields, f.leftovers()


def read_topic(topic: Row) -> dict[str, Any]:
    """A topic in the shape of its details and of the bulk file, as raw fields: codes stand in objects, days
    are epoch milliseconds."""

    def code(name: str) -> str | None:
        value = topic.get(name)
        return str(value["id"]) if isinstance(value, dict) and "id" in value else None

    f = Fields(topic)
    identifier = f.first("identifier")
    return {
        "title": clean(f.first("title") or ""),
        "kind": f.first("type"),
        "status": code("status"),
        "identifier": identifier,
        "call_identifier": f.first("callIdentifier"),
        "call_title": clean(f.first("callTitle") or "") or None,
        "programme": code("frameworkProgramme"),
        "opens_on": f.first("plannedOpeningDateLong"),
        "deadlines": f.all("deadlineDatesLong"),
        "keywords": [w for w in words(f.all("keywords") + f.all("tags")) if w != identifier],
    }


def _deadlines(entries: Iterable[Any]) -> list[str]:
    """Distinct `deadlineDates` of actions and budget entries, as printed."""
    found = [entry.get("deadlineDates") for entry in entries if isinstance(entry, dict)]
    return list(dict.fromkeys(str(at) for dates in found if isinstance(dates, list) for at in dates if at))


def _entries(overview: Any) -> list[dict[str, Any]]:
    """All entries of a budget overview; two-stage calls have been seen with one instead of a list."""
    by_topic = overview.get("budgetTopicActionMap") if isinstance(overview, dict) else None
    groups = by_topic.values() if isinstance(by_topic, dict) else []
    entries = (entry for group in groups for entry in (group if isinstance(group, list) else [group]))
    return [entry for entry in entries if isinstance(entry, dict)]


def budget_lines(overview: Any) -> list[dict[str, Any]]:
    """The lines of a budget overview: all topics of the call, amounts as printed."""
    return [
        {
            "action": str(entry.get("action") or ""),
            "years": {str(y): str(v) for y, v in years.items()} if isinstance(years, dict) else {},
            "grant_min": str(entry.get("minContribution") or ""),
            "grant_max": str(entry.get("maxContribution") or ""),
            "expected_grants": str(entry.get("expectedGrants") or ""),
        }
        for entry in _entries(overview)
        for years in [entry.get("budgetYearMap")]
    ]
