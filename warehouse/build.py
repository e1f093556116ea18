"""Build the week's warehouse aside: last week's history plus this week, in SQL layers, then checked.

DuckDB lets one process write and nobody else read meanwhile, so a new file is built and swapped in.
"""

from __future__ import annotations

import errno
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.schema import Call, Feedback, Issue, Match, Organisation, Profile, RawCall, Run, SourceHealth
from pipeline.themes import named_themes
from warehouse import SCHEMA_VERSION, dictionary
from warehouse.errors import WarehouseError, first_line, other_version
from warehouse.layers import statements, tables, views

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


# columns that a build finds out itself, by comparing with the runs before
_FOUND_OUT = {"core.profile_versions": {"version", "run_id", "last_run_id"}}


@dataclass(frozen=True)
class Week:
    """Everything one run knows."""

    run: Run
    raw_calls: Sequence[RawCall] = ()
    calls: Sequence[Call] = ()
    profiles: Sequence[Profile] = ()
    matches: Iterable[Match] = ()
    organisations: Sequence[Organisation] = ()
    health: Sequence[SourceHealth] = ()
    issues: Sequence[Issue] = ()
    feedback: Sequence[Feedback] = ()  # all of it; the newest of a profile on a call is kept


def build(week: Week, target: Path, previous: Path | None) -> None:
    """Write a complete warehouse at `target`, which must not exist: `previous`' history and this week.

    Raises WarehouseError as `rebuilding` does.
    """
    rows = _rows(week)
    with rebuilding(target, previous, {*rows, "core.call_versions"}) as con:
        for table, records in rows.items():
            layer, name = table.split(".")
            described = con.execute(f"DESCRIBE {table}").fetchall()
            columns = {
                column: kind for column, kind, *_ in described if column not in _FOUND_OUT.get(table, ())
            }
            stage = f"stage_{'raw_' if layer == 'raw' else ''}{name}"
            load(con, stage, columns, records, target)


