"""Put a checked warehouse in place of the published one, at once: readers see the old or the new."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_ASIDE = re.compile(r"\.(\d+)\.building(\.\w+)?$")


def publish(built: Path, current: Path) -> None:
    """Move `built` to `current` atomically; a reader that has the old file open keeps it.

    Files that earlier builds left behind are removed when their process is gone.
    """
    with built.open("rb") as stream:
        os.fsync(stream.fileno())
    built.replace(current)
    folder = os.open(current.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    for leftover in current.parent.glob("*.building*"):
        match = _ASIDE.search(leftover.name)
        if match and not _alive(int(match[1])):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
