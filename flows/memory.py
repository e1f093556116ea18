"""How much memory a process has needed."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path


def peak_memory_mib() -> float:
    """Peak resident size of this process plus that of its largest child so far, in MiB.

    On Linux `ru_maxrss` begins at the size of whoever started the process (exec keeps the larger of the
    two, getrusage(2)), so that the process's own peak is read from proc(5)'s `VmHWM` where there is one.
    """
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if high_water := re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE):
            own = int(high_water[1])
    return round((own + child) / unit, 1)
