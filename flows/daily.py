"""The daily look: whose deadlines are near enough that a week is too long to wait for news of them."""

from __future__ import annotations

from datetime import UTC, date, datetime

from crawlers.source import source_class
from flows.home import Home
from pipeline.deadlines import next_deadline, on
from warehouse.records import open_records


def due_sources(home: Home, as_of: date | None, within: int) -> tuple[str, ...]:
    """The sources that tell of an open call with a deadline at most `within` days ahead, by name.

    Raises NoWarehouse, WarehouseUnreadable.
    """
    day = as_of or datetime.now(UTC).date()
    with open_records(home.warehouse) as warehouse:
        calls = warehouse.call_records(open_only=True)
    near = [
        call
        for call in calls
        if (ahead := next_deadline(call, day)) is not None and (on(ahead) - day).days <= within
    ]
    names = {d.source for call in near for d in call.documents} | {call.source for call in near}
    return tuple(sorted(name for name in names if not source_class(name).offline))
