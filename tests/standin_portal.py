"""A stand-in for the EU Funding & Tenders portal, served on 127.0.0.1 with the portal's true faults.

It ignores queries in the wrong form, answers form fields with HTTP 500, caps pages and their number,
shuffles rows of equal rank between requests, and now and then refuses or cuts an answer. Nothing is
random: what looks so comes from checksums and from the number of the request.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zlib import crc32

from portal_shape import Details, Row, load_records, milliseconds, portal_rows

__all__ = ["DETAILS", "FACET", "SEARCH", "Answer", "StandInPortal", "load_records", "portal_rows"]

SEARCH, FACET = "/search-api/prod/rest/search", "/search-api/prod/rest/facet"
DETAILS = "/info/funding-tenders/opportunities/data/topicDetails/"
EVERYTHING = 4_181_618  # what the portal claims to have found when it ignored the query


def values(row: Row, name: str) -> list[Any]:
    """A field of a row, with or without `metadata`."""
    found = row.get("metadata", row).get(name) or []
    return found if isinstance(found, list) else [found]


def predicate(clause: Any) -> Callable[[Row], bool]:
    """The query dialect: bool/must, terms, term, range. Raises ValueError for anything else."""
    match clause:
        case {"bool": {"must": [*inner], **other}} if not other:
            tests = [predicate(each) for each in inner]
            return lambda row: all(test(row) for test in tests)
        case {"terms": dict(by)} | {"term": dict(by)} if len(by) == 1 and len(clause) == 1:
            ((name, given),) = by.items()
            wanted = set(given if isinstance(given, list) else [given])
            # a row that states neither comes through these two filters
            stub_passes = name in ("type", "status")
            return lambda row: (
                not wanted.isdisjoint(values(row, name)) or (stub_passes and not values(row, name))
            )
        case {"range": dict(by)} if len(by) == 1:
            ((name, bounds),) = by.items()
            low, high = bounds.get("gte", 0), bounds.get("lte", 1 << 62)
            return lambda row: any(low <= milliseconds(v[:19]) <= high for v in values(row, name))
    raise ValueError("Invalid Query format")


@dataclass(frozen=True)
class Answer:
    """What is sent back; `body` is sent as JSON unless it is bytes."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One request that came in, `at` seconds of the monotonic clock, and the fault it was served."""

    method: str
    path: str
    user_agent: str
    parts: dict[str, Any]
    at: float
    fault: str


