"""Judging rankings: a benchmark that leaks or is broken is refused, figures are right, a run is sortable."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.bench import BenchError, read_bench
from flows.cli import main
from flows.evaluate import METRICS, compared, groups_of, intervals, per_query, ranked, trec_run
from flows.home import Home
from flows.rankers import rankers
from flows.reporter import Silent

HISTORY: dict[str, list[dict[str, Any]]] = {
    "topics": [{"topic": "OLD-1", "title": "Batteries", "keywords": None, "call_year": 2021}],
    "projects": [
        {
            "project": "1",
            "topic": "OLD-1",
            "signed": "2022-12-31",
            "action": "RIA",
            "title": "Solid batteries",
        }
        | {"objective": "Lithium cells that charge fast"},
        {"project": "2", "topic": "OLD-1", "signed": "2021-05-01", "action": "IA", "title": "Milk sensors"}
        | {"objective": "Dairy farms measure the health of cows"},
    ],
    "organisations": [
        {"org": org, "name": f"Maker {org}", "country": "NL", "nuts": "NL113", "city": "Groningen"}
        | {"activity": "PRC", "sme": True}
        for org in ("a", "b", "c")
    ],
    "participations": [
        {"project": "1", "org": "a", "role": "coordinator", "eur": 1.0},
        {"project": "1", "org": "b", "role": "participant", "eur": 1.0},
        {"project": "2", "org": "b", "role": "coordinator", "eur": 1.0},
    ],
}
TOPICS = {"T-BAT": "Next batteries", "T-COW": "Healthy dairy cows", "T-SEA": "Ocean law", "T-ZOO": "Museums"}
QUERIES = {"a": ("sme", ["1"]), "b": ("sme", ["1", "2"]), "c": ("nl_other", []), "d": ("sme", ["2"])}


def lines(path: Path, records: list[Any]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A benchmark of four topics and four organisations, of which d has no answer."""
    folder = tmp_path / "bench"
    (folder / "history").mkdir(parents=True)
    about = {"call_year": 2023}
    lines(
        folder / "corpus.jsonl",
        [{"_id": key, "title": title, "text": "", "metadata": about} for key, title in TOPICS.items()],
    )
    lines(
        folder / "queries.jsonl",
        [
            {
                "_id": key,
                "text": f"Maker {key}",
                "metadata": {"country": "NL", "group": group, "projects": of},
            }
            for key, (group, of) in QUERIES.items()
        ],
    )
    answers = ["a\tT-BAT\t1", "b\tT-COW\t2", "b\tT-BAT\t1", "c\tT-ZOO\t1", "d\tT-COW\t0"]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *answers, ""]))
    for name, rows in HISTORY.items():
        write_history(folder, name, rows)
    return folder


