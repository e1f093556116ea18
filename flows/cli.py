"""The command line `fundmatch`, as docs/cli.md promises it.

Heavy libraries are imported inside the commands that need them, so that help and look-ups start fast.
Progress and faults go to standard error; with --json one document goes to standard output.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.engine import leave
from flows.mail.commands import add_mail
from flows.operate import add_operate
from flows.partners.commands import add_partners
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
    last_run,
    one_origin,
    pick,
    print_json,
    published,
)

if TYPE_CHECKING:
    from pipeline.schema import Match

FEEDBACK_TAKEN = {
    "relevant": "is marked relevant; calls like it rise",
    "not-for-us": "is marked not-for-us and hidden; calls like it fall",
    "cleared": "is no longer marked; calls like it go by their text again",
}
OURS = frozenset({"crawlers", "embeddings", "flows", "pipeline", "warehouse"})

app = typer.Typer(
    name="fundmatch",
    help="Finds the funding calls that fit northern Dutch SMEs and field labs, and says why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
profiles_app = typer.Typer(help="Companies, field labs and hubs that look for money.", no_args_is_help=True)
digest_app = typer.Typer(help="The weekly mails.", no_args_is_help=True)
evaluate_app = typer.Typer(help="How well rankings find what was really funded.", no_args_is_help=True)
history_app = typer.Typer(help="EU projects funded earlier, to rank with.", no_args_is_help=True)
app.add_typer(profiles_app, name="profiles")
app.add_typer(history_app, name="history")
app.add_typer(digest_app, name="digest")
app.add_typer(evaluate_app, name="evaluate")


@app.callback()
def root(
    home: Annotated[
        Path,
        typer.Option(envvar="FUNDMATCH_HOME", help="Where archive, warehouse, vectors and digests live."),
    ] = Path("data"),
) -> None:
    """Options of all commands."""
    State.home = home


@app.command("crawl")
def crawl_command(
    source: Annotated[list[str], typer.Argument(help="Names of sources.")],
    replay: Replay = None,
    live: Live = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Read one or more sources and show their records as printed, without matching them."""
    from crawlers.crawl import crawl
    from flows.home import Home
    from flows.terminal import TerminalReporter, print_issues

    one_origin(replay, live)
    day_of(as_of)
    home = Home(State.home)
    home.create()
    found = []
    with TerminalReporter() as reporter:
        for name in known_sources(source):
            stamp = _stamp()
            reporter.start(f"crawl {name}")
            found.append(
                crawl(
                    name,
                    home.crawls / stamp / f"{name}.jsonl",
                    replay=replay,
                    archive=home.archive / name / f"{stamp}.warc.gz",
                    as_of=as_of,
                    progress=lambda done, total, name=name: reporter.advance(f"crawl {name}", done, total),  # type: ignore[misc]
                )
            )
    issues = [issue for crawled in found for issue in crawled.issues]
    if as_json:
        records = [record.model_dump(mode="json") for crawled in found for record in crawled.records]
        print_json({"records": records, "issues": [issue.model_dump(mode="json") for issue in issues]})
    else:
        for crawled in found:
            print(f"{crawled.source}: {len(crawled.records)} records in {home.crawls}")
        print_issues(issues)
    raise typer.Exit(1 if any(issue.severity != "info" for issue in issues) else 0)


@app.command("sources")
def sources_command(as_json: AsJson = False) -> None:
    """Each source: level, state, records, open calls, last good day and age, what is stale, gone or wrong."""
    from crawlers.sources import source_names

    with published() as warehouse:
        known, last = warehouse.source_rows(), last_run(warehouse)
    never = {"state": "never read", "records": 0, "open_calls": 0, "stale": 0, "not_seen": 0}
    rows = [known.get(name, {"source": name} | never) for name in source_names()]
    if as_json:
        return print_json(rows)
    from flows.terminal import print_sources

    return print_sources(rows, last.as_of)


@profiles_app.command("import")
def profiles_import(
    file: Annotated[list[Path], typer.Argument(help="Files: .yml, .json, .csv or .xlsx.")],
) -> None:
    """Add profiles, or replace those with the same id. One bad entry and nothing is imported."""
    from flows.home import Home

    added, replaced = Home(State.home).import_profiles(file)
    print(f"{added} profiles added, {replaced} replaced")


