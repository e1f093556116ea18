"""The EU portal spider against a stand-in with the portal's true faults, and against the sample archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, SHARED
from standin_portal import StandInPortal, load_records, portal_rows

from crawlers.source import Crawl, CrawlError, crawl
from crawlers.sources import eu_portal
from pipeline.normalise import normalise, on

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
        assert {"fundmatch" in entry.user_agent for entry in portal.log} == {True}
        assert any("tests@example.org" in entry.user_agent for entry in portal.log)
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


def exchange(answer: Any, number: int = 1) -> dict[str, Any]:
    """A recorded search page, asked for as the spider asks."""
    url = f"{eu_portal.API}/search?apiKey=SEDIA&text=***&pageSize=100&pageNumber={number}"
    parts = {"query": eu_portal.Slice().query(), "languages": ["en"], "sort": eu_portal.ORDERS[0]}
    body = {"json": answer} if isinstance(answer, dict) else {"text": answer}
    return {
        "request": {"method": "POST", "url": url, "parts": parts},
        "fetched_at": "2026-06-15T05:00:00Z",
        "response": {"status": 200, "headers": {"Content-Type": "application/json"}} | body,
    }


def row(reference: str, **metadata: Any) -> dict[str, Any]:
    base = {
        "type": ["1"],
        "status": ["31094502"],
        "title": ["T"],
        "identifier": [reference],
        "language": ["en"],
    }
    return {"reference": reference, "metadata": base | {"descriptionByte": ["<p>Text</p>"]} | metadata}


def from_exchanges(folder: Path, *answers: Any) -> Crawl:
    (folder / "eu_portal").mkdir()
    for number, answer in enumerate(answers, start=1):
        (folder / "eu_portal" / f"search-{number}.json").write_text(json.dumps(exchange(answer, number)))
    return crawl("eu_portal", folder / "o.jsonl", replay=folder)


def test_a_query_that_was_ignored_is_an_error_and_not_a_harvest(tmp_path: Path) -> None:
    found = from_exchanges(
        tmp_path, {"totalResults": 4_181_618, "pageSize": 100, "results": [row("1"), row("2", type=["0"])]}
    )
    assert found.records == ()
    assert "ignored the query" in next(i.detail for i in found.issues if i.code == "search_failed")


def test_a_page_cut_in_half_loses_that_page_and_says_so(tmp_path: Path) -> None:
    whole = {"totalResults": 4, "pageSize": 2, "results": [row("1"), row("2")]}
    found = from_exchanges(tmp_path, whole, '{"totalResults": 4, "results": [{"refer')
    assert [raw.key for raw in found.records] == ["1", "2"]
    told = {issue.code: issue.severity for issue in found.issues}
    assert told["page_missing"] == "error" and told["totals_differ"] == "warning"


def test_a_portal_that_is_down_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDMATCH_BASE_URL__EU_PORTAL", "http://127.0.0.1:9")
    found = crawl("eu_portal", tmp_path / "o.jsonl", archive=tmp_path / "a.warc.gz")
    assert found.records == ()
    (issue,) = [issue for issue in found.issues if issue.severity == "error"]
    assert issue.code == "search_failed" and "\n" not in issue.detail


def test_an_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CrawlError, match="known: eu_portal"):
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
}


@pytest.mark.parametrize("metadata", [True, False], ids=["with metadata", "flat"])
@pytest.mark.parametrize(("printed", "expected"), PRINTED.values(), ids=PRINTED.keys())
def test_read_row(printed: dict[str, Any], expected: dict[str, Any], metadata: bool) -> None:
    whole = {"reference": "r", "metadata": printed} if metadata else {"reference": "r"} | printed
    fields, leftovers = eu_portal.read_row(whole)
    assert {name: fields[name] for name in expected} == expected
    assert not leftovers


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
    typed = [normalise(raw, level="european", as_of=date(2026, 6, 15)) for raw in sample.records]
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
    for raw in found.records:
        call, _ = normalise(raw, level="european", as_of=AS_OF)
        assert raw.pages[0].archive_record.startswith(archive.name + "#<urn:uuid:")
        assert len(call.page_sha256) == 64 and call.fetched_at.tzinfo is not None
        if call.status == "open" and call.deadlines:
            assert on(call.deadlines[-1]) >= AS_OF
        if raw.fields["index"] == eu_portal.LEGACY:
            assert call.status == "closed"
    by_reference = {r["reference"]: r for r in records}
    for raw in current:
        call, _ = normalise(raw, level="european", as_of=AS_OF)
        truth = by_reference[raw.key]
        assert str(call.opens_on) == truth["open_date"]
        assert truth["deadline"] in [str(on(d)) for d in call.deadlines] or truth["deadline"] is None
        assert call.parent_topic == truth["parent_topic"]
    monkeypatch.delenv("FUNDMATCH_BASE_URL__EU_PORTAL")
    crawl("eu_portal", tmp_path / "replay.jsonl", replay=archive)
    assert (tmp_path / "replay.jsonl").read_bytes() == (tmp_path / "live.jsonl").read_bytes()
