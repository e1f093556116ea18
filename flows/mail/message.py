"""A composed mail as a message (RFC 5322): text, HTML and a calendar, with the headers bulk mail needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from flows.mail.settings import Sender
from pipeline.digest import Links, Mail
from pipeline.schema import SourceHealth, Subscription
from pipeline.wording import line, wording

_ADDRESSES = ("list-unsubscribe", "list-id", "message-id")


class _Policy(EmailPolicy):
    """Folds headers that hold addresses between these alone: one that is cut or encoded leads nowhere."""

    def fold(self, name: str, value: str) -> str:
        if name.lower() in _ADDRESSES:
            return f"{name}: {value.replace(', ', f',{self.linesep} ')}{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() in _ADDRESSES:
            return self.fold(name, value).encode("ascii")
        return bytes(super().fold_binary(name, value))


_POLICY = _Policy(linesep="\r\n", max_line_length=76)


def message_id(subscription_id: str, mailing_list: str, week: str, domain: str) -> str:
    """The id of a mail: the same for the same reader, list and week, whenever it is made."""
    return f"<{week}.{mailing_list}.{subscription_id}@{domain}>"


def message(
    mail: Mail,
    subscription: Subscription,
    sender: Sender,
    links: Links,
    identity: str,
    at: datetime,
    calendar: bytes | None = None,
) -> bytes:
    """The message as it goes over the wire, the same for the same input. `at` is its date.

    One click of the mail program ends the list where there is a web server (RFC 8058), a mail to the sender
    everywhere (RFC 2369).
    """
    made = EmailMessage(policy=_POLICY)
    made["From"] = sender.printed
    made["To"] = subscription.address
    made["Subject"] = line(mail.subject)
    made["Date"] = format_datetime(at)
    made["Message-ID"] = identity
    name = {"digest": "Funding digest", "adviser": "Funding for advisers"}[subscription.list]
    made["List-Id"] = f"{name} <{subscription.list}.{sender.domain}>"
    by_mail = f"<mailto:{sender.address}?subject=stop%20{subscription.subscription_id}>"
    made["List-Unsubscribe"] = f"<{links.stop}>, {by_mail}" if links.stop else by_mail
    if links.stop:
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text, cte="quoted-printable")
    made.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    if calendar is not None:
        made.add_attachment(
            calendar,
            maintype="text",
            subtype="calendar",
            filename=wording(subscription.language)["calendar"]["file"],
            params={"method": "PUBLISH", "charset": "utf-8"},
        )
    for number, part in enumerate(part for part in made.walk() if part.is_multipart()):
        told = hashlib.sha256(f"{identity}/{number}".encode()).hexdigest()[:24]
        part.set_boundary(f"=_{told}")
    return made.as_bytes()


def notice(
    sick: Sequence[SourceHealth], subscription: Subscription, sender: Sender, identity: str, at: datetime
) -> tuple[str, bytes]:
    """The subject and the message that tell the operator which sources are broken, and what is shown."""
    names = ", ".join(source.source for source in sick)
    subject = line(
        f"fundmatch: {len(sick)} {'source' if len(sick) == 1 else 'sources'} not read well: {names}"
    )
    told = [
        f"{source.source} is {source.state}: {line(source.detail or 'no reason is known')}\n"
        f"  shown are {source.records} records, last read well "
        + (f"on {source.last_good_at.date()}" if source.last_good_at else "never")
        for source in sick
    ]
    text = [
        "Readers see the last good records of these sources, with their age.",
        *told,
        "What to do: look at the page in a browser, then: fundmatch crawl SOURCE --live",
        "All sources: fundmatch sources. You get this once a week for the same sources.",
    ]
    made = EmailMessage(policy=_POLICY)
    made["From"] = sender.printed
    made["To"] = subscription.address
    made["Subject"] = subject
    made["Date"] = format_datetime(at)
    made["Message-ID"] = identity
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n\n".join(text) + "\n", cte="quoted-printable")
    return subject, made.as_bytes()
