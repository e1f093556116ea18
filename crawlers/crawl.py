"""One crawl of one source as its parent sees it: a child process with a time limit, and a result file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from crawlers.settings import number
from pipeline.schema import Issue, Organisation, RawCall

MEMORY = 512 * 1024 * 1024  # bytes of data that a crawl may hold; a healthy one needs a quarter


class CrawlError(Exception):
    """A crawl gave no result at all; the message says why in one line."""


class CrawlDied(CrawlError):
    """Something else than the crawl itself ended its process, as the system does where memory is short."""


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
    command = [sys.executable, "-m", "crawlers", source, "--out", str(out), "--until-stdin-ends"]
    command += ["--replay", str(replay)] if replay else ["--archive", str(archive)]
    command += ["--as-of", as_of] if as_of else []
    out.parent.mkdir(parents=True, exist_ok=True)
    # a pipe that nobody empties would hold up a child that complains at length
    with (
        tempfile.TemporaryFile("w+", errors="replace") as complaints,
        subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,  # it ends with us, however we end
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=dict(os.environ),
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
    if child.returncode < 0:
        raise CrawlDied(f"{source}: its process was ended by signal {-child.returncode}")
    if child.returncode != 0:
        said = complaint[-1] if complaint else f"the child process ended with status {child.returncode}"
        raise CrawlError(f"{source}: {said}")
    return read_crawl(source, out)


class ResultWriter:
    """Takes a crawl's items as they come, once a key, and writes them in order as JSON lines at its end.

    Until then they wait on disk, so that memory does not grow with the pages. The result is moved in place
    when it is whole.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._waiting = tempfile.TemporaryFile(dir=out.parent)  # noqa: SIM115  (open until `finish`)
        self._lines: dict[str, dict[str, tuple[int, int]]] = {"record": {}, "organisation": {}}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, item: RawCall | Organisation) -> bool:
        """Keep an item; False where its key is there already, and the first one stays."""
        kind, key = ("record", item.key) if isinstance(item, RawCall) else ("organisation", item.org_id)
        if key in self._lines[kind]:
            return False
        line = f'{{"{kind}": {item.model_dump_json()}}}\n'.encode()
        self._lines[kind][key] = (self._waiting.tell(), len(line))
        self._waiting.write(line)
        return True

    def finish(self, issues: Iterable[Issue]) -> None:
        """Write all items by key, then the issues as given."""
        aside = self._out.with_name(self._out.name + ".writing")
        with self._waiting, aside.open("wb") as stream:
            for lines in self._lines.values():
                for _, (start, length) in sorted(lines.items()):
                    self._waiting.seek(start)
                    stream.write(self._waiting.read(length))
            for issue in issues:
                stream.write(f'{{"issue": {issue.model_dump_json()}}}\n'.encode())
            stream.write(json.dumps({"end": {"records": len(self)}}).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self._out)


def read_crawl(source: str, out: Path) -> Crawl:
    """Read what `ResultWriter` wrote. Raises CrawlError when it is not whole."""
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
