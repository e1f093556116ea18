"""The EU portal spider against a stand-in with the portal's true faults, and against the sample archive."""

from __future__ import annotations

import gzip
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, SHARED
from hypothesis import given
from hypothesis import strategies as st
from standin_portal import DETAILS, FACET, SEARCH, Answer, StandInPortal, load_records, portal_rows

from crawlers.archive import multipart
from crawlers.crawl import Crawl, CrawlError, crawl
from crawlers.manners import retry_after
from crawlers.settings import user_agent
from crawlers.sources import eu_portal
from pipeline import VERSION
from pipeline.deadlines import on
from pipeline.normalise import normalise

AS_OF = date(2026, 8, 22)  # the last day of the real records


def live(portal: StandInPortal, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Crawl, Path]:
    monkeypatch.setenv("FUNDMATCH_BASE_URL__EU_PORTAL", portal.url)
    archive = home / "archive" / "eu_portal" / "20260822T050000Z-live.warc.gz"
    return crawl("eu_portal", home / "live.jsonl", archive=archive), archive


def codes(crawled: Crawl) -> dict[str, int]:
    found: dict[str, int] = {}
    for issue in crawled.issues:
        found[issue.code] = found.get(issue.code, 0) + 1
    return found


def record(number: int, **more: Any) -> dict[str, Any]:
    """A made-up record in the layout of the real ones."""
    base: dict[str, Any] = {
        "reference": f"{5000 + number}TOPICSen",
        "identifier": f"HORIZON-CL4-2026-01-{number:02d}",
        "title": f"Topic number {number}",
        "display_title": f"Topic number {number}",
        "kind": "1",
        "programme_id": "43108390",
        "programme": "Horizon Europe (HORIZON)",
        "divisions": ["Digital, Industry and Space"],
        "call_identifier": "HORIZON-CL4-2026-01",
        "call_title": "Industry",
        "destination": None,
        "type_of_action": "HORIZON Innovation Actions",
        "status_last": "Open for submission",
        "open_date": "2026-05-01",
        "deadline": "2026-10-01",
        "budget": {
            "totalBudgetEur": 1_000_000 * number,
            "expectedGrants": 2,
            "minContributionEur": 400_000,
            "maxContributionEur": 600_000,
            "years": ["2026"],
        },
        "url": f"https://ec.europa.eu/topic-details/HORIZON-CL4-2026-01-{number:02d}",
        "text": "Expected Outcome:Better sensors. Scope:Work on sensors for metal parts.",
        "text_kind": "full",
        "conditions": None,
        "first_seen": "2026-05-01",
        "last_seen": "2026-08-22",
        "source": "made up",
        "deadline_model": "single-stage",
        "min_contribution": 400_000,
        "max_contribution": 600_000,
        "expected_grants": 2,
        "parent_topic": None,
    }
    return base | more


@pytest.fixture
def few() -> list[dict[str, Any]]:
    return [record(n) for n in range(1, 31)] + [
        record(
            n,
            reference=f"{n}COMPETITIVE_CALLen",
            identifier="HORIZON-CL4-2023-PARENT",
            title="The parent topic",
            display_title=f"Open call {n}",
            call_title=f"Open call {n}",
            kind="8",
            call_identifier=None,
            budget=None,
            parent_topic="HORIZON-CL4-2023-PARENT",
        )
        for n in range(100, 112)
    ]


