"""Exports: calendars whose events move with a deadline, tables that never compute, Parquet for any engine."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars
import pyarrow.parquet as pq
import pytest
import vobject
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from test_warehouse import AS_OF, PROFILE, call, hostile, match, published, week

from pipeline.schema import Claim, Contradiction, Deadline, Eligibility, Rule
from pipeline.wording import wording
from warehouse import calendar, excel
from warehouse.calendar import State, follow
from warehouse.errors import UnknownProfile, WarehouseError
from warehouse.export import _csv, export
from warehouse.read import Warehouse, open_warehouse

JUNE, JULY, AUGUST = date(2026, 6, 15), date(2026, 7, 15), date(2026, 8, 15)


def on(*days: str, kind: Any = "single") -> tuple[Deadline, ...]:
    return tuple(
        Deadline(at=day, printed=day, kind=kind)
        for day in days  # type: ignore[arg-type]
    )


def state(day: date, *days: str, kind: Any = "single", **more: Any) -> State:
    return State(day, more.pop("status", "open"), on(*days, kind=kind), **more)


# a call's states, since when it is gone → (number, day or moment, sequence, standing) of each event
HISTORIES: dict[str, tuple[list[State], date | None, list[tuple[int, str, int, str]]]] = {
    "as it was": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-09-01")],
        None,
        [(1, "2026-09-01", 0, "CONFIRMED")],
    ),
    "later": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-10-01")],
        None,
        [(1, "2026-10-01", 1, "CONFIRMED")],
    ),
    "later and back": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-10-01"), state(AUGUST, "2026-09-01")],
        None,
        [(1, "2026-09-01", 2, "CONFIRMED")],
    ),
    "one more": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-09-01", "2026-12-01", kind="cut-off")],
        None,
        [(1, "2026-09-01", 0, "CONFIRMED"), (2, "2026-12-01", 0, "CONFIRMED")],
    ),
    "one more before it": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-08-20", "2026-09-01", kind="cut-off")],
        None,
        [(1, "2026-09-01", 0, "CONFIRMED"), (2, "2026-08-20", 0, "CONFIRMED")],
    ),
    "the first of two withdrawn": (
        [state(JUNE, "2026-09-01", "2026-12-01", kind="cut-off"), state(JULY, "2026-12-01", kind="cut-off")],
        None,
        [(1, "2026-09-01", 1, "CANCELLED"), (2, "2026-12-01", 0, "CONFIRMED")],
    ),
    "the first of two is past and drops out": (
        [state(JUNE, "2026-07-01", "2026-12-01", kind="cut-off"), state(JULY, "2026-12-01", kind="cut-off")],
        None,
        [(1, "2026-07-01", 0, "CONFIRMED"), (2, "2026-12-01", 0, "CONFIRMED")],
    ),
    "both cut-offs move over each other's days": (
        [
            state(JUNE, "2026-09-01", "2026-12-01", kind="cut-off"),
            state(JULY, "2026-11-15", "2027-02-15", kind="cut-off"),
        ],
        None,
        [(1, "2026-11-15", 1, "CONFIRMED"), (2, "2027-02-15", 1, "CONFIRMED")],
    ),
    "of two, the nearer is the one that moved": (
        [
            state(JUNE, "2026-09-01", "2026-12-01", kind="cut-off"),
            state(JULY, "2026-12-15"),
        ],
        None,
        [(1, "2026-09-01", 1, "CANCELLED"), (2, "2026-12-15", 1, "CONFIRMED")],
    ),
    "of three rounds the middle one is new": (
        [
            state(JUNE, "2026-09-01", "2026-12-01", kind="cut-off"),
            state(JULY, "2026-09-02", "2026-10-20", "2026-12-02", kind="cut-off"),
        ],
        None,
        [
            (1, "2026-09-02", 1, "CONFIRMED"),
            (2, "2026-12-02", 1, "CONFIRMED"),
            (3, "2026-10-20", 0, "CONFIRMED"),
        ],
    ),
    "single becomes a first stage": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-09-01", kind="stage 1")],
        None,
        [(1, "2026-09-01", 0, "CONFIRMED")],
    ),
    "a second stage is no way in": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-09-01", kind="stage 2")],
        None,
        [(1, "2026-09-01", 1, "CANCELLED")],
    ),
    "the day gets an hour": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-09-01T17:00:00+02:00")],
        None,
        [(1, "2026-09-01 17:00:00+02:00", 1, "CONFIRMED")],
    ),
    "withdrawn and stated again": (
        [state(JUNE, "2026-09-01"), state(JULY), state(AUGUST, "2026-09-01")],
        None,
        [(1, "2026-09-01", 2, "CONFIRMED")],
    ),
    "withdrawn and another stated": (
        [state(JUNE, "2026-09-01"), state(JULY), state(AUGUST, "2026-11-01")],
        None,
        [(1, "2026-09-01", 1, "CANCELLED"), (2, "2026-11-01", 0, "CONFIRMED")],
    ),
    "its documents come to differ": (
        [state(JUNE, "2026-09-01"), state(JULY, disputed=True)],
        None,
        [(1, "2026-09-01", 1, "TENTATIVE")],
    ),
    "and are settled": (
        [state(JUNE, "2026-09-01"), state(JULY, disputed=True), state(AUGUST, "2026-10-01")],
        None,
        [(1, "2026-10-01", 2, "CONFIRMED")],
    ),
    "closed early": (
        [state(JUNE, "2026-09-01"), state(JULY, "2026-09-01", status="closed")],
        None,
        [(1, "2026-09-01", 1, "CANCELLED")],
    ),
    "closed early and open again": (
        [
            state(JUNE, "2026-09-01"),
            state(JULY, "2026-09-01", status="closed"),
            state(AUGUST, "2026-09-01"),
        ],
        None,
        [(1, "2026-09-01", 2, "CONFIRMED")],
    ),
    "closed on its day": (
        [state(JUNE, "2026-07-01"), state(JULY, "2026-07-01", status="closed")],
        None,
        [(1, "2026-07-01", 0, "CONFIRMED")],
    ),
    "prolonged after it was past": (
        [state(JUNE, "2026-07-01"), state(JULY, "2026-09-01")],
        None,
        [(1, "2026-07-01", 0, "CONFIRMED"), (2, "2026-09-01", 0, "CONFIRMED")],
    ),
    "not listed any more": (
        [state(JUNE, "2026-07-01", "2026-09-01", kind="cut-off")],
        JULY,
        [(1, "2026-07-01", 0, "CONFIRMED"), (2, "2026-09-01", 1, "TENTATIVE")],
    ),
    "listed again": (
        [state(JUNE, "2026-09-01"), state(AUGUST, "2026-09-01", returned=True)],
        None,
        [(1, "2026-09-01", 2, "CONFIRMED")],
    ),
    "listed again, later": (
        [state(JUNE, "2026-09-01"), state(AUGUST, "2026-10-01", returned=True)],
        None,
        [(1, "2026-10-01", 2, "CONFIRMED")],
    ),
}


@pytest.mark.parametrize(("states", "gone_on", "told"), HISTORIES.values(), ids=HISTORIES.keys())
def test_an_event_stays_one_through_all_states(
    states: list[State], gone_on: date | None, told: list[tuple[int, str, int, str]]
) -> None:
    found = follow(states, gone_on)
    assert [(e.number, str(e.deadline.at), e.sequence, e.standing) for e in found] == told


DAYS = st.lists(st.dates(date(2026, 6, 1), date(2027, 6, 1)), max_size=4, unique=True).map(sorted)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(DAYS, st.sampled_from(("open", "closed")), st.booleans()), min_size=1, max_size=5))
def test_no_event_is_lost_and_sequences_only_rise(told: list[tuple[list[date], str, bool]]) -> None:
    states = [
        State(JUNE + timedelta(weeks=i), status, on(*map(str, days), kind="cut-off"), returned=back and i > 0)
        for i, (days, status, back) in enumerate(told)
    ]
    before = {event.number: event for event in follow(states[:-1])}
    after = {event.number: event for event in follow(states)}
    assert before.keys() <= after.keys() and list(after) == list(range(1, len(after) + 1))
    for number, event in before.items():
        moved = (event.deadline.at, event.why) != (after[number].deadline.at, after[number].why)
        assert after[number].sequence > event.sequence if moved else after[number].sequence >= event.sequence
    last = states[-1]
    live = {event.deadline.at for event in after.values() if event.why is None or event.why == "closed"}
    assert {d.at for d in last.deadlines} <= live


def events(file: Path) -> dict[str, dict[str, Any]]:
    """UID → the event's properties, read by a library that did not write them."""
    text = file.read_bytes().decode("utf-8")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    found = vobject.readOne(text)
    return {
        event.uid.value: {
            "start": event.dtstart.value,
            "sequence": int(event.sequence.value),
            "status": event.status.value,
            "summary": event.summary.value,
            "description": event.description.value,
            "alarms": [alarm.trigger.value for alarm in event.contents.get("valarm", [])],
            "url": event.contents["url"][0].value if "url" in event.contents else None,
        }
        for event in found.contents.get("vevent", [])
    }


