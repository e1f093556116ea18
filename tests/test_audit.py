"""An audit that could not look anything up says so, and never passes for one that found nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import audit
import pytest

CLEAN = {"name": "one", "version": "1.0", "vulns": []}
SKIPPED = {"name": "two", "skip_reason": "Dependency not found"}
FLAWED = {"name": "three", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


def report(*entries: object) -> str:
    return json.dumps({"dependencies": entries, "fixes": []})


def test_a_known_vulnerability_is_a_fault() -> None:
    assert audit.judge(report(CLEAN, FLAWED)) == (["three 1.0: PYSEC-1, mended in ['1.1']"], "", 2)


@pytest.mark.parametrize("said", [report(), "ConnectionError: no such host", "", "[]"])
def test_no_report_is_no_clean_report(said: str) -> None:
    vulnerable, unknown, asked = audit.judge(said)
    assert (vulnerable, asked) == ([], 0)
    assert unknown


def test_what_the_service_does_not_know_was_not_looked_up() -> None:
    assert audit.judge(report(CLEAN, SKIPPED)) == ([], "1 of 2: Dependency not found", 1)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An audit of which the answers are given."""
    given = SimpleNamespace(report=report(CLEAN), odd=[], check=0, options=[])

    def run(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
        if "pip_audit" in command:
            Path(command[command.index("--output") + 1]).write_text(given.report, "utf-8")
        return subprocess.CompletedProcess(command, given.check, "one 1.0 requires two", "")

    monkeypatch.setattr(audit.subprocess, "run", run)
    monkeypatch.setattr(audit, "differences", lambda *_: given.odd)

    def main(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["audit.py", *options])
        return audit.main()

    given.main = main
    return given


def test_a_clean_audit_passes(running: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert running.main("--strict") == 0
    assert "NOT LOOKED UP" not in capsys.readouterr().out


def test_a_missing_service_is_told_and_fails_only_where_that_is_asked(
    running: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    running.report = report(SKIPPED)
    assert running.main() == 0
    assert "KNOWN VULNERABILITIES WERE NOT LOOKED UP for all" in capsys.readouterr().out
    assert running.main("--strict") == 1


def test_a_finding_a_difference_and_what_does_not_fit_fail(running: SimpleNamespace) -> None:
    running.report = report(CLEAN, FLAWED)
    assert running.main() == 1
    running.report, running.odd = report(CLEAN), ["one is 1.1; the lock says 1.0"]
    assert running.main() == 1
    running.odd, running.check = [], 1
    assert running.main() == 1
