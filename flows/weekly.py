"""One week: crawl → normalise → embed → match → warehouse → digests → publish.

The steps are methods of `WeeklyRun` and run without Prefect; `orchestration` only puts them in order. Each
can be done again, and takes what an earlier try of the same run left behind.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crawlers.archive import archived
from crawlers.crawl import Crawl, CrawlDied, CrawlError, crawl, read_crawl
from crawlers.source import source_class
from crawlers.sources import source_names
from flows.corpus import Memory, corpus, encoder_for, memory_of, own_vectors, passage_keys, passages_of_calls
from flows.digest import write_previews
from flows.feedback import read as read_feedback
from flows.home import Home
from flows.intake import Intake
from flows.log import journal
from flows.memory import peak_memory_mib
from flows.reporter import Reporter, Silent
from flows.shards import Engine, Here, Matches, encode_elsewhere, match_in_shards
from flows.work import begin
from pipeline.feedback import hidden
from pipeline.identity import join, known_ids
from pipeline.schema import Call, Feedback, Issue, Match, Organisation, RawCall, Run, SourceHealth, Stage

if TYPE_CHECKING:
    from flows.mail.send import Sent

SHOWN_PROFILES, SHOWN_MATCHES = 60, 3
MOST_DEATHS = 2  # of a crawl's process, that are not its own doing
SOURCES_AT_ONCE = 4  # each is a child process of its own


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
    """The state of one run, filled step by step within `working`.

    Raises HomeError, ModelError before the first step.
    """

    request: Request
    reporter: Reporter = field(default_factory=Silent)
    engine: Engine = field(default_factory=Here)
    crawls: dict[str, Crawl] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # source → why its crawl gave nothing
    issues: list[Issue] = field(default_factory=list)
    health: list[SourceHealth] = field(default_factory=list)
    raw_calls: list[RawCall] = field(default_factory=list)
    organisations: list[Organisation] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    matches: Matches = field(default_factory=Matches)
    stages: list[Stage] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)  # all that was ever said, the oldest first
    memory: Memory = field(default_factory=Memory)
    best: dict[str, list[Match]] = field(default_factory=dict)  # of the first profiles, to be shown
    run: Run | None = None
    post: Literal["week", "day"] | None = None  # whose mails are sent at its end
    sent: Sent | None = None
    ended: bool = False

    def __post_init__(self) -> None:
        self.told = self.reporter  # by the journal of the run, once it has one
        self.home = Home(self.request.home)
        self.home.create()
        self.profiles = self.home.profiles()
        self.encoder = encoder_for(self.home, self.request.model)
        self.sources = self.request.sources or self._to_read()

    def _to_read(self) -> tuple[str, ...]:
        """All sources; of a replay, those that the archive holds, and those that need no archive."""
        names = source_names()
        if self.request.replay is None:
            return tuple(names)
        held = archived(self.request.replay, names)
        return tuple(name for name in names if name in held or source_class(name).offline)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Have the home to oneself, and go on with the run of this request that died, or begin a new one.

        Raises HomeError where another run is at work, ClockError.
        """
        asked = {
            "replay": str(self.request.replay.resolve()) if self.request.replay else None,
            "sources": list(self.sources),
            "as_of": self.request.as_of.isoformat() if self.request.as_of else None,
            "model": self.encoder.model_id,
        }
        from warehouse.publish import bring_up

        with self.home.locked():
            if self.home.warehouse.exists():
                bring_up(self.home.warehouse)
            self.work = begin(self.home, asked, datetime.now(UTC), self._last_began())
            if not isinstance(self.engine, Here):
                encode_elsewhere(self.encoder, self.engine)
            with journal(self.home, self.work.run_id, self.told) as self.reporter:
                self.reporter.run(self.work.run_id, self.work.tries)
                yield
                self._end()

    def _last_began(self) -> datetime | None:
        with self._published() as warehouse:
            last = warehouse.latest_run() if warehouse else None
            return last.started_at if last else None

    def _published(self) -> Any:
        from warehouse.records import open_records

        return open_records(self.home.warehouse) if self.home.warehouse.exists() else nullcontext()

    @contextmanager
    def _stage(self, name: str) -> Iterator[Callable[[int], None]]:
        """Time a stage; call the yielded function with the number of items worked on."""
        counted: list[int] = []
        self.reporter.start(name)
        begun = time.perf_counter()
        try:
            yield counted.append
        finally:
            seconds = round(time.perf_counter() - begun, 3)
            stage = Stage(name=name, seconds=seconds, items=sum(counted) if counted else None)
            self.stages = [*(earlier for earlier in self.stages if earlier.name != name), stage]
            self.reporter.finish(stage)

    def crawl(self, source: str) -> None:
        """Crawl one source in a child process, unless an earlier try of this run did.

        Raises CrawlError where it brought nothing home, to be tried again; what it lacks is noted anyway.
        """
        name = f"crawl {source}"
        with self._stage(name) as count:
            try:
                done = self._crawled(source) or self._crawl(source, name)
            except CrawlError as error:
                self.failed[source] = str(error)
                raise
            self.failed.pop(source, None)
            self.crawls[source] = done
            count(len(done.records) + len(done.organisations))
        if not self.request.replay and not (done.records or done.organisations) and _errors(done):
            raise CrawlError(f"{source}: nothing could be read")

    def _crawled(self, source: str) -> Crawl | None:
        """What an earlier try brought home, where it was whole and nothing had failed."""
        with suppress(CrawlError, OSError):
            found = read_crawl(source, self.work.crawled(source))
            return None if _errors(found) else found
        return None

    def _crawl(self, source: str, name: str, deaths: int = 0) -> Crawl:
        try:
            return crawl(
                source,
                self.work.crawled(source),
                replay=self.request.replay,
                archive=self.work.archive(self.home, source),
                as_of=self.request.as_of.isoformat() if self.request.as_of else None,
                progress=lambda done, total: self.reporter.advance(name, done, total),
            )
        except CrawlDied:
            if deaths == MOST_DEATHS:
                raise
            return self._crawl(source, name, deaths + 1)

    @cached_property
    def as_of(self) -> date:
        """The run's day: as asked, or a replayed archive's newest page, or today; known once all is crawled.

        Raises WeekError where a replay read nothing, since its day would be a guess.
        """
        if self.request.as_of or not self.request.replay:
            return self.request.as_of or self.work.started_at.date()
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
        last good ones. Raises WeekError where the sites say that the clock is wrong."""
        with self._stage("normalise") as count:
            self._check_clock()
            intake = Intake(self.as_of, self.crawls, self.failed)
            singles: list[Call] = []
            earlier, ids, health = self._earlier()
            for source in source_names():
                before = earlier.get(source, Crawl(source, (), ()))
                if source in self.sources:
                    singles += intake.take(source, before)
                elif before.records or before.organisations:
                    singles += intake.leave(source, before, health.get(source))
            self.calls, odd = join(singles, ids, self.as_of)
            self.issues += [*intake.issues, *odd]
            self.health, self.raw_calls = intake.health, intake.raw_calls
            self.organisations = intake.organisations
            count(len(self.calls))

    def _check_clock(self) -> None:
        """A day that is wrong makes every deadline wrong; where most sites say so, it is ours."""
        asked = [c for c in self.crawls.values() if not source_class(c.source).offline]
        odd = [issue for c in asked for issue in c.issues if issue.code == "clock_off"]
        if odd and 2 * len(odd) > len(asked):
            self.work.remove()  # the next run has to ask the sites again
            raise WeekError(f"{odd[0].detail}; set the clock right, then run again: nothing was published")

    def _earlier(
        self,
    ) -> tuple[dict[str, Crawl], dict[tuple[str, int | None], str], dict[str, SourceHealth]]:
        """What the published warehouse has: each source's latest good crawl, the ids of known calls, and how
        each source did."""
        with self._published() as warehouse:
            if warehouse is None:
                return {}, {}, {}
            crawls = {
                name: Crawl(
                    name, tuple(warehouse.raw_calls(name)), (), tuple(warehouse.organisations_of(name))
                )
                for name in source_names()
            }
            health = {source.source: source for source in warehouse.health()}
            return crawls, known_ids(warehouse.call_records()), health

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
            own_vectors(self.profiles, self.encoder, self._telling("embed"))
            self.memory = self._memory()
            build_index(self.home.index, passage_keys(passages), vectors, self.encoder.model_id)
            count(self.encoder.encoded)

    def match(self) -> None:
        """Rank the open calls for every profile."""
        with self._stage("match") as count:
            found = corpus(self.calls, self.encoder, self.home, self.as_of, self.memory)
            self.matches = match_in_shards(
                found, self.profiles, self.as_of, self.work.matched, self.engine, self._telling("match")
            )
            count(len(self.matches))

    def _memory(self) -> Memory:
        """Earlier projects of the profiles that name their participant code, and what was said of calls."""
        self.feedback, odd = read_feedback(self.home)
        self.issues += odd
        with self._published() as before:
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
        """Build the new warehouse aside and check it, unless an earlier try of this run published it."""
        from warehouse.build import Week, build, check

        with self._stage("warehouse") as count:
            count(len(self.calls))
            if self.published:
                return
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
            self._aside.unlink(missing_ok=True)
            build(week, self._aside, self.home.warehouse if self.home.warehouse.exists() else None)
            check(self._aside)

    @property
    def _aside(self) -> Path:
        return self.home.path / f"warehouse.{self.work.run_id}.{os.getpid()}.building"

    @cached_property
    def published(self) -> bool:
        """Whether an earlier try of this run got as far as publishing it."""
        return self.work.run_id in self.published_ids()

    def published_ids(self) -> frozenset[str]:
        """The runs that the published warehouse tells of."""
        with self._published() as warehouse:
            return warehouse.run_ids() if warehouse else frozenset()

    def digests(self) -> None:
        """Write a preview of each profile's mail, from results that passed the checks."""
        with self._stage("digests") as count:
            self.digest_folder = write_previews(
                self.home, self.profiles, self.matches.of, self.calls, self.health, self.as_of
            )
            count(len(self.profiles))

    def publish(self) -> None:
        """Put the new warehouse in place of the old one, with the run's times in it."""
        from warehouse.build import stamp
        from warehouse.publish import complete, publish

        self.run = self._record()
        for profile in self.profiles[:SHOWN_PROFILES]:
            self.best[profile.id] = [m for m in self.matches.of(profile.id) if not hidden(m)][:SHOWN_MATCHES]
        if self.published:
            complete(self.home.warehouse, self.work.run_id)
        else:
            stamp(self._aside, self.run)
            publish(self._aside, self.home.warehouse)
        self.reporter.published(self.run, self.health, self.issues)

    def mails(self) -> None:
        """Send the mails that were asked for; those that went out before this process are not sent again."""
        from flows.mail.send import send_week

        self.sent = send_week(self.home, self.as_of, self.reporter, daily=self.post == "day")

    def _end(self) -> None:
        """Let nobody go on with the run; what a broken source brought home stays to be looked at."""
        self.work.store("published")
        if not any(source.state in ("broken", "partial") for source in self.health):
            self.work.remove()
        self.ended = True

    def steps(self) -> tuple[Callable[[], None], ...]:
        """What follows the crawls, in order."""
        steps = (self.normalise, self.embed, self.match, self.warehouse, self.digests, self.publish)
        return steps if self.post is None else (*steps, self.mails)

    def _record(self) -> Run:
        return Run(
            run_id=self.work.run_id,
            as_of=self.as_of,
            mode="replay" if self.request.replay else "live",
            started_at=self.work.started_at,
            model=self.encoder.model_id,
            stages=tuple(self.stages),
            peak_memory_mib=peak_memory_mib(),
            counters=self._counters(),
        )

    def _counters(self) -> dict[str, int]:
        """What the run came to, in numbers; core.runs tells what each is."""
        status = Counter(call.status for call in self.calls)
        severity = Counter(issue.severity for issue in self.issues)
        return {
            "sources_read": len(self.crawls),
            "sources_broken": sum(source.state == "broken" for source in self.health),
            "sources_partial": sum(source.state == "partial" for source in self.health),
            "records": len(self.raw_calls),
            "pages": sum(len(record.pages) for record in self.raw_calls),
            "calls": len(self.calls),
            "calls_open": status["open"],
            "calls_unknown": status["unknown"],
            "profiles": len(self.profiles),
            "matches": len(self.matches),
            "texts_encoded": self.encoder.encoded,
            "errors": severity["error"],
            "warnings": severity["warning"],
            "tries": self.work.tries,
        }


def _errors(found: Crawl) -> bool:
    return any(issue.severity == "error" for issue in found.issues)


def run_plainly(run: WeeklyRun) -> None:
    """All steps in order, without Prefect."""

    def crawled(source: str) -> None:
        with suppress(CrawlError):  # it is noted, and the week goes on with what it had
            run.crawl(source)

    with run.working():
        with ThreadPoolExecutor(SOURCES_AT_ONCE) as crawls:
            list(crawls.map(crawled, run.sources))
        for step in run.steps():
            step()
