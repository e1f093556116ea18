"""What calls ask of consortia, and consortia that meet it: a truth table, and all choices by brute force."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import pytest
from conftest import SHARED, a_call
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.asks import EU, Need, fills, met, needs, part_of, three_countries
from pipeline.consortium import Candidate, Proposal, Wanted, missing, propose, unmet
from pipeline.eligibility import reserved_for_hubs
from pipeline.organisations import Known
from pipeline.schema import Call, Claim, Consortium, Contradiction, Section

REAL = SHARED / "eu_portal" / "calls_2026.jsonl.gz"
KINDS = ("company", "university", "research", "public", "ngo", "hub", "fieldlab", "other")
COUNTRIES = ("NL", "DE", "EL", "UK", "US", None)


def call(*texts: str, **more: Any) -> Call:
    sections = tuple(Section(heading="", text=text) for text in texts)
    return a_call(**{"programme": None, "sections": sections} | more)


def asked(text: str) -> set[tuple[str, int, bool, str]]:
    """(what, least, must, words) of a sentence, without themes."""
    found = needs(call(text))
    return {
        (n.what, n.least, n.must, n.words.removeprefix(f"at least {n.least} ").removeprefix("× "))
        for n in found
        if n.what != "theme"
    }


def role(words: str, least: int = 1, must: bool = True) -> tuple[str, int, bool, str]:
    return ("role", least, must, words)


TABLE = [
    ("The consortium must include at least one SME.", {role("SME")}),
    ("Consortia must include at least two SMEs and one university.", {role("SME", 2), role("university")}),
    (
        "The consortium shall comprise at least two universities or research organisations.",
        {role("university or research organisation", 2)},
    ),
    (
        "Consortia must involve at least one university, research organisation or public authority.",
        {role("university or research organisation or public body")},
    ),
    ("The consortium must include at least 3 municipalities.", {role("public body", 3)}),
    (
        "Projects are expected to include at least two Transmission System Operators (TSOs) and at least two "
        "universities and/or research organisations.",
        {role("network operator", 2, False), role("university or research organisation", 2, False)},
    ),
    ("Proposals should involve SMEs.", {role("SME", 1, False)}),
    (
        "Proposals should engage local authorities and civil society organisations.",
        {role("public body", 1, False), role("civil society organisation", 1, False)},
    ),
    (
        "Consortia should bring together academia and industry.",
        {role("university", 1, False), role("company", 1, False)},
    ),
    ("The consortium must, where relevant, include end-users.", {role("end user", 1, False)}),
    ("Proposals must implement the multi-actor approach, involving farmers.", {role("farmer", 1, False)}),
    ("The consortium must include at least one digital innovation hub.", {role("digital innovation hub")}),
    ("Het samenwerkingsverband moet bestaan uit ten minste twee mkb-ondernemingen.", {role("SME", 2)}),
    (
        "Een samenwerkingsverband bestaat uit ten minste één kennisinstelling en één onderneming.",
        {role("research organisation"), role("company")},
    ),
    ("Het consortium dient ten minste één gemeente te betrekken.", set()),  # the verb stands behind: not read
    (
        "Bij voorkeur bestaat het consortium uit een hogeschool en een bedrijf.",
        {role("university", 1, False), role("company", 1, False)},
    ),
    (
        "The consortium must include at least one legal entity established in Ukraine.",
        {("place", 1, True, "from Ukraine")},
    ),
    (
        "Consortia must include at least two entities established in Widening countries.",
        {("place", 2, True, "from Widening countries")},
    ),
    ("The proposal must include one legal entity established in a Member State.", set()),  # no least number
    # what asks nothing of members
    ("Proposals are not required to include SMEs.", set()),
    ("The project must include a plan to support start-ups and SMEs.", set()),
    ("Third parties: the consortium must award grants to at least ten SMEs.", set()),
    ("Proposals should include letters of support of public authorities.", set()),
    ("The consortium could consist of any combination of hospitals and universities.", set()),
    ("SMEs are the backbone of the European economy.", set()),
    (
        "Proposals must include at least one of the sites listed on the page below; for those that are not "
        "run by an international body, the entity that hosts them applies, such as a research organisation.",
        set(),
    ),
    ("The consortium may exceptionally be composed of a single SME.", set()),
    ("", set()),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text[:60] or "empty" for text, _ in TABLE])
def test_a_sentence_asks_what_it_says(text: str, expected: set[tuple[str, int, bool, str]]) -> None:
    assert asked(text) == expected


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="the real portal records are not kept here")
def test_real_texts_seldom_state_a_role_as_a_rule() -> None:
    with gzip.open(REAL, "rt", encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    found = [[n for n in needs(call(record["text"] or "")) if n.what == "role"] for record in records]
    ruled = [some for some in found if any(need.must for need in some)]
    assert (len(records), len(ruled), sum(map(bool, found))) == (1091, 1, 75)
    assert not any(reserved_for_hubs(call(record["text"] or "")) for record in records)


def test_numbers_are_those_that_the_call_states() -> None:
    stated = call(
        consortium=Consortium(min_partners=4, min_countries=2),
        printed={"consortium": "at least 4 partners from 2 different Member States"},
    )
    members, countries = needs(stated)
    assert (members.what, members.least, members.must) == ("members", 4, True)
    assert (countries.what, countries.least) == ("countries", 2)
    assert set(countries.places) == EU
    assert members.clause == "at least 4 partners from 2 different Member States"


@pytest.mark.parametrize(
    ("identifier", "others"),
    [("HORIZON-CL4-2026-01", {"NO", "UK"}), ("DIGITAL-2026-01", set()), (None, set())],
)
def test_who_is_associated_is_told_of_horizon_alone(identifier: str | None, others: set[str]) -> None:
    clause = "at least 3 partners from 3 different Member States or Associated Countries"
    stated = Consortium(min_partners=3, min_countries=3)
    told = needs(call(identifier=identifier, consortium=stated, printed={"consortium": clause}))
    countries = next(need for need in told if need.what == "countries")
    assert set(countries.places) & {"NO", "UK", "US"} == others
    assert set(countries.places) >= EU


def test_two_smes_are_not_two_of_any_kind() -> None:
    clause = (
        "Voor een samenwerkingsverband van minimaal 2 mkb-ondernemers, die elk voor eigen risico meedoen."
    )
    found = needs(call(consortium=Consortium(min_partners=2), printed={"consortium": clause}))
    assert [(n.what, n.least, n.small) for n in found] == [("members", 2, False), ("role", 2, True)]


def test_the_programme_asks_where_the_call_is_silent() -> None:
    silent = call(type_of_action="HORIZON Innovation Actions")
    assert three_countries(silent)
    assert [(need.what, need.least) for need in needs(silent)] == [
        ("members", 3),
        ("countries", 3),
        ("member states", 1),
    ]
    assert all("2021/695" in need.clause for need in needs(silent))
    for other in (
        "HORIZON Coordination and Support Actions",
        "HORIZON EIC Accelerator",
        "LIFE Project Grants",
        None,
    ):
        assert not needs(call(type_of_action=other))
    assert not needs(call(type_of_action="HORIZON Innovation Actions", kind="cascade"))


def test_what_documents_differ_about_is_no_rule() -> None:
    claims = tuple(Claim(document_id=str(n), value=None, printed=f"{n} partners") for n in (2, 3))
    disputed = call(
        type_of_action="HORIZON Innovation Actions",
        consortium=Consortium(),
        contradictions=(Contradiction(field="consortium", claims=claims),),
    )
    assert not needs(disputed)


def test_a_theme_is_a_competence_that_is_wished() -> None:
    found = needs(call(title="Robotics for greenhouses"))
    assert [(need.what, need.theme, need.must) for need in found] == [
        ("theme", "horticulture", False),
        ("theme", "robotics", False),
    ]


def test_who_counts() -> None:
    sme = need("role", kinds=("company",), small=True)
    assert fills(sme, org("a", "company", sme=True))
    assert not fills(sme, org("a", "company", sme=False))
    assert not fills(sme, org("a", "company"))  # not known to be small
    place = need("place", places=("EL",))
    assert fills(place, org("a", country="EL"))
    assert not fills(place, org("a", country=None))
    two = need("countries", 2, places=("DE", "NL"))
    assert not met(two, [org("a", country="NL"), org("b", country="NL"), org("c", country="UK")])
    assert met(two, [org("a", country="NL"), org("b", country="DE")])
    assert part_of(two, org("a", country="NL")) == "NL, one of 2 countries"


# Consortia


def need(what: Any, least: int = 1, **more: Any) -> Need:
    base = {"need_id": f"{what}-{least}-{sorted(map(str, more.values()))}", "what": what, "least": least}
    words = {"must": True, "words": f"{least} {what}", "clause": "x", "url": "https://example.org"}
    return Need(**base | words | more)


def org(key: str, kind: Any = "company", country: str | None = "NL", **more: Any) -> Known:
    return Known(org_id=key, name=key.upper(), kind=kind, country=country, **more)


def candidate(known: Known, worth: float = 0.5, **more: Any) -> Candidate:
    return Candidate(known, worth, **{"new": True, "newcomer": False, "northern": False} | more)


RULES = st.lists(
    st.one_of(
        st.builds(lambda n: need("members", n), st.integers(1, 5)),
        st.builds(
            lambda n, places: need("countries", n, places=tuple(sorted(places))),
            st.integers(1, 4),
            st.sets(st.sampled_from(["NL", "DE", "EL", "UK"])),
        ),
        st.builds(lambda n: need("member states", n, places=tuple(sorted(EU))), st.integers(1, 3)),
        st.builds(
            lambda n, kinds, small: need("role", n, kinds=tuple(sorted(kinds)), small=small),
            st.integers(1, 3),
            st.sets(st.sampled_from(KINDS), min_size=1, max_size=3),
            st.booleans(),
        ),
        st.builds(
            lambda n, place: need("place", n, places=(place,)),
            st.integers(1, 2),
            st.sampled_from(["EL", "DE"]),
        ),
    ),
    max_size=4,
    unique_by=lambda each: each.need_id,
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(COUNTRIES),
        st.sampled_from([True, False, None]),
        st.integers(1, 9),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def pool_of(people: Iterable[tuple[Any, ...]]) -> list[Candidate]:
    return [
        candidate(org(f"o{n}", kind, country, sme=sme), worth / 10, newcomer=newcomer, northern=northern)
        for n, (kind, country, sme, worth, newcomer, northern) in enumerate(people)
    ]


def choices(
    rules: Sequence[Need], lead: Known | None, pool: Sequence[Candidate], most: int
) -> Iterable[list[Known]]:
    """All consortia that meet the rules, by trying every one."""
    first = [lead] if lead else []
    for count in range(most - len(first) + 1):
        for some in combinations(pool, count):
            members = [*first, *(c.known for c in some)]
            if all(plainly_met(rule, members) for rule in rules):
                yield members


def plainly_met(rule: Need, members: Sequence[Known]) -> bool:
    """The rule's meaning, written again without the code under test."""
    if rule.what == "members":
        return len(members) >= rule.least
    there = [m for m in members if m.country and (not rule.places or m.country in rule.places)]
    if rule.what == "countries":
        return len({m.country for m in there}) >= rule.least
    if rule.what in ("member states", "place"):
        return len(there) >= rule.least
    return sum(m.kind in rule.kinds and (not rule.small or m.sme is True) for m in members) >= rule.least


