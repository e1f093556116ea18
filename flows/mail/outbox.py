"""The outbox: who agreed to what, each mail with its state, and what each reader was told; one SQLite file.

A mail is written whole before it is sent. Its key is the subscription and the week, so that running again
makes no second one; its state is `pending`, `sending` from the moment the server may take it, `sent`, or
`failed`. One that is `sending` while nobody sends is in doubt: the process died between the server's OK and
our record of it. It is reported and never sent again unless a person says so.

Every change is on disk before the method that makes it returns. The web server writes beside the sender.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self

from flows.home import Home, HomeError
from pipeline.schema import Subscription, Told

VERSION = 1
State = Literal["pending", "sending", "sent", "failed"]
PATIENCE = 30.0  # seconds to wait for another process that writes

_SCHEMA = """
CREATE TABLE keys (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE subscriptions (
    subscription_id TEXT PRIMARY KEY,
    address TEXT NOT NULL COLLATE NOCASE,
    record TEXT NOT NULL  -- the subscription as JSON
) STRICT;
CREATE INDEX subscriptions_address ON subscriptions (address);
CREATE TABLE mails (
    message_id TEXT PRIMARY KEY,
    subscription_id TEXT NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    week TEXT NOT NULL,
    day TEXT NOT NULL,           -- of the news in it
    new_calls INTEGER NOT NULL,  -- whether it could tell of new calls, or of deadlines alone
    address TEXT NOT NULL COLLATE NOCASE,
    subject TEXT NOT NULL,
    message BLOB,                -- as it goes over the wire; NULL once it is too old to be looked at
    state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before TEXT,             -- of the next attempt
    changed_at TEXT NOT NULL,
    answer TEXT,                 -- what the server said last
    UNIQUE (subscription_id, week)
) STRICT;
CREATE INDEX mails_next ON mails (state, attempts, message_id);
CREATE TABLE told (
    message_id TEXT NOT NULL REFERENCES mails ON DELETE CASCADE,
    subscription_id TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    record TEXT NOT NULL,        -- what the reader knows since, as JSON
    PRIMARY KEY (message_id, profile_id, call_id)
) STRICT;
CREATE INDEX told_subscription ON told (subscription_id);
CREATE TABLE suppressed (
    address TEXT PRIMARY KEY COLLATE NOCASE,
    since TEXT NOT NULL,
    answer TEXT NOT NULL
) STRICT;
CREATE TABLE choices (
    subscription_id TEXT NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    made_at TEXT NOT NULL,
    choice TEXT NOT NULL
) STRICT;
CREATE TABLE used (token TEXT PRIMARY KEY, used_at TEXT NOT NULL) STRICT;
CREATE TABLE erased (address TEXT PRIMARY KEY, erased_on TEXT NOT NULL) STRICT;
"""


class OutboxError(Exception):
    """The outbox cannot do what was asked; the message says what to do, in one line."""


@dataclass(frozen=True)
class Draft:
    """A mail to be written into the outbox, with what its reader knows once it has come."""

    message_id: str
    subscription: Subscription
    week: str
    day: date
    new_calls: bool
    subject: str
    message: bytes
    told: tuple[Told, ...]


@dataclass(frozen=True)
class Waiting:
    """A mail as its sender needs it."""

    message_id: str
    address: str
    message: bytes
    attempts: int


class Outbox:
    """An open outbox. Raises OutboxError where the file is of a newer fundmatch or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        try:
            self._db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            if new:
                path.chmod(0o600)  # addresses, and the key that links are signed with
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise OutboxError(
                f"{path}: cannot be used ({error}); put back its backup, or move it away to begin a new one"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise OutboxError(f"{self.path}: is of a newer fundmatch; install that one")
        if version == VERSION:
            return
        with self._writing():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute("INSERT INTO keys VALUES ('links', ?)", [secrets.token_bytes(32)])
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, kept whole or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @property
    def key(self) -> bytes:
        """The secret that links are signed with, and ids derived from; made once for a home."""
        (value,) = self._db.execute("SELECT value FROM keys WHERE name = 'links'").fetchone()
        return bytes(value)

    # who agreed to what

    def subscription_id(self, address: str, mailing_list: str, profile_id: str) -> str:
        """The id of a subscription: the same in one home, and not to be guessed outside it."""
        told = "\0".join((mailing_list, profile_id, address.lower()))
        return hmac.new(self.key, told.encode(), hashlib.sha256).hexdigest()[:20]

    def subscribe(self, subscriptions: Iterable[Subscription]) -> tuple[int, int, int]:
        """Add or renew subscriptions: how many are new, renewed, and left stopped.

        One that was stopped, or whose address was erased, comes back only by a consent given after that day.
        """
        added = renewed = left = 0
        with self._writing() as db:
            for given in subscriptions:
                before = self.subscription(given.subscription_id)
                gone = db.execute(
                    "SELECT erased_on FROM erased WHERE address = ?", [self._trace(given.address)]
                ).fetchone()
                ended = [before.stopped_on] if before and before.stopped_on else []
                ended += [date.fromisoformat(gone[0])] if gone else []
                if ended and given.consent_on <= max(ended):
                    left += 1
                    continue
                if before and self._chose(given.subscription_id):  # a reader's own choice outlives a file
                    own = {"cadence": before.cadence, "when_nothing": before.when_nothing}
                    given = given.model_copy(update=own)
                db.execute(
                    "INSERT INTO subscriptions VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET address = excluded.address, record = excluded.record",
                    [given.subscription_id, given.address, given.model_dump_json()],
                )
                added += before is None
                renewed += before is not None
        return added, renewed, left

    def subscription(self, subscription_id: str) -> Subscription | None:
        """One subscription, or None."""
        row = self._db.execute(
            "SELECT record FROM subscriptions WHERE subscription_id = ?", [subscription_id]
        ).fetchone()
        return Subscription.model_validate_json(row[0]) if row else None

    def subscriptions(self, address: str | None = None) -> list[Subscription]:
        """All subscriptions, or those of an address, by id."""
        rows = self._db.execute(
            "SELECT record FROM subscriptions WHERE ?1 IS NULL OR address = ?1 ORDER BY subscription_id",
            [address],
        )
        return [Subscription.model_validate_json(record) for (record,) in rows]

    def choose(self, changed: Subscription, choice: str, once: str | None = None) -> bool:
        """Store a reader's choice; False, and nothing is changed, where the token `once` was used before."""
        with self._writing() as db:
            if once is not None and not self._use(once):
                return False
            db.execute(
                "UPDATE subscriptions SET record = ? WHERE subscription_id = ?",
                [changed.model_dump_json(), changed.subscription_id],
            )
            if changed.stopped_on:
                db.execute(
                    "UPDATE mails SET state = 'failed', answer = 'stopped by the reader', changed_at = ? "
                    "WHERE subscription_id = ? AND state = 'pending'",
                    [_now(), changed.subscription_id],
                )
            db.execute("INSERT INTO choices VALUES (?, ?, ?)", [changed.subscription_id, _now(), choice])
        return True

    def _chose(self, subscription_id: str) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM choices WHERE subscription_id = ?", [subscription_id]
        ).fetchone()
        return row is not None

    def use(self, token: str) -> bool:
        """Note that a token was used; False where it was used before."""
        with self._writing():
            return self._use(token)

    def _use(self, token: str) -> bool:
        digest = hashlib.sha256(token.encode()).hexdigest()
        return bool(self._db.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", [digest, _now()]).rowcount)

    # what is sent

    def write(self, drafts: Sequence[Draft]) -> int:
        """Write mails as pending, all or none; what the week has already stays as it is. How many are new."""
        written = 0
        with self._writing() as db:
            for draft in drafts:
                found = draft.subscription
                new = db.execute(
                    "INSERT INTO mails (message_id, subscription_id, week, day, new_calls, address, subject, "
                    "message, state, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?) "
                    "ON CONFLICT DO NOTHING",
                    [
                        draft.message_id,
                        found.subscription_id,
                        draft.week,
                        draft.day.isoformat(),
                        draft.new_calls,
                        found.address,
                        draft.subject,
                        draft.message,
                        _now(),
                    ],
                ).rowcount
                if not new:
                    continue
                written += 1
                db.executemany(
                    "INSERT INTO told VALUES (?, ?, ?, ?, ?)",
                    [
                        [
                            draft.message_id,
                            found.subscription_id,
                            each.profile_id,
                            each.call_id,
                            each.model_dump_json(),
                        ]
                        for each in draft.told
                    ],
                )
        return written

    def has(self, week: str) -> set[str]:
        """The subscriptions that have a mail of a week."""
        rows = self._db.execute("SELECT subscription_id FROM mails WHERE week = ?", [week])
        return {subscription_id for (subscription_id,) in rows}

    def last_new_calls(self) -> dict[str, date]:
        """Subscription → day of its last mail that could tell of new calls and did not fail."""
        rows = self._db.execute(
            "SELECT subscription_id, max(day) FROM mails WHERE new_calls AND state <> 'failed' GROUP BY 1"
        )
        return {subscription_id: date.fromisoformat(day) for subscription_id, day in rows}

    def told(self, subscription_id: str) -> list[Told]:
        """The last that a reader was told of each call, by mails that did not fail."""
        rows = self._db.execute(
            "SELECT t.record FROM told AS t JOIN mails AS m USING (message_id) "
            "WHERE t.subscription_id = ? AND m.state <> 'failed' ORDER BY m.day, m.message_id",
            [subscription_id],
        )
        last: dict[tuple[str, str], Told] = {}
        for (record,) in rows:
            found = Told.model_validate_json(record)
            last[found.profile_id, found.call_id] = found
        return list(last.values())

    def give_up(self, week: str) -> int:
        """Let mails of earlier weeks that never left fail, so that their news is told anew. How many."""
        with self._writing() as db:
            return db.execute(
                "UPDATE mails SET state = 'failed', changed_at = ?, answer = coalesce(answer || '; ', '') || "
                "'its week is over' WHERE state = 'pending' AND week < ?",
                [_now(), week],
            ).rowcount

    def forget(self, before: date) -> int:
        """Drop the text of mails of days before; that they were sent, and what they told, stays. How many."""
        with self._writing() as db:
            return db.execute(
                "UPDATE mails SET message = NULL WHERE day < ? AND message IS NOT NULL "
                "AND state IN ('sent', 'failed')",
                [before.isoformat()],
            ).rowcount

    def next(self, at: datetime) -> Waiting | None:
        """The next mail that may be sent now."""
        row = self._db.execute(
            "SELECT message_id, address, message, attempts FROM mails "
            "WHERE state = 'pending' AND (not_before IS NULL OR not_before <= ?) "
            "ORDER BY attempts, message_id LIMIT 1",
            [at.isoformat()],
        ).fetchone()
        return Waiting(*row) if row else None

    def soonest(self) -> datetime | None:
        """When the next of the pending mails may be sent; None where none is pending."""
        (found,) = self._db.execute("SELECT min(not_before) FROM mails WHERE state = 'pending'").fetchone()
        return datetime.fromisoformat(found) if found else None

    def begin(self, message_id: str) -> bool:
        """Put a pending mail into `sending`; False where it is not pending any more."""
        with self._writing() as db:
            return bool(
                db.execute(
                    "UPDATE mails SET state = 'sending', changed_at = ? "
                    "WHERE message_id = ? AND state = 'pending'",
                    [_now(), message_id],
                ).rowcount
            )

    def mark(
        self, message_id: str, state: State, answer: str | None = None, *, not_before: datetime | None = None
    ) -> None:
        """Put a mail into a state; a `pending` one has then had one more attempt."""
        with self._writing() as db:
            db.execute(
                "UPDATE mails SET state = ?, answer = coalesce(?, answer), not_before = ?, changed_at = ?, "
                "attempts = attempts + (? = 'pending') WHERE message_id = ?",
                [state, answer, not_before and not_before.isoformat(), _now(), state, message_id],
            )

    def suppress(self, address: str, answer: str) -> None:
        """Send nothing to an address any more, and let what waits for it fail."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO suppressed VALUES (?, ?, ?)", [address, _now(), answer])
            db.execute(
                "UPDATE mails SET state = 'failed', answer = ?, changed_at = ? "
                "WHERE address = ? AND state = 'pending'",
                [answer, _now(), address],
            )

    def allow(self, address: str) -> bool:
        """Take an address off the suppression list; False where it is not on it."""
        with self._writing() as db:
            return bool(db.execute("DELETE FROM suppressed WHERE address = ?", [address]).rowcount)

    def suppressed(self) -> dict[str, tuple[date, str]]:
        """Address → since when nothing is sent to it, and what the server said."""
        rows = self._db.execute("SELECT * FROM suppressed ORDER BY address")
        return {address: (datetime.fromisoformat(since).date(), answer) for address, since, answer in rows}

    def states(self, week: str | None = None) -> dict[State, int]:
        """How many mails are in each state, of a week or of all."""
        rows = self._db.execute(
            "SELECT state, count(*) FROM mails WHERE ?1 IS NULL OR week = ?1 GROUP BY state", [week]
        )
        counted: dict[State, int] = {"pending": 0, "sending": 0, "sent": 0, "failed": 0}
        return counted | dict(rows.fetchall())

    def mails(self, state: State | None = None, week: str | None = None) -> list[dict[str, Any]]:
        """Mails without their text, by week and id."""
        found = self._db.execute(
            "SELECT message_id, subscription_id, week, address, subject, state, attempts, not_before, "
            "changed_at, answer FROM mails WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR week = ?2) "
            "ORDER BY week, message_id",
            [state, week],
        )
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def message(self, subscription_id: str, week: str) -> bytes | None:
        """A mail as it goes over the wire; None where there is none, or it is too old."""
        row = self._db.execute(
            "SELECT message FROM mails WHERE subscription_id = ? AND week = ?", [subscription_id, week]
        ).fetchone()
        return row[0] if row else None

    def settle(self, message_id: str, *, sent: bool) -> None:
        """Say of a mail in doubt that it was sent, or that it is to be sent again. Raises OutboxError."""
        with self._writing() as db:
            done = db.execute(
                "UPDATE mails SET state = ?, changed_at = ?, answer = ? "
                "WHERE message_id = ? AND state = 'sending'",
                ["sent" if sent else "pending", _now(), "settled by a person", message_id],
            ).rowcount
        if not done:
            raise OutboxError(f"{message_id}: no mail of this id is in doubt; see: fundmatch digest outbox")

    # one person's data

    def about(self, address: str) -> dict[str, Any]:
        """All that is kept about an address, ready for JSON."""
        found = self.subscriptions(address)
        ids = [each.subscription_id for each in found]
        choices = self._db.execute(
            "SELECT made_at, subscription_id, choice FROM choices "
            "WHERE subscription_id IN (SELECT value FROM json_each(?)) ORDER BY made_at",
            [json.dumps(ids)],
        ).fetchall()
        refused = {each.lower(): told for each, told in self.suppressed().items()}
        suppressed = refused.get(address.lower())
        return {
            "address": address,
            "subscriptions": [each.model_dump(mode="json") for each in found],
            "choices": [
                dict(zip(("made_at", "subscription_id", "choice"), row, strict=True)) for row in choices
            ],
            "mails": [mail for mail in self.mails() if mail["subscription_id"] in ids],
            "told": [told.model_dump(mode="json") for each in ids for told in self.told(each)],
            "suppressed": {"since": suppressed[0].isoformat(), "answer": suppressed[1]}
            if suppressed
            else None,
        }

    def erase(self, address: str, on: date) -> int:
        """Remove all about an address: how many subscriptions it had.

        A keyed hash of it stays, which says nothing without the key, so that an old file of readers does not
        bring it back without a new consent.
        """
        with self._writing() as db:
            gone = db.execute("DELETE FROM subscriptions WHERE address = ?", [address]).rowcount
            gone_mails = db.execute("DELETE FROM mails WHERE address = ?", [address]).rowcount
            off = db.execute("DELETE FROM suppressed WHERE address = ?", [address]).rowcount
            if gone or gone_mails or off:
                db.execute(
                    "INSERT OR REPLACE INTO erased VALUES (?, ?)", [self._trace(address), on.isoformat()]
                )
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("VACUUM")  # deleted rows stay readable in the file until it is written anew
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def _trace(self, address: str) -> str:
        return hmac.new(self.key, b"erased\0" + address.lower().encode(), hashlib.sha256).hexdigest()


def open_outbox(home: Home) -> Outbox:
    """The home's outbox, made where there is none. Raises OutboxError, HomeError."""
    home.create()
    return Outbox(home.mail)


@contextmanager
def sending(home: Home) -> Iterator[None]:
    """Keep other senders out of this home; the lock goes with the process. Raises HomeError when held."""
    with (home.path / "mail.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeError(f"{home.path}: mails are being sent already; wait for that to end") from error
        stream.write(str(os.getpid()))
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
