"""Mails composed: a subject, HTML that mail clients keep, and a text written for itself.

Wording is in `templates/words.yml`, form in `templates/*.j2`. Texts from profiles and calls are hostile: the
HTML escapes them, addresses that are not http(s) are no links, lines stay lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pipeline.deadlines import disputed_deadlines, next_deadline, on
from pipeline.news import Change, News, Week
from pipeline.prose import cut
from pipeline.reasons import is_close
from pipeline.rendering import render
from pipeline.schema import Call, Deadline, Feedback, Match, Profile, SourceHealth, Subscription, Wishes
from pipeline.wording import (
    Words,
    day_in_words,
    day_in_zone,
    deadline_in_words,
    effort_in_words,
    line,
    moment_in_words,
    money_in_words,
    readiness_in_words,
    web_address,
    wording,
)

LABS = ("fieldlab", "testbed", "hub", "research_organisation")
COMPANIES = ("sme", "large_company")
SOON = 21  # days before a deadline from which it is shown as near
HELPER_CHARACTERS = 160  # of a lab's sentence
# Of an adviser's mail: new calls (more wait for the next), rows of other parts, clients told in a line each.
ADVISER_CALLS, ADVISER_ROWS, ADVISER_CLIENTS = 20, 15, 4
NAMES, NAME_CHARACTERS = 12, 60  # of clients in a list of names
CLAUSE_CHARACTERS = 300  # of what a call says about one rule
FACT_CHARACTERS = 400  # of a title, a deadline or a fact: pages hold what they like


@dataclass(frozen=True)
class Mail:
    """A composed mail: one line, an HTML document, and lines of plain text."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Links:
    """Addresses that a mail leads to, each signed for its reader; None where there is no web server."""

    view: str | None = None  # the mail in a browser
    choices: str | None = None  # why it came, and how often
    stop: str | None = None
    call: Callable[[str, str], str] | None = (
        None  # profile and call id → why it fits, and what the reader says
    )


@dataclass(frozen=True)
class CallInWords:
    """A call as readers of one language and zone see it."""

    call_id: str
    title: str
    url: str | None
    origin: str  # programme, level and kind of call
    deadline: str
    days_left: str  # empty where no deadline is stated
    soon: bool
    facts: tuple[tuple[str, str], ...]  # (label, words)


@dataclass(frozen=True)
class Helper:
    """A lab that fits a call, with the sentence of its profile that says so."""

    profile: Profile
    words: str


@dataclass(frozen=True)
class Edition:
    """What all mails of a week share: the calls, the sources' health, the lab that fits each call best."""

    week: Week
    health: Sequence[SourceHealth] = ()
    helpers: Mapping[str, Helper] = field(default_factory=dict)
    _told: dict[tuple[str, str, str], CallInWords] = field(default_factory=dict)

    def call(self, call_id: str, wishes: Wishes) -> CallInWords:
        """The call in a reader's words; made once for all who share them."""
        key = (call_id, wishes.language, wishes.zone)
        if key not in self._told:
            self._told[key] = _call(self.week.calls[call_id], wishes, self.week.as_of)
        return self._told[key]


def helpers_of(profiles: Iterable[Profile], matches: Iterable[Match]) -> dict[str, Helper]:
    """Call id → the lab whose own match with it rests on the closest sentences, if any lab is close."""
    labs = {profile.id: profile for profile in profiles if profile.kind in LABS}
    best: dict[str, tuple[float, str, Helper]] = {}
    for match in matches:
        if match.profile_id in labs and is_close(match) and match.eligibility.verdict != "fail":
            pair = match.evidence[0]
            words = cut(line(pair.profile_text), HELPER_CHARACTERS).rstrip(".;")
            found = (-pair.weight, match.profile_id, Helper(labs[match.profile_id], words))
            best[match.call_id] = min(best.get(match.call_id, found), found, key=lambda each: each[:2])
    return {call_id: helper for call_id, (_, _, helper) in best.items()}


def compose(
    profile: Profile,
    found: News,
    edition: Edition,
    wishes: Wishes,
    links: Links | None = None,
    subscription: Subscription | None = None,
) -> Mail:
    """The mail that tells `profile` its news, in its own language. Without a subscription: a preview."""
    if wishes.language != profile.language:
        wishes = wishes.model_copy(update={"language": profile.language})
    words, links, as_of = wording(profile.language), links or Links(), edition.week.as_of
    what = _counts(words, len(found.new), len(found.changes), len(found.reminders))
    note = words["labels_note"][profile.label]
    view = {
        "language": profile.language,
        "greeting": words["greeting"].format(name=line(profile.name)),
        "intro": words["intro" if what else "nothing"].format(day=day_in_words(as_of, words), what=what),
        "items": [_item(profile, match, edition, wishes, links) for match in found.new],
        "further": [_named(match, edition, wishes) for match in found.further],
        "changes": [_changed(change, edition, wishes) for change in found.changes],
        "reminders": [edition.call(reminder.call.call_id, wishes) for reminder in found.reminders],
        "waiting": words["waiting"][min(found.waiting, 2)].format(count=found.waiting),
        "notices": [*([note] if note else []), *_notices(edition.health, words)],
        "because": because(subscription, profile.name, words),
        "links": links,
        "words": words,
    }
    return _mail("digest", view, words, what or words["nothing_new"], line(profile.name), as_of)


