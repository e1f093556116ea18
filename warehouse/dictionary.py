"""The data dictionary: what each table and column is, by the comments in the SQL files and the models.

`python -m warehouse.dictionary` prints docs/data-dictionary.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import duckdb

from warehouse.comments import Source, model_sources, read_sql, sql_sources
from warehouse.layers import statements, views
from warehouse.layers import tables as stored_tables

LAYERS = {
    "raw": "What the sources printed, uninterpreted.",
    "core": "Typed records. Tables hold what was known; views unnest them or pick the latest.",
    "mart": "What advisers ask for: views of the latest run, made of `core` each time they are read.",
}
# whose comments tell of a table's columns where the SQL has none
MODELS = {
    "raw.calls": "RawCall",
    "core.calls": "Call",
    "core.profile_versions": "Profile",
    "core.deadlines": "Deadline",
    "core.documents": "Document",
    "core.feedback": "Feedback",
    "core.issues": "Issue",
    "core.matches": "Match",
    "core.organisations": "Organisation",
    "core.participants": "Participant",
    "core.participations": "Participation",
    "core.projects": "Project",
    "core.runs": "Run",
    "core.source_health": "SourceHealth",
    "core.topics": "Topic",
}
INTRO = """\
# Data dictionary

What `warehouse.duckdb` holds. Days (DATE) are in the source's own calendar, moments (TIMESTAMPTZ) are read in
UTC, amounts are EUR, rates are fractions (0 to 1). **NULL is unknown: not stated, never a guess.**

