"""Many profiles against many calls: exact, the same whatever the batch, and in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embeddings import index as index_module
from embeddings.index import CallVectors, PassageIndex, build_index
from pipeline.scores import MARGIN, blocks, contenders, top_mean

D = 24
Vectors = NDArray[np.float32]


def unit(count: int, seed: int = 0, dimension: int = D) -> Vectors:
    """Unit vectors around few centres, so that many are nearly alike."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((4, dimension))[random.integers(4, size=count)]
    found += 0.2 * random.standard_normal((count, dimension))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def of(vectors: Vectors, counts: Sequence[int], rows: Sequence[int] | None = None) -> CallVectors:
    """Calls with so many passages each, in the order of the rows."""
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    starts = (np.cumsum(counts) - counts).astype(int).tolist()
    chosen = range(sum(counts)) if rows is None else rows
    return PassageIndex(flat, [str(row) for row in range(len(vectors))]).grouped(chosen, starts)


def naive(asked: Vectors, theirs: Vectors, counts: Sequence[int]) -> NDArray[np.float64]:
    """The greatest cosine of every pair, one by one, in double precision."""
    found = np.empty((len(asked), len(counts)))
    for i, one in enumerate(asked.astype(np.float64)):
        at = 0
        for j, count in enumerate(counts):
            found[i, j] = max(float(one @ other.astype(np.float64)) for other in theirs[at : at + count])
            at += count
    return found


def leading(scores: NDArray[np.float64], kept: int) -> NDArray[np.int64]:
    """The places of the `kept` greatest scores, greatest first, those that are equal by place."""
    return np.argsort(-scores, kind="stable")[:kept]


def matched(
    asked: Vectors, counts: Sequence[int], calls: CallVectors, kept: int
) -> list[tuple[bytes, bytes]]:
    """Each profile's best calls and their scores, to the last bit, by way of one block."""
    starts = (np.cumsum(counts) - counts).astype(np.int64)
    found = []
    coarse = top_mean(calls.best(asked), starts, 3)
    for scores, start, count in zip(coarse, starts, counts, strict=True):
        near = contenders(scores, kept)
        cosines, firsts = calls.cosines(asked[start : start + count], near)
        best = np.maximum.reduceat(cosines, firsts, axis=1)
        exact = np.round(top_mean(best, [0], 3)[0], 6)
        first = leading(exact, kept)
        found.append((near[first].tobytes(), exact[first].tobytes()))
    return found


# --- passages to calls


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(0, 7), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_best_is_the_greatest_cosine_of_each_call_as_a_loop_finds_it(
    counts: list[int], queries: int, seed: int
) -> None:
    theirs, asked = unit(sum(counts), seed), unit(queries, seed + 1)
    with pytest.MonkeyPatch.context() as patch:  # small enough that all kinds of blocks are met
        for name, size in (("ASKED", 3), ("CHUNK", 4), ("COLUMNS", 6)):
            patch.setattr(index_module, name, size)
        found = of(theirs, counts).best(asked)
    assert found.shape == (queries, len(counts)) and found.dtype == np.float32
    assert np.abs(found - naive(asked, theirs, counts)).max(initial=0) <= D * 2**-24


def test_rows_may_be_any_of_the_index_in_any_order_and_more_than_once() -> None:
    theirs, asked = unit(50), unit(4, 1)
    rows = [49, 3, 3, 17, 0, 20]
    calls = of(theirs, [1, 3, 2], rows)
    assert np.allclose(calls.best(asked), naive(asked, theirs[rows], [1, 3, 2]), atol=D * 2**-24, rtol=0)


def test_calls_of_very_unequal_length_across_several_chunks() -> None:
    counts = np.random.default_rng(5).choice([1, 2, 3, 90, 400], p=[0.5, 0.2, 0.2, 0.08, 0.02], size=1300)
    theirs, asked = unit(int(counts.sum())), unit(3, 1)
    every = asked.astype(np.float64) @ theirs.T.astype(np.float64)
    expected = np.maximum.reduceat(every, np.cumsum(counts) - counts, axis=1)
    assert np.abs(of(theirs, counts.tolist()).best(asked) - expected).max() <= D * 2**-24


