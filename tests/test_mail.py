"""The Monday mail as its readers get it: over a real server, read by a parser that is not ours."""

from __future__ import annotations

import csv
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import fast_mail_parser
import icalendar
import pytest
import vobject
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT, SAMPLES, Fundmatch, child
from standin_smtp import Handler, smtp

from flows.home import Home
from flows.mail.doctor import records_of
from flows.mail.outbox import Outbox, OutboxError, open_outbox
from flows.mail.send import Post, write_drafts
from flows.mail.settings import Sender, Web
from pipeline.schema import Subscription, Told
from warehouse.records import open_records

WEEK, DAY = "2026-W25", "2026-06-15"
WEB = "https://calls.hub.example"
READERS = [
    {"address": "ann@example.org", "profile": "voorbeeld-kunststofrecycling"},
    {"address": "bob@example.org", "profile": "voorbeeld-energieopslag", "when_nothing": "short"},
    {"address": "cas@example.org", "profile": "voorbeeld-energieopslag", "cadence": "deadlines"},
    {
        "address": "advies@example.org",
        "list": "adviser",
        "profiles": "voorbeeld-kunststofrecycling|voorbeeld-energieopslag",
    },
]
CONSENT = {"consent_on": "2026-05-01", "consent_source": "form on the hub’s site"}


@pytest.fixture
def fundmatch(fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch) -> Fundmatch:
    """The command line with the settings of mail."""
    for name, value in {
        "FUNDMATCH_MAIL_FROM": "Smart Industry Hub <digest@hub.example>",
        "FUNDMATCH_WEB_URL": WEB,
        "FUNDMATCH_SMTP_HOST": "127.0.0.1",
        "FUNDMATCH_SMTP_SECURITY": "none",
        "FUNDMATCH_MAIL_PER_SECOND": "0",
        "FUNDMATCH_MAIL_RETRY_SECONDS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    return fundmatch


@pytest.fixture
def home(demo: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo[0], tmp_path / "home", ignore=shutil.ignore_patterns("prefect")))


@pytest.fixture
def readers(home: Path, fundmatch: Fundmatch, tmp_path: Path) -> Path:
    """A home whose four readers are imported."""
    path = tmp_path / "readers.csv"
    fields = ["address", "list", "profile", "profiles", "cadence", "when_nothing", *CONSENT]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fields)
        writer.writeheader()
        writer.writerows(reader | CONSENT for reader in READERS)
    status, told, _ = fundmatch("--home", home, "readers", "import", path)
    assert status == 0 and told == "4 readers added, 0 renewed\n"
    return home


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    with smtp() as (handler, port):
        monkeypatch.setenv("FUNDMATCH_SMTP_PORT", str(port))
        yield handler


def send(fundmatch: Fundmatch, home: Path, *more: Any, day: str = DAY) -> tuple[int, dict[str, Any]]:
    status, told, complaint = fundmatch("--home", home, "digest", "send", "--as-of", day, "--json", *more)
    assert told, complaint
    return status, json.loads(told)


def by_reader(handler: Handler) -> dict[str, Any]:
    return {address: fast_mail_parser.parse_email(content) for address, content in handler.accepted}


def test_everybody_gets_one_mail_and_running_again_sends_nothing(
    readers: Path, fundmatch: Fundmatch, server: Handler
) -> None:
    status, told = send(fundmatch, readers)
    assert status == 0 and (told["written"], told["sent"], told["pending"], told["in_doubt"]) == (3, 3, 0, [])
    assert sorted(by_reader(server)) == ["advies@example.org", "ann@example.org", "bob@example.org"]
    status, told = send(fundmatch, readers)
    assert status == 0 and (told["written"], told["sent"]) == (0, 0) and len(server.accepted) == 3


