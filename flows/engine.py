"""A Prefect server that lives as long as a run or a schedule: `python -m flows.engine PORT` is its process.

Prefect's own temporary server would do, but it outlives a run that is killed, and a run waits for two
imports of the server, one after the other. Where `PREFECT_API_URL` is set, that server is used instead.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

START_SECONDS = 180  # a fresh database on a busy machine has taken half a minute
AUTH = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")  # of the server, and of who asks it
STARTS = 5  # of a server that is killed
GIVEN_SECONDS = 5  # for a server that should be there already


lost = False  # whether the server is known to be gone


def leave(status: int) -> NoReturn:
    """End the process. Prefect would wait for minutes, event by event, for a server that is gone."""
    if lost:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


class EngineError(Exception):
    """The server cannot be used; the message says what to do instead, in one line."""


@contextmanager
def server(home: Path, port: int = 0, *, scheduling: bool = False) -> Iterator[Callable[[], None]]:
    """Start a Prefect server with its database in `home`, and tell this process where it is.

    It listens on loopback, at `port` or a free one, and answers who has the password in `<home>/password`:
    what it is sent to run, it runs. With `scheduling` it has pages, and starts what is due.

    Yields a function that imports Prefect, which reads the environment set here, and returns when the
    server answers, so that other things can be done until then. It raises EngineError without an answer.
    """
    quiet = {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home.resolve()),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",  # what fails is told by us
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    if given := os.environ.get("PREFECT_API_URL"):
        yield lambda: _wait(given, GIVEN_SECONDS, lambda: True)
        return
    try:
        with socket.create_server(("127.0.0.1", port)) as probe:
            port = probe.getsockname()[1]
    except OSError as error:
        raise EngineError(
            f"port {port} is taken ({error.strerror}): stop what listens there, or set PREFECT_API_URL "
            "to the Prefect server that it is"
        ) from error
    url = f"http://127.0.0.1:{port}/api"
    own = {"PREFECT_API_URL": url} | dict.fromkeys(AUTH, f"fundmatch:{_password(home)}")
    os.environ.update(own)
    process = _Server(port, scheduling)
    try:
        yield lambda: _wait(url, START_SECONDS, process.alive)
    finally:
        process.end()  # what it holds is a log of this run; the run's results are elsewhere
        for name in own:
            del os.environ[name]


class _Server:
    """The server's process, started again where something kills it: who asks it would hang for minutes."""

    def __init__(self, port: int, scheduling: bool) -> None:
        self._command = [
            sys.executable,
            "-m",
            "flows.engine",
            str(port),
            *(["scheduling"] if scheduling else []),
        ]
        self._ended = threading.Event()
        self._process = self._start()
        threading.Thread(target=self._keep, daemon=True).start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            self._command,
            stdin=subprocess.PIPE,  # it ends when this does, which is when we do, however we end
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, who end it when we are done
        )

    def _keep(self) -> None:
        for _ in range(STARTS):
            self._process.wait()
            if self._ended.is_set() or self._process.returncode >= 0:  # it was not killed: it cannot run
                return
            self._process = self._start()

    def alive(self) -> bool:
        """Whether it is there, or is being started again."""
        code = self._process.poll()
        return code is None or code < 0

    def end(self) -> None:
        """Kill it, for good."""
        self._ended.set()
        self._process.kill()
        self._process.wait()


def _password(home: Path) -> str:
    """The server's password, made once; only the home's owner can read it."""
    file = home / "password"
    try:
        return file.read_text("ascii")
    except FileNotFoundError:
        home.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f"password.{os.getpid()}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(24), "ascii")
        aside.replace(file)
        return file.read_text("ascii")


def _wait(url: str, seconds: float, alive: Callable[[], bool]) -> None:
    """Return when the server at `url` is healthy; EngineError after `seconds` or once it is dead."""
    import urllib.request

    import prefect.task_runners  # noqa: F401

    until = time.monotonic() + seconds
    while alive() and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310  (the user's own server)
                return
        except (OSError, ValueError):
            time.sleep(0.05)
    raise EngineError(f"Prefect's server at {url} does not answer; run with --plain to do without it")


def main(port: int, scheduling: bool) -> None:
    """Serve Prefect's API on loopback until standard input ends, with `scheduling` pages and clocks, too."""

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=not scheduling)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical")


if __name__ == "__main__":
    main(int(sys.argv[1]), "scheduling" in sys.argv[2:])
