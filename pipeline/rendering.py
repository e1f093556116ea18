"""Templates of mails and pages. Styles are inlined once, into the template: a mail costs its rendering alone.

Texts from calls, profiles and readers are escaped in HTML; a text template must not be given more than lines.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import css_inline
from jinja2 import BaseLoader, Environment, StrictUndefined, select_autoescape

_FOLDER = files("pipeline").joinpath("templates")
_STYLED = "<style></style>"  # where a template of a mail gets the styles of mails
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_MARK = re.compile(r"<!--\ue000(\d+)\ue001-->|\ue000(\d+)\ue001")


class TemplateError(Exception):
    """A template cannot be styled as it is written; the message names the spot."""


def render(name: str, view: dict[str, Any]) -> str:
    """The template `name` of `pipeline/templates`, filled. Raises UndefinedError for what `view` lacks."""
    return environment().get_template(name).render(view)


def styled(template: str, css: str) -> str:
    """A mail's template with its styles inlined; at-rules, for dark mode and small screens, stay in the head.

    Jinja's tags are put aside while the HTML is parsed: statements as comments, which may stand anywhere
    between elements, expressions as characters of the private use area, which may stand in texts and values.
    Raises TemplateError for a statement inside a tag, whose place a parser would lose.
    """
    tags: list[str] = []

    def aside(found: re.Match[str]) -> str:
        tags.append(found[0])
        if found[0].startswith("{{"):
            return f"\ue000{len(tags) - 1}\ue001"
        return f"<!--\ue000{len(tags) - 1}\ue001-->"

    html = _TAG.sub(aside, template)
    if inside := re.search(r"<[a-z][^<>]*<!--\ue000(\d+)", html):
        raise TemplateError(f"a statement inside a tag cannot be styled: {tags[int(inside[1])]}")
    inlined = _inliner().inline(html.replace(_STYLED, f"<style>{css}</style>"))
    marks = [int(mark[1] or mark[2]) for mark in _MARK.finditer(inlined)]
    if sorted(marks) != list(range(len(tags))):
        raise TemplateError("a tag of the template was lost while styling it")
    return _MARK.sub(lambda mark: tags[int(mark[1] or mark[2])], inlined)


class _Packaged(BaseLoader):
    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        source = _FOLDER.joinpath(template).read_text("utf-8")
        if _STYLED in source:
            source = styled(source, _FOLDER.joinpath("mail.css").read_text("utf-8"))
        return source, template, lambda: True


@cache
def environment() -> Environment:
    """The environment that all templates are rendered in."""
    return Environment(
        loader=_Packaged(),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
