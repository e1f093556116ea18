"""Printed → typed: one record's fields and texts become one `Call`, or stay unknown.

A field that is not stated, not understood or contradicted is unknown; its printed words are kept either
way. Raw fields have the same names for every source (docs/add-a-source.md), so a rule is written once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from pipeline import clauses, dates, money, nuts, rates, terms
from pipeline.dates import Round, day
from pipeline.deadlines import day_of, deadlines, status, window
from pipeline.identity import role_of
from pipeline.moments import opening
from pipeline.prose import language_of
from pipeline.schema import Call, Claim, Contradiction, Document, Issue, Level, RawCall, Section
from pipeline.vocabulary import term, vocabulary

_FOOTNOTE = re.compile(r"\s*\[\[.*?\]\]")
_NUMBERED = re.compile(
    r"^(?:(?:artikel|art\.?|paragraaf|§|article)\s*)?[\dIVX]+(?:[.:]\d+)*[.:)]?[a-z]?\s+", re.IGNORECASE
)
# "Besluit van ... houdende ... (Openstellingsbesluit ...)": a long title ends with the name that it goes by
_CITED_AS = re.compile(
    r"(?:Besluit|Regeling) van .{80,}\(([^()]*(?:besluit|regeling|regels)[^()]*)\)$", re.IGNORECASE
)
_LONGEST = 600  # characters of printed words kept a field

Odd = list[tuple[str, str]]  # (code, detail)


@dataclass(frozen=True)
class Statement:
    """A piece of text with the label or heading it stands under, lower case; "" where there is none."""

    label: str
    text: str


@dataclass
class Facts:
    """Typed values by `Call` field, the words each was read from, and what excludes each other."""

    values: dict[str, Any] = field(default_factory=dict)
    printed: dict[str, str | None] = field(default_factory=dict)
    contradictions: list[Contradiction] = field(default_factory=list)
    odd: Odd = field(default_factory=list)

    def state(self, name: str, value: Any, printed: str | None) -> None:
        """Set a field with its words."""
        self.values[name] = value
        self.printed[name] = printed


def claimed_status(printed: str | None, zone: str | None) -> str | None:
    """The status that a status line claims; one that goes on with a period, such as "open t/m 1 mei 2026",
    counts by its first words. None where the words are not in the vocabulary."""
    exact = term("status", printed)
    words = (printed or "").strip().lower()
    if exact or not dates.rounds(printed or "", zone, labelled=True):
        return exact
    known = sorted(vocabulary()["status"].items(), key=lambda item: -len(item[0]))
    return next((claim for phrase, claim in known if re.match(rf"{re.escape(phrase)}\b", words)), None)


def budget(lines: Sequence[dict[str, Any]], identifier: str | None) -> dict[str, Any]:
    """A topic's own money out of its call's budget lines: amounts in EUR, and their printed words.

    Lines belong to a topic when their action starts with "<identifier> - ". When every topic of the
    call shows the same total, that total is the call's pot and the topic's own money is unknown.
    """
    totals: dict[str, float] = {}
    for line in lines:
        topic = line["action"].split(" - ", 1)[0].strip()
        amount = sum(money.euros(value) or 0.0 for value in line["years"].values())
        totals[topic] = totals.get(topic, 0.0) + amount
    own = [line for line in lines if identifier and line["action"].startswith(f"{identifier} - ")]
    if not own:
        return {}
    total = totals.get(identifier or "") or None
    shared = len(totals) > 1 and len(set(totals.values())) == 1
    minima = [least for line in own if (least := money.euros(line["grant_min"])) is not None]
    maxima = [most for line in own if (most := money.euros(line["grant_max"])) is not None]
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


def normalise(
    raw: RawCall, *, level: Level, as_of: date, zone: str | None = None, prose: bool = True
) -> tuple[Call, list[Issue]]:
    """Type one raw record as of a day. Oddities come back as issues; a ValueError means no call.

    `zone` is the clock that hours without one are printed in. Without `prose`, dates, money and who may
    apply are taken from fields alone: the texts of such a source speak of other things.
    """
    f: dict[str, Any] = raw.fields
    said = _statements(f)
    texts = [statement.text for statement in said]
    facts = Facts()
    facts.odd += _unknown_words(f, zone)
    _when(facts, raw, said if prose else [], zone, as_of, prose)
    _how_much(facts, f, said if prose else [])
    _for_whom(facts, f, said, texts, prose)
    page, name = raw.pages[0], f"{raw.source}:{raw.key}"
    title = _FOOTNOTE.sub("", f.get("title") or "").strip() or _missing(raw, "title")
    if f.get("document_type") and (cited := _CITED_AS.match(title)):
        title = cited[1]
    printed = {
        n: f.get(n) for n in ("title", "status", "programme", "type_of_action", "checked_on")
    } | facts.printed
    kept = {n: words[:_LONGEST] for n, words in printed.items() if words}
    document = Document(
        document_id=name,
        source=raw.source,
        role=role_of(title, f.get("document_type")),
        title=title,
        url=f.get("url") or page.url,
        issuer=f.get("issuer"),
        published_on=_printed_day(f.get("published_on")),
        references=tuple(f.get("references") or ()),
        fetched_at=page.fetched_at,
        page_sha256=page.sha256,
        archive_record=page.archive_record,
        printed=kept,
    )
    call = Call(
        call_id=name,
        source=raw.source,
        level=term("level", f.get("issuer_type") or f.get("level")) or level,
        programme=term("programme", f.get("programme")) or (f.get("programme") if prose else None),
        title=title,
        url=document.url,
        language=f.get("language") or language_of(" ".join(texts)[:5000]),
        kind=term("kind", f.get("kind")),
        identifier=f.get("identifier"),
        call_identifier=f.get("call_identifier"),
        call_title=f.get("call_title"),
        parent_topic=f.get("parent_topic"),
        type_of_action=f.get("type_of_action"),
        keywords=tuple(f.get("keywords") or ()),
        sections=tuple(_sections(f)),
        conditions=f.get("conditions"),
        checked_on=_printed_day(f.get("checked_on")),
        documents=(document,),
        contradictions=tuple(facts.contradictions),
        fetched_at=page.fetched_at,
        page_sha256=page.sha256,
        archive_record=page.archive_record,
        printed=kept,
        **facts.values,
    )
    issues = [
        Issue(source=raw.source, severity="info", code=code, detail=detail[:500], key=raw.key)
        for code, detail in facts.odd
    ]
    return call, issues


def _sections(f: dict[str, Any]) -> list[Section]:
    """The call's text by heading; labelled facts are shown with it, first."""
    facts = "\n".join(f"{fact['label']}: {fact['text']}" for fact in f.get("facts") or [])
    told = [Section(heading="", text=facts)] if facts else []
    return told + [Section(**section) for section in f.get("sections") or []]


