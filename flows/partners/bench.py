"""Partners that leads really had, as a benchmark beside the one of topics: rankings, training, figures.

Below the matching benchmark's folder, `partners/queries.jsonl` holds a topic and a lead each,
`partners/qrels.tsv` the others that joined and were known before. The lead is never an answer; whoever is
in the history may be one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flows.bench import Bench, BenchError, Qrels, read_bench, read_qrels, records
from flows.evaluate import DEPTH, compared, print_table, told_stage, trec_run
from flows.home import Home, write_whole
from flows.past import heads, members
from flows.rankers import stage
from flows.train import TrainError, history_of
from pipeline import ranking
from pipeline.history import Floats, History
from pipeline.network import Network, Values, looks, scores
from pipeline.ranking import Ranker, table
from pipeline.schema import Topic

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from flows.reporter import Reporter

METRICS = {
    "ndcg@20": "nDCG@20",
    "recall@20": "R@20",
    "recall@50": "R@50",
    "mrr": "MRR",
}  # ranx's name → shown
BASELINE = "content"
PRODUCTION = "fundmatch"
FOLDS = 3  # of topics, in cross-validation
PARTS = 8  # of earlier topics, each told by the other parts' projects
HARDEST, MET, DRAWN = 300, 60, 400  # wrong candidates that are learned from; those drawn stand for the others
LEAST = 30  # examples from which something can be learned
SEED = 1
Ordered = dict[str, dict[str, float]]  # query → organisation → score, the best DEPTH of them
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """A topic for which a lead looks for partners."""

    query_id: str
    topic: str
    lead: str


@dataclass(frozen=True)
class PartnerBench:
    """Topics with their leads, who really joined, and all that was known before the benchmark's day."""

    bench: Bench
    queries: tuple[Asked, ...]
    qrels: Qrels


@dataclass(frozen=True)
class Examples:
    """What to learn from: (organisations, names) features, who joined, and how many each row stands for."""

    topics: list[str]
    names: list[str]
    tables: list[Floats]
    answers: list[NDArray[np.bool_]]
    weights: list[NDArray[np.float64]]


def read_partner_bench(folder: Path) -> PartnerBench:
    """The benchmark that a folder holds. Raises BenchError and WarehouseError as `read_bench` does."""
    bench = read_bench(folder)
    known = {topic.topic_id for topic in bench.topics}
    queries = []
    for where, record in records(folder / "partners" / "queries.jsonl"):
        topic, lead = record.get("topic"), record.get("lead")
        if not isinstance(lead, str) or topic not in known:
            raise BenchError(f'{where}: needs a "lead", and a "topic" of the corpus')
        queries.append(Asked(record["_id"], topic, lead))
    candidates = set(bench.history.participants["org_id"].to_pylist())
    qrels = read_qrels(folder / "partners" / "qrels.tsv", {q.query_id for q in queries}, candidates)
    for query in queries:
        if query.lead in qrels.get(query.query_id, {}):
            raise BenchError(f"{folder}: the lead of {query.query_id!r} is among its own answers")
    return PartnerBench(bench, tuple(queries), qrels)


def network_of(bench: Bench, encoder: Encoder, progress: Progress | None = None) -> Network:
    """The benchmark's history as a network, seen from its topics."""
    from embeddings.adapter import adapter_for

    told, adapter = bench.history, adapter_for(encoder)
    before = history_of(bench, encoder, adapter, progress)
    about = members(before, told.participants, told.participations, encoder, progress)
    return Network(before, about, heads(bench.topics, encoder, adapter, progress))


def examples(known: PartnerBench, network: Network, progress: Progress | None = None) -> Examples:
    """What the benchmark's own topics teach."""
    number = {topic.topic_id: place for place, topic in enumerate(known.bench.topics)}
    org = network.history.number_of
    found = Examples([], [], [], [], [])
    for done, query in enumerate(known.queries, start=1):
        right = [org[key] for key in known.qrels.get(query.query_id, {}) if key in org]
        if right:
            _add(found, network, number[query.topic], query.lead, right, query.query_id, query.topic)
        if progress:
            progress(done, len(known.queries))
    return found


