"""The Monday mail, and what cannot wait for it: who gets one, and what is in it, written to the outbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from flows.digest import week_of
from flows.feedback import read as read_feedback
from flows.home import Home
from flows.mail import settings
from flows.mail.deliver import Outcome, deliver
from flows.mail.links import Signer
from flows.mail.message import message, message_id, notice
from flows.mail.outbox import Draft, Outbox, State, open_outbox, sending
from flows.mail.settings import Sender, Server, Web
from flows.partners.organisations import proposable
from flows.reporter import Reporter, Silent
from pipeline.digest import Attention, Edition, Mail, compose, compose_for_adviser, helpers_of, within
from pipeline.feedback import marks, placed
from pipeline.news import News, Week, news
from pipeline.schema import Feedback, Match, Profile, Subscription, Told
from pipeline.wording import READERS_ZONE, wording
from warehouse.calendar import write as write_calendar
from warehouse.export import deadline_states
from warehouse.records import Records, open_records

PROFILES_AT_ONCE = 500  # whose matches are kept in memory
AT_ONCE = 100  # mails written to the outbox in one transaction
KEPT_DAYS = 400  # for which the text of a mail can be looked at
MAIL_HOUR = clock_time(7)  # of the day of the news, in the readers' zone: the date of a mail


@dataclass
class Post:
    """All that the mails of one week are made from. `as_of` is the day that they are read."""

    home: Home
    warehouse: Records
    outbox: Outbox
    sender: Sender
    web: Web | None
    as_of: date
    daily: bool = False  # only what cannot wait for the week's mail
    _matches: dict[str, list[Match]] = field(default_factory=dict)

    @cached_property
    def week(self) -> str:
        return week_of(self.as_of)

    @property
    def period(self) -> str:
        """What a reader gets one mail for: the week, or a day of it."""
        return f"{self.week}.{self.as_of.isoweekday()}" if self.daily else self.week

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        return {profile.id: profile for profile in self.warehouse.profile_records()}

    @cached_property
    def feedback(self) -> list[Feedback]:
        return read_feedback(self.home)[0]

    @cached_property
    def edition(self) -> Edition:
        calls = {call.call_id: call for call in self.warehouse.call_records()}
        week = Week(self.as_of, calls, self.warehouse.listed())
        others = [p for p in self.profiles.values() if p.kind not in ("sme", "large_company")]
        labs = proposable(self.home, others)
        helpers = helpers_of(labs, [match for lab in labs for match in self.warehouse.match_records(lab.id)])
        return Edition(week, self.warehouse.health(), helpers)

    @cached_property
    def _marks(self) -> dict[str, dict[str, Feedback]]:
        return marks(self.feedback, self.edition.week.calls.values())

    @cached_property
    def _signer(self) -> Signer:
        at = int(self.at.timestamp())
        return Signer(self.outbox.key, lambda: at)

    @cached_property
    def _states(self) -> dict[str, list[dict[str, object]]]:
        return deadline_states(self.warehouse)

    @cached_property
    def _last(self) -> dict[str, date]:
        return self.outbox.last_new_calls()

    @property
    def at(self) -> datetime:
        """The date that the mails bear: the morning of their day."""
        return datetime.combine(self.as_of, MAIL_HOUR, READERS_ZONE)

    def matches(self, profile_id: str) -> list[Match]:
        """A profile's matches with what was said since, best first."""
        if profile_id not in self._matches:
            if len(self._matches) == PROFILES_AT_ONCE:
                self._matches.clear()
            kept = self.warehouse.match_records(profile_id)
            self._matches[profile_id] = placed(kept, self._marks.get(profile_id, {}))
        return self._matches[profile_id]

    def drafts(self) -> Iterator[Draft]:
        """The mails that are due and not yet in the outbox, by subscription."""
        have, suppressed = self.outbox.has(self.period), self.outbox.suppressed()
        for found in self.outbox.subscriptions():
            if found.list == "operator":
                continue
            ended = found.stopped_on is not None or found.address in suppressed
            if ended or found.subscription_id in have:
                continue
            draft = self.draft(found)
            if draft is not None:
                yield draft

    def lost(self) -> list[Subscription]:
        """Readers of a profile that the last run does not have, and who therefore get no mail."""
        return [
            found
            for found in self.outbox.subscriptions()
            if found.list == "digest" and found.stopped_on is None and found.profiles[0] not in self.profiles
        ]

    def draft(self, found: Subscription) -> Draft | None:
        """The mail of the week for one subscription; None where there is nothing its reader wants told."""
        told = self.outbox.told(found.subscription_id)
        fresh = self._tells_new_calls(found) and not self.daily
        links = self._signer.links(self.web, found.subscription_id, self.period)
        if found.list == "digest":
            profile = self.profiles.get(found.profiles[0])
            if profile is None:
                return None
            items = [(profile, self._news(profile, told, found, fresh))]
            attention = Attention()
        else:
            clients = [self.profiles[key] for key in found.profiles or self.profiles if key in self.profiles]
            items = within([(client, self._news(client, told, found, fresh)) for client in clients])
            attention = Attention() if self.daily else self._attention(found)
        nothing = all(item.nothing for _, item in items) and not (attention.marks or attention.refused)
        if nothing and (not fresh or found.when_nothing == "none"):
            return None
        mail: Mail
        if found.list == "digest":
            mail = compose(*items[0], self.edition, found, links, found)
        else:
            mail = compose_for_adviser(items, self.edition, found, links, attention)
        identity = message_id(found.subscription_id, found.list, self.period, self.sender.domain)
        attached = self._calendar(items, found)
        whole = message(mail, found, self.sender, links, identity, self.at, attached)
        after = tuple(each for _, item in items for each in item.told)
        return Draft(identity, found, self.period, self.as_of, fresh, mail.subject, whole, after)

    def _tells_new_calls(self, found: Subscription) -> bool:
        """Whether this mail is one that tells of new calls, by the cadence that the reader chose."""
        last = self._last.get(found.subscription_id)
        if found.cadence == "monthly":
            return last is None or (last.year, last.month) != (self.as_of.year, self.as_of.month)
        return found.cadence == "weekly"

    def _news(self, profile: Profile, told: Sequence[Told], found: Subscription, fresh: bool) -> News:
        mine = [each for each in told if each.profile_id == profile.id]
        told_now = news(profile.id, self.matches(profile.id), mine, found, self.edition.week, new_calls=fresh)
        return told_now.urgent(self.as_of) if self.daily else told_now

    def _calendar(self, items: Sequence[tuple[Profile, News]], found: Subscription) -> bytes | None:
        """The deadlines of the calls that a mail tells of; None where none is stated."""
        ids = {match.call_id for _, item in items for match in item.new}
        ids |= {change.call.call_id for _, item in items for change in item.changes}
        ids |= {reminder.call.call_id for _, item in items for reminder in item.reminders}
        rows = [row for call_id in sorted(ids) for row in self._states.get(call_id, ())]
        words = wording(found.language)
        made = write_calendar(rows, self.as_of, words["calendar"]["name"], words)
        return made if b"BEGIN:VEVENT" in made else None

    def _attention(self, found: Subscription) -> Attention:
        """What happened with the clients since the adviser's last mail."""
        since = self._last.get(found.subscription_id, date.min)
        clients = set(found.profiles or self.profiles)
        known = self._marks
        latest = [
            given
            for profile_id in sorted(known)
            if profile_id in clients
            for given in known[profile_id].values()
            if given.given_at.date() >= since
        ]
        suppressed = self.outbox.suppressed()
        digests = [s for s in self.outbox.subscriptions() if s.list == "digest" and s.profiles[0] in clients]
        refused = tuple((s.profiles[0], suppressed[s.address][0]) for s in digests if s.address in suppressed)
        by_id = {s.subscription_id: s.profiles[0] for s in digests}
        doubts = tuple(
            (by_id[mail["subscription_id"]], mail["week"])
            for mail in self.outbox.mails("sending")
            if mail["subscription_id"] in by_id
        )
        return Attention(tuple(latest), refused, doubts)


