"""The truth table: printed words → typed value or unknown, through the same door as every record.

`tests/truth/*.yml` says what each wording states. A field that an entry does not name must be unknown.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml
from conftest import ROOT, TRUTH

from pipeline.normalise import normalise
from pipeline.schema import Call, Page, RawCall

AS_OF = date(2026, 6, 15)
FOLDER = ROOT / "tests" / "truth"
ENTRIES = [
    pytest.param(entry, id=f"{file.stem}-{number:03d}")
    for file in sorted(FOLDER.glob("*.yml"))
    if file.stem not in ("eligibility", "eligibility_held_out", "labs", "pairs")  # tables of other tests
    for number, entry in enumerate(yaml.safe_load(file.read_text("utf-8")), start=1)
]
UNKNOWN = (None, [], {}, "")
FIELDS = """
    opens_on deadlines rolling until_spent status allocation budget_total_eur remaining_budget_eur
    grant_max_eur grant_min_eur eligible_costs_min_eur eligible_costs_max_eur
    own_contribution_min_eur own_contribution_min_rate funding_rate funding_rate_sme trl_min trl_max
    applicants regions consortium
""".split()


def typed(entry: dict[str, Any]) -> Call:
    """The call that a source would make which prints these words, under this label."""
    language = entry["language"]
    zone = entry.get("zone", "Europe/Amsterdam" if language in ("nl", "fy") else None)
    fields: dict[str, Any] = {
        "title": "T",
        "language": None if "language" in entry["expect"] else language,
        "sections": [{"heading": entry.get("label", ""), "text": entry["words"]}],
    }
    page = Page(
        url="https://example.org/p",
        fetched_at=datetime(2026, 6, 15, 5, tzinfo=UTC),
        sha256="0" * 64,
        archive_record="w.warc.gz#1",
    )
    raw = RawCall(source="truth", key="1", fields=fields, pages=(page,))
    return normalise(raw, level="regional", zone=zone, as_of=AS_OF)[0]


def plain(call: Call, name: str) -> Any:
    """A field of a call as the table writes it; of the status, what the words claim."""
    if name == "deadlines":
        return [
            d.at.isoformat(timespec="minutes") if isinstance(d.at, datetime) else str(d.at)
            for d in call.deadlines
        ]
    if name == "consortium":
        return {k: v for k, v in call.consortium.model_dump().items() if v is not None}
    value = getattr(call, "claimed_status" if name == "status" else name)
    return sorted(value) if isinstance(value, tuple) else value


def expected(entry: dict[str, Any], name: str) -> Any:
    value = entry["expect"].get(name)
    if name == "deadlines":
        moments = [datetime.fromisoformat(v) if len(str(v)) > 10 else v for v in value or []]
        return [m.isoformat(timespec="minutes") if isinstance(m, datetime) else str(m) for m in moments]
    return sorted(value) if isinstance(value, list) else value


@pytest.mark.parametrize("entry", ENTRIES)
def test_words_state_what_the_truth_table_says_and_nothing_else(entry: dict[str, Any]) -> None:
    call = typed(entry)
    names = [*FIELDS, *(["language"] if "language" in entry["expect"] else [])]
    got, wanted = ({n: plain(call, n) for n in names}, {n: expected(entry, n) for n in names})
    for name in entry.get("missed", ()):  # known to be stated and not read: it must then be unknown
        TRUTH[name]["missed"] += 1
        assert wanted.pop(name) not in UNKNOWN and got.pop(name) in UNKNOWN
    names = [*wanted]
    for name in names:
        if name in entry["expect"] or got[name] not in UNKNOWN:
            TRUTH[name][_outcome(got[name], wanted[name])] += 1
    wrong = {n: (got[n], wanted[n]) for n in names if (got[n], wanted[n]) != (wanted[n], wanted[n])}
    wrong = {n: pair for n, pair in wrong.items() if not (pair[0] in UNKNOWN and pair[1] in UNKNOWN)}
    assert not wrong, f"{entry['words']!r} under {entry.get('label')!r}: got, wanted: {wrong}"


def _outcome(got: Any, wanted: Any) -> str:
    if got in UNKNOWN:
        return "unknown" if wanted in UNKNOWN else "missed"
    return "right" if got == wanted else "wrong"


def test_the_table_is_large_enough_and_knows_all_languages() -> None:
    entries = [entry.values[0] for entry in ENTRIES]
    labelled = sum(len(entry["expect"]) for entry in entries)
    languages = Counter(entry["language"] for entry in entries)
    assert labelled >= 150 and len(entries) >= 150
    assert all(languages[language] >= 5 for language in ("nl", "fy", "en", "de"))
    assert {name for entry in entries for name in entry["expect"]} >= set(FIELDS)
