"""The catalogue of hubs, and CORDIS bulk files: every known shape, flat memory, and loud failure."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, SHARED
from openpyxl import Workbook

from crawlers.cordis import (
    CordisError,
    Participant,
    Participation,
    Project,
    Topic,
    read_organisations,
    read_projects,
    read_topics,
)
from crawlers.crawl import crawl
from crawlers.reading import Unreadable
from crawlers.sources.edih import COLUMNS, read_rows, read_website, read_workbook, slug, split_names
from pipeline.schema import Page

PAGE = Page(
    url="https://hubs.example.eu",
    fetched_at=datetime(2026, 6, 15, tzinfo=UTC),
    sha256="a",
    archive_record="b",
)


def a_row(name: str, **more: str | None) -> dict[str, str | None]:
    return dict.fromkeys(COLUMNS) | {"EDIH Name": name, "Country": "Netherlands", "EDIH/SoE": "EDIH"} | more


def a_workbook(*rows: list[Any]) -> bytes:
    book, body = Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    book.save(body)
    return body.getvalue()


# The catalogue of hubs


@pytest.mark.shared_data
def test_every_hub_of_the_real_catalogue_is_read_and_every_name_in_its_lists_is_known() -> None:
    rows = json.loads((SHARED / "edih" / "catalogue_2025-05.json").read_text("utf-8"))
    hubs, odd = read_rows(rows, PAGE)
    assert (len(hubs), len({hub.org_id for hub in hubs}), odd) == (457, 457, [])
    assert sum(hub.website is None for hub in hubs) == 82 + 6  # unusable, and cut off
    assert sum(hub.country == "Netherlands" for hub in hubs) == 16
    turned, _ = read_rows(reversed(rows), PAGE)
    assert {hub.org_id: hub for hub in turned} == {hub.org_id: hub for hub in hubs}


def test_names_that_hold_commas_stay_whole_and_lose_only_their_rating() -> None:
    names = ("Micro- and nanoelectronics, optoelectronics", "Chemical engineering (plants, products)", "data")
    assert split_names(", ".join(f"{name} - 4" for name in names), "technologies") == (names, [])
    energy = "Energy - 5, Energy, fuels and petroleum engineering - 3, Retail, wholesale or distribution"
    sectors = ("Energy", "Energy, fuels and petroleum engineering", "Retail, wholesale or distribution")
    assert split_names(energy, "sectors") == (sectors, [])


def test_a_name_that_no_list_has_is_left_out_and_told() -> None:
    assert split_names("Robotics - 5, Warp drives, small - 2, Photonics - 1", "technologies") == (
        ("Robotics", "Photonics"),
        ["Warp drives, small - 2"],
    )
    assert split_names("Roboticss, , Photonics,", "technologies") == (("Photonics",), ["Roboticss"])
    hubs, odd = read_rows([a_row("Hub", **{"Formatted technologies": "Robotic - 5"})], PAGE)
    assert hubs[0].technologies == ()
    assert [(code, key) for code, _, key in odd] == [("unknown_name", "hub")]


@pytest.mark.parametrize(
    "printed",
    [
        None,
        "",
        "Website",
        "https://hub.example/a-long-addr…",
        "https://hub.example/...",
        "javascript:x.y",
        "hub nl",
    ],
)
def test_a_website_that_is_missing_cut_off_or_no_address_is_unknown(printed: str | None) -> None:
    assert read_website(printed) is None


def test_hubs_of_one_name_have_ids_that_do_not_hang_on_the_order_of_rows() -> None:
    rows = [
        a_row("NEST"),
        a_row("Nest", Country="Albania"),
        a_row("NEST", **{"EDIH/SoE": "DIH"}),
        a_row("NEST"),
    ]
    hubs, odd = read_rows(rows, PAGE)
    ids = {"edih:nest-netherlands-edih", "edih:nest-albania-edih", "edih:nest-netherlands-dih"}
    assert {hub.org_id for hub in hubs} == ids
    assert [code for code, _, _ in odd] == ["same_hub"]
    assert {hub.org_id for hub in read_rows(rows[::-1], PAGE)[0]} == ids
    assert slug("Pôle EMC2 – Fryslân") == "pole-emc2-fryslan"


def test_an_export_that_is_no_workbook_lacks_a_column_is_damaged_or_empty_is_unreadable() -> None:
    whole = a_workbook(list(COLUMNS), ["Hub"])
    assert next(read_workbook(whole))["EDIH Name"] == "Hub"
    for body in (
        b"<html>sign in</html>",
        b"\xd0\xcf\x11\xe0\xa1\xb1",
        b"",
        whole[:900],
        b"PK\x03\x04" + b"x" * 99,
    ):
        with pytest.raises(Unreadable):
            read_workbook(body)
    with pytest.raises(Unreadable, match="Website"):
        read_workbook(a_workbook([name for name in COLUMNS if name != "Website"], ["Hub"]))
    with pytest.raises(Unreadable, match="lists no hub"):
        read_rows(read_workbook(a_workbook(list(COLUMNS))), PAGE)


def test_a_workbook_that_inflates_to_more_than_a_catalogue_can_be_is_not_opened() -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/worksheets/sheet1.xml", b" " * (17 << 20))
    with pytest.raises(Unreadable, match="larger"):
        read_workbook(body.getvalue())


def test_the_sample_catalogue_gives_hubs_with_provenance_and_nobody_s_name(tmp_path: Path) -> None:
    crawled = crawl("edih", tmp_path / "edih.jsonl", replay=SAMPLES)
    hubs = {hub.org_id: hub for hub in crawled.organisations}
    assert (len(hubs), crawled.records, crawled.issues) == (8, (), ())
    north = hubs["edih:edih-nn"]
    assert (north.website, north.kind, north.country) == ("https://edih-nn.nl", "EDIH", "Netherlands")
    assert "Sensors & Vision Processing Systems" in north.technologies
    assert north.page.archive_record == "export-edih.json"
    assert (hubs["edih:digitalzh"].website, hubs["edih:boost-robotic-eastnl"].website) == (None, None)
    assert "left out" not in "".join(hub.model_dump_json() for hub in hubs.values())


# CORDIS

PROJECT = {
    "id": "101000001",
    "acronym": "DEMO",
    "status": "SIGNED",
    "title": "Robots that weld; and learn",
    "startDate": "2022-09-01",
    "endDate": "2026-08-31",
    "topics": "HORIZON-CL4-2021-TWIN-TRANSITION-01-01",
    "ecSignatureDate": "2022-06-14",
    "frameworkProgramme": "HORIZON",
    "masterCall": "HORIZON-CL4-2021-TWIN-TRANSITION-01",
    "subCall": "HORIZON-CL4-2021-TWIN-TRANSITION-01",
    "fundingScheme": "HORIZON-RIA",
    "objective": 'A "smart" cell;\nin two lines.',
}
ORGANISATION = {
    "projectID": "101000001",
    "projectAcronym": "DEMO",
    "organisationID": "999900001",
    "name": "VOORBEELD LASROBOTS BV",
    "shortName": "VLR",
    "SME": "true",
    "activityType": "PRC",
    "street": "Staalweg 1",
    "city": "Drachten",
    "country": "NL",
    "nutsCode": "NL125",
    "organizationURL": "http://www.example.nl",
    "contactForm": "https://example.eu/contact/1",
    "role": "coordinator",
    "ecContribution": "960619,95",
}
TOPIC = {"projectID": "101000001", "topic": PROJECT["topics"], "title": "AI enhanced robotics"}
TABLES = {"project": [PROJECT], "organization": [ORGANISATION], "topics": [TOPIC, TOPIC]}

CATEGORY = {
    "contenttype": "category",
    "code": "/PRC",
    "attributes": {"type": "relatedOrganizationActivityType"},
}
NESTED: dict[str, Any] = {
    **{
        n: PROJECT[n]
        for n in ("id", "acronym", "title", "objective", "startDate", "endDate", "ecSignatureDate")
    },
    "totalCost": 7999555.53,
    "relations": {
        "associations": [
            {
                "contenttype": "call",
                "identifier": PROJECT["masterCall"],
                "attributes": {"type": "relatedMasterCall"},
            },
            {
                "contenttype": "organization",
                "id": 999900001,
                "legalName": ORGANISATION["name"],
                "shortName": "VLR",
                "address": {
                    "street": "Staalweg 1",
                    "city": "Drachten",
                    "country": "NL",
                    "url": "http://www.example.nl",
                },
                "relations": {
                    "categories": [CATEGORY],
                    "regions": [{"nutsCode": "NL125", "attributes": {"type": "relatedNutsCode"}}],
                    "associations": [{"contenttype": "person", "lastName": "Nobody"}],
                },
                "attributes": {"type": "coordinator", "sme": True, "ecContribution": "960619,95"},
            },
            {
                "contenttype": "programme",
                "code": PROJECT["topics"],
                "title": TOPIC["title"],
                "frameworkProgramme": "HORIZON",
                "attributes": {"type": "relatedTopic"},
            },
        ],
        "categories": [
            {"code": "/HORIZON-RIA", "attributes": {"type": "relatedProjectFundingSchemeCategory"}},
        ],
    },
}
XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://cordis.europa.eu"><language>en</language><rcn>1</rcn><id>101000001</id><acronym>DEMO</acronym>
<objective>{PROJECT["objective"]}</objective><title>{PROJECT["title"]}</title>
<startDate>2022-09-01</startDate><endDate>2026-08-31</endDate><ecSignatureDate>2022-06-14</ecSignatureDate>
<relations><associations>
<call type="relatedMasterCall"><title>x</title><identifier>{PROJECT["masterCall"]}</identifier></call>
<organization type="coordinator" sme="true" ecContribution="960619,95"><rcn>7</rcn><id>999900001</id>
<legalName>VOORBEELD LASROBOTS BV</legalName><shortName>VLR</shortName>
<address><street>Staalweg 1</street><city>Drachten</city><country>NL</country><url>http://www.example.nl</url></address>
<relations><associations><person><lastName>Nobody</lastName></person></associations>
<categories><category classification="organizationActivityType" type="relatedOrganizationActivityType">
<code>/PRC</code></category></categories>
<regions><region type="relatedNutsCode"><name>ZO</name><nutsCode>NL125</nutsCode><parents>
<region><nutsCode>NL12</nutsCode></region></parents></region></regions></relations></organization>
<programme type="relatedTopic"><code>{PROJECT["topics"]}</code><title>AI enhanced robotics</title>
<frameworkProgramme>HORIZON</frameworkProgramme></programme>
<!-- <organization type="participant"><id>1</id><legalName>COMMENTED OUT</legalName></organization> -->
</associations>
<categories><category type="relatedProjectFundingSchemeCategory"><code>/HORIZON-RIA</code></category>
</categories>
</relations></project>"""


