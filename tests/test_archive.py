"""The archive: what is written can be replayed, damage is listed, and what is whole stays readable."""

import gzip
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scrapy import Request, Spider
from scrapy.http import Response
from scrapy.settings import Settings
from standin_portal import StandInPortal, portal_rows
from test_eu_portal import live, record
from warcio.archiveiterator import ArchiveIterator

from crawlers.archive import (
    ArchiveError,
    ArchiveStorage,
    ReplayStorage,
    locate,
    multipart,
    read_archive,
)
from crawlers.crawl import CrawlError, crawl

SEARCH = "https://api.example.org/search?page=1"


class Any(Spider):
    name = "any"


def post(url: str, question: dict[str, object]) -> Request:
    body, content_type = multipart({"query": question})
    return Request(url, method="POST", body=body, headers={"Content-Type": content_type})


def write(path: Path, exchanges: list[tuple[Request, int, bytes]], *, finish: bool = True) -> None:
    storage = ArchiveStorage(
        Settings({"FUNDMATCH_ARCHIVE": str(path), "FUNDMATCH_BASE_URL": "http://127.0.0.1:1"})
    )
    storage.open_spider(Any())
    for request, status, body in exchanges:
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        storage.store_response(Any(), request, Response(request.url, status, headers=headers, body=body))
    if finish:
        storage.close_spider(Any())


def replay(path: Path) -> tuple[ReplayStorage, Any]:
    spider = Any()
    storage = ReplayStorage(Settings({"FUNDMATCH_REPLAY": str(path)}))
    storage.open_spider(spider)
    return storage, spider


def test_a_replay_answers_by_question_not_by_address_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(path, [(post(SEARCH, {"a": 1}), 200, b'{"n": 1}'), (post(SEARCH, {"a": 2}), 200, b'{"n": 2}')])
    storage, spider = replay(path)
    for number in (2, 1):
        request = post(SEARCH, {"a": number})
        response = storage.retrieve_response(spider, request)
        assert response is not None and json.loads(response.body) == {"n": number}
        stored = request.meta["stored"]
        assert stored.record.startswith("a.warc.gz#<urn:uuid:") and stored.fetched_at.tzinfo is not None
    assert storage.retrieve_response(spider, post(SEARCH, {"a": 3})) is None
    assert read_archive(path).base_url == "http://127.0.0.1:1"
    assert read_archive(path).damage == []


def test_the_same_question_again_gets_the_next_answer_and_errors_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    same = [(Request(SEARCH), 429, b"wait"), (Request(SEARCH), 200, b"one"), (Request(SEARCH), 200, b"two")]
    write(path, same)
    storage, spider = replay(path)
    got = [storage.retrieve_response(spider, Request(SEARCH)) for _ in range(3)]
    assert [response.body for response in got if response] == [b"one", b"two", b"two"]


def test_a_warc_is_readable_by_warcio_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(path, [(post(SEARCH, {"a": 1}), 200, b'{"n": 1}')])
    with path.open("rb") as stream:
        types = [record.rec_type for record in ArchiveIterator(stream, check_digests="raise")]
    assert types == ["warcinfo", "response", "request"]


@pytest.fixture
def big(tmp_path: Path) -> tuple[Path, list[Request]]:
    path = tmp_path / "a.warc.gz"
    requests = [post(SEARCH, {"a": n}) for n in range(6)]
    body = json.dumps({"x": [str(i * 7919) for i in range(400)]}).encode()
    write(path, [(request, 200, body) for request in requests])
    return path, requests


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_flipped_byte_costs_one_record_and_is_listed(big: tuple[Path, list[Request]], share: float) -> None:
    path, requests = big
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 0xFF
    path.write_bytes(data)
    archive = read_archive(path)
    assert archive.damage and all("damaged record near byte" in line for line in archive.damage)
    storage, spider = replay(path)
    answered = [storage.retrieve_response(spider, request) for request in requests]
    assert sum(response is not None for response in answered) == len(requests) - 1


def test_a_file_cut_in_half_keeps_what_came_before(big: tuple[Path, list[Request]]) -> None:
    path, requests = big
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    archive = read_archive(path)
    assert archive.damage
    assert 2 <= len(archive.responses) < len(requests)


