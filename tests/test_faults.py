"""The fault campaign: what a user sees when something around a week breaks, and what is kept.

Each case starts from a published week whose readers had their mails, brings one fault and gives a command;
then the fault goes, and the same command comes to its end. The rows printed at the end (`-s`) are the table
of docs/faults.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT, SAMPLES, child
from hostile_server import Asked, HostileSite, RecordedSite, Reply, whole
from test_mail_kills import judged
from test_run_kills import FUNDMATCH, children, next_week, settings, waiting_home
from test_week import matches

from flows.home import Home
from flows.mail.outbox import open_outbox
from pipeline.schema import Call
from warehouse.records import open_records

DAY = "2026-06-15"
WHOLE = ("run", "--plain", "--replay", str(SAMPLES), "--as-of", DAY)
SNN = (*WHOLE, "--sources", "snn")
SLOW = pytest.mark.campaign
CLOSED = "http://127.0.0.1:9"  # a port where nothing listens
TABLE: list[tuple[str, str, int, str]] = []  # fault, what the user sees, status, what is kept
KEPT, PUBLISHED = "last week, as it was", "published, with the source's last good records"


@dataclass
class Trial:
    """A home of a published week, before a fault, and what it held."""

    home: Path
    folder: Path
    name: str
    matched: list[Any] = field(default_factory=list)
    mailed: list[str] = field(default_factory=list)
    runs: int = 0

    def __post_init__(self) -> None:
        self.matched, self.mailed, self.runs = matches(self.home), mails(self.home), runs(self.home)

    def does(self, *arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
        """Give a command in this home."""
        return child("--home", self.home, *arguments, COLUMNS="1000", **environment)

    def refused(self, done: subprocess.CompletedProcess[str], *words: str, to: str = "fundmatch: ") -> None:
        """Status 2, one line that has `words`, and nothing changed."""
        assert done.returncode == 2, (done.returncode, done.stderr)
        line = self.told(done, *words, to=to)
        self.is_as_it_was()
        TABLE.append((self.name, line, 2, KEPT))

    def went_on(
        self, done: subprocess.CompletedProcess[str], *words: str, source: str, state: str = "broken"
    ) -> None:
        """Status 1, a line about `source` that has `words`, and a week with its last good records."""
        assert done.returncode == 1, (done.returncode, done.stderr)
        line = self.told(done, *words, to="error: ")
        assert runs(self.home) == self.runs + 1
        assert matches(self.home) == self.matched and mails(self.home) == self.mailed
        with open_records(self.home) as warehouse:
            (health,) = [each for each in warehouse.health() if each.source == source]
        assert health.state == state and health.records > 0 and health.detail
        TABLE.append((self.name, line, 1, PUBLISHED))

    def told(self, done: subprocess.CompletedProcess[str], *words: str, to: str) -> str:
        """The one line that begins with `to`; it has `words`, and nothing is a traceback."""
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        lines = [line for line in done.stderr.splitlines() if line.startswith(to)]
        if to == "error: ":  # of which a source may have several
            lines = [line for line in lines if words[-1] in line]
        assert len(lines) == 1 and all(word in lines[0] for word in words), done.stderr
        shown = lines[0].removeprefix("fundmatch: ")
        return shown.replace(str(self.home), "HOME").replace(str(self.folder), "DIR")

    def is_as_it_was(self) -> None:
        """Last week's warehouse opens and says the same to the last digit, and so does the outbox."""
        assert (matches(self.home), mails(self.home), runs(self.home)) == (
            self.matched,
            self.mailed,
            self.runs,
        )

    def ends(self, *arguments: Any, **environment: str) -> None:
        """The same command comes to its end, now that the fault is gone."""
        before = runs(self.home)
        done = self.does(*arguments, **environment)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        assert runs(self.home) == before + 1 and mails(self.home) == self.mailed


def mails(home: Path) -> list[str]:
    """All mails of the outbox with their state, and who gets them."""
    with open_outbox(Home(home)) as outbox:
        return [*map(repr, outbox.subscriptions()), *(repr(dict(mail)) for mail in outbox.mails())]


