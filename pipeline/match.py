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
from pipeline.profiles import OwnPassage
from pipeline.reasons import SharedTerms, pairs_of, reasons_for, telling
from pipeline.schema import Call, Match, Profile

DENSE_WEIGHT = 0.9  # of the score; the rest is lexical (docs/matching.md)
BEST_PASSAGES = 3  # a call is judged by the profile passages that it meets best
KEPT = 50  # matches kept a profile
TITLE_WORDS = 40  # of a title are embedded before a passage; a longer one leaves it too little room
PROFILE_WORDS = 25  # a profile with fewer says too little to be matched with confidence


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
    title = " ".join(call.title.split()[:TITLE_WORDS]) + ". "
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
    own: Sequence[OwnPassage],
    calls: Sequence[Call],
    passages: Sequence[Passage],
    similarity: Similarity,
    shared_terms: SharedTerms,
    as_of: date,
) -> list[Match]:
    """The profile's best calls, best first; those among them that it may not apply for come last.

    `calls` are open as of the day; `passages` are theirs, in the calls' order, at least one each. Scores
    are rounded to six digits and ties go by call id, so the same input gives the same list.
    """
    if not calls:
        return []
    shared = telling(shared_terms)
    place = {call.call_id: i for i, call in enumerate(calls)}
    owner = np.array([place[passage.call_id] for passage in passages])
    scores = mixed_scores(similarity, owner, len(calls))
    verdicts = [eligibility(profile, call, as_of) for call in calls]
    best = sorted(range(len(calls)), key=lambda i: (-scores[i], calls[i].call_id))[:KEPT]
    order = sorted(best, key=lambda i: verdicts[i].verdict == "fail")
    lower = np.searchsorted(np.sort(scores), scores, side="left")
    found = []
    for number, i in enumerate(order, start=1):
        mine = [int(j) for j in np.flatnonzero(owner == i)]
        theirs = [(passages[j].heading, passages[j].text) for j in mine]
        pairs = pairs_of(own, theirs, similarity.dense[:, mine], shared)
        found.append(
            Match(
                profile_id=profile.id,
                call_id=calls[i].call_id,
                rank=number,
                score=float(scores[i]),
                percentile=round(100.0 * int(lower[i]) / max(len(calls) - 1, 1), 1),
                confidence=_confidence(profile, calls[i], len(mine)),
                eligibility=verdicts[i],
                evidence=tuple(pair for pair, _ in pairs),
                reasons=reasons_for(profile, calls[i], pairs, shared),
            )
        )
    return found


def mixed_scores(
    similarity: Similarity,
    owner: NDArray[np.int64],
    count: int,
    dense_weight: float = DENSE_WEIGHT,
    best_passages: int = BEST_PASSAGES,
) -> NDArray[np.float64]:
    """(count,) scores: mean of a profile's best passages' cosines, mixed with BM25 as a share of its best.

    `owner` (call passages,) names the call of each passage. Rounded to six digits, each within 0 and 1.
    """
    best = np.full((similarity.dense.shape[0], count), -1.0)
    for row, cosines in zip(best, similarity.dense, strict=True):
        np.maximum.at(row, owner, cosines)
    top = np.sort(best, axis=0)[::-1][:best_passages]
    dense = np.clip(top.mean(axis=0), 0.0, 1.0)
    most = float(similarity.lexical.max(initial=0.0))
    lexical = similarity.lexical / most if most > 0 else np.zeros(count)
    mixed: NDArray[np.float64] = np.round(dense_weight * dense + (1.0 - dense_weight) * lexical, 6)
    return mixed


def _confidence(profile: Profile, call: Call, passages: int) -> Literal["low", "medium", "high"]:
    """How much text a score rests on: a title alone is little, another language weakens it."""
    said = " ".join((profile.description, *profile.offers, *profile.seeks))
    if not call.sections or len(said.split()) < PROFILE_WORDS:
        return "low"
    return "high" if passages > 1 and profile.language == (call.language or "en") else "medium"