def earlier_examples(
    known: PartnerBench, network: Network, encoder: Encoder, progress: Progress | None = None
) -> Examples:
    """What the history itself teaches: who joined each earlier project, told by projects of other topics.

    The topics fall into PARTS; a part's projects are judged by a network without any project of its topics.
    """
    from embeddings.adapter import adapter_for

    history, told = network.history, {t["topic_id"]: t for t in known.bench.history.topics.to_pylist()}
    part_of = np.array([_hash(topic) % PARTS for topic in history.topic_ids])[history.topic_of]
    leads = _leads(known, history)
    found = Examples([], [], [], [], [])
    for part in range(PARTS):
        judged, kept = np.flatnonzero(part_of == part), np.flatnonzero(part_of != part)
        judged = np.array([project for project in judged if project in leads], dtype=np.int64)
        ids = sorted({history.topic_ids[history.topic_of[project]] for project in judged})
        topics = [Topic.model_validate(told.get(key, {"topic_id": key, "title": key})) for key in ids]
        if not len(judged) or not len(kept):
            continue
        ahead = heads(topics, encoder, adapter_for(encoder))
        led = np.bincount(
            [history.number_of[leads[p]] for p in kept.tolist() if p in leads],
            minlength=len(history.org_ids),
        ).astype(np.float64)
        seen = Network(_part(history, kept), network.members.without(kept, led), ahead)
        joined = history.members.tocsc()
        for project in judged.tolist():
            lead = leads[project]
            there = joined.indices[joined.indptr[project] : joined.indptr[project + 1]]
            right = [int(o) for o in there if history.org_ids[o] != lead and seen.projects[o] > 0]
            topic = history.topic_ids[history.topic_of[project]]
            if right and len(there) > 2:
                _add(found, seen, ids.index(topic), lead, right, history.project_ids[project], topic)
        if progress:
            progress(part + 1, PARTS)
    return found


def fit(told: Sequence[Examples], chosen: Callable[[str], bool], trained_on: str) -> Ranker:
    """A model of those examples of the first whose topic is chosen, and of all others."""
    first = [place for place, topic in enumerate(told[0].topics) if chosen(topic)]
    pairs = [(told[0], first), *((more, list(range(len(more.topics)))) for more in told[1:])]
    return ranking.fit_partners(
        [each.tables[i] for each, places in pairs for i in places],
        [each.answers[i] for each, places in pairs for i in places],
        [each.weights[i] for each, places in pairs for i in places],
        told[0].names,
        trained_on,
    )


def train_partners(known: PartnerBench, home: Home, reporter: Reporter) -> None:
    """Fit the ranking of partners on a benchmark and write it into the package. Raises TrainError."""
    from embeddings.encode import DEFAULT_MODEL, Encoder

    encoder = Encoder(DEFAULT_MODEL, cache_dir=home.vectors)
    progress = partial(reporter.advance, "train")
    reporter.start("train")
    network = network_of(known.bench, encoder, progress)
    told = [examples(known, network, progress), earlier_examples(known, network, encoder, progress)]
    if len(told[0].topics) < LEAST:
        raise TrainError(f"only {len(told[0].topics)} queries have an answer; {LEAST} are needed")
    fitted = fit(told, lambda _: True, known.bench.day.isoformat())
    try:
        write_whole(Path(str(ranking.PARTNERS)), fitted.dumped())
    except OSError as error:
        raise TrainError(f"{error.filename}: the weights cannot be written ({error.strerror})") from error