def runs(home: Path) -> int:
    with open_records(home) as warehouse:
        return len(warehouse.run_ids())


@pytest.fixture(scope="module")
def last_week(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's home with readers who had that week's mail."""
    return waiting_home(demo[0], tmp_path_factory.mktemp("last-week"), vectors=True)


@pytest.fixture
def trial(last_week: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Trial:
    home = Path(shutil.copytree(last_week, tmp_path / "home"))
    return Trial(home, tmp_path, getattr(request, "param", request.node.name))


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print the rows at the end."""
    yield
    print("\n| fault | what the user sees | status | what is kept |\n|---|---|---|---|")
    for row in TABLE:
        print("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")


Case = Callable[[Trial], None]
CASES: dict[str, Any] = {}


def case(name: str, *marks: Any) -> Callable[[Case], Case]:
    """A fault of the campaign; its function brings it, judges what came, and takes it away."""

    def put(brings: Case) -> Case:
        CASES[name] = pytest.param(name, brings, id=name, marks=marks)
        return brings

    return put


# A disk that is full


SMALL_DISK = """
mount -t tmpfs -o size=40m tmpfs "$MOUNT" && cp -a "$HOME_BEFORE" "$MOUNT/home"
"$PYTHON" -c 'import shutil, sys
free = shutil.disk_usage(sys.argv[1]).free
open(sys.argv[1] + "/filler", "wb").write(b"x" * (free - 1024 * int(sys.argv[2])))' "$MOUNT" "$LEFT"
status=0; "$@" >"$OUT/told" 2>"$OUT/complaint" || status=$?; echo $status >"$OUT/status"
cp -a "$MOUNT/home" "$OUT/home"
rm "$MOUNT/filler"
status=0; "$@" >"$OUT/told-after" 2>"$OUT/complaint-after" || status=$?; echo $status >"$OUT/status-after"
cp -a "$MOUNT/home" "$OUT/home-after"
"""


def full_disk(trial: Trial, left: int, *words: str) -> None:
    """A run on a disk with `left` KiB of room, and again when there is some."""
    (mount := trial.folder / "mount").mkdir()
    (out := trial.folder / "out").mkdir()
    places = {"MOUNT": mount, "OUT": out, "HOME_BEFORE": trial.home, "LEFT": left, "PYTHON": sys.executable}
    subprocess.run(
        ["unshare", "-m", "sh", "-ec", SMALL_DISK, "sh", FUNDMATCH, "--home", mount / "home", *SNN],
        env=os.environ | {"COLUMNS": "1000"} | {name: str(value) for name, value in places.items()},
        check=True,
    )
    done = subprocess.CompletedProcess(
        [], int((out / "status").read_text()), (out / "told").read_text(), (out / "complaint").read_text()
    )
    done.stderr = done.stderr.replace(str(mount / "home"), str(trial.home))
    trial.home, before = out / "home", trial.home
    trial.refused(subprocess.CompletedProcess([], done.returncode, done.stdout, done.stderr), *words)
    assert not list(trial.home.glob("*.building*"))
    TABLE[-1] = (trial.name, TABLE[-1][1].replace(str(before), "HOME"), *TABLE[-1][2:])
    assert (out / "status-after").read_text().strip() == "0", (out / "complaint-after").read_text()
    trial.home = out / "home-after"
    assert runs(trial.home) == trial.runs + 1 and matches(trial.home) == trial.matched
    assert mails(trial.home) == trial.mailed


FULL = ("the disk is full", "make room", "the same command again")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")
for _when, _left, _words, _marks in [
    ("nothing can be written", 0, FULL, ()),
    ("the crawl's records find no room", 12, FULL, (SLOW,)),
    ("the matches find no room", 1500, FULL, (SLOW,)),
    ("the new warehouse finds no room", 8000, ("make room", "run again", "what was published stays"), ()),
]:
    case(f"disk full: {_when}", ROOT_ONLY, *_marks)(
        lambda trial, left=_left, words=_words: full_disk(trial, left, *words)
    )


# The clock


def began(home: Path, when: datetime) -> None:
    """Let the last published run have begun then."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("UPDATE core.runs SET started_at = ?", [when])


@case("clock set back by two days")
def _(trial: Trial) -> None:
    began(trial.home, datetime.now(UTC) + timedelta(days=2))
    trial.refused(trial.does(*SNN), "set the clock right, then run again", "the last run began on")
    began(trial.home, datetime.now(UTC) - timedelta(days=7))
    trial.ends(*SNN)


@case("clock set back by a minute", SLOW)
def _(trial: Trial) -> None:
    began(trial.home, datetime.now(UTC) + timedelta(minutes=1))
    trial.ends(*SNN)
    assert matches(trial.home) == trial.matched
    TABLE.append((trial.name, "nothing: the run is dated just after the last one", 0, "the new week"))


class Dated(RecordedSite):
    """A site whose clock says something else than ours, by `off`."""

    off = timedelta(days=3)

    def robots(self) -> Reply:
        yield from (self._dated(bytes(piece)) for piece in super().robots() if isinstance(piece, bytes))

    def reply(self, asked: Asked) -> Reply:
        yield self._dated(whole(self.recorded(asked)))

    def _dated(self, answer: bytes) -> bytes:
        date = format_datetime(datetime.now(UTC) + self.off, usegmt=True)
        return answer.replace(b"\r\n", b"\r\nDate: %b\r\n" % date.encode(), 1)


LIVE = ("run", "--plain", "--live", "--as-of", DAY, "--sources")


@case("clock far from what most sites say")
def _(trial: Trial) -> None:
    with Dated(SAMPLES / "snn") as site:
        at = {"FUNDMATCH_BASE_URL__SNN": site.url}
        trial.refused(
            trial.does(*LIVE, "snn", **at), "set the clock right, then run again", "nothing was published"
        )
        site.off = timedelta(0)
        trial.ends(*LIVE, "snn", **at)


@case("clock of one site of two is wrong", SLOW)
def _(trial: Trial) -> None:
    with Dated(SAMPLES / "snn") as wrong, RecordedSite(SAMPLES / "rvo") as right:
        trial.ends(
            *LIVE,
            "snn,rvo",
            FUNDMATCH_BASE_URL__SNN=wrong.url,
            FUNDMATCH_BASE_URL__RVO=right.url,
        )
    TABLE.append((trial.name, "noted: 1 × clock_off", 0, "the new week"))


# Sites and the network


@case("DNS fails")
def _(trial: Trial) -> None:
    command = (*LIVE, "eu_portal")
    done = trial.does(*command, FUNDMATCH_BASE_URL__EU_PORTAL="http://no-such-host.invalid")
    trial.went_on(done, "eu_portal", "the host has no address", source="eu_portal")
    with RecordedSite(SAMPLES / "eu_portal") as site:
        trial.ends(*command, FUNDMATCH_BASE_URL__EU_PORTAL=site.url)
    assert matches(trial.home) == trial.matched


@case("one site never answers", SLOW)
def _(trial: Trial) -> None:
    command = (*LIVE, "eu_portal,snn")
    with HostileSite(SAMPLES / "eu_portal", SAMPLES / "snn") as site:
        at = {"FUNDMATCH_BASE_URL__EU_PORTAL": f"{site.url}/recorded", "FUNDMATCH_CRAWL_MINUTES": "0.1"}
        done = trial.does(*command, FUNDMATCH_BASE_URL__SNN=f"{site.url}/never_answers", **at)
        trial.went_on(done, "snn", "stopped, since it was not done after", source="snn")
        trial.ends(*command, FUNDMATCH_BASE_URL__SNN=f"{site.url}/recorded", **at)
    assert matches(trial.home) == trial.matched


# The model, the warehouse, the home


@case("the model's folder is not there")
def _(trial: Trial) -> None:
    trial.refused(
        trial.does(*SNN, FUNDMATCH_MODEL="/no/such/folder"), "no such folder; give all-MiniLM-L6-v2"
    )
    trial.ends(*SNN)


@case("the model's folder has no weights", SLOW)
def _(trial: Trial) -> None:
    from embeddings.encode import DEFAULT_MODEL, _folder

    folder = trial.folder / "model"
    shutil.copytree(_folder(DEFAULT_MODEL), folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin"))
    trial.refused(trial.does(*SNN, FUNDMATCH_MODEL=str(folder)), "holds no weights (model.safetensors)")
    trial.ends(*SNN)


HOLDER = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@case("the warehouse is open for writing elsewhere")
def _(trial: Trial) -> None:
    command = [sys.executable, "-c", HOLDER, trial.home / "warehouse.duckdb"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        done = trial.does(*SNN)
        holder.communicate()
    trial.refused(done, "another program has it open for writing: close it there")
    trial.ends(*SNN)


def damaged(trial: Trial, spoil: Callable[[bytes], bytes], *words: str) -> None:
    """The warehouse's file is damaged, and then restored from a copy."""
    file = trial.home / "warehouse.duckdb"
    good = file.read_bytes()
    spoilt = spoil(good)
    file.write_bytes(spoilt)
    done = trial.does(*SNN)
    assert file.read_bytes() == spoilt
    file.write_bytes(good)
    trial.refused(done, *words, "restore a copy")
    trial.ends(*SNN)


@case("the warehouse's file is cut")
def _(trial: Trial) -> None:
    damaged(trial, lambda good: good[: len(good) // 2], "not a readable warehouse")


@case("the warehouse's file is overwritten inside", SLOW)
def _(trial: Trial) -> None:
    middle = 1_500_000
    damaged(trial, lambda good: good[:middle] + b"x" * 600_000 + good[middle + 600_000 :], "damaged")


@case("the warehouse's file is something else", SLOW)
def _(trial: Trial) -> None:
    damaged(trial, lambda _: b"not a database", "not a readable warehouse")


@case("the home cannot be written", SLOW)
def _(trial: Trial) -> None:
    (file := trial.folder / "file").touch()
    done = child("--home", file / "home", *SNN, COLUMNS="1000")
    trial.refused(done, "cannot be used as home", "choose another with --home")
    trial.ends(*SNN)


@case("no profiles", SLOW)
def _(trial: Trial) -> None:
    kept = (trial.home / "profiles.json").rename(trial.folder / "profiles.json")
    trial.refused(trial.does(*SNN), "no profiles yet; import some with: fundmatch profiles import FILE")
    assert trial.does("profiles", "import", kept).returncode == 0
    trial.ends(*SNN)


@case("the profiles are damaged")
def _(trial: Trial) -> None:
    file = trial.home / "profiles.json"
    shutil.copy(file, trial.folder / "copy.json")
    file.write_bytes(file.read_bytes()[:500])
    trial.refused(trial.does(*SNN), "move it away, then import the profiles again")
    file.rename(trial.folder / "damaged.json")
    assert trial.does("profiles", "import", trial.folder / "copy.json").returncode == 0
    trial.ends(*SNN)
    assert matches(trial.home) == trial.matched


class Gated(RecordedSite):
    """A site that answers only once its gate is open."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(*folders)
        self.asked, self.gate = threading.Event(), threading.Event()

    def robots(self) -> Reply:
        self.asked.set()
        self.gate.wait(60)
        return super().robots()


@case("two runs at once")
def _(trial: Trial) -> None:
    with Gated(SAMPLES / "snn") as site:
        at = os.environ | {"FUNDMATCH_BASE_URL__SNN": site.url}
        first = subprocess.Popen(
            [FUNDMATCH, "--home", trial.home, *LIVE, "snn"],
            env=at,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with first:
            assert site.asked.wait(60)
            trial.refused(
                trial.does(*SNN), "another run is at work here", f"process {first.pid}", "wait for it"
            )
            site.gate.set()
            _, complaint = first.communicate(timeout=120)
    assert first.returncode == 0, complaint
    assert runs(trial.home) == trial.runs + 1 and matches(trial.home) == trial.matched
    line = TABLE[-1][1].replace(str(first.pid), "4711")
    TABLE[-1] = (trial.name, line, 2, "the first run publishes its week")
    trial.ends(*SNN)


# Prefect and mail


UNDER_PREFECT = tuple(word for word in SNN if word != "--plain")


@case("Prefect's server is not there", SLOW)
def _(trial: Trial) -> None:
    done = trial.does(*UNDER_PREFECT, PREFECT_API_URL=f"{CLOSED}/api")
    trial.refused(done, "does not answer; run with --plain to do without it")
    trial.ends(*SNN)


@case("Prefect's server is killed in the midst", SLOW)
def _(trial: Trial) -> None:
    command = [FUNDMATCH, "--home", trial.home, "run", "--replay", SAMPLES, "--as-of", DAY]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "999"},
    ) as run:
        until = time.monotonic() + 120
        while not (work := begun_stages(trial.home)) and run.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert work
        (server,) = [pid for pid in children(run.pid) if "flows.engine" in words_of(pid)]
        os.kill(server, signal.SIGKILL)
        _, complaint = run.communicate(timeout=200)
    assert run.returncode in (0, 1) and "Traceback" not in complaint, complaint
    assert runs(trial.home) == trial.runs + 1 and matches(trial.home) == trial.matched
    assert mails(trial.home) == trial.mailed
    seen = "going on without it" if "going on without it" in complaint else "nothing: it is started again"
    TABLE.append((trial.name, seen, run.returncode, "the new week"))
    trial.ends(*UNDER_PREFECT)


def begun_stages(home: Path) -> bool:
    """Whether the newest run has begun to read its sources."""
    newest = max((home / "logs").glob("*.jsonl"), key=lambda file: file.name)
    return '"run published"' not in (text := newest.read_text()) and '"stage started"' in text


def words_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@case("the mail server is away")
def _(trial: Trial) -> None:
    archive = next_week(trial.folder)
    command = (
        "run",
        "--plain",
        "--replay",
        archive,
        "--as-of",
        "2026-06-22",
        "--sources",
        "snn,nwo",
        "--send",
    )
    quick = {"FUNDMATCH_MAIL_RETRY_SECONDS": "0.1"}
    done = trial.does(*command, **settings(9), **quick)
    assert done.returncode == 1 and runs(trial.home) == trial.runs + 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [x for x in done.stderr.splitlines() if "fundmatch digest send again" in x and "127.0.0.1" in x]
    with open_outbox(Home(trial.home)) as outbox:
        states = outbox.states("2026-W26")
    assert states["pending"] > 0 and states["sending"] == states["sent"] == states["failed"] == 0
    TABLE.append((trial.name, line.strip(), 1, f"the new week; the mails wait ({states['pending']} pending)"))
    with judged(trial.folder / "accepted.log") as port:
        for _ in range(2):
            sent = trial.does("digest", "send", "--as-of", "2026-06-22", **settings(port), **quick)
            assert sent.returncode == 0, sent.stderr
    taken = Counter((trial.folder / "accepted.log").read_text().splitlines())
    assert len(taken) == states["pending"] and set(taken.values()) == {1}


# Records that nobody should serve


POISONED = "50129330TOPICSen"  # a topic that is open, with a budget and one deadline


def poison(
    name: str, put: Callable[[dict[str, Any]], object], read: Callable[[Call], bool], kept: str, *marks: Any
) -> None:
    """A case: `put` spoils the row's metadata, `read` says whether what came of it is right."""
    case(f"poisoned record: {name}", *marks)(lambda trial: poisoned(trial, put, read, kept))


def poisoned(
    trial: Trial, put: Callable[[dict[str, Any]], object], read: Callable[[Call], bool], kept: str
) -> None:
    """One record of the portal is spoilt wherever it is served; the others stay what they were."""
    archive = Path(shutil.copytree(SAMPLES, trial.folder / "archive"))
    served = 0
    for file in (archive / "eu_portal").glob("search-*.json"):
        exchange = json.loads(file.read_text("utf-8"))
        answer = exchange["response"].pop("json")
        for row in answer["results"]:
            if row["reference"] == POISONED:
                put(row["metadata"])
                served += 1
        exchange["response"]["text"] = json.dumps(
            answer
        )  # as it is printed: NaN, and escapes of half characters
        file.write_text(json.dumps(exchange), "utf-8")
    assert served
    before = calls(trial.home)
    command = ("run", "--plain", "--as-of", DAY, "--sources", "eu_portal", "--replay")
    done = trial.does(*command, archive)
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr + done.stdout, done.stderr
    assert runs(trial.home) == trial.runs + 1 and mails(trial.home) == trial.mailed
    after = calls(trial.home)
    mine = f"eu_portal:{POISONED}"
    assert {k: v for k, v in after.items() if k != mine} == {k: v for k, v in before.items() if k != mine}
    with open_records(trial.home) as warehouse:
        call = warehouse.call(mine)
        told = warehouse.sql(f"SELECT DISTINCT code FROM core.issues WHERE key = '{POISONED}'")
        odd = [code for (code,) in told.fetchall()]
    assert read(call), call
    seen = f"noted: {', '.join(sorted(odd))}" if odd else "nothing"
    TABLE.append((trial.name, seen, done.returncode, f"all other records; {kept}"))
    trial.ends(*command, SAMPLES)
    assert matches(trial.home) == trial.matched


def calls(home: Path) -> dict[str, str]:
    """All calls as they were read, without where."""
    where = re.compile(r'"(?:page_sha256|archive_record)":"[^"]*"')
    with open_records(home) as warehouse:
        return {call.call_id: where.sub("", call.model_dump_json()) for call in warehouse.call_records()}


def spoil_amounts(row: dict[str, Any]) -> None:
    """Let every amount of the budget be below nothing."""
    for name in ("minContribution", "maxContribution", "budgetYearMap"):
        row["budgetOverview"] = [
            re.sub(rf'("{name}":(?:{{"\d+":)?"?)(?=\d)', r"\1-", text) for text in row["budgetOverview"]
        ]


poison(
    "NULs in its title",
    lambda row: row.update(title=["Long\0duration\0 storage"]),
    lambda call: "\0" not in call.title and "storage" in call.title,
    "this one without them",
    SLOW,
)
poison(
    "half characters in its title",
    lambda row: row.update(title=["Storage \ud800\udc00\ud800"]),
    lambda call: call.title.startswith("Storage"),
    "this one with ? for them",
    SLOW,
)
poison(
    "a title of 5 MB",
    lambda row: row.update(title=["Storage " * 650_000]),
    lambda call: call.title.startswith("Storage"),
    "this one with it",
    SLOW,
)
poison(
    "JSON nested without end",
    lambda row: row.update(budgetOverview=["[" * 100_000 + "]" * 100_000], links=nested(200)),
    lambda call: call.budget_total_eur is None,
    "this one with an unknown budget",
    SLOW,
)
poison(
    "NaN for numbers",
    lambda row: row.update(
        budgetOverview=['{"budgetTopicActionMap": {"1": [{"action": "x", "maxContribution": NaN}]}}'],
        deadlineDate=[float("nan")],
    ),
    lambda call: call.budget_total_eur is None and not call.deadlines,
    "this one with unknown budget and deadline",
    SLOW,
)
poison(
    "a deadline in the year 99999",
    lambda row: row.update(deadlineDate=["99999-01-01T00:00:00.000+0000"]),
    lambda call: not any(each.at for each in call.deadlines),
    "this one without a deadline",
)
poison(
    "amounts below nothing",
    spoil_amounts,
    lambda call: all(
        amount is None or amount >= 0
        for amount in (call.budget_total_eur, call.grant_min_eur, call.grant_max_eur)
    ),
    "this one with unknown amounts",
    SLOW,
)


def nested(depth: int) -> list[Any]:
    """A list in a list in a list …"""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(("name", "brings"), CASES.values())
def test_a_fault_is_told_and_nothing_is_lost(trial: Trial, name: str, brings: Case) -> None:
    trial.name = name
    brings(trial)


def test_every_fault_stands_in_the_handbook() -> None:
    told = (ROOT / "docs" / "faults.md").read_text("utf-8")
    assert [name for name in CASES if f"| {name} |" not in told] == []
