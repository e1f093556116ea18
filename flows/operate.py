"""The commands of running it: the week, the daily look, schedule and pages, and whether all is well."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.usage import (
    AsJson,
    AsOf,
    Live,
    Model,
    Replay,
    State,
    UsageError,
    day_of,
    known_sources,
    one_origin,
    print_json,
)

if TYPE_CHECKING:
    from flows.home import Home
    from flows.shards import Engine
    from flows.weekly import Request, WeeklyRun

Plain = Annotated[bool, typer.Option(help="Run the steps without Prefect.")]
Send = Annotated[bool, typer.Option("--send", help="Then send the mails, as fundmatch digest send does.")]
EngineName = Annotated[
    str, typer.Option("--engine", help="here, or dask: encode and match in other processes.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of a Dask cluster, as tcp://host:8786; without it, of here."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=256, help="Dask workers on this machine; by default one a core.")
]


def add_operate(app: typer.Typer) -> None:
    """Put the commands of running it into the command line."""
    app.command()(run)
    app.command()(deadlines)
    app.command()(serve)
    app.command()(doctor)


def run(
    replay: Replay = None,
    live: Live = False,
    sources: Annotated[str | None, typer.Option(help="Only these sources, with commas between.")] = None,
    as_of: AsOf = None,
    model: Model = None,
    plain: Plain = False,
    send: Send = False,
    engine: EngineName = "here",
    scheduler: Scheduler = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Crawl, match, publish the warehouse and write digest previews: the whole week.

    A run that died is gone on with by the same command within 20 hours.
    """
    from flows.weekly import Request

    one_origin(replay, live)
    if engine not in ("here", "dask"):
        raise UsageError(f"--engine {engine}: use here or dask")
    if engine == "here" and (scheduler or workers):
        raise UsageError("--scheduler and --workers are for --engine dask")
    if engine == "dask" and plain:
        raise UsageError("--engine dask runs its shards as Prefect tasks: leave --plain out")
    if scheduler and workers:
        raise UsageError("--workers are of this machine: a cluster at --scheduler has its own")
    known = known_sources(sources.split(",") if sources else [])
    request = Request(home=State.home, replay=replay, sources=known, as_of=day_of(as_of), model=model)
    spread = _on_dask(scheduler, workers) if engine == "dask" else None
    _whole(request, "week", plain=plain, send=send, as_json=as_json, spread=spread)


def deadlines(
    replay: Replay = None,
    live: Live = False,
    within: Annotated[int, typer.Option(min=1, max=365, help="Days ahead, of the deadlines.")] = 21,
    as_of: AsOf = None,
    plain: Plain = False,
    send: Send = False,
    as_json: AsJson = False,
) -> None:
    """The daily look: read again the sources of open calls whose deadline is near, and publish what changed.

    With --send, readers who were told of a call get a mail the same day if its deadline went or came nearer.
    """
    from flows.daily import due_sources
    from flows.home import Home
    from flows.weekly import Request

    one_origin(replay, live)
    day = day_of(as_of)
    sources = due_sources(Home(State.home), day, within)
    if not sources:
        print(f"no open call has a deadline within {within} days", file=sys.stderr)
        if as_json:
            print_json({"run": None})
        return
    request = Request(home=State.home, replay=replay, sources=sources, as_of=day)
    _whole(request, "day", plain=plain, send=send, as_json=as_json)


