"""Official publications: their XML and metadata, hostile XML, faults of the search services, the samples."""

from __future__ import annotations

import asyncio
import io
import re
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import SAMPLES, SHARED
from scrapy.settings import Settings

from crawlers.crawl import Crawl, crawl
from crawlers.official import (
    concerns_scheme,
    in_force,
    read_html,
    read_manifest,
    read_metadata,
    read_publication,
    references,
)
from crawlers.official_xml import Garbled, tree
from crawlers.reading import Unreadable
from crawlers.sources.cvdr import QUERIES as ISSUERS
from crawlers.sources.cvdr import Cvdr
from crawlers.sources.koop_sru import MOST, QUERIES, KoopSru, quarters
from crawlers.sru import LAST_START, PAGE_SIZE, Rejected, SruSource, read_answer
from pipeline.schema import Issue, Page, RawCall

REAL = SHARED / "official_publications"
URL = "https://zoek.officielebekendmakingen.nl/prb-2026-1.html"
DAY = date(2026, 6, 15)


def publication(inner: str, kop: str = "<kop><titel>Subsidieregeling</titel></kop>") -> str:
    """A publication in the official layout, with `inner` in its body."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><officiele-publicatie><metadata/>'
        "<kop><titel>PROVINCIAAL BLAD</titel><subtitel>Officiële uitgave</subtitel></kop>"
        f"<provinciaalblad>{kop}<regeling>{inner}</regeling></provinciaalblad></officiele-publicatie>"
    )


def sections(inner: str) -> list[tuple[str, str]]:
    found = read_publication(publication(inner), URL)["sections"]
    return [(section["heading"], section["text"]) for section in found]


ARTICLE = (
    "<artikel><kop><label>Artikel</label><nr>3</nr><titel>Subsidieplafond</titel></kop>"
    "<lid><lidnr>1.</lidnr><al>Het plafond bedraagt:</al>"
    '<lijst><li><li.nr>a.</li.nr><al>€ 850.000,-;</al></li><li nr="b."><al>€ 300.000,-.</al></li>'
    "<li><li.nr>•</li.nr><al>niets meer</al></li></lijst></lid></artikel>"
)


def test_an_article_is_a_section_with_its_paragraphs_and_items() -> None:
    text = "1. Het plafond bedraagt:\n- a. € 850.000,-;\n- b. € 300.000,-.\n- niets meer"
    assert sections(ARTICLE) == [("Artikel 3 Subsidieplafond", text)]


def test_what_comes_before_and_after_the_articles_is_not_theirs() -> None:
    inner = (
        "<aanhef><preambule><al>gelet op de wet;</al></preambule></aanhef>"
        f"<regeling-tekst><hoofdstuk><kop><label>Hoofdstuk</label><nr>1</nr></kop>{ARTICLE}</hoofdstuk></regeling-tekst>"
        "<regeling-sluiting><slotformulering><al>Assen, 1 mei 2026</al></slotformulering></regeling-sluiting>"
    )
    found = sections(inner)
    assert [heading for heading, _ in found] == ["", "Artikel 3 Subsidieplafond", ""]
    assert found[0][1] == "gelet op de wet;" and found[2][1] == "Assen, 1 mei 2026"


@pytest.mark.parametrize(
    ("inner", "heading"),
    [
        (f"<bijlage><kop><label>Bijlage</label><nr>1</nr></kop>{ARTICLE}</bijlage>", "Bijlage 1"),
        (f"<nota-toelichting>{ARTICLE}</nota-toelichting>", "Toelichting"),
        (
            f"<wijzig-artikel><kop><label>ARTIKEL</label><nr>I</nr></kop>{ARTICLE}</wijzig-artikel>",
            "ARTIKEL I",
        ),
    ],
)
def test_an_article_in_an_annex_explanation_or_amendment_bears_its_heading(inner: str, heading: str) -> None:
    assert [found for found, _ in sections(inner)] == [f"{heading}: Artikel 3 Subsidieplafond"]


def test_an_amendment_goes_on_after_an_article_that_it_quotes() -> None:
    inner = (
        "<wijzig-artikel><kop><label>Artikel</label><nr>I</nr></kop><wat>Zo gewijzigd:</wat>"
        "<wijzig-lid><lidnr>A</lidnr><wat>Dit komt te luiden:</wat>"
        "<artikel><kop><label>Artikel</label><nr>5</nr></kop><al>Nieuw.</al></artikel></wijzig-lid>"
        "<wijzig-lid><lidnr>B</lidnr><wat>Dit vervalt.</wat></wijzig-lid></wijzig-artikel>"
    )
    assert sections(inner) == [
        ("Artikel I", "Zo gewijzigd:\n\nA Dit komt te luiden:"),
        ("Artikel I: Artikel 5", "Nieuw."),
        ("Artikel I", "B Dit vervalt."),
    ]


def test_a_table_is_text_even_inside_a_note() -> None:
    rows = "".join(
        f"<row><entry><al>{a}</al></entry><entry><al>{b}</al><al>{c}</al></entry></row>"
        for a, b, c in (("Soort", "Van", "tot"), ("Klein", "€ 100.000", "€ 350.000"))
    )
    inner = f"<al><noot><table><tgroup><tbody>{rows}</tbody></tgroup></table></noot></al>"
    assert sections(inner) == [("", "Soort | Van tot\nKlein | € 100.000 € 350.000")]


def test_terms_stand_before_what_they_mean() -> None:
    inner = (
        "<definitielijst><definitie-item><term>mkb</term><definitie><al>kleine ondernemingen</al></definitie>"
        "</definitie-item></definitielijst>"
    )
    assert sections(inner) == [("", "mkb: kleine ondernemingen")]


def test_bold_lines_are_headings_as_printed_but_one_that_heads_nothing_stays_text() -> None:
    bold = '<al><nadruk type="vet">{}</nadruk></al>'
    inner = (
        f"{bold.format('Artikel 2. Doel')}<al>Bouwen.</al>{bold.format('Wie kan aanvragen')}<al>Allen.</al>"
        f"{bold.format('De aanvraag is ontvangen vóór 1 mei 2026')}{bold.format('Gesloten na 1 mei')}"
    )
    assert sections(inner) == [
        ("Artikel 2. Doel", "Bouwen."),
        ("Wie kan aanvragen", "Allen.\n\nDe aanvraag is ontvangen vóór 1 mei 2026\n\nGesloten na 1 mei"),
    ]


def test_instructions_comments_and_a_byte_order_mark_do_not_disturb_the_text() -> None:
    text = publication("<al>tot en<?xpp qa?> met<!-- nooit --> 31 december</al>")
    (section,) = read_publication("\ufeff" + text, URL)["sections"]
    assert section["text"] == "tot en met 31 december"


def test_indentation_does_not_break_a_number_in_two() -> None:
    line = "<tussenkop>\n <nadruk>Bergen, 2</nadruk>\n <nadruk>3</nadruk>\n</tussenkop><al>x</al>"
    assert sections(line) == [("Bergen, 23", "x")]
    assert sections("<al><vet>Naam:</vet>\n<vet>Jan 3</vet></al>") == [("", "Naam: Jan 3")]


def test_signatures_are_left_out() -> None:
    closing = "<ondertekening><naam><achternaam>Jansen</achternaam></naam></ondertekening>"
    assert sections(f"<al>Besluit.</al><regeling-sluiting>{closing}</regeling-sluiting>") == [
        ("", "Besluit.")
    ]


def test_title_and_subtitle_come_without_notes() -> None:
    note = "<noot><noot.al>zie</noot.al></noot>"
    kop = f"<kop><titel>Regeling{note}</titel><subtitel>voor energie</subtitel></kop>"
    read = read_publication(publication("<al>over mkb</al>", kop), URL)
    assert (read["title"], read["subtitle"]) == ("Regeling", "voor energie")


BOMB = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha"}">' for i in range(10))
HOSTILE = {
    "billion laughs": f"<!DOCTYPE x [{BOMB}]><officiele-publicatie><al>&a9;</al></officiele-publicatie>",
    "external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><officiele-publicatie>&e;'
    "</officiele-publicatie>",
    "external subset": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><officiele-publicatie/>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]><x/>',
    "unknown entity": "<officiele-publicatie>&wat;</officiele-publicatie>",
    "deep nesting": "<officiele-publicatie>" + "<al>" * 100_000,
    "HTML": "<!DOCTYPE html><html><body><h1>Storing</h1></body></html>",
    "XHTML": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
    "cut off": publication(ARTICLE)[:-60],
    "nothing": "",
    "control characters": publication("<al>\x01</al>"),
    "another document": "<toestand><wetgeving/></toestand>",
    "no title": publication("<al>x</al>", kop=""),
    "no text": publication("<al/>"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_or_unknown_xml_is_told_and_never_a_record(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unreadable):
        read_publication(text, URL)
    assert time.monotonic() - started < 2


def test_only_what_may_come_right_is_worth_asking_again() -> None:
    for name in ("HTML", "XHTML", "cut off", "nothing"):
        with pytest.raises(Garbled):
            tree(HOSTILE[name])
    with pytest.raises(Unreadable, match="document type") as told:
        tree(HOSTILE["external entity"])
    assert not isinstance(told.value, Garbled)


@pytest.mark.parametrize(
    ("texts", "urls", "found"),
    [
        (["zie bgr-2023-764 en CVDR737949_1"], [], ["bgr-2023-764", "CVDR737949"]),
        (["Regeling (Provinciaal blad 2020, 9326)"], [], ["prb-2020-9326"]),
        (["Provinciaal Blad nummer 1486 van 2019"], [], ["prb-2019-1486"]),
        (["Stcrt. 2025, 11338"], [], ["stcrt-2025-11338"]),
        (["Provinciaal Blad 2013, nr. 216"], [], []),  # numbered by each province then
        (["PZH-2014-456665139, 2020-9326"], [], []),
        (["prb-2026-1 zelf"], [], []),
        ([], ["CVDR://90762_1", "1.1:CVDR77862_1"], ["CVDR90762", "CVDR77862"]),
        ([], ["https://wetten.overheid.nl/jci1.3:c:BWBR0005537&artikel=4:81"], ["BWBR0005537"]),
        ([], ["https://www.snn.nl/zakelijke-subsidies/mit"], ["https://www.snn.nl/zakelijke-subsidies/mit"]),
        ([], ["https://www.snn.nl/", "mailto:info@snn.nl", "https://snn.nl.example.org/x"], []),
        (["BWBR0005537"], ["https://wetten.overheid.nl/BWBR0005537/"], ["BWBR0005537"]),
    ],
)
def test_references_are_identifiers_and_pages_of_schemes(
    texts: list[str], urls: list[str], found: list[str]
) -> None:
    assert references(texts, urls, own=[URL]) == found


@pytest.mark.parametrize(
    ("title", "abstract", "wanted"),
    [
        ("Openstellingsbesluit Voucherregeling MKB Fryslân 2026", None, True),
        ("Wijziging subsidieplafond Subsidieregeling energiebesparing Drents MKB", None, True),
        ("Subsidieregeling verwijderen asbestdaken Drenthe", None, True),
        ("Besluit tot intrekking van de Subsidieregeling JTF", None, True),
        ("Regeling tot wijziging van de Regeling nationale EZK- en LNV-subsidies", None, True),
        ("Tender Waterstof 2026", None, True),
        ("Nadere regels innovatie Groningen", "regels voor het verstrekken van subsidie", True),
        ("Nadere regels innovatie Groningen", None, False),
        ("Mandaatbesluit uitvoering Subsidieregeling MIT", None, False),
        ("Verleende vergunning pluimveehouderij", "de aanvrager ontvangt subsidie", False),
        ("Ingekomen melding, verwijderen van asbest van het dak", None, False),
        ("Verkeersbesluit N34", "subsidie", False),
        ("Algemene subsidieverordening Drenthe 2023", None, False),
    ],
)
def test_only_what_can_concern_a_scheme_is_read(title: str, abstract: str | None, wanted: bool) -> None:
    assert concerns_scheme(title, abstract) is wanted


def test_titles_of_snn_need_not_speak_of_a_subsidy() -> None:
    assert concerns_scheme("VALORISATIE 2023 NOORD-NEDERLAND ZOEKT INNOVATIEF IDEE", telling=False)
    assert not concerns_scheme("Regeling mandatering dagelijks bestuur", telling=False)
    assert not concerns_scheme("Vergadering van het algemeen bestuur", telling=False)


@pytest.mark.parametrize(
    ("day", "version"),
    [("2023-01-25", 1), ("2023-01-26", 2), ("2026-05-31", 2), ("2026-06-01", None), ("2021-06-01", None)],
)
def test_a_version_applies_until_the_day_it_lapses(day: str, version: int | None) -> None:
    versions = [
        {"version": 1, "in_force_from": "2021-06-02", "in_force_until": "2023-01-26Z"},
        {"version": 2, "in_force_from": "2023-01-26", "in_force_until": "2026-06-01"},
        {"version": 3, "in_force_from": None, "in_force_until": None},
    ]
    found = in_force(versions, date.fromisoformat(day))
    assert (found["version"] if found else None) == version


# --- the search services


def answer(records: str, total: int, version: str = "2.0") -> str:
    space = {
        "2.0": "http://docs.oasis-open.org/ns/search-ws/sruResponse",
        "1.2": "http://www.loc.gov/zing/srw/",
    }
    return (
        f'<?xml version="1.0"?><s:searchRetrieveResponse xmlns:s="{space[version]}" xmlns:d="http://purl.org/dc/terms/">'
        f"<s:numberOfRecords>{total}</s:numberOfRecords><s:records>{records}</s:records></s:searchRetrieveResponse>"
    )


def found_record(identifier: str, day: date, journal: str, title: str = "Subsidieregeling") -> str:
    files = f'<itemUrl manifestation="xml">https://repository.overheid.nl/{identifier}.xml</itemUrl>'
    return (
        "<s:record><s:recordData><gzd><originalData><meta><owmskern>"
        f"<d:identifier>{identifier}</d:identifier><d:title>{title}</d:title></owmskern><owmsmantel>"
        f"<d:available>{day}</d:available></owmsmantel><tpmeta><publicatienaam>{journal}</publicatienaam></tpmeta>"
        f"</meta></originalData><enrichedData>{files}</enrichedData></gzd></s:recordData></s:record>"
    )


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_both_versions_of_the_protocol_are_read(version: str) -> None:
    read = read_answer(answer(found_record("prb-2026-1", DAY, "Provinciaal blad"), 7, version))
    (record,) = read.records
    assert read.total == 7
    assert (record["identifier"], record["published_on"]) == ("prb-2026-1", "2026-06-15")
    assert record["files"] == {"xml": "https://repository.overheid.nl/prb-2026-1.xml"}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (
            "<diagnostics><diagnostic xmlns='http://www.loc.gov/zing/srw/diagnostic/'>"
            "<details>cql.x</details><message>Unsupported index</message></diagnostic></diagnostics>",
            Rejected,
            "cql.x: Unsupported index",
        ),
        (
            answer("", 5458).replace("<s:records>", "<s:diagnostics><diagnostic><message>SEARCH-IGNOREDQTEXT"
            "</message></diagnostic></s:diagnostics><s:records>"),
            Rejected,
            "SEARCH-IGNOREDQTEXT",
        ),
        (answer("", 0).replace("<s:numberOfRecords>0</s:numberOfRecords>", ""), Unreadable, "how many"),
        ("<explainResponse/>", Unreadable, "explainResponse"),
        ("<html><body>503</body></html>", Garbled, "HTML"),
    ],
)  # fmt: skip
def test_no_answer_is_taken_for_an_empty_one(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_answer(text)


def test_the_sample_of_diagnostics_is_told_in_its_words() -> None:
    text = (SAMPLES / "koop_sru" / "search-diagnostics.xml").read_text("utf-8")
    with pytest.raises(Rejected, match=r"dt\.uitgever: Unsupported index"):
        read_answer(text)


def test_slices_are_whole_quarters_that_stay_the_same_for_a_quarter() -> None:
    found = quarters(date(2026, 4, 1))
    assert found == quarters(date(2026, 6, 30)) != quarters(date(2026, 7, 1))
    assert (found[0], found[-1]) == (
        (date(2025, 1, 1), date(2025, 3, 31)),
        (date(2026, 4, 1), date(2026, 6, 30)),
    )
    assert len(found) == 6
    assert quarters(date(2026, 12, 31))[-1] == (date(2026, 10, 1), date(2026, 12, 31))


class Service:
    """A stand-in for a search service: publications by day and journal, and the faults of `spoil`."""

    def __init__(
        self,
        spider: SruSource,
        publications: dict[tuple[str, date], int],
        spoil: Callable[[str, int, str], str] = lambda query, start, text: text,
    ) -> None:
        self.spider, self.publications, self.spoil = spider, publications, spoil
        self.asked: list[tuple[str, int]] = []
        spider.settings = Settings({"RETRY_TIMES": 2})
        spider.text = self.text  # type: ignore[method-assign]

    async def text(self, url: str) -> tuple[str, Page]:
        page = Page(
            url=url, fetched_at=datetime(2026, 6, 15, tzinfo=UTC), sha256="0" * 64, archive_record="x"
        )
        if url.endswith(".xml"):
            return publication("<al>Tekst.</al>"), page
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        query, start = asked["query"], int(asked["startRecord"])
        self.asked.append((query, start))
        return self.spoil(query, start, self.answer(query, start)), page

    def answer(self, query: str, start: int) -> str:
        begin, end = (date.fromisoformat(day) for day in re.findall(r'dt\.available..?"([\d-]+)"', query))
        hits = [
            (f"{journal[0].lower()}-{day:%Y%m%d}-{number}", day, journal)
            for (journal, day), count in self.publications.items()
            if f'"{journal}"' in query and begin <= day <= end
            for number in range(count)
        ]
        return answer("".join(found_record(*hit) for hit in hits[start - 1 : start + 99]), len(hits))

    def run(self) -> tuple[list[RawCall], list[Issue]]:
        async def gather() -> list[Any]:
            return [item async for item in self.spider.start()]

        items = asyncio.run(gather())
        records = [item for item in items if isinstance(item, RawCall)]
        return records, [item for item in items if isinstance(item, Issue)]


SNN, PROVINCES, MINISTRIES = (query.journal for query in QUERIES)
FEW = {(journal, date(2026, 2, 3)): 2 for journal in (SNN, PROVINCES, MINISTRIES)}


def koop(publications: dict[tuple[str, date], int], **more: Any) -> Service:
    return Service(KoopSru(day=DAY), publications, **more)


def test_each_query_is_asked_by_quarter_and_empty_quarters_are_no_fault() -> None:
    service = koop(FEW)
    records, issues = service.run()
    assert len(records) == 6 and issues == []
    assert len(service.asked) == 18
    assert all("c.product-area==officielepublicaties" in query for query, _ in service.asked)
    assert {record.fields["url"] for record in records} >= {
        "https://zoek.officielebekendmakingen.nl/p-20260203-0.html"
    }


def test_the_window_of_the_service_is_respected() -> None:
    assert MOST + PAGE_SIZE < 10_000 and LAST_START < 10_000


def test_a_large_slice_is_parted_by_days_and_paging_ends_with_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crawlers.sources.koop_sru.MOST", 400)
    monkeypatch.setattr("crawlers.sru.LAST_START", 500)
    busy = {(PROVINCES, date(2026, 1, 1) + timedelta(days=n)): 30 for n in range(60)}
    service = koop(FEW | busy | {(PROVINCES, date(2025, 5, 5)): 700})
    records, issues = service.run()
    assert len([record for record in records if record.key.startswith("p-2026")]) == 60 * 30
    assert max(start for _, start in service.asked) == 401
    # one day cannot be parted: what lies beyond the window is told
    (issue,) = issues
    assert (issue.severity, issue.code) == ("warning", "totals_differ")
    assert "700 records are claimed, 500 distinct ones were served" in issue.detail


def test_a_service_that_says_nothing_of_a_whole_query_is_a_fault() -> None:
    without_snn = {key: count for key, count in FEW.items() if key[0] != SNN}
    records, issues = koop(without_snn).run()
    assert len(records) == 4
    assert [(issue.severity, issue.code) for issue in issues] == [("error", "silent_zero")]
    assert issues[0].detail.startswith("SNN")


def test_html_instead_of_xml_is_asked_for_again() -> None:
    seen: set[str] = set()

    def once(query: str, start: int, text: str) -> str:
        first_time = query not in seen
        seen.add(query)
        return "<html><body>even geduld</body></html>" if first_time else text

    service = koop(FEW, spoil=once)
    records, issues = service.run()
    assert len(records) == 6 and issues == []
    assert len(service.asked) == 36


def test_a_service_that_only_serves_html_is_given_up_and_told() -> None:
    service = koop(FEW, spoil=lambda *_: "<html/>")
    records, issues = service.run()
    assert records == []
    assert {issue.code for issue in issues} == {"search_failed", "gave_up"}
    assert {issue.severity for issue in issues} == {"error"}
    assert issues[0].detail == (
        "SNN, 2025-01-01 to 2025-03-31: https://repository.overheid.nl/sru: HTML where XML is expected"
    )
    assert len(service.asked) == 3 * 3 * 3  # queries, slices, tries


def test_diagnostics_are_an_error_in_the_services_words_and_not_asked_again() -> None:
    def refuse(query: str, start: int, text: str) -> str:
        refused = (
            "<diagnostics><diagnostic><message>Invalid search field</message></diagnostic></diagnostics>"
        )
        return refused if SNN in query and '>="2025-07-01"' in query else text

    service = koop(FEW, spoil=refuse)
    records, (issue,) = service.run()
    assert len(records) == 6
    assert (issue.severity, issue.code) == ("error", "diagnostics")
    assert "SNN, 2025-07-01 to 2025-09-30: Invalid search field" in issue.detail
    assert len(service.asked) == 18


@pytest.mark.parametrize(
    "old, new",
    [("<d:available>2026-02-03<", "<d:available>2019-02-03<"), (">Staatscourant<", ">Gemeenteblad<")],
    ids=["the dates", "the journal"],
)
def test_a_service_that_ignores_a_part_of_the_query_is_not_believed(old: str, new: str) -> None:
    service = koop(
        FEW, spoil=lambda query, start, text: text.replace(old, new) if MINISTRIES in query else text
    )
    records, issues = service.run()
    assert len(records) == 4
    assert [(issue.severity, issue.code) for issue in issues] == [("error", "search_failed")]
    assert "ignored a part of the query" in issues[0].detail


def test_records_that_are_claimed_but_not_served_are_told() -> None:
    service = koop(FEW, spoil=lambda query, start, text: text.replace(">2</s:number", ">3</s:number"))
    records, issues = service.run()
    assert len(records) == 6
    assert {(issue.severity, issue.code) for issue in issues} == {
        ("error", "page_missing"),
        ("warning", "totals_differ"),
    }


def test_a_service_that_repeats_its_first_page_does_not_hold_up_the_crawl() -> None:
    first_page = koop(many := FEW | {(SNN, date(2025, 3, 3)): 250}).answer(
        QUERIES[0].cql(date(2025, 1, 1), date(2025, 3, 31)), 1
    )
    service = koop(many, spoil=lambda query, start, text: first_page if start > 1 else text)
    records, issues = service.run()
    assert len(records) == 106
    assert [issue.code for issue in issues] == ["totals_differ"]


def cvdr_record(identifier: str, issuer: str, begin: str, end: str = "", kind: str = "Provincie") -> str:
    work, version = identifier.split("_")
    return (
        f"<s:record><gzd><originalData><meta><d:identifier>{identifier}</d:identifier>"
        f"<d:title>Subsidieregeling {work}</d:title><d:creator>{issuer}</d:creator>"
        f"<inwerkingtredingDatum>{begin}</inwerkingtredingDatum>"
        f"<uitwerkingtredingDatum>{end}</uitwerkingtredingDatum></meta></originalData><enrichedData>"
        f"<organisatietype>{kind}</organisatietype>"
        f"<publicatieurl_xml>https://x/{version}.xml</publicatieurl_xml></enrichedData></gzd></s:record>"
    )


class Register(Service):
    """A stand-in for the register: records by issuer."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        super().__init__(Cvdr(day=DAY), {})
        self.records = records

    def answer(self, query: str, start: int) -> str:
        found = next(records for issuer, records in self.records.items() if f'"{issuer}"' in query)
        return answer("".join(found), len(found), "1.2")


