"""Running it for years: going on with a run, lock, clock, log, counters, cluster, daily look, doctor."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT, SAMPLES, Fundmatch, a_call, child
from standin_smtp import Handler, smtp

from crawlers.crawl import Crawl
from crawlers.manners import clock_off
from flows.daily import due_sources
from flows.home import Home, HomeError
from flows.mail.outbox import open_outbox
from flows.schedule import DAILY, WEEKLY, ZONE, ScheduleError, crons
from flows.shards import cut
from flows.weekly import Request, WeekError, WeeklyRun
from flows.work import ClockError, begin, left_over
from pipeline import VERSION
from pipeline.news import Change, News
from pipeline.schema import Deadline, Issue, Profile, Told
from warehouse.records import open_records

NOW = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
ASKED = {"replay": None, "sources": ["a"], "as_of": None, "model": "m"}
HOUR = timedelta(hours=1)
FEW = ("--sources", "snn,nwo")
MAIL = {
    "FUNDMATCH_MAIL_FROM": "Hub <digest@hub.example>",
    "FUNDMATCH_WEB_URL": "https://calls.hub.example",
    "FUNDMATCH_SMTP_HOST": "127.0.0.1",
    "FUNDMATCH_SMTP_SECURITY": "none",
    "FUNDMATCH_MAIL_PER_SECOND": "0",
    "FUNDMATCH_MAIL_RETRY_SECONDS": "0",
    "FUNDMATCH_MAIL_PATIENCE_SECONDS": "5",
}


@pytest.fixture
def home(demo: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the demo's home that a test may spoil."""
    return Path(shutil.copytree(demo[0], tmp_path / "home", ignore=shutil.ignore_patterns("prefect")))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    """A mail server, and the settings that lead to it."""
    with smtp() as (handler, port):
        for name, value in (MAIL | {"FUNDMATCH_SMTP_PORT": str(port)}).items():
            monkeypatch.setenv(name, value)
        yield handler


def test_the_package_says_which_version_it_is() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("before", "asked", "later", "on"),
    [
        ("running", ASKED, HOUR, True),
        ("running", ASKED, timedelta(hours=19), True),
        ("running", ASKED, timedelta(hours=21), False),  # its pages are of another day
        ("running", ASKED | {"sources": ["b"]}, HOUR, False),
        ("running", ASKED | {"as_of": "2026-11-30"}, HOUR, False),
        ("published", ASKED, HOUR, False),
        ("running", ASKED, -HOUR, False),  # it began in what is now the future
    ],
)
def test_which_run_is_gone_on_with(
    tmp_path: Path, before: Any, asked: dict[str, Any], later: timedelta, on: bool
) -> None:
    home = Home(tmp_path)
    first = begin(home, ASKED, NOW, None)
    first.store(before)
    second = begin(home, asked, NOW + later, None)
    assert (second.run_id == first.run_id) == on
    assert second.tries == (2 if on else 1) and second.started_at == (NOW if on else NOW + later)
    (tmp_path / "runs" / "x").mkdir()
    (tmp_path / "runs" / "x" / "run.json").write_text("{")
    assert len(list(left_over(home))) == (1 if on else 2)  # what is not readable is passed over


def test_what_a_broken_run_left_goes_after_a_month(tmp_path: Path) -> None:
    home = Home(tmp_path)
    begin(home, ASKED, NOW, None).store("published")
    begin(home, ASKED, NOW + timedelta(days=29), None).store("published")
    assert len(list(left_over(home))) == 2
    begin(home, ASKED, NOW + timedelta(days=31), None)
    assert len(list(left_over(home))) == 2


