"""Hand-outs: the brief of a call's partners and the picture of the region, as HTML, or as PDF by Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.home import write_whole
from flows.partners.text import NO_RULES, PROPOSALS, TITLES, met_by, rests_on
from flows.usage import UsageError
from pipeline.deadlines import next_deadline
from pipeline.drawing import HEIGHT, WIDTH, heat_of, map_of, network_of
from pipeline.labs import is_lab
from pipeline.partners import in_north
from pipeline.prose import cut
from pipeline.rendering import render
from pipeline.wording import day_in_words, deadline_in_words, line, money_in_words, web_address, wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.partners.finder import Found
    from flows.partners.region import Region
    from pipeline.consortium import Proposal
    from pipeline.organisations import Known
    from pipeline.partners import Partner

PER_LIST = 4
CLAUSE, LABEL = 220, 34  # characters
PATIENCE = 90  # seconds for Chromium to print
ROWS = 40  # themes in the heat map


def brief(found: Found) -> str:
    """One or two pages on who could join a call: HTML with all styles and drawings in it."""
    call, words = found.call, wording("en")
    first = found.proposals[0] if found.proposals else None
    lead = found.lead.org_id if found.lead else None
    nodes, lines = network_of(first.members, found.together, lead) if first else ([], [])
    span = " to ".join(str(level) for level in (call.trl_min, call.trl_max) if level)
    asked: dict[str, list[dict[str, Any]]] = {}
    for need in found.needs:
        clause = "" if need.what == "theme" else cut(line(need.clause), CLAUSE)
        told = {"must": need.must, "words": need.words, "covered": need.need_id in found.covered}
        asked.setdefault(clause, []).append(told)
    proposals = [_proposal(proposal, found) for proposal in found.proposals]
    return render(
        "brief.html.j2",
        {
            "style": _style(),
            "call": call,
            "as_of": day_in_words(found.as_of, words),
            "origin": " · ".join(filter(None, (call.programme, call.identifier, call.type_of_action))),
            "address": web_address(call.url),
            "deadline": deadline_in_words(call, next_deadline(call, found.as_of), words),
            "money": money_in_words(call, words) or "not stated",
            "trl": span or "not stated",
            "lead": found.lead.name if found.lead else "not chosen yet",
            "needs": list(asked.items()),
            "no_rules": NO_RULES,
            "unmet": "; ".join(need.words for need in found.unmet),
            "first": proposals[0] if proposals else None,
            "others": proposals[1:],
            "nodes": [_short(node) for node in nodes],
            "lines": lines,
            "lists": [
                {"title": TITLES[name], "partners": [_row(p) for p in some[:PER_LIST]]}
                for name, some in found.lists.items()
            ],
            "rests": rests_on(found).replace("the order", "The order", 1),
            "sources": "profiles, the catalogue of European Digital Innovation Hubs, and CORDIS",
        },
    )


def region_page(region: Region, organisations: Sequence[Known]) -> str:
    """The map, the heat map and the evidence: HTML with all styles and drawings in it."""
    northern = [known for known in organisations if in_north(known) and known.profile_id]
    names = {known.org_id: known.name for known in organisations}
    gaps = [_gap(theme) for theme in region.themes if theme.gap]
    asked = sum(bool(theme.calls or theme.asked) for theme in region.themes)
    alone = sum(theme.nobody for theme in region.themes)
    return render(
        "region.html.j2",
        {
            "style": _style(),
            "as_of": day_in_words(region.as_of, wording("en")),
            "summary": f"{asked} themes are asked by open calls or companies; for {len(gaps)} of them no lab "
            f"of the north offers anything, and for {alone} no company here is placed either.",
            "width": f"{WIDTH:.0f}",
            "height": f"{HEIGHT:.0f}",
            "map": map_of([(known, "lab" if is_lab(known) else "company") for known in northern]),
            "heat": heat_of(region.themes[:ROWS]),
            "gaps": gaps,
            "overlaps": [
                {
                    "one": names[o.one],
                    "other": names[o.other],
                    "one_offers": o.one_offers,
                    "other_offers": o.other_offers,
                }
                for o in region.overlaps
            ],
            "helps": [(names[lab], each.wish, each.name, each.offer) for lab, each in region.helps],
            "reserved": [
                {
                    "title": call.title,
                    "link": web_address(call.url),
                    "due": day_in_words(call.next_deadline, wording("en")) if call.next_deadline else "",
                    "clause": cut(line(call.clause), 2 * CLAUSE),
                    "needs": call.needs,
                    "could": f"Designated here: {', '.join(names[each] for each in call.could)}."
                    if call.could
                    else "",
                }
                for call in region.reserved
            ],
            "profiles": region.profiles,
            "confirmed": region.confirmed,
        },
    )


def write_page(path: Path, html: str) -> None:
    """Write a page as it is, or as PDF where the name ends so.

    Raises UsageError: another kind of file, no Chromium to print with, or no room.
    """
    kind = path.suffix.lower()
    if kind not in (".html", ".pdf"):
        raise UsageError(f"{path}: give a name that ends with .html or .pdf")
    try:
        if kind == ".html":
            write_whole(path, html)
        else:
            _print_pdf(path, html)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error


def _print_pdf(path: Path, html: str) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise UsageError(
            f"{path}: a PDF needs Chromium, which is not installed; give a name that ends with .html"
        )
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder) / "page.html", Path(folder) / "page.pdf"
        page.write_text(html, encoding="utf-8")
        command = [
            browser,
            "--headless",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # root has no sandbox
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer",
            f"--print-to-pdf={printed}",
            page.as_uri(),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603
            whole = printed.read_bytes()
        except (subprocess.SubprocessError, FileNotFoundError) as error:
            raise UsageError(f"{path}: Chromium could not print it ({type(error).__name__})") from error
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.writing")
        aside.write_bytes(whole)
        aside.replace(path)


def _proposal(proposal: Proposal, found: Found) -> dict[str, Any]:
    needs = {need.need_id: need for need in found.needs}
    return {
        "title": f"Consortium: {PROPOSALS[proposal.name]}",
        "members": [
            {
                "name": member.name,
                "kind": _kind(member),
                "where": _where(member),
                "meets": "; ".join(met_by(member, proposal, needs)),
            }
            for member in proposal.members
        ],
        "open": "; ".join(needs[need].words for need in proposal.open),
    }


def _row(partner: Partner) -> dict[str, Any]:
    return {
        "rank": partner.rank,
        "name": partner.name,
        "kind": _kind(partner),
        "where": _where(partner),
        "why": "; ".join(partner.reasons[:2]),
    }


def _kind(one: Known | Partner) -> str:
    return f"{one.kind}{', SME' if one.sme else ''}"


def _where(one: Known | Partner) -> str:
    return ", ".join(filter(None, (one.place, one.country))) or "not known"


def _short(node: Any) -> dict[str, Any]:
    return {"x": node.x, "y": node.y, "lead": node.lead, "label": cut(line(node.label), LABEL)}


def _gap(theme: Any) -> dict[str, Any]:
    words = wording("en")
    return {
        "label": theme.label,
        "nobody": theme.nobody,
        "calls": [
            {
                "title": call.title,
                "link": web_address(call.url),
                "words": call.words,
                "due": day_in_words(call.next_deadline, words) if call.next_deadline else "",
            }
            for call in theme.calls
        ],
        "asked": theme.asked,
        "companies": theme.companies,
        "elsewhere": [
            {
                "name": hub.name,
                "place": hub.place,
                "country": hub.country,
                "km_told": f"{hub.km:.0f} km from Groningen" if hub.km is not None else "",
            }
            for hub in theme.elsewhere
        ],
    }


def _style() -> Any:
    from markupsafe import Markup

    return Markup(files("pipeline").joinpath("templates", "sheet.css").read_text("utf-8"))  # noqa: S704
