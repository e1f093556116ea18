"""The archive: what is written can be replayed, damage is listed, and what is whole stays readable."""

import json
from pathlib import Path

import pytest
from scrapy import Request, Spider
from scrapy.http import Response
from scrapy.settings import Settings

from crawlers.archive import (
    ArchiveError,
    ArchiveStorage,
    ReplayStorage,
    locate,
    multipart,
    read_archive,
)

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
    from warcio.archiveiterator import ArchiveIterator

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