def test_of_a_work_the_version_in_force_counts() -> None:
    others = {name: [cvdr_record(f"CVDR{n}0000_1", name, "2020-01-01")] for n, name in enumerate(ISSUERS, 1)}
    drenthe = [
        cvdr_record("CVDR5_1", "Drenthe", "2020-01-01", "2024-01-01"),
        cvdr_record("CVDR5_2", "Drenthe", "2024-01-01", "2026-07-01"),
        cvdr_record("CVDR5_3", "Drenthe", "2026-07-01"),
        cvdr_record("CVDR6_1", "Drenthe", "2020-01-01", "2026-06-15"),  # lapses today
        cvdr_record("CVDR7_1", "Drenthe", "2026-06-16"),
        cvdr_record("112779_1", "Drenthe", "2011-01-01"),  # an identifier of before 2012
        cvdr_record("CVDR8_1", "Drenthe", "2020-01-01", kind="Gemeente"),
    ]
    records, issues = Register(others | {"Drenthe": drenthe}).run()
    found = {record.key: record.fields for record in records}
    assert {"CVDR5", "CVDR112779"} <= found.keys() and not {"CVDR6", "CVDR7", "CVDR8"} & found.keys()
    assert found["CVDR5"]["url"] == "https://lokaleregelgeving.overheid.nl/CVDR5/2"
    assert (found["CVDR5"]["in_force_from"], found["CVDR5"]["in_force_until"]) == ("2024-01-01", "2026-07-01")
    assert found["CVDR5"]["document_type"] == "regeling"
    assert sorted((i.severity, i.code, i.key or "") for i in issues) == [
        ("info", "future_version", "CVDR5"),
        ("info", "future_version", "CVDR7"),
        ("info", "left_out", ""),
        ("warning", "other_issuer", ""),
    ]
    (left_out,) = [issue.detail for issue in issues if issue.code == "left_out"]
    assert left_out == "0 versions of what is no scheme, 2 schemes that are not in force"


