"""What ranking all candidates for one call costs, beside the bare FAISS search of the same vectors.

python tests/benchmarks/partners.py [BENCH], with a matching benchmark's folder that has partners/.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np

from embeddings.encode import Encoder
from flows.partners.bench import network_of, read_partner_bench
from pipeline import ranking
from pipeline.network import Network, scores

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "bench" / "matching-2023"
ROUNDS, ASKED, BEST = 5, 60, 50


def main(folder: Path) -> None:
    """Print medians over rounds in which both are timed side by side."""
    known = read_partner_bench(folder)
    with tempfile.TemporaryDirectory() as cache:
        begun = time.perf_counter()
        network = network_of(known.bench, Encoder(cache_dir=Path(cache)))
        built = time.perf_counter() - begun
    vectors = of_organisations(network)
    faiss.omp_set_num_threads(1)  # as ours; more make a search of this size slower
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    number = {topic.topic_id: place for place, topic in enumerate(known.bench.topics)}
    ranker = ranking.load(ranking.PARTNERS)
    topics = network.heads.adapted.astype(np.float32)
    scores(network, ranker, 0, known.queries[0].lead)  # the model is read once
    ours, bare = [], []
    for query in known.queries[:ASKED]:
        place = number[query.topic]
        ours.append(timed(lambda place=place, query=query: scores(network, ranker, place, query.lead)))
        bare.append(timed(lambda place=place: index.search(topics[place : place + 1], BEST)))
    one, search = statistics.median(ours), statistics.median(bare)
    asked = np.stack([topics[number[query.topic]] for query in known.queries])
    whole = timed(lambda: [scores(network, ranker, number[q.topic], q.lead) for q in known.queries])
    batch = min(timed(lambda: index.search(asked, BEST)) for _ in range(ROUNDS))
    count = len(network.history.org_ids)
    print(f"{count:,} candidates, {len(network.history.project_ids):,} earlier projects")
    print(f"network built once, all texts encoded: {built:.1f} s")
    print(f"one call and lead: {1000 * one:.1f} ms (slowest {1000 * max(ours):.1f})")
    print(f"bare FAISS search of the candidates' vectors: {1000 * search:.2f} ms; ratio {one / search:.1f}")
    print(f"all {len(known.queries):,}: {whole:.1f} s; FAISS in one batch {batch:.2f} s")


def of_organisations(network: Network) -> np.ndarray:
    """(organisations, d) vectors of length 1: the mean of each one's projects."""
    found = network.joined @ network.history.adapted
    found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return np.ascontiguousarray(found, dtype=np.float32)


def timed(work: object) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begun


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    if given.exists():
        main(given)
    else:
        print(f"{given}: no benchmark here; partners are not measured")
