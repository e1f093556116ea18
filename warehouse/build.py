"""Build the week's warehouse aside: last week's history plus this week, in SQL layers, then checked.

DuckDB lets one process write and nobody else read meanwhile, so a new file is built and swapped in.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from pipeline.schema import Call, Issue, Match, Organisation, Profile, RawCall, Run, SourceHealth
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


def build(week: Week, target: Path, previous: Path | None) -> None:
    """Write a complete warehouse at `target`, which must not exist: `previous`' history and this week.

    Raises WarehouseError when `previous` is damaged or of another schema version.
    """
    with duckdb.connect(str(target)) as con:
        con.execute("SET TimeZone = 'UTC'")
        _attach(con, previous)
        for layer in ("raw", "core", "mart"):
            con.execute(f"CREATE SCHEMA {layer}")
        for layer in ("raw", "core"):
            for statement, _ in _tables(layer):
                con.execute(statement)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as folder:
            for table, rows in _rows(week).items():
                _stage(con, table, rows, Path(folder))
        for layer in ("raw", "core"):
            for _, statement in _tables(layer):
                con.execute(statement)
        con.execute("DETACH prev")
        for statement in _sql("mart").values():
            con.execute(statement)
        con.execute("CHECKPOINT")


def check(target: Path) -> None:
    """Run the check layer. Raises WarehouseError naming the offenders, at most five a check."""
    found = []
    with duckdb.connect(str(target), read_only=True) as con:
        for name, query in _sql("check").items():
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


def _sql(layer: str) -> dict[str, str]:
    """Name → SQL of a layer's files, in name order."""
    folder = files("warehouse").joinpath("sql", layer)
    return {
        entry.name.removesuffix(".sql"): entry.read_text("utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    }


def _tables(layer: str) -> list[tuple[str, str]]:
    """(CREATE, INSERT) of each table of a layer."""
    found = []
    for text in _sql(layer).values():
        create, insert = text.split(");\nINSERT", 1)
        found.append((f"{create});", f"INSERT{insert}"))
    return found


def _attach(con: duckdb.DuckDBPyConnection, previous: Path | None) -> None:
    """Attach the previous warehouse as `prev`, or an empty one of the same tables."""
    if previous is None:
        con.execute("ATTACH ':memory:' AS prev")
        for layer in ("raw", "core"):
            con.execute(f"CREATE SCHEMA prev.{layer}")
            for statement, _ in _tables(layer):
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
    }


def _stage(
    con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]], folder: Path
) -> None:
    """Load rows into a temporary table with the columns of `table`; absent ones are NULL."""
    layer, name = table.split(".")
    file = folder / f"{name}.ndjson"
    with file.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row) + "\n")
    described = con.execute(f"DESCRIBE {table}").fetchall()
    columns = ", ".join(f"'{column}': '{kind}'" for column, kind, *_ in described)
    stage = f"stage_{'raw_' if layer == 'raw' else ''}{name}"
    con.execute(
        f"CREATE TEMP TABLE {stage} AS SELECT * FROM read_json(?, format = 'newline_delimited', "  # noqa: S608
        f"maximum_object_size = {LARGEST_RECORD}, columns = {{{columns}}})",
        [str(file)],
    )
    file.unlink()
