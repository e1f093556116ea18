"""EU projects funded earlier → the warehouse, out of CORDIS' bulk files or a folder of Parquet files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawlers.cordis import read_organisations, read_projects, read_topics
from crawlers.cordis_files import CordisError
from flows.home import Home
from pipeline.schema import Issue, Stage
from warehouse.build import check
from warehouse.history import MOST_FAULTY, Imported, holds_parquet, import_history
from warehouse.publish import publish

if TYPE_CHECKING:
    from flows.reporter import Reporter

STEP = 1000  # rows between two signs of life
EXAMPLES = 3
Row = dict[str, Any]


def add_history(home: Home, path: Path, reporter: Reporter) -> tuple[Imported, list[Issue]]:
    """Publish a warehouse with the history at `path` added: what it brought, and what is wrong with it.

    `path` is a CORDIS bulk file or folder, or a folder of Parquet files. Raises CordisError, WarehouseError
    or HomeError; the published warehouse is then as it was.
    """
    home.create()
    aside = home.path / f"warehouse.history.{os.getpid()}.building"
    with home.locked():
        try:
            _remove(aside)
            cordis = None if holds_parquet(path) else _Cordis(path, reporter)
            previous = home.warehouse if home.warehouse.exists() else None
            begun = _start(reporter, "history")
            imported = import_history(cordis.tables() if cordis else path, aside, previous)
            check(aside)
            publish(aside, home.warehouse)
            _finish(reporter, "history", begun, sum(imported.rows.values()))
        finally:
            _remove(aside)
    issues = [
        Issue(source="history", severity="warning", code=fault.code, detail=f"{fault.code}: {fault.detail}")
        for fault in imported.faults
    ]
    return imported, (cordis.issues() if cordis else []) + issues


class _Cordis:
    """The rows of bulk files as the warehouse takes them, counted; faulty ones are noted."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self.path, self.reporter = path, reporter
        self.faults, self.examples, self.latest = 0, list[str](), ""

    def tables(self) -> dict[str, Iterable[Row]]:
        """Table → its rows, cells as printed; each may be read once."""
        return {
            "topics": self._told("topics", self._topics()),
            "projects": self._told("projects", self._projects()),
            "members": self._told("participations", self._members()),
        }

    def issues(self) -> list[Issue]:
        """The rows that were not whole, as one fault."""
        if not self.faults:
            return []
        more = f"; … {self.faults} in all" if self.faults > EXAMPLES else ""
        detail = f"rows left out: {'; '.join(self.examples)}{more}"
        return [Issue(source="history", severity="warning", code="rows_not_whole", detail=detail)]

    def _report(self, fault: str) -> None:
        self.faults, self.latest = self.faults + 1, fault
        self.examples += [fault] if self.faults <= EXAMPLES else []

    def _told(self, name: str, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows, with progress. Raises CordisError where too many were faulty."""
        begun, before, count = _start(self.reporter, f"read {name}"), self.faults, 0
        for count, row in enumerate(rows, start=1):
            yield row
            if count % STEP == 0:
                self.reporter.advance(f"read {name}", count, None)
        faulty = self.faults - before
        if faulty > MOST_FAULTY * (count + faulty):
            raise CordisError(f"nothing is imported: {faulty} faulty rows beside {count}: {self.latest}")
        _finish(self.reporter, f"read {name}", begun, count)

    def _topics(self) -> Iterator[Row]:
        for topic in read_topics(self.path, self._report):
            yield {"topic": topic.topic, "title": topic.title}

    def _projects(self) -> Iterator[Row]:
        for project in read_projects(self.path, self._report):
            yield {
                "project": project.project_id,
                "topic": project.topic,
                "signed": project.signed_on,
                "action": project.action,
                "title": project.title,
                "objective": project.objective,
            }

    def _members(self) -> Iterator[Row]:
        for organisation, part in read_organisations(self.path, self._report):
            yield {
                "project": part.project_id,
                "org": organisation.org_id,
                "name": organisation.name,
                "country": organisation.country,
                "nuts": organisation.nuts,
                "city": organisation.city,
                "activity": organisation.activity_type,
                "sme": organisation.sme,
                "role": part.role,
                "eur": part.ec_contribution,
            }


def _start(reporter: Reporter, stage: str) -> float:
    reporter.start(stage)
    return time.perf_counter()


def _finish(reporter: Reporter, stage: str, begun: float, items: int) -> None:
    reporter.finish(Stage(name=stage, seconds=round(time.perf_counter() - begun, 3), items=items))


def _remove(aside: Path) -> None:
    """Take away a file that was being built, and what DuckDB puts beside it."""
    for leftover in aside.parent.glob(f"{aside.name}*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
