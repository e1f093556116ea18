"""Printed dates and windows: the truth table, every printed form read back, and hostile text."""

from __future__ import annotations

import time as clock
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dates import day, moment, open_ended, rounds, until_spent
from pipeline.deadlines import window

TABLE = yaml.safe_load((Path(__file__).parent / "truth" / "windows.yml").read_text("utf-8"))
FIELDS = ("opens_on", "deadlines", "rolling", "until_spent")


def typed(entry: dict[str, Any]) -> dict[str, Any]:
    """What the functions read from a table entry."""
    zone = entry.get("zone") or ("Europe/Amsterdam" if entry["language"] in ("nl", "fy") else None)
    labelled = "label" in entry
    found = window([rounds(entry["words"], zone, labelled)])
    return {
        "opens_on": found.opens_on,
        "deadlines": [deadline.at for deadline in found.deadlines],
        "rolling": True if open_ended(entry["words"], labelled) else None,
        "until_spent": True if until_spent(entry["words"]) else None,
    }


def at(printed: str) -> date | datetime:
    return date.fromisoformat(printed) if len(printed) == 10 else datetime.fromisoformat(printed)


@pytest.mark.parametrize("entry", TABLE, ids=[f"{n} {e['words'][:60]}" for n, e in enumerate(TABLE)])
def test_a_window_is_what_its_words_state(entry: dict[str, Any]) -> None:
    expected = {field: entry["expect"].get(field) for field in FIELDS}
    expected["deadlines"] = [at(printed) for printed in expected["deadlines"] or []]
    expected |= {
        name: type(expected[name])() if name == "deadlines" else None for name in entry.get("missed", ())
    }
    assert typed(entry) == expected


# --- the stages of one procedure


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (
            "First-stage deadline: 3 March 2026. Second-stage deadline: 8 September 2026.",
            ["stage 1", "stage 2"],
        ),
        ("Second-stage deadline: 8 September 2026.", ["stage 2"]),
        ("First stage proposals must be submitted by 3 March 2026.", ["stage 1"]),
        ("Outline proposals: by 3 March 2026; full proposals: by 8 September 2026.", ["stage 1", "stage 2"]),
        ("Outline proposals: by 3 March 2026, full proposals: by 8 September 2026.", ["stage 1", "stage 2"]),
        (
            "Voorstel (eerste fase) uiterlijk 3 maart 2026; uitgewerkt voorstel (tweede fase) uiterlijk "
            "8 september 2026.",
            ["stage 1", "stage 2"],
        ),
        ("Outline proposals: by 3 March 2026.\nWrite to us.\nFull proposals: by 8 September 2026.", []),
        ("Full proposals: by 8 September 2026. Outline proposals: by 3 March 2026.", []),
        ("Outline proposals: by 3 March 2026 or 4 May 2026; full proposals: by 8 September 2026.", []),
        ("Outline and full proposals must be submitted by 3 March 2026.", []),
        ("The cut-offs are 3 March 2026 and 8 September 2026.", ["cut-off", "cut-off"]),
        ("The deadline is 3 March 2026.", ["single"]),
    ],
)
def test_a_stage_is_told_from_a_cut_off(words: str, kinds: list[str]) -> None:
    assert [deadline.kind for deadline in window([rounds(words)]).deadlines] == kinds


def test_an_opening_of_the_second_stage_opens_nothing_for_a_newcomer() -> None:
    words = (
        "Short proposals can be submitted from 1 February 2026 up to and including 3 March 2026. "
        "Full proposals can be submitted from 1 June 2026 up to and including 8 September 2026."
    )
    found = window([rounds(words)])
    assert found.opens_on == date(2026, 2, 1)
    assert [d.opens_on for d in found.deadlines] == [date(2026, 2, 1), date(2026, 6, 1)]
    assert window([rounds("Second stage proposals can be submitted from 1 June 2026.")]).opens_on is None


def test_a_deadline_without_a_stage_is_one_of_the_stages_on_its_day_and_else_a_contradiction() -> None:
    stages = rounds("First-stage deadline: 3 March 2026. Second-stage deadline: 8 September 2026.")
    same = window([stages, rounds("Deadline: 8 September 2026, 17:00 CEST.")])
    assert [d.kind for d in same.deadlines] == ["stage 1", "stage 2"]
    assert isinstance(same.deadlines[1].at, datetime)
    assert window([stages, rounds("Deadline: 9 September 2026.")]).disputed


