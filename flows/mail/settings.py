"""Settings of mail and of the pages it links to, from the environment; secrets also from a Prefect block."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Literal
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

Security = Literal["starttls", "tls", "none"]
PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SettingsError(Exception):
    """Settings are missing or wrong; each line says one thing and what to set."""


@dataclass(frozen=True)
class Web:
    """Where the pages are that mails link to, as the world sees them: https, or http on loopback."""

    url: str  # without a slash at its end

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True)
class Server:
    """An SMTP server. The password is never shown."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    certificates: str | None = None  # a file of authorities to trust beside the system's
    timeout: float = 60.0  # seconds to wait for one answer

    def context(self) -> ssl.SSLContext:
        """Checks the server's certificate and name. Raises SettingsError for a file without an authority."""
        context = ssl.create_default_context()
        if self.certificates:
            try:
                context.load_verify_locations(self.certificates)
            except (OSError, ssl.SSLError) as error:
                told = f"FUNDMATCH_SMTP_CA: {self.certificates} cannot be read ({error})"
                raise SettingsError(told) from error
        return context


@dataclass(frozen=True)
class Sender:
    """Who sends, and how fast."""

    address: str
    name: str
    per_second: float  # mails; 0: no pause
    retry_seconds: float  # before a mail that was put off is tried again, doubled each time
    patience_seconds: float  # that a run waits for mails that were put off

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def printed(self) -> Address:
        return Address(self.name, addr_spec=self.address)


def web(environment: Mapping[str, str] = os.environ) -> Web | None:
    """Where the pages are; None where FUNDMATCH_WEB_URL is not set. Raises SettingsError."""
    url = environment.get("FUNDMATCH_WEB_URL", "").strip().rstrip("/")
    if not url:
        return None
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not (parts.scheme == "https" or plain) or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(
            f"FUNDMATCH_WEB_URL {url!r}: give an https address such as https://calls.hub.example"
        )
    return Web(url)


def operator(environment: Mapping[str, str] = os.environ) -> str | None:
    """Who is told of sources that break; None where FUNDMATCH_OPERATOR is not set. Raises SettingsError."""
    address = environment.get("FUNDMATCH_OPERATOR", "").strip()
    if not address:
        return None
    try:
        return plain_address(address)
    except ValueError as error:
        raise SettingsError(f"FUNDMATCH_OPERATOR {address!r}: {error}") from error


def sender(environment: Mapping[str, str] = os.environ) -> Sender:
    """Who sends. Raises SettingsError."""
    printed = environment.get("FUNDMATCH_MAIL_FROM", "").strip()
    found = re.fullmatch(r"(?P<name>[^<>\r\n]*)<(?P<address>[^<>\s]+)>", printed)
    name = found["name"].strip(' "') if found else ""
    address = found["address"] if found else printed
    if not address:
        raise SettingsError(
            'FUNDMATCH_MAIL_FROM is not set; give the sender, as "Hub Noord <digest@hub.example>"'
        )
    try:
        plain = plain_address(address)
    except ValueError as error:
        raise SettingsError(f"FUNDMATCH_MAIL_FROM {printed!r}: {error}") from error
    return Sender(
        plain,
        name or "Smart Industry Hub Noord-Nederland",
        _number(environment, "FUNDMATCH_MAIL_PER_SECOND", 5.0),
        _number(environment, "FUNDMATCH_MAIL_RETRY_SECONDS", 300.0),
        _number(environment, "FUNDMATCH_MAIL_PATIENCE_SECONDS", 900.0),
    )


def server(environment: Mapping[str, str] = os.environ) -> Server:
    """The SMTP server. Raises SettingsError with a line for each thing that is missing or wrong."""
    problems = []
    host = environment.get("FUNDMATCH_SMTP_HOST", "").strip()
    if not host:
        problems.append("FUNDMATCH_SMTP_HOST is not set; give the name of your mail server")
    security = environment.get("FUNDMATCH_SMTP_SECURITY", "starttls").strip().lower()
    if security not in PORTS:
        problems.append(
            f"FUNDMATCH_SMTP_SECURITY {security!r}: use starttls or tls; none only on this machine"
        )
        security = "starttls"
    if security == "none" and host and host not in LOOPBACK:
        problems.append(
            f"FUNDMATCH_SMTP_SECURITY none: only for a server on this machine; use starttls or tls for {host}"
        )
    port = 0
    try:
        port = int(_number(environment, "FUNDMATCH_SMTP_PORT", float(PORTS[security])))  # type: ignore[index]
    except SettingsError as error:
        problems.append(str(error))
    user = environment.get("FUNDMATCH_SMTP_USER") or None
    password = environment.get("FUNDMATCH_SMTP_PASSWORD") or None
    block = environment.get("FUNDMATCH_SMTP_PASSWORD_BLOCK")
    if user and not password and not block:
        problems.append(
            "FUNDMATCH_SMTP_USER is set without FUNDMATCH_SMTP_PASSWORD, or FUNDMATCH_SMTP_PASSWORD_BLOCK "
            "with the name of a Prefect secret block"
        )
    if problems:
        raise SettingsError("\n".join(problems))
    if user and not password and block:
        password = _from_block(block)
    return Server(
        host,
        port,
        security,  # type: ignore[arg-type]
        user,
        password,
        environment.get("FUNDMATCH_SMTP_CA") or None,
        _number(environment, "FUNDMATCH_SMTP_TIMEOUT", 60.0),
    )


def plain_address(address: str) -> str:
    """A mail address as it goes over the wire, its domain in ASCII. Raises ValueError, in one line.

    A name before the @ that is not ASCII is refused: it needs servers with SMTPUTF8 all the way.
    """
    try:
        found = validate_email(
            address, check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except EmailNotValidError as error:
        raise ValueError(f"{address!r} is no mail address ({error})") from error
    return found.ascii_email or found.normalized


def _from_block(name: str) -> str:
    """The value of a Prefect secret block. Raises SettingsError."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    from prefect.blocks.system import Secret

    try:
        return str(Secret.load(name).get())  # type: ignore[union-attr]
    except Exception as error:
        raise SettingsError(
            f"FUNDMATCH_SMTP_PASSWORD_BLOCK {name!r}: cannot be loaded ({type(error).__name__}); "
            "make it with: prefect block create secret"
        ) from error


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if value < 0 or value != value:
        raise SettingsError(f"{name} {text!r}: give a number, such as {default:g}")
    return value
