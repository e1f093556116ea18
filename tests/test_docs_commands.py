"""The commands of the docs do what the pages say: each is run, in the order of its page, on a home of the
test.

Where a page means the world there is a stand-in: sites are the sample archive, the mail server is on
loopback, `/srv`, `/opt`, `/etc` and `/mnt` are folders of the test. `LEFT_OUT` has what cannot be
run here, and why.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from conftest import PROFILES, ROOT, SAMPLES, Fundmatch
from openpyxl import Workbook
from standin_smtp import Handler, smtp
from test_deploy import check_command

DAY = "2026-06-15"  # of the sample archive
PAGES = ("README.md", "docs/operating.md", "docs/a-week.md", "docs/mail.md", "docs/notebooks.md")
# What begins like this is not run: why
LEFT_OUT = {
    r"make ": "installs from the web; `make demo` is the fixture `demo`",
    r"git ": "needs the repository's address",
    r"(useradd|install|chown) ": "needs root",
    r"systemctl |cp docs/systemd": "needs systemd; test_deploy.py checks the units",
    r"prefect |export PREFECT_API_URL": "needs a Prefect server of one's own",
    r"fundmatch evaluate ": "needs a benchmark, and minutes; test_evaluate.py and test_partners.py have it",
    r"fundmatch history import": "needs the files of CORDIS; test_history.py has it",
}
NOT_RUN_ON = r"fundmatch serve\b"  # does not end: its options alone are checked
FOLDERS = ("/srv/fundmatch", "/opt/fundmatch", "/etc/fundmatch", "/mnt/backup", "/tmp/mails")
SHOWN = "docs/a-week.md"  # whose answers are checked, too: fragments between bars and dots


@dataclass(frozen=True)
class Step:
    """A command of a page, under its heading, and the answer that the page shows; or a text or settings."""

    heading: str
    kind: str  # the block's language
    command: str
    shown: tuple[str, ...] = ()


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Heading, language and text of each fenced block of a page."""
    heading = ""
    text = (ROOT / page).read_text("utf-8")
    for found in re.finditer(r"^#+ ([^\n]*)$|^( *)```(\w*)\n(.*?)^\2```$", text, re.MULTILINE | re.DOTALL):
        if found[1]:
            heading = found[1]
        else:
            yield heading, found[3], dedent(found[4])


def steps(page: str) -> Iterator[Step]:
    """All commands of a page in order; its settings, texts and Python, each whole."""
    for heading, kind, text in blocks(page):
        if kind in ("ini", "text", "python", "crontab"):
            yield Step(heading, kind, text)
        elif kind in ("sh", "console") or (not kind and re.search(r"^(\$ |fundmatch |export )", text, re.M)):
            yield from commands(heading, kind, text.replace("\\\n", " "))


def commands(heading: str, kind: str, text: str) -> Iterator[Step]:
    if not re.search(r"^\$ ", text, re.MULTILINE):
        text = re.sub(r"^(?=[^#\n])", "$ ", text, flags=re.MULTILINE)
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        for each in re.sub(r"\s+# .*$", "", command).split(" && "):
            yield Step(heading, kind, each.strip(), tuple(line for line in shown if line != "..."))


