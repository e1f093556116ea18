"""Who may apply: a table of labelled rules, calls for hubs alone, and what real records must not close."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import SHARED, VERDICTS, a_call

from pipeline import clauses
from pipeline.eligibility import eligibility, overall
from pipeline.hubs import only_for_hubs
from pipeline.prose import sentences
from pipeline.schema import (
    Call,
    Claim,
    Consortium,
    Contradiction,
    Deadline,
    DeadlineKind,
    Document,
    Profile,
    Rule,
    Section,
    Verdict,
)

AS_OF = date(2026, 6, 15)
HUBS_ONLY = "Only designated European Digital Innovation Hubs may apply."
TABLES = Path(__file__).parent / "truth"
ROWS = yaml.safe_load((TABLES / "eligibility.yml").read_text("utf-8"))
HELD_OUT = yaml.safe_load((TABLES / "eligibility_held_out.yml").read_text("utf-8"))


def call(key: str = "1", *texts: str, **more: Any) -> Call:
    """An open call with a section a text."""
    sections = tuple(Section(heading=f"Part {n}", text=text) for n, text in enumerate(texts, start=1))
    return a_call(**{"call_id": f"s:{key}", "programme": None, "sections": sections} | more)


def profile(**more: Any) -> Profile:
    base: dict[str, Any] = {"id": "one", "name": "One", "kind": "sme", "language": "en", "label": "example"}
    return Profile(**base | {"description": "We make robots that weed fields."} | more)


def rule_of(name: str, one: Profile, shown: Call) -> Rule:
    return next(rule for rule in eligibility(one, shown, AS_OF).rules if rule.rule == name)


# --- the table


def labelled(facts: dict[str, Any]) -> Call:
    """The call of a row; readiness levels are read from its words, and must be those that the row states."""
    made: dict[str, Any] = {"printed": {}}
    for name, (value, words) in facts.get("state", {}).items():
        made["printed"][name] = words
        if value is not None:
            made[name] = tuple(value) if isinstance(value, list) else value
    if "deadlines" in facts:
        made["deadlines"] = tuple(
            Deadline(at=at, printed=str(at), kind=kind) for at, kind in facts["deadlines"]
        )
    if "least" in facts:
        made["consortium"] = Consortium(min_partners=facts["least"][0], min_countries=facts["least"][1])
    if "says" in facts:
        made["sections"] = (Section(heading=facts["says"][0], text=facts["says"][1]),)
    if "trl" in facts:
        made["trl_min"], made["trl_max"] = facts["trl"]
        if "says" in facts:
            low, high, words = clauses.readiness([facts["says"][1]])
            made["printed"]["trl_min"] = words or facts["says"][1]
            assert words is None or [low, high] == facts["trl"], (low, high)
    made["contradictions"] = tuple(
        Contradiction(
            field=name,
            claims=tuple(Claim(document_id=f"s:{n}", value=None, printed=w) for n, w in enumerate(words)),
        )
        for name, words in facts.get("differ", {}).items()
    )
    return call(**made)


@pytest.mark.parametrize("row", ROWS, ids=[f"{n}-{row[0]}-{row[1]}" for n, row in enumerate(ROWS, start=1)])
def test_every_labelled_rule(row: list[Any]) -> None:
    name, verdict, facts, stated, words = row
    rule = rule_of(name, profile(**facts), labelled(stated))
    assert rule.verdict == verdict, rule
    if verdict != "unknown":
        assert words and str(words) in str(rule.clause) and rule.url
    elif words:
        assert rule.clause is None or str(words) in rule.clause
    assert (rule.clause is None) == (rule.url is None)


def test_the_table_has_every_verdict_of_every_rule() -> None:
    counted = Counter((row[0], row[1]) for row in ROWS)
    assert len(ROWS) >= 80
    for name in ("time", "applicant", "region", "consortium", "readiness", "budget"):
        for verdict in ("pass", "unknown", *(("fail",) if name != "consortium" else ())):
            assert counted[name, verdict] >= 3, (name, verdict)


def test_the_link_is_that_of_the_document_which_says_it() -> None:
    said = "De subsidiabele kosten zijn minimaal € 100.000."
    opening = {"deadlines": "Aanvragen kan tot en met single\n2026-09-01.", "claimed_status": "Gesloten"}
    told = [
        ("page", "https://example.org/page", {}),
        ("regulation", "https://example.org/rules", {"eligible_costs_min_eur": said}),
        ("opening", "https://example.org/opening", opening),
    ]
    documents = tuple(
        Document(
            document_id=f"s:{role}",
            source="s",
            role=role,
            title="T",
            url=url,
            fetched_at=datetime(2026, 6, 15, tzinfo=UTC),
            page_sha256="a" * 64,
            archive_record="w#1",
            printed=printed,
        )
        for role, url, printed in told
    )
    shown = call(documents=documents, eligible_costs_min_eur=1e5, printed={"eligible_costs_min_eur": said})
    rule = rule_of("budget", profile(project_costs_eur=9e4), shown)
    assert (rule.verdict, rule.clause, rule.url) == ("fail", said, "https://example.org/rules")
    for more, clause in (({}, "single 2026-09-01"), ({"claimed_status": "closed"}, "Gesloten")):
        ahead = call(documents=documents, deadlines=(deadline(date(2026, 9, 1)),), **more)
        rule = rule_of("time", profile(), ahead)
        assert (rule.clause, rule.url) == (clause, "https://example.org/opening")


def test_a_profile_of_which_little_is_told_passes_only_by_time_and_kind() -> None:
    """No row passes a rule for what the profile itself leaves open."""
    for row in ROWS:
        rules = eligibility(profile(kind="testbed"), labelled(row[3]), AS_OF).rules
        passed = {rule.rule for rule in rules if rule.verdict == "pass"}
        assert passed <= {"time", "region", "consortium"}, row
        assert "consortium" not in passed or row[3]["least"][0] == 1


@pytest.mark.parametrize("case", HELD_OUT, ids=lambda case: case["id"])
def test_held_out_verdicts_are_right_or_known_to_be_missed(case: dict[str, Any]) -> None:
    """A rule that `missed` names is stated pass or fail and left unknown; no other verdict is off."""
    found = eligibility(profile(**case["profile"]), a_call(**case["call"]), date.fromisoformat(case["as_of"]))
    got = {rule.rule: rule.verdict for rule in found.rules}
    missed = set(case.get("missed", ()))
    assert missed <= case["rules"].keys()
    for name, wanted in case["rules"].items():
        unsaid = "unknown" if wanted == "unknown" else "missed"
        outcome = unsaid if got[name] == "unknown" else "right" if got[name] == wanted else "wrong"
        VERDICTS[name][outcome] += 1
    wanted = case["rules"] | dict.fromkeys(missed, "unknown")
    assert {name: got[name] for name in wanted} == wanted
    assert all(case["rules"][name] != "unknown" for name in missed)


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_rule_is_worded_in_the_digests_of_both_languages(language: str) -> None:
    written = files("pipeline").joinpath("templates/words.yml").read_text("utf-8")
    questions = yaml.safe_load(written)[language]["questions"]
    assert {rule.rule for rule in eligibility(profile(), call(), AS_OF).rules} == questions.keys()


# --- time


def deadline(at: date | datetime, kind: DeadlineKind = "single") -> Deadline:
    return Deadline(at=at, printed=f"{kind} {at}", kind=kind)


PAST, TODAY, AHEAD = AS_OF - timedelta(days=1), AS_OF, AS_OF + timedelta(days=90)
EVENING = datetime(2026, 6, 15, 23, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("deadlines", "verdict", "decides"),
    [
        ((), "unknown", None),
        ((deadline(AHEAD),), "pass", 0),
        ((deadline(TODAY),), "pass", 0),
        ((deadline(EVENING),), "pass", 0),
        ((deadline(PAST),), "fail", 0),
        ((deadline(PAST, "cut-off"), deadline(AHEAD, "cut-off")), "pass", 1),
        ((deadline(PAST - timedelta(days=90), "cut-off"), deadline(PAST, "cut-off")), "fail", 1),
        ((deadline(TODAY, "stage 1"), deadline(AHEAD, "stage 2")), "pass", 0),
        ((deadline(PAST, "stage 1"), deadline(AHEAD, "stage 2")), "fail", 0),
        ((deadline(PAST - timedelta(days=90), "stage 1"), deadline(PAST, "stage 2")), "fail", 0),
        ((deadline(AHEAD, "stage 2"),), "unknown", None),  # the first stage is not known
        ((deadline(PAST, "stage 2"),), "fail", 0),
    ],
)
def test_in_time_is_who_can_still_enter(
    deadlines: tuple[Deadline, ...], verdict: Verdict, decides: int | None
) -> None:
    rule = eligibility(profile(), call(deadlines=deadlines), AS_OF).rules[0]
    assert (rule.rule, rule.verdict) == ("time", verdict)
    assert rule.clause == (None if decides is None else deadlines[decides].printed)
    assert rule.url == (None if decides is None else "https://example.org/1")


# --- hubs alone


FOR_HUBS_ALONE = [
    "Only designated European Digital Innovation Hubs may apply.",
    "Only EDIHs are eligible to apply.",
    (
        "Only entities that have been designated as European Digital Innovation Hubs (EDIHs) by "
        "their Member State can submit a proposal."
    ),
    "This call is restricted to European Digital Innovation Hubs designated by the Member States.",
    "This topic is open only to EDIHs selected under the first call.",
    "The call is open to designated EDIHs only.",
    "Participation in this call is limited to EDIHs listed in the Implementing Decision.",
    "Applicants must be a designated European Digital Innovation Hub.",
    "Eligible applicants are exclusively existing European Digital Innovation Hubs (EDIHs).",
    "Applications may only be submitted by European Digital Innovation Hubs.",
    "Please note that only EDIHs with a seal of excellence may apply to this topic.",
    "Proposals are restricted to existing EDIHs and holders of a Seal of Excellence.",
    "This call is exclusively for existing European Digital Innovation Hubs.",
    "Only the EDIHs that are funded by the programme are eligible.",
    "- only entities designated as European Digital Innovation Hubs may apply",
    (
        "Only European Digital Innovation Hubs (EDIHs) that have been funded under the Digital "
        "Europe Programme, and those awarded the Seal of Excellence, are eligible to participate in "
        "this call."
    ),
    "This call is only open to European Digital Innovation Hubs.",
    "The call is reserved for EDIH.",
    "Participation is limited to European Digital Innovation Hubs.",
    "Eligibility is restricted to entities designated as EDIH.",
    "The topic is open exclusively to designated EDIHs.",
    "Proposals can only be submitted by designated EDIHs.",
    "To strengthen the network and cover all regions, only designated EDIHs may apply.",
    "Only EDIHs established in Member States and associated countries may apply under this call.",
    "Eligible applicants: only designated EDIHs.",
]
# These speak of hubs, some of them of "only", and close the call to nobody, or not surely.
NOT_FOR_HUBS_ALONE = [
    "Projects should work with European Digital Innovation Hubs only where useful.",
    (
        "Proposals should cooperate with European Digital Innovation Hubs (EDIHs), and only mature "
        "technologies are eligible."
    ),
    "Only projects that cooperate with European Digital Innovation Hubs are eligible.",
    "Only proposals that involve EDIHs may apply for the higher rate.",
    (
        "Participation is open to SMEs, research organisations and European Digital Innovation "
        "Hubs, but only consortia may apply."
    ),
    "The call is open not only to European Digital Innovation Hubs but to any legal entity.",
    "Participation is not limited to European Digital Innovation Hubs.",
    "This call is limited to SMEs that are supported by European Digital Innovation Hubs.",
    "This topic is limited to SMEs and EDIHs.",
    "The call is limited to EDIHs and SMEs.",
    "Applications by EDIHs are welcome; only one application per applicant is eligible.",
    (
        "Results may be deployed through the European Digital Innovation Hubs, and applicants "
        "should only use open standards."
    ),
    "European Digital Innovation Hubs can only participate as partners; any company may apply.",
    "EDIHs are not eligible to apply; only SMEs may apply.",
    "Only entities that are not EDIHs may apply.",
    "Access to the training is limited to European Digital Innovation Hubs.",
    "Only EDIHs are eligible as subcontractors for test before invest services.",
    "Only EDIHs may participate in the annual summit.",
    "Applicants may only claim costs of EDIH services up to 10 %.",
    "The coordinator must be an EDIH.",
    "Applicants must be supported by a European Digital Innovation Hub.",
    "Applicants must be an SME that is a customer of an EDIH.",
    (
        "Applications are limited to 50 pages and should explain the links with European Digital "
        "Innovation Hubs."
    ),
    "This call is limited to EDIH activities in the outermost regions.",
    "This call is restricted to consortia that include a European Digital Innovation Hub.",
    "Priority is reserved for EDIHs.",
    "The call is open to EDIHs, SMEs and research organisations.",
    "Eligible applicants include European Digital Innovation Hubs.",
    "Support by EDIHs is available only to eligible applicants.",
    (
        "The network of European Digital Innovation Hubs offers its services only to eligible SMEs; "
        "applicants may contact them."
    ),
    "Only European Digital Innovation Hubs and SMEs may apply.",
    "Only European Digital Innovation Hubs, SMEs and universities may apply.",
    "Only EDIHs or consortia with at least three companies are eligible to apply.",
    "Only in regions without European Digital Innovation Hubs may companies apply.",
    "Proposals restricted to one country should work with European Digital Innovation Hubs.",
    "Applications must be submitted only through the portal, for example with help of an EDIH.",
    "Only EDIHs may submit letters of support.",
    "The call is reserved for newcomers that European Digital Innovation Hubs have not served.",
    "Applicants must be members of a European Digital Innovation Hub network or an SME.",
    "Funding for third parties is limited to EUR 60 000 and proposals should involve EDIHs.",
    "Only legal entities served by European Digital Innovation Hubs may apply.",
    "Applicants shall be informed by EDIHs.",
    "Only selected SMEs from European Digital Innovation Hubs may apply.",
    "Only if no EDIH exists in the region may companies apply.",
    "Only EDIHs may apply, unless their region has none.",
    "Only EDIHs may apply, except in the outermost regions.",
    "This call is restricted to EDIHs in regions where one exists.",
    "Only EDIHs may apply, if their country takes part.",
    "This call is reserved for EDIHs with priority in the first round.",
    "This call is restricted to EDIHs as well as SMEs.",
    "Only EDIHs, SMEs and newcomers may apply.",
    "To use the computers free of charge, only EDIHs may apply for access vouchers.",
    "Voucher applications are limited to EDIHs.",
    "This call is restricted to EDIHs designated by Member States and newcomers.",
    "Only EDIHs established in the Union, SMEs or newcomers may apply.",
    "Open only to European Digital Innovation Hubs.",
    "Applicants must be EDIHs or SMEs.",
    "Applicants must be EDIHs/SMEs.",
    "The call is open only to European Digital Innovation Hubs' customers.",
    "Only EDIHs may submit an application for the seal.",
    "In the second stage, the call is reserved for EDIH and SME consortia.",
    "Only members of EDIHs may apply.",
    "Only organisations from EDIHs may apply.",
]


@pytest.mark.parametrize("sentence", FOR_HUBS_ALONE)
def test_a_clause_for_hubs_alone_fails_companies_and_leaves_hubs_unknown(sentence: str) -> None:
    texts = f"Hubs help SMEs with digital tools.\n{sentence}\nMore is in the annex."
    for shown in (call("1", texts), call("1", "Scope.", conditions=texts)):
        for kind, verdict in (
            ("sme", "fail"),
            ("large_company", "fail"),
            ("fieldlab", "fail"),
            ("hub", "unknown"),
        ):
            found = eligibility(profile(kind=kind), shown, AS_OF)
            rule = next(rule for rule in found.rules if rule.rule == "applicant")
            assert (rule.verdict, found.verdict) == (verdict, verdict)
            assert (rule.clause, rule.url) == (sentence, shown.url)


@pytest.mark.parametrize("sentence", NOT_FOR_HUBS_ALONE)
def test_a_sentence_that_merely_speaks_of_hubs_fails_nobody(sentence: str) -> None:
    assert not only_for_hubs(sentence)
    shown = call("1", sentence, conditions=sentence)
    for kind in ("sme", "fieldlab", "hub"):
        assert rule_of("applicant", profile(kind=kind), shown).verdict != "fail"
    assert rule_of("applicant", profile(kind="hub", designated_hub=True), shown).verdict == "unknown"


@pytest.mark.parametrize(
    ("kind", "description", "verdict"),
    [
        ("fieldlab", "We are part of the designated EDIH of the north.", "unknown"),
        ("research_organisation", "Partner in a European Digital Innovation Hub.", "unknown"),
        ("fieldlab", "We print metal.", "fail"),
        ("sme", "We are a customer of the EDIH.", "fail"),
    ],
)
def test_an_organisation_that_may_be_part_of_a_hub_is_not_failed(
    kind: str, description: str, verdict: Verdict
) -> None:
    one = profile(kind=kind, description=description)
    assert eligibility(one, call("1", HUBS_ONLY), AS_OF).verdict == verdict


@pytest.mark.shared_data
def test_no_real_call_is_closed_by_merely_speaking_of_hubs() -> None:
    """None of the real records is a call for hubs; some speak of them."""
    spoken = 0
    with gzip.open(SHARED / "eu_portal" / "calls_2026.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            for sentence in sentences(f"{row.get('text') or ''}\n{row.get('conditions') or ''}"):
                spoken += "Digital Innovation Hub" in sentence
                assert not only_for_hubs(sentence), row["identifier"]
    assert spoken > 2


@pytest.mark.parametrize(
    ("verdicts", "whole_verdict"),
    [
        ([], "unknown"),
        (["pass"], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "unknown"], "unknown"),
        (["unknown"], "unknown"),
        (["pass", "unknown", "fail"], "fail"),
        (["fail", "pass"], "fail"),
    ],
)
def test_one_fail_fails_and_only_all_passes_pass(verdicts: list[Verdict], whole_verdict: Verdict) -> None:
    assert overall(iter(verdicts)) == whole_verdict
