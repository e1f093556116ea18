"""The notebooks run from top to bottom, look right without a network, and show hostile text as text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from nbconvert import HTMLExporter

sys.path.insert(0, str(ROOT / "notebooks"))
import look

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ATTACK = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"


def run(name: str, home: Path, folder: Path, **settings: Any) -> nbformat.NotebookNode:
    """A notebook after it ran in `folder`, with other settings than it comes with."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    own = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
    place = next(i for i, cell in enumerate(notebook.cells) if cell["id"] == "settings")
    notebook.cells[place]["source"] += f"\n{own}\n"
    os.environ["FUNDMATCH_HOME"] = str(home)
    os.environ["PYTHONPATH"] = str(ROOT / "notebooks")
    try:
        NotebookClient(
            notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    finally:
        del os.environ["FUNDMATCH_HOME"], os.environ["PYTHONPATH"]
    return notebook


def html_of(notebook: nbformat.NotebookNode) -> str:
    """The notebook as a page that asks nobody for anything."""
    exporter = HTMLExporter(require_js_url="", mathjax_url="", jquery_url="")
    return exporter.from_notebook_node(notebook)[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ran(
    demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[nbformat.NotebookNode, Path]]:
    """Each notebook by name after it ran on the demo's warehouse, and the folder it ran in."""
    found = {}
    for file in NOTEBOOKS:
        folder = tmp_path_factory.mktemp(file.stem)
        found[file.stem] = (run(file.stem, demo[0], folder), folder)
    return found


def test_they_come_without_outputs_and_with_names() -> None:
    assert [file.stem for file in NOTEBOOKS] == ["adviser", "consortium", "gaps"]
    for file in NOTEBOOKS:
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            assert not cell.get("outputs") and cell.get("execution_count") is None
            assert re.fullmatch("[a-z-]+", cell["id"])
        assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("name", ["adviser", "consortium", "gaps"])
def test_each_runs_from_top_to_bottom_and_asks_no_network(
    ran: dict[str, tuple[nbformat.NotebookNode, Path]], name: str
) -> None:
    notebook, _ = ran[name]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs and not [o for o in outputs if o.output_type in ("error", "stream")]
    page = html_of(notebook)
    loaded = (
        r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=[\"']?(?:https?:)?//|@import|import\([\"']https?:"
    )
    assert not re.findall(loaded, re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL))
    assert not re.findall(r"<script[^>]*\ssrc=[\"']?(?:https?:)?//", page)


@pytest.mark.skipif(not CHROMIUM and not os.environ.get("CI"), reason="Chromium is not installed")
@pytest.mark.parametrize(
    ("name", "tables", "plots"), [("adviser", 3, 2), ("consortium", 1, 1), ("gaps", 1, 2)]
)
def test_a_browser_without_a_network_draws_tables_and_plots(
    ran: dict[str, tuple[nbformat.NotebookNode, Path]], tmp_path: Path, name: str, tables: int, plots: int
) -> None:
    assert CHROMIUM
    page = tmp_path / "page.html"
    page.write_text(html_of(ran[name][0]), encoding="utf-8")
    drawn = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=20000",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert len(re.findall(r'<input[^>]*class="dt-input"', drawn)) >= tables  # a box to search in
    assert drawn.count('class="main-svg"') >= plots
    assert "<tbody><tr" in drawn.replace("\n", "").replace("  ", "")


def test_the_adviser_notebook_tells_why_and_writes_what_one_takes_along(
    ran: dict[str, tuple[nbformat.NotebookNode, Path]],
) -> None:
    notebook, folder = ran["adviser"]
    by_id = {cell["id"]: cell for cell in notebook.cells}
    card = by_id["why"].outputs[0].data
    assert "What both say" in card["text/html"] and "May it apply?" in card["text/plain"]
    assert "Rows in which they differ" in by_id["compare"].outputs[0].data["text/html"]
    assert sorted(file.suffix for file in (folder / "exports").iterdir()) == [".ics", ".xlsx", ".xlsx"]
    assert "first run" in by_id["changes"].outputs[0].data["text/markdown"]


def test_a_match_is_corrected_only_when_asked(demo: tuple[Path, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo[0], home, symlinks=True)
    run("adviser", home, tmp_path)
    feedback = home / "feedback.jsonl"
    assert not feedback.exists() or not feedback.read_bytes()
    said = run("adviser", home, tmp_path, VERDICT="not-for-us", WHY="no lab")
    shown = next(cell for cell in said.cells if cell["id"] == "correct").outputs[0].data["text/markdown"]
    assert "Kept: **not-for-us**" in shown
    assert b'"why":"no lab"' in feedback.read_bytes()


def test_another_client_call_and_day_can_be_chosen(demo: tuple[Path, str], tmp_path: Path) -> None:
    told = run(
        "adviser", demo[0], tmp_path, PROFILE="voorbeeld-sensoren", CALL="rvo:mit", BEFORE="2026-06-20"
    )
    by_id = {cell["id"]: cell for cell in told.cells}
    assert "MIT" in by_id["why"].outputs[0].data["text/html"]
    assert (tmp_path / "exports" / "voorbeeld-sensoren-deadlines.ics").exists()


def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `look` displays from now on."""
    found: list[str] = []
    monkeypatch.setattr(look, "display", lambda made: found.append(made.data))
    return found


def test_hostile_text_stays_text_in_tables_and_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = shown(monkeypatch)
    rows = duckdb.sql(
        "SELECT $1 AS title, 'javascript:alert(1)' AS url, $1 AS reason, [$1] AS names, $1 AS printed, "
        "DATE '2026-09-01' AS on_date, 5 AS days_left, 1.5 AS grant_max_eur, NULL AS nothing",
        params=[ATTACK],
    )
    look.table(rows)
    look.timeline(rows, date(2026, 6, 15))
    look.bars(rows, "title", {"days_left": ("days", look.BLUE)}, "days")
    assert len(pages) == 3
    for page in pages:
        assert "<img" not in page and "alert(1)</script>" not in page
        assert "javascript:alert" not in page


def test_a_title_leads_to_its_web_address_only() -> None:
    assert look.link("a<b", 'https://x/?a=1&b="2') == (
        '<a href="https://x/?a=1&amp;b=&quot;2" target="_blank" rel="noopener noreferrer">a&lt;b</a>'
    )
    assert look.link("a<b", "javascript:x") == look.link("a<b", None) == "a&lt;b"


def test_nothing_to_show_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = shown(monkeypatch)
    none = duckdb.sql("SELECT 'a' AS title, NULL AS url WHERE false")
    look.table(none, note="*None.*")
    look.timeline(none, date(2026, 6, 15))
    look.bars(none, "title", {}, "x")
    assert pages == [
        "*None.*",
        "*No deadline is stated for these calls.*",
        "*Nothing to draw: there are no such rows.*",
    ]
