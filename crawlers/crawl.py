"""One crawl of one source as its parent sees it: a child process with a time limit, and a result file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from crawlers.settings import number
from pipeline.schema import Issue, Organisation, RawCall

MEMORY = 512 * 1024 * 1024  # bytes of data that a crawl may hold; a healthy one needs a quarter


class CrawlError(Exception):
    """A crawl gave no result at all; the message says why in one line."""


@dataclass(frozen=True)
class Crawl:
    """What one crawl of one source brought home. Records are sorted by key, organisations by id."""

    source: str
    records: tuple[RawCall, ...]
    issues: tuple[Issue, ...]
    organisations: tuple[Organisation, ...] = ()


def crawl(
    source: str,
    out: Path,
    *,
    replay: Path | None = None,
    archive: Path | None = None,
    as_of: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Crawl:
    """Run one source in a child process: from `replay`, or live into the WARC file `archive`.

    The result is kept as JSON lines in `out`, written whole or not at all. `progress` gets records
    and the total that the source claims. Raises CrawlError when the child fails, or is not done within
    `FUNDMATCH_CRAWL_MINUTES`: a site that trickles must not hold up the week.
    """
    minutes = number("FUNDMATCH_CRAWL_MINUTES", 60)
    command = [sys.executable, "-m", "crawlers", source, "--out", str(out)]
    command += ["--replay", str(replay)] if replay else ["--archive", str(archive)]
    command += ["--as-of", as_of] if as_of else []
    out.parent.mkdir(parents=True, exist_ok=True)
    # a pipe that nobody empties would hold up a child that complains at length
    with (
        tempfile.TemporaryFile("w+", errors="replace") as complaints,
        subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=dict(os.environ)
        ) as child,
    ):
        assert child.stdout is not None
        if sys.platform == "linux":
            resource.prlimit(child.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        limit = threading.Timer(minutes * 60, child.kill)
        limit.start()
        try:
            for line in child.stdout:
                if progress and line.startswith("progress "):
                    records, total = line.split()[1:3]
                    progress(int(records), int(total) if total != "-" else None)
            child.wait()
            complaints.seek(0)
            complaint = complaints.read().strip().splitlines()
        except BaseException:
            child.kill()
            raise
        finally:
            out_of_time = not limit.is_alive()
            limit.cancel()
    if out_of_time:
        raise CrawlError(f"{source}: stopped, since it was not done after {minutes:g} minutes")
    if child.returncode != 0:
        said = complaint[-1] if complaint else f"the child process ended with status {child.returncode}"
        raise CrawlError(f"{source}: {said}")
    return read_crawl(source, out)


def write_crawl(crawled: Crawl, out: Path) -> None:
    """Write a crawl as JSON lines, aside and moved in place."""
    aside = out.with_name(out.name + ".writing")
    with aside.open("w", encoding="utf-8") as stream:
        kinds = {
            "record": crawled.records,
            "organisation": crawled.organisations,
            "issue": crawled.issues,
        }
        for kind, items in kinds.items():
            for item in items:
                stream.write(f'{{"{kind}": {item.model_dump_json()}}}\n')
        stream.write(json.dumps({"end": {"records": len(crawled.records)}}) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(out)


def read_crawl(source: str, out: Path) -> Crawl:
    """Read what `write_crawl` wrote. Raises CrawlError when it is not whole."""
    records: list[RawCall] = []
    issues: list[Issue] = []
    organisations: list[Organisation] = []
    ended = False
    for line in _lines(out):
        try:
            kind, value = next(iter(json.loads(line).items()))
            if kind == "record":
                records.append(RawCall.model_validate(value))
            elif kind == "organisation":
                organisations.append(Organisation.model_validate(value))
            elif kind == "issue":
                issues.append(Issue.model_validate(value))
            ended = kind == "end"
        except (ValueError, ValidationError) as error:
            raise CrawlError(f"{out}: not a crawl result: {str(error).splitlines()[0]}") from error
    if not ended:
        raise CrawlError(f"{out}: the crawl result is cut off")
    return Crawl(source, tuple(records), tuple(issues), tuple(organisations))


def _lines(out: Path) -> Iterator[str]:
    with out.open(encoding="utf-8") as stream:
        yield from stream