class StandInPortal:
    """Serves rows and details at `url` while its context is open; `log` and `faults` tell what happened.

    Every `fault_every`-th request is answered with 429, 500 or half a page, in turn. `canned` holds
    answers by path that go before everything else; the last one of a path stays.
    """

    def __init__(
        self,
        rows: list[Row],
        details: Details,
        *,
        page_cap: int = 100,
        window: int = 10_000,
        fault_every: int = 23,
        retry_after: int = 0,
    ) -> None:
        self.rows, self.details = rows, details
        self.page_cap, self.window, self.fault_every = page_cap, window, fault_every
        self.retry_after = retry_after
        self.canned = {"/robots.txt": [Answer(200, b"User-agent: *\nAllow: /\n")]}
        self.faults: Counter[str] = Counter()
        self.log: list[Entry] = []
        self._asked = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StandInPortal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, target: str, agent: str, content_type: str, body: bytes) -> Answer:
        """Log a request and answer it, one at a time."""
        at, split = time.monotonic(), urlsplit(target)
        path = unquote(split.path)
        path = path.removeprefix("/api.tech.ec.europa.eu").removeprefix(
            "/ec.europa.eu"
        )  # whom it stands in for
        asked = {k: v[0] for k, v in parse_qs(split.query).items()}
        parts, plain_field = _parts(content_type, body)
        with self._lock:
            canned = self.canned.get(path)
            self._asked += canned is None
            due = canned is None and self._asked % self.fault_every == 0
            fault = ("429", "500", "cut")[(self._asked // self.fault_every - 1) % 3] if due else ""
            self.faults.update([fault] if due else [])
            self.log.append(Entry(method, path, agent, parts, at, fault))
            if canned:
                return canned.pop(0) if len(canned) > 1 else canned[0]
            if fault == "429":
                return Answer(429, b"slow down", {"Retry-After": str(self.retry_after)})
            if fault == "500" or plain_field:
                return Answer(500, {"type": "throwable"})
            try:
                answer = self._route(method, path, asked, parts)
            except ValueError as error:
                return Answer(400, {"message": str(error)})
            if fault == "cut":
                whole = json.dumps(answer.body).encode()
                return Answer(answer.status, whole[: len(whole) // 2], answer.headers)
            return answer

    def _route(self, method: str, path: str, asked: dict[str, str], parts: dict[str, Any]) -> Answer:
        if path.startswith(DETAILS) and method == "GET":
            found = self.details.get(path.removeprefix(DETAILS).removesuffix(".json"))
            return Answer(200, found) if found else Answer(404, b"not found")
        if path not in (SEARCH, FACET):
            return Answer(404, b"not found")
        if method != "POST":
            return Answer(405, b"method not allowed")
        if "query" not in parts:  # accepted, ignored, and answered with everything there is
            return Answer(200, self._page(self.rows, EVERYTHING, asked, parts))
        passes, only = predicate(parts["query"]), parts.get("languages")
        found_rows = [r for r in self.rows if passes(r) and (not only or r["language"] in only)]
        if path == SEARCH:
            return Answer(200, self._page(found_rows, None, asked, parts))
        if "sort" in parts:
            return Answer(500, {"type": "throwable"})
        return Answer(200, {"apiVersion": "2.154", "terms": "***", "facets": _facets(found_rows)})

    def _page(self, rows: list[Row], total: int | None, asked: dict[str, str], parts: dict[str, Any]) -> Row:
        size = min(int(asked.get("pageSize", 10)), self.page_cap)
        number = int(asked.get("pageNumber", 1))
        ordered = _ordered(rows, parts.get("sort"), self._asked)
        start = (number - 1) * size
        shown = ordered[start : min(start + size, self.window)]
        return {
            "apiVersion": "2.154",
            "terms": "***",
            "totalResults": len(ordered) if total is None else total,
            "pageNumber": number,
            "pageSize": size,
            "sort": "relevance",
            "groupByField": "sortStatus",
            "warnings": [],
            "results": [_jitter(row, self._asked) for row in shown],
        }


def _ordered(rows: list[Row], sort: Any, salt: int) -> list[Row]:
    """Rows in order, those with equal keys in another order each time; without the sort field, dropped."""
    found = sorted(rows, key=lambda row: crc32(f"{salt} {row.get('reference')}".encode()))
    if sort:
        found = [row for row in found if sort["field"] in row.get("metadata", row)]
        found.sort(key=lambda row: str(values(row, sort["field"])[0]), reverse=sort["order"] == "DESC")
    return sorted(found, key=lambda row: bool(values(row, "status")))  # stubs come first


def _jitter(row: Row, number: int) -> Row:
    """The deadlines of calls for proposals come with other seconds each time."""
    if values(row, "type") != ["2"]:
        return row
    printed = [f"{d[:17]}{number % 60:02d}{d[19:]}" for d in values(row, "deadlineDate")]
    return row | {"metadata": row["metadata"] | ({"deadlineDate": printed} if printed else {})}


def _facets(rows: list[Row]) -> list[Row]:
    facets = []
    for name in ("frameworkProgramme", "programmeDivision", "status", "type"):
        counts = Counter(value for row in rows for value in values(row, name))
        found = [{"rawValue": v, "value": f"Label of {v}", "count": n} for v, n in counts.items()]
        facets.append({"name": name, "rawName": name, "count": len(found), "values": found})
    return facets


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bool]:
    """The JSON parts of a multipart form, and whether one of them is not a JSON file."""
    if not content_type.startswith("multipart/form-data"):
        return {}, False
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
    parts: dict[str, Any] = {}
    for part in form.iter_parts():
        if part.get_filename() is None or part.get_content_type() != "application/json":
            return parts, True
        name = part.get_param("name", header="content-disposition")
        parts[str(name)] = json.loads(part.get_content())
    return parts, False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def __init__(self, portal: StandInPortal, *args: Any) -> None:
        self.portal = portal
        super().__init__(*args)

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        agent, content_type = self.headers.get("User-Agent", ""), self.headers.get("Content-Type", "")
        answer = self.portal.answer(self.command, self.path, agent, content_type, body)
        payload = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        kind = "text/plain" if isinstance(answer.body, bytes) else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(len(payload))} | answer.headers
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""