def write_history(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    if name == "topics":
        table = table.set_column(2, "keywords", pa.array([r["keywords"] for r in rows], pa.string()))
    pq.write_table(table, folder / "history" / f"{name}.parquet")


def signed(day: str | None) -> Callable[[Path], None]:
    """A bench of which the first project was signed on another day, which no query need know."""

    def change(folder: Path) -> None:
        first, second = HISTORY["projects"]
        write_history(folder, "projects", [{**first, "project": "9", "signed": day}, first, second])

    return change


def added(name: str, line: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("ab") as stream:
            stream.write(line if isinstance(line, bytes) else line.encode())

    return change


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def only(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (signed("2023-01-01"), r"history: project '9' was signed on 2023-01-01, so not before 2023-01-01"),
        (signed("2024-02-03"), r"history: project '9' was signed on 2024-02-03"),
        (signed(None), r"history: project '9' has no day of signature"),
        (gone("corpus.jsonl"), r"corpus\.jsonl: cannot be read \(No such file"),
        (gone("queries.jsonl"), r"queries\.jsonl: cannot be read"),
        (gone("qrels.tsv"), r"qrels\.tsv: cannot be read"),
        (gone("history/projects.parquet"), r"projects\.parquet"),
        (added("corpus.jsonl", '{"_id": "T-9", "ti'), r"corpus\.jsonl:5: broken JSON"),
        (added("corpus.jsonl", "[" * 100_000), r"corpus\.jsonl:5: broken JSON"),
        (added("corpus.jsonl", b'{"_id": "\xff"}'), r"corpus\.jsonl:5: is not UTF-8"),
        (added("corpus.jsonl", '{"_id": "T-9", "title": "\\ud800"}'), r"corpus\.jsonl:5: broken JSON"),
        (added("corpus.jsonl", '["T-9"]'), r"corpus\.jsonl:5: needs an object with an \"_id\""),
        (added("corpus.jsonl", '{"_id": "T 9"}'), r"corpus\.jsonl:5: .*without spaces"),
        (added("corpus.jsonl", '{"_id": 9}'), r"corpus\.jsonl:5: .*text without spaces"),
        (added("corpus.jsonl", '{"_id": "T-9", "title": "x"}'), r"corpus\.jsonl:5: \"call_year\" must be"),
        (added("corpus.jsonl", '{"_id": "T-9", "metadata": [2023]}'), r"corpus\.jsonl:5: \"metadata\" must"),
        (added("corpus.jsonl", '{"_id": "T-COW"}'), r"corpus\.jsonl:5: 'T-COW' is there twice"),
        (added("queries.jsonl", '{"_id": "a"}'), r"queries\.jsonl:5: 'a' is there twice"),
        (added("queries.jsonl", '{"_id": "e", "metadata": {"projects": "1"}}'), r":5: \"projects\" must be"),
        (added("queries.jsonl", '{"_id": "e", "metadata": {"projects": ["1", "1"]}}'), r":5: .*twice"),
        (
            added("queries.jsonl", '{"_id": "e", "metadata": {"projects": ["7\\u001b[2J\\n"]}}'),
            r"queries\.jsonl:5: project '7\\x1b\[2J\\n' is not in the history",
        ),
        (added("qrels.tsv", "zz\tT-BAT\t1\n"), r"qrels\.tsv:7: query 'zz' is unknown"),
        (added("qrels.tsv", "a\tT-NO\t1\n"), r"qrels\.tsv:7: corpus-id 'T-NO' is unknown"),
        (added("qrels.tsv", "a\tT-BAT\t1\n"), r"qrels\.tsv:7: 'a' with 'T-BAT' is there twice"),
        (added("qrels.tsv", "a\tT-SEA\n"), r"qrels\.tsv:7: needs 3 columns"),
        (added("qrels.tsv", "a\tT-SEA\t" + "9" * 5000), r"qrels\.tsv:7: .*a grade from 0 to 99"),
        (added("qrels.tsv", "a\tT-SEA\t-1\n"), r"qrels\.tsv:7: .*a grade from 0"),
        (only("qrels.tsv", "a\tT-BAT\t1\n"), r"qrels\.tsv: must begin with a header"),
        (only("qrels.tsv", "query-id\tcorpus-id\tscore\n"), r"qrels\.tsv: holds no answer"),
        (only("queries.jsonl", "\n"), r"queries\.jsonl: holds no record"),
    ],
)
def test_a_leak_or_a_broken_line_is_one_clear_line_and_nothing_is_written(
    bench: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    change(bench)
    before = sorted(tmp_path.rglob("*"))
    out, home = tmp_path / "out" / "run.trec", tmp_path / "home"
    monkeypatch.setattr(
        sys, "argv", ["f", "--home", str(home), "evaluate", "matching", str(bench), "--run", str(out)]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    shown = capfd.readouterr()
    assert stopped.value.code == 2
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert shown.err.rstrip("\n").isprintable()
    assert re.search(told, shown.err), shown.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bench_as_it_should_be(bench: Path) -> None:
    found = read_bench(bench)
    assert found.day == date(2023, 1, 1)
    assert [topic.topic_id for topic in found.topics] == list(TOPICS)
    assert found.qrels == {"a": {"T-BAT": 1}, "b": {"T-COW": 2, "T-BAT": 1}, "c": {"T-ZOO": 1}}
    assert {query.query_id: query.projects for query in found.queries}["b"] == ("1", "2")
    assert groups_of(found) == {
        "sme": ["a", "b"],  # d has no answer: grade 0 is none
        "sme_one": ["a"],
        "sme_more": ["b"],
        "nl_other": ["c"],
        "all": ["a", "b", "c"],
    }


def test_the_oldest_year_of_the_topics_is_the_day(bench: Path) -> None:
    added("corpus.jsonl", '{"_id": "T-OLD", "title": "x", "metadata": {"call_year": 2022}}')(bench)
    with pytest.raises(BenchError, match="project '1' was signed on 2022-12-31, so not before 2022-01-01"):
        read_bench(bench)


def by_hand(answers: dict[str, int], order: list[str]) -> list[float]:
    """The four metrics of one query, from their definitions."""
    ranks = {document: rank for rank, document in enumerate(order, start=1)}
    hits = sorted(ranks[document] for document in answers if document in ranks)
    gain = sum(g / math.log2(ranks[d] + 1) for d, g in answers.items() if ranks.get(d, 99) <= 10)
    best = sorted(answers.values(), reverse=True)[:10]
    ideal = sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, start=1))
    recalls = [sum(rank <= depth for rank in hits) / len(answers) for depth in (10, 50)]
    return [*recalls, 1 / hits[0] if hits else 0.0, gain / ideal]


DOCUMENTS = [f"D{number}" for number in range(70)]


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from("zyxwv"),
        st.tuples(
            st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(1, 3), min_size=1, max_size=15),
            st.one_of(st.permutations(DOCUMENTS), st.permutations(DOCUMENTS[:12]), st.just([])),
        ),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_figures_are_those_of_the_definitions(cases: dict[str, Any], random: Any) -> None:
    """Also with the queries of the ranking in another order, or missing."""
    qrels = {query: answers for query, (answers, _) in cases.items()}
    order = random.sample(sorted(cases), len(cases))
    rankings = {query: cases[query][1] for query in order if cases[query][1]}
    expected = np.array([by_hand(answers, ranking) for answers, ranking in cases.values()]).T
    np.testing.assert_allclose(per_query(qrels, rankings, list(METRICS)), expected, atol=1e-12)


