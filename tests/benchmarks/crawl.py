"""What a crawl costs: a replay of our sources against a bare Scrapy replay of the same pages, in one run.

The bare replay is Scrapy's own file cache and a spider that takes title and visible text with parsel;
ours reads a WARC, checks its digests, reads every page strictly into fields and writes the result. Each
runs in a process of its own, whose peak memory is told for few pages and for many.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from conftest import SAMPLES, SHARED
from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.extensions.httpcache import FilesystemCacheStorage
from scrapy.http import HtmlResponse, Response, TextResponse
from scrapy.settings import Settings

import crawlers.__main__
from crawlers.archive import ArchiveStorage
from crawlers.crawl import read_crawl
from crawlers.settings import offline_settings

Pages = dict[str, tuple[str, str]]  # address → (content type, text)
FEW, MANY, ROUNDS = 150, 600, 3


def rvo(count: int) -> Pages:
    """Scheme pages of RVO, 110 kB each where a real one is kept, with index and sitemap."""
    real = SHARED / "rvo" / "rvo_eurostars_2025-09-12.html"
    html = (real if real.exists() else SAMPLES / "rvo" / "eurostars.html").read_text("utf-8")
    site = "https://www.rvo.nl"
    slugs = [f"scheme-{n:04}" for n in range(count)]
    index = [{"id": slug, "url": f"/subsidies-financiering/{slug}", "type": "subsidy"} for slug in slugs]
    found = {
        f"{site}/subsidies-financiering/{slug}": (
            "text/html; charset=utf-8",
            html.replace("/subsidies-financiering/eurostars", f"/subsidies-financiering/{slug}"),
        )
        for slug in slugs
    }
    locations = "".join(f"<url><loc>{url}</loc></url>" for url in found)
    return found | {
        f"{site}/api/v1/opendata/subsidies?page=0": ("application/json", json.dumps(index)),
        f"{site}/api/v1/opendata/subsidies?page=1": ("application/json", "[]"),
        f"{site}/sitemap.xml": ("text/xml", f"<urlset>{locations}</urlset>"),
    }


def snn(count: int) -> Pages:
    """Scheme pages of SNN, 20 kB each, with listing and sitemap."""
    html = next(SAMPLES.glob("snn/mit-haalbaarheid*.html")).read_text("utf-8")
    body = "".join(
        f"<h3>Onderdeel {n}</h3><p>{'Woorden over wat u kunt aanvragen. ' * 12}</p>" for n in range(35)
    )
    title = re.compile(r"(<h1[^>]*>)[^<]*")
    found = {
        f"https://www.snn.nl/zakelijke-subsidies/regeling-{n:04}": (
            "text/html; charset=utf-8",
            title.sub(rf"\g<1>Regeling {n:04}", re.sub(r'href="[^"]*veelgestelde[^"]*"', "", html)).replace(
                "</main>", f"{body}</main>"
            ),
        )
        for n in range(count)
    }
    links = "".join(f'<li><a href="{url}">x</a></li>' for url in found)
    listing = f"<html><body><main><h1>Subsidies</h1><ul>{links}</ul></main></body></html>"
    locations = "".join(f"<url><loc>{url}</loc></url>" for url in found)
    return found | {
        "https://www.snn.nl/zakelijke-subsidies": ("text/html; charset=utf-8", listing),
        "https://www.snn.nl/sitemap.xml": ("text/xml", f"<urlset>{locations}</urlset>"),
    }


def store(source: str, pages: Pages, folder: Path) -> None:
    """Keep the pages in our archive and in Scrapy's file cache."""
    settings = {
        "FUNDMATCH_ARCHIVE": str(folder / source / "20260615T040000Z-bench.warc.gz"),
        "FUNDMATCH_BASE_URL": "",
        "FUNDMATCH_DAY": "2026-06-15",
        "HTTPCACHE_DIR": str(folder / "cache"),
    }
    spider: Any = SimpleNamespace(name=source, crawler=SimpleNamespace(request_fingerprinter=None))
    ours, bare = ArchiveStorage(Settings(settings)), FilesystemCacheStorage(Settings(settings))
    from scrapy.utils.request import RequestFingerprinter

    spider.crawler.request_fingerprinter = RequestFingerprinter(SimpleNamespace(settings=Settings()))  # type: ignore[arg-type]
    ours.open_spider(spider)
    bare.open_spider(spider)
    for url, (kind, text) in pages.items():
        request, make = Request(url), HtmlResponse if "html" in kind else TextResponse
        response = make(url, body=text.encode(), headers={"Content-Type": kind}, encoding="utf-8")
        ours.store_response(spider, request, response)
        bare.store_response(spider, request, response)
    ours.close_spider(spider)
    bare.close_spider(spider)
    (folder / "urls.json").write_text(json.dumps(list(pages)))