def test_garbage_and_emptiness_are_damage_not_a_crash(tmp_path: Path) -> None:
    for name, data in {"empty.warc.gz": b"", "garbage.warc.gz": b"\x1f\x8b\x08" + b"no" * 50}.items():
        (tmp_path / name).write_bytes(data)
        archive = read_archive(tmp_path / name)
        assert archive.damage and not archive.responses


def test_a_crawl_that_dies_leaves_its_pages_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(path, [(Request(SEARCH), 200, b"one")], finish=False)
    assert not path.exists()
    archive = read_archive(tmp_path / "a.warc.gz.open")
    assert len(archive.responses) == 1 and archive.damage == []


MEDDLED = {
    "a status that is no number": (b"HTTP/1.1 200", b"HTTP/1.1 2x0"),
    "a date that is none": (b"WARC-Date: 2", b"WARC-Date: x"),
    "content that its digest contradicts": (b'{"n": 1}', b'{"n": 2}'),
    "no HTTP in a response": (b"HTTP/1.1 200 -", b"GARBAGE"),
    "an address that is none": (b"WARC-Target-URI: https://", b"WARC-Target-URI: nowhere/"),
}


@pytest.mark.parametrize(("true", "false"), MEDDLED.values(), ids=MEDDLED.keys())
def test_a_record_that_was_meddled_with_is_listed_and_the_others_are_read(
    tmp_path: Path, true: bytes, false: bytes
) -> None:
    path, other = tmp_path / "a.warc.gz", tmp_path / "b.warc.gz"
    write(path, [(post(SEARCH, {"a": 1}), 200, b'{"n": 1}')])
    write(other, [(post(SEARCH, {"a": 2}), 200, b'{"n": 2}')])
    members = [gzip.compress(part) for part in records_of(path, true, false)]
    path.write_bytes(b"".join(members) + other.read_bytes())
    archive = read_archive(path)
    assert archive.damage
    storage, spider = replay(path)
    assert storage.retrieve_response(spider, post(SEARCH, {"a": 1})) is None
    response = storage.retrieve_response(spider, post(SEARCH, {"a": 2}))
    assert response is not None and json.loads(response.body) == {"n": 2}


def records_of(path: Path, true: bytes, false: bytes) -> list[bytes]:
    """The inflated records of a WARC, with `true` replaced by `false`."""
    whole = gzip.decompress(path.read_bytes())
    starts = [at for at in range(len(whole)) if whole.startswith(b"WARC/1.1\r\n", at)]
    assert true in whole
    return [
        whole[start:end].replace(true, false) for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]


def test_a_record_that_inflates_beyond_the_cap_is_listed_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    write(path, [(Request(SEARCH), 200, b"one")])
    path.write_bytes(gzip.compress(bytes(65 * 1024 * 1024), 1) + path.read_bytes())
    archive = read_archive(path)
    assert len(archive.responses) == 1
    assert "larger than a page may be" in archive.damage[0]


def test_exchanges_in_a_folder_answer_like_a_warc_and_bad_ones_are_listed(tmp_path: Path) -> None:
    exchange = {
        "request": {"method": "POST", "url": SEARCH, "parts": {"query": {"a": 1}}},
        "fetched_at": "2026-06-15T05:00:00Z",
        "response": {"status": 200, "headers": {"Content-Type": "application/json"}, "json": {"n": 1}},
    }
    page = {
        "request": {"method": "GET", "url": "https://example.org/p"},
        "fetched_at": "2026-06-15T05:00:01Z",
        "response": {"status": 200, "headers": {"Content-Type": "text/html"}, "file": "../../p.html"},
    }
    (tmp_path / "1.json").write_text(json.dumps(exchange))
    (tmp_path / "2.json").write_text(json.dumps(page))
    (tmp_path / "p.html").write_text("<p>here</p>")
    (tmp_path / "3.json").write_text('{"request": {"method"')
    storage, spider = replay(tmp_path)
    first = storage.retrieve_response(spider, post(SEARCH, {"a": 1}))
    second = storage.retrieve_response(spider, Request("https://example.org/p"))
    assert first is not None and json.loads(first.body) == {"n": 1}
    assert second is not None and second.body == b"<p>here</p>"  # and no path leads out of the folder
    assert len(spider.archive_damage) == 1 and "3.json" in spider.archive_damage[0]


