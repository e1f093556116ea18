"""Which documents are one call: regulation, opening, amendment, ceiling, pages; over years and provinces."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from conftest import a_call

from pipeline.identity import join, known_ids, name_of, role_of
from pipeline.schema import Call, Deadline, Document

AS_OF = date(2026, 6, 15)
SCHEME = "Subsidieregeling Slimme Demonstratiefabrieken Drenthe"


def a_document(
    key: str,
    title: str,
    *,
    source: str = "koop_sru",
    kind: str | None = "Provinciaal blad",
    issuer: str | None = None,
    published_on: date | None = None,
    references: tuple[str, ...] = (),
    url: str = "",
    closes: str | None = None,
    **more: Any,
) -> Call:
    """The call of one document, as `normalise` makes it."""
    name = f"{source}:{key}"
    url = url or f"https://zoek.officielebekendmakingen.nl/{key}.html"
    printed = {field: str(value) for field, value in more.items()} | ({"deadlines": closes} if closes else {})
    document = Document(
        document_id=name,
        source=source,
        role=role_of(title, kind),
        title=title,
        url=url,
        issuer=issuer,
        published_on=published_on,
        references=references,
        fetched_at=datetime(2026, 6, 15, 4, tzinfo=UTC),
        page_sha256="b" * 64,
        archive_record="w#1",
        printed=printed,
    )
    ends = (
        (
            Deadline(
                at=date.fromisoformat(closes), printed=closes, kind="single", opens_on=more.get("opens_on")
            ),
        )
        if closes
        else ()
    )
    base = {
        "call_id": name,
        "source": source,
        "level": "regional",
        "programme": None,
        "title": title,
        "url": url,
    }
    return a_call(
        **base | {"deadlines": ends, "documents": (document,), "status": "unknown", "printed": printed} | more
    )


def a_page(key: str, title: str, *, source: str = "snn", **more: Any) -> Call:
    return a_document(
        key, title, source=source, kind=None, url=more.pop("url", f"https://www.snn.nl/{key}"), **more
    )


def joined(*calls: Call) -> dict[str, list[str]]:
    """Call id → the ids of its documents."""
    found, _ = join(calls, {}, AS_OF)
    return {call.call_id: sorted(d.document_id for d in call.documents) for call in found}


REGULATION = a_document("CVDR111", SCHEME, source="cvdr", kind="regeling", funding_rate=0.5)
OPENING_2025 = a_document(
    "prb-2025-10",
    f"Openstellingsbesluit {SCHEME} 2025",
    opens_on=date(2025, 2, 1),
    closes="2025-04-01",
    published_on=date(2025, 1, 10),
    budget_total_eur=500_000.0,
)
OPENING_2026 = a_document(
    "prb-2026-10",
    f"Openstellingsbesluit {SCHEME} 2026",
    opens_on=date(2026, 2, 1),
    closes="2026-09-01",
    published_on=date(2026, 1, 10),
    budget_total_eur=600_000.0,
)
PAGE = a_page(
    "slimme-demonstratiefabrieken",
    "Slimme Demonstratiefabrieken",
    opens_on=date(2026, 2, 1),
    closes="2026-09-01",
    funding_rate=0.5,
)
AMENDMENT = a_document(
    "prb-2026-44",
    f"Besluit tot wijziging van de {SCHEME}",
    published_on=date(2026, 3, 1),
    funding_rate=0.4,
)
CEILING = a_document(
    "prb-2026-55",
    f"Besluit verhoging subsidieplafond {SCHEME} 2026",
    published_on=date(2026, 5, 1),
    budget_total_eur=900_000.0,
)


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("Openstellingsbesluit MIT Haalbaarheid Noord-Nederland 2026", "opening"),
        ("Besluit openstelling Subsidieregeling Valorisatie 2026", "opening"),
        ("Besluit vaststelling aanvraagperiode en subsidieplafond regeling X", "opening"),
        ("Besluit tot wijziging van het Openstellingsbesluit Valorisatie 2026", "amendment"),
        ("Tweede wijziging Subsidieregeling Valorisatie", "amendment"),
        ("Wijzigingsregeling nationale EZK- en LNV-subsidies", "amendment"),
        ("Rectificatie subsidieplafond Valorisatie", "amendment"),
        ("Vaststelling subsidieplafond Valorisatie 2026", "ceiling"),
        ("Besluit subsidieplafonds 2026 provincie Drenthe", "ceiling"),
        ("Subsidieregeling Valorisatie Noord-Nederland", "regulation"),
        ("Nadere regels slimme industrie", "regulation"),
    ],
)
def test_an_official_title_says_what_kind_of_document_it_is(title: str, role: str) -> None:
    assert role_of(title, "Provinciaal blad") == role
    assert role_of(title, None) == "page"


def test_all_documents_of_a_round_are_one_call_led_by_the_page() -> None:
    found = joined(REGULATION, OPENING_2026, PAGE, AMENDMENT, CEILING)
    assert list(found) == ["koop_sru:prb-2026-10"]
    assert len(found["koop_sru:prb-2026-10"]) == 5
    (call,), issues = join([REGULATION, OPENING_2026, PAGE, AMENDMENT, CEILING], {}, AS_OF)
    assert not issues
    assert call.title == "Slimme Demonstratiefabrieken" and call.documents[0].role == "page"
    assert call.funding_rate == 0.5  # the amendment's 40 % is a difference to another text
    assert call.status == "open" and str(call.deadlines[0].at) == "2026-09-01"


def test_the_order_in_which_documents_come_does_not_matter() -> None:
    documents = [REGULATION, OPENING_2025, OPENING_2026, PAGE, AMENDMENT, CEILING]
    assert join(documents, {}, AS_OF) == join(documents[::-1], {}, AS_OF)


def test_the_same_scheme_in_another_year_is_another_call_with_the_same_regulation() -> None:
    found = joined(REGULATION, OPENING_2025, OPENING_2026, PAGE)
    assert found == {
        "koop_sru:prb-2025-10": ["cvdr:CVDR111", "koop_sru:prb-2025-10"],
        "koop_sru:prb-2026-10": ["cvdr:CVDR111", "koop_sru:prb-2026-10", "snn:slimme-demonstratiefabrieken"],
    }


def test_an_amendment_or_a_ceiling_is_never_a_call() -> None:
    found, issues = join([AMENDMENT, CEILING], {}, AS_OF)
    assert not found and {issue.code for issue in issues} == {"no_call_of_its_own"} and len(issues) == 2


def test_a_ceiling_of_another_year_does_not_touch_this_one() -> None:
    ceiling = a_document(
        "prb-2025-77",
        f"Verhoging subsidieplafond {SCHEME} 2025",
        published_on=date(2025, 3, 1),
        budget_total_eur=1.0e6,
    )
    found = {call.call_id: call for call in join([OPENING_2025, OPENING_2026, ceiling], {}, AS_OF)[0]}
    assert found["koop_sru:prb-2026-10"].budget_total_eur == 600_000
    assert found["koop_sru:prb-2025-10"].budget_total_eur == 1.0e6


def test_a_ceiling_that_names_no_round_is_given_to_none_of_several() -> None:
    ceiling = a_document(
        "prb-2026-78",
        f"Verhoging subsidieplafond {SCHEME}",
        published_on=date(2026, 3, 1),
        budget_total_eur=1.0e6,
    )
    found, issues = join([OPENING_2025, OPENING_2026, ceiling], {}, AS_OF)
    assert {call.budget_total_eur for call in found} == {500_000, 600_000}
    assert [issue.code for issue in issues] == ["no_call_of_its_own"]
    (only,), _ = join([OPENING_2026, ceiling], {}, AS_OF)
    assert only.budget_total_eur == 1.0e6


def test_a_later_ceiling_decision_counts_and_the_earlier_sum_stays_beside_it() -> None:
    (call,), _ = join([OPENING_2026, CEILING], {}, AS_OF)
    assert call.budget_total_eur == 900_000
    (contradiction,) = call.contradictions
    assert contradiction.field == "budget_total_eur" and contradiction.settled_by == "koop_sru:prb-2026-55"
    assert {claim.value for claim in contradiction.claims} == {600_000, 900_000}


def test_a_page_with_another_sum_than_the_ceiling_leaves_it_unknown() -> None:
    page = a_page("slimme", "Slimme Demonstratiefabrieken 2026", budget_total_eur=700_000.0)
    (call,), _ = join([OPENING_2026, CEILING, page], {}, AS_OF)
    assert call.budget_total_eur is None
    assert len(call.contradictions[0].claims) == 3 and call.contradictions[0].settled_by is None


def test_deadlines_that_differ_are_unknown_and_the_status_is_what_both_allow() -> None:
    page = a_page("slimme", "Slimme Demonstratiefabrieken", opens_on=date(2026, 2, 1), closes="2026-10-01")
    (call,), _ = join([OPENING_2026, page], {}, AS_OF)
    assert call.deadlines == () and call.status == "open"
    (contradiction,) = call.contradictions
    assert contradiction.field == "deadlines" and len(contradiction.claims) == 2
    assert join([OPENING_2026, page], {}, date(2026, 9, 15))[0][0].status == "unknown"
    assert join([OPENING_2026, page], {}, date(2026, 10, 2))[0][0].status == "closed"


def test_no_fixed_end_beside_a_stated_end_is_told_and_the_end_is_kept() -> None:
    page = a_page("slimme", "Slimme Demonstratiefabrieken", rolling=True)
    (call,), _ = join([OPENING_2026, page], {}, AS_OF)
    assert call.rolling is None and str(call.deadlines[0].at) == "2026-09-01"
    (contradiction,) = call.contradictions
    assert contradiction.field == "rolling" and [c.printed for c in contradiction.claims] == [
        "True",
        "2026-09-01",
    ]


def test_an_hour_that_one_document_adds_is_taken_and_hours_that_differ_are_not() -> None:
    def page(key: str, hour: int) -> Call:
        at = datetime(2026, 9, 1, hour, tzinfo=UTC)
        return a_page(
            key,
            "Slimme Demonstratiefabrieken",
            opens_on=date(2026, 2, 1),
            deadlines=(Deadline(at=at, printed=f"1 september 2026 {hour} uur", kind="single"),),
        )

    (exact,), _ = join([OPENING_2026, page("a", 15)], {}, AS_OF)
    assert exact.deadlines[0].at == datetime(2026, 9, 1, 15, tzinfo=UTC) and not exact.contradictions
    (only_day,), _ = join([page("a", 15), page("b", 17)], {}, AS_OF)
    assert only_day.deadlines[0].at == date(2026, 9, 1)
    assert [c.field for c in only_day.contradictions] == ["deadlines"]


def test_a_page_that_says_closed_is_believed_before_the_stated_end() -> None:
    page = a_page("slimme", "Slimme Demonstratiefabrieken", claimed_status="closed")
    (call,), _ = join([OPENING_2026, page], {}, AS_OF)
    assert call.status == "closed"


def test_a_page_without_dates_is_of_the_newest_round() -> None:
    page = a_page("slimme", "Slimme Demonstratiefabrieken", claimed_status="closed")
    found = {
        call.call_id: len(call.documents) for call in join([OPENING_2025, OPENING_2026, page], {}, AS_OF)[0]
    }
    assert found == {"koop_sru:prb-2025-10": 1, "koop_sru:prb-2026-10": 2}


def test_two_provinces_may_have_schemes_of_one_name() -> None:
    one = a_document("prb-2026-1", "Openstellingsbesluit Subsidieregeling Circulair Ambacht Drenthe 2026")
    other = a_document("prb-2026-2", "Openstellingsbesluit Subsidieregeling Circulair Ambacht Groningen 2026")
    assert len(joined(one, other)) == 2


def test_a_citation_joins_kindred_names_but_not_strangers() -> None:
    law = a_document(
        "CVDR222", "Subsidieregeling Valorisatie EFRO Noord-Nederland", source="cvdr", kind="regeling"
    )
    opening = a_document(
        "bgr-2026-7",
        "Openstellingsbesluit Valorisatie klein 2026",
        references=("CVDR222_3",),
        opens_on=date(2026, 3, 1),
        closes="2026-08-01",
    )
    stranger = a_document(
        "bgr-2026-8",
        "Openstellingsbesluit Zonnepanelen 2026",
        references=("CVDR222",),
        opens_on=date(2026, 3, 1),
        closes="2026-08-01",
    )
    assert joined(law, opening, stranger) == {
        "koop_sru:bgr-2026-7": ["cvdr:CVDR222", "koop_sru:bgr-2026-7"],
        "koop_sru:bgr-2026-8": ["koop_sru:bgr-2026-8"],
    }


def test_general_law_that_everybody_cites_joins_nobody() -> None:
    law = a_document(
        "CVDR9", "Algemene subsidieverordening provincie Drenthe", source="cvdr", kind="regeling"
    )
    one = a_document("prb-2026-1", "Openstelling Circulair Ambacht 2026", references=("CVDR9",))
    two = a_document("prb-2026-2", "Openstelling Zonnedaken 2026", references=("CVDR9",))
    assert len(joined(law, one, two)) == 3


def test_schemes_that_share_a_word_are_two_schemes() -> None:
    one = a_page("mit-haalbaarheid", "MIT haalbaarheidsprojecten 2026")
    two = a_page("mit-rd", "MIT R&D-samenwerkingsprojecten 2026")
    assert len(joined(one, two)) == 2


def test_one_scheme_under_two_names_is_one_call() -> None:
    rvo = a_page(
        "dei", "DEI+: demonstratie energie- en klimaatinnovatie", source="rvo", url="https://www.rvo.nl/dei"
    )
    other = a_page("dei-plus", "Demonstratie energie- en klimaatinnovatie", source="provinces")
    assert name_of(rvo.title).words == name_of(other.title).words == {"dei+"}
    assert len(joined(rvo, other)) == 1


def test_an_id_lasts_when_a_document_is_added_and_is_new_in_another_year() -> None:
    week1, _ = join([PAGE], {}, AS_OF)
    assert week1[0].call_id == "snn:slimme-demonstratiefabrieken@2026"
    week2, _ = join([PAGE, OPENING_2026, REGULATION], known_ids(week1), AS_OF)
    assert [call.call_id for call in week2] == ["snn:slimme-demonstratiefabrieken@2026"]
    next_round = a_page(
        "slimme-demonstratiefabrieken",
        "Slimme Demonstratiefabrieken",
        opens_on=date(2027, 2, 1),
        closes="2027-09-01",
    )
    later, _ = join([next_round, REGULATION], known_ids(week2), date(2027, 3, 1))
    assert [call.call_id for call in later] == ["snn:slimme-demonstratiefabrieken@2027"]


def test_a_round_over_new_year_is_one_with_the_page_that_names_its_end_only() -> None:
    opening = a_document(
        "prb-2025-90",
        "Openstelling Groninger Ondernemersregeling 2025",
        opens_on=date(2025, 11, 25),
        closes="2027-12-31",
    )
    page = a_page("ondernemersregeling", "Groninger Ondernemersregeling", closes="2027-12-31")
    assert len(joined(opening, page)) == 1


def test_records_of_the_portal_keep_their_own_identity() -> None:
    one, two = (a_call(call_id=f"eu_portal:{n}", title="Same title", kind="topic") for n in (1, 2))
    assert len(join([one, two], {}, AS_OF)[0]) == 2
