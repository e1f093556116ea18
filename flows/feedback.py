"""Feedback kept in the home: a line of JSON each, only ever appended, on disk before it is acknowledged.

A process that is killed while it writes leaves at most a torn last line, which the next one closes off. Lines
that are no feedback are told and passed over, and never stop a run.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import FileIO
from typing import TYPE_CHECKING, BinaryIO

from flows.home import Home, HomeError
from pipeline.feedback import Marks
from pipeline.schema import Feedback, Issue

if TYPE_CHECKING:
    from warehouse.records import Records

LONGEST_WHY = 500  # characters
PATIENCE = 10.0  # seconds to wait for another process, which needs a few milliseconds


class FeedbackError(Exception):
    """What was said cannot be taken as feedback; one line that says why."""


def say(
    home: Home,
    warehouse: Records,
    profile_id: str,
    told: Marks,
    call_id: str,
    verdict: str,
    why: str | None,
) -> Feedback:
    """Store what a profile says of a call, by any of its ids, as of now; `cleared` withdraws it.

    `told` is what it said before. Raises UnknownCall, HomeError, and FeedbackError where there is nothing to
    withdraw or `why` is too long.
    """
    reason = " ".join((why or "").encode("utf-8", "replace").decode().split())
    if len(reason) > LONGEST_WHY:
        raise FeedbackError(f"the reason has {len(reason)} characters; say it in {LONGEST_WHY}")
    known = call_id if call_id in told else warehouse.call(call_id).call_id
    if verdict == "cleared" and known not in told:
        raise FeedbackError(f"{profile_id} has said nothing of {known}; see: fundmatch feedback {profile_id}")
    said = {"profile_id": profile_id, "call_id": known, "verdict": verdict, "why": reason or None}
    return give(home, Feedback.model_validate(said | {"given_at": datetime.now(UTC)}))


def give(home: Home, feedback: Feedback) -> Feedback:
    """Append feedback to the home's; returns it as it is now on disk.

    Its time is put after that of all before it, so that the last is the newest whatever the clock does.
    Raises HomeError when it cannot be stored; nothing is then.
    """
    home.create()
    try:
        with home.feedback.open("a+b", buffering=0) as stream, _locked(stream, fcntl.LOCK_EX):
            stream.seek(0)
            whole = stream.read()
            times = [told.given_at + timedelta(microseconds=1) for told in _parsed(whole, home)[0]]
            stored = feedback.model_copy(update={"given_at": max([feedback.given_at, *times])})
            torn = b"\n" if whole and not whole.endswith(b"\n") else b""
            try:
                _write(stream, torn + stored.model_dump_json().encode() + b"\n")
            except OSError:
                stream.truncate(len(whole))
                raise
            if not whole:
                _sync_folder(home)
    except OSError as error:
        raise HomeError(f"{home.feedback}: feedback cannot be stored ({error.strerror})") from error
    return stored


def read(home: Home) -> tuple[list[Feedback], list[Issue]]:
    """All feedback in the order in which it was given, and a warning for each line that is none.

    Raises HomeError when the file cannot be read at all.
    """
    try:
        with home.feedback.open("rb") as stream:
            try:
                with _locked(stream, fcntl.LOCK_SH):
                    whole = stream.read()
            except HomeError:
                whole = stream.read()  # at worst without a last line that is being written
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise HomeError(f"{home.feedback}: feedback cannot be read ({error.strerror})") from error
    return _parsed(whole, home)


def _parsed(whole: bytes, home: Home) -> tuple[list[Feedback], list[Issue]]:
    found: list[Feedback] = []
    unread: list[Issue] = []
    for number, line in enumerate(whole.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(Feedback.model_validate_json(line))
        except ValueError:
            detail = f"{home.feedback.name}: line {number} is damaged, so what it said is not known"
            unread.append(Issue(source="feedback", severity="warning", code="feedback_unread", detail=detail))
    return found, unread


def _write(stream: FileIO, line: bytes) -> None:
    """Write all of it, to the disk and not only to memory."""
    while line:
        line = line[stream.write(line) :]
    os.fsync(stream.fileno())


@contextmanager
def _locked(stream: BinaryIO | FileIO, kind: int) -> Iterator[None]:
    """Hold a lock on an open file, which goes with it. Raises HomeError after PATIENCE seconds in vain."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                raise HomeError(f"{stream.name}: another process holds it; try again") from None
            time.sleep(0.01)
    yield


def _sync_folder(home: Home) -> None:
    """Put a new file's name on disk, too."""
    folder = os.open(home.path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
