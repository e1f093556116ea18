"""What is installed is what was looked at: every distribution pinned, by the hashes of its files."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution

import pytest
from conftest import ROOT
from lock import OF_CUDA
from locked import LOCK, differences, installed, read_lock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TEXT = LOCK.read_text("utf-8")
A_HASH = "--hash=sha256:" + 64 * "0"


def wanted() -> dict[str, tuple[Requirement, str]]:
    """Every requirement of pyproject.toml, with what asks for it."""
    extras = PROJECT["project"]["optional-dependencies"]
    groups = {"running": PROJECT["project"]["dependencies"], "build": PROJECT["build-system"]["requires"]}
    lines = [(line, group) for group, found in (groups | extras).items() for line in found]
    return {
        canonicalize_name(r.name): (r, g) for line, g in lines if (r := Requirement(line)).name != "fundmatch"
    }


def test_every_requirement_is_locked_with_its_hashes() -> None:
    lock = read_lock(TEXT)
    asked = wanted()
    assert len(asked) > 50
    assert not asked.keys() - lock.keys()
    assert not [name for name, (asks, _) in asked.items() if lock[name].version not in asks.specifier]
    assert {
        name for name, (_, group) in asked.items() if group == "running" and lock[name].part != "Running"
    } == set()
    assert all(found.hashes for found in lock.values())


def test_nothing_else_is_written_in_the_lock() -> None:
    """No index, address, path, or option but hashes: where files come from is for pip's own settings."""
    kinds = r"(# .*|[a-z0-9.-]+==[\w.!+-]+( ; [^\\/]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|)"
    assert not [line for line in TEXT.splitlines() if not re.fullmatch(kinds, line)]
    assert {found.part for found in read_lock(TEXT).values()} == {"Running", "Development", "JupyterLab"}


@pytest.mark.parametrize(
    "line",
    [
        "pytz",
        "pytz==2026.1",
        f"pytz>=2026.1 \\\n    {A_HASH}",
        "pytz==2026.1 \\\n    --hash=md5:00",
        f"pytz==1 \\\n    {A_HASH}\npytz==2 \\\n    {A_HASH}",
        "-e .",
    ],
)
def test_a_line_without_pin_or_hash_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        read_lock(f"# Running\n{line}\n")


def test_what_is_installed_is_what_the_lock_says() -> None:
    strange = re.compile(
        r".* is installed and not in the lock"
    )  # a developer's own tools; `make audit` tells
    odd = [line for line in differences(read_lock(TEXT), installed()) if not strange.fullmatch(line)]
    assert not odd, "\n".join([*odd, "`make test` installs what the lock says"])


def test_other_versions_and_what_is_missing_or_strange_is_told() -> None:
    lock = read_lock(
        f"# Running\none==1.0 \\\n    {A_HASH}\ntwo==2.0 \\\n    {A_HASH}\nbuild==3.0 \\\n    {A_HASH}\n"
        f"windows==1 ; sys_platform == 'never' \\\n    {A_HASH}\n# JupyterLab\nlab==1 \\\n    {A_HASH}\n"
    )
    assert differences(lock, {"one": "1.1", "build": "3.0+cpu", "pip": "1", "own": "1"}) == [
        "one is 1.1; the lock says 1.0",
        "two 2.0 is in the lock and not installed",
        "own 1 is installed and not in the lock",
    ]


def test_the_first_part_is_all_that_running_needs() -> None:
    running = {name: found for name, found in read_lock(TEXT).items() if found.part == "Running"}
    lacking = set()
    for name in (name for name, found in running.items() if found.here):
        for line in distribution(name).requires or ():
            asks = Requirement(line)
            if asks.marker is None or asks.marker.evaluate({"extra": ""}):
                lacking |= {canonicalize_name(asks.name)} - running.keys()
    assert not {name for name in lacking if not name.startswith(OF_CUDA)}


def test_make_installs_from_the_lock_alone() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes --only-binary :all:" in makefile
    assert "--no-build-isolation -e ." in makefile  # else setuptools would come unhashed
    installs = [line for line in makefile.splitlines() if re.search(r"pip install|\$\(PIP\)", line)]
    assert all("PIP :=" in line or "LOCKED" in line or "--no-build-isolation" in line for line in installs)
    assert not (ROOT / "constraints.txt").exists()
