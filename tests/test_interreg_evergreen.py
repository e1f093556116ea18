"""Interreg's index and programme pages, and the schemes kept by hand."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import SAMPLES

from crawlers.archive import read_archive
from crawlers.crawl import Crawl, crawl
from crawlers.reading import Unreadable
from crawlers.sources.evergreen import PACKAGED, read_entries
from crawlers.sources.interreg import (
    PROGRAMMES,
    read_calls,
    read_credentials,
    read_hit,
    read_hits,
    read_programme,
)

KEY = "0" * 32
GERMANY, EUROPE, NORTH_WEST, NORTH_SEA = PROGRAMMES


def replayed(source: str, folder: Path, tmp_path: Path) -> Crawl:
    return crawl(source, tmp_path / "out.jsonl", replay=folder)


def a_copy(tmp_path: Path, **more: dict[str, Any] | None) -> Path:
    """The sample exchanges of Interreg, with some replaced, added or (None) left out."""
    folder = tmp_path / "interreg"
    folder.mkdir()
    for file in (SAMPLES / "interreg").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name, exchange in more.items():
        file = folder / f"{name.replace('_', '-')}.json"
        file.unlink() if exchange is None else file.write_text(json.dumps(exchange))
    return folder


def exchange(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((SAMPLES / "interreg" / f"{name}.json").read_text("utf-8"))
    return read


# The index


@pytest.mark.parametrize(
    "page",
    [
        f"<script>var a = {{appId: 'EXAMPLE000', searchApiKey: '{KEY}'}}</script>",
        f'<script type="application/json">{{"applicationId":"EXAMPLE000","apiKey":"{KEY}"}}</script>',
        f'<div data-algolia-app-id="EXAMPLE000" data-algolia-search-key="{KEY}"></div>',
        f"<i data-x='{{&quot;appId&quot;:&quot;EXAMPLE000&quot;,&quot;apiKey&quot;:&quot;{KEY}&quot;}}'></i>",
        f'<script>self.push("{{\\"appID\\":\\"EXAMPLE000\\",\\"apiKey\\":\\"{KEY}\\"}}")</script>',
        f"<script>const client = algoliasearch('EXAMPLE000', \"{KEY}\");</script>",
        f"<script>h = {{'x-algolia-application-id': 'EXAMPLE000', 'x-algolia-api-key': '{KEY}'}}</script>",
        f"<script>fb = {{appId: '1234567890'}}; maps = {{apiKey: 'AIzaSyExample-not-a-key-0000000000000'}};"
        f"s = {{appId: 'EXAMPLE000', apiKey: '{'f' * 32}', searchOnlyApiKey: '{KEY}'}}</script>",
    ],
)
def test_the_search_key_is_found_however_the_page_writes_it(page: str) -> None:
    assert read_credentials(f"<html>{page}</html>") == ("EXAMPLE000", KEY)


@pytest.mark.parametrize(
    "page",
    [
        "<p>Please sign in</p>",
        "<script>a = {appId: 'EXAMPLE000', apiKey: ''}</script>",
        f"<!-- appId: 'EXAMPLE000', apiKey: '{KEY}' -->",
        f"<script>a = {{appId: 'EXAMPLE000', apiKey: '{KEY}'}}; b = {{apiKey: '{'1' * 32}'}}</script>",
        f"<script>a = {{appId: 'evil.example/x', apiKey: '{KEY}'}}</script>",
    ],
)
def test_a_page_without_a_key_or_with_several_is_unreadable(page: str) -> None:
    with pytest.raises(Unreadable, match="search credentials"):
        read_credentials(page)


def test_an_answer_that_is_empty_ignores_the_filter_or_is_no_answer_is_unreadable() -> None:
    good = {"hits": [{"objectID": "1", "contentType": "callForProjectsPage"}], "nbHits": 1, "nbPages": 1}
    assert read_hits(json.dumps(good).encode())[1:] == (1, 1)
    for change in (
        {"hits": [], "nbHits": 0, "nbPages": 0},
        {"hits": [{"objectID": "1", "contentType": "newsPage"}]},
        {"hits": [{"title": "no identity"}]},
        {"hits": {}},
        {"nbPages": None},
        {"nbPages": 1000},
    ):
        with pytest.raises(Unreadable):
            read_hits(json.dumps(good | change).encode())
    with pytest.raises(Unreadable):
        read_hits(b"<html>maintenance</html>")


def test_a_hit_is_copied_but_for_its_hours_and_its_link_is_a_web_address_or_the_index_page() -> None:
    hit = exchange("index-2")["response"]["json"]["hits"][2]
    key, fields, leftovers = read_hit(hit)
    assert (key, fields["status"], fields["deadlines"]) == ("call-90103", "Open", ["2026-10-08"])
    assert {"NL11", "NL12", "NL13"} <= set(fields["regions"])
    assert not leftovers
    home = "https://interreg.eu/calls-for-projects/"
    for link in ("javascript:alert(1)", "", None, "data:text/html,x"):
        read = read_hit(hit | {"callExternalUrl": link, "contentUrl": "//evil.example/x"})[1]
        assert read["url"] == home
    assert read_hit(hit | {"callBudget": 5})[2] == {"callBudget": 1}


def test_a_rotated_key_is_read_anew_from_the_page_once(tmp_path: Path) -> None:
    crawled = replayed("interreg", SAMPLES, tmp_path)
    assert "call-90101" in {record.key for record in crawled.records}
    assert [issue for issue in crawled.issues if issue.severity != "info"] == []
    folder = a_copy(tmp_path, index_2=None)
    crawled = replayed("interreg", folder, tmp_path)
    faults = [(issue.severity, issue.code) for issue in crawled.issues]
    assert faults == [("error", "search_failed")]
    assert "north-sea-call-5" in {record.key for record in crawled.records}  # the rest goes on


def test_the_index_is_read_page_by_page_and_a_shortfall_is_told(tmp_path: Path) -> None:
    first = exchange("index-2")
    hits = first["response"]["json"]["hits"]
    second = json.loads(json.dumps(first))
    first["response"]["json"] |= {"hits": hits[:3], "nbPages": 2, "nbHits": 6}
    second["response"]["json"] |= {"hits": hits[3:], "nbPages": 2, "nbHits": 6}
    second["request"]["body"]["page"] = 1
    crawled = replayed("interreg", a_copy(tmp_path, index_2=first, index_3=second), tmp_path)
    assert sum(record.key.startswith("call-") for record in crawled.records) == 5
    assert [issue.code for issue in crawled.issues] == ["totals_differ"]


class FromSamples(BaseHTTPRequestHandler):
    """Answers below /<host>/<path> what the samples hold, the n-th time the n-th answer."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        question = (self.command, f"https:/{self.path}", json.loads(body) if body else None)
        found = [
            read["response"]
            for file in sorted((SAMPLES / "interreg").glob("*.json"))
            for read in [json.loads(file.read_text("utf-8"))]
            if (read["request"]["method"], read["request"]["url"], read["request"].get("body")) == question
        ]
        self.asked[self.path] += 1
        answer = found[min(self.asked[self.path], len(found)) - 1] if found else {"status": 404, "json": {}}
        file = SAMPLES / "interreg" / answer.get("file", "")
        self.send_response(answer["status"])
        self.send_header("Content-Type", "text/html; charset=utf-8" if file.is_file() else "application/json")
        self.end_headers()
        self.wfile.write(file.read_bytes() if file.is_file() else json.dumps(answer["json"]).encode())

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