def ics(warehouse: Warehouse, out: Path, *arguments: Any, **more: Any) -> dict[str, dict[str, Any]]:
    export(warehouse, "deadlines", "ics", out, *arguments, **more)
    return events(out)


def test_a_moved_deadline_moves_in_the_calendar(tmp_path: Path) -> None:
    first = week(1, calls=[call("1"), call("2", deadlines=on("2026-09-05"))], matches=[match("eu_portal:1")])
    second = week(
        2, calls=[call("1", deadlines=on("2026-10-01")), call("3", deadlines=on("2026-11-01"))], matches=[]
    )
    with open_warehouse(published(tmp_path, first, second)) as warehouse:
        before = ics(warehouse.as_of(AS_OF), tmp_path / "a.ics")
        after = ics(warehouse, tmp_path / "b.ics")
        own = ics(warehouse, tmp_path / "c.ics", PROFILE.id)
    assert set(before) == {"eu_portal:1/1@fundmatch", "eu_portal:2/1@fundmatch"}
    assert {e["sequence"] for e in before.values()} == {0}
    moved = after["eu_portal:1/1@fundmatch"]
    assert (moved["start"], moved["sequence"], moved["status"]) == (date(2026, 10, 1), 1, "CONFIRMED")
    gone = after["eu_portal:2/1@fundmatch"]
    assert (gone["sequence"], gone["status"]) == (1, "TENTATIVE")
    assert "does not list this call any more" in gone["description"]
    assert after["eu_portal:3/1@fundmatch"]["sequence"] == 0
    # the profile has no match this week, but may have the first week's event: that is brought up
    assert set(own) == {"eu_portal:1/1@fundmatch"}
    assert own["eu_portal:1/1@fundmatch"]["summary"] == "Sluitingsdatum: Call 1"


