"""The child process of a crawl: `python -m crawlers SOURCE --out FILE (--replay PATH | --archive FILE)`.

With `--until-stdin-ends` it ends when its standard input does, which is when its parent is gone.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess

from crawlers.archive import ArchiveError, locate, read_archive
from crawlers.crawl import CrawlError, ResultWriter
from crawlers.manners import clock_off
from crawlers.settings import (
    SettingsError,
    base_url_override,
    live_settings,
    offline_settings,
    replay_settings,
)
from crawlers.source import Source, source_class
from pipeline.schema import Issue, Organisation

PROGRESS_EVERY_SECONDS = 0.3


class Collector:
    """Passes on what the spider yields, once a key, and tells the parent how far it is."""

    def __init__(self, out: Path) -> None:
        self.result = ResultWriter(out)
        self.issues: list[Issue] = []
        self._told = 0.0
        self._clock_checked = False

    def headers_received(self, headers: Any, request: Any, spider: Source) -> None:
        """Compare our clock with that of the first site that tells one: a wrong day makes deadlines wrong."""
        printed = (headers.get("Date") or b"").decode("latin-1")
        if self._clock_checked or not printed:
            return
        self._clock_checked = True
        off = clock_off(printed, datetime.now(UTC))
        if off:
            self.issues.append(spider.issue("info", "clock_off", off))

    def item_scraped(self, item: Any, spider: Source) -> None:
        """Take an item; the first of a key stays."""
        if isinstance(item, Issue):
            self.issues.append(item)
            return
        if not self.result.add(item):
            key = item.org_id if isinstance(item, Organisation) else item.key
            self.issues.append(spider.issue("warning", "duplicate_key", "the key came twice", key))
        if time.monotonic() - self._told > PROGRESS_EVERY_SECONDS:
            self.tell(spider)

    def tell(self, spider: Source) -> None:
        """One progress line for the parent."""
        self._told = time.monotonic()
        print(f"progress {len(self.result)} {spider.total or '-'}", flush=True)

    def spider_error(self, failure: Any, spider: Source) -> None:
        """An exception inside the spider is a fault of the source, not silence."""
        code, reason = "spider_failed", f"{failure.type.__name__}: {failure.value}"
        if failure.check(MemoryError):  # the limit's doing, not a fault in the spider
            code, reason = "out_of_memory", "the crawl needed more memory than it may have"
        self.issues.append(spider.issue("error", code, reason))


def main() -> int:
    """Crawl one source and write its result. Status 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m crawlers", description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--as-of")
    parser.add_argument("--until-stdin-ends", action="store_true")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--replay", type=Path)
    where.add_argument("--archive", type=Path)
    args = parser.parse_args()
    if args.until_stdin_ends:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()  # the libraries stay; of pages' trees, which are cyclic, some dozens may wait
    logging.disable(logging.CRITICAL)  # faults travel as issues; the library's log would be noise
    try:
        spider = source_class(args.source)
        base_url, day = None, date.fromisoformat(args.as_of) if args.as_of else None
        if spider.offline:
            settings = offline_settings()
        elif args.replay:
            path = locate(args.replay, args.source, args.as_of)
            base_url, day = read_archive(path).base_url, read_archive(path).day
            settings = replay_settings(path)
        else:
            base_url = base_url_override(args.source)
            day = day or datetime.now(UTC).date()
            settings = live_settings(
                args.archive, base_url or "", day.isoformat(), spider.largest_page, spider.hosts
            )
        run(spider, settings, base_url, day, args.out)
    except (ArchiveError, CrawlError, SettingsError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    return 0


def _end_with_parent() -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock a thread that waits would keep at our own end
        pass
    os._exit(3)


def run(
    spider: type[Source], settings: dict[str, Any], base_url: str | None, day: date | None, out: Path
) -> None:
    """Run a spider to its end in this process, which can do so only once, into `out`. Raises CrawlError."""
    process = AsyncCrawlerProcess(settings)
    crawler = process.create_crawler(spider)
    collector = Collector(out)
    crawler.signals.connect(collector.item_scraped, signal=signals.item_scraped)
    crawler.signals.connect(collector.headers_received, signal=signals.headers_received)
    crawler.signals.connect(collector.spider_error, signal=signals.spider_error)
    crawling = process.crawl(crawler, base_url=base_url, day=day)
    process.start()
    source = crawler.spider
    if not isinstance(source, Source) or (crawling.done() and crawling.exception()):
        raise CrawlError(f"{spider.name}: the crawl could not start: {crawling.exception()}")
    collector.tell(source)
    damage = [source.issue("error", "archive_damaged", line) for line in source.archive_damage]
    issues = sorted([*collector.issues, *damage], key=lambda i: (i.severity, i.code, i.key or "", i.detail))
    collector.result.finish(issues)


if __name__ == "__main__":
    sys.exit(main())