def test_a_crawl_of_a_stand_in_asks_nobody_else_and_its_archive_replays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FromSamples)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("FUNDMATCH_BASE_URL__INTERREG", f"http://127.0.0.1:{server.server_port}")
    archive = tmp_path / "interreg" / "20260615T040000Z.warc.gz"
    live = crawl("interreg", tmp_path / "live.jsonl", archive=archive)
    server.shutdown()
    server.server_close()
    assert len(live.records) == len(replayed("interreg", SAMPLES, tmp_path).records)
    assert FromSamples.asked["/example000-dsn.algolia.net/1/indexes/prod_en-us_content/query"] == 2
    again = crawl("interreg", tmp_path / "again.jsonl", replay=archive)
    assert (again.records, again.issues) == (live.records, live.issues)


def test_the_samples_hold_no_key_but_made_up_ones_and_none_in_the_question() -> None:
    for file in (SAMPLES / "interreg").glob("index-*.json"):
        assert "key" not in json.dumps(json.loads(file.read_text("utf-8"))["request"]).lower()
    assert not read_archive(SAMPLES / "interreg").damage


# The programmes' pages


def test_a_call_that_is_open_to_norwegians_only_carries_the_words_that_say_so(tmp_path: Path) -> None:
    records = {record.key: record.fields for record in replayed("interreg", SAMPLES, tmp_path).records}
    open_call, earlier = records["north-sea-call-6"], records["north-sea-call-5"]
    assert (open_call["status"], open_call["title"]) == (
        "open",
        "Interreg North Sea: Call 6 (Norwegian funds only)",
    )
    assert "Partners in other countries cannot get money" in json.dumps(open_call["sections"])
    assert "Stay informed" not in json.dumps(open_call["sections"])
    assert earlier["status"] is None
    assert "Norwegian funding only" in json.dumps(earlier["sections"])
    assert records["nwe-call-3-for-small-scale-projects"]["status"] == "closed"
    assert records["interreg-europe"]["status"] == "All our funds have been committed"
    assert "at any time" in json.dumps(records["deutschland-nederland"]["sections"])


