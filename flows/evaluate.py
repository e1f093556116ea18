"""How well rankings find the topics that organisations were really funded under, beside simple methods.

A ranker gives every query scores of documents. Metrics are ranx's; what is told of them is the mean over
queries with its 95 % bootstrap interval, and the paired difference to a baseline in the same run.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flows.bench import Bench, BenchError, Qrels
from flows.home import write_whole
from flows.rankers import BASELINE, PRODUCTION, Rankers, Scores, stage
from pipeline.schema import Stage

if TYPE_CHECKING:
    from flows.reporter import Reporter

Rankings = Mapping[str, Sequence[str]]  # query → documents, best first

METRICS = {
    "recall@10": "R@10",
    "recall@50": "R@50",
    "mrr": "MRR",
    "ndcg@10": "nDCG@10",
}  # ranx's name → shown
DEPTH = 1000  # documents of a ranking that are judged and written
RESAMPLES = 1000
SEED = 20230101
# Key of a group → how it is shown
GROUPS = {
    "sme": "SMEs",
    "sme_one": "SMEs with one earlier project",
    "sme_more": "SMEs with two or more",
    "nl_other": "Dutch, not SMEs",
    "all": "all",
}


def ranked(scores: Mapping[str, float]) -> list[str]:
    """The best DEPTH documents, best first; ties go by document id. ValueError: a score is no number."""
    if not np.isfinite(list(scores.values())).all():
        raise ValueError("a ranking has scores that are no numbers")
    return sorted(scores, key=lambda document: (-scores[document], document))[:DEPTH]


def groups_of(bench: Bench) -> dict[str, list[str]]:
    """The queries with an answer in each of GROUPS."""
    asked = [query for query in bench.queries if query.query_id in bench.qrels]
    smes = [query for query in asked if query.group == "sme"]
    members = {
        "sme": smes,
        "sme_one": [query for query in smes if len(query.projects) == 1],
        "sme_more": [query for query in smes if len(query.projects) > 1],
        "nl_other": [query for query in asked if query.group == "nl_other"],
        "all": asked,
    }
    return {name: [query.query_id for query in members[name]] for name in GROUPS}


def per_query(qrels: Qrels, rankings: Rankings, metrics: Sequence[str]) -> NDArray[np.float64]:
    """(metrics, queries) figures by ranx, the queries in the qrels' order. One without a ranking scores 0."""
    number: dict[str, int] = {}
    wanted, given = {}, {}
    for query, answers in qrels.items():  # ranx pairs the two by place, and tells documents by their hash
        wanted[query] = {number.setdefault(d, len(number)): grade for d, grade in answers.items()}
        order = rankings.get(query) or [""]
        given[query] = {number.setdefault(d, len(number)): -float(rank) for rank, d in enumerate(order)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, of integer types
        found = _ranx()(wanted, given, [*metrics], return_mean=False)
    return np.array([found[metric] for metric in metrics])


def _ranx() -> Callable[..., Any]:
    """ranx's `evaluate`. Its import makes folders for data sets; they are thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("IR_DATASETS_HOME")
        os.environ["IR_DATASETS_HOME"] = folder
        try:
            import ranx
        finally:
            del os.environ["IR_DATASETS_HOME"]
            if kept is not None:
                os.environ["IR_DATASETS_HOME"] = kept
    found: Callable[..., Any] = ranx.evaluate
    return found


def intervals(values: NDArray[np.float64], metrics: Sequence[str]) -> dict[str, dict[str, float]]:
    """Mean of (metrics, queries) values and its 95 % bootstrap interval over queries, a metric at a time.

    Always the same resamples for the same number of queries, so differences are paired.
    """
    count = values.shape[1]
    drawn = np.random.default_rng(SEED).integers(count, size=(RESAMPLES, count))
    told = {}
    for name, row in zip(metrics, values, strict=True):
        low, high = np.percentile(row[drawn].mean(axis=1), [2.5, 97.5])
        told[name] = {
            key: round(float(value), 6) for key, value in (("mean", row.mean()), ("low", low), ("high", high))
        }
    return told


def compared(
    qrels: Qrels,
    rankings: Mapping[str, Rankings],
    groups: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
    baseline: str,
) -> dict[str, dict[str, Any]]:
    """Ranker → group → `n`, each metric's interval, and `vs_<baseline>`: the paired differences.

    A group without queries has `n` 0 alone.
    """
    place = {query: number for number, query in enumerate(qrels)}
    columns = {name: [place[query] for query in members] for name, members in groups.items()}
    figures = {name: per_query(qrels, found, metrics) for name, found in rankings.items()}
    told: dict[str, dict[str, Any]] = {}
    for ranker, mine in figures.items():
        told[ranker] = {}
        for group, queries in columns.items():
            told[ranker][group] = {"n": len(queries)}
            if queries:
                told[ranker][group] |= intervals(mine[:, queries], metrics)
                if ranker != baseline:
                    difference = (mine - figures[baseline])[:, queries]
                    told[ranker][group][f"vs_{baseline.lower()}"] = intervals(difference, metrics)
    return told


def trec_run(scores: Scores, rankings: Rankings, tag: str) -> str:
    """The rankings as a TREC run, queries by id.

    A written score is smaller than the one before it also where both were alike, and in single precision:
    then a tool that sorts by score, with ties by its own rule, finds the same order.
    """
    lines = []
    for query in sorted(rankings):
        documents = rankings[query]
        exact = np.array([scores[query][document] for document in documents], dtype=np.float32)
        step = 4 * np.spacing(np.abs(exact).max(initial=1e-6))
        last = np.float32(np.inf)
        for rank, (document, score) in enumerate(zip(documents, exact, strict=True), start=1):
            last = min(score, np.float32(last - step))
            lines.append(f"{query} Q0 {document} {rank} {last!s} {tag}\n")
    return "".join(lines)


def evaluate_matching(
    bench: Bench, rankers: Rankers, reporter: Reporter, run: Path | None = None
) -> dict[str, Any]:
    """All rankers on a bench; the production ranking is also written to `run`, whole or not at all.

    Raises BenchError when it cannot be written.
    """
    scores, rankings = {}, {}
    for name, ranker in rankers.items():
        with told_stage(reporter, stage(name), len(bench.queries)):
            scores[name] = ranker(bench)
            rankings[name] = {query: ranked(given) for query, given in scores[name].items()}
    if run is not None:
        try:
            write_whole(run, trec_run(scores[PRODUCTION], rankings[PRODUCTION], PRODUCTION))
        except OSError as error:
            raise BenchError(f"{run}: cannot be written ({error.strerror})") from error
    with told_stage(reporter, "judge", len(bench.qrels)):
        figures = compared(bench.qrels, rankings, groups_of(bench), list(METRICS), BASELINE)
    return {
        "day": bench.day.isoformat(),
        "queries": len(bench.queries),
        "topics": len(bench.topics),
        "resamples": RESAMPLES,
        "rankers": figures,
    }


@contextmanager
def told_stage(reporter: Reporter, name: str, items: int) -> Iterator[None]:
    """Tell of a stage that begins, and how long it took for so many items."""
    reporter.start(name)
    begun = time.perf_counter()
    yield
    reporter.finish(Stage(name=name, seconds=round(time.perf_counter() - begun, 3), items=items))


def print_evaluation(told: Mapping[str, Any]) -> None:
    """Each group's rankers: metrics with their intervals, and the paired difference in nDCG@10."""
    groups = {
        shown: {ranker: figures[group] for ranker, figures in told["rankers"].items()}
        for group, shown in GROUPS.items()
    }
    print_table(groups, METRICS, "ndcg@10", BASELINE)
    print(
        f"\n{told['queries']} queries, {told['topics']} topics, as known before {told['day']}. "
        f"In brackets: 95 % bootstrap intervals\nover queries, {told['resamples']} resamples; "
        f"differences are paired."
    )


def print_table(
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]],
    metrics: Mapping[str, str],
    compared_by: str,
    baseline: str,
) -> None:
    """Figures by group and ranker: ranx's metrics as they are shown, and the paired difference in one."""
    print(
        f"{'':<12}{''.join(f'{s:>19}' for s in metrics.values())}{f'{metrics[compared_by]} - {baseline}':>22}"
    )
    for group, by_ranker in groups.items():
        count = next(iter(by_ranker.values()))["n"]
        print(f"\n{group} ({count})")
        for ranker, figures in by_ranker.items() if count else ():
            cells = "".join(f"{_cell(figures[metric]):>19}" for metric in metrics)
            beside = figures.get(f"vs_{baseline.lower()}")
            print(f"  {ranker:<10}{cells}{_cell(beside[compared_by], '+') if beside else '':>22}".rstrip())


def _cell(figure: Mapping[str, float], sign: str = "") -> str:
    mean, low, high = (_short(f"{figure[key]:{sign}.3f}") for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _short(number: str) -> str:
    """A number within -1 and 1 without its leading 0, always as wide: .289, 1.00."""
    return number.replace("0.", ".", 1) if "0." in number else number[:-1]
