"""EU projects funded earlier and who took part: printed tables → typed ones, and what is wrong with them.

The tables come as Parquet files, or row by row as CORDIS' bulk files are read. Typing and faults are SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse.build import load, rebuilding
from warehouse.errors import WarehouseError
from warehouse.layers import statements

if TYPE_CHECKING:
    import pyarrow

TABLES = ("topics", "projects", "participants", "participations")
MOST_FAULTY = 0.05  # share of a table's rows, above which it is not trusted
_EXAMPLES = 3

_ORGANISATION = ("org", "name", "country", "nuts", "city", "activity", "sme")
# Tables as Parquet files hold them, and the columns that they must have
_PRINTED = {
    "topics": ("topic", "title", "keywords"),
    "projects": ("project", "topic", "signed", "action", "title", "objective"),
    "organisations": _ORGANISATION,
    "participations": ("project", "org", "role", "eur"),
}
# Tables as they come row by row: each member of a project with what it says of the organisation
ROWS = {
    "topics": _PRINTED["topics"],
    "projects": _PRINTED["projects"],
    "members": ("project", *_ORGANISATION, "role", "eur"),
}


@dataclass(frozen=True)
class History:
    """Earlier projects as Arrow tables, each in the order of its ids. Unknown is null."""

    topics: pyarrow.Table  # topic_id, title, keywords
    projects: pyarrow.Table  # project_id, title, objective, topic, action, signed_on (date)
    participants: pyarrow.Table  # org_id, name, country, nuts, place, activity, sme (bool)
    participations: pyarrow.Table  # project_id, org_id, role, eur (double)


@dataclass(frozen=True)
class Fault:
    """One kind of fault in one table: how many rows, and a few of them."""

    code: str  # "<table>_<what>"
    count: int
    detail: str


@dataclass(frozen=True)
class Imported:
    """What an import brought."""

    rows: dict[str, int]  # table → its records
    total: dict[str, int]  # table → records in the warehouse now
    faults: tuple[Fault, ...]


def holds_parquet(folder: Path) -> bool:
    """Whether a folder holds Parquet files."""
    return any(folder.glob("*.parquet"))


def read_history(folder: Path) -> History:
    """The history in a folder of Parquet files: topics, projects, organisations and participations.

    Raises WarehouseError: a file or a column is missing, a file is damaged, a row cannot be taken as it is.
    """
    with duckdb.connect(":memory:") as con:
        con.execute(statements("macro")["typing"])
        _print_parquet(con, folder)
        _stage(con)
        if found := _faults(con):
            raise WarehouseError("\n".join(f"{folder}: {fault.code}: {fault.detail}" for fault in found))
        tables = {name: con.sql(f"FROM stage_{name} ORDER BY ALL").to_arrow_table() for name in TABLES}
    return History(**tables)


def import_history(
    source: Path | Mapping[str, Iterable[Mapping[str, Any]]], target: Path, previous: Path | None
) -> Imported:
    """Write a warehouse at `target`, which must not exist: `previous` with more history.

    `source` is a folder of Parquet files, or the rows of each table of `ROWS`: cells as printed and stripped,
    None for empty ones. A record replaces the one with the same ids, and a project's participations all that
    were in it. Rows that cannot be used are left out and told. Raises WarehouseError as `read_history` does,
    of rows only where many are faulty, and where `previous` cannot be used; errors of the rows come through.
    """
    core = [f"core.{name}" for name in TABLES]
    with rebuilding(target, previous, core) as con:
        con.execute(statements("macro")["typing"])
        if isinstance(source, Path):
            _print_parquet(con, source)
        else:
            for name, columns in ROWS.items():
                load(con, f"printed_{name}", dict.fromkeys(columns, "VARCHAR"), source[name], target)
            for view in statements("cordis").values():
                con.execute(view)
        _stage(con)
        found = _faults(con)
        _trusted(con, found)
        rows = {name: _count(con, f"stage_{name}") for name in TABLES}
    with duckdb.connect(str(target), read_only=True) as con:
        total = {name: _count(con, f"core.{name}") for name in TABLES}
    return Imported(rows, total, found)


def _print_parquet(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Load the files as `printed_` tables."""
    for name, columns in _PRINTED.items():
        file = folder / f"{name}.parquet"
        if not file.is_file():
            raise WarehouseError(f"{folder}: there is no {file.name}")
        try:
            held = con.read_parquet(str(file)).columns
            if lacking := [column for column in columns if column not in held]:
                raise WarehouseError(f"{file}: no column {lacking[0]!r}; it has {', '.join(held[:12])}")
            wanted = ", ".join(f'words("{column}") AS "{column}"' for column in columns)
            con.execute(
                f"CREATE TEMP TABLE printed_{name} AS SELECT {wanted} FROM read_parquet(?)",  # noqa: S608
                [str(file)],
            )
        except duckdb.Error as error:
            raise WarehouseError(f"{file}: damaged, or no Parquet ({str(error).splitlines()[0]})") from error
        if not _count(con, f"printed_{name}"):
            raise WarehouseError(f"{file}: holds no rows")


def _stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make the views that type the `printed_` tables, which `core` is filled from."""
    queries = statements("history")
    for name in TABLES:
        con.execute(f"CREATE TEMP VIEW stage_{name} AS {queries[name]}")


def _faults(con: duckdb.DuckDBPyConnection) -> tuple[Fault, ...]:
    found = []
    for code, query in statements("fault").items():
        asked = f"SELECT count(*), list(why ORDER BY why)[:{_EXAMPLES}] FROM ({query.rstrip().rstrip(';')})"  # noqa: S608
        ((count, examples),) = con.execute(asked).fetchall()
        if count:
            told = "; ".join(examples) + (f"; … {count} in all" if count > _EXAMPLES else "")
            found.append(Fault(code, count, told))
    return tuple(found)


def _trusted(con: duckdb.DuckDBPyConnection, faults: Iterable[Fault]) -> None:
    """Raise WarehouseError where so many rows of a table are faulty that its form must be another one."""
    for fault in faults:
        held = _count(con, f"stage_{fault.code.partition('_')[0]}")
        if fault.count > MOST_FAULTY * (held + fault.count):
            told = f"{fault.code}, {fault.count} beside {held} rows: {fault.detail}"
            raise WarehouseError(f"nothing is imported: {told}")


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = con.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608
    return int(count)
