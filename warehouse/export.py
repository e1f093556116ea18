"""What advisers take along: calls, matches, deadlines and changes as Excel, CSV, Parquet or a calendar.

Excel and CSV hold what people read, a table's title first; Parquet holds every column. A file is written
aside and moved in place. Scraped text stays text in all of them.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from pipeline.wording import wording
from warehouse import excel
from warehouse.errors import WarehouseError, first_line
from warehouse.layers import statements
from warehouse.read import Relation, Warehouse

What = Literal["calls", "matches", "deadlines", "changes"]
Format = Literal["xlsx", "csv", "parquet", "ics"]
FORMATS: tuple[Format, ...] = ("xlsx", "csv", "parquet", "ics")

# whose comments tell what the columns are
_TOLD_BY = {
    "calls": "mart.open_calls",
    "matches": "mart.matches",
    "deadlines": "mart.deadlines_ahead",
    "changes": "mart.changes_since",
}
# columns of a call that are for programs, or too long for a cell
_NOT_FOR_PEOPLE = {
    "printed",
    "sections",
    "conditions",
    "documents",
    "contradictions",
    "content_sha256",
    "page_sha256",
    "archive_record",
    "position",
}
_FIRST = ("title", "change", "next_deadline", "on_date", "at", "days_left", "status", "deadlines")
# a spreadsheet computes what begins so, also after spaces or a quote, and in full width
_COMPUTED = re.compile(r"[\s\"'\u00a0\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def export(
    warehouse: Warehouse,
    what: What,
    form: Format,
    out: Path,
    profile_id: str | None = None,
    *,
    days: int | None = None,
    open_only: bool = False,
) -> int:
    """Write a table to `out`; the number of its rows, in a calendar of its events.

    With a profile: its matches, and the deadlines and changes of its calls. `days` is for deadlines,
    `open_only` for calls. Raises UnknownProfile, and WarehouseError where the form cannot hold it or the file
    cannot be written.
    """
    if form == "ics" and what != "deadlines":
        raise WarehouseError(f"a calendar holds deadlines, not {what}; write xlsx, csv or parquet")
    if out.is_dir():
        raise WarehouseError(f"{out}: is a folder; name a file in it, such as {out / f'{what}.{form}'}")
    relation = _relation(warehouse, what, profile_id, days, open_only)
    aside = out.with_name(f"{out.name}.{os.getpid()}.writing")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            rows = _parquet(aside, warehouse, relation)
        elif form == "ics":
            rows = _calendar(aside, warehouse, relation, profile_id)
        else:
            columns, found = _for_people(relation, of_one=profile_id is not None)
            rows = len(found)
            if form == "csv":
                _csv(aside, columns, found)
            else:
                excel.write(aside, columns, found, _about(warehouse, what, profile_id, columns, rows))
        aside.replace(out)
    except (OSError, duckdb.IOException) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise WarehouseError(f"{out}: cannot be written ({told})") from error
    finally:
        with contextlib.suppress(OSError):  # gone already where all went well
            aside.unlink()
    return rows


def _relation(
    warehouse: Warehouse, what: What, profile_id: str | None, days: int | None, open_only: bool
) -> Relation:
    if what == "calls":
        return warehouse.calls(open_only=open_only)
    if what == "matches":
        return warehouse.matches(profile_id)
    if what == "changes":
        return warehouse.changes(profile_id)
    return warehouse.deadlines(profile_id, days=days)


def _parquet(aside: Path, warehouse: Warehouse, relation: Relation) -> int:
    relation.to_parquet(str(aside), compression="zstd")
    ((rows,),) = warehouse.sql("SELECT count(*) FROM read_parquet(?)", [str(aside)]).fetchall()
    return int(rows)


def _for_people(relation: Relation, *, of_one: bool) -> tuple[list[str], list[list[Any]]]:
    """Columns that people read, the title and the days first, and rows with nested values in words.

    `of_one`: all rows are of one profile, which then is no column.
    """
    hidden = _NOT_FOR_PEOPLE | ({"profile", "profile_id"} if of_one else set())
    shown = [name for name in relation.columns if name not in hidden]
    first = [name for name in _FIRST if name in shown]
    if "rank" in shown:
        first = ["title", *(name for name in ("profile", "rank") if name in shown), *first[1:]]
    last = [name for name in shown if name.endswith("_id") or name == "url"]
    columns = first + [name for name in shown if name not in first + last] + last
    places = [relation.columns.index(name) for name in columns]
    return columns, [[_in_words(row[place]) for place in places] for row in relation.fetchall()]


def _in_words(value: Any) -> Any:
    """A nested value as text: "a; b" of a list, "name: value" of what is known of a record."""
    if isinstance(value, dict):
        if "at" in value:  # a deadline
            return f"{value['at']} ({value['kind']})"
        told = (f"{name.replace('_', ' ')}: {_in_words(v)}" for name, v in value.items() if v is not None)
        return ", ".join(told) or None
    if isinstance(value, list | tuple):
        return "; ".join(str(_in_words(each)) for each in value) or None
    return value


def _csv(out: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Commas and quotes as RFC 4180 has them, UTF-8 with the mark that Excel needs.

    Text that a spreadsheet would compute gets an apostrophe; numbers are left as they are.
    """

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value.isoformat() if isinstance(value, date) else value
        told = excel.plain(value)
        return f"'{told}" if _COMPUTED.match(told) else told

    with out.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([cell(value) for value in row] for row in rows)


