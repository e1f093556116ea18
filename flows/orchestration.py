"""The week and the daily look as Prefect flows: order, tries, time limits, and what Prefect's pages show.

There is no logic here: a run goes on from its own files, whoever starts it again, so that Prefect keeps no
results beside them. `prefect.yaml` and `fundmatch serve` deploy the two flows.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from pathlib import Path
from typing import Any, Literal

from httpx import HTTPError
from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from flows import engine
from flows.daily import due_sources
from flows.engine import EngineError
from flows.home import Home
from flows.shards import Here
from flows.shown import matches_shown, sources_shown, stages_shown
from flows.weekly import SOURCES_AT_ONCE, Request, WeeklyRun, run_plainly

CRAWL_TRIES = 2  # more of a source that could not be reached at all
FIRST_PAUSE = 30  # seconds before the second try; doubled before the third, and up to half as long again
STEP_SECONDS = 4 * 3600  # no step of a healthy week takes near as long
RUN_TRIES, RUN_PAUSE = 2, 900  # more of a run that could not end, as beside another run or on a full disk

# Threads, since a crawl is a process of its own that its task waits for
FLOW: dict[str, Any] = {
    "task_runner": ThreadPoolTaskRunner(max_workers=SOURCES_AT_ONCE),
    "validate_parameters": False,
    "persist_result": False,
}
DEPLOYED = FLOW | {
    "validate_parameters": True,
    "retries": RUN_TRIES,
    "retry_delay_seconds": RUN_PAUSE,
    "timeout_seconds": 8 * 3600,
}


async def in_tasks(run: WeeklyRun) -> None:
    """All steps of a run as tasks of the flow that this is called in; the home is the run's meanwhile.

    A crawl has its own time limit, which ends its process; Prefect cannot end what waits for one.
    """
    live = run.request.replay is None
    with run.working():
        crawls = [
            task(
                name=f"crawl {source}",
                tags={"crawl"},
                retries=CRAWL_TRIES if live else 0,
                retry_delay_seconds=exponential_backoff(FIRST_PAUSE),
                retry_jitter_factor=0.5,
                persist_result=False,
            )(run.crawl).submit(source)
            for source in run.sources
        ]
        for crawled in crawls:
            crawled.wait()  # what a source lacks is noted in the run, which goes on without it
        for step in run.steps():
            task(name=step.__name__, timeout_seconds=STEP_SECONDS, persist_result=False)(step)()
        await _show(run)


def run_under_prefect(run: WeeklyRun) -> WeeklyRun:
    """The steps of a run as a Prefect flow, on the server that `engine.server` has; the run as it ended.

    Where that server is lost in the midst, the run is gone on with without it. Raises EngineError where it
    cannot, since its shards are Prefect's tasks.
    """

    @flow(name="weekly", **FLOW)
    async def weekly() -> None:  # an asynchronous flow costs a second less
        await in_tasks(run)

    try:
        asyncio.run(weekly())
    except (HTTPError, PrefectException) as error:
        engine.lost = True
        if run.ended:
            return run
        if not isinstance(run.engine, Here):
            raise EngineError("Prefect's server was lost; the same command goes on with the run") from error
        print("Prefect's server was lost; going on without it", file=sys.stderr)
        again = WeeklyRun(run.request, run.told, post=run.post)
        run_plainly(again)
        return again
    return run


@flow(name="weekly", **DEPLOYED)
async def weekly(
    home: Path,
    replay: Path | None = None,
    sources: list[str] | None = None,
    as_of: date | None = None,
    send: bool = True,
) -> State[Any]:
    """Read all sources, match, publish, and with `send` mail the digests and whom it concerns of a fault."""
    return await _deployed(Request(home, replay, tuple(sources or ()), as_of), "week", send=send)


@flow(name="deadlines", **DEPLOYED)
async def deadlines(
    home: Path, replay: Path | None = None, as_of: date | None = None, within: int = 21, send: bool = True
) -> State[Any]:
    """Read the sources again whose calls have a deadline `within` days; mail what cannot wait."""
    sources = due_sources(Home(home), as_of, within)
    if not sources:
        return Completed(message=f"no deadline within {within} days")
    return await _deployed(Request(home, replay, sources, as_of), "day", send=send)


async def _deployed(request: Request, post: Literal["week", "day"], *, send: bool) -> State[Any]:
    run = WeeklyRun(request, post=post if send else None)
    await in_tasks(run)
    faults = [
        f"{source.source} is {source.state}" for source in run.health if source.state not in ("ok", "kept")
    ]
    if run.sent and run.sent.faults:  # which may name readers, whom Prefect is not to know
        faults.append("mails need a look: fundmatch digest outbox")
    if faults:
        return Completed(name="With faults", message="; ".join(faults)[:1000])
    return Completed(message=f"run {run.work.run_id}")


async def _show(run: WeeklyRun) -> None:
    """Tables that Prefect's pages show beside the run."""
    await acreate_table_artifact(
        table=sources_shown(run), key="sources", description="Each source: state, records, what is wrong."
    )
    await acreate_table_artifact(
        table=stages_shown(run), key="stages", description="Seconds and items of each stage."
    )
    await acreate_table_artifact(
        table=matches_shown(run), key="matches", description="The best three open calls of each profile."
    )
