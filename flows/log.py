"""What a run did, as JSON lines with its run's id in `<home>/logs/<run>.jsonl`, and on standard error.

`FUNDMATCH_LOG=json` is for a container or a journal: the lines then also go to standard error. Only what is
named here is logged; settings, addresses and texts of profiles never are.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pythonjsonlogger.json import JsonFormatter

from flows.home import Home
from flows.reporter import Reporter, to_stderr
from pipeline.schema import Issue, Run, SourceHealth, Stage
from pipeline.wording import line

KEPT = 100  # files, the newest
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Journal:
    """A reporter that logs what it passes on. `extra` of each line has run_id and what the event is about."""

    def __init__(self, told: Reporter, logger: logging.Logger, run_id: str) -> None:
        self._told, self._logger, self._run_id = told, logger, run_id

    def log(self, event: str, level: int = logging.INFO, **about: object) -> None:
        """One line."""
        self._logger.log(level, event, extra={"run_id": self._run_id} | about)

    def run(self, run_id: str, tries: int) -> None:
        """A run begins, or is gone on with."""
        self.log("run started" if tries == 1 else "run continued", tries=tries, pid=os.getpid())
        self._told.run(run_id, tries)

    def start(self, stage: str) -> None:
        """A stage begins."""
        self.log("stage started", stage=stage)
        self._told.start(stage)

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """So many of so many items are done; not logged."""
        self._told.advance(stage, done, total)

    def finish(self, stage: Stage) -> None:
        """A stage is over."""
        self.log("stage finished", stage=stage.name, seconds=stage.seconds, items=stage.items)
        self._told.finish(stage)

    def published(self, run: Run, health: Sequence[SourceHealth], issues: Sequence[Issue]) -> None:
        """A run is published."""
        for source in health:
            level = logging.INFO if source.state in ("ok", "kept") else logging.ERROR
            detail = line(source.detail or "") or None
            self.log(
                "source",
                level,
                source=source.source,
                state=source.state,
                records=source.records,
                detail=detail,
            )
        for issue in issues:
            self.log(
                "issue",
                LEVELS[issue.severity],
                source=issue.source,
                code=issue.code,
                key=issue.key,
                detail=line(issue.detail),
            )
        self.log("run published", as_of=run.as_of.isoformat(), counters=run.counters)
        self._told.published(run, health, issues)


@contextmanager
def journal(home: Home, run_id: str, told: Reporter) -> Iterator[Journal]:
    """Log a run into its file, after what an earlier try logged there; and an error that ends it."""
    home.logs.mkdir(parents=True, exist_ok=True)
    for old in sorted(home.logs.glob("*.jsonl"))[:-KEPT]:
        old.unlink(missing_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(home.logs / f"{run_id}.jsonl", encoding="utf-8")]
    if to_stderr():
        handlers.append(logging.StreamHandler(sys.stderr))
    logger = logging.Logger("fundmatch", logging.INFO)
    for handler in handlers:
        handler.setFormatter(
            JsonFormatter(
                "%(asctime)s %(levelname)s %(message)s",
                rename_fields={"asctime": "at", "levelname": "level", "message": "event"},
                datefmt="%Y-%m-%dT%H:%M:%S%z",
                json_ensure_ascii=False,
            )
        )
        logger.addHandler(handler)
    kept = Journal(told, logger, run_id)
    try:
        yield kept
    except BaseException as error:
        kept.log("run stopped", logging.ERROR, error=type(error).__name__, detail=line(str(error))[:500])
        raise
    finally:
        for handler in handlers:
            handler.close()
