"""Who could join a call: one of each organisation, three lists, true reasons, and what is asked badly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from conftest import Fundmatch, a_call

from flows.home import Home, HomeError
from flows.partners.finder import _may_apply, read_countries, read_regions
from flows.partners.organisations import opt_out, opt_outs
from flows.usage import UsageError
from pipeline.asks import Need
from pipeline.organisations import (
    Known,
    country_code,
    find,
    joined,
    of_hub,
    of_participant,
    of_profile,
    simple_name,
)
from pipeline.partners import Fit, in_north, listed
from pipeline.schema import Organisation, Page, Participant, Profile, Section

CALL = "HORIZON-CL6-2026-01-CIRCBIO-01"  # on circular plastics, of the sample week
PAGE = Page(
    url="https://hubs.example.eu",
    fetched_at=datetime(2026, 6, 15, tzinfo=UTC),
    sha256="a",
    archive_record="b",
)


def known(key: str, name: str = "", **more: Any) -> Known:
    return Known(org_id=key, name=name or key, **{"kind": "company", "country": "NL"} | more)


def profile(key: str, **more: Any) -> Profile:
    base = {"id": key, "name": key, "kind": "sme", "language": "en", "label": "example", "description": "We."}
    return Profile(**base | more)


def hub(key: str, name: str, **more: Any) -> Organisation:
    return Organisation(org_id=f"edih:{key}", source="edih", name=name, page=PAGE, **more)


# One of each organisation


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("NL", "NL"),
        ("GR", "EL"),
        ("EL", "EL"),
        ("el", "EL"),
        ("GB", "UK"),
        ("UK", "UK"),
        ("Greece", "EL"),
        ("United Kingdom", "UK"),
        ("Nederland", "NL"),
        (" Spain ", "ES"),
        ("Atlantis", None),
        ("", None),
        (None, None),
    ],
)
def test_a_country_has_one_code_however_it_is_written(printed: str | None, code: str | None) -> None:
    assert country_code(printed) == code


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme B.V.", "ACME BV"),
        ("Stichting Novel-T", "Novel T"),
        ("Müller GmbH & Co. KG", "MUELLER".replace("UE", "U") + " GMBH CO KG"),
        ("The Green Lab Ltd.", "Green Lab"),
        ("Universität Wien", "UNIVERSITAT WIEN"),
        ("Société Générale S.A.", "SOCIETE GENERALE SA"),
    ],
)
def test_names_are_alike_without_legal_form_marks_and_capitals(one: str, other: str) -> None:
    assert simple_name(one) == simple_name(other) != ""


def test_one_organisation_under_several_names_is_one_and_all_are_told() -> None:
    found = joined(
        [
            of_profile(
                profile(
                    "icd",
                    name="Innovatiecluster Drachten (ICD)",
                    kind="fieldlab",
                    website="https://www.icdrachten.nl/",
                    themes=("robotics",),
                    pic="999999991",
                )
            ),
            of_hub(
                hub(
                    "icd",
                    "ICD",
                    title="Innovation Cluster Drachten",
                    country="Netherlands",
                    website="https://icdrachten.nl",
                    technologies=("Robotics", "Internet of Things"),
                )
            ),
            of_participant(
                Participant(org_id="999999991", name="STICHTING ICD", country="NL", activity="REC")
            ),
        ]
    )
    (one,) = found
    assert one.org_id == "icd"
    assert set(one.also) == {"edih:icd", "ICD", "Innovation Cluster Drachten", "999999991", "STICHTING ICD"}
    assert one.themes == ("robotics", "internet-of-things")
    assert one.kind == "fieldlab"
    assert len(one.sources) == 3


def test_what_may_be_two_stays_two() -> None:
    two = [
        of_participant(Participant(org_id="999999991", name="Delta BV", country="NL", place="Emmen")),
        of_participant(Participant(org_id="999999992", name="DELTA B.V.", country="NL", place="Goes")),
        of_participant(Participant(org_id="999999993", name="Delta", country="BE", place="Emmen")),
        of_profile(profile("delta-water", name="Delta Water")),
        of_hub(hub("a", "Hub A", country="Spain", website="https://shared.es/a")),
        of_hub(hub("b", "Hub B", country="Spain", website="https://shared.es/b")),
    ]
    assert len(joined(two)) == 6
    same = of_participant(Participant(org_id="999999994", name="Delta BV", country="NL", place="Emmen"))
    (one, *others) = joined([*two, same])
    assert len(others) == 5
    assert "999999994" in one.also


def test_an_organisation_is_found_by_id_code_name_or_words_of_it() -> None:
    among = [
        known("999", "NEDERLANDSE ORGANISATIE VOOR TOEGEPAST ONDERZOEK TNO", pic="999"),
        known("a", "Acme B.V."),
        known("b", "Acme Robots"),
    ]
    assert [k.org_id for k in find("999", among)] == ["999"]
    assert [k.org_id for k in find("tno", among)] == ["999"]
    assert [k.org_id for k in find("ACME bv", among)] == ["a"]
    assert [k.org_id for k in find("acme robots", among)] == ["b"]
    assert find("acm", among) == []
    assert find("", among) == []
    assert find(".*", among) == []


def test_a_company_of_unknown_size_is_neither_small_nor_large() -> None:
    told = of_participant(Participant(org_id="999999991", name="X", activity="PRC"))
    assert (told.kind, told.sme) == ("company", None)
    assert of_participant(Participant(org_id="999999991", name="X", activity="HES", sme=True)).sme is None
    assert of_participant(Participant(org_id="999999991", name="X")).kind == "unknown"


def test_only_the_kind_edih_is_a_designation() -> None:
    assert of_hub(hub("a", "A", kind="EDIH")).designated_hub is True
    assert of_hub(hub("a", "A", kind="Seal of Excellence")).designated_hub is None
    assert of_hub(hub("a", "A", services=("Field trial", "Finance"))).services == ("test", "finance")


@pytest.mark.parametrize(
    ("nuts", "country", "north"),
    [
        (("NL131",), "NL", True),
        (("NL1",), "NL", True),
        (("NL33", "NL11"), "NL", True),
        (("NL33",), "NL", False),
        (("NL",), "NL", None),
        ((), "NL", None),
        (("FR",), "FR", False),
        ((), "DE", False),
        ((), None, None),
    ],
)
def test_the_north_is_what_is_known_to_be_there(
    nuts: tuple[str, ...], country: str | None, north: Any
) -> None:
    assert in_north(known("a", nuts=nuts, country=country)) is north


# Lists and reasons


def theme(slug: str) -> Need:
    return Need(
        need_id=f"theme-{slug}", what="theme", least=1, must=False, words="x", clause="x", url="u", theme=slug
    )


def test_three_lists_are_ranked_apart_and_newcomers_are_not_drowned() -> None:
    lead = known("lead", pic="1")
    fits = [
        Fit(known("old", pic="2"), score=0.9, projects=9, together=3),
        Fit(known("fresh", pic="3"), score=5.0, projects=2),
        Fit(known("young"), score=0.2, sentence="We sort plastics.", likeness=0.2),
        Fit(known("robots", themes=("robotics",)), score=0.19, likeness=0.5, sentence="We build robots."),
    ]
    lists = listed(fits, lead, [theme("robotics")], 10)
    assert [[p.org_id for p in lists[name]] for name in ("known", "new", "newcomers")] == [
        ["old"],
        ["fresh"],
        ["robots", "young"],
    ]
    robots, young = lists["newcomers"]
    assert robots.covers == ("theme-robotics",)
    assert robots.newcomer is None  # its code is not known, so neither are its projects
    assert "only loosely related" in young.reasons[0]
    assert lists["known"][0].partnered_before is True
    assert lists["known"][0].reasons[0] == "was in 3 projects with the lead"


def test_without_a_lead_nobody_was_a_partner_and_that_is_not_known() -> None:
    (partner,) = listed([Fit(known("a", pic="2"), score=1.0, projects=1)], None, [], 10)["new"]
    assert partner.partnered_before is None
    (partner,) = listed([Fit(known("a", pic="2"), score=1.0, projects=1)], known("lead"), [], 10)["new"]
    assert partner.partnered_before is None  # the lead's code is not known


def test_beyond_the_best_only_the_north_and_who_is_kept_are_told() -> None:
    fits = [Fit(known(f"o{n}", country="DE"), score=-n, projects=1) for n in range(9)]
    fits.append(Fit(known("here", nuts=("NL13",)), score=-20.0, projects=1))
    ranks = {p.org_id: p.rank for p in listed(fits, None, [], 2, {"o7"})["new"]}
    assert ranks == {"o0": 1, "o1": 2, "o7": 8, "here": 10}


# Who may apply


def test_whom_a_clause_shuts_out_is_left_out_with_the_clause() -> None:
    clause = "Only designated European Digital Innovation Hubs may apply."
    call = a_call(sections=(Section(heading="Eligibility", text=clause),))
    those = [
        known("edih", kind="hub", designated_hub=True),
        known("hub", kind="hub"),
        known("firm"),
        known("large", sme=False),
        known("who", kind="unknown"),
        known("nowhere", country=None),
    ]
    may, barred = _may_apply(those, call, date(2026, 6, 15))
    assert [k.org_id for k in may] == ["edih", "hub", "who", "nowhere"]
    assert barred == {clause: 2}


def test_a_lead_that_may_not_apply_itself_is_told(
    week: Path, fundmatch: Fundmatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.records import Records

    clause = "Only designated European Digital Innovation Hubs may apply."
    call = a_call(sections=(Section(heading="", text=clause),))
    monkeypatch.setattr(Records, "call", lambda self, name: call)
    status, out, error = fundmatch("--home", week, "partners", "x", "--lead", "999900001")
    assert status == 0, error
    assert "may not apply" in out and clause in " ".join(out.split())


def test_where_it_says_smes_a_company_of_unknown_size_may_still_be_one() -> None:
    call = a_call(sections=(Section(heading="Who can apply", text="Only SMEs may apply."),))
    those = [known("small", sme=True), known("large", sme=False), known("company")]
    may, _ = _may_apply(those, call, date(2026, 6, 15))
    assert [k.org_id for k in may] == ["small", "company"]


# Opting out


def test_who_opts_out_is_kept_until_it_wants_back(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert opt_outs(home) == []
    opt_out(home, "icd", date(2026, 6, 1), "asked by phone")
    opt_out(home, "Ünï <b>", date(2026, 6, 2))
    opt_out(home, "icd", date(2026, 6, 9))
    assert [(said.organisation, said.since.day, said.why) for said in opt_outs(home)] == [
        ("icd", 1, "asked by phone"),
        ("Ünï <b>", 2, None),
    ]
    opt_out(home, "icd", date(2026, 6, 9), back=True)
    assert [said.organisation for said in opt_outs(home)] == ["Ünï <b>"]


@pytest.mark.parametrize("body", ["{", "[1]", '[{"organisation": "a"}]', "\x00", '{"a": 1}'])
def test_a_damaged_list_of_opt_outs_lists_nobody_by_mistake(tmp_path: Path, body: str) -> None:
    home = Home(tmp_path)
    home.not_listed.write_text(body, encoding="utf-8")
    with pytest.raises(HomeError, match="nobody is proposed"):
        opt_outs(home)


# The command, on the sample week with a small history


@pytest.fixture(scope="module")
def week(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample week's home with earlier projects of eight organisations."""
    from flows.history import add_history
    from flows.terminal import TerminalReporter

    home = tmp_path_factory.mktemp("partners") / "home"
    shutil.copytree(demo[0], home, symlinks=True)
    with TerminalReporter() as reporter:
        add_history(Home(home), history(tmp_path_factory.mktemp("history")), reporter)
    return home


