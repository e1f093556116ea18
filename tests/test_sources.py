"""Every source, by the same door: recorded pages are crawled and typed, and compared with what a person read.

An expectation that is missing is written, and the test fails, so that somebody reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, SAMPLES, SHARED

from crawlers import official, official_xml, sru
from crawlers.crawl import Crawl, crawl
from crawlers.source import source_class
from crawlers.sources import edih, eu_portal, rvo, source_names
from pipeline.expect import faults
from pipeline.normalise import normalise
from pipeline.schema import Call, Page

AS_OF = date(2026, 6, 15)
EXPECTED = ROOT / "tests" / "expected"
TOLD = """
    level status claimed_status opens_on rolling until_spent allocation budget_total_eur
    call_budget_total_eur remaining_budget_eur grant_max_eur grant_min_eur eligible_costs_min_eur
    eligible_costs_max_eur own_contribution_min_eur own_contribution_min_rate funding_rate
    funding_rate_sme trl_min trl_max applicants regions language checked_on
""".split()


def typed(crawled: Crawl) -> list[Call]:
    about = source_class(crawled.source)
    return [
        normalise(raw, level=about.level, zone=about.zone, prose=about.prose, as_of=AS_OF)[0]
        for raw in crawled.records
    ]


def told(call: Call) -> dict[str, Any]:
    """What is known of a call, as the expectation files write it; the unknown is left out."""
    stated = {name: getattr(call, name) for name in TOLD if getattr(call, name) not in (None, ())}
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in stated.items()}
    ends = [
        f"{d.at.isoformat(timespec='minutes') if isinstance(d.at, datetime) else d.at} ({d.kind})"
        for d in call.deadlines
    ]
    partners = {n: v for n, v in call.consortium.model_dump().items() if v is not None}
    plain |= {"deadlines": ends} if ends else {}
    plain |= {"consortium": partners} if partners else {}
    plain |= {"contradictions": [c.field for c in call.contradictions]} if call.contradictions else {}
    return {"title": call.title, "role": call.documents[0].role, "sections": len(call.sections), **plain}


def summary(crawled: Crawl) -> dict[str, Any]:
    found: dict[str, Any] = {"calls": {call.call_id: told(call) for call in typed(crawled)}}
    if crawled.organisations:
        kept = {"name", "kind", "country", "website", "sectors", "services", "technologies"}
        found["organisations"] = {
            o.org_id: o.model_dump(mode="json", include=kept) for o in crawled.organisations
        }
    codes = Counter(f"{issue.severity}: {issue.code}" for issue in crawled.issues)
    return found | {"issues": dict(sorted(codes.items()))}


@pytest.mark.parametrize("source", source_names())
def test_recorded_pages_say_what_a_person_read_in_them(source: str, tmp_path: Path) -> None:
    crawled = crawl(source, tmp_path / "crawl.jsonl", replay=SAMPLES, as_of=AS_OF.isoformat())
    file, found = EXPECTED / f"{source}.yml", summary(crawled)
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=110), encoding="utf-8"
        )
        pytest.fail(f"{file.name} was missing and is written now: compare it with the pages, then run again")
    assert found == yaml.safe_load(file.read_text("utf-8"))
    about = source_class(source)
    assert not faults(about.expect, crawled.organisations or typed(crawled), None)
    assert about.home.startswith("https://") and (about.hosts or about.offline)
    assert all(page.url and len(page.sha256) == 64 for raw in crawled.records for page in raw.pages)


@pytest.mark.parametrize("source", source_names())
def test_the_same_pages_give_the_same_bytes(source: str, tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        crawl(source, tmp_path / name, replay=SAMPLES, as_of=AS_OF.isoformat())
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def real(name: str) -> str:
    return (SHARED / name).read_text("utf-8")


def bulk(number: int) -> dict[str, Any]:
    return dict(
        eu_portal.read_topic(
            json.loads(real("eu_portal/grantsTenders_sample.json"))["fundingData"]["GrantTenderObj"][number]
        )
    )


def hubs() -> dict[str, Any]:
    page = Page(
        url="https://example.org/x",
        fetched_at=datetime(2025, 5, 1, tzinfo=UTC),
        sha256="0" * 64,
        archive_record="x",
    )
    found, _ = edih.read_rows(json.loads(real("edih/catalogue_2025-05.json")), page)
    return {
        "hubs": len(found),
        "ids": len({o.org_id for o in found}),
        "dutch": sum(o.country == "Netherlands" for o in found),
    }


def publication(name: str) -> dict[str, Any]:
    read = official.read_publication(real(f"{PUBLISHED}{name}.xml"), f"https://example.org/{name}")
    return {"begins": " ".join(read["title"].split()[:2]), "sections": len(read["sections"])}


PUBLISHED = "official_publications/wetsuite_"
CUT_OFFS = "1651536000000 1674691200000 1706140800000 1738022400000 1774310400000".split()
REAL: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "rvo page": (
        lambda: rvo.read_scheme(rvo.page_data(real("rvo/rvo_eurostars_2025-09-12.html"))),
        {"status": "Tijdelijk gesloten voor aanvragen", "opens_on": None, "deadlines": []},
    ),
    "bgr": (lambda: publication("bgr"), {"begins": "Regeling mandatering"}),
    "prb": (lambda: publication("prb"), {"begins": "Provincie Utrecht"}),
    "stcrt": (lambda: publication("stcrt"), {"begins": "Ter inzage:", "sections": 1}),
    "cvdr": (
        lambda: official.read_metadata(official_xml.tree(real(f"{PUBLISHED}cvdr_example2.xml"))),
        {"in_force_from": "2016-10-27", "issuer": "Kampen"},
    ),
    "bwb manifest": (
        lambda: official.read_manifest(real(f"{PUBLISHED}bwb_manifest.xml"), date(2023, 3, 1)),
        {"label": "2023-02-18_0"},
    ),
    "sru record": (
        lambda: sru.read_record(official_xml.tree(real(f"{PUBLISHED}searchrec.xml"))),
        {"identifier": "gmb-2023-174296", "issuer": "Bergeijk"},
    ),
    "edih catalogue": (hubs, {"hubs": 457, "ids": 457, "dutch": 16}),
    "bulk row with five cut-offs": (
        lambda: bulk(0),
        {"kind": "1", "status": "31094502", "programme": "43353764", "deadlines": CUT_OFFS},
    ),
    "bulk row of a tender": (lambda: bulk(2), {"kind": "0", "opens_on": None, "deadlines": []}),
}


@pytest.mark.shared_data
@pytest.mark.parametrize(("read", "expected"), REAL.values(), ids=REAL.keys())
def test_real_files_say_what_a_person_reads_in_them(
    read: Callable[[], Any], expected: dict[str, Any]
) -> None:
    found = read()
    assert {name: found[name] for name in expected} == expected
