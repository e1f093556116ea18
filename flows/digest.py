"""Digest previews: each profile's first mail as an HTML and a text file, and a page that lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from flows.home import Home, write_whole
from flows.partners.organisations import proposable
from pipeline.digest import Edition, compose, contents, helpers_of
from pipeline.news import Week, news
from pipeline.schema import Call, Match, Profile, SourceHealth, Wishes


def week_of(as_of: date) -> str:
    """The ISO week of a day, as 2026-W25."""
    year, number, _ = as_of.isocalendar()
    return f"{year}-W{number:02d}"


def write_previews(
    home: Home,
    profiles: Sequence[Profile],
    matches_of: Callable[[str], Sequence[Match]],
    calls: Sequence[Call],
    health: Sequence[SourceHealth],
    as_of: date,
) -> Path:
    """Write `<home>/digests/<week>/<profile>.html`, `.txt` and `index.html`; returns that folder.

    A preview is what a reader of the profile would get who was told nothing yet. `matches_of` gives a
    profile's matches by its id, best first.
    """
    folder = home.digests / week_of(as_of)
    by_id = {call.call_id: call for call in calls}
    labs = proposable(home, [p for p in profiles if p.kind not in ("sme", "large_company")])
    helpers = helpers_of(labs, [match for lab in labs for match in matches_of(lab.id)])
    edition = Edition(Week(as_of, by_id, frozenset(by_id)), health, helpers)
    subjects = {}
    for profile in profiles:
        found = news(profile.id, matches_of(profile.id), (), Wishes(), edition.week)
        mail = compose(profile, found, edition, Wishes())
        subjects[profile.id] = mail.subject
        write_whole(folder / f"{profile.id}.html", mail.html)
        write_whole(folder / f"{profile.id}.txt", f"{mail.subject}\n\n{mail.text}")
    write_whole(folder / "index.html", contents(profiles, subjects, as_of))
    return folder