def test_the_headers_are_those_of_a_list_by_a_parser_that_is_not_ours(
    readers: Path, fundmatch: Fundmatch, server: Handler
) -> None:
    send(fundmatch, readers)
    for address, mail in by_reader(server).items():
        headers = {name.lower(): values for name, values in mail.headers.items()}
        assert all(len(values) == 1 for values in headers.values()), "no header twice"
        one = {name: values[0] for name, values in headers.items()}
        assert one["from"] == "Smart Industry Hub <digest@hub.example>" and one["to"] == address
        kind = "adviser" if address.startswith("advies") else "digest"
        assert re.fullmatch(rf"<{WEEK}\.{kind}\.[0-9a-f]{{20}}@hub\.example>", one["message-id"])
        assert one["list-id"].endswith(f"<{kind}.hub.example>")
        web, by_mail = re.fullmatch(
            r"<(https://[^<>\s]+)>, <(mailto:[^<>\s]+)>", one["list-unsubscribe"]
        ).groups()  # type: ignore[union-attr]
        assert web.startswith(f"{WEB}/stop/") and by_mail.startswith(
            "mailto:digest@hub.example?subject=stop%20"
        )
        assert one["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        assert one["auto-submitted"] == "auto-generated" and one["mime-version"] == "1.0"
        assert mail.date == "Mon, 15 Jun 2026 07:00:00 +0200" and not mail.warnings
        assert len(mail.text_plain) == len(mail.text_html) == 1
    for _, content in server.accepted:
        lines = content.split(b"\r\n")
        assert b"\n" not in content.replace(b"\r\n", b"") and max(map(len, lines)) < 998
        assert all(
            len(line) <= 78 for line in lines if not line.startswith(b" <mailto") and b"https" not in line
        )


def test_html_text_and_calendar_hold_what_they_must(
    readers: Path, fundmatch: Fundmatch, server: Handler
) -> None:
    send(fundmatch, readers)
    for mail in by_reader(server).values():
        (html,), (text,), (attached,) = mail.text_html, mail.text_plain, mail.attachments
        soup = BeautifulSoup(html, "lxml")
        assert len(html.encode()) < 100_000
        assert not soup.find_all(["img", "script", "link", "iframe", "object", "form", "video", "base"])
        assert not re.search(r"@import|url\(|\bsrc=|expression\(", html)
        leads = [a["href"] for a in soup.find_all("a")]
        assert leads and all(re.match(r"https?://[^\s]+$", lead) for lead in leads)
        ours = {lead.partition("?")[0] for lead in leads if lead.startswith(WEB)}
        assert ours >= set(re.findall(rf"{WEB}\S+", text))
        for heading in soup.find_all("h3"):
            assert re.sub(r"^\d+\. ", "", heading.get_text(" ", strip=True)) in text
        for cell in soup.select("table.facts td"):
            first = cell.find(string=True, recursive=False)
            assert first is None or not first.strip() or " ".join(first.split()) in text
        assert attached.filename.endswith(".ics") and attached.mimetype == "text/calendar"
        events = list(vobject.readOne(attached.content.decode()).vevent_list)
        assert events and all(event.uid.value.endswith("@fundmatch") for event in events)
        assert len(icalendar.Calendar.from_ical(attached.content).walk("VEVENT")) == len(events)


def test_the_same_week_gives_the_same_bytes(readers: Path, fundmatch: Fundmatch, tmp_path: Path) -> None:
    def files(name: str) -> dict[str, bytes]:
        status, told, _ = fundmatch(
            "--home", readers, "digest", "send", "--as-of", DAY, "--to", tmp_path / name
        )
        assert status == 0 and told.startswith("3 mails in")
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}

    assert files("a") == files("b") and len(files("a")) == 3
    with open_outbox(Home(readers)) as outbox:
        assert not outbox.mails(), "files are written beside the outbox"


def told_of_ann(home: Path) -> list[Told]:
    with open_outbox(Home(home)) as outbox:
        (ann,) = outbox.subscriptions("ann@example.org")
        return outbox.told(ann.subscription_id)