def _statements(f: dict[str, Any]) -> list[Statement]:
    """All that a record says, each piece with its label: facts, sections, conditions, the status line."""
    pairs = [(fact["label"], fact["text"]) for fact in f.get("facts") or []]
    pairs += [(section["heading"], section["text"]) for section in f.get("sections") or []]
    pairs += [("", f["conditions"])] if f.get("conditions") else []
    if f.get("status") and not any(term("label", label) == "status" for label, _ in pairs):
        pairs.append(("status", f["status"]))
    return [Statement(_NUMBERED.sub("", label.strip()).rstrip(" :.?").lower(), text) for label, text in pairs]


def _printed_day(printed: str | None) -> date | None:
    found = dates.moment(printed or "")
    return day_of(found) if found else None


def _unknown_words(f: dict[str, Any], zone: str | None) -> Odd:
    odd: Odd = []
    if f.get("programme") and str(f["programme"]).isdigit() and not term("programme", f["programme"]):
        odd.append(("unknown_programme", f"programme code {f['programme']!r} is not in the vocabulary"))
    if f.get("status") and not claimed_status(f["status"], zone):
        odd.append(("unknown_status", f"status {f['status']!r} is not in the vocabulary"))
    return odd


def _when(
    facts: Facts, raw: RawCall, said: Sequence[Statement], zone: str | None, as_of: date, prose: bool
) -> None:
    """Opening, deadlines, status and how the money is given out."""
    f: dict[str, Any] = raw.fields
    printed_dates: list[str] = list(f.get("deadlines") or [])
    if prose:
        groups = _structured_rounds(f, zone) + _stated_rounds(said, zone)
        found = window(groups)
        opens_on, closings = found.opens_on, found.deadlines
        facts.printed["deadlines"] = "; ".join(d.printed for d in closings or found.disputed)
        facts.printed["opens_on"] = found.printed_opening
        if found.disputed:
            facts.contradictions.append(_exclusive(raw, found.disputed))
    else:
        model = term("deadline_model", f.get("deadline_model"))
        printed_dates, odd = _reconcile(printed_dates, f.get("action_deadlines") or [], model)
        facts.odd += odd
        opens_on, closings, found = day(f.get("opens_on") or ""), deadlines(printed_dates, model), None
        facts.printed["deadlines"], facts.printed["opens_on"] = "; ".join(printed_dates), f.get("opens_on")
        if len(closings) > 1 and model not in ("two-stage", "several cut-offs"):
            told = f"{len(closings)} deadlines without a stated procedure: read as cut-offs"
            facts.odd.append(("several_deadlines", told))
    first = opening(f.get("opens_on") or "", zone) or day(f.get("opens_on") or "")
    unread = [("opening", f["opens_on"])] if f.get("opens_on") and not first else []
    unread += [("deadline", t) for t in printed_dates if not (dates.moment(t, zone) if prose else day(t))]
    facts.odd += [("unread_date", f"{what} {text!r} was not understood") for what, text in unread]
    facts.values |= {"opens_on": opens_on, "deadlines": closings}
    _claims(
        facts, f, said, zone, as_of, [day_of(r.closes) for r in found.disputed if r.closes] if found else []
    )


