"""Calls, matches and deadlines as files: Parquet, CSV, Excel and iCalendar. Scraped text stays text."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from duckdb import DuckDBPyRelation

from warehouse.errors import WarehouseError
from warehouse.records import Records

What = Literal["calls", "matches", "deadlines"]
Format = Literal["parquet", "xlsx", "csv", "ics"]

_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
LONGEST_CELL = 32_000  # Excel holds 32,767 characters
ALARM_DAYS = 14


def export(warehouse: Records, what: What, form: Format, out: Path) -> int:
    """Write a table to `out`, aside and moved in place; the number of rows. Raises WarehouseError."""
    tables: dict[str, Callable[[], DuckDBPyRelation]] = {
        "calls": warehouse.calls,
        "matches": warehouse.matches,
        "deadlines": warehouse.deadlines,
    }
    relation = tables[what]()
    aside = out.with_name(f"{out.name}.{os.getpid()}.writing")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            relation.to_parquet(str(aside))
            rows = int(warehouse.sql("SELECT count(*) FROM read_parquet(?)", [str(aside)]).fetchall()[0][0])
        else:
            columns, found = relation.columns, relation.fetchall()
            rows = len(found)
            writer = {"csv": _csv, "xlsx": _excel, "ics": _calendar}[form]
            run = warehouse.latest_run()
            writer(aside, columns, found, run.as_of if run else date.min)
        aside.replace(out)
    except OSError as error:
        raise WarehouseError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):  # gone already where all went well
            aside.unlink()
    return rows


def _plain(value: Any) -> Any:
    """A cell: numbers and days as they are, nested values as JSON, text without control characters."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if value is None or isinstance(value, bool | int | float | date):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _ILLEGAL.sub("", text)[:LONGEST_CELL]


def _csv(out: Path, columns: list[str], rows: Iterable[tuple[Any, ...]], as_of: date) -> None:
    """UTF-8 with a mark, which Excel needs; text that a spreadsheet would compute gets an apostrophe."""

    def cell(value: Any) -> Any:
        plain = _plain(value)
        return f"'{plain}" if isinstance(plain, str) and plain.startswith(_FORMULA) else plain

    with out.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([cell(value) for value in row] for row in rows)


def _excel(out: Path, columns: list[str], rows: list[tuple[Any, ...]], as_of: date) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    sheet = book.create_sheet("fundmatch")
    for number, name in enumerate(columns, start=1):
        longest = max((len(str(row[number - 1] or "")) for row in rows[:200]), default=0)
        sheet.column_dimensions[get_column_letter(number)].width = min(max(longest, len(name)) + 2, 60)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{len(rows) + 1}"

    def cell(name: str, value: Any) -> Any:
        made = WriteOnlyCell(sheet, value=_plain(value))
        if isinstance(value, str):
            made.data_type = "s"  # never a formula, whatever it begins with
            if name == "url" and value.startswith(("https://", "http://")):
                made.hyperlink = value
                made.font = Font(color="0563C1", underline="single")
        return made

    header = [WriteOnlyCell(sheet, value=name) for name in columns]
    for made in header:
        made.font = Font(bold=True)
    sheet.append(header)
    for row in rows:
        sheet.append([cell(name, value) for name, value in zip(columns, row, strict=True)])
    book.save(out)


def _calendar(out: Path, columns: list[str], rows: list[tuple[Any, ...]], as_of: date) -> None:
    """One event a deadline: a whole day where the hour is not stated; an alarm two weeks before."""
    from icalendar import Alarm, Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//fundmatch//deadlines//EN")
    calendar.add("version", "2.0")
    for row in rows:
        call = dict(zip(columns, row, strict=True))
        event = Event()
        event.add("uid", f"{call['call_id']}/{call['kind']}/{call['position']}@fundmatch".replace(" ", "-"))
        event.add("dtstamp", datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC))
        event.add("dtstart", call["at"] or call["on_date"])
        event.add("summary", _plain(f"Deadline: {call['title']}"))
        hour = "" if call["at"] else " The hour is not stated by the source."
        event.add(
            "description",
            _plain(f"{call['kind']} deadline, printed as {call['printed']}.{hour}\n{call['url']}"),
        )
        if str(call["url"]).startswith(("https://", "http://")):
            event.add("url", call["url"])
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", _plain(f"{ALARM_DAYS} days left: {call['title']}"))
        alarm.add("trigger", timedelta(days=-ALARM_DAYS))
        event.add_component(alarm)
        calendar.add_component(event)
    out.write_bytes(calendar.to_ical())
