"""What a run leaves on its way, so that one that died is gone on with: the folder `<home>/runs/<run>/`.

`run.json` says what was asked and what became of it, `crawl/` holds each source's records, `match/` the
matches of each shard of profiles. A file is there whole or not at all: whatever is there can be used.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from flows.home import Home, write_whole

FRESH = timedelta(hours=20)  # a run that began longer ago is not gone on with: its pages are of another day
KEPT = timedelta(days=30)  # what a broken run left is there to be looked at
STEADY = timedelta(hours=1)  # by which a clock may have been set back

State = Literal["running", "published"]


class ClockError(Exception):
    """The clock cannot be right; the message says what to do, in one line."""


@dataclass(frozen=True)
class Work:
    """The folder of one run. `tries` counts the processes that worked on it, this one too."""

    folder: Path
    run_id: str
    started_at: datetime
    request: Mapping[str, Any]
    tries: int = 1
    state: State = "running"

    def crawled(self, source: str) -> Path:
        """Where the records of a source are, once they are all there."""
        return self.folder / "crawl" / f"{source}.jsonl"

    @property
    def matched(self) -> Path:
        """Where the matches of shards are."""
        return self.folder / "match"

    def archive(self, home: Home, source: str) -> Path:
        """A file for the pages of one more crawl of a source; names sort by when they were made."""
        folder = home.archive / source
        tried = len(list(folder.glob(f"{self.run_id}*")))
        return folder / (f"{self.run_id}_{tried + 1}.warc.gz" if tried else f"{self.run_id}.warc.gz")

    def store(self, state: State) -> None:
        """Note how far the run is; on disk when this returns."""
        told = {
            "run_id": self.run_id,
            "started_at": self.started_at.isoformat(),
            "request": self.request,
            "tries": self.tries,
            "state": state,
            "pid": os.getpid(),
        }
        write_whole(self.folder / "run.json", json.dumps(told, indent=1))

    def remove(self) -> None:
        """Take the folder away: the warehouse and the archive have all that was in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def begin(home: Home, request: Mapping[str, Any], now: datetime, last: datetime | None) -> Work:
    """The run of the same request that was not finished, or else a new one. The home must be locked.

    `last` is when the last published run began. Raises ClockError where that is ahead of `now`: a new run
    would not become the latest.
    """
    for work in sorted(left_over(home), key=lambda work: work.started_at, reverse=True):
        age = now - work.started_at
        if work.state == "running" and work.request == request and timedelta(0) <= age < FRESH:
            going_on = Work(work.folder, work.run_id, work.started_at, request, work.tries + 1)
            going_on.store("running")
            return going_on
        if age > KEPT:
            work.remove()
    if last is not None and last >= now:
        if last - now > STEADY:
            raise ClockError(
                f"the clock says {now:%Y-%m-%d %H:%M}, the last run began on {last:%Y-%m-%d %H:%M} (UTC): "
                "set the clock right, then run again"
            )
        now = last + timedelta(seconds=1)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    work = Work(home.runs / run_id, run_id, now, request)
    work.store("running")
    return work


def left_over(home: Home) -> Iterator[Work]:
    """The runs whose folders are there; one that says nothing readable of itself is passed over."""
    for file in sorted(home.runs.glob("*/run.json")):
        try:
            told = json.loads(file.read_text("utf-8"))
            yield Work(
                file.parent,
                str(told["run_id"]),
                datetime.fromisoformat(told["started_at"]).astimezone(UTC),
                dict(told["request"]),
                int(told["tries"]),
                told["state"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
