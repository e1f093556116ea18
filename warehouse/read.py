"""What advisers read: the published warehouse, opened read-only, also while the next one is being built.

with open_warehouse("data") as warehouse:
    warehouse.matches("profile-id").df()
    warehouse.as_of(date(2026, 6, 1)).calls(open_only=True).show()
"""

from __future__ import annotations

import os
from datetime import date
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb

from pipeline.history import lineage
from warehouse import SCHEMA_VERSION
from warehouse.errors import (
    BadQuery,
    NoWarehouse,
    UnknownCall,
    UnknownDay,
    UnknownProfile,
    WarehouseUnreadable,
    advice,
    first_line,
    near_misses,
    other_version,
)
from warehouse.layers import plain, statements, views

if TYPE_CHECKING:
    from warehouse.cards import Card
    from warehouse.records import Records

Relation = duckdb.DuckDBPyRelation
W = TypeVar("W", bound="Warehouse")
_LAYERS = ("raw", "core", "mart")


class Warehouse:
    """A read-only connection with few methods, which sees one run throughout.

    What they return are DuckDB relations: `.df()` for pandas, `.pl()` for polars, `.to_arrow_table()`.
    Unknown is NULL. Amounts are EUR, rates are fractions (0 to 1), moments are in UTC, days are the source's.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._con = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, duckdb.Error) and _is_damage(error):
            raise _damaged(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._con.close()

    def calls(
        self, query: str | None = None, *, open_only: bool = False, level: str | None = None
    ) -> Relation:
        """Calls by last deadline; `query`: words that must all occur in title, ids, keywords or text.

        `open_only` leaves those that one may apply to as far as is stated, with next_deadline and days_left.
        """
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
        return self._ours(
            f"SELECT * FROM {source} WHERE {' AND '.join(where)} "  # noqa: S608  (our own words only)
            "ORDER BY deadlines[-1].at NULLS LAST, call_id",
            params,
        )

    def matches(self, profile_id: str | None = None) -> Relation:
        """Matches with titles, deadlines and verdicts, a profile's best first. Raises UnknownProfile."""
        return self._ours(
            "SELECT * FROM mart.matches WHERE profile_id = coalesce(?, profile_id) ORDER BY profile_id, rank",
            [self._profile(profile_id)],
        )

    def explain(self, profile_id: str, call_id: str) -> Relation:
        """Why a call fits a profile, a row a piece; none where the run did not keep that match.

        `part` is reason, evidence (sentences of both, `weight` is their cosine) or rule (of eligibility, with
        verdict and clause). Raises UnknownProfile, UnknownCall.
        """
        return self._ours(
            "SELECT part, name, verdict, profile_text, call_text, weight, url FROM mart.explanations "
            "WHERE profile_id = ? AND call_id = ? ORDER BY part, position",
            [self._profile(profile_id), self.call_id(call_id)],
        )

    def card(self, call_id: str, profile_id: str | None = None) -> Card:
        """A call as a notebook shows it; with a profile, why it fits. Raises UnknownCall, UnknownProfile."""
        from warehouse.cards import call_card, match_card

        records = self._records
        call, as_of = records.call(call_id), records.day()
        if profile_id is None:
            return call_card(call, as_of)
        self._profile(profile_id)
        profile = next(each for each in records.profile_records() if each.id == profile_id)
        match = next((m for m in records.match_records(profile_id) if m.call_id == call.call_id), None)
        if match is None:
            return call_card(call, as_of, f"No match of {profile.name} with this call was kept in this run.")
        return match_card(profile, call, match, as_of)

    def compare(self, *call_ids: str) -> Card:
        """Calls side by side as a notebook shows them. Raises UnknownCall."""
        from warehouse.cards import comparison

        return comparison([self._records.call(each) for each in call_ids], self._records.day())

    def changes(self, profile_id: str | None = None, *, since: date | None = None) -> Relation:
        """What differs from the last run of an earlier day, or of the day `since`; a row a call and field.

        `change` is new, opened, closed, closed early, deadline earlier, deadline later, deadline stated,
        deadline withdrawn, changed, not listed or listed again. With a profile: of the calls that a run ever
        matched to it. Raises UnknownProfile.
        """
        source = "mart.changes_this_week" if since is None else "mart.changes_since(CAST(? AS DATE))"
        own = (
            ""
            if profile_id is None
            else (
                " SEMI JOIN (SELECT DISTINCT call_id FROM core.matches WHERE profile_id = ?) USING (call_id)"
            )
        )
        params = [each for each in (since, self._profile(profile_id)) if each is not None]
        return self._ours(f"FROM {source}{own}", params)

    def deadlines(self, profile_id: str | None = None, *, days: int | None = None) -> Relation:
        """Entry deadlines of open calls from the run's day on, soonest first; `days`: not further away.

        With a profile: of the calls it may apply for as far as is known, and did not say are not for it.
        `at` is NULL where the source states no hour. Raises UnknownProfile.
        """
        own = (
            ""
            if profile_id is None
            else (
                " SEMI JOIN (SELECT call_id FROM mart.matches WHERE profile_id = ? AND verdict <> 'fail' "
                "AND feedback IS DISTINCT FROM 'not-for-us') USING (call_id)"
            )
        )
        params = [each for each in (self._profile(profile_id), days) if each is not None]
        within = "" if days is None else " WHERE days_left <= ?"
        return self._ours(
            f"FROM mart.deadlines_ahead{own}{within} ORDER BY on_date, call_id, position",
            params,
        )

    def partners(self, call_id: str | None = None) -> Relation:
        """Organisations that could be partners with their record, most projects first; no ranking of fit.

        With a call: `near` is how many of their projects were funded in its programme's destination, and
        those come first. Raises UnknownCall.
        """
        if call_id is None:
            return self._ours("FROM mart.partners ORDER BY projects DESC NULLS LAST, org_id")
        known = self.call_id(call_id)
        ((identifier,),) = self._ours(
            "SELECT identifier FROM core.calls WHERE call_id = ?", [known]
        ).fetchall()
        funded = [
            topic for (topic,) in self._ours("SELECT DISTINCT topic FROM core.projects").fetchall() if topic
        ]
        line = lineage(identifier or "")[1]
        alike = [topic for topic in funded if line and lineage(topic)[1] == line]
        return self._ours(
            "SELECT p.* EXCLUDE (website, pic), coalesce(n.near, 0) AS near, p.website, p.pic "
            "FROM mart.partners AS p LEFT JOIN ("
            "SELECT s.org_id, count(*) AS near FROM core.participations AS s "
            "JOIN core.projects USING (project_id) WHERE list_contains(?, topic) GROUP BY s.org_id"
            ") AS n ON n.org_id = p.pic ORDER BY near DESC, projects DESC NULLS LAST, p.org_id",
            [alike],
        )

    def gaps(self) -> Relation:
        """Themes: what open calls and the north's companies ask, which labs offer it; open gaps first."""
        return self._ours("FROM mart.region_gaps ORDER BY gap DESC, open_calls DESC, theme")

    def profiles(self) -> Relation:
        """Profiles of the run."""
        return self._ours("SELECT * FROM core.profiles ORDER BY id")

    def sources(self) -> Relation:
        """Sources in the run: state, records, age in days, open calls, calls not seen any more."""
        return self._ours("SELECT * FROM mart.source_health ORDER BY source")

    def runs(self) -> Relation:
        """Runs, newest first."""
        return self._ours("SELECT * FROM core.runs ORDER BY started_at DESC, run_id DESC")

    def issues(self) -> Relation:
        """Faults and oddities of all runs, newest run first."""
        return self._ours("SELECT * FROM core.issues ORDER BY run_id DESC, severity, source, code, key")

    def sql(self, query: str, params: list[Any] | None = None) -> Relation:
        """Any query, with `?` for parameters. Raises BadQuery, which says where it stumbled."""
        try:
            return self._con.sql(query, params=params or None)
        except (duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            tables = ", ".join(f"{schema}.{name}" for schema, name in self._names)
            told = str(error).strip()
            raise BadQuery(f"{told}\nThere are {tables}; their columns: DESCRIBE mart.matches") from None

    def as_of(self, day: date) -> Self:
        """The warehouse as it was known on a day: that of its last run, or of the nearest day before.

        Calls, profiles, matches, deadlines and all of `mart` are that run's; organisations and earlier EU
        projects are as last imported. Raises UnknownDay when there was no run yet.
        """
        con = self._con.cursor()
        ((first, known),) = con.execute(
            "SELECT min(as_of), count(*) FILTER (as_of <= ?) FROM published.core.runs", [day]
        ).fetchall()
        if not known:
            told = f"the first run is of {first}" if first else "there is no run yet"
            raise UnknownDay(f"nothing was known on {day}: {told}")
        catalog = f"past_{next(_NUMBER)}"
        con.execute(f"ATTACH ':memory:' AS {catalog}")
        con.execute(f"USE {catalog}")
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET VARIABLE day = CAST(? AS DATE)", [day])
        for layer in ("core", "mart"):
            con.execute(f"CREATE SCHEMA {layer}")
        past = statements("past")
        for statement in past.values():
            con.execute(statement)
        own = {plain(name) for name in past}
        stored = con.execute(
            "SELECT table_name FROM duckdb_tables() "
            "WHERE database_name = 'published' AND schema_name = 'core'"
        ).fetchall()
        for (name,) in stored:
            if name not in own:
                con.execute(f"CREATE VIEW core.{name} AS FROM published.core.{name}")
        for statement in views():
            con.execute(statement)
        return type(self)(con)

    def call_id(self, name: str) -> str:
        """A call's id, by that, its identifier or a document's id. Raises UnknownCall, naming near misses."""
        if name in self._call_ids:
            return name
        found = [
            str(key)
            for (key,) in self._ours(
                "SELECT call_id FROM core.calls WHERE identifier = ? OR list_contains("
                "list_transform(documents, lambda d: d.document_id), ?) ORDER BY call_id",
                [name, name],
            ).fetchall()
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownCall(
                f"{name!r} is the identifier of several calls; give one of {', '.join(found[:5])}"
            )
        known = self._ours("SELECT unnest([call_id, identifier]) FROM core.calls").fetchall()
        hint = near_misses(name, (each for (each,) in known if each), "see: fundmatch calls")
        raise UnknownCall(f"there is no call {name!r}; {hint}")

    def _profile(self, profile_id: str | None) -> str | None:
        """The id itself. Raises UnknownProfile where the run knows no such profile."""
        if profile_id is not None and profile_id not in self._profiles:
            hint = near_misses(profile_id, self._profiles, "see: fundmatch profiles list")
            raise UnknownProfile(f"there is no profile {profile_id!r} in this run; {hint}")
        return profile_id

    def _ours(self, query: str, params: list[Any] | None = None) -> Relation:
        """A query of our own: it is right, so what fails is the file. Raises WarehouseUnreadable."""
        try:
            return self._con.sql(query, params=params or None)
        except duckdb.Error as error:
            if _is_damage(error):
                raise _damaged(error) from error
            raise

    @cached_property
    def _records(self) -> Records:
        """The same connection for typed records."""
        from warehouse.records import Records

        return self if isinstance(self, Records) else Records(self._con)

    @cached_property
    def _profiles(self) -> list[str]:
        """Ids of the run's profiles."""
        return [str(key) for (key,) in self._ours("SELECT id FROM core.profiles ORDER BY id").fetchall()]

    @cached_property
    def _call_ids(self) -> frozenset[str]:
        """Ids of the run's calls: kept, as every question about one call begins with its name."""
        return frozenset(str(key) for (key,) in self._ours("SELECT call_id FROM core.calls").fetchall())

    @cached_property
    def _names(self) -> list[tuple[str, str]]:
        """(schema, name) of all tables and views."""
        return self._con.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database() AND list_contains(?, table_schema) ORDER BY ALL",
            [list(_LAYERS)],
        ).fetchall()


_NUMBER = count(1)


def open_warehouse(path: Path | str | None = None) -> Warehouse:
    """Open the published warehouse: its file, or the home it lies in; without one FUNDMATCH_HOME, or ./data.

    Raises NoWarehouse when there is none yet, and WarehouseUnreadable when the file is damaged, held by a
    writer, or of another schema version.
    """
    return Warehouse(connect(path))


def _is_damage(error: duckdb.Error) -> bool:
    """Whether an error comes from what is on the disk: a block is wrong, or cannot be read."""
    kinds = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException)
    return isinstance(error, kinds) or "Corrupt database file" in str(error)


