"""What labs and hubs offer: the four services of hubs by their words, and the catalogue's terms as themes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

Service = Literal["test", "skills", "finance", "network"]
SERVICES: tuple[Service, ...] = ("test", "skills", "finance", "network")


def of_text(offer: str) -> tuple[Service, ...]:
    """The services that an offer's words name; none where they name none."""
    return tuple(service for service in SERVICES if _words()[service].search(offer))


def of_catalogue(names: Iterable[str]) -> tuple[Service, ...]:
    """The services that the catalogue's names stand for."""
    given = set(names)
    return tuple(s for s in SERVICES if given & set(_listed()["services"][s]["catalogue"]))


def themes_of_catalogue(names: Iterable[str]) -> tuple[str, ...]:
    """The themes that the catalogue's technologies and sectors stand for."""
    known = _listed()["themes"]
    return tuple(dict.fromkeys(known[name] for name in names if name in known))


@cache
def _listed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files("pipeline").joinpath("offers.yml").read_text("utf-8"))
    return found


@cache
def _words() -> dict[Service, re.Pattern[str]]:
    listed = _listed()["services"]
    return {
        service: re.compile(rf"\b(?:{'|'.join(listed[service]['words'].split())})\b", re.IGNORECASE)
        for service in SERVICES
    }
