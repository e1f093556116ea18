"""Portal records in the wire shape of the EU Funding & Tenders portal, its oddities included.

Nothing is random: what looks so comes from checksums of the references and from positions in the list.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any
from zlib import crc32

Row = dict[str, Any]
Details = dict[str, Row]
STATUS = {"Forthcoming": "31094501", "Open for submission": "31094502"}
PROCEDURE = {"single-stage": 31094504, "two-stage": 31094505}
HEADINGS = re.compile(
    r"(?:^|(?<=[.\s]))(Expected Outcomes?|Expected Impacts?|Objectives?|Scope|Specific Challenge|null)\s*:\s*"
)
TRL = re.compile(r"(Activities (?:may|are expected)[^.]*\bTRL[^.]*\.)\s*$")
MARKERS = {
    "2026": '<p class="topicdescriptionkind">{}</p>',
    "2025": '<span class="topicdescriptionkind">{}</span>',
    "H2020": '<SPAN class="topicdescriptionkind">{}</SPAN>',
    "none": "<p>{}</p>",
}


def load_records(path: Path) -> list[Row]:
    """The records of a `.jsonl.gz` file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def portal_rows(records: list[Row]) -> tuple[list[Row], Details]:
    """Search rows of all records and of what else lies in the index; topic details by identifier."""
    calls: dict[str, list[Row]] = defaultdict(list)
    for record in records:
        if record["kind"] == "1":
            calls[record["call_identifier"]].append(record)
    rows, details = [*_stubs(), *_aliens()], {}
    for number, record in enumerate(records):
        text_is_elsewhere = record["text_kind"].startswith("excerpt")
        row = _row(record, calls[record["call_identifier"]], with_text=not text_is_elsewhere)
        rows += [row, *_leftovers(row, number)] if record["kind"] == "1" else [row]
        if text_is_elsewhere:
            details[record["identifier"].lower()] = _details(record, calls[record["call_identifier"]])
    return rows, details


def _row(record: Row, siblings: list[Row], *, with_text: bool) -> Row:
    """A record as a search result: every value a list, JSON inside strings."""
    kind, odd = record["kind"], _odd(record)
    listed, of_actions = _deadlines(record)
    words = [record["identifier"], *filter(None, (record["call_title"], record["type_of_action"]))]
    metadata: Row = {
        "identifier": record["identifier"],
        "title": record["title"],
        "type": kind,
        "status": STATUS[record["status_last"]],
        "language": "en",
        "callIdentifier": record["call_identifier"],
        "callTitle": record["call_title"],
        "ccm2Id": _ccm2(record),
        "frameworkProgramme": record["programme_id"],
        "programmeDivision": [_division(name) for name in record["divisions"]],
        "programmePeriod": "2021 - 2027",
        "startDate": _iso(record["open_date"]),
        "deadlineDate": listed,
        "deadlineModel": record.get("deadline_model"),
        "typesOfAction": record["type_of_action"],
        "keywords": words if odd % 2 else json.dumps(words),
        "crossCuttingPriorities": record.get("cross_cutting"),
        "destinationDescription": record["destination"],
        "topicConditions": record["conditions"] and f"<p>{escape(record['conditions'])}</p>",
        "DATASOURCE": "SEDIA",
        "REFERENCE": record["reference"] if kind == "1" else None,  # not all rows have it
        "es_SortDate": _iso(record["deadline"]) if record["deadline"] else None,
        "esDA_IngestDate": _iso(record["first_seen"]),
    }
    if kind == "1":
        actions = [_action(record, of_actions)]
        metadata |= {"actions": json.dumps(actions), "allowPartnerSearch": "true", "links": "[]"}
        if with_text or odd % 2:
            metadata["budgetOverview"] = json.dumps(_budget(siblings))
    if with_text and record["text"]:
        metadata["descriptionByte" if kind == "1" else "description"] = _html(record["text"], _marker(record))
    listed_values = {
        name: value if isinstance(value, list) else [value] for name, value in metadata.items() if value
    }
    top = {"reference": record["reference"], "language": "en", "database": "SEDIA", "weight": 4.0}
    top |= {"summary": record["display_title"], "url": record["url"], "checksum": f"{odd:08X}"}
    flat = kind == "8" and odd % 5 == 0  # some cascade rows come without `metadata`
    return listed_values | top if flat else top | {"metadata": listed_values}


