"""One week by its commands: the demo's run, the contract of the outputs, bad input, and death in mid-run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import PROFILES, SAMPLES, Fundmatch, child

from crawlers.sources import source_names
from pipeline.schema import Call, Match
from warehouse.records import open_records

ONE_PROFILE = (
    "- {id: one, name: One, kind: sme, language: en, label: example, "
    "description: We make sensors for robots.}"
)
ONLY_PORTAL = ("--sources", "eu_portal")  # the other sources keep what they have


@pytest.fixture
def home(demo: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the demo's home that a test may spoil."""
    return Path(shutil.copytree(demo[0], tmp_path / "home", ignore=shutil.ignore_patterns("prefect")))


def matches(home: Path) -> list[Any]:
    """All matches of the latest run, to the last digit."""
    with open_records(home) as warehouse:
        found = [m for p in warehouse.profile_records() for m in warehouse.match_records(p.id)]
    return [match.model_dump_json() for match in found]


def test_the_demo_shows_each_profile_three_open_calls_with_deadline_and_reason(
    demo: tuple[Path, str],
) -> None:
    home, told = demo
    with open_records(home) as warehouse:
        profiles = warehouse.profile_records()
        open_calls = {c.call_id: c for c in warehouse.call_records(open_only=True)}
    assert len(profiles) >= 27 and len(open_calls) >= 30
    paragraphs = dict(p.split("\n", 1) for p in told.strip().split("\n\n") if "\n" in p)
    for profile in profiles:
        lines = paragraphs[f"{profile.name} ({profile.id}, {profile.label})"].splitlines()
        assert [line.strip()[:2] for line in lines[::2]] == ["1.", "2.", "3."]
        assert all(line.strip().startswith("deadline") and "; " in line for line in lines[1::2])
    assert str(home / "warehouse.duckdb") in told and "Peak memory" in told
    assert (home / "digests" / "2026-W25" / "index.html").exists()


def test_a_second_run_encodes_nothing_and_gives_the_same_matches(home: Path, fundmatch: Fundmatch) -> None:
    before = matches(home)
    status, told, _ = fundmatch("--home", home, "run", "--replay", SAMPLES, "--plain", "--json")
    stages = {stage["name"]: stage["items"] for stage in json.loads(told)["run"]["stages"]}
    assert status == 0 and stages["embed"] == 0
    assert matches(home) == before
    with open_records(home) as warehouse:
        assert warehouse.sql("SELECT max(version) FROM core.call_versions").fetchall() == [(1,)]
        runs = warehouse.sql(
            "SELECT len(stages), peak_memory_mib FROM core.runs ORDER BY started_at"
        ).fetchall()
    assert len(runs) == 2 and all(stages >= 6 and memory > 100 for stages, memory in runs)
    assert runs[0][1] < 2048  # the second one ran in the process of all tests


def test_the_peak_of_a_run_is_its_own_whatever_process_started_it() -> None:
    """exec hands the size of the parent on in `ru_maxrss`, so that a large cron would be told as ours."""
    told = "from flows.weekly import peak_memory_mib; print(peak_memory_mib())"
    ballast = bytearray(b"x" * (1 << 30))
    peak = float(subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout)
    assert 20 < peak < len(ballast) / 2**20


def test_match_and_calls_give_the_contract_as_one_json_document(
    demo: tuple[Path, str], fundmatch: Fundmatch
) -> None:
    status, told, _ = fundmatch("--home", demo[0], "match", "voorbeeld-robotcellen", "--top", "4", "--json")
    found = json.loads(told)
    assert status == 0 and [match["rank"] for match in found] == [1, 2, 3, 4]
    assert {*found[0]} == {*Match.model_fields}
    assert {*found[0]["eligibility"]} == {"verdict", "rules"}
    assert {*found[0]["evidence"][0]} >= {"profile_text", "call_text", "weight"}
    assert found[0]["reasons"] and all(0 <= m["percentile"] <= 100 for m in found)
    status, told, _ = fundmatch("--home", demo[0], "calls", "hydrogen", "--open", "--json")
    calls = json.loads(told)
    assert calls and {*calls[0]} == {*Call.model_fields}
    assert all(call["status"] == "open" and "hydrogen" in json.dumps(call).lower() for call in calls)


