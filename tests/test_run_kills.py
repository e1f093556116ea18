"""Runs that die: the same command goes on with them, and what comes out is what comes out undisturbed.

`make campaigns` kills a hundred at random; `make test` kills one at each of the places that matter.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import SAMPLES, child
from test_mail_kills import judged

from flows.home import Home
from flows.mail.outbox import open_outbox
from flows.work import left_over

KILLS, READERS, DAY, WEEK = 100, 12, "2026-06-22", "2026-W26"
FEW = ("--sources", "eu_portal,rvo,snn")
FUNDMATCH = Path(sys.executable).with_name("fundmatch")
# where the process dies → what is done to it before the command begins
MOMENTS = {
    "two of three sources read": """
from flows.weekly import WeeklyRun
crawl = WeeklyRun.crawl
def dying(self, source):
    crawl(self, source)
    if len(self.crawls) == 2: die()
WeeklyRun.crawl = dying""",
    "some texts encoded": """
from embeddings.cache import VectorCache
add = VectorCache.add
def dying(self, keys, vectors):
    add(self, keys, vectors)
    die()
VectorCache.add = dying""",
    "one shard matched": """
from flows import shards
write = shards.write_whole
def dying(file, lines):
    write(file, lines)
    die()
shards.write_whole = dying""",
    "built, not checked": "import warehouse.build; warehouse.build.check = lambda target: die()",
    "in place, its Parquet not": "import warehouse.publish; warehouse.publish._lead_to = lambda *_: die()",
    "published, not tidied": "from flows.weekly import WeeklyRun; WeeklyRun._end = lambda self: die()",
    "one mail taken": """
from flows.mail.outbox import Outbox
mark = Outbox.mark
def dying(self, *arguments, **more):
    mark(self, *arguments, **more)
    die()
Outbox.mark = dying""",
}
DYING = """
import os, signal, sys
def die(): os.kill(os.getpid(), signal.SIGKILL)
{patch}
sys.argv = ["fundmatch", *{arguments!r}]
from flows.cli import main
main()
"""


def settings(port: int) -> dict[str, str]:
    """Of mail, to a stand-in."""
    return os.environ | {
        "FUNDMATCH_MAIL_FROM": "Hub <digest@hub.example>",
        "FUNDMATCH_WEB_URL": "https://calls.hub.example",
        "FUNDMATCH_SMTP_HOST": "127.0.0.1",
        "FUNDMATCH_SMTP_PORT": str(port),
        "FUNDMATCH_SMTP_SECURITY": "none",
        "FUNDMATCH_MAIL_PER_SECOND": "0",
    }


def next_week(folder: Path) -> Path:
    """The sample archive a week later: a deadline has moved, and a call is gone."""
    archive = Path(shutil.copytree(SAMPLES, folder / "archive"))
    page = archive / "snn" / "mit-haalbaarheid.html"
    page.write_text(page.read_text("utf-8").replace("2026", "2027"), "utf-8")
    for file in (archive / "nwo").glob("listing-*.html"):
        file.write_text(file.read_text("utf-8").replace("/en/calls/kiem-", "/en/elsewhere/kiem-"), "utf-8")
    return archive


def waiting_home(demo: Path, folder: Path, vectors: bool) -> Path:
    """A home of last week with readers who have had that week's mail; with or without its vectors."""
    home = Path(shutil.copytree(demo, folder / "home", ignore=shutil.ignore_patterns("prefect")))
    if not vectors:
        shutil.rmtree(home / "vectors")
    profiles = [profile.id for profile in Home(home).profiles()]
    rows = [f"ann{n}@example.org,{profiles[n]},short,2026-05-01,form" for n in range(READERS)]
    (folder / "readers.csv").write_text(
        "\n".join(["address,profile,when_nothing,consent_on,consent_source", *rows])
    )
    assert child("--home", home, "readers", "import", folder / "readers.csv").returncode == 0
    with judged(folder / "last-week.log") as port:
        sent = [FUNDMATCH, "--home", home, "digest", "send", "--as-of", "2026-06-15"]
        assert subprocess.run(sent, env=settings(port), capture_output=True).returncode == 0
    return home


