"""The docs tell the truth: every command, setting, make target and JSON field is there, no link is dead."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import typer
from conftest import ROOT

from flows.cli import app
from pipeline.schema import Call, Match

CLI = (ROOT / "docs" / "cli.md").read_text("utf-8")
PAGES = [
    *(ROOT / f"{page}.md" for page in ("README", "CONTRIBUTING", "SECURITY")),
    *(ROOT / "docs").rglob("*.md"),
]


def commands() -> list[str]:
    """Every command as it is typed, without arguments."""
    whole = typer.main.get_command(app)
    found = []
    for name, command in whole.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [f"{name} {sub}" for sub in inner] if inner else [name]
    return found


def test_every_command_and_option_is_described() -> None:
    assert len(commands()) >= 11
    assert not [name for name in commands() if f"`fundmatch {name}" not in CLI]
    whole = typer.main.get_command(app)
    for name in commands():
        command = whole
        for part in name.split():
            command = command.commands[part]  # type: ignore[attr-defined]
        options = {o for p in command.params for o in p.opts if o.startswith("--") and o != "--help"}
        assert not [option for option in options if option not in CLI], name


def test_every_field_of_a_call_and_a_match_is_listed() -> None:
    promised = CLI.split("## JSON")[1]
    for model in (Call, Match):
        assert not [name for name in model.model_fields if not re.search(rf"\b{name}\b", promised)]


def test_every_setting_is_described() -> None:
    operating = "".join((ROOT / "docs" / page).read_text("utf-8") for page in ("operating.md", "mail.md"))
    rooms = ("crawlers", "embeddings", "flows", "pipeline", "warehouse")
    code = "".join(p.read_text("utf-8") for room in rooms for p in (ROOT / room).rglob("*.py"))
    reads = r"(?:environ(?:ment)?\.get\(|envvar=|number\((?:environment, )?)"
    settings = set(re.findall(rf'{reads}f?"(FUNDMATCH_[A-Z_]+)', code))
    assert len(settings) >= 18
    assert not [name for name in settings if name not in operating]


def test_every_make_target_is_told_and_every_link_leads_somewhere() -> None:
    help_text = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True).stdout
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split()) - {"help"}  # type: ignore[index]
    assert not [target for target in targets if f"make {target}" not in help_text]
    for page in PAGES:
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        assert not [link for link in links if not (page.parent / Path(link)).exists()], page