def test_a_text_of_the_moment_is_matched_like_a_profile(demo: tuple[Path, str], fundmatch: Fundmatch) -> None:
    text = "Packaging film of several layers of plastic that can be sorted and recycled."
    status, told, _ = fundmatch("--home", demo[0], "match", "--text", text, "--top", "5", "--json")
    with open_records(demo[0]) as warehouse:
        titles = [warehouse.call(found["call_id"]).title for found in json.loads(told)]
    assert status == 0 and len(titles) == 5 and "multilayer flexible plastic" in titles[0]


def test_explain_reads_as_prose_and_quotes_both_sides(demo: tuple[Path, str], fundmatch: Fundmatch) -> None:
    with open_records(demo[0]) as warehouse:
        best = warehouse.match_records("voorbeeld-scheepswerf")[0]
    arguments = ("--home", demo[0], "explain", "voorbeeld-scheepswerf", best.call_id)
    status, told, _ = fundmatch(*arguments)
    flat = " ".join(told.split())
    assert status == 0
    for pair in best.evidence:
        assert " ".join(pair.profile_text.split()) in flat and " ".join(pair.call_text.split()) in flat
    assert "not stated, so unknown: " in flat and "no chance of winning" in flat
    assert json.loads(fundmatch(*arguments, "--json")[1])["call_id"] == best.call_id


@pytest.mark.parametrize("what", ["calls", "matches", "deadlines", "changes"])
@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet", "ics"])
def test_export_writes_every_table_in_every_form(
    demo: tuple[Path, str], fundmatch: Fundmatch, tmp_path: Path, what: str, form: str
) -> None:
    out = tmp_path / f"x.{form}"
    status, told, complaint = fundmatch("--home", demo[0], "export", what, "--out", out)
    if form == "ics" and what != "deadlines":
        assert status == 2 and "ics for deadlines" in complaint
    else:
        assert status == 0 and out.stat().st_size > 80
        assert int(told.split()[0]) > 0 or what == "changes"  # a first run has none


def test_previews_are_written_again_the_same(home: Path, fundmatch: Fundmatch) -> None:
    folder = home / "digests" / "2026-W25"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    status, told, _ = fundmatch("--home", home, "digest", "preview", "--week", "2026-W25")
    assert status == 0 and str(folder) in told
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_sources_and_profiles_are_listed(demo: tuple[Path, str], fundmatch: Fundmatch) -> None:
    sources = {s["source"]: s for s in json.loads(fundmatch("--home", demo[0], "sources", "--json")[1])}
    assert list(sources) == source_names() and {s["state"] for s in sources.values()} == {"ok"}
    assert sources["eu_portal"]["records"] >= 48 and sources["eu_portal"]["open_calls"] >= 30
    assert sources["evergreen"]["age_days"] == 14 and sources["edih"]["level"] == "european"
    assert all(name in fundmatch("--home", demo[0], "sources")[1] for name in sources)
    ids = [p["id"] for p in json.loads(fundmatch("--home", demo[0], "profiles", "list", "--json")[1])]
    assert "5groningen" in ids and ids == sorted(ids)
    shown = json.loads(fundmatch("--home", demo[0], "profiles", "show", "5groningen")[1])
    assert shown["label"] == "to be confirmed"


LIGHT = {
    "help": ["--help"],
    "calls": ["calls", "--open"],
    "sources": ["sources"],
    "match": ["match", "5groningen"],
}


