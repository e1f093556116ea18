"""The warehouse: records survive the round trip, history grows, checks catch, publishing never tears."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT, a_call

from pipeline.schema import (
    Call,
    Claim,
    Consortium,
    Contradiction,
    Deadline,
    Document,
    Eligibility,
    Evidence,
    Feedback,
    Issue,
    Match,
    Organisation,
    Page,
    Participant,
    Participation,
    Profile,
    Project,
    RawCall,
    Rule,
    Run,
    Section,
    SourceHealth,
    Stage,
    Topic,
)
from warehouse.build import Week, build, check, stamp
from warehouse.errors import WarehouseError, WarehouseUnreadable
from warehouse.publish import publish
from warehouse.records import open_records

AS_OF = date(2026, 6, 15)
SEEN = datetime(2026, 6, 15, 5, tzinfo=UTC)


def call(key: str = "1", **more: Any) -> Call:
    own = {"call_id": f"eu_portal:{key}", "title": f"Call {key}", "opens_on": date(2026, 1, 1)}
    return a_call(**own | {"printed": {"title": f"Call {key}"}} | more)


def hostile() -> Call:
    amsterdam = timezone(timedelta(hours=2))
    return call(
        "o'brien\"; DROP TABLE core.calls; --",
        title="=HYPERLINK(\"http://x\") 'quote' \u202e ünï — 日本 \\",
        identifier="X-1",
        status_note="note",
        deadlines=(
            Deadline(at=datetime(2026, 7, 1, 0, 0, tzinfo=amsterdam), printed="1 juli 00:00", kind="stage 1"),
            Deadline(at=date(2026, 9, 1), printed="{'a': \"b\"}", kind="stage 2"),
        ),
        budget_total_eur=2999999.9,
        funding_rate=0.7,
        trl_min=4,
        trl_max=8,
        applicants=("sme", "a,b"),
        regions=("NL11",),
        consortium=Consortium(min_partners=3),
        sections=(Section(heading="", text="x" * 1_000_000), Section(heading="Scope", text="[1, 2]\n{}")),
        printed={"a.b": "=1+1", "": "empty key", "quote'": '"'},
        keywords=("5G",),
        rolling=True,
        allocation="first come",
        funding_rate_sme=0.75,
        checked_on=date(2026, 6, 1),
        documents=tuple(a_document(role, quoted) for role, quoted in (("page", "'"), ("amendment", '"\\'))),
        contradictions=(
            Contradiction(
                field="deadlines",
                claims=(
                    Claim(document_id="a:1", value=[{"at": "2026-01-01"}], printed="tot '1' januari"),
                    Claim(document_id="b:2", value=None, printed='"; DROP'),
                ),
                settled_by="b:2",
            ),
            Contradiction(
                field="grant_max_eur",
                claims=(
                    Claim(document_id="a:1", value=5000.0, printed="€ 5.000"),
                    Claim(document_id="b:2", value="x", printed="€ 6.000"),
                ),
            ),
        ),
    )


def a_document(role: Any, quoted: str) -> Document:
    return Document(
        document_id=f"koop_sru:{role}{quoted}",
        source="koop_sru",
        role=role,
        title=f"=1+1 {quoted}",
        url="https://example.org/x",
        issuer=None,
        published_on=date(2026, 1, 2),
        references=("CVDR1", quoted),
        fetched_at=SEEN,
        page_sha256="c" * 64,
        archive_record="w#2",
        printed={"a": quoted},
    )


PROFILE = Profile(
    id="one",
    name="One",
    kind="sme",
    language="nl",
    label="example",
    pic="999900001",
    designated_hub=False,
    trl=4,
    project_costs_eur=250000.5,
    partners=2,
    partner_countries=("DE", "NL"),
    description="Wij maken sensoren.",
)


def match(call_id: str = "eu_portal:1", rank: int = 1, **more: Any) -> Match:
    base: dict[str, Any] = {
        "profile_id": "one",
        "call_id": call_id,
        "rank": rank,
        "score": 0.5,
        "percentile": 90.0,
        "confidence": "low",
        "eligibility": Eligibility(
            verdict="unknown",
            rules=(
                Rule(rule="time", verdict="pass", clause="x"),
                Rule(rule="a", verdict="unknown", clause=None),
            ),
        ),
        "evidence": (Evidence(profile_text="a", call_text="b", weight=0.25),),
        "reasons": ("Because.",),
    }
    return Match(**base | more)


def week(number: int = 1, **more: Any) -> Week:
    run = Run(
        run_id=f"run{number}",
        as_of=AS_OF + timedelta(weeks=number - 1),
        mode="replay",
        started_at=SEEN + timedelta(weeks=number - 1),
        model="m",
    )
    health = [SourceHealth(source="eu_portal", level="european", state="ok", records=1, last_good_at=SEEN)]
    base: dict[str, Any] = {
        "run": run,
        "calls": [call()],
        "profiles": [PROFILE],
        "matches": [match()],
        "health": health,
    }
    return Week(**base | more)


def published(home: Path, *weeks: Week) -> Path:
    current = home / "warehouse.duckdb"
    for each in weeks:
        aside = home / f"warehouse.{os.getpid()}.building"
        build(each, aside, current if current.exists() else None)
        check(aside)
        publish(aside, current)
    return current


def test_records_survive_the_round_trip(tmp_path: Path) -> None:
    page = Page(url="https://x", fetched_at=SEEN, sha256="0" * 64, archive_record="r")
    raw = RawCall(
        source="eu_portal", key="1", fields={"a": [1, None, {"b": "'"}], "é": "\u2028"}, pages=(page,)
    )
    calls = [call(), hostile()]
    issue = Issue(source="eu_portal", severity="info", code="c", detail="d")
    current = published(tmp_path, week(calls=calls, raw_calls=[raw], issues=[issue]))
    with open_records(current) as warehouse:
        assert warehouse.call_records() == sorted(calls, key=lambda c: (str(c.deadlines[-1].at), c.call_id))
        assert warehouse.raw_calls("eu_portal") == [raw]
        assert warehouse.profile_records() == [PROFILE]
        assert warehouse.match_records("one") == [match()]
        assert warehouse.health() == week().health
        assert warehouse.latest_run() == week().run
        assert warehouse.call("X-1") == hostile()


VERSION = set("version run_id valid_from last_run_id next_run_id valid_to changed seen_on".split())


@pytest.mark.parametrize(
    ("model", "table", "own"),
    [
        (Call, "core.calls", {"content_sha256", "first_seen_on", "last_seen_on", "in_latest_run"}),
        (Profile, "core.profiles", set()),
        (Profile, "core.profile_versions", {"version", "run_id", "last_run_id"}),
        (Call, "core.call_versions", VERSION | {"content_sha256"}),
        (Match, "core.matches", {"as_of", "run_id"}),
        (Run, "core.runs", set()),
        (SourceHealth, "core.source_health", {"run_id"}),
        (Issue, "core.issues", {"run_id"}),
        (RawCall, "raw.calls", set()),
        (Organisation, "core.organisations", set()),
        (Topic, "core.topics", set()),
        (Project, "core.projects", set()),
        (Participant, "core.participants", set()),
        (Participation, "core.participations", set()),
        (Feedback, "core.feedback", set()),
    ],
)
def test_columns_are_the_models_fields(tmp_path: Path, model: Any, table: str, own: set[str]) -> None:
    with open_records(published(tmp_path, week())) as warehouse:
        columns = set(warehouse.sql(f"SELECT * FROM {table}").columns)
    assert columns == set(model.model_fields) | own


def test_reading_again_makes_no_new_version_and_a_change_names_its_fields(tmp_path: Path) -> None:
    read_later = call(fetched_at=SEEN + timedelta(days=7), archive_record="other", status="forthcoming")
    renamed = call(title="New title", status="closed", budget_total_eur=5e6)
    current = published(
        tmp_path, week(1), week(2, calls=[read_later], matches=[]), week(3, calls=[renamed], matches=[])
    )
    with open_records(current) as warehouse:
        versions = warehouse.sql(
            "SELECT version, run_id, list_sort(changed) FROM core.call_versions ORDER BY version"
        ).fetchall()
        assert versions == [
            (1, "run1", []),
            (2, "run2", ["status"]),
            (3, "run3", ["budget_total_eur", "status", "title"]),
        ]
        assert warehouse.sql("SELECT count(*) FROM core.runs").fetchall() == [(3,)]


def test_words_that_jitter_are_no_change_and_a_moved_deadline_is(tmp_path: Path) -> None:
    def stated(day: int, second: int) -> Call:
        printed = f"2026-09-{day:02d}T11:00:{second:02d}"
        deadline = Deadline(at=date(2026, 9, day), printed=printed, kind="single")
        return call(deadlines=(deadline,), printed={"deadlines": printed})

    renamed = stated(1, 58).model_copy(update={"title": "New title"})
    weeks = [stated(1, 7), stated(1, 31), renamed, stated(8, 2)]
    current = published(tmp_path, *(week(n, calls=[c], matches=[]) for n, c in enumerate(weeks, start=1)))
    with open_records(current) as warehouse:
        versions = warehouse.sql("SELECT run_id, list_sort(changed) FROM core.call_versions ORDER BY version")
        assert versions.fetchall() == [("run1", []), ("run3", ["title"]), ("run4", ["deadlines", "title"])]


def test_contradictions_are_a_row_a_claim_and_a_document_leads_to_its_call(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    build(week(calls=[hostile()]), file, None)
    with open_records(file) as warehouse:
        rows = warehouse.sql(
            "SELECT field, document_id, printed, settled_by FROM mart.contradictions"
        ).fetchall()
        assert sorted(rows) == [
            ("deadlines", "a:1", "tot '1' januari", "b:2"),
            ("deadlines", "b:2", '"; DROP', "b:2"),
            ("grant_max_eur", "a:1", "€ 5.000", None),
            ("grant_max_eur", "b:2", "€ 6.000", None),
        ]
        assert warehouse.call("koop_sru:page'") == hostile()


def test_where_a_document_was_read_is_no_change_and_another_document_is(tmp_path: Path) -> None:
    one, again, more = (tmp_path / f"{n}.duckdb" for n in "abc")
    page, amendment = a_document("page", "'"), a_document("amendment", "'")
    build(week(calls=[call(documents=(page,))]), one, None)
    moved = page.model_copy(update={"archive_record": "w#9", "fetched_at": SEEN + timedelta(days=7)})
    build(week(2, calls=[call(documents=(moved,))]), again, one)
    build(week(3, calls=[call(documents=(moved, amendment))]), more, again)
    with open_records(more) as warehouse:
        versions = "SELECT version, changed FROM core.call_versions ORDER BY version"
        assert warehouse.sql(versions).fetchall() == [(1, []), (2, ["documents"])]
        assert warehouse.sql("SELECT last_seen_on FROM core.calls").fetchall() == [(date(2026, 6, 22),)]


def test_a_call_that_vanishes_stays_as_not_seen_since(tmp_path: Path) -> None:
    current = published(
        tmp_path, week(1, calls=[call("1"), call("2")]), week(2, calls=[call("2")], matches=[])
    )
    with open_records(current) as warehouse:
        gone = warehouse.sql(
            "SELECT in_latest_run, last_seen_on FROM core.calls WHERE call_id = 'eu_portal:1'"
        )
        assert gone.fetchall() == [(False, AS_OF)]
        assert [c.call_id for c in warehouse.call_records(open_only=True)] == ["eu_portal:2"]


def test_the_last_run_of_a_day_counts_and_the_one_before_is_kept(tmp_path: Path) -> None:
    again = Run(run_id="again", as_of=AS_OF, mode="replay", started_at=SEEN + timedelta(hours=1), model="m")
    current = published(tmp_path, week(1), week(run=again, matches=[match(score=0.75)]))
    with open_records(current) as warehouse:
        assert [m.score for m in warehouse.match_records("one")] == [0.75]
        assert warehouse.sql("SELECT count(*) FROM core.matches").fetchall() == [(2,)]


def test_the_newest_feedback_counts_and_is_carried_over(tmp_path: Path) -> None:
    def said(verdict: Any, call_id: str, day: int) -> Feedback:
        given_at = SEEN + timedelta(days=day, microseconds=1)
        return Feedback(profile_id="one", call_id=call_id, verdict=verdict, why="'", given_at=given_at)

    first = [said("relevant", "a:1", 2), said("not-for-us", "a:1", 1), said("relevant", "a:2", 1)]
    current = published(tmp_path, week(1, feedback=first), week(2, feedback=[said("cleared", "a:2", 3)]))
    with open_records(current) as warehouse:
        assert warehouse.feedback_records() == [said("relevant", "a:1", 2), said("cleared", "a:2", 3)]


def test_a_second_stage_does_not_keep_a_call_open(tmp_path: Path) -> None:
    stages = (
        Deadline(at=date(2026, 6, 1), printed="p", kind="stage 1"),
        Deadline(at=date(2026, 9, 1), printed="p", kind="stage 2"),
    )
    with pytest.raises(WarehouseError, match="open_after_its_deadline"):
        published(tmp_path, week(calls=[call(deadlines=stages)]))


def test_a_reader_keeps_its_week_while_a_new_one_is_published(tmp_path: Path) -> None:
    current = published(tmp_path, week(1))
    with open_records(current) as old:
        published(tmp_path, week(2, calls=[call("2")], matches=[]))
        assert [c.call_id for c in old.call_records()] == ["eu_portal:1"]
        with open_records(tmp_path) as new:
            assert len(new.call_records()) == 2


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_a_damaged_previous_file_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    current = tmp_path / "warehouse.duckdb"
    current.write_bytes(content)
    with pytest.raises(WarehouseError, match=r"warehouse\.duckdb: not a readable warehouse"):
        build(week(), tmp_path / "new.building", current)
    assert current.read_bytes() == content


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    current = published(tmp_path, week())
    with duckdb.connect(str(current)) as con:
        con.execute("UPDATE core.meta SET schema_version = 99")
    with pytest.raises(WarehouseError, match="newer fundmatch"):
        build(week(2), tmp_path / "new.building", current)


def test_no_warehouse_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="fundmatch run"):
        open_records(tmp_path)


def test_a_damaged_warehouse_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").write_bytes(b"no database at all" * 1000)
    with pytest.raises(WarehouseUnreadable, match="restore a copy"):
        open_records(tmp_path)


def test_unknown_calls_name_near_misses(tmp_path: Path) -> None:
    current = published(tmp_path, week(calls=[call(identifier="HORIZON-CL4-2026-01"), hostile()]))
    with open_records(current) as warehouse, pytest.raises(KeyError, match="HORIZON-CL4-2026-01"):
        warehouse.call("HORIZON-CL4-2026-10")


BUILDER = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from test_warehouse import published, week, call
home = Path({home!r})
print("begun", flush=True)
for number in range(2, 1000):
    published(home, week(number, calls=[call(str(n), deadlines=()) for n in range(1, 300)]))
    print(number, flush=True)
"""


