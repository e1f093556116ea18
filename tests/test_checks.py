"""The check layer: each query finds the fault planted for it, and what it finds is not published."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from test_warehouse import call, match, published, week

from pipeline.schema import Deadline, Eligibility, Evidence, Rule
from warehouse.build import check
from warehouse.errors import WarehouseError
from warehouse.layers import statements

LATE = Deadline(at=date(2026, 6, 1), printed="p", kind="single")
SURE = Rule(rule="time", verdict="pass", clause=None)  # of what? it does not say
CLEAR = Rule(rule="time", verdict="pass", clause="x")
# check → faults in what a week says
TOLD: dict[str, list[dict[str, Any]]] = {
    "call_without_origin": [{"calls": [call(archive_record="")]}, {"calls": [call(page_sha256="0")]}],
    "call_of_unknown_source": [{"health": []}],
    "open_after_its_deadline": [{"calls": [call(deadlines=(LATE,))]}],
    "deadline_without_words": [
        {
            "calls": [call(deadlines=(LATE.model_copy(update={"printed": ""}),), status="closed")],
            "matches": [],
        }
    ],
    "grant_bounds": [
        {"calls": [call(grant_min_eur=2e6, grant_max_eur=1e6)]},
        {"calls": [call(eligible_costs_min_eur=2e6, eligible_costs_max_eur=1e6)]},
    ],
    "value_bounds": [
        {"calls": [call(funding_rate=70.0)]},
        {"calls": [call(funding_rate_sme=1.01)]},
        {"calls": [call(trl_min=6, trl_max=4)]},
        {"calls": [call(trl_max=10)]},
        {"calls": [call(budget_total_eur=0.0)]},
        {"calls": [call(remaining_budget_eur=-1.0)]},
        {"calls": [call(expected_grants=0)]},
    ],
    "match_to_unknown": [{"matches": [match("eu_portal:absent")]}, {"matches": [match(profile_id="nobody")]}],
    "match_ranks": [{"matches": [match(rank=2)]}],
    "match_bounds": [
        {"matches": [match(score=1.5)]},
        {"matches": [match(percentile=-1.0)]},
        {"matches": [match(evidence=(Evidence(profile_text="a", call_text="b", weight=float("nan")),))]},
    ],
    "match_twice": [{"matches": [match(), match(rank=2)]}],
    "verdict_without_clause": [
        {"matches": [match(eligibility=Eligibility(verdict="pass", rules=(SURE,)))]},
        {
            "matches": [
                match(
                    eligibility=Eligibility(verdict="pass", rules=(SURE.model_copy(update={"clause": ""}),))
                )
            ]
        },
    ],
    "verdict_against_rules": [
        {"matches": [match(eligibility=Eligibility(verdict="pass", rules=()))]},
        {"matches": [match(eligibility=Eligibility(verdict="fail", rules=(CLEAR,)))]},
        {"matches": [match(eligibility=Eligibility(verdict="unknown", rules=(CLEAR,)))]},
    ],
}
# check → faults in a built file of two weeks, in which the call has two states and earlier projects are there
DONE: dict[str, list[str]] = {
    "call_twice": ["INSERT INTO core.calls FROM core.calls LIMIT 1"],
    "deadline_unreadable": [
        f'UPDATE core.calls SET deadlines = [struct_update(deadlines[1], "at" := {at})]'
        for at in ("'3 June'", "'2026-02-30'", "'2026-09-01T17:00'", "'2026-09-01T17:00+02:00[x]'", "NULL")
    ],
    "match_ranks": ["UPDATE core.matches SET rank = 7 WHERE run_id = 'run1'"],  # of an earlier run, too
    "participation_of_unknown": ["DELETE FROM core.projects", "DELETE FROM core.participants"],
    "profile_version_gaps": [
        "UPDATE core.profile_versions SET version = 2",
        "INSERT INTO core.profile_versions SELECT * REPLACE (2 AS version) FROM core.profile_versions",
    ],
    "row_of_unknown_run": [
        "DELETE FROM core.runs WHERE run_id = 'run1'",
        "UPDATE core.matches SET run_id = 'lost' WHERE run_id = 'run1'",
        "UPDATE core.call_versions SET run_id = 'lost' WHERE version = 1",
    ],
    "version_gaps": [
        "DELETE FROM core.call_versions WHERE version = 1",
        "DELETE FROM core.call_versions WHERE version = 2",
        "UPDATE core.call_versions SET version = 3 WHERE version = 2",
        "UPDATE core.call_versions SET version = 1",
        "UPDATE core.call_versions SET next_run_id = NULL",
        "UPDATE core.call_versions SET valid_to = '2026-06-20' WHERE version = 1",
    ],
    "version_lost": [
        "DELETE FROM core.call_versions",
        "UPDATE core.call_versions SET content_sha256 = 'other' WHERE version = 2",
        "UPDATE core.call_versions SET last_run_id = 'run1' WHERE version = 2",
        "UPDATE core.calls SET in_latest_run = false",
    ],
}


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, faults in TOLD.items() for fault in faults]
)
def test_a_faulty_week_is_not_published(tmp_path: Path, name: str, fault: dict[str, Any]) -> None:
    good = published(tmp_path, week(1))
    before = good.read_bytes()
    with pytest.raises(WarehouseError, match=f"check {name}: "):
        published(tmp_path, week(2, **fault))
    assert good.read_bytes() == before


@pytest.fixture(scope="module")
def two_weeks(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    home = tmp_path_factory.mktemp("checks")
    built = published(home, week(1), week(2, calls=[call(title="Another title")]))
    with duckdb.connect(str(built)) as con:
        con.execute("INSERT INTO core.projects (project_id) VALUES ('101')")
        con.execute("INSERT INTO core.participants (org_id, name) VALUES ('999', 'A')")
        con.execute("INSERT INTO core.participations VALUES ('101', '999', 'coordinator', 1.0)")
    check(built)
    return built.read_bytes()


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, faults in DONE.items() for fault in faults]
)
def test_each_fault_in_a_file_is_found(tmp_path: Path, two_weeks: bytes, name: str, fault: str) -> None:
    built = tmp_path / "warehouse.duckdb"
    built.write_bytes(two_weeks)
    with duckdb.connect(str(built)) as con:
        assert con.execute(fault).fetchone() != (0,), "the fault is not planted"
    with pytest.raises(WarehouseError, match=f"check {name}: "):
        check(built)


def test_at_most_five_offenders_are_named(tmp_path: Path) -> None:
    calls = [call(str(number), funding_rate=70.0) for number in range(1, 9)]
    with pytest.raises(WarehouseError, match="value_bounds") as told:
        published(tmp_path, week(calls=calls))
    assert str(told.value).count("out of bounds") == 5 and str(told.value).endswith("…")


def test_a_check_that_cannot_be_evaluated_is_a_fault(tmp_path: Path, two_weeks: bytes) -> None:
    built = tmp_path / "warehouse.duckdb"
    built.write_bytes(two_weeks)
    with duckdb.connect(str(built)) as con:
        con.execute("DROP TABLE core.participations")
    with pytest.raises(WarehouseError, match="check participation_of_unknown: cannot be evaluated"):
        check(built)


def test_every_check_has_a_planted_fault() -> None:
    assert statements("check").keys() == TOLD.keys() | DONE.keys()