def test_an_issuer_of_whom_the_register_says_nothing_is_a_fault() -> None:
    records = {name: [cvdr_record(f"CVDR{n}_1", name, "2020-01-01")] for n, name in enumerate(ISSUERS, 1)}
    _, issues = Register(records | {"Groningen": []}).run()
    assert [(issue.severity, issue.code) for issue in issues] == [("error", "silent_zero")]


# --- the samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Crawl]:
    out = tmp_path_factory.mktemp("crawls")
    return {name: crawl(name, out / name, replay=SAMPLES) for name in ("koop_sru", "cvdr")}


def text_of(crawled: Crawl, key: str, heading: str) -> str:
    (record,) = [record for record in crawled.records if record.key == key]
    found: list[dict[str, str]] = record.fields["sections"]  # type: ignore[assignment]
    return next(section["text"] for section in found if section["heading"] == heading)


def test_the_samples_show_no_fault_and_what_was_left_out(samples: dict[str, Crawl]) -> None:
    issues = [issue for crawled in samples.values() for issue in crawled.issues]
    assert {issue.severity for issue in issues} == {"info"}
    assert sorted((issue.code, issue.key) for issue in issues if issue.key) == [
        ("future_version", "CVDR737949")
    ]
    assert "2 of SNN, 2 of provinces, 1 of ministries" in samples["koop_sru"].issues[0].detail