def test_a_clock_that_went_back_is_refused_and_one_that_was_set_right_is_not(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert begin(home, ASKED, NOW, NOW + timedelta(minutes=2)).started_at > NOW + timedelta(minutes=2)
    with pytest.raises(ClockError, match="set the clock right"):
        begin(home, ASKED | {"sources": []}, NOW, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("printed", "off"),
    [
        ("Mon, 30 Nov 2026 03:00:00 GMT", False),
        ("Sun, 29 Nov 2026 03:00:00 GMT", True),
        ("Thu, 01 Jan 2037 00:00:00 GMT", True),
        ("yesterday", False),
        ("Mon, 30 Nov 99999 03:00:00 GMT", False),
    ],
)
def test_the_clock_of_a_site(printed: str, off: bool) -> None:
    assert bool(clock_off(printed, NOW)) == off


@pytest.mark.parametrize(("odd", "refused"), [(1, False), (2, True)])
def test_a_run_stops_where_most_sites_say_another_day(home: Path, odd: int, refused: bool) -> None:
    run = WeeklyRun(Request(home, sources=("snn", "nwo", "rvo"), as_of=date(2026, 6, 15)))
    run.work = begin(run.home, ASKED, NOW, None)
    for number, name in enumerate(run.sources):
        told = Issue(source=name, severity="info", code="clock_off", detail="this machine's clock says 2036")
        run.crawls[name] = Crawl(name, (), (told,) if number < odd else ())
    if refused:
        with pytest.raises(WeekError, match="set the clock right"):
            run._check_clock()
        assert not run.work.folder.exists()  # the next run asks the sites again
    else:
        run._check_clock()


def test_who_holds_the_lock_is_told_and_one_who_died_is_not_waited_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.locked() as before:
        assert before is None
        with (
            pytest.raises(HomeError, match=r"another run is at work here \(process \d+, since 20"),
            home.locked(),
        ):
            pass
    (tmp_path / "run.lock").write_text("process 4711, since 2026-11-30 04:00 UTC")  # as a kill leaves it
    with home.locked() as before:
        assert before == "process 4711, since 2026-11-30 04:00 UTC"
    with home.locked() as before:
        assert before is None


def test_a_run_logs_itself_with_its_id_and_counts_and_never_a_secret(
    home: Path, fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNDMATCH_SMTP_PASSWORD", "s3cret-word")
    monkeypatch.setenv("FUNDMATCH_LOG", "json")
    command = ("--home", home, "run", "--plain", "--replay", SAMPLES, *FEW, "--json")
    status, told, complaint = fundmatch(*command)
    run = json.loads(told)["run"]
    lines = [json.loads(line) for line in (home / "logs" / f"{run['run_id']}.jsonl").read_text().splitlines()]
    assert status == 0 and {line["run_id"] for line in lines} == {run["run_id"]}
    assert lines[0]["event"] == "run started" and lines[-1]["event"] == "run published"
    assert {line["stage"] for line in lines if line["event"] == "stage finished"} >= {"crawl snn", "match"}
    assert [json.loads(line) for line in complaint.splitlines() if line.startswith("{")] == lines
    assert run["counters"] | {"tries": 1, "sources_read": 2, "profiles": 33} == run["counters"]
    with open_records(home) as warehouse:
        last = warehouse.latest_run()
        rows = warehouse.sql("SELECT counters['matches'] FROM core.runs ORDER BY started_at").fetchall()
    assert last is not None and last.counters == run["counters"] and rows[-1] == (1650,)
    for file in home.rglob("*"):
        assert not file.is_file() or b"s3cret-word" not in file.read_bytes(), file


def test_a_run_that_ends_badly_says_so_in_its_log(home: Path, fundmatch: Fundmatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "snn").mkdir()
    status, _, complaint = fundmatch("--home", home, "run", "--plain", "--replay", tmp_path / "empty")
    assert status == 2 and "nothing to take the day from" in complaint
    last = json.loads(sorted((home / "logs").glob("*"))[-1].read_text().splitlines()[-1])
    assert last["event"] == "run stopped" and last["error"] == "WeekError" and last["level"] == "ERROR"


def test_profiles_are_cut_by_content_and_a_changed_one_changes_one_shard() -> None:
    about = {"kind": "sme", "language": "en", "label": "example"}
    profiles = [
        Profile.model_validate(
            about | {"id": f"p{n}", "name": f"P{n}", "description": f"We make {n} robots."}
        )
        for n in range(100)
    ]
    shards = cut(profiles)
    assert sorted(p.id for shard in shards for p in shard) == sorted(p.id for p in profiles)
    assert len(shards) == 7 and cut(profiles[::-1]) == shards
    other = [*profiles[:-1], profiles[-1].model_copy(update={"name": "Another"})]
    assert len(set(cut(other)) - set(shards)) <= 2  # the one it left, and the one it came to


def test_dask_gives_the_same_matches_to_the_last_digit(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "vectors")
    with open_records(home) as warehouse:
        before = [
            m.model_dump_json() for p in warehouse.profile_records() for m in warehouse.match_records(p.id)
        ]
    done = child("--home", home, "run", "--replay", SAMPLES, "--engine", "dask", "--workers", "2", "--json")
    assert done.returncode == 0, done.stderr
    with open_records(home) as warehouse:
        after = [
            m.model_dump_json() for p in warehouse.profile_records() for m in warehouse.match_records(p.id)
        ]
    assert after == before and json.loads(done.stdout)["run"]["counters"]["texts_encoded"] > 400


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--engine", "spark"), "use here or dask"),
        (("--scheduler", "tcp://127.0.0.1:9"), "are for --engine dask"),
        (("--engine", "dask", "--plain"), "leave --plain out"),
        (("--engine", "dask", "--scheduler", "tcp://127.0.0.1:9", "--workers", "2"), "has its own"),
    ],
)
def test_engines_that_cannot_be_had_are_told(
    home: Path, fundmatch: Fundmatch, arguments: tuple[str, ...], told: str
) -> None:
    status, _, complaint = fundmatch("--home", home, "run", "--replay", SAMPLES, *arguments)
    assert status == 2 and told in complaint


