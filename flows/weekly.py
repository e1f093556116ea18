"""One week: crawl → normalise → embed → match → digests → warehouse, as plain steps and as a Prefect flow.

The steps are methods of `WeeklyRun` and run without Prefect; the flow only puts them in order, each
source in a task of its own.
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from crawlers.source import Crawl, CrawlError, crawl, source_class, source_names
from flows.home import Home, HomeError, write_whole
from pipeline.digest import compose
from pipeline.expect import faults
from pipeline.match import Passage, Similarity, call_passages, lexical_text, rank
from pipeline.normalise import normalise
from pipeline.profiles import passages_of
from pipeline.schema import Call, Issue, Match, Profile, RawCall, Run, SourceHealth, Stage

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from embeddings.lexical import LexicalIndex


class Reporter(Protocol):
    """Who is told how far the run is."""

    def start(self, stage: str) -> None:
        """A stage begins."""

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """So many of so many items are done."""

    def finish(self, stage: Stage) -> None:
        """A stage is over."""


class Silent:
    """A reporter that tells nobody."""

    def start(self, stage: str) -> None:
        """Nothing."""

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """Nothing."""

    def finish(self, stage: Stage) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Request:
    """What a run is asked to do. `replay` None means live; `as_of` None means the archive's day or today."""

    home: Path
    replay: Path | None = None
    sources: tuple[str, ...] = ()
    as_of: date | None = None
    model: str | None = None


@dataclass
class Corpus:
    """The open calls as the matcher sees them, with what is needed to compare a profile to them."""

    calls: list[Call]
    passages: list[Passage]
    lexical: LexicalIndex
    encoder: Encoder
    index: Path

    def rank(self, profile: Profile, as_of: date) -> list[Match]:
        """The profile's best open calls."""
        from embeddings.index import open_index

        own = passages_of(profile)
        index = open_index(self.index, self.encoder.model_id)
        scores = index.all_scores(self.encoder.encode(own, kind="query"))
        column = {key: i for i, key in enumerate(index.keys)}
        try:
            mine = [column[key] for key in passage_keys(self.passages)]
        except KeyError as error:
            raise HomeError(f"the index does not know {error}; run `fundmatch run` again") from error
        words = self.lexical.scores("\n".join(own), profile.language)
        similarity = Similarity(dense=scores[:, mine], lexical=words)
        return rank(profile, own, self.calls, self.passages, similarity, self.lexical.shared_terms, as_of)


def passage_keys(passages: list[Passage]) -> list[str]:
    """A stable key a passage: its call and its position there."""
    count: dict[str, int] = {}
    keys = []
    for passage in passages:
        count[passage.call_id] = count.get(passage.call_id, 0) + 1
        keys.append(f"{passage.call_id}#{count[passage.call_id]}")
    return keys


def corpus(calls: list[Call], encoder: Encoder, index: Path) -> Corpus:
    """Make the corpus of the calls that are open; their passages must be in the index."""
    from embeddings.lexical import LexicalIndex

    open_calls = [call for call in calls if call.status == "open"]
    return Corpus(
        calls=open_calls,
        passages=_passages(open_calls, encoder),
        lexical=LexicalIndex([lexical_text(c) for c in open_calls], [c.language for c in open_calls]),
        encoder=encoder,
        index=index,
    )


def _passages(calls: list[Call], encoder: Encoder) -> list[Passage]:
    def split(text: str, prefix: str) -> list[str]:
        return encoder.split(text, prefix=prefix)

    return [passage for call in calls for passage in call_passages(call, split)]


def encoder_for(home: Home, model: str | None) -> Encoder:
    """The encoder of a model setting, or of `FUNDMATCH_MODEL`, or of the packaged default."""
    from embeddings.encode import DEFAULT_MODEL, Encoder

    return Encoder(model or os.environ.get("FUNDMATCH_MODEL") or DEFAULT_MODEL, cache_dir=home.vectors)