def test_a_calendar_of_a_profile_leaves_out_what_is_not_for_it(tmp_path: Path) -> None:
    shut = Eligibility(verdict="fail", rules=(Rule(rule="time", verdict="fail", clause="x"),))
    fits = [
        match("eu_portal:1"),
        match("eu_portal:2", rank=2, feedback="not-for-us"),
        match("eu_portal:3", rank=3, eligibility=shut),
    ]
    calls = [call(key) for key in "123"]
    moved = [call(key, deadlines=on("2026-10-01")) for key in "123"]
    weeks = [week(1, calls=calls, matches=fits), week(2, calls=moved, matches=fits)]
    current = published(tmp_path, *weeks)
    with open_warehouse(current) as warehouse:
        assert set(ics(warehouse, tmp_path / "a.ics", PROFILE.id)) == {"eu_portal:1/1@fundmatch"}
        assert ics(warehouse, tmp_path / "b.ics", PROFILE.id, days=3).keys() == {"eu_portal:1/1@fundmatch"}
        with pytest.raises(UnknownProfile):
            ics(warehouse, tmp_path / "c.ics", "none")


def test_days_hours_alarms_and_addresses(tmp_path: Path) -> None:
    current = published(tmp_path, week(calls=[call(url="javascript:alert(1)"), hostile()]))
    with open_warehouse(current) as warehouse:
        found = ics(warehouse, tmp_path / "a.ics")
        again = ics(warehouse, tmp_path / "b.ics")
    assert found == again and (tmp_path / "a.ics").read_bytes() == (tmp_path / "b.ics").read_bytes()
    whole_day = found["eu_portal:1/1@fundmatch"]
    assert whole_day["start"] == date(2026, 9, 1) and whole_day["url"] is None
    assert whole_day["alarms"] == [timedelta(days=-14, hours=9), timedelta(days=-3, hours=9)]
    assert "does not state the hour" in whole_day["description"]
    assert "javascript" not in (tmp_path / "a.ics").read_text("utf-8")
    (moment,) = [event for uid, event in found.items() if uid != "eu_portal:1/1@fundmatch"]
    assert moment["start"] == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert moment["start"].utcoffset() == timedelta(hours=2)
    assert moment["alarms"] == [timedelta(days=-14), timedelta(days=-3)]
    assert "BEGIN:VTIMEZONE\r\nTZID:Europe/Amsterdam" in (tmp_path / "a.ics").read_bytes().decode()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40))