@pytest.mark.parametrize("arguments", LIGHT.values(), ids=LIGHT.keys())
def test_looking_things_up_imports_no_heavy_library(demo: tuple[Path, str], arguments: list[str]) -> None:
    code = (
        "import sys\nfrom flows.cli import app\n"
        f"try: app(['--home', {str(demo[0])!r}, *{arguments!r}])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'prefect', 'sentence_transformers', 'scrapy', 'faiss'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


BAD: dict[str, tuple[list[str], str]] = {
    "an unreadable profile file": (["profiles", "import", "{tmp}/absent.yml"], "absent.yml: cannot be read"),
    "a profile file of another kind": (
        ["profiles", "import", "{tmp}/p.pdf"],
        "use .yml, .json, .csv or .xlsx",
    ),
    "a profile file that is no YAML": (
        ["profiles", "import", "{tmp}/broken.yml"],
        "broken.yml: cannot be read",
    ),
    "a profile without text": (["profiles", "import", "{tmp}/no-text.yml"], "description is missing"),
    "a profile with an empty text": (["profiles", "import", "{tmp}/empty.yml"], "description is empty"),
    "a duplicate id": (["profiles", "import", "{tmp}/twice.yml"], "the id 'one' is there twice"),
    "an id in two files": (
        ["profiles", "import", "{tmp}/p.yml", "{tmp}/q.yml"],
        "q.yml: id 'one' is also in p.yml",
    ),
    "a wrong --as-of": (
        ["run", "--replay", "{samples}", "--as-of", "15-06-2026"],
        "'15-06-2026' is not a day; write it as 2026-11-24",
    ),
    "no origin": (["run"], "--live (the web) or --replay DIR"),
    "two origins": (["run", "--live", "--replay", "{samples}"], "one of them"),
    "an archive that is not there": (["run", "--replay", "{tmp}/nowhere"], "no such file or folder"),
    "an unknown source": (["crawl", "eu_protal", "--replay", "{samples}"], "known: cvdr, edih, eu_portal"),
    "an unknown profile": (["match", "5groningn"], "did you mean 5groningen?"),
    "an unknown call": (["explain", "5groningen", "eu_portal:1"], "there is no call 'eu_portal:1'"),
    "an empty text": (["match", "--text", "  "], "--text is empty"),
    "a language we do not speak": (["match", "--text", "x", "--language", "de"], "use en or nl"),
    "neither profile nor text": (["match"], "PROFILE_ID, or --text"),
    "an unknown level": (["calls", "--level", "galactic"], "use national, regional"),
    "another week": (["digest", "preview", "--week", "2026-W01"], "the last run was for 2026-W25"),
    "an unknown model": (["match", "--text", "x", "--model", "no-such"], "no such folder"),
    "an unknown form": (
        ["export", "calls", "--format", "docx", "--out", "{tmp}/x"],
        "use xlsx, csv or parquet",
    ),
    "an unknown ending": (["export", "calls", "--out", "{tmp}/x.docx"], "use xlsx, csv or parquet"),
    "days of calls": (["export", "calls", "--days", "3", "--out", "{tmp}/x.csv"], "--days is for deadlines"),
    "calls of a profile": (
        ["export", "calls", "--profile", "5groningen", "--out", "{tmp}/x.csv"],
        "--profile is for matches",
    ),
    "an export of an unknown profile": (
        ["export", "matches", "--profile", "5groningn", "--out", "{tmp}/x.csv"],
        "did you mean 5groningen?",
    ),
    "a folder to write to": (["export", "calls", "--format", "csv", "--out", "{tmp}"], "is a folder"),
    "a place that cannot be written": (
        ["export", "calls", "--out", "{tmp}/p.yml/x.xlsx"],
        "cannot be written",
    ),
}


@pytest.mark.parametrize(("arguments", "told"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_line_and_status_2(
    demo: tuple[Path, str], fundmatch: Fundmatch, tmp_path: Path, arguments: list[str], told: str
) -> None:
    for name, text in {
        "p.yml": ONE_PROFILE,
        "q.yml": ONE_PROFILE,
        "p.pdf": "%PDF",
        "broken.yml": "- id: [",
        "no-text.yml": ONE_PROFILE.replace("description: We make sensors for robots.", ""),
        "empty.yml": ONE_PROFILE.replace("We make sensors for robots.", "' '"),
        "twice.yml": f"{ONE_PROFILE}\n{ONE_PROFILE}",
    }.items():
        (tmp_path / name).write_text(text)
    before = (demo[0] / "profiles.json").read_bytes()
    filled = [a.format(tmp=tmp_path, samples=SAMPLES) for a in arguments]
    status, out, complaint = fundmatch("--home", demo[0], *filled)
    assert (status, out) == (2, "") and told in complaint
    assert len(complaint.strip().splitlines()) == 1 and "Traceback" not in complaint
    assert (demo[0] / "profiles.json").read_bytes() == before


NOT_YET = {
    "calls": (["calls"], "make one with: fundmatch run"),
    "sources": (["sources"], "make one with: fundmatch run"),
    "run without profiles": (["run", "--replay", str(SAMPLES), "--plain"], "fundmatch profiles import FILE"),
}


@pytest.mark.parametrize(("arguments", "told"), NOT_YET.values(), ids=NOT_YET.keys())
def test_a_home_with_nothing_in_it_says_what_to_do(
    fundmatch: Fundmatch, tmp_path: Path, arguments: list[str], told: str
) -> None:
    status, _, complaint = fundmatch("--home", tmp_path / "new", *arguments)
    assert status == 2 and told in complaint and len(complaint.strip().splitlines()) == 1


def test_a_home_that_cannot_be_is_one_line(fundmatch: Fundmatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, _, complaint = fundmatch("--home", tmp_path / "file" / "x", "profiles", "import", *PROFILES)
    assert status == 2 and "choose another with --home" in complaint and "Traceback" not in complaint


@pytest.mark.parametrize("damage", ["empty folder", "cut page", "warehouse"])
def test_damage_is_told_and_what_was_good_stays(
    home: Path, fundmatch: Fundmatch, tmp_path: Path, damage: str
) -> None:
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    page = next((archive / "eu_portal").glob("search*1.json"))
    before = matches(home)
    arguments = ["--home", home, "run", "--plain", *ONLY_PORTAL, "--as-of", "2026-06-15", "--replay", archive]
    if damage == "warehouse":
        (home / "warehouse.duckdb").write_bytes(b"not a database")
        status, _, complaint = fundmatch(*arguments)
        assert status == 2 and "not a readable warehouse" in complaint and "Traceback" not in complaint
        assert (home / "warehouse.duckdb").read_bytes() == b"not a database"
        return
    if damage == "empty folder":
        shutil.rmtree(archive / "eu_portal")
        (archive / "eu_portal").mkdir()
    else:
        page.write_text(page.read_text("utf-8")[:5000], "utf-8")
    status, told, complaint = fundmatch(*arguments)
    assert status == 1 and "error: eu_portal" in complaint and "Traceback" not in complaint + told
    sources = {s["source"]: s for s in json.loads(fundmatch("--home", home, "sources", "--json")[1])}
    assert sources["eu_portal"]["state"] == "broken" and sources["eu_portal"]["records"] >= 48
    assert {s["state"] for name, s in sources.items() if name != "eu_portal"} == {"kept"}
    assert matches(home) == before  # the last good records are shown instead
    mail = (home / "digests" / "2026-W25" / "5groningen.txt").read_text("utf-8")
    assert "eu_portal could not be read this week; you see what it said on 15 June 2026" in mail


def test_a_replay_of_nothing_asks_for_its_day_instead_of_taking_today(
    home: Path, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    (tmp_path / "archive" / "eu_portal").mkdir(parents=True)
    before = (home / "warehouse.duckdb").read_bytes()
    status, _, complaint = fundmatch("--home", home, "run", "--plain", "--replay", tmp_path / "archive")
    assert status == 2 and complaint.splitlines()[-1].endswith("give it with --as-of")
    assert (home / "warehouse.duckdb").read_bytes() == before


def test_a_fault_of_the_program_is_not_dressed_up_as_bad_input(
    demo: tuple[Path, str], fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("warehouse.records.Records.source_rows", broken)
    status, _, complaint = fundmatch("--home", demo[0], "sources")
    assert status == 2 and "Traceback" in complaint and "KeyError: 'a bug'" in complaint


def test_a_damaged_record_is_a_listed_fault_and_the_others_are_read(
    home: Path, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    (archive / "eu_portal" / "zz-broken.json").write_text('{"request": {"met')
    before = matches(home)
    status, told, complaint = fundmatch("--home", home, "run", "--plain", *ONLY_PORTAL, "--replay", archive)
    assert status == 1 and "zz-broken.json: not a recorded exchange" in complaint
    assert matches(home) == before and "Traceback" not in complaint + told
    with open_records(home) as warehouse:
        faults = warehouse.sql("SELECT code FROM core.issues WHERE severity = 'error'").fetchall()
    assert faults == [("archive_damaged",)]


def run_on(home: Path, archive: Path, sources: str, fundmatch: Fundmatch) -> tuple[int, dict[str, Any], Any]:
    """Run on some sources of an archive: status, the sources as told, the calls by id."""
    arguments = ("run", "--plain", "--sources", sources, "--as-of", "2026-06-15", "--replay", archive)
    status, _, _ = fundmatch("--home", home, *arguments)
    told = json.loads(fundmatch("--home", home, "sources", "--json")[1])
    calls = json.loads(fundmatch("--home", home, "calls", "--json")[1])
    return status, {s["source"]: s for s in told}, {c["call_id"]: c for c in calls}


def test_what_a_crawl_did_not_reach_stays_as_last_read(
    home: Path, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    (archive / "koop_sru" / "search-snn-2026-q1-page-1.json").unlink()  # one query of a quarter fails
    (archive / "nwo" / "open-technology-programme-2026.json").unlink()  # and one page of another source
    before = matches(home)
    status, sources, calls = run_on(home, archive, "koop_sru,nwo", fundmatch)
    assert status == 1
    assert sources["koop_sru"]["state"] == "partial" and sources["koop_sru"]["records"] == 9
    assert "records are of earlier crawls, the oldest of 2026-06-15" in sources["koop_sru"]["detail"]
    assert sources["nwo"]["state"] == "ok" and sources["nwo"]["records"] == 4
    assert {s["not_seen"] for s in sources.values()} == {0}
    assert calls["nwo:open-technology-programme-2026@2026"]["status"] == "open"
    assert matches(home) == before
    mail = (home / "digests" / "2026-W25" / "5groningen.txt").read_text("utf-8")
    assert "koop_sru could be read only in part this week" in mail


def test_a_first_reading_with_a_failed_query_is_partial_and_says_so(
    fundmatch: Fundmatch, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(SAMPLES / "koop_sru", tmp_path / "archive" / "koop_sru")).parent
    (archive / "koop_sru" / "search-snn-2026-q1-page-1.json").unlink()
    (tmp_path / "one.yml").write_text(ONE_PROFILE)
    fundmatch("--home", tmp_path / "home", "profiles", "import", tmp_path / "one.yml")
    status, sources, calls = run_on(tmp_path / "home", archive, "koop_sru", fundmatch)
    assert status == 1 and sources["koop_sru"]["state"] == "partial" and calls
    assert "not in the archive" in sources["koop_sru"]["detail"]


def test_a_call_that_is_no_longer_listed_is_not_closed_but_not_seen(
    home: Path, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(SAMPLES, tmp_path / "archive"))
    for file in (archive / "nwo").glob("listing-*.html"):
        file.write_text(file.read_text("utf-8").replace("/en/calls/kiem-", "/en/elsewhere/kiem-"), "utf-8")
    _, sources, calls = run_on(home, archive, "nwo", fundmatch)
    assert sources["nwo"]["state"] == "ok" and sources["nwo"]["records"] == 3
    assert sources["nwo"]["not_seen"] == 1
    gone = next(call for name, call in calls.items() if "kiem" in name)
    assert gone["status"] == "open"  # as it was last seen; nothing says that it closed
    with open_records(home) as warehouse:
        row = warehouse.sql("SELECT in_latest_run, last_seen_on FROM core.calls WHERE call_id LIKE '%kiem%'")
        assert [(seen, str(day)) for seen, day in row.fetchall()] == [(False, "2026-06-15")]
        assert not warehouse.sql("SELECT 1 FROM mart.open_calls WHERE call_id LIKE '%kiem%'").fetchall()


def test_documents_of_one_call_are_one_call_and_any_of_them_finds_it(
    demo: tuple[Path, str], fundmatch: Fundmatch
) -> None:
    with open_records(demo[0]) as warehouse:
        voucher = warehouse.call("koop_sru:prb-2026-900001")
        assert voucher.call_id == "koop_sru:prb-2026-900001" and voucher.status == "open"
        assert {d.role for d in voucher.documents} == {"opening", "regulation"}
        assert voucher.funding_rate == 0.5  # of the regulation
        earlier = warehouse.call("cvdr:CVDR691446")
        assert earlier.call_id != voucher.call_id and earlier.status == "closed"
        assert len(warehouse.sql("SELECT 1 FROM core.calls WHERE len(documents) > 1").fetchall()) >= 5
        assert len(warehouse.organisations_of("edih")) == 8
    status, told, _ = fundmatch("--home", demo[0], "calls", "Voucherregeling", "--open")
    assert status == 0 and "2026-12-31" in told


def test_a_list_kept_by_hand_that_nobody_checked_is_told_as_stale(home: Path, fundmatch: Fundmatch) -> None:
    arguments = ("run", "--plain", "--sources", "evergreen", "--as-of", "2027-06-15", "--replay", SAMPLES)
    status, _, complaint = fundmatch("--home", home, *arguments)
    assert status == 1 and "last checked on 2026-06-01, 379 days ago; check it again" in complaint
    told = {s["source"]: s for s in json.loads(fundmatch("--home", home, "sources", "--json")[1])}
    assert told["evergreen"]["stale"] == 5 and told["evergreen"]["records"] == 5
    assert told["evergreen"]["age_days"] == 379


def test_crawl_shows_the_records_as_printed_and_matches_nothing(tmp_path: Path, fundmatch: Fundmatch) -> None:
    arguments = ("--home", tmp_path / "new", "crawl", "eu_portal", "--replay", SAMPLES)
    status, told, _ = fundmatch(*arguments, "--json")
    found = json.loads(told)
    assert status == 0 and len(found["records"]) >= 48
    assert all(record["pages"][0]["archive_record"] for record in found["records"])
    assert {issue["severity"] for issue in found["issues"]} == {"info"}
    status, told, _ = fundmatch(*arguments)
    assert status == 0 and f"eu_portal: {len(found['records'])} records in " in told
    assert not (tmp_path / "new" / "warehouse.duckdb").exists()


def test_only_one_run_works_in_a_home(home: Path, fundmatch: Fundmatch) -> None:
    from flows.home import Home

    with Home(home).locked():
        status, _, complaint = fundmatch("--home", home, "run", "--plain", "--replay", SAMPLES)
    assert status == 2 and "another run is at work here" in complaint


@pytest.mark.parametrize("moment", [0.4, 1.2, 2.0, 2.8])
def test_a_run_killed_at_any_moment_leaves_the_published_week_and_the_next_run_is_whole(
    home: Path, fundmatch: Fundmatch, moment: float
) -> None:
    before = matches(home)
    program = Path(sys.executable).with_name("fundmatch")
    command = [program, "--home", home, "run", "--plain", *ONLY_PORTAL, "--replay", SAMPLES]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        time.sleep(moment)
        run.send_signal(signal.SIGKILL)
    assert matches(home) == before
    status, _, _ = fundmatch("--home", home, "run", "--plain", *ONLY_PORTAL, "--replay", SAMPLES)
    assert status == 0 and matches(home) == before
    assert not list(home.glob("*.building*")) and not list(home.glob(".stage-*"))


def children(pid: int) -> set[int]:
    """Processes that a process has started and that still are."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return set(map(int, listed.read_text().split())) if listed.exists() else set()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads child processes from /proc")
def test_prefects_server_ends_with_a_run_that_is_killed(home: Path) -> None:
    program = Path(sys.executable).with_name("fundmatch")
    command = [program, "--home", home, "run", "--replay", SAMPLES]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        until = time.monotonic() + 60
        while not (started := children(run.pid)) and run.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(1.5)  # past the interpreter's start, in the midst of the server's
        run.send_signal(signal.SIGKILL)
    assert started
    until = time.monotonic() + 20
    while (left := [pid for pid in started if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left


def test_a_prefect_server_that_is_not_there_is_one_line(home: Path) -> None:
    done = child("--home", home, "run", "--replay", SAMPLES, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 2
    complaint = [line for line in done.stderr.splitlines() if line.startswith("fundmatch: ")]
    assert len(complaint) == 1 and "--plain" in complaint[0] and "Traceback" not in done.stderr