@dataclass(frozen=True)
class Sent:
    """What came of a week's or a day's mails."""

    period: str
    written: int
    outcome: Outcome
    states: dict[State, int]
    lost: list[Subscription]

    @property
    def faults(self) -> list[str]:
        """What a person has to look at, a line each."""
        found = [self.outcome.fault] if self.outcome.fault else []
        if self.outcome.doubts:
            found.append(f"{len(self.outcome.doubts)} mails in doubt; see: fundmatch digest outbox")
        if self.outcome.refused:
            found.append(f"{self.outcome.refused} mails refused; see: fundmatch digest outbox")
        if self.states["pending"]:
            found.append(f"{self.states['pending']} mails wait; run fundmatch digest send again")
        return found + [
            f"no mail for {s.address}: the last run has no profile {s.profiles[0]}" for s in self.lost
        ]

    def document(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "week": self.period,
            "written": self.written,
            "sent": self.outcome.sent,
            "refused": self.outcome.refused,
            "pending": self.states["pending"],
            "in_doubt": self.outcome.doubts,
            "fault": self.outcome.fault,
            "no_profile": [{"address": s.address, "profile": s.profiles[0]} for s in self.lost],
            "states": self.states,
        }


def check_settings() -> tuple[Sender, Web, Server]:
    """Who sends, where the pages are, and the mail server. Raises SettingsError, with all that is missing."""
    found: list[Any] = []
    problems: list[str] = []
    for read in (settings.sender, settings.web, settings.server):
        try:
            found.append(read())
        except settings.SettingsError as error:
            problems.append(str(error))
    if not problems and found[1] is None:
        problems.append(
            "FUNDMATCH_WEB_URL is not set: a mail must have a link that stops it. Give the address of "
            "fundmatch serve --web, or see mails without links with --to DIR"
        )
    if problems:
        raise settings.SettingsError("\n".join(problems))
    return found[0], found[1], found[2]