@dataclass(frozen=True)
class Attention:
    """What else an adviser should look at: what clients said of calls, and mails that did not arrive."""

    marks: tuple[Feedback, ...] = ()
    refused: tuple[tuple[str, date], ...] = ()  # (profile id, day since which its address is refused)
    doubts: tuple[tuple[str, str], ...] = ()  # (profile id, week)


def compose_for_adviser(
    clients: Sequence[tuple[Profile, News]],
    edition: Edition,
    subscription: Subscription,
    links: Links | None = None,
    attention: Attention | None = None,
) -> Mail:
    """One mail about all clients: each call once, with whom it fits; the one that fits most clients first."""
    words, links, as_of = wording(subscription.language), links or Links(), edition.week.as_of
    fits: dict[str, list[tuple[Profile, Match]]] = {}
    changes: dict[tuple[str, str], list[Profile]] = {}
    reminders: dict[str, list[Profile]] = {}
    for profile, found in clients:
        for match in found.new:
            fits.setdefault(match.call_id, []).append((profile, match))
        for change in found.changes:
            told = _changed(change, edition, subscription)["told"]
            changes.setdefault((change.call.call_id, told), []).append(profile)
        for reminder in found.reminders:
            reminders.setdefault(reminder.call.call_id, []).append(profile)
    order = sorted(fits, key=lambda key: (-len(fits[key]), -max(m.percentile for _, m in fits[key]), key))
    what = _counts(words, len(order), len(changes), len(reminders))
    look = _look(clients, fits, edition, words, attention or Attention())
    view = {
        "language": subscription.language,
        "greeting": words["adviser_greeting"],
        "intro": words["intro" if what else "adviser_nothing"].format(
            day=day_in_words(as_of, words), what=what
        ),
        "entries": [_entry(key, fits[key], edition, subscription, links) for key in order],
        "changes": _few(
            [
                {"call": edition.call(key, subscription), "told": told, "clients": _names(of, words)}
                for (key, told), of in changes.items()
            ]
        ),
        "reminders": _few(
            [
                {"call": edition.call(key, subscription), "clients": _names(of, words)}
                for key, of in reminders.items()
            ]
        ),
        "look": _few(look),
        "notices": _notices(edition.health, words),
        "waiting": words["adviser_more"] if any(found.waiting for _, found in clients) else "",
        "because": because(subscription, "", words),
        "links": links,
        "words": words,
    }
    return _mail("adviser", view, words, what or words["nothing_new"], words["clients"], as_of)


def within(clients: Sequence[tuple[Profile, News]]) -> list[tuple[Profile, News]]:
    """The same with no more new calls than an adviser's mail tells, those of most clients first.

    What is left out is not told, and so waits for the next mail.
    """
    fits: dict[str, list[float]] = {}
    for _, found in clients:
        for match in found.new:
            fits.setdefault(match.call_id, []).append(match.percentile)
    order = sorted(fits, key=lambda key: (-len(fits[key]), -max(fits[key]), key))
    kept = set(order[:ADVISER_CALLS])
    return [(profile, found.only(kept)) for profile, found in clients]


def contents(profiles: Sequence[Profile], subjects: Mapping[str, str], as_of: date) -> str:
    """An HTML page that links to each profile's preview, `<id>.html`; `subjects` are by profile id."""
    view = {"profiles": profiles, "subjects": subjects, "as_of": as_of, "week": as_of.isocalendar().week}
    return render("index.html.j2", view)


def _mail(
    form: Literal["digest", "adviser"], view: dict[str, Any], words: Words, what: str, name: str, as_of: date
) -> Mail:
    called = cut(name, NAME_CHARACTERS * 2)
    subject = words["subject"].format(what=what, name=called, week=as_of.isocalendar().week)
    view["subject"] = subject
    return Mail(subject, render(f"{form}.html.j2", view), render(f"{form}.txt.j2", view))


def _counts(words: Words, new: int, changed: int, ahead: int) -> str:
    """How much news there is, as "2 new calls, 1 change"; empty where there is none."""
    counted = {"new": new, "changed": changed, "ahead": ahead}
    said = [words["counts"][key][min(count, 2)].format(count=count) for key, count in counted.items()]
    return ", ".join(filter(None, said))