def _claims(
    facts: Facts,
    f: dict[str, Any],
    said: Sequence[Statement],
    zone: str | None,
    as_of: date,
    disputed: Sequence[date],
) -> None:
    """Whether there is a fixed end, how the money is given out, and the status on the day."""
    texts = [statement.text for statement in said]
    endless = next((w for s in said if (w := dates.open_ended(s.text, _is(s, "window")))), None)
    spent = next((words for text in texts if (words := dates.until_spent(text))), None)
    facts.state("rolling", True if endless and not facts.values["deadlines"] else None, endless)
    facts.state("until_spent", True if spent else None, spent)
    facts.state("allocation", *terms.allocation(texts))
    claim, words = claimed_status(f.get("status"), zone), f.get("status")
    if claim is None:
        claim, words = terms.said_status(texts)
    ended = _printed_day(f.get("in_force_until"))
    if ended and ended < as_of:
        claim, words = "closed", f["in_force_until"]
    facts.state("claimed_status", claim, words)
    state, note = status(
        claim,
        facts.values["opens_on"],
        facts.values["deadlines"],
        as_of,
        rolling=facts.values["rolling"],
        disputed=disputed,
    )
    facts.values |= {"status": state, "status_note": note}
    if note and state == "closed":
        facts.odd.append(("stale_row", note))


def _is(statement: Statement, kind: str) -> bool:
    return term("label", statement.label) == kind


def _structured_rounds(f: dict[str, Any], zone: str | None) -> list[list[Round]]:
    """The rounds that date fields state. An end at the publisher's midnight is unknown: which day is last?"""

    def read(printed: str) -> date | datetime | None:
        at = dates.moment(printed, zone)
        if isinstance(at, datetime) and zone:
            at = at.astimezone(ZoneInfo(zone))
        return None if isinstance(at, datetime) and at.time() == time(0) else at

    opens = opening(f["opens_on"], zone) if f.get("opens_on") else None
    closings = [(at, text) for text in f.get("deadlines") or [] if (at := read(text))]
    first = min((day_of(at) for at, _ in closings), default=None)
    if not closings:
        return [[Round(opens, None, f["opens_on"])]] if opens else []
    begins = opens if opens and first and opens <= first else None
    return [[Round(begins if day_of(at) == first else None, at, text) for at, text in closings]]


def _stated_rounds(said: Iterable[Statement], zone: str | None) -> list[list[Round]]:
    """The rounds that texts state, one list a statement."""
    found = []
    for statement in said:
        if dates.after_award(statement.label):
            continue
        bare = dates.moment(statement.text, zone)
        if _is(statement, "opening") and (begins := opening(statement.text, zone)):
            found.append([Round(begins, None, statement.text)])
        elif bare and _is(statement, "closing"):
            found.append([Round(None, bare, statement.text)])
        else:
            labelled = term("label", statement.label) in ("window", "closing", "status")
            found.append(dates.rounds(statement.text, zone, labelled=labelled))
    return [rounds for rounds in found if rounds]