def _whole(
    request: Request,
    post: Literal["week", "day"],
    *,
    plain: bool,
    send: bool,
    as_json: bool,
    spread: Callable[[], Any] | None = None,
) -> None:
    """Run a request as the command line does, print what came of it, and end with its status."""
    from flows.engine import leave, server
    from flows.home import Home

    home = Home(request.home)
    home.create()
    if send:
        from flows.mail.send import check_settings

        check_settings()  # before an hour's work, not after it
    gc.disable()  # a run's records live until its end, and so does this process
    with ExitStack() as stack:
        # the server starts while libraries, profiles and model are being read
        ready = None if plain else stack.enter_context(server(home.prefect))
        from flows.terminal import TerminalReporter, print_changes, print_week
        from flows.weekly import WeeklyRun, run_plainly

        reporter = stack.enter_context(TerminalReporter())
        week = WeeklyRun(request, reporter, post=post if send else None)
        if ready is None:
            run_plainly(week)
        else:
            ready()
            from flows.orchestration import run_under_prefect

            week.engine = stack.enter_context(spread()) if spread else week.engine
            week = run_under_prefect(week)
    sent = week.sent
    if as_json:
        print_json(_document(week))
    else:
        if post == "day":
            print_changes(week)
        else:
            print_week(week)
        if sent is not None:
            from flows.mail.commands import print_sent

            print_sent(sent)
    faults = any(issue.severity != "info" for issue in week.issues) or (sent is not None and sent.faults)
    leave(1 if faults else 0)


def _on_dask(scheduler: str | None, workers: int | None) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[Engine]:
        try:
            from flows.cluster import cluster
        except ModuleNotFoundError as error:
            raise UsageError(
                "Dask is not installed; install it with: pip install 'fundmatch[dask]'"
            ) from error
        with cluster(scheduler, workers) as found:
            yield found

    return opened


def _document(week: WeeklyRun) -> dict[str, Any]:
    assert week.run is not None
    return {
        "run": week.run.model_dump(mode="json"),
        "sources": [h.model_dump(mode="json") for h in week.health],
        "calls": len(week.calls),
        "open_calls": sum(call.status == "open" for call in week.calls),
        "profiles": len(week.profiles),
        "matches": len(week.matches),
        "warehouse": str(week.home.warehouse),
        "digests": str(week.digest_folder),
        "issues": [issue.model_dump(mode="json") for issue in week.issues],
        "mails": week.sent.document() if week.sent else None,
    }


def serve(
    web: Annotated[
        bool, typer.Option("--web", help="The pages that mails link to, not the schedule.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Address of the pages; put a reverse proxy with TLS before them.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the pages.")] = 8400,
    replay: Replay = None,
    send: Annotated[bool, typer.Option(help="Send the mails of each week and day.")] = True,
) -> None:
    """Run the week and the daily look when they are due, until it is stopped; or with --web, serve the pages.

    Uses the Prefect server at PREFECT_API_URL, or else one of its own, whose pages are at 127.0.0.1:4200.
    """
    from flows.home import Home

    home = Home(State.home)
    home.create()
    if web:
        return _serve_pages(home, host, port)
    if replay is not None and not replay.exists():
        raise UsageError(f"--replay {replay}: no such file or folder")
    home.profiles()  # better now than on Monday at five
    if send:
        from flows.mail.send import check_settings

        check_settings()
    from flows.schedule import serve_schedule

    return serve_schedule(home, replay, send=send)


def _serve_pages(home: Home, host: str, port: int) -> None:
    import uvicorn

    from flows.mail import settings
    from flows.mail.outbox import open_outbox
    from flows.mail.web import application

    where = settings.web()
    if where is None:
        raise UsageError("FUNDMATCH_WEB_URL is not set; give the address that readers reach these pages at")
    open_outbox(home).close()
    uvicorn.run(
        application(home, where),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,  # addresses of pages are keys
        server_header=False,
        limit_concurrency=200,
        timeout_keep_alive=5,
    )


def doctor(
    online: Annotated[bool, typer.Option(help="Also ask the mail server, the pages and the DNS.")] = True,
    as_json: AsJson = False,
) -> None:
    """Look whether the next week will come out: disk, model, last run, sources, mail; and say what to do."""
    from flows.doctor import examine
    from flows.home import Home

    found = examine(Home(State.home), online=online)
    if as_json:
        print_json([vars(each) for each in found])
    else:
        from flows.terminal import print_findings

        print_findings(found)
    raise typer.Exit(1 if any(each.state == "wrong" for each in found) else 0)