def test_no_text_adds_a_line_to_a_calendar(title: str, printed: str, call_id: str) -> None:
    row = {
        "call_id": f"x:{call_id}",
        "title": title + "\r\nBEGIN:VEVENT\r\nATTACH:file:///etc/passwd",
        "url": "https://x/" + title,
        "valid_from": AS_OF,
        "status": "open",
        "deadlines": [
            {"at": "2026-09-01", "printed": printed + "\nEND:VCALENDAR", "kind": "single", "opens_on": None}
        ],
        "disputed": False,
        "returned": False,
        "gone_on": None,
        "wanted": True,
    }
    made = calendar.write([row], AS_OF, title, wording("en")).decode("utf-8")
    lines = made.split("\r\n")
    assert [lines.count(mark) for mark in ("BEGIN:VEVENT", "END:VCALENDAR", "BEGIN:VALARM")] == [1, 1, 2]
    assert not [line for line in lines if line.startswith("ATTACH")]
    assert all(len(line.encode()) <= 75 for line in lines)
    assert vobject.readOne(made).vevent.status.value == "CONFIRMED"


def test_a_disputed_deadline_is_in_doubt(tmp_path: Path) -> None:
    claims = tuple(Claim(document_id=d, value=[], printed=d) for d in "ab")
    disputed = call("1", deadlines=(), contradictions=(Contradiction(field="deadlines", claims=claims),))
    current = published(
        tmp_path, week(1, calls=[call("1")], matches=[]), week(2, calls=[disputed], matches=[])
    )
    with open_warehouse(current) as warehouse:
        (event,) = ics(warehouse, tmp_path / "a.ics").values()
    assert (event["status"], event["summary"]) == ("TENTATIVE", "Deadline in doubt: Call 1")
    assert "ask before you rely" in event["description"]


def test_a_negative_number_stays_one_in_csv(tmp_path: Path) -> None:
    _csv(tmp_path / "x.csv", ["a", "b"], [[-5.0, "-5.0"]])
    assert (tmp_path / "x.csv").read_text("utf-8-sig") == "a,b\n-5.0,'-5.0\n"


COMPUTED = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\r=1",
    " =1",
    "\u00a0=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    '"=1',
    "'=1",
    "\n=1",
]