def test_a_call_ends_at_the_next_heading_of_its_level_and_no_date_of_the_page_becomes_its_own() -> None:
    page = """<main><h1>Calls</h1><p>Call 9 will open on 1 March 2027.</p><p>Ask us first.</p>
        <h3>Call 8 (open)</h3><p>Eight.</p><h4>Budget</h4><p>Little.</p>
        <h3>Call 7 is now closed</h3><p>Seven.</p><h2>News</h2><p>Call 9 opens on 2 April.</p></main>"""
    calls = read_calls(page, "https://nweurope.eu/calls-for-projects", NORTH_WEST)
    assert {key: call["status"] for key, call in calls.items()} == {
        "nwe-call-8": "open",
        "nwe-call-7": "closed",
    }
    assert [part["text"] for part in calls["nwe-call-8"]["sections"]] == ["Eight.", "Little."]
    assert [part["text"] for part in calls["nwe-call-7"]["sections"]] == ["Seven."]


def test_what_a_page_with_one_call_says_above_it_goes_with_that_call() -> None:
    page = "<main><p>In 2026 only partners from Norway.</p><h2>Call 5 is open</h2><p>Now.</p></main>"
    (call,) = read_calls(page, "https://www.interregnorthsea.eu/future-calls", NORTH_SEA).values()
    assert [part["text"] for part in call["sections"]] == ["In 2026 only partners from Norway.", "Now."]


def test_two_calls_of_one_number_on_a_page_are_two_calls() -> None:
    page = "<main><h2>Call 3 (closed)</h2><p>A.</p><h2>Call 3 (small projects)</h2><p>B.</p></main>"
    calls = read_calls(page, "https://nweurope.eu/calls-for-projects", NORTH_WEST)
    assert set(calls) == {"nwe-call-3", "nwe-call-3-small-projects"}


