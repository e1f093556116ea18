"""The sender killed at random, and run again each time: everybody gets one mail, or is listed as in doubt."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, child

from flows.home import Home
from flows.mail.outbox import open_outbox

DAY, WEEK = "2026-06-15", "2026-W25"


@contextmanager
def judged(log: Path) -> Iterator[int]:
    """A real SMTP server in a process of its own, which notes what it accepts; its port."""
    log.touch()
    program = [sys.executable, ROOT / "tests" / "standin_smtp.py", log]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@dataclass
class Trial:
    """What a campaign came to."""

    readers: int
    kills: int
    while_sending: int  # kills before which the run had handed over at least one mail
    accepted: Counter[str]  # message id → how often the server took it
    doubts: set[str]
    states: dict[str, int]

    def judge(self) -> None:
        """Nobody got two, nobody got none but who is in doubt, and at most one doubt a kill."""
        assert self.states["pending"] == self.states["failed"] == 0
        assert self.states["sent"] + self.states["sending"] == self.readers
        twice = [name for name, count in self.accepted.items() if count > 1]
        assert not twice, f"{len(twice)} mails were accepted more than once"
        assert len(self.doubts) == self.states["sending"] <= self.kills
        assert len(self.accepted.keys() | self.doubts) == self.readers, "none is lost"

    def __str__(self) -> str:
        taken = len(self.doubts & self.accepted.keys())
        return (
            f"{self.readers} readers, {self.kills} kills, {self.while_sending} of them while mails went out: "
            f"{len(self.accepted)} accepted, each once; {len(self.doubts)} in doubt, of which the server had "
            f"{taken}; lost 0"
        )


def campaign(demo: Path, folder: Path, readers: int, kills: int, longest: float, pace: float) -> Trial:
    """Send to many readers, killing the command `kills` times after up to `longest` seconds of its work."""
    home, log, chance = folder / "home", folder / "accepted.log", random.Random(2026)
    home.mkdir()
    shutil.copy(demo / "warehouse.duckdb", home)
    shutil.copy(demo / "profiles.json", home)
    profiles = [profile.id for profile in Home(home).profiles()]
    rows = [
        f"reader{n}@example.org,{profiles[n % len(profiles)]},short,2026-05-01,form" for n in range(readers)
    ]
    listed = folder / "readers.csv"
    listed.write_text("\n".join(["address,profile,when_nothing,consent_on,consent_source", *rows]))
    assert child("--home", home, "readers", "import", listed).returncode == 0
    with judged(log) as port:
        environment = os.environ | {
            "FUNDMATCH_MAIL_FROM": "Hub <digest@hub.example>",
            "FUNDMATCH_WEB_URL": "https://calls.hub.example",
            "FUNDMATCH_SMTP_HOST": "127.0.0.1",
            "FUNDMATCH_SMTP_PORT": str(port),
            "FUNDMATCH_SMTP_SECURITY": "none",
            "FUNDMATCH_MAIL_PER_SECOND": str(pace),
        }
        command: list[Any] = [Path(sys.executable).with_name("fundmatch"), "--home", home, "digest", "send"]
        command += ["--as-of", DAY, "--json"]
        while_sending = 0
        for _ in range(kills):
            before = len(log.read_bytes())
            with subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as run:
                time.sleep(chance.uniform(0.3, longest))
                run.send_signal(signal.SIGKILL)
            while_sending += len(log.read_bytes()) > before
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800)
        told = json.loads(done.stdout)
    accepted = Counter(line.split()[1] for line in log.read_text().splitlines())
    with open_outbox(Home(home)) as outbox:
        states = {str(state): count for state, count in outbox.states(WEEK).items()}
    assert told["fault"] is None and done.returncode == bool(told["in_doubt"])
    return Trial(readers, kills, while_sending, accepted, set(told["in_doubt"]), states)


def test_a_sender_killed_a_few_times_sends_to_everybody_once(demo: tuple[Path, str], tmp_path: Path) -> None:
    found = campaign(demo[0], tmp_path, readers=60, kills=6, longest=3.0, pace=8)
    found.judge()
    assert found.while_sending, str(found)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_a_hundred_kills_among_two_thousand_readers(demo: tuple[Path, str], tmp_path: Path) -> None:
    found = campaign(demo[0], tmp_path, readers=2000, kills=100, longest=6.0, pace=12)
    print(f"\n{found}")
    found.judge()
    assert found.while_sending >= 50
