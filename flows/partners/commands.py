"""The commands for whoever looks for partners, labs, or the gaps of the region."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.usage import AsJson, AsOf, State, UsageError, day_of, pick, print_json, published

if TYPE_CHECKING:
    from flows.partners.finder import Found

Model = Annotated[
    str | None, typer.Option(envvar="FUNDMATCH_MODEL", help="Embedding model: name, folder or hub id.")
]

organisations_app = typer.Typer(help="Organisations that may be proposed as partners.", no_args_is_help=True)


def add_partners(app: typer.Typer, evaluate_app: typer.Typer) -> None:
    """Put these commands into the command line."""
    app.command("partners")(partners_command)
    app.command("labs")(labs_command)
    app.command("gaps")(gaps_command)
    app.add_typer(organisations_app, name="organisations")
    evaluate_app.command("partners")(evaluate_partners_command)


def partners_command(
    call_id: Annotated[str, typer.Argument(help="A call, by its id or its topic's identifier.")],
    lead: Annotated[
        str | None, typer.Option(help="Who leads: a profile, a participant code (PIC), or a name.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Only organisations there: NUTS codes, as NL11,NL12,NL13.")
    ] = None,
    country: Annotated[str | None, typer.Option(help="Only from there: codes or names, as NL,DE,UK.")] = None,
    newcomers: Annotated[bool, typer.Option("--newcomers", help="Only those without an EU project.")] = False,
    keep: Annotated[
        list[str] | None, typer.Option("--with", help="Keep this one in every consortium; may be repeated.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--without", help="Leave this one out; may be repeated.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, max=30, help="Members of a consortium; else as few as meet all.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=200, help="How many of each list.")] = 10,
    out: Annotated[
        Path | None, typer.Option(help="Also write a brief to hand out: .html, .pdf, or .xlsx for the lists.")
    ] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Who could join a call: what it asks, who fills it, known and new partners, and whole consortia."""
    from flows.home import Home
    from flows.partners.finder import Filters, find_partners, read_countries, read_regions
    from flows.partners.text import document, print_partners
    from flows.terminal import TerminalReporter

    filters = Filters(
        regions=read_regions(region) if region else (),
        countries=read_countries(country) if country else (),
        newcomers=newcomers,
    )
    with TerminalReporter() as reporter, published() as warehouse:
        reporter.start("partners")
        found = find_partners(
            Home(State.home),
            warehouse,
            call_id,
            lead,
            filters,
            keep or (),
            drop or (),
            size,
            model,
            lambda done, total: reporter.advance("partners", done, total),
        )
    if out is not None:
        _hand_out(out, found)
    if as_json:
        return print_json(document(found, top))
    return print_partners(found, top)


