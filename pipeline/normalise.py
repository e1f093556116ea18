"""Printed → typed: where fields become dates and amounts, and `clauses` are read out of texts.

A field that is not stated, not understood or contradicted stays unknown; its printed words are kept
either way. Raw fields have the same names for every source, so a rule is written once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from pipeline.clauses import consortium, funding_rate, readiness
from pipeline.schema import Call, Deadline, DeadlineKind, Issue, Level, RawCall, Section, Status

_ISO_DAY = re.compile(r"^(\d{4})-(\d{2})-(\d{2})(?=$|[T+\-Z ])")
_EPOCH_MS = re.compile(r"^\d{12,13}$")
_FOOTNOTE = re.compile(r"\s*\[\[.*?\]\]")
_ENTRY_KINDS = ("single", "stage 1", "cut-off")


@cache
def vocabulary() -> dict[str, dict[str, str]]:
    """List name → printed word (lower case) → our term, from `vocabulary.yml`."""
    lists = yaml.safe_load(files("pipeline").joinpath("vocabulary.yml").read_text("utf-8"))
    return {
        name: {word.lower(): term for term, words in terms.items() for word in words}
        for name, terms in lists.items()
    }


def term(vocabulary_list: str, printed: str | None) -> str | None:
    """Our term for a printed word or code; None where the list does not know it."""
    return vocabulary()[vocabulary_list].get((printed or "").strip().lower())


def day(printed: str) -> date | None:
    """The calendar day a source prints, from ISO text or epoch milliseconds.

    The EU portal prints midnight UTC for days, and for some calls an hour whose zone is not to be
    trusted (local hours labelled as UTC, seconds that jitter), so only the printed day is a fact.
    """
    text = printed.strip()
    try:
        if match := _ISO_DAY.match(text):
            return date(int(match[1]), int(match[2]), int(match[3]))
        if _EPOCH_MS.match(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC).date()
    except (ValueError, OverflowError):
        return None
    return None


def euros(printed: str | None) -> float | None:
    """A plain amount in EUR; zero is the portal's way to say "not stated".

    Below 1,000 the unit is unclear (the portal mixes EUR and millions), so the amount is unknown.
    """
    try:
        amount = float((printed or "").strip())
    except ValueError:
        return None
    return amount if 1_000 <= amount < 1e12 else None


def deadlines(printed: Sequence[str], model: str | None) -> tuple[Deadline, ...]:
    """Deadlines in order of time, each with its role in a two-stage or cut-off procedure."""
    days = sorted({(found, text) for text in printed if (found := day(text))})
    first_of_day = dict(reversed(days))

    def kind(position: int) -> DeadlineKind:
        if model == "two-stage":
            return "stage 1" if position == 0 else "stage 2"
        return "cut-off" if model == "several cut-offs" or len(first_of_day) > 1 else "single"

    ordered = sorted(first_of_day.items())
    return tuple(Deadline(at=at, printed=text, kind=kind(i)) for i, (at, text) in enumerate(ordered))


def entry_deadlines(call: Call) -> list[Deadline]:
    """Deadlines by which a newcomer can still enter: a second stage is only for those in the first."""
    return [d for d in call.deadlines if d.kind in _ENTRY_KINDS]


def next_deadline(call: Call, as_of: date) -> Deadline | None:
    """The first deadline on or after `as_of` that a newcomer can meet."""
    return next((d for d in entry_deadlines(call) if on(d) >= as_of), None)


def on(deadline: Deadline) -> date:
    """The day of a deadline, in the zone it was stated in."""
    return deadline.at.date() if isinstance(deadline.at, datetime) else deadline.at


def status(
    claim: str | None, opens_on: date | None, found: Sequence[Deadline], as_of: date
) -> tuple[Status, str | None]:
    """Status on a day, and why it differs from the source's claim. A claim yields to stated dates."""
    entry = [on(d) for d in found if d.kind in _ENTRY_KINDS]
    known: Status = claim if claim in ("forthcoming", "open", "closed") else "unknown"  # type: ignore[assignment]
    if entry and max(entry) < as_of:
        later = any(on(d) >= as_of for d in found)
        which = "first stage, the only way in," if later else "last deadline"
        note = f"the source says {known}, but its {which} ended on {max(entry).isoformat()}"
        return "closed", note if known != "closed" else None
    if known == "closed":
        return "closed", None
    if opens_on and opens_on > as_of:
        note = f"the source says {known}, but it opens on {opens_on.isoformat()}"
        return "forthcoming", note if known != "forthcoming" else None
    if opens_on and entry:
        note = f"the source says {known}, but it opened on {opens_on.isoformat()}"
        return "open", note if known != "open" else None
    return known, None if entry else "the source states no deadline"


