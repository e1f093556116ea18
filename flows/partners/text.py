"""What a consortium builder sees on a terminal, and the JSON document with the same things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from flows.terminal import safe
from pipeline.asks import part_of
from pipeline.consortium import Proposal
from pipeline.partners import List, Partner

if TYPE_CHECKING:
    from flows.partners.finder import Found
    from flows.partners.region import Overlap, Region
    from pipeline.asks import Need
    from pipeline.labs import Help
    from pipeline.organisations import Known

TITLES: Mapping[List, str] = {
    "known": "Known to the lead: partners of earlier projects",
    "new": "New to the lead: with a record in EU projects",
    "newcomers": "Newcomers: no EU project known, by what they say of themselves",
}
PROPOSALS = {
    "strongest": "The strongest by record",
    "with the north": "With somebody of the north",
    "new faces": "New faces: nobody the lead has worked with, a newcomer among them",
}
MOST = 50  # organisations that are shown at once
NO_CONSORTIUM = "No consortium of those that are wanted here: too few are left, or not with all of --with."
NO_RULES = "The call states no rule about who must take part that we can read: read its text, linked above."


def document(found: Found, top: int) -> dict[str, Any]:
    """All of it as JSON; of each list the `top` best."""
    return {
        "call_id": found.call.call_id,
        "title": found.call.title,
        "url": found.call.url,
        "lead": found.lead.model_dump(mode="json") if found.lead else None,
        "as_of": found.as_of.isoformat(),
        "trl": [found.call.trl_min, found.call.trl_max],
        "needs": [need.model_dump(mode="json") for need in found.needs],
        "covered_by_lead": list(found.covered),
        "gaps": {need: [p.model_dump(mode="json") for p in some] for need, some in found.gaps.items()},
        "partners": {
            name: [partner.model_dump(mode="json") for partner in some[:top]]
            for name, some in found.lists.items()
        },
        "consortia": [_proposal(proposal) for proposal in found.proposals],
        "unmet": [
            {"need_id": need.need_id, "words": need.words, "clause": need.clause} for need in found.unmet
        ],
        "lead_barred": found.lead_barred,
        "opted_out": found.left_out,
        "dutch_only": found.home_only,
        "shut_out": [{"clause": clause, "organisations": n} for clause, n in found.barred.items()],
        "earlier_projects": found.projects,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "name": proposal.name,
        "members": [
            {
                "org_id": member.org_id,
                "name": member.name,
                "kind": member.kind,
                "country": member.country,
                "meets": [need for need, ids in proposal.needs.items() if member.org_id in ids],
                "instead": list(proposal.swaps.get(member.org_id, ())),
            }
            for member in proposal.members
        ],
        "needs": {need: list(ids) for need, ids in proposal.needs.items()},
        "open": list(proposal.open),
    }


def rows_of(found: Found) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The lists as a table: a row a partner, lists and reasons as text."""
    fields = [
        name for name in Partner.model_fields if name not in ("reasons", "covers", "nuts", "also", "sources")
    ]
    rows = [
        (
            name,
            *(getattr(partner, field) for field in fields),
            "/".join(partner.nuts),
            ", ".join(partner.covers),
            "; ".join(partner.reasons),
            "; ".join(partner.also),
            "; ".join(partner.sources),
        )
        for name, partners in found.lists.items()
        for partner in partners
    ]
    return ["list", *fields, "nuts", "covers", "reasons", "also", "sources"], rows


def print_partners(found: Found, top: int) -> None:
    """The call and what it asks, who fills what is missing, the three lists, and whole consortia."""
    console = Console(width=None if Console().is_terminal else 160)
    console.print(
        f"[bold]{safe(found.call.title)}[/bold]\n{safe(found.call.call_id)} · {safe(found.call.url)}"
    )
    lead = f"{safe(found.lead.name)} ({found.lead.org_id})" if found.lead else "nobody yet (--lead)"
    console.print(f"Lead: {lead}. As known on {found.as_of}; {rests_on(found)}")
    if found.lead_barred is not None:
        console.print(f"[bold]The lead itself may not apply:[/bold] “{safe(found.lead_barred)}”")
    _print_needs(console, found)
    for name, partners in found.lists.items():
        console.print(f"\n[bold]{TITLES[name]}[/bold] ({_count(partners, top)})")
        _print_list(console, partners[:top])
    _print_proposals(console, found)
    for clause, number in found.barred.items():
        console.print(f"\n{number} organisations are left out, since the call says: “{safe(clause)}”")
    if found.home_only:
        console.print(
            "\nThe call is of the Netherlands, so only Dutch organisations are shown: --country for others."
        )
    if found.left_out:
        console.print(f"\n{found.left_out} organisations asked not to be proposed, and are not.")