@settings(max_examples=150, deadline=None)
@given(rules=RULES, people=PEOPLE, leads=st.booleans(), size=st.one_of(st.none(), st.integers(1, 6)))
def test_a_consortium_meets_every_rule_or_none_can(
    rules: list[Need], people: list[tuple[Any, ...]], leads: bool, size: int | None
) -> None:
    pool = pool_of(people)
    lead = org("lead", "company", "NL", sme=True) if leads else None
    found = propose(rules, lead, pool, Wanted("strongest"), size)
    possible = list(choices(rules, lead, pool, size or 8))
    if size is not None:
        possible = [members for members in possible if len(members) == size]
    elif not any(rule.what in ("members", "countries") for rule in rules):
        possible = [members for members in possible if len(members) >= 2]  # one alone is no consortium
    if found is None:
        assert not possible
        left = unmet(rules, lead, pool, size)
        assert not left or not [
            m for m in choices(left, lead, pool, size or 8) if size is None or len(m) == size
        ]
        return
    ids = [member.org_id for member in found.members]
    assert len(ids) == len(set(ids))
    assert all(plainly_met(rule, found.members) for rule in rules)
    assert size is None or len(ids) == size
    assert not unmet(rules, lead, pool, size)
    by_id = {c.known.org_id: c.known for c in pool}
    for member, others in found.swaps.items():
        for other in others:
            swapped = [m for m in found.members if m.org_id != member] + [by_id[other]]
            assert other not in ids
            assert all(plainly_met(rule, swapped) for rule in rules)
    for rule in rules:
        counted = {m.org_id for m in found.members if fills(rule, m)}
        assert set(found.needs[rule.need_id]) == counted


