"""The one-stop desk and the region's gaps: labelled needs, services, distances, and what is not known."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from conftest import PROFILES, Fundmatch, a_call

from flows.partners.organisations import Organisations
from flows.partners.pages import region_page, write_page
from flows.partners.region import Desk, Region, wish_of_text
from flows.usage import UsageError
from pipeline.drawing import heat_of, map_of, network_of
from pipeline.labs import is_lab, offers_of, wishes_of
from pipeline.offers import of_text, themes_of_catalogue
from pipeline.organisations import Known, joined, of_profile
from pipeline.places import distance, points
from pipeline.profiles import read_profiles
from pipeline.regions import region, reserved
from pipeline.schema import Call, Profile, Section

if TYPE_CHECKING:
    from embeddings.encode import Encoder

AS_OF = date(2026, 6, 15)
PAIRS = yaml.safe_load((Path(__file__).parent / "truth" / "labs.yml").read_text("utf-8"))
LEAST = 0.9  # recall@3


def profiles() -> list[Profile]:
    return [p for file in PROFILES for p in read_profiles(Path(file).read_bytes(), Path(file).name)]


def known(key: str, **more: Any) -> Known:
    base = {"org_id": key, "name": key, "kind": "fieldlab", "country": "NL", "nuts": ("NL11",)}
    return Known(**base | more)


@pytest.fixture(scope="module")
def desk(encoder: Encoder) -> Desk:
    return Desk(Organisations(joined(map(of_profile, profiles())), ()), encoder)


def test_at_least_nine_of_ten_labelled_needs_find_their_lab_among_three(desk: Desk) -> None:
    assert len(PAIRS) >= 30
    known_labs = {offer.lab.org_id for offer in desk.offers}
    found = {"asked for": 0, "not asked for": 0}
    for pair in PAIRS:
        assert set(pair["labs"]) <= known_labs
        wish = wish_of_text(pair["need"], pair["language"], pair["place"])
        for how, service in (("asked for", pair["service"]), ("not asked for", None)):
            best = [each.lab_id for each in desk.help_for([wish], service, "en")[:3]]
            found[how] += bool(set(best) & set(pair["labs"]))
    assert all(count >= LEAST * len(PAIRS) for count in found.values()), found


def test_a_lab_is_told_with_its_words_its_service_and_how_far(desk: Desk) -> None:
    wish = wish_of_text("Wij willen onze drone buiten het zicht laten vliegen.", "nl", "Assen")
    best = desk.help_for([wish], "test", "nl")[0]
    assert best.lab_id == "dronehub-groningen-airport-eelde"
    assert best.km == pytest.approx(15.6, abs=2)
    assert any("km van Assen" in reason for reason in best.reasons)
    assert best.offer in best.reasons[0]


def test_the_nearer_of_two_alike_comes_first(encoder: Encoder) -> None:
    labs = [
        known("far", offers=("Testing of drones",), place="Drachten"),
        known("near", offers=("Testing of drones",), place="Emmen"),
        known("nowhere", offers=("Testing of drones",)),
    ]
    helps = Desk(Organisations(labs, ()), encoder).help_for(
        [wish_of_text("Test a drone", "en", "Emmen")], None, "en"
    )
    assert [each.lab_id for each in helps] == ["near", "nowhere", "far"]
    assert helps[1].km is None
    assert "how far away is not known" in helps[1].reasons


def test_a_lab_helps_another_and_not_itself(desk: Desk) -> None:
    own = next(p for p in profiles() if p.id == "technologies-added")
    helps = desk.help_for(wishes_of(own), None, "en", but=own.id)
    assert helps and all(each.lab_id != own.id for each in helps)


def test_a_skill_is_told_where_it_is_taught(encoder: Encoder) -> None:
    lab = known(
        "school",
        offers=("Training of operators in robotics and laser welding", "Laser cutting"),
    )
    helps = Desk(Organisations([lab], ()), encoder).help_for(
        [wish_of_text("Robots", "en", None)], "skills", "en"
    )
    assert helps[0].services == ("skills",)
    assert set(helps[0].skills) == {"robotics", "laser processing", "steel construction"}


@pytest.mark.parametrize(
    ("offer", "services"),
    [
        ("Test flights with unmanned aircraft", ("test",)),
        ("Training of staff", ("skills",)),
        ("Opleiding van vakmensen", ("skills",)),
        ("Help in becoming ready for funding", ("finance",)),
        ("Wegwijs maken naar fieldlabs", ("network",)),
        ("Proefopstelling en scholing", ("test", "skills")),
        ("Robotised assembly of small series", ()),
        ("Contest of ideas", ()),
        ("Investigation of failures", ()),
        ("", ()),
    ],
)
def test_the_service_of_an_offer_is_what_its_words_name(offer: str, services: tuple[str, ...]) -> None:
    assert of_text(offer) == services


def test_names_of_the_catalogue_that_we_do_not_know_tell_nothing() -> None:
    assert themes_of_catalogue(("Robotics", "data", "Photonics", "<x>")) == ("robotics", "photonics")


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("Groningen, Drachten, Hoogeveen", 3),
        ("Paterswoldseweg 810, 9728 BM Groningen, Netherlands", 1),
        ("Groningen Airport Eelde", 1),
        ("Drenthe", 0),
        ("", 0),
        (None, 0),
        ("Leeksterhoofddiep", 0),
    ],
)
def test_the_places_that_a_text_names(place: str | None, count: int) -> None:
    assert len(points(place)) == count


def test_distances_are_as_the_crow_flies() -> None:
    assert distance("Groningen", "Assen") == pytest.approx(25.6, abs=1)
    assert distance("Groningen", "Maastricht") == pytest.approx(270, abs=8)
    assert distance("Emmen", "Emmen, Groningen") == 0
    assert distance("Emmen", "Drenthe") is None


def test_a_company_that_shows_its_factory_is_a_lab() -> None:
    assert is_lab(known("a", kind="company", says="Een demonstratiefabriek voor slim produceren."))
    assert not is_lab(known("a", kind="company", says="Wij demonteren fabrieken."))
    assert offers_of(known("a", says=None)) == []


# The region


def call(key: str, title: str, **more: Any) -> Call:
    return a_call(**{"call_id": key, "title": title} | more)


def company(key: str, *seeks: str, **more: Any) -> Profile:
    base = {"id": key, "name": key, "kind": "sme", "language": "en", "label": "example", "nuts": ("NL13",)}
    return Profile(**base | {"description": "x", "seeks": seeks} | more)


def themes_of(**more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"calls": [], "profiles": [], "organisations": []} | more
    return {t.theme: t for t in region(**base, as_of=AS_OF)}


def test_a_gap_is_what_is_asked_and_no_lab_here_offers() -> None:
    told = themes_of(
        calls=[call("a", "Robotics", budget_total_eur=2e6), call("b", "Robotics and drones")],
        profiles=[company("firm", "Batteries that last")],
        organisations=[
            known("lab", themes=("drones",)),
            known("elsewhere", nuts=("NL41",), themes=("robotics",), place="Eindhoven"),
            known("abroad", country="DE", nuts=(), themes=("robotics",)),
            of_profile(company("maker", description="We build robot cells. Robotics is our trade.")),
            of_profile(company("seeker", "Robotics that weld", themes=("robotics",))),
        ],
    )
    assert told["robotics"].gap and not told["robotics"].nobody
    assert [c.call_id for c in told["robotics"].calls] == ["a", "b"]
    assert told["robotics"].budget_eur == 2e6  # of the one that states its own
    assert [hub.org_id for hub in told["robotics"].elsewhere] == ["elsewhere", "abroad"]
    assert [firm.org_id for firm in told["robotics"].companies] == ["maker"]
    assert not told["drones"].gap and [lab.org_id for lab in told["drones"].labs] == ["lab"]
    assert told["batteries"].gap and told["batteries"].nobody
    assert told["batteries"].asked[0].words == "Batteries that last"
    assert told["batteries"].budget_eur is None
    assert next(iter(told)) in ("robotics", "batteries")  # gaps first


def test_a_hub_whose_region_is_not_known_is_not_taken_for_ours() -> None:
    told = themes_of(
        calls=[call("a", "Robotics")], organisations=[known("hub", nuts=(), themes=("robotics",))]
    )
    assert told["robotics"].gap
    assert [hub.org_id for hub in told["robotics"].elsewhere] == ["hub"]


def test_what_is_closed_or_asked_elsewhere_is_no_gap() -> None:
    past = call("a", "Robotics", status="closed", deadlines=())
    south = company("firm", "Robotics", nuts=("NL41",))
    assert "robotics" not in themes_of(calls=[past], profiles=[south])
    assert themes_of() == {}


def test_calls_for_designated_hubs_are_listed_apart_with_what_is_needed() -> None:
    clause = "Only designated European Digital Innovation Hubs may apply."
    only = call("hubs", "Robotics in every hub", sections=(Section(heading="", text=clause),))
    assert "robotics" not in themes_of(calls=[only])
    (told,) = reserved(
        [only, call("open", "Robotics")], [known("nn", kind="hub", designated_hub=True), known("b")], AS_OF
    )
    assert told.clause == clause
    assert "2021/694" in told.needs
    assert told.could == ("nn",)


# Drawings and pages


def test_dots_that_share_a_place_do_not_hide_one_another() -> None:
    drawn = map_of([(known(f"k{n}", place="Groningen"), "lab") for n in range(20)] + [(known("x"), "lab")])
    assert len({(dot.x, dot.y) for dot in drawn.dots}) == 20
    assert drawn.unplaced == ["x"]
    assert [name for name, *_ in drawn.provinces] == ["Fryslân", "Groningen", "Drenthe"]


def test_the_heat_map_is_darkest_at_the_most_and_alarms_at_a_gap() -> None:
    told = list(
        themes_of(
            calls=[call("a", "Robotics", budget_total_eur=5e6), call("b", "Drones")],
            organisations=[known("lab", themes=("drones",))],
        ).values()
    )
    rows = {theme.theme: cells for theme, cells in heat_of(told)}
    assert rows["robotics"][1].text == "5.0" and rows["robotics"][1].shade == 1
    assert rows["drones"][1].text == "" and rows["drones"][1].shade == 0
    assert rows["robotics"][3].alarm and not rows["drones"][3].alarm
    assert heat_of([]) == []


def test_a_network_of_one_or_of_many_is_drawn() -> None:
    nodes, lines = network_of([known("a")], {}, "a")
    assert len(nodes) == 1 and nodes[0].lead and lines == []
    nodes, lines = network_of([known("a"), known("b"), known("c")], {("a", "b"): 3, ("a", "z"): 1}, None)
    assert len({(node.x, node.y) for node in nodes}) == 3
    assert [line.projects for line in lines] == [3]


def test_the_regions_page_escapes_what_labs_and_calls_say() -> None:
    evil = "<script>alert(1)</script> robotics"
    themes = region(
        [call("a", evil, url="javascript:x")], [company("f", evil)], [known("lab", name=evil)], AS_OF
    )
    html = region_page(Region(AS_OF, themes, [], [], [], 1, 0, 0), [known("lab", name=evil, place="Emmen")])
    assert "<script" not in html and "javascript:" not in html
    assert "&lt;script&gt;" in html


def test_a_page_is_html_or_pdf_and_without_chromium_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_page(tmp_path / "a" / "b.html", "<p>x</p>")
    assert (tmp_path / "a" / "b.html").read_text("utf-8") == "<p>x</p>"
    with pytest.raises(UsageError, match=r"\.html or \.pdf"):
        write_page(tmp_path / "x.txt", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs Chromium"):
        write_page(tmp_path / "x.pdf", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a PROFILE_ID"),
        (["--text", " "], "give a PROFILE_ID"),
        (["voorbeeld-plaatwerk", "--text", "x"], "give a PROFILE_ID"),
        (["nobody"], "there is no profile"),
        (["--text", "x", "--language", "fy"], "use en or nl"),
        (["--text", "x", "--service", "coffee"], "test, skills, finance, network"),
    ],
)
def test_what_is_asked_badly_is_one_line(
    demo: tuple[Path, str], fundmatch: Fundmatch, arguments: list[str], said: str
) -> None:
    status, _, error = fundmatch("--home", demo[0], "labs", *arguments)
    assert status == 2
    assert said in error and "Traceback" not in error


def test_the_commands_of_the_sample_week(
    demo: tuple[Path, str], tmp_path: Path, fundmatch: Fundmatch
) -> None:
    status, out, error = fundmatch("--home", demo[0], "labs", "voorbeeld-melkrobots", "--json")
    assert status == 0, error
    helps = json.loads(out)
    assert [each["rank"] for each in helps] == [1, 2, 3, 4, 5]
    assert all(each["reasons"][0].startswith("biedt “") for each in helps)
    page = tmp_path / "gaps.html"
    status, out, error = fundmatch("--home", demo[0], "gaps", "--out", page, "--json")
    assert status == 0, error
    told = json.loads(out)
    gaps = [theme for theme in told["themes"] if theme["gap"]]
    assert gaps and not any(theme["labs"] for theme in gaps)
    assert all(theme["calls"] or theme["asked"] for theme in gaps)
    assert "<svg" in page.read_text("utf-8")
    status, out, _ = fundmatch("--home", demo[0], "gaps")
    assert status == 0 and "nobody" in out
    status, out, _ = fundmatch("--home", demo[0], "labs", "--text", "the weather on Mars", "--place", "Emmen")
    assert status == 0 and "loosely" in out


def test_vectors_of_no_lab_make_no_help(encoder: Encoder) -> None:
    empty = Desk(Organisations([], ()), encoder)
    assert empty.help_for([wish_of_text("x", "en", None)], None, "en") == []
    assert isinstance(empty.vectors, np.ndarray)
