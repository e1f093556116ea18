"""One week: crawl → normalise → embed → match → warehouse → digests → publish.

The steps are methods of `WeeklyRun` and run without Prefect; the Prefect flow only puts them in order,
each source in a task of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from crawlers.archive import archived
from crawlers.crawl import Crawl, CrawlError, crawl
from crawlers.source import source_class
from crawlers.sources import source_names
from flows.corpus import Memory, corpus, encoder_for, memory_of, passage_keys, passages_of_calls
from flows.digest import write_previews
from flows.feedback import read as read_feedback
from flows.home import Home
from flows.reporter import Reporter, Silent
from pipeline.expect import faults, stale
from pipeline.identity import join, known_ids
from pipeline.normalise import normalise
from pipeline.profiles import passages_of
from pipeline.schema import Call, Feedback, Issue, Match, Organisation, RawCall, Run, SourceHealth, Stage

SOURCES_AT_ONCE = 4  # each is a child process of its own
State = Literal["ok", "partial", "kept", "broken"]


class WeekError(Exception):
    """The week cannot be made from what was read; the message says what to do, in one line."""


@dataclass(frozen=True)
class Request:
    """What a run is asked to do. `replay` None means live; `as_of` None means the archive's day or today."""

    home: Path
    replay: Path | None = None
    sources: tuple[str, ...] = ()
    as_of: date | None = None
    model: str | None = None


