"""Cards tell what is known and what is not, and nothing that a source or a profile says becomes markup."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import a_call
from hypothesis import given, settings
from hypothesis import strategies as st
from test_warehouse import AS_OF, PROFILE, call, hostile, match, published, week

from pipeline.schema import (
    Call,
    Claim,
    Consortium,
    Contradiction,
    Deadline,
    Document,
    Eligibility,
    Evidence,
    Match,
    Profile,
    Rule,
    Section,
)
from warehouse.cards import NOT_STATED, QUOTED, Card, call_card, comparison, facts, match_card
from warehouse.errors import UnknownCall, UnknownProfile
from warehouse.read import open_warehouse

ATTACK = (
    "\"><img src=x onerror=alert(1)><script>alert(1)</script></style><a href='javascript:1'>\u202e{{7*7}}"
)


class Markup(HTMLParser):
    """Elements with their attributes, and the text outside style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] and self.elements[-1][0] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(own))) for tag, own in self.elements]


def told(text: str, url: str = "https://example.org/1") -> tuple[Profile, Call, Match]:
    """A profile, a call and a match in which every text is `text` and every address `url`."""
    document = Document(
        document_id=text,
        source="eu_portal",
        role="page",
        title=text,
        url=url,
        issuer=text,
        fetched_at=datetime(2026, 6, 15, 5, tzinfo=UTC),
        page_sha256="a" * 64,
        archive_record=text,
        printed={"title": text},
    )
    claims = (
        Claim(document_id=text, value=text, printed=text),
        Claim(document_id="b", value=1, printed=text),
    )
    made = a_call(
        call_id=f"eu_portal:{text}",
        programme=text,
        title=text,
        url=url,
        status_note=text,
        identifier=text,
        kind=text,
        type_of_action=text,
        applicants=(text,),
        regions=(text,),
        deadlines=(Deadline(at=date(2026, 9, 1), printed=text, kind="single"),),
        sections=(Section(heading=text, text=text),),
        documents=(document,),
        contradictions=(Contradiction(field="grant_max_eur", claims=claims, settled_by=text),),
        printed=dict.fromkeys(
            ("opens_on", "grant_max_eur", "applicants", "trl_min", "regions"), f"{text} printed"
        ),
    )
    profile = Profile(
        id="one", name=text, kind="sme", language="en", label="confirmed", description="We make sensors."
    )
    rules = tuple(
        Rule(rule=name, verdict=verdict, clause=text, url=url)
        for name, verdict in (("time", "pass"), ("applicant", "fail"), ("region", "unknown"))
    )
    fits = Match(
        profile_id="one",
        call_id=made.call_id,
        rank=1,
        score=0.5,
        percentile=98.7,
        confidence="high",
        eligibility=Eligibility(verdict="fail", rules=rules),
        evidence=(Evidence(profile_text=text, call_text=text, call_heading=text, weight=0.5),),
        reasons=(text,),
        feedback="not-for-us",
    )
    return profile, made, fits


def all_cards(text: str, url: str = "https://example.org/1") -> list[Card]:
    profile, made, fits = told(text, url)
    return [
        call_card(made, AS_OF, note=text),
        match_card(profile, made, fits, AS_OF),
        comparison([made, made], AS_OF),
    ]


@pytest.mark.parametrize(
    "text", [ATTACK, "</article>", "<!--", "&lt;b&gt;", "x\x00\x08\x9f", "]]>", "' onload='"]
)
def test_no_text_becomes_markup(text: str) -> None:
    for harmless, attacked in zip(all_cards("plain"), all_cards(text), strict=True):
        found = Markup(attacked.html)
        assert found.shape() == Markup(harmless.html).shape()
        assert not {"script", "img", "iframe", "link", "form"} & {tag for tag, _ in found.elements}
        assert not [own for _, own in found.elements if any(name.startswith("on") for name in own)]
        attacked.html.encode("utf-8")
        assert "\u202e" not in attacked.html + attacked.text


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_text_is_shown_as_it_is_and_changes_no_element(text: str) -> None:
    seen = f"x{text}"
    for harmless, other in zip(all_cards("plain"), all_cards(seen), strict=True):
        assert Markup(other.html).shape() == Markup(harmless.html).shape()


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", " https://x", "file:///etc/passwd", "x"],
)
def test_only_web_addresses_are_links(url: str) -> None:
    for card in all_cards("plain", url):
        assert not [own for tag, own in Markup(card.html).elements if "href" in own or "src" in own]
        assert url not in card.text
    for card in all_cards("plain", 'https://example.org/"onclick="x'):
        links = [own for _, own in Markup(card.html).elements if "href" in own]
        assert links
        assert {own["href"] for own in links} == {'https://example.org/"onclick="x'}
        assert {tuple(own) for own in links} == {("href", "rel", "target")}


def test_a_megabyte_of_text_is_cut() -> None:
    for card in all_cards("word " * 200_000):
        assert len(card.html) < 60_000
    assert (
        max(len(fact.printed[0]) for fact in facts(told("w " * 9_999)[1], AS_OF) if fact.printed) < QUOTED + 3
    )