def evaluate_partners(
    known: PartnerBench, home: Home, reporter: Reporter, run: Path | None = None
) -> dict[str, Any]:
    """Our ranking beside simple ones: all partners, and new ones alone, who had not met the lead before.

    The benchmark that the weights were fitted on is ranked by models that have not seen the topic. Raises
    BenchError when `run` cannot be written.
    """
    from flows.corpus import encoder_for

    encoder = encoder_for(home, None)
    with told_stage(reporter, "history", len(known.bench.topics)):
        network = network_of(known.bench, encoder, partial(reporter.advance, "history"))
    methods = _methods(known, network, encoder, reporter)
    ordered: dict[str, Ordered] = {}
    for name, method in methods.items():
        with told_stage(reporter, stage(name), len(known.queries)):
            ordered[name] = _ordered(known, network, method, partial(reporter.advance, stage(name)))
    if run is not None:
        text = trec_run(ordered[PRODUCTION], _lists(ordered[PRODUCTION]), PRODUCTION)
        try:
            write_whole(run, text)
        except OSError as error:
            raise BenchError(f"{run}: cannot be written ({error.strerror})") from error
    with told_stage(reporter, "judge", len(known.qrels)):
        groups = _judged(known, network, ordered)
    return {
        "day": known.bench.day.isoformat(),
        "queries": len(known.queries),
        "candidates": len(network.history.org_ids),
        "answers": sum(map(len, known.qrels.values())),
        "groups": groups,
    }


def print_partners(told: Mapping[str, Any]) -> None:
    """Each group's methods: metrics with their intervals, and the paired difference to content."""
    shown = {
        "all": "all partners",
        "new": "new partners, in the one list",
        "apart": "new partners, listed apart",
    }
    print_table({shown[key]: group for key, group in told["groups"].items()}, METRICS, "ndcg@20", BASELINE)
    print(
        f"\n{told['queries']} topics with their leads, {told['candidates']} candidates, as known before "
        f"{told['day']}. In brackets:\n95 % bootstrap intervals over queries; differences are paired."
    )


Method = Callable[[Asked, int], Values]  # a query and its topic's number → (organisations,) scores


def _methods(
    known: PartnerBench, network: Network, encoder: Encoder, reporter: Reporter
) -> dict[str, Method]:
    """Simple methods, and what `fundmatch partners` says."""
    popular = network.projects / max(float(network.projects.max()), 1.0)

    def content(query: Asked, topic: int) -> Values:
        cosines = network.history.plain @ network.heads.plain[topic]
        return np.asarray(network.joined @ np.maximum(cosines, 0.0) ** 4)

    def earlier(query: Asked, topic: int) -> Values:
        return network.met(query.lead) + popular / 2

    ranker = ranking.load(ranking.PARTNERS)
    folded: list[Ranker] = []
    if ranker.trained_on == known.bench.day.isoformat() and len(known.qrels) >= LEAST:
        with told_stage(reporter, "cross-validate", FOLDS):
            folded = _folded(known, network, encoder, partial(reporter.advance, "cross-validate"))

    def ours(query: Asked, topic: int) -> Values:
        model = folded[_hash(query.topic) % FOLDS] if folded else ranker
        return scores(network, model, topic, query.lead)

    return {
        "popular": lambda query, topic: popular,
        "earlier": earlier,
        BASELINE: content,
        PRODUCTION: ours,
    }


def _folded(known: PartnerBench, network: Network, encoder: Encoder, progress: Progress) -> list[Ranker]:
    """A model for each fold of topics, which has seen none of them."""
    told = [examples(known, network, progress), earlier_examples(known, network, encoder, progress)]

    def model_without(fold: int) -> Ranker:
        return fit(told, lambda topic: _hash(topic) % FOLDS != fold, "cross-validation")

    return [model_without(fold) for fold in range(FOLDS)]


def _ordered(known: PartnerBench, network: Network, method: Method, progress: Progress) -> Ordered:
    """Each query's best DEPTH organisations, and the best DEPTH of those whom the lead had not met."""
    number = {topic.topic_id: place for place, topic in enumerate(known.bench.topics)}
    ids = np.array(network.history.org_ids)
    found: Ordered = {}
    for done, query in enumerate(known.queries, start=1):
        given = np.round(method(query, number[query.topic]), 6)
        order = np.lexsort((ids, -given))
        order = order[ids[order] != query.lead]
        met = network.met(query.lead)[order] > 0
        best = np.concatenate([order[:DEPTH], order[~met][:DEPTH]])
        found[query.query_id] = {str(ids[i]): float(given[i]) for i in best}
        progress(done, len(known.queries))
    return found


