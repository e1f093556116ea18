"""The network of earlier projects: what its features mean, leads that nobody knows, and training."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import SHARED, Fundmatch
from scipy.sparse import csr_matrix

from flows.bench import BenchError
from flows.partners.bench import _part, read_partner_bench
from pipeline import ranking
from pipeline.history import Heads, History
from pipeline.network import CONTENDERS, Members, Network, looks, scores
from pipeline.ranking import Ranker

BENCH = SHARED / "bench" / "matching-2023"
TOPICS = ["HORIZON-CL4-2021-A-01", "HORIZON-CL5-2021-B-01"]


def unit(rows: Any) -> Any:
    vectors = np.array(rows, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def network(pairs: list[tuple[int, int]], orgs: int = 6, **more: Any) -> Network:
    """Projects 0 and 1 are on robots, 2 and 3 on hydrogen; today's topic is on robots."""
    data = np.ones(len(pairs), dtype=np.float32)
    members = (
        csr_matrix((data, tuple(np.array(pairs).T)), shape=(orgs, 4)) if pairs else csr_matrix((orgs, 4))
    )
    texts = unit([[1, 0, 0.1], [1, 0.2, 0], [0, 1, 0.1], [0.1, 1, 0]])
    history = History(
        topic_ids=TOPICS,
        project_ids=["p0", "p1", "p2", "p3"],
        org_ids=[f"o{n}" for n in range(orgs)],
        topic_of=np.array([0, 0, 1, 1]),
        years=np.array([0.5, 1.0, 0.5, 1.0]),
        members=members,
        small=np.zeros(orgs, dtype=np.bool_),
        plain=texts,
        adapted=texts,
        topics=unit([[1, 0, 0], [0, 1, 0]]),
    )
    about = Members(
        country=np.arange(orgs) % 3,
        activity=np.arange(orgs) % 2,
        region=np.array(["NL11", "", "DE21", "NL11", "", ""][:orgs] + [""] * max(orgs - 6, 0)),
        names=unit(np.eye(orgs, 3) + 0.1),
        coordinated=np.zeros(orgs),
        shares=csr_matrix((orgs, 4)),
    )
    topic = unit([[1, 0, 0]])
    heads = Heads(["HORIZON-CL4-2026-A-01"], topic, topic, np.ones(1), np.ones(1))
    return Network(replace(history, **more), about, heads)


PAIRS = [(0, 0), (1, 0), (1, 1), (2, 1), (3, 2), (4, 2), (4, 3)]


def test_near_projects_lift_their_members_and_the_lead_lifts_its_partners() -> None:
    told = network(PAIRS).features(0, "o0")
    assert told["near.soft"][1] > told["near.soft"][3]
    assert told["together"].tolist() == [0, 1, 0, 0, 0, 0]
    assert told["beyond"][2] > told["beyond"][3]  # o2 was with o1, who was with o0
    assert told["lead.region"].tolist() == [1, 0, 0, 1, 0, 0]
    assert told["own.projects"][5] == 0
    assert np.isfinite(np.array(list(told.values()))).all()


def test_whoever_is_in_no_project_gets_nothing_from_the_network() -> None:
    seen = network(PAIRS)
    assert seen.met("o5").tolist() == [0] * 6
    assert seen.nearest(0, 5) is None
    assert seen.through("o0", 5, 3) == []
    assert seen.through("o0", 2, 3) == [1]
    assert seen.nearest(0, 1) == (0, pytest.approx(0.995, abs=0.01))
    assert seen.between(["o0", "o1", "o2", "o9"]) == {("o0", "o1"): 1, ("o1", "o2"): 1}


@pytest.mark.parametrize("lead", [None, "nobody", "o5"])
def test_a_lead_without_a_history_has_met_nobody(lead: str | None) -> None:
    told = network(PAIRS).features(0, lead)
    for name in ("together", "met.near", "beyond"):
        assert not told[name].any()


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(n, n % 4) for n in range(6)]])
def test_a_thin_history_has_numbers_all_the_same(pairs: list[tuple[int, int]]) -> None:
    seen = network(pairs)
    for lead in ("o0", "o5", None):
        told = seen.features(0, lead)
        assert all(np.isfinite(values).all() and len(values) == 6 for values in told.values())
        found = scores(seen, ranking.load(ranking.PARTNERS), 0, lead)
        assert np.isfinite(found).all()