def test_cosines_have_the_same_bits_whatever_else_is_asked() -> None:
    dimension, counts = 384, np.random.default_rng(6).integers(1, 9, size=700)
    theirs, asked = unit(int(counts.sum()), 2, dimension), unit(600, 3, dimension)
    calls = of(theirs, counts.tolist())
    every, starts = calls.cosines(asked, np.arange(700))
    assert np.array_equal(starts, np.cumsum(counts) - counts)
    exact = np.array(
        [[np.sum(q * p) for p in theirs[:40].astype(np.float64)] for q in asked.astype(np.float64)]
    )
    assert np.array_equal(every[:, :40], np.round(exact, 6) + 0.0)
    random = np.random.default_rng(7)
    for size in (1, 2, 5, 17, 96):
        some, chosen = random.permutation(600)[:size], random.permutation(700)[: 3 * size]
        found, firsts = calls.cosines(asked[some], chosen)
        columns = np.concatenate([np.arange(starts[i], starts[i] + counts[i]) for i in chosen])
        assert np.array_equal(firsts, np.cumsum(counts[chosen]) - counts[chosen])
        assert found.tobytes() == np.ascontiguousarray(every[np.ix_(some, columns)]).tobytes()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_by_its_row(wrong: float) -> None:
    asked = unit(5)
    asked[3, 7] = wrong
    calls = of(unit(6), [2, 4])
    with pytest.raises(ValueError, match="vector 3 is not finite"):
        calls.best(asked)
    with pytest.raises(ValueError, match="vector 3 is not finite"):
        calls.cosines(asked, [0])


def test_an_index_is_not_built_of_a_vector_that_is_not_finite(tmp_path: Path) -> None:
    vectors = unit(3)
    vectors[1, 0] = np.nan
    with pytest.raises(ValueError, match="vector 1 is not finite"):
        build_index(tmp_path, ["a", "b", "c"], vectors, "m")
    assert not list(tmp_path.iterdir())


def test_no_call_one_call_and_no_query() -> None:
    asked = unit(3)
    assert of(unit(0), []).best(asked).shape == (3, 0)
    assert of(unit(0), []).cosines(asked, [])[0].shape == (3, 0)
    assert of(unit(1), [1]).best(asked).shape == (3, 1)
    assert of(unit(4), [1, 3]).best(unit(0)).shape == (0, 2)
    assert contenders(np.empty(0), 50).shape == (0,)
    assert top_mean(np.empty((0, 4), np.float32), [], 3).shape == (0, 4)


@pytest.mark.parametrize("starts", [[0, 2, 2], [1, 2], [0, 3], [0, 4], [2, 0], []])
def test_a_call_without_a_passage_or_a_passage_without_a_call_is_refused(starts: list[int]) -> None:
    flat = faiss.IndexFlatIP(D)
    flat.add(unit(3))
    with pytest.raises(ValueError, match="at least one passage"):
        PassageIndex(flat, ["a", "b", "c"]).grouped([0, 1, 2], starts)


# --- calls to scores