def test_a_page_that_is_gone_or_changed_gives_no_record_and_says_so(tmp_path: Path) -> None:
    url = GERMANY.urls[0]
    for page in (
        "<main><h1>Page not found</h1><p>Projects</p></main>",
        "<main><h1>Welcome</h1><p>Nothing here.</p></main>",
        "<div>Projects</div>",
        "<main>Projects</main><main>Projects</main>",
    ):
        with pytest.raises(Unreadable):
            read_programme(page, url, GERMANY)
    assert read_calls("<main><h1>Calls</h1><p>None.</p></main>", url, NORTH_SEA) == {}
    gone = exchange("north-sea-previous")
    gone["response"] = {"status": 404, "text": "gone"}
    empty = exchange("nwe")
    empty["response"] = {
        "status": 200,
        "headers": {"Content-Type": "text/html"},
        "text": "<main><h1>Calls</h1></main>",
    }
    crawled = replayed("interreg", a_copy(tmp_path, north_sea_previous=gone, nwe=empty), tmp_path)
    assert {record.key for record in crawled.records if record.key.startswith(("n",))} == {"north-sea-call-6"}
    assert {(issue.severity, issue.code, issue.key) for issue in crawled.issues} == {
        ("error", "page_missing", None),  # without a key: what it told of is then kept as last read
        ("info", "no_call_listed", "nwe"),
        ("error", "empty_programme", None),
    }


# Kept by hand


def test_the_packaged_schemes_are_whole_and_each_says_when_it_was_checked(tmp_path: Path) -> None:
    entries, faults = read_entries(PACKAGED.read_bytes())
    assert faults == []
    crawled = replayed("evergreen", SAMPLES, tmp_path)
    assert {record.key for record in crawled.records} == {entry.key for entry in entries}
    wbso = next(record for record in crawled.records if record.key == "wbso")
    assert wbso.pages[0].archive_record == "evergreen.yml#wbso"
    assert wbso.pages[0].fetched_at == datetime(2026, 6, 1, tzinfo=UTC)
    assert (wbso.fields["checked_on"], wbso.fields["url"]) == ("2026-06-01", wbso.pages[0].url)
    assert "level" not in wbso.fields
    levels = {record.key: record.fields.get("level") for record in crawled.records}
    assert levels["interreg-deutschland-nederland"] == "interregional"


ENTRY = """
- {key: good, title: T, url: "https://example.nl/t", issuer: I, language: nl, checked_on: 2026-05-01,
   sections: [{heading: "", text: x}]}
"""


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        ("checked_on: 2026-05-01", "status: open", "checked_on"),
        ("checked_on: 2026-05-01", "checked_on: 1780272000", "checked_on"),
        ("issuer: I", "issuer: I, deadlin: 1 mei", "deadlin"),
        ("title: T", "title: 2026", "title"),
        ("title: T", "title: ' '", "title"),
        ("https://example.nl/t", "javascript:alert(1)", "url"),
        ("language: nl", "language: no", "language"),
        ("key: good", "key: Not A Key", "key"),
        ("issuer: I", "issuer: I, level: local", "level"),
        ('[{heading: "", text: x}]', "[]", "sections"),
    ],
)
def test_an_entry_with_a_fault_is_refused_and_the_others_stay(was: str, becomes: str, field: str) -> None:
    assert was in ENTRY
    entries, faults = read_entries((ENTRY.replace(was, becomes) + ENTRY).encode())
    assert [entry.key for entry in entries] == ["good"]
    assert [fault.split(":")[0].split(".")[0] for _, fault in faults] == [field]


def test_an_own_file_replaces_the_packaged_one_and_a_bad_one_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yml"
    monkeypatch.setenv("FUNDMATCH_EVERGREEN", str(own))
    own.write_text(ENTRY + ENTRY)
    crawled = replayed("evergreen", SAMPLES, tmp_path)
    assert [record.pages[0].archive_record for record in crawled.records] == ["own.yml#good"]
    assert [(issue.code, issue.key) for issue in crawled.issues] == [("entry_refused", "good")]
    for text in ("", "key: x", "[", "!!python/object/apply:os.getcwd []"):
        with pytest.raises(Unreadable):
            read_entries(text.encode())
    own.unlink()
    crawled = replayed("evergreen", SAMPLES, tmp_path)
    assert (crawled.records, [issue.code for issue in crawled.issues]) == ((), ["unreadable_file"])
