"""The digest mail: true in every field, in the reader's language, and safe whatever a page says."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup
from conftest import a_call

from pipeline.digest import (
    ADVISER_CALLS,
    Attention,
    Edition,
    Links,
    Mail,
    compose,
    compose_for_adviser,
    contents,
    helpers_of,
    within,
)
from pipeline.news import SHOWN, News, Week, news, now_told
from pipeline.rendering import TemplateError, styled
from pipeline.schema import (
    Call,
    Consortium,
    Deadline,
    Eligibility,
    Evidence,
    Feedback,
    Match,
    Profile,
    Rule,
    SourceHealth,
    Subscription,
    Wishes,
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


def edition(*calls: Call, health: Any = (), helpers: Any = None) -> Edition:
    by_id = {each.call_id: each for each in calls}
    return Edition(Week(AS_OF, by_id, frozenset(by_id)), health, helpers or {})


def first_mail(
    reader: Profile, matches: Any, calls: Any, health: Any = (), links: Links | None = None
) -> Mail:
    """What a reader gets who was told nothing yet."""
    of = edition(*calls, health=health)
    return compose(reader, news(reader.id, matches, (), Wishes(), of.week), of, Wishes(), links)


def mail(found: Call | None = None, *, language: str = "en", **more: Any) -> Mail:
    return first_mail(profile(language=language), [match(**more)], [found or call()])


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
    made = first_mail(profile(name=HOSTILE), shown, [found])
    soup = BeautifulSoup(made.html, "lxml")
    assert not soup.find_all(["script", "img", "a", "iframe", "link"])
    assert not [tag for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")]
    assert "{{ 7 * 7 }}" in soup.get_text() and "javascript:" not in made.html + made.text
    assert "\n" not in made.subject and "\r" not in made.subject + made.text
    assert not [line for line in made.text.splitlines() if line.startswith("Bcc")]


def test_the_html_needs_nothing_from_elsewhere_and_fits_a_mail() -> None:
    long = {
        "title": "x" * 9000,
        "programme": "p" * 9000,
        "type_of_action": "a" * 9000,
        "parent_topic": "t" * 9000,
    }
    found = [call(call_id=f"eu_portal:{n}", **long) for n in range(1, 41)]
    rules = tuple(Rule(rule=name, verdict="unknown", clause="y" * 9000) for name in ("applicant", "region"))
    shown = [match(n, call_id=f"eu_portal:{n}", rules=rules) for n in range(1, 41)]
    made = first_mail(profile(), shown, found)
    assert len(made.html.encode()) < 100_000
    assert made.html.count("Read the call") == SHOWN
    assert "35 more calls fit and follow in your next mails" in made.text
    assert not re.search(r"(src|background|@import|url\()", re.sub(r"background(-color)?:", "", made.html))
    assert "prefers-color-scheme: dark" in made.html and 'lang="en"' in made.html


def test_a_week_without_matches_is_a_short_mail_and_a_broken_source_is_told() -> None:
    health = [
        SourceHealth(source="eu_portal", level="european", state="broken", records=1, last_good_at=SEEN),
        SourceHealth(source="snn", level="regional", state="broken", records=0, last_good_at=None),
        SourceHealth(source="rvo", level="national", state="ok", records=9, last_good_at=SEEN),
    ]
    made = first_mail(profile(language="nl"), [], [], health)
    assert made.subject == "Niets nieuws voor One (week 25)"
    assert "Niets nieuws op 15 juni 2026" in made.text
    assert "u ziet wat zij op 15 juni 2026 zei" in made.text
    assert "De bron snn was deze week niet te lezen; haar calls ontbreken hier." in made.text
    assert "rvo" not in made.text


def test_a_loosely_related_call_is_only_named_and_counts_not_in_the_subject() -> None:
    found = [call(call_id=f"eu_portal:{n}", title=f"Title {n}") for n in range(1, 8)]
    far = (Evidence(profile_text="a", call_text="b", weight=0.44),)
    shown = [match(n, call_id=f"eu_portal:{n}", **({} if n == 2 else {"evidence": far})) for n in range(1, 8)]
    made = first_mail(profile(), shown, found)
    assert made.subject == "1 new call for One (week 25)"
    above, below = made.text.split("FURTHER AWAY, IN CASE YOU KNOW BETTER")
    assert "1. Title 2" in above and "Title 1" not in above
    assert [f"- Title {n}" in below for n in range(1, 8)] == [True, False, True, True, False, False, False]


def test_the_best_of_all_is_told_so() -> None:
    assert "(fits best of all open calls)" in mail(percentile=100.0).text
    assert "(fits better than 98 % of the open calls)" in mail(percentile=98.7).text


@pytest.mark.parametrize("label", ["example", "to be confirmed"])
def test_profiles_that_nobody_confirmed_say_so(label: Any) -> None:
    made = first_mail(profile(label=label), [match()], [call()])
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


def consented(**more: Any) -> Subscription:
    base: dict[str, Any] = {
        "subscription_id": "s1",
        "address": "reader@example.org",
        "list": "digest",
        "profiles": ("one",),
        "language": "en",
        "consent_on": date(2026, 5, 1),
        "consent_source": "a form",
    }
    return Subscription(**base | more)


def test_what_changed_is_told_in_a_sentence_with_the_day_before() -> None:
    told = now_told(None, "one", call(), edition(call()).week, None)
    moved = call(deadlines=(deadline(datetime(2026, 7, 1, 15, tzinfo=UTC)),))
    of = edition(moved)
    found = news("one", [match()], [told], Wishes(), of.week)
    made = compose(profile(), found, of, Wishes())
    assert made.subject == "1 change for One (week 25)"
    sentence = "Deadline moved forward: 1 July 2026, 17:00 (CEST), was 15 September 2026 (hour not stated)."
    assert sentence in made.text and sentence in BeautifulSoup(made.html, "lxml").get_text()
    dutch = compose(profile(language="nl"), found, of, Wishes())
    assert "Sluitingsdatum vervroegd: 1 juli 2026, 17:00 (CEST), was 15 september 2026" in dutch.text
    fiji = compose(profile(), found, of, Wishes(zone="Pacific/Fiji"))
    assert "2 July 2026, 03:00 (+12)" in fiji.text


def test_every_change_has_its_sentence_in_both_languages() -> None:
    from typing import get_args

    from pipeline.news import Change, Kind

    for language in ("en", "nl"):
        for kind in get_args(Kind):
            for before in (None, deadline(date(2026, 9, 15))):
                change = Change(call(), kind, before, deadline(date(2026, 10, 1)))
                made = compose(profile(language=language), News(changes=(change,)), edition(call()), Wishes())
                (said,) = re.findall(r"^- (.+)$", made.text, re.MULTILINE)
                assert "{" not in said and ("2026" in said) >= (
                    before is not None
                    and "Aanvragen" not in said
                    and kind in ("closed_early", "deadline_earlier", "deadline_withdrawn", "not_listed")
                )


def test_effort_is_told_as_far_as_it_is_stated() -> None:
    two = (deadline(date(2026, 9, 15), "stage 1"), deadline(date(2027, 2, 1), "stage 2"))
    wanted = Consortium(min_partners=3, min_countries=3)
    text = mail(call(deadlines=two, consortium=wanted)).text
    assert "Effort: with at least 3 partners; from at least 3 countries; two stages\n" in text
    assert "Effort: you can apply alone\n" in mail(call(consortium=Consortium(min_partners=1))).text
    assert "Effort: the call does not say whether you need partners\n" in mail().text


def test_a_lab_is_named_where_a_company_cannot_do_a_call_alone() -> None:
    lab = profile(id="lab", name="Lab\r\nNorth", kind="fieldlab", website="https://lab.example.org")
    near = match(
        profile_id="lab", evidence=(Evidence(profile_text="We test sensors.", call_text="b", weight=0.7),)
    )
    far = match(profile_id="lab", evidence=(Evidence(profile_text="x", call_text="b", weight=0.2),))
    shut = match(profile_id="lab", verdict="fail")
    wanted = call(consortium=Consortium(min_partners=2))
    helpers = helpers_of([lab], [near])
    of = edition(wanted, helpers=helpers)
    found = news("one", [match()], (), Wishes(), of.week)
    told = "Lab North could help, for instance to test before you invest: “We test sensors”"
    assert told in compose(profile(), found, of, Wishes()).text
    assert "could help" not in compose(profile(partners=1), found, of, Wishes()).text
    assert "could help" not in compose(profile(kind="fieldlab"), found, of, Wishes()).text
    alone = edition(call(), helpers=helpers)
    assert "could help" not in compose(profile(), found, alone, Wishes()).text
    assert (
        not helpers_of([lab], [far]) and not helpers_of([lab], [shut]) and not helpers_of([profile()], [near])
    )


def test_links_are_told_in_both_parts_and_the_consent_that_the_mail_rests_on() -> None:
    links = Links("https://h/view", "https://h/choices", "https://h/stop", lambda p, c: f"https://h/{p}/{c}")
    of = edition(call())
    found = news("one", [match()], (), Wishes(), of.week)
    made = compose(profile(), found, of, Wishes(), links, consented())
    leads = {a["href"] for a in BeautifulSoup(made.html, "lxml").find_all("a")}
    pages = {"https://h/one/eu_portal:1", "https://h/choices", "https://h/stop"}
    assert leads == pages | {
        "https://example.org/1",
        "https://h/view",
        "https://h/one/eu_portal:1?say=relevant",
        "https://h/one/eu_portal:1?say=not-for-us",
    }
    assert all(page in made.text for page in pages)
    assert "You get this mail since 1 May 2026, for the profile of One. Your consent: a form." in made.text


def adviser_mail(count: int, calls: int, **more: Any) -> tuple[Mail, Any]:
    of = edition(
        *(call(call_id=f"eu_portal:{n}", title=f"Title {n} " + "x" * 280) for n in range(1, calls + 1))
    )
    clients = []
    for number in range(count):
        client = profile(id=f"c{number}", name=f"Client {number} " + "y" * 90)
        rules = (Rule(rule="applicant", verdict="unknown", clause="z" * 500),)
        mine = [
            match(n, profile_id=client.id, call_id=f"eu_portal:{n}", rules=rules)
            for n in range(1 + number % 3, calls + 1)
        ]
        clients.append((client, news(client.id, mine, (), Wishes(), of.week)))
    clients = within(clients)
    reader = consented(list="adviser", profiles=())
    return compose_for_adviser(clients, of, reader, **more), clients


def test_an_adviser_reads_each_call_once_with_all_whom_it_fits() -> None:
    made, clients = adviser_mail(6, 3)
    assert made.subject == "3 new calls for your clients (week 25)"
    entries = re.findall(r"^\d+\. (Title \d+)", made.text, re.MULTILINE)
    assert sorted(entries) == ["Title 1", "Title 2", "Title 3"] and entries[0] == "Title 3"
    of_three = made.text[made.text.index("1. Title 3") : made.text.index("2. Title 2")]
    assert all(f"Client {number}" in of_three for number in range(6)) and "Also fits" in of_three
    assert all(found.told for _, found in clients)


def test_an_advisers_mail_of_very_many_clients_stays_small_and_tells_the_rest_later() -> None:
    links = Links("https://h/v", "https://h/c", "https://h/s", lambda p, c: f"https://h/{p}/{c}/" + "t" * 160)
    made, clients = adviser_mail(300, 60, links=links)
    assert (
        len(made.html.encode()) < 100_000
        and len(re.findall(r"^\d+\. Title", made.text, re.MULTILINE)) <= ADVISER_CALLS
    )
    shown = {m.call_id for _, found in clients for m in found.new}
    assert {t.call_id for _, found in clients for t in found.told} == shown
    assert "More calls fit, and follow in your next mails" in made.text


def test_an_adviser_is_told_what_needs_a_human_look() -> None:
    soon = call(deadlines=(deadline(date(2026, 6, 30)),), title="Near")
    of = edition(soon)
    client = profile(label="to be confirmed", name="Client <b>")
    found = news("one", [match()], (), Wishes(), of.week)
    said = Feedback(
        profile_id="one", call_id="eu_portal:1", verdict="not-for-us", why="Too <large>.", given_at=SEEN
    )
    attention = Attention((said,), (("one", date(2026, 6, 8)),), (("one", "2026-W24"),))
    made = compose_for_adviser([(client, found)], of, consented(list="adviser", profiles=()), None, attention)
    look = made.text[made.text.index("NEEDS A HUMAN LOOK") : made.text.index("\nNEW\n")]
    assert "Near closes within three weeks, and whether Client <b> may apply is not known." in look
    assert "Client <b> marked Near as not for them: “Too <large>.”." in look
    assert "the server refused the address on 8 June 2026" in look
    assert "Whether the mail of 2026-W24 reached Client <b> is in doubt" in look
    assert "Not yet confirmed by the client: Client <b>." in look
    assert not BeautifulSoup(made.html, "lxml").find_all("large")


def test_styles_are_put_into_the_template_once_and_its_statements_stay_where_they_were() -> None:
    css = ".a { color: red } @media (x) { .a { color: blue !important } }"
    page = """<!DOCTYPE html><html><head><style></style></head><body>
<table><tbody>{% for n in names %}<tr><td class="a"><a href="{{ n.url }}?x=1&amp;y">{{ n }}</a></td></tr>
{% endfor %}</tbody></table></body></html>"""
    made = styled(page, css)
    assert (
        '{% for n in names %}<tr><td class="a" style="color: red;"><a href="{{ n.url }}?x=1&amp;y">' in made
    )
    assert "@media (x)" in made and made.count("{{") == 2 and "color: red }" not in made
    with pytest.raises(TemplateError, match="inside a tag"):
        styled("<style></style><p {% if x %}class='a'{% endif %}>", css)


def test_the_html_of_every_mail_is_well_formed() -> None:
    import html5lib

    made, _ = adviser_mail(3, 3)
    for html in (mail().html, made.html):
        html5lib.HTMLParser(strict=True).parse(html)
