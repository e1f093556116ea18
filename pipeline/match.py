"""Which open calls fit a profile: lexical and dense similarity together, with the sentences that meet.

Similarities come in as arrays, so this module knows vectors' inner products but no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.eligibility import eligibility
from pipeline.normalise import sentences
from pipeline.schema import Call, Evidence, Match, Profile

DENSE_WEIGHT = 0.75  # of the score; the rest is lexical (docs/matching.md)
BEST_PASSAGES = 3  # a call is judged by the profile passages that it meets best
KEPT = 50  # matches kept a profile
SENTENCE_CHARACTERS = 300


@dataclass(frozen=True)
class Passage:
    """A piece of a call's text that fits the model; `text` is what is shown, `embedded` is encoded."""

    call_id: str
    heading: str
    text: str
    embedded: str


@dataclass(frozen=True)
class Similarity:
    """One profile against the open calls.

    `dense`: (profile passages, call passages) cosines; `lexical`: (calls,) BM25 scores, 0 or more.
    """

    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]


def call_passages(call: Call, split: Callable[[str, str], list[str]]) -> list[Passage]:
    """A call's text in pieces, by section. `split(text, prefix)` keeps each with its title in the limit.

    Every piece is embedded with the title before it; a call without text has its title alone.
    """
    title = f"{call.title}. "
    pieces = [(s.heading, part) for s in call.sections for part in split(s.text, title)]
    if not pieces:
        about = " ".join(filter(None, [call.call_title, ", ".join(call.keywords[:20])]))
        return [Passage(call.call_id, "", call.title, f"{title}{about}".strip())]
    return [Passage(call.call_id, heading, part, title + part) for heading, part in pieces]


def lexical_text(call: Call) -> str:
    """All words of a call that a lexical search should see."""
    headed = (f"{section.heading}\n{section.text}" for section in call.sections)
    named = [call.title, call.call_title or "", call.identifier or "", " ".join(call.keywords)]
    return "\n".join([*named, *headed])


def rank(
    profile: Profile,
    own_passages: Sequence[str],
    calls: Sequence[Call],
    passages: Sequence[Passage],
    similarity: Similarity,
    shared_terms: Callable[[str, str], list[str]],
    as_of: date,
) -> list[Match]:
    """The profile's best calls, best first; calls that it may not apply for come last.

    `calls` are open as of the day; `passages` are theirs, in the calls' order. Scores are rounded to
    six digits and ties go by call id, so the same input gives the same list.
    """
    if not calls:
        return []
    place = {call.call_id: i for i, call in enumerate(calls)}
    owner = np.array([place[passage.call_id] for passage in passages])
    scores = _scores(similarity, owner, len(calls))
    verdicts = [eligibility(profile, call, as_of) for call in calls]
    order = sorted(
        range(len(calls)), key=lambda i: (verdicts[i].verdict == "fail", -scores[i], calls[i].call_id)
    )
    lower = np.searchsorted(np.sort(scores), scores, side="left")
    found = []
    for number, i in enumerate(order[:KEPT], start=1):
        mine = [int(j) for j in np.flatnonzero(owner == i)]
        evidence = _evidence(
            own_passages, [passages[j] for j in mine], similarity.dense[:, mine], shared_terms
        )
        found.append(
            Match(
                profile_id=profile.id,
                call_id=calls[i].call_id,
                rank=number,
                score=float(scores[i]),
                percentile=round(100.0 * int(lower[i]) / max(len(calls) - 1, 1), 1),
                confidence=_confidence(profile, calls[i], len(mine)),
                eligibility=verdicts[i],
                evidence=evidence,
                reasons=_reasons(profile, calls[i], evidence, shared_terms),
            )
        )
    return found


def _scores(similarity: Similarity, owner: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Mean of the best passages' cosines, mixed with BM25 as a share of the profile's best."""
    best = np.full((similarity.dense.shape[0], count), -1.0)
    for row, cosines in zip(best, similarity.dense, strict=True):
        np.maximum.at(row, owner, cosines)
    top = np.sort(best, axis=0)[::-1][:BEST_PASSAGES]
    dense = np.clip(top.mean(axis=0), 0.0, 1.0)
    most = float(similarity.lexical.max(initial=0.0))
    lexical = similarity.lexical / most if most > 0 else np.zeros(count)
    mixed: NDArray[np.float64] = np.round(DENSE_WEIGHT * dense + (1.0 - DENSE_WEIGHT) * lexical, 6)
    return mixed


def _evidence(
    own: Sequence[str],
    passages: Sequence[Passage],
    cosines: NDArray[np.float32],
    shared_terms: Callable[[str, str], list[str]],
) -> tuple[Evidence, ...]:
    """The two closest pairs of passages, each told by its most telling sentences."""
    pairs = sorted(
        (-round(float(cosines[i, j]), 6), i, j) for i in range(len(own)) for j in range(len(passages))
    )
    found: list[Evidence] = []
    used: set[int] = set()
    for negative, i, j in pairs:
        if j in used:
            continue
        used.add(j)
        theirs = _telling(passages[j].text, own[i], shared_terms)
        mine = _telling(own[i], theirs, shared_terms)
        found.append(
            Evidence(profile_text=mine, call_text=theirs, call_heading=passages[j].heading, weight=-negative)
        )
        if len(found) == 2:
            break
    return tuple(found)


def _telling(text: str, other: str, shared_terms: Callable[[str, str], list[str]]) -> str:
    """The sentence of `text` that shares most with `other`; the first one where none does."""
    candidates = sentences(text) or [text]
    best = max(candidates, key=lambda sentence: len(shared_terms(other, sentence)))
    return best if len(best) <= SENTENCE_CHARACTERS else best[:SENTENCE_CHARACTERS].rsplit(" ", 1)[0] + " …"


def _confidence(profile: Profile, call: Call, passages: int) -> Literal["low", "medium", "high"]:
    """How much text a score rests on: a title alone is little, another language weakens it."""
    if not call.sections:
        return "low"
    return "high" if passages > 1 and profile.language == (call.language or "en") else "medium"


_PHRASES = {
    "en": {
        "shared": "Your text and the call both speak of {terms}.",
        "close": "The call's “{heading}” is close in meaning to what you describe.",
        "text": "text",
        "title": "Only the call's title is known, so read the call before you count on it.",
        "and": " and ",
    },
    "nl": {
        "shared": "Uw tekst en de call gaan allebei over {terms}.",
        "close": "“{heading}” van de call ligt qua betekenis dicht bij wat u beschrijft.",
        "text": "de tekst",
        "title": "Alleen de titel van de call is bekend; lees de call voordat u erop rekent.",
        "and": " en ",
    },
}


def _reasons(
    profile: Profile,
    call: Call,
    evidence: Sequence[Evidence],
    shared_terms: Callable[[str, str], list[str]],
) -> tuple[str, ...]:
    """Plain sentences in the profile's language; the first can stand alone."""
    say = _PHRASES[profile.language]
    terms: dict[str, str] = {}
    for pair in evidence:
        for word in shared_terms(pair.profile_text, pair.call_text):
            terms.setdefault(word.lower(), word.lower())
    few = list(terms.values())[:4]
    reasons = []
    if len(few) >= 2:
        reasons.append(say["shared"].format(terms=", ".join(few[:-1]) + say["and"] + few[-1]))
    elif evidence:
        reasons.append(say["close"].format(heading=evidence[0].call_heading or say["text"]))
    if not call.sections:
        reasons.append(say["title"])
    return tuple(reasons)