def _calendar(out: Path, warehouse: Warehouse, wanted: Relation, profile_id: str | None) -> int:
    """Events of the deadlines wanted, and of those moved or withdrawn that an earlier calendar may have."""
    from warehouse import calendar

    said = wording("en")
    name = said["calendar"]["name"]
    if profile_id is not None:
        ((called, language),) = warehouse.sql(
            "SELECT name, language FROM core.profiles WHERE id = ?", [profile_id]
        ).fetchall()
        said = wording(language)
        name = said["calendar"]["name_of"].format(name=called)
    calls = sorted({call_id for (call_id,) in wanted.project("call_id").fetchall()})
    rows = _states(warehouse, calls, profile_id)
    ((as_of,),) = warehouse.sql("SELECT as_of FROM mart.latest_run").fetchall()
    made = calendar.write(rows, as_of, name, said)
    out.write_bytes(made)
    return made.count(b"BEGIN:VEVENT\r\n")


def deadline_states(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """Call id → its states as far as deadlines go, oldest first, each as `calendar.write` reads them."""
    calls = [call_id for (call_id,) in warehouse.sql("SELECT call_id FROM core.calls").fetchall()]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _states(warehouse, calls, None):
        if row["wanted"]:
            found.setdefault(row["call_id"], []).append(row)
    return found


def _states(warehouse: Warehouse, calls: Sequence[str], profile_id: str | None) -> list[dict[str, Any]]:
    states = warehouse.sql(statements("export")["deadline_states"], [list(calls), profile_id])
    return [dict(zip(states.columns, row, strict=True)) for row in states.fetchall()]


def _about(
    warehouse: Warehouse, what: What, profile_id: str | None, columns: Sequence[str], rows: int
) -> list[tuple[str, str]]:
    """What the rows are, of which run, and what each column means."""
    from warehouse.dictionary import columns as told

    ((run_id, as_of),) = warehouse.sql("SELECT run_id, as_of FROM mart.latest_run").fetchall()
    says = told(_TOLD_BY[what])
    return [
        ("fundmatch", "Funding calls and their fit, as read from the sources' own pages"),
        ("What", f"{what} of {profile_id}" if profile_id else what),
        ("As known on", f"{as_of} (run {run_id})"),
        ("Rows", str(rows)),
        ("An empty cell", "is not stated by the source, so unknown; never zero, never no"),
        ("A rank or a score", "orders calls by how well they fit; it says nothing of the chance of winning"),
        ("What counts", "is the call's own page; the title leads there"),
        ("", ""),
        ("Column", "What it is"),
        *((excel.heading(name, ()), says.get(name, "")) for name in columns),
    ]
