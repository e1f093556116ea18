"""Slow trials of the warehouse: readers beside publishing, builds killed at random, a disk that is full.

`make campaigns` runs them and prints the figures of docs/measurements.md.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from test_warehouse import BUILDER, call, match, published, week

from warehouse.build import Week, check
from warehouse.records import open_records

READERS, PUBLISHES, KILLS = 10, 50, 100
CALLS = 300

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

# reads without pause until it is told to stop; each read is one opening, with several queries
READER = """
import json, sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from warehouse.read import open_warehouse
home, stop = Path({home!r}), Path({stop!r})
titled = "SELECT DISTINCT 'run' || split_part(title, ' ', 2) FROM "
reads, torn, errors, seen = 0, [], [], set()
while not stop.exists():
    try:
        with open_warehouse(home) as warehouse:
            ((run,),) = warehouse.sql("SELECT run_id FROM mart.latest_run").fetchall()
            told = {{
                "matches": warehouse.sql(titled + "mart.matches"),
                "calls": warehouse.sql(titled + "core.calls"),
                "versions": warehouse.sql(
                    "SELECT DISTINCT run_id FROM core.call_versions WHERE next_run_id IS NULL"
                ),
                "again": warehouse.sql("SELECT run_id FROM mart.latest_run"),
            }}
            torn += [(run, name) for name, rows in told.items() if rows.fetchall() != [(run,)]]
            seen.add(run)
            reads += 1
    except Exception as error:
        errors.append(repr(error)[:300])
print(json.dumps({{"reads": reads, "torn": torn[:5], "errors": errors[:5], "runs": len(seen)}}))
"""


def told(number: int) -> Week:
    """A week in which every call's title names its run."""
    calls = [call(str(n), title=f"Run {number} call {n}", deadlines=()) for n in range(CALLS)]
    return week(number, calls=calls, matches=[match(f"eu_portal:{n}", rank=n + 1) for n in range(50)])


def publishing(home: Path, numbers: range) -> list[float]:
    """Seconds that each build, check and publish took."""
    seconds = []
    for number in numbers:
        begun = time.perf_counter()
        published(home, told(number))
        seconds.append(time.perf_counter() - begun)
    return seconds


def test_ten_readers_beside_fifty_publishes(tmp_path: Path) -> None:
    alone = publishing(tmp_path, range(1, 11))
    stop = tmp_path / "stop"
    code = READER.format(tests=str(ROOT / "tests"), home=str(tmp_path), stop=str(stop))
    readers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(READERS)
    ]
    try:
        beside = publishing(tmp_path, range(11, 11 + PUBLISHES))
        stop.touch()
        found = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
    reads = sum(each["reads"] for each in found)
    runs = [each["runs"] for each in found]
    print(
        f"\n{READERS} readers, {PUBLISHES} publishes: {reads} reads, "
        f"of {min(runs)} to {max(runs)} weeks a reader; torn {sum(len(e['torn']) for e in found)}, "
        f"errors {sum(len(e['errors']) for e in found)}; "
        f"a week took {statistics.median(beside):.2f} s, at most {max(beside):.2f} "
        f"(alone {statistics.median(alone):.2f})"
    )
    assert [each["torn"] for each in found] == [[]] * READERS
    assert [each["errors"] for each in found] == [[]] * READERS
    assert min(each["reads"] for each in found) >= 10 and max(each["runs"] for each in found) >= 10


def test_a_hundred_builds_killed_at_random_moments(tmp_path: Path) -> None:
    current = published(tmp_path, week(1))
    code = BUILDER.format(tests=str(ROOT / "tests"), home=str(tmp_path))
    chance = random.Random(2026)
    done = went_on = 0
    for _ in range(KILLS):
        with open_records(current) as warehouse:
            before = done
            done = len(warehouse.runs().fetchall())
            went_on += done > before
        child = subprocess.Popen(
            [sys.executable, "-c", code.replace("range(2,", f"range({done + 1},")], stdout=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.5, 3.0))
        child.send_signal(signal.SIGKILL)
        child.wait()
        check(current)
        with open_records(current) as warehouse:
            calls = warehouse.sql("SELECT count(*) FROM core.calls WHERE in_latest_run").fetchall()
            latest = warehouse.latest_run()
        assert latest and (calls == [(299,)] or latest.run_id == "run1")
    with open_records(current) as warehouse:
        done = len(warehouse.runs().fetchall())
    print(f"\n{KILLS} kills: the file opened and passed all checks each time; {done} weeks were published")
    assert went_on > KILLS / 4  # the kills fell also before, within and after a swap
    published(tmp_path, week(done + 1, calls=[call(deadlines=())]))
    assert not list(tmp_path.glob("**/*.building*"))


FULL = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from test_warehouse import call, published, week
from warehouse.build import check
from warehouse.errors import WarehouseError
from warehouse.export import export
from warehouse.read import open_warehouse
home = Path({home!r})
current = published(home, week(1))
big = [call(str(n), sections=({{"heading": "", "text": str(n) * 20_000}},)) for n in range(1_000)]
try:
    published(home, week(2, calls=big))
except WarehouseError as error:
    print("told:", str(error).splitlines()[0])
check(current)
with open_warehouse(home) as warehouse:
    print("runs:", len(warehouse.runs().fetchall()))
(home / "filler").write_bytes(b"x" * max(0, __import__("shutil").disk_usage(home).free - 4096))
with open_warehouse(home) as warehouse:
    try:
        export(warehouse, "calls", "xlsx", home / "x.xlsx")
    except WarehouseError as error:
        print("export:", str(error).splitlines()[0])
(home / "filler").unlink()
published(home, week(2))
print("left:", [f.name for f in home.iterdir() if ".building" in f.name or ".writing" in f.name])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")
@pytest.mark.parametrize("mebibytes", [8, 12, 16])
def test_a_full_disk_keeps_last_week_and_says_what_to_do(tmp_path: Path, mebibytes: int) -> None:
    code = FULL.format(tests=str(ROOT / "tests"), home=str(tmp_path))
    mount = f"mount -t tmpfs -o size={mebibytes}m tmpfs {tmp_path}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        timeout=200,
    )
    print(f"\n{mebibytes} MiB: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "make room" in lines["told"]
    assert lines["runs"] == "1" and "cannot be written" in lines["export"] and lines["left"] == "[]"
