"""Closed lists: the words and codes that sources print, and our terms for them (`vocabulary.yml`)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml


@cache
def vocabulary() -> dict[str, dict[str, str]]:
    """List name → printed word (lower case) → our term."""
    lists = yaml.safe_load(files("pipeline").joinpath("vocabulary.yml").read_text("utf-8"))
    return {
        name: {word.lower(): term for term, words in terms.items() for word in words}
        for name, terms in lists.items()
    }


def term(vocabulary_list: str, printed: str | None) -> str | None:
    """Our term for a printed word or code; None where the list does not know it."""
    return vocabulary()[vocabulary_list].get((printed or "").strip().rstrip(".!").lower())
