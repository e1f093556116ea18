"""Calls and matches as cards that a notebook shows: HTML that stands alone, without scripts or remote parts.

All texts are hostile: they are escaped and shown on one line, and only http(s) addresses are links. What a
source does not state is told as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.deadlines import day_of, disputed_deadlines, next_deadline, on
from pipeline.prose import cut
from pipeline.schema import Call, Deadline, Match, Profile, Rule
from pipeline.wording import (
    READERS_ZONE,
    day_in_words,
    deadline_in_words,
    line,
    money_in_words,
    readiness_in_words,
    web_address,
    wording,
)

SOON = 21  # days
QUOTED = 320  # characters of a source's words that a card shows
NOT_STATED = "not stated by the source"
_FOLDER = files("warehouse").joinpath("templates")
_WORDS = wording("en")
_MARKS = {"pass": "✓", "fail": "✗", "unknown": "?"}
_ROLES = {
    "page": "Page",
    "regulation": "Regulation",
    "opening": "Opening decision",
    "amendment": "Amendment",
    "ceiling": "Ceiling decision",
}


@dataclass(frozen=True)
class Card:
    """What a notebook shows as rich HTML, and a terminal as lines of text."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Fact:
    """One thing that a call states, or that it does not (`words` then says so), in its own words beside."""

    label: str
    words: str
    stated: bool
    printed: tuple[str, ...] = ()


def call_card(call: Call, as_of: date, note: str = "") -> Card:
    """All that is known of a call on a day; `note` stands above it."""
    return _card(call, as_of, note, match=None)


def match_card(profile: Profile, call: Call, match: Match, as_of: date) -> Card:
    """Why a call fits a profile with the sentences of both, who may apply, and what is known of the call."""
    standing = _WORDS["standing"]["best" if match.percentile == 100 else "better"].format(
        percent=int(match.percentile)
    )
    verdict = _WORDS["verdicts"][match.eligibility.verdict]
    reasons = [quoted(reason) for reason in match.reasons]
    note = f"For {quoted(profile.name)}: {standing} (rank {match.rank}). May it apply? {verdict}."
    return _card(
        call,
        as_of,
        "\n".join([note, *(f"- {reason}" for reason in reasons)]),
        match=match,
        profile=profile,
        standing=standing,
        verdict=verdict,
        mark=_MARKS[match.eligibility.verdict],
        reasons=reasons,
        rules=[_rule(rule) for rule in match.eligibility.rules],
    )


def comparison(calls: Sequence[Call], as_of: date) -> Card:
    """Calls side by side, a row a fact; rows in which they differ are marked."""
    columns = [facts(call, as_of) for call in calls]
    rows = [(row[0].label, row, len({fact.words for fact in row}) > 1) for row in zip(*columns, strict=True)]
    html = _templates().get_template("comparison.html.j2").render(calls=calls, rows=rows)
    lines = [" | ".join(quoted(call.title) for call in calls)]
    lines += [f"{label}: {' | '.join(fact.words for fact in row)}" for label, row, _ in rows]
    return Card(html, "\n".join(lines))


def facts(call: Call, as_of: date) -> tuple[Fact, ...]:
    """What an adviser asks of any call, always in the same order, with the source's words where there are."""
    consortium = call.consortium
    needs = [
        f"at least {count} {what}"
        for count, what in (
            (consortium.min_partners, "partners"),
            (consortium.min_countries, "countries"),
        )
        if count is not None
    ]
    opens = day_in_words(call.opens_on, _WORDS) if call.opens_on else ""
    told: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("Deadline", _deadline(call, as_of), ()),
        ("Opens", opens, ("opens_on",)),
        ("Money", money_in_words(call, _WORDS), _MONEY),
        ("How it is given out", call.allocation or "", ("allocation",)),
        ("Who may apply", ", ".join(call.applicants).replace("_", " "), ("applicants",)),
        ("Where", ", ".join(call.regions), ("regions",)),
        ("Consortium", " from ".join(needs), ("consortium",)),
        ("TRL", readiness_in_words(call, _WORDS), ("trl_min", "trl_max")),
        ("Type of action", call.type_of_action or "", ()),
    )
    return tuple(_fact(call, label, quoted(words), fields) for label, words, fields in told)


