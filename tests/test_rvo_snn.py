"""RVO's page data and SNN's web pages: what is read, what is refused, and what never becomes a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, SHARED

from crawlers.crawl import Crawl, crawl
from crawlers.reading import Unreadable
from crawlers.sources import rvo, snn

URL = "https://www.snn.nl/zakelijke-subsidies/digitale-werkplaats-2026"


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Crawl]:
    home = tmp_path_factory.mktemp("crawls")
    return {name: crawl(name, home / f"{name}.jsonl", replay=SAMPLES) for name in ("rvo", "snn")}


def archive(folder: Path, answers: dict[str, tuple[int, str, dict[str, str]]]) -> Path:
    """A folder of exchanges: address → status, text, headers."""
    for number, (url, (status, text, headers)) in enumerate(answers.items()):
        exchange = {
            "request": {"method": "GET", "url": url},
            "fetched_at": "2026-06-15T04:00:00+00:00",
            "response": {"status": status, "headers": headers, "text": text},
        }
        (folder / f"{number}.json").write_text(json.dumps(exchange))
    return folder


HTML = {"Content-Type": "text/html"}
LOGIN = "<html lang='nl'><body><main><h1>Inloggen</h1><p>Log in met eHerkenning.</p></main></body></html>"


def issues(crawled: Crawl) -> dict[str, set[str | None]]:
    return {
        code: {i.key for i in crawled.issues if i.code == code} for code in {i.code for i in crawled.issues}
    }


# RVO


def data(**more: Any) -> dict[str, Any]:
    """A scheme's data in the site's shape, of which little is stated but for `more`."""
    base: dict[str, Any] = {
        "type": "subsidy",
        "title": "Proeftuin",
        "url": "/subsidies-financiering/proeftuin",
        "summary": None,
        "intro": "<p>Voor bedrijven die proeven doen.</p>",
        "contentElements": [],
        "subsidyStatus": {"name": "Open voor aanvragen"},
        "startDate": None,
        "endDate": None,
        "disableTime": False,
        "budget": None,
        "targets": [],
        "tags": [],
        "sectors": [],
        "subjects": [],
        "subsidies": [],
        "countries": [{"name": "Turkije", "isoalpha2": "TR"}],
    }
    return base | more


def wysiwyg(text: str) -> dict[str, Any]:
    return {"type": "wysiwyg", "text": text}


@pytest.mark.shared_data
def test_the_real_eurostars_page_states_a_closed_scheme_without_structured_dates() -> None:
    page = (SHARED / "rvo" / "rvo_eurostars_2025-09-12.html").read_text("utf-8")
    fields = rvo.read_scheme(rvo.page_data(page))
    assert fields["title"] == "Eurostars: subsidie internationale marktgerichte R&D"
    assert fields["url"] == "https://www.rvo.nl/subsidies-financiering/eurostars"
    assert fields["status"] == "Tijdelijk gesloten voor aanvragen"
    assert (fields["opens_on"], fields["deadlines"], fields["facts"]) == (None, [], [])
    assert fields["checked_on"] == "2025-09-04T09:00:00+02:00"
    assert fields["applicants"] == [
        "Grootbedrijf",
        "Agrarisch ondernemer",
        "MKB (ook zzp)",
        "School / Kennisinstelling",
    ]
    by_heading = {section["heading"]: section["text"] for section in fields["sections"]}
    window = "was geopend van 4 juli tot en met 4 september 2025, 14:00 uur"
    assert "De 9e call" in by_heading["Internationale calls"]
    assert window in by_heading["Internationale calls"]
    everything = json.dumps(fields, ensure_ascii=False)
    for foreign in ("IRIS", "eurostars@", "Operations Manager", "Waste Transformers", "transcri", "mp4"):
        assert foreign not in everything
    assert "https://www.officielebekendmakingen.nl/stcrt-2025-23181.html" in fields["references"]


def test_dates_and_budget_come_from_the_data_as_they_are() -> None:
    budget = {
        "total": 22000000,
        "granted": "1250000.00",
        "negotiation": None,
        "additionalInfo": "<p>Op=op.</p>",
    }
    fields = rvo.read_scheme(
        data(
            startDate="2026-03-03T09:00:00+01:00",
            endDate="2026-08-27T17:00:00+02:00",
            budget=budget,
        )
    )
    assert fields["opens_on"] == "2026-03-03T09:00:00+01:00"
    assert fields["deadlines"] == ["2026-08-27T17:00:00+02:00"]
    assert fields["facts"] == [
        {"label": "Totaal budget", "text": "22000000"},
        {"label": "Verleend", "text": "1250000.00"},
    ]
    assert fields["sections"][-1]["text"] == "Op=op."


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-08-27T17:00:00+02:00", "2026-08-27"),
        ("2026-01-27", "2026-01-27"),
        ("2026-08-26T22:00:00+00:00", None),  # the day here is another than the day in the data
    ],
)
def test_an_hour_that_the_page_does_not_show_is_no_fact(at: str, shown: str | None) -> None:
    fields = rvo.read_scheme(data(endDate=at, disableTime=True))
    assert fields["deadlines"] == ([shown] if shown else [])


def test_dates_printed_in_the_text_of_the_older_layout_become_facts() -> None:
    text = "<h2>Looptijd</h2><p>Startdatum:<br>woensdag 13 juli 2022 07:00 AM (CET)</p>"
    text += "<p>Totaal budget: € 22.000.000</p>"
    fields = rvo.read_scheme(data(contentElements=[wysiwyg(text)]))
    assert fields["facts"] == [
        {"label": "Startdatum", "text": "woensdag 13 juli 2022 07:00 AM (CET)"},
        {"label": "Totaal budget", "text": "€ 22.000.000"},
    ]


def test_contact_boxes_and_quotes_are_left_out_and_other_boxes_stay() -> None:
    box = {"type": "call_to_action", "childElements": [wysiwyg("<p>Neem contact op: maximaal € 99.</p>")]}
    other = {"type": "call_to_action", "childElements": [wysiwyg("<p>Het loket opent op 1 maart 2026.</p>")]}
    quote = {"type": "quote", "quote": "<p>Wij kregen € 88.</p>", "author": "Iemand"}
    text = {"type": "panel", "title": "Kosten & baten", "childElements": [wysiwyg("<p>Tot 50%.</p>")]}
    panels = {"type": "accordion", "panels": [text]}
    fields = rvo.read_scheme(data(contentElements=[box, other, quote, panels]))
    assert "€" not in json.dumps(fields, ensure_ascii=False)
    assert "Het loket opent op 1 maart 2026." in fields["sections"][0]["text"]
    assert fields["sections"][1] == {"heading": "Kosten & baten", "text": "Tot 50%."}


def test_the_countries_that_a_scheme_has_to_do_with_are_not_read_as_where_applicants_must_be() -> None:
    fields = rvo.read_scheme(data())
    assert not fields.get("countries") and not fields.get("regions")


@pytest.mark.parametrize(
    "broken",
    [
        {"title": ""},
        {"intro": None},
        {"url": "/onderwerpen/proeftuin"},
        {"contentElements": None},
        {"targets": None},
        {"subsidyStatus": "open"},
    ],
)
def test_page_data_of_another_shape_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        rvo.read_scheme(data(**broken))


@pytest.mark.parametrize("name", list(data().keys() - {"budget", "countries", "type"}))
def test_page_data_without_one_of_its_fields_is_refused(name: str) -> None:
    with pytest.raises(Unreadable):
        rvo.read_scheme({key: value for key, value in data().items() if key != name})


@pytest.mark.parametrize(
    "text",
    [
        LOGIN,
        "<script id='__NEXT_DATA__'>{</script>",
        "<script id='__NEXT_DATA__'>{}</script>",
        '<script id=\'__NEXT_DATA__\'>{"props":{"pageProps":{"page":null}}}</script>',
        "<!-- <script id='__NEXT_DATA__'>{}</script> -->",
    ],
)
def test_a_page_without_the_data_of_a_scheme_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        rvo.page_data(text)


@pytest.mark.parametrize("text", ["<html>", '{"items": []}', "[1]", '[{"url": "/x"}]'])
def test_an_index_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        rvo.read_index(text)


def test_sub_pages_are_no_schemes_but_those_of_mit_may_be() -> None:
    names = ["eurostars", "eurostars/aanvragen", "mit/rd-samenwerkingsprojecten", "mit/rd/begrippen"]
    found = [rvo.scheme(f"/subsidies-financiering/{name}") for name in names]
    assert found == ["eurostars", None, "mit/rd-samenwerkingsprojecten", None]
    assert rvo.scheme("/subsidies-financiering") is None
    assert rvo.scheme("/en/subsidies-financing/eurostars") is None


def test_the_sample_index_and_sitemap_together_give_every_scheme_once(crawled: dict[str, Crawl]) -> None:
    assert [record.key for record in crawled["rvo"].records] == [
        "dei",
        "eurostars",
        "innovatiekrediet",
        "mit",
        "mit-rd-samenwerkingsprojecten",
        "smart-industry-fieldlabs",
        "startfonds-noordelijke-maakindustrie",
        "wbso",
    ]
    assert issues(crawled["rvo"]) == {
        "paging_ignored": {None},
        "not_in_index": {None},
        "not_in_sitemap": {None},
        "no_scheme": {"subsidies-van-a-tot-z", "mijn-aanvragen"},
        "no_window": {"mit-begrippen"},
        "page_gone": {"innovatie-prestatie-contracten"},
    }


def test_a_scheme_that_moved_to_another_ones_address_is_one_record(tmp_path: Path) -> None:
    page = {"props": {"pageProps": {"page": data()}}}
    text = f"<script id='__NEXT_DATA__'>{json.dumps(page)}</script>"
    site = "https://www.rvo.nl"
    index = [
        {"id": str(n), "url": f"/subsidies-financiering/{s}"} for n, s in enumerate(["oud", "proeftuin"])
    ]
    answers = {
        f"{rvo.INDEX}0": (200, json.dumps(index), {"Content-Type": "application/json"}),
        f"{rvo.INDEX}1": (200, "[]", {"Content-Type": "application/json"}),
        f"{site}/subsidies-financiering/oud": (
            301,
            "",
            HTML | {"Location": f"{site}/subsidies-financiering/proeftuin"},
        ),
        f"{site}/subsidies-financiering/proeftuin": (200, text, HTML),
    }
    found = crawl("rvo", tmp_path / "out.jsonl", replay=archive(tmp_path, answers))
    assert [record.key for record in found.records] == ["proeftuin"]
    assert issues(found) == {"same_scheme": {"proeftuin"}, "no_sitemap": {None}}


@pytest.mark.parametrize("answer", ["[]", LOGIN])
def test_an_empty_or_unreadable_index_is_an_error_and_gives_no_record(tmp_path: Path, answer: str) -> None:
    answers = {f"{rvo.INDEX}0": (200, answer, HTML), rvo.SITEMAP: (200, LOGIN, HTML)}
    found = crawl("rvo", tmp_path / "out.jsonl", replay=archive(tmp_path, answers))
    assert not found.records
    assert [issue.severity for issue in found.issues if issue.code == "index_unreadable"] == ["error"]


# SNN


def page(head: str, body: str = "<h2>Voor wie</h2><p>Voor het mkb.</p>") -> str:
    return f"<html lang='nl'><body><main><h1>Digitale werkplaats 2026</h1>{head}{body}</main></body></html>"


LABELLED = {
    "Locatie": "Drenthe, Groningen",
    "Maximaal bedrag": "€ 2.500 of € 5.000",
    "Resterend budget": "€ 29.343.049",
    "Status": "Aanvragen mogelijk t/m 15 juli 2024",
}


@pytest.mark.parametrize(
    "head",
    [
        "".join(f"<div>{label}: {words}</div>" for label, words in LABELLED.items()),
        "".join(f"<div><b>{label}</b><span>{words}</span></div>" for label, words in LABELLED.items()),
        "<dl>" + "".join(f"<dt>{label}:</dt><dd>{words}</dd>" for label, words in LABELLED.items()) + "</dl>",
        "<table>" + "".join(f"<tr><td>{k}</td><td>{v}</td></tr>" for k, v in LABELLED.items()) + "</table>",
    ],
)
def test_the_head_is_read_in_whatever_elements_it_stands(head: str) -> None:
    fields, _ = snn.read_scheme(page(head), URL)
    assert {fact["label"]: fact["text"] for fact in fields["facts"]} == LABELLED
    assert fields["status"] == LABELLED["Status"]
    assert fields["regions"] == ["Drenthe", "Groningen"]
    assert fields["sections"] == [{"heading": "Voor wie", "text": "Voor het mkb."}]


@pytest.mark.parametrize(
    ("text", "facts", "left"),
    [
        ("Resterend budget\nStatus:\nLoket gesloten", {"Status": "Loket gesloten"}, ""),
        ("Resterend budget\nOntvang tot € 500 subsidie.", {}, "Ontvang tot € 500 subsidie."),
        ("Locatie:\nMaximaal bedrag\nStatus: Binnenkort open", {"Status": "Binnenkort open"}, ""),
        (
            "Aanvragen mogelijk t/m\n31 december 2016",
            {"Status": "Aanvragen mogelijk t/m 31 december 2016"},
            "",
        ),
        ("31 december 2021 00:00\nWelkom", {"Status": "31 december 2021 00:00"}, "Welkom"),
        ("Aanvragen niet meer mogelijk.", {"Status": "Aanvragen niet meer mogelijk"}, ""),
        ("Maximaal bedrag per project: zie onder.", {}, "Maximaal bedrag per project: zie onder."),
        ("Status van je aanvraag zie je in Mijn SNN.", {}, "Status van je aanvraag zie je in Mijn SNN."),
        ("Locatiebeleid is van belang.", {}, "Locatiebeleid is van belang."),
        ("Aanvragen doe je in het loket.", {}, "Aanvragen doe je in het loket."),
        (
            "Besluit op aanvraag\n26 weken\nSubsidiepercentage\n10% - 50% ?",
            {"Besluit op aanvraag": "26 weken", "Subsidiepercentage": "10% - 50%"},
            "",
        ),
    ],
)
def test_a_line_of_the_head_is_a_fact_only_with_a_value_of_its_kind(
    text: str, facts: dict[str, str], left: str
) -> None:
    assert snn.read_head(text) == (facts, left)


@pytest.mark.parametrize(
    "text",
    [
        LOGIN,
        "<main><p>Status: Loket gesloten</p><h2>Voor wie</h2><p>Voor het mkb.</p></main>",
        page(""),
        page("<p>Status: Loket gesloten</p>", ""),
        page("<!-- <p>Status: Loket gesloten</p> -->"),
        page("<p>Status: Loket gesloten</p><h1>Nog een titel</h1>"),
    ],
)
def test_a_page_without_title_head_or_text_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        snn.read_scheme(text, URL)


def test_what_stands_around_the_text_of_a_scheme_is_not_read() -> None:
    around = "<div class='cookie-melding'><p>Cookies!</p></div><h2>Contactgegevens</h2><p>Bel ons.</p>"
    html = page("<p>Loket gesloten</p>").replace("<main>", f"<main><nav>Menu</nav>{around}")
    fields, _ = snn.read_scheme(html, URL)
    assert fields["sections"] == [{"heading": "Voor wie", "text": "Voor het mkb."}]


def test_boilerplate_needs_three_pages_and_half_of_all() -> None:
    def schemes(times: int, of: int) -> list[snn.Sections]:
        own = [[{"heading": "", "text": f"Eigen tekst {n}"}] for n in range(of)]
        for sections in own[:times]:
            sections[0]["text"] += "\nVier transities"
            sections.append({"heading": "Strategie", "text": "Vier transities\nVier transities"})
        return own

    def repeated(times: int, of: int) -> int:
        return json.dumps(snn.without_boilerplate(schemes(times, of))).count("Vier transities")

    assert repeated(3, 6) == repeated(4, 4) == 0
    assert repeated(2, 2) == 6
    assert repeated(3, 7) == 9
    assert snn.without_boilerplate(schemes(3, 3))[0] == [{"heading": "", "text": "Eigen tekst 0"}]
    assert snn.without_boilerplate([]) == []


def test_of_several_addresses_with_one_slug_the_newest_is_asked() -> None:
    paths = ["/alle-subsidies/a", "/zakelijke-subsidies/a", "/ondernemers/b", "/ondernemers/b/aanvragen"]
    paths += ["/nieuws/c", "/kennisbank/d", "/zakelijke-subsidies/veelgestelde-vragen"]
    assert snn.newest(paths) == ["/zakelijke-subsidies/a", "/ondernemers/b"]


def test_a_key_is_the_title_with_the_year_of_the_address_where_the_title_has_none() -> None:
    title = "Adviesvoucherregeling Fryslân"
    assert snn.known_by(title, "adviesvoucher-2025-2027") == "adviesvoucherregeling-fryslan-2025-2027"
    assert snn.known_by(f"{title} 2026", "adviesvoucher-2025") == "adviesvoucherregeling-fryslan-2026"
    assert snn.known_by(title, "adviesvoucher") == "adviesvoucherregeling-fryslan"


def test_questions_and_answers_of_another_scheme_and_login_pages_are_refused() -> None:
    fields, _ = snn.read_scheme(page("<p>Loket gesloten</p>"), URL)
    other = page("", "<h2>Algemeen</h2><p>Ja.</p>").replace("Digitale werkplaats", "Analoge werkplaats")
    for text in (LOGIN, other, page("", "")):
        with pytest.raises(Unreadable):
            snn.read_faq(text, fields)


def test_the_sample_site_gives_every_scheme_once_with_its_questions(crawled: dict[str, Crawl]) -> None:
    records = {record.key: record for record in crawled["snn"].records}
    assert sorted(records) == [
        "mit-haalbaarheid-noord-nederland-2026",
        "mit-r-d-samenwerking-noord-nederland-2023",
        "subsidie-investering-en-opleiding-jtf",
        "subsidie-opleidingsinfrastructuur-en-campusactiviteiten-jtf",
        "voucherregeling-mkb-drenthe-2019",
    ]
    assert issues(crawled["snn"]) == {
        "same_scheme": {"subsidie-investering-en-opleiding-jtf"},
        "moved_away": {"open-innovatie-call"},
    }
    everything = json.dumps([record.fields for record in records.values()], ensure_ascii=False)
    for repeated in ("transities", "circulair in plaats", "servicedesk", "Cookies", "telefonisch"):
        assert repeated not in everything
    feasibility = records["mit-haalbaarheid-noord-nederland-2026"]
    headings = [section["heading"] for section in feasibility.fields["sections"]]
    assert headings.count("Veelgestelde vragen: Over het project") == 1
    assert len(feasibility.pages) == 2
    assert json.dumps(feasibility.fields).count("Laat onderzoeken") == 1
    assert "Resterend budget" not in json.dumps(feasibility.fields)
    moved = records["subsidie-investering-en-opleiding-jtf"]
    assert (
        moved.fields["url"] == "https://www.snn.nl/zakelijke-subsidies/subsidie-investering-en-opleiding-jtf"
    )
    assert moved.fields["status"] is None


@pytest.mark.parametrize(
    "listing", [LOGIN, "<main><h1>Zakelijke subsidies</h1><p>Geen resultaten.</p></main>", ""]
)
def test_an_empty_or_unreadable_listing_is_an_error_and_gives_no_record(tmp_path: Path, listing: str) -> None:
    answers = {snn.LISTING: (200, listing, HTML), snn.SITEMAP: (200, LOGIN, HTML)}
    found = crawl("snn", tmp_path / "out.jsonl", replay=archive(tmp_path, answers))
    assert not found.records
    assert [issue.severity for issue in found.issues if issue.code == "listing_unreadable"] == ["error"]


def test_a_scheme_page_that_asks_to_log_in_is_an_error_and_no_record(tmp_path: Path) -> None:
    listing = f"<main><a href='{URL}'>Digitale werkplaats</a></main>"
    answers = {snn.LISTING: (200, listing, HTML), URL: (200, LOGIN, HTML)}
    found = crawl("snn", tmp_path / "out.jsonl", replay=archive(tmp_path, answers))
    assert not found.records
    assert issues(found)["layout_changed"] == {"digitale-werkplaats-2026"}