def test_closings_of_one_statement_stand_side_by_side_only_where_it_lists_them() -> None:
    assert (
        len(window([rounds("Call 1 closes on 3 March 2026.\nCall 2 closes on 4 May 2026.")]).deadlines) == 2
    )
    assert window([rounds("The call closes on 3 March 2026.\nThe call closes on 4 May 2026.")]).disputed
    assert window([rounds("Call 1 closes on 3 March 2026.\nThe call closes on 4 May 2026.")]).disputed


# --- what is printed is read back

NAMES = {
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "fy": "jannewaris febrewaris maart april maaie juny july augustus septimber oktober novimber desimber",
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}
WEEKDAYS = {
    "nl": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    "fy": "moandei tiisdei woansdei tongersdei freed sneon snein",
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
}
SPACES = st.sampled_from([" ", "\u00a0", "\u2009", "\u202f", "  "])
DAYS = st.dates(date(2000, 1, 1), date(2096, 12, 31))
HOURS = st.builds(time, st.integers(0, 23), st.integers(0, 59)).filter(lambda at: at != time(0))
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def certain(day: date, hour: time) -> bool:
    """Whether the clock shows that hour exactly once on that day."""
    at = datetime.combine(day, hour, AMSTERDAM)
    return at.utcoffset() == at.replace(fold=1).utcoffset()


@st.composite
def printed_days(draw: st.DrawFn, day: date, language: str) -> str:
    """A day in one of the ways that a language prints it."""
    name = NAMES[language].split()[day.month - 1]
    dot = "." if language == "de" else ""
    short = name if len(name) < 5 or language == "fy" else name[:3]  # Frisian pages print months in full
    if language == "de" and day.month in (3, 12):
        short = name
    if language == "nl" and day.month == 3:
        short = "mrt"
    space = draw(SPACES)
    forms = [f"{day.day}{dot}{space}{name}{space}{day.year}", f"{day.day}{dot} {short}. {day.year}", str(day)]
    if language == "en":
        th = "th" if 11 <= day.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
        forms += [
            f"{name} {day.day}, {day.year}",
            f"{day.day}{th} {name} {day.year}",
            f"{day.day}{th} of {name} {day.year}",
            f"{day.day} {name}, {day.year}",
            f"{name} {day.day}{th}, {day.year}",
        ]
    forms += [f"{day.day}.{day.month}.{day.year}", f"{day.day:02}.{day.month:02}.{day.year}"]
    if language != "en" or day.day > 12:
        forms.append(f"{day.day:02}-{day.month:02}-{day.year}")
    if day.day > 12:
        forms.append(f"{day.day}/{day.month}/{day.year}")
    weekday = WEEKDAYS[language].split()[day.weekday()]
    forms += [f"{weekday} {forms[0]}", f"{weekday}, {forms[0]}"]
    return draw(st.sampled_from(forms))


@st.composite
def printed_hours(draw: st.DrawFn, hour: time, language: str) -> str:
    """An hour, with the words between it and its day."""
    h, m = hour.hour, f"{hour.minute:02}"
    forms = [f" {h:02}:{m}", f", {h:02}:{m}", f", {h:02}.{m}", f" ({h:02}:{m})", f", {h:02}:{m}:00"]
    if language == "nl":
        forms += [f" {h}.{m} uur", f", {h}:{m} uur", f" om {h}.{m} uur", f" {h}u{m}", f" {h:02}:{m}u"]
        forms += [f" om {h} uur", f", {h}u"] if hour.minute == 0 else []
    if language == "fy":
        forms += [f" om {h}.{m} oere", f", {h}:{m} oere"]
    if language == "de":
        forms += [f", {h}:{m} Uhr", f" um {h}.{m} Uhr"] + ([f", {h} Uhr"] if hour.minute == 0 else [])
    if language == "en" and h:
        half, twelve = ("am" if h < 12 else "pm"), (h - 1) % 12 + 1
        forms += [f" at {h:02}:{m} hours"]
        if h != 12 or half == "pm":
            forms += [
                f", {twelve}:{m} {half}",
                f" at {twelve}.{m} {half[0]}.m.",
                f", {twelve:02}:{m} {half.upper()}",
            ]
        forms += [", 12.00 noon", " at noon"] if hour == time(12) else []
    return draw(st.sampled_from(forms))


LANGUAGES = st.sampled_from(sorted(NAMES))


@given(st.data(), DAYS, LANGUAGES)
def test_a_printed_day_is_read_back(data: st.DataObject, day: date, language: str) -> None:
    printed = data.draw(printed_days(day, language))
    zone = None if language == "en" else "Europe/Amsterdam"
    assert moment(printed, zone) == day, printed