@settings(max_examples=60, deadline=None)
@given(rules=RULES, people=PEOPLE)
def test_of_equally_large_consortia_the_worthiest_is_chosen(
    rules: list[Need], people: list[tuple[Any, ...]]
) -> None:
    pool = pool_of(people)
    found = propose(rules, None, pool, Wanted("strongest"))
    if found is None:
        return
    worth = {c.known.org_id: c.worth for c in pool}

    def total(members: Iterable[Known]) -> float:
        return sum(worth[m.org_id] for m in members)

    alike = [m for m in choices(rules, None, pool, 8) if len(m) == len(found.members)]
    assert total(found.members) >= max(map(total, alike)) - 1e-4


@settings(max_examples=60, deadline=None)
@given(people=PEOPLE)
def test_wishes_for_newcomers_and_the_north_are_kept(people: list[tuple[Any, ...]]) -> None:
    pool = pool_of(people)
    found = propose([], None, pool, Wanted("x", newcomers=1, northern=1))
    can = any(c.newcomer for c in pool) and any(c.northern for c in pool) and len(pool) > 1
    assert (found is not None) == can
    if found:
        flags = {c.known.org_id: c for c in pool}
        assert any(flags[m.org_id].newcomer for m in found.members)
        assert any(flags[m.org_id].northern for m in found.members)


