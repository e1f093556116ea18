"""Whether mail will arrive: settings, the server, the pages, and the domain's SPF, DKIM and DMARC records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.resolver

from flows.home import Home
from flows.mail import settings
from flows.mail.outbox import OutboxError, open_outbox
from flows.mail.smtp import DeliveryError, Session
from pipeline.wording import line

DNS_SECONDS = 3.0  # for one question


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `told` says what was found, and what to do where it is not ok."""

    what: str
    state: Literal["ok", "note", "wrong"]
    told: str


def examine(home: Home, *, online: bool) -> list[Finding]:
    """All findings, settings first. `online`: the mail server and the DNS are asked too; nothing is sent."""
    found = [*_home(home), *_web()]
    try:
        sender = settings.sender()
        found.append(Finding("sender", "ok", f"{sender.name} <{sender.address}>"))
    except settings.SettingsError as error:
        return [*found, Finding("sender", "wrong", str(error))]
    try:
        server = settings.server()
        told = f"{server.host}:{server.port}, {server.security}, {'log-in' if server.user else 'no log-in'}"
        found.append(Finding("mail server", "ok", told))
    except settings.SettingsError as error:
        return [*found, *(Finding("mail server", "wrong", each) for each in str(error).splitlines())]
    return [*found, *_connection(server, sender), *records_of(sender.domain)] if online else found


def _home(home: Home) -> Iterator[Finding]:
    try:
        with open_outbox(home) as outbox:
            readers, states = outbox.subscriptions(), outbox.states()
            suppressed = outbox.suppressed()
    except OutboxError as error:
        yield Finding("outbox", "wrong", str(error))
        return
    active = [reader for reader in readers if reader.stopped_on is None and reader.list != "operator"]
    told = f"{len(active)} readers, {states['sent']} mails sent, {states['pending']} waiting"
    yield Finding("outbox", "ok", told)
    if states["sending"]:
        yield Finding("outbox", "wrong", f"{states['sending']} mails in doubt; see: fundmatch digest outbox")
    if suppressed:
        yield Finding("outbox", "note", f"{len(suppressed)} addresses are refused by their servers")
    mode = home.mail.stat().st_mode & 0o077
    if mode:
        yield Finding("outbox", "wrong", f"{home.mail} can be read by others; run: chmod 600 {home.mail}")


def _web() -> Iterator[Finding]:
    try:
        web = settings.web()
    except settings.SettingsError as error:
        yield Finding("pages", "wrong", str(error))
        return
    if web is None:
        yield Finding(
            "pages", "wrong", "FUNDMATCH_WEB_URL is not set: no mail can be sent without a link to stop it"
        )
    elif web.url.startswith("http://"):
        yield Finding("pages", "note", f"{web.url} is for trying out: mail programs want https for one click")
    else:
        yield Finding("pages", "ok", web.url)


def _connection(server: settings.Server, sender: settings.Sender) -> Iterator[Finding]:
    session = Session(server, sender)
    try:
        session.connect()
        yield Finding("connection", "ok", "the server answers, its certificate holds, the log-in works")
    except (DeliveryError, settings.SettingsError) as error:
        yield Finding("connection", "wrong", str(error))
    finally:
        session.close()


def records_of(domain: str) -> Iterator[Finding]:
    """What the DNS says of the sender's domain; docs/mail.md tells what each record is for."""
    texts = _texts(domain)
    spf = [text for text in texts or [] if text.lower().startswith("v=spf1")]
    if texts is None:
        yield Finding(
            "DNS", "note", f"{domain} cannot be looked up from here; SPF, DKIM and DMARC are not checked"
        )
        return
    if len(spf) == 1:
        loose = "+all" in spf[0].split()
        told = "lets anybody send for you: end it with -all or ~all" if loose else spf[0]
        yield Finding("SPF", "wrong" if loose else "ok", told)
    else:
        told = "several records, so none counts: keep one" if spf else f"no TXT record v=spf1 at {domain}"
        yield Finding("SPF", "wrong", told)
    policy = [text for text in _texts(f"_dmarc.{domain}") or [] if text.lower().startswith("v=dmarc1")]
    if len(policy) == 1:
        yield Finding("DMARC", "note" if "p=none" in policy[0].replace(" ", "") else "ok", policy[0])
    else:
        yield Finding("DMARC", "wrong", f"no single TXT record v=DMARC1 at _dmarc.{domain}")
    selector = os.environ.get("FUNDMATCH_DKIM_SELECTOR", "").strip()
    if not selector:
        told = "FUNDMATCH_DKIM_SELECTOR is not set, so the key that your server signs with is not looked up"
        yield Finding("DKIM", "note", told)
        return
    name = f"{selector}._domainkey.{domain}"
    keys = [text for text in _texts(name) or [] if "p=" in text.replace(" ", "")]
    empty = any("p=;" in f"{text.replace(' ', '')};" for text in keys)
    told = (
        f"no key at {name}"
        if not keys
        else f"the key at {name} is withdrawn"
        if empty
        else f"a key at {name}"
    )
    yield Finding("DKIM", "ok" if keys and not empty else "wrong", told)


def _texts(name: str) -> list[str] | None:
    """The TXT records of a name; None where the DNS does not answer."""
    at = os.environ.get("FUNDMATCH_DNS", "")
    try:
        resolver = dns.resolver.Resolver(configure=not at)
        if at:
            host, _, port = at.rpartition(":")
            resolver.nameservers, resolver.port = [host], int(port)
        resolver.lifetime = DNS_SECONDS
        found = resolver.resolve(name, "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError, ValueError):
        return None
    return [line(b"".join(record.strings).decode("utf-8", "replace")) for record in found]