**Layers.** `raw` is what sources printed, `core` the typed records of it, `mart` what advisers ask for, of
the latest run. A fourth, [check](#check), holds queries that must find nothing before a file is published.

**History.** What was once known stays. [core.call_versions](#corecall_versions) has a row for each state of a
call: `version` counts from 1, `valid_from` is the day of the run that first had it so, `valid_to` the day of
the run that had it otherwise, NULL for the last state known. It is no closing day: where a source stops
listing a call, its last state stands and `in_latest_run` of [core.calls](#corecalls) is false.
[core.profile_versions](#coreprofile_versions) is the same of profiles. Matches, issues and source health are
kept of every run, by `run_id`, and so is all feedback.

**As last read.** [raw.calls](#rawcalls) and [core.organisations](#coreorganisations) hold the latest good
reading only. Earlier EU projects ([core.topics](#coretopics), [core.projects](#coreprojects),
[core.participants](#coreparticipants), [core.participations](#coreparticipations)) are as last imported.
[core.calls](#corecalls) and [core.call_themes](#corecall_themes) have every call ever seen, as last read.

The file tells the same: `SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'matches'`.
"""
_MARKS = "\\`*<>[]|~&"
_REPEATED = 7  # columns that a table must share with another to be told by pointing there

Kind = Literal["table", "view", "function"]
_OBJECTS: dict[Kind, str] = {"table": "TABLE", "view": "VIEW", "function": "MACRO TABLE"}


@dataclass(frozen=True)
class Column:
    """A column: its DuckDB type, and what it is in plain words (empty where nobody says)."""

    name: str
    type: str
    says: str


@dataclass(frozen=True)
class Table:
    """What one can select from: "<layer>.<name>", what a row is, its columns in order."""

    name: str
    kind: Kind
    says: str
    columns: tuple[Column, ...]


def tables(con: duckdb.DuckDBPyConnection | None = None) -> list[Table]:
    """Every table, view and table function of a warehouse, a layer after the other; None: of an empty one.

    Types and order are DuckDB's; the words are those of the SQL files, else of the models.
    """
    if con is None:
        with _empty() as con:
            return tables(con)
    sources, models = sql_sources(), model_sources()
    found = {name: _described(con, name) for name in sources}
    types = {name: columns for name, (_, columns) in found.items()}
    return [
        Table(
            name,
            kind,
            sources[name].says,
            tuple(Column(c, of, _says(name, c, sources, models, types)) for c, of in columns.items()),
        )
        for name, (kind, columns) in found.items()
    ]


def columns(table: str) -> dict[str, str]:
    """Column → what it is, in the table's order. Raises KeyError where there is no such table."""
    return {c.name: c.says for c in {each.name: each for each in _all()}[table].columns}


def comments(told: Iterable[Table]) -> list[str]:
    """The statements that put what is told into a warehouse, for those who ask DuckDB itself."""
    made = []
    for table in told:
        name = ".".join(_name(part) for part in table.name.split("."))
        made.append(f"COMMENT ON {_OBJECTS[table.kind]} {name} IS {_literal(table.says)}")
        if table.kind != "function":  # DuckDB keeps none for the columns of one
            made += [f"COMMENT ON COLUMN {name}.{_name(c.name)} IS {_literal(c.says)}" for c in table.columns]
    return made


def markdown(told: Sequence[Table]) -> str:
    """The page: a section a layer, a table each, and the checks."""
    parts = [INTRO]
    for layer, says in LAYERS.items():
        names = [table.name for table in told if table.name.startswith(f"{layer}.")]
        parts.append(f"## {layer}\n\n{_safe(says)}\n\n{', '.join(map(_link, names))}\n")
        parts += [_section(each, told[:i]) for i, each in enumerate(told) if each.name in names]
    checks = {name: read_sql(text, ()).says for name, text in statements("check").items()}
    listed = "\n".join(f"- `{name}`: {_safe(says)}" for name, says in checks.items())
    parts.append(f"## check\n\nEach finds nothing in a file that is published:\n\n{listed}\n")
    return "\n".join(parts)


def _section(table: Table, earlier: Sequence[Table]) -> str:
    """A table's own columns, and where those are told that it shares with one before it."""
    like = max(earlier, key=lambda each: len({*each.columns} & {*table.columns}), default=table)
    shared = [column for column in table.columns if column in like.columns]
    lines = [f"### {table.name}\n", f"{table.kind.capitalize()}. {_safe(table.says)}\n"]
    if like is table or len(shared) < max(_REPEATED, len(like.columns) * 2 / 3):
        shared = []
    own = [column for column in table.columns if column not in shared]
    if shared:
        lacking = ", ".join(f"`{c.name}`" for c in like.columns if c not in shared)
        but = f" but {lacking}" if lacking else ""
        lines.append(f"All columns of {_link(like.name)}{but}{', and:' if own else '.'}\n")
    if own:
        lines += ["| column | type | what it is |", "|---|---|---|"]
        lines += [f"| `{c.name}` | {_type(c.type)} | {_safe(c.says)}{_fields(c.type)} |" for c in own] + [""]
    return "\n".join(lines)


def _type(of: str) -> str:
    """A type for a cell: of a STRUCT, or a list of them, without the fields."""
    short = of.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    return "STRUCT" + short[short.rindex(")") + 1 :] if short.startswith("STRUCT(") else short


def _fields(of: str) -> str:
    """The fields of a STRUCT, or of a list of them, as code on a line of its own."""
    told = _members(duckdb.sqltype(of))
    return f"<br>`{told}`" if told else ""


def _members(kind: Any) -> str:
    """Names and types, what a STRUCT within holds in brackets."""
    while kind.id == "list":
        kind = kind.children[0][1]
    fields = kind.children if kind.id == "struct" else []
    inner = [(name, _type(str(of)), _members(of)) for name, of in fields]
    return ", ".join(f"{name} {of}" + (f" ({told})" if told else "") for name, of, told in inner)


def _link(name: str) -> str:
    return f"[{name}](#{name.replace('.', '')})"


def _safe(text: str) -> str:
    """Plain words as Markdown that shows just them, in a table's cell, too; what is in backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0 or "|" in text:
        return _plain(text)
    return "`".join(part if i % 2 else _plain(part) for i, part in enumerate(parts))


def _plain(text: str) -> str:
    """Each letter that Markdown reads as its own behind a backslash; an underscore is none within a word."""
    return "".join(
        f"\\{letter}" if letter in _MARKS or (letter == "_" and not (before + after).isalnum()) else letter
        for before, letter, after in zip(f" {text}", text, f"{text} "[1:], strict=False)
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _says(
    table: str,
    column: str,
    sources: Mapping[str, Source],
    models: Mapping[str, Source],
    types: Mapping[str, Mapping[str, str]],
) -> str:
    """A column's words: the SQL's own, else the model's, else its namesake's in a table that is read."""
    own = sources[table].columns.get(column) or (
        models[MODELS[table]].columns.get(column) if table in MODELS else None
    )
    return own or next(
        (
            says
            for each in sources[table].reads
            if column in types[each] and (says := _says(each, column, sources, models, types))
        ),
        "",
    )


def _described(con: duckdb.DuckDBPyConnection, name: str) -> tuple[Kind, dict[str, str]]:
    """What a name is in the warehouse, and its column → type in order; a function takes one argument."""
    listed = con.execute(
        "SELECT table_type FROM information_schema.tables "
        "WHERE table_catalog = current_database() AND table_schema || '.' || table_name = ?",
        [name],
    ).fetchone()
    kind: Kind = "function" if listed is None else "view" if listed[0] == "VIEW" else "table"
    described = con.execute(f"DESCRIBE FROM {name}{'(NULL)' if kind == 'function' else ''}").fetchall()
    return kind, {column: of for column, of, *_ in described}


@contextmanager
def _empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory without a row."""
    with duckdb.connect() as con:
        for layer in LAYERS:
            con.execute(f"CREATE SCHEMA {layer}")
        for create, _ in (each for layer in LAYERS for each in stored_tables(layer).values()):
            con.execute(create)
        for view in views():
            con.execute(view)
        yield con


@cache
def _all() -> list[Table]:
    return tables()


if __name__ == "__main__":
    print(markdown(_all()), end="")