@given(st.data(), DAYS, HOURS, LANGUAGES)
def test_a_printed_hour_is_read_back_in_the_publishers_zone_only(
    data: st.DataObject, day: date, hour: time, language: str
) -> None:
    printed = data.draw(printed_days(day, language)) + data.draw(printed_hours(hour, language))
    expected = datetime.combine(day, hour, AMSTERDAM) if certain(day, hour) else day
    assert moment(printed, "Europe/Amsterdam") == expected, printed
    if language != "en" and day.day > 12:
        assert moment(printed) == day, printed


@given(
    st.data(),
    DAYS,
    HOURS,
    st.sampled_from(["{}", " ({})", ", {}"]),
    st.sampled_from(
        [
            ("CET", 1),
            ("CEST", 2),
            ("MEZ", 1),
            ("MESZ", 2),
            ("UTC", 0),
            ("GMT", 0),
            ("UTC+3", 3),
            ("+02:00", 2),
        ]
    ),
)
def test_a_stated_zone_wins_and_one_of_the_other_season_leaves_the_day(
    data: st.DataObject, day: date, hour: time, form: str, zone: tuple[str, int]
) -> None:
    name, ahead = zone
    stated = form.format(name) if form != "{}" else f" {name}"
    printed = data.draw(printed_days(day, "nl")) + f" {hour:%H:%M}" + stated
    read = moment(printed, "America/New_York" if day.day > 12 else "Europe/Lisbon")
    seasonal = name in ("CET", "CEST", "MEZ", "MESZ")
    fits = datetime.combine(day, hour, AMSTERDAM).utcoffset() == timedelta(hours=ahead) and certain(day, hour)
    if seasonal and not fits:
        assert read == day and not isinstance(read, datetime), printed
    else:
        expected = datetime.combine(day, hour, UTC) - timedelta(hours=ahead)
        assert isinstance(read, datetime) and read == expected, printed
        assert read.utcoffset() == timedelta(hours=ahead)


# A window phrase, and by how many days its last day is before the day it prints.
WINDOWS = [
    ("nl", "Aanvragen kan van {0} tot en met {1}.", 0),
    ("nl", "U kunt vanaf {0} t/m {1} een aanvraag indienen.", 0),
    ("nl", "De regeling is geopend met ingang van {0} tot {1}.", 1),
    ("nl", "Aanvraagperiode: {0} – {1}", 0),
    ("nl", "Het loket opent op {0} en sluit op {1}.", 0),
    ("fy", "Oanfreegje kin fan {0} oant en mei {1}.", 0),
    ("fy", "De regeling is iepen fanôf {0} oant {1}.", 1),
    ("en", "Applications can be submitted from {0} up to and including {1}.", 0),
    ("en", "The call opens on {0} and closes on {1}.", 0),
    ("en", "Call 5: {0} - {1}", 0),
    ("de", "Anträge können vom {0} bis {1} gestellt werden.", 0),
    ("de", "Anträge können ab {0} bis einschließlich {1} gestellt werden.", 0),
]
ENDS = [
    ("nl", "Aanvragen mogelijk t/m {}", 0),
    ("nl", "U kunt aanvragen tot {}.", 1),
    ("nl", "Uw aanvraag moet vóór {} zijn ontvangen.", 1),
    ("nl", "Dien uw aanvraag uiterlijk op {} in.", 0),
    ("nl", "Deze call sluit op {}.", 0),
    ("fy", "De oanfreech moat foar {} ynlevere wêze.", 1),
    ("en", "Deadline: {}", 0),
    ("en", "Applications must be submitted no later than {}.", 0),
    ("en", "You must apply before {}.", 1),
    ("de", "Einreichfrist: {}", 0),
    ("de", "Anträge können bis zum {} gestellt werden.", 0),
]


@given(st.data(), DAYS, st.integers(2, 700), st.sampled_from(WINDOWS), st.booleans())
def test_a_printed_window_is_read_back(
    data: st.DataObject, first: date, length: int, window: tuple[str, str, int], hours: bool
) -> None:
    language, phrase, less = window
    last = first + timedelta(days=length)
    start, end = (data.draw(printed_days(day, language)) for day in (first, last))
    opens: date = first
    closes: date = last - timedelta(days=less)
    if hours:
        begin, close = data.draw(HOURS), data.draw(HOURS)
        start += data.draw(printed_hours(begin, language))
        end += data.draw(printed_hours(close, language))
        opens = datetime.combine(first, begin, AMSTERDAM) if certain(first, begin) else first
        closes = datetime.combine(last, close, AMSTERDAM) if certain(last, close) else last
    words = phrase.format(start, end)
    found = [(r.opens, r.closes) for r in rounds(words, "Europe/Amsterdam")]
    assert found == [(opens, closes)], words


