"""What the comments in the SQL files and in the models tell of tables and columns."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import dropwhile, pairwise, takewhile
from typing import NamedTuple

import duckdb

from warehouse.layers import plain, statements, tables

_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")


@dataclass(frozen=True)
class Source:
    """What one SQL file or one model tells: of a row, of columns by name, and which tables it reads."""

    says: str
    columns: Mapping[str, str]
    reads: Sequence[str] = ()


class _Note(NamedTuple):
    """A comment."""

    line: int
    alone: bool  # nothing before it on its line
    says: str


class _Token(NamedTuple):
    text: str
    comment: bool
    line: int
    depth: int  # how many brackets are open around it
    alone: bool  # nothing before it on its line


def sql_sources() -> dict[str, Source]:
    """Table → what its SQL file tells, in the order in which they are made."""
    found: dict[str, str] = {}
    for layer in ("raw", "core", "mart"):
        stored = tables(layer)
        for file, text in statements(layer).items():
            name = f"{layer}.{plain(file)}"
            found[name] = stored[name][0] if name in stored else text
    return {name: read_sql(text, [each for each in found if each != name]) for name, text in found.items()}


def read_sql(text: str, known: Sequence[str]) -> Source:
    """What a CREATE statement, or a query, tells by its comments: those before it, and those at its columns.

    `known` are names of tables that it may read.
    """
    tokens = list(_tokens(text))
    code = [t.text.strip('"') for t in tokens if not t.comment]
    named = [f"{a}.{c}" for a, b, c in zip(code, code[1:], code[2:], strict=False) if b == "."]
    body, names = _column_list(list(dropwhile(lambda t: t.comment, tokens)))
    return Source(
        " ".join(_note(t).says for t in takewhile(lambda t: t.comment, tokens)),
        _attached(names, [_note(t) for t in body if t.comment]),
        sorted({*named} & {*known}, key=lambda name: (name.startswith("mart."), named.index(name))),
    )


def model_sources(text: str | None = None) -> dict[str, Source]:
    """Class → what its docstring and the comments at its fields tell; of pipeline/schema.py, or of `text`."""
    text = text or files("pipeline").joinpath("schema.py").read_text("utf-8")
    lines = text.splitlines()
    notes = [
        _Note(t.start[0], not lines[t.start[0] - 1][: t.start[1]].strip(), t.string.lstrip("#").strip())
        for t in tokenize.generate_tokens(io.StringIO(text).readline)
        if t.type == tokenize.COMMENT
    ]
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            parts = [(part.lineno, _field(part)) for part in node.body]
            own = [note for note in notes if node.lineno < note.line <= (node.end_lineno or 0)]
            told = {name: says for name, says in _attached(parts, own).items() if name}
            found[node.name] = Source(ast.get_docstring(node) or "", told)
    return found


def _field(part: ast.stmt) -> str:
    """The name of a field; none of a method, which keeps the comments within."""
    return part.target.id if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) else ""


def _attached(names: Sequence[tuple[int, str]], notes: Sequence[_Note]) -> dict[str, str]:
    """Name → its comment, of names in order with the line each begins on.

    A comment at the end of a line is the last name's that began by then. One that has its line to itself
    goes on from a comment right above, and else is the next name's.
    """
    found: dict[str, str] = {}
    before, owner = -1, None
    for note in notes:
        if not note.alone:
            owner = next((name for line, name in reversed(names) if line <= note.line), None)
        elif note.line != before + 1:
            owner = next((name for line, name in names if line > note.line), None)
        before = note.line
        if owner is not None:
            found[owner] = f"{found.get(owner, '')} {note.says}".strip()
    return found


def _tokens(text: str) -> Iterator[_Token]:
    """DuckDB's own tokens: what looks like a comment within a string is none."""
    raw = text.encode()  # it counts in bytes
    depth, line, last = 0, 1, 0
    for (start, kind), (end, _) in pairwise([*duckdb.tokenize(text), (len(raw), duckdb.token_type.comment)]):
        comment = kind == duckdb.token_type.comment
        word = raw[start:end].decode().strip()
        line += raw.count(b"\n", last, start)
        last = start
        depth -= word in _CLOSE
        yield _Token(
            word, comment, line, depth, alone=not raw[raw.rfind(b"\n", 0, start) + 1 : start].strip()
        )
        depth += word in _OPEN


def _note(token: _Token) -> _Note:
    return _Note(token.line, token.alone, token.text.removeprefix("--").strip())


def _column_list(tokens: Sequence[_Token]) -> tuple[Sequence[_Token], list[tuple[int, str]]]:
    """The tokens that tell what the columns are, and the names in order with the line each begins on.

    Of a query that is its outer SELECT, of a union the first, where a name ends an item; else it is what
    stands in the first brackets, where a name begins one.
    """
    outer = [(i, t.text.upper()) for i, t in enumerate(tokens) if t.depth == 0 and not t.comment]
    query = [i for i, word in outer if word == "SELECT"]
    begin = query[0] if query else next((i for i, word in outer if word == "("), len(tokens))
    stop = "FROM" if query else ")"
    end = next((i for i, word in outer if i > begin and word == stop), len(tokens))
    body = tokens[begin + 1 : end]
    items: list[list[_Token]] = [[]]
    for token in body:
        if token.text == "," and token.depth == tokens[begin].depth + (not query):
            items.append([])
        elif not token.comment:
            items[-1].append(token)
    return body, [(item[0].line, item[-1 if query else 0].text.strip('"')) for item in items if item]
