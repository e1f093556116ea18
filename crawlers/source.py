"""What every source shares: provenance, polite retries, and one way to run a spider in a child process.

A source is a subclass of `Source` in `crawlers/sources/`, found by its file's name. It yields
`RawCall` and `Issue` items; everything around that is here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import ValidationError
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.settings import BaseSettings

from crawlers.archive import Stored
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall


class CrawlError(Exception):
    """A crawl gave no result at all; the message says why in one line."""


@dataclass(frozen=True)
class Crawl:
    """What one crawl of one source brought home. Records are sorted by key."""

    source: str
    records: tuple[RawCall, ...]
    issues: tuple[Issue, ...]


class Source(Spider):
    """A spider that knows where its source is, what a healthy crawl looks like, and who said what."""

    level: ClassVar[Level]
    home: ClassVar[str]  # what a reader may be shown as the source's own site
    hosts: ClassVar[tuple[str, ...]]  # requests and redirects leave these hosts never
    expect: ClassVar[Expect]
    total: int | None = None  # records the source says it has, once known
    archive_damage: Sequence[str] = ()

    def __init__(self, base_url: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base_url = base_url
        host = urlsplit(base_url).hostname if base_url else None
        self.allowed_domains = [host] if host else list(self.hosts)

    def at(self, url: str) -> str:
        """`url`, or the same path and query on the base URL this crawl is pointed at."""
        if not self.base_url:
            return url
        parts = urlsplit(url)
        return f"{self.base_url}{parts.path}" + (f"?{parts.query}" if parts.query else "")

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

    async def fetch(self, request: Request) -> Response:
        """The answer to a request, retried as the settings say. Raises FetchError in plain words."""
        assert self.crawler.engine is not None
        try:
            response = await self.crawler.engine.download_async(request)
        except IgnoreRequest as error:
            lacking = self.settings.get("FUNDMATCH_REPLAY") and not isinstance(error, Refused)
            why = "not in the archive, or damaged there" if lacking else str(error)
            raise FetchError(f"{request.method} {request.url}: {why}") from error
        except Exception as error:
            # whatever the network did to this request, the others go on and the reader is told
            raise FetchError(
                f"{request.method} {request.url}: {type(error).__name__} {error}"[:300]
            ) from error
        if response.status >= 400:
            raise FetchError(f"{request.method} {request.url}: HTTP {response.status}", response.status)
        return response


class FetchError(Exception):
    """A page could not be had; `status` is the HTTP status where there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class BackoffRetryMiddleware(RetryMiddleware):
    """Scrapy's retries, with a pause that doubles and that honours Retry-After (at most two minutes)."""

    def __init__(self, settings: BaseSettings) -> None:
        super().__init__(settings)
        self._first_pause = settings.getfloat("FUNDMATCH_BACKOFF_SECONDS")

    async def process_response(  # type: ignore[override]
        self, request: Request, response: Response
    ) -> Request | Response:
        result = super().process_response(request, response)
        if isinstance(result, Request):
            printed = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
            await self._pause(result, retry_after(printed, datetime.now(UTC)))
        return result

    async def process_exception(  # type: ignore[override]
        self, request: Request, exception: Exception
    ) -> Request | Response | None:
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            await self._pause(result, 0.0)
        return result

    async def _pause(self, request: Request, asked: float) -> None:
        attempt = int(request.meta.get("retry_times", 1))
        pause = self._first_pause * 2 ** (attempt - 1) * random.uniform(1.0, 1.5)  # noqa: S311
        await asyncio.sleep(min(max(pause, asked), 120.0))


class OwnHostsMiddleware:
    """Refuses what leaves the source's hosts, as a redirect may. (Scrapy's own check spares all retries.)"""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> OwnHostsMiddleware:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        host = urlsplit(request.url).hostname
        if host not in (getattr(self._crawler.spider, "allowed_domains", None) or ()):
            raise Refused(f"{host} is not a host of this source")


class Refused(IgnoreRequest):
    """A request that we do not make; the message says why."""


class LastItemMiddleware:
    """Lets the last item be handled before the spider ends.

    The engine looks once whether all is done, and then only every five seconds.
    """

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in start:
            yield item
        await asyncio.sleep(0.02)


def retry_after(printed: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 where it says nothing usable."""
    if printed.isdecimal():
        return float(printed)
    try:
        return max(0.0, (parsedate_to_datetime(printed) - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def source_names() -> list[str]:
    """Names of all sources, from the files in `crawlers/sources/`."""
    import crawlers.sources

    return sorted(module.name for module in iter_modules(crawlers.sources.__path__))


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


def crawl(
    source: str,
    out: Path,
    *,
    replay: Path | None = None,
    archive: Path | None = None,
    as_of: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Crawl:
    """Run one source in a child process: from `replay`, or live into the WARC file `archive`.

    The result is kept as JSON lines in `out`, written whole or not at all. `progress` gets records
    and the total that the source claims. Raises CrawlError when the child fails.
    """
    command = [sys.executable, "-m", "crawlers", source, "--out", str(out)]
    command += ["--replay", str(replay)] if replay else ["--archive", str(archive)]
    command += ["--as-of", as_of] if as_of else []
    out.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        try:
            for line in child.stdout:
                if progress and line.startswith("progress "):
                    records, total = line.split()[1:3]
                    progress(int(records), int(total) if total != "-" else None)
            complaint = child.stderr.read().strip().splitlines()
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        said = complaint[-1] if complaint else f"the child process ended with status {child.returncode}"
        raise CrawlError(f"{source}: {said}")
    return read_crawl(source, out)


def write_crawl(crawled: Crawl, out: Path) -> None:
    """Write a crawl as JSON lines, aside and moved in place."""
    aside = out.with_name(out.name + ".writing")
    with aside.open("w", encoding="utf-8") as stream:
        for kind, items in (("record", crawled.records), ("issue", crawled.issues)):
            for item in items:
                stream.write(f'{{"{kind}": {item.model_dump_json()}}}\n')
        stream.write(json.dumps({"end": {"records": len(crawled.records)}}) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(out)


def read_crawl(source: str, out: Path) -> Crawl:
    """Read what `write_crawl` wrote. Raises CrawlError when it is not whole."""
    records: list[RawCall] = []
    issues: list[Issue] = []
    ended = False
    for line in _lines(out):
        try:
            kind, value = next(iter(json.loads(line).items()))
            if kind == "record":
                records.append(RawCall.model_validate(value))
            elif kind == "issue":
                issues.append(Issue.model_validate(value))
            ended = kind == "end"
        except (ValueError, ValidationError) as error:
            raise CrawlError(f"{out}: not a crawl result: {str(error).splitlines()[0]}") from error
    if not ended:
        raise CrawlError(f"{out}: the crawl result is cut off")
    return Crawl(source, tuple(records), tuple(issues))


def _lines(out: Path) -> Iterator[str]:
    with out.open(encoding="utf-8") as stream:
        yield from stream
