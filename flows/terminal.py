"""What a person sees on a terminal: progress while a run works, then tables, explanations and faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from flows.reporter import to_stderr
from pipeline.deadlines import disputed_deadlines, next_deadline, on
from pipeline.schema import Call, Feedback, Issue, Match, Profile, Run, SourceHealth, Stage, Subscription

if TYPE_CHECKING:
    from flows.mail.doctor import Finding
    from flows.weekly import WeeklyRun
    from warehouse.history import Imported

SHOWN_ISSUES = 12
SHOWN_CHANGES = 30


def safe(text: str) -> str:
    """Scraped text for a terminal: no control characters, no markup."""
    return escape("".join(character for character in text if character.isprintable()))


class TerminalReporter:
    """Progress bars on standard error; on a pipe, one line for each finished stage."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal or to_stderr(),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def run(self, run_id: str, tries: int) -> None:
        """Say where a run that died is gone on with."""
        if tries > 1:
            told = f"going on with run {run_id}, which ended before it was done (try {tries})"
            self._console.print(told, highlight=False)

    def start(self, stage: str) -> None:
        """Show a stage that begins."""
        self._tasks[stage] = self._progress.add_task(stage, total=None)

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """Move a stage's bar."""
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def finish(self, stage: Stage) -> None:
        """Fill a stage's bar; on a pipe, say that it is over."""
        task = self._tasks[stage.name]
        done = stage.items if stage.items is not None else 1
        self._progress.update(task, completed=done or 1, total=done or 1)
        if not self._console.is_terminal and not to_stderr():
            items = f", {stage.items} items" if stage.items is not None else ""
            self._console.print(f"{stage.name}: {stage.seconds:.1f} s{items}", highlight=False)

    def published(self, run: Run, health: Sequence[SourceHealth], issues: Sequence[Issue]) -> None:
        """Nothing: `print_week` tells it."""


def print_week(week: WeeklyRun) -> None:
    """Each profile's best three open calls, then where things lie and what the run cost."""
    console = Console(soft_wrap=True, highlight=False)
    calls = {call.call_id: call for call in week.calls}
    for profile in week.profiles:
        if profile.id not in week.best:
            continue
        console.print(f"\n[bold]{safe(profile.name)}[/bold] ({profile.id}, {profile.label})")
        for match in week.best[profile.id]:
            call = calls[match.call_id]
            title = safe(call.title)
            console.print(f"  {match.rank}. {title} [dim]({safe(call.identifier or call.call_id)})[/dim]")
            console.print(f"     {_deadline(call, week)}; {safe(' '.join(match.reasons))}")
        if not week.best[profile.id]:
            console.print("  no open calls")
    if len(week.profiles) > len(week.best):
        told = f"… and {len(week.profiles) - len(week.best)} more profiles: fundmatch match PROFILE_ID"
        console.print(told)
    print_issues(week.issues)
    _print_cost(console, week)


def _deadline(call: Call, week: WeeklyRun) -> str:
    ahead = next_deadline(call, week.as_of)
    if ahead is None:
        return f"deadline: {safe(_days(call))}"
    return f"deadline {on(ahead).isoformat()} ({(on(ahead) - week.as_of).days} days)"


def _print_cost(console: Console, week: WeeklyRun) -> None:
    assert week.run is not None
    console.print(f"\nRun {week.work.run_id}, as of {week.as_of}")
    table = Table()
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    table.add_column("items", justify="right")
    for stage in week.run.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", "" if stage.items is None else str(stage.items))
    console.print(table)
    states = Counter(call.status for call in week.calls)
    console.print(
        f"Calls: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}. "
        f"Profiles: {len(week.profiles)}. Matches: {len(week.matches)}. "
        f"Peak memory: {week.run.peak_memory_mib:.0f} MiB.",
    )
    console.print(f"Warehouse: {week.home.warehouse}\nDigests:   {week.digest_folder / 'index.html'}")


def print_changes(week: WeeklyRun) -> None:
    """What the daily look found to be otherwise with calls than on the last day that was looked at."""
    from warehouse.read import open_warehouse

    with open_warehouse(week.home.path) as warehouse:
        rows = warehouse.changes().fetchall()
    shown = [
        (change, f"{before or ''} → {after or ''}" if field else "", title)
        for change, title, _, field, before, after, *_ in rows[:SHOWN_CHANGES]
    ]
    if shown:
        print_table(("what", "before and after", "call"), [tuple(map(str, row)) for row in shown])
    more = f", of which {SHOWN_CHANGES} are shown" if len(rows) > SHOWN_CHANGES else ""
    print_issues(week.issues)
    read = ", ".join(sorted(week.crawls))
    Console(soft_wrap=True, highlight=False).print(f"{read} read again: {len(rows)} changes{more}")


