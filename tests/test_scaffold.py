"""A new source to begin from works at once, and its expectation fails until a person has read the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from crawlers.scaffold import scaffold


def test_a_new_source_reads_its_sample_and_its_expectation_fails(tmp_path: Path) -> None:
    for name in ("crawlers", "pipeline", "tests"):
        ignore = shutil.ignore_patterns("__pycache__", "samples", "benchmarks")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    written = scaffold(tmp_path, "north_fund", "www.example.org", "regional")
    assert {file.relative_to(tmp_path).parts[0] for file in written} == {"crawlers", "tests"}
    test = "-m pytest tests/test_sources.py -k north_fund -vvv -p no:cacheprovider".split()
    done = subprocess.run(
        [sys.executable, *test],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout
    assert "REPLACE: what the page says" in done.stdout
    assert "2026-09-15" in done.stdout and "50000" in done.stdout  # the spider read the sample
    with pytest.raises(ValueError, match="there already; nothing was written"):
        scaffold(tmp_path, "north_fund", "www.example.org", "regional")


@pytest.mark.parametrize(
    ("name", "host", "level", "told"),
    [
        ("../evil", "www.example.org", "regional", "NAME"),
        ("", "www.example.org", "regional", "NAME"),
        ("fine", "https://www.example.org/", "regional", "HOST"),
        ("fine", "www.example.org", "local", "LEVEL"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, host: str, level: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        scaffold(tmp_path, name, host, level)
    assert not list(tmp_path.iterdir())