class Bare(Spider):
    """Takes the title and the visible text of every page, as parsel gives them."""

    name = "bare"

    def __init__(self, urls: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start_urls = urls

    def parse(self, response: Response, **_: Any) -> Any:
        html = isinstance(response, HtmlResponse)
        text = (
            " ".join(response.xpath("//text()[not(parent::script or parent::style)]").getall())
            if html
            else ""
        )
        yield {"url": response.url, "title": response.css("h1::text").get() if html else None, "text": text}


def run_bare(source: str, folder: Path) -> int:
    """Replay from Scrapy's file cache; the number of pages."""
    settings = offline_settings() | {
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_DIR": str(folder / "cache"),
        "HTTPCACHE_IGNORE_MISSING": True,
        "HTTPCACHE_STORAGE": "scrapy.extensions.httpcache.FilesystemCacheStorage",
        "DOWNLOADER_MIDDLEWARES": {},
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
        "FEEDS": {str(folder / "bare.jsonl"): {"format": "jsonlines", "overwrite": True}},
        "LOG_ENABLED": False,
    }
    process = AsyncCrawlerProcess(settings)
    crawler = process.create_crawler(Bare)
    process.crawl(crawler, name=source, urls=json.loads((folder / "urls.json").read_text()))
    process.start()
    return int(crawler.stats.get_value("item_scraped_count", 0)) if crawler.stats else 0


def run_ours(source: str, folder: Path) -> int:
    """Replay from our archive, as the child process of a crawl does it; the number of pages."""
    sys.argv = ["crawlers", source, "--out", str(folder / "ours.jsonl"), "--replay", str(folder)]
    with redirect_stdout(StringIO()):
        assert crawlers.__main__.main() == 0
    found = read_crawl(source, folder / "ours.jsonl")
    return len(json.loads((folder / "urls.json").read_text())) if len(found.records) else 0


def peak_mib() -> float:
    """The most memory this process ever held; ru_maxrss would count what its parent held when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def measured(which: str, source: str, folder: Path) -> tuple[int, float, float]:
    """Pages, seconds and peak MiB of one replay in a process of its own."""
    begun = time.perf_counter()
    command = [sys.executable, __file__, which, source, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    pages, peak = done.stdout.split()
    return int(pages), time.perf_counter() - begun, float(peak)


def compare(source: str, make: Callable[[int], Pages]) -> None:
    """Print pages per second, their ratio, and memory for few pages and for many."""
    peaks: dict[str, list[float]] = {"bare": [], "ours": []}
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store(source, make(count), folder)
            size = sum(len(text) for _, text in make(2).values()) / len(make(2)) / 1000
            best: dict[str, float] = {}
            for _ in range(ROUNDS):  # side by side, so that a busy machine slows both
                for which in ("bare", "ours"):
                    pages, seconds, _ = measured(which, source, folder)
                    assert pages >= count, f"{which} read {pages} pages only"
                    best[which] = min(seconds, best.get(which, seconds))
            peaks["bare"].append(measured("bare", source, folder)[2])
            peaks["ours"].append(measured("ours", source, folder)[2])
        rates = {which: pages / seconds for which, seconds in best.items()}
        print(
            f"{source}, {pages} pages (about {size:.0f} kB): bare {rates['bare']:.0f} pages/s, ours "
            f"{rates['ours']:.0f} pages/s, time ratio {best['ours'] / best['bare']:.2f}"
        )
    for which, (few, many) in peaks.items():
        print(f"{source}, {which}: peak {few:.0f} MiB at {FEW} pages, {many:.0f} MiB at {MANY}")


def main() -> None:
    """Compare, or, as a child, run one replay and print its pages and peak memory."""
    if len(sys.argv) == 4:
        which, source, folder = sys.argv[1:]
        pages = {"bare": run_bare, "ours": run_ours}[which](source, Path(folder))
        print(pages, peak_mib())
        return
    compare("rvo", rvo)
    compare("snn", snn)


if __name__ == "__main__":
    main()