def budget(lines: Sequence[dict[str, Any]], identifier: str | None) -> dict[str, Any]:
    """A topic's own money out of its call's budget lines: amounts in EUR, and their printed words.

    Lines belong to a topic when their action starts with "<identifier> - ". When every topic of the
    call shows the same total, that total is the call's pot and the topic's own money is unknown.
    """
    totals: dict[str, float] = {}
    for line in lines:
        topic = line["action"].split(" - ", 1)[0].strip()
        amount = sum(euros(value) or 0.0 for value in line["years"].values())
        totals[topic] = totals.get(topic, 0.0) + amount
    own = [line for line in lines if identifier and line["action"].startswith(f"{identifier} - ")]
    if not own:
        return {}
    total = totals.get(identifier or "") or None
    shared = len(totals) > 1 and len(set(totals.values())) == 1
    minima = [least for line in own if (least := euros(line["grant_min"])) is not None]
    maxima = [most for line in own if (most := euros(line["grant_max"])) is not None]
    counts = [
        int(line["expected_grants"]) for line in own if re.fullmatch(r"[1-9]\d*", line["expected_grants"])
    ]
    years = "; ".join(f"{year}: {value}" for line in own for year, value in line["years"].items())
    return {
        "budget_total_eur": None if shared else total,
        "call_budget_total_eur": total if shared else None,
        "grant_min_eur": min(minima, default=None),
        "grant_max_eur": max(maxima, default=None),
        "expected_grants": sum(counts) or None,
        "printed": {
            ("call_budget_total_eur" if shared else "budget_total_eur"): years if total else "",
            "grant_min_eur": own[0]["grant_min"] if minima else "",
            "grant_max_eur": own[0]["grant_max"] if maxima else "",
            "expected_grants": own[0]["expected_grants"] if counts else "",
        },
    }


def normalise(raw: RawCall, *, level: Level, as_of: date) -> tuple[Call, list[Issue]]:
    """Type one raw record as of a day. Oddities come back as issues; a ValueError means no call."""
    f: dict[str, Any] = raw.fields
    model = term("deadline_model", f.get("deadline_model"))
    printed_deadlines, odd = _reconcile(f.get("deadlines") or [], f.get("action_deadlines") or [], model)
    found = deadlines(printed_deadlines, model)
    opens_on = day(f.get("opens_on") or "")
    state, note = status(term("status", f.get("status")), opens_on, found, as_of)
    body = [Section(**section) for section in f.get("sections") or []]
    texts = [section.text for section in body] + [f.get("conditions") or ""]
    money = budget(f.get("budget_lines") or [], f.get("identifier"))
    plain = euros(f.get("budget"))
    trl_min, trl_max, trl_words = readiness(texts)
    rate, rate_words = funding_rate(texts)
    least, least_words = consortium(texts)
    programme = term("programme", f.get("programme"))
    page = raw.pages[0]
    printed = {
        "title": f.get("title"),
        "status": f.get("status"),
        "opens_on": f.get("opens_on"),
        "deadlines": "; ".join(printed_deadlines),
        "programme": f.get("programme"),
        "type_of_action": f.get("type_of_action"),
        "budget_total_eur": f.get("budget") if not money else None,
        "trl_min": trl_words,
        "trl_max": trl_words,
        "funding_rate": rate_words,
        "consortium": least_words,
    } | money.pop("printed", {})
    call = Call(
        call_id=f"{raw.source}:{raw.key}",
        source=raw.source,
        level=level,
        programme=programme,
        title=_FOOTNOTE.sub("", f.get("title") or "").strip() or _missing(raw, "title"),
        url=f.get("url") or page.url,
        status=state,
        status_note=note,
        opens_on=opens_on,
        deadlines=found,
        **{"budget_total_eur": plain, "grant_min_eur": None, "grant_max_eur": None} | money,
        funding_rate=rate,
        trl_min=trl_min,
        trl_max=trl_max,
        applicants=(),
        regions=(),
        consortium=least,
        language=f.get("language"),
        kind=term("kind", f.get("kind")),
        identifier=f.get("identifier"),
        call_identifier=f.get("call_identifier"),
        call_title=f.get("call_title"),
        parent_topic=f.get("parent_topic"),
        type_of_action=f.get("type_of_action"),
        keywords=tuple(f.get("keywords") or ()),
        sections=tuple(body),
        conditions=f.get("conditions"),
        fetched_at=page.fetched_at,
        page_sha256=page.sha256,
        archive_record=page.archive_record,
        printed={name: words for name, words in printed.items() if words},
    )
    if f.get("programme") and not programme:
        odd.append(("unknown_programme", f"programme code {f['programme']!r} is not in the vocabulary"))
    if f.get("status") and not term("status", f["status"]):
        odd.append(("unknown_status", f"status {f['status']!r} is not in the vocabulary"))
    if f.get("opens_on") and not opens_on:
        odd.append(("unread_date", f"opening {f['opens_on']!r} was not understood"))
    odd += [
        ("unread_date", f"deadline {text!r} was not understood")
        for text in printed_deadlines
        if not day(text)
    ]
    if len(found) > 1 and model not in ("two-stage", "several cut-offs"):
        odd.append(
            ("several_deadlines", f"{len(found)} deadlines without a stated procedure: read as cut-offs")
        )
    if note and state == "closed":
        odd.append(("stale_row", note))
    issues = [
        Issue(source=raw.source, severity="info", code=code, detail=detail, key=raw.key)
        for code, detail in odd
    ]
    return call, issues


def _missing(raw: RawCall, field: str) -> str:
    raise ValueError(f"{raw.source}:{raw.key} has no {field}")


def _reconcile(
    stated: list[str], of_actions: list[str], model: str | None
) -> tuple[list[str], list[tuple[str, str]]]:
    """One list of deadlines out of the record's own and its actions'; a contradiction is reported.

    The actions add cut-offs and stages that the record leaves out. For a single deadline the record's
    own list counts, and a different one in the actions is only reported.
    """
    if not stated:
        return of_actions, []
    days = {day(text) for text in stated}
    extra = [text for text in of_actions if day(text) not in days]
    if extra and model in ("two-stage", "several cut-offs"):
        return stated + extra, []
    if extra:
        detail = f"the record says {', '.join(stated)}; its actions say {', '.join(extra)}"
        return stated, [("deadlines_differ", detail)]
    return stated, []
