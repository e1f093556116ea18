"""Where places are, and how far from one another, from `places.yml`; unknown where a place is not in it."""

from __future__ import annotations

import math
import re
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Point = tuple[float, float]  # latitude and longitude in degrees
EARTH = 6371.0  # km, mean radius


def points(place: str | None) -> tuple[Point, ...]:
    """The places that a text names: "Groningen, Drachten" are two, an address is its town.

    A site within a town stands for it: "Zernike Campus, Groningen" is one.
    """
    found = [match[0].casefold() for match in _names().finditer(place or "")]
    known = _places()
    return tuple(known[name] for name in dict.fromkeys(found))


def distance(one: str | None, other: str | None) -> float | None:
    """Kilometres as the crow flies between the nearest points of two places; None where one is unknown."""
    pairs = [_between(a, b) for a in points(one) for b in points(other)]
    return min(pairs, default=None)


def outlines() -> dict[str, tuple[Point, ...]]:
    """The provinces of the north as simplified outlines."""
    return {name: tuple((lat, lon) for lat, lon in line) for name, line in _listed()["outlines"].items()}


def _between(one: Point, other: Point) -> float:
    """The haversine formula (Sinnott 1984)."""
    (lat, lon), (to_lat, to_lon) = (tuple(map(math.radians, point)) for point in (one, other))
    part = (
        math.sin((to_lat - lat) / 2) ** 2
        + math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    )
    return 2 * EARTH * math.asin(math.sqrt(part))


@cache
def _places() -> dict[str, Point]:
    return {name.casefold(): (float(lat), float(lon)) for name, (lat, lon) in _listed()["places"].items()}


@cache
def _listed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files("pipeline").joinpath("places.yml").read_text("utf-8"))
    return found


@cache
def _names() -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, _places()), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE)