def test_impossible_rules_are_named_and_only_those() -> None:
    public, three = need("role", 1, kinds=("public",)), need("members", 2)
    pool = [candidate(org("a")), candidate(org("b"))]
    assert unmet([public, three], None, pool) == (public,)
    assert propose([public, three], None, pool, Wanted("strongest")) is None
    assert unmet([three], None, pool) == ()


def test_rules_that_exclude_each_other_are_named_together() -> None:
    many = need("role", 2, kinds=("public",))
    others = need("role", 2, kinds=("company",))
    pool = [candidate(org(f"p{n}", "public")) for n in range(2)] + [candidate(org(f"c{n}")) for n in range(2)]
    assert set(unmet([many, others], None, pool, size=3)) == {many, others}
    assert unmet([many, others], None, pool, size=4) == ()


def test_a_theme_that_nobody_brings_draws_one_more_member() -> None:
    robots = need("theme", theme="robotics", must=False)
    pool = [
        candidate(org("a"), 1.0),
        candidate(org("b"), 0.9),
        candidate(org("c", themes=("robotics",)), 0.1),
    ]
    found = proposed([need("members", 2), robots], None, pool)
    assert [m.org_id for m in found.members] == ["a", "c"]
    alone = proposed([need("members", 2), robots], org("lead", themes=("robotics",)), pool)
    assert [m.org_id for m in alone.members] == ["lead", "a"]
    assert alone.open == ()


def test_who_is_kept_is_in_and_what_nobody_can_tell_stays_open() -> None:
    farmers = need("role", tellable=False)
    pool = [candidate(org("a"), 1.0), candidate(org("b"), 0.1)]
    found = propose([need("members", 2), farmers], org("lead"), pool, Wanted("x", keep=frozenset({"b"})))
    assert found is not None
    assert [m.org_id for m in found.members] == ["lead", "b"]
    assert found.open == (farmers.need_id,)
    assert missing([farmers], found.members) == (farmers,)


def test_the_lead_is_never_its_own_partner_and_new_means_new() -> None:
    pool = [candidate(org("lead"), 1.0), candidate(org("old"), 0.9, new=False), candidate(org("young"), 0.1)]
    assert [m.org_id for m in proposed([need("members", 2)], org("lead"), pool).members] == ["lead", "old"]
    fresh = propose([need("members", 2)], org("lead"), pool, Wanted("x", new_only=True))
    assert fresh is not None
    assert [m.org_id for m in fresh.members] == ["lead", "young"]


def test_nobody_at_all() -> None:
    assert propose([need("members", 2)], None, [], Wanted("x")) is None
    assert unmet([need("members", 2)], org("lead"), []) == (need("members", 2),)


def proposed(rules: Sequence[Need], lead: Known | None, pool: Sequence[Candidate]) -> Proposal:
    found = propose(rules, lead, pool, Wanted("strongest"))
    assert found is not None
    return found
