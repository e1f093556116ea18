"""Who is told how far long work is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from pipeline.schema import Issue, Run, SourceHealth, Stage


class Reporter(Protocol):
    """Who is told how far the run is."""

    def run(self, run_id: str, tries: int) -> None:
        """A run begins, or is gone on with for the so manieth time."""

    def start(self, stage: str) -> None:
        """A stage begins."""

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """So many of so many items are done."""

    def finish(self, stage: Stage) -> None:
        """A stage is over."""

    def published(self, run: Run, health: Sequence[SourceHealth], issues: Sequence[Issue]) -> None:
        """A run is published; how its sources did, and what was odd."""


class Silent:
    """A reporter that tells nobody."""

    def run(self, run_id: str, tries: int) -> None:
        """Nothing."""

    def start(self, stage: str) -> None:
        """Nothing."""

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """Nothing."""

    def finish(self, stage: Stage) -> None:
        """Nothing."""

    def published(self, run: Run, health: Sequence[SourceHealth], issues: Sequence[Issue]) -> None:
        """Nothing."""


def to_stderr() -> bool:
    """Whether log lines are wanted on standard error, in place of progress: FUNDMATCH_LOG=json."""
    return os.environ.get("FUNDMATCH_LOG", "").strip().lower() == "json"
