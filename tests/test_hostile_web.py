"""The whole door against the hostile web: a crawl ends soon, stays small, says why, and makes nothing up."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SAMPLES
from hostile_server import CHOKING, MODES, NO_ANSWER, SPOILT, HostileSite
from scrapy import Request
from scrapy.http import TextResponse

from crawlers.crawl import Crawl, crawl, read_crawl
from crawlers.source import Endless, source_class
from crawlers.sources import source_names
from pipeline.normalise import normalise
from pipeline.schema import Call, RawCall

DAY = "2026-06-15"
MEMORY = 600.0  # MiB
SLACK = 20.0  # seconds to start and stop a child on a busy machine
MINUTES = 0.25  # a crawl's own limit
LIMITS = {
    "FUNDMATCH_CONTACT": "tests@example.org",
    "FUNDMATCH_DOWNLOAD_DELAY": "0",
    "FUNDMATCH_CRAWL_MINUTES": str(MINUTES),
}
# What the week does for one source, in a process whose only child is the crawl, so that the peak of its
# children is the crawl's.
ALONE = """
import json, resource, sys
from pathlib import Path
from crawlers.crawl import CrawlError, crawl
source, folder, day = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
error = ""
try:
    crawl(source, folder / "crawl.jsonl", archive=folder / "crawl.warc.gz", as_of=day)
except CrawlError as problem:
    error = str(problem)
