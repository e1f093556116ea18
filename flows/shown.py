"""What a run shows on Prefect's pages: tables of plain text, for they would take markup for what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deadlines import next_deadline, on
from pipeline.wording import line

if TYPE_CHECKING:
    from flows.weekly import WeeklyRun

LONGEST = 200  # characters of a cell
_MARKUP = str.maketrans(dict.fromkeys("<>[]()|`*_#!\\", " "))
Rows = list[dict[str, str | int | float | None]]


def sources_shown(run: WeeklyRun) -> Rows:
    """A row a source."""
    return [
        {
            "source": source.source,
            "state": source.state,
            "records": source.records,
            "stale": source.stale,
            "last good": source.last_good_at.date().isoformat() if source.last_good_at else "never",
            "what is wrong": plain(source.detail or ""),
        }
        for source in run.health
    ]


def stages_shown(run: WeeklyRun) -> Rows:
    """A row a stage."""
    return [{"stage": s.name, "seconds": round(s.seconds, 1), "items": s.items} for s in run.stages]


def matches_shown(run: WeeklyRun) -> Rows:
    """The best matches of the first profiles."""
    calls = {call.call_id: call for call in run.calls}
    rows: Rows = []
    for profile_id, matches in run.best.items():
        for match in matches:
            call = calls[match.call_id]
            ahead = next_deadline(call, run.as_of)
            rows.append(
                {
                    "profile": profile_id,
                    "rank": match.rank,
                    "call": plain(call.title),
                    "deadline": on(ahead).isoformat() if ahead else "not stated",
                    "may apply": match.eligibility.verdict,
                    "score": match.score,
                }
            )
    return rows


def plain(text: str) -> str:
    """Scraped text that no page takes for markup or a link."""
    return " ".join(line(text).replace("://", ": ").translate(_MARKUP).split())[:LONGEST]
