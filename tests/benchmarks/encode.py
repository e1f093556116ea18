"""What encoding costs beside plain sentence-transformers, and what it keeps of the ranking: `make bench`.

Plain is what a user types: `SentenceTransformer(folder).encode(texts)`, torch in fp32, batches of 32. Both
take turns in every round, since the machine may be busy; CPU seconds tell more there than the clock. Ours
goes through `Encoder`, with its cache on disk. The ranking is of topics that companies were funded under,
by the mean of their earlier projects.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from conftest import SHARED
from weights import read

from embeddings.encode import Encoder

BENCH = SHARED / "bench" / "matching-2023"
ROUNDS = 3
PARTS = 4  # the ranking's texts are encoded in so many turns
FIRST_VECTOR = {
    "plain": "from sentence_transformers import SentenceTransformer as S; S(sys.argv[1]).encode(['a query'])",
    "ours": "from embeddings.encode import Encoder; from pathlib import Path; "
    "Encoder(cache_dir=Path(sys.argv[2])).encode(['a query'], kind='query')",
}

Encode = Callable[[Sequence[str]], Any]


def timed(encode: Encode, texts: Sequence[str]) -> tuple[Any, np.ndarray]:
    """Vectors, and the seconds they took: by the clock, and of all cores together."""
    clock, cpu = time.perf_counter(), time.process_time()
    vectors = encode(texts)
    return vectors, np.array([time.perf_counter() - clock, time.process_time() - cpu])


def show(name: str, texts: int, seconds: dict[str, np.ndarray]) -> None:
    """Texts a second of each way, and how many times the first way's they are."""
    base = texts / next(iter(seconds.values()))
    for way, taken in seconds.items():
        rate = texts / taken
        figures = f"{rate[0]:>9.1f}{rate[1]:>12.1f}{rate[0] / base[0]:>9.1f}{rate[1] / base[1]:>9.1f}"
        print(f"{name:<22}{way:<20}{figures}")


def first_vector(folder: Path) -> None:
    """Seconds from the start of a process to its first vector, the best of some."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for way, code in FIRST_VECTOR.items():
            with tempfile.TemporaryDirectory() as cache:
                begun = time.perf_counter()
                command = [sys.executable, "-c", f"import sys; {code}", str(folder), cache]
                subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
                best[way] = min(best.get(way, np.inf), time.perf_counter() - begun)
    print(f"first vector of a process: plain {best['plain']:.2f} s, ours {best['ours']:.2f} s")


def ndcg(
    topics: np.ndarray, ids: list[str], profiles: dict[str, np.ndarray], right: dict[str, set[str]]
) -> float:
    """Mean nDCG@10 over companies; a profile is (projects, dimension)."""
    discount = 1 / np.log2(np.arange(2, 12))
    found = []
    for sme, projects in profiles.items():
        best = np.lexsort((ids, -(topics @ projects.mean(axis=0))))[:10]
        hits = np.array([ids[i] in right[sme] for i in best])
        found.append((hits * discount).sum() / discount[: min(len(right[sme]), 10)].sum())
    return float(np.mean(found))


def ranking(plain: Encode, ours: Encode) -> None:
    """Speed on the texts of the ranking, each encoded once, and the ranking by both vectors."""
    ids, titles, smes, right = read(BENCH)
    projects = sorted({text for texts in smes.values() for text in texts})
    random.Random(0).shuffle(projects)
    vectors: dict[str, list[np.ndarray]] = {"plain": [], "ours": []}
    for name, texts in (("topics", titles), ("projects", projects)):
        seconds = {way: np.zeros(2) for way in vectors}
        parts: dict[str, list[Any]] = {way: [] for way in vectors}
        for part in np.array_split(np.array(texts, dtype=object), PARTS):
            for way, encode in (("plain", plain), ("ours", ours)):
                found, taken = timed(encode, part.tolist())
                parts[way].append(found)
                seconds[way] += taken
        show(f"{len(texts)} {name}", len(texts), seconds)
        for way, found in parts.items():
            vectors[way].append(np.concatenate(found))
    reached = {}
    for way, (topics, kept) in vectors.items():
        row = dict(zip(projects, kept, strict=True))
        profiles = {sme: np.array([row[text] for text in texts]) for sme, texts in smes.items()}
        reached[way] = ndcg(topics, ids, profiles, right)
    cosine = np.concatenate([(a * b).sum(axis=1) for a, b in zip(*vectors.values(), strict=True)])
    print(f"cosine to plain: mean {cosine.mean():.6f}, least {cosine.min():.6f}")
    ratio = reached["ours"] / reached["plain"]
    print(
        f"nDCG@10, {len(smes)} SMEs: plain {reached['plain']:.4f}, ours {reached['ours']:.4f} ({ratio:.2%})"
    )


def main() -> None:
    """Print everything; the ranking where its data are kept."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as folder:
        fresh = count()
        encoder = Encoder(cache_dir=Path(folder) / "first")
        model = SentenceTransformer(str(encoder.folder), device="cpu")

        def plain(texts: Sequence[str], batch_size: int = 32) -> Any:
            return model.encode(texts, batch_size=batch_size, show_progress_bar=False)

        def ours(texts: Sequence[str]) -> Any:
            """With a cache that is still empty, and the model that is already loaded."""
            encoder.encode(["warm"], kind="passage")
            other = Encoder(cache_dir=Path(folder) / str(next(fresh)))
            other._model = encoder._model
            return other.encode(texts, kind="passage")

        print(f"runtime {encoder.runtime}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        first_vector(encoder.folder)
        words = Path(__file__).with_name("encode.py").read_text("utf-8").split()
        texts = [" ".join(random.Random(seed).choices(words, k=200)) for seed in range(64)]
        ways: dict[str, Encode] = {
            "plain": plain,
            "plain, batches of 16": lambda texts: plain(sorted(texts, key=len), 16),
            "ours": ours,
        }
        best = {way: np.full(2, np.inf) for way in ways}
        for _ in range(ROUNDS):
            for way, encode in ways.items():
                best[way] = np.minimum(best[way], timed(encode, texts)[1])
        print(f"{'texts':<22}{'way':<20}{'texts/s':>9}{'texts/CPU s':>12}{'× plain':>9}{'× (CPU)':>9}")
        show("64 of 200 words", len(texts), best)
        if BENCH.is_dir():
            ranking(plain, ours)
        else:
            print(f"the ranking is not measured: its data are not at {BENCH}")


if __name__ == "__main__":
    main()