def history(folder: Path) -> Path:
    """Four projects: two on plastics, one on robots, one on care."""
    orgs = [
        ("999900001", "LEADING PLASTICS BV", "NL", "NL131", "Emmen", "PRC", "true"),
        ("999900002", "OLD FRIEND UNIVERSITY", "DE", "DE212", "München", "HES", "false"),
        ("999900003", "Recyclers Hellas", "EL", "EL303", "Athina", "PRC", "true"),
        ("999900004", "British Sorting Ltd", "UK", "UKI3", "London", "PRC", None),
        ("999900005", "<b>Care</b> & Cure", "FR", None, None, "REC", "false"),
        ("999900006", "City of Plastics", "ES", "ES51", "Barcelona", "PUB", "false"),
        ("999900007", "Recyclers Hellas", "EL", "EL303", "Athina", "PRC", "true"),
        ("999900008", '=HYPERLINK("http://x")', "IT", "ITC4", "Milano", "OTH", None),
    ]
    plastics = "Sorting and recycling of multilayer plastic packaging in a circular economy."
    projects = [
        (
            "101000001",
            "HORIZON-CL6-2021-CIRCBIO-01-01",
            "2022-01-10",
            "HORIZON-IA",
            "Plastics in a circle",
            plastics,
        ),
        (
            "101000002",
            "HORIZON-CL6-2021-CIRCBIO-01-02",
            "2022-06-01",
            "HORIZON-RIA",
            "Films sorted",
            plastics,
        ),
        (
            "101000003",
            "HORIZON-CL4-2021-DIGITAL-01-09",
            "2023-03-01",
            "HORIZON-RIA",
            "Robots",
            "Robots that weld.",
        ),
        ("101000004", "HORIZON-HLTH-2021-CARE-05-01", "2024-05-01", "HORIZON-RIA", "Care", "Care at home."),
    ]
    members = {
        "101000001": "999900001 999900002 999900003",
        "101000002": "999900004 999900006 999900008 999900003 999900007",
        "101000003": "999900002 999900005",
        "101000004": "999900005 999900006",
    }
    parts = [
        (project, org, "coordinator" if number == 0 else "participant", "1000.0")
        for project, some in members.items()
        for number, org in enumerate(some.split())
    ]
    topics = [
        (topic, f"About {topic}", "plastics" if "CL6" in topic else "other") for _, topic, *_ in projects
    ]
    write(folder, "organisations", "org name country nuts city activity sme", orgs)
    write(folder, "projects", "project topic signed action title objective", projects)
    write(folder, "participations", "project org role eur", parts)
    write(folder, "topics", "topic title keywords", topics)
    return folder