def print_issues(issues: Sequence[Issue]) -> None:
    """Faults one by one, then how many oddities of each kind there were."""
    console = Console(stderr=True)
    faults = [issue for issue in issues if issue.severity != "info"]
    for issue in faults[:SHOWN_ISSUES]:
        key = f" [{issue.key}]" if issue.key else ""
        console.print(
            f"{issue.severity}: {issue.source}{safe(key)}: {safe(issue.detail)}",
            highlight=False,
            soft_wrap=True,
        )
    if len(faults) > SHOWN_ISSUES:
        console.print(f"… and {len(faults) - SHOWN_ISSUES} more faults; all are in the warehouse's issues")
    odd = Counter(issue.code for issue in issues if issue.severity == "info")
    if odd:
        told = ", ".join(f"{count} × {code}" for code, count in sorted(odd.items()))
        console.print(f"noted: {told}", highlight=False)


def print_history(imported: Imported) -> None:
    """How many records an import brought of each kind, and how many there are now."""
    table = Table("", *(Column(name, justify="right") for name in ("imported", "in the warehouse")))
    for name, count in imported.rows.items():
        table.add_row(name, str(count), str(imported.total[name]))
    Console().print(table)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of scraped texts."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(safe, row))
    Console().print(table)


def print_sources(rows: Sequence[Mapping[str, Any]], as_of: date) -> None:
    """Sources as `Records.source_rows` gives them, one a line; the state of a sick one stands out."""
    table = Table("source", "level", "state", title=f"Sources in the run of {as_of}")
    for name in ("records", "open calls", "read on", "age", "stale", "not seen"):
        table.add_column(name, justify="right")
    table.add_column("what is wrong")
    colours = {"ok": "green", "broken": "red", "never read": "yellow"}
    for row in rows:
        age = row.get("age_days")
        counts = [str(row[name] or "") for name in ("stale", "not_seen")]
        table.add_row(
            row["source"],
            row.get("level") or "",
            f"[{colours.get(row['state'], 'yellow')}]{row['state']}[/]",
            str(row["records"]),
            str(row["open_calls"]),
            (row.get("last_good_at") or "never")[:10],
            "" if age is None else f"{age} {'day' if age == 1 else 'days'}",
            *counts,
            safe(row.get("detail") or ""),
        )
    wide = Console()
    wide.width = wide.width if wide.is_terminal else max(wide.width, 130)
    wide.print(table)


def print_profiles(profiles: Sequence[Profile]) -> None:
    """Profiles, one a line."""
    rows = [(p.id, p.name, p.kind, p.language, p.label) for p in profiles]
    print_table(("id", "name", "kind", "language", "label"), rows)


def print_calls(calls: Sequence[Call]) -> None:
    """Calls, one a line, then how many there are."""
    rows = [(c.identifier or c.call_id, c.status, _days(c), c.title) for c in calls]
    print_table(("call", "status", "deadlines", "title"), rows)
    Console(stderr=True).print(f"{len(calls)} {'call' if len(calls) == 1 else 'calls'}", highlight=False)


def _days(call: Call) -> str:
    """The deadlines of a call, or why there is none to show."""
    disputed = disputed_deadlines(call)
    if call.deadlines:
        return ", ".join(on(d).isoformat() for d in call.deadlines)
    if disputed:
        return "sources differ: " + " / ".join(claim.printed for claim in disputed.claims)
    return "no fixed end" if call.rolling else "not stated"


def print_matches(matches: Sequence[Match], calls: Mapping[str, Call]) -> None:
    """Matches as a table."""
    table = Table("rank", "score", "percentile", "verdict", "deadlines", "call", "why")
    for match in matches:
        call = calls[match.call_id]
        table.add_row(
            str(match.rank),
            f"{match.score:.3f}",
            f"{match.percentile:.0f}",
            match.eligibility.verdict,
            _days(call),
            f"{safe(call.title)}\n[dim]{safe(call.call_id)}[/dim]{_mark(match)}",
            safe(" ".join(match.reasons)),
        )
    Console().print(table)


def _mark(match: Match) -> str:
    return f"\n[bold]marked {match.feedback}[/bold]" if match.feedback else ""


