"""A benchmark folder in BEIR's layout, with what was known before its day: read, and checked for leaks.

`corpus.jsonl` and `queries.jsonl` hold one object a line (`_id`, `title`, `text`, `metadata`), `qrels.tsv`
the answers below a header, `history/` what was funded before 1 January of the topics' `call_year`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.schema import Topic

if TYPE_CHECKING:
    from warehouse.history import History

SHOWN = 80  # characters of an id in a message
_GRADE = re.compile(r"[0-9]{1,2}")

Qrels = dict[str, dict[str, int]]  # query → document → grade, above 0


class BenchError(Exception):
    """The benchmark cannot be used as it is; the message says where and why, in one line."""


@dataclass(frozen=True)
class Query:
    """An organisation that looks for topics, and the projects that it was in before the bench's day."""

    query_id: str
    text: str
    group: str | None
    country: str | None
    nuts: str | None
    projects: tuple[str, ...]


@dataclass(frozen=True)
class Bench:
    """Topics to rank for queries, the right answers, and all that was known before `day`."""

    day: date
    topics: tuple[Topic, ...]
    queries: tuple[Query, ...]
    qrels: Qrels
    history: History


def read_bench(folder: Path) -> Bench:
    """The matching benchmark that a folder holds.

    Raises BenchError: a file is missing, a line is broken, an id is there twice or unknown, or a project was
    not signed before the bench's day. Raises WarehouseError where the history cannot be read.
    """
    from warehouse.history import read_history

    corpus, asked = records(folder / "corpus.jsonl"), records(folder / "queries.jsonl")
    topics = tuple(_topic(record) for _, record in corpus)
    queries = tuple(_query(where, record) for where, record in asked)
    qrels = read_qrels(folder / "qrels.tsv", {q.query_id for q in queries}, {t.topic_id for t in topics})
    day = _day(corpus)
    history = read_history(folder / "history")
    signed = dict(
        zip(*(history.projects[name].to_pylist() for name in ("project_id", "signed_on")), strict=True)
    )
    for project, on in signed.items():
        if on is None or on >= day:
            told = f"was signed on {on}" if on else "has no day of signature"
            raise BenchError(
                f"{folder / 'history'}: project {_id(project)} {told}, so not before {day}: a leak"
            )
    for (where, _), query in zip(asked, queries, strict=True):
        if unknown := [project for project in query.projects if project not in signed]:
            raise BenchError(f"{where}: project {_id(unknown[0])} is not in the history")
    return Bench(day, topics, queries, qrels, history)


def records(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines, each with its place (`file:line`) and an `_id` that is its own.

    Raises BenchError.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for where, line in _lines(path):
        try:
            record = json.loads(line)
            json.dumps(record, ensure_ascii=False).encode()  # half a character is no text
        except (ValueError, RecursionError) as error:
            raise BenchError(f"{where}: broken JSON ({type(error).__name__})") from error
        key = record.get("_id") if isinstance(record, dict) else None
        if not isinstance(key, str) or not key or key.split() != [key]:
            raise BenchError(f'{where}: needs an object with an "_id" that is text without spaces')
        if key in seen:
            raise BenchError(f"{where}: {_id(key)} is there twice")
        if not isinstance(record.get("metadata", {}), dict):
            raise BenchError(f'{where}: "metadata" must be an object')
        seen.add(key)
        found.append((where, record))
    if not found:
        raise BenchError(f"{path}: holds no record")
    return found


def read_qrels(path: Path, queries: Collection[str], documents: Collection[str]) -> Qrels:
    """The answers of a file: query, document and grade in the first three columns, below a header.

    A grade of 0 is no answer. Raises BenchError.
    """
    found: Qrels = {}
    seen: set[tuple[str, str]] = set()
    lines = _lines(path)
    header = next(lines, ("", ""))[1].split("\t")
    if len(header) < 3 or header[0] != "query-id":
        raise BenchError(f'{path}: must begin with a header: "query-id", document and "score", tabs between')
    for where, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header) or not _GRADE.fullmatch(cells[2]):
            raise BenchError(f"{where}: needs {len(header)} columns, a grade from 0 to 99 in the third")
        query, document, grade = cells[0], cells[1], int(cells[2])
        if query not in queries:
            raise BenchError(f"{where}: query {_id(query)} is unknown")
        if document not in documents:
            raise BenchError(f"{where}: {header[1]} {_id(document)} is unknown")
        if (query, document) in seen:
            raise BenchError(f"{where}: {_id(query)} with {_id(document)} is there twice")
        seen.add((query, document))
        if grade:
            found.setdefault(query, {})[document] = grade
    if not found:
        raise BenchError(f"{path}: holds no answer")
    return found


def project_texts(history: History) -> dict[str, str]:
    """Title and objective of every project that states either, by its id."""
    columns = (history.projects[name].to_pylist() for name in ("project_id", "title", "objective"))
    told = {key: ". ".join(filter(None, texts)) for key, *texts in zip(*columns, strict=True)}
    return {key: text for key, text in told.items() if text}


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of every line that is not blank."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                where = f"{path}:{number}"
                try:
                    text = line.decode("utf-8-sig").strip("\r\n")
                except UnicodeDecodeError as error:
                    raise BenchError(f"{where}: is not UTF-8") from error
                if text.strip():
                    yield where, text
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error


def _topic(record: Mapping[str, Any]) -> Topic:
    # a topic without a title is known by its identifier
    title, text = (_text(record.get(name)) for name in ("title", "text"))
    return Topic(topic_id=record["_id"], title=title or record["_id"], keywords=text)


def _query(where: str, record: Mapping[str, Any]) -> Query:
    about = record.get("metadata", {})
    projects = about.get("projects", [])
    if not isinstance(projects, list) or not all(isinstance(project, str) for project in projects):
        raise BenchError(f'{where}: "projects" must be a list of project numbers as text')
    if len(set(projects)) < len(projects):
        raise BenchError(f"{where}: a project is there twice")
    group, country, nuts = (_text(about.get(name)) for name in ("group", "country", "nuts"))
    return Query(record["_id"], _text(record.get("text")) or "", group, country, nuts, tuple(projects))


def _day(corpus: list[tuple[str, dict[str, Any]]]) -> date:
    """The first day of the first year of the topics' calls: all that is known must be older."""
    years = set()
    for where, record in corpus:
        year = record.get("metadata", {}).get("call_year")
        if type(year) is not int or not 1984 <= year <= 2100:
            raise BenchError(f'{where}: "call_year" must be a year')
        years.add(year)
    return date(min(years), 1, 1)


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _id(key: str) -> str:
    """An id for a message: no control characters, not endless."""
    return repr(key if len(key) <= SHOWN else f"{key[:SHOWN]}…")