def test_every_sample_record_has_what_makes_it_official(samples: dict[str, Crawl]) -> None:
    for crawled in samples.values():
        assert crawled.records
        for record in crawled.records:
            fields = record.fields
            assert fields["identifier"] == record.key
            assert record.key not in fields["references"]  # type: ignore[operator]
            assert all(
                fields[name] for name in ("title", "document_type", "issuer", "issuer_type", "sections")
            )
            assert str(fields["url"]).startswith("https://")
            assert len(record.pages) == 2  # its text, and the search that found it


def test_openings_of_two_years_are_two_records_that_cite_one_regulation(samples: dict[str, Crawl]) -> None:
    of_2023 = text_of(samples["cvdr"], "CVDR691446", "Artikel 1 Aanvraagperiode")
    of_2026 = text_of(samples["koop_sru"], "prb-2026-900001", "Artikel 1 Aanvraagperiode")
    assert "6 februari 2023 9:00 uur tot en met 31 december 2023 23:59 uur" in of_2023
    assert "9 februari 2026 9:00 uur tot en met 31 december 2026 23:59 uur" in of_2026
    cited = [
        r.fields["references"]
        for c in samples.values()
        for r in c.records
        if "Openstellingsbesluit Voucher" in str(r.fields["title"])
    ]
    assert cited == [["CVDR647788"], ["CVDR647788"]]


