"""The commands of mail: who gets one, sending, and what became of it."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.usage import AsJson, AsOf, State, UsageError, day_of, last_run, print_json, published

if TYPE_CHECKING:
    from flows.home import Home
    from flows.mail.outbox import Outbox
    from flows.mail.send import Sent

readers_app = typer.Typer(help="Who agreed to get which mail.", no_args_is_help=True)


def add_mail(app: typer.Typer, digest_app: typer.Typer) -> None:
    """Put the commands of mail into the command line."""
    app.add_typer(readers_app, name="readers")
    digest_app.command("send")(send)
    digest_app.command("outbox")(outbox_command)
    digest_app.command("settle")(settle)
    digest_app.command("allow")(allow)


def send(
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write .eml files here; nothing is sent, nothing noted."),
    ] = None,
    week: Annotated[
        str | None, typer.Option(help="Only if the last run is of this week, as 2026-W47.")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Write this week's mails to the outbox, then send what waits there, each once. Run it again any time."""
    from flows.digest import week_of
    from flows.home import Home
    from flows.mail.outbox import open_outbox
    from flows.mail.send import check_day, check_settings, send_week
    from flows.terminal import TerminalReporter

    home, day = Home(State.home), day_of(as_of) or date.today()
    if to is None:
        check_settings()
    with published() as warehouse, open_outbox(home) as outbox:
        last = last_run(warehouse)
        if week not in (None, week_of(last.as_of)):
            raise UsageError(f"--week {week}: the last run was for {week_of(last.as_of)}")
        if to is None:
            check_day(warehouse, day)
        if all(found.list == "operator" for found in outbox.subscriptions()):
            raise UsageError("nobody agreed to get mail yet; see: fundmatch readers import --help")
    if to is not None:
        return _write_files(home, day, to, as_json)
    with TerminalReporter() as reporter:
        sent = send_week(home, day, reporter)
    if as_json:
        print_json(sent.document())
    else:
        print_sent(sent)
    raise typer.Exit(1 if sent.faults else 0)


def _write_files(home: Home, day: date, to: Path, as_json: bool) -> None:
    from flows.mail import settings
    from flows.mail.outbox import open_outbox, sending
    from flows.mail.send import Post, check_day, write_files

    with published() as warehouse, open_outbox(home) as outbox, sending(home):
        check_day(warehouse, day)
        post = Post(home, warehouse, outbox, settings.sender(), settings.web(), day)
        found = write_files(post, to)
    return print_json([str(path) for path in found]) if as_json else print(f"{len(found)} mails in {to}")


def print_sent(sent: Sent) -> None:
    """What came of the mails; what a person has to look at goes to standard error."""
    outcome = sent.outcome
    print(
        f"{sent.period}: {sent.written} written, {outcome.sent} sent, {outcome.refused} refused, "
        f"{sent.states['pending']} waiting"
    )
    for message_id in outcome.doubts:
        print(
            f"in doubt: {message_id} may have been taken by the server; look for it in its log, then: "
            f"fundmatch digest settle '{message_id}' --sent (or --again)"
        )
    for reader in sent.lost:
        print(f"no mail for {reader.address}: the last run has no profile {reader.profiles[0]}")
    if sent.states["pending"] and not outcome.fault:
        print("what waits was put off by the server: run fundmatch digest send again")
    if outcome.fault:
        print(f"fundmatch: {outcome.fault}", file=sys.stderr)


def outbox_command(
    state: Annotated[str | None, typer.Option(help="pending, sending, sent or failed.")] = None,
    week: Annotated[str | None, typer.Option(help="Of one week, as 2026-W47.")] = None,
    as_json: AsJson = False,
) -> None:
    """Each mail with its state; `sending` while nobody sends is in doubt."""
    if state not in (None, "pending", "sending", "sent", "failed"):
        raise UsageError(f"--state {state!r}: use pending, sending, sent or failed")
    with _outbox() as outbox:
        mails, suppressed = outbox.mails(state, week), outbox.suppressed()  # type: ignore[arg-type]
    if as_json:
        return print_json(mails)
    from flows.terminal import print_outbox

    return print_outbox(mails, suppressed)