def next_week(home: Path, fundmatch: Fundmatch) -> str:
    """The run of a week later, of the same pages; its day."""
    day = str(date.fromisoformat(DAY) + timedelta(days=7))
    status, _, complaint = fundmatch(
        "--home", home, "run", "--plain", "--replay", SAMPLES, "--as-of", day, "--json"
    )
    assert status in (0, 1), complaint
    return day


def test_the_next_week_tells_only_what_is_new_then(
    readers: Path, fundmatch: Fundmatch, server: Handler
) -> None:
    send(fundmatch, readers)
    first = by_reader(server)
    before = {told.call_id for told in told_of_ann(readers)}
    day = next_week(readers, fundmatch)
    server.accepted.clear()
    status, _ = send(fundmatch, readers, day=day)
    assert status == 0
    second = by_reader(server)
    titles = [
        set(re.findall(r"^\d+\. (.+)$", mails["ann@example.org"].text_plain[0], re.MULTILINE))
        for mails in (first, second)
        if "ann@example.org" in mails
    ]
    assert len(titles[0]) == 5 and (len(titles) == 1 or not titles[0] & titles[1])
    assert len({told.call_id for told in told_of_ann(readers)}) >= len(before)
    assert "bob@example.org" in second, "bob chose a short mail where there is nothing"


def test_a_mark_of_a_reader_brings_its_deadline_and_reaches_the_adviser(
    readers: Path, fundmatch: Fundmatch, server: Handler
) -> None:
    call = "HORIZON-CL6-2026-01-CIRCBIO-01"
    status, _, _ = fundmatch(
        "--home", readers, "feedback", "voorbeeld-kunststofrecycling", call, "--relevant", "--why", "Past!"
    )
    assert status == 0
    send(fundmatch, readers)
    adviser = by_reader(server)["advies@example.org"].text_plain[0]
    assert "VRAAGT OM UW BLIK" in adviser and "als passend: “Past!”." in adviser
    assert "door u als passend aangemerkt" in by_reader(server)["ann@example.org"].text_plain[0]