def test_a_subtitle_that_contradicts_its_text_stays_apart_from_it(samples: dict[str, Crawl]) -> None:
    (record,) = [record for record in samples["koop_sru"].records if record.key == "bgr-2025-3005"]
    (fact,) = record.fields["facts"]  # type: ignore[misc]
    assert "slimme energiesystemen" in fact["text"]  # type: ignore[index,call-overload]
    assert "energiesystemen" not in str(record.fields["sections"])


# --- the real files


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "title", "headings", "cited"),
    [
        ("bgr", "Regeling mandatering", ["Artikel 2. Randvoorwaarden mandatering", "Artikel 8"], []),
        ("prb", "Provincie Utrecht Wet luchtvaart", ["Beschikking TUG-ontheffing", "Bezwaar"], []),
        ("stcrt", "Ter inzage: omgevingsvergunning", [""], []),
        ("stb", "Besluit van 9 maart 2018, houdende", ["Artikel 1", "Artikel 3"], []),
        ("gmb", "Ingediende aanvraag omgevingsvergunning", [""], []),
        ("cvdr_example1", "Tabel 1 [b]. Lijst van binnengemeentelijke", [""], ["CVDR90762", "CVDR187468"]),
        ("cvdr_example2", "Beleidsregels verkeersveiligheid en parkeren", ["1.Parkeren", "4.Diversen"], []),
        ("cvdr_example3", "Beleidsregel Wet Bibob", ["1. Inleiding"], ["BWBR0013798", "BWBR0024779"]),
    ],
)
def test_real_documents_are_read(file: str, title: str, headings: list[str], cited: list[str]) -> None:
    read = read_publication((REAL / f"wetsuite_{file}.xml").read_text("utf-8"), URL)
    assert read["title"].startswith(title)
    assert set(headings) <= {section["heading"] for section in read["sections"]}
    assert read["references"] == cited
    assert not re.search(r"Grapperhaus|Snel\b|\ufeff|xpp", str(read["sections"]))