print(json.dumps([error, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""
NEVER_DONE = {"trickles", "never_answers", "endless_headers", "continues_forever"}
AWAY = {
    *("redirects_to_cloud_metadata", "redirects_to_another_port", "redirects_to_a_lookalike"),
    "refreshes_to_the_intranet",
}
SLOW = NEVER_DONE | {"many_links"}
NOT_PLAIN = re.compile(r"Traceback|<twisted|<class|object at 0x|\n|^\w+(?:Error|Exception)\b")
SOURCES = [name for name in source_names() if not source_class(name).offline]
RECORDED = [name for name in SOURCES if any((SAMPLES / name).glob("*.json"))]
PAGED = [name for name in RECORDED if name not in ("edih", "eu_portal", "interreg")]  # each record has a page
STATED = (
    *("opens_on", "budget_total_eur", "grant_max_eur", "grant_min_eur"),
    *("funding_rate", "funding_rate_sme", "trl_min", "trl_max"),
)


@dataclass(frozen=True)
class Case:
    """A source that is pointed at a door of the hostile site, or at a site whose robots.txt is hostile."""

    source: str
    door: str
    robots: str = "recorded"

    def __str__(self) -> str:
        return f"{self.source}-{self.door}" + (f"-robots-{self.robots}" if self.robots != "recorded" else "")


def spread(names: Iterable[str], over: list[str]) -> list[Case]:
    """Each mode at one source, and all sources in turn: every pair would take a quarter of an hour."""
    return [Case(over[n % len(over)], name) for n, name in enumerate(names)]


HOSTILE = [
    *spread([name for name in MODES if name not in SPOILT | CHOKING.keys() | NO_ANSWER], SOURCES),
    *spread([name for name, kind in CHOKING.items() if kind == "text/xml"], ["koop_sru"]),
    *spread([name for name, kind in CHOKING.items() if kind == "application/json"], ["eu_portal", "rvo"]),
    Case("eu_portal", "json_of_wrong_types"),
    *(Case(source, "a_login_page") for source in SOURCES),
]
BEHIND = [Case(source, "behind") for source in PAGED]
ON_PAGES = [*(name for name, kind in CHOKING.items() if kind == "text/html"), *sorted(NO_ANSWER)]
CHANGED = [
    *spread(sorted(SPOILT - {"renamed_layout"}), RECORDED),
    *(Case(source, "renamed_layout") for source in PAGED),
]
ROBOTS = [Case("eu_portal", "recorded", mode) for mode in ("never_answers", "huge_without_length")]


@dataclass(frozen=True)
class Outcome:
    """What a crawl gave or why it gave nothing, its seconds, and the peak memory of its process in MiB."""

    crawled: Crawl
    error: str
    seconds: float
    memory: float

    @cached_property
    def told(self) -> list[str]:
        """What is said of faults."""
        faults = [f"{i.code}: {i.detail}" for i in self.crawled.issues if i.severity == "error"]
        return [self.error, *faults] if self.error else faults


def crawl_alone(source: str, base: str, folder: Path, timeout: float) -> Outcome:
    """One live crawl of a source that is pointed at `base`."""
    begun = time.monotonic()
    more = {f"FUNDMATCH_BASE_URL__{source.upper()}": base, "FUNDMATCH_DOWNLOAD_TIMEOUT": str(timeout)}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, source, str(folder), DAY],
        env=os.environ | LIMITS | more,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    error, memory = json.loads(done.stdout)
    crawled = Crawl(source, (), ()) if error else read_crawl(source, folder / "crawl.jsonl")
    return Outcome(crawled, error, time.monotonic() - begun, memory)


class Crawls:
    """All crawls that the chosen tests need, side by side, and those of the recorded pages."""

    def __init__(self, folder: Path, cases: Iterable[Case], stack: ExitStack) -> None:
        pool = stack.enter_context(ThreadPoolExecutor(4))
        self._good = {
            name: pool.submit(crawl, name, folder / f"{name}.jsonl", replay=SAMPLES) for name in RECORDED
        }
        modes = cycle(ON_PAGES)
        self.spoilt = {name: dict(zip(self._own_pages(name), modes, strict=False)) for name in PAGED}
        self._found: dict[Case, Future[Outcome]] = {}
        for number, case in enumerate(sorted(cases, key=lambda case: case.door not in SLOW)):
            folders = [SAMPLES / case.source] if case.source in RECORDED else []
            pages = {url: mode for (_, url), mode in self.spoilt.get(case.source, {}).items()}
            site = HostileSite(*folders, pages=pages, robots=case.robots)
            base = f"{stack.enter_context(site).url}/{case.door}"
            timeout = 0.5 if {case.door, case.robots} & NEVER_DONE else 10.0
            self._found[case] = pool.submit(crawl_alone, case.source, base, folder / str(number), timeout)

    def _own_pages(self, source: str) -> list[tuple[str, str]]:
        """Key and page of the records, but the first, that have one page which no other record has."""
        records = self.good(source).records
        shared = Counter(page.url for record in records for page in record.pages)
        own = {r.key: [page.url for page in r.pages if shared[page.url] == 1] for r in records}
        return [(key, urls[0]) for key, urls in own.items() if len(urls) == 1][1:]

    def good(self, source: str) -> Crawl:
        """What the recorded pages of a source say."""
        return self._good[source].result()

    def __getitem__(self, case: Case) -> Outcome:
        return self._found[case].result()


@pytest.fixture(scope="module")
def crawls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawls]:
    specs = [getattr(item, "callspec", None) for item in request.session.items if item.path == Path(__file__)]
    cases = {spec.params["case"]: None for spec in specs if spec}
    with ExitStack() as stack:
        yield Crawls(tmp_path_factory.mktemp("hostile"), cases, stack)


def bounded_and_plain(outcome: Outcome) -> None:
    """What holds of every crawl, whatever it met."""
    assert outcome.seconds < MINUTES * 60 + SLACK
    assert outcome.memory < MEMORY
    said = [outcome.error, *(issue.detail for issue in outcome.crawled.issues)]
    assert not [line for line in said if NOT_PLAIN.search(line)]
    assert not [issue for issue in outcome.crawled.issues if issue.code == "spider_failed"]


def typed(raw: RawCall) -> Call:
    spider, day = source_class(raw.source), date.fromisoformat(DAY)
    return normalise(raw, level=spider.level, as_of=day, zone=spider.zone, prose=spider.prose)[0]


def nothing_made_up(found: Crawl, good: Crawl) -> None:
    """Every stated fact of a record is what the good page of that record states, or unknown."""
    originals = {raw.key: typed(raw) for raw in good.records}
    for raw in found.records:
        if raw.key in originals:
            call, original = typed(raw), originals[raw.key]
            assert {d.at for d in call.deadlines} <= {d.at for d in original.deadlines}, raw.key
            for name in STATED:
                assert getattr(call, name) in (None, getattr(original, name)), (raw.key, name)


@pytest.mark.parametrize("case", dict.fromkeys(HOSTILE), ids=str)
def test_a_hostile_site_ends_in_plain_words_and_gives_no_record(crawls: Crawls, case: Case) -> None:
    outcome = crawls[case]
    bounded_and_plain(outcome)
    assert outcome.told
    assert case.door not in AWAY or any("is not a host of this source" in line for line in outcome.told)
    assert not outcome.crawled.records and not outcome.crawled.organisations
    if case.door in ("too_many_requests", "closed_until_next_year"):
        assert not outcome.error and "HTTP" in outcome.told[0]  # given up, not waited for


def test_every_way_to_be_hostile_on_a_page_is_met_by_a_reader(crawls: Crawls) -> None:
    assert {mode for pages in crawls.spoilt.values() for mode in pages.values()} == {*ON_PAGES}


@pytest.mark.parametrize("case", BEHIND, ids=str)
def test_a_hostile_page_costs_its_own_record_only(crawls: Crawls, case: Case) -> None:
    outcome, good = crawls[case], crawls.good(case.source)
    bounded_and_plain(outcome)
    lost = {key for key, _ in crawls.spoilt[case.source]}
    assert {raw.key for raw in outcome.crawled.records} == {raw.key for raw in good.records} - lost
    assert len(outcome.crawled.issues) - len(good.issues) >= len(lost) > 0
    assert [issue for issue in outcome.crawled.issues if issue.severity != "info"]
    nothing_made_up(outcome.crawled, good)


@pytest.mark.parametrize("case", dict.fromkeys(CHANGED), ids=str)
def test_of_spoilt_pages_only_what_they_say_is_read(crawls: Crawls, case: Case) -> None:
    outcome, good = crawls[case], crawls.good(case.source)
    bounded_and_plain(outcome)
    fewer = len(outcome.crawled.records) < len(good.records)
    assert not fewer or [i for i in outcome.crawled.issues if i.severity != "info"] or outcome.error
    nothing_made_up(outcome.crawled, good)


@pytest.mark.parametrize("case", ROBOTS, ids=str)
def test_a_broken_robots_file_stops_no_crawl(crawls: Crawls, case: Case) -> None:
    bounded_and_plain(crawls[case])
    assert len(crawls[case].crawled.records) == len(crawls.good(case.source).records)


def fundmatch(home: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """The installed command: (exit status, standard output, standard error)."""
    program = Path(sys.executable).with_name("fundmatch")
    done = subprocess.run(
        [str(program), "--home", str(home), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_week_in_which_sources_turn_hostile_keeps_their_last_good_calls(
    tmp_path: Path, demo: tuple[Path, str]
) -> None:
    shutil.copytree(demo[0] / "vectors", tmp_path / "vectors")  # the same calls need no new ones
    profile = tmp_path / "one.yml"
    profile.write_text(
        "- {id: one, name: One, kind: sme, language: en, label: example, description: We make sensors.}"
    )
    hostile = {"eu_portal": "never_answers", "nwo": "not_found", "provinces": "a_login_page"}
    hostile |= {"rvo": "an_error_page_with_200", "snn": "hangs_up", "eureka": "cut_in_half"}
    hostile = {source: mode for source, mode in hostile.items() if source in RECORDED}
    with HostileSite(*(SAMPLES / name for name in RECORDED)) as site:
        pointed = {f"FUNDMATCH_BASE_URL__{name.upper()}": f"{site.url}/{name}" for name in SOURCES}
        pointed |= LIMITS | {"FUNDMATCH_DOWNLOAD_TIMEOUT": "1"}
        week = ("run", "--live", "--plain", "--as-of", DAY, "--sources", ",".join(RECORDED))
        fundmatch(tmp_path, "profiles", "import", str(profile))

        def told(what: str) -> list[dict[str, Any]]:
            return json.loads(fundmatch(tmp_path, what, "--json")[1])  # type: ignore[no-any-return]

        site.doors = dict.fromkeys(RECORDED, "recorded")
        status, _, said = fundmatch(tmp_path, *week, **pointed)
        assert status in (0, 1), said
        health = {each["source"]: each for each in told("sources")}
        assert {health[name]["state"] for name in RECORDED} == {"ok"}
        before = {call["call_id"]: call for call in told("calls")}

        site.rewind()
        site.doors |= hostile
        begun = time.monotonic()
        status, _, said = fundmatch(tmp_path, *week, **pointed)
        assert status == 1 and "Traceback" not in said
        assert time.monotonic() - begun < len(hostile) * MINUTES * 60 + 2 * SLACK
        health = {each["source"]: each for each in told("sources")}
        broken = {name for name, each in health.items() if each["state"] == "broken"}
        assert broken == {*hostile}
        assert all(health[name]["state"] == "ok" for name in RECORDED if name not in hostile)
        assert not [health[name]["detail"] for name in hostile if NOT_PLAIN.search(health[name]["detail"])]
        after = {call["call_id"]: call for call in told("calls")}
        assert after.keys() == before.keys()
        for call_id, call in before.items():
            if call["source"] in hostile:
                assert after[call_id] | {"documents": call["documents"]} == call


def test_a_source_without_end_is_stopped() -> None:
    async def answer(request: Request) -> TextResponse:
        return TextResponse(request.url, body=b"more")

    source = source_class("eu_portal")()
    source.crawler = SimpleNamespace(engine=SimpleNamespace(download_async=answer))  # type: ignore[assignment]

    async def crawl_on() -> None:
        for number in range(source.most_pages):
            await source.fetch(Request(f"https://ec.europa.eu/{number}"))
        with pytest.raises(Endless, match="stopped after 5000 pages"):
            await source.fetch(Request("https://ec.europa.eu/one-more"))

    asyncio.run(crawl_on())
