"""What was said of calls, and what it does to a ranking: like calls rise or fall, unlike ones stay.

A mark moves a call by at most MOST, and the likest mark of each kind counts, not how many there are. So
marks bury nothing, their order is of no matter, and one reason can tell the whole of a move.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.identity import ids_of
from pipeline.prose import cut
from pipeline.schema import Call, Feedback, Match

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Cosines of two calls' vectors (docs/matching.md): 97 of 100 pairs of different programmes are below the
# first, and 94 of 100 pairs of one part of a work programme below the second.
UNLIKE, ALIKE = 0.30, 0.70
FEW = 5  # calls of a language from which its mean begins to count
MOST = 0.10  # of the score: what lies between a profile's first and tenth call, as a rule
TOLD = 0.01  # a smaller move changes no place to speak of, and a reason that names it would mislead
TITLE_CHARACTERS = 70  # of a marked call's title inside a reason

Marks = Mapping[str, Feedback]  # call id → what one profile says of it; withdrawn ones are not in it

_SAID = {
    ("en", "relevant"): "Like “{title}”, which you marked relevant.",
    ("en", "not-for-us"): "Like “{title}”, which you marked as not for you.",
    ("nl", "relevant"): "Lijkt op „{title}”, die u als passend aanmerkte.",
    ("nl", "not-for-us"): "Lijkt op „{title}”, die u als niet passend aanmerkte.",
}


def marks(feedback: Iterable[Feedback], calls: Iterable[Call]) -> dict[str, dict[str, Feedback]]:
    """Profile id → call id → the last that was said of it, where it was not withdrawn.

    `feedback` is in the order in which it was given. A call answers to all ids that it may have had, and is
    found by the one that it has in `calls`; feedback on a call that is not among them keeps its own id.
    """
    goes_by: dict[str, list[str]] = defaultdict(list)
    for call in calls:
        for name in ids_of(call):
            goes_by[name].append(call.call_id)
    found: dict[str, dict[str, Feedback]] = defaultdict(dict)
    for given in feedback:
        for call_id in goes_by.get(given.call_id, [given.call_id]):
            found[given.profile_id].pop(call_id, None)
            if given.verdict != "cleared":
                found[given.profile_id][call_id] = given
    return {profile_id: told for profile_id, told in found.items() if told}


@dataclass(frozen=True)
class Marked:
    """A profile's marks, the marked calls' titles in that order, (marks, calls) likeness to open calls."""

    marks: Marks
    titles: Sequence[str]
    likeness: NDArray[Any]


def signs(told: Iterable[Feedback]) -> NDArray[np.float64]:
    """(marks,) 1 for relevant, -1 for not-for-us."""
    import numpy as np

    return np.array([1.0 if given.verdict == "relevant" else -1.0 for given in told])


def call_vectors(
    vectors: NDArray[Any], owner: NDArray[np.int64], languages: Sequence[str | None], count: int | None = None
) -> NDArray[np.float64]:
    """(calls, dimension) vectors of length 1: the mean of a call's passages less that of its language.

    `vectors` is (passages, dimension), `owner` (passages,) the number of each passage's call, `languages`
    are the calls'. What calls of a language share (of the first `count`, or of all) is taken off, else any
    two Dutch ones are alike to an English model. A call without a passage is all zeros, and so like no other.
    """
    import numpy as np

    means = np.zeros((len(languages), vectors.shape[1]), dtype=np.float64)
    np.add.at(means, owner, vectors)
    means = _unit(means)
    for language in dict.fromkeys(languages):
        mine = np.array([other == language for other in languages]) & means.any(axis=1)
        shared = np.flatnonzero(mine[:count])
        means[mine] -= means[shared].sum(axis=0) / (len(shared) + FEW)
    return _unit(means)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    lengths = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    lengths[lengths == 0] = 1.0
    return np.asarray(rows / lengths, dtype=np.float64)


def shifted(
    scores: NDArray[np.float64], likeness: NDArray[Any], signs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(calls,) scores after feedback, within 0 and 1, each moved by at most MOST; rounded to six digits.

    `scores` (calls,) are within 0 and 1; `likeness` (marks, calls) are cosines of the marked calls' vectors
    with all calls' (`call_vectors` of both together); `signs` (marks,) are 1 for relevant, -1 for not-for-us.
    """
    import numpy as np

    moved = np.clip(scores + _moves(likeness, signs), 0.0, 1.0)
    return np.asarray(np.round(moved, 6), dtype=np.float64)


def movers(likeness: NDArray[Any], signs: NDArray[np.float64]) -> list[int | None]:
    """For each call the mark that moved it, by its place in `signs`; None where none did to speak of.

    Arrays as in `shifted`. Of equally like marks it is the first.
    """
    import numpy as np

    found: list[int | None] = []
    for column, move in zip(np.asarray(likeness).T, _moves(likeness, signs), strict=True):
        same = np.flatnonzero(signs * move > 0)
        found.append(int(same[np.argmax(column[same])]) if abs(move) >= TOLD else None)
    return found


def _moves(likeness: NDArray[Any], signs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(calls,) what is added to each score: the likest relevant mark's pull less the likest other's.

    A call that two contradictory marks are equally like stays; nearer to one of them it follows that one.
    A marked call is like itself, so it is never moved against its own mark.
    """
    import numpy as np

    along = np.clip((np.asarray(likeness, dtype=np.float64) - UNLIKE) / (ALIKE - UNLIKE), 0.0, 1.0)
    pull = along**2 * (3.0 - 2.0 * along)  # smooth at both ends
    up = pull[signs > 0].max(axis=0, initial=0.0)
    down = pull[signs < 0].max(axis=0, initial=0.0)
    moves: NDArray[np.float64] = MOST * (up - down)
    return moves


def reason(title: str, given: Feedback, language: str) -> str:
    """Why a call rose or fell, in the profile's language: the like call's title, and how it was marked."""
    return _SAID[language, given.verdict].format(title=cut(" ".join(title.split()), TITLE_CHARACTERS))


def hidden(match: Match) -> bool:
    """Whether a match is only shown to who asks for all: one may not apply, or it was marked not-for-us."""
    return match.feedback == "not-for-us" or match.eligibility.verdict == "fail"


def placed(matches: Sequence[Match], told: Marks) -> list[Match]:
    """A profile's matches with its marks on them, ranked anew: those that are hidden last, marked ones at
    the very end."""
    marked = [
        match.model_copy(update={"feedback": told[match.call_id].verdict if match.call_id in told else None})
        for match in matches
    ]
    ordered = sorted(marked, key=lambda match: (match.feedback == "not-for-us", hidden(match)))
    return [match.model_copy(update={"rank": rank}) for rank, match in enumerate(ordered, start=1)]
