"""From cosines to the best calls of many profiles: means of the best passages, and which calls lead.

A block of profiles at a time, so that memory does not grow with profiles times calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)
BLOCK = 1024  # profile passages that are compared with all calls at a time
MARGIN = 2e-4  # above twice what a single-precision sum over 1,600 dimensions can be off


def blocks(counts: Sequence[int], most: int = BLOCK) -> Iterator[slice]:
    """Runs of profiles with at most `most` passages together, or of one profile that has more alone.

    `counts` (profiles,) are the profiles' passages.
    """
    first = held = 0
    for number, count in enumerate(counts):
        if number > first and held + count > most:
            yield slice(first, number)
            first, held = number, 0
        held += count
    if first < len(counts):
        yield slice(first, len(counts))


def top_mean(best: NDArray[Real], starts: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[Real]:
    """(profiles, calls) mean of each profile's `count` greatest values a call, or of all where it has fewer.

    `best` (profile passages, calls), profile i having the rows from `starts[i]` to `starts[i + 1]`. A profile
    without a passage is like no call: 0.
    """
    found = np.zeros((len(starts), best.shape[1]), best.dtype)
    spare = np.empty(best.shape[1], best.dtype)
    ends = np.append(starts, len(best)).astype(np.int64)[1:]
    for mean, start, end in zip(found, starts, ends, strict=True):
        if start == end:
            continue
        kept = best[start : min(start + count, end)].copy()
        for row in best[start + count : end]:
            least = row.copy()
            for held in kept:  # each keeps the greater one; what falls out at the end is the least of all
                np.minimum(held, least, out=spare)
                np.maximum(held, least, out=held)
                least, spare = spare, least
        np.mean(kept, axis=0, out=mean)
    return found


def contenders(scores: NDArray[np.floating[Any]], kept: int) -> NDArray[np.int64]:
    """The places of all that may be among the `kept` greatest, were each score off by half of MARGIN."""
    if len(scores) <= kept:
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - kept)[len(scores) - kept]
    return np.flatnonzero(scores >= least - MARGIN)
