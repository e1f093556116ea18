"""SMTP servers on loopback: a real one whose answers the recipient's name decides, one that plays a script.

Run as a program it notes each mail that it accepts, before it says so: the judge of a campaign.
"""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller, UnthreadedController
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

PASSWORD = "correct horse"


class Handler:
    """Accepts mails, but for what the recipient's name asks for.

    `busy2` is put off twice, `once421` finds the server going down, `r550` is refused at RCPT and `d554`
    after the data, `lost` is taken without an answer, `hang` answered late.
    """

    def __init__(self) -> None:
        self.accepted: list[tuple[str, bytes]] = []
        self.connections = 0
        self.asked: Counter[str] = Counter()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any
    ) -> str:
        name = address.partition("@")[0]
        self.asked[address] += 1
        if name.startswith("busy") and self.asked[address] <= int(name[4:]):
            return "450 4.2.0 busy, come again"
        if name.startswith("once421") and self.asked[address] == 1:
            return "421 4.3.2 going down"
        if name.startswith("r5"):
            return f"{name[1:4]} 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        address = envelope.rcpt_tos[0]
        name = address.partition("@")[0]
        if name.startswith(("d4", "d5")):
            return f"{name[1:4]} {name[1]}.7.1 not this mail"
        assert isinstance(envelope.content, bytes)
        self.accepted.append((address, envelope.content))
        if name.startswith("lost"):
            server.transport.abort()
        if name.startswith("hang"):
            await asyncio.sleep(1.5)
        return "250 2.0.0 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@contextmanager
def smtp(
    context: ssl.SSLContext | None = None, *, implicit: bool = False, login: bool = False
) -> Iterator[tuple[Handler, int]]:
    """A server on a free port: with a certificate it offers STARTTLS, or TLS from the start."""
    handler = Handler()
    more: dict[str, Any] = {}
    if context and implicit:
        more["ssl_context"] = context
    elif context:
        more |= {"tls_context": context, "require_starttls": True}
    if login:
        more |= {
            "authenticator": handler.authenticate,
            "auth_required": True,
            "auth_require_tls": bool(context) and not implicit,
        }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield handler, port
    finally:
        controller.stop()


@contextmanager
def scripted(*sessions: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """A server that plays a script for each connection: what it says at once, then after each line.

    `hang` says nothing, `drop` ends the connection; after DATA's 354 the next step is played at the final
    dot, or at once where it is `drop`. What it heard is in the list.
    """
    heard: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def play(steps: Sequence[str]) -> None:
        connection, _ = listener.accept()
        connection.settimeout(10)
        with connection, connection.makefile("rb") as lines:
            for number, step in enumerate(steps):
                if step == "hang":
                    threading.Event().wait(0.8)
                    return
                if step == "drop":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                connection.sendall(f"{step}\r\n".encode())
                if step.startswith("354") and steps[number + 1] != "drop":
                    for line in lines:
                        if line == b".\r\n":
                            heard.append(".")
                            break
                elif not step.startswith("354"):
                    heard.append(lines.readline().decode().strip())

    def serve() -> None:
        for steps in sessions:
            try:
                play(steps)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield heard, listener.getsockname()[1]
    finally:
        listener.close()


class Judge(Handler):
    """Notes each mail that it accepts in a file, before it answers."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log.open("a", buffering=1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        told = email.message_from_bytes(envelope.content)
        self._log.write(f"{envelope.rcpt_tos[0]} {told['Message-ID']}\n")
        return "250 2.0.0 taken"


def main(log: str) -> None:
    """Serve until the process is stopped; the port is printed."""
    loop = asyncio.new_event_loop()
    controller = UnthreadedController(Judge(Path(log)), hostname="127.0.0.1", port=0, loop=loop)
    controller.begin()
    print(controller.server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
    loop.run_forever()


if __name__ == "__main__":
    main(sys.argv[1])
