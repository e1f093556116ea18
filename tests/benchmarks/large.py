"""What a large warehouse costs to build and to ask, beside plain DuckDB: `make bench-large` prints it.

The calls and matches of a small warehouse are multiplied to CALLS and MATCHES and written as Parquet. From
that the project's own SQL builds a first week, and a second one upon it with CHANGED of the calls changed.
Beside it a plain `CREATE TABLE AS` of the same rows is timed, in turns, and so are an adviser's questions
beside the bare SQL that gives the same answer.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from warehouse.build import check, rebuilding
from warehouse.publish import publish
from warehouse.read import Relation, Warehouse, open_warehouse

CALLS, MATCHES, PROFILES = 100_000, 1_000_000, 1_000
CHANGED = 0.03
THREADS, ROUNDS = 2, 3
ASKED, TIMES = 60, 3  # different questions of a kind, and how often each is asked
STAGED = ("calls", "call_themes", "profile_versions", "matches", "runs", "source_health")
TABLES = ("calls", "call_versions", "call_themes", "profile_versions", "matches")


def write_week(home: Path, folder: Path, number: int) -> None:
    """Parquet of the stage tables of one week: `home`'s records over and over, each under an own id."""
    folder.mkdir()
    with duckdb.connect(":memory:") as con:
        con.execute(f"SET threads = {THREADS}")
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH '{home / 'warehouse.duckdb'}' AS small (READ_ONLY)")
        con.execute("USE small")
        ((copies,),) = con.execute(
            f"SELECT CAST(ceil({CALLS} / count(*)) AS BIGINT) FROM core.calls"
        ).fetchall()
        ((profiles, deep),) = con.execute(
            "SELECT count(DISTINCT profile_id), max(rank) "
            "FROM core.matches SEMI JOIN mart.latest_run USING (run_id)"
        ).fetchall()
        blocks = MATCHES // PROFILES // deep  # how often the matches of a profile are repeated
        days = 7 * (number - 1)  # the second week is of the small warehouse's own day
        changed = f"{number} > 0 AND hash(call_id, i) % 1000 < {CHANGED * 1000}"
        tables = {
            "runs": f"SELECT * REPLACE (run_id || '.{number}' AS run_id, as_of + {days} AS as_of, "
            f"started_at + to_days({days}) AS started_at) FROM mart.latest_run",
            "source_health": f"SELECT * REPLACE (run_id || '.{number}' AS run_id) "
            "FROM core.source_health SEMI JOIN mart.latest_run USING (run_id)",
            "calls": "SELECT * EXCLUDE (i) REPLACE (call_id || '.' || i AS call_id, "
            f"title || CASE WHEN {changed} THEN ' (new)' ELSE '' END AS title, "
            "list_transform(sections, "
            'lambda s: struct_update(s, "text" := s."text" || \' \' || i)) AS sections, '
            f"sha256(content_sha256 || i || CAST({changed} AS VARCHAR)) AS content_sha256, "
            f"fetched_at + to_days({days}) AS fetched_at, last_seen_on + {days} AS last_seen_on) "
            f"FROM core.calls, range({copies}) AS t(i) ORDER BY i, call_id LIMIT {CALLS}",
            "call_themes": "SELECT * EXCLUDE (i) REPLACE (call_id || '.' || i AS call_id) "
            f"FROM core.call_themes, range({copies} - 1) AS t(i)",
            "profile_versions": "SELECT * EXCLUDE (i, version, run_id, last_run_id) "
            "REPLACE (id || '-' || i AS id) FROM core.profile_versions, range("
            f"CAST(ceil({PROFILES} / (SELECT count(*) FROM core.profiles)) AS BIGINT)) AS t(i) "
            f"ORDER BY i, id LIMIT {PROFILES}",
            "matches": f"SELECT told.* EXCLUDE (p, n) REPLACE (run_id || '.{number}' AS run_id, "
            "profile_id || '-' || i AS profile_id, "
            f"call_id || '.' || (b * 37 + (p + i * {profiles}) * 101) % {copies - 1} AS call_id, "
            f"CAST(b * n + rank AS INTEGER) AS rank, 1 - (b * n + rank) / {blocks + 1} / n AS score, "
            "list_transform(evidence, lambda e: struct_update(e, profile_text := e.profile_text || ' ' || i, "
            "call_text := e.call_text || ' ' || b || ' ' || i)) AS evidence) "
            "FROM (SELECT *, dense_rank() OVER (ORDER BY profile_id) - 1 AS p, "
            "count(*) OVER (PARTITION BY profile_id) AS n "
            "FROM core.matches SEMI JOIN mart.latest_run USING (run_id)) AS told, "
            f"range({-(-PROFILES // profiles)}) AS t(i), range({blocks}) AS u(b) "
            f"WHERE p + i * {profiles} < {PROFILES}",
        }
        for name, query in tables.items():
            con.execute(f"COPY ({query}) TO '{folder}/{name}.parquet' (FORMAT parquet)")


def build(week: Path, target: Path, previous: Path | None) -> None:
    """The project's build, with its stage tables read from Parquet."""
    with rebuilding(target, previous, {f"core.{name}" for name in (*STAGED, "call_versions")}) as con:
        con.execute(f"SET threads = {THREADS}")
        for name in STAGED:
            con.execute(f"CREATE TEMP VIEW stage_{name} AS FROM read_parquet('{week / name}.parquet')")


