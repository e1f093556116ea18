"""How often a funded project finds its own topic among all earlier ones, by title and keywords alone.

Usage: python tests/benchmarks/topics.py BENCH (its `history/` is read). A topic is told by what the portal
showed before anybody applied; the adapter is fitted on the projects of other topics (five folds).
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings import adapter as adapters
from embeddings.encode import Encoder
from embeddings.lexical import LexicalIndex
from flows.past import project_vectors, topic_vectors
from pipeline.schema import Project, Topic
from warehouse.history import read_history

FOLDS = 5
LEXICAL = 0.5  # weight of BM25 beside the vectors, both as distances from a project's mean


def standing(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row as distances from its mean in standard deviations."""
    return (scores - scores.mean(axis=1, keepdims=True)) / (scores.std(axis=1, keepdims=True) + 1e-9)


def figures(scores: NDArray[np.float32], own: NDArray[np.int64], among: NDArray[np.bool_]) -> str:
    """Top-1 and MRR; topics that score the same as the right one count before it."""
    mine = scores[np.arange(len(own)), own][:, None]
    ranks = ((scores >= mine) & among).sum(axis=1)
    return f"{np.mean(ranks == 1):>8.3f}{np.mean(1 / ranks):>8.3f}"


def main(bench: Path) -> None:
    """Print top-1 and MRR of each way, among all topics and among those of the same year."""
    history = read_history(bench / "history")
    topics = [Topic.model_validate(row) for row in history.topics.to_pylist()]
    number = {topic.topic_id: i for i, topic in enumerate(topics)}
    projects = [
        p for row in history.projects.to_pylist() if (p := Project.model_validate(row)).topic in number
    ]
    own = np.array([number[str(project.topic)] for project in projects])
    year = np.array([(re.search(r"20\d\d", topic.topic_id) or [""])[0] for topic in topics])
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(cache_dir=Path(folder))
        asked, known = project_vectors(projects, encoder), topic_vectors(topics, encoder)
    texts = ["\n".join(filter(None, (topic.title, topic.keywords))) for topic in topics]
    index = LexicalIndex(texts, ["en"] * len(texts))
    words = np.stack([index.scores(f"{p.title}\n{p.objective or ''}", "en") for p in projects])
    fold = np.random.default_rng(0).permutation(len(topics))[own] % FOLDS
    adapted = np.zeros_like(words)
    for held_out in range(FOLDS):
        seen, unseen = fold != held_out, fold == held_out
        fitted = adapters.fit(asked[seen], known, own[seen])
        adapted[unseen] = fitted.apply(asked[unseen], "query") @ fitted.apply(known, "passage").T
    plain = asked @ known.T
    ways = {
        "BM25": words,
        "MiniLM": plain,
        "MiniLM and BM25": standing(plain) + LEXICAL * standing(words),
        "adapted, unseen topics": adapted,
        "adapted and BM25": standing(adapted) + LEXICAL * standing(words),
    }
    print(f"{len(projects)} projects, {len(topics)} topics\n{'':24}   top-1     MRR   same year: top-1, MRR")
    for name, scores in ways.items():
        everywhere, that_year = np.ones(scores.shape, dtype=np.bool_), year[own][:, None] == year[None]
        print(f"{name:24}{figures(scores, own, everywhere)}{figures(scores, own, that_year)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
