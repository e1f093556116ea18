"""Build the week's warehouse aside: last week's history plus this week, in SQL layers, then checked.

DuckDB lets one process write and nobody else read meanwhile, so a new file is built and swapped in.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from pipeline.schema import Call, Feedback, Issue, Match, Organisation, Profile, RawCall, Run, SourceHealth
from warehouse import SCHEMA_VERSION

LARGEST_RECORD = 64 * 1024 * 1024  # bytes of JSON for one record
# What may change without the call having changed: where it was read, what the day makes of its dates, and
# printed words of an unchanged value (the portal's seconds jitter). core/call_versions.sql knows them too.
NOT_CONTENT: Any = {
    **dict.fromkeys(
        (
            "status",
            "status_note",
            "checked_on",
            "fetched_at",
            "page_sha256",
            "archive_record",
            "printed",
        ),
        True,
    ),
    "deadlines": {"__all__": {"printed"}},
    "documents": {"__all__": {"fetched_at", "page_sha256", "archive_record", "printed"}},
}


class WarehouseError(Exception):
    """A warehouse file that cannot be used or must not be published; one line a problem."""


@dataclass(frozen=True)
class Week:
    """Everything one run knows."""

    run: Run
    raw_calls: Sequence[RawCall] = ()
    calls: Sequence[Call] = ()
    profiles: Sequence[Profile] = ()
    matches: Sequence[Match] = ()
    organisations: Sequence[Organisation] = ()
    health: Sequence[SourceHealth] = ()
    issues: Sequence[Issue] = ()
    feedback: Sequence[Feedback] = ()  # all of it; the newest of a profile on a call is kept


def build(week: Week, target: Path, previous: Path | None) -> None:
    """Write a complete warehouse at `target`, which must not exist: `previous`' history and this week.

    Raises WarehouseError when `previous` is damaged or of another schema version.
    """
    rows = _rows(week)
    with rebuilding(target, previous, rows.keys()) as con:
        for table, records in rows.items():
            layer, name = table.split(".")
            columns = {column: kind for column, kind, *_ in con.execute(f"DESCRIBE {table}").fetchall()}
            stage = f"stage_{'raw_' if layer == 'raw' else ''}{name}"
            load(con, stage, columns, records, target)


@contextmanager
def rebuilding(
    target: Path, previous: Path | None, staged: Collection[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Write a complete warehouse at `target`, which must not exist, once the body has made the stage tables.

    `staged` names the tables that are filled from those; all others are carried over from `previous` as they
    are. Raises WarehouseError when `previous` is damaged or of another schema version.
    """
    with duckdb.connect(str(target)) as con:
        con.execute("SET TimeZone = 'UTC'")
        _attach(con, previous)
        for layer in ("raw", "core", "mart"):
            con.execute(f"CREATE SCHEMA {layer}")
        tables = {name: each for layer in ("raw", "core") for name, each in _tables(layer).items()}
        for create, _ in tables.values():
            con.execute(create)
        yield con
        for name, (_, insert) in tables.items():
            own = name in staged or name == "core.meta"
            con.execute(insert if own else f"INSERT INTO {name} FROM prev.{name}")
        con.execute("DETACH prev")
        for statement in statements("mart").values():
            con.execute(statement)
        con.execute("CHECKPOINT")


def check(target: Path) -> None:
    """Run the check layer. Raises WarehouseError naming the offenders, at most five a check."""
    found = []
    with duckdb.connect(str(target), read_only=True) as con:
        for name, query in statements("check").items():
            offenders = [str(why) for (why,) in con.execute(query).fetchmany(6)]
            if offenders:
                told = "; ".join(offenders[:5]) + (" …" if len(offenders) > 5 else "")
                found.append(f"check {name}: {told}")
    if found:
        raise WarehouseError("\n".join(["the new warehouse is not published", *found]))


def stamp(target: Path, run: Run) -> None:
    """Put the run's stage times and peak memory in, which are known only at its end."""
    with duckdb.connect(str(target)) as con:
        con.execute(
            "UPDATE core.runs SET stages = ?, peak_memory_mib = ? WHERE run_id = ?",
            [[stage.model_dump() for stage in run.stages], run.peak_memory_mib, run.run_id],
        )
        con.execute("CHECKPOINT")