def test_ties_go_by_document_and_a_score_that_is_no_number_is_refused() -> None:
    assert ranked({"b": 0.5, "c": 0.7, "a": 0.5, "d": -1.0}) == ["c", "a", "b", "d"]
    assert len(ranked({f"D{number:04}": 0.0 for number in range(1500)})) == 1000
    with pytest.raises(ValueError, match="no numbers"):
        ranked({"a": 0.5, "b": math.nan})


SCORES = st.one_of(
    st.sampled_from([0.0, 0.5, 1.0, -0.0, 1e-7]),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(0.5, 0.5000001),
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1))
def test_a_run_sorts_to_our_order_by_the_rule_of_trec_eval(scores: dict[str, float]) -> None:
    """It sorts by score in single precision, and alike ones by document, last first."""
    order = ranked(scores)
    rows = [line.split() for line in trec_run({"q": scores}, {"q": order}, "tag").splitlines()]
    assert [(r[0], r[1], r[2], int(r[3]), r[5]) for r in rows] == [
        ("q", "Q0", document, rank, "tag") for rank, document in enumerate(order, start=1)
    ]
    read = sorted(((np.float32(row[4]), row[2]) for row in rows), reverse=True)
    assert [document for _, document in read] == order
    largest = max(1e-6, *map(abs, scores.values()))
    for row in rows:
        assert float(row[4]) == pytest.approx(scores[row[2]], abs=1e-4 * largest)


def test_intervals_are_paired_repeatable_and_as_wide_as_they_should_be() -> None:
    values = np.random.default_rng(7).normal(0.3, 0.2, size=(2, 400))
    told = intervals(values, ["a", "b"])
    assert told == intervals(values, ["a", "b"])
    assert told["b"] == intervals(values[1:], ["b"])["b"]  # no metric's interval hangs on another's
    for name, row in zip("ab", values, strict=True):
        half = 1.96 * row.std() / math.sqrt(400)
        assert told[name]["mean"] == pytest.approx(row.mean(), abs=1e-6)
        assert told[name]["low"] == pytest.approx(row.mean() - half, abs=0.15 * half)
        assert told[name]["high"] == pytest.approx(row.mean() + half, abs=0.15 * half)
    # always a little better: noisy figures, a sure difference
    assert intervals(values + 0.01, ["a", "b"])["a"]["low"] < told["a"]["mean"]
    assert intervals(values + 0.01 - values, ["a"] * 2)["a"] == {"mean": 0.01, "low": 0.01, "high": 0.01}


