"""docs/security.md claims nothing that no file does and no test shows; and nothing that is read is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from flows.terminal import safe

ROOMS = ("crawlers", "embeddings", "flows", "pipeline", "warehouse")
MODEL = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = [row.strip("| ").split(" | ") for row in MODEL.splitlines() if "::test_" in row]
# Dask sends code as pickles by design; docs/security.md says to whom it may
MAY_PICKLE = {Path("flows/cluster.py")}
BANNED_CALLS = {
    "eval",
    "exec",
    "compile",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "torch.load",
}
BANNED_OPTIONS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "verify": False}
BANNED_MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_each_claim_names_a_file_that_is_there_and_a_test_that_is_run(row: list[str]) -> None:
    assert len(row) == 4
    files = re.findall(r"`([\w./-]+)`", row[2])
    assert files and not [name for name in files if not (ROOT / name).exists()]
    tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row[3])
    assert tests and row[3].count("`") == 2 * len(tests)
    for file, name in tests:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE)


def test_the_model_has_its_claims() -> None:
    assert len(ROWS) >= 25 and "## Open" in MODEL


def faults(path: Path) -> list[str]:
    """Calls, options and imports of a file that could run what it reads."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            found += [ast.unparse(node.func)] if ast.unparse(node.func) in BANNED_CALLS else []
            for option in node.keywords:
                value = getattr(option.value, "value", None)
                if option.arg in BANNED_OPTIONS and value is BANNED_OPTIONS[option.arg]:
                    found.append(f"{option.arg}={value}")
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in BANNED_MODULES:
            found.append(node.module)
    return found


def test_nothing_that_is_read_is_run(tmp_path: Path) -> None:
    told = {
        path.relative_to(ROOT): found
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if (found := faults(path))
    }
    assert {path: found for path, found in told.items() if path not in MAY_PICKLE} == {}
    bad = tmp_path / "bad.py"
    bad.write_text("import pickle\nimport yaml\nyaml.load(x)\nrun('ls', shell=True)\neval(x)\n")
    assert len(faults(bad)) == 4


@given(st.text())
def test_a_terminal_is_told_text_alone(text: str) -> None:
    shown = Text.from_markup(safe(text + "\x1b[2J\x07\u202e[red]x[/red]")).plain
    assert shown.isprintable() and shown.endswith("[2J[red]x[/red]")
