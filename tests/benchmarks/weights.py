"""The two numbers of the match score, measured on topics that companies were really funded under.

Usage: python tests/benchmarks/weights.py BENCH (a folder in BEIR's layout with `history/`). A company's
earlier projects stand for its profile; the calls are the topics' titles. Nothing is fitted: the table
shows what each weight gives.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np

from embeddings.encode import Encoder
from embeddings.lexical import LexicalIndex
from pipeline.match import Similarity, mixed_scores


def read(bench: Path) -> tuple[list[str], list[str], dict[str, list[str]], dict[str, set[str]]]:
    """Topic ids and titles; SMEs with the texts of their earlier projects; the topics that funded them."""
    corpus = [json.loads(line) for line in (bench / "corpus.jsonl").open()]
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (bench / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, topic, _ = line.split("\t")
        relevant[query].add(topic)
    found = duckdb.execute(
        "SELECT project, concat_ws('. ', title, objective) FROM read_parquet(?)",
        [str(bench / "history" / "projects.parquet")],
    )
    texts = dict(found.fetchall())
    queries = [json.loads(line) for line in (bench / "queries.jsonl").open()]
    smes = {
        q["_id"]: [texts[project] for project in q["metadata"]["projects"]]
        for q in queries
        if q["metadata"]["group"] == "sme" and relevant[q["_id"]]
    }
    titles = [f"{topic['title']}\n{topic['text']}" for topic in corpus]
    return [topic["_id"] for topic in corpus], titles, smes, relevant


def main(bench: Path) -> None:
    """Print recall@10, recall@50 and nDCG@10 for weights and numbers of passages."""
    ids, titles, smes, relevant = read(bench)
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(cache_dir=Path(folder))
        topics = encoder.encode(titles, kind="passage")
        encoder.encode([encoder.split(text)[0] for texts in smes.values() for text in texts], kind="query")
        index = LexicalIndex(titles, ["en"] * len(titles))
        alike = {
            sme: Similarity(
                encoder.encode([encoder.split(text)[0] for text in texts], kind="query") @ topics.T,
                index.scores("\n".join(texts), "en"),
            )
            for sme, texts in smes.items()
        }
    owner = np.arange(len(ids))
    discount = 1 / np.log2(np.arange(2, 12))
    print(f"{len(smes)} SMEs, {len(ids)} topics\npassages  dense weight    R@10    R@50  nDCG@10")
    for passages in (1, 3, 10):
        for weight in (1.0, 0.95, 0.9, 0.85, 0.75, 0.5, 0.0):
            figures = []
            for sme, similarity in alike.items():
                scores = mixed_scores(similarity, owner, len(ids), weight, passages)
                order = np.lexsort((ids, -scores))[:50]
                hits = np.array([ids[i] in relevant[sme] for i in order])
                count = len(relevant[sme])
                ideal = discount[: min(count, 10)].sum()
                figures.append(
                    (hits[:10].sum() / count, hits.sum() / count, (hits[:10] * discount).sum() / ideal)
                )
            r10, r50, ndcg = np.mean(figures, axis=0)
            print(f"{passages:>8}{weight:>14.2f}{r10:>8.3f}{r50:>8.3f}{ndcg:>9.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
