"""A whole week on the real portal records, four times over one home: `make bench` prints it.

A stand-in portal on loopback serves the 1,091 records with the portal's faults. The first run reads it
live, the second reads it again with nothing changed, the third replays the archive of the first, and the
fourth reads it live with the text of 3 % of the records changed. Every run is the command a user types;
what is compared is what it left in the warehouse.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from conftest import ROOT, SHARED
from standin_portal import StandInPortal, load_records, portal_rows

from warehouse.records import open_records

FUNDMATCH = str(Path(sys.executable).with_name("fundmatch"))
CHANGED = 33  # of so many records the text of one is changed
AS_OF = "2026-08-22"  # the last day of the records


def fundmatch(home: Path, *arguments: str, **environment: str) -> tuple[dict[str, Any], float]:
    """The JSON document of one command, and its wall-clock seconds with the interpreter's start."""
    begun = time.perf_counter()
    done = subprocess.run(
        [FUNDMATCH, "--home", str(home), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode in (0, 1), done.returncode
    return json.loads(done.stdout), time.perf_counter() - begun


def matches(home: Path) -> list[Any]:
    """All matches of the latest run, to the last digit; of the rules the verdicts.

    Clauses are left out: of some calls the portal prints the deadline with other seconds each time.
    """
    with open_records(home) as warehouse:
        return warehouse.sql(
            "SELECT m.* EXCLUDE (run_id, eligibility), "
            "list_transform(m.eligibility.rules, lambda r: r.verdict) FROM core.matches AS m "
            "WHERE run_id = (SELECT arg_max(run_id, started_at) FROM core.runs) ORDER BY profile_id, rank"
        ).fetchall()


def changed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with a sentence more in the text of every CHANGED-th of those that have a text."""
    told = [record["reference"] for record in records if record.get("text")]
    some = set(told[::CHANGED])
    return [
        record | {"text": f"{record['text']} The budget of this topic was made larger."}
        if record["reference"] in some
        else record
        for record in records
    ]


def main() -> None:
    """Run, compare, print."""
    if not SHARED.is_dir():
        sys.exit(f"a week on the real records is not measured: they are not at {SHARED}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        files = sorted(map(str, (ROOT / "profiles").glob("*.yml")))
        subprocess.run([FUNDMATCH, "--home", folder, "profiles", "import", *files], check=True)
        records = load_records(SHARED / "eu_portal" / "calls_2026.jsonl.gz")
        with StandInPortal(*portal_rows(records)) as portal:
            there = {
                "FUNDMATCH_BASE_URL__EU_PORTAL": portal.url,
                "FUNDMATCH_DOWNLOAD_DELAY": "0",
                "FUNDMATCH_CONTACT": "bench@example.org",
            }
            live = ("run", "--live", "--sources", "eu_portal", "--as-of", AS_OF, "--json")
            runs = {"first, live": fundmatch(home, *live, **there)}
            first = matches(home)
            (archive,) = (home / "archive" / "eu_portal").glob("*.warc.gz")
            runs["again, live"] = fundmatch(home, *live, **there)
            live_again = matches(home)
            faults = dict(portal.faults)
        replay = ("run", "--replay", str(archive), "--sources", "eu_portal", "--as-of", AS_OF, "--json")
        runs["replay of the first"] = fundmatch(home, *replay)
        replayed = matches(home)
        with StandInPortal(*portal_rows(changed(records))) as portal:
            there["FUNDMATCH_BASE_URL__EU_PORTAL"] = portal.url
            runs["3 % changed, live"] = fundmatch(home, *live, **there)
        names = [stage["name"] for stage in runs["first, live"][0]["run"]["stages"]]
        print(f"\n{'seconds':<20}" + "".join(f"{name:>17}" for name in names) + f"{'whole':>10}{'MiB':>8}")
        for name, (told, seconds) in runs.items():
            stages = {s["name"]: f"{s['seconds']:.1f} ({s['items']})" for s in told["run"]["stages"]}
            print(
                f"{name:<20}"
                + "".join(f"{stages[stage]:>17}" for stage in names)
                + f"{seconds:>10.1f}{told['run']['peak_memory_mib']:>8.0f}"
            )
        whole = {name: seconds for name, (_, seconds) in runs.items()}
        for name in [name for name in runs if name != "first, live"]:
            print(f"{name}: {whole[name] / whole['first, live']:.3f} of the first run's time")
        told = runs["first, live"][0]
        print(
            f"{told['calls']} calls, {told['open_calls']} open, {told['profiles']} profiles, "
            f"{told['matches']} matches; faults served: {faults}"
        )
        same = {"live again": first == live_again, "replay": first == replayed}
        print(f"matches the same to the last digit: {same}")
        print(f"archive of the first run: {archive.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