def test_the_packaged_model_has_the_features_of_the_network() -> None:
    ranker = ranking.load(ranking.PARTNERS)
    seen = network(PAIRS)
    assert ranker.names == [*seen.features(0, "o0"), *seen.names(0, "o0", slice(None))]


def test_the_lead_is_last_and_who_is_far_comes_after_the_contenders() -> None:
    orgs = CONTENDERS + 50
    seen = network([(n, n % 4) for n in range(orgs)], orgs)
    ranker = ranking.load(ranking.PARTNERS)
    found = scores(seen, ranker, 0, "o0")
    assert found.argmin() == 0
    first = looks(seen.features(0, "o0"))
    far = np.lexsort((np.arange(orgs), -first))[CONTENDERS:]
    near = np.setdiff1d(np.arange(1, orgs), far)
    assert found[np.setdiff1d(far, [0])].max() < found[near].min()
    assert scores(seen, ranker, 0, "o0").tolist() == found.tolist()


def test_a_history_without_some_projects_says_nothing_of_them() -> None:
    seen = network(PAIRS)
    kept = np.array([1, 3])
    less = Network(_part(seen.history, kept), seen.members.without(kept, np.zeros(6)), seen.heads)
    assert less.projects.tolist() == [0, 1, 1, 0, 1, 0]
    assert less.met("o1").tolist() == [0, 0, 1, 0, 0, 0]


def test_a_model_learns_from_weighted_rows_and_the_same_rows_give_the_same_model() -> None:
    order = np.random.default_rng(3)
    tables = [order.standard_normal((200, 2)).astype(np.float32) for _ in range(3)]
    answers = [rows[:, 0] > 0.8 for rows in tables]
    weights = [np.ones(200) for _ in tables]
    fitted = [ranking.fit_partners(tables, answers, weights, ["a.b", "c"], "day") for _ in range(2)]
    assert fitted[0].dumped() == fitted[1].dumped()
    kept = json.loads(fitted[0].dumped())
    again = Ranker(kept["names"], kept["model"], kept["trained_on"])
    found = again.scores({"a.b": np.array([2.0, -2.0]), "c": np.zeros(2)})
    assert found[0] > found[1]


