"""Fits the domain adapter and the learned ranking on a benchmark; cross-validation tells what they give."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embeddings import adapter as adapters
from embeddings.adapter import Adapter
from embeddings.encode import Encoder
from flows.bench import Bench
from flows.home import Home, write_whole
from flows.past import heads, past, project_vectors, topic_vectors
from pipeline import ranking
from pipeline.history import Floats, History, Outlook
from pipeline.schema import Project, Topic

if TYPE_CHECKING:
    from flows.rankers import Scores
    from flows.reporter import Reporter

FOLDS = 5
LEAST = 30  # examples from which something can be learned
STAGE = "train"
Progress = Callable[[int, int], None]


class TrainError(Exception):
    """Nothing can be fitted on this benchmark; one line that says why."""


@dataclass(frozen=True)
class Examples:
    """Queries that have a history, their (topics, names) features, and which (topics,) really funded them."""

    queries: list[str]
    names: list[str]
    tables: list[Floats]
    answers: list[NDArray[np.bool_]]


def train(bench: Bench, home: Home, reporter: Reporter) -> None:
    """Fit both on a benchmark and write them into the package. Raises TrainError."""
    from embeddings.encode import DEFAULT_MODEL

    encoder = Encoder(DEFAULT_MODEL, cache_dir=home.vectors)
    progress = partial(reporter.advance, STAGE)
    reporter.start(STAGE)
    adapter = fit_adapter(bench, encoder, progress)
    told = examples(bench, outlook_of(bench, encoder, adapter, progress))
    if len(told.queries) < LEAST:
        raise TrainError(f"only {len(told.queries)} queries have a history and an answer; {LEAST} are needed")
    fitted = ranking.fit(told.tables, told.answers, told.names, bench.day.isoformat())
    try:
        adapters.save(adapter, adapters.FILE)
        write_whole(Path(str(ranking.FILE)), fitted.dumped())
    except OSError as error:
        raise TrainError(f"{error.filename}: the weights cannot be written ({error.strerror})") from error


def fit_adapter(bench: Bench, encoder: Encoder, progress: Progress | None = None) -> Adapter:
    """An adapter of all earlier projects and the topics that they were funded under; no answer is used.

    Raises TrainError where there is none.
    """
    topics = [Topic.model_validate(row) for row in bench.history.topics.to_pylist()]
    number = {topic.topic_id: i for i, topic in enumerate(topics)}
    rows = [Project.model_validate(row) for row in bench.history.projects.to_pylist()]
    projects = [project for project in rows if project.topic in number]
    if not projects:
        raise TrainError("no project of the history was funded under a topic of the history")
    return adapters.fit(
        project_vectors(projects, encoder, progress),
        topic_vectors(topics, encoder, progress),
        np.array([number[str(project.topic)] for project in projects]),
    )


def outlook_of(bench: Bench, encoder: Encoder, adapter: Adapter, progress: Progress | None = None) -> Outlook:
    """The benchmark's history, seen from its topics."""
    return Outlook(
        history_of(bench, encoder, adapter, progress), heads(bench.topics, encoder, adapter, progress)
    )


def history_of(bench: Bench, encoder: Encoder, adapter: Adapter, progress: Progress | None = None) -> History:
    """What was known before the benchmark's day, as arrays."""
    told = bench.history
    tables = (told.topics, told.projects, told.participants, told.participations)
    return past(*tables, encoder, adapter, bench.day, progress)


def examples(bench: Bench, outlook: Outlook) -> Examples:
    """What there is to learn from."""
    found = Examples([], [], [], [])
    for query in bench.queries:
        right = bench.qrels.get(query.query_id)
        if not right or not len(outlook.history.projects_of(query.query_id)):
            continue
        features = outlook.features(query.query_id)
        found.names[:] = list(features)
        found.queries.append(query.query_id)
        found.tables.append(ranking.table(features, found.names))
        found.answers.append(np.array([topic.topic_id in right for topic in bench.topics]))
    return found


def cross_validated(told: Examples, bench: Bench) -> Scores:
    """Query → topic → score, each organisation by a model that has not seen it."""
    fold = np.array([int(hashlib.sha256(query.encode()).hexdigest(), 16) % FOLDS for query in told.queries])
    found: dict[str, dict[str, float]] = {}
    for held_out in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        if len(seen) < LEAST:
            continue
        model = ranking.fit(
            [told.tables[i] for i in seen], [told.answers[i] for i in seen], told.names, "cross-validation"
        )
        for i in unseen:
            scores = model.scores(dict(zip(told.names, told.tables[i].T, strict=True)))
            found[told.queries[i]] = {
                topic.topic_id: round(float(score), 6)
                for topic, score in zip(bench.topics, scores, strict=True)
            }
    return found