def test_locate_takes_the_newest_crawl_or_the_one_of_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "any"
    folder.mkdir()
    for day in ("20260601", "20260608", "20260615"):
        (folder / f"{day}T050000Z-abc.warc.gz").write_bytes(b"x")
    (folder / "20260622T050000Z-abc.warc.gz.open").write_bytes(b"x")
    assert locate(tmp_path, "any").name.startswith("20260615")
    assert locate(tmp_path, "any", "2026-06-08").name.startswith("20260608")
    assert locate(folder / "20260601T050000Z-abc.warc.gz", "any").name.startswith("20260601")
    with pytest.raises(ArchiveError, match="no such file"):
        locate(tmp_path / "absent", "any")
    (tmp_path / "none").mkdir()
    with pytest.raises(ArchiveError, match="no WARC file"):
        locate(tmp_path / "none", "none")


@pytest.fixture
def portal() -> Iterator[StandInPortal]:
    with StandInPortal(*portal_rows([record(n) for n in range(1, 31)]), page_cap=10) as serving:
        yield serving


def test_one_flipped_byte_in_a_crawl_is_a_listed_fault_and_the_other_pages_are_read(
    portal: StandInPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = live(portal, tmp_path, monkeypatch)
    with path.open("rb") as stream:
        records = ArchiveIterator(stream)
        pages = [records.get_record_offset() for record in records if record.rec_type == "response"]
    data = bytearray(path.read_bytes())
    data[pages[2] + 200] ^= 0xFF  # robots.txt, first page, second page
    path.write_bytes(data)
    found = crawl("eu_portal", tmp_path / "replay.jsonl", replay=path)
    told = {issue.code: issue for issue in found.issues if issue.severity == "error"}
    assert f"damaged record near byte {pages[2]}" in told["archive_damaged"].detail
    assert "page 2" in told["page_missing"].detail
    assert 20 <= len(found.records) < len(whole.records)


def test_a_crawl_killed_midway_leaves_no_result_and_an_archive_of_what_it_fetched(
    portal: StandInPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[str]] = []

    class Recorded(subprocess.Popen[str]):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]
            children.append(self)

    def kill_after_two_pages() -> None:
        while len(portal.log) < 4:  # robots.txt, two pages that are stored, one that is on its way
            time.sleep(0.01)
        children[0].kill()

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    monkeypatch.setenv("FUNDMATCH_DOWNLOAD_DELAY", "0.3")
    killer = threading.Thread(target=kill_after_two_pages)
    killer.start()
    with pytest.raises(CrawlError, match="ended by signal 9"):
        live(portal, tmp_path, monkeypatch)
    killer.join()
    assert not (tmp_path / "live.jsonl").exists()
    (left,) = (tmp_path / "archive" / "eu_portal").iterdir()
    assert left.name.endswith(".warc.gz.open")
    found = crawl("eu_portal", tmp_path / "replay.jsonl", replay=left)
    assert 10 <= len(found.records) < 30
    assert {issue.code for issue in found.issues if issue.severity == "error"} >= {"page_missing"}


@pytest.mark.parametrize("there", ["live.warc.gz", "live.warc.gz.open"])
def test_no_archive_is_written_over_and_nothing_is_fetched_without_one(
    portal: StandInPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    (tmp_path / there).write_bytes(b"kept")
    monkeypatch.setenv("FUNDMATCH_BASE_URL__EU_PORTAL", portal.url)
    with pytest.raises(CrawlError, match=r"could not start: .*exists"):
        crawl("eu_portal", tmp_path / "o.jsonl", archive=tmp_path / "live.warc.gz")
    assert portal.log == []
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {there: b"kept"}


# Put in the child's way at its start. Not barred is bind: a library tries it on ::1 when imported.
NO_SOCKETS = """
import os, sys
BARRED = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}
sys.addaudithook(lambda event, args: event in BARRED and os._exit(97))
"""


def test_a_replay_opens_no_connection(
    portal: StandInPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, archive = live(portal, tmp_path, monkeypatch)
    (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CrawlError, match="status 97"):  # the bar holds
        crawl("eu_portal", tmp_path / "again.jsonl", archive=tmp_path / "again.warc.gz")
    assert crawl("eu_portal", tmp_path / "replay.jsonl", replay=archive) == whole
    cut = tmp_path / "cut.warc.gz"  # nor does it for what the archive lacks
    cut.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    assert len(crawl("eu_portal", tmp_path / "cut.jsonl", replay=cut).records) < len(whole.records)
