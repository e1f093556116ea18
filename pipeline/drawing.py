"""Drawings as plain numbers for an SVG: a map of the north, a heat map of themes, a consortium's network.

Positions are in the drawing's own units; whatever text they carry is escaped by the template that draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.organisations import Known
from pipeline.places import outlines, points
from pipeline.regions import ThemeGap

WIDTH, HEIGHT = 620.0, 480.0
_NORTH, _WEST, _SCALE = 53.50, 5.28, 510.0  # degrees at the map's corner, units a degree of latitude
_ASPECT = math.cos(math.radians(53.1))
RING = 7.0  # units between dots that share a place


@dataclass(frozen=True)
class Dot:
    """An organisation on the map."""

    x: float
    y: float
    label: str
    kind: str  # lab or company


@dataclass(frozen=True)
class Map:
    """The north: outlines as SVG paths with the place of their name, and dots."""

    provinces: Sequence[tuple[str, str, float, float]]
    dots: Sequence[Dot]
    unplaced: Sequence[str]  # names whose place is not known


@dataclass(frozen=True)
class Cell:
    """A square of the heat map: `shade` from 0 to 1 within its column."""

    text: str
    shade: float
    alarm: bool = False


@dataclass(frozen=True)
class Node:
    """A member on the ring of a network."""

    x: float
    y: float
    label: str
    lead: bool


@dataclass(frozen=True)
class Line:
    """Two members that were in projects together."""

    x: float
    y: float
    to_x: float
    to_y: float
    projects: int


def map_of(organisations: Iterable[tuple[Known, str]]) -> Map:
    """Organisations with what they are (lab, company) on the map of the north, side by side where they share
    a place."""
    provinces = []
    for name, line in outlines().items():
        spots = [_spot(point) for point in line]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in spots) + " Z"
        middle = sum(x for x, _ in spots) / len(spots), sum(y for _, y in spots) / len(spots)
        provinces.append((name, path, round(middle[0], 1), round(middle[1], 1)))
    taken: dict[tuple[float, float], int] = {}
    dots, unplaced = [], []
    for known, kind in organisations:
        spots = [_spot(point) for point in points(known.place)]
        inside = [(x, y) for x, y in spots if 0 <= x <= WIDTH and 0 <= y <= HEIGHT]
        if not inside:
            unplaced.append(known.name)
        for spot in inside:
            number = taken[spot] = taken.get(spot, -1) + 1
            x, y = _beside(spot, number)
            dots.append(Dot(round(x, 1), round(y, 1), known.name, kind))
    return Map(provinces, dots, unplaced)


def heat_of(themes: Sequence[ThemeGap]) -> list[tuple[ThemeGap, list[Cell]]]:
    """A row a theme: open calls, their stated money, companies that ask, labs, companies, hubs elsewhere."""
    rows = [
        (
            float(len(theme.calls)),
            theme.budget_eur or 0.0,
            float(len(theme.asked)),
            float(len(theme.labs)),
            float(len(theme.companies)),
            float(len(theme.elsewhere)),
        )
        for theme in themes
    ]
    most = [max((row[column] for row in rows), default=0.0) for column in range(6)]
    found = []
    for theme, row in zip(themes, rows, strict=True):
        cells = []
        for column, value in enumerate(row):
            shade = math.log1p(value) / math.log1p(most[column]) if most[column] else 0.0
            text = _millions(theme.budget_eur) if column == 1 else (f"{value:.0f}" if value else "")
            cells.append(Cell(text, round(shade, 3), alarm=column == 3 and theme.gap))
        found.append((theme, cells))
    return found


def network_of(
    members: Sequence[Known], together: Mapping[tuple[str, str], int], lead: str | None
) -> tuple[list[Node], list[Line]]:
    """Members on a ring, and a line between those that were in projects together."""
    spots: dict[str, tuple[float, float]] = {}
    for number, member in enumerate(members):
        turn = 2 * math.pi * number / max(len(members), 1) - math.pi / 2
        spots[member.org_id] = (300.0 + 190.0 * math.cos(turn), 130.0 + 95.0 * math.sin(turn))
    nodes = [
        Node(round(spots[m.org_id][0], 1), round(spots[m.org_id][1], 1), m.name, m.org_id == lead)
        for m in members
    ]
    lines = []
    for (one, other), count in sorted(together.items()):
        if one in spots and other in spots:
            (x, y), (to_x, to_y) = spots[one], spots[other]
            lines.append(Line(round(x, 1), round(y, 1), round(to_x, 1), round(to_y, 1), count))
    return nodes, lines


def _spot(point: tuple[float, float]) -> tuple[float, float]:
    lat, lon = point
    return (lon - _WEST) * _ASPECT * _SCALE, (_NORTH - lat) * _SCALE


def _beside(spot: tuple[float, float], number: int) -> tuple[float, float]:
    """The first on the spot, the others in rings of six, twelve and so on around it."""
    ring, first = 0, 0
    while number - first >= max(6 * ring, 1):
        first += max(6 * ring, 1)
        ring += 1
    turn = 2 * math.pi * (number - first) / max(6 * ring, 1)
    return spot[0] + RING * 2 * ring * math.cos(turn), spot[1] + RING * 2 * ring * math.sin(turn)


def _millions(euros: float | None) -> str:
    if euros is None:
        return ""
    return f"{euros / 1e6:,.1f}" if euros < 1e7 else f"{euros / 1e6:,.0f}"
