"""What requirements.lock says, and whether that is what is installed here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
OURS = frozenset({"fundmatch", "pip"})  # installed, and rightly not in the lock
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_LINE = re.compile(r"([a-z0-9.-]+)==([^ ;]+)(?: ; (.+))?")


@dataclass(frozen=True)
class Locked:
    """One distribution of the lock."""

    version: str
    marker: str | None
    hashes: frozenset[str]
    part: str  # title of the part it stands in

    @property
    def here(self) -> bool:
        """Whether it is meant for this platform and Python."""
        return self.marker is None or Marker(self.marker).evaluate()


def read_lock(text: str) -> dict[str, Locked]:
    """The lock by canonical name. Raises ValueError at the first line that pins or hashes nothing."""
    found: dict[str, Locked] = {}
    part = ""
    for line in text.replace(" \\\n", " ").splitlines():
        if line.startswith("# "):
            part = line[2:]
        elif line.strip():
            pin, *hashes = line.split("    ")
            match = _LINE.fullmatch(pin.strip())
            printed = [value.strip() for value in hashes]
            if not match or not printed or not all(map(_HASH.fullmatch, printed)):
                raise ValueError(f"not a pin with hashes: {line[:100]!r}")
            name, version, marker = match.groups()
            if canonicalize_name(name) in found:
                raise ValueError(f"{name} is there twice")
            found[canonicalize_name(name)] = Locked(version, marker, frozenset(printed), part)
    return found


def installed() -> dict[str, str]:
    """Versions by canonical name of what this interpreter can import."""
    return {canonicalize_name(found.metadata["Name"]): found.version for found in distributions()}


def differences(lock: Mapping[str, Locked], present: Mapping[str, str]) -> list[str]:
    """A line for each distribution that is not what the lock says. JupyterLab's part may be absent."""
    odd = []
    for name, locked in lock.items():
        if name in present:
            # a local part, as in 2.13.0+cpu, names a build of the version; its file's hash is in the lock
            if Version(Version(present[name]).public) != Version(locked.version):
                odd.append(f"{name} is {present[name]}; the lock says {locked.version}")
        elif locked.here and locked.part != "JupyterLab":
            odd.append(f"{name} {locked.version} is in the lock and not installed")
    strange = sorted(present.keys() - lock.keys() - OURS)
    return odd + [f"{name} {present[name]} is installed and not in the lock" for name in strange]