def because(subscription: Subscription | None, name: str, words: Words) -> str:
    """Why this reader gets the mail, with the consent that it rests on."""
    if subscription is None:
        return str(words["because"]["preview"])
    day, source = day_in_words(subscription.consent_on, words), line(subscription.consent_source)
    return str(words["because"][subscription.list].format(day=day, name=line(name), source=source))


def _notices(health: Sequence[SourceHealth], words: Words) -> list[str]:
    """That sources could not be read, and how old what is shown of them is."""
    told = []
    for source in (each for each in health if each.state in ("broken", "partial")):
        seen = source.last_good_at
        kind = "partial" if source.state == "partial" else "old" if seen else "missing"
        day = day_in_words(seen.date(), words) if seen else ""
        told.append(str(words["broken"][kind].format(source=source.source, day=day)))
    return told


def _call(call: Call, wishes: Wishes, as_of: date) -> CallInWords:
    words, zone = wording(wishes.language), ZoneInfo(wishes.zone)
    ahead = next_deadline(call, as_of)
    left = (day_in_zone(ahead.at, zone) - as_of).days if ahead else None
    issuer = next((document.issuer for document in call.documents if document.issuer), None)
    programme = call.programme or issuer or words["programme_unknown"]
    origin = [programme, words["levels"][call.level], words["kinds"].get(call.kind)]
    labels = words["labels"]
    levels = readiness_in_words(call, words)
    facts = (
        (labels["money"], money_in_words(call, words)),
        (labels["effort"], effort_in_words(call, words)),
        (labels["action"], line(call.type_of_action or "")),
        (labels["trl"], levels),
        (labels["parent"], line(call.parent_topic or "")),
    )
    return CallInWords(
        call_id=call.call_id,
        title=_short(line(call.title)),
        url=web_address(call.url),
        origin=_short(line(" · ".join(part for part in origin if part))),
        deadline=_short(deadline_in_words(call, ahead, words, zone)),
        days_left=words["days_left"][min(max(left, 0), 2)].format(days=left) if left is not None else "",
        soon=left is not None and left <= SOON,
        facts=tuple((label, _short(said)) for label, said in facts if said),
    )


def _short(text: str) -> str:
    return text if len(text) <= FACT_CHARACTERS else cut(text, FACT_CHARACTERS)


def _item(profile: Profile, match: Match, edition: Edition, wishes: Wishes, links: Links) -> dict[str, Any]:
    """A new call as the reader sees it, with why it fits and what is open."""
    words = wording(wishes.language)
    return {
        "call": edition.call(match.call_id, wishes),
        "marked": match.feedback == "relevant",
        "verdict": words["verdicts"][match.eligibility.verdict],
        "questions": _questions(match, words),
        "reason": line(" ".join(match.reasons)),
        "evidence": [(line(e.profile_text), line(e.call_text)) for e in match.evidence[:1]],
        "standing": _standing(match, words),
        "helper": _helper(profile, match, edition, words),
        "page": links.call(profile.id, match.call_id) if links.call else None,
    }


def _helper(profile: Profile, match: Match, edition: Edition, words: Words) -> dict[str, str | None] | None:
    """A lab for a company that cannot do a call alone, as far as the call says how many it takes."""
    call, found = edition.week.calls[match.call_id], edition.helpers.get(match.call_id)
    needed = call.consortium.min_partners
    alone = needed is None or needed <= 1 + (profile.partners or 0)
    if profile.kind not in COMPANIES or alone or found is None:
        return None
    name = line(found.profile.name)
    told = words["helper"]["told"].format(name=name, words=found.words)
    return {"told": told, "name": name, "url": web_address(found.profile.website)}


def explained(
    profile: Profile | None, call: Call, match: Match | None, edition: Edition, wishes: Wishes
) -> dict[str, Any]:
    """A call as a page shows it; why it fits only where there is a match."""
    if profile is None or match is None:
        return {"call": edition.call(call.call_id, wishes), "reason": ""}
    return _item(profile, match, edition, wishes, Links())


def _named(match: Match, edition: Edition, wishes: Wishes) -> dict[str, Any]:
    return {"call": edition.call(match.call_id, wishes)}


def _changed(change: Change, edition: Edition, wishes: Wishes) -> dict[str, Any]:
    """What changed with a call, in a sentence."""
    words = wording(wishes.language)
    said = words["changes"][change.kind][1 if change.before else 0]
    told = said.format(
        before=_moment(change.before, wishes, words),
        after=_moment(change.after, wishes, words),
        money=money_in_words(change.call, words),
    )
    return {"call": edition.call(change.call.call_id, wishes), "told": told}


