"""What waits in the outbox, handed over to the mail server one by one, each with what became of it noted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flows.mail.outbox import Outbox, Waiting
from flows.mail.settings import Sender, Server
from flows.mail.smtp import InDoubt, Later, Refused, ServerFault, Session, Unreachable, Withdrawn
from flows.reporter import Reporter, Silent

REFUSALS = 5  # in a row, of whole mails: then the server refuses us, not a mail
TRIES = 3  # of a connection, before a run ends


@dataclass
class Outcome:
    """What a delivery came to. `doubts`: mails the server may have or not; `fault`: why it ended early."""

    sent: int = 0
    refused: int = 0
    put_off: int = 0
    doubts: list[str] = field(default_factory=list)
    fault: str | None = None


def deliver(
    outbox: Outbox,
    server: Server,
    sender: Sender,
    reporter: Reporter | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Hand over what is pending, one mail at a time; nobody else may be sending from this outbox meanwhile.

    A mail that is `sending` when this begins is in doubt, and is left alone.
    """
    reporter = reporter or Silent()
    outcome = Outcome(doubts=[mail["message_id"] for mail in outbox.mails("sending")])
    whole, end = outbox.states()["pending"], now() + timedelta(seconds=sender.patience_seconds)
    session = Session(server, sender)
    hand = _Hand(outbox, session, sender, outcome, now, sleep)
    reporter.start("send")
    try:
        while outcome.fault is None:
            mail = outbox.next(now())
            if mail is None:
                soonest = outbox.soonest()
                if soonest is None or soonest > end:
                    break
                session.close()
                sleep(max(0.0, (soonest - now()).total_seconds()))
                continue
            begun = now()
            hand.over(mail)
            reporter.advance("send", outcome.sent + outcome.refused, max(whole, 1))
            if sender.per_second and outcome.fault is None:
                sleep(max(0.0, 1 / sender.per_second - (now() - begun).total_seconds()))
    finally:
        session.close()
    return outcome


@dataclass
class _Hand:
    """Hands over one mail after another, and notes what becomes of each."""

    outbox: Outbox
    session: Session
    sender: Sender
    outcome: Outcome
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    lost: int = 0  # connections in a row that were not to be had
    in_a_row: int = 0  # whole mails that were refused one after another

    def over(self, mail: Waiting) -> None:
        """Offer one mail, and put it into the state that follows."""
        key, outcome = mail.message_id, self.outcome
        try:
            answer = self.session.offer(mail.address, mail.message, lambda: self._begin(key))
            self.outbox.mark(key, "sent", answer)
            outcome.sent, self.in_a_row = outcome.sent + 1, 0
        except Later as error:
            wait = timedelta(seconds=max(1.0, self.sender.retry_seconds) * 2**mail.attempts)
            self.outbox.mark(key, "pending", str(error), not_before=self.now() + wait)
            outcome.put_off += 1
        except Refused as error:
            self._refused(mail, error)
        except InDoubt as error:
            self.outbox.mark(key, "sending", str(error))
            outcome.doubts.append(key)
        except Withdrawn:
            pass  # stopped by its reader meanwhile
        except Unreachable as error:
            self._unreachable(error)
            return
        except ServerFault as error:
            outcome.fault = str(error)
        self.lost = 0

    def _begin(self, message_id: str) -> None:
        if not self.outbox.begin(message_id):
            raise Withdrawn("not to be sent any more")

    def _refused(self, mail: Waiting, error: Refused) -> None:
        self.outbox.mark(mail.message_id, "failed", str(error))
        self.outcome.refused += 1
        self.in_a_row = 0 if error.address else self.in_a_row + 1
        if error.address:
            self.outbox.suppress(mail.address, str(error))
        elif self.in_a_row >= REFUSALS:
            self.outcome.fault = f"{self.in_a_row} mails in a row were refused, the last with: {error}"

    def _unreachable(self, error: Unreachable) -> None:
        self.lost += 1
        if self.lost >= TRIES:
            self.outcome.fault = f"{error}; what waits is kept: run fundmatch digest send again"
        else:
            self.sleep(min(self.sender.retry_seconds, 2.0**self.lost))
