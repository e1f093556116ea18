"""What advisers ask the warehouse: changes, past days, why a match, gaps; clear words where it cannot."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT
from test_warehouse import AS_OF, PROFILE, SEEN, call, hostile, match, published, week

from pipeline.schema import Deadline, Eligibility, Feedback, Organisation, Page, Rule, SourceHealth
from warehouse.build import check, upgrade
from warehouse.errors import (
    BadQuery,
    NoWarehouse,
    UnknownCall,
    UnknownDay,
    UnknownProfile,
    WarehouseError,
    WarehouseUnreadable,
)
from warehouse.publish import publish
from warehouse.read import Warehouse, open_warehouse
from warehouse.records import open_records


def ends(*days: str, **more: Any) -> dict[str, Any]:
    kind = more.pop("kind", "single")
    return {"deadlines": tuple(Deadline(at=date.fromisoformat(d), printed=d, kind=kind) for d in days)} | more


# what a call says before and after → the change that is told, with what it was and is
CHANGES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None, list[tuple[Any, ...]]]] = {
    "nothing": (ends("2026-09-01"), ends("2026-09-01"), []),
    "later": (ends("2026-09-01"), ends("2026-10-01"), [("deadline later", "2026-09-01", "2026-10-01")]),
    "earlier": (ends("2026-09-01"), ends("2026-08-01"), [("deadline earlier", "2026-09-01", "2026-08-01")]),
    "the next of two cut-offs is earlier": (
        ends("2026-08-01", "2026-12-01"),
        ends("2026-07-20", "2026-12-01"),
        [("deadline earlier", "2026-08-01, 2026-12-01", "2026-07-20, 2026-12-01")],
    ),
    "stated": (ends(), ends("2026-09-01"), [("deadline stated", None, "2026-09-01")]),
    "one more": (
        ends("2026-09-01"),
        ends("2026-09-01", "2026-12-01"),
        [("deadline stated", "2026-09-01", "2026-09-01, 2026-12-01")],
    ),
    "withdrawn": (ends("2026-09-01"), ends(), [("deadline withdrawn", "2026-09-01", None)]),
    "only its kind": (
        ends("2026-09-01"),
        ends("2026-09-01", kind="cut-off"),
        [("changed", "2026-09-01", "2026-09-01")],
    ),
    "opened": (
        ends("2026-09-01", status="forthcoming"),
        ends("2026-09-01"),
        [("opened", "forthcoming", "open")],
    ),
    "closed early": (
        ends("2026-09-01"),
        ends("2026-09-01", status="closed"),
        [("closed early", "open", "closed")],
    ),
    "closed": (ends("2026-06-18"), ends("2026-06-18", status="closed"), [("closed", "open", "closed")]),
    "more money": (
        ends("2026-09-01", budget_total_eur=1e6),
        ends("2026-09-01", budget_total_eur=2e6),
        [("changed", "1000000.0", "2000000.0")],
    ),
    "a long text": (
        ends("2026-09-01", sections=({"heading": "a", "text": "b"},)),
        ends("2026-09-01", sections=({"heading": "a", "text": "c"},)),
        [("changed", None, None)],
    ),
    "words alone": (ends("2026-09-01"), ends("2026-09-01", printed={"title": "other"}), []),
    "new": (None, ends("2026-09-01"), [("new", None, None)]),
    "gone": (ends("2026-09-01"), None, [("not listed", None, None)]),
}


@pytest.mark.parametrize(("before", "after", "told"), CHANGES.values(), ids=CHANGES.keys())
def test_changes_are_told_as_a_reader_would(
    tmp_path: Path, before: dict[str, Any] | None, after: dict[str, Any] | None, told: list[tuple[Any, ...]]
) -> None:
    weeks = [
        week(number, calls=[call("other"), *([call(**says)] if says is not None else [])], matches=[])
        for number, says in enumerate((before, after), start=1)
    ]
    with open_warehouse(published(tmp_path, *weeks)) as warehouse:
        found = warehouse.sql(
            'SELECT change, "before", "after", on_date FROM mart.changes_this_week'
        ).fetchall()
        assert found == [(*row, AS_OF + timedelta(weeks=1)) for row in told]


def test_changes_since_an_earlier_day_sum_up_and_a_call_comes_back(tmp_path: Path) -> None:
    weeks = [
        week(1, calls=[call("1"), call("2"), call("3")], matches=[match("eu_portal:1")]),
        week(2, calls=[call("1", title="A"), call("3", title="B")], matches=[]),
        week(3, calls=[call("1", title="C"), call("2"), call("3")], matches=[]),
    ]
    with open_warehouse(published(tmp_path, *weeks)) as warehouse:
        told = {(c, f, b, a, i) for c, _, _, f, b, a, *_, i in warehouse.changes(since=AS_OF).fetchall()}
        assert told == {("changed", "title", "Call 1", "C", "eu_portal:1")}  # 3 is as it was, and 2 is back
        this_week = {(row[0], row[-1]) for row in warehouse.changes().fetchall()}
        assert this_week == {
            ("changed", "eu_portal:1"),
            ("listed again", "eu_portal:2"),
            ("changed", "eu_portal:3"),
        }
        assert {row[-1] for row in warehouse.changes("one").fetchall()} == {"eu_portal:1"}
        assert warehouse.changes(since=AS_OF - timedelta(days=1)).fetchall() == []


def known(warehouse: Warehouse) -> dict[str, Any]:
    """What a warehouse tells, but for where calls were last read."""
    asked = {
        "calls": "SELECT call_id, title, status, in_latest_run, first_seen_on FROM core.calls ORDER BY ALL",
        "open": "SELECT call_id, next_deadline, days_left FROM mart.open_calls ORDER BY ALL",
        "profiles": "FROM core.profiles ORDER BY ALL",
        "matches": "FROM mart.matches ORDER BY ALL",
        "changes": "FROM mart.changes_this_week",
        "deadlines": "FROM mart.deadlines_ahead",
        "sources": "FROM mart.source_health ORDER BY ALL",
        "feedback": "FROM core.feedback ORDER BY ALL",
        "versions": "SELECT call_id, version, run_id, last_run_id, next_run_id, valid_to, changed, seen_on "
        "FROM core.call_versions ORDER BY ALL",
        "runs": "FROM core.runs ORDER BY ALL",
    }
    return {name: warehouse.sql(query).fetchall() for name, query in asked.items()}


def test_a_past_day_is_as_it_was_known_then(tmp_path: Path) -> None:
    other = PROFILE.model_copy(update={"description": "Iets anders."})
    said = Feedback(
        profile_id="one", call_id="eu_portal:1", verdict="relevant", given_at=SEEN + timedelta(days=9)
    )
    read_again = {"fetched_at": SEEN + timedelta(weeks=2)}
    weeks = [
        week(1, calls=[call("1"), call("2")], matches=[match(), match("eu_portal:2", 2)]),
        week(2, calls=[call("1", **ends("2026-10-01"))], matches=[match(score=0.25)]),
        week(
            3,
            calls=[call("1", **ends("2026-10-01"), **read_again), call("2"), call("3")],
            profiles=[other],
            matches=[match("eu_portal:3")],
            feedback=[said],
        ),
        week(
            4,
            calls=[call("1", status="closed"), call("3")],
            profiles=[other],
            matches=[match("eu_portal:3")],
            feedback=[said],
        ),
    ]
    then = []
    for each in weeks:
        with open_warehouse(published(tmp_path, each)) as warehouse:
            then.append(known(warehouse))
    with open_warehouse(tmp_path) as warehouse:
        for number, told in enumerate(then):
            day = AS_OF + timedelta(weeks=number)
            past = warehouse.as_of(day)
            assert known(past) == told
            assert known(warehouse.as_of(day + timedelta(days=6))) == told
        assert warehouse.as_of(AS_OF).matches("one").fetchall()[0][3] == 0.5
        assert known(warehouse.as_of(AS_OF + timedelta(weeks=2)).as_of(AS_OF)) == then[0]
        assert known(warehouse) == then[-1]  # the present is not moved by looking back
        with pytest.raises(UnknownDay, match="the first run is of 2026-06-15"):
            warehouse.as_of(AS_OF - timedelta(days=1))


def test_of_two_runs_for_a_day_the_last_is_that_day(tmp_path: Path) -> None:
    first, again = week(1), week(2)
    again = week(run=again.run.model_copy(update={"as_of": AS_OF}), matches=[match(score=0.75)])
    with open_warehouse(published(tmp_path, first, again)) as warehouse:
        assert [row[3] for row in warehouse.as_of(AS_OF).matches("one").fetchall()] == [0.75]


def kept(tmp_path: Path) -> Path:
    """A file of schema 3: three weeks, a moved deadline, a vanished call, feedback, an earlier project."""
    file = tmp_path / "warehouse.duckdb"
    file.write_bytes(gzip.decompress((ROOT / "tests" / "old" / "warehouse-3.duckdb.gz").read_bytes()))
    return file


def test_an_older_file_is_brought_up_whole(tmp_path: Path) -> None:
    old, new = kept(tmp_path), tmp_path / "new.building"
    with pytest.raises(
        WarehouseUnreadable, match=r"older fundmatch \(schema 3, here 5\); bring it up with: fundmatch"
    ):
        open_warehouse(old)
    upgrade(new, old)
    check(new)
    with open_records(new) as warehouse:
        rows = warehouse.sql(
            "SELECT version, run_id, last_run_id, next_run_id, changed, status, title "
            "FROM core.call_versions WHERE call_id = 'eu_portal:1' ORDER BY version"
        ).fetchall()
        assert rows == [
            (1, "run1", "run1", "run2", [], "open", "Call 1"),
            (2, "run2", "run2", "run3", ["deadlines", "budget_total_eur"], "open", "Call 1"),
            (3, "run3", "run3", None, None, "closed", "Call 1"),  # when it closed is not known
        ]
        gone = warehouse.sql(
            "SELECT last_run_id FROM core.call_versions WHERE call_id = 'eu_portal:2'"
        ).fetchall()
        assert gone == [("run1",)]
        assert [m.score for m in warehouse.as_of(AS_OF + timedelta(weeks=1)).match_records("one")] == [0.75]
        assert warehouse.profile_records() == [PROFILE]
        whole = hostile().model_copy(update={"sections": warehouse.call("X-1").sections})
        assert warehouse.call("X-1") == whole
        versions = warehouse.sql(
            "SELECT deadlines[1].printed FROM core.call_versions WHERE identifier = 'X-1'"
        )
        assert versions.fetchall() == [("1 juli 00:00",)]
        assert warehouse.raw_calls("eu_portal")[0].fields == {"a": [1, None, {"b": "'"}], "é": "x"}
        assert [p.title for p in warehouse.project_records(["999900001"], AS_OF)["999900001"]] == ["P"]
        assert len(warehouse.organisations_of("edih")) == 1


def test_a_file_of_schema_4_is_brought_up_and_its_runs_counted_nothing(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_bytes(gzip.decompress((ROOT / "tests" / "old" / "warehouse-4.duckdb.gz").read_bytes()))
    published(tmp_path, week(5, calls=[call("1", **ends("2026-10-01")), call("2")]))
    with open_records(tmp_path) as warehouse:
        rows = warehouse.sql("SELECT run_id, counters FROM core.runs ORDER BY started_at").fetchall()
        assert rows == [(f"run{n}", None) for n in range(1, 6)]
        versions = warehouse.sql(
            "SELECT version, run_id, last_run_id FROM core.call_versions WHERE call_id = 'eu_portal:1'"
        )
        assert (4, "run4", "run5") in versions.fetchall()


def test_a_run_after_an_older_file_goes_on_with_its_history(tmp_path: Path) -> None:
    kept(tmp_path)
    published(
        tmp_path, week(4, calls=[call("1", **ends("2026-10-01")), call("2")], matches=[match("eu_portal:2")])
    )
    with open_warehouse(tmp_path) as warehouse:
        told = {(row[0], row[3], row[-1]) for row in warehouse.changes().fetchall()}
        assert told >= {("opened", "status", "eu_portal:1"), ("listed again", None, "eu_portal:2")}
        assert len(warehouse.runs().fetchall()) == 4


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_that_is_too_old_is_kept_and_named(tmp_path: Path, version: int) -> None:
    file = published(tmp_path, week())
    with duckdb.connect(str(file)) as con:
        con.execute("UPDATE core.meta SET schema_version = ?", [version])
    before = file.read_bytes()
    with pytest.raises(WarehouseError, match="too old to be brought up; move it away"):
        upgrade(tmp_path / "new.building", file)
    assert file.read_bytes() == before


def test_why_a_match_is_as_it_is(tmp_path: Path) -> None:
    with open_warehouse(published(tmp_path, week())) as warehouse:
        found = warehouse.explain("one", "eu_portal:1").fetchall()
        assert found == [
            ("evidence", "", None, "a", "b", 0.25, None),
            ("reason", "Because.", None, None, None, None, None),
            ("rule", "time", "pass", None, "x", None, None),
            ("rule", "a", "unknown", None, None, None, None),
        ]


def test_deadlines_of_a_profile_leave_out_what_it_may_not_or_does_not_want(tmp_path: Path) -> None:
    failing = Rule(rule="time", verdict="fail", clause="x")
    failed = match("eu_portal:2", 2, eligibility=Eligibility(verdict="fail", rules=(failing,)))
    unwanted = match("eu_portal:3", 3, feedback="not-for-us")
    calls = [call(str(n), **ends(f"2026-07-0{n}")) for n in range(1, 5)]
    with open_warehouse(
        published(tmp_path, week(calls=calls, matches=[match(), failed, unwanted]))
    ) as warehouse:
        names = [row[-2] for row in warehouse.deadlines().fetchall()]
        assert names == [f"eu_portal:{n}" for n in range(1, 5)]
        assert [row[-2] for row in warehouse.deadlines("one").fetchall()] == ["eu_portal:1"]
        assert [row[4] for row in warehouse.deadlines(days=17).fetchall()] == [16, 17]


def test_gaps_and_partners_say_what_is_not_known(tmp_path: Path) -> None:
    page = Page(url="https://example.org/", fetched_at=SEEN, sha256="0" * 64, archive_record="r")
    hub = Organisation(org_id="edih:1", source="edih", name="Hub", country="Netherlands", page=page)
    lab = PROFILE.model_copy(
        update={"id": "lab", "kind": "fieldlab", "nuts": ("NL111",), "themes": ("drones",), "pic": None}
    )
    sme = PROFILE.model_copy(update={"nuts": ("NL131",), "themes": ("batteries", "drones")})
    calls = [
        call("1", title="Battery cells and drones", budget_total_eur=1e6),
        call("2", keywords=("Battery management",), budget_total_eur=None),
        call("3", title="Batteries", status="closed"),
    ]
    built = week(calls=calls, profiles=[lab, sme], organisations=[hub], matches=[])
    with open_warehouse(published(tmp_path, built)) as warehouse:
        rows = (
            warehouse.gaps()
            .project("theme, open_calls, budget_eur, companies, labs, gap, lab_names")
            .fetchall()
        )
        assert rows == [
            ("batteries", 2, 1e6, 1, 0, True, []),
            ("drones", 1, 1e6, 1, 1, False, ["One"]),
        ]
        partners = warehouse.partners().project("org_id, origin, projects, newcomer").fetchall()
        assert sorted(partners) == [
            ("edih:1", "edih", None, None),
            ("lab", "profile", None, None),
            ("one", "profile", None, None),  # no earlier projects were imported, so none is known of it
        ]


def test_partners_near_a_call_come_first(tmp_path: Path) -> None:
    new = tmp_path / "new.building"
    upgrade(new, kept(tmp_path))
    publish(new, tmp_path / "warehouse.duckdb")
    topic = call("9", identifier="HORIZON-CL4-2026-TWIN-01-07")
    published(tmp_path, week(4, calls=[topic, call("8", identifier="HORIZON-CL5-2026-D3-01-07")], matches=[]))
    with open_warehouse(tmp_path) as warehouse:
        columns = "org_id, projects, coordinated, eur, newcomer, near"
        near = warehouse.partners("HORIZON-CL4-2026-TWIN-01-07").project(columns).fetchall()
        assert near[0] == ("one", 1, 1, 1000.5, False, 1)
        assert {row[-1] for row in warehouse.partners("eu_portal:8").project(columns).fetchall()} == {0}
        with pytest.raises(UnknownCall, match="did you mean"):
            warehouse.partners("HORIZON-CL4-2026-TWIN-01-70")


def test_a_pot_that_is_nearly_empty(tmp_path: Path) -> None:
    pots = [
        call("1", until_spent=True, budget_total_eur=1e6, remaining_budget_eur=1e5),
        call("2", until_spent=True, budget_total_eur=1e6, remaining_budget_eur=9e5),
        call("3", until_spent=True, remaining_budget_eur=1e3),  # of how much is not stated
        call("4", allocation="ranking", budget_total_eur=1e6, remaining_budget_eur=1e3),
        call("5", allocation="first come", budget_total_eur=1e6, remaining_budget_eur=0.0),
    ]
    with open_warehouse(published(tmp_path, week(calls=pots, matches=[]))) as warehouse:
        rows = warehouse.sql("SELECT call_id, share_left FROM mart.nearly_empty_pots").fetchall()
        assert rows == [("eu_portal:5", 0.0), ("eu_portal:1", 0.1)]


def test_unknown_names_and_queries_with_a_typo_are_told_with_what_there_is(tmp_path: Path) -> None:
    with open_warehouse(published(tmp_path, week())) as warehouse:
        with pytest.raises(
            UnknownProfile, match=r"there is no profile 'ome' in this run; did you mean one\?"
        ):
            warehouse.matches("ome")
        for asks in (warehouse.deadlines, warehouse.changes, lambda name: warehouse.explain(name, "x")):
            with pytest.raises(UnknownProfile):
                asks("nobody")
        with pytest.raises(UnknownCall, match="did you mean eu_portal:1"):
            warehouse.explain("one", "eu_portal:l")
        for query, word in {
            "SELCT 1": "SELCT",
            "FROM mart.matchs": "Did you mean",
            "SELECT titel FROM mart.matches": "title",
            "SELECT 1 +": "syntax error",
        }.items():
            with pytest.raises(BadQuery, match=word) as told:
                warehouse.sql(query)
            assert "mart.open_calls" in str(told.value)
        assert warehouse.sql("SELECT title FROM core.calls WHERE call_id = ?", ["eu_portal:1"]).fetchall()


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM core.calls", "DROP TABLE core.calls", "UPDATE core.meta SET schema_version = 1"],
)
def test_a_reader_cannot_write(tmp_path: Path, query: str) -> None:
    file = published(tmp_path, week())
    before = file.read_bytes()
    with open_warehouse(file) as warehouse, pytest.raises((BadQuery, duckdb.Error)):
        warehouse.sql(query)
    assert file.read_bytes() == before


WRITER = (
    "import duckdb, sys, time; con = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"
)


def test_a_file_that_another_program_writes_is_told_and_can_still_be_replaced(tmp_path: Path) -> None:
    file = published(tmp_path, week(1))
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"open\n"
        with pytest.raises(WarehouseUnreadable, match="another program has it open for writing"):
            open_warehouse(file)
    finally:
        child.kill()
        child.wait()
    with open_warehouse(file) as warehouse:
        assert warehouse.profiles().fetchall()


def test_the_home_is_found_without_being_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path, week())
    monkeypatch.setenv("FUNDMATCH_HOME", str(tmp_path))
    with open_warehouse() as warehouse:
        assert len(warehouse.matches().df()) == 1
        assert warehouse.matches().pl().height == 1
        assert warehouse.matches().to_arrow_table().num_rows == 1
    monkeypatch.delenv("FUNDMATCH_HOME")
    monkeypatch.chdir(tmp_path / os.curdir)
    with pytest.raises(NoWarehouse, match="make one with: fundmatch run"):
        open_warehouse()


def test_source_health_of_a_past_day_is_that_days(tmp_path: Path) -> None:
    broken = [
        SourceHealth(source="eu_portal", level="european", state="broken", records=1, last_good_at=SEEN)
    ]
    with open_warehouse(published(tmp_path, week(1, health=broken), week(2))) as warehouse:
        assert [row[3] for row in warehouse.sources().fetchall()] == ["ok"]
        assert [row[3] for row in warehouse.as_of(AS_OF).sources().fetchall()] == ["broken"]


def test_a_block_that_is_damaged_is_told_where_it_is_read(tmp_path: Path) -> None:
    current = published(tmp_path, week(calls=[call(str(n)) for n in range(2_000)], matches=[]))
    whole = current.read_bytes()
    told = 0
    for place in range(12_288 + 5_000, len(whole), 262_144):
        current.write_bytes(whole[:place] + b"\xff" * 100 + whole[place + 100 :])
        try:
            with open_warehouse(current) as warehouse:
                for read in (warehouse.calls, warehouse.matches, warehouse.deadlines, warehouse.profiles):
                    read().fetchall()
                warehouse.sql("FROM core.call_versions").fetchall()
        except WarehouseUnreadable as error:
            assert "restore a copy" in str(error) and "open for writing" not in str(error)
            told += 1
    assert told
