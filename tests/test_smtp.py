"""Sending: what a server may do, what then becomes of the mail, and who is sent to again; exactly once."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import ROOT
from standin_smtp import PASSWORD, scripted, smtp

from flows.home import Home, HomeError
from flows.mail import settings
from flows.mail.deliver import Outcome, deliver
from flows.mail.outbox import Draft, Outbox, OutboxError, sending
from flows.mail.settings import Sender, Server, SettingsError
from flows.mail.smtp import ServerFault, Session
from pipeline.schema import Subscription

WEEK = "2026-W25"
BODY = b"Subject: x\r\nMessage-ID: %s\r\n\r\n.a line that begins with a dot\r\n..\r\nend\n"


class Clock:
    """A clock that goes on only where somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = datetime(2026, 6, 15, 7, tzinfo=UTC), 0.0

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += timedelta(seconds=seconds)


def outbox_with(path: Path, *names: str, more: bytes = b"") -> Outbox:
    outbox = Outbox(path)
    for name in names:
        address = f"{name}@example.org"
        reader = Subscription(
            subscription_id=name,
            address=address,
            list="digest",
            profiles=("one",),
            consent_on=date(2026, 5, 1),
            consent_source="a form",
        )
        identity = f"<{WEEK}.digest.{name}@hub.example>"
        body = BODY % identity.encode() + more
        outbox.subscribe([reader])
        outbox.write([Draft(identity, reader, WEEK, date(2026, 6, 15), True, "x", body, ())])
    return outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Callable[..., Outbox]:
    return lambda *names, **more: outbox_with(tmp_path / "mail.sqlite", *names, **more)


SENDER = Sender("digest@hub.example", "Hub", per_second=0, retry_seconds=300, patience_seconds=900)


def send(
    outbox: Outbox, port: int, clock: Clock | None = None, sender: Sender = SENDER, **server: Any
) -> Outcome:
    base: dict[str, Any] = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 1.0}
    clock = clock or Clock()
    return deliver(outbox, Server(**base | server), sender, now=clock, sleep=clock.sleep)


def states(outbox: Outbox) -> dict[str, str]:
    return {mail["subscription_id"]: mail["state"] for mail in outbox.mails()}


def test_a_mail_arrives_as_it_was_written_and_is_sent_once(outbox: Any) -> None:
    box = outbox("ann", "bob")
    with smtp() as (handler, port):
        assert send(box, port).sent == 2
        assert send(box, port).sent == 0
    assert [address for address, _ in handler.accepted] == ["ann@example.org", "bob@example.org"]
    whole = (BODY % b"<2026-W25.digest.ann@hub.example>").replace(b"end\n", b"end\r\n")
    assert handler.accepted[0][1] == whole
    assert box.mails()[0]["answer"] == "250 2.0.0 taken"


def test_a_mail_that_is_put_off_is_tried_again_and_the_others_go_on(outbox: Any) -> None:
    box, clock = outbox("busy1", "zoe"), Clock()
    with smtp() as (handler, port):
        done = send(box, port, clock)
    assert (done.sent, done.put_off) == (2, 1) and clock.slept == 300
    assert [address for address, _ in handler.accepted] == ["zoe@example.org", "busy1@example.org"]


def test_a_mail_that_is_put_off_for_longer_waits_for_the_next_run(outbox: Any) -> None:
    box, clock = outbox("busy9"), Clock()
    with smtp() as (handler, port):
        done = send(box, port, clock)
        assert (done.sent, done.put_off, done.fault) == (0, 3, None) and clock.slept == 900
        assert states(box) == {"busy9": "pending"} and box.next(clock()) is None
        clock.sleep(1200)
        assert box.next(clock()) is not None
    assert not handler.accepted


def test_a_server_that_goes_down_is_asked_again_on_a_new_connection(outbox: Any) -> None:
    box = outbox("once421")
    with smtp() as (handler, port):
        assert send(box, port).sent == 1
    assert len(handler.accepted) == 1


REFUSED = {"r550": True, "r553": True, "d550": True, "d554": False, "d552": False}


