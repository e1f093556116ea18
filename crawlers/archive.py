"""Every exchange into WARC (ISO 28500), and every replay out of it: Scrapy's cache storage on warcio.

A crawl writes one `<run>.warc.gz` per source, named `.open` until it is complete. A replay reads such
a file, or a folder of hand-written exchanges (one JSON file each); both answer the same requests.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes
from scrapy.settings import BaseSettings
from scrapy.utils.request import fingerprint
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from crawlers.settings import RETRY_CODES

LARGEST_RECORD = 64 * 1024 * 1024  # bytes, inflated; a crawl accepts no larger response either
_GZIP_MEMBER = b"\x1f\x8b\x08"
_HOP_BY_HOP = {b"transfer-encoding", b"connection", b"keep-alive"}


class ArchiveError(Exception):
    """The archive cannot be used at all; the message says why in one line."""


@dataclass(frozen=True)
class Stored:
    """Where one response lies."""

    status: int
    fetched_at: datetime
    record: str  # goes into provenance
    file: Path
    offset: int | None  # in a WARC; None: the file is one exchange


@dataclass
class Archive:
    """What a replay can answer, and what was found damaged while looking."""

    responses: dict[bytes, list[Stored]] = field(default_factory=lambda: defaultdict(list))
    damage: list[str] = field(default_factory=list)
    base_url: str | None = None  # where the crawl went, if not to the real site
    stated_day: date | None = None  # the crawl's today, where the archive says so

    @property
    def day(self) -> date | None:
        """The crawl's today: as stated, or the day of the newest response; None in an empty archive."""
        fetched = [s.fetched_at for found in self.responses.values() for s in found]
        return self.stated_day or max(fetched).date() if fetched else self.stated_day


def multipart(parts: dict[str, Any]) -> tuple[bytes, str]:
    """Body and content type of a form whose every part is a JSON file, with a fixed boundary.

    The fixed boundary makes the same question the same bytes, so that a replay finds it.
    """
    boundary = "fundmatch-0b5c1d6e7f"
    lines = []
    for name, value in parts.items():
        lines.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="blob"\r\n'
            f"Content-Type: application/json\r\n\r\n{json.dumps(value, ensure_ascii=False)}\r\n"
        )
    return ("".join(lines) + f"--{boundary}--\r\n").encode(), f"multipart/form-data; boundary={boundary}"


