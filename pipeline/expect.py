"""Bounds on a crawl: what a healthy source looks like, so that a broken one is not an empty world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from pipeline.schema import Call, Issue, Organisation


@dataclass(frozen=True)
class Expect:
    """Least number of records, least share of the last good crawl, least fill rate per field.

    Where `stale_after_days` is set, a record that was last checked longer ago is told of.
    """

    min_records: int = 1
    min_share_of_last: float = 0.5
    fill: dict[str, float] = field(default_factory=dict)
    stale_after_days: int | None = None


def faults(
    expect: Expect, found: Sequence[Call] | Sequence[Organisation], last_good: int | None
) -> list[str]:
    """Why a crawl is not to be trusted, in plain words; empty when it is. `last_good`: its record count."""
    if len(found) < expect.min_records:
        return [f"{len(found)} records; at least {expect.min_records} are expected"]
    told = []
    if last_good and len(found) < expect.min_share_of_last * last_good:
        told.append(f"{len(found)} records; the last good crawl had {last_good}")
    for name, least in sorted(expect.fill.items()):
        share = sum(getattr(record, name) not in (None, (), "") for record in found) / len(found)
        if share < least:
            told.append(f"{name} is filled in {share:.0%} of the records; at least {least:.0%} is expected")
    return told


def stale(expect: Expect, calls: Sequence[Call], as_of: date) -> list[Issue]:
    """A warning for each call that was last checked too long ago, or never, as of a day."""
    if expect.stale_after_days is None:
        return []
    issues = []
    for call in calls:
        age = (as_of - call.checked_on).days if call.checked_on else None
        if age is None or age > expect.stale_after_days:
            told = f"last checked on {call.checked_on}, {age} days ago" if age else "never checked"
            key = call.call_id.partition(":")[2]
            issues.append(
                Issue(
                    source=call.source,
                    severity="warning",
                    code="stale_entry",
                    detail=f"{call.title}: {told}; check it again",
                    key=key,
                )
            )
    return issues
