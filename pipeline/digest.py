"""One reader's weekly mail, composed: a subject, HTML that mail clients keep, and a text written for itself.

Wording is in `templates/words.yml`, form in `templates/digest.*.j2`. Texts from profiles and calls are
hostile: the HTML escapes them, addresses that are not http(s) are no links, lines stay lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import css_inline
from jinja2 import BaseLoader, Environment, StrictUndefined, select_autoescape

from pipeline.deadlines import next_deadline, on
from pipeline.reasons import is_close
from pipeline.schema import Call, Match, Profile, SourceHealth
from pipeline.wording import (
    Words,
    day_in_words,
    deadline_in_words,
    line,
    money_in_words,
    readiness_in_words,
    web_address,
    wording,
)

SHOWN = 5  # matches a mail tells in full: more are not read
FURTHER = 3  # loosely related ones it names below
_FOLDER = files("pipeline").joinpath("templates")


@dataclass(frozen=True)
class Mail:
    """A composed mail: one line, an HTML document, and lines of plain text."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Item:
    """One call as a reader sees it; every text is in the reader's language or quoted from the call."""

    title: str
    url: str | None
    origin: str  # programme, level, kind of call, and whether it was marked relevant
    deadline: str
    days_left: str  # empty where no deadline is stated
    soon: bool
    facts: tuple[tuple[str, str], ...]  # (label, words)
    verdict: str
    questions: tuple[tuple[str, str | None], ...]  # (question, clause of the call)
    reason: str
    evidence: tuple[tuple[str, str], ...]  # (the profile's words, the call's words)
    standing: str  # what the percentile means, in words
    close: bool  # in meaning, or by the reader's own mark; else only loosely related


def compose(
    profile: Profile,
    matches: Sequence[Match],
    calls: Mapping[str, Call],
    health: Sequence[SourceHealth],
    as_of: date,
) -> Mail:
    """The mail for `profile` out of its `matches`, which are those it may be shown, best first.

    The first that are close in meaning are told in full, some that are loosely related by name only.
    `calls` are by id and hold every matched call. Sources that could not be read are told of. A call that was
    marked not-for-us is in no mail.
    """
    words = wording(profile.language)
    wanted = [match for match in matches if match.feedback != "not-for-us"]
    items = [_item(match, calls[match.call_id], words, as_of) for match in wanted]
    shown = [item for item in items if item.close][:SHOWN]
    further = [item for item in items if not item.close][:FURTHER]
    count = words["counts"][min(len(shown), 2)].format(count=len(shown))
    week = as_of.isocalendar().week
    subject = words["subject"].format(count=count, name=line(profile.name), week=week)
    view = {
        "name": line(profile.name),
        "profile": profile,
        "items": shown,
        "further": further,
        "more": len(items) > len(shown) + len(further),
        "notices": [_notice(source, words) for source in health if source.state in ("broken", "partial")],
        "day": day_in_words(as_of, words),
        "subject": subject,
        "words": words,
    }
    html = _templates().get_template("digest.html.j2").render(view)
    text = _templates().get_template("digest.txt.j2").render(view)
    return Mail(subject, _inliner().inline(html), text)


def contents(profiles: Sequence[Profile], subjects: Mapping[str, str], as_of: date) -> str:
    """An HTML page that links to each profile's preview, `<id>.html`; `subjects` are by profile id."""
    page = _templates().get_template("index.html.j2")
    return page.render(profiles=profiles, subjects=subjects, as_of=as_of, week=as_of.isocalendar().week)


def _notice(source: SourceHealth, words: Words) -> str:
    """That a source could not be read, and how old what is shown of it is."""
    seen = source.last_good_at
    kind = "partial" if source.state == "partial" else "old" if seen else "missing"
    return str(
        words["broken"][kind].format(
            source=source.source, day=day_in_words(seen.date(), words) if seen else ""
        )
    )


def _item(match: Match, call: Call, words: Words, as_of: date) -> Item:
    ahead = next_deadline(call, as_of)
    left = (on(ahead) - as_of).days if ahead else None
    kind = words["kinds"].get(call.kind)
    issuer = next((document.issuer for document in call.documents if document.issuer), None)
    marked = words["marked"] if match.feedback == "relevant" else None
    programme = call.programme or issuer or words["programme_unknown"]
    origin = [programme, words["levels"][call.level], kind, marked]
    return Item(
        title=line(call.title),
        url=web_address(call.url),
        origin=line(" · ".join(part for part in origin if part)),
        deadline=deadline_in_words(call, ahead, words),
        days_left=words["days_left"][min(left, 2)].format(days=left) if left is not None else "",
        soon=left is not None and left <= 21,
        facts=_facts(call, words),
        verdict=words["verdicts"][match.eligibility.verdict],
        questions=_questions(match, words),
        reason=line(" ".join(match.reasons)),
        evidence=tuple((line(e.profile_text), line(e.call_text)) for e in match.evidence[:1]),
        standing=words["standing"]["best" if match.percentile == 100 else "better"].format(
            percent=int(match.percentile)
        ),
        close=is_close(match) or match.feedback == "relevant",
    )


def _facts(call: Call, words: Words) -> tuple[tuple[str, str], ...]:
    labels = words["labels"]
    action = [(labels["action"], line(call.type_of_action))] if call.type_of_action else []
    levels = readiness_in_words(call, words)
    ready = [(labels["trl"], levels)] if levels else []
    parent = [(labels["parent"], line(call.parent_topic))] if call.parent_topic else []
    return ((labels["money"], money_in_words(call, words)), *action, *ready, *parent)


def _questions(match: Match, words: Words) -> tuple[tuple[str, str | None], ...]:
    """What the call says about applying, in its own words, what shuts out first; then in one line what it
    does not state. A bare amount says nothing that the money does not say."""
    rules = sorted(match.eligibility.rules, key=lambda rule: rule.verdict != "fail")
    rules = [rule for rule in rules if rule.verdict != "pass"]
    clauses = [(words["questions"][r.rule]["said"], line(r.clause)) for r in rules if r.clause]
    said = [(label, clause) for label, clause in clauses if any(c.isalpha() for c in clause)]
    silent = [words["questions"][r.rule]["silent"] for r in rules if not r.clause]
    silence = words["silence"].format(things=", ".join(silent))
    return (*said, *([(silence, None)] if silent else []))


class _Packaged(BaseLoader):
    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        return _FOLDER.joinpath(template).read_text("utf-8"), template, lambda: True


@cache
def _templates() -> Environment:
    return Environment(
        loader=_Packaged(),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _inliner() -> css_inline.CSSInliner:
    # dark mode and small screens live in at-rules, which cannot be inlined and so stay in the head
    return css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)
