"""CORDIS bulk files → projects, participants and topics as printed, one at a time.

Four shapes are known: tables as CSV or as JSON arrays (one file each), and one project a file as JSON or XML,
with its organisations nested in it. Persons, contact forms and street addresses are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lxml import etree

from crawlers.cordis_files import (
    CordisError,
    Files,
    csv_rows,
    find_files,
    json_object,
    json_rows,
    xml_root,
)

_STEMS = {  # names that a table's file has been seen with
    "project": ("project", "projects"),
    "organization": ("organization", "organizations", "organisation", "organisations"),
    "topics": ("topic", "topics"),
}
_COLUMNS = {  # what a table must have, the identities first
    "project": ("id", "title", "objective"),
    "organization": ("projectID", "organisationID", "name", "role"),
    "topics": ("topic", "title"),
}
_NUMBER = re.compile(r"\d+")
_LISTS = ("associations", "categories", "regions")

Row = dict[str, Any]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Project:
    """A funded project. Dates as printed (ISO days); `topic` and `call` are the portal's identifiers."""

    project_id: str  # number of the grant agreement
    acronym: str | None
    title: str | None
    objective: str | None
    topic: str | None
    call: str | None
    action: str | None  # code of the funding scheme, such as HORIZON-RIA
    programme: str | None  # H2020, HORIZON
    signed_on: str | None
    starts_on: str | None
    ends_on: str | None


@dataclass(frozen=True, slots=True)
class Participant:
    """An organisation as one project describes it."""

    org_id: str  # participant identification code (PIC)
    name: str
    short_name: str | None
    country: str | None  # as CORDIS codes it: EL, UK
    nuts: str | None
    city: str | None
    activity_type: str | None  # PRC, HES, REC, PUB, OTH
    sme: str | None  # "true" or "false", as printed
    url: str | None


@dataclass(frozen=True, slots=True)
class Participation:
    """An organisation's part in a project. Money in EUR as printed, some with a decimal comma."""

    project_id: str
    org_id: str
    role: str | None
    ec_contribution: str | None


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that projects were funded under."""

    topic: str
    title: str


def refuse(fault: str) -> None:
    """What becomes of a bad row where nobody says otherwise. Raises CordisError."""
    raise CordisError(fault)


def read_projects(path: Path, report: Report = refuse) -> Iterator[Project]:
    """All projects of a CORDIS bulk file or folder.

    A row that is not whole is told to `report` and left out. Raises CordisError: no record, a table that is
    missing, a shape that is not known, a file that is cut off.
    """
    rows = _rows(path, "project", report, lambda record: [_nested_project(record)])
    return _some(map(_project, rows), path, "projects")


def read_organisations(path: Path, report: Report = refuse) -> Iterator[tuple[Participant, Participation]]:
    """All participations, each with the organisation as that project describes it.

    An organisation comes as often as it takes part. Faults as for `read_projects`.
    """
    rows = _rows(path, "organization", report, _nested_organisations)
    return _some(map(_participation, rows), path, "organisations")


def read_topics(path: Path, report: Report = refuse) -> Iterator[Topic]:
    """Every topic with its title, once. Faults as for `read_projects`."""
    return _some(_distinct_topics(_rows(path, "topics", report, _nested_topics)), path, "topics")


def _some(records: Iterator[Any], path: Path, what: str) -> Iterator[Any]:
    """The records, or CordisError where there is none: that is a fault, not a fact."""
    first = next(records, None)
    if first is None:
        raise CordisError(f"{path}: no {what}")
    yield first
    yield from records


# Files → rows


def _rows(path: Path, table: str, report: Report, nested: Callable[[Row], Iterable[Row]]) -> Iterator[Row]:
    """The whole rows of a table, or of what `nested` makes of each project, under the table's columns."""
    files = find_files(path)
    flat = files.suffix == ".csv" or any(_table(name) for name in files.names)
    found = _table_rows(files, table) if flat else _nested_rows(files, nested)
    identities = [column for column in _COLUMNS[table] if column.lower().endswith("id")]
    for number, (name, row) in enumerate(found, 1):
        where = f"{path}: {name}, record {number}"
        if isinstance(row, str):
            report(f"{where}: {row}")
            continue
        if all(row.get(column) == column for column in identities or _COLUMNS[table]):
            continue  # tables have been seen with their head repeated inside
        bad = [column for column in identities if not _NUMBER.fullmatch(_printed(row, column) or "")]
        if bad:
            report(f"{where}: {bad[0]} is {str(row.get(bad[0]))[:40]!r}")
        elif table == "organization" and not _printed(row, "name"):
            report(f"{where}: no name")
        else:
            yield row


def _table(name: str) -> str | None:
    stem = PurePosixPath(name).stem.lower()
    return next((table for table, stems in _STEMS.items() if stem in stems), None)


def _table_rows(files: Files, table: str) -> Iterator[tuple[str, Row | str]]:
    names = tuple(name for name in files.names if _table(name) == table)
    if len(names) != 1:
        count, held = "more than one" if names else "no", ", ".join(files.names[:9])
        raise CordisError(f"{files.path}: {count} {table} table; it holds {held}")
    reader: Callable[[Any], Iterator[Any]] = csv_rows if files.suffix == ".csv" else json_rows
    checked = False
    for name, row in Files(files.path, files.suffix, names).read(reader):
        if not checked and isinstance(row, dict):
            checked = True
            if lacking := [column for column in _COLUMNS[table] if column not in row]:
                raise CordisError(f"{files.path}: {name}: no column {lacking[0]!r}")
        yield name, row


