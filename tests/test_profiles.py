"""Profile files: four formats give the same profiles, and every bad file gets one clear line a problem."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from pipeline.profiles import ProfileError, passages_of, read_profiles
from pipeline.schema import Profile
from pipeline.themes import themes

ENTRY: dict[str, Any] = {
    "id": "one",
    "name": "Één b.v.",
    "kind": "sme",
    "language": "nl",
    "label": "example",
    "employees": 12,
    "description": "Wij maken sensoren. Ze meten trilling.",
    "nuts": ["NL11", "NL12"],
    "seeks": ["Zuinige elektronica; sneller", "=1+1"],
    "themes": ["sensors", "iets eigens"],
}


def table(entries: list[dict[str, Any]]) -> list[list[str]]:
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    cells = [[e.get(n, "") for n in names] for e in entries]
    return [names, *([("|".join(c) if isinstance(c, list) else str(c)) for c in row] for row in cells)]


def as_csv(entries: list[dict[str, Any]], delimiter: str = ",", bom: bool = False) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(table(entries))
    return out.getvalue().encode("utf-8-sig" if bom else "utf-8")


def as_excel(entries: list[dict[str, Any]]) -> bytes:
    book = Workbook()
    for row in table(entries):
        book.active.append([f"'{cell}" if cell.startswith("=") else cell for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


FILES = {
    "p.yml": lambda entries: yaml.safe_dump(entries, allow_unicode=True).encode(),
    "p.json": lambda entries: json.dumps({"profiles": entries}).encode(),
    "p.csv": as_csv,
    "semicolon.csv": lambda entries: as_csv(entries, ";", bom=True),
    "p.xlsx": as_excel,
}


@pytest.mark.parametrize(("name", "write"), FILES.items(), ids=FILES.keys())
def test_every_format_gives_the_same_profiles(name: str, write: Any) -> None:
    entries = [ENTRY, ENTRY | {"id": "two", "seeks": ["Een", "Twee"]}]
    assert read_profiles(write(entries), name) == [Profile(**entry) for entry in entries]


def test_dutch_column_names() -> None:
    data = "id;naam;soort;taal;status;omschrijving;thema's\nx;X;sme;nl;example;Wij.;sensors|robotics\n"
    (profile,) = read_profiles(data.encode(), "p.csv")
    assert (profile.name, profile.themes) == ("X", ("sensors", "robotics"))


def without(field: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in ENTRY.items() if name != field}]


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


BAD: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b'[{"id": ', "p.json", "p.json: cannot be read"),
    "no YAML": (b"a: [1, 2", "p.yml", "p.yml: cannot be read"),
    "YAML that builds objects": (b"!!python/object/apply:os.system [ls]", "p.yml", "p.yml: cannot be read"),
    "no workbook": (b"not a zip", "p.xlsx", "p.xlsx: cannot be read"),
    "not UTF-8": ("naam\né".encode("latin-1"), "p.csv", "p.csv: not UTF-8 text"),
    "unknown kind": (b"", "p.docx", "use .yml, .json, .csv or .xlsx"),
    "empty": (b"", "p.yml", "p.yml: holds no profiles"),
    "header only": (b"id,name\n", "p.csv", "p.csv: holds no profiles"),
    "not a list": (dumped({"id": "x"}), "p.json", "must be a list of profiles"),
    "not a profile": (dumped(["x"]), "p.json", "entry 1: is not a profile but str"),
    "no text": (dumped(without("description")), "p.json", "entry 1 (one): description is missing"),
    "empty text": (dumped([ENTRY | {"description": "  "}]), "p.json", "entry 1 (one): description is empty"),
    "twice": (dumped([ENTRY, ENTRY]), "p.json", "entry 2 (one): the id 'one' is there twice"),
    "unknown field": (dumped([ENTRY | {"turnover": 1}]), "p.json", "there is no field 'turnover'"),
    "unknown kind of profile": (dumped([ENTRY | {"kind": "startup"}]), "p.json", "kind is 'startup'"),
    "id that is a path": (dumped([ENTRY | {"id": "../x"}]), "p.json", "id is '../x'"),
    "too large": (b" " * (21 * 1024 * 1024), "p.yml", "larger than 20 MB"),
    "row too long": (b"id,name\nx,y,z\n", "p.csv", "more cells than the header"),
}


@pytest.mark.parametrize(("data", "name", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_say_what_is_wrong(data: bytes, name: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_profiles(data, name)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1 and "\n" not in caught.value.problems[0]


def test_all_bad_entries_are_told_at_once() -> None:
    entries = [*without("description"), ENTRY | {"id": "ok"}, ENTRY | {"id": "bad", "language": "fr"}]
    with pytest.raises(ProfileError) as caught:
        read_profiles(dumped(entries), "p.json")
    assert [problem.split(": ")[1] for problem in caught.value.problems] == ["entry 1 (one)", "entry 3 (bad)"]


@given(st.binary(max_size=300), st.sampled_from(["p.yml", "p.json", "p.csv", "p.xlsx"]))
def test_no_bytes_crash_the_reader(data: bytes, name: str) -> None:
    try:
        assert read_profiles(data, name)
    except ProfileError as error:
        assert error.problems and all("\n" not in problem for problem in error.problems)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1).filter(str.strip))
def test_csv_keeps_any_text(text: str) -> None:
    (profile,) = read_profiles(as_csv([ENTRY | {"description": text}]), "p.csv")
    assert profile.description == text.strip()


def test_passages_are_pieces_wishes_and_themes_without_repeats() -> None:
    profile = Profile(**ENTRY | {"offers": ["Zuinige elektronica; sneller"]})
    found = passages_of(profile)
    searched = [passage.searched for passage in found]
    assert searched[0] == "Wij maken sensoren. Ze meten trilling."
    assert len(found) == len(set(searched)) and searched.count("Zuinige elektronica; sneller") == 1
    by_search = {passage.searched: passage for passage in found}
    bridge = by_search["sensors, measurement technology, sensor systems"]  # to English calls
    assert bridge.of_themes and bridge.shown.startswith("sensoren, meettechniek")
    assert by_search["sensors, iets eigens"].shown == "sensoren, iets eigens"
    assert not by_search["=1+1"].of_themes and by_search["=1+1"].shown == "=1+1"
    english = passages_of(profile.model_copy(update={"language": "en"}))
    assert [p.shown for p in english if p.of_themes] == ["sensors, iets eigens"]


def test_a_short_tail_is_no_passage_of_its_own() -> None:
    long = "This company makes many things that need a long sentence to be told at all. " * 3
    found = passages_of(Profile(**ENTRY | {"description": f"{long}Readiness is 6 to 7.", "themes": []}))
    assert found[0].searched.endswith("Readiness is 6 to 7.")
    two = passages_of(
        Profile(**ENTRY | {"description": long + long.replace("This", "That"), "themes": [], "seeks": []})
    )
    assert len(two) == 2


def test_the_sample_profiles_are_what_they_say() -> None:
    labs = read_profiles((ROOT / "profiles" / "fieldlabs.yml").read_bytes(), "fieldlabs.yml")
    companies = read_profiles((ROOT / "profiles" / "example-smes.yml").read_bytes(), "example-smes.yml")
    assert len(labs) == 15 and {lab.label for lab in labs} == {"to be confirmed"}
    assert len(companies) >= 12 and {c.label for c in companies} == {"example"}
    assert all(c.name.startswith(("Voorbeeld: ", "Example: ")) and c.kind == "sme" for c in companies)
    assert {c.language for c in companies} == {"nl", "en"}
    assert not {theme for p in labs + companies for theme in p.themes} - themes().keys()
    assert all(set(p.nuts) <= {"NL11", "NL12", "NL13"} and p.nuts for p in labs + companies)


def test_every_theme_has_terms_in_both_languages() -> None:
    assert len(themes()) >= 80
    assert all(terms["en"] and terms["nl"] for terms in themes().values())


def test_a_sheet_tells_whole_numbers_and_lists_of_what_eligibility_asks() -> None:
    rows = (
        "id;naam;soort;taal;status;omschrijving;"
        "trl;projectkosten;partners;landen van partners;aangewezen hub;pic\n"
        "one;One;sme;nl;example;Wij maken robots;6.0;400000.0;2.0;DE | BE;false;123456789.0\n"
    )
    (found,) = read_profiles(rows.encode(), "x.csv")
    assert (found.trl, found.project_costs_eur, found.partners) == (6, 400_000, 2)
    assert (found.partner_countries, found.designated_hub, found.pic) == (("DE", "BE"), False, "123456789")
