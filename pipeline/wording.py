"""How calls are told to people: days, amounts and deadlines in words, in Dutch or English.

The words are in `templates/words.yml`. What a source says stays as it is printed, on one line.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from pipeline.deadlines import disputed_deadlines, on
from pipeline.schema import Call, Deadline

Words = dict[str, Any]  # the wording of one language

READERS_ZONE = ZoneInfo("Europe/Amsterdam")
_FILE = files("pipeline").joinpath("templates", "words.yml")
# what is not to be seen, or turns the direction of the text after it
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


@cache
def wording(language: str) -> Words:
    """The wording of a language: nl or en."""
    told: dict[str, Words] = yaml.safe_load(_FILE.read_text("utf-8"))
    return told[language]


def line(text: str) -> str:
    """A text on one line, without characters that are not seen."""
    if text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]:
        return text  # as most are
    return " ".join(_UNSEEN.sub("", text).split())


def web_address(url: str | None) -> str | None:
    """An address that a link may lead to: http or https, else None."""
    return url if url and url.startswith(("https://", "http://")) else None


def deadline_in_words(call: Call, ahead: Deadline | None, words: Words, zone: ZoneInfo = READERS_ZONE) -> str:
    """The deadline that counts now, its role, and its hour in the reader's zone where one is stated."""
    spent = f", {words['until_spent']}" if call.until_spent else ""
    spent += f"; {words['opening_unknown']}" if call.status == "unknown" else ""
    if ahead is None:
        disputed = disputed_deadlines(call)
        if disputed:
            claims = " / ".join(f"“{line(claim.printed)}”" for claim in disputed.claims)
            return str(words["disputed"].format(claims=claims))
        return f"{words['rolling'] if call.rolling else words['no_deadline']}{spent}"
    role = words["roles"].get(ahead.kind, "")
    later = [day_in_words(day_in_zone(d.at, zone), words) for d in call.deadlines if on(d) > on(ahead)]
    then = f"; {words['then']} {', '.join(later)}" if later else ""
    return f"{role}{moment_in_words(ahead.at, words, zone)}{spent}{then}"


def moment_in_words(at: date | datetime, words: Words, zone: ZoneInfo = READERS_ZONE) -> str:
    """A day, with its hour in the reader's zone, or that none is stated."""
    if isinstance(at, datetime):
        at = at.astimezone(zone)
        return f"{day_in_words(at.date(), words)}, {at:%H:%M} ({at:%Z})"
    return f"{day_in_words(at, words)} ({words['hour_unknown']})"


def day_in_zone(at: date | datetime, zone: ZoneInfo) -> date:
    """The day of a moment in a zone; a day is one anywhere."""
    return at.astimezone(zone).date() if isinstance(at, datetime) else at


def effort_in_words(call: Call, words: Words) -> str:
    """Whether one applies alone or with partners, and in how many stages, each as far as the call says."""
    said, needs = words["effort"], call.consortium
    parts = []
    if needs.min_partners == 1:
        parts.append(said["alone"])
    elif needs.min_partners:
        parts.append(said["partners"].format(partners=needs.min_partners))
    if needs.min_countries and needs.min_countries > 1:
        parts.append(said["countries"].format(countries=needs.min_countries))
    parts = parts or [said["unknown"]]
    kinds = {deadline.kind for deadline in call.deadlines}
    if kinds & {"stage 1", "stage 2"}:
        parts.append(said["two_stages"])
    elif "cut-off" in kinds:
        parts.append(said["rounds"])
    return "; ".join(parts)


def readiness_in_words(call: Call, words: Words) -> str:
    """The TRL span, open where the call states only one end; empty where it states none."""
    least, most = call.trl_min, call.trl_max
    if least and most:
        return str(least) if least == most else f"{least}–{most}"
    which = "from" if least else "to"
    return str(words["trl"][which].format(level=least or most)) if least or most else ""


def money_in_words(call: Call, words: Words) -> str:
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


def euros_in_words(amount: float, words: Words) -> str:
    """An amount to the euro: whole thousands above a million in millions, the rest in digits."""
    whole = round(amount)
    if whole >= 1_000_000 and whole % 1_000 == 0:
        digits, unit = f"{whole / 1e6:.3f}".rstrip("0").rstrip("."), f" {words['million']}"
    else:
        digits, unit = f"{whole:,}", ""
    if words["decimal"] == ",":
        digits = digits.translate(str.maketrans(",.", ".,"))
    return f"€ {digits}{unit}"


def day_in_words(day: date, words: Words) -> str:
    """A day as 15 June 2026."""
    return f"{day.day} {words['months'][day.month - 1]} {day.year}"
