"""Who is told how far long work is."""

from __future__ import annotations

from typing import Protocol

from pipeline.schema import Stage


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
