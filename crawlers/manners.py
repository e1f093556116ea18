"""How we behave towards a host: retries with pauses, no request to anybody else, no hammering of the dead."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.settings import BaseSettings

from crawlers.resolver import not_public

LONGEST_PAUSE = 120.0  # seconds
CLOCK_MAY_DIFFER = timedelta(hours=12)  # caches answer with an older date


class BackoffRetryMiddleware(RetryMiddleware):
    """Scrapy's retries, with a pause that doubles and that honours Retry-After.

    A page whose host asks for more than the longest pause is given up.
    """

    def __init__(self, settings: BaseSettings) -> None:
        super().__init__(settings)
        self._first_pause = settings.getfloat("FUNDMATCH_BACKOFF_SECONDS")

    async def process_response(  # type: ignore[override]
        self, request: Request, response: Response
    ) -> Request | Response:
        printed = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
        asked = retry_after(printed, datetime.now(UTC))
        if asked > LONGEST_PAUSE:
            return response
        result = super().process_response(request, response)
        if isinstance(result, Request):
            await self._pause(result, asked)
        return result

    async def process_exception(  # type: ignore[override]
        self, request: Request, exception: Exception
    ) -> Request | Response | None:
        if urlsplit(request.url).hostname in not_public:
            return None
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            await self._pause(result, 0.0)
        return result

    async def _pause(self, request: Request, asked: float) -> None:
        attempt = int(request.meta.get("retry_times", 1))
        pause = self._first_pause * 2 ** (attempt - 1) * random.uniform(1.0, 1.5)  # noqa: S311
        await asyncio.sleep(min(max(pause, asked), LONGEST_PAUSE))


class OwnHostsMiddleware:
    """Refuses what leaves the source's hosts, as a redirect may. (Scrapy's own check spares all retries.)"""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> OwnHostsMiddleware:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        allowed = getattr(self._crawler.spider, "allowed_netlocs", None) or ()
        if parts.scheme not in ("http", "https") or parts.netloc not in allowed:
            raise Refused(f"{parts.scheme}://{parts.netloc} is not a host of this source")


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


def clock_off(printed: str, now: datetime) -> str | None:
    """How far our clock is from a Date header (RFC 9110, 6.6.1), in words; None within CLOCK_MAY_DIFFER."""
    try:
        theirs = parsedate_to_datetime(printed).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    if abs(theirs - now) <= CLOCK_MAY_DIFFER:
        return None
    return f"this machine's clock says {now:%Y-%m-%d %H:%M}, the site's {theirs:%Y-%m-%d %H:%M} (UTC)"
