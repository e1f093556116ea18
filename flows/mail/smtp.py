"""One mail handed to an SMTP server (RFC 5321); it is known at any moment whether the server has it.

The server takes a mail with the dot that ends it. All that fails before is sure not to have been taken; what
is lost between the dot and the answer is in doubt. Whoever sends is asked to note that just before the dot.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable
from typing import NoReturn

from flows.mail.settings import Sender, Server
from pipeline.wording import line

LONGEST_ANSWER = 300
# RFC 3463: addressing status, mailbox disabled
_OF_ADDRESS = re.compile(r"\b5\.(?:1\.\d+|2\.1)\b")


class DeliveryError(Exception):
    """A mail was not handed over, or not for sure; says why in the server's words, on one line."""


class Later(DeliveryError):
    """The server has not taken it, and may take it another time."""


class Refused(DeliveryError):
    """The server will never take it; `address` tells whether that is since of whom it is for."""

    def __init__(self, told: str, *, address: bool) -> None:
        super().__init__(told)
        self.address = address


class Withdrawn(DeliveryError):
    """It was not to be sent any more when it was about to be ended; raised by whoever sends."""


class InDoubt(DeliveryError):
    """The mail was ended, and no answer came."""


class Unreachable(DeliveryError):
    """There is no connection for now."""


class ServerFault(DeliveryError):
    """The server cannot be used with these settings; says what to do."""


class Session:
    """A connection that is made when it is needed and made again when it was lost."""

    def __init__(self, server: Server, sender: Sender) -> None:
        self._server, self._sender = server, sender
        self._smtp: smtplib.SMTP | None = None

    def close(self) -> None:
        """End the connection politely, if there is one."""
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (OSError, smtplib.SMTPException):
                self._smtp.close()
            self._smtp = None

    def connect(self) -> smtplib.SMTP:
        """A connection over which mails can be sent. Raises Unreachable, ServerFault."""
        if self._smtp is not None:
            return self._smtp
        server, where = self._server, f"{self._server.host}:{self._server.port}"
        smtp: smtplib.SMTP | None = None
        try:
            context, host = server.context(), self._sender.domain
            if server.security == "tls":
                smtp = smtplib.SMTP_SSL(
                    server.host, server.port, host, timeout=server.timeout, context=context
                )
            else:
                smtp = smtplib.SMTP(server.host, server.port, host, timeout=server.timeout)
            smtp.ehlo_or_helo_if_needed()
            if server.security == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo()
            if server.user and server.password:
                smtp.login(server.user, server.password)
        except ssl.SSLCertVerificationError as error:
            _fault(
                smtp,
                f"{where}: its certificate is not to be trusted ({error.verify_message}); nothing was sent. "
                "Give the name that it is made out to, or its authority as FUNDMATCH_SMTP_CA",
                error,
            )
        except ssl.SSLError as error:
            _fault(
                smtp,
                f"{where}: speaks no TLS that we accept ({error.reason}); check FUNDMATCH_SMTP_PORT and "
                "FUNDMATCH_SMTP_SECURITY (starttls, tls)",
                error,
            )
        except smtplib.SMTPNotSupportedError as error:
            what = "STARTTLS" if server.security == "starttls" and "STARTTLS" in str(error) else "the log-in"
            _fault(
                smtp,
                f"{where}: does not offer {what}; nothing was sent. Check FUNDMATCH_SMTP_SECURITY and "
                "FUNDMATCH_SMTP_PORT",
                error,
            )
        except smtplib.SMTPAuthenticationError as error:
            told = _answer(error.smtp_code, error.smtp_error)
            if 400 <= error.smtp_code < 500:
                _close(smtp)
                raise Unreachable(f"{where}: {told}") from error
            _fault(
                smtp,
                f"{where}: refuses the log-in ({told}); check FUNDMATCH_SMTP_USER and its password",
                error,
            )
        except smtplib.SMTPResponseException as error:
            told = _answer(error.smtp_code, error.smtp_error)
            if error.smtp_code >= 500:
                _fault(smtp, f"{where}: refuses us ({told})", error)
            _close(smtp)
            raise Unreachable(f"{where}: {told}") from error
        except (OSError, smtplib.SMTPException) as error:
            _close(smtp)
            raise Unreachable(
                f"{where}: no connection ({line(str(error)) or type(error).__name__})"
            ) from error
        self._smtp = smtp
        return smtp

    def offer(self, address: str, message: bytes, about_to_end: Callable[[], None]) -> str:
        """Hand over one mail; the server's answer. `about_to_end` is called just before the dot that ends it.

        Raises Later, Refused, InDoubt, Unreachable, ServerFault; only InDoubt leaves open who has it.
        """
        smtp = self.connect()
        try:
            code, told = smtp.mail(self._sender.address)
            self._expect(code, told, (250,), "sender")
            code, told = smtp.rcpt(address)
            self._expect(code, told, (250, 251, 252), "reader")
            code, told = smtp.docmd("DATA")
            self._expect(code, told, (354,), "mail")
            smtp.send(_stuffed(message))
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise Later(f"the connection was lost before the mail was ended ({_line(error)})") from error
        try:
            about_to_end()
        except BaseException:
            self._drop()  # the mail is not ended, and so not taken
            raise
        try:
            smtp.send(b".\r\n")
        except (OSError, smtplib.SMTPException) as error:
            self._drop()  # what cannot be given to the connection does not reach the server
            raise Later(f"the connection was lost before the mail was ended ({_line(error)})") from error
        try:
            code, told = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise InDoubt(f"no answer after the mail was ended ({_line(error)})") from error
        if not 200 <= code < 600:
            self._drop()
            raise InDoubt(f"an answer that is none after the mail was ended ({_answer(code, told)})")
        self._expect(code, told, tuple(range(200, 300)), "mail")
        return _answer(code, told)

    def _expect(self, code: int, told: bytes, wanted: tuple[int, ...], whose: str) -> None:
        """Raise what an answer means that is not wanted, and leave the connection ready for the next mail."""
        if code in wanted:
            return
        said = _answer(code, told)
        if code == 421 or not 400 <= code < 600:
            self._drop()
            raise Later(said)
        self._reset()
        if code < 500:
            raise Later(said)
        if whose == "sender":
            raise ServerFault(
                f"{self._server.host}: refuses to send for {self._sender.address} ({said}); "
                "check FUNDMATCH_MAIL_FROM and the log-in"
            )
        raise Refused(
            said, address=whose == "reader" or code in (550, 551, 553) or bool(_OF_ADDRESS.search(said))
        )

    def _reset(self) -> None:
        try:
            if self._smtp is not None and self._smtp.rset()[0] != 250:
                self._drop()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        _close(self._smtp)
        self._smtp = None


def _stuffed(message: bytes) -> bytes:
    """A message with CRLF at each line's end and a dot before each that begins with one (RFC 5321, 4.5.2)."""
    whole = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    whole = re.sub(rb"(?m)^\.", b"..", whole)
    return whole if whole.endswith(b"\r\n") else whole + b"\r\n"


def _answer(code: int, told: bytes | str) -> str:
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    return f"{code} {line(text)}"[:LONGEST_ANSWER]


def _line(error: Exception) -> str:
    return line(str(error))[:LONGEST_ANSWER] or type(error).__name__


def _close(smtp: smtplib.SMTP | None) -> None:
    if smtp is not None:
        smtp.close()


def _fault(smtp: smtplib.SMTP | None, told: str, error: Exception) -> NoReturn:
    _close(smtp)
    raise ServerFault(told) from error
