"""One reader's weekly mail, composed: a subject, HTML that mail clients keep, and a text written for itself.

Wording is in `templates/words.yml`, form in `templates/digest.*.j2`. Texts from profiles and calls are
hostile: the HTML escapes them, addresses that are not http(s) are no links, lines stay lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
import yaml
from jinja2 import BaseLoader, Environment, StrictUndefined, select_autoescape

from pipeline.deadlines import day_of, disputed_deadlines, next_deadline, on
from pipeline.reasons import is_close
from pipeline.schema import Call, Deadline, Match, Profile, SourceHealth

SHOWN = 5  # matches a mail tells in full: more are not read
FURTHER = 3  # loosely related ones it names below
READERS_ZONE = ZoneInfo("Europe/Amsterdam")
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
    words = _words()[profile.language]
    wanted = [match for match in matches if match.feedback != "not-for-us"]
    items = [_item(match, calls[match.call_id], words, as_of) for match in wanted]
    shown = [item for item in items if item.close][:SHOWN]
    further = [item for item in items if not item.close][:FURTHER]
    count = words["counts"][min(len(shown), 2)].format(count=len(shown))
    week = as_of.isocalendar().week
    subject = words["subject"].format(count=count, name=_line(profile.name), week=week)
    view = {
        "name": _line(profile.name),
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


def _notice(source: SourceHealth, words: dict[str, Any]) -> str:
    """That a source could not be read, and how old what is shown of it is."""
    seen = source.last_good_at
    kind = "partial" if source.state == "partial" else "old" if seen else "missing"
    return str(
        words["broken"][kind].format(
            source=source.source, day=day_in_words(seen.date(), words) if seen else ""
        )
    )


def _item(match: Match, call: Call, words: dict[str, Any], as_of: date) -> Item:
    ahead = next_deadline(call, as_of)
    left = (on(ahead) - as_of).days if ahead else None
    kind = words["kinds"].get(call.kind)
    issuer = next((document.issuer for document in call.documents if document.issuer), None)
    marked = words["marked"] if match.feedback == "relevant" else None
    programme = call.programme or issuer or words["programme_unknown"]
    origin = [programme, words["levels"][call.level], kind, marked]
    return Item(
        title=_line(call.title),
        url=call.url if call.url.startswith(("https://", "http://")) else None,
        origin=_line(" · ".join(part for part in origin if part)),
        deadline=_deadline_in_words(call, ahead, words),
        days_left=words["days_left"][min(left, 2)].format(days=left) if left is not None else "",
        soon=left is not None and left <= 21,
        facts=_facts(call, words),
        verdict=words["verdicts"][match.eligibility.verdict],
        questions=_questions(match, words),
        reason=_line(" ".join(match.reasons)),
        evidence=tuple((_line(e.profile_text), _line(e.call_text)) for e in match.evidence[:1]),
        standing=words["standing"]["best" if match.percentile == 100 else "better"].format(
            percent=int(match.percentile)
        ),
        close=is_close(match) or match.feedback == "relevant",
    )


def _deadline_in_words(call: Call, ahead: Deadline | None, words: dict[str, Any]) -> str:
    """The deadline that counts now, its role, and its hour in the reader's zone where one is stated."""
    spent = f", {words['until_spent']}" if call.until_spent else ""
    spent += f"; {words['opening_unknown']}" if call.status == "unknown" else ""
    if ahead is None:
        disputed = disputed_deadlines(call)
        if disputed:
            claims = " / ".join(f"“{_line(claim.printed)}”" for claim in disputed.claims)
            return str(words["disputed"].format(claims=claims))
        return f"{words['rolling'] if call.rolling else words['no_deadline']}{spent}"
    at = ahead.at
    if isinstance(at, datetime):
        at = at.astimezone(READERS_ZONE)
        hour = f", {at:%H:%M} ({at:%Z})"
    else:
        hour = f" ({words['hour_unknown']})"
    role = words["roles"].get(ahead.kind, "")
    later = [day_in_words(on(d), words) for d in call.deadlines if on(d) > on(ahead)]
    then = f"; {words['then']} {', '.join(later)}" if later else ""
    return f"{role}{day_in_words(day_of(at), words)}{hour}{spent}{then}"