def as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=";", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return "\ufeff" + text.getvalue()


def flat_json(rows: list[dict[str, Any]]) -> str:
    return "\ufeff" + json.dumps(rows, indent=1)


SHAPES = {
    "csv": {f"csv/{name}.csv": as_csv(rows) for name, rows in TABLES.items()},
    "flat json": {f"{name}.json": flat_json(rows) for name, rows in TABLES.items()} | {"webLink.json": "[]"},
    "nested json": {
        "project-rcn-1_en.json": json.dumps(NESTED),
        "information/about.json": "{}",
        "__MACOSX/._project.json": "",
    },
    "xml": {"xml/project-rcn-1_en.xml": XML, "information/changelog.txt": "x"},
}


def put(path: Path, files: dict[str, str]) -> Path:
    """`files` in a zip or a folder at `path`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, "utf-8", newline="")
    return path


@pytest.mark.parametrize("where", ["bulk.zip", "folder"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_bulk_file_tells_the_same(shape: str, where: str, tmp_path: Path) -> None:
    path = put(tmp_path / where, SHAPES[shape])
    (project,) = read_projects(path)
    assert project == Project(
        project_id="101000001",
        acronym="DEMO",
        title="Robots that weld; and learn",
        objective='A "smart" cell;\nin two lines.',
        topic="HORIZON-CL4-2021-TWIN-TRANSITION-01-01",
        call="HORIZON-CL4-2021-TWIN-TRANSITION-01",
        action="HORIZON-RIA",
        programme="HORIZON",
        signed_on="2022-06-14",
        starts_on="2022-09-01",
        ends_on="2026-08-31",
    )
    ((participant, participation),) = read_organisations(path)
    assert participant == Participant(
        org_id="999900001",
        name="VOORBEELD LASROBOTS BV",
        short_name="VLR",
        country="NL",
        nuts="NL125",
        city="Drachten",
        activity_type="PRC",
        sme="true",
        url="http://www.example.nl",
    )
    assert participation == Participation("101000001", "999900001", "coordinator", "960619,95")
    assert list(read_topics(path)) == [
        Topic("HORIZON-CL4-2021-TWIN-TRANSITION-01-01", "AI enhanced robotics")
    ]


def test_a_single_file_is_read_and_what_it_does_not_hold_is_missed(tmp_path: Path) -> None:
    folder = put(tmp_path, SHAPES["flat json"] | {"one.xml": XML})
    assert [p.acronym for p in read_projects(folder / "project.json")] == ["DEMO"]
    assert [p.acronym for p in read_projects(folder / "one.xml")] == ["DEMO"]
    with pytest.raises(CordisError, match="no organization table"):
        list(read_organisations(folder / "project.json"))


def test_associations_may_be_a_map_with_numbers_for_names(tmp_path: Path) -> None:
    relations = NESTED["relations"]
    numbered = {str(i): item for i, item in enumerate(relations["associations"])}
    record = {"project": NESTED | {"relations": relations | {"associations": numbered}}}
    path = put(tmp_path, {"project-rcn-1_en.json": json.dumps(record)})
    assert [participant.short_name for participant, _ in read_organisations(path)] == ["VLR"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "no known shape"),
        ({"read.pdf": "x"}, "no known shape"),
        ({"project.csv": as_csv([PROJECT]), "project.json": "[]"}, "several shapes"),
        ({"organization.csv": as_csv([ORGANISATION])}, "no project table"),
        (
            {"a/project.csv": as_csv([PROJECT]), "b/project.csv": as_csv([PROJECT])},
            "more than one project table",
        ),
        ({"project.csv": as_csv([PROJECT]).splitlines()[0]}, "no projects"),
        ({"project.csv": ""}, "no projects"),
        ({"project.json": "[]"}, "no projects"),
        ({"project.json": '{"projects": []}'}, "no JSON array"),
        ({"project.json": "[1, 2]"}, "other things than objects"),
        ({"project.json": flat_json([PROJECT])[:-30]}, "cut off"),
        ({"project.json": flat_json([PROJECT])[:-1]}, "cut off"),
        ({"project.csv": as_csv([PROJECT])[:-5]}, "cut off"),
        ({"project.csv": '"reference";"title"\n"1";"x"\n'}, "no column 'id'"),
        ({"project.csv": as_csv([PROJECT | {"id": "n/a"}])}, "id is 'n/a'"),
        ({"project.csv": as_csv([PROJECT]) + '"1";"2"\n'}, "2 cells instead of 13"),
        ({"x.json": '{"id": "1", "title": "t"}'}, "shape that we know"),
        ({"x.json": json.dumps(NESTED)[:-9]}, "cut off"),
        ({"x.xml": XML[:-30]}, "cut off"),
        ({"x.xml": "<html><body>Moved</body></html>"}, "shape that we know"),
    ],
)
def test_files_that_cannot_be_trusted_raise_and_say_why(
    files: dict[str, str], why: str, tmp_path: Path
) -> None:
    path = put(tmp_path / "bulk", files)
    path.mkdir(exist_ok=True)
    with pytest.raises(CordisError, match=why):
        list(read_projects(path))


def test_a_zip_that_is_cut_damaged_or_missing_raises(tmp_path: Path) -> None:
    path = put(tmp_path / "bulk.zip", SHAPES["flat json"])
    whole = path.read_bytes()
    middle = whole.index(b"project.json") + 40
    for body in (whole[:-60], b"", whole[:middle] + b"\0\0\0\0" + whole[middle + 4 :]):
        path.write_bytes(body)
        with pytest.raises(CordisError, match="cut off"):
            list(read_projects(path))
    with pytest.raises(CordisError, match="cannot be read"):
        list(read_projects(tmp_path / "missing.zip"))


def test_a_caller_who_asks_for_bad_rows_gets_them_told_and_the_good_ones(tmp_path: Path) -> None:
    nobody = ORGANISATION | {"organisationID": "", "name": "X"}
    head = dict(zip(ORGANISATION, ORGANISATION, strict=True))
    text = as_csv([ORGANISATION, head, nobody, ORGANISATION | {"name": " "}])
    told: list[str] = []
    path = put(tmp_path, {"organization.csv": text + '"1";"a "quoted" cell"\n'})
    assert len(list(read_organisations(path, told.append))) == 1
    assert ["organisationID is ''" in told[0], "no name" in told[1], len(told)] == [True, True, 3]


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE project [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE project [<!ENTITY a "aaaaaaaaaa"><!ENTITY e "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE project SYSTEM "http://127.0.0.1:9/x.dtd">',
    ],
)
def test_xml_with_a_document_type_is_refused_whatever_it_declares(declared: str, tmp_path: Path) -> None:
    hostile = XML.replace("?>\n", f"?>\n{declared}\n", 1).replace("<acronym>DEMO", "<acronym>&e;")
    hostile = hostile if "ENTITY" in declared else hostile.replace("&e;", "")
    with pytest.raises(CordisError, match="document type"):
        list(read_projects(put(tmp_path, {"x.xml": hostile})))


def big_csv(rows: int) -> str:
    return as_csv([PROJECT | {"id": str(101000000 + i), "objective": "text " * 4000} for i in range(rows)])


def big_json(rows: int) -> str:
    return flat_json([PROJECT | {"id": str(101000000 + i), "objective": "text " * 4000} for i in range(rows)])


@pytest.mark.parametrize(("name", "make"), [("project.csv", big_csv), ("project.json", big_json)])
def test_a_table_of_twenty_megabytes_is_read_in_a_tenth_of_that(
    name: str, make: Callable[[int], str], tmp_path: Path
) -> None:
    path = put(tmp_path / "bulk.zip", {name: make(1000)})
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_projects(path)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_record_without_end_is_given_up_before_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawlers.cordis_files.LARGEST_RECORD", 1 << 20)
    endless = '[{"id": "' + "1" * (5 << 20)
    with pytest.raises(CordisError, match="cut off, or no JSON"):
        list(read_projects(put(tmp_path / "a", {"project.json": endless})))
    large = json.dumps(NESTED | {"objective": "x" * (2 << 20)})
    with pytest.raises(CordisError, match="larger than a record"):
        list(read_projects(put(tmp_path / "b", {"x.json": large})))