def test_rankers_are_compared_within_each_group() -> None:
    qrels = {"q1": {"D1": 1}, "q2": {"D2": 1}}
    good, bad = {q: ["D1", "D2"] for q in qrels}, {"q1": ["D2", "D1"]}
    told = compared(
        qrels,
        {"Base": bad, "mine": good},
        {"all": ["q2", "q1"], "two": ["q2"], "none": []},
        ["mrr", "ndcg@10"],
        "Base",
    )
    assert told["Base"]["all"]["mrr"]["mean"] == 0.25  # q2 was not ranked
    assert told["mine"]["all"]["mrr"]["mean"] == 0.75
    assert told["mine"]["all"]["vs_base"]["mrr"]["mean"] == 0.5
    assert told["mine"]["two"]["vs_base"]["mrr"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert "vs_base" not in told["Base"]["all"]
    assert told["mine"]["none"] == {"n": 0}


def evaluate(arguments: list[str], capfd: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> Any:
    """What a command prints on standard output and on standard error."""
    patch.setattr(sys, "argv", ["fundmatch", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    return capfd.readouterr()


def test_the_command(
    bench: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document, a run that agrees with it, a table; the second time from the vectors that were kept."""
    out, home = tmp_path / "out.trec", tmp_path / "home"
    begin = ["--home", str(home), "evaluate", "matching", str(bench)]
    first = evaluate([*begin, "--json", "--run", str(out)], capfd, monkeypatch)
    told = json.loads(first.out)
    assert list(told["rankers"]) == ["BM25", "MiniLM", "fundmatch"]
    for name, ranker in told["rankers"].items():
        assert {group: figures["n"] for group, figures in ranker.items()} == {
            "sme": 2,
            "sme_one": 1,
            "sme_more": 1,
            "nl_other": 1,
            "all": 3,
        }
        assert ranker["sme"]["recall@10"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
        assert ranker["sme_one"]["mrr"]["mean"] == 1.0  # batteries to batteries
        if name != "fundmatch":  # that one ranks by the organisation's name
            assert ranker["nl_other"]["mrr"]["mean"] == 0.25  # no project: all alike, so by document id
    run = [line.split() for line in out.read_text("utf-8").splitlines()]
    assert [row[0] for row in run] == [query for query in "abcd" for _ in TOPICS]
    assert all({row[2] for row in run if row[0] == query} == TOPICS.keys() for query in "abcd")
    assert not list(tmp_path.glob("*.writing"))
    shards = sorted(home.rglob("*.npz"))
    assert shards

    second = evaluate([*begin, "--json"], capfd, monkeypatch)
    assert json.loads(second.out) == told
    assert sorted(home.rglob("*.npz")) == shards
    assert "rank MiniLM" in second.err

    table = evaluate(begin, capfd, monkeypatch).out
    assert max(map(len, table.splitlines())) <= 110
    assert re.search(r"R@10 +R@50 +MRR +nDCG@10", table)
    assert table.count("fundmatch") == 5


def test_a_run_that_cannot_be_written_is_told(
    bench: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for out, told in ((tmp_path, "is a folder"), (bench / "qrels.tsv" / "out", "cannot be written")):
        begin = ["f", "--home", str(tmp_path / "home"), "evaluate", "matching", str(bench), "--run", str(out)]
        monkeypatch.setattr(sys, "argv", begin)
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        assert told in capfd.readouterr().err


@pytest.mark.shared_data
def test_bm25_finds_what_is_known_of_it(tmp_path: Path) -> None:
    """830 SMEs and 592 topics of 2023; what BM25 over the earlier projects reaches there is known."""
    found = read_bench(SHARED / "bench" / "matching-2023")
    scores = rankers(Home(tmp_path), Silent())["BM25"](found)
    rankings = {query: ranked(given) for query, given in scores.items()}
    told = compared(found.qrels, {"BM25": rankings}, groups_of(found), list(METRICS), "BM25")["BM25"]
    assert [told[group]["n"] for group in ("sme", "sme_one", "sme_more", "nl_other")] == [830, 420, 410, 139]
    known = {"recall@10": 0.229, "recall@50": 0.444, "mrr": 0.161, "ndcg@10": 0.144}
    for metric, figure in known.items():
        assert told["sme"][metric]["mean"] == pytest.approx(figure, abs=0.012)
