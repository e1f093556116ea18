"""Bounds on a crawl: what a healthy source looks like, so that a broken one is not an empty world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.schema import Call


@dataclass(frozen=True)
class Expect:
    """Least number of records, least share of the last good crawl, least fill rate per `Call` field."""

    min_records: int = 1
    min_share_of_last: float = 0.5
    fill: dict[str, float] = field(default_factory=dict)


def faults(expect: Expect, calls: Sequence[Call], last_good: int | None) -> list[str]:
    """Why a crawl is not to be trusted, in plain words; empty when it is. `last_good`: its record count."""
    if len(calls) < expect.min_records:
        return [f"{len(calls)} records; at least {expect.min_records} are expected"]
    found = []
    if last_good and len(calls) < expect.min_share_of_last * last_good:
        found.append(f"{len(calls)} records; the last good crawl had {last_good}")
    for name, least in sorted(expect.fill.items()):
        share = sum(getattr(call, name) not in (None, (), "") for call in calls) / len(calls)
        if share < least:
            found.append(f"{name} is filled in {share:.0%} of the records; at least {least:.0%} is expected")
    return found