@pytest.mark.parametrize("text", COMPUTED)
def test_csv_cells_never_compute(tmp_path: Path, text: str) -> None:
    current = published(
        tmp_path, week(calls=[call(title=text, identifier="a - b = c", budget_total_eur=5.5)], matches=[])
    )
    with open_warehouse(current) as warehouse:
        assert export(warehouse, "calls", "csv", tmp_path / "c.csv") == 1
    with (tmp_path / "c.csv").open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["title"] == "'" + text.replace("\r", "\n")
    assert (row["identifier"], row["budget_total_eur"]) == ("a - b = c", "5.5")
    assert row["deadlines"] == "2026-09-01 (single)"
    assert (tmp_path / "c.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def sheet_of(file: Path) -> tuple[Any, dict[str, Any]]:
    """The first sheet, and its second row by heading."""
    sheet = load_workbook(file).worksheets[0]
    return sheet, dict(zip([cell.value for cell in sheet[1]], sheet[2], strict=True))


def test_excel_has_types_links_filters_and_a_sheet_about(tmp_path: Path) -> None:
    current = published(tmp_path, week(calls=[call(grant_max_eur=250000.0, funding_rate=0.45, trl_min=4)]))
    with open_warehouse(current) as warehouse:
        assert export(warehouse, "calls", "xlsx", tmp_path / "c.xlsx", open_only=True) == 1
        export(warehouse, "matches", "xlsx", tmp_path / "m.xlsx", PROFILE.id)
        export(warehouse, "deadlines", "xlsx", tmp_path / "d.xlsx")
    sheet, row = sheet_of(tmp_path / "c.xlsx")
    assert (row["Grant max (EUR)"].value, row["Grant max (EUR)"].number_format) == (250000, '"€" #,##0')
    assert row["Funding rate"].number_format == "0.##%"
    assert row["Next deadline"].value == datetime(2026, 9, 1) and row["Next deadline"].is_date
    assert row["TRL min"].value == 4 and row["TRL max"].value is None
    assert row["Fetched at (Amsterdam)"].value == datetime(2026, 6, 15, 7)
    assert row["Title"].hyperlink.target == "https://example.org/1"
    assert [cell for cells in sheet.iter_rows() for cell in cells if cell.hyperlink] == [row["Title"]]
    assert sheet.auto_filter.ref.startswith("A1:") and sheet.freeze_panes == "B2"
    assert max(d.width for d in sheet.column_dimensions.values()) <= excel.WIDEST
    about = load_workbook(tmp_path / "c.xlsx")["About"]
    told = {cells[0].value: cells[1].value for cells in about.iter_rows()}
    assert told["What"] == "calls" and "2026-06-15" in told["As known on"]
    assert told["Days left"] and not [name for name, words in told.items() if name and not words]
    _, of_one = sheet_of(tmp_path / "m.xlsx")
    assert list(of_one)[:3] == ["Title", "Rank", "Next deadline"] and "Profile" not in of_one
    assert list(sheet_of(tmp_path / "d.xlsx")[1])[:2] == ["Title", "Date"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=4), st.sampled_from(["=", "+", "@", "", "_x0041_"])
)
def test_excel_keeps_any_text_as_text(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], lead: str
) -> None:
    file = tmp_path_factory.mktemp("excel") / "x.xlsx"
    rows = [[lead + text, "javascript:alert(1)"] for text in texts]
    excel.write(file, ["title", "url"], rows, [("=a", "=b")])
    sheet = load_workbook(file).worksheets[0]
    for (cell, _), (told, _) in zip(sheet.iter_rows(min_row=2), rows, strict=True):
        assert cell.data_type != "f" and cell.hyperlink is None
        assert (cell.value or "").replace("_x005F_", "_") == excel.plain(told)


def test_what_excel_cannot_hold_is_cut_left_plain_or_refused(tmp_path: Path) -> None:
    long, emoji = "x" * 40_000, "😀" * 20_000
    address = "https://example.org/" + "a" * 3_000
    excel.write(tmp_path / "x.xlsx", ["title", "url"], [[long, address], [emoji, None]], [])
    sheet = load_workbook(tmp_path / "x.xlsx").worksheets[0]
    assert len(sheet["A2"].value) <= excel.LONGEST_CELL and sheet["A2"].hyperlink is None
    assert len(sheet["A3"].value.encode("utf-16-le")) // 2 <= excel.LONGEST_CELL
    with pytest.raises(WarehouseError, match="write Parquet or CSV"):
        excel.write(tmp_path / "y.xlsx", ["a"], [["x"]] * (excel.MOST_ROWS + 1), [])
    assert not (tmp_path / "y.xlsx").exists()


