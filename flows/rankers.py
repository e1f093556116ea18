"""Rankings of a benchmark's topics for its organisations: simple methods, and what `match` would say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flows.bench import Bench, project_texts
from flows.home import Home

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from embeddings.lexical import LexicalIndex
    from flows.reporter import Reporter

Progress = Callable[[int, int], None]
Scores = Mapping[str, Mapping[str, float]]  # query → document → score; the higher, the better
Rankers = dict[str, Callable[[Bench], Scores]]

BASELINE = "MiniLM"
PRODUCTION = "fundmatch"


def stage(ranker: str) -> str:
    """The name under which a ranker's progress is reported."""
    return f"rank {ranker}"


def rankers(home: Home, reporter: Reporter) -> Rankers:
    """The rankings that are told side by side; the reporter gets texts encoded and to encode."""
    from embeddings.encode import Encoder
    from flows.corpus import encoder_for

    dense, own = (partial(reporter.advance, stage(name)) for name in (BASELINE, PRODUCTION))
    return {
        "BM25": _bm25,
        BASELINE: lambda bench: _dense(bench, Encoder(cache_dir=home.vectors), dense),
        PRODUCTION: lambda bench: _production(bench, encoder_for(home, None), own),
    }


def _bm25(bench: Bench) -> Scores:
    """BM25 of each earlier project against the topics, and the mean of that."""
    projects, texts = _earlier(bench)
    index = _lexical(bench)

    @cache
    def scores(word: str) -> NDArray[np.float32]:
        return index.scores(word, "en")

    # word by word: BM25 counts a word as often as the query says it
    rows = [sum(map(scores, text.split()), np.zeros(len(bench.topics))) for text in texts]
    return _means(bench, projects, np.array(rows))


def _dense(bench: Bench, encoder: Encoder, progress: Progress) -> Scores:
    """The mean vector of the earlier projects against the topics' vectors."""
    projects, _ = _earlier(bench)
    return _means(bench, projects, _cosines(bench, encoder, progress))


def _production(bench: Bench, encoder: Encoder, progress: Progress) -> Scores:
    """What `match` makes of an organisation that is known by its history; by its name alone, if it has none.

    The benchmark that the weights were fitted on is ranked by models that have not seen the organisation.
    """
    from embeddings.adapter import adapter_for
    from flows.train import cross_validated, examples, outlook_of
    from pipeline import ranking

    outlook = outlook_of(bench, encoder, adapter_for(encoder), progress)
    ranker = ranking.load()
    found: dict[str, Mapping[str, float]] = {}
    if ranker.trained_on == bench.day.isoformat():
        found |= cross_validated(examples(bench, outlook), bench)
    names = [query for query in bench.queries if not len(outlook.history.projects_of(query.query_id))]
    if names:
        cosines = encoder.encode([query.text for query in names], kind="query") @ outlook.heads.plain.T
        found |= {query.query_id: _named(bench, row) for query, row in zip(names, cosines, strict=True)}
    for query in bench.queries:
        if query.query_id not in found:
            scores = ranker.scores(outlook.features(query.query_id))
            found[query.query_id] = _named(bench, scores)
    return found


def _earlier(bench: Bench) -> tuple[list[str], list[str]]:
    """The queries' projects that say something, and what they say, by id."""
    texts = project_texts(bench.history)
    used = sorted({project for query in bench.queries for project in query.projects} & texts.keys())
    return used, [texts[project] for project in used]


def _topic_texts(bench: Bench) -> list[str]:
    return ["\n".join(filter(None, (topic.title, topic.keywords))) for topic in bench.topics]


def _lexical(bench: Bench) -> LexicalIndex:
    from embeddings.lexical import LexicalIndex

    texts = _topic_texts(bench)
    return LexicalIndex(texts, ["en"] * len(texts))


def _cosines(bench: Bench, encoder: Encoder, progress: Progress) -> NDArray[np.float32]:
    """(earlier projects, topics) cosines; the model reads as much of a text as it can."""
    topics = encoder.encode(_topic_texts(bench), kind="passage", progress=progress)
    projects = encoder.encode(_earlier(bench)[1], kind="query", progress=progress)
    return projects @ topics.T


def _means(bench: Bench, projects: Sequence[str], scores: NDArray[Any]) -> Scores:
    """Each query's mean of its projects' (projects, topics) scores; none where it had no project."""
    row = {project: number for number, project in enumerate(projects)}
    found = {}
    for query in bench.queries:
        rows = [row[project] for project in query.projects if project in row]
        mean = scores[rows].mean(axis=0, dtype=np.float64) if rows else np.zeros(len(bench.topics))
        found[query.query_id] = _named(bench, mean)
    return found


def _named(bench: Bench, scores: NDArray[np.float64]) -> dict[str, float]:
    """Scores by topic, to six digits, so that the last bits of a machine decide no rank."""
    ids = (topic.topic_id for topic in bench.topics)
    return dict(zip(ids, np.round(scores, 6).tolist(), strict=True))