def test_a_week_that_is_over_is_not_sent_late_and_its_news_is_told_anew(
    readers: Path, fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNDMATCH_SMTP_PORT", "9")
    status, told = send(fundmatch, readers)
    assert status == 1 and told["pending"] == 3 and "no connection" in told["fault"]
    first = {told.call_id for told in told_of_ann(readers)}
    day = next_week(readers, fundmatch)
    with smtp() as (handler, port):
        monkeypatch.setenv("FUNDMATCH_SMTP_PORT", str(port))
        status, told = send(fundmatch, readers, day=day)
    assert status == 0 and told["sent"] == 3
    assert first <= {told.call_id for told in told_of_ann(readers)}
    assert "22 juni 2026: 5 nieuwe calls" in by_reader(handler)["ann@example.org"].text_plain[0]


def test_who_stopped_or_is_refused_gets_no_mail(readers: Path, fundmatch: Fundmatch, server: Handler) -> None:
    with open_outbox(Home(readers)) as outbox:
        (ann,) = outbox.subscriptions("ann@example.org")
        outbox.choose(ann.model_copy(update={"stopped_on": date(2026, 6, 1)}), "stopped")
        outbox.suppress("bob@example.org", "550 no such mailbox")
    status, told = send(fundmatch, readers)
    assert status == 0 and told["sent"] == 1
    adviser = by_reader(server)["advies@example.org"].text_plain[0]
    assert "Geen mail bereikt Voorbeeld: Buurtbatterij Meppel nog" in adviser


FRYSK = (
    "Ynnovaasjesintrum Fryslân “Ús Gielguorde” – ûndersyk: 'tûk' & <b>goed</b> 🚜 \u202eevil\u202c مرحبا"
    "\r\nBcc: x@y.example"
)


def test_hostile_names_and_titles_stay_text_everywhere(
    home: Path, fundmatch: Fundmatch, server: Handler, tmp_path: Path
) -> None:
    path = tmp_path / "p.yml"
    profile = {
        "id": "frysk",
        "name": FRYSK,
        "kind": "sme",
        "language": "nl",
        "label": "confirmed",
        "description": "Wij recyclen kunststof <script>alert(1)</script> uit verpakkingen.",
        "website": "javascript:alert(1)",
    }
    path.write_text(yaml.safe_dump([profile]))
    assert fundmatch("--home", home, "profiles", "import", path)[0] == 0
    fundmatch("--home", home, "run", "--plain", "--replay", SAMPLES, "--json")
    readers = tmp_path / "r.yml"
    source = "a form\r\nBcc: evil@example.org <script>x</script>"
    readers.write_text(
        yaml.safe_dump(
            [
                {
                    "address": "ann@example.org",
                    "profile": "frysk",
                    "consent_on": date(2026, 5, 1),
                    "consent_source": source,
                }
            ]
        )
    )
    assert fundmatch("--home", home, "readers", "import", readers)[0] == 0
    status, _ = send(fundmatch, home)
    assert status == 0
    ((_, content),) = server.accepted
    mail = fast_mail_parser.parse_email(content)
    assert "Ynnovaasjesintrum Fryslân “Ús Gielguorde”" in mail.subject and "🚜" in mail.subject
    assert "مرحبا" in mail.subject and "\u202e" not in mail.subject + mail.text_plain[0] + mail.text_html[0]
    assert not {name.lower() for name in mail.headers} & {"bcc", "cc", "evil"}
    soup = BeautifulSoup(mail.text_html[0], "lxml")
    assert not soup.find_all("script") and "<b>goed</b>" in soup.get_text()
    assert not [line for line in mail.text_plain[0].splitlines() if line.lower().startswith("bcc:")]
    assert "javascript:" not in mail.text_html[0] + mail.text_plain[0]


HEAD, ONE = "address,profile,consent_on,consent_source", "voorbeeld-kunststofrecycling,2026-05-01,x"
BAD_READERS: dict[str, tuple[str, str]] = {
    "no consent": ("address,profile\nann@example.org,voorbeeld-kunststofrecycling\n", "without a consent"),
    "no address": (f"{HEAD}\nann,{ONE}\n", "no mail address"),
    "two addresses": (f'{HEAD}\n"a@b.example,c@d.example",{ONE}\n', "no mail address"),
    "a header": (f'{HEAD}\n"a@b.example\nBcc: c@d.example",{ONE}\n', "no mail address"),
    "a name that needs SMTPUTF8": (f"{HEAD}\nännchen@b.example,{ONE}\n", "no mail address"),
    "no such profile": (f"{HEAD}\na@b.example,nobody,2026-05-01,x\n", "there is no profile nobody"),
    "no profile": (f"{HEAD}\na@b.example,,2026-05-01,x\n", "a digest is of one profile"),
    "another field": (f"{HEAD},phone\na@b.example,{ONE},1\n", "'phone' is no field"),
    "a day that is none": (f"{HEAD}\na@b.example,{ONE.replace('2026-05-01', 'soon')}\n", "consent_on"),
    "a zone that is none": (f"{HEAD},zone\na@b.example,{ONE},Mars\n", "is no time zone"),
    "a list that is none": (f"{HEAD},list\na@b.example,{ONE},news\n", "list: "),
    "twice": (f"{HEAD}\na@b.example,{ONE}\nA@B.example,{ONE}\n", "has this list already"),
    "cells too many": (f"{HEAD}\na@b.example,{ONE},more\n", "is no field"),
}


@pytest.mark.parametrize(("text", "told"), BAD_READERS.values(), ids=BAD_READERS.keys())
def test_a_bad_entry_is_told_and_nobody_is_imported(
    home: Path, fundmatch: Fundmatch, tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "readers.csv"
    path.write_text(text)
    status, _, complaint = fundmatch("--home", home, "readers", "import", path)
    assert status == 2 and told in complaint and "Traceback" not in complaint
    assert json.loads(fundmatch("--home", home, "readers", "list", "--json")[1]) == []


def test_sending_says_what_is_missing(
    home: Path, fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_it = ("--home", home, "digest", "send", "--as-of", DAY)
    assert "nobody agreed to get mail yet" in fundmatch(*send_it)[2]
    assert "today is" in fundmatch("--home", home, "digest", "send")[2]
    assert "--week 2026-W01: the last run was for 2026-W25" in fundmatch(*send_it, "--week", "2026-W01")[2]
    monkeypatch.delenv("FUNDMATCH_WEB_URL")
    assert "a mail must have a link that stops it" in fundmatch(*send_it)[2]
    monkeypatch.delenv("FUNDMATCH_MAIL_FROM")
    assert "FUNDMATCH_MAIL_FROM is not set" in fundmatch(*send_it)[2]


def test_one_persons_data_can_be_had_and_erased(
    readers: Path, fundmatch: Fundmatch, server: Handler, tmp_path: Path
) -> None:
    send(fundmatch, readers)
    about = json.loads(fundmatch("--home", readers, "readers", "export", "ann@example.org")[1])
    assert about["subscriptions"][0]["consent_source"] == CONSENT["consent_source"]
    assert [mail["state"] for mail in about["mails"]] == ["sent"] and len(about["told"]) >= 5
    status, told, _ = fundmatch("--home", readers, "readers", "erase", "Ann@Example.org", "--as-of", DAY)
    assert status == 0 and told == "Ann@Example.org: erased, 1 subscriptions\n"
    kept = b"".join(path.read_bytes() for path in readers.glob("mail.sqlite*"))
    assert b"ann@example.org" not in kept and b"bob@example.org" in kept
    old = tmp_path / "readers.csv"
    assert "1 left as they are" in fundmatch("--home", readers, "readers", "import", old)[1]
    new = tmp_path / "later.csv"
    new.write_text(old.read_text().replace("2026-05-01", "2026-06-20"))
    assert fundmatch("--home", readers, "readers", "import", new)[1].startswith("1 readers added, 3 renewed")


def test_a_mail_in_doubt_is_shown_and_settled_by_command(
    home: Path, fundmatch: Fundmatch, server: Handler, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    path.write_text(
        json.dumps([{"address": "lost@example.org", "profile": "voorbeeld-energieopslag", **CONSENT}])
    )
    fundmatch("--home", home, "readers", "import", path)
    status, told, _ = fundmatch("--home", home, "digest", "send", "--as-of", DAY)
    (identity,) = re.findall(r"in doubt: (<\S+>) may have been taken", told)
    assert status == 1 and "look for it in its log" in told
    assert f"settle '{identity}' --sent" in fundmatch("--home", home, "digest", "outbox")[1]
    assert fundmatch("--home", home, "digest", "settle", identity)[0] == 2
    assert fundmatch("--home", home, "digest", "settle", identity, "--sent")[0] == 0
    (mail,) = json.loads(fundmatch("--home", home, "digest", "outbox", "--state", "sent", "--json")[1])
    assert mail["message_id"] == identity


def test_the_example_of_the_readme_gives_three_mails(
    home: Path, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    example = ROOT / "docs" / "example-readers.csv"
    assert fundmatch("--home", home, "readers", "import", example)[1] == "3 readers added, 0 renewed\n"
    status, told, _ = fundmatch("--home", home, "digest", "send", "--to", tmp_path / "mails", "--as-of", DAY)
    assert status == 0 and told.startswith("3 mails in") and len(list((tmp_path / "mails").iterdir())) == 3


def test_the_hub_stops_a_list_for_who_asks_and_tells_of_a_profile_that_is_gone(
    readers: Path, fundmatch: Fundmatch, server: Handler
) -> None:
    with open_outbox(Home(readers)) as outbox:
        (bob,) = outbox.subscriptions("bob@example.org")
        (ann,) = outbox.subscriptions("ann@example.org")
        outbox.subscribe([ann.model_copy(update={"profiles": ("renamed",)})])
    assert "1 lists stopped" in fundmatch("--home", readers, "readers", "stop", "cas@example.org")[1]
    assert "1 lists stopped" in fundmatch("--home", readers, "readers", "stop", bob.subscription_id)[1]
    assert "no reader has this address" in fundmatch("--home", readers, "readers", "stop", "x@y.example")[2]
    status, told = send(fundmatch, readers)
    assert status == 1 and sorted(by_reader(server)) == ["advies@example.org"]
    assert told["no_profile"] == [{"address": "ann@example.org", "profile": "renamed"}]


def test_an_outbox_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(OutboxError, match="put back its backup"):
        Outbox(path)


def reader(outbox: Outbox, **more: Any) -> Subscription:
    base: dict[str, Any] = {"address": "a@b.example", "list": "digest", "profiles": ("one",)} | CONSENT | more
    return Subscription(subscription_id=outbox.subscription_id(base["address"], "digest", "one"), **base)


def test_a_file_of_readers_brings_nobody_back_who_stopped_but_by_a_later_consent(tmp_path: Path) -> None:
    with Outbox(tmp_path / "mail.sqlite") as outbox:
        assert outbox.subscribe([reader(outbox)]) == (1, 0, 0)
        outbox.choose(reader(outbox, stopped_on=date(2026, 6, 1)), "stopped")
        assert outbox.subscribe([reader(outbox)]) == (0, 0, 1)
        assert outbox.subscribe([reader(outbox, consent_on=date(2026, 6, 2))]) == (0, 1, 0)
        (found,) = outbox.subscriptions()
        assert found.stopped_on is None
    assert (tmp_path / "mail.sqlite").stat().st_mode & 0o077 == 0


def test_a_choice_made_on_a_page_outlives_the_next_import(tmp_path: Path) -> None:
    with Outbox(tmp_path / "mail.sqlite") as outbox:
        outbox.subscribe([reader(outbox)])
        outbox.choose(reader(outbox, cadence="monthly"), "mails monthly")
        outbox.subscribe([reader(outbox)])
        assert outbox.subscriptions()[0].cadence == "monthly"


def test_the_doctor_tells_what_is_wrong_and_what_to_do(
    readers: Path, fundmatch: Fundmatch, server: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNDMATCH_DNS", "127.0.0.1:9")
    monkeypatch.setattr("flows.mail.doctor.DNS_SECONDS", 0.2)
    status, told, _ = fundmatch("--home", readers, "doctor", "--json")
    found = {each["what"]: each for each in json.loads(told)}
    assert status == 0 and found["connection"]["state"] == "ok" and "4 readers" in found["outbox"]["told"]
    assert found["pages"]["state"] == "ok" and found["DNS"]["state"] == "note"
    monkeypatch.setenv("FUNDMATCH_SMTP_PORT", "9")
    monkeypatch.delenv("FUNDMATCH_WEB_URL")
    Home(readers).mail.chmod(0o644)
    status, told, _ = fundmatch("--home", readers, "doctor")
    assert (
        status == 1
        and "no connection" in told
        and "FUNDMATCH_WEB_URL is not set" in told
        and "chmod 600" in told
    )


def test_a_reader_who_wants_less_gets_new_calls_by_the_month_or_not_at_all(readers: Path) -> None:
    home = Home(readers)
    days = [date(2026, 6, 15), date(2026, 6, 22), date(2026, 6, 29), date(2026, 7, 6)]
    sender = Sender("digest@hub.example", "Hub", 0, 0, 0)
    with open_outbox(home) as outbox, open_records(home.warehouse) as warehouse:
        (ann,) = outbox.subscriptions("ann@example.org")
        outbox.choose(ann.model_copy(update={"cadence": "monthly", "when_nothing": "short"}), "mails monthly")
        subjects: dict[str, dict[str, str]] = {}
        for day in days:
            write_drafts(Post(home, warehouse, outbox, sender, Web(WEB), day))
            for mail in outbox.mails("pending"):
                outbox.mark(mail["message_id"], "sent")
        for mail in outbox.mails():
            subjects.setdefault(mail["address"], {})[mail["week"]] = mail["subject"]
    assert list(subjects["ann@example.org"]) == ["2026-W25", "2026-W28"]
    assert "nieuwe calls" in subjects["ann@example.org"]["2026-W28"]
    assert list(subjects["bob@example.org"]) == ["2026-W25", "2026-W26", "2026-W27", "2026-W28"]
    assert "cas@example.org" not in subjects, "who wants deadlines alone was told of no call yet"


RECORDS = {
    "hub.example.": ["v=spf1 include:_spf.mail.example -all", "another text"],
    "_dmarc.hub.example.": ["v=DMARC1; p=reject; rua=mailto:dmarc@hub.example"],
    "s1._domainkey.hub.example.": ["v=DKIM1; k=rsa; p=MIIB"],
}
NO_RECORDS: dict[str, tuple[dict[str, list[str]], str, str]] = {
    "none": ({}, "SPF", "no TXT record v=spf1"),
    "two": ({"hub.example.": ["v=spf1 -all", "v=spf1 ~all"]}, "SPF", "none counts: keep one"),
    "anybody": ({"hub.example.": ["v=spf1 +all"]}, "SPF", "lets anybody send for you"),
    "no policy": ({"_dmarc.hub.example.": ["hello"]}, "DMARC", "no single TXT record"),
    "no key": ({}, "DKIM", "no key at s1._domainkey.hub.example"),
    "a key that is withdrawn": ({"s1._domainkey.hub.example.": ["v=DKIM1; p="]}, "DKIM", "is withdrawn"),
}


@contextmanager
def name_server(records: dict[str, list[str]]) -> Iterator[str]:
    """A DNS server on loopback that knows a few TXT records; its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)

        def serve() -> None:
            while True:
                try:
                    asked, whom = listening.recvfrom(4096)
                except OSError:
                    return
                answer = dns.message.make_response(dns.message.from_wire(asked))
                (question,) = answer.question
                texts = [f'"{text}"' for text in records.get(str(question.name), [])]
                if texts:
                    answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *texts))
                else:
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                listening.sendto(answer.to_wire(), whom)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_the_doctor_reads_the_records_of_the_senders_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDMATCH_DKIM_SELECTOR", "s1")
    with name_server(RECORDS) as at:
        monkeypatch.setenv("FUNDMATCH_DNS", at)
        found = list(records_of("hub.example"))
    assert [(each.what, each.state) for each in found] == [("SPF", "ok"), ("DMARC", "ok"), ("DKIM", "ok")]


@pytest.mark.parametrize(("records", "what", "told"), NO_RECORDS.values(), ids=NO_RECORDS.keys())
def test_records_that_do_not_hold_are_told(
    monkeypatch: pytest.MonkeyPatch, records: dict[str, list[str]], what: str, told: str
) -> None:
    monkeypatch.setenv("FUNDMATCH_DKIM_SELECTOR", "s1")
    with name_server(records) as at:
        monkeypatch.setenv("FUNDMATCH_DNS", at)
        (found,) = [each for each in records_of("hub.example") if each.what == what]
    assert found.state == "wrong" and told in found.told


def test_help_starts_without_mail_libraries() -> None:
    done = child("digest", "--help")
    assert done.returncode == 0 and "send" in done.stdout and "outbox" in done.stdout