def _facts(call: Call, words: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    labels = words["labels"]
    action = [(labels["action"], _line(call.type_of_action))] if call.type_of_action else []
    levels = readiness_in_words(call, words)
    ready = [(labels["trl"], levels)] if levels else []
    parent = [(labels["parent"], _line(call.parent_topic))] if call.parent_topic else []
    return ((labels["money"], money_in_words(call, words)), *action, *ready, *parent)


def readiness_in_words(call: Call, words: dict[str, Any]) -> str:
    """The TRL span, open where the call states only one end; empty where it states none."""
    least, most = call.trl_min, call.trl_max
    if least and most:
        return str(least) if least == most else f"{least}–{most}"
    which = "from" if least else "to"
    return str(words["trl"][which].format(level=least or most)) if least or most else ""


def money_in_words(call: Call, words: dict[str, Any]) -> str:
    """Grant, budget and rate, each only where the source states it."""
    said = words["money"]
    parts = []
    least, most = call.grant_min_eur, call.grant_max_eur
    if least and most and least != most:
        parts.append(
            said["grant_range"].format(least=euros_in_words(least, words), most=euros_in_words(most, words))
        )
    elif least or most:
        which = "grant" if least and most else "grant_max" if most else "grant_min"
        parts.append(said[which].format(amount=euros_in_words(most or least or 0.0, words)))
    if call.budget_total_eur:
        which = "budget_for" if call.expected_grants else "budget"
        budget = euros_in_words(call.budget_total_eur, words)
        parts.append(said[which].format(amount=budget, grants=call.expected_grants))
    elif call.call_budget_total_eur:
        parts.append(said["pot"].format(amount=euros_in_words(call.call_budget_total_eur, words)))
    if call.remaining_budget_eur is not None:
        parts.append(said["remaining"].format(amount=euros_in_words(call.remaining_budget_eur, words)))
    if call.eligible_costs_min_eur:
        parts.append(said["costs_min"].format(amount=euros_in_words(call.eligible_costs_min_eur, words)))
    if call.funding_rate:
        parts.append(said["rate"].format(percent=f"{call.funding_rate * 100:g}"))
    if call.funding_rate_sme and call.funding_rate_sme != call.funding_rate:
        parts.append(said["rate_sme"].format(percent=f"{call.funding_rate_sme * 100:g}"))
    if call.own_contribution_min_rate:
        parts.append(said["own"].format(percent=f"{call.own_contribution_min_rate * 100:g}"))
    return "; ".join(parts) or str(said["unknown"])


def euros_in_words(amount: float, words: dict[str, Any]) -> str:
    """An amount to the euro: whole thousands above a million in millions, the rest in digits."""
    whole = round(amount)
    if whole >= 1_000_000 and whole % 1_000 == 0:
        digits, unit = f"{whole / 1e6:.3f}".rstrip("0").rstrip("."), f" {words['million']}"
    else:
        digits, unit = f"{whole:,}", ""
    if words["decimal"] == ",":
        digits = digits.translate(str.maketrans(",.", ".,"))
    return f"€ {digits}{unit}"


def day_in_words(day: date, words: dict[str, Any]) -> str:
    """A day as 15 June 2026."""
    return f"{day.day} {words['months'][day.month - 1]} {day.year}"


def _questions(match: Match, words: dict[str, Any]) -> tuple[tuple[str, str | None], ...]:
    """What the call says about applying, in its own words, what shuts out first; then in one line what it
    does not state. A bare amount says nothing that the money does not say."""
    rules = sorted(match.eligibility.rules, key=lambda rule: rule.verdict != "fail")
    rules = [rule for rule in rules if rule.verdict != "pass"]
    clauses = [(words["questions"][r.rule]["said"], _line(r.clause)) for r in rules if r.clause]
    said = [(label, clause) for label, clause in clauses if any(c.isalpha() for c in clause)]
    silent = [words["questions"][r.rule]["silent"] for r in rules if not r.clause]
    silence = words["silence"].format(things=", ".join(silent))
    return (*said, *([(silence, None)] if silent else []))


def _line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


@cache
def _words() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(_FOLDER.joinpath("words.yml").read_text("utf-8"))
    return found


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
