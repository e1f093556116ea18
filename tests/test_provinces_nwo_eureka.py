"""Provinces, NWO and Eureka: pages in two languages, several addresses, cards, and what is no call."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import SAMPLES

from crawlers.crawl import Crawl, crawl
from crawlers.reading import Unreadable
from crawlers.sources import eureka, nwo, provinces
from crawlers.sources.provinces import PROVINCES, Province
from pipeline.schema import RawCall

GRONINGEN, DRENTHE, FRYSLAN = PROVINCES
HOME = "https://www.eurekanetwork.org/programmes-and-calls/"
A_SCHEME = "https://www.provinciegroningen.nl/subsidies/werken-en-ondernemen/x/"


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Crawl]:
    folder = tmp_path_factory.mktemp("crawled")
    return {
        name: crawl(name, folder / f"{name}.jsonl", replay=SAMPLES) for name in ("provinces", "nwo", "eureka")
    }


def by_key(crawl_of_one: Crawl) -> dict[str, RawCall]:
    return {record.key: record for record in crawl_of_one.records}


def codes(crawl_of_one: Crawl) -> list[tuple[str, str]]:
    return [(issue.severity, issue.code) for issue in crawl_of_one.issues]


def without(source: str, words: str, folder: Path) -> Crawl:
    """A crawl of the samples in which every page loses `words`."""
    shutil.copytree(SAMPLES / source, folder / source)
    for file in (folder / source).glob("*.html"):
        file.write_text(file.read_text("utf-8").replace(words, ""), "utf-8")
    return crawl(source, folder / "out.jsonl", replay=folder)


def page(main: str, title: str = "A title", head: str = "", lang: str = "nl") -> str:
    return f"<html lang='{lang}'><head>{head}</head><body><main><h1>{title}</h1>{main}</main></body></html>"


# --- provinces


@pytest.mark.parametrize(
    ("province", "url", "key"),
    [
        (
            GRONINGEN,
            "https://provinciegroningen.nl/subsidies/werken-en-ondernemen/een-regeling",
            "een-regeling",
        ),
        (GRONINGEN, "https://www.provinciegroningen.nl/loket/subsidies/werken-en-ondernemen/een/", "een"),
        (GRONINGEN, "https://www.provinciegroningen.nl/subsidies/natuur/een-regeling/", None),
        (GRONINGEN, "https://elders.nl/subsidies/werken-en-ondernemen/een-regeling", None),
        (DRENTHE, "https://www.provincie.drenthe.nl/loket/subsidieloket/alle-subsidies-rij/@12/een/", "12"),
        (DRENTHE, "https://www.provincie.drenthe.nl/loket/subsidieloket/@12/?handheld=true", "12"),
        (
            DRENTHE,
            "https://provincie.drenthe.nl/loket/subsidieloket/alle-subsidies-rij/een-regeling",
            "een-regeling",
        ),
        (DRENTHE, "https://www.provincie.drenthe.nl/loket/subsidieloket/nieuws-subsidies/@13/een/", None),
        (
            FRYSLAN,
            "https://www.fryslan.frl/fy/subsydzjeregeling-ynnovaasje?fbclid=1",
            "subsydzjeregeling-ynnovaasje",
        ),
        (FRYSLAN, "https://www.fryslan.frl/m%C3%BBlk", "m-c3-bblk"),
        (FRYSLAN, "https://www.fryslan.frl/fy", None),
        (FRYSLAN, "https://www.fryslan.frl/", None),
        (FRYSLAN, "https://www.fryslan.frl/ynbusiness", None),
        (FRYSLAN, "https://www.fryslan.frl/subsidies", None),
    ],
)
def test_a_scheme_is_known_by_its_path_and_a_desk_is_no_scheme(
    province: Province, url: str, key: str | None
) -> None:
    assert province.key(url) == (key and f"{province.name}-{key}")


def test_dutch_and_frisian_pages_of_a_scheme_are_one_record_led_by_the_dutch(
    crawled: dict[str, Crawl],
) -> None:
    record = by_key(crawled["provinces"])["fryslan-fryslanunderweis"]
    assert record.fields["title"] == "Fryslân ûnderweis: subsidie"
    assert record.fields["language"] == "nl"
    assert [p.url for p in record.pages] == [
        "https://www.fryslan.frl/fryslanunderweis",
        "https://www.fryslan.frl/fy/fryslanunderweis",
    ]
    headings = [section["heading"] for section in record.fields["sections"]]  # type: ignore[index,union-attr]
    assert headings.index("Aanvragen") < headings.index("Oanfreegje")


def test_a_frisian_page_without_a_dutch_one_stands_alone(crawled: dict[str, Crawl]) -> None:
    key = "fryslan-subsydzjeregeling-festiging-en-sirkuler-undernimmerskip-fryslan-2021-2022"
    record = by_key(crawled["provinces"])[key]
    assert record.fields["language"] == "fy" and len(record.pages) == 1
    text = json.dumps(record.fields["sections"], ensure_ascii=False)
    assert "Dizze regeling is sletten!" in text
    assert "fan 6 febrewaris 2023 oant en mei 28 desimber 2023" in text
    assert record.fields["status"] is None  # words in a text are not a status that a page prints as one


def test_the_home_page_of_the_other_language_is_no_translation() -> None:
    links = "<link rel=alternate hreflang=fy href='/fy'>"
    assert provinces.translation(page("", head=links), "https://www.fryslan.frl/een") is None
    links = "<link rel=alternate hreflang=fy-NL href='/fy/ien'>"
    assert (
        provinces.translation(page("", head=links), "https://www.fryslan.frl/een")
        == "https://www.fryslan.frl/fy/ien"
    )
    assert provinces.translation(page("", head=links), "https://www.fryslan.frl/fy/ien") is None


def test_several_addresses_of_a_scheme_give_one_record_and_a_lost_page_a_warning(
    crawled: dict[str, Crawl],
) -> None:
    assert sorted(by_key(crawled["provinces"])) == [
        "drenthe-134432",
        "drenthe-136911",
        "fryslan-circulaire-economie-fryslan",
        "fryslan-fryslanunderweis",
        "fryslan-subsydzjeregeling-festiging-en-sirkuler-undernimmerskip-fryslan-2021-2022",
        "groningen-groninger-ondernemersregeling",
        "groningen-groninger-ondernemersregeling-vouchers",
        "groningen-subsidieregeling-demonstraties-in-chemport-europe",
    ]
    assert codes(crawled["provinces"]) == [("info", "page_gone"), ("info", "same_scheme")]


def test_the_headings_of_a_page_stay_and_its_frame_goes(crawled: dict[str, Crawl]) -> None:
    fields = by_key(crawled["provinces"])["groningen-groninger-ondernemersregeling"].fields
    headings = [section["heading"] for section in fields["sections"]]  # type: ignore[index,union-attr]
    assert headings == [
        "",
        "Aanvraagperiode",
        "Beschikbaar budget",
        "Voor wie?",
        "Voorwaarden",
        "Maximale vergoeding",
        "Procedure",
    ]
    chemport = by_key(crawled["provinces"])["groningen-subsidieregeling-demonstraties-in-chemport-europe"]
    said = json.dumps(chemport.fields, ensure_ascii=False)
    assert "tot en met 31 oktober 2026" in said
    assert "2024" not in said and "2020" not in said  # a comment and a script


def test_a_region_is_taken_where_a_label_says_it_is_one(crawled: dict[str, Crawl]) -> None:
    records = by_key(crawled["provinces"])
    voucher = records["drenthe-136911"].fields
    assert voucher["regions"] == ["Drenthe"] and voucher["status"] == "Open"
    assert {"label": "Verdeling", "text": "Volgorde van binnenkomst"} in voucher["facts"]  # type: ignore[operator]
    assert voucher["references"] == ["https://lokaleregelgeving.overheid.nl/CVDR667397/3"]
    assert [key for key, record in records.items() if record.fields["regions"]] == ["drenthe-136911"]


def test_a_page_that_is_no_scheme_is_unreadable() -> None:
    for text in (
        "<html><body><h1>Titel</h1><p>Geen main.</p></body></html>",
        "<html><body><main><p>Geen titel.</p></main></body></html>",
        page("<p>Deze pagina bestaat niet.</p>", "Pagina niet gevonden"),
        page("<form>Gebruikersnaam</form>", "Inloggen"),
        page("<h2>Contact</h2><p>Bel ons.</p>"),
    ):
        with pytest.raises(Unreadable):
            provinces.read_scheme(text, A_SCHEME, GRONINGEN)


def test_a_title_about_upkeep_and_a_part_a_are_read() -> None:
    fields = provinces.read_scheme(
        page("<h2>Deel A: machines</h2><p>Woorden.</p>", "Onderhoud van machines"), A_SCHEME, GRONINGEN
    )
    assert fields["sections"] == [{"heading": "Deel A: machines", "text": "Woorden."}]


def test_a_listing_without_a_scheme_is_an_error_and_the_other_provinces_go_on(tmp_path: Path) -> None:
    found = without("provinces", "alle-subsidies-rij/@", tmp_path)
    assert ("error", "layout_changed") in codes(found)
    assert {key.partition("-")[0] for key in by_key(found)} == {"groningen", "fryslan"}


# --- NWO


def test_the_listing_is_read_until_a_page_brings_nothing_new(crawled: dict[str, Crawl]) -> None:
    assert sorted(by_key(crawled["nwo"])) == [
        "kic-next-generation-high-tech-equipment",
        "kiem-arbeidsbesparende-ai",  # on two pages of the listing
        "open-technology-programme-2026",
        "perspectief-round-2022-2023",  # a slug with a slash
    ]
    assert codes(crawled["nwo"]) == []


def test_what_the_head_of_a_call_prints_is_copied_as_facts(crawled: dict[str, Crawl]) -> None:
    fields = by_key(crawled["nwo"])["kiem-arbeidsbesparende-ai"].fields
    assert fields["status"] == "Open" and fields["language"] == "en"
    assert {"label": "Deadline", "text": "15 September 2026, 14:00"} in fields["facts"]  # type: ignore[operator]
    assert fields["references"] == ["https://regieorgaan-sia.nl/financiering/kiem/"]
    assert "15 September" not in json.dumps(fields["sections"])  # said once


def test_a_listing_that_turns_into_something_else_is_an_error(tmp_path: Path) -> None:
    found = without("nwo", "/en/calls/", tmp_path / "links")
    assert codes(found) == [("error", "empty_listing")] and not found.records
    found = without("nwo", "<main>", tmp_path / "main")
    assert ("error", "layout_changed") in codes(found) and not found.records


def test_predictive_maintenance_is_a_call_and_maintenance_is_none() -> None:
    url = "https://www.nwo.nl/en/calls/x"
    assert nwo.read_call(page("<p>Words.</p>", "Predictive maintenance"), url)["title"]
    for title in ("Maintenance", "Page not found", "Access denied", "Log in"):
        with pytest.raises(Unreadable):
            nwo.read_call(page("<p>Words.</p>", title), url)


# --- Eureka


def test_cards_lead_to_calls_and_not_to_programmes_or_coaching(crawled: dict[str, Crawl]) -> None:
    assert sorted(by_key(crawled["eureka"])) == [
        "eurostars-eurostars-call-for-projects-september-2026",
        "eurostars-eurostars-march-2026",
        "globalstars-globalstars-call-with-taiwan-2026",
        "network-projects-open-call-for-network-projects-applications",
    ]
    assert codes(crawled["eureka"]) == []


def test_window_and_countries_are_copied_as_printed(crawled: dict[str, Crawl]) -> None:
    fields = by_key(crawled["eureka"])["eurostars-eurostars-call-for-projects-september-2026"].fields
    assert fields["opens_on"] == "9 July 2026, 12:00 AM CEST"
    assert fields["deadlines"] == ["10 September 2026, 2:00 PM CEST"]
    countries = fields["countries"]
    assert isinstance(countries, list)
    assert countries[:2] == ["Austria", "Belgium (Flanders)"] and "Türkiye" in countries
    assert fields["facts"] == []  # the card says the same


def test_a_sentence_about_countries_is_no_list_and_a_card_says_what_the_page_does_not(
    crawled: dict[str, Crawl],
) -> None:
    record = by_key(crawled["eureka"])["globalstars-globalstars-call-with-taiwan-2026"]
    assert record.fields["countries"] == [] and record.fields["deadlines"] == []
    assert record.fields["facts"] == [{"label": "Deadline", "text": "15 September 2026"}]
    assert [p.url for p in record.pages][1] == HOME
    assert "Sweden has yet to decide" in json.dumps(record.fields["sections"])


def test_a_card_keeps_its_deadline_to_itself() -> None:
    cards = """
      <p>Sort by Deadline: soonest</p>
      <div><a href="eurostars/">Eurostars</a><a href="eurostars/spring/"><b>Spring</b></a>
        <p>Deadline: 1 May 2026</p></div>
      <div><a href="eurostars/a-call/">A call</a></div>
      <div><a href="eurostars/library/">Library</a></div>
      <div><a href="autumn/#top"></a><div><span>Deadline:</span>
        <span>1 October 2026</span></div></div>"""
    found, following = eureka.read_listing(page(cards), HOME)
    assert found == {
        f"{HOME}eurostars/spring/": "1 May 2026",
        f"{HOME}autumn/": "1 October 2026",
        f"{HOME}eurostars/a-call/": None,
    }
    assert following is None


def test_a_card_that_differs_from_its_page_is_told_beside_it() -> None:
    text = page("<p>End Date:</p><p>10 September 2026, 2:00 PM CEST</p><p>Words.</p>")
    fields = eureka.read_call(text, f"{HOME}x/", "17 September 2026")
    assert fields["deadlines"] == ["10 September 2026, 2:00 PM CEST"]
    assert fields["facts"] == [{"label": "Deadline", "text": "17 September 2026"}]
    assert fields["sections"] == [{"heading": "", "text": "Words."}]


def test_an_empty_end_date_takes_no_other_words() -> None:
    fields = eureka.read_call(page("<p>End Date:</p><p>To be announced</p><p>Words.</p>"), f"{HOME}x/")
    assert fields["deadlines"] == []


def test_a_listing_without_a_card_is_an_error(tmp_path: Path) -> None:
    found = without("eureka", "href=", tmp_path / "links")
    assert ("error", "empty_listing") in codes(found) and not found.records
    found = without("eureka", "<main>", tmp_path / "main")
    assert ("error", "layout_changed") in codes(found) and not found.records