def json_body(value: Any) -> bytes:
    """A JSON request body in one spelling, so that the same question is the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def locate(path: Path, source: str, as_of: str | None = None) -> Path:
    """The archive of `source` under `path`: a WARC file, a folder of exchanges, or a folder of WARCs.

    Of several WARCs the newest counts, or the newest that was begun by the end of `as_of` (ISO date).
    Raises ArchiveError where there is none.
    """
    if not path.exists():
        raise ArchiveError(f"{path}: no such file or folder; --replay needs an archive")
    folder = path / source if (path / source).is_dir() else path
    if folder.is_file() or any(folder.glob("*.json")):
        return folder
    warcs = sorted(folder.glob("*.warc.gz"))
    limit = as_of.replace("-", "") + "T~" if as_of else "~"
    usable = [w for w in warcs if w.name < limit] or warcs
    if not usable:
        raise ArchiveError(f"{folder}: holds no WARC file and no recorded exchange for {source}")
    return max(usable, key=lambda w: w.name)


def archived(path: Path, names: Iterable[str]) -> set[str]:
    """Which of the named sources an archive holds. A file, or a folder of exchanges, is of one source: the
    one it names itself, or whose folder it lies in."""
    if path.is_file():
        return {_stated_source(path) or path.parent.name} & set(names)
    if any(path.glob("*.json")):
        return {path.name} & set(names)
    return {name for name in names if (path / name).is_dir()}


def _stated_source(file: Path) -> str | None:
    first = next(_records(file, []), None)
    if first is None or first[1].rec_type != "warcinfo":
        return None
    stated = re.search(r"^fundmatch-source: (\w+)", first[1].content_stream().read().decode(), re.MULTILINE)
    return stated[1] if stated else None


@cache
def read_archive(path: Path) -> Archive:
    """Index an archive by request. Damage is listed, not raised: what can be read is read."""
    archive = Archive()
    if path.is_dir():
        for file in sorted(path.glob("*.json")):
            _index_exchange(file, archive)
    else:
        _index_warc(path, archive)
    return archive


def _index_exchange(file: Path, archive: Archive) -> None:
    try:
        exchange = json.loads(file.read_bytes())
        asked, answer = exchange["request"], exchange["response"]
        body, headers = b"", {}
        if "parts" in asked:
            body, headers["Content-Type"] = multipart(asked["parts"])
        elif "body" in asked:
            body = json_body(asked["body"])
        request = Request(asked["url"], method=asked["method"], body=body, headers=headers)
        fetched_at = datetime.fromisoformat(exchange["fetched_at"])
        stored = Stored(int(answer["status"]), fetched_at, file.name, file, None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        archive.damage.append(f"{file.name}: not a recorded exchange ({type(error).__name__}: {error})")
        return
    archive.responses[fingerprint(request)].append(stored)


def _index_warc(file: Path, archive: Archive) -> None:
    """Requests and responses come in pairs; a response's record is followed by its request's."""
    pending: dict[str, Stored] = {}
    for offset, record in _records(file, archive.damage):
        try:
            _index_record(file, offset, record, archive, pending)
        except (ArchiveLoadFailed, ValueError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
            archive.damage.append(f"{file.name}: unusable record at byte {offset} ({reason})")


def _index_record(
    file: Path, offset: int, record: ArcWarcRecord, archive: Archive, pending: dict[str, Stored]
) -> None:
    """Take one record into the index. `pending` holds responses by identity until their request comes."""
    headers, content = record.rec_headers, record.content_stream().read()  # read to its end: digest checked
    if record.rec_type == "warcinfo":
        info = dict(line.split(": ", 1) for line in content.decode().splitlines() if ": " in line)
        archive.base_url = info.get("fundmatch-base-url")
        archive.stated_day = date.fromisoformat(info["fundmatch-day"]) if "fundmatch-day" in info else None
    elif record.rec_type == "response":
        identity = headers.get_header("WARC-Record-ID")
        fetched_at = datetime.fromisoformat(headers.get_header("WARC-Date"))
        status = int(record.http_headers.get_statuscode())
        pending[identity] = Stored(status, fetched_at, f"{file.name}#{identity}", file, offset)
    elif record.rec_type == "request":
        url, method = headers.get_header("WARC-Target-URI"), record.http_headers.protocol
        request = Request(url, method=method, body=content)
        if stored := pending.pop(headers.get_header("WARC-Concurrent-To"), None):
            archive.responses[fingerprint(request)].append(stored)


def _records(file: Path, damage: list[str]) -> Iterator[tuple[int, ArcWarcRecord]]:
    """The readable records of a WARC with their offsets; after damage, reading goes on at the next one."""
    if not file.stat().st_size:
        damage.append(f"{file.name}: is empty")
        return
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start, lost = 0, False
        while 0 <= start < len(data):
            try:
                raw, end = _member(data, start)
                record = next(iter(ArchiveIterator(BytesIO(raw), check_digests="raise")))
                yield start, record
                start, lost = end, False
            except (ArchiveLoadFailed, OSError, ValueError, EOFError, zlib.error, StopIteration) as error:
                if not lost:
                    reason = " ".join(str(error).split())[:120] or type(error).__name__
                    damage.append(f"{file.name}: damaged record near byte {start} ({reason})")
                start, lost = data.find(_GZIP_MEMBER, start + 1), True


def _member(data: mmap.mmap, start: int) -> tuple[bytes, int]:
    """One gzip member, which is one record, and where the next begins. Raises zlib.error, EOFError."""
    inflate = zlib.decompressobj(wbits=31)
    parts, position, size = [], start, 0
    while not inflate.eof:
        chunk = data[position : position + 65536]
        if not chunk:
            raise EOFError("the file is cut off inside a record")
        position += len(chunk)
        parts.append(inflate.decompress(chunk, LARGEST_RECORD))
        size += len(parts[-1])
        if inflate.unconsumed_tail or size > LARGEST_RECORD:
            raise ValueError("the record is larger than a page may be")
    return b"".join(parts), position - len(inflate.unused_data)


class ReplayStorage:
    """Answers from an archive only. The n-th time a request is made, it gets the n-th answer kept."""

    def __init__(self, settings: BaseSettings) -> None:
        self.path = Path(settings["FUNDMATCH_REPLAY"])

    def open_spider(self, spider: Spider) -> None:
        archive = read_archive(self.path)
        spider.archive_damage = archive.damage  # type: ignore[attr-defined]
        self._left = {key: _worth_replaying(found) for key, found in archive.responses.items()}

    def close_spider(self, spider: Spider) -> None:
        """Nothing is held open."""

    def store_response(self, spider: Spider, request: Request, response: Response) -> None:
        """A replay adds nothing to the archive."""

    def retrieve_response(self, spider: Spider, request: Request) -> Response | None:
        found = self._left.get(fingerprint(request))
        if not found:
            return None
        stored = found.pop(0) if len(found) > 1 else found[0]
        request.meta["stored"] = stored
        headers, body = _read_exchange(stored) if stored.offset is None else _read_warc(stored)
        kind = responsetypes.from_args(headers=headers, url=request.url, body=body)
        return kind(url=request.url, status=stored.status, headers=headers, body=body)


def _worth_replaying(found: list[Stored]) -> list[Stored]:
    """Without the "try again later" answers, unless there is nothing else."""
    return [s for s in found if s.status not in RETRY_CODES] or found


def _read_exchange(stored: Stored) -> tuple[Headers, bytes]:
    answer = json.loads(stored.file.read_bytes())["response"]
    if "file" in answer:  # an HTML page lies beside its exchange, to be readable
        body = (stored.file.parent / Path(answer["file"]).name).read_bytes()
    elif "json" in answer:
        body = json.dumps(answer["json"], ensure_ascii=False).encode()
    else:
        body = str(answer["text"]).encode()
    return Headers(answer.get("headers", {})), body


def _read_warc(stored: Stored) -> tuple[Headers, bytes]:
    with stored.file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        record = next(iter(ArchiveIterator(BytesIO(_member(data, stored.offset or 0)[0]))))
        headers = Headers(record.http_headers.headers)
        return headers, record.raw_stream.read()


class ArchiveStorage:
    """Writes each exchange as it happens, flushed, into `<archive>.open`; renamed when the crawl ends."""

    def __init__(self, settings: BaseSettings) -> None:
        """Raises OSError here, before anything is fetched, where the archive cannot be made."""
        self.path = Path(settings["FUNDMATCH_ARCHIVE"])
        self.base_url, self.day = settings["FUNDMATCH_BASE_URL"], settings["FUNDMATCH_DAY"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            raise FileExistsError(f"{self.path} exists already")
        self._stream = self.path.with_name(self.path.name + ".open").open("xb")

    def open_spider(self, spider: Spider) -> None:
        self._writer = WARCWriter(self._stream, gzip=True, warc_version="1.1")
        info = {"software": "fundmatch", "format": "WARC File Format 1.1", "fundmatch-source": spider.name}
        info |= {"fundmatch-base-url": self.base_url} if self.base_url else {}
        info |= {"fundmatch-day": self.day} if self.day else {}
        self._writer.write_record(self._writer.create_warcinfo_record(self.path.name, info))

    def close_spider(self, spider: Spider) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        Path(self._stream.name).replace(self.path)

    def retrieve_response(self, spider: Spider, request: Request) -> Response | None:
        """A live crawl always asks the site."""
        return None

    def store_response(self, spider: Spider, request: Request, response: Response) -> None:
        now = datetime.now(UTC)
        date = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        answer = self._writer.create_warc_record(
            response.url,
            "response",
            payload=BytesIO(response.body),
            http_headers=_http(f"HTTP/1.1 {response.status} -", response.headers, response.body),
            warc_headers_dict={"WARC-Date": date},
        )
        identity = answer.rec_headers.get_header("WARC-Record-ID")
        parts = urlsplit(request.url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        question = self._writer.create_warc_record(
            request.url,
            "request",
            payload=BytesIO(request.body),
            http_headers=_http(f"{request.method} {target} HTTP/1.1", request.headers, request.body),
            warc_headers_dict={"WARC-Date": date, "WARC-Concurrent-To": identity},
        )
        self._writer.write_record(answer)
        self._writer.write_record(question)
        self._stream.flush()
        request.meta["stored"] = Stored(response.status, now, f"{self.path.name}#{identity}", self.path, 0)


def _http(first_line: str, headers: Headers, body: bytes) -> StatusAndHeaders:
    """Headers as sent, but for the transfer coding that the client has already undone."""
    pairs = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, values in headers.items()
        if name.lower() not in _HOP_BY_HOP | {b"content-length"}
        for value in values
    ]
    pairs.append(("Content-Length", str(len(body))))
    if first_line.startswith("HTTP/"):
        protocol, _, rest = first_line.partition(" ")
        return StatusAndHeaders(rest, pairs, protocol=protocol)
    return StatusAndHeaders(first_line, pairs, is_http_request=True)
