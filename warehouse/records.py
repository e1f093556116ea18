"""The published warehouse as typed records and tables of earlier projects: what flows and commands read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pipeline.schema import (
    Call,
    Feedback,
    Match,
    Organisation,
    Participant,
    Profile,
    Project,
    RawCall,
    Record,
    Run,
    SourceHealth,
)
from warehouse.errors import UnknownDay
from warehouse.read import Relation, Warehouse, connect

R = TypeVar("R", bound=Record)


class Records(Warehouse):
    """A warehouse that also gives records."""

    def call_records(
        self, query: str | None = None, *, open_only: bool = False, level: str | None = None
    ) -> list[Call]:
        """The same as `calls`, as records."""
        return [_record(Call, row) for row in _dicts(self.calls(query, open_only=open_only, level=level))]

    def listed(self) -> frozenset[str]:
        """Ids of the calls that their source listed when it was last read well."""
        found = self._ours("SELECT call_id FROM core.calls WHERE in_latest_run")
        return frozenset(call_id for (call_id,) in found.fetchall())

    def call(self, name: str) -> Call:
        """One call by its id, its identifier or a document's id. Raises UnknownCall, naming near misses."""
        found = self._ours("SELECT * FROM core.calls WHERE call_id = ?", [self.call_id(name)])
        return _record(Call, _dicts(found)[0])

    def match_records(self, profile_id: str) -> list[Match]:
        """A profile's matches in the run, best first."""
        found = self._ours(
            "SELECT * FROM core.matches SEMI JOIN mart.latest_run USING (run_id) "
            "WHERE profile_id = ? ORDER BY rank",
            [profile_id],
        )
        return [_record(Match, row) for row in _dicts(found)]

    def profile_records(self) -> list[Profile]:
        """All profiles of the run, by id."""
        return [_record(Profile, row) for row in _dicts(self.profiles())]

    def feedback_records(self) -> list[Feedback]:
        """What profiles last said of calls, by profile and call."""
        found = self._ours(
            "SELECT DISTINCT ON (profile_id, call_id) * FROM core.feedback "
            "ORDER BY profile_id, call_id, given_at DESC"
        )
        return [_record(Feedback, row) for row in _dicts(found)]

    def raw_calls(self, source: str) -> list[RawCall]:
        """A source's records of its latest good crawl, by key."""
        found = self._ours("SELECT * FROM raw.calls WHERE source = ? ORDER BY key", [source])
        return [_record(RawCall, row) for row in _dicts(found)]

    def organisations_of(self, source: str) -> list[Organisation]:
        """The organisations of a catalogue, by id."""
        found = self._ours("SELECT * FROM core.organisations WHERE source = ? ORDER BY org_id", [source])
        return [_record(Organisation, row) for row in _dicts(found)]

    def organisation_records(self) -> list[Organisation]:
        """The organisations of all catalogues, by id."""
        return [
            _record(Organisation, row)
            for row in _dicts(self._ours("FROM core.organisations ORDER BY org_id"))
        ]

    def participant_records(self) -> list[Participant]:
        """Organisations in EU projects, by id."""
        return [_record(Participant, row) for row in _dicts(self.participants())]

    def health(self) -> list[SourceHealth]:
        """How each source did in the run."""
        return [_record(SourceHealth, row) for row in _dicts(self.sources())]

    def source_rows(self) -> dict[str, dict[str, Any]]:
        """The rows of `sources` by source, ready for JSON: moments as ISO text."""
        rows = _dicts(self.sources())
        for row in rows:
            row["last_good_at"] = row["last_good_at"].isoformat() if row["last_good_at"] else None
        return {row["source"]: row for row in rows}

    def latest_run(self) -> Run | None:
        """The newest run, or None in a warehouse without one."""
        found = _dicts(self._ours("FROM mart.latest_run"))
        return _record(Run, found[0]) if found else None

    def run_ids(self) -> frozenset[str]:
        """All runs that were published."""
        return frozenset(run_id for (run_id,) in self._ours("SELECT run_id FROM core.runs").fetchall())

    def day(self) -> date:
        """The day that the newest run counts as today. Raises UnknownDay in a warehouse without one."""
        last = self.latest_run()
        if last is None:
            raise UnknownDay("the warehouse holds no run yet; make one with: fundmatch run")
        return last.as_of

    def topics(self) -> Relation:
        """Topics of earlier calls, by id: topic_id, title, keywords."""
        return self._ours("SELECT * FROM core.topics ORDER BY topic_id")

    def projects(self, before: date) -> Relation:
        """EU projects signed before a day, by id: project_id, title, objective, topic, action, signed_on.

        A project whose day of signature is not stated is not known to be signed before any day.
        """
        return self._ours("SELECT * FROM core.projects WHERE signed_on < ? ORDER BY project_id", [before])

    def participations(self, before: date) -> Relation:
        """Who took part in the projects signed before a day: project_id, org_id, role, eur, topic,
        signed_on."""
        return self._ours(
            "SELECT s.project_id, s.org_id, s.role, s.eur, p.topic, p.signed_on "
            "FROM core.participations AS s JOIN core.projects AS p USING (project_id) "
            "WHERE p.signed_on < ? ORDER BY project_id, org_id",
            [before],
        )

    def participants(self) -> Relation:
        """Organisations in EU projects, by id: org_id, name, country, nuts, place, activity, sme."""
        return self._ours("SELECT * FROM core.participants ORDER BY org_id")

    def project_records(self, pics: Sequence[str], before: date) -> dict[str, list[Project]]:
        """Organisation → the projects that it took part in, signed before a day, oldest first.

        `pics` are organisation codes; one without such a project is left out.
        """
        found = self._ours(
            "SELECT s.org_id, p.* FROM core.participations AS s JOIN core.projects AS p USING (project_id) "
            "WHERE list_contains(?, s.org_id) AND p.signed_on < ? ORDER BY org_id, signed_on, project_id",
            [list(pics), before],
        )
        records: dict[str, list[Project]] = {}
        for row in _dicts(found):
            records.setdefault(row["org_id"], []).append(_record(Project, row))
        return records


def open_records(path: Path | str | None = None) -> Records:
    """Open the published warehouse for records; the path and the errors are those of `open_warehouse`."""
    return Records(connect(path))


def _dicts(relation: Relation) -> list[dict[str, Any]]:
    names = relation.columns
    return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def _record(model: type[R], row: dict[str, Any]) -> R:
    """A model out of a row that may have more columns; JSON columns come as text."""
    values = {name: row[name] for name in model.model_fields}
    if isinstance(values.get("fields"), str):
        values["fields"] = json.loads(values["fields"])
    for contradiction in values.get("contradictions") or ():
        for claim in contradiction["claims"]:
            claim["value"] = json.loads(claim["value"] or "null")
    return model.model_validate(values)
