"""`fundmatch serve`: the week and the daily look at their hours, in Amsterdam's time, until it is stopped.

Each is a process of its own, so that one that hangs or is cancelled leaves the schedule alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from flows.engine import server
from flows.home import Home

ZONE = "Europe/Amsterdam"
WEEKLY, DAILY = "0 5 * * 1", "0 6 * * 2-7"  # cron: minute hour day month weekday; before working hours
PAGES = 4200  # port of an own server's pages


class ScheduleError(Exception):
    """The schedule cannot be kept; the message says what to do, in one line."""


def crons() -> tuple[str, str]:
    """When the week and the daily look are due. Raises ScheduleError at a cron that is none."""
    from prefect.client.schemas.schedules import CronSchedule

    found = []
    for name, default in (("FUNDMATCH_WEEKLY", WEEKLY), ("FUNDMATCH_DAILY", DAILY)):
        cron = os.environ.get(name, "").strip() or default
        try:
            CronSchedule(cron=cron, timezone=ZONE)
        except ValueError as error:
            told = f"{name} {cron!r}: give minute, hour, day, month and weekday, as {default!r}"
            raise ScheduleError(told) from error
        found.append(cron)
    return found[0], found[1]


def serve_schedule(home: Home, replay: Path | None, *, send: bool) -> None:
    """Keep the schedule until the process is stopped. Raises EngineError, ScheduleError."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    with server(home.prefect, port=PAGES, scheduling=True) as ready:
        ready()  # Prefect reads where its server is when it is first imported
        weekly_cron, daily_cron = crons()
        from prefect import serve
        from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
        from prefect.schedules import Cron
        from prefect.types.entrypoint import EntrypointType

        from flows.orchestration import deadlines, weekly

        told = {"home": str(home.path.resolve()), "send": send}
        told |= {"replay": str(replay.resolve())} if replay else {}
        deployed: list[Any] = [
            flow.to_deployment(
                name="fundmatch",
                schedule=Cron(cron, timezone=ZONE),
                parameters=told,
                concurrency_limit=ConcurrencyLimitConfig(
                    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
                ),
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            for flow, cron in ((weekly, weekly_cron), (deadlines, daily_cron))
        ]
        print(
            f"weekly at {weekly_cron!r}, deadlines at {daily_cron!r} ({ZONE}); pages: "
            f"{os.environ['PREFECT_API_URL'].removesuffix('/api')}",
            file=sys.stderr,
        )
        # what was due while nobody served is made up for, once
        serve(*deployed, pause_on_shutdown=False, print_starting_message=False)
