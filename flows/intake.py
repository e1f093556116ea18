"""What crawls brought home → the records in use: those of this crawl, or a source's last good ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from crawlers.crawl import Crawl
from crawlers.source import source_class
from pipeline.expect import faults, stale
from pipeline.normalise import normalise
from pipeline.schema import Call, Issue, Organisation, RawCall, SourceHealth

State = Literal["ok", "partial", "kept", "broken"]


@dataclass
class Intake:
    """The records in use, source by source. `failed` says why a source's crawl gave nothing."""

    as_of: date
    crawls: Mapping[str, Crawl]
    failed: Mapping[str, str]
    raw_calls: list[RawCall] = field(default_factory=list)
    organisations: list[Organisation] = field(default_factory=list)
    health: list[SourceHealth] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def take(self, source: str, before: Crawl) -> list[Call]:
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
            return self.keep(source, before, "broken", detail)
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

    def leave(self, source: str, before: Crawl, last: SourceHealth | None) -> list[Call]:
        """Use the last good records of a source that was not asked for; what was wrong with it still is."""
        if last is not None and last.state in ("broken", "partial"):
            return self.keep(source, before, last.state, last.detail or "")
        return self.keep(source, before, "kept", "not read in this run")

    def keep(self, source: str, before: Crawl, state: State, detail: str) -> list[Call]:
        """Use a source's last good records."""
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
            except Exception as error:  # a record that our readers stumble over must not stop the others
                told = f"cannot be read: {type(error).__name__} ({' '.join(str(error).split())[:300]})"
                issues.append(
                    Issue(source=source, severity="error", code="reader_failed", detail=told, key=raw.key)
                )
                continue
            calls.append(call)
            issues += odd
        return calls, issues


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
