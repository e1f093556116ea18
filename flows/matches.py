"""Matches as a command shows them: those of the latest run with what was said since, or made on the spot."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from flows.feedback import read
from flows.home import Home
from flows.terminal import print_issues
from pipeline.feedback import marks, placed
from pipeline.schema import Call, Feedback, Match, Profile

if TYPE_CHECKING:
    from warehouse.records import Records


def marks_of(home: Home, warehouse: Records) -> dict[str, dict[str, Feedback]]:
    """What each profile says of calls; lines of the home's feedback that cannot be read are told."""
    found, issues = read(home)
    print_issues(issues)
    return marks(found, warehouse.call_records()) if found else {}


def matches_of(home: Home, warehouse: Records, profiles: list[Profile]) -> list[Match]:
    """Matches of the latest run, with the feedback of this moment on them."""
    told = marks_of(home, warehouse)
    return [m for p in profiles for m in placed(warehouse.match_records(p.id), told.get(p.id, {}))]


def match_text(
    home: Home, warehouse: Records, text: str, language: str, model: str | None, as_of: date
) -> list[Match]:
    """The matches of a text of the moment, which has no feedback and no history."""
    from flows.corpus import corpus, encoder_for

    about = {"id": "text", "name": "text", "kind": "sme", "label": "example"}
    profile = Profile.model_validate(about | {"language": language, "description": text})
    calls = warehouse.call_records(open_only=True)
    return corpus(calls, encoder_for(home, model), home, as_of).rank(profile, as_of)


def match_call(
    home: Home, warehouse: Records, profile: Profile, call: Call, model: str | None, as_of: date
) -> Match | None:
    """A match that was not kept, since fifty fit better, made again; None where the call is not open."""
    from flows.corpus import corpus, encoder_for, memory_of

    encoder, calls = encoder_for(home, model), warehouse.call_records(open_only=True)
    memory = memory_of(warehouse, [profile], read(home)[0], calls, encoder, as_of)
    found = corpus(calls, encoder, home, as_of, memory).rank(profile, as_of, also={call.call_id})
    return next((match for match in found if match.call_id == call.call_id), None)
