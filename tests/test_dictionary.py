"""Every table and column is told of, and what is said of it is shown as it is."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import duckdb
import pytest
from conftest import ROOT
from markdown_it import MarkdownIt

from pipeline import schema
from warehouse.build import rebuilding
from warehouse.comments import model_sources, read_sql, sql_sources
from warehouse.dictionary import MODELS, Column, Table, columns, comments, markdown, tables

PAGE = ROOT / "docs" / "data-dictionary.md"
HOSTILE = [
    "a | b",
    "it's; DROP TABLE core.calls; --",
    'a "quoted" \\ word and a ` tick',
    "`code | with a bar`",
    "<img src=x onerror=alert(1)> &lt; <!-- -->",
    "*bold* _under_ __both__ ~~struck~~ [a](http://example.org) ![b](c)",
    "|---|---|",
    "\\",
    "_",
    "",
]


@pytest.fixture(scope="module")
def told() -> list[Table]:
    return tables()


def lacking(told: list[Table]) -> list[str]:
    """Names of tables and columns that nobody tells of."""
    return [
        *(table.name for table in told if not table.says),
        *(f"{table.name}.{c.name}" for table in told for c in table.columns if not c.says),
    ]


def test_every_table_and_column_is_told_of(told: list[Table]) -> None:
    assert len(told) >= 33 and sum(len(table.columns) for table in told) >= 400
    assert {"table", "view", "function"} == {table.kind for table in told}
    assert not lacking(told), "say there what it is: in the SQL, or at the field in pipeline/schema.py"


def test_what_nobody_tells_of_is_named(told: list[Table]) -> None:
    first = told[0]
    silent = replace(first, columns=(*first.columns, Column("silent", "DATE", "")))
    assert lacking([silent, *told[1:]]) == [f"{first.name}.silent"]


def test_no_comment_at_a_column_is_lost(told: list[Table]) -> None:
    have = {table.name: {c.name for c in table.columns} for table in told}
    assert not {
        name: lost for name, source in sql_sources().items() if (lost := {*source.columns} - have[name])
    }
    models = model_sources()
    assert not {
        model: lost for model in MODELS.values() if (lost := {*models[model].columns} - fields(model))
    }
    # each model's fields are columns of its table: none is told of under another name
    renamed = {"core.deadlines": {"opens_on"}}
    for table, model in MODELS.items():
        assert fields(model) - have[table] == renamed.get(table, set()), table


def fields(model: str) -> set[str]:
    return set(getattr(schema, model).model_fields)


def test_every_value_of_a_closed_list_is_told() -> None:
    checked = 0
    for table, model in MODELS.items():
        for name, field in getattr(schema, model).model_fields.items():
            values = {
                value
                for each in (field.annotation, *get_args(field.annotation))
                for value in get_args(each)
                if isinstance(value, str)
            }
            if values:
                checked += 1
                words = columns(table)[name]
                assert not [value for value in values if value not in words], (table, name, words)
    assert checked >= 13


def test_an_inherited_text_is_of_the_table_that_is_read_first(told: list[Table]) -> None:
    own = columns("core.source_health")
    assert {name: says for name, says in columns("mart.source_health").items() if name in own} == own
    assert columns("mart.matches")["rank"] == columns("core.matches")["rank"]
    assert columns("core.call_versions")["title"] == columns("core.calls")["title"]
    with pytest.raises(KeyError):
        columns("mart.nothing")


def test_the_page_is_what_the_comments_say(told: list[Table]) -> None:
    assert PAGE.read_text("utf-8") == markdown(told), (
        "renew it: .venv/bin/python -m warehouse.dictionary > docs/data-dictionary.md"
    )


def test_every_link_within_the_page_leads_to_a_heading(told: list[Table]) -> None:
    page = markdown(told)
    heads = {head.replace(".", "") for head in re.findall(r"^#+ (.+)$", page, re.M)}
    links = set(re.findall(r"\]\(#([^)]*)\)", page))
    assert len(links) >= 30
    assert not links - heads
    assert {table.name.replace(".", "") for table in told} <= heads


class Cells(HTMLParser):
    """Text of a page's cells, and the elements in it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def test_words_are_shown_as_they_are() -> None:
    planted = Table(
        "mart.planted",
        "view",
        " ".join(HOSTILE),
        tuple(Column(f"c{i}", "VARCHAR", says) for i, says in enumerate(HOSTILE)),
    )
    page = markdown([planted]).partition("### mart.planted")[2].partition("## check")[0]
    cells = Cells()
    cells.feed(MarkdownIt("gfm-like", {"linkify": False}).disable("linkify").render(page))
    assert cells.rows[1:] == [[f"c{i}", "VARCHAR", says] for i, says in enumerate(HOSTILE)]
    assert cells.elements == {"p", "table", "thead", "tbody", "tr", "th", "td", "code"}


def test_a_struct_is_told_field_by_field() -> None:
    kind = 'STRUCT("at" VARCHAR, rules STRUCT(clause VARCHAR, n INTEGER)[], "references" VARCHAR[])[]'
    page = markdown([Table("raw.x", "table", "x", (Column("c", kind, "all"),))])
    fields = "at VARCHAR, rules STRUCT[] (clause VARCHAR, n INTEGER), references VARCHAR[]"
    assert f"| `c` | STRUCT[] | all<br>`{fields}` |" in page


