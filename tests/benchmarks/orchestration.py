"""What orchestration costs: the same week under Prefect and plainly, in turns, each as a user types it.

`make bench-growth`; on the sample archive, and on the real records where they are kept.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from conftest import PROFILES, SAMPLES, SHARED
from standin_portal import StandInPortal, load_records, portal_rows
from week import AS_OF, FUNDMATCH, fundmatch

TURNS = 5


def compare(name: str, home: Path, arguments: tuple[str, ...], **settings: str) -> None:
    """Turns of both; the first pair is not counted, since it encodes."""
    seconds: dict[str, list[float]] = {"under Prefect": [], "plainly": []}
    for turn in range(TURNS + 1):
        for how, more in (("under Prefect", ()), ("plainly", ("--plain",))):
            _, took = fundmatch(home, "run", *arguments, *more, "--json", **settings)
            if turn:
                seconds[how].append(took)
    medians = {how: statistics.median(each) for how, each in seconds.items()}
    pairs = [a / b for a, b in zip(seconds["under Prefect"], seconds["plainly"], strict=True)]
    orchestrated, plain = medians.values()
    print(
        f"{name}: {orchestrated:.1f} s under Prefect, {plain:.1f} plainly: {orchestrated / plain:.2f} "
        f"(pairs {min(pairs):.2f} to {max(pairs):.2f})",
        flush=True,
    )


def main() -> None:
    """Print both."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        samples, real = Path(folder) / "samples", Path(folder) / "real"
        for home in (samples, real):
            subprocess.run([FUNDMATCH, "--home", str(home), "profiles", "import", *PROFILES], check=True)
        compare("samples", samples, ("--replay", str(SAMPLES)))
        if SHARED.is_dir():
            records = load_records(SHARED / "eu_portal" / "calls_2026.jsonl.gz")
            with StandInPortal(*portal_rows(records)) as portal:
                there = {"FUNDMATCH_BASE_URL__EU_PORTAL": portal.url, "FUNDMATCH_DOWNLOAD_DELAY": "0"}
                live = ("--live", "--sources", "eu_portal", "--as-of", AS_OF)
                compare("1,091 real records", real, live, **there)
    print(f"({time.perf_counter() - begun:.0f} s in all)")


if __name__ == "__main__":
    main()