def _details(record: Row, siblings: list[Row]) -> Row:
    listed, of_actions = _deadlines(record)
    return {
        "TopicDetails": {
            "type": 1,
            "ccm2Id": int(_ccm2(record)),
            "identifier": record["identifier"],
            "title": record["title"],
            "plannedOpeningDateLong": milliseconds(record["open_date"]),
            "deadlineDatesLong": [milliseconds(printed) for printed in listed],
            "callIdentifier": record["call_identifier"],
            "frameworkProgramme": {"id": int(record["programme_id"]), "description": record["programme"]},
            "status": {"id": int(STATUS[record["status_last"]])},
            "description": _html(record["text"], _marker(record)),
            "conditions": f"<h4>1. Admissibility</h4><p>{escape(record['conditions'] or 'None')}</p>",
            "budgetOverviewJSONItem": _budget(siblings),
            "actions": [_action(record, of_actions)],
            "links": [],
        }
    }


def _deadlines(record: Row) -> tuple[list[str], list[str]]:
    """Deadlines of the record and of its actions, which know more cut-offs than the record."""
    if not record["deadline"]:
        return [], []
    last, odd = datetime.fromisoformat(record["deadline"]), _odd(record)
    if record["kind"] == "2":  # hours are stated, in no trusty zone; the seconds change as they are served
        return [_iso(last + timedelta(hours=8 + odd % 15, minutes=odd % 60))], []
    if record.get("deadline_model") == "two-stage":
        both = [_iso(last), _iso(last + timedelta(days=150))]
        return both, both
    if record.get("deadline_model") == "multiple cut-off":
        earlier, later = _iso(last - timedelta(days=364)), _iso(last + timedelta(days=364))
        return [earlier, _iso(last)], [_iso(last), later]
    return [_iso(last)], [record["deadline"]]


def _action(record: Row, deadlines: list[str]) -> Row:
    return {
        "types": [{"typeOfAction": record["type_of_action"]}],
        "status": {"id": int(STATUS[record["status_last"]])},
        "plannedOpeningDate": record["open_date"],
        "submissionProcedure": {"id": PROCEDURE.get(record.get("deadline_model") or "", 31094504)},
        "deadlineDates": deadlines,
    }


def _budget(siblings: list[Row]) -> Row:
    """The budget overview of a call, with all its topics; 0 stands for what is not stated."""
    by_topic: Row = {}
    for topic in siblings:
        stated = topic["budget"] or {}
        years = stated.get("years") or ["2026"]
        amounts = [str(stated.get("totalBudgetEur") or 0), *["0"] * (len(years) - 1)]
        entry = {
            "action": f"{topic['identifier']} - {topic['type_of_action']}",
            "expectedGrants": stated.get("expectedGrants") or 0,
            "minContribution": stated.get("minContributionEur") or 0,
            "maxContribution": stated.get("maxContributionEur") or 0,
            "budgetYearMap": dict(zip(years, amounts, strict=True)),
            "deadlineModel": topic.get("deadline_model") or "single-stage",
            "deadlineDates": [topic["deadline"]],
        }
        as_object = topic.get("deadline_model") == "two-stage" and _odd(topic) % 2
        by_topic[_ccm2(topic)] = entry if as_object else [entry]
    return {"budgetYearsColumns": ["2026"], "budgetTopicActionMap": by_topic}


def _html(text: str, marker: str) -> str:
    """Printed text with its headings marked; the TRL sentence stands under a heading "null"."""
    first, *rest = HEADINGS.split(TRL.sub(r" null: \1", text))
    parts = [first.strip() and f"<p>{escape(first)}</p>"]
    for heading, body in zip(rest[::2], rest[1::2], strict=True):
        parts.append(marker.format(heading if heading == "null" else f"{heading}:"))
        parts += [f"<p>{escape(block)}</p>" for block in body.split("\n\n") if block.strip()]
    return "".join(parts)


