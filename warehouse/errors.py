"""What can be wrong with a warehouse or a question to it: errors of a line or two that say what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from warehouse import SCHEMA_VERSION


class WarehouseError(Exception):
    """A warehouse that cannot be built, written or published; one line a problem."""


class WarehouseUnreadable(Exception):
    """The published file cannot be opened or read; one line that says what to do."""


class NoWarehouse(FileNotFoundError):
    """Nothing was published yet; one line that says what to do."""


class BadQuery(ValueError):
    """A query that DuckDB does not understand; its words, where it stumbled, and what there is."""


class _Unknown(KeyError):
    def __str__(self) -> str:
        return str(self.args[0])


class UnknownCall(_Unknown):
    """No call, or several, go by that name; one line with near misses."""


class UnknownProfile(_Unknown):
    """No profile of the run has that id; one line with near misses."""


class UnknownDay(_Unknown):
    """Nothing was known yet on that day; one line with the first day."""


def first_line(error: BaseException) -> str:
    """What went wrong, without the rest."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def advice(error: BaseException) -> str:
    """What to do about a published file that cannot be opened."""
    if "Could not set lock" in str(error):
        return "another program has it open for writing: close it there, or open it there read-only"
    return "restore a copy, or move it away and run again"


def near_misses(name: str, known: Iterable[str], otherwise: str) -> str:
    """A hint that ends a sentence about an unknown name: what may be meant, or where to look."""
    near = get_close_matches(name, known, n=3, cutoff=0.45)
    return f"did you mean {', '.join(near)}?" if near else otherwise


def other_version(found: object) -> str:
    """What to do about a file of another schema version than ours."""
    if isinstance(found, int) and found < SCHEMA_VERSION:
        return (
            f"it was written by an older fundmatch (schema {found}, here {SCHEMA_VERSION}); "
            "bring it up with: fundmatch upgrade"
        )
    return (
        f"it was written by a newer fundmatch (schema {found}, here {SCHEMA_VERSION}); "
        "update this one, or restore an older copy of the file"
    )