def _nested_rows(files: Files, nested: Callable[[Row], Iterable[Row]]) -> Iterator[tuple[str, Row]]:
    reader: Callable[[Any], Iterator[Any]] = xml_root if files.suffix == ".xml" else json_object
    for name, read in files.read(reader):
        record = read if isinstance(read, dict) else _as_json(read)
        record = record["project"] if isinstance(record.get("project"), dict) else record
        if not isinstance(record.get("relations"), dict):
            raise CordisError(f"{files.path}: {name}: no project of a shape that we know")
        for row in nested(record):
            yield name, row


def _as_json(element: Any) -> Row:
    """An XML element in the form of the JSON files, which hold the same tree."""
    record: Row = {"contenttype": _tag(element), "attributes": dict(element.attrib)}
    for child in element.iterchildren(tag=etree.Element):
        if _tag(child) in _LISTS:
            record[_tag(child)] = [_as_json(item) for item in child.iterchildren(tag=etree.Element)]
        elif len(child):
            record[_tag(child)] = _as_json(child)
        else:
            record[_tag(child)] = child.text
    return record


def _tag(element: Any) -> str:
    return str(etree.QName(element).localname)


def _related(record: Row, what: str) -> list[Row]:
    """The associations, categories or regions of a record: a list, or a map with numbers for names."""
    relations = record.get("relations")
    found = relations.get(what) if isinstance(relations, dict) else None
    found = record.get(what) if found is None else found
    items: Iterable[Any] = found.values() if isinstance(found, dict) else found or ()
    return [item for item in items if isinstance(item, dict)]


def _of_type(items: Iterable[Row], kind: str) -> Row:
    return next((item for item in items if _attribute(item, "type") == kind), {})


def _attribute(item: Row, name: str) -> Any:
    attributes = item.get("attributes")
    return attributes.get(name) if isinstance(attributes, dict) else None


def _nested_project(record: Row) -> Row:
    """A nested project under the columns of the project table."""
    related = _related(record, "associations")
    topic, basis = _of_type(related, "relatedTopic"), _of_type(related, "relatedLegalBasis")
    scheme = _of_type(_related(record, "categories"), "relatedProjectFundingSchemeCategory")
    return record | {
        "topics": topic.get("code"),
        "masterCall": _of_type(related, "relatedMasterCall").get("identifier"),
        "subCall": _of_type(related, "relatedSubCall").get("identifier"),
        "fundingScheme": _code(scheme),
        "frameworkProgramme": topic.get("frameworkProgramme") or basis.get("frameworkProgramme"),
    }


def _nested_organisations(record: Row) -> Iterator[Row]:
    """The organisations of a nested project under the columns of the organisation table."""
    for item in _related(record, "associations"):
        if item.get("contenttype") != "organization":
            continue
        place = item["address"] if isinstance(item.get("address"), dict) else {}
        region = _of_type(_related(item, "regions"), "relatedNutsCode")
        activity = _of_type(_related(item, "categories"), "relatedOrganizationActivityType")
        yield {
            "projectID": record["id"],
            "organisationID": item.get("id"),
            "name": item.get("legalName"),
            "shortName": item.get("shortName"),
            "country": place.get("country"),
            "city": place.get("city"),
            "organizationURL": place.get("url"),
            "nutsCode": region.get("nutsCode"),
            "activityType": _code(activity),
            "SME": _attribute(item, "sme"),
            "role": _attribute(item, "type"),
            "ecContribution": _attribute(item, "ecContribution"),
        }


def _nested_topics(record: Row) -> Iterator[Row]:
    for item in _related(record, "associations"):
        if _attribute(item, "type") == "relatedTopic":
            yield {"topic": item.get("code"), "title": item.get("title")}


def _code(category: Row) -> str | None:
    return str(category.get("code") or "").strip("/ ") or None


# Rows → records


def _printed(row: Row, *names: str) -> str | None:
    """The first of the named cells that holds something, as printed."""
    for name in names:
        value = row.get(name)
        text = "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)
        if text := text.encode("utf-8", "replace").decode().strip():
            return text
    return None


def _project(row: Row) -> Project:
    return Project(
        project_id=_printed(row, "id") or "",
        acronym=_printed(row, "acronym"),
        title=_printed(row, "title"),
        objective=_printed(row, "objective"),
        topic=_printed(row, "topics"),
        call=_printed(row, "masterCall", "subCall"),
        action=_printed(row, "fundingScheme"),
        programme=_printed(row, "frameworkProgramme"),
        signed_on=_printed(row, "ecSignatureDate"),
        starts_on=_printed(row, "startDate"),
        ends_on=_printed(row, "endDate"),
    )


def _participation(row: Row) -> tuple[Participant, Participation]:
    org_id = _printed(row, "organisationID") or ""
    participant = Participant(
        org_id=org_id,
        name=_printed(row, "name") or "",
        short_name=_printed(row, "shortName"),
        country=_printed(row, "country"),
        nuts=_printed(row, "nutsCode"),
        city=_printed(row, "city"),
        activity_type=_printed(row, "activityType"),
        sme=_printed(row, "SME"),
        url=_printed(row, "organizationURL"),
    )
    role, money = _printed(row, "role"), _printed(row, "ecContribution")
    return participant, Participation(_printed(row, "projectID") or "", org_id, role, money)


def _distinct_topics(rows: Iterable[Row]) -> Iterator[Topic]:
    seen: set[str] = set()
    for row in rows:
        topic, title = _printed(row, "topic"), _printed(row, "title")
        if topic and title and topic not in seen:
            seen.add(topic)
            yield Topic(topic, title)