@pytest.mark.shared_data
def test_a_real_date_is_not_broken_by_indentation() -> None:
    read = read_publication((REAL / "wetsuite_stcrt.xml").read_text("utf-8"), URL)
    assert "Bergen, 23 december 2015" in read["sections"][0]["text"]


@pytest.mark.shared_data
def test_a_real_table_keeps_its_rows() -> None:
    read = read_publication((REAL / "wetsuite_bgr.xml").read_text("utf-8"), URL)
    table = read["sections"][-1]["text"]
    assert "- procuratie tot € 50.000 | DB | Secretaris" in table


@pytest.mark.shared_data
@pytest.mark.parametrize("form", ["opmeta1", "opmeta2"])
def test_both_real_forms_of_metadata_say_the_same(form: str) -> None:
    read = read_metadata(tree((REAL / f"wetsuite_{form}.xml").read_text("utf-8")))
    said = {name: value for name, value in read.items() if value}
    assert said.pop("title").startswith("Kennisgeving melding incidentele festiviteit")
    assert said == {
        "identifier": "gmb-2024-216934",
        "language": "nl",
        "document_type": "evenementenvergunning",
        "issuer": "Reimerswaal",
        "issuer_type": "gemeente",
        "publication": "Gemeenteblad",
        "available": "2024-05-17",
        "published_on": "2024-05-17",
        "keywords": ["Openbare orde en veiligheid | Organisatie en beleid"],
    }


