"""What all commands share: the home they work in, options, and errors of usage."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.schema import Profile, Run
    from warehouse.records import Records

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="YYYY-MM-DD", help="The day that counts as today.")
]

Replay = Annotated[
    Path | None, typer.Option(help="Read pages from this archive (WARC or recorded exchanges), not the web.")
]
Live = Annotated[bool, typer.Option("--live", help="Read the sources on the web, politely.")]
Model = Annotated[
    str | None, typer.Option(envvar="FUNDMATCH_MODEL", help="Embedding model: name, folder or hub id.")
]


class UsageError(Exception):
    """What was asked cannot be done; the message says what to do instead, in one line."""


class State:
    """The options of all commands, set before any of them runs."""

    home: Path


def published() -> Records:
    from warehouse.records import open_records

    return open_records(State.home / "warehouse.duckdb")


def last_run(warehouse: Records) -> Run:
    last = warehouse.latest_run()
    if last is None:
        raise UsageError("the warehouse holds no run yet; make one with: fundmatch run")
    return last


def pick(profiles: list[Profile], profile_id: str) -> Profile:
    from difflib import get_close_matches

    by_id = {profile.id: profile for profile in profiles}
    if profile_id in by_id:
        return by_id[profile_id]
    near = get_close_matches(profile_id, by_id, n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(near)}?" if near else "; see: fundmatch profiles list"
    raise UsageError(f"there is no profile {profile_id!r}{hint}")


def day_of(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"--as-of {text!r} is not a day; write it as 2026-11-24") from None


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def known_sources(names: list[str]) -> tuple[str, ...]:
    """Names of sources. Raises CrawlError for one that there is not."""
    from crawlers.source import source_class

    return tuple(source_class(name.strip()).name for name in names if name.strip())


def one_origin(replay: Path | None, live: bool) -> None:
    """Raises UsageError unless calls come from the web or from an archive that is there."""
    if (replay is None) != live:
        raise UsageError(
            "say where calls come from: --live (the web) or --replay DIR (an archive), one of them"
        )
    if replay is not None and not replay.exists():
        raise UsageError(f"--replay {replay}: no such file or folder")
    if live and not os.environ.get("FUNDMATCH_CONTACT"):
        print("note: set FUNDMATCH_CONTACT (a mail address) so that sites know whom to ask", file=sys.stderr)