@profiles_app.command("list")
def profiles_list(as_json: AsJson = False) -> None:
    """All profiles."""
    from flows.home import Home
    from flows.terminal import print_profiles

    found = Home(State.home).profiles()
    if as_json:
        return print_json([profile.model_dump(mode="json") for profile in found])
    return print_profiles(found)


@profiles_app.command("show")
def profiles_show(profile_id: str) -> None:
    """One profile, as JSON."""
    from flows.home import Home

    print_json(pick(Home(State.home).profiles(), profile_id).model_dump(mode="json"))


@history_app.command("import")
def history_import(
    path: Annotated[Path, typer.Argument(help="A CORDIS bulk file or folder, or a folder of Parquet files.")],
    as_json: AsJson = False,
) -> None:
    """Add topics, projects, organisations and participations, or replace those with the same ids."""
    from flows.history import add_history
    from flows.home import Home
    from flows.terminal import TerminalReporter, print_history, print_issues

    with TerminalReporter() as reporter:
        imported, issues = add_history(Home(State.home), path, reporter)
    if as_json:
        found = [issue.model_dump(mode="json") for issue in issues]
        print_json({"imported": imported.rows, "total": imported.total, "issues": found})
    else:
        print_history(imported)
        print_issues(issues)
    raise typer.Exit(1 if issues else 0)


@app.command("calls")
def calls_command(
    query: Annotated[str | None, typer.Argument(help="Words that must all occur in the call.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only calls that are open.")] = False,
    level: Annotated[str | None, typer.Option(help="national, regional, interregional or european.")] = None,
    as_json: AsJson = False,
) -> None:
    """Calls in the warehouse, by deadline."""
    if level not in (None, "national", "regional", "interregional", "european"):
        raise UsageError(f"--level {level!r}: use national, regional, interregional or european")
    with published() as warehouse:
        calls = warehouse.call_records(query, open_only=only_open, level=level)
    if as_json:
        return print_json([call.model_dump(mode="json") for call in calls])
    from flows.terminal import print_calls

    return print_calls(calls)