@pytest.mark.parametrize(("name", "suppressed"), REFUSED.items())
def test_what_is_refused_for_good_fails_and_an_address_that_is_none_is_written_to_no_more(
    outbox: Any, name: str, suppressed: bool
) -> None:
    box = outbox(name, "zoe")
    with smtp() as (_, port):
        done = send(box, port)
        assert (done.sent, done.refused, done.fault) == (1, 1, None)
        assert send(box, port).refused == 0
    assert states(box) == {name: "failed", "zoe": "sent"}
    assert list(box.suppressed()) == ([f"{name}@example.org"] if suppressed else [])
    assert box.mails("failed")[0]["answer"].startswith(name[1:])


def test_an_address_comes_off_the_suppression_list_by_command_alone(outbox: Any) -> None:
    box = outbox("r550")
    with smtp() as (_, port):
        send(box, port)
    assert box.allow("r550@example.org") and not box.allow("r550@example.org") and not box.suppressed()


def test_a_server_that_refuses_every_mail_as_such_is_not_fed_all_of_them(outbox: Any) -> None:
    box = outbox(*(f"d554{letter}" for letter in "abcdefgh"))
    with smtp() as (_, port):
        done = send(box, port)
    assert done.refused == 5 and "5 mails in a row were refused" in str(done.fault)
    assert box.states()["pending"] == 3 and not box.suppressed()


def test_a_mail_that_was_ended_without_an_answer_is_in_doubt_and_never_sent_blindly_again(
    outbox: Any,
) -> None:
    box = outbox("lost", "zoe")
    identity = "<2026-W25.digest.lost@hub.example>"
    with smtp() as (handler, port):
        done = send(box, port)
        assert (done.sent, done.doubts) == (1, [identity]) and states(box) == {
            "lost": "sending",
            "zoe": "sent",
        }
        again = send(box, port)
        assert (again.sent, again.doubts) == (0, [identity])
        assert [address for address, _ in handler.accepted].count("lost@example.org") == 1
    box.settle(identity, sent=True)
    assert box.states()["sent"] == 2
    with pytest.raises(OutboxError, match="is in doubt"):
        box.settle(identity, sent=False)


def test_a_mail_in_doubt_goes_out_again_where_a_person_says_that_the_server_never_had_it(outbox: Any) -> None:
    box = outbox("hang")
    with smtp() as (handler, port):
        assert send(box, port).doubts
        box.settle("<2026-W25.digest.hang@hub.example>", sent=False)
        handler.accepted.clear()
        assert send(box, port, timeout=10.0).sent == 1
    assert len(handler.accepted) == 1


HELLO = ("220 stand-in", "250 hello")
BEFORE = ("250 sender", "250 recipient", "354 go on")
# script of the first connection, then whether the mail is lost in doubt; every other one is sent by a second
SCRIPTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "drops at the greeting": (("drop",), False),
    "drops after the greeting": (("220 stand-in", "drop"), False),
    "drops at MAIL": ((*HELLO, "drop"), False),
    "drops at RCPT": ((*HELLO, "250 sender", "drop"), False),
    "drops at DATA": ((*HELLO, "250 sender", "250 recipient", "drop"), False),
    "drops while it reads the mail": ((*HELLO, *BEFORE, "drop"), False),
    "hangs at the greeting": (("hang",), False),
    "hangs at MAIL": ((*HELLO, "hang"), False),
    "hangs at DATA": ((*HELLO, "250 sender", "250 recipient", "hang"), False),
    "421 at the greeting": (("421 busy",), False),
    "421 at MAIL": ((*HELLO, "421 busy"), False),
    "450 at MAIL": ((*HELLO, "450 busy", "250 reset", "221 bye"), False),
    "451 at DATA": ((*HELLO, "250 sender", "250 recipient", "451 later", "250 reset", "221 bye"), False),
    "451 after the dot": ((*HELLO, *BEFORE, "451 no room", "250 reset", "221 bye"), False),
    "421 after the dot": ((*HELLO, *BEFORE, "421 going down"), False),
    "speaks nonsense at MAIL": ((*HELLO, "what?"), False),
    "drops after the dot": ((*HELLO, *BEFORE, "hang"), True),
    "speaks nonsense after the dot": ((*HELLO, *BEFORE, "what?"), True),
}
WELL = (*HELLO, *BEFORE, "250 taken", "221 bye")