@dataclass
class WeeklyRun:
    """The state of one run, filled step by step."""

    request: Request
    reporter: Reporter = field(default_factory=Silent)
    crawls: dict[str, Crawl] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    health: list[SourceHealth] = field(default_factory=list)
    raw_calls: list[RawCall] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    run: Run | None = None

    def __post_init__(self) -> None:
        self.home = Home(self.request.home)
        self.home.create()
        self.profiles = self.home.profiles()
        self.encoder = encoder_for(self.home, self.request.model)
        self.started_at = datetime.now(UTC)
        self.run_id = f"{self.started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.sources = self.request.sources or tuple(source_names())

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
            out = self.home.crawls / self.run_id / f"{source}.jsonl"
            try:
                found = crawl(
                    source,
                    out,
                    replay=self.request.replay,
                    archive=self.home.archive / source / f"{self.run_id}.warc.gz",
                    as_of=self.request.as_of.isoformat() if self.request.as_of else None,
                    progress=lambda done, total: self.reporter.advance(name, done, total),
                )
            except CrawlError as error:
                self.broken[source] = str(error)
                return
            self.crawls[source] = found
            count(len(found.records))

    @property
    def as_of(self) -> date:
        """The run's day: as asked, or a replayed archive's newest page, or today."""
        if self.request.as_of:
            return self.request.as_of
        pages = [p.fetched_at for c in self.crawls.values() for r in c.records for p in r.pages]
        return max(pages).date() if self.request.replay and pages else self.started_at.date()

    def normalise(self) -> None:
        """Type all records; where a source is broken, keep it aside and use its last good ones."""
        with self._stage("normalise") as count:
            for source in self.sources:
                last = self._last_good(source)
                calls, issues = (
                    self._typed(source, self.crawls[source].records) if source in self.crawls else ([], [])
                )
                found = [self.broken[source]] if source in self.broken else []
                found = found or faults(source_class(source).expect, calls, len(last) or None)
                records = self.crawls[source].records if source in self.crawls else ()
                if found:
                    self.issues.append(
                        Issue(source=source, severity="error", code="source_broken", detail="; ".join(found))
                    )
                    records = tuple(last)
                    calls, _ = self._typed(source, records)
                else:
                    self.issues += issues
                if source in self.crawls:
                    self.issues += self.crawls[source].issues
                self.raw_calls += records
                self.calls += calls
                self.health.append(
                    SourceHealth(
                        source=source,
                        level=source_class(source).level,
                        state="broken" if found else "ok",
                        records=len(records),
                        last_good_at=max((p.fetched_at for r in records for p in r.pages), default=None),
                        detail="; ".join(found) or None,
                    )
                )
            self.calls.sort(key=lambda call: call.call_id)
            count(len(self.calls))

    def _typed(self, source: str, records: tuple[RawCall, ...]) -> tuple[list[Call], list[Issue]]:
        calls, issues = [], []
        for raw in records:
            try:
                call, odd = normalise(raw, level=source_class(source).level, as_of=self.as_of)
            except ValueError as error:
                line = str(error).splitlines()[0]
                issues.append(
                    Issue(source=source, severity="warning", code="not_a_call", detail=line, key=raw.key)
                )
                continue
            calls.append(call)
            issues += odd
        return calls, issues

    def _last_good(self, source: str) -> list[RawCall]:
        from warehouse.read import open_warehouse

        if not self.home.warehouse.exists():
            return []
        with open_warehouse(self.home.warehouse) as warehouse:
            return warehouse.raw_calls(source)

    def embed(self) -> None:
        """Vectors of all texts that are new, and the index of the calls that are not closed."""
        from embeddings.index import build_index

        with self._stage("embed") as count:
            passages = _passages([call for call in self.calls if call.status != "closed"], self.encoder)
            vectors = self.encoder.encode(
                [passage.embedded for passage in passages],
                kind="passage",
                progress=lambda done, total: self.reporter.advance("embed", done, total),
            )
            self.encoder.encode([text for p in self.profiles for text in passages_of(p)], kind="query")
            build_index(self.home.index, passage_keys(passages), vectors, self.encoder.model_id)
            count(self.encoder.encoded)

    def match(self) -> None:
        """Rank the open calls for every profile."""
        with self._stage("match") as count:
            found = corpus(self.calls, self.encoder, self.home.index)
            for number, profile in enumerate(self.profiles, start=1):
                self.matches += found.rank(profile, self.as_of)
                self.reporter.advance("match", number, len(self.profiles))
            count(len(self.matches))

    def digests(self) -> None:
        """Write a preview of each profile's mail, HTML and text."""
        with self._stage("digests") as count:
            self.digest_folder = write_digests(
                self.home, self.profiles, self.matches, self.calls, self.health, self.as_of
            )
            count(len(self.profiles))

    def publish(self) -> None:
        """Build the new warehouse aside, check it, and put it in place of the old one."""
        from warehouse.build import Week, build, finish
        from warehouse.publish import publish

        aside = self.home.path / f"warehouse.{self.run_id}.{os.getpid()}.building"
        with self._stage("warehouse") as count:
            week = Week(
                run=self._record(),
                raw_calls=self.raw_calls,
                calls=self.calls,
                profiles=self.profiles,
                matches=self.matches,
                health=self.health,
                issues=self.issues,
            )
            build(week, aside, self.home.warehouse if self.home.warehouse.exists() else None)
            count(len(self.calls))
        self.run = self._record()
        finish(aside, self.run)
        publish(aside, self.home.warehouse)

    def steps(self) -> tuple[Callable[[], None], ...]:
        """What follows the crawls, in order."""
        return (self.normalise, self.embed, self.match, self.digests, self.publish)

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