def print_organisations(known: Sequence[Known], left_out: int) -> None:
    """What is known of organisations, and where it was read."""
    console = Console(width=None if Console().is_terminal else 160)
    table = Table("organisation", "kind", "where", "themes", "also", "sources")
    for each in known[:MOST]:
        where = " ".join(filter(None, (each.country, "/".join(each.nuts), each.place)))
        table.add_row(
            f"{safe(each.name)}\n[dim]{safe(each.org_id)}[/dim]",
            f"{each.kind}{', SME' if each.sme else ''}",
            safe(where),
            ", ".join(each.themes),
            safe("; ".join(each.also)),
            safe("; ".join(each.sources)),
        )
    console.print(table if known else "Nobody we know is called so.")
    if len(known) > MOST:
        console.print(f"{len(known) - MOST} more: give more of the name.")
    if left_out:
        console.print(f"{left_out} organisations asked not to be listed, and are not.")


def met_by(member: Known, proposal: Proposal, needs: Mapping[str, Need]) -> list[str]:
    """What a member of a proposal brings to each need that it counts for."""
    counted = [needs[need] for need, ids in proposal.needs.items() if member.org_id in ids]
    return [told for need in counted if (told := part_of(need, member))]


def rests_on(found: Found) -> str:
    if not found.projects:
        return (
            "no earlier EU projects are imported, so nobody's record is known: the order is by texts alone "
            "(fundmatch history import)."
        )
    return f"the order rests on {found.projects:,} earlier EU projects."


def _count(partners: Sequence[Partner], top: int) -> str:
    return f"{min(top, len(partners))} of {len(partners)}" if partners else "nobody"


def _print_needs(console: Console, found: Found) -> None:
    console.print("\n[bold]What the call asks[/bold]")
    if not any(need.what != "theme" for need in found.needs):
        console.print(NO_RULES)
    if found.call.trl_min or found.call.trl_max:
        span = f"{found.call.trl_min or '?'} to {found.call.trl_max or '?'}"
        console.print(f"  readiness: TRL {span}; “{safe(found.call.printed.get('trl_min') or '')[:200]}”")
    told = ""  # a clause with several needs is shown once
    for need in found.needs:
        console.print(f"  {_mark(need, found)} {'must' if need.must else 'wish'}: {safe(need.words)}")
        if need.what != "theme" and need.clause != told:
            console.print(f"      [dim]“{safe(need.clause[:300])}”[/dim]")
        told = need.clause
        fill = found.gaps.get(need.need_id, ())
        if not need.tellable:
            console.print(
                "      who is one, nothing we know of organisations can tell: look for one yourself"
            )
        elif fill:
            console.print(f"      could be: {'; '.join(_short(partner) for partner in fill)}")
        elif need.need_id in found.gaps:
            console.print("      nobody we know")


def _mark(need: Need, found: Found) -> str:
    return "✓ (the lead)" if need.need_id in found.covered else "○"


def _short(partner: Partner) -> str:
    return f"{safe(partner.name)} ({partner.country or '?'})"


def _print_list(console: Console, partners: Sequence[Partner]) -> None:
    if not partners:
        return
    table = Table("rank", "organisation", "kind", "where", "why", show_lines=False)
    for partner in partners:
        where = " ".join(filter(None, (partner.country, "/".join(partner.nuts[:1]), partner.place)))
        kind = f"{partner.kind}{', SME' if partner.sme else ''}"
        table.add_row(
            str(partner.rank),
            f"{safe(partner.name)}\n[dim]{safe(partner.org_id)}[/dim]",
            kind,
            safe(where),
            safe("; ".join(partner.reasons)),
        )
    console.print(table)


