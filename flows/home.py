"""Where everything lives under `--home`, and the profiles that were imported there."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pipeline.profiles import ProfileError, read_profiles
from pipeline.schema import Profile


class HomeError(Exception):
    """The home folder is not usable as it is; the message says what to do, in one line."""


@dataclass(frozen=True)
class Home:
    """Paths below one home folder."""

    path: Path

    @property
    def archive(self) -> Path:
        return self.path / "archive"

    @property
    def crawls(self) -> Path:
        return self.path / "crawls"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def vectors(self) -> Path:
        return self.path / "vectors"

    @property
    def index(self) -> Path:
        return self.path / "index"

    @property
    def digests(self) -> Path:
        return self.path / "digests"

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse.duckdb"

    @property
    def feedback(self) -> Path:
        return self.path / "feedback.jsonl"

    @property
    def not_listed(self) -> Path:
        return self.path / "not_listed.json"

    @property
    def mail(self) -> Path:
        return self.path / "mail.sqlite"

    @property
    def prefect(self) -> Path:
        return self.path / "prefect"

    @property
    def _profiles(self) -> Path:
        return self.path / "profiles.json"

    def create(self) -> None:
        """Make the folder. Raises HomeError when that cannot be done."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise HomeError(
                f"{self.path}: cannot be used as home ({error.strerror}); choose another with --home"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[str | None]:
        """Keep other runs out of this home; the system ends the lock with the process, however it dies.

        Yields who had it before and died, as words; None where all ended well. Raises HomeError when held.
        """
        with (self.path / "run.lock").open("a+", encoding="utf-8") as stream:
            stream.seek(0)
            holder = " ".join(stream.read(200).split())
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                who = f" ({holder})" if holder else ""
                raise HomeError(
                    f"{self.path}: another run is at work here{who}; wait for it to end"
                ) from error
            _write_lock(stream, f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
            yield holder or None
            _write_lock(stream, "")  # not where the body raised: then the run was not finished

    def profiles(self) -> list[Profile]:
        """Imported profiles by id. Raises HomeError when there are none or the file is damaged."""
        try:
            found = read_profiles(self._profiles.read_bytes(), self._profiles.name)
        except FileNotFoundError:
            raise HomeError(
                f"{self.path}: no profiles yet; import some with: fundmatch profiles import FILE"
            ) from None
        except ProfileError as error:
            raise HomeError(
                f"{self._profiles}: damaged ({error}); move it away, then import the profiles again"
            ) from error
        return sorted(found, key=lambda profile: profile.id)

    def import_profiles(self, files: list[Path]) -> tuple[int, int]:
        """Add the profiles of all files, or of none: (added, replaced). Raises ProfileError, HomeError."""
        problems: list[str] = []
        new: dict[str, tuple[Profile, Path]] = {}
        for file in files:
            try:
                for profile in read_profiles(file.read_bytes(), file.name):
                    if profile.id in new:
                        problems.append(
                            f"{file.name}: id {profile.id!r} is also in {new[profile.id][1].name}"
                        )
                    new[profile.id] = (profile, file)
            except OSError as error:
                problems.append(f"{file}: cannot be read ({error.strerror})")
            except ProfileError as error:
                problems += error.problems
        if problems:
            raise ProfileError(*problems)
        self.create()
        old = {profile.id: profile for profile in self.profiles()} if self._profiles.exists() else {}
        replaced = len(old.keys() & new.keys())
        merged = old | {key: profile for key, (profile, _) in new.items()}
        write_whole(
            self._profiles,
            json.dumps(
                [profile.model_dump(mode="json") for _, profile in sorted(merged.items())],
                ensure_ascii=False,
                indent=1,
            ),
        )
        return len(new) - replaced, replaced


def _write_lock(stream: TextIO, text: str) -> None:
    stream.seek(0)
    stream.truncate()
    stream.write(text)
    stream.flush()


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, and never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.writing")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
