"""Schemes kept by hand: without opening or deadline, so that no site announces them, and still the answer.

They stand in `crawlers/evergreen.yml`, or in the file that `FUNDMATCH_EVERGREEN` names, each with the day on
which a person last checked it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError

from crawlers.reading import Unreadable
from crawlers.source import Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall, Record, Section, Slug, Text
from pipeline.yaml_text import read_yaml

PACKAGED = Path(__file__).parent.parent / "evergreen.yml"


class Fact(Record):
    """A labelled statement."""

    label: Text
    text: Text


class Entry(Record):
    """One scheme. A field that nobody declared is refused, and so is one of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: Slug
    title: Text
    url: str = Field(pattern=r"^https?://[^\s/]+\.\S+$")
    level: Level | None = None  # the source's, where it is left out
    programme: Text | None = None
    issuer: Text
    language: Literal["nl", "fy", "en", "de"]
    checked_on: date
    status: Text | None = None
    facts: list[Fact] = Field(default_factory=list)
    sections: list[Section] = Field(min_length=1)
    applicants: list[Text] = Field(default_factory=list)
    regions: list[Text] = Field(default_factory=list)


class Evergreen(Source):
    """Reads the file, and nothing from the web."""

    name = "evergreen"
    level: ClassVar[Level] = "national"
    home = "https://www.rvo.nl/subsidies-financiering"
    hosts = ()
    offline = True
    zone = "Europe/Amsterdam"
    expect = Expect(min_records=3, fill={"title": 1.0}, stale_after_days=180)

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every entry that is as it should be, and an error for every other."""
        path = Path(os.environ.get("FUNDMATCH_EVERGREEN", "").strip() or PACKAGED)
        try:
            body = path.read_bytes()
            entries, faults = read_entries(body)
        except (OSError, Unreadable) as error:
            yield self.issue("error", "unreadable_file", f"{path.name}: {error}")
            return
        digest = hashlib.sha256(body).hexdigest()
        for entry in entries:
            page = Page(
                url=entry.url,
                fetched_at=datetime.combine(entry.checked_on, time(), UTC),
                sha256=digest,
                archive_record=f"{path.name}#{entry.key}",
            )
            fields = entry.model_dump(mode="json", exclude={"key"}, exclude_none=True)
            yield RawCall(source=self.name, key=entry.key, fields=fields, pages=(page,))
        for key, fault in faults:
            yield self.issue("error", "entry_refused", fault, key)


def read_entries(body: bytes) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The good entries of a file in their order, and (key or position, fault) of the others.

    Raises Unreadable where it is no list of entries.
    """
    try:
        items = read_yaml(body)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"no YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(items, list) or not items:
        raise Unreadable("no list of entries")
    entries: dict[str, Entry] = {}
    faults: list[tuple[str, str]] = []
    for number, item in enumerate(items, 1):
        name = str(item.get("key") or f"entry {number}") if isinstance(item, dict) else f"entry {number}"
        try:
            entry = Entry.model_validate(item)
        except ValidationError as error:
            faults.append((name, "; ".join(map(_fault, error.errors()))))
            continue
        if entry.key in entries:
            faults.append((name, "an entry before it has the same key"))
        entries.setdefault(entry.key, entry)
    return list(entries.values()), faults


def _fault(error: Any) -> str:
    where = ".".join(map(str, error["loc"])) or "entry"
    return f"{where}: {error['msg']}"
