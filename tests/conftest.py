"""Shared by all tests: the real portal records where they are kept, and a home that is thrown away."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.schema import Call, Consortium, Deadline

if TYPE_CHECKING:
    from embeddings.encode import Encoder

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "crawlers" / "samples"
PROFILES = sorted(map(str, (ROOT / "profiles").glob("*.yml")))
SHARED = Path(os.environ.get("FUNDMATCH_SHARED_DATA", ROOT.parent / "shared" / "data"))


# Field → how many labelled words were read right, wrong, missed, or rightly left unknown
TRUTH: dict[str, Counter[str]] = defaultdict(Counter)
# Rule of who may apply → the same of its verdicts in the held-out table
VERDICTS: dict[str, Counter[str]] = defaultdict(Counter)
# The command line in this process: (exit status, standard output, standard error)
Fundmatch = Callable[..., tuple[int, str, str]]


def a_call(**more: Any) -> Call:
    """An open call of which little is stated, but for `more`."""
    base: dict[str, Any] = {
        "call_id": "eu_portal:1",
        "source": "eu_portal",
        "level": "european",
        "programme": "Horizon Europe",
        "title": "Call 1",
        "url": "https://example.org/1",
        "status": "open",
        "opens_on": None,
        "deadlines": (Deadline(at=date(2026, 9, 1), printed="2026-09-01T00:00", kind="single"),),
        "budget_total_eur": None,
        "grant_max_eur": None,
        "grant_min_eur": None,
        "funding_rate": None,
        "trl_min": None,
        "trl_max": None,
        "applicants": (),
        "regions": (),
        "consortium": Consortium(),
        "language": "en",
        "fetched_at": datetime(2026, 6, 15, 5, tzinfo=UTC),
        "page_sha256": "a" * 64,
        "archive_record": "w.warc.gz#1",
        "printed": {},
    }
    return Call(**base | more)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real records where they are not kept."""
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"the real portal records are not at {SHARED}")
    for item in items:
        if "shared_data" in item.keywords:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Precision and recall per field and per rule, where the truth tables were read."""
    if TRUTH:
        print_figures(terminalreporter, "truth table: printed words → typed fields", "field", TRUTH)
    if VERDICTS:
        print_figures(terminalreporter, "held-out table: who may apply", "rule", VERDICTS)


def print_figures(
    reporter: pytest.TerminalReporter, title: str, column: str, counts: dict[str, Counter[str]]
) -> None:
    reporter.write_sep("-", title)
    reporter.write_line(f"{column:28}{'right':>6}{'wrong':>6}{'missed':>7}{'unknown':>8}  precision  recall")
    for name, count in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        said, there = count["right"] + count["wrong"], count["right"] + count["wrong"] + count["missed"]
        figures = "".join(
            f"{count[kind]:>{width}}"
            for kind, width in [("right", 6), ("wrong", 6), ("missed", 7), ("unknown", 8)]
        )
        precision = f"{count['right'] / said:.3f}" if said else "-"
        recall = f"{count['right'] / there:.3f}" if there else "-"
        reporter.write_line(f"{name:28}{figures}{precision:>11}{recall:>8}")


@pytest.fixture(autouse=True)
def quick_and_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between requests to a stand-in, and no settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith("FUNDMATCH_") and name != "FUNDMATCH_SHARED_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("FUNDMATCH_DOWNLOAD_DELAY", "0")
    monkeypatch.setenv("FUNDMATCH_CONTACT", "tests@example.org")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """The packaged model, loaded once, with a cache that all tests share."""
    from embeddings.encode import Encoder

    return Encoder(cache_dir=tmp_path_factory.mktemp("vectors"))


@pytest.fixture
def fundmatch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fundmatch:
    """The command line in this process: (exit status, standard output, standard error)."""

    def command(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fundmatch", *map(str, arguments)])
        try:
            from flows.cli import main

            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            gc.enable()  # a run switches it off for its process
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


def child(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a process of its own."""
    program = Path(sys.executable).with_name("fundmatch")
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, env=os.environ | environment
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A home after what `make demo` does, under Prefect, and what that printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    imported = child("--home", home, "profiles", "import", *PROFILES)
    assert imported.returncode == 0, imported.stderr
    done = child("--home", home, "run", "--replay", SAMPLES, COLUMNS="1000")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    yield home, done.stdout