def test_the_sources_that_a_day_reads_are_those_with_a_deadline_near(home: Path) -> None:
    assert due_sources(Home(home), date(2026, 9, 1), 1) == ()
    near = due_sources(Home(home), date(2026, 9, 1), 21)
    assert "eu_portal" in near and "rvo" in near and "evergreen" not in near


def told_of(call_id: str, at: date) -> Told:
    deadline = Deadline(at=at, printed="x", kind="single")
    return Told(
        profile_id="p",
        call_id=call_id,
        on=date(2026, 6, 15),
        status="open",
        listed=True,
        deadlines=(deadline,),
        nearly_empty=False,
    )


@pytest.mark.parametrize(
    ("kind", "before", "after", "urgent"),
    [
        ("deadline_earlier", 40, 10, True),
        ("deadline_earlier", 40, 20, False),  # Monday is soon enough
        ("closed_early", 10, None, True),
        ("closed_early", 40, None, False),
        ("deadline_withdrawn", 7, None, True),
        ("deadline_disputed", 7, None, True),
        ("deadline_later", 7, 40, False),
        ("nearly_empty", None, None, False),
        ("closed_early", -1, None, False),  # over anyway
    ],
)
def test_what_cannot_wait_for_the_week(
    kind: Any, before: int | None, after: int | None, urgent: bool
) -> None:
    day = date(2026, 6, 17)
    ahead = [
        None if n is None else Deadline(at=day + timedelta(days=n), printed="x", kind="single")
        for n in (before, after)
    ]
    call = a_call()
    found = News(
        changes=(Change(call, kind, *ahead),), told=(told_of(call.call_id, day), told_of("other", day))
    ).urgent(day)
    assert bool(found.changes) == urgent
    assert [each.call_id for each in found.told] == ([call.call_id] if urgent else [])