def test_kill_9_at_any_moment_leaves_a_whole_warehouse(tmp_path: Path) -> None:
    current = published(tmp_path, week(1))
    code = BUILDER.format(tests=str(ROOT / "tests"), home=str(tmp_path))
    for number in range(5):
        with open_records(current) as warehouse:
            done = len(warehouse.runs().fetchall())
        child = subprocess.Popen(
            [sys.executable, "-c", code.replace("range(2,", f"range({done + 1},")],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(1 + number % 2):  # begun, and in every second round: a week is published
            assert child.stdout.readline()
        time.sleep(0.05 + number * 0.06)
        child.send_signal(signal.SIGKILL)
        child.wait()
        with open_records(current) as warehouse:
            latest = warehouse.latest_run()
            assert latest is not None
            found = warehouse.sql("SELECT count(*) FROM core.calls WHERE in_latest_run").fetchall()
            assert found == [(299,)] or latest.run_id == "run1"
    with open_records(current) as warehouse:
        done = len(warehouse.runs().fetchall())
    assert done > 1
    published(tmp_path, week(done + 1, calls=[call(deadlines=())]))
    assert not list(tmp_path.glob("*.building*"))


def test_final_times_reach_the_run(tmp_path: Path) -> None:
    aside = tmp_path / "w.building"
    build(week(), aside, None)
    run = week().run.model_copy(
        update={"stages": (Stage(name="s", seconds=1.5, items=2),), "peak_memory_mib": 10.0}
    )
    stamp(aside, run)
    with open_records(aside) as warehouse:
        assert warehouse.latest_run() == run