@given(st.data(), DAYS, st.sampled_from(ENDS), st.none() | HOURS)
def test_a_printed_end_is_read_back(
    data: st.DataObject, last: date, end: tuple[str, str, int], hour: time | None
) -> None:
    language, phrase, less = end
    printed = data.draw(printed_days(last, language))
    closes: date = last - timedelta(days=less)
    if hour:
        printed += data.draw(printed_hours(hour, language))
        closes = datetime.combine(last, hour, AMSTERDAM) if certain(last, hour) else last
    words = phrase.format(printed)
    assert [(r.opens, r.closes) for r in rounds(words, "Europe/Amsterdam")] == [(None, closes)], words


@given(DAYS, st.integers(1, 300), st.sampled_from(["nl", "de"]))
def test_the_first_date_takes_the_year_of_the_second_where_that_is_certain(
    first: date, length: int, language: str
) -> None:
    last = first + timedelta(days=length)
    names = NAMES[language].split()
    dot, phrase = (
        ("", "Aanvragen kan van {} tot en met {}.") if language == "nl" else (".", "Antragsfrist: {} bis {}")
    )
    words = phrase.format(
        f"{first.day}{dot} {names[first.month - 1]}", f"{last.day}{dot} {names[last.month - 1]} {last.year}"
    )
    (found,) = rounds(words)
    assert (found.opens, found.closes) == (first if first.year == last.year else None, last), words


# --- hostile text

READERS = [
    day,
    moment,
    lambda text: moment(text, "Europe/Amsterdam"),
    rounds,
    lambda text: rounds(text, "Europe/Amsterdam", labelled=True),
    open_ended,
    lambda text: open_ended(text, labelled=True),
    until_spent,
]
CRUMBS = (
    "1 31. 2026 12:00 24:00 uur maart mei tot en met t/m van vanaf - – ( ) : ; , . / € aanvragen open "
    "deadline op het de zolang budget 2026-02-30 1-1-2026 noon midnight am CET +99:99 maandag 9 e "
    "call sluit bis zum oant telkens om ôf first-stage full proposals (eerste fase) \n \u00a0 İ ß ٣ ²"
).split(" ")


@given(
    st.text()
    | st.lists(st.sampled_from(CRUMBS)).map(" ".join)
    | st.lists(st.sampled_from(CRUMBS)).map("".join)
)
def test_no_text_breaks_a_reader(text: str) -> None:
    for read in READERS:
        read(text)


@given(st.text().filter(lambda text: not any("0" <= letter <= "9" for letter in text)))
def test_without_a_digit_there_is_no_date(text: str) -> None:
    assert day(text) is None and moment(text, "Europe/Amsterdam") is None
    assert rounds(f"Aanvragen kan tot en met {text}", "Europe/Amsterdam", labelled=True) == []


@pytest.mark.parametrize(
    "crumb",
    [
        *(
            "1",
            "1 ",
            "1.",
            "1-",
            "12:00 ",
            "12:00 on ",
            "1 maart ",
            "1 maart 2026, ",
            "1 maart 2026 tot ",
            "\n",
            " ",
            "a",
        ),
        *(
            "aanvragen ",
            "aanvraag ",
            "open op ",
            "deadline a ",
            "call a ",
            "zolang het ",
            "tot het a ",
            "dien uw ",
            ", en de a",
        ),
        *(
            ": \n- ",
            ":\n1",
            ".\n",
            "; ",
            "(",
            "nr. A ",
            "het hele jaar ",
            "kan ",
            "until the a ",
            "1. Maart ",
            "2026-01-01T",
            "1 maart 2026, telkens om 12.00 uur, ",
            ", 1 maart 2026",
            "Unterlagen 1. März 2026\n",
            "subsidie aanvragen voor projecten ",
            "full proposals 1 maart 2026; ",
            "tot het moment ",
            "voorstel (eerste fase) ",
        ),
    ],
)
def test_a_hostile_text_of_100_kb_is_read_in_a_second(crumb: str) -> None:
    text = "Aanvragen kan van " + crumb * (100_000 // len(crumb)) + " 1 maart 2026"
    for read in READERS:
        began = clock.process_time()
        read(text)
        assert clock.process_time() - began < 1