@pytest.mark.parametrize(("script", "doubt"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_whatever_the_server_does_before_the_dot_the_mail_is_sent_later_once(
    outbox: Any, script: tuple[str, ...], doubt: bool
) -> None:
    large = b"x" * 70 + b"\r\n"  # than all buffers on the way, so that a connection is lost while it is sent
    box = outbox("ann", more=large * 200_000 if script[-2:] == ("354 go on", "drop") else b"")
    with scripted(script, WELL) as (heard, port):
        done = send(box, port, timeout=0.5)
        assert (done.sent, len(done.doubts), done.fault) == ((0, 1, None) if doubt else (1, 0, None))
    ended = bool(script) and "354 go on" in script and script[-1] != "drop"
    assert heard.count(".") == ended + (not doubt), "a mail is ended once where the server may have it"
    assert states(box) == {"ann": "sending" if doubt else "sent"}


FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "refuses the sender": (
        (*HELLO, "550 not you", "250 reset", "221 bye"),
        "refuses to send for digest@hub.example",
    ),
    "refuses everybody": (("554 go away",), "refuses us"),
}


@pytest.mark.parametrize(("script", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_a_server_that_refuses_us_ends_the_run_and_no_reader_is_blamed(
    outbox: Any, script: tuple[str, ...], told: str
) -> None:
    box = outbox("ann", "bob")
    with scripted(script) as (_, port):
        done = send(box, port)
    assert told in str(done.fault) and done.sent == 0
    assert box.states()["pending"] == 2 and not box.suppressed()


def test_no_server_at_all_is_told_and_what_waits_is_kept(outbox: Any) -> None:
    box = outbox("ann")
    done = send(box, 9)
    assert "no connection" in str(done.fault) and "run fundmatch digest send again" in str(done.fault)
    assert box.states()["pending"] == 1 and box.mails()[0]["attempts"] == 0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificates(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    yield str(path)


def context_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_with_a_log_in(
    outbox: Any, authority: Any, certificates: str, security: str
) -> None:
    box = outbox("ann")
    served = smtp(context_for(authority, "127.0.0.1"), implicit=security == "tls", login=True)
    with served as (handler, port):
        done = send(box, port, security=security, certificates=certificates, user="hub", password=PASSWORD)
    assert (done.sent, done.fault) == (1, None) and len(handler.accepted) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["unknown authority", "another name"])
def test_a_certificate_that_does_not_hold_ends_the_run_before_anything_is_said(
    outbox: Any, authority: Any, certificates: str, security: str, fault: str
) -> None:
    box = outbox("ann")
    context = context_for(authority, "other.example" if fault == "another name" else "127.0.0.1")
    more = {} if fault == "unknown authority" else {"certificates": certificates}
    with smtp(context, implicit=security == "tls") as (handler, port):
        done = send(box, port, security=security, user="hub", password=PASSWORD, **more)
    assert "its certificate is not to be trusted" in str(done.fault) and PASSWORD not in str(done.fault)
    assert not handler.accepted and not handler.asked and box.states()["pending"] == 1


def test_a_server_without_starttls_is_not_spoken_to_in_the_clear(outbox: Any) -> None:
    box = outbox("ann")
    with smtp() as (handler, port):
        done = send(box, port, security="starttls", user="hub", password=PASSWORD)
    assert "does not offer STARTTLS" in str(done.fault) and not handler.asked


def test_tls_to_a_port_that_speaks_none_is_told(outbox: Any) -> None:
    box = outbox("ann")
    with smtp() as (_, port):
        assert "FUNDMATCH_SMTP_SECURITY" in str(send(box, port, security="tls").fault)


def test_a_password_that_is_wrong_is_told_and_never_shown(
    outbox: Any, authority: Any, certificates: str
) -> None:
    box = outbox("ann")
    with smtp(context_for(authority, "127.0.0.1"), login=True) as (_, port):
        done = send(
            box, port, security="starttls", certificates=certificates, user="hub", password="s3cret-wrong"
        )
    assert "refuses the log-in" in str(done.fault) and "s3cret" not in str(done.fault)
    assert box.states()["pending"] == 1
    assert "s3cret" not in repr(Server("h", 1, "tls", "hub", "s3cret-wrong"))


def test_mails_are_paced(outbox: Any) -> None:
    box, clock = outbox("a", "b", "c"), Clock()
    with smtp() as (_, port):
        send(box, port, clock, Sender("digest@hub.example", "Hub", 0.5, 300, 900))
    assert clock.slept == 6.0


def test_a_mail_whose_reader_stops_the_list_at_the_last_moment_is_not_sent(outbox: Any) -> None:
    box = outbox("ann", "bob")
    ann = box.subscription("ann")
    assert ann is not None
    begin = box.begin

    def stopping(message_id: str) -> bool:
        if "ann" in message_id:
            box.choose(ann.model_copy(update={"stopped_on": date(2026, 6, 15)}), "stopped")
        return bool(begin(message_id))

    box.begin = stopping
    with smtp() as (handler, port):
        assert send(box, port).sent == 1
    assert [address for address, _ in handler.accepted] == ["bob@example.org"]
    assert states(box) == {"ann": "failed", "bob": "sent"}


def test_two_senders_at_once_are_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with sending(home), pytest.raises(HomeError, match="being sent already"), sending(home):
        pass


SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "no host": ({}, "FUNDMATCH_SMTP_HOST is not set"),
    "another word": ({"SECURITY": "ssl"}, "use starttls or tls"),
    "in the clear to elsewhere": (
        {"SECURITY": "none", "HOST": "mail.example"},
        "only for a server on this machine",
    ),
    "a port that is none": ({"PORT": "smtp"}, "FUNDMATCH_SMTP_PORT 'smtp': give a number"),
    "a user without a password": ({"USER": "hub"}, "FUNDMATCH_SMTP_USER is set without"),
    "an authority that is none": ({"HOST": "h", "CA": "/nowhere"}, "FUNDMATCH_SMTP_CA"),
}


@pytest.mark.parametrize(("given", "told"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_that_are_wrong_say_what_to_set(given: dict[str, str], told: str) -> None:
    environment = {f"FUNDMATCH_SMTP_{name}": value for name, value in given.items()}
    with pytest.raises((SettingsError, ServerFault), match=told):
        server = settings.server(environment)
        Session(server, SENDER).connect()


BLOCK = """
from prefect.blocks.system import Secret
from prefect.testing.utilities import prefect_test_harness
from flows.mail import settings
environment = {"FUNDMATCH_SMTP_HOST": "h", "FUNDMATCH_SMTP_USER": "u"}
with prefect_test_harness(server_startup_timeout=120):
    Secret(value="s3cret-of-the-block").save("smtp-password")
    found = settings.server(environment | {"FUNDMATCH_SMTP_PASSWORD_BLOCK": "smtp-password"})
    print("told:", found.password, "s3cret" in repr(found))
    try:
        settings.server(environment | {"FUNDMATCH_SMTP_PASSWORD_BLOCK": "none"})
    except settings.SettingsError as error:
        print("error:", error)
"""


def test_the_password_may_lie_in_a_prefect_block(tmp_path: Path) -> None:
    environment = os.environ | {"PREFECT_HOME": str(tmp_path), "PREFECT_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", BLOCK], capture_output=True, text=True, env=environment, timeout=200, cwd=ROOT
    )
    assert "told: s3cret-of-the-block False" in done.stdout, done.stderr[-2000:]
    assert "error: FUNDMATCH_SMTP_PASSWORD_BLOCK 'none': cannot be loaded" in done.stdout


def test_the_sender_is_one_line_with_an_address() -> None:
    found = settings.sender({"FUNDMATCH_MAIL_FROM": "Hub <digest@bücher.example>"})
    assert found.address == "digest@xn--bcher-kva.example" and str(found.printed) == f"Hub <{found.address}>"
    for wrong in ("", "nobody", "Hub <a@b>\r\nBcc: c@d.example", "a b <x>"):
        with pytest.raises(SettingsError, match="FUNDMATCH_MAIL_FROM"):
            settings.sender({"FUNDMATCH_MAIL_FROM": wrong})


@pytest.mark.parametrize("url", ["ftp://h.example", "http://h.example", "https://", "https://h.example/?a=b"])
def test_pages_are_https_or_on_this_machine(url: str) -> None:
    assert settings.web({}) is None
    assert settings.web({"FUNDMATCH_WEB_URL": "http://127.0.0.1:1/"}) == settings.Web("http://127.0.0.1:1")
    with pytest.raises(SettingsError, match="FUNDMATCH_WEB_URL"):
        settings.web({"FUNDMATCH_WEB_URL": url})
