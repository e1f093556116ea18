"""What advisers and the command line read: the published warehouse, opened read-only.

with open_warehouse("data") as warehouse:
    warehouse.matches("profile-id").df()
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb

from pipeline.schema import (
    Call,
    Feedback,
    Match,
    Organisation,
    Profile,
    Project,
    RawCall,
    Record,
    Run,
    SourceHealth,
)
from warehouse import SCHEMA_VERSION

R = TypeVar("R", bound=Record)


class WarehouseUnreadable(Exception):
    """The published file cannot be opened; one line that says what to do."""


class NoWarehouse(FileNotFoundError):
    """Nothing was published yet; one line that says what to do."""


class UnknownCall(KeyError):
    """No call, or several, go by that name; one line with near misses."""

    def __str__(self) -> str:
        return str(self.args[0])


class Warehouse:
    """A read-only connection with few methods. Relations offer `.df()`, `.pl()`, `.arrow()`, `.show()`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._con = connection
        self._con.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._con.close()

    def sql(self, query: str, params: list[Any] | None = None) -> duckdb.DuckDBPyRelation:
        """Any query, with `?` for parameters, as a relation."""
        return self._con.sql(query, params=params or None)

    def calls(
        self, query: str | None = None, *, open_only: bool = False, level: str | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Calls by last deadline; `query`: words that must all occur in title, ids, keywords or text."""
        source = "mart.open_calls" if open_only else "core.calls"
        where, params = ["true"], []
        for word in (query or "").split():
            where.append(
                "contains(lower(concat_ws(' ', title, identifier, call_identifier, call_title, call_id, "
                "CAST(keywords AS VARCHAR), CAST(sections AS VARCHAR))), lower(?))"
            )
            params.append(word)
        if level:
            where.append("level = ?")
            params.append(level)
        return self.sql(
            f"SELECT * FROM {source} WHERE {' AND '.join(where)} "  # noqa: S608  (our own words only)
            "ORDER BY deadlines[-1].at NULLS LAST, call_id",
            params,
        )

    def matches(self, profile_id: str | None = None) -> duckdb.DuckDBPyRelation:
        """Matches of the latest run with titles, deadlines and verdicts, best first."""
        return self.sql(
            "SELECT * FROM mart.matches WHERE profile_id = coalesce(?, profile_id) ORDER BY profile_id, rank",
            [profile_id],
        )

    def deadlines(self) -> duckdb.DuckDBPyRelation:
        """Entry deadlines of open calls from the latest run's day on, soonest first."""
        return self.sql(
            "SELECT d.on_date, d.at, d.kind, d.printed, o.days_left, o.title, o.identifier, o.programme, "
            "o.level, o.url, o.call_id, d.position FROM mart.deadlines AS d JOIN mart.open_calls AS o "
            "USING (call_id) WHERE d.entry AND d.on_date >= o.next_deadline ORDER BY d.on_date, call_id"
        )

    def profiles(self) -> duckdb.DuckDBPyRelation:
        """Profiles of the latest run."""
        return self.sql("SELECT * FROM core.profiles ORDER BY id")

    def sources(self) -> duckdb.DuckDBPyRelation:
        """Sources in the latest run: state, records, age in days, open calls, calls not seen any more."""
        return self.sql("SELECT * FROM mart.source_health ORDER BY source")

    def issues(self) -> duckdb.DuckDBPyRelation:
        """Faults and oddities of all runs, newest run first."""
        return self.sql("SELECT * FROM core.issues ORDER BY run_id DESC, severity, source, code, key")

    def runs(self) -> duckdb.DuckDBPyRelation:
        """Runs, newest first."""
        return self.sql("SELECT * FROM core.runs ORDER BY started_at DESC, run_id DESC")

    def topics(self) -> duckdb.DuckDBPyRelation:
        """Topics of earlier calls, by id: topic_id, title, keywords."""
        return self.sql("SELECT * FROM core.topics ORDER BY topic_id")

    def projects(self, before: date) -> duckdb.DuckDBPyRelation:
        """EU projects signed before a day, by id: project_id, title, objective, topic, action, signed_on.

        A project whose day of signature is not stated is not known to be signed before any day.
        """
        return self.sql("SELECT * FROM core.projects WHERE signed_on < ? ORDER BY project_id", [before])

    def participations(self, before: date) -> duckdb.DuckDBPyRelation:
        """Who took part in the projects signed before a day: project_id, org_id, role, topic, signed_on."""
        return self.sql(
            "SELECT s.project_id, s.org_id, s.role, p.topic, p.signed_on FROM core.participations AS s "
            "JOIN core.projects AS p USING (project_id) WHERE p.signed_on < ? ORDER BY project_id, org_id",
            [before],
        )

    def participants(self) -> duckdb.DuckDBPyRelation:
        """Organisations in EU projects, by id: org_id, name, country, nuts, place, activity, sme."""
        return self.sql("SELECT * FROM core.participants ORDER BY org_id")

    def call_records(
        self, query: str | None = None, *, open_only: bool = False, level: str | None = None
    ) -> list[Call]:
        """The same as `calls`, as records."""
        return [_record(Call, row) for row in _dicts(self.calls(query, open_only=open_only, level=level))]

    def call(self, call_id: str) -> Call:
        """One call by its id, its identifier or a document's id. Raises UnknownCall, naming near misses."""
        found = _dicts(
            self.sql(
                "SELECT * FROM core.calls WHERE ? IN (call_id, identifier) OR list_contains("
                "list_transform(documents, lambda d: d.document_id), ?)",
                [call_id, call_id],
            )
        )
        exact = [row for row in found if row["call_id"] == call_id] or found
        if len(exact) == 1:
            return _record(Call, exact[0])
        if exact:
            ids = ", ".join(sorted(str(row["call_id"]) for row in exact)[:5])
            raise UnknownCall(f"{call_id!r} is the identifier of several calls; give one of {ids}")
        known = [
            name for row in self.sql("SELECT call_id, identifier FROM core.calls").fetchall() for name in row
        ]
        near = get_close_matches(call_id, [name for name in known if name], n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else "; see: fundmatch calls"
        raise UnknownCall(f"there is no call {call_id!r}{hint}")

    def match_records(self, profile_id: str) -> list[Match]:
        """A profile's matches in the latest run, best first."""
        run = self.latest_run()
        found = self.sql(
            "SELECT * FROM core.matches WHERE run_id = ? AND profile_id = ? ORDER BY rank",
            [run.run_id if run else "", profile_id],
        )
        return [_record(Match, row) for row in _dicts(found)]

    def profile_records(self) -> list[Profile]:
        """All profiles of the latest run, by id."""
        return [_record(Profile, row) for row in _dicts(self.profiles())]

    def project_records(self, pics: Sequence[str], before: date) -> dict[str, list[Project]]:
        """Organisation → the projects that it took part in, signed before a day, oldest first.

        `pics` are organisation codes; one without such a project is left out.
        """
        found = self.sql(
            "SELECT s.org_id, p.* FROM core.participations AS s JOIN core.projects AS p USING (project_id) "
            "WHERE list_contains(?, s.org_id) AND p.signed_on < ? ORDER BY org_id, signed_on, project_id",
            [list(pics), before],
        )
        records: dict[str, list[Project]] = {}
        for row in _dicts(found):
            records.setdefault(row["org_id"], []).append(_record(Project, row))
        return records

    def feedback_records(self) -> list[Feedback]:
        """What profiles last said of calls, by profile and call."""
        found = self.sql("SELECT * FROM core.feedback ORDER BY profile_id, call_id")
        return [_record(Feedback, row) for row in _dicts(found)]

    def raw_calls(self, source: str) -> list[RawCall]:
        """A source's records of its latest good crawl, by key."""
        found = self.sql("SELECT * FROM raw.calls WHERE source = ? ORDER BY key", [source])
        return [_record(RawCall, row) for row in _dicts(found)]

    def organisations_of(self, source: str) -> list[Organisation]:
        """The organisations of a catalogue, by id."""
        found = self.sql("SELECT * FROM core.organisations WHERE source = ? ORDER BY org_id", [source])
        return [_record(Organisation, row) for row in _dicts(found)]

    def health(self) -> list[SourceHealth]:
        """How each source did in the latest run."""
        return [_record(SourceHealth, row) for row in _dicts(self.sources())]

    def source_rows(self) -> dict[str, dict[str, Any]]:
        """The rows of `sources` by source, ready for JSON: moments as ISO text."""
        rows = _dicts(self.sources())
        for row in rows:
            row["last_good_at"] = row["last_good_at"].isoformat() if row["last_good_at"] else None
        return {row["source"]: row for row in rows}

    def latest_run(self) -> Run | None:
        """The newest run, or None in a warehouse without one."""
        found = _dicts(self.runs().limit(1))
        return _record(Run, found[0]) if found else None


def open_warehouse(path: Path | str) -> Warehouse:
    """Open the published warehouse: its file, or the home folder it lies in.

    Raises NoWarehouse when there is none yet, and WarehouseUnreadable when the file is damaged.
    """
    file = Path(path)
    file = file / "warehouse.duckdb" if file.is_dir() else file
    if not file.exists():
        raise NoWarehouse(f"{file}: there is no warehouse yet; make one with: fundmatch run")
    # an own instance: DuckDB would hand out the one this process has open, and with it last week's file
    connection = duckdb.connect(":memory:")
    quoted = str(file).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{quoted}' AS warehouse (READ_ONLY)")
    except duckdb.Error as error:
        connection.close()
        raise WarehouseUnreadable(
            f"{file}: not a readable warehouse ({str(error).splitlines()[0]}); "
            "restore a copy, or move it away and run again"
        ) from error
    connection.execute("USE warehouse")
    found = connection.execute("SELECT schema_version FROM core.meta").fetchone()
    if found != (SCHEMA_VERSION,):
        connection.close()
        raise WarehouseUnreadable(
            f"{file}: its schema version is {found[0] if found else None}, not {SCHEMA_VERSION}; "
            "move it away, then run again or replay the archive to rebuild it"
        )
    return Warehouse(connection)


def _dicts(relation: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    names = relation.columns
    return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def _record(model: type[R], row: dict[str, Any]) -> R:
    """A model out of a row that may have more columns; JSON columns come as text."""
    values = {name: row[name] for name in model.model_fields}
    if isinstance(values.get("fields"), str):
        values["fields"] = json.loads(values["fields"])
    for contradiction in values.get("contradictions") or ():
        for claim in contradiction["claims"]:
            claim["value"] = json.loads(claim["value"] or "null")
    return model.model_validate(values)