def settle(
    message_id: Annotated[
        str, typer.Argument(help="Of a mail in doubt, as fundmatch digest outbox shows it.")
    ],
    sent: Annotated[bool, typer.Option("--sent", help="The server has it.")] = False,
    again: Annotated[bool, typer.Option("--again", help="The server never had it: send it.")] = False,
) -> None:
    """Say what became of a mail in doubt, after a look into the server's log."""
    from flows.home import Home
    from flows.mail.outbox import sending

    if sent == again:
        raise UsageError("say what became of it: --sent or --again, one of them")
    with _outbox() as outbox, sending(Home(State.home)):
        outbox.settle(message_id, sent=sent)
    print(f"{message_id}: {'noted as sent' if sent else 'waits to be sent again'}")


def allow(address: Annotated[str, typer.Argument(help="That a server refused.")]) -> None:
    """Take an address off the suppression list, once it works again."""
    with _outbox() as outbox:
        if not outbox.allow(address):
            raise UsageError(f"{address}: is not suppressed; see: fundmatch digest outbox")
    print(f"{address}: gets mail again")


@readers_app.command("import")
def readers_import(
    file: Annotated[Path, typer.Argument(help="A .csv, .yml or .json file; docs/mail.md has its fields.")],
    as_json: AsJson = False,
) -> None:
    """Add readers, or renew those there are. One bad entry and nothing is imported."""
    from flows.home import Home
    from flows.mail.readers import read_readers

    languages = {profile.id: profile.language for profile in Home(State.home).profiles()}
    with _outbox() as outbox:
        added, renewed, left = outbox.subscribe(read_readers(file, outbox, languages))
    if as_json:
        return print_json({"added": added, "renewed": renewed, "left_stopped": left})
    more = f", {left} left as they are: stopped or erased, and no later consent" if left else ""
    return print(f"{added} readers added, {renewed} renewed{more}")


@readers_app.command("list")
def readers_list(as_json: AsJson = False) -> None:
    """All readers, what they get, and the consent that it rests on."""
    with _outbox() as outbox:
        found = outbox.subscriptions()
    if as_json:
        return print_json([each.model_dump(mode="json") for each in found])
    from flows.terminal import print_readers

    return print_readers(found)


@readers_app.command("stop")
def readers_stop(
    reader: Annotated[str, typer.Argument(help="An address, or the id that a mail's subject to you names.")],
    as_of: AsOf = None,
) -> None:
    """Stop all lists of an address, or one list by its id: for who asks by mail or telephone."""
    day = day_of(as_of) or date.today()
    with _outbox() as outbox:
        found = outbox.subscriptions(reader) or [each for each in [outbox.subscription(reader)] if each]
        ended = [each for each in found if each.stopped_on is None]
        for each in ended:
            outbox.choose(each.model_copy(update={"stopped_on": day}), "stopped by the hub")
    if not found:
        raise UsageError(f"{reader}: no reader has this address or id; see: fundmatch readers list")
    print(f"{reader}: {len(ended)} lists stopped")


@readers_app.command("export")
def readers_export(address: str) -> None:
    """All that is kept about one address, as JSON: give it to whoever asks for their data."""
    with _outbox() as outbox:
        print_json(outbox.about(address))


@readers_app.command("erase")
def readers_erase(address: str, as_of: AsOf = None) -> None:
    """Erase all that is kept about one address, its mails too."""
    with _outbox() as outbox:
        gone = outbox.erase(address, day_of(as_of) or date.today())
    print(f"{address}: erased, {gone} subscriptions" if gone else f"{address}: nothing was kept")


def _outbox() -> Outbox:
    from flows.home import Home
    from flows.mail.outbox import open_outbox

    return open_outbox(Home(State.home))