def print_feedback(told: Mapping[str, Feedback], titles: Mapping[str, str]) -> None:
    """What a profile says of calls, by call id, the newest first; a call that is not known has no title."""
    newest = sorted(told.items(), key=lambda pair: pair[1].given_at, reverse=True)
    table = Table("call", "marked", "on", "why", "title")
    table.columns[0].overflow = "fold"  # an id is there to be copied
    for key, given in newest:
        day = given.given_at.date().isoformat()
        table.add_row(*map(safe, (key, given.verdict, day, given.why or "", titles.get(key, ""))))
    Console().print(table)


def print_explanation(profile: Profile, call: Call, match: Match) -> None:
    """One match in full: reasons, the sentences that meet, every rule with its clause."""
    console = Console()
    console.print(f"[bold]{safe(call.title)}[/bold] for [bold]{safe(profile.name)}[/bold]")
    standing = f"above {int(match.percentile)} %" if match.percentile < 100 else "the best"
    console.print(
        f"rank {match.rank}, score {match.score:.3f}, {standing} of the open calls, confidence "
        f"{match.confidence}, by {match.basis} (a score ranks; it is no chance of winning)\n"
        f"{safe(call.url)}{_mark(match)}\n",
        highlight=False,
    )
    for reason in match.reasons:
        console.print(f"• {safe(reason)}")
    for pair in match.evidence:
        console.print(f"\n  you:  “{safe(pair.profile_text)}”", highlight=False)
        heading = f" ({safe(pair.call_heading)})" if pair.call_heading else ""
        console.print(f"  call: “{safe(pair.call_text)}”{heading}", highlight=False)
    console.print(f"\nEligibility: [bold]{match.eligibility.verdict}[/bold]")
    rules = sorted(match.eligibility.rules, key=lambda rule: rule.verdict != "fail")
    for rule in rules:
        if rule.clause:
            console.print(f"  {rule.rule}: {rule.verdict} — “{safe(rule.clause)}”", highlight=False)
    silent = ", ".join(rule.rule for rule in rules if not rule.clause)
    if silent:
        console.print(f"  not stated, so unknown: {silent}", highlight=False)
    _print_documents(console, call)


def _print_documents(console: Console, call: Call) -> None:
    """The documents that tell of a call, where there are several, and what they state differently."""
    if len(call.documents) > 1:
        console.print("\nWhat tells of this call:")
    for document in call.documents if len(call.documents) > 1 else ():
        day = f", {document.published_on}" if document.published_on else ""
        told = f"  {document.role}{day}: {safe(document.title)} ({safe(document.document_id)})"
        console.print(f"{told}\n    {safe(document.url)}", highlight=False, soft_wrap=True)
    for contradiction in call.contradictions:
        settled = contradiction.settled_by
        how = f"{safe(settled)} counts, being the later decision" if settled else "so it is unknown here"
        console.print(f"\n[yellow]{contradiction.field} is stated differently[/yellow]; {how}:")
        for claim in contradiction.claims:
            console.print(f"  {safe(claim.document_id)}: “{safe(claim.printed)}”", highlight=False)


def print_readers(readers: Sequence[Subscription]) -> None:
    """Who gets what, and since when."""
    table = Table("address", "list", "profiles", "language", "how often", "consent")
    for reader in readers:
        often = f"stopped {reader.stopped_on}" if reader.stopped_on else reader.cadence
        of = ", ".join(reader.profiles) or "all"
        consent = safe(f"{reader.consent_on}: {reader.consent_source}")
        table.add_row(safe(reader.address), reader.list, of, reader.language, often, consent)
    Console().print(table)


def print_outbox(mails: Sequence[Mapping[str, Any]], suppressed: Mapping[str, tuple[date, str]]) -> None:
    """Each mail with its state, then what to do about those in doubt, and the addresses that are refused."""
    table = Table("week", "state", Column("address", overflow="fold"), "answer")
    for mail in mails:
        state = "in doubt" if mail["state"] == "sending" else mail["state"]
        answer = safe(mail["answer"] or "")
        table.add_row(mail["week"], state, safe(mail["address"]), answer)
    console = Console()
    console.print(table)
    for mail in (each for each in mails if each["state"] == "sending"):
        told = f"in doubt: fundmatch digest settle '{safe(mail['message_id'])}' --sent (or --again)"
        console.print(told, soft_wrap=True)
    for address, (since, answer) in suppressed.items():
        console.print(f"refused since {since}: {safe(address)} ({safe(answer)})")


def print_findings(findings: Sequence[Finding]) -> None:
    """What was looked at, and what to do."""
    table = Table("", "what", "found")
    for finding in findings:
        table.add_row(finding.state, finding.what, safe(finding.told))
    Console().print(table)