@app.command("match")
def match_command(
    profile_id: Annotated[str | None, typer.Argument(help="A profile of the last run.")] = None,
    text: Annotated[str | None, typer.Option(help="Match this text instead of a profile.")] = None,
    language: Annotated[str, typer.Option(help="Language of --text: en or nl.")] = "en",
    top: Annotated[int, typer.Option(min=1, max=50, help="How many matches.")] = 10,
    with_failed: Annotated[
        bool, typer.Option("--all", help="Also calls it may not apply for or does not want.")
    ] = False,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """The calls that fit a profile, or a text, best first. Some are hidden: see --all."""
    if (profile_id is None) == (text is None):
        raise UsageError('give a PROFILE_ID, or --text "..."')
    if text is not None and not text.strip():
        raise UsageError("--text is empty; describe what you want to develop in a sentence or more")
    if language not in ("en", "nl"):
        raise UsageError(f"--language {language!r}: use en or nl")
    from flows.home import Home
    from flows.matches import match_text, matches_of
    from pipeline.feedback import hidden

    home = Home(State.home)
    with published() as warehouse:
        as_of = last_run(warehouse).as_of
        if text is not None:
            matches = match_text(home, warehouse, text, language, model, as_of)
        else:
            profile = pick(warehouse.profile_records(), str(profile_id))
            matches = matches_of(home, warehouse, [profile])
        wanted = [m for m in matches if with_failed or not hidden(m)][:top]
        calls = {m.call_id: warehouse.call(m.call_id) for m in wanted}
    if as_json:
        return print_json([match.model_dump(mode="json") for match in wanted])
    from flows.terminal import print_matches

    return print_matches(wanted, calls)


@app.command()
def explain(profile_id: str, call_id: str, model: Model = None, as_json: AsJson = False) -> None:
    """Why one call fits one profile: sentences of both, and every rule with its clause."""
    from flows.home import Home
    from flows.matches import match_call, matches_of

    home = Home(State.home)
    with published() as warehouse:
        as_of = last_run(warehouse).as_of
        profile = pick(warehouse.profile_records(), profile_id)
        call = warehouse.call(call_id)
        kept = {match.call_id: match for match in matches_of(home, warehouse, [profile])}
        match = kept.get(call.call_id) or match_call(home, warehouse, profile, call, model, as_of)
    if match is None:
        raise UsageError(f"{call.call_id} is not matched to {profile_id}: it is {call.status}")
    if as_json:
        return print_json(match.model_dump(mode="json"))
    from flows.terminal import print_explanation

    return print_explanation(profile, call, match)


@app.command("feedback")
def feedback_command(
    profile_id: Annotated[str, typer.Argument(help="An imported profile.")],
    call_id: Annotated[str | None, typer.Argument(help="A call. Without it feedback is listed.")] = None,
    relevant: Annotated[bool, typer.Option("--relevant", help="The call fits: like calls rise.")] = False,
    not_for_us: Annotated[
        bool, typer.Option("--not-for-us", help="The call does not fit: it is hidden, like calls fall.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Withdraw what was said of the call.")] = False,
    why: Annotated[str | None, typer.Option(help="The reason, in a sentence.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a call fits a profile, for this and all later weeks; or list what was said."""
    from flows.feedback import say
    from flows.home import Home
    from flows.matches import marks_of
    from flows.terminal import print_feedback

    asked = {"relevant": relevant, "not-for-us": not_for_us, "cleared": clear}
    verdicts = [verdict for verdict, wanted in asked.items() if wanted]
    if call_id is None and (verdicts or why is not None):
        raise UsageError("say which call, as: fundmatch feedback PROFILE_ID CALL_ID --relevant")
    if call_id is not None and len(verdicts) != 1:
        raise UsageError("say what of the call: --relevant, --not-for-us or --clear, one of them")
    home = Home(State.home)
    profile = pick(home.profiles(), profile_id)
    with published() as warehouse:
        told = marks_of(home, warehouse).get(profile.id, {})
        if call_id is not None:
            stored = say(home, warehouse, profile.id, told, call_id, verdicts[0], why)
            if as_json:
                return print_json(stored.model_dump(mode="json"))
            return print(f"{profile.id}: {stored.call_id} {FEEDBACK_TAKEN[stored.verdict]} at the next run")
        titles = {call.call_id: call.title for call in warehouse.call_records() if call.call_id in told}
    if as_json:
        more = [{"call_id": key, "title": titles.get(key)} for key in told]
        return print_json([f.model_dump(mode="json") | m for f, m in zip(told.values(), more, strict=True)])
    return print_feedback(told, titles)


@digest_app.command("preview")
def digest_preview(
    week: Annotated[str | None, typer.Option(help="Only the last run's week can be shown.")] = None,
) -> None:
    """Write the digest of every profile again, from the published warehouse."""
    from flows.digest import week_of, write_previews
    from flows.home import Home
    from flows.matches import matches_of

    home = Home(State.home)
    with published() as warehouse:
        last = last_run(warehouse)
        if week not in (None, week_of(last.as_of)):
            raise UsageError(f"--week {week}: the last run was for {week_of(last.as_of)}")
        profiles = warehouse.profile_records()
        mine: dict[str, list[Match]] = {profile.id: [] for profile in profiles}
        for match in matches_of(home, warehouse, profiles):
            mine[match.profile_id].append(match)
        calls, health = warehouse.call_records(), warehouse.health()
    folder = write_previews(home, profiles, mine.__getitem__, calls, health, last.as_of)
    print(f"{len(profiles)} digests (HTML and text) in {folder}")


@app.command("upgrade")
def upgrade_command() -> None:
    """Bring a warehouse of an older version up to this one, with all its history; a run does so, too."""
    from flows.home import Home
    from warehouse.errors import NoWarehouse
    from warehouse.publish import bring_up

    home = Home(State.home)
    if not home.warehouse.exists():
        raise NoWarehouse(f"{home.warehouse}: there is no warehouse yet; make one with: fundmatch run")
    with home.locked():
        changed = bring_up(home.warehouse)
    print(f"{home.warehouse}: {'brought up' if changed else 'is of this version already'}")


@evaluate_app.command("matching")
def evaluate_matching_command(
    bench: Annotated[Path, typer.Argument(help="Folder with corpus, queries, qrels and history.")],
    run: Annotated[Path | None, typer.Option(help="Write our ranking to this file, as a TREC run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank a benchmark's topics for its organisations, beside BM25 and MiniLM, and tell how well."""
    from flows.bench import read_bench
    from flows.evaluate import evaluate_matching, print_evaluation
    from flows.home import Home
    from flows.rankers import rankers
    from flows.terminal import TerminalReporter

    if run is not None and run.is_dir():
        raise UsageError(f"--run {run}: is a folder; give a file")
    known = read_bench(bench)
    home = Home(State.home)
    home.create()
    with TerminalReporter() as reporter:
        told = evaluate_matching(known, rankers(home, reporter), reporter, run)
    if as_json:
        return print_json(told)
    return print_evaluation(told)


@app.command("train")
def train_command(
    bench: Annotated[Path, typer.Argument(help="Folder with corpus, queries, qrels and history.")],
    of_partners: Annotated[
        bool, typer.Option("--partners", help="Fit the ranking of partners instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fit the domain adapter and the ranking on a benchmark, into the package, and tell what they give."""
    if of_partners:
        from flows.partners.commands import train_and_tell

        return train_and_tell(bench, as_json)
    from flows.bench import read_bench
    from flows.evaluate import evaluate_matching, print_evaluation
    from flows.home import Home
    from flows.rankers import rankers
    from flows.terminal import TerminalReporter
    from flows.train import train

    known = read_bench(bench)
    home = Home(State.home)
    home.create()
    with TerminalReporter() as reporter:
        train(known, home, reporter)
        told = evaluate_matching(known, rankers(home, reporter), reporter, None)
    if as_json:
        return print_json(told)
    return print_evaluation(told)


@app.command()
def export(
    what: Annotated[str, typer.Argument(help="calls, matches, deadlines or changes.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="xlsx, csv, parquet or ics; else what OUT ends with.")
    ] = None,
    profile_id: Annotated[str | None, typer.Option("--profile", help="Of one profile only.")] = None,
    days: Annotated[int | None, typer.Option(min=0, help="Deadlines not further away than this.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only calls that are open.")] = False,
) -> None:
    """Write calls, matches, deadlines or changes as Excel, CSV or Parquet, or deadlines as a calendar."""
    from warehouse.export import FORMATS
    from warehouse.export import export as write

    if what not in ("calls", "matches", "deadlines", "changes"):
        raise UsageError(f"{what!r}: export calls, matches, deadlines or changes")
    form = file_format or out.suffix.removeprefix(".").lower() or "xlsx"
    if form not in FORMATS or (form == "ics" and what != "deadlines"):
        raise UsageError(f"--format {form}: use xlsx, csv or parquet; ics for deadlines")
    if (days is not None and what != "deadlines") or (only_open and what != "calls"):
        raise UsageError("--days is for deadlines, --open for calls")
    if profile_id is not None and what == "calls":
        raise UsageError("--profile is for matches, deadlines and changes; calls are the same for all")
    with published() as warehouse:
        rows = write(warehouse, what, form, out, profile_id, days=days, open_only=only_open)  # type: ignore[arg-type]
    print(f"{rows} {'events' if form == 'ics' else 'rows'} in {out}")


def _stamp() -> str:
    import secrets
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


add_mail(app, digest_app)
add_partners(app, evaluate_app)
add_operate(app)


def main() -> None:
    """Entry point. Our own errors become one clear line, a fault of the program its traceback; status 2."""
    try:
        app()
    except KeyboardInterrupt:
        print("fundmatch: stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        told = str(error) if type(error).__module__.split(".")[0] in OURS else _no_room(error)
        if told is None or os.environ.get("FUNDMATCH_TRACEBACK"):
            traceback.print_exc()
        for line in (told or "").splitlines():
            print(f"fundmatch: {line}", file=sys.stderr)
        leave(2)  # not 1, which says that all was done


def _no_room(error: Exception) -> str | None:
    """A disk that is full, in one line, wherever it was found; None for any other error."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not full and "database or disk is full" not in str(error):  # SQLite's words
        return None
    return (
        f"{State.home}: the disk is full, there or where temporary files go ({error}); make room, then give "
        "the same command again: what was published stays"
    )


if __name__ == "__main__":
    main()
