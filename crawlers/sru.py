"""Search answers of the government's SRU services, versions 1.2 and 2.0, and how they are paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from crawlers.official import read_metadata
from crawlers.official_xml import Garbled, first, name, text_of, tree
from crawlers.reading import Unreadable
from crawlers.source import FetchError, Source
from pipeline.schema import Issue, Page

PAGE_SIZE = 100
LAST_START = 9_900  # from startRecord 10,000 on the service times out

Fields = dict[str, Any]
Found = dict[str, tuple[Fields, Page]]  # records by identifier, with the page first seen on
T = TypeVar("T")


class Rejected(Unreadable):
    """The service refuses a query: diagnostics, though with HTTP 200."""


@dataclass(frozen=True)
class Answer:
    """One page of search results: how many records there are in all, and those of this page."""

    total: int
    records: list[Fields]


def read_answer(text: str) -> Answer:
    """An SRU answer. Raises Rejected with the words of its diagnostics, Garbled, Unreadable."""
    root = tree(text)
    told = list(root.iter("{*}diagnostic"))
    if told or name(root) == "diagnostics":
        raise Rejected("; ".join(": ".join(filter(None, map(text_of, d))) for d in told) or "diagnostics")
    if name(root) != "searchRetrieveResponse":
        raise Unreadable(f"a {name(root)!r} instead of search results")
    printed = text_of(first(root, "numberOfRecords"))
    if not printed.isdecimal():
        raise Unreadable("search results that do not say how many there are")
    return Answer(int(printed), [read_record(record) for record in root.iter("{*}record")])


def read_record(record: Any) -> Fields:
    """A record's metadata, with `page` (its public address) and `files` (address by kind of file)."""
    files = {e.get("manifestation"): text_of(e) for e in record.iter("{*}itemUrl")}
    for kind, element in (("xml", "publicatieurl_xml"), ("html", "publicatieurl_xhtml")):
        if address := text_of(first(record, element)):
            files[kind] = address
    page = text_of(first(record, "preferredUrl")) or text_of(first(record, "preferred_url"))
    original = first(record, "originalData")
    if original is None:
        raise Unreadable("a search result without metadata")
    fields = read_metadata(original)
    fields["issuer_type"] = fields["issuer_type"] or text_of(first(record, "organisatietype")) or None
    return fields | {"page": page if page.startswith("https://") else None, "files": files}


class SruSource(Source):
    """A source that is searched by SRU."""

    endpoint: ClassVar[str]  # with the parameters that never change

    async def ask(self, query: str, position: int = 1) -> tuple[Answer, Page]:
        """The page of results that begins at a position. Raises FetchError, and Rejected."""
        paging = f"startRecord={position}&maximumRecords={PAGE_SIZE}"
        url = f"{self.endpoint}&query={quote(query, safe='')}&{paging}"

        def read(text: str) -> Answer:
            answer = read_answer(text)
            if not answer.records and position <= answer.total:
                raise Garbled(f"no record in it, though {answer.total} are claimed")
            return answer

        try:
            return await self.read(url, read)
        except FetchError as error:  # in words that are not lost behind a long address
            service = url.partition("?")[0]
            told = str(error).replace(self.at(url), service).replace(url, service)
            raise FetchError(told, error.status) from error

    async def read(self, url: str, read: Callable[[str], T]) -> tuple[T, Page]:
        """What `read` makes of an answer, asked for again where it is garbled, as often as a server's fault.

        Raises FetchError, and Unreadable for what asking again would not change.
        """
        wrong = ""
        for _ in range(1 + self.settings.getint("RETRY_TIMES")):
            text, page = await self.text(url)
            try:
                return read(text), page
            except Garbled as error:
                wrong = str(error)
        raise FetchError(f"{url}: {wrong}")

    async def scan(self, query: str, answer: Answer, page: Page, found: Found) -> AsyncIterator[Issue]:
        """Take all records of a query into `found`, from its first page on, and tell what is missing."""
        total, position = answer.total, 1
        seen: set[str] = set()
        while True:
            fresh = {
                r["identifier"]: r for r in answer.records if r["identifier"] and r["identifier"] not in seen
            }
            for identifier, record in fresh.items():
                found.setdefault(identifier, (record, page))
            seen |= fresh.keys()
            position += len(answer.records)
            if not fresh or position > min(total, LAST_START):
                break
            try:
                answer, page = await self.ask(query, position)
            except (FetchError, Unreadable) as error:
                yield self.issue("error", "page_missing", f"from record {position} of {total}: {error}")
                break
        if len(seen) != total:
            detail = f"{total} records are claimed, {len(seen)} distinct ones were served: {query}"
            yield self.issue("warning", "totals_differ", detail)
