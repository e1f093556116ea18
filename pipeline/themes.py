"""The themes of the region's industry, from `themes.yml`, and those a call names in title or keywords."""

from __future__ import annotations

import re
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
    told = "\n".join([call.title, call.call_title or "", *call.keywords])
    found = {}
    for theme, pattern in _patterns().items():
        if match := pattern.search(told):
            found[theme] = match[0]
    return found


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Each theme's terms as whole words, in any case, with any space or hyphen between their words."""
    found = {}
    for theme, spoken in themes().items():
        terms = sorted({term for terms in spoken.values() for term in terms}, key=lambda t: (-len(t), t))
        wordings = ("[ -]+".join(map(re.escape, re.split(r"[ -]+", term))) for term in terms)
        found[theme] = re.compile(rf"(?<!\w)(?:{'|'.join(wordings)})(?!\w)", re.IGNORECASE)
    return found