@pytest.mark.skipif(
    not shutil.which("soffice") and not os.environ.get("CI"), reason="LibreOffice is not installed"
)
def test_libreoffice_reads_the_same_cells(tmp_path: Path) -> None:
    told = [call("1", title='=HYPERLINK("http://x")', grant_max_eur=1e6), call("2", title="_x0041_ é 日本")]
    with open_warehouse(published(tmp_path, week(calls=told, matches=[]))) as warehouse:
        export(warehouse, "calls", "xlsx", tmp_path / "c.xlsx")
    (tmp_path / "out").mkdir()
    subprocess.run(
        [
            "soffice",
            "--headless",
            f"-env:UserInstallation=file://{tmp_path}/office",
            "--convert-to",
            "xlsx:Calc MS Excel 2007 XML",
            "--outdir",
            tmp_path / "out",
            tmp_path / "c.xlsx",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    sheet, first = sheet_of(tmp_path / "out" / "c.xlsx")
    assert {cell.value for cell in sheet["A"][1:]} == {'=HYPERLINK("http://x")', "_x0041_ é 日本"}
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert first["Title"].hyperlink.target == "https://example.org/1"
    assert sheet.auto_filter.ref
    amounts = [c.value for c in next(col for col in sheet.columns if col[0].value == "Grant max (EUR)")[1:]]
    assert sorted(amounts, key=str) == [1_000_000, None]


@pytest.mark.parametrize("what", ["calls", "matches", "deadlines", "changes"])
def test_parquet_is_the_same_in_pyarrow_polars_and_duckdb(tmp_path: Path, what: Any) -> None:
    weeks = [week(1), week(2, calls=[call("1", title="New"), hostile()])]
    with open_warehouse(published(tmp_path, *weeks)) as warehouse:
        rows = export(warehouse, what, "parquet", tmp_path / "x.parquet")
        own = warehouse.sql("FROM read_parquet(?)", [str(tmp_path / "x.parquet")])
        arrow, frame = pq.read_table(tmp_path / "x.parquet"), polars.read_parquet(tmp_path / "x.parquet")
        assert rows == arrow.num_rows == frame.height > 0
        assert own.columns == arrow.column_names == frame.columns
        assert sorted(frame["title"].to_list()) == sorted(arrow["title"].to_pylist())
    if what == "calls":
        texts = {(s["heading"], len(s["text"])) for sections in frame["sections"] for s in sections}
        assert ("", 1_000_000) in texts
        place = frame["title"].to_list().index("New")
        assert dict(frame["printed"][place]) == {"title": "Call 1"} == dict(arrow["printed"][place].as_py())


BAD: dict[str, tuple[str, str, str]] = {
    "a folder": ("calls", ".", "is a folder"),
    "below a file": ("calls", "w/x.csv", "cannot be written"),
    "a calendar of matches": ("matches", "x.ics", "a calendar holds deadlines"),
}


@pytest.mark.parametrize(("what", "out", "told"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_written_is_told_and_leaves_nothing(
    tmp_path: Path, what: Any, out: str, told: str
) -> None:
    current = published(tmp_path, week())
    (tmp_path / "w").touch()
    form: Any = "ics" if out.endswith("ics") else "csv"
    with open_warehouse(current) as warehouse, pytest.raises(WarehouseError, match=told):
        export(warehouse, what, form, tmp_path / out)
    assert not list(tmp_path.glob("*.writing"))


@pytest.mark.parametrize("form", ["xlsx", "csv", "ics", "parquet"])
def test_a_full_disk_keeps_the_file_that_was_there(tmp_path: Path, form: Any) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    out = tmp_path / f"x.{form}"
    out.write_text("before")
    out.with_name(f"{out.name}.{os.getpid()}.writing").symlink_to(full)
    with open_warehouse(published(tmp_path, week())) as warehouse, pytest.raises(WarehouseError) as told:
        export(warehouse, "deadlines", form, out)
    assert os.strerror(errno.ENOSPC) in str(told.value) or "cannot be written" in str(told.value)
    assert out.read_text() == "before" and not list(tmp_path.glob("*.writing"))