def test_what_is_not_stated_is_told_and_never_left_out() -> None:
    found = {fact.label: (fact.words, fact.stated) for fact in facts(a_call(deadlines=()), AS_OF)}
    assert found.pop("Deadline") == (NOT_STATED, False)
    assert set(found.values()) == {(NOT_STATED, False)}
    assert len(found) == 8
    text = Markup(call_card(a_call(deadlines=()), AS_OF).html).text
    assert text.count(NOT_STATED) == 9


# what a call states → what the card says of it
SAYS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a day": ({}, "Deadline", "1 September 2026 (hour not stated)"),
    "an hour, in the reader's zone": (
        {"deadlines": (Deadline(at=datetime(2026, 9, 1, 15, tzinfo=UTC), printed="17h", kind="single"),)},
        "Deadline",
        "1 September 2026, 17:00 (CEST)",
    ),
    "past": (
        {"deadlines": (Deadline(at=date(2026, 6, 14), printed="x", kind="single"),)},
        "Deadline",
        "14 June 2026, which is past",
    ),
    "two partners from two countries": (
        {"consortium": Consortium(min_partners=3, min_countries=2)},
        "Consortium",
        "at least 3 partners from at least 2 countries",
    ),
    "countries alone": ({"consortium": Consortium(min_countries=2)}, "Consortium", "at least 2 countries"),
    "self-employed": ({"applicants": ("sme", "self_employed")}, "Who may apply", "sme, self employed"),
    "half a million": ({"grant_max_eur": 5e5}, "Money", "up to € 500,000 per grant"),
    "no end": ({"deadlines": (), "rolling": True}, "Deadline", "no fixed end, you can apply at any time"),
}


@pytest.mark.parametrize(("stated", "label", "words"), SAYS.values(), ids=SAYS.keys())
def test_facts_are_told_in_words(stated: dict[str, Any], label: str, words: str) -> None:
    made = a_call(**stated)
    found = next(fact for fact in facts(made, AS_OF) if fact.label == label)
    assert (found.words, found.stated) == (words, True)
    assert words in Markup(call_card(made, AS_OF).html).text


def test_a_fact_has_the_sources_words_beside_it_and_disputes_have_both() -> None:
    made = a_call(grant_max_eur=5e5, printed={"grant_max_eur": "maximaal een half miljoen"})
    assert "maximaal een half miljoen" in Markup(call_card(made, AS_OF).html).text
    claims = tuple(Claim(document_id=d, value=[], printed=f"tot {d}") for d in ("1 mei", "2 mei"))
    disputed = a_call(deadlines=(), contradictions=(Contradiction(field="deadlines", claims=claims),))
    text = Markup(call_card(disputed, AS_OF).html).text
    assert "unknown, the sources differ: “tot 1 mei” / “tot 2 mei”" in text
    assert "It is unknown which holds" in text


def test_a_match_shows_verdicts_with_clauses_and_both_sentences() -> None:
    profile, made, fits = told("plain")
    text = Markup(match_card(profile, made, fits, AS_OF).html).text
    assert "fits better than 98 % of the open calls" in text
    assert "✓ When you can apply" in text and "✗ Who may apply" in text and "? Where it applies" in text
    assert "it says nothing of the chance of winning" in text
    assert "rank 1" in match_card(profile, made, fits, AS_OF).text


def test_differences_are_marked_in_a_comparison() -> None:
    card = comparison([a_call(), a_call(call_id="eu_portal:2", trl_min=4)], AS_OF)
    marked = [own.get("class") for tag, own in Markup(card.html).elements if tag == "tr"]
    assert marked.count("fm-differs") == 1
    assert "TRL: not stated by the source | 4 and above" in card.text


def test_the_warehouse_gives_cards_also_of_a_past_day(tmp_path: Path) -> None:
    weeks = [
        week(1, calls=[call("1", title="Before")], matches=[match("eu_portal:1")]),
        week(2, calls=[call("1", title="After"), hostile()], matches=[]),
    ]
    with open_warehouse(published(tmp_path, *weeks)) as warehouse:
        assert "After" in warehouse.card("eu_portal:1").html
        kept_none = warehouse.card("eu_portal:1", PROFILE.id).text
        assert f"No match of {PROFILE.name} with this call was kept in this run." in kept_none
        past = warehouse.as_of(AS_OF + timedelta(days=6))
        assert "Before" in past.card("eu_portal:1", PROFILE.id).html
        assert f"For {PROFILE.name}" in past.card("eu_portal:1", PROFILE.id).text
        assert "<img" not in warehouse.card("X-1").html
        assert "Before" not in warehouse.compare("eu_portal:1", "X-1").html
        assert warehouse.compare("eu_portal:1")._repr_html_().startswith("<style>")
        with pytest.raises(UnknownCall):
            warehouse.card("none")
        with pytest.raises(UnknownProfile, match="one"):
            warehouse.card("eu_portal:1", "on")
