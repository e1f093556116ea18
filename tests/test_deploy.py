"""What is shipped to run it elsewhere fits the program: the container's text, and systemd's units."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml
from conftest import ROOT
from locked import LOCK, read_lock

from flows.cli import app

CONTAINER = (ROOT / "Containerfile").read_text("utf-8")
STEPS = [step.strip() for step in re.sub(r"\\\n", " ", CONTAINER).splitlines() if step and step[0] != "#"]
DOCS = (ROOT / "docs" / "container.md").read_text("utf-8")
UNITS = sorted((ROOT / "docs" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
HARD = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs /tmp")


def steps(kind: str) -> list[str]:
    """What follows an instruction, for each time it is given."""
    return [step.split(maxsplit=1)[1] for step in STEPS if step.split()[0] == kind]


def check_command(words: list[str]) -> None:
    """Fail where the command line has no such command or option."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    assert not hasattr(command, "commands"), f"no command {words[:1]}"
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    assert not [word for word in words if word.startswith("-") and word not in known]


def test_what_the_container_copies_is_there_and_all_of_the_program() -> None:
    sources = [part for step in steps("COPY") if "--from" not in step for part in step.split()[:-1]]
    assert not [name for name in sources if not (ROOT / name).exists()]
    rooms = {room.parent.name for room in ROOT.glob("*/__init__.py")}
    assert rooms and rooms <= set(sources)
    sent = (ROOT / ".containerignore").read_text("utf-8").splitlines()
    assert "*" in sent and {line[1:] for line in sent if line.startswith("!")} == set(sources)


def test_the_container_installs_by_hash_from_the_part_of_the_lock_that_running_needs() -> None:
    installs = [part for step in steps("RUN") for part in step.split("&&") if "pip install" in part]
    assert [("--require-hashes" in part, "--no-deps" in part) for part in installs] == 2 * [(True, True)] + [
        (False, True)
    ]
    assert "--no-build-isolation ." in installs[2]
    cut = LOCK.read_text("utf-8").split("\n# Development")[0]
    assert "sed '/^# Development/,$d' requirements.lock" in CONTAINER
    names = read_lock(cut)
    assert {"torch", "scrapy", "setuptools", "prefect"} <= names.keys() and "pytest" not in names


def test_the_container_runs_as_nobody_in_particular_and_writes_to_its_data_alone() -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", steps("USER")[-1])
    assert STEPS.index(f"USER {steps('USER')[-1]}") > max(n for n, s in enumerate(STEPS) if s[:4] == "RUN ")
    set_to = dict(word.split("=", 1) for step in steps("ENV") for word in step.split())
    assert (set_to["FUNDMATCH_HOME"], set_to["PREFECT_HOME"]) == ("/data", "/data/prefect")
    assert steps("VOLUME") == ["/data"] and set_to["HOME"] == "/tmp"
    assert not re.search(r"PASSWORD|TOKEN|SECRET|\.env\b", CONTAINER)


def test_the_container_starts_what_the_program_has() -> None:
    entry, command = (
        shlex.split(re.sub(r'[\[\],"]', " ", steps(kind)[-1])) for kind in ("ENTRYPOINT", "CMD")
    )
    health = shlex.split(re.sub(r'[\[\],"]', " ", steps("HEALTHCHECK")[-1].split("CMD")[1]))
    assert entry == ["fundmatch"] and health[0] == "fundmatch"
    check_command(command)
    check_command(health[1:])


def test_the_examples_are_as_hard_as_they_say() -> None:
    runs = [line for line in DOCS.replace("\\\n", " ").splitlines() if line.startswith("podman run")]
    assert len(runs) == 3 and all("$HARD" in line for line in runs)
    hard = re.search(r'^HARD="(.*)"', DOCS, re.MULTILINE)
    assert hard and not [option for option in HARD if option not in hard[1]]
    for line in runs:
        check_command(shlex.split(line.split(" fundmatch ", 1)[1]))
    services = yaml.safe_load(re.search(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[1])["services"]  # type: ignore[index]
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["mem_limit"]
        check_command([str(word) for word in service["command"]])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_unit_starts_what_the_program_has_and_keeps_its_secrets_in_a_file(unit: Path) -> None:
    text = unit.read_text("utf-8")
    program, *words = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert program == "/opt/fundmatch/.venv/bin/fundmatch"
    check_command(words)
    assert "EnvironmentFile=/etc/fundmatch.env\n" in text and "User=fundmatch\n" in text
    assert "PASSWORD=" not in text


def started(folder: Path, unit: Path) -> Path:
    """A unit whose program is there, so that the rest of it can be checked on any machine."""
    copy = folder / unit.name
    copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit.read_text("utf-8")), "utf-8")
    return copy


def analyze(*options: str) -> subprocess.CompletedProcess[str]:
    """What systemd itself says; skips where it is not."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    done = subprocess.run(["systemd-analyze", "--no-pager", *options], capture_output=True, text=True)
    if re.search(r"unrecognized option|Unknown command|Failed to (create|connect|set up)", done.stderr):
        pytest.skip(f"systemd-analyze cannot do this here: {done.stderr.strip()[:100]}")
    return done


def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", *(str(started(tmp_path, unit)) for unit in UNITS))
    ours = [line for line in done.stderr.splitlines() if "fundmatch" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_unit_exposes_little(unit: Path, tmp_path: Path) -> None:
    done = analyze("security", "--offline=true", str(started(tmp_path, unit)))
    told = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert told, done.stderr
    print(f"{unit.name}: exposure {told[1]}")
    assert float(told[1]) < 3


@pytest.mark.parametrize(("timer", "days"), [("week", "Mon"), ("day", "Tue..Sun")])
def test_timers_make_up_for_what_was_missed_in_the_time_of_the_region(timer: str, days: str) -> None:
    text = (ROOT / "docs" / "systemd" / f"fundmatch-{timer}.timer").read_text("utf-8")
    when = re.search(r"^OnCalendar=(.*)$", text, re.MULTILINE)
    assert when and when[1].startswith(f"{days} ") and when[1].endswith(" Europe/Amsterdam")
    assert "Persistent=true" in text
    assert "SuccessExitStatus=1" in (ROOT / "docs" / "systemd" / f"fundmatch-{timer}.service").read_text(
        "utf-8"
    )
    assert analyze("calendar", when[1]).returncode == 0