def told(home: Path) -> dict[str, list[str]]:
    """All rows of all stored tables, runs by their number, without what the clock decides; and the mails."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        runs = [run for (run,) in con.execute("SELECT run_id FROM core.runs ORDER BY started_at").fetchall()]
        names = con.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema IN ('raw', 'core') AND table_type = 'BASE TABLE' ORDER BY 1"
        ).fetchall()
        found = {}
        for (name,) in names:
            what = "as_of, mode, model" if name == "core.runs" else "*"
            rows = [repr(row) for row in con.execute(f"SELECT {what} FROM {name}").fetchall()]
            for number, run in enumerate(runs):
                rows = [row.replace(run, f"run {number}") for row in rows]
            found[name] = sorted(rows)
    folder = home / "digests" / WEEK
    found["digests"] = [f"{file.name}: {file.read_text('utf-8')}" for file in sorted(folder.iterdir())]
    with open_outbox(Home(home)) as outbox:
        ids = [s.subscription_id for s in outbox.subscriptions()]
        found["mails"] = [repr((each, outbox.message(each, WEEK))) for each in ids]
    return found


def differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, str]:
    """Table → the first row in which two homes differ."""
    return {
        name: str(
            next((pair for pair in zip(one[name], other[name], strict=False) if pair[0] != pair[1]), "rows")
        )[:600]
        for name in one
        if one[name] != other.get(name)
    }


def command(home: Path, archive: Path, *more: str) -> list[str]:
    arguments = ["--home", str(home), "run", "--replay", str(archive), "--as-of", DAY, "--send", "--json"]
    return [*arguments, *more]


@pytest.fixture(scope="module")
def undisturbed(
    demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, list[str]]]:
    """A home before a week, that week's archive, and what an undisturbed run of it leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    home, archive = waiting_home(demo[0], folder, vectors=False), next_week(folder)
    whole = Path(shutil.copytree(home, folder / "whole"))
    with judged(folder / "accepted.log") as port:
        done = subprocess.run(
            [FUNDMATCH, *command(whole, archive, "--plain", *FEW)],
            env=settings(port),
            capture_output=True,
            text=True,
        )
    assert done.returncode in (0, 1), done.stderr
    assert (folder / "accepted.log").read_text().count("\n") > 0
    return home, archive, told(whole)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_dies_anywhere_is_gone_on_with(
    undisturbed: tuple[Path, Path, dict[str, list[str]]], tmp_path: Path, moment: str
) -> None:
    before, archive, whole = undisturbed
    home = Path(shutil.copytree(before, tmp_path / "home"))
    arguments = command(home, archive, "--plain", *FEW)
    code = DYING.format(patch=MOMENTS[moment], arguments=arguments)
    with judged(tmp_path / "accepted.log") as port:
        died = subprocess.run(
            [sys.executable, "-c", code], env=settings(port), capture_output=True, text=True
        )
        assert died.returncode == -signal.SIGKILL, died.stderr
        unfinished = [work for work in left_over(Home(home)) if work.state == "running"]
        read = [file.stem for work in unfinished for file in (work.folder / "crawl").glob("*.jsonl")]
        done = subprocess.run(
            [FUNDMATCH, *arguments], env=settings(port), capture_output=True, text=True, timeout=200
        )
    assert done.returncode in (0, 1), done.stderr
    if unfinished:
        assert "going on with run" in done.stderr
        assert json.loads(done.stdout)["run"]["run_id"] == unfinished[0].run_id
    if moment == "two of three sources read":
        seconds = {s["name"]: s["seconds"] for s in json.loads(done.stdout)["run"]["stages"]}
        assert len(read) >= 2  # the third may have come home in the same moment
        assert all(seconds[f"crawl {name}"] < 1 for name in read)  # a crawl is a process, which takes longer
    assert differences(whole, told(home)) == {}
    accepted = Counter(line.split()[1] for line in (tmp_path / "accepted.log").read_text().splitlines())
    assert set(accepted.values()) == {1}
    with open_outbox(Home(home)) as outbox:
        states = outbox.states(WEEK)
    assert states["pending"] == 0 and states["sending"] <= (moment == "one mail taken")
    assert not list(home.glob("**/*.building*")) and not list(home.glob("**/*.writing"))