def plain(rows: Path, target: Path) -> None:
    """The same rows by `CREATE TABLE AS`, nothing else."""
    with duckdb.connect(str(target)) as con:
        con.execute(f"SET threads = {THREADS}")
        con.execute("SET TimeZone = 'UTC'")
        for name in TABLES:
            con.execute(f"CREATE TABLE {name} AS FROM read_parquet('{rows / name}.parquet')")
        con.execute("CHECKPOINT")


def finished_rows(warehouse: Path, folder: Path) -> int:
    """Write the tables of a built warehouse as Parquet, one file each; how many rows."""
    folder.mkdir()
    with duckdb.connect(str(warehouse), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        for name in TABLES:
            con.execute(f"COPY core.{name} TO '{folder / name}.parquet' (FORMAT parquet)")
        return sum(con.execute(f"SELECT count(*) FROM core.{name}").fetchall()[0][0] for name in TABLES)


def timed(action: Callable[..., object], *given: object) -> float:
    """Seconds."""
    begun = time.perf_counter()
    action(*given)
    return time.perf_counter() - begun


def compare_builds(title: str, week: Path, previous: Path | None, folder: Path) -> Path:
    """Print build and plain side by side; the built file."""
    folder.mkdir()
    built = folder / f"warehouse.large.{os.getpid()}.building"
    build(week, built, previous)
    rows = finished_rows(built, folder / "rows")
    ours, bare = [], []
    for number in range(ROUNDS):
        ours.append(timed(build, week, folder / f"ours{number}.duckdb", previous))
        bare.append(timed(plain, folder / "rows", folder / f"bare{number}.duckdb"))
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    sizes = [(folder / f"{kind}0.duckdb").stat().st_size / 1e6 for kind in ("ours", "bare")]
    print(
        f"{title:<34}{rows:>10}{rows / statistics.median(ours):>12.0f}{rows / statistics.median(bare):>12.0f}"
        f"{ratio:>8.2f}{sizes[0]:>10.0f}{sizes[1]:>10.0f}"
    )
    for number in range(ROUNDS):
        for kind in ("ours", "bare"):
            (folder / f"{kind}{number}.duckdb").unlink()
    return built


QUESTIONS: dict[str, tuple[Callable[[Warehouse, str, str], Relation], str]] = {
    "client: its matches": (
        lambda w, profile, call: w.matches(profile),
        "SELECT * FROM mart.matches WHERE profile_id = $profile ORDER BY profile_id, rank",
    ),
    "why: this match": (
        lambda w, profile, call: w.explain(profile, call),
        "SELECT part, name, verdict, profile_text, call_text, weight, url FROM mart.explanations "
        "WHERE profile_id = $profile AND call_id = $call ORDER BY part, position",
    ),
    "changes: all": (lambda w, profile, call: w.changes(), "FROM mart.changes_this_week"),
    "changes: of a client": (
        lambda w, profile, call: w.changes(profile),
        "FROM mart.changes_this_week SEMI JOIN (SELECT DISTINCT call_id FROM core.matches "
        "WHERE profile_id = $profile) USING (call_id)",
    ),
    "deadlines: of a client": (
        lambda w, profile, call: w.deadlines(profile),
        "FROM mart.deadlines_ahead SEMI JOIN (SELECT call_id FROM mart.matches WHERE profile_id = $profile "
        "AND verdict <> 'fail' AND feedback IS DISTINCT FROM 'not-for-us') USING (call_id) "
        "ORDER BY on_date, call_id, position",
    ),
}


def compare_questions(built: Path) -> None:
    """Print the 95th percentile of each kind of question, each asked several times, beside bare SQL."""
    draw = random.Random(1)
    with open_warehouse(built) as warehouse, duckdb.connect(str(built), read_only=True) as bare:
        bare.execute("SET TimeZone = 'UTC'")
        pairs = warehouse.sql("SELECT profile_id, call_id FROM mart.matches ORDER BY ALL").fetchall()
        for title, (ask, query) in QUESTIONS.items():
            ours, plainly = [], []
            for profile, call in draw.sample(pairs, ASKED):
                own = {k: v for k, v in {"profile": profile, "call": call}.items() if f"${k}" in query}
                turns = [partial(ask, warehouse, profile, call), partial(bare.execute, query, own)]
                seconds: list[list[float]] = [[], []]
                for number in range(TIMES):
                    for who in (0, 1) if number % 2 else (1, 0):  # who comes second finds it warm
                        seconds[who].append(timed(lambda answer: answer().fetchall(), turns[who]))
                ours.append(statistics.median(seconds[0]))
                plainly.append(statistics.median(seconds[1]))
            each = [statistics.quantiles(times, n=20)[-1] * 1000 for times in (ours, plainly)]
            print(f"{title:<34}{each[0]:>10.1f}{each[1]:>10.1f}{each[0] / each[1]:>8.2f}")


def main() -> None:
    """Multiply, build, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, help="a home with a warehouse to multiply")
    home = parser.parse_args().home
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for number in (0, 1):
            write_week(home, work / f"week{number}", number)
        print(f"{'build':<34}{'rows':>10}{'rows/s':>12}{'plain':>12}{'ratio':>8}{'MB':>10}{'plain MB':>10}")
        first = compare_builds("first week", work / "week0", None, work / "first")
        second = compare_builds(f"second week, {CHANGED:.0%} changed", work / "week1", first, work / "second")
        print(f"checks {timed(check, second):.1f} s")
        current = work / "home" / "warehouse.duckdb"
        current.parent.mkdir()
        print(f"publish with Parquet {timed(publish, second, current):.1f} s")
        print(f"{'question, p95 in ms':<34}{'ours':>10}{'bare':>10}{'ratio':>8}")
        compare_questions(current)


if __name__ == "__main__":
    main()