def week_of(as_of: date) -> str:
    """The ISO week of a day, as 2026-W25."""
    year, number, _ = as_of.isocalendar()
    return f"{year}-W{number:02d}"


def write_digests(
    home: Home,
    profiles: list[Profile],
    matches: list[Match],
    calls: list[Call],
    health: list[SourceHealth],
    as_of: date,
) -> Path:
    """One HTML and one text file a profile in `<home>/digests/<week>/`; returns that folder."""
    week = week_of(as_of)
    by_id = {call.call_id: call for call in calls}
    for profile in profiles:
        mine = [m for m in matches if m.profile_id == profile.id and m.eligibility.verdict != "fail"]
        notices = [_notice(h, profile.language) for h in health if h.state == "broken"]
        mail = compose(profile, mine, by_id, as_of=as_of, week=week, notices=notices)
        write_whole(home.digests / week / f"{profile.id}.html", mail.html)
        write_whole(home.digests / week / f"{profile.id}.txt", f"{mail.subject}\n\n{mail.text}")
    return home.digests / week


def _notice(health: SourceHealth, language: str) -> str:
    seen = health.last_good_at.date().isoformat() if health.last_good_at else None
    if language == "nl":
        return f"De bron {health.source} was niet te lezen; " + (
            f"u ziet de stand van {seen}." if seen else "calls daarvan ontbreken."
        )
    return f"The source {health.source} could not be read; " + (
        f"you see what it said on {seen}." if seen else "its calls are missing."
    )


def peak_memory_mib() -> float:
    """Peak resident size of this process plus that of its largest child so far, in MiB."""
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round((own + child) / unit, 1)


def run_plainly(run: WeeklyRun) -> None:
    """Run all steps in order, without Prefect."""
    for source in run.sources:
        run.crawl(source)
    for step in run.steps():
        step()


def run_under_prefect(run: WeeklyRun) -> None:
    """Run all steps as a Prefect flow on an ephemeral server in the home folder."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(run.home.prefect.resolve()),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }.items():
        os.environ.setdefault(name, value)
    from prefect import flow, task

    def step(method: Callable[..., None], name: str) -> Callable[..., None]:
        return task(method, name=name, persist_result=False)

    @flow(name="weekly", validate_parameters=False, persist_result=False)
    def weekly() -> None:
        for source in run.sources:
            step(run.crawl, f"crawl {source}")(source)
        for method in run.steps():
            step(method, method.__name__)()

    weekly()