# The benchmark


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A benchmark of two topics and three earlier projects."""
    folder = tmp_path / "bench"
    (folder / "partners").mkdir(parents=True)
    (folder / "history").mkdir()
    corpus = [
        {"_id": "T-2023-1", "title": "Robots", "text": "robots", "metadata": {"call_year": 2023}},
        {"_id": "T-2023-2", "title": "Hydrogen", "text": "hydrogen", "metadata": {"call_year": 2023}},
    ]
    lines(folder / "corpus.jsonl", corpus)
    lines(folder / "queries.jsonl", [{"_id": "o1", "metadata": {"projects": ["101"]}}])
    (folder / "qrels.tsv").write_text("query-id\ttopic\tscore\no1\tT-2023-1\t1\n")
    lines(folder / "partners" / "queries.jsonl", [{"_id": "q1", "topic": "T-2023-1", "lead": "o1"}])
    (folder / "partners" / "qrels.tsv").write_text(
        "query-id\torg\tscore\tpartnered_before\nq1\to2\t1\t1\nq1\to3\t1\t0\n"
    )
    tables: dict[str, dict[str, list[Any]]] = {
        "topics": {
            "topic": ["T-2021-1", "T-2021-2"],
            "title": ["Robots", "Hydrogen"],
            "keywords": ["a", "b"],
        },
        "projects": {
            "project": ["101", "102", "103"],
            "topic": ["T-2021-1", "T-2021-1", "T-2021-2"],
            "signed": ["2022-01-01"] * 3,
            "action": ["HORIZON-RIA"] * 3,
            "title": ["Robots", "More robots", "Hydrogen"],
            "objective": ["Weld.", "Paint.", "Split water."],
        },
        "organisations": {
            "org": ["o1", "o2", "o3", "o4"],
            "name": ["A", "B", "C", "D"],
            **{c: [None] * 4 for c in ("country", "nuts", "city", "activity", "sme")},
        },
        "participations": {
            "project": ["101", "101", "102", "102", "103"],
            "org": ["o1", "o2", "o2", "o3", "o4"],
            "role": ["coordinator", "participant", "coordinator", "participant", "coordinator"],
            "eur": [None] * 5,
        },
    }
    import pyarrow as pa

    for name, columns in tables.items():
        table = pa.table({c: pa.array(v, pa.string()) for c, v in columns.items()})
        pq.write_table(table, folder / "history" / f"{name}.parquet")
    return folder


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_partners_are_evaluated_through_the_products_own_code(
    bench: Path, tmp_path: Path, fundmatch: Fundmatch
) -> None:
    run = tmp_path / "run.trec"
    evaluate = ("--home", tmp_path / "home", "evaluate", "partners", bench)
    status, out, error = fundmatch(*evaluate, "--json", "--run", run)
    assert status == 0, error
    told = json.loads(out)
    assert (told["queries"], told["candidates"], told["answers"]) == (1, 4, 2)
    assert set(told["groups"]) == {"all", "new", "apart"}
    earlier = told["groups"]["new"]["earlier"]
    assert earlier["n"] == 1 and earlier["recall@50"]["mean"] == 1  # only four are there
    ours = [row.split()[2] for row in run.read_text("utf-8").splitlines()]
    assert sorted(ours) == ["o2", "o3", "o4"]  # and never the lead
    status, out, _ = fundmatch(*evaluate)
    assert status == 0 and "new partners, listed apart (1)" in out
    status, _, error = fundmatch(*evaluate, "--run", tmp_path)
    assert status == 2 and "is a folder" in error


@pytest.mark.parametrize(
    ("file", "body", "said"),
    [
        ("partners/queries.jsonl", '{"_id": "q1", "topic": "T-9", "lead": "o1"}\n', "topic"),
        ("partners/queries.jsonl", '{"_id": "q1", "topic": "T-2023-1"}\n', "lead"),
        ("partners/queries.jsonl", "{", "broken JSON"),
        ("partners/qrels.tsv", "query-id\torg\tscore\nq1\to9\t1\n", "unknown"),
        ("partners/qrels.tsv", "query-id\torg\tscore\nq1\to1\t1\n", "its own answers"),
        ("partners/qrels.tsv", "a\tb\n", "header"),
    ],
)
def test_a_benchmark_that_cannot_be_used_is_told_in_one_line(
    bench: Path, file: str, body: str, said: str, fundmatch: Fundmatch, tmp_path: Path
) -> None:
    (bench / file).write_text(body, encoding="utf-8")
    with pytest.raises(BenchError, match=said):
        read_partner_bench(bench)
    status, _, error = fundmatch("--home", tmp_path / "home", "evaluate", "partners", bench)
    assert status == 2 and "Traceback" not in error and error.count("\n") == 1


def test_a_benchmark_without_partners_is_told(bench: Path) -> None:
    shutil.rmtree(bench / "partners")
    with pytest.raises(BenchError, match=r"queries\.jsonl"):
        read_partner_bench(bench)


@pytest.mark.shared_data
@pytest.mark.skipif(not BENCH.exists(), reason="the benchmark is not kept here")
def test_whom_the_network_takes_for_a_new_partner_the_benchmark_does_too() -> None:
    known = read_partner_bench(BENCH)
    together: dict[str, set[str]] = {}
    parts = known.bench.history.participations
    for project, org in zip(parts["project_id"].to_pylist(), parts["org_id"].to_pylist(), strict=True):
        together.setdefault(org, set()).add(project)
    lead = {query.query_id: query.lead for query in known.queries}
    rows = (BENCH / "partners" / "qrels.tsv").read_text("utf-8").splitlines()[1:]
    for query, org, _, before in (row.split("\t") for row in rows):
        met = bool(together.get(org, set()) & together.get(lead[query], set()))
        assert met == (before == "1")
    assert (len(known.queries), len(rows)) == (1154, 11373)