@contextmanager
def rebuilding(
    target: Path, previous: Path | None, staged: Collection[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Write a complete warehouse at `target`, which must not exist, once the body has made the stage tables.

    `staged` names the tables that are filled from those; all others are carried over from `previous` as they
    are. Raises WarehouseError when `previous` is damaged or newer, and when there is no room for the new one.
    What could not be finished is removed.
    """
    with _with_room(target), _removed_on_failure(target), duckdb.connect(str(target)) as con:
        yield from _rebuilt(con, previous, staged)


@contextmanager
def _with_room(target: Path) -> Iterator[None]:
    """Raise WarehouseError where the body finds no room for the new warehouse."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        else:  # a commit that finds no room is told as another kind of error
            full = isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException)
            full = full or "No space left on device" in str(error)
        if not full:
            raise
        raise WarehouseError(
            f"{target.parent}: the new warehouse cannot be written ({first_line(error)}); "
            "make room there, then run again; what was published stays"
        ) from error


@contextmanager
def _removed_on_failure(target: Path) -> Iterator[None]:
    """Remove the file and its log where the body raises: on a full disk they would be in the way."""
    try:
        yield
    except BaseException:
        for each in (target, target.with_name(f"{target.name}.wal")):
            each.unlink(missing_ok=True)
        raise


def _rebuilt(
    con: duckdb.DuckDBPyConnection, previous: Path | None, staged: Collection[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The work of `rebuilding`, around what makes the stage tables."""
    con.execute("SET TimeZone = 'UTC'")
    _attach(con, previous)
    for layer in ("raw", "core", "mart"):
        con.execute(f"CREATE SCHEMA {layer}")
    stored = {name: each for layer in ("raw", "core") for name, each in tables(layer).items()}
    for create, _ in stored.values():
        con.execute(create)
    yield con
    for name, (_, insert) in stored.items():
        own = name in staged or name == "core.meta"
        con.execute(insert if own else f"INSERT INTO {name} FROM prev.{name}")
    con.execute("DETACH prev")
    for view in views():
        con.execute(view)
    con.execute("; ".join(["BEGIN", *dictionary.comments(dictionary.tables(con)), "COMMIT"]))
    con.execute("CHECKPOINT")


def upgrade(target: Path, previous: Path) -> None:
    """Write at `target`, which must not exist, what `previous` holds, as the present schema has it.

    Raises WarehouseError as `rebuilding` does.
    """
    with rebuilding(target, previous, ()):
        pass


def check(target: Path) -> None:
    """Run the check layer. Raises WarehouseError naming the offenders, at most five a check."""
    found = []
    with duckdb.connect(str(target), read_only=True) as con:
        for name, query in statements("check").items():
            try:
                offenders = [str(why) for (why,) in con.execute(query).fetchmany(6)]
            except duckdb.Error as error:
                offenders = [f"cannot be evaluated ({first_line(error)})"]
            if offenders:
                told = "; ".join(offenders[:5]) + (" …" if len(offenders) > 5 else "")
                found.append(f"check {name}: {told}")
    if found:
        raise WarehouseError("\n".join(["the new warehouse is not published", *found]))


def stamp(target: Path, run: Run) -> None:
    """Put the run's stage times and peak memory in, which are known only at its end.

    Raises WarehouseError where there is no room for them.
    """
    with _with_room(target), _removed_on_failure(target), duckdb.connect(str(target)) as con:
        con.execute(
            "UPDATE core.runs SET stages = ?, peak_memory_mib = ?, counters = ? WHERE run_id = ?",
            [[s.model_dump() for s in run.stages], run.peak_memory_mib, run.counters, run.run_id],
        )
        con.execute("CHECKPOINT")


def content_sha256(call: Call) -> str:
    """Hash of what a call says, without where and in which words it was read and what the day makes of it."""
    content = call.model_dump(mode="json", exclude=NOT_CONTENT)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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


def _attach(con: duckdb.DuckDBPyConnection, previous: Path | None) -> None:
    """Attach the previous warehouse as `prev`: an older one as this schema has it, none as an empty one."""
    if previous is None:
        _empty(con, "prev")
        for layer in ("raw", "core"):
            for statement, _ in tables(layer).values():
                con.execute(statement.replace(f" {layer}.", f" prev.{layer}."))
        return
    quoted = str(previous).replace("'", "''")
    advice = "move it away to start without history, or restore a copy; nothing was changed"
    try:
        con.execute(f"ATTACH '{quoted}' AS given (READ_ONLY)")
        ((found,),) = con.execute("SELECT schema_version FROM given.core.meta").fetchall()
    except (duckdb.Error, ValueError) as error:
        raise WarehouseError(
            f"{previous}: not a readable warehouse ({first_line(error)}); {advice}"
        ) from error
    if found > SCHEMA_VERSION:
        raise WarehouseError(f"{previous}: {other_version(found)}; nothing was changed")
    steps = statements("migrate")
    if lacking := [v for v in range(found, SCHEMA_VERSION) if str(v) not in steps]:
        raise WarehouseError(
            f"{previous}: its schema version {lacking[0]} is too old to be brought up; {advice}"
        )
    if found == SCHEMA_VERSION:
        con.execute("DETACH given")
        con.execute(f"ATTACH '{quoted}' AS prev (READ_ONLY)")
    held = "given"
    for version in range(found, SCHEMA_VERSION):
        own = "prev" if version + 1 == SCHEMA_VERSION else f"schema_{version + 1}"
        _empty(con, own)
        con.execute(steps[str(version)].replace(" old.", f" {held}.").replace(" prev.", f" {own}."))
        held = own


def _empty(con: duckdb.DuckDBPyConnection, catalog: str) -> None:
    con.execute(f"ATTACH ':memory:' AS {catalog}")
    for layer in ("raw", "core"):
        con.execute(f"CREATE SCHEMA {catalog}.{layer}")


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
        "core.call_themes": (
            {"call_id": call.call_id, "theme": theme, "term": term}
            for call in week.calls
            for theme, term in named_themes(call).items()
        ),
        "core.organisations": (o.model_dump(mode="json") for o in week.organisations),
        "core.profile_versions": (profile.model_dump(mode="json") for profile in week.profiles),
        "core.matches": (
            {"as_of": as_of, "run_id": run_id} | match.model_dump(mode="json") for match in week.matches
        ),
        "core.runs": [week.run.model_dump(mode="json")],
        "core.source_health": ({"run_id": run_id} | h.model_dump(mode="json") for h in week.health),
        "core.issues": ({"run_id": run_id} | issue.model_dump(mode="json") for issue in week.issues),
        "core.feedback": (feedback.model_dump(mode="json") for feedback in week.feedback),
    }
