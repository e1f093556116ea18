"""What every source shares: where it is, what a healthy crawl of it looks like, and who said what.

A source is a subclass of `Source` in `crawlers/sources/`, found by its file's name. It yields `RawCall`
(or `Organisation`) and `Issue` items; everything around that is here, in `manners` and in `crawl`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
)
from scrapy.http import Response, TextResponse

from crawlers.archive import Stored
from crawlers.crawl import CrawlError
from crawlers.manners import Refused
from crawlers.reading import Unreadable
from crawlers.resolver import not_public
from crawlers.settings import RETRY_CODES
from crawlers.sources import source_names
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

GIVE_UP = 3  # pages in a row without a usable answer: then the host is not asked again
_BEGINNING, _END = re.compile("<html[ >]", re.IGNORECASE), re.compile("</html", re.IGNORECASE)
MOST_TAGS = 250_000  # of one page; a tree takes a kilobyte for each
_BAD_CERTIFICATE = re.compile("certificate verify failed|service_identity")  # its chain; its name
_IN_WORDS: dict[type[Exception], str] = {
    CannotResolveHostError: "the host has no address",
    DownloadCancelledError: "the answer is larger than a page may be",
    DownloadConnectionRefusedError: "the connection was refused",
    DownloadFailedError: "the connection broke, or what came is no HTTP",
    DownloadTimeoutError: "no whole answer in time",
    MemoryError: "the answer takes more memory than a crawl may have",
    ResponseDataLossError: "the answer was cut off",
}


class Source(Spider):
    """A spider that knows where its source is, what a healthy crawl looks like, and who said what."""

    level: ClassVar[Level]
    home: ClassVar[str]  # what a reader may be shown as the source's own site
    hosts: ClassVar[tuple[str, ...]]  # requests and redirects leave these hosts never
    expect: ClassVar[Expect]
    zone: ClassVar[str | None] = None  # the clock that its hours are printed in, where it names none
    prose: ClassVar[bool] = True  # its texts state dates, money and who may apply
    offline: ClassVar[bool] = False  # reads nothing from the web, so there is no archive of it
    largest_page: ClassVar[int] = 8 * 1024 * 1024  # bytes, inflated; a larger answer is refused
    most_pages: ClassVar[int] = 5_000  # asked for in one crawl; a source that leads to more is broken
    total: int | None = None  # records the source says it has, once known
    archive_damage: Sequence[str] = ()

    def __init__(self, base_url: str | None = None, day: date | None = None, **kwargs: Any) -> None:
        """`day` is the crawl's today: of a replay, the day on which the pages were fetched."""
        super().__init__(**kwargs)
        self.base_url = base_url
        self.day = day
        self.allowed_netlocs = {urlsplit(base_url).netloc} if base_url else set(self.hosts)
        self._asked = 0
        self._silent: Counter[str] = Counter()  # pages in a row without an answer, by host

    def at(self, url: str) -> str:
        """`url`, or its host, path and query below the base URL that this crawl is pointed at."""
        if not self.base_url:
            return url
        parts = urlsplit(url)
        return f"{self.base_url}/{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    def page(self, response: Response) -> Page:
        """Provenance of a response: address, time, hash of its body, record in the archive."""
        stored: Stored = response.meta["stored"]
        return Page(
            url=response.url,
            fetched_at=stored.fetched_at,
            sha256=hashlib.sha256(response.body).hexdigest(),
            archive_record=stored.record,
        )

    def issue(self, severity: Any, code: str, detail: str, key: str | None = None) -> Issue:
        """A fault of this source, as one line."""
        return Issue(
            source=self.name, severity=severity, code=code, detail=" ".join(detail.split())[:500], key=key
        )

    def missing(self, error: FetchError, key: str | None) -> Issue:
        """That a page could not be had: it is gone (404, 410), which is noted, or not reached, a fault."""
        gone = error.status in (404, 410)
        severity, code = ("info", "page_gone") if gone else ("warning", "page_missing")
        return self.issue(severity, code, str(error), key)

    async def fetch(self, request: Request) -> Response:
        """The answer to a request, retried as the settings say. Raises FetchError in plain words.

        Raises Endless, which ends the crawl, where more is asked for than any healthy crawl needs.
        """
        assert self.crawler.engine is not None
        self._asked += 1
        if self._asked > self.most_pages:
            raise Endless(f"stopped after {self.most_pages} pages, since there seems to be no end of them")
        host = urlsplit(request.url).netloc
        if self._silent[host] >= GIVE_UP:
            raise FetchError(f"{request.method} {request.url}: not asked, the host has stopped answering")
        try:
            response = await self.crawler.engine.download_async(request)
        except IgnoreRequest as error:
            lacking = self.settings.get("FUNDMATCH_REPLAY") and not isinstance(error, Refused)
            why = "not in the archive, or damaged there" if lacking else str(error)
            if "exceeded DOWNLOAD_MAXSIZE" in why:  # found while it was unpacked
                why = _IN_WORDS[DownloadCancelledError]
            raise FetchError(f"{request.method} {request.url}: {why}") from error
        except Exception as error:
            # whatever the network did to this request, the others go on and the reader is told
            self._silent[host] += 1
            raise FetchError(f"{request.method} {request.url}: {_why(request, error)}") from error
        self._silent[host] = self._silent[host] + 1 if response.status in RETRY_CODES else 0
        if not 200 <= response.status < 300:  # a redirect that is still here leads nowhere
            raise FetchError(f"{request.method} {request.url}: HTTP {response.status}", response.status)
        return response

    async def text(self, url: str) -> tuple[str, Page]:
        """The text of a page, and its provenance. Raises FetchError, also for what is no text, or a part."""
        response = await self.fetch(Request(self.at(url)))
        if not isinstance(response, TextResponse):
            raise FetchError(f"GET {url}: no text, but {response.headers.get('Content-Type')!r}")
        text = response.text
        if text.count("<") > MOST_TAGS:
            raise FetchError(f"GET {url}: more tags than a page may have")
        if _BEGINNING.search(text, 0, 2000) and not _END.search(text):
            raise FetchError(f"GET {url}: the page is cut off, it has no end")
        return text, self.page(response)

    async def records(
        self, pages: Iterable[tuple[str, str]], read: Callable[[str, str], dict[str, Any]]
    ) -> AsyncIterator[RawCall | Issue]:
        """One record a page. `pages` are (key, url); `read(text, url)` gives the fields, or Unreadable.

        A page that cannot be had or read is an issue, and the others go on.
        """
        for key, url in pages:
            try:
                text, page = await self.text(url)
                yield RawCall(source=self.name, key=key, fields=read(text, url), pages=(page,))
            except FetchError as error:
                yield self.missing(error, key)
            except Unreadable as error:
                yield self.issue("error", "layout_changed", f"{url}: {error}", key)


def _why(request: Request, error: Exception) -> str:
    """Why the network gave no answer, in plain words."""
    if address := not_public.get(urlsplit(request.url).hostname or ""):
        return f"the host has the address {address}, which is not public"
    if _BAD_CERTIFICATE.search(str(error)):
        return "its certificate does not hold"
    return _IN_WORDS.get(type(error)) or str(error)[:200] or type(error).__name__


class Endless(Exception):
    """A source leads from page to page without end."""


class FetchError(Exception):
    """A page could not be had; `status` is the HTTP status where there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def source_class(name: str) -> type[Source]:
    """The source of that name. Raises CrawlError with the known names."""
    if name not in source_names():
        raise CrawlError(f"there is no source {name!r}; known: {', '.join(source_names())}")
    module = import_module(f"crawlers.sources.{name}")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Source) and value.__module__ == module.__name__
    )
