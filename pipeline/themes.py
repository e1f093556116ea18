"""The themes of the region's industry, from `themes.yml`, and those a call names in title or keywords."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files

import yaml

from pipeline.schema import Call


@cache
def themes() -> dict[str, dict[str, list[str]]]:
    """Slug → language → terms, the label first."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(
        files("pipeline").joinpath("themes.yml").read_text("utf-8")
    )
    return found


def named_themes(call: Call) -> dict[str, str]:
    """Theme → the call's own words that name it, in order of the themes; its long texts are not asked."""
    return themes_in("\n".join([call.title, call.call_title or "", *call.keywords]))


def themes_in(text: str, among: Collection[str] | None = None) -> dict[str, str]:
    """Theme → the words of a text that name it first, in order of the themes; of all, or of those given."""
    patterns = _patterns()
    asked = patterns if among is None else [theme for theme in patterns if theme in among]
    return {theme: match[0] for theme in asked if (match := patterns[theme].search(text))}


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Each theme's terms as whole words, in any case, with any space or hyphen between their words."""
    found = {}
    for theme, spoken in themes().items():
        terms = sorted({term for terms in spoken.values() for term in terms}, key=lambda t: (-len(t), t))
        wordings = ("[ -]+".join(map(re.escape, re.split(r"[ -]+", term))) for term in terms)
        found[theme] = re.compile(rf"(?<!\w)(?:{'|'.join(wordings)})(?!\w)", re.IGNORECASE)
    return found