@pytest.mark.shared_data
def test_a_real_search_record_is_read_and_not_wanted() -> None:
    text = (REAL / "wetsuite_searchrec.xml").read_text("utf-8")
    response = f"<searchRetrieveResponse><numberOfRecords>1</numberOfRecords>{text}</searchRetrieveResponse>"
    (record,) = read_answer(response).records
    assert (record["identifier"], record["issuer_type"]) == ("gmb-2023-174296", "gemeente")
    assert record["page"] == "https://zoek.officielebekendmakingen.nl/gmb-2023-174296.html"
    assert record["files"]["xml"].endswith("/1/xml/gmb-2023-174296.xml")
    assert record["references"] == []
    assert not concerns_scheme(record["title"], record["abstract"])


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("number", "identifier", "begin", "end", "cited"),
    [
        (1, "112779_1", "2011-09-14", "2012-04-25", ["CVDR90740"]),
        (2, "CVDR100394_2", "2016-10-27", None, ["gmb-2016-146361", "BWBR0004825", "CVDR77862"]),
        (3, "CVDR680781_1", "2019-08-30", None, ["BWBR0013798", "BWBR0024779"]),
    ],
)
def test_real_regulations_say_since_when_they_apply(
    number: int, identifier: str, begin: str, end: str | None, cited: list[str]
) -> None:
    read = read_metadata(tree((REAL / f"wetsuite_cvdr_example{number}.xml").read_text("utf-8")))
    assert (read["identifier"], read["in_force_from"], read["in_force_until"]) == (identifier, begin, end)
    assert read["document_type"] == "regeling" and read["references"] == cited


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("day", "label"),
    [
        ("2022-04-30", None),
        ("2022-07-31", "2022-05-01_0"),
        ("2022-08-01", "2022-08-01_0"),
        ("2026-06-15", "2023-04-01_0"),
    ],
)
def test_a_real_manifest_names_the_expression_of_a_day(day: str, label: str | None) -> None:
    text = (REAL / "wetsuite_bwb_manifest.xml").read_text("utf-8")
    found = read_manifest(text, date.fromisoformat(day))
    assert (found["label"] if found else None) == label