def _moment(deadline: Deadline | None, wishes: Wishes, words: Words) -> str:
    return moment_in_words(deadline.at, words, ZoneInfo(wishes.zone)) if deadline else ""


def _entry(
    call_id: str,
    found: Sequence[tuple[Profile, Match]],
    edition: Edition,
    wishes: Wishes,
    links: Links,
) -> dict[str, Any]:
    """A call with the clients that it fits, the best in a line each, and what is open about applying."""
    words = wording(wishes.language)
    best = sorted(found, key=lambda each: (-each[1].percentile, each[0].id))
    questions = [q for _, match in best for q in _questions(match, words) if q[1]]
    return {
        "call": edition.call(call_id, wishes),
        "clients": [
            {
                "name": line(profile.name),
                "page": links.call(profile.id, call_id) if links.call else None,
                "standing": _standing(match, words),
                "verdict": words["verdicts"][match.eligibility.verdict],
                "reason": line(" ".join(match.reasons[:1])),
            }
            for profile, match in best[:ADVISER_CLIENTS]
        ],
        "others": _names([profile for profile, _ in best[ADVISER_CLIENTS:]], words),
        "questions": list(dict.fromkeys(questions))[:2],
    }


def _standing(match: Match, words: Words) -> str:
    which = "best" if match.percentile == 100 else "better"
    return str(words["standing"][which].format(percent=int(match.percentile)))


def _names(profiles: Sequence[Profile], words: Words) -> str:
    """Names with commas between; of very many the first, and how many more."""
    told = [cut(line(profile.name), NAME_CHARACTERS) for profile in profiles]
    more = [words["and_more"].format(count=len(told) - NAMES)] if len(told) > NAMES else []
    return ", ".join(told[:NAMES] + more)


def _few(rows: list[Any]) -> list[Any]:
    """No more rows of an adviser's mail than are read."""
    return rows[:ADVISER_ROWS]


def _look(
    clients: Sequence[tuple[Profile, News]],
    fits: Mapping[str, Sequence[tuple[Profile, Match]]],
    edition: Edition,
    words: Words,
    attention: Attention,
) -> list[str]:
    """What a person should look at, the most urgent first."""
    say, calls, as_of = words["look"], edition.week.calls, edition.week.as_of
    names = {profile.id: line(profile.name) for profile, _ in clients}
    told = []
    for call_id, found in fits.items():
        ahead = next_deadline(calls[call_id], as_of)
        open_for = [profile for profile, match in found if match.eligibility.verdict == "unknown"]
        if ahead and (on(ahead) - as_of).days <= SOON and open_for:
            title = line(calls[call_id].title)
            told.append(say["soon"].format(title=title, clients=_names(open_for, words)))
    for call_id in fits:
        call = calls[call_id]
        fields = [c.field for c in call.contradictions if c.settled_by is None]
        if fields or disputed_deadlines(call):
            named = ", ".join(dict.fromkeys(name.replace("_", " ") for name in fields))
            told.append(say["disputed"].format(title=line(call.title), fields=named))
    for given in (mark for mark in attention.marks if mark.profile_id in names):
        title = line(calls[given.call_id].title) if given.call_id in calls else given.call_id
        why = f": “{line(given.why)}”" if given.why else ""
        verdict = say["marks"][given.verdict]
        told.append(say["marked"].format(name=names[given.profile_id], title=title, verdict=verdict, why=why))
    for profile_id, day in attention.refused:
        if profile_id in names:
            told.append(say["refused"].format(name=names[profile_id], day=day_in_words(day, words)))
    for profile_id, week in attention.doubts:
        if profile_id in names:
            told.append(say["doubt"].format(name=names[profile_id], week=week))
    unconfirmed = [profile for profile, found in clients if profile.label == "to be confirmed" and found.new]
    if unconfirmed:
        told.append(say["unconfirmed"].format(names=_names(unconfirmed, words)))
    return told


def _questions(match: Match, words: Words) -> tuple[tuple[str, str | None], ...]:
    """What the call says about applying, in its own words, what shuts out first; then in one line what it
    does not state. A bare amount says nothing that the money does not say."""
    rules = sorted(match.eligibility.rules, key=lambda rule: rule.verdict != "fail")
    rules = [rule for rule in rules if rule.verdict != "pass"]
    clauses = [
        (words["questions"][r.rule]["said"], cut(line(r.clause), CLAUSE_CHARACTERS))
        for r in rules
        if r.clause
    ]
    said = [(label, clause) for label, clause in clauses if any(c.isalpha() for c in clause)]
    silent = [words["questions"][r.rule]["silent"] for r in rules if not r.clause]
    silence = words["silence"].format(things=", ".join(silent))
    return (*said, *([(silence, None)] if silent else []))