def _damaged(error: duckdb.Error) -> WarehouseUnreadable:
    return WarehouseUnreadable(
        f"the warehouse is damaged ({first_line(error)}); restore a copy, or move it away and run again"
    )


def connect(path: Path | str | None) -> duckdb.DuckDBPyConnection:
    """An own read-only connection with the published warehouse as its catalog. Raises as `open_warehouse`."""
    file = Path(path or os.environ.get("FUNDMATCH_HOME") or "data")
    file = file / "warehouse.duckdb" if file.is_dir() else file
    if not file.exists():
        raise NoWarehouse(f"{file}: there is no warehouse yet; make one with: fundmatch run")
    # an own instance: DuckDB would hand out the one this process has open, and with it last week's file
    con = duckdb.connect(":memory:")
    try:
        quoted = str(file).replace("'", "''")
        con.execute(f"ATTACH '{quoted}' AS published (READ_ONLY)")
        ((found,),) = con.execute("SELECT schema_version FROM published.core.meta").fetchall()
    except (duckdb.Error, ValueError) as error:
        con.close()
        raise WarehouseUnreadable(
            f"{file}: not a readable warehouse ({first_line(error)}); {advice(error)}"
        ) from error
    if found != SCHEMA_VERSION:
        con.close()
        raise WarehouseUnreadable(f"{file}: {other_version(found)}")
    con.execute("USE published")
    con.execute("SET TimeZone = 'UTC'")
    return con