def test_each_reference_once_in_spite_of_all_faults(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandInPortal(*portal_rows(few), page_cap=10, fault_every=3) as portal:
        found, _ = live(portal, tmp_path, monkeypatch)
        assert portal.faults["429"] and portal.faults["500"]
        assert {entry.user_agent for entry in portal.log} == {user_agent()}
        assert "contact: tests@example.org" in user_agent()
        assert {str(entry.parts["languages"]) for entry in portal.log if entry.parts} == {"['en']"}
        assert any(entry.path == "/robots.txt" for entry in portal.log)
    wanted = {r["reference"] for r in few}
    got = {r.key for r in found.records}
    assert wanted <= got
    legacy = {r.key for r in found.records if r.fields["index"] == eu_portal.LEGACY}
    assert got - wanted == legacy
    assert not [issue for issue in found.issues if issue.severity == "error"]


def test_the_index_is_split_where_it_is_larger_than_its_window(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programmes = ["43108390", "43152860", "43252405"]
    for number, row in enumerate(few):
        row["programme_id"] = programmes[number % 3]
        row["divisions"] = [f"Division {number % 4}"]
    with StandInPortal(*portal_rows(few), window=15, page_cap=5) as portal:
        monkeypatch.setenv("FUNDMATCH_EU_PORTAL_WINDOW", "15")
        found, _ = live(portal, tmp_path, monkeypatch)
        asked = {json.dumps(entry.parts.get("query")) for entry in portal.log if entry.parts}
    assert {r["reference"] for r in few} <= {r.key for r in found.records}
    assert any("frameworkProgramme" in query for query in asked)
    assert any("programmeDivision" in query for query in asked)


def test_a_replay_of_the_warc_gives_the_same_bytes(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandInPortal(*portal_rows(few), page_cap=10) as portal:
        _, archive = live(portal, tmp_path, monkeypatch)
    monkeypatch.delenv(
        "FUNDMATCH_BASE_URL__EU_PORTAL"
    )  # the server is gone and the archive knows where it was
    crawl("eu_portal", tmp_path / "replay.jsonl", replay=archive.parent.parent)
    assert (tmp_path / "replay.jsonl").read_bytes() == (tmp_path / "live.jsonl").read_bytes()


def exchange(answer: Any, number: int = 1, order: int = 0) -> dict[str, Any]:
    """A recorded search page, asked for as the spider asks."""
    url = f"{eu_portal.API}/search?apiKey=SEDIA&text=***&pageSize=100&pageNumber={number}"
    parts = {"query": eu_portal.Slice().query(), "languages": ["en"], "sort": eu_portal.ORDERS[order]}
    return recorded({"method": "POST", "url": url, "parts": parts}, answer)


def recorded(request: dict[str, Any], answer: Any) -> dict[str, Any]:
    body = {"json": answer} if isinstance(answer, dict) else {"text": answer}
    return {
        "request": request,
        "fetched_at": "2026-06-15T05:00:00Z",
        "response": {"status": 200, "headers": {"Content-Type": "application/json"}} | body,
    }


def details(identifier: str, answer: Any) -> dict[str, Any]:
    """A recorded page of topic details."""
    return recorded(
        {"method": "GET", "url": f"{eu_portal.PORTAL}/data/topicDetails/{identifier}.json"}, answer
    )


def found_page(*rows: Any, total: int | None = None, size: int = 100) -> dict[str, Any]:
    """A search answer that holds `rows`; the portal claims `total`, or as many as there are."""
    return {"totalResults": len(rows) if total is None else total, "pageSize": size, "results": list(rows)}


def row(reference: str, **metadata: Any) -> dict[str, Any]:
    base = {
        "type": ["1"],
        "status": ["31094502"],
        "title": ["T"],
        "identifier": [reference],
        "language": ["en"],
    }
    return {"reference": reference, "metadata": base | {"descriptionByte": ["<p>Text</p>"]} | metadata}


def from_exchanges(folder: Path, *exchanges: dict[str, Any]) -> Crawl:
    (folder / "eu_portal").mkdir()
    for number, recording in enumerate(exchanges, start=1):
        (folder / "eu_portal" / f"{number}.json").write_text(json.dumps(recording))
    return crawl("eu_portal", folder / "o.jsonl", replay=folder)


def test_a_query_that_was_ignored_is_an_error_and_not_a_harvest(tmp_path: Path) -> None:
    page = found_page(row("1"), row("2", type=["0"]), total=4_181_618)
    found = from_exchanges(tmp_path, exchange(page))
    assert found.records == ()
    assert "ignored the query" in next(i.detail for i in found.issues if i.code == "search_failed")


def test_a_page_cut_in_half_loses_that_page_and_says_so(tmp_path: Path) -> None:
    whole = found_page(row("1"), row("2"), total=4, size=2)
    found = from_exchanges(tmp_path, exchange(whole), exchange('{"totalResults": 4, "results": [{"refer', 2))
    assert [raw.key for raw in found.records] == ["1", "2"]
    told = {issue.code: issue.severity for issue in found.issues}
    assert told["page_missing"] == "error" and told["totals_differ"] == "warning"


def test_a_scan_stops_once_everything_claimed_is_seen(tmp_path: Path) -> None:
    overlapping = [
        exchange(found_page(row("1"), row("2"), total=4, size=2)),
        exchange(found_page(row("2"), row("3"), total=4, size=2), 2),
    ]
    again = exchange(found_page(row("4"), row("3"), total=4, size=2), order=1)
    not_read = exchange(found_page(row("5"), row("2"), total=4, size=2), 2, order=1)
    found = from_exchanges(tmp_path, *overlapping, again, not_read)
    assert [raw.key for raw in found.records] == ["1", "2", "3", "4"]
    assert found.issues == ()


def test_a_portal_that_stops_answering_is_not_asked_for_every_page(tmp_path: Path) -> None:
    found = from_exchanges(tmp_path, exchange(found_page(row("1"), total=9_000, size=1)))
    assert codes(found)["page_missing"] == 3


def test_a_row_without_reference_is_a_stub_and_the_issue_says_what_it_lacks(tmp_path: Path) -> None:
    nameless = {"metadata": row("x")["metadata"]}
    page = found_page(row("1"), nameless, row("2", title=[], status=[]), row("3", REFERENCE=["3"]))
    found = from_exchanges(tmp_path, exchange(page))
    assert [raw.key for raw in found.records] == ["1", "3"]
    assert [(issue.key, issue.detail) for issue in found.issues] == [
        (None, "a row without reference was left out"),
        ("2", "a row without title, status was left out"),
    ]


def test_a_cascade_call_in_one_other_language_is_kept_beside_calls_of_the_same_parent(tmp_path: Path) -> None:
    parent = {"identifier": ["PARENT"], "type": ["8"]}
    swedish = {"language": ["sv"]}
    page = found_page(
        row("1COMPETITIVE_CALLen", **parent, callTitle=["One"]),
        row("1COMPETITIVE_CALLsv", **parent, callTitle=["Ett"], **swedish),
        row("2COMPETITIVE_CALLsv", **parent, callTitle=["Två"], **swedish),
        row("3HORIZONResearch", identifier=["PARENT"], DATASOURCE=[eu_portal.LEGACY]),
    )
    found = from_exchanges(tmp_path, exchange(page))
    kept = {"1COMPETITIVE_CALLen", "2COMPETITIVE_CALLsv", "3HORIZONResearch"}
    assert {raw.key for raw in found.records} == kept
    assert [issue.key for issue in found.issues] == ["1COMPETITIVE_CALLsv"]


def test_details_cut_in_half_are_asked_for_again(tmp_path: Path) -> None:
    cut = details("t-1", '{"TopicDetails": {"descr')
    whole = details("t-1", {"TopicDetails": {"description": "<p>Here.</p>"}})
    found = from_exchanges(tmp_path, exchange(found_page(row("T-1", descriptionByte=[]))), cut, whole)
    assert found.records[0].fields["sections"] == [{"heading": "", "text": "Here."}]
    assert len(found.records[0].pages) == 2 and found.issues == ()


@pytest.mark.parametrize(
    ("identifier", "answer", "told"),
    [
        ("T-1", {"Topic": {}}, "no TopicDetails"),
        ("T-1", "<html>", "cut off or no JSON"),
        ("T-2", {}, "not in the archive"),
        ("", {}, "no identifier"),
    ],
)
def test_a_topic_without_usable_details_is_kept_and_listed(
    tmp_path: Path, identifier: str, answer: Any, told: str
) -> None:
    bare = row("r", identifier=[identifier], descriptionByte=[])
    found = from_exchanges(tmp_path, exchange(found_page(bare)), details("t-1", answer))
    assert [raw.key for raw in found.records] == ["r"]
    (issue,) = found.issues
    assert (issue.code, issue.key) == ("no_details", "r") and told in issue.detail


@pytest.mark.parametrize(
    "answer",
    [
        {"totalResults": 1, "results": ["not a row"]},
        {"totalResults": "1", "results": []},
        {"error": "down"},
        '{"totalResults": 1, "results": ' + "[" * 100_000,
        "[]",
    ],
)
def test_an_answer_in_another_shape_is_one_listed_fault(tmp_path: Path, answer: Any) -> None:
    found = from_exchanges(tmp_path, exchange(answer))
    assert found.records == ()
    assert codes(found) == {"search_failed": 1}


def test_half_a_character_in_an_answer_does_not_cost_the_crawl(tmp_path: Path) -> None:
    page = found_page(row("1", title=["a \ud800 b"]), row("2"))
    found = from_exchanges(tmp_path, exchange(json.dumps(page)))
    assert [raw.fields["title"] for raw in found.records] == ["a ? b", "T"]


def test_a_slice_that_fails_does_not_cost_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDMATCH_EU_PORTAL_WINDOW", "1")
    query = eu_portal.Slice().query()
    programmes = [{"rawValue": "1"}, {"rawValue": "2"}]  # nothing is recorded for 1
    facets = {"facets": [{"rawName": "frameworkProgramme", "values": programmes}]}
    facet = {"method": "POST", "url": f"{eu_portal.API}/facet?apiKey=SEDIA&text=***"}
    part = exchange(found_page(row("2")))
    part["request"]["parts"]["query"] = eu_portal.Slice((("frameworkProgramme", "2"),)).query()
    found = from_exchanges(
        tmp_path,
        exchange(found_page(row("1"), total=2)),
        recorded(facet | {"parts": {"query": query, "languages": ["en"]}}, facets),
        part,
    )
    assert [raw.key for raw in found.records] == ["1", "2"]
    (failed,) = [issue for issue in found.issues if issue.severity == "error"]
    assert failed.code == "search_failed" and failed.detail.startswith("frameworkProgramme 1: ")


def search_failure(portal: StandInPortal, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the one error says of a crawl that found nothing."""
    found, _ = live(portal, home, monkeypatch)
    assert found.records == ()
    (issue,) = found.issues
    assert (issue.severity, issue.code) == ("error", "search_failed")
    return issue.detail


@pytest.mark.parametrize("whom", ["*", "fundmatch"])
def test_robots_txt_that_forbids_is_a_listed_fault_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whom: str
) -> None:
    with StandInPortal(*portal_rows([])) as portal:
        portal.canned["/robots.txt"] = [
            Answer(200, f"User-agent: {whom}\nDisallow: /api.tech.ec.europa.eu/search-api/".encode())
        ]
        assert "robots.txt" in search_failure(portal, tmp_path, monkeypatch)
        assert [entry.path for entry in portal.log] == ["/robots.txt"]


def test_a_redirect_to_another_host_is_refused_even_after_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandInPortal([], {}) as elsewhere, StandInPortal([], {}) as portal:
        other = elsewhere.url.replace("127.0.0.1", "localhost")
        portal.canned[SEARCH] = [Answer(503, b""), Answer(307, b"", {"Location": f"{other}{SEARCH}"})]
        assert f"{other} is not a host of this source" in search_failure(portal, tmp_path, monkeypatch)
        assert len(portal.log) == 3
        assert elsewhere.log == []


def test_a_redirect_on_the_same_host_is_followed(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in few:
        one["text_kind"] = "excerpt"
    rows, texts = portal_rows(few)
    moved = few[0]["identifier"].lower()
    texts["moved"] = texts.pop(moved)
    with StandInPortal(rows, texts) as portal:
        there = {"Location": f"{DETAILS}moved.json"}
        portal.canned[f"{DETAILS}{moved}.json"] = [Answer(301, b"", there)]
        found, _ = live(portal, tmp_path, monkeypatch)
    raw = next(raw for raw in found.records if raw.key == few[0]["reference"])
    assert raw.fields["sections"] and raw.pages[1].url.endswith("/moved.json")


TOO_LARGE = b'{"results": "' + b"x" * (32 * 1024 * 1024) + b'"}'


@pytest.mark.parametrize(
    "answer",
    [Answer(200, TOO_LARGE), Answer(200, gzip.compress(TOO_LARGE, 1), {"Content-Encoding": "gzip"})],
    ids=["plain", "compressed"],
)
def test_an_answer_beyond_the_size_cap_is_a_listed_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    with StandInPortal([], {}) as portal:
        portal.canned[SEARCH] = [answer]
        assert "larger than a page may be" in search_failure(portal, tmp_path, monkeypatch)
        assert len(portal.log) == 2


def test_retry_after_is_honoured(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandInPortal(*portal_rows(few), page_cap=10, fault_every=4, retry_after=1) as portal:
        live(portal, tmp_path, monkeypatch)
        log = portal.log
    waits = [after.at - entry.at for entry, after in pairwise(log) if entry.fault == "429"]
    assert waits and min(waits) >= 1.0


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 05 Nov 2026 10:00:30 GMT", 30.0),
        ("Thu, 05 Nov 2026 09:00:00 GMT", 0.0),
        ("", 0.0),
        ("-5", 0.0),
        ("\xb2", 0.0),
        ("soon", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(printed: str, seconds: float) -> None:
    assert retry_after(printed, datetime(2026, 11, 5, 10, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("contact", "shown"),
    [("a@b.nl", "a@b.nl"), ("a@b.nl\r\nCookie: x", "a@b.nl Cookie: x"), ("", "no contact set")],
)
def test_the_user_agent_names_us_and_a_contact_in_one_line(
    monkeypatch: pytest.MonkeyPatch, contact: str, shown: str
) -> None:
    monkeypatch.setenv("FUNDMATCH_CONTACT", contact)
    about = "weekly reader of public funding calls"
    assert user_agent() == f"fundmatch/{VERSION} ({about}; contact: {shown})"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FUNDMATCH_BASE_URL__EU_PORTAL", "127.0.0.1:8000"),
        ("FUNDMATCH_BASE_URL__EU_PORTAL", "ftp://127.0.0.1"),
        ("FUNDMATCH_BASE_URL__EU_PORTAL", "http://[half"),
        ("FUNDMATCH_BASE_URL__EU_PORTAL", "http://127.0.0.1:99999"),
        ("FUNDMATCH_DOWNLOAD_DELAY", "soon"),
        ("FUNDMATCH_DOWNLOAD_DELAY", "nan"),
        ("FUNDMATCH_EU_PORTAL_WINDOW", "-1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CrawlError, match=f"{variable} is '") as raised:
        crawl("eu_portal", tmp_path / "o.jsonl", archive=tmp_path / "a.warc.gz")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_portal_that_is_down_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDMATCH_BASE_URL__EU_PORTAL", "http://127.0.0.1:9")
    found = crawl("eu_portal", tmp_path / "o.jsonl", archive=tmp_path / "a.warc.gz")
    assert found.records == ()
    (issue,) = [issue for issue in found.issues if issue.severity == "error"]
    assert issue.code == "search_failed" and "\n" not in issue.detail


def test_an_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CrawlError, match=r"known: .*eu_portal, eureka"):
        crawl("eu_protal", tmp_path / "o.jsonl", replay=SAMPLES)


PRINTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cascade call under its own name": (
        {"type": ["8"], "identifier": ["PARENT-1"], "title": ["Parent"], "callTitle": ["Own name"]},
        {"title": "Own name", "parent_topic": "PARENT-1", "call_title": None},
    ),
    "topic under its title": (
        {"type": ["1"], "title": ["Own"], "callTitle": ["The call"]},
        {"title": "Own", "call_title": "The call", "parent_topic": None},
    ),
    "keywords as a JSON string, without the id": (
        {
            "type": ["1"],
            "title": ["T"],
            "identifier": ["X-1"],
            "keywords": ['["X-1", "water"]'],
            "tags": ["5G"],
        },
        {"keywords": ["water", "5G"]},
    ),
    "budget entry as an object instead of a list": (
        {
            "type": ["1"],
            "title": ["T"],
            "budgetOverview": [
                json.dumps(
                    {
                        "budgetTopicActionMap": {
                            "1": {"action": "X-1 - RIA", "budgetYearMap": {"2026": "2999999.9"}}
                        }
                    }
                )
            ],
        },
        {
            "budget_lines": [
                {
                    "action": "X-1 - RIA",
                    "years": {"2026": "2999999.9"},
                    "grant_min": "",
                    "grant_max": "",
                    "expected_grants": "",
                }
            ]
        },
    ),
    "broken JSON in a string": (
        {"type": ["1"], "title": ["T"], "budgetOverview": ['{"a": ']},
        {"budget_lines": []},
    ),
    "double spaces": (
        {"type": ["1"], "title": ["T"], "typesOfAction": ["HORIZON  Research  Actions"]},
        {"type_of_action": "HORIZON Research Actions"},
    ),
    "text of a cascade call": (
        {
            "type": ["8"],
            "title": ["T"],
            "description": ["<p>Pilots.</p>"],
            "furtherInformation": ["<b>More</b>"],
        },
        {"sections": [{"heading": "", "text": "Pilots."}, {"heading": "", "text": "More"}]},
    ),
    "deadlines of actions": (
        {"type": ["1"], "title": ["T"], "actions": ['[{"deadlineDates": ["2026-09-01", "2027-09-01"]}]']},
        {"deadlines": [], "action_deadlines": ["2026-09-01", "2027-09-01"]},
    ),
    "deadlines of the topic's own budget line": (
        {
            "type": ["1"],
            "title": ["T"],
            "identifier": ["X-1"],
            "budgetOverview": [
                json.dumps(
                    {
                        "budgetTopicActionMap": {
                            "1": [{"action": "X-1 - RIA", "deadlineDates": ["2027-09-01"]}],
                            "2": [{"action": "X-10 - RIA", "deadlineDates": ["2028-09-01"]}],
                        }
                    }
                )
            ],
        },
        {"action_deadlines": ["2027-09-01"]},
    ),
}


@pytest.mark.parametrize("metadata", [True, False], ids=["with metadata", "flat"])
@pytest.mark.parametrize(("printed", "expected"), PRINTED.values(), ids=PRINTED.keys())
def test_read_row(printed: dict[str, Any], expected: dict[str, Any], metadata: bool) -> None:
    whole = {"reference": "r", "metadata": printed} if metadata else {"reference": "r"} | printed
    fields, leftovers = eu_portal.read_row(whole)
    assert {name: fields[name] for name in expected} == expected
    assert not leftovers


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.sampled_from(['{"a": {}}', "[" * 9_999]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PORTAL_FIELDS = """identifier title type status startDate deadlineDate actions budgetOverview keywords tags
    typesOfAction descriptionByte topicConditions budgetTopicActionMap language metadata""".split()


@given(st.dictionaries(st.sampled_from(PORTAL_FIELDS), JSON))
def test_no_row_breaks_the_reading(printed: dict[str, Any]) -> None:
    for whole in ({"metadata": printed}, printed):
        fields, _ = eu_portal.read_row(whole)
        assert isinstance(fields["title"], str) and isinstance(fields["sections"], list)


def test_a_new_field_is_reported() -> None:
    _, leftovers = eu_portal.read_row({"reference": "r", "metadata": {"title": ["T"], "fundingNews": ["x"]}})
    assert list(leftovers) == ["fundingNews"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Crawl:
    return crawl("eu_portal", tmp_path_factory.mktemp("sample") / "o.jsonl", replay=SAMPLES)


def test_the_sample_archive_shows_every_quirk(sample: Crawl) -> None:
    assert len(sample.records) >= 40
    told = codes(sample)
    assert told.keys() >= {"stub_row", "translation", "stale_twin", "no_details"}
    assert not [issue for issue in sample.issues if issue.severity == "error"]
    typed = [normalise(raw, level="european", prose=False, as_of=date(2026, 6, 15)) for raw in sample.records]
    calls = [call for call, _ in typed]
    odd = {issue.code for _, issues in typed for issue in issues}
    assert "stale_row" in odd
    checks: dict[str, Callable[[Any], bool]] = {
        "30 open": lambda c: c.status == "open",
        "1 with a pot": lambda c: c.call_budget_total_eur is not None,
        "20 with own money": lambda c: c.budget_total_eur is not None,
        "8 cascade": lambda c: c.kind == "cascade" and c.parent_topic is not None,
        "2 call for proposals": lambda c: c.kind == "call for proposals",
        "2 two-stage": lambda c: any(d.kind == "stage 2" for d in c.deadlines),
        "1 several cut-offs": lambda c: any(d.kind == "cut-off" for d in c.deadlines),
        "3 with TRL": lambda c: c.trl_max is not None,
        "1 consortium": lambda c: c.consortium.min_partners is not None,
        "40 with text": lambda c: bool(c.sections),
        "2 forthcoming": lambda c: c.status == "forthcoming",
        "2 closed": lambda c: c.status == "closed",
    }
    counts = {name: (sum(map(check, calls)), int(name.split()[0])) for name, check in checks.items()}
    assert not {name: count for name, count in counts.items() if count[0] < count[1]}
    assert not [call.title for call in calls if "[[" in call.title or "  " in call.title]


def letters(text: str) -> str:
    """A text without what markup changes: white space, dashes, colons, and headings over nothing."""
    headings = r"Expected Outcomes?|Expected Impacts?|Objectives?|Scope|Specific Challenge"
    return re.sub(r"\W|_", "", re.sub(headings, "", text))


@pytest.mark.parametrize(
    ("method", "path", "form", "status"),
    [
        ("GET", SEARCH, {}, 405),
        ("GET", "/elsewhere", {}, 404),
        ("GET", f"{DETAILS}T-1.json", {}, 404),
        ("GET", f"{DETAILS}t-1.json", {}, 200),
        ("POST", SEARCH, {"query": {"wildcard": {"title": "x*"}}}, 400),
        ("POST", SEARCH, {"query": {"bool": {"must": [], "should": []}}}, 400),
        ("POST", FACET, {"query": {"bool": {"must": []}}, "sort": {}}, 500),
        ("POST", FACET, {"query": {"bool": {"must": []}}}, 200),
    ],
)
def test_the_stand_in_answers_as_the_portal_does(
    method: str, path: str, form: dict[str, Any], status: int
) -> None:
    body, content_type = multipart(form)
    with StandInPortal([], {"t-1": {"TopicDetails": {}}}, fault_every=99) as portal:
        asked = urllib.request.Request(portal.url + path, body, {"Content-Type": content_type}, method=method)
        try:
            got = urllib.request.urlopen(asked).status
        except urllib.error.HTTPError as error:
            got = error.code
    assert got == status


@pytest.mark.parametrize(
    ("form", "total"),
    [
        ({"languages": ["en"]}, 4_181_618),
        ({"query": {"terms": {"type": ["0"]}}}, 4),  # and the three stubs, which state no type
        ({"query": {"range": {"deadlineDate": {"gte": 1}}}}, 0),
        ({"query": {"bool": {"must": []}}, "sort": {"field": "REFERENCE", "order": "ASC"}}, 0),
    ],
    ids=["no query", "by type", "by date", "sorted by what rows lack"],
)
def test_the_stand_in_ignores_and_drops_what_the_portal_does(form: dict[str, Any], total: int) -> None:
    body, content_type = multipart(form)
    with StandInPortal(*portal_rows([]), fault_every=99) as portal:

        def ask(body: bytes, content_type: str) -> int:
            asked = urllib.request.Request(portal.url + SEARCH, body, {"Content-Type": content_type})
            found: int = json.load(urllib.request.urlopen(asked))["totalResults"]
            return found

        assert ask(body, content_type) == total
        assert ask(json.dumps(form).encode(), "application/json") == 4_181_618
        with pytest.raises(urllib.error.HTTPError, match="500"):
            ask(body.replace(b'; filename="blob"', b""), content_type)


@pytest.mark.shared_data
def test_all_real_records_once_with_provenance_and_replayed_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = load_records(SHARED / "eu_portal" / "calls_2026.jsonl.gz")
    with StandInPortal(*portal_rows(records)) as portal:
        found, archive = live(portal, tmp_path, monkeypatch)
        faults = dict(portal.faults)
    assert faults.keys() >= {"429", "500"}
    keys = [raw.key for raw in found.records]
    assert len(keys) == len(set(keys))
    current = [raw for raw in found.records if raw.fields["index"] != eu_portal.LEGACY]
    assert sorted(raw.key for raw in current) == sorted(r["reference"] for r in records)
    leftover = {raw.fields["identifier"] for raw in found.records} - {r["identifier"] for r in records}
    assert len(found.records) == len(records) + len(leftover) > len(records)
    for raw in found.records:
        call, _ = normalise(raw, level="european", prose=False, as_of=AS_OF)
        assert raw.pages[0].archive_record.startswith(archive.name + "#<urn:uuid:")
        assert len(call.page_sha256) == 64 and call.fetched_at.tzinfo is not None
        if call.status == "open" and call.deadlines:
            assert on(call.deadlines[-1]) >= AS_OF
        if raw.fields["index"] == eu_portal.LEGACY:
            assert call.status == "closed"
    by_reference = {r["reference"]: r for r in records}
    for raw in current:
        call, _ = normalise(raw, level="european", prose=False, as_of=AS_OF)
        truth = by_reference[raw.key]
        assert str(call.opens_on) == truth["open_date"]
        assert truth["deadline"] in [str(on(d)) for d in call.deadlines] or truth["deadline"] is None
        assert call.parent_topic == truth["parent_topic"]
        stated = (truth["budget"] or {}).get("totalBudgetEur")
        assert stated in (None, call.budget_total_eur, call.call_budget_total_eur)
        read = "".join(section.heading + section.text for section in call.sections)
        assert letters(truth["text"] or "") == letters(read)
    monkeypatch.delenv("FUNDMATCH_BASE_URL__EU_PORTAL")
    crawl("eu_portal", tmp_path / "replay.jsonl", replay=archive)
    assert (tmp_path / "replay.jsonl").read_bytes() == (tmp_path / "live.jsonl").read_bytes()