# SQL → what it tells of columns
SQL = {
    "a comma, then a comment": (
        "CREATE TABLE core.t (\n a INT, -- one\n b INT -- two\n);",
        {"a": "one", "b": "two"},
    ),
    "over several lines": (
        "CREATE TABLE core.t (\n a STRUCT(\n  x INT, y INT\n )[] NOT NULL, -- one\n  -- and more\n b INT\n);",
        {"a": "one and more"},
    ),
    "above a column": ("CREATE TABLE core.t (\n a INT,\n -- two\n -- lines\n b INT\n);", {"b": "two lines"}),
    "the last of a line": ("CREATE VIEW core.v AS SELECT\n a, t.b, -- two\n c FROM core.t;", {"b": "two"}),
    "a comment within a string": (
        "CREATE VIEW core.v AS SELECT\n ' -- no' AS a,\n $$\n b, -- no\n $$ AS c,"
        " '(' AS d -- yes, it's\nFROM t;",
        {"d": "yes, it's"},
    ),
    "quoted, and not in ASCII": (
        'CREATE VIEW core.v AS SELECT\n \'→é→\' AS x, -- ë → "y"\n t."at" -- …\nFROM t;',
        {"x": 'ë → "y"', "at": "…"},
    ),
    "a query within": (
        "CREATE VIEW core.v AS\nWITH w AS ( -- no\n SELECT a, -- no\n b FROM t -- no\n)\n"
        "SELECT a, (SELECT max(x, -- part of b\n y) FROM t) AS b, -- two\n"
        " [c, d] AS e -- three\nFROM w -- no\n;",
        {"b": "part of b two", "e": "three"},
    ),
    "all of another": ("CREATE VIEW core.v AS SELECT t.* EXCLUDE (a), b -- two\nFROM t;", {"b": "two"}),
    "a union": (
        "CREATE VIEW core.v AS SELECT a AS x -- one\nFROM t UNION ALL SELECT\n y, -- no\n b -- no\nFROM t;",
        {"x": "one"},
    ),
    "no list": ("-- A row.\nCREATE VIEW core.v AS FROM core.t; -- no", {}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize("name", SQL)
def test_a_comment_belongs_to_its_column(name: str) -> None:
    text, expected = SQL[name]
    assert read_sql(text, ()).columns == expected


def test_a_statement_tells_of_a_row_and_of_what_it_reads() -> None:
    text = (
        "-- A row is one `thing`,\n-- and no other.\nCREATE VIEW core.v AS\n"
        "SELECT 'core.a' AS x FROM mart.b JOIN core.c ON true -- core.d\n JOIN \"core\".e ON true;"
    )
    found = read_sql(text, ["core.a", "mart.b", "core.c", "core.d", "core.e", "core.v"])
    assert found.says == "A row is one `thing`, and no other."
    assert [each for each in found.reads if each != "core.v"] == ["core.c", "core.e", "mart.b"]


def test_a_model_tells_by_its_fields() -> None:
    found = model_sources(
        '"""A module."""\n# no\n\nclass A(Base):\n    """What A is."""\n\n    x: int  # of x,\n    # and on\n'
        '    y: str = "# no"\n    # before z\n    z: dict[\n        str, int  # within\n    ]\n\n'
        "    def f(self) -> None:\n        a: int  # no\n\nclass B: ...\n"
    )
    assert found["A"].says == "What A is."
    assert found["A"].columns == {"x": "of x, and on", "z": "before z within"}
    assert found["B"].columns == {}


def test_the_file_itself_tells(tmp_path: Path) -> None:
    target = tmp_path / "w.duckdb"
    with rebuilding(target, None, ()):
        pass
    with duckdb.connect(str(target)) as con:
        told = tables(con)
        for statement in comments(told):
            con.execute(statement)
    with duckdb.connect(str(target), read_only=True) as con:
        rows = con.execute(
            "SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
        said = {
            name: says
            for of, kind in (("table", "tables"), ("view", "views"), ("function", "functions"))
            for name, says in con.execute(
                f"SELECT schema_name || '.' || {of}_name, comment FROM duckdb_{kind}() WHERE NOT internal"
            ).fetchall()
        }
    assert said == {table.name: table.says for table in told}
    for table in told:
        if table.kind != "function":
            assert {c: says for name, c, says in rows if name == table.name} == columns(table.name)
    assert told == tables()


def test_hostile_words_and_names_are_only_words() -> None:
    with duckdb.connect() as con:
        con.execute('CREATE SCHEMA core; CREATE TABLE core.calls ("a ""b"" -- c" INT)')
        for says in HOSTILE:
            for statement in comments(
                [Table("core.calls", "table", says, (Column('a "b" -- c', "INT", says),))]
            ):
                con.execute(statement)
            assert con.execute("SELECT comment FROM duckdb_columns() WHERE NOT internal").fetchall() == [
                (says,)
            ]
            assert con.execute("SELECT comment FROM duckdb_tables()").fetchall() == [(says,)]