def test_a_crawl_whose_process_is_killed_is_tried_again(
    undisturbed: tuple[Path, Path, dict[str, list[str]]], tmp_path: Path
) -> None:
    before, archive, whole = undisturbed
    home = Path(shutil.copytree(before, tmp_path / "home"))
    with judged(tmp_path / "accepted.log") as port:
        run = subprocess.Popen(
            [FUNDMATCH, *command(home, archive, "--plain", *FEW)],
            env=settings(port),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 30
        while not (found := children(run.pid)) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(found[0], signal.SIGKILL)
        _, complaint = run.communicate(timeout=120)
    assert run.returncode in (0, 1), complaint
    assert differences(whole, told(home)) == {}


def children(pid: int) -> list[int]:
    """The processes that a process has started, by any of its threads."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, file.read_text().split())
        except OSError:
            continue
    return found


@dataclass
class Tally:
    """What a campaign came to."""

    kills: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    gone_on: int = 0
    again: int = 0  # commands until the week was whole
    doubts: int = 0
    mails: int = 0
    differing: list[dict[str, str]] = field(default_factory=list)


def strike(run: subprocess.Popen[Any], how: str, chance: random.Random) -> None:
    """Kill a run alone, it and all that it started, or one thing that it started."""
    started = children(run.pid)
    if how == "one child" and started:
        victims = [chance.choice(started)]
    else:
        victims = [run.pid, *(started if how == "all" else ())]
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def to_the_end(arguments: Sequence[str], environment: dict[str, str], tally: Tally) -> dict[str, Any]:
    """Give the command again until it comes to its end."""
    for _ in range(4):
        tally.again += 1
        done = subprocess.run(
            [FUNDMATCH, *arguments], env=environment, capture_output=True, text=True, timeout=300
        )
        if done.returncode in (0, 1):
            tally.gone_on += "going on with run" in done.stderr
            return dict(json.loads(done.stdout))
    raise AssertionError(done.stderr[-3000:])


def last_stage(home: Path) -> str:
    """The last thing that the newest log tells of."""
    logs = sorted((home / "logs").glob("*.jsonl"))
    lines = logs[-1].read_text("utf-8").splitlines() if logs else []
    said = [json.loads(line) for line in lines if line.endswith("}")]
    stages = [each["stage"].split()[0] for each in said if each["event"] == "stage started"]
    return "mails" if said and said[-1]["event"] == "run published" else (stages or ["start"])[-1]


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_a_hundred_runs_killed_at_random(demo: tuple[Path, str], tmp_path: Path) -> None:
    before, archive = waiting_home(demo[0], tmp_path, vectors=False), next_week(tmp_path)
    chance, tally, longest = random.Random(2026), Tally(), {}
    wholes = {}
    for mode in ((), ("--plain",)):
        home = Path(shutil.copytree(before, tmp_path / f"whole{len(mode)}"))
        begun = time.monotonic()
        with judged(tmp_path / f"whole{len(mode)}.log") as port:
            to_the_end(command(home, archive, *mode), settings(port), Tally())
        longest[mode], wholes[mode] = time.monotonic() - begun, told(home)
    assert differences(wholes[()], wholes[("--plain",)]) == {}
    expected = {m for m in wholes[()]["mails"] if "None" not in m[-6:]}
    for number in range(KILLS):
        trial = tmp_path / f"trial{number}"
        home = Path(shutil.copytree(before, trial / "home"))
        mode = ("--plain",) if number % 2 else ()
        how = ("it alone", "all", "one child")[number % 3]
        arguments = command(home, archive, *mode)
        before_logs = len(list((home / "logs").iterdir()))
        with judged(trial / "accepted.log") as port:
            with subprocess.Popen(
                [FUNDMATCH, *arguments],
                env=settings(port),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as run:
                time.sleep(chance.uniform(0.2, longest[mode]))
                over = run.poll() is not None or not any(w.state == "running" for w in left_over(Home(home)))
                over = over and len(list((home / "logs").iterdir())) > before_logs
                strike(run, how, chance)
                ended = run.wait(timeout=300)
            tally.kills["after its end" if over else how] += 1
            tally.reached[last_stage(home)] += not over
            if ended not in (0, 1) and not over:
                to_the_end(arguments, settings(port), tally)
        accepted = Counter(line.split()[1] for line in (trial / "accepted.log").read_text().splitlines())
        assert not [name for name, count in accepted.items() if count > 1], "a mail came twice"
        with open_outbox(Home(home)) as outbox:
            states = outbox.states(WEEK)
        assert states["pending"] == states["failed"] == 0
        assert states["sent"] + states["sending"] == len(expected)
        tally.doubts += states["sending"]
        tally.mails += len(accepted)
        found = told(home)
        if off := differences(wholes[mode], found):
            tally.differing.append(off)
        assert not list(home.glob("**/*.building*"))
        shutil.rmtree(trial)
    print(
        f"\n{KILLS} runs, {dict(tally.kills)}, reached {dict(tally.reached)}; gone on with {tally.gone_on}, "
        f"commands given again {tally.again}; mails {tally.mails}, in doubt {tally.doubts}, twice 0; "
        f"different warehouses {len(tally.differing)}; a run takes {longest[()]:.1f} s, plain "
        f"{longest[('--plain',)]:.1f}"
    )
    assert not tally.differing, tally.differing[:3]