@dataclass
class WeeklyRun:
    """The state of one run, filled step by step. Raises HomeError, ModelError before the first step."""

    request: Request
    reporter: Reporter = field(default_factory=Silent)
    crawls: dict[str, Crawl] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # source → why its crawl gave nothing
    issues: list[Issue] = field(default_factory=list)
    health: list[SourceHealth] = field(default_factory=list)
    raw_calls: list[RawCall] = field(default_factory=list)
    organisations: list[Organisation] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)  # all that was ever said, the oldest first
    memory: Memory = field(default_factory=Memory)
    run: Run | None = None

    def __post_init__(self) -> None:
        self.home = Home(self.request.home)
        self.home.create()
        self.profiles = self.home.profiles()
        self.encoder = encoder_for(self.home, self.request.model)
        self.started_at = datetime.now(UTC)
        self.run_id = f"{self.started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.sources = self.request.sources or self._to_read()
        self._aside = self.home.path / f"warehouse.{self.run_id}.{os.getpid()}.building"

    def _to_read(self) -> tuple[str, ...]:
        """All sources; of a replay, those that the archive holds, and those that need no archive."""
        names = source_names()
        if self.request.replay is None:
            return tuple(names)
        held = archived(self.request.replay, names)
        return tuple(name for name in names if name in held or source_class(name).offline)

    @contextmanager
    def _stage(self, name: str) -> Iterator[Callable[[int], None]]:
        """Time a stage; call the yielded function with the number of items worked on."""
        counted: list[int] = []
        self.reporter.start(name)
        begun = time.perf_counter()
        yield counted.append
        seconds = round(time.perf_counter() - begun, 3)
        self.stages.append(Stage(name=name, seconds=seconds, items=sum(counted) if counted else None))
        self.reporter.finish(self.stages[-1])

    def crawl(self, source: str) -> None:
        """Crawl one source in a child process; a failure is noted, not raised."""
        name = f"crawl {source}"
        with self._stage(name) as count:
            try:
                self.crawls[source] = crawl(
                    source,
                    self._crawled / f"{source}.jsonl",
                    replay=self.request.replay,
                    archive=self.home.archive / source / f"{self.run_id}.warc.gz",
                    as_of=self.request.as_of.isoformat() if self.request.as_of else None,
                    progress=lambda done, total: self.reporter.advance(name, done, total),
                )
                count(len(self.crawls[source].records) + len(self.crawls[source].organisations))
            except CrawlError as error:
                self.failed[source] = str(error)

    @property
    def _crawled(self) -> Path:
        return self.home.crawls / self.run_id

    @cached_property
    def as_of(self) -> date:
        """The run's day: as asked, or a replayed archive's newest page, or today; known once all is crawled.

        Raises WeekError where a replay read nothing, since its day would be a guess.
        """
        if self.request.as_of or not self.request.replay:
            return self.request.as_of or self.started_at.date()
        read = [c for c in self.crawls.values() if not source_class(c.source).offline]
        pages = [p.fetched_at for c in read for r in c.records for p in r.pages]
        pages += [o.page.fetched_at for c in read for o in c.organisations]
        if not pages:
            told = "; ".join(self.failed.values()) or "no record is readable"
            raise WeekError(
                f"{self.request.replay}: nothing to take the day from ({told}); give it with --as-of"
            )
        return max(pages).date()

    def normalise(self) -> None:
        """Type all records, and join those of one call. A source that is broken, or not asked for, keeps its
        last good ones."""
        with self._stage("normalise") as count:
            singles: list[Call] = []
            earlier, ids = self._earlier()
            for source in source_names():
                before = earlier.get(source, Crawl(source, (), ()))
                if source in self.sources:
                    singles += self._take(source, before)
                elif before.records or before.organisations:
                    singles += self._keep(source, before, "kept", "not read in this run")
            self.calls, odd = join(singles, ids, self.as_of)
            self.issues += odd
            count(len(self.calls))

    def _take(self, source: str, before: Crawl) -> list[Call]:
        """Use what was crawled, unless it is not what a healthy source looks like."""
        crawled = self.crawls.get(source, Crawl(source, (), ()))
        self.issues += crawled.issues
        calls, odd = self._typed(source, crawled.records)
        expect = source_class(source).expect
        last = len(before.records) + len(before.organisations)
        why = [self.failed[source]] if source in self.failed else []
        why = why or faults(expect, crawled.organisations or calls, last or None)
        if why:
            detail = "; ".join(why)
            self.issues.append(
                Issue(source=source, severity="error", code="source_broken", detail=detail[:500])
            )
            return self._keep(source, before, "broken", detail)
        self.issues += odd
        unread = [issue for issue in crawled.issues if issue.severity == "error" and issue.key is None]
        missed = _not_reached(crawled, before, everything=bool(unread))
        if not unread and not missed.records:
            return self._use(crawled, calls, "ok", None)
        detail = "; ".join([*(issue.detail for issue in unread), *_age(missed)])
        whole = Crawl(
            source,
            tuple(sorted((*crawled.records, *missed.records), key=lambda record: record.key)),
            (),
            tuple(sorted((*crawled.organisations, *missed.organisations), key=lambda o: o.org_id)),
        )
        calls = [*calls, *self._typed(source, missed.records)[0]]
        return self._use(whole, calls, "partial" if unread else "ok", detail)

    def _keep(self, source: str, before: Crawl, state: State, detail: str) -> list[Call]:
        return self._use(before, self._typed(source, before.records)[0], state, detail)

    def _use(self, crawled: Crawl, calls: list[Call], state: State, detail: str | None) -> list[Call]:
        source = source_class(crawled.source)
        old = stale(source.expect, calls, self.as_of)
        self.issues += old
        self.raw_calls += crawled.records
        self.organisations += crawled.organisations
        pages = [p for r in crawled.records for p in r.pages] + [o.page for o in crawled.organisations]
        self.health.append(
            SourceHealth(
                source=crawled.source,
                level=source.level,
                state=state,
                records=len(crawled.records) + len(crawled.organisations),
                stale=len(old),
                last_good_at=max((page.fetched_at for page in pages), default=None),
                detail=detail,
            )
        )
        return calls

    def _typed(self, source: str, records: tuple[RawCall, ...]) -> tuple[list[Call], list[Issue]]:
        about = source_class(source)
        calls, issues = [], []
        for raw in records:
            try:
                call, odd = normalise(
                    raw, level=about.level, as_of=self.as_of, zone=about.zone, prose=about.prose
                )
            except ValueError as error:
                line = str(error).splitlines()[0]
                issues.append(
                    Issue(source=source, severity="warning", code="not_a_call", detail=line, key=raw.key)
                )
                continue
            calls.append(call)
            issues += odd
        return calls, issues

    def _earlier(self) -> tuple[dict[str, Crawl], dict[tuple[str, int | None], str]]:
        """What the published warehouse has: each source's latest good crawl, and the ids of known calls."""
        from warehouse.records import open_records

        if not self.home.warehouse.exists():
            return {}, {}
        with open_records(self.home.warehouse) as warehouse:
            crawls = {
                name: Crawl(
                    name, tuple(warehouse.raw_calls(name)), (), tuple(warehouse.organisations_of(name))
                )
                for name in source_names()
            }
            return crawls, known_ids(warehouse.call_records())

    def embed(self) -> None:
        """Vectors of all texts that are new, and the index of the calls that are not closed."""
        from embeddings.index import build_index

        with self._stage("embed") as count:
            passages = passages_of_calls([c for c in self.calls if c.status != "closed"], self.encoder)
            spoken = {call.call_id: call.language for call in self.calls}
            vectors = self.encoder.encode(
                [passage.embedded for passage in passages],
                kind="passage",
                languages=[spoken[passage.call_id] for passage in passages],
                progress=self._telling("embed"),
            )
            own = [passage for profile in self.profiles for passage in passages_of(profile)]
            self.encoder.encode(
                [passage.searched for passage in own],
                kind="query",
                languages=[passage.language for passage in own],
            )
            self.memory = self._memory()
            build_index(self.home.index, passage_keys(passages), vectors, self.encoder.model_id)
            count(self.encoder.encoded)

    def match(self) -> None:
        """Rank the open calls for every profile."""
        with self._stage("match") as count:
            found = corpus(self.calls, self.encoder, self.home, self.as_of, self.memory)
            for number, matches in enumerate(found.rank_all(self.profiles, self.as_of), start=1):
                self.matches += matches
                self.reporter.advance("match", number, len(self.profiles))
            count(len(self.matches))

    def _memory(self) -> Memory:
        """Earlier projects of the profiles that name their participant code, and what was said of calls."""
        from warehouse.records import open_records

        self.feedback, odd = read_feedback(self.home)
        self.issues += odd
        with open_records(self.home.warehouse) if self.home.warehouse.exists() else nullcontext() as before:
            return memory_of(
                before,
                self.profiles,
                self.feedback,
                self.calls,
                self.encoder,
                self.as_of,
                self._telling("embed"),
            )

    def _telling(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self.reporter.advance(stage, done, total)

    def warehouse(self) -> None:
        """Build the new warehouse aside and check it."""
        from warehouse.build import Week, build, check

        with self._stage("warehouse") as count:
            week = Week(
                run=self._record(),
                raw_calls=self.raw_calls,
                calls=self.calls,
                profiles=self.profiles,
                matches=self.matches,
                organisations=self.organisations,
                health=self.health,
                issues=self.issues,
                feedback=self.feedback,
            )
            build(week, self._aside, self.home.warehouse if self.home.warehouse.exists() else None)
            check(self._aside)
            count(len(self.calls))

    def digests(self) -> None:
        """Write a preview of each profile's mail, from results that passed the checks."""
        with self._stage("digests") as count:
            self.digest_folder = write_previews(
                self.home, self.profiles, self.matches, self.calls, self.health, self.as_of
            )
            count(len(self.profiles))

    def publish(self) -> None:
        """Put the new warehouse in place of the old one, with the run's times in it."""
        from warehouse.build import stamp
        from warehouse.publish import publish

        self.run = self._record()
        stamp(self._aside, self.run)
        publish(self._aside, self.home.warehouse)
        if not any(source.state in ("broken", "partial") for source in self.health):
            shutil.rmtree(self._crawled, ignore_errors=True)  # the warehouse and the archive have it all

    def steps(self) -> tuple[Callable[[], None], ...]:
        """What follows the crawls, in order."""
        return (self.normalise, self.embed, self.match, self.warehouse, self.digests, self.publish)

    def _record(self) -> Run:
        return Run(
            run_id=self.run_id,
            as_of=self.as_of,
            mode="replay" if self.request.replay else "live",
            started_at=self.started_at,
            model=self.encoder.model_id,
            stages=tuple(self.stages),
            peak_memory_mib=peak_memory_mib(),
        )


def _not_reached(crawled: Crawl, before: Crawl, *, everything: bool) -> Crawl:
    """The last good records that a crawl did not see since a page could not be read: `everything` it lacks,
    or those that a fault names. They are not gone, only unread."""
    found = {record.key for record in crawled.records}
    named = {issue.key for issue in crawled.issues if issue.severity != "info" and issue.key}
    seen = {organisation.org_id for organisation in crawled.organisations}
    return Crawl(
        crawled.source,
        tuple(r for r in before.records if r.key not in found and (everything or r.key in named)),
        (),
        tuple(o for o in before.organisations if o.org_id not in seen and everything),
    )


def _age(missed: Crawl) -> list[str]:
    """How many records are shown as last read, and since when; nothing where there are none."""
    pages = [r.pages[0] for r in missed.records] + [o.page for o in missed.organisations]
    if not pages:
        return []
    oldest = min(page.fetched_at for page in pages).date()
    return [f"{len(pages)} records are of earlier crawls, the oldest of {oldest}"]


def peak_memory_mib() -> float:
    """Peak resident size of this process plus that of its largest child so far, in MiB.

    On Linux `ru_maxrss` begins at the size of whoever started the process (exec keeps the larger of the
    two, getrusage(2)), so that the process's own peak is read from proc(5)'s `VmHWM` where there is one.
    """
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if high_water := re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE):
            own = int(high_water[1])
    return round((own + child) / unit, 1)


def run_plainly(run: WeeklyRun) -> None:
    """All steps in order, without Prefect."""
    with run.home.locked():
        with ThreadPoolExecutor(SOURCES_AT_ONCE) as crawls:
            list(crawls.map(run.crawl, run.sources))
        for step in run.steps():
            step()


def run_under_prefect(run: WeeklyRun) -> None:
    """The same steps as a Prefect flow, sources side by side, on the server that `engine.server` has."""
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    @flow(
        name="weekly",
        task_runner=ThreadPoolTaskRunner(max_workers=SOURCES_AT_ONCE),  # type: ignore[arg-type]
        validate_parameters=False,
        persist_result=False,
    )
    async def weekly() -> None:  # an asynchronous flow costs a second less
        crawls = [
            task(name=f"crawl {source}", persist_result=False)(run.crawl).submit(source)
            for source in run.sources
        ]
        for crawled in crawls:
            crawled.result()
        for step in run.steps():
            task(name=step.__name__, persist_result=False)(step)()

    with run.home.locked():
        asyncio.run(weekly())