_MONEY = (
    "budget_total_eur",
    "call_budget_total_eur",
    "remaining_budget_eur",
    "grant_max_eur",
    "grant_min_eur",
    "eligible_costs_min_eur",
    "eligible_costs_max_eur",
    "funding_rate",
    "funding_rate_sme",
    "own_contribution_min_rate",
)


def _fact(call: Call, label: str, words: str, fields: Sequence[str]) -> Fact:
    printed = dict.fromkeys(
        quoted(text) for name in fields if (text := quoted(call.printed.get(name, ""))) and text != words
    )
    stated = bool(words) and words not in (NOT_STATED, _WORDS["no_deadline"])
    return Fact(label, words or NOT_STATED, stated, tuple(printed) if stated or printed else ())


def _deadline(call: Call, as_of: date) -> str:
    """The next deadline in words; where all are past the last one, said to be so."""
    ahead = next_deadline(call, as_of)
    if ahead is None and call.deadlines and not disputed_deadlines(call):
        return f"{day_in_words(on(call.deadlines[-1]), _WORDS)}, which is past"
    return deadline_in_words(call, ahead, _WORDS)


def quoted(text: str) -> str:
    """A source's words on one line, cut where they are long."""
    return cut(line(text[: QUOTED * 8]), QUOTED)


def _card(call: Call, as_of: date, note: str, **more: object) -> Card:
    ahead = next_deadline(call, as_of)
    left = (on(ahead) - as_of).days if ahead else None
    told, fetched = facts(call, as_of), call.fetched_at.astimezone(UTC)
    parts = (
        call.programme or _WORDS["programme_unknown"],
        _WORDS["levels"][call.level],
        call.kind,
        call.identifier,
    )
    origin = " · ".join(quoted(part) for part in parts if part)
    view = {
        "call": call,
        "note": note,
        "origin": origin,
        "days_left": _WORDS["days_left"][min(left, 2)].format(days=left) if left is not None else "",
        "soon": left is not None and left <= SOON,
        "facts": told,
        "deadlines": [_round(deadline, as_of) for deadline in call.deadlines],
        "documents": [(_ROLES[each.role], each) for each in call.documents],
        "read": f"{day_in_words(fetched.date(), _WORDS)}, {fetched:%H:%M} UTC",
        "as_of": day_in_words(as_of, _WORDS),
    }
    html = _templates().get_template("card.html.j2").render(view | more)
    return Card(html, "\n".join(_lines(call, origin, told, note)))


def _lines(call: Call, origin: str, told: Sequence[Fact], note: str) -> Iterator[str]:
    """A call as lines of text, in short."""
    yield quoted(call.title)
    yield f"{origin} · {quoted(call.call_id)} · {call.status}"
    yield from map(quoted, note.splitlines())
    yield from (f"{fact.label}: {fact.words}" for fact in told)
    yield from [address] if (address := web_address(call.url)) else []


def _round(deadline: Deadline, as_of: date) -> dict[str, str]:
    """A deadline as a row: its kind, day and hour, days left, and the source's words."""
    at, left = deadline.at, (on(deadline) - as_of).days
    local = at.astimezone(READERS_ZONE) if isinstance(at, datetime) else None
    hour = f"{local:%H:%M} ({local:%Z})" if local else _WORDS["hour_unknown"]
    return {
        "kind": deadline.kind,
        "day": day_in_words(day_of(local or at), _WORDS),
        "hour": hour,
        "left": "past" if left < 0 else _WORDS["days_left"][min(left, 2)].format(days=left),
        "printed": quoted(deadline.printed),
    }


def _rule(rule: Rule) -> dict[str, str | None]:
    """A rule as a row: its verdict with a mark, the question it answers, and the clause that decides."""
    asked = _WORDS["questions"].get(rule.rule, {"said": rule.rule})  # rules of earlier runs may be others
    return {
        "verdict": rule.verdict,
        "mark": _MARKS[rule.verdict],
        "question": asked["said"].rstrip(":"),
        "clause": quoted(rule.clause) if rule.clause else None,
        "url": web_address(rule.url),
    }


@cache
def _templates() -> Environment:
    from jinja2 import FunctionLoader

    environment = Environment(
        loader=FunctionLoader(lambda name: _FOLDER.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"quoted": quoted, "web_address": web_address}
    environment.globals["style"] = Markup(_FOLDER.joinpath("card.css").read_text("utf-8"))  # noqa: S704
    return environment