def _marker(record: Row) -> str:
    year = (re.search(r"20\d\d", record["identifier"]) or ["2026"])[0]
    return MARKERS["none" if _odd(record) % 300 == 0 else "2025" if year <= "2025" else "2026"]


def _leftovers(row: Row, number: int) -> list[Row]:
    """What the index has beside some topics: translations, and rows of an older index that still say open."""
    other = deepcopy(row)
    facts = other["metadata"]
    if number % 10 == 3:
        language = ("sv", "ro", "bg")[number // 10 % 3]
        facts |= {"language": [language], "title": [f"({language}) {facts['title'][0]}"]}
        return [other | {"language": language, "reference": f"{row['reference'][:-2]}{language}"}]
    if number % 10 not in (5, 7):
        return []
    old = {"title": facts["title"], "identifier": facts["identifier"], "type": ["1"], "language": ["en"]}
    old |= {"frameworkProgramme": facts["frameworkProgramme"], "esDA_IngestDate": facts["esDA_IngestDate"]}
    old |= {"programmeDivision": facts.get("programmeDivision", []), "status": ["31094502"]}
    old |= {"DATASOURCE": ["SEDIA_PRD_CENTRICITY"], "startDate": [_iso("2023-10-04")]}
    old |= {"deadlineDate": [_iso("2024-02-07")]}
    if number % 10 == 7:  # its topic is gone from today's index
        old["identifier"] = [f"HORIZON-CL4-2023-OLD-{number:04d}"]
        old["descriptionByte"] = [_html("Expected Outcome:Older work. Scope:Old.", MARKERS["H2020"])]
    reference = f"{facts['ccm2Id'][0]}HORIZONResearch{1696377600000 + number}"
    return [{"reference": reference, "language": "en", "summary": "", "metadata": old}]


def _stubs() -> list[Row]:
    nothing: Row = {"identifier": [""], "title": [""], "esDA_IngestDate": [_iso("2026-06-27")]}
    nameless = {"identifier": ["NO-REFERENCE"], "title": ["A row without reference"], "type": ["1"]}
    nameless |= {"status": ["31094502"], "language": ["en"], "esDA_IngestDate": [_iso("2026-06-27")]}
    named = [{"reference": f"{n}STUBen", "language": "en", "metadata": nothing} for n in (1, 2)]
    return [*named, {"language": "en", "metadata": nothing}, {"language": "en", "metadata": nameless}]


def _aliens() -> list[Row]:
    """Tenders, news, organisations and closed topics, which only a query keeps out."""
    kinds = (("0", "31094502"), ("6", "31094502"), ("PERSON", ""), ("ORGANISATION", ""), ("1", "31094503"))
    rows = []
    for number, (kind, status) in enumerate(kinds):
        facts = {"identifier": [f"ALIEN-{number}"], "title": ["Other"], "type": [kind], "language": ["en"]}
        facts |= {"esDA_IngestDate": [_iso("2026-06-27")]} | ({"status": [status]} if status else {})
        rows.append({"reference": f"{number}ALIENen", "language": "en", "metadata": facts})
    return rows


def _odd(record: Row) -> int:
    return crc32(record["reference"].encode())


def _ccm2(record: Row) -> str:
    return (re.match(r"\d+", record["reference"]) or [str(_odd(record))])[0]


def _division(name: str) -> str:
    """The code of a division of which only the label is known."""
    return name if name.isdigit() else str(43_000_000 + crc32(name.encode()) % 1_000_000)


def _iso(day: str | datetime) -> str:
    at = datetime.fromisoformat(day) if isinstance(day, str) else day
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def milliseconds(printed: str) -> int:
    return int(datetime.fromisoformat(printed).replace(tzinfo=UTC).timestamp() * 1000)
