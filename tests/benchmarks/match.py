"""What matching all profiles with all calls costs beside one bare FAISS search: `make bench`.

Bare is `IndexFlatIP.search` of all profile passages over all call passages, k = 50. Ours goes on from there
to calls: the greatest cosine a call, the mean of a profile's best three, the fifty best calls with their
cosines in double precision. Both take turns over the same slices; the vectors are synthetic, in clusters.
On one thread the figures can be repeated; on all cores both lose, by turns, where others use the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from embeddings.index import CallVectors
from pipeline.scores import blocks, contenders, top_mean

DIMENSION, CLUSTERS = 384, 300
CALLS, PER_CALL, PER_PROFILE, KEPT, BEST = 10_000, 3, 5, 50, 3
SIZES = (1_000, 10_000, 100_000, 1_000_000)  # profile passages
FEWER_CALLS = 500  # for the growth, so that the largest size ends in time
SLICES = 10  # in which the two take turns
PART = 10_000  # profile passages that are in memory at a time
LINE = f"{'passages':>10}{'calls':>8}{'CPU s':>9}{'ms a profile':>14}{'peak MiB':>10}"


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    """(count, d) unit vectors around common centres, with cosines as texts have: most small, some large."""
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, DIMENSION), np.float32)
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, DIMENSION), np.float32)
    for at in range(0, count, 10_000):
        part = vectors[at : at + 10_000]
        part += centres[random.integers(CLUSTERS, size=len(part))]
        part += 0.5 * centres[0]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def calls_of(vectors: NDArray[np.float32], per_call: int) -> tuple[faiss.Index, CallVectors]:
    """The bare index, and the same vectors by call."""
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors)
    rows = np.arange(len(vectors))
    return index, CallVectors(index, rows, rows[::per_call])


def matched(vectors: NDArray[np.float32], calls: CallVectors) -> int:
    """The best calls of every profile, one at a time as a writer would take them; how many there were."""
    count = len(vectors) // PER_PROFILE
    found = 0
    for block in blocks([PER_PROFILE] * count):
        some = vectors[block.start * PER_PROFILE : block.stop * PER_PROFILE]
        scores = top_mean(calls.best(some), np.arange(0, len(some), PER_PROFILE), BEST)
        for number, coarse in enumerate(scores):
            own = some[number * PER_PROFILE : (number + 1) * PER_PROFILE]
            near = contenders(coarse, KEPT)
            cosines, starts = calls.cosines(own, near)
            exact = top_mean(np.maximum.reduceat(cosines, starts, axis=1), np.zeros(1, np.int64), BEST)[0]
            found += len(near[np.argsort(-np.round(exact, 6), kind="stable")[:KEPT]])
    return found


def side_by_side(passages: int) -> None:
    """CPU and clock seconds of both over the same passages, slice by slice in turns."""
    index, calls = calls_of(clustered(CALLS * PER_CALL, 1), PER_CALL)
    asked = clustered(passages, 2)
    taken = np.zeros((2, 2))
    turns: list[Callable[[NDArray[np.float32]], object]] = [
        lambda part: index.search(part, KEPT),
        lambda part: matched(part, calls),
    ]
    for number, part in enumerate(np.split(asked, SLICES)):
        for way in (0, 1) if number % 2 else (1, 0):
            clock, cpu = time.perf_counter(), time.process_time()
            turns[way](part)
            taken[way] += time.perf_counter() - clock, time.process_time() - cpu
    print(f"{passages} passages of {passages // PER_PROFILE} profiles, {CALLS} calls of {PER_CALL}:")
    for name, (clock, cpu) in zip(("bare FAISS search", "matched to calls"), taken, strict=True):
        print(f"  {name:<20}{cpu:7.1f} CPU s {clock:7.1f} s")
    clock, cpu = taken[1] / taken[0]
    print(f"  ratio {cpu:.2f} by CPU, {clock:.2f} by the clock")


def growth(passages: int) -> None:
    """One line of figures; run in a process of its own, for its peak of memory.

    The profiles' vectors come in parts, as they would from a file, and are made outside the time taken.
    """
    _, calls = calls_of(clustered(FEWER_CALLS * PER_CALL, 1), PER_CALL)
    taken = 0.0
    for at in range(0, passages, PART):
        asked = clustered(min(PART, passages - at), 2 + at)
        begun = time.process_time()
        matched(asked, calls)
        taken += time.process_time() - begun
    status = Path("/proc/self/status").read_text("utf-8")
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    each = 1000 * taken * PER_PROFILE / passages
    print(f"{passages:>10}{FEWER_CALLS:>8}{taken:>9.2f}{each:>14.3f}{peak:>10.0f}")


def child(task: str, passages: int, threads: int) -> None:
    """One measurement in a process of its own, with so many threads for both libraries."""
    number = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__, task, str(passages)], check=True, env=os.environ | number)


def main() -> None:
    """Both side by side, then how time and memory grow with the profiles."""
    if len(sys.argv) > 1:
        {"beside": side_by_side, "growth": growth}[sys.argv[1]](int(sys.argv[2]))
        return
    cores = os.cpu_count() or 1
    print(f"load {os.getloadavg()[0]:.1f} on {cores} cores; one thread, then {cores}:")
    child("beside", 100_000, 1)
    child("beside", 100_000, cores)
    print(LINE)
    for passages in SIZES:
        child("growth", passages, 1)


if __name__ == "__main__":
    main()