def _print_proposals(console: Console, found: Found) -> None:
    if found.unmet:
        console.print("\n[bold]No consortium of whom we know can meet the rules[/bold]")
        for need in found.unmet:
            console.print(f"  {safe(need.words)}\n      [dim]“{safe(need.clause[:300])}”[/dim]")
        console.print("  Without any one of these the others can be met.")
        return
    if not found.proposals:
        console.print(f"\n[bold]{NO_CONSORTIUM}[/bold]")
    words = {need.need_id: need for need in found.needs}
    names = {p.org_id: p.name for some in found.lists.values() for p in some}
    for proposal in found.proposals:
        console.print(f"\n[bold]Consortium: {PROPOSALS[proposal.name]}[/bold]")
        table = Table("member", "kind", "country", "meets", "instead")
        for member in proposal.members:
            meets = met_by(member, proposal, words)
            instead = [names.get(other, other) for other in proposal.swaps.get(member.org_id, ())]
            table.add_row(
                safe(member.name),
                member.kind,
                member.country or "?",
                safe("; ".join(meets)),
                safe("; ".join(instead)),
            )
        console.print(table)
        if proposal.open:
            console.print(f"  still open: {safe('; '.join(words[need].words for need in proposal.open))}")
    if found.proposals:
        console.print("\nChange one: --with ORG keeps an organisation in, --without ORG leaves it out.")


def print_help(helps: Sequence[Help], top: int, note: str) -> None:
    """Labs that offer what is needed, with their reasons."""
    console = Console(width=None if Console().is_terminal else 160)
    if not helps:
        console.print("No lab that we know offers anything of that.")
        return
    if helps[0].loosely:
        console.print("[bold]No lab that we know offers this; the nearest are only loosely related.[/bold]")
    table = Table("rank", "lab", "where", "why")
    for each in helps[:top]:
        name = f"{safe(each.name)}{' (loosely)' if each.loosely else ''}\n[dim]{safe(each.lab_id)}[/dim]"
        table.add_row(str(each.rank), name, safe(each.place or "not known"), safe("; ".join(each.reasons)))
    console.print(table)
    console.print(f"[dim]{safe(note)}[/dim]")


def print_region(region: Region, names: Mapping[str, str]) -> None:
    """Gaps first, then what is asked and offered; overlaps, help between labs, and what is reserved."""
    console = Console(width=None if Console().is_terminal else 160)
    table = Table(
        "theme", "open calls", "€ million", "companies ask", "labs here", "companies here", "elsewhere"
    )
    for theme in region.themes:
        money = f"{theme.budget_eur / 1e6:,.1f}" if theme.budget_eur is not None else ""
        labs = ", ".join(placed.name for placed in theme.labs)
        table.add_row(
            safe(theme.label),
            str(len(theme.calls) or ""),
            money,
            str(len(theme.asked) or ""),
            safe(labs) if labs else "[bold red]nobody[/bold red]" if theme.gap else "",
            str(len(theme.companies) or ""),
            safe("; ".join(f"{hub.name} ({hub.country or '?'})" for hub in theme.elsewhere)),
        )
    console.print(table)
    for title, lines in (
        ("Labs whose offers overlap", [_overlap(each, names) for each in region.overlaps]),
        ("Which lab could help which", [_between(lab, each, names) for lab, each in region.helps]),
        ("Only for designated hubs", [f"{r.title}: “{r.clause[:200]}” {r.needs}" for r in region.reserved]),
    ):
        console.print(f"\n[bold]{title}[/bold]")
        for told in lines or ["none"]:
            console.print(f"  {safe(told)}")
    console.print(
        f"\n[dim]As known on {region.as_of}, from {region.profiles} profiles, {region.confirmed} confirmed; "
        "a theme that somebody leaves out of its words is not seen.[/dim]"
    )


def region_document(region: Region) -> dict[str, Any]:
    """All of it as JSON."""
    return {
        "as_of": region.as_of.isoformat(),
        "themes": [theme.model_dump(mode="json") for theme in region.themes],
        "overlaps": [each.model_dump(mode="json") for each in region.overlaps],
        "helps": [{"lab_id": lab} | {"help": each.model_dump(mode="json")} for lab, each in region.helps],
        "reserved": [each.model_dump(mode="json") for each in region.reserved],
        "profiles": region.profiles,
        "confirmed": region.confirmed,
        "opted_out": region.left_out,
    }


def _overlap(each: Overlap, names: Mapping[str, str]) -> str:
    return f"{names[each.one]} “{each.one_offers}” and {names[each.other]} “{each.other_offers}”"


def _between(lab: str, each: Help, names: Mapping[str, str]) -> str:
    return f"{names[lab]} seeks “{each.wish}”: {each.name} offers “{each.offer}”"