@given(st.lists(st.integers(0, 8), max_size=6), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_top_mean_is_the_mean_of_a_profiles_greatest_values_a_call(
    counts: list[int], count: int, seed: int
) -> None:
    best = np.random.default_rng(seed).integers(-9, 9, size=(sum(counts), 5)) / 8
    before = best.copy()
    starts = np.cumsum(counts, dtype=np.int64) - np.array(counts, np.int64)
    found = top_mean(best, starts, count)
    assert np.array_equal(best, before) and found.shape == (len(counts), 5)
    for mean, start, size in zip(found, starts, counts, strict=True):
        rows = best[start : start + size]
        top = [sorted(column, reverse=True)[:count] for column in rows.T] if size else [[0.0]] * 5
        assert mean == pytest.approx([sum(column) / len(column) for column in top])


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 20), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_what_leads_is_among_the_contenders_however_far_off_the_scores_are_within_the_margin(
    steps: list[int], kept: int, seed: int
) -> None:
    exact = np.array(steps) * MARGIN / 4
    off = np.random.default_rng(seed).uniform(-MARGIN / 2, MARGIN / 2, size=len(exact)) * 0.999
    assert set(leading(exact, kept)) <= set(contenders(exact + off, kept))


def test_contenders_are_few() -> None:
    scores = np.random.default_rng(0).random(10_000)
    assert 50 <= len(contenders(scores, 50)) <= 70


def test_equal_scores_are_all_contenders() -> None:
    assert contenders(np.full(9, 0.5), 2).tolist() == list(range(9))


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 12))
def test_blocks_hold_all_profiles_once_and_no_more_passages_than_they_may(
    counts: list[int], most: int
) -> None:
    runs = list(blocks(counts, most))
    assert [i for run in runs for i in range(run.start, run.stop)] == list(range(len(counts)))
    assert all(sum(counts[run]) <= most or run.stop - run.start == 1 for run in runs)


# --- all together


def test_a_profile_has_the_same_matches_to_the_last_bit_alone_and_among_any_others() -> None:
    dimension = 384
    theirs, asked = unit(900, 8, dimension), unit(700, 9, dimension)
    theirs[300:600] = theirs[:300]  # a hundred calls twice: ties at every place
    calls = of(theirs, [3] * 300)
    together = matched(asked, [7] * 100, calls, 50)
    assert together == [matched(asked[i : i + 7], [7], calls, 50)[0] for i in range(0, 700, 7)]
    turned = np.concatenate([asked[i : i + 7] for i in range(693, -1, -7)])
    assert together == matched(turned, [7] * 100, calls, 50)[::-1]


@pytest.mark.parametrize("kept", [1, 10, 50])
def test_matches_are_those_of_a_plain_loop(kept: int) -> None:
    theirs, asked = unit(160, 4), unit(30, 5)
    counts = [1, 2, 3, 4, 6] * 10
    best = np.round(naive(asked, theirs, counts), 6)
    found = matched(asked, [1, 2, 6, 9, 12], of(theirs, counts), kept)
    for (places, scores), rows in zip(found, np.split(best, [1, 3, 9, 18]), strict=True):
        means = [round(sum(sorted(column)[-3:]) / min(3, len(rows)), 6) for column in rows.T]
        expected = sorted(range(50), key=lambda i: (-means[i], i))[:kept]
        assert np.frombuffer(places, np.int64).tolist() == expected
        assert np.frombuffer(scores).tolist() == pytest.approx([means[i] for i in expected], abs=1e-9)


PEAK = """
import sys
from pathlib import Path
import faiss
import numpy as np
from embeddings.index import CallVectors
from pipeline.scores import blocks, contenders, top_mean

profiles = int(sys.argv[1])
random = np.random.default_rng(0)
flat = faiss.IndexFlatIP(8)
flat.add(random.standard_normal((8000, 8), np.float32))
calls = CallVectors(flat, np.arange(8000), np.arange(0, 8000, 2))
asked = random.standard_normal((5 * profiles, 8), np.float32)
for block in blocks([5] * profiles):
    some = asked[5 * block.start : 5 * block.stop]
    for scores in top_mean(calls.best(some), np.arange(0, len(some), 5), 3):
        contenders(scores, 50)
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_profiles_times_calls() -> None:
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", PEAK, str(profiles)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for profiles in (500, 5000)  # the scores alone of the second: 76 MiB, and 381 MiB before their means
    ]
    assert peaks[1] - peaks[0] < 16