def content_sha256(call: Call) -> str:
    """Hash of what a call says, without where and in which words it was read and what the day makes of it."""
    content = call.model_dump(mode="json", exclude=NOT_CONTENT)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def statements(folder: str) -> dict[str, str]:
    """Name → SQL of the files of one folder of `sql/`, in name order."""
    entries = files("warehouse").joinpath("sql", folder).iterdir()
    return {
        entry.name.removesuffix(".sql"): entry.read_text("utf-8")
        for entry in sorted(entries, key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    }


def load(
    con: duckdb.DuckDBPyConnection,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Mapping[str, Any]],
    target: Path,
) -> None:
    """Put rows of JSON values into a new temporary table, one at a time by way of a file beside `target`.

    `columns` are its names and types; what a row lacks is NULL.
    """
    kinds = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
    with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=f"{target.name}.") as stream:
        for row in rows:
            stream.write(json.dumps(row) + "\n")
        stream.flush()
        con.execute(
            f"CREATE TEMP TABLE {table} AS SELECT * FROM read_json(?, format = 'newline_delimited', "  # noqa: S608
            f"maximum_object_size = {LARGEST_RECORD}, columns = {{{kinds}}})",
            [stream.name],
        )


def _tables(layer: str) -> dict[str, tuple[str, str]]:
    """(CREATE, INSERT) of each table of a layer, by its name."""
    found = {}
    for name, text in statements(layer).items():
        create, insert = text.split(");\nINSERT", 1)
        found[f"{layer}.{name}"] = (f"{create});", f"INSERT{insert}")
    return found


def _attach(con: duckdb.DuckDBPyConnection, previous: Path | None) -> None:
    """Attach the previous warehouse as `prev`, or an empty one of the same tables."""
    if previous is None:
        con.execute("ATTACH ':memory:' AS prev")
        for layer in ("raw", "core"):
            con.execute(f"CREATE SCHEMA prev.{layer}")
            for statement, _ in _tables(layer).values():
                con.execute(statement.replace(f"CREATE TABLE {layer}.", f"CREATE TABLE prev.{layer}."))
        return
    quoted = str(previous).replace("'", "''")
    advice = "move it away to start without history, or restore a copy; nothing was changed"
    try:
        con.execute(f"ATTACH '{quoted}' AS prev (READ_ONLY)")
        found = con.execute("SELECT schema_version FROM prev.core.meta").fetchone()
    except duckdb.Error as error:
        line = str(error).splitlines()[0]
        raise WarehouseError(f"{previous}: not a readable warehouse ({line}); {advice}") from error
    if found != (SCHEMA_VERSION,):
        raise WarehouseError(f"{previous}: schema version {found}, not {SCHEMA_VERSION}; {advice}")


def _rows(week: Week) -> dict[str, Iterable[Mapping[str, Any]]]:
    """Table → its rows as JSON values, with the columns that records do not have themselves."""
    run_id, as_of = week.run.run_id, week.run.as_of.isoformat()
    hashes = {call.call_id: content_sha256(call) for call in week.calls}
    return {
        "raw.calls": (raw.model_dump(mode="json") for raw in week.raw_calls),
        "core.calls": (
            call.model_dump(mode="json")
            | {
                "content_sha256": hashes[call.call_id],
                "last_seen_on": max([call.fetched_at, *(document.fetched_at for document in call.documents)])
                .date()
                .isoformat(),
                "in_latest_run": True,
            }
            for call in week.calls
        ),
        "core.call_versions": (
            {
                "call_id": call.call_id,
                "run_id": run_id,
                "valid_from": as_of,
                "content_sha256": hashes[call.call_id],
                "record": call.model_dump(mode="json"),
            }
            for call in week.calls
        ),
        "core.organisations": (o.model_dump(mode="json") for o in week.organisations),
        "core.profiles": (profile.model_dump(mode="json") for profile in week.profiles),
        "core.matches": (
            {"as_of": as_of, "run_id": run_id} | match.model_dump(mode="json") for match in week.matches
        ),
        "core.runs": [week.run.model_dump(mode="json")],
        "core.source_health": ({"run_id": run_id} | h.model_dump(mode="json") for h in week.health),
        "core.issues": ({"run_id": run_id} | issue.model_dump(mode="json") for issue in week.issues),
        "core.feedback": (feedback.model_dump(mode="json") for feedback in week.feedback),
    }