def labs_command(
    profile_id: Annotated[
        str | None, typer.Argument(help="Who looks for help: a company, or a lab that seeks another.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="What is needed, in a sentence, instead of a profile.")
    ] = None,
    place: Annotated[
        str | None, typer.Option(help="With --text: from where; the nearest come first.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language of --text and of the reasons: en or nl.")] = "en",
    service: Annotated[
        str | None, typer.Option(help="Only offers of: test, skills, finance or network.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Also labs and hubs elsewhere.")] = False,
    top: Annotated[int, typer.Option(min=1, max=50, help="How many.")] = 5,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Which lab or hub offers what a company needs: testing, training, money, contacts; with reasons."""
    from flows.home import Home
    from flows.partners.region import desk, wish_of_text
    from flows.partners.text import print_help
    from pipeline.labs import wishes_of
    from pipeline.offers import SERVICES

    if (profile_id is None) == (text is None) or (text is not None and not text.strip()):
        raise UsageError('give a PROFILE_ID, or --text "what is needed"')
    if language not in ("en", "nl"):
        raise UsageError(f"--language {language!r}: use en or nl")
    asked = next((known for known in SERVICES if known == service), None)
    if service is not None and asked is None:
        raise UsageError(f"--service {service!r}: use one of {', '.join(SERVICES)}")
    home = Home(State.home)
    with published() as warehouse:
        if text is not None:
            wishes, spoken = [wish_of_text(text, language, place)], language
        else:
            profile = pick(warehouse.profile_records(), str(profile_id))
            wishes, spoken = wishes_of(profile), profile.language
        known = desk(home, warehouse, model, north=not everywhere)
    helps = known.help_for(wishes, asked, spoken, but=profile_id)
    if as_json:
        return print_json([each.model_dump(mode="json") for each in helps[:top]])
    where = "everywhere" if everywhere else "of the north (--everywhere for others)"
    return print_help(helps, top, f"{len(known.labs)} labs and hubs {where}, by what they say of themselves.")


def gaps_command(
    out: Annotated[
        Path | None, typer.Option(help="Also draw it: a map and a heat map, as .html or .pdf.")
    ] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """What open calls and companies ask, and who of the north offers it: gaps, overlaps, help elsewhere."""
    from flows.home import Home
    from flows.partners.organisations import organisations
    from flows.partners.pages import region_page, write_page
    from flows.partners.region import region_of
    from flows.partners.text import print_region, region_document

    home = Home(State.home)
    with published() as warehouse:
        region = region_of(home, warehouse, model)
        everybody = organisations(home, warehouse).listed
    if out is not None:
        write_page(out, region_page(region, everybody))
        print(f"{out}: the map, the heat map and the evidence", file=sys.stderr)
    if as_json:
        return print_json(region_document(region))
    return print_region(region, {known.org_id: known.name for known in everybody})


def _hand_out(out: Path, found: Found) -> None:
    """Write the brief, or the lists as a workbook."""
    from flows.partners.pages import brief, write_page

    if out.suffix.lower() == ".xlsx":
        from flows.partners.text import rows_of
        from warehouse import excel

        columns, rows = rows_of(found)
        about = [
            ("What", "Partners for a call"),
            ("Call", found.call.call_id),
            ("As known on", str(found.as_of)),
        ]
        excel.write(out, columns, rows, about)
    else:
        write_page(out, brief(found))
    print(f"{out}: written", file=sys.stderr)


@organisations_app.command("find")
def organisations_find(
    name: Annotated[str, typer.Argument(help="A word of its name, its id, or its participant code.")],
    as_json: AsJson = False,
) -> None:
    """Organisations by a word of their names, with all that is known of each and where it was read."""
    from flows.home import Home
    from flows.partners.organisations import organisations
    from flows.partners.text import print_organisations
    from pipeline.organisations import find

    with published() as warehouse:
        everybody = organisations(Home(State.home), warehouse)
    exact = find(name, everybody.listed)
    word = name.casefold()
    found = exact or [k for k in everybody.listed if any(word in n.casefold() for n in (k.name, *k.also))]
    if as_json:
        return print_json([known.model_dump(mode="json") for known in found])
    return print_organisations(found, len(everybody.left_out))


@organisations_app.command("opt-out")
def organisations_opt_out(
    organisation: Annotated[
        str | None, typer.Argument(help="Its id, its participant code, or its name. Without it: who did.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="It may be proposed again.")] = False,
    why: Annotated[str | None, typer.Option(help="What it said, in a sentence.")] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Never propose an organisation again, under any of its names; or list who asked for that."""
    from datetime import date

    from flows.home import Home
    from flows.partners.organisations import opt_out, opt_outs

    home = Home(State.home)
    if organisation is not None:
        if not organisation.strip():
            raise UsageError("say which organisation")
        opt_out(home, organisation.strip(), day_of(as_of) or date.today(), why, back=back)
    said = opt_outs(home)
    if as_json:
        return print_json(
            [{"organisation": s.organisation, "since": s.since.isoformat(), "why": s.why} for s in said]
        )
    for each in said:
        print(f"{each.organisation}: not proposed since {each.since}{f' ({each.why})' if each.why else ''}")
    if not said:
        print("nobody asked not to be proposed")
    return None


def evaluate_partners_command(
    bench: Annotated[Path, typer.Argument(help="Folder with corpus, history, and partners/.")],
    run: Annotated[Path | None, typer.Option(help="Write our ranking to this file, as a TREC run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank all organisations as partners for a benchmark's topics and leads, beside simple methods."""
    from flows.home import Home
    from flows.partners.bench import evaluate_partners, print_partners, read_partner_bench
    from flows.terminal import TerminalReporter

    if run is not None and run.is_dir():
        raise UsageError(f"--run {run}: is a folder; give a file")
    known = read_partner_bench(bench)
    home = Home(State.home)
    home.create()
    with TerminalReporter() as reporter:
        told = evaluate_partners(known, home, reporter, run)
    if as_json:
        return print_json(told)
    return print_partners(told)


def train_and_tell(bench: Path, as_json: bool) -> None:
    """Fit the ranking of partners on a benchmark, into the package, and tell what it gives."""
    from flows.home import Home
    from flows.partners.bench import evaluate_partners, print_partners, read_partner_bench, train_partners
    from flows.terminal import TerminalReporter

    known = read_partner_bench(bench)
    home = Home(State.home)
    home.create()
    with TerminalReporter() as reporter:
        train_partners(known, home, reporter)
        told = evaluate_partners(known, home, reporter)
    if as_json:
        return print_json(told)
    return print_partners(told)
