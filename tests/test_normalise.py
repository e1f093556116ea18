"""Printed → typed: dates, status, money, rates and TRL, each with the trap that was seen in the wild."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clauses import consortium, readiness
from pipeline.dates import day
from pipeline.deadlines import deadlines, entry_deadlines, next_deadline, status
from pipeline.money import euros
from pipeline.normalise import budget, normalise
from pipeline.rates import funding_rates
from pipeline.schema import Call, Page, RawCall
from pipeline.vocabulary import vocabulary

AS_OF = date(2026, 6, 15)
PAGE = Page(
    url="https://example.org/p",
    fetched_at=datetime(2026, 6, 15, 5, tzinfo=UTC),
    sha256="0" * 64,
    archive_record="w.warc.gz#<urn:uuid:1>",
)


def typed(as_of: date = AS_OF, **fields: Any) -> Call:
    base: dict[str, Any] = {"title": "T", "status": "31094502", "identifier": "X-01", "language": "en"}
    raw = RawCall(source="eu_portal", key="1", fields=base | fields, pages=(PAGE,))
    return normalise(raw, level="european", as_of=as_of, prose=False)[0]


def codes(**fields: Any) -> list[str]:
    base: dict[str, Any] = {"title": "T", "status": "31094502"}
    raw = RawCall(source="eu_portal", key="1", fields=base | fields, pages=(PAGE,))
    return [issue.code for issue in normalise(raw, level="european", as_of=AS_OF, prose=False)[1]]


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("2027-02-04T00:00:00.000+0000", date(2027, 2, 4)),
        ("2026-07-29T10:00:34.000+0000", date(2026, 7, 29)),  # seconds that jitter
        ("2026-06-30T23:59:00.000Z", date(2026, 6, 30)),  # never moved to 1 July by a zone
        ("2024-09-27+02:00 Europe/Brussels", date(2024, 9, 27)),
        ("2026-02-04", date(2026, 2, 4)),
        ("1651536000000", date(2022, 5, 3)),
        ("2026-02-30T00:00:00", None),
        ("04/02/2026", None),  # day or month first is not stated
        ("soon", None),
        ("", None),
        ("2026-1", None),
    ],
)
def test_day(printed: str, expected: date | None) -> None:
    assert day(printed) == expected


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1)))
def test_day_reads_what_the_portal_prints(value: date) -> None:
    assert day(f"{value.isoformat()}T00:00:00.000+0000") == value


@given(st.text())
def test_day_never_breaks(text: str) -> None:
    assert day(text) is None or isinstance(day(text), date)


PAST, SOON, LATER = "2026-03-01", "2026-09-01", "2027-09-01"


@pytest.mark.parametrize(
    ("claim", "opens", "dates", "model", "expected", "note"),
    [
        ("open", "2026-01-01", [SOON], None, "open", None),
        ("open", "2026-01-01", [PAST], None, "closed", "the source says open"),  # a stale row
        ("open", "2026-01-01", ["2026-06-15"], None, "open", None),  # the last day itself
        ("open", "2026-01-01", ["2026-06-14"], None, "closed", "last deadline"),
        ("forthcoming", "2026-01-01", [SOON], None, "open", "it opened on 2026-01-01"),
        ("open", "2026-12-01", [LATER], None, "forthcoming", "it opens on 2026-12-01"),
        ("forthcoming", "2026-12-01", [LATER], None, "forthcoming", None),
        ("forthcoming", "2026-06-15", [LATER], None, "open", "opened on 2026-06-15"),
        ("open", "2026-01-01", [PAST, SOON], "several cut-offs", "open", None),
        ("open", "2026-01-01", [PAST, SOON], "two-stage", "closed", "first stage, the only way in"),
        ("open", "2026-01-01", [SOON, LATER], "two-stage", "open", None),
        ("closed", "2026-01-01", [SOON], None, "closed", None),  # closed early
        ("open", "2026-01-01", [], None, "open", "states no deadline"),
        ("open", None, [SOON], None, "open", None),
        (None, "2026-01-01", [SOON], None, "open", "the source says unknown"),
        (None, None, [SOON], None, "unknown", None),
        (None, None, [], None, "unknown", "states no deadline"),
        (None, None, [PAST], None, "closed", "the source says unknown"),
    ],
)
def test_status_is_a_claim_and_a_date_is_a_fact(
    claim: str | None, opens: str | None, dates: list[str], model: str | None, expected: str, note: str | None
) -> None:
    found = deadlines(dates, model)
    got, why = status(claim, date.fromisoformat(opens) if opens else None, found, AS_OF)
    assert got == expected
    assert (note in why) if note and why else note == why


def test_deadline_kinds_and_the_next_one_a_newcomer_can_meet() -> None:
    two_stage = typed(deadlines=[LATER, SOON], deadline_model="two-stage", opens_on="2026-01-01")
    assert [d.kind for d in two_stage.deadlines] == ["stage 1", "stage 2"]
    assert [str(d.at) for d in entry_deadlines(two_stage)] == [SOON]
    cut_offs = typed(deadlines=[PAST, SOON, LATER], deadline_model="multiple cut-off", opens_on="2026-01-01")
    ahead = next_deadline(cut_offs, AS_OF)
    assert ahead is not None and ahead.at == date(2026, 9, 1) and ahead.printed == SOON
    assert next_deadline(cut_offs, date(2027, 9, 2)) is None


def test_deadlines_of_actions_add_stages_but_never_override() -> None:
    both = {"deadlines": [SOON], "action_deadlines": [SOON, LATER]}
    assert len(typed(**both, deadline_model="two-stage").deadlines) == 2
    assert len(typed(**both, deadline_model="single-stage").deadlines) == 1
    assert "deadlines_differ" in codes(**both, deadline_model="single-stage")
    assert [str(d.at) for d in typed(action_deadlines=[SOON]).deadlines] == [SOON]


def test_several_deadlines_without_a_procedure_are_reported() -> None:
    assert "several_deadlines" in codes(deadlines=[SOON, LATER])


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("24000000", 24e6),
        ("2999999.9", 2999999.9),
        ("0", None),  # the portal's "not stated"
        ("1.5", None),  # EUR or millions: not stated
        ("50", None),
        ("", None),
        (None, None),
        ("a lot", None),
        ("nan", None),
        ("inf", None),
        ("-5000", None),
    ],
)
def test_euros(printed: str | None, expected: float | None) -> None:
    assert euros(printed) == expected


def line(topic: str, total: str, **more: str) -> dict[str, Any]:
    return {
        "action": f"{topic} - HORIZON-RIA",
        "years": {"2026": total},
        "grant_min": "",
        "grant_max": "",
        "expected_grants": "",
    } | more


def test_a_topics_own_money_is_not_its_siblings() -> None:
    lines = [line("X-01", "24000000", grant_max="12000000", expected_grants="2"), line("X-01-02", "9000000")]
    found = budget(lines, "X-01")
    assert (found["budget_total_eur"], found["grant_max_eur"], found["expected_grants"]) == (24e6, 12e6, 2)
    assert found["grant_min_eur"] is None and found["call_budget_total_eur"] is None
    assert found["printed"]["budget_total_eur"] == "2026: 24000000"


def test_equal_totals_of_all_topics_are_the_calls_pot() -> None:
    found = budget([line("X-01", "422000000"), line("X-02", "422000000")], "X-01")
    assert found["budget_total_eur"] is None
    assert found["call_budget_total_eur"] == 422e6


def test_two_actions_of_one_topic_add_up() -> None:
    found = budget([line("X-01", "5000000"), line("X-01", "3000000"), line("X-02", "1000000")], "X-01")
    assert found["budget_total_eur"] == 8e6


def test_no_line_of_its_own_means_unknown_money() -> None:
    call = typed(budget_lines=[line("X-02", "5000000")])
    assert call.budget_total_eur is None and call.call_budget_total_eur is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Activities are expected to achieve TRL 6-7 by the end of the project.", (6, 7)),
        ("Activities are expected to start at TRL 4 and achieve TRL 6 by the end.", (4, 6)),
        ("Activities are expected to start at TRL 4-5 and achieve TRL 7-8 by the end.", (4, 8)),
        ("Activities are expected to achieve TRL 5 by the end of the project.", (5, 5)),
        ("Activities may start at any TRL.", (None, None)),
        ("Any technology from TRL 4 and above is expected.", (4, None)),
        ("Technologies are expected at TRL5 or above at the start.", (5, None)),
        ("Projects are expected to start with a minimum TRL 6.", (6, None)),
        ("Activities are expected to start from TRL 5.", (5, None)),
        ("Activities are expected to achieve TRL 5 or higher by the end.", (5, None)),
        ("Activities may reach up to TRL 6.", (None, 6)),
        ("The investment should move from TRL 6 to TRL 9.", (6, 9)),
        ("Reach from minimum TRL 4 up to TRL 6.", (4, 6)),
        ("The aim is to reach Technology Readiness Level (TRL) 6.", (6, 6)),
        ("Activities are expected to achieve TRL 7 by the end. Parts reach TRL 3 first.", (7, 7)),
        ("Solutions at TRL 9 are on the market.", (None, None)),
        ("We target TRL 12.", (None, None)),
        ("", (None, None)),
    ],
)
def test_readiness(text: str, expected: tuple[int | None, int | None]) -> None:
    low, high, printed = readiness([text])
    assert (low, high) == expected
    assert (printed is None) == (low is None and high is None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Maximum funding rate: 90%", 0.9),
        ("The funding rate is 60% of the eligible costs.", 0.6),
        ("Other Action Grants: funding rate — 95%.", 0.95),
        (
            "The funding rate is 60% of eligible costs, but for non-profits the funding rate is up to 100%.",
            None,
        ),
        ("Funding rate\nOther Action Grants (OAGs) — 95%\nObjective", 0.95),
        ("The EU funding rate for eligible costs will be up to 50% of the eligible costs.", 0.5),
        ("For the additional activities covered by this action the funding rate is 50%.", None),
        ("Subcontracting shall not exceed 20% of the total eligible costs.", None),
        ("The grant covers 70 % of eligible costs.", 0.7),
        ("Management will not exceed 7% of the EU funding.", None),
        ("Annual turnover not exceeding EUR 50 million.", None),
        ("", None),
    ],
)
def test_funding_rate(text: str, expected: float | None) -> None:
    assert funding_rates([text]).rate == expected


@pytest.mark.parametrize(
    ("text", "partners", "countries"),
    [
        ("At least three independent legal entities from three different Member States.", 3, 3),
        ("Proposals must be submitted by at least 3 applicants from 3 different eligible countries.", 3, 3),
        (
            "Consortia must include at least one legal entity established in a Member State and at least "
            "two other independent legal entities, each in different countries.",
            3,
            None,
        ),
        ("Organisations of suppliers, with a minimum of 5 partners covering their sector.", None, None),
        ("Validate in at least three different Member States.", None, None),  # says where, not who
        ("Consortia of three or more must include at least three legal entities.", None, None),
        ("A single applicant may apply. Consortia must have at least two partners.", None, None),
        (
            "A single applicant can apply, or a consortium that must have at least two partners.",
            None,
            None,
        ),
        (
            "Proposals must have at least two partners. Pilots must have at least four partners.",
            None,
            None,
        ),
        ("Consortia must include at least one legal entity from Ukraine.", None, None),
        ("described in Annex B of the General Annexes", None, None),
    ],
)
def test_consortium_only_where_it_is_required_of_every_proposal(
    text: str, partners: int | None, countries: int | None
) -> None:
    found, printed = consortium([text])
    assert (found.min_partners, found.min_countries) == (partners, countries)
    assert printed is not None or partners is None


def test_every_field_keeps_its_words_and_unknown_stays_unknown() -> None:
    call = typed(opens_on="2026-01-01T00:00:00.000+0000", deadlines=["2026-09-01T00:00:00.000+0000"])
    assert call.printed["opens_on"] == "2026-01-01T00:00:00.000+0000"
    assert call.printed["deadlines"] == "2026-09-01T00:00:00.000+0000"
    unknown = (call.budget_total_eur, call.grant_max_eur, call.funding_rate, call.trl_min, call.programme)
    assert unknown == (None,) * 5
    assert call.applicants == () and call.regions == () and call.consortium.min_partners is None
    assert "budget_total_eur" not in call.printed


def test_footnotes_leave_the_title() -> None:
    assert typed(title="AI for all (IA)[[https://example.org/x_(1).pdf]]").title == "AI for all (IA)"


def test_a_record_without_title_is_no_call() -> None:
    with pytest.raises(ValueError, match="has no title"):
        typed(title=" [[https://example.org]]")


def test_words_outside_the_vocabulary_are_reported() -> None:
    assert {"unknown_programme", "unknown_status"} <= set(codes(programme="999", status="halfopen"))
    assert "unread_date" in codes(deadlines=["next spring"])


def test_vocabulary_has_no_word_twice() -> None:
    path = ROOT / "pipeline" / "vocabulary.yml"
    for name, terms in yaml.safe_load(path.read_text("utf-8")).items():
        words = [word.lower() for said in terms.values() for word in said]
        assert len(words) == len(set(words)), name
        assert len(vocabulary()[name]) == len(words)