def test_who_was_told_of_a_deadline_that_comes_nearer_gets_one_mail_that_day(
    home: Path, fundmatch: Fundmatch, server: Handler, tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_text(
        "address,profile,consent_on,consent_source\nann@example.org,voorbeeld-kunststofrecycling,2026-05-01,form\n"
        "bob@example.org,voorbeeld-plaatwerk,2026-05-01,form\n"
    )
    assert fundmatch("--home", home, "readers", "import", tmp_path / "r.csv")[0] == 0
    assert fundmatch("--home", home, "digest", "send", "--as-of", "2026-06-15")[0] == 0
    with open_outbox(Home(home)) as outbox:
        ann, bob = (outbox.subscriptions(f"{name}@example.org")[0] for name in ("ann", "bob"))
        only_ann = {t.call_id for t in outbox.told(ann.subscription_id)}
        only_ann -= {t.call_id for t in outbox.told(bob.subscription_id)}
    call_id = next(c for c in sorted(only_ann) if c.startswith("eu_portal"))
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    moved = 0
    for file in (archive / "eu_portal").iterdir():
        whole = json.loads(file.read_text("utf-8")) if file.suffix == ".json" else None
        if whole is not None and call_id.removeprefix("eu_portal:") in json.dumps(whole):
            moved += bring_forward(file, call_id.removeprefix("eu_portal:"))
    assert moved
    command = ("--home", home, "deadlines", "--plain", "--replay", archive, "--within", "150", "--as-of")
    sent_before = len(server.accepted)
    status, told, complaint = fundmatch(*command, "2026-06-17", "--send")
    assert status == 0, complaint
    assert "deadline earlier" in told and "2026-W25.3: 1 written, 1 sent" in told
    ((to, mail),) = server.accepted[sent_before:]
    assert to == "ann@example.org" and b"2026-W25.3" in mail
    assert "2026-W25.3: 0 written, 0 sent" in fundmatch(*command, "2026-06-17", "--send")[1]
    assert "0 written, 0 sent" in fundmatch(*command, "2026-06-18", "--send")[1]  # it was told already


def bring_forward(file: Path, key: str) -> int:
    """Give a row of a recorded search an earlier deadline; how many were changed."""
    text = file.read_text("utf-8")
    whole = json.loads(text)
    changed = 0

    def walk(value: Any) -> None:
        nonlocal changed
        if isinstance(value, dict):
            told = value.get("metadata", value)
            ours = value.get("reference") == key or told.get("identifier") == [key]
            if ours and "deadlineDate" in told:
                told["deadlineDate"] = ["2026-06-26T00:00:00.000+0000"]
                changed += 1
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(whole)
    if changed:
        file.write_text(json.dumps(whole), "utf-8")
    return changed


def test_the_operator_is_told_once_a_week_what_is_broken(
    home: Path, fundmatch: Fundmatch, server: Handler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNDMATCH_OPERATOR", "beheer@hub.example")
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    (archive / "snn" / "listing-1.html").write_text("<html><p>Log in</p></html>")
    command = ("--home", home, "run", "--plain", "--replay", archive, "--as-of", "2026-06-15", "--send", *FEW)
    assert fundmatch(*command)[0] == 1
    ((to, mail),) = server.accepted
    assert to == "beheer@hub.example" and b"source not read well: snn" in mail and b"fundmatch crawl" in mail
    assert fundmatch(*command)[0] == 1 and len(server.accepted) == 1
    for file in (archive / "nwo").glob("listing-*.html"):
        file.write_text("<html><p>Log in</p></html>")
    assert fundmatch(*command)[0] == 1 and len(server.accepted) == 2
    assert fundmatch("--home", home, "readers", "stop", "beheer@hub.example")[0] == 0
    shutil.rmtree(archive / "nwo")
    shutil.copytree(SAMPLES / "nwo", archive / "nwo")
    assert fundmatch(*command)[0] == 1 and len(server.accepted) == 2


def test_a_source_that_is_partial_stays_so_until_it_is_read_well(
    home: Path, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    (archive / "snn" / "listing-1.html").write_text("<html><p>Log in</p></html>")
    states = []
    for name, pages in (("snn", archive), ("nwo", SAMPLES), ("snn", SAMPLES)):
        fundmatch(
            "--home", home, "run", "--plain", "--replay", pages, "--as-of", "2026-06-15", "--sources", name
        )
        told = json.loads(fundmatch("--home", home, "sources", "--json")[1])
        states.append(next(row["state"] for row in told if row["source"] == "snn"))
    assert states == ["partial", "partial", "ok"]


def test_a_record_that_the_reader_stumbles_over_stops_no_other(
    home: Path, fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import intake

    read = intake.normalise

    def stumbling(raw: Any, **more: Any) -> Any:
        if "perspectief" in raw.key:
            raise RecursionError("maximum recursion depth exceeded")
        return read(raw, **more)

    monkeypatch.setattr(intake, "normalise", stumbling)
    status, _, complaint = fundmatch(
        "--home", home, "run", "--plain", "--replay", SAMPLES, "--sources", "nwo"
    )
    assert status == 1 and "cannot be read: RecursionError" in complaint and "Traceback" not in complaint


def findings(fundmatch: Fundmatch, home: Path) -> dict[str, tuple[str, str]]:
    status, told, _ = fundmatch("--home", home, "doctor", "--no-online", "--json")
    found = json.loads(told)
    assert status == (1 if any(each["state"] == "wrong" for each in found) else 0)
    return {each["what"]: (each["state"], each["told"]) for each in found}


def test_the_doctor_of_a_home(
    home: Path, fundmatch: Fundmatch, server: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = findings(fundmatch, home)
    assert {"disk", "profiles", "model", "last run", "outbox", "sender"} <= found.keys()
    assert not [name for name, (state, _) in found.items() if state == "wrong"]
    assert found["operator"] == (
        "note",
        "FUNDMATCH_OPERATOR is not set: nobody gets a mail when a source breaks",
    )
    monkeypatch.setenv("FUNDMATCH_OPERATOR", "nobody")
    monkeypatch.setenv("FUNDMATCH_CRAWL_MINUTES", "soon")
    monkeypatch.setenv("FUNDMATCH_MODEL", "/no/such/model")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("flows.doctor.shutil.disk_usage", lambda _: usage(10, 10, 0))
    found = findings(fundmatch, home)
    assert {n for n, (state, _) in found.items() if state == "wrong"} == {
        "operator",
        "crawling",
        "model",
        "disk",
    }
    assert "make room" in found["disk"][1]


@pytest.mark.parametrize(
    ("days", "what", "told"), [(9, "last run", "is the schedule on?"), (-1, "clock", "set the clock right")]
)
def test_the_doctor_sees_a_week_that_did_not_come(
    home: Path, fundmatch: Fundmatch, days: int, what: str, told: str
) -> None:
    with duckdb.connect(str(home / "warehouse.duckdb")) as con:
        con.execute("UPDATE core.runs SET started_at = ?", [datetime.now(UTC) - timedelta(days=days)])
    state, said = findings(fundmatch, home)[what]
    assert state == "wrong" and told in said


def test_the_doctor_of_an_empty_home_says_what_to_do_first(tmp_path: Path, fundmatch: Fundmatch) -> None:
    found = findings(fundmatch, tmp_path / "new")
    assert (
        found["profiles"][0] == found["warehouse"][0] == "wrong" and "fundmatch run" in found["warehouse"][1]
    )


def test_when_the_week_and_the_day_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    assert crons() == (WEEKLY, DAILY)
    monkeypatch.setenv("FUNDMATCH_WEEKLY", "every monday")
    with pytest.raises(ScheduleError, match="FUNDMATCH_WEEKLY 'every monday': give minute"):
        crons()


def test_the_week_is_due_at_five_in_amsterdam_in_winter_and_in_summer() -> None:
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule

    for cron, weekdays in ((WEEKLY, {0}), (DAILY, {1, 2, 3, 4, 5, 6})):
        schedule = CronSchedule(cron=cron, timezone=ZONE)
        start = datetime(2026, 10, 19, tzinfo=UTC)  # the clocks change on 25 October
        found = asyncio.run(schedule.get_dates(n=8, start=start))
        assert {moment.hour for moment in found} == {5 if cron == WEEKLY else 6}
        assert {moment.utcoffset() for moment in found} == {timedelta(hours=1), timedelta(hours=2)}
        assert {moment.weekday() for moment in found} == weekdays
