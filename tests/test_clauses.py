"""Clauses and regions: the table of what words state and only seem to state, and what holds for any words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clauses import consortium, readiness
from pipeline.nuts import regions, same, stated_regions
from pipeline.prose import language_of, sentences
from pipeline.rates import funding_rates
from pipeline.terms import allocation, applicant_terms, applicants, said_status
from pipeline.vocabulary import term

TRUTH = yaml.safe_load((ROOT / "tests" / "truth" / "clauses.yml").read_text("utf-8"))


def read(words: str, label: str | None = None) -> dict[str, Any]:
    """Every field of the table that the words state, and no other."""
    rates = funding_rates([words], label)
    least, most, _ = readiness([words])
    partners = consortium([words])[0].model_dump(exclude_none=True)
    listed = term("label", label) == "region"
    places = regions(words.splitlines()) if listed else stated_regions([words], label)[0]
    found = {
        "funding_rate": rates.rate,
        "funding_rate_sme": rates.sme,
        "own_contribution_min_rate": rates.own_contribution_min,
        "trl_min": least,
        "trl_max": most,
        "applicants": list(applicants([words], label)[0]),
        "regions": list(places),
        "consortium": partners,
        "status": said_status([words])[0],
        "allocation": allocation([words])[0],
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


@pytest.mark.parametrize("entry", TRUTH, ids=lambda entry: entry["words"][:60])
def test_a_clause_states_what_the_table_says_and_nothing_else(entry: dict[str, Any]) -> None:
    ours = {"language", "grant_max_eur", "deadlines"}  # read below, and elsewhere
    assert read(entry["words"], entry.get("label")) == {
        name: value for name, value in entry["expect"].items() if name not in ours
    }
    allowed = [entry["expect"]["language"]] if "language" in entry["expect"] else [entry["language"], None]
    assert language_of(entry["words"]) in allowed


def test_the_table_has_every_field_both_stated_and_not() -> None:
    fields = {name for entry in TRUTH for name in entry["expect"]}
    assert len(TRUTH) >= 70 and len(fields) >= 12
    assert sum(not entry["expect"] for entry in TRUTH) >= 30


def test_sentences_survive_dots_that_end_none() -> None:
    text = (
        "De subsidie is € 500.000, zie art. 3.4.5 en nr. 3. U kunt d.d. 3 mei t/m 09.00 uur terecht, bijv. "
        "Drenthe. Mag het?\n- een punt\n- nog een; Klaar."
    )
    assert sentences(text) == (
        "De subsidie is € 500.000, zie art. 3.4.5 en nr. 3.",
        "U kunt d.d. 3 mei t/m 09.00 uur terecht, bijv. Drenthe.",
        "Mag het?",
        "- een punt",
        "- nog een;",
        "Klaar.",
    )


def test_a_rate_in_one_place_and_another_in_the_next_are_none() -> None:
    found = funding_rates(["De subsidie bedraagt 35%.", "De subsidie bedraagt 40%."])
    assert found.rate is None and found.printed == "De subsidie bedraagt 35%. … De subsidie bedraagt 40%."


@pytest.mark.parametrize(
    "items",
    [
        ["De volgende organisaties komen niet in aanmerking:", "- grote bedrijven", "- stichtingen"],
        ["Niet voor:", "- zzp'ers", "- gemeenten"],
    ],
)
def test_a_list_of_those_left_out_adds_nobody(items: list[str]) -> None:
    assert applicants(["\n".join(items)], "Voor wie?") == ((), None)


def test_structured_target_groups_become_our_terms() -> None:
    printed = [
        "Grootbedrijf",
        "MKB (ook zzp)",
        "School / Kennisinstelling",
        "Overheid",
        "Stichting / vereniging",
    ]
    assert applicant_terms(printed) == (
        "sme", "large_company", "research_organisation", "public_body", "ngo", "self_employed",
    )  # fmt: skip
    assert applicant_terms(["Agrarisch ondernemer", "Particulier"]) == ()


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (["Friesland", "Fryslân", "Fryslan"], ("NL12",)),
        (["Provincie Drenthe", "Groningen (provincie)"], ("NL13", "NL11")),
        (["Nederland", "Germany", "België", "DK"], ("NL", "DE", "BE", "DK")),
        (["GR", "GB"], ("EL", "UK")),  # ISO codes that NUTS writes otherwise
        (["Oost-Groningen", "NL111"], ("NL114", "NL111")),
        (["NL31 - Utrecht"], ("NL31",)),  # the code of 2021 as printed
        (["DEA, FRB0, PT1D"], ("DEA", "FRB0", "PT1D")),
        (["DENNE"], ()),  # a word in the shape of a code
        (["NL117"], ()),
        (["DE95"], ()),
        (["gemeente Groningen"], ()),
        (["Emmen"], ()),
        (["Limburg"], ()),  # in two countries
        (["Zuid-Nederland"], ()),  # wider for one programme than for statistics
        (["Drenthe", "iets anders"], ()),
        ([""], ()),
        ([], ()),
    ],
)
def test_printed_places(words: list[str], codes: tuple[str, ...]) -> None:
    assert regions(words) == codes


def test_the_codes_of_both_versions_are_one_area() -> None:
    assert same("NL31") == ("NL31", "NL35") and same("NL36") == ("NL36", "NL33")
    assert same("NL113") == ("NL113", "NL115") and same("NL11") == ("NL11",)


def test_all_codes_of_the_names_exist() -> None:
    table = yaml.safe_load((ROOT / "pipeline" / "nuts.yml").read_text("utf-8"))
    pairs = {**table["recoded"], **table["shifted"]}
    codes = [
        code
        for codes in [*table["names"], *table["groups"], *pairs, *pairs.values()]
        for code in codes.split()
    ]
    assert all(regions([code]) == (code,) for code in codes)
    assert all(len(old) == len(new) for old, new in pairs.items())


READERS: list[Callable[[str], Any]] = [
    sentences,
    language_of,
    lambda text: read(text, "Subsidiepercentage"),
    lambda text: read(text, "Voor wie?"),
    lambda text: read(text, "Locatie"),
    lambda text: applicant_terms([text]),
]
PIECES = st.lists(
    st.sampled_from(
        "35% % € TRL 6-8 tot en met t/m mkb voor niet en of , . : ; ( ) - \n De subsidie bedraagt 50 7 "
        "ten minste twee partners gevestigd in de provincie Drenthe Groningen eigen bijdrage loting".split(
            " "
        )
    )
).map(" ".join)


@given(st.text() | PIECES)
def test_no_words_break_a_reader(text: str) -> None:
    for reader in READERS:
        reader(text)


NUMBERS = (
    "een één ien ein one two twee twa zwei three drie trije drei four vier fjouwer five vijf six zes".split()
)


@given(PIECES)
def test_no_number_comes_from_words_without_one(text: str) -> None:
    found = read(text, "Subsidiepercentage")
    digit = any(character.isdigit() for character in text)
    numeric = {"funding_rate", "funding_rate_sme", "own_contribution_min_rate", "trl_min", "trl_max"}
    assert digit or not numeric & found.keys()
    assert digit or any(word in NUMBERS for word in text.lower().split()) or "consortium" not in found


@given(st.integers(1, 100), st.sampled_from(["%", " %", " procent"]))
def test_a_printed_rate_is_read_as_that_rate(value: int, sign: str) -> None:
    assert funding_rates([f"De subsidie bedraagt {value}{sign} van de kosten."]).rate == value / 100
    assert funding_rates([f"{value}{sign}"], "Subsidiepercentage").rate == value / 100


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["-", " – ", " t/m ", " tot en met "]))
def test_a_printed_range_of_levels_is_read_as_that_range(low: int, high: int, through: str) -> None:
    expected = (low, high) if low <= high and (low, high) != (1, 9) else (None, None)
    assert readiness([f"Uw project is TRL {low}{through}{high}."])[:2] == expected


@pytest.mark.parametrize(
    "text",
    [
        "a " * 50_000,
        "1% en " * 16_000,
        "(" * 100_000,
        "subsidie is " * 8_000,
        "TRL 5 " * 16_000,
        "ten minste twee " * 6_000,
        "gevestigd in Drenthe, " * 4_500,
        "Drenthe, " * 11_000,
        "De regeling is " * 6_500,
        "voor mkb. " * 10_000,
        "kunnen gemeenten " * 5_000,
        "at least one partner from Germany and one from Poland, " * 1_800,
        "de activiteiten moeten in Drenthe " * 2_900,
        "a.B" * 33_000,
        "- \n" * 33_000,
        " " * 100_000,
        "9" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_a_hostile_page_costs_little_time(text: str) -> None:
    started = time.process_time()  # what others do on the machine does not count
    for reader in READERS:
        reader(text)
    assert time.process_time() - started < 6