def write(folder: Path, name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    values = zip(*rows, strict=True)
    table = pyarrow.table(
        {c: pyarrow.array(v, pyarrow.string()) for c, v in zip(columns.split(), values, strict=True)}
    )
    pyarrow.parquet.write_table(table, folder / f"{name}.parquet")


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(week: Path, fundmatch: Fundmatch) -> Ask:
    def command(*arguments: Any) -> dict[str, Any]:
        status, out, error = fundmatch("--home", week, "partners", CALL, *arguments, "--json")
        assert status == 0, error
        told: dict[str, Any] = json.loads(out)
        return told

    return command


def ids(told: dict[str, Any], name: str) -> list[str]:
    return [partner["org_id"] for partner in told["partners"][name]]


def test_a_lead_has_known_partners_new_ones_and_newcomers(ask: Ask) -> None:
    told = ask("--lead", "Leading Plastics")
    assert told["lead"]["org_id"] == "999900001"
    assert told["earlier_projects"] == 4
    assert set(ids(told, "known")) == {"999900002", "999900003"}
    assert set(ids(told, "new")) == {"999900004", "999900006", "999900008", "999900005"}
    assert "voorbeeld-kunststofrecycling" in ids(told, "newcomers")
    (friend,) = (p for p in told["partners"]["known"] if p["org_id"] == "999900002")
    assert friend["partnered_before"] is True
    assert friend["reasons"][0] == "was in a project with the lead"
    assert friend["projects"] == 2 and friend["coordinated"] == 1
    (greek,) = (p for p in told["partners"]["known"] if p["org_id"] == "999900003")
    assert "999900007" in greek["also"]
    assert "Plastics in a circle" in greek["reasons"][1] or "Films sorted" in greek["reasons"][1]


def test_every_consortium_meets_the_programmes_rules(ask: Ask) -> None:
    told = ask("--lead", "999900001")
    assert len(told["consortia"]) >= 2
    for consortium in told["consortia"]:
        members = consortium["members"]
        assert members[0]["org_id"] == "999900001"
        assert len({member["country"] for member in members if member["country"]}) >= 3
        assert len({member["org_id"] for member in members}) == len(members) >= 3
        assert all(member["meets"] for member in members)
    new = next(c for c in told["consortia"] if c["name"] == "new faces")
    assert not {m["org_id"] for m in new["members"]} & set(ids(told, "known"))


def test_members_can_be_kept_left_out_and_counted(ask: Ask) -> None:
    told = ask("--lead", "999900001", "--with", "British Sorting", "--without", "999900003", "--size", 4)
    for consortium in told["consortia"]:
        members = [member["org_id"] for member in consortium["members"]]
        assert "999900004" in members
        assert len(members) == 4
    assert "999900003" not in json.dumps(told["partners"])


def test_who_is_to_be_kept_is_in_however_little_is_known_of_it(ask: Ask) -> None:
    told = ask("--lead", "999900001", "--with", "City of Plastics", "--with", "edih:smart-industry-hub-south")
    for consortium in told["consortia"]:
        members = [member["org_id"] for member in consortium["members"]]
        assert {"999900006", "edih:smart-industry-hub-south"} <= set(members)


def test_regions_countries_and_newcomers_narrow_the_lists(ask: Ask) -> None:
    told = ask("--region", "NL13")
    assert all(
        any(n.startswith("NL13") for n in p["nuts"]) for some in told["partners"].values() for p in some
    )
    for written in ("UK", "GB", "United Kingdom"):
        assert ids(ask("--country", written), "new") == ["999900004"]
    for written in ("EL", "GR", "Greece"):
        assert set(ids(ask("--country", written), "new")) == {"999900003"}
    told = ask("--newcomers")
    assert not told["partners"]["known"] and not told["partners"]["new"] and told["partners"]["newcomers"]


def test_a_narrow_choice_that_cannot_meet_the_rules_says_which(ask: Ask) -> None:
    told = ask("--lead", "999900001", "--country", "NL,UK")
    assert not told["consortia"]
    assert [need["need_id"] for need in told["unmet"]] == ["countries"]


def test_what_one_member_can_fill_is_told_apart_from_what_takes_all(ask: Ask) -> None:
    told = ask("--lead", "999900002")
    what = {need["need_id"]: need["what"] for need in told["needs"]}
    assert {what[need] for need in told["gaps"]} == {"theme"}  # no list of who "fills" three countries
    assert all(told["gaps"].values())


def test_where_nobody_is_left_to_propose_that_is_said(week: Path, fundmatch: Fundmatch) -> None:
    status, out, _ = fundmatch("--home", week, "partners", "rvo:mit", "--country", "UK", "--newcomers")
    assert status == 0
    assert "No consortium of those that are wanted here" in " ".join(out.split())
    status, out, _ = fundmatch("--home", week, "partners", CALL, "--with", "999900004", "--size", 3, "--json")
    assert status == 0 and json.loads(out)["consortia"]


def test_a_region_that_is_no_code_decides_nothing() -> None:
    call = a_call(sections=(Section(heading="Who can apply", text="Only SMEs may apply."),))
    odd = known("odd", sme=True, nuts=("UKI3 1", "el30", "ABCDEFG"))
    may, barred = _may_apply([odd], call, date(2026, 6, 15))
    assert may == [odd] and barred == {}


def test_who_opted_out_is_nowhere_under_any_name_and_the_number_is_told(
    week: Path, tmp_path: Path, fundmatch: Fundmatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(week, home, symlinks=True)
    status, out, _ = fundmatch(
        "--home", home, "organisations", "opt-out", "Old Friend University", "--why", "asked"
    )
    assert status == 0 and "Old Friend University" in out
    status, out, error = fundmatch("--home", home, "partners", CALL, "--lead", "999900001", "--json")
    assert status == 0, error
    told = json.loads(out)
    assert told["opted_out"] == 1
    assert "999900002" not in out and "OLD FRIEND" not in out
    status, _, error = fundmatch("--home", home, "partners", CALL, "--with", "999900002")
    assert status == 2 and "asked not to be proposed" in error
    status, out, error = fundmatch("--home", home, "partners", CALL, "--lead", "Old Friend University")
    assert status == 0, error  # it may ask for itself
    status, out, _ = fundmatch("--home", home, "organisations", "find", "friend", "--json")
    assert status == 0 and json.loads(out) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing-here"], "there is no call"),
        ([CALL, "--lead", "Nobody Knows Me"], "nobody we know is called"),
        ([CALL, "--lead", "Plastics"], "may be 2 organisations"),
        ([CALL, "--with", "zzz"], "nobody we know is called"),
        ([CALL, "--with", "999900004", "--without", "999900004"], "kept and left out at once"),
        ([CALL, "--lead", "999900004", "--with", "999900004"], "is the lead"),
        ([CALL, "--country", "Atlantis"], "not a country we know"),
        ([CALL, "--region", "the north"], "give NUTS codes"),
        ([CALL, "--out", "x.docx"], "ends with .html or .pdf"),
    ],
)
def test_what_is_asked_badly_is_one_line(
    week: Path,
    fundmatch: Fundmatch,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, error = fundmatch("--home", week, "partners", *arguments)
    assert status == 2
    assert said in error
    assert "Traceback" not in error


def test_a_call_without_rules_says_so(week: Path, fundmatch: Fundmatch) -> None:
    status, out, _ = fundmatch("--home", week, "partners", "rvo:mit", "--top", 2)
    assert status == 0
    assert "states no rule" in out


def test_without_earlier_projects_the_order_is_by_texts_and_that_is_said(
    demo: tuple[Path, str], fundmatch: Fundmatch
) -> None:
    status, out, _ = fundmatch("--home", demo[0], "partners", CALL)
    assert status == 0
    assert "nobody's record is known" in out
    status, out, _ = fundmatch("--home", demo[0], "partners", CALL, "--json")
    assert json.loads(out)["partners"]["newcomers"][0]["newcomer"] is None


def test_the_same_question_has_the_same_answer_to_the_last_digit(ask: Ask) -> None:
    assert ask("--lead", "999900001") == ask("--lead", "999900001")


class Texts(HTMLParser):
    """The tags of a page, and what would be fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [v or "" for name, v in attrs if name == "src" or (tag == "link" and name == "href")]


def test_the_brief_is_whole_escaped_and_fetches_nothing(
    week: Path, tmp_path: Path, fundmatch: Fundmatch
) -> None:
    out = tmp_path / "deep" / "brief.html"
    status, _, error = fundmatch("--home", week, "partners", CALL, "--lead", "999900001", "--out", out)
    assert status == 0, error
    html = out.read_text("utf-8")
    page = Texts()
    page.feed(html)
    assert page.fetched == []
    assert "script" not in page.tags
    assert "&lt;b&gt;Care&lt;/b&gt; &amp; Cure" in html
    assert "Regulation (EU) 2021/695" in html
    assert "svg" in page.tags


def test_the_lists_as_a_workbook_hold_no_formula(week: Path, tmp_path: Path, fundmatch: Fundmatch) -> None:
    from openpyxl import load_workbook

    out = tmp_path / "partners.xlsx"
    status, _, error = fundmatch("--home", week, "partners", CALL, "--out", out)
    assert status == 0, error
    sheet = load_workbook(out).worksheets[0]
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert any(str(cell.value).startswith("=HYPERLINK") for cell in cells)
    assert all(cell.data_type != "f" for cell in cells)


def test_codes_are_read_and_others_refused() -> None:
    assert read_countries("nl, Greece,GB") == ("NL", "EL", "UK")
    assert read_regions("nl11, GR30") == ("NL11", "EL30")
    for read, text in ((read_countries, ","), (read_regions, ","), (read_regions, "NL1;NL2")):
        with pytest.raises(UsageError):
            read(text)