def send_week(home: Home, day: date, reporter: Reporter | None = None, *, daily: bool = False) -> Sent:
    """Write the mails of a week to the outbox, or with `daily` those that cannot wait for it, and the notice
    of broken sources; then hand over what waits there.

    Raises SettingsError, SendError, OutboxError, HomeError where mails are being sent already.
    """
    sender, web, server = check_settings()
    with open_records(home.warehouse) as warehouse, open_outbox(home) as outbox, sending(home):
        post = Post(home, warehouse, outbox, sender, web, day, daily)
        check_day(warehouse, day)
        write_notice(post)
        written = write_drafts(post, reporter)
        outcome = deliver(outbox, server, sender, reporter)
        return Sent(post.period, written, outcome, outbox.states(), post.lost())


class SendError(Exception):
    """The mails cannot be sent; the message says what to do, in one line."""


def check_day(warehouse: Records, day: date) -> None:
    """Raises SendError where the last run is not of the week of `day`: its mails would tell old news."""
    last = warehouse.day()
    if week_of(day) != week_of(last) or day < last:
        raise SendError(
            f"the last run is of {last}, today is {day}: make one for this week with "
            f"fundmatch run, or send that week's with --as-of {last}"
        )


def write_notice(post: Post) -> bool:
    """Write a mail to the operator where sources are broken or read in part: one a week for the same ones.

    Whether there is a new one; never where FUNDMATCH_OPERATOR is not set, or stopped them.
    """
    address = settings.operator()
    sick = [source for source in post.warehouse.health() if source.state in ("broken", "partial")]
    if address is None or not sick:
        return False
    given = Subscription(
        subscription_id=post.outbox.subscription_id(address, "operator", ""),
        address=address,
        list="operator",
        language="en",
        consent_on=post.as_of,
        consent_source="FUNDMATCH_OPERATOR",
    )
    known = post.outbox.subscription(given.subscription_id)
    if known is None:
        post.outbox.subscribe([given])
    elif known.stopped_on is not None:
        return False
    what = sha256(json.dumps([(source.source, source.state) for source in sick]).encode()).hexdigest()[:8]
    period = f"{post.week}.{what}"
    identity = message_id(given.subscription_id, "operator", period, post.sender.domain)
    subject, whole = notice(sick, given, post.sender, identity, post.at)
    draft = Draft(identity, given, period, post.as_of, False, subject, whole, ())
    return bool(post.outbox.write([draft]))


def write_drafts(post: Post, reporter: Reporter | None = None) -> int:
    """Write the mails that are due to the outbox; how many are new. What is there already stays as it is."""
    reporter, written = reporter or Silent(), 0
    reporter.start("compose")
    post.outbox.give_up(post.week)  # those of days of this week sort after it
    post.outbox.forget(post.as_of - timedelta(days=KEPT_DAYS))
    drafts = post.drafts()
    while some := list(islice(drafts, AT_ONCE)):
        written += post.outbox.write(some)
        reporter.advance("compose", written, None)
    return written


def write_files(post: Post, folder: Path) -> list[Path]:
    """Write the mails that are due as .eml files instead of sending them; the outbox is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for draft in post.drafts():
        path = folder / f"{draft.week}-{draft.subscription.list}-{draft.subscription.subscription_id}.eml"
        path.write_bytes(draft.message)
        written.append(path)
    return written