@dataclass
class Machine:
    """A machine of the pages: its folders under `path`, its environment, and who receives its mails."""

    path: Path
    fundmatch: Fundmatch
    monkeypatch: pytest.MonkeyPatch
    mails: Handler
    port: int
    worlds: list[tuple[Path, str]] = field(default_factory=list)  # of the next live commands
    web: Path = SAMPLES  # of the others
    umask: str = "umask 022"

    def few(self) -> None:
        """From here on the web is three sources: enough where what they say does not matter."""
        self.web = self.path / "few"
        self.web.mkdir()
        for name in ("eu_portal", "rvo", "snn"):
            (self.web / name).symlink_to(SAMPLES / name)

    @property
    def checkout(self) -> Path:
        return self.path / "opt" / "fundmatch"

    @property
    def home(self) -> Path:
        return self.path / "srv" / "fundmatch"

    def here(self, text: str) -> str:
        """The same with this machine's folders."""
        for folder in FOLDERS:
            text = text.replace(folder, f"{self.path}{folder}")
        return text

    def shell(self, line: str) -> None:
        """Run a line as the shell does, and keep what it exports and where it went."""
        self.umask = line if line.startswith("umask") else self.umask
        told = self.path / "environment"
        done = subprocess.run(
            ["sh", "-ec", f"{self.umask}\n{self.here(line)}\nenv -0 > {told}"], capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        after = dict(each.split("=", 1) for each in told.read_text("utf-8").split("\0") if each)
        for name, value in after.items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.chdir(after["PWD"])
        self.loopback()

    def loopback(self) -> None:
        """Mail goes to the stand-in, whatever the page has set."""
        here = {"HOST": "127.0.0.1", "PORT": str(self.port), "SECURITY": "none"}
        for name, value in here.items():
            self.monkeypatch.setenv(f"FUNDMATCH_SMTP_{name}", value)
        self.monkeypatch.setenv("FUNDMATCH_MAIL_PER_SECOND", "0")
        for name in ("FUNDMATCH_SMTP_USER", "FUNDMATCH_SMTP_PASSWORD"):
            self.monkeypatch.delenv(name, raising=False)

    def command(self, line: str) -> str:
        """Run a line of fundmatch with its stand-ins; what it said."""
        while found := re.match(r"(\w+=\S+) ", line):
            self.shell(f"export {found[1]}")
            line = line[found.end() :]
        words = shlex.split(os.path.expandvars(self.here(line)))[1:]
        status, out, err = self.fundmatch(*self.stand_in(words))
        told = f"{line}\n{out}\n{err}"
        assert status == 0 or (status == 1 and ("doctor" in words or "error: " in err)), told
        return told

    def stand_in(self, words: list[str]) -> list[str]:
        """The words of a command with the sample archive for the web, and its day for today."""
        words = list(words)
        if "--live" in words:
            world, day = self.worlds.pop(0) if self.worlds else (self.web, DAY)
            at = words.index("--live")
            words[at : at + 1] = ["--replay", str(world), "--as-of", day]
            words += ["--plain"] * ("crawl" not in words)
        if "digest" in words and "send" in words and "--as-of" not in words:
            words += ["--as-of", DAY]
        return words + ["--no-online"] * ("doctor" in words)

    def take(self, step: Step) -> str:
        """Do a step of a page; what it said."""
        assert "\n" not in step.command
        if any(re.match(pattern, step.command) for pattern in LEFT_OUT):
            return ""
        if re.match(NOT_RUN_ON, step.command):
            check_command(shlex.split(step.command)[1:])
            return ""
        if re.match(r"(\w+=\S+ )*fundmatch ", step.command):
            return self.command(step.command)
        self.shell(step.command)
        return ""


@pytest.fixture
def machine(tmp_path: Path, fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with a checkout and the files that pages name, and nothing in its home yet."""
    with smtp() as (handler, port):
        made = Machine(tmp_path, fundmatch, monkeypatch, handler, port)
        for folder in ("srv/fundmatch", "opt/fundmatch/.venv/bin", "etc", "mnt", "bin", "tmp"):
            (tmp_path / folder).mkdir(parents=True)
        for room in ("docs", "crawlers", "profiles"):
            (made.checkout / room).symlink_to(ROOT / room)
        for program in (made.checkout / ".venv/bin/python", tmp_path / "bin" / "python3"):
            program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            program.chmod(0o755)
        companies(made.checkout / "my-companies.xlsx")
        shutil.copy(ROOT / "docs" / "example-readers.csv", made.checkout / "readers.csv")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setenv("COLUMNS", "1000")
        monkeypatch.chdir(made.checkout)
        made.loopback()
        yield made


def companies(path: Path, only: str = "voorbeeld-") -> None:
    """Write a sheet of the example companies, or those whose id begins with `only`."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    columns = ["id", "name", "kind", "language", "label", "nuts", "place", "description", "seeks", "themes"]
    sheet.append(columns)
    for profile in (each for file in PROFILES for each in yaml.safe_load(Path(file).read_text("utf-8"))):
        if profile["id"].startswith(only):
            cells = [profile.get(column) for column in columns]
            sheet.append(["|".join(cell) if isinstance(cell, list) else cell for cell in cells])
    book.save(path)


def fragments(line: str) -> list[str]:
    """What must be in the answer: parts between bars and dots, but for numbers that differ each time."""
    parts = (" ".join(part.split()) for part in re.split(r"[│┃…]", line))
    return [part for part in parts if re.search(r"\w", part) and not re.fullmatch(r"\d+\.\d+", part)]


def check_shown(lines: tuple[str, ...], told: str) -> None:
    whole = " ".join(told.split())
    missing = [part for line in lines for part in fragments(line) if part not in whole]
    assert not missing, told[-2000:]


def mail_texts(mails: Handler) -> str:
    """Subjects and plain texts of all mails that were taken."""
    texts = []
    for _, content in mails.accepted:
        mail = message_from_bytes(content, policy=policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        texts.append(f"Subject: {mail['Subject']}\n{body.get_content()}")
    return "\n".join(texts)


def follow(machine: Machine, page: str, before: dict[str, Callable[[Step], Step | None]]) -> None:
    """Do all that a page says. `before` has what happens ahead of a heading's, or a command's, first step."""
    waiting = dict(before)
    for step in steps(page):
        for key in [key for key in waiting if key == step.heading or step.command.startswith(key)]:
            step = waiting.pop(key)(step) or step
        if step.kind == "ini":
            (machine.path / "etc" / "fundmatch.env").write_text(step.command)
            machine.shell("set -a; . /etc/fundmatch.env")
        elif step.kind == "text":
            check_shown(tuple(step.command.splitlines()), mail_texts(machine.mails))
        elif step.kind == "python":
            exec(compile(step.command, page, "exec"), {})
        elif step.kind != "crontab":
            told = machine.take(step)
            if page == SHOWN:
                check_shown(tuple(map(machine.here, step.shown)), told)
    assert not waiting, "the page has no such place any more"


def test_the_readmes_commands_run(machine: Machine, demo: tuple[Path, str]) -> None:
    shutil.copytree(demo[0], machine.checkout / "data" / "demo", symlinks=True)
    shutil.copytree(demo[0] / "vectors", machine.checkout / "data" / "vectors")
    machine.few()
    shown = next(step.shown for step in steps("README.md") if step.command == "make demo")
    check_shown(shown[1:], demo[1].replace(str(demo[0]), "data/demo"))
    follow(machine, "README.md", {})
    assert (machine.checkout / "gaps.html").exists() and len(
        list((machine.checkout / "mails").iterdir())
    ) == 3
    assert (machine.checkout / "data" / "warehouse.duckdb").exists()


def test_a_fresh_machine_is_set_up_backed_up_restored_and_moved(
    machine: Machine, demo: tuple[Path, str]
) -> None:
    shutil.copytree(demo[0] / "vectors", machine.home / "vectors")  # so that nothing is computed twice
    machine.few()
    old = machine.path / "old"
    writing: list[sqlite3.Connection] = []

    def busy(step: Step) -> None:
        """Pages lie in the archive, as after a live run, and the outbox is in use, its news in its log."""
        page = machine.home / "archive" / "rvo" / "20260615T030012Z-0baf21.warc.gz"
        page.parent.mkdir(parents=True)
        page.write_bytes(b"pages")
        writing.append(sqlite3.connect(machine.home / "mail.sqlite", isolation_level=None))
        writing[0].execute("PRAGMA wal_autocheckpoint = 0")
        writing[0].execute("UPDATE mails SET answer = '250 noted last'")

    def lose(step: Step) -> None:
        """The home is gone, and the settings with it: what follows is on a new machine."""
        writing.pop().close()
        machine.home.rename(old)
        machine.home.mkdir()
        (machine.path / "etc" / "fundmatch.env").rename(machine.path / "old.env")

    follow(machine, "docs/operating.md", {"Back up": busy, "Restore": lose})
    assert len(machine.mails.accepted) == 3, "a mail for each reader, and none twice"
    assert (machine.path / "etc" / "fundmatch.env").read_text() == (machine.path / "old.env").read_text()
    assert kept(machine, machine.home) == kept(machine, old)
    assert sent(machine.home) == sent(old) and {said for *_, said in sent(old)} == {"250 noted last"}
    assert (machine.home / "mail.sqlite").stat().st_mode & 0o077 == 0
    assert [page.read_bytes() for page in machine.home.glob("archive/rvo/*")] == [b"pages"]
    # and the next week goes on from there, with no mail twice
    machine.command("fundmatch run --live --send")
    assert len(machine.mails.accepted) == 3 and kept(machine, machine.home) == kept(machine, old)


def kept(machine: Machine, home: Path) -> list[object]:
    """What a home answers: profiles, calls, readers, and the matches of one company."""
    asked = ("profiles list", "calls", "readers list", "match voorbeeld-kunststofrecycling")
    answers = [machine.fundmatch("--home", home, *each.split(), "--json") for each in asked]
    assert not [err for status, _, err in answers if status]
    return [json.loads(out) for _, out, _ in answers]


def sent(home: Path) -> list[tuple[str, str, str]]:
    """Each mail in the outbox with its state, and what the server said."""
    with sqlite3.connect(home / "mail.sqlite") as outbox:
        return outbox.execute("SELECT message_id, state, answer FROM mails ORDER BY 1").fetchall()


def test_a_week_is_as_the_page_tells_it(machine: Machine, demo: tuple[Path, str]) -> None:
    shutil.rmtree(machine.home)
    shutil.copytree(demo[0], machine.home, symlinks=True)
    machine.monkeypatch.setenv("FUNDMATCH_HOME", str(machine.home))
    machine.monkeypatch.setenv("FUNDMATCH_MAIL_FROM", "Hub Noord <digest@hub.example>")
    machine.monkeypatch.setenv("FUNDMATCH_WEB_URL", "https://calls.hub.example")
    machine.monkeypatch.setenv("FUNDMATCH_OPERATOR", "operator@hub.example")
    machine.command("fundmatch readers import readers.csv")
    broken, moved = world(machine, "broken", log_in), world(machine, "moved", sooner)

    def tuesday(step: Step) -> None:
        machine.worlds = [(broken, "2026-06-16")]
        machine.command("fundmatch deadlines --live --send")
        machine.worlds = [(broken, "2026-06-16"), (SAMPLES, "2026-06-16")]

    def wednesday(step: Step) -> None:
        machine.worlds = [(moved, "2026-06-17")]

    def thursday(step: Step) -> None:
        machine.worlds = [(moved, "2026-06-18")]
        newcomer(machine.checkout)

    at = {
        "Tuesday: a source breaks": tuesday,
        "Wednesday: a deadline moves": wednesday,
        "Thursday: a new company": thursday,
    }
    follow(machine, "docs/a-week.md", at)
    assert not machine.worlds


def world(machine: Machine, name: str, change: Callable[[str, dict[str, object]], None]) -> Path:
    """The EU portal's part of the sample archive, with each of its searches changed."""
    made = machine.path / name
    shutil.copytree(SAMPLES / "eu_portal", made / "eu_portal")
    for file in made.glob("eu_portal/search-*.json"):
        exchange = json.loads(file.read_text("utf-8"))
        change(file.name, exchange)
        file.write_text(json.dumps(exchange), "utf-8")
    return made


def log_in(name: str, exchange: dict[str, object]) -> None:
    """A log-in page in place of an answer."""
    page = {"status": 200, "headers": {"Content-Type": "text/html"}, "text": "<html>Please log in</html>"}
    exchange["response"] = page


def sooner(name: str, exchange: dict[str, object]) -> None:
    """The deadline of one topic comes nearer, wherever it is printed."""
    response = exchange["response"]
    assert isinstance(response, dict)
    for row in (response.get("json") or {}).get("results", []):
        if row["reference"] == "50145719TOPICSen":
            for key in ("deadlineDate", "actions"):
                values = row["metadata"][key]
                row["metadata"][key] = [value.replace("2026-09-17", "2026-06-30") for value in values]


def newcomer(folder: Path) -> None:
    """The new company's sheet and its consent."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["id", "name", "kind", "language", "label", "nuts", "place", "description", "themes"])
    says = "Wij maken verpakkingsfolie van gerecycled polyetheen en willen naar folie van een materiaal"
    named = ["nieuw-verpakking", "Voorbeeld: Folie Stadskanaal", "sme", "nl", "example", "NL13"]
    sheet.append([*named, "Stadskanaal", says, "circular economy|polymers"])
    book.save(folder / "my-companies.xlsx")
    (folder / "readers.csv").write_text(
        "address,profile,consent_on,consent_source\n"
        "info@folie.example,nieuw-verpakking,2026-06-18,at the desk\n"
    )


def test_the_pages_of_mail_and_notebooks_run(machine: Machine, demo: tuple[Path, str]) -> None:
    shutil.rmtree(machine.home)
    shutil.copytree(demo[0], machine.home, symlinks=True)
    (machine.checkout / "data").mkdir()
    (machine.checkout / "data" / "demo").symlink_to(machine.home)

    def doubt(step: Step) -> Step:
        """One of the mails that were sent is in doubt; the command is about that one."""
        key = sent(machine.home)[0][0]
        with sqlite3.connect(machine.home / "mail.sqlite") as outbox:
            outbox.execute("UPDATE mails SET state = 'sending' WHERE message_id = ?", [key])
        return Step(step.heading, step.kind, re.sub(r"<.*>", key, step.command))

    machine.few()
    follow(machine, "docs/mail.md", {"fundmatch digest settle": doubt})
    assert {state for _, state, _ in sent(machine.home)} == {"sent"}
    follow(machine, "docs/notebooks.md", {})


def test_what_is_left_out_is_on_a_page_and_no_page_is_without_commands() -> None:
    every = [step.command for page in PAGES for step in steps(page)]
    assert not [pattern for pattern in LEFT_OUT if not any(re.match(pattern, each) for each in every)]
    assert not [page for page in PAGES if not list(steps(page))]


@pytest.mark.parametrize("page", [*PAGES, "docs/profiles.md", "docs/container.md"])
def test_commands_within_sentences_are_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for line in re.findall(r"`(fundmatch (?!--help)[^`]*)`", text):
        check_command(re.sub(r"[^\w\s@.,'\"/:-]", "x", line).split()[1:])


def test_the_crontab_says_something_only_where_something_was_not_right(tmp_path: Path) -> None:
    crontab = next(text for _, kind, text in blocks("docs/operating.md") if kind == "crontab")
    entries = [line.split(maxsplit=5 if line[0] != "@" else 1)[-1] for line in crontab.splitlines()[2:]]
    program = tmp_path / "fundmatch" / ".venv" / "bin" / "fundmatch"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$FUNDMATCH_HOME $*"\nexit "$STATUS"\n')
    program.chmod(0o755)
    (tmp_path / "fundmatch.env").write_text('FUNDMATCH_HOME="/the home"\n')
    for entry in entries:
        assert "%" not in entry, "cron takes it for the end of the line"
        words = re.search(r"bin/fundmatch ([a-z -]+[a-z])", entry)
        assert words
        check_command(words[1].split())
        told = {
            status: subprocess.run(
                ["sh", "-c", entry],
                env=os.environ | {"HOME": str(tmp_path), "STATUS": status},
                capture_output=True,
                text=True,
            ).stdout
            for status in "012"
        }
        if "out=" in entry:
            assert told == {"0": "", "1": f"/the home {words[1]}\n", "2": f"/the home {words[1]}\n"}


def test_the_script_passes_settings_and_words_on(tmp_path: Path) -> None:
    script = next(text for _, kind, text in blocks("docs/operating.md") if kind == "shell")
    (tmp_path / "runuser").write_text('#!/bin/sh\necho "$FUNDMATCH_MAIL_FROM|$FUNDMATCH_HOME|$*"\n')
    (tmp_path / "runuser").chmod(0o755)
    (tmp_path / "env").write_text('FUNDMATCH_MAIL_FROM="Hub <a@hub.example>"\n')
    (tmp_path / "script").write_text(script.replace("/etc/fundmatch.env", str(tmp_path / "env")))
    done = subprocess.run(
        ["sh", str(tmp_path / "script"), "match", "--text", "a film"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    told = "-u fundmatch -- /opt/fundmatch/.venv/bin/fundmatch match --text a film"
    assert done.stdout == f"Hub <a@hub.example>|/srv/fundmatch|{told}\n"


def test_settings_of_the_page_are_settings() -> None:
    tables = "".join((ROOT / "docs" / f"{page}.md").read_text("utf-8") for page in ("operating", "mail"))
    ini = next(text for _, kind, text in blocks("docs/operating.md") if kind == "ini")
    for line in ini.splitlines():
        name, value = re.fullmatch(r'(\w+)="([^"$`\\]+)"', line).groups()  # type: ignore[union-attr]
        assert re.search(rf"^\|.*`{name}`", tables, re.MULTILINE) and value
