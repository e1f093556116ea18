"""Printed money: every form of an amount, and what the amounts of a page are amounts of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.money import amounts, euros, stated

TABLE: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "truth" / "money.yml").read_text("utf-8")
)
SPACES = (" ", "\u00a0", "\u2009", "\u202f")


def facts(entry: dict[str, Any]) -> dict[str, float]:
    """The fields with one clear value: several different values, or an unclear one, make it unknown."""
    values: dict[str, set[float | None]] = {}
    for fact in stated(entry["words"], entry["language"], entry.get("label")):
        values.setdefault(fact.field, set()).add(fact.eur)
    clear = {field: next(iter(found)) for field, found in values.items() if len(found) == 1}
    return {field: eur for field, eur in clear.items() if eur is not None}


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry["words"][:60] or "nothing")
def test_a_text_states_the_money_of_the_truth_table(entry: dict[str, Any]) -> None:
    expected = {
        name: eur for name, eur in entry["expect"].items() if name.endswith("_eur") and eur is not None
    }
    assert facts(entry) == expected, entry.get("trap")


def grouped(units: int, mark: str) -> str:
    return f"{units:,}".replace(",", mark)


def with_currency(number: str, currency: str, space: str, before: bool) -> str:
    return f"{currency}{space}{number}" if before else f"{number}{space}{currency}"


@st.composite
def printed_amounts(draw: st.DrawFn) -> tuple[str, float]:
    """An amount in whole euros or cents, in any of the forms that pages print."""
    units = draw(st.integers(10, 999_999_999))
    mark = draw(st.sampled_from([".", ",", "", "'", *SPACES]))
    cents, tail = draw(st.sampled_from([(0, ""), (0, "-"), (0, "--"), (0, " -"), (0, "00"), (50, "50")]))
    point = "." if mark == "," else ","
    number = grouped(units, mark) + (point + tail if tail else "")
    currency = draw(st.sampled_from(["€", "EUR", "euro", "Euro"]))
    space = draw(st.sampled_from(SPACES if currency != "€" else ("", *SPACES)))
    return with_currency(number, currency, space, draw(st.booleans())), units + cents / 100


@given(printed_amounts(), st.sampled_from(["nl", "fy", "en", "de", None]))
def test_a_printed_amount_is_read_as_it_was_meant_in_every_language(
    printed: tuple[str, float], language: str | None
) -> None:
    words, value = printed
    text = f"Het gaat om {words}."
    (found,) = amounts(text, language)
    assert found.eur == value
    assert text[found.start : found.end] == found.printed


SCALES = {
    "nl": {"duizend": 3, "miljoen": 6, "mln.": 6, "mln": 6, "miljard": 9},
    "fy": {"tûzen": 3, "miljoen": 6, "miljard": 9},
    "de": {"Tausend": 3, "Millionen": 6, "Mio.": 6, "Milliarden": 9},
    "en": {"thousand": 3, "million": 6, "m": 6, "billion": 9, "bn": 9},
}


@given(
    st.sampled_from([(language, word) for language, words in SCALES.items() for word in words]),
    st.integers(0, 999),
    st.integers(1, 999),
    st.sampled_from(["€", "EUR"]),
    st.sampled_from(SPACES),
    st.booleans(),
)
def test_a_printed_number_of_millions_is_read_in_its_language(
    form: tuple[str, str], whole: int, thousandths: int, currency: str, space: str, before: bool
) -> None:
    language, word = form
    mark = "." if language == "en" else ","
    number = f"{whole}{mark}{thousandths:03}"
    (found,) = amounts(with_currency(f"{number}{space}{word}", currency, space, before), language)
    assert found.eur == (whole * 1000 + thousandths) * 10 ** SCALES[language][word] / 1000


@pytest.mark.parametrize(
    ("printed", "language", "expected"),
    [
        ("€500K", None, 500_000),
        ("EUR 79.2m", None, 79_200_000),
        ("M€ 5", None, 5_000_000),
        ("kEUR 250", None, 250_000),
        ("€ 8,105 miljoen", "nl", 8_105_000),
        ("€ 8,105 miljoen", None, None),
        ("€ 8.105 miljoen", "nl", None),
        ("€ 8,105 million", "en", None),
        ("€ 0,750", "nl", None),
        ("€ 1.15O.000", "nl", None),  # the letter O
        ("€ 1.150.00", "nl", None),
        ("€ 50.0001", "nl", None),  # a footnote that has lost its height
        ("€ 1.150,000", "nl", None),
        ("€ 500 .000", "nl", None),
        ("€ 500. 000", "nl", None),
        ("€ 1 50.000", "nl", None),
        ("EUR 2 billion", "de", None),
        ("2.500 € 300", "nl", None),
    ],
)
def test_digits_that_can_be_read_in_two_ways_have_no_value(
    printed: str, language: str | None, expected: float | None
) -> None:
    assert amounts(printed, language)[0].eur == expected


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("€100.000 tot €350.000", [100_000, 350_000]),
        ("350.000 tot 800.000 euro", [350_000, 800_000]),
        ("€ 2,5 - 25 miljoen", [2_500_000, 25_000_000]),
        ("between EUR 1 and 3 million", [1_000_000, 3_000_000]),
        ("EUR 1–3m", [1_000_000, 3_000_000]),
        ("€ 1 tot € 3 miljoen", [None, 3_000_000]),
        ("€ 500 - 750", [None]),
        ("In 2026 € 300.000", [300_000]),
        ("in 2026 300.000 euro", [300_000]),
        ("in 3 en 5 miljoen euro", [5_000_000]),
        ("€ 750,- per dag", [750]),
    ],
)
def test_numbers_that_share_a_currency(printed: str, expected: list[float | None]) -> None:
    assert [amount.eur for amount in amounts(printed, "nl")] == expected


@pytest.mark.parametrize(
    "printed",
    [
        "£ 50,000",
        "USD 1 million",
        "NOK 25 million",
        "CHF 40 000",
        "Euro 6",
        "EUR-Lex 52025",
        "50.000",
        "EUR 50%",
        "Eurostars 3",
    ],
)
def test_what_is_no_euro_is_no_amount(printed: str) -> None:
    assert amounts(printed, "en") == []


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("24000000", 24e6), ("0", None), ("50", None), ("", None), (None, None), ("nan", None), ("-5000", None)],
)
def test_plain_numbers_of_the_portal(printed: str | None, expected: float | None) -> None:
    assert euros(printed) == expected


PIECES = (
    "€ EUR euro 5 50.000 1,5 miljoen maximaal tot subsidie budget per project beschikbaar en , . : ; - % ("
)
FRAGMENTS = st.lists(st.sampled_from([*PIECES.split(), "\n"])).map(" ".join)


@given(st.text() | FRAGMENTS, st.sampled_from(["nl", "fy", "en", "de", None, "xx"]), st.none() | st.text())
@example("² € ٣ ½", "nl", "€")
def test_no_text_breaks_the_reading_and_words_are_kept_short(
    text: str, language: str | None, label: str | None
) -> None:
    for amount in amounts(text, language):
        assert text[amount.start : amount.end] == amount.printed
        assert amount.eur is None or 0 <= amount.eur < 1e12
    found = stated(text, language, label)
    assert all(0 < len(fact.printed) <= 300 for fact in found)
    assert len({(fact.field, fact.eur) for fact in found}) == len(found)


@given(st.text().filter(lambda text: not any(mark in text for mark in "0123456789")))
@example("tsien tûzen euro beskikber")
def test_nothing_is_read_from_a_text_without_a_digit(text: str) -> None:
    assert amounts(text, "nl") == [] and stated(text, "nl", "Budget") == []


@pytest.mark.parametrize(
    "piece",
    [
        "€ 1 ",
        "1 000 ",
        "1.000",
        "subsidie ",
        "€ 5.000. A",
        "- € 5.000\n",
        "a:\n- € 5.000\n",
        "50 % van a a a ",
        "has ",
        "a'",
        "€5",
    ],
)
def test_a_long_hostile_text_is_read_in_bounded_time(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    seconds = []
    for _ in range(2):
        begun = time.process_time()
        stated(text, "nl", "Subsidie")
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 1


def test_a_long_sentence_is_cut_around_its_amount() -> None:
    (fact,) = stated(
        "Na veel woorden " * 40 + "bedraagt het subsidieplafond € 1.150.000,- voor deze regeling", "nl"
    )
    assert len(fact.printed) == 300 and fact.printed.endswith("€ 1.150.000,-")


def test_all_that_is_stated_comes_in_order_and_once() -> None:
    said = "De subsidie is maximaal €"
    text = f"{said} 20.000. {said} 200.000. {said} 20.000."
    assert [fact.eur for fact in stated(text, "nl")] == [20_000, 200_000]