def _lists(ordered: Ordered) -> dict[str, list[str]]:
    return {
        query: sorted(given, key=lambda org: (-given[org], org))[:DEPTH] for query, given in ordered.items()
    }


def _judged(known: PartnerBench, network: Network, ordered: Mapping[str, Ordered]) -> dict[str, Any]:
    """Group → method → figures."""
    org = network.history.number_of
    met = {query.query_id: network.met(query.lead) for query in known.queries}

    def is_new(query: str, key: str) -> bool:
        return key not in org or met[query][org[key]] == 0

    new = {q: {o: g for o, g in given.items() if is_new(q, o)} for q, given in known.qrels.items()}
    new = {query: given for query, given in new.items() if given}
    one = {name: _lists(given) for name, given in ordered.items()}
    apart = {
        name: {q: [o for o in sorted(g, key=lambda o: (-g[o], o)) if is_new(q, o)] for q, g in given.items()}
        for name, given in ordered.items()
    }
    told = {}
    for group, qrels, lists in (("all", known.qrels, one), ("new", new, one), ("apart", new, apart)):
        figures = compared(qrels, lists, {"": list(qrels)}, list(METRICS), BASELINE)
        told[group] = {name: by_group[""] for name, by_group in figures.items()}
    return told


def _add(
    found: Examples, network: Network, topic: int, lead: str, right: Sequence[int], key: str, name: str
) -> None:
    """Add a query's right organisations, the wrong ones that look best, and some drawn for all others.

    A query counts by the square root of its answers, so that large consortia do not outweigh all others.
    """
    features = network.features(topic, lead) | network.names(topic, lead, slice(None))
    found.names[:] = list(features)
    first = looks(features)
    count = len(first)
    hard = np.zeros(count, dtype=np.bool_)
    for values, most in ((first, HARDEST), (features["together.near"], MET), (features["met.around"], MET)):
        hard[np.lexsort((np.arange(count), -np.round(values, 6)))[:most]] = True
    drawn = np.zeros(count, dtype=np.bool_)
    drawn[np.random.default_rng([SEED, _hash(key)]).integers(count, size=DRAWN)] = True
    answers = np.zeros(count, dtype=np.bool_)
    answers[list(right)] = True
    chosen = hard | drawn | answers
    if (own := network.history.number_of.get(lead)) is not None:
        chosen[own] = False
    places = np.flatnonzero(chosen)
    others = max(int((drawn & ~hard & ~answers).sum()), 1)
    weights = np.where(hard | answers, 1.0, (count - int((hard | answers).sum())) / others)
    found.topics.append(name)
    found.tables.append(table({n: values[places] for n, values in features.items()}, found.names))
    found.answers.append(answers[places])
    found.weights.append(weights[places] * np.sqrt(10.0 / len(right)))


def _leads(known: PartnerBench, history: History) -> dict[int, str]:
    """Project → its coordinator, where both are in the history."""
    place = {project: number for number, project in enumerate(history.project_ids)}
    rows = known.bench.history.participations.select(["project_id", "org_id", "role"]).to_pylist()
    return {
        place[row["project_id"]]: row["org_id"]
        for row in rows
        if row["role"] == "coordinator" and row["project_id"] in place and row["org_id"] in history.number_of
    }


def _part(history: History, projects: NDArray[np.int64]) -> History:
    """A history of some of the projects only; its organisations and topics keep their numbers."""
    return replace(
        history,
        project_ids=[history.project_ids[project] for project in projects],
        topic_of=history.topic_of[projects],
        years=history.years[projects],
        members=history.members.tocsr()[:, projects],
        plain=history.plain[projects],
        adapted=history.adapted[projects],
    )


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)
