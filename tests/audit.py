"""`make audit`: is what is installed what the lock says, does it fit together, is it known to be vulnerable.

Status 1 for a difference or a known vulnerability. Where the vulnerability service cannot be asked, or does
not know what it is asked, that is said loudly; it fails only with --strict.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from locked import LOCK, Locked, differences, installed, read_lock

SECONDS = 300


def main() -> int:
    """Check all three, print what is wrong. Status 0 or 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strict", action="store_true", help="fail as well where a look-up was not possible")
    parser.add_argument("--service", default="pypi", choices=("pypi", "osv"), help="whom pip-audit asks")
    args = parser.parse_args()
    lock = read_lock(LOCK.read_text("utf-8"))
    faults = differences(lock, installed())
    print(f"lock: {len(lock)} distributions, {sum(len(found.hashes) for found in lock.values())} hashes")
    fits = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    faults += fits.stdout.splitlines() if fits.returncode else []
    vulnerable, unknown, asked = look_up(args.service, sorted(lock.items()))
    for line in faults + vulnerable:
        print(f"FAULT {line}")
    if unknown:
        print(f"{'!' * 100}\nKNOWN VULNERABILITIES WERE NOT LOOKED UP for {unknown}\n{'!' * 100}")
    print(f"audit: {len(faults)} differences, {len(vulnerable)} known vulnerabilities in {asked} looked up")
    return int(bool(faults or vulnerable or (unknown and args.strict)))


def look_up(service: str, pins: list[tuple[str, Locked]]) -> tuple[list[str], str, int]:
    """What `judge` says of all pins; of one alone where the service does not know even that."""
    vulnerable, unknown, asked = judge(ask(service, pins[:1]))
    if unknown:
        return vulnerable, f"all {len(pins)} distributions; of the first: {unknown}", asked
    return judge(ask(service, [(name, found) for name, found in pins if found.here]))


def ask(service: str, pins: list[tuple[str, Locked]]) -> str:
    """pip-audit's report on pins as JSON, or what it said last where it gave none."""
    with tempfile.TemporaryDirectory() as folder:
        asked, report = Path(folder) / "pins.txt", Path(folder) / "report.json"
        lines = [" ".join([f"{name}=={found.version}", *sorted(found.hashes)]) for name, found in pins]
        asked.write_text("\n".join(lines), "utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(asked), "--disable-pip"]
        command += ["--vulnerability-service", service, "--format", "json", "--output", str(report)]
        try:
            done = subprocess.run(
                [*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {SECONDS} s"
        if report.exists() and report.stat().st_size:
            return report.read_text("utf-8")
        return (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]


def judge(report: str) -> tuple[list[str], str, int]:
    """Vulnerabilities as lines; what was not looked up and why, in words; how many were looked up.

    pip-audit ends well also where the service knew nothing of all that it was asked.
    """
    try:
        found: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return [], f"anything: {' '.join(report.split())[:300]}", 0
    vulnerable = [
        f"{entry['name']} {entry['version']}: {flaw['id']}, mended in {flaw['fix_versions'] or 'no version'}"
        for entry in found
        for flaw in entry.get("vulns", ())
    ]
    skipped = [entry for entry in found if "skip_reason" in entry]
    if not skipped and found:
        return vulnerable, "", len(found)
    why = skipped[0]["skip_reason"] if skipped else "the report is empty"
    return vulnerable, f"{len(skipped)} of {len(found)}: {why}", len(found) - len(skipped)


if __name__ == "__main__":
    sys.exit(main())