def zipped() -> str:
    with zipfile.ZipFile(io.BytesIO((REAL / "wetsuite_prb.html.zip").read_bytes())) as packed:
        return packed.read("prb-2014-6.html").decode("utf-8")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("page", "identifier", "published", "headings", "cited"),
    [
        ("stcrt", "stcrt-2013-10981", "2013-04-23", ["", "Voornemen", "Ter visie legging"], []),
        ("stb", "stb-2014-296", "2014-07-29", ["", "ARTIKEL I", "ARTIKEL II"], ["stb-2012-363"]),
        ("gmb", "gmb-2017-100007", "2017-06-14", [""], []),
        ("prb", "prb-2014-6", "15-01-2014", ["De directeur van de directie Concernzaken", "Artikel 1"], []),
    ],
)
def test_real_pages_are_read(
    page: str, identifier: str, published: str, headings: list[str], cited: list[str]
) -> None:
    text = zipped() if page == "prb" else (REAL / f"wetsuite_{page}.html").read_text("utf-8")
    read = read_html(text, URL)
    assert (read["identifier"], read["published_on"]) == (identifier, published)
    assert [section["heading"] for section in read["sections"]][: len(headings)] == headings
    assert read["references"] == cited
    assert not re.search("Inhoudsopgave|Plasterk|Tekstgrootte", str(read["sections"]))


@pytest.mark.shared_data
def test_a_log_that_was_saved_as_a_page_is_no_publication() -> None:
    with pytest.raises(Unreadable):
        read_html((REAL / "wetsuite_bgr.html").read_text("utf-8"), URL)


@pytest.mark.shared_data
def test_no_text_of_the_real_files_is_in_the_samples() -> None:
    ours = " ".join(
        p.read_text("utf-8") for name in ("koop_sru", "cvdr") for p in (SAMPLES / name).glob("*.xml")
    )
    files: list[Path] = sorted(REAL.glob("*.xml"))
    theirs = {line for file in files for line in re.findall(r">([^<>]{80,})<", file.read_text("utf-8"))}
    assert theirs and not [line for line in theirs if line in ours]