def _exclusive(raw: RawCall, disputed: Sequence[Round]) -> Contradiction:
    name = f"{raw.source}:{raw.key}"
    claims = tuple(
        Claim(document_id=name, value=r.closes.isoformat() if r.closes else None, printed=r.printed)
        for r in disputed
    )
    return Contradiction(field="deadlines", claims=claims)


_AMOUNTS = (
    "budget_total_eur remaining_budget_eur grant_max_eur grant_min_eur eligible_costs_min_eur "
    "eligible_costs_max_eur own_contribution_min_eur"
).split()


def _how_much(facts: Facts, f: dict[str, Any], said: Sequence[Statement]) -> None:
    """Amounts: the portal's budget lines, or what labels and sentences state; two values are none."""
    lines = budget(f.get("budget_lines") or [], f.get("identifier"))
    facts.printed |= lines.pop("printed", {})
    if not lines and f.get("budget"):
        facts.state("budget_total_eur", money.euros(f["budget"]), f["budget"])
    language = f.get("language")
    stated = [found for s in said for found in money.stated(s.text, language, s.label or None)]
    for name in _AMOUNTS:
        own = [found for found in stated if found.field == name]
        values = {found.eur for found in own}
        if own:
            facts.state(
                name, values.pop() if len(values) == 1 else None, _joined(found.printed for found in own)
            )
    facts.values |= lines
    least, most = facts.values.get("grant_min_eur"), facts.values.get("grant_max_eur")
    if least and most and least > most and not lines:
        facts.values |= {"grant_min_eur": None, "grant_max_eur": None}
    for name in ("budget_total_eur", "grant_max_eur", "grant_min_eur"):
        facts.values.setdefault(name, None)


def _for_whom(
    facts: Facts, f: dict[str, Any], said: Sequence[Statement], texts: Sequence[str], prose: bool
) -> None:
    """Readiness levels, rates, partners; and with `prose` who may apply, and from where."""
    lowest, highest, words = clauses.readiness(texts)
    facts.state("trl_min", lowest, words)
    facts.state("trl_max", highest, words)
    facts.state("consortium", *clauses.consortium(texts))
    _rates(facts, said, texts, prose)
    listed = terms.applicant_terms(f.get("applicants") or ())
    told = [terms.applicants([s.text], s.label or None) for s in said] if prose else []
    named = tuple(dict.fromkeys(who for found, _ in told for who in found))
    words = "; ".join(f.get("applicants") or ()) or _joined(words for _, words in told)
    facts.state("applicants", listed or named, words)
    places = [s.text for s in said if _is(s, "region")] if prose else []
    places = [*(f.get("regions") or ()), *places]
    bound = [nuts.stated_regions([s.text], s.label or None) for s in said] if prose else []
    stated = {found for found, words in bound if words}
    words = "; ".join(places) or _joined(words for _, words in bound)
    facts.state("regions", nuts.regions(places) or (stated.pop() if len(stated) == 1 else ()), words)


def _rates(facts: Facts, said: Sequence[Statement], texts: Sequence[str], prose: bool) -> None:
    """Funding rates; statements that differ, or one that is not clear, leave a rate unknown."""
    found = [rates.funding_rates([s.text], s.label or None) for s in said]
    found = [r for r in (found if prose else [rates.funding_rates(texts)]) if r.printed]
    words = _joined(r.printed for r in found)
    own = {r.own_contribution_min for r in found if r.own_contribution_min is not None}
    unclear = (r for r in found if r.sme is None and r.own_contribution_min is None)
    every = {r.rate for r in found if r.rate is not None} | {r.rate for r in unclear}
    smes = {r.sme for r in found if r.sme is not None}
    facts.state("funding_rate", every.pop() if len(every) == 1 else None, words)
    facts.state("funding_rate_sme", smes.pop() if len(smes) == 1 else None, words if smes else None)
    facts.state("own_contribution_min_rate", own.pop() if len(own) == 1 else None, words if own else None)


def _joined(words: Iterable[str | None]) -> str | None:
    return " … ".join(dict.fromkeys(filter(None, words))) or None


def _missing(raw: RawCall, name: str) -> str:
    raise ValueError(f"{raw.source}:{raw.key} has no {name}")


def _reconcile(stated: list[str], of_actions: list[str], model: str | None) -> tuple[list[str], Odd]:
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
