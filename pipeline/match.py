"""Which open calls fit a profile: lexical and dense similarity together, with the sentences that meet.

Similarities come in as arrays, so this module knows vectors' inner products but no model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.eligibility import eligibility
from pipeline.feedback import Marked, Marks, movers, placed, reason, shifted, signs
from pipeline.profiles import OwnPassage
from pipeline.reasons import SharedTerms, evidence_of, pairs_of, reasons_for, telling
from pipeline.schema import Call, Match, Profile, Project
from pipeline.scores import top_mean

DENSE_WEIGHT = 0.9  # of the score; the rest is lexical (docs/matching.md)
BEST_PASSAGES = 3  # a call is judged by the profile passages that it meets best
HISTORY_SHARE = 0.5  # of an EU topic's score, where a profile has earlier projects; own words have the rest
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
    """One profile against open calls.

    `dense`: (profile passages, call passages) cosines; `lexical`: (calls,) BM25 scores, 0 or more. Where the
    calls are only those that may lead, `most` is the greatest BM25 score of all and `others` how many are
    left out, all of which score lower.
    """

    dense: NDArray[np.float32] | NDArray[np.float64]
    lexical: NDArray[np.float32]
    most: float | None = None
    others: int = 0


@dataclass(frozen=True)
class Track:
    """What a profile's earlier projects say of the open calls.

    `learned` (calls,): the fitted ranking's scores, of which only the order means something; NaN where it
    says nothing, as of a call that is no EU topic. `nearest` (calls,): the own project that is most like it
    and the cosine, where it is close.
    """

    learned: NDArray[np.float64]
    nearest: Sequence[tuple[Project, float] | None]


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
    track: Track | None = None,
    marked: Marked | None = None,
    also: Collection[str] = (),
) -> list[Match]:
    """The profile's best calls, best first; those among them that it may not apply for come last, and after
    them those that it marked as not for it.

    `calls` are open as of the day; `passages` are theirs, in the calls' order, at least one each. `track` is
    None for a profile without a history; calls in `also` are kept however they rank. Scores are rounded to
    six digits and ties go by call id, so the same input gives the same list.
    """
    if not calls:
        return []
    shared = telling(shared_terms)
    place = {call.call_id: i for i, call in enumerate(calls)}
    owner = np.array([place[passage.call_id] for passage in passages])
    scores = mixed_scores(similarity, owner, len(calls))
    if track:
        scores = with_history(scores, track.learned)
    moved_by: Sequence[int | None] = [None] * len(calls)
    if marked:
        sides = signs(marked.marks.values())
        scores, moved_by = shifted(scores, marked.likeness, sides), movers(marked.likeness, sides)
    told: Marks = marked.marks if marked else {}
    best = sorted(range(len(calls)), key=lambda i: (-scores[i], calls[i].call_id))
    kept = best[:KEPT] + [i for i in best[KEPT:] if calls[i].call_id in told or calls[i].call_id in also]
    lower = similarity.others + np.searchsorted(np.sort(scores), scores, side="left")
    rivals = max(similarity.others + len(calls) - 1, 1)
    found = []
    for number, i in enumerate(kept, start=1):
        mine = [int(j) for j in np.flatnonzero(owner == i)]
        theirs = [(passages[j].heading, passages[j].text) for j in mine]
        pairs = pairs_of(own, theirs, similarity.dense[:, mine], shared)
        near = track.nearest[i] if track else None
        reasons = list(reasons_for(profile, calls[i], pairs, shared, near[0] if near else None))
        mark = moved_by[i]
        if marked and mark is not None and calls[i].call_id not in told:
            given = list(told.values())[mark]
            reasons.append(reason(marked.titles[mark], given, profile.language))
        found.append(
            Match(
                profile_id=profile.id,
                call_id=calls[i].call_id,
                rank=number,
                score=float(scores[i]),
                percentile=round(100.0 * int(lower[i]) / rivals, 1),
                confidence=_confidence(profile, calls[i], len(mine)),
                basis="text and history" if track and np.isfinite(track.learned[i]) else "text",
                eligibility=eligibility(profile, calls[i], as_of),
                evidence=evidence_of(calls[i], [pair for pair, _ in pairs], near),
                reasons=tuple(reasons),
            )
        )
    return placed(found, told)


def with_history(
    scores: NDArray[np.float64], learned: NDArray[np.float64], share: float = HISTORY_SHARE
) -> NDArray[np.float64]:
    """(calls,) scores in which the calls that `learned` (calls,) knows of are put in both orders' mean.

    The learned scores are first brought to the mean and the spread that the same calls' scores have, so that
    calls it knows nothing of (NaN) keep their place among them. Rounded to six digits, within 0 and 1.
    """
    known: NDArray[np.bool_] = np.isfinite(learned)
    if known.sum() < 2:
        return scores
    if np.ptp(learned[known]) < 1e-9:  # all the same: their order says nothing
        return scores
    spread = learned[known].std()
    standing = (learned - learned[known].mean()) / spread
    alike = scores[known].mean() + scores[known].std() * standing
    joint = np.where(known, (1.0 - share) * scores + share * alike, scores)
    return np.asarray(np.round(np.clip(joint, 0.0, 1.0), 6), dtype=np.float64)


def mixed_scores(
    similarity: Similarity,
    owner: NDArray[np.int64],
    count: int,
    dense_weight: float = DENSE_WEIGHT,
    best_passages: int = BEST_PASSAGES,
) -> NDArray[np.float64]:
    """(count,) scores: mean of a profile's best passages' cosines, mixed with BM25 as a share of its best.

    `owner` (call passages,) is the number of each passage's call, ascending; no call is without a passage.
    Rounded to six digits, each within 0 and 1.
    """
    starts = np.searchsorted(owner, np.arange(count))
    best = np.maximum.reduceat(similarity.dense.astype(np.float64), starts, axis=1)
    dense = top_mean(best, [0], best_passages)[0]
    most = float(similarity.lexical.max(initial=0.0)) if similarity.most is None else similarity.most
    return mixed(dense, similarity.lexical, most, dense_weight)


def mixed(
    dense: NDArray[Any], lexical: NDArray[np.float32], most: float, dense_weight: float = DENSE_WEIGHT
) -> NDArray[np.float64]:
    """(calls,) scores of (calls,) cosines and BM25 scores, the greatest of which is `most`; six digits."""
    share = lexical / most if most > 0 else np.zeros(len(lexical))
    found: NDArray[np.float64] = np.round(
        dense_weight * np.clip(dense, 0.0, 1.0) + (1.0 - dense_weight) * share, 6
    )
    return found


def _confidence(profile: Profile, call: Call, passages: int) -> Literal["low", "medium", "high"]:
    """How much text a score rests on: a title alone is little, another language weakens it."""
    said = " ".join((profile.description, *profile.offers, *profile.seeks))
    if not call.sections or len(said.split()) < PROFILE_WORDS:
        return "low"
    return "high" if passages > 1 and profile.language == (call.language or "en") else "medium"
