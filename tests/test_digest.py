"""The digest mail: true in every field, in the reader's language, and safe whatever a page says."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup
from conftest import a_call

from pipeline.digest import SHOWN, Mail, compose, contents
from pipeline.schema import (
    Call,
    Deadline,
    Eligibility,
    Evidence,
    Match,
    Profile,
    Rule,
    SourceHealth,
)
from pipeline.wording import wording

AS_OF = date(2026, 6, 15)
SEEN = datetime(2026, 6, 15, 5, tzinfo=UTC)


def call(**more: Any) -> Call:
    return a_call(**{"title": "Better sensors", "deadlines": (deadline(date(2026, 9, 15)),)} | more)


def deadline(at: Any, kind: Any = "single") -> Deadline:
    return Deadline(at=at, printed=str(at), kind=kind)


def profile(**more: Any) -> Profile:
    base: dict[str, Any] = {
        "id": "one",
        "name": "One",
        "kind": "sme",
        "language": "en",
        "label": "confirmed",
        "description": "We make sensors.",
    }
    return Profile(**base | more)


def match(rank: int = 1, *, verdict: Any = "unknown", rules: tuple[Rule, ...] = (), **more: Any) -> Match:
    base: dict[str, Any] = {
        "profile_id": "one",
        "call_id": "eu_portal:1",
        "rank": rank,
        "score": 0.5,
        "percentile": 98.7,
        "confidence": "high",
        "eligibility": Eligibility(verdict=verdict, rules=rules),
        "evidence": (Evidence(profile_text="We make sensors.", call_text="Sensors wanted.", weight=0.5),),
        "reasons": ("Both speak of sensors.",),
    }
    return Match(**base | more)


def mail(found: Call | None = None, *, language: str = "en", **more: Any) -> Mail:
    found = found or call()
    shown = [match(**more)]
    return compose(profile(language=language), shown, {found.call_id: found}, [], AS_OF)


DEADLINES = {
    "a day": ((deadline(date(2026, 9, 15)),), "15 September 2026 (hour not stated)", "92 days left"),
    "today": ((deadline(date(2026, 6, 15)),), "15 June 2026 (hour not stated)", "today"),
    "tomorrow": ((deadline(date(2026, 6, 16)),), "16 June 2026 (hour not stated)", "1 day left"),
    "an hour in the reader's zone": (
        (deadline(datetime(2026, 9, 15, 15, tzinfo=UTC)),),
        "15 September 2026, 17:00 (CEST)",
        "92 days left",
    ),
    "two stages": (
        (deadline(date(2026, 9, 15), "stage 1"), deadline(date(2027, 2, 1), "stage 2")),
        "first stage 15 September 2026 (hour not stated); then 1 February 2027",
        "92 days left",
    ),
    "a past cut-off": (
        (deadline(date(2026, 3, 1), "cut-off"), deadline(date(2026, 9, 15), "cut-off")),
        "next cut-off 15 September 2026 (hour not stated)",
        "92 days left",
    ),
    "none": ((), "not stated by the source", ""),
}


@pytest.mark.parametrize(("deadlines", "told", "left"), DEADLINES.values(), ids=DEADLINES.keys())
def test_the_deadline_is_told_as_stated(deadlines: Any, told: str, left: str) -> None:
    text = mail(call(deadlines=deadlines)).text
    assert f"Deadline: {told}{' — ' + left if left else ''}\n" in text


MONEY: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing stated": ({}, "not stated by the source", "niet vermeld door de bron"),
    "range": (
        {"grant_min_eur": 4e6, "grant_max_eur": 5.5e6},
        "€ 4 million to € 5.5 million per grant",
        "€ 4 miljoen tot € 5,5 miljoen per project",
    ),
    "one amount": (
        {"grant_min_eur": 6e4, "grant_max_eur": 6e4},
        "€ 60,000 per grant",
        "€ 60.000 per project",
    ),
    "a most only": (
        {"grant_max_eur": 2999999.9},
        "up to € 3 million per grant",
        "hoogstens € 3 miljoen per project",
    ),
    "to the euro": ({"grant_max_eur": 1234567.0}, "up to € 1,234,567", "hoogstens € 1.234.567"),
    "a least only": (
        {"grant_min_eur": 1e5},
        "at least € 100,000 per grant",
        "minstens € 100.000 per project",
    ),
    "own budget": (
        {"budget_total_eur": 2e7, "expected_grants": 4},
        "€ 20 million in all, about 4 grants",
        "€ 20 miljoen in totaal, ongeveer 4 projecten",
    ),
    "a pot is not the topic's money": (
        {"call_budget_total_eur": 4.22e8, "funding_rate": 0.7},
        "€ 422 million for all topics of the call together; 70 % of eligible costs",
        "€ 422 miljoen voor alle topics van de call samen; 70 % van de subsidiabele kosten",
    ),
}


@pytest.mark.parametrize(("stated", "english", "dutch"), MONEY.values(), ids=MONEY.keys())
def test_money_is_told_as_stated_in_both_languages(stated: Any, english: str, dutch: str) -> None:
    assert f"Money: {english}" in mail(call(**stated)).text
    assert f"Geld: {dutch}" in mail(call(**stated), language="nl").text


@pytest.mark.parametrize(
    ("least", "most", "told"),
    [(5, 7, "TRL: 5–7\n"), (6, 6, "TRL: 6\n"), (4, None, "TRL: 4 and above\n"), (None, 6, "TRL: up to 6\n")],
)
def test_readiness_is_open_where_one_end_is_not_stated(least: Any, most: Any, told: str) -> None:
    assert told in mail(call(trl_min=least, trl_max=most)).text
    assert "TRL" not in mail().text


def test_what_the_call_says_is_quoted_and_what_it_leaves_open_is_named() -> None:
    rules = (
        Rule(rule="time", verdict="pass", clause="2026-09-15"),
        Rule(rule="applicant", verdict="unknown", clause=None),
        Rule(rule="consortium", verdict="unknown", clause="At least three partners."),
    )
    text = mail(rules=rules).text
    assert "May you apply? Not known yet." in text
    assert "Partners: “At least three partners.”" in text
    assert "Not stated: who may apply. See the call's conditions." in text
    silent = tuple(
        Rule(rule=name, verdict="unknown", clause=None) for name in ("region", "applicant", "budget")
    )
    text = mail(rules=silent, language="nl").text
    assert text.count("     - ") == 1 and "Niet vermeld: regio, wie mag indienen, budget. Zie" in text


def test_what_shuts_out_is_told_first_and_a_bare_amount_not_again() -> None:
    rules = (
        Rule(rule="region", verdict="unknown", clause="Drenthe"),
        Rule(rule="budget", verdict="unknown", clause="7000000"),
        Rule(rule="readiness", verdict="fail", clause="Up to TRL 5."),
    )
    text = mail(rules=rules).text
    assert text.index("Up to TRL 5.") < text.index("“Drenthe”")
    assert "7000000" not in text and "Not stated" not in text


HOSTILE = '"><script>alert(1)</script><img src=x onerror=y>{{ 7 * 7 }}{% raw %}\r\nBcc: a@example.org'


def test_hostile_texts_are_shown_as_text_and_lines_stay_lines() -> None:
    found = call(title=HOSTILE, url="javascript:alert(1)", programme=HOSTILE, type_of_action=HOSTILE)
    rules = (Rule(rule="applicant", verdict="unknown", clause=HOSTILE),)
    shown = [match(rules=rules, reasons=(HOSTILE,), evidence=())]
    made = compose(profile(name=HOSTILE), shown, {found.call_id: found}, [], AS_OF)
    soup = BeautifulSoup(made.html, "lxml")
    assert not soup.find_all(["script", "img", "a", "iframe", "link"])
    assert not [tag for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")]
    assert "{{ 7 * 7 }}" in soup.get_text() and "javascript:" not in made.html + made.text
    assert "\n" not in made.subject and "\r" not in made.subject + made.text
    assert not [line for line in made.text.splitlines() if line.startswith("Bcc")]


def test_the_html_needs_nothing_from_elsewhere_and_fits_a_mail() -> None:
    found = {f"eu_portal:{n}": call(call_id=f"eu_portal:{n}", title="x" * 300) for n in range(1, 41)}
    shown = [match(n, call_id=f"eu_portal:{n}") for n in range(1, 41)]
    made = compose(profile(), shown, found, [], AS_OF)
    assert len(made.html.encode()) < 100_000
    assert made.html.count("Read the call") == SHOWN
    assert "Other open calls fit less well" in made.text
    assert not re.search(r"(src|background|@import|url\()", re.sub(r"background(-color)?:", "", made.html))
    assert "prefers-color-scheme: dark" in made.html and 'lang="en"' in made.html


def test_a_week_without_matches_is_a_short_mail_and_a_broken_source_is_told() -> None:
    health = [
        SourceHealth(source="eu_portal", level="european", state="broken", records=1, last_good_at=SEEN),
        SourceHealth(source="snn", level="regional", state="broken", records=0, last_good_at=None),
        SourceHealth(source="rvo", level="national", state="ok", records=9, last_good_at=SEEN),
    ]
    made = compose(profile(language="nl"), [], {}, health, AS_OF)
    assert made.subject == "Geen passende calls voor One (week 25)"
    assert "u ziet wat zij op 15 juni 2026 zei" in made.text
    assert "De bron snn was deze week niet te lezen; haar calls ontbreken hier." in made.text
    assert "rvo" not in made.text
    assert "Andere open calls" not in made.text


def test_a_loosely_related_call_is_only_named_and_counts_not_in_the_subject() -> None:
    found = {f"eu_portal:{n}": call(call_id=f"eu_portal:{n}", title=f"Title {n}") for n in range(1, 8)}
    far = (Evidence(profile_text="a", call_text="b", weight=0.44),)
    shown = [match(n, call_id=f"eu_portal:{n}", **({} if n == 2 else {"evidence": far})) for n in range(1, 8)]
    made = compose(profile(), shown, found, [], AS_OF)
    assert made.subject == "1 open call for One (week 25)"
    above, below = made.text.split("Further away, in case you know better")
    assert "1. Title 2" in above and "Title 1" not in above
    assert [f"- Title {n}" in below for n in range(1, 8)] == [True, False, True, True, False, False, False]
    assert "Other open calls fit less well" in below


def test_the_best_of_all_is_told_so() -> None:
    assert "(fits best of all open calls)" in mail(percentile=100.0).text
    assert "(fits better than 98 % of the open calls)" in mail(percentile=98.7).text


@pytest.mark.parametrize("label", ["example", "to be confirmed"])
def test_profiles_that_nobody_confirmed_say_so(label: Any) -> None:
    made = compose(profile(label=label), [match()], {"eu_portal:1": call()}, [], AS_OF)
    assert re.search(r"example profile|to be confirmed by the hub", made.html)
    assert not re.search(r"example profile|to be confirmed", mail().html)


def test_both_languages_have_the_same_words() -> None:
    def keys(value: Any, path: str = "") -> set[str]:
        if not isinstance(value, dict):
            return {path}
        return {found for name, inner in value.items() for found in keys(inner, f"{path}/{name}")}

    assert keys(wording("en")) == keys(wording("nl"))
    assert not [path for path in keys(wording("nl")) if "True" in path or "False" in path]


def test_the_list_of_previews_links_to_each_and_escapes_names() -> None:
    page = contents([profile(name="<b>&"), profile(id="two")], {"one": "<i>", "two": "S"}, AS_OF)
    soup = BeautifulSoup(page, "lxml")
    assert [a["href"] for a in soup.find_all("a")] == ["one.html", "one.txt", "two.html", "two.txt"]
    assert not soup.find_all(["b", "i"])
