"""Ranking by earlier projects: no leak, the same figures everywhere, and a newcomer loses nothing by it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, SAMPLES, SHARED, a_call, child
from hypothesis import given
from hypothesis import strategies as st

from embeddings import adapter as adapters
from embeddings.adapter import Adapter, adapter_for
from embeddings.encode import Encoder
from embeddings.index import build_index
from flows.bench import Bench, read_bench
from flows.cli import main
from flows.corpus import Memory, corpus, passage_keys, passages_of_calls
from flows.home import Home
from flows.past import YEARS, heads, past
from flows.rankers import PRODUCTION, rankers
from flows.reporter import Silent
from flows.train import cross_validated, examples, fit_adapter, outlook_of, train
from pipeline import ranking
from pipeline.history import Outlook, has_lineage, lineage
from pipeline.match import with_history
from pipeline.schema import Call, Feedback, Match, Profile, Project, Section, Topic
from warehouse.history import History as Tables
from warehouse.records import open_records

DAY = date(2023, 1, 1)
THEMES = {
    "D1": "hydrogen storage tanks pressure vessel electrolyser fuel truck bunkering",
    "D2": "battery cells lithium recycling cathode charging grid inverter",
    "D3": "dairy cows barn methane milk sensor feed herd",
    "D4": "robots welding factory gripper assembly vision cobot safety",
    "D5": "museum heritage archive visitors curators folklore digitisation songs",
    "D6": "ships ports autonomous navigation radar inland vessel mooring crew",
}
Row = dict[str, Any]


# --- a benchmark with the layout of the true one: organisations that stay with their theme, mostly


def rows_of(seed: int = 7, organisations: int = 70) -> dict[str, list[Row]]:
    """Earlier topics, projects, organisations and participations, today's topics, queries and answers."""
    rng = random.Random(seed)

    def words(theme: str, count: int) -> str:
        return " ".join(rng.choices(THEMES[theme].split(), k=count))

    topics = [
        {"topic": f"HORIZON-CL5-{year}-{theme}-01-{n:02}", "title": words(theme, 5), "keywords": None}
        for theme in THEMES
        for year in (2021, 2022)
        for n in (1, 2, 3)
    ]
    of = {f"9{n:08}": rng.choice(sorted(THEMES)) for n in range(organisations)}
    projects: list[Row] = []
    parts: list[Row] = []
    for number in range(140):
        topic = str(rng.choice(topics)["topic"])
        theme = topic.split("-")[3]
        signed = DAY - timedelta(days=rng.randrange(1, 700))
        told = {"title": words(theme, 4), "objective": words(theme, 12)}
        projects.append({"project": str(101000000 + number), "topic": topic, "signed": signed} | told)
        likely = [org for org in of if of[org] == theme or rng.random() < 0.05]
        for org in rng.sample(likely, min(3, len(likely))):
            parts.append({"project": projects[-1]["project"], "org": org, "role": None, "eur": 1.0})
    now = [
        {"_id": f"HORIZON-CL5-2023-{theme}-01-{n:02}", "title": words(theme, 5), "text": words(theme, 2)}
        | {"metadata": {"call_year": 2023}}
        for theme in THEMES
        for n in range(1, 6)
    ]
    queries, answers = [], []
    for org, theme in of.items():
        own = sorted({part["project"] for part in parts if part["org"] == org})
        about = {"country": "NL", "group": "sme" if int(org) % 3 else "nl_other", "projects": own}
        queries.append({"_id": org, "text": f"Maker {org}", "metadata": about})
        right = rng.sample([topic["_id"] for topic in now if f"-{theme}-" in topic["_id"]], 2)
        answers += [(org, topic) for topic in right]
    orgs = [
        {"org": org, "name": f"Maker {org}", "country": "NL", "nuts": None, "city": None}
        | {"activity": "PRC", "sme": bool(int(org) % 3)}
        for org in of
    ]
    found = {"topics": topics, "projects": projects, "organisations": orgs, "participations": parts}
    return found | {"corpus": now, "queries": queries, "answers": [{"a": pair} for pair in answers]}


def put_history(folder: Path, rows: dict[str, list[Row]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("topics", "projects", "organisations", "participations"):
        cells: list[Row] = [{"action": "RIA"} | row if name == "projects" else row for row in rows[name]]
        columns = {
            key: [None if row[key] is None else str(row[key]) for row in cells] for key in sorted(cells[0])
        }
        pq.write_table(
            pa.table({key: pa.array(v, pa.string()) for key, v in columns.items()}),
            folder / f"{name}.parquet",
        )
    return folder


def put_bench(folder: Path, rows: dict[str, list[Row]]) -> Path:
    put_history(folder / "history", rows)
    for name in ("corpus", "queries"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[name]), "utf-8")
    told = ["query-id\tcorpus-id\tscore", *("\t".join((*row["a"], "1")) for row in rows["answers"])]
    (folder / "qrels.tsv").write_text("\n".join(told) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return rows_of()


@pytest.fixture(scope="module")
def bench(rows: dict[str, list[Row]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_bench(tmp_path_factory.mktemp("bench") / "b", rows)


@pytest.fixture(scope="module")
def home(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose vectors are those of the session's encoder."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "vectors").symlink_to(encoder._cache.directory.parent)
    return Home(folder)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Other files in the place of the package's adapter and ranking, which no test may touch."""
    there = tmp_path / "weights"
    there.mkdir()
    files = there / "adapter.npz", there / "ranking.json"
    files[0].write_bytes(adapters.FILE.read_bytes())
    files[1].write_bytes(Path(str(ranking.FILE)).read_bytes())
    monkeypatch.setattr(adapters, "FILE", files[0])
    monkeypatch.setattr(ranking, "FILE", files[1])
    return files


def features_of(
    tables: Tables, topics: Iterable[Topic], encoder: Encoder, orgs: Iterable[str], day: date = DAY
) -> dict[str, dict[str, bytes]]:
    """Organisation → feature → its bytes."""
    adapter = adapter_for(encoder)
    told = past(
        tables.topics, tables.projects, tables.participants, tables.participations, encoder, adapter, day
    )
    outlook = Outlook(told, heads(list(topics), encoder, adapter))
    return {
        org: {name: values.tobytes() for name, values in outlook.features(org).items()}
        for org in orgs
        if len(told.projects_of(org))
    }


def with_rows(tables: Tables, **more: list[Row]) -> Tables:
    """The tables with more rows, unknown cells being null."""
    added = {}
    for name, rows in more.items():
        table = getattr(tables, name)
        cells = [dict.fromkeys(table.column_names) | row for row in rows]
        added[name] = pa.concat_tables([table, pa.Table.from_pylist(cells, schema=table.schema)])
    return replace(tables, **added)


# --- no leak


def a_project(number: int, signed: date | None, topic: str | None) -> Row:
    return {"project_id": str(number), "signed_on": signed, "topic": topic} | {
        "title": "Museum songs",
        "objective": "Curators sing in barns",
        "action": "RIA",
    }


def meddled(tables: Tables, projects: list[Row], busy: str, topic: str) -> Tables:
    """The tables with projects that an organisation, all others, and a new one were in."""
    orgs = ["999999999", "000000001", *tables.participants["org_id"].to_pylist()]
    return with_rows(
        tables,
        topics=[{"topic_id": topic, "title": "Museum songs", "keywords": "barns"}],
        projects=projects,
        participants=[{"org_id": org, "name": "New", "sme": True, "activity": "PRC"} for org in orgs[:2]],
        participations=[
            {"project_id": p["project_id"], "org_id": org} for p in projects for org in {busy, *orgs}
        ],
    )


def test_what_is_signed_on_the_day_or_later_or_long_ago_or_not_at_all_changes_no_feature(
    bench: Path, encoder: Encoder
) -> None:
    """Bit for bit, be it the organisation's own project or another's; the eve of the day does count."""
    found = read_bench(bench)
    orgs = [query.query_id for query in found.queries]
    known = found.history.topics["topic_id"].to_pylist()[0]
    before = features_of(found.history, found.topics, encoder, orgs)
    assert len(before) > 50
    long_ago = DAY - timedelta(days=YEARS * 366 + 1)
    leaks = [
        a_project(100000001, DAY, known),
        a_project(100000002, DAY + timedelta(days=1), known),
        a_project(100000003, date(2099, 1, 1), "HORIZON-CL5-2098-D9-01-01"),
        a_project(199999999, long_ago, known),
        a_project(100000005, None, known),
        a_project(100000006, DAY - timedelta(days=9), None),
    ]
    tables = meddled(found.history, leaks, orgs[0], "HORIZON-CL5-2098-D9-01-01")
    assert features_of(tables, found.topics, encoder, [*orgs, "999999999"]) == before
    # and each of these would have shown
    for signed in (DAY - timedelta(days=1), DAY - timedelta(days=YEARS * 365)):
        tables = meddled(found.history, [a_project(100000001, signed, known)], orgs[0], "HORIZON-X")
        after = features_of(tables, found.topics, encoder, [*orgs, "999999999"])
        assert "999999999" in after
        assert all(after[org] != before[org] for org in before)


@pytest.mark.parametrize("back", [30, 200, 400])
def test_an_earlier_day_knows_what_was_known_then(bench: Path, encoder: Encoder, back: int) -> None:
    """The whole history seen from a day is the history that ends at that day."""
    found = read_bench(bench)
    day, tables = DAY - timedelta(days=back), found.history
    signed = np.array(tables.projects["signed_on"].to_pylist()) < day
    kept = set(np.array(tables.projects["project_id"].to_pylist())[signed])
    ended = replace(
        tables,
        projects=tables.projects.filter(pa.array(signed)),
        participations=tables.participations.filter(
            pa.array([project in kept for project in tables.participations["project_id"].to_pylist()])
        ),
    )
    orgs = [query.query_id for query in found.queries]
    whole = features_of(tables, found.topics, encoder, orgs, day)
    assert len(whole) > 10 and 0 < len(kept) < len(signed)
    assert features_of(ended, found.topics, encoder, orgs, day) == whole


TOLD = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
import test_ranking
print(test_ranking.digest_of(Path({bench!r}), Path({cache!r}), {seed}))
"""


def digest_of(bench: Path, cache: Path, seed: int | None) -> str:
    """A hash of all features, from vectors encoded anew, with the tables' rows in an order of their own."""
    found = read_bench(bench)
    tables = found.history
    if seed is not None:
        order = np.random.default_rng(seed)
        tables = Tables(
            *(
                table.take(pa.array(order.permutation(len(table))))
                for table in (tables.topics, tables.projects, tables.participants, tables.participations)
            )
        )
    orgs = [query.query_id for query in found.queries]
    told = features_of(tables, found.topics, Encoder(cache_dir=cache), orgs)
    return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()


def test_another_process_and_another_order_of_rows_give_the_same_features(
    bench: Path, tmp_path: Path
) -> None:
    told = set()
    for number, (seed, hashes) in enumerate([(None, "0"), (1, "1"), (2, "4242")]):
        code = TOLD.format(
            tests=str(ROOT / "tests"), bench=str(bench), cache=str(tmp_path / str(number)), seed=seed
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hashes},
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1


# --- edges


def tables_of(
    projects: list[tuple[str, str, list[str]]], titles: dict[str, str], orgs: Iterable[str] = ()
) -> Tables:
    """Tables of (project, topic, members), all signed on one day, and of titled topics."""
    members = sorted({*orgs, *(org for _, _, own in projects for org in own)})
    return Tables(
        topics=pa.table({"topic_id": list(titles), "title": list(titles.values())}).append_column(
            "keywords", pa.nulls(len(titles), pa.string())
        ),
        projects=pa.Table.from_pylist(
            [
                dict.fromkeys(("objective", "action"))
                | {"project_id": key, "title": f"Robots that weld {key}", "topic": topic}
                | {"signed_on": date(2022, 3, 1)}
                for key, topic, _ in projects
            ]
            or [dict.fromkeys(("project_id", "title", "objective", "topic", "action", "signed_on"))]
        ).slice(0, len(projects)),
        participants=pa.table({"org_id": members})
        .append_column("sme", pa.array([True] * len(members)))
        .append_column("activity", pa.array(["PRC"] * len(members))),
        participations=pa.table(
            {
                "project_id": pa.array([key for key, _, own in projects for _ in own], pa.string()),
                "org_id": pa.array([org for _, _, own in projects for org in own], pa.string()),
            }
        ),
    )


def seen(tables: Tables, topics: list[Topic], encoder: Encoder) -> Outlook:
    adapter = adapter_for(encoder)
    told = past(
        tables.topics, tables.projects, tables.participants, tables.participations, encoder, adapter, DAY
    )
    return Outlook(told, heads(topics, encoder, adapter))


OPEN = [
    Topic(topic_id="HORIZON-CL4-2023-TWIN-01-01", title="Robots in factories", keywords=None),
    Topic(topic_id="HORIZON-CL6-2023-FARM-01-02-two-stage", title="Cows", keywords="milk; barns"),
    Topic(topic_id="nonsense", title="?", keywords=""),
]
OLD = "HORIZON-CL4-2021-TWIN-01-07"
ALONE: dict[str, tuple[list[tuple[str, str, list[str]]], dict[str, str]]] = {
    "only project there is": ([("1", OLD, ["a"])], {OLD: "Welding"}),
    "no partner": ([("1", OLD, ["a"]), ("2", OLD, ["b", "c"])], {OLD: "Welding"}),
    "topic of no title": ([("1", OLD, ["a", "b"]), ("2", "HORIZON-X", ["b"])], {"HORIZON-X": "Law"}),
    "no title known at all": ([("1", OLD, ["a", "b"])], {"HORIZON-CL9-2020-Z": "of no project"}),
    "all of one topic": ([(str(n), OLD, ["a", "b"]) for n in range(60)], {OLD: "Welding"}),
}


@pytest.mark.parametrize("case", ALONE)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.filterwarnings("error")
def test_all_features_are_numbers_of_one_set_however_little_is_known(
    encoder: Encoder, case: str, count: int
) -> None:
    outlook = seen(tables_of(*ALONE[case], orgs=["z"]), OPEN[:count], encoder)
    ranker = ranking.load()
    for org in {"a", "b"} & set(outlook.history.org_ids):
        features = outlook.features(org)
        assert set(ranker.names) <= set(features)
        assert {values.shape for values in features.values()} == {(count,)}
        assert np.isfinite(ranking.table(features, list(features))).all()
        scores = ranker.scores(features)
        assert scores.shape == (count,) and np.isfinite(scores).all()
    if count == 1:  # beside nothing else a topic stands nowhere
        told = outlook.features("a")
        assert not any(values.any() for name, values in told.items() if not name.startswith("own."))
    for stranger in ("z", "nobody", ""):  # one without a project, and unknown ones
        assert not len(outlook.history.projects_of(stranger))
        with pytest.raises(KeyError):
            outlook.features(stranger)


@pytest.mark.filterwarnings("error")
def test_a_history_of_no_use_is_no_history(encoder: Encoder) -> None:
    """No project within the years, or no topic: nothing to compare with, and nothing to trip over."""
    outlook = seen(tables_of([], {OLD: "Welding"}, orgs=["a"]), OPEN, encoder)
    assert not len(outlook.history.projects_of("a"))
    assert not outlook.history.topic_ids
    nothing_open = seen(tables_of(*ALONE["no partner"]), [], encoder)
    assert all(values.shape == (0,) for values in nothing_open.features("a").values())


def test_topics_that_are_alike_in_all_stand_alike(encoder: Encoder) -> None:
    """The last bits of a product of matrices are no difference."""
    for count in (2, 3, 7, 37, 592):
        twins = [replace_id(OPEN[0], f"HORIZON-CL4-2023-TWIN-01-{n:03}") for n in range(count)]
        outlook = seen(tables_of(*ALONE["no partner"]), twins, encoder)
        features = outlook.features("b")
        odd = {name for name, v in features.items() if not name.startswith("own.") and v.any()}
        assert not odd
        assert len(set(ranking.load().scores(features))) == 1


def replace_id(topic: Topic, topic_id: str) -> Topic:
    return topic.model_copy(update={"topic_id": topic_id})


@pytest.mark.parametrize("where", ["plain", "adapted", "topics", "heads.plain", "heads.adapted"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_an_error_and_no_rank(
    encoder: Encoder, where: str, value: float
) -> None:
    outlook = seen(tables_of(*ALONE["no partner"]), OPEN, encoder)
    told: dict[str, Any] = {"history": outlook.history, "heads": outlook.heads}
    side, name = where.split(".") if "." in where else ("history", where)
    spoilt = getattr(told[side], name).copy()
    spoilt[0, 0] = value
    told[side] = replace(told[side], **{name: spoilt})
    with (
        np.errstate(all="ignore"),
        pytest.raises((ValueError, np.linalg.LinAlgError), match=r"no number|finite"),
    ):
        ranking.load().scores(Outlook(**told).features("a"))


def calls_of(identifiers: list[str | None]) -> list[Call]:
    text = "Robots that weld and cobots that assemble make factories safe. Firms of any size may take part."
    return [
        a_call(
            call_id=f"s:{n}",
            identifier=identifier,
            title=f"Robots {n}",
            sections=(Section(heading="", text=f"{text} Area {n} is asked for."),),
        )
        for n, identifier in enumerate(identifiers)
    ]


def ranked(
    calls: list[Call], encoder: Encoder, home: Path, memory: Memory | None, profile_id: str = "one"
) -> list[Match]:
    passages = passages_of_calls(calls, encoder)
    vectors = encoder.encode([passage.embedded for passage in passages], kind="passage")
    build_index(Home(home).index, passage_keys(passages), vectors, encoder.model_id)
    about: Row = {"id": profile_id, "name": "One", "kind": "sme", "label": "example", "language": "en"}
    profile = Profile(**about, pic="900000001", description="We make welding robots.")
    found = corpus(calls, encoder, Home(home), date(2026, 6, 15), memory)
    return found.rank(profile, date(2026, 6, 15))


@pytest.mark.parametrize("topics", [0, 1, 2])
def test_with_no_or_one_eu_topic_open_history_moves_nothing(
    encoder: Encoder, tmp_path: Path, topics: int
) -> None:
    """Nor any call that it knows nothing of, when there are more."""
    told = tables_of([("1", OLD, ["900000001", "900000002"]), ("2", OLD, ["900000002"])], {OLD: "Welding"})
    seen_from = seen(told, OPEN, encoder).history
    own = [Project(project_id="1", title="Robots that weld 1", signed_on=date(2022, 3, 1))]
    memory = Memory(history=seen_from, projects={"900000001": own})
    calls = calls_of([None, "LIFE-2026-X", *[f"HORIZON-CL4-2026-01-TWIN-0{n}" for n in range(topics)]])
    without, found = ranked(calls, encoder, tmp_path, None), ranked(calls, encoder, tmp_path, memory)
    scores = [{match.call_id: match.score for match in matches} for matches in (without, found)]
    still = [call.call_id for call in calls if topics < 2 or not has_lineage(call.identifier)]
    assert [scores[0][call_id] for call_id in still] == [scores[1][call_id] for call_id in still]
    assert (scores[0] != scores[1]) is (topics == 2)
    near = {match.call_id for match in found if match.basis == "text and history"}
    assert near == {call.call_id for call in calls if has_lineage(call.identifier)}


def test_what_one_profile_says_of_a_call_that_is_not_open_is_nothing_to_another(
    encoder: Encoder, tmp_path: Path
) -> None:
    calls = calls_of([None] * 4)
    gone = a_call(call_id="s:gone", title="Museums", sections=(Section(heading="", text="Songs of barns."),))
    known = {call.call_id: call for call in [*calls, gone]}
    mark = Feedback(
        profile_id="one", call_id="s:1", verdict="not-for-us", given_at=datetime(2026, 6, 1, tzinfo=UTC)
    )
    mine = {"one": {"s:1": mark}}
    theirs = {"two": {"s:gone": mark.model_copy(update={"profile_id": "two", "call_id": "s:gone"})}}
    alone, both = (
        ranked(calls, encoder, tmp_path, Memory(marks=marks, known=known)) for marks in (mine, mine | theirs)
    )
    assert alone == both


# --- what an identifier says


@pytest.mark.parametrize(
    ("topic_id", "said"),
    [
        ("HORIZON-CL5-2023-D3-01-15", ("CL5", "CL5-D3", "CL5-D3-01")),
        ("HORIZON-CL5-2026-01-D3-15", ("CL5", "CL5-D3", "CL5-D3-01")),  # as of 2026
        ("HORIZON-CL3-2026-02-CS-ECCC-01", ("CL3", "CL3-CS", "CL3-CS-ECCC-02")),
        ("HORIZON-CL4-2027-01-MAT-PROD-02", ("CL4", "CL4-MAT", "CL4-MAT-PROD-01")),
        ("HORIZON-CL4-2026-SPACE-03-82", ("CL4", "CL4-SPACE", "CL4-SPACE-03")),
        ("HORIZON-CL6-2023-CircBio-02-1-two-stage", ("CL6", "CL6-CIRCBIO", "CL6-CIRCBIO-02")),
        ("HORIZON-CL6-2026-02-CIRCBIO-01-Two-Stage", ("CL6", "CL6-CIRCBIO", "CL6-CIRCBIO-02")),
        ("HORIZON-KDT-JU-2023-1-IA-Topic-1", ("KDT", "KDT-JU", "KDT-JU-1-IA-TOPIC")),
        ("HORIZON-JU-SNS-2023-STREAM-B-01-04", ("JU-SNS", "JU-SNS-STREAM", "JU-SNS-STREAM-B-01")),
        ("HORIZON-MISS-2023-CLIMA-CITIES-01-01", ("MISS-CLIMA", "MISS-CLIMA-CITIES", "MISS-CLIMA-CITIES-01")),
        ("HORIZON-MISS-2021-SOIL-02-01", ("MISS-SOIL", "MISS-SOIL-02", "MISS-SOIL-02")),
        ("HORIZON-MISS-2026-05-SOIL-04", ("MISS-SOIL", "MISS-SOIL-05", "MISS-SOIL-05")),
        ("EURATOM-2023-NRT-01-01", ("EURATOM", "EURATOM-NRT", "EURATOM-NRT-01")),
        ("HORIZON-EURATOM-2023-NRT-01-01", ("EURATOM", "EURATOM-NRT", "EURATOM-NRT-01")),
        ("HORIZON-EIC-2023-ACCELERATOR-01", ("EIC", "EIC-ACCELERATOR", "EIC-ACCELERATOR")),
        ("HORIZON-EIC-2023-ACCELERATOR", ("EIC", "EIC-ACCELERATOR", "EIC-ACCELERATOR")),
        ("HORIZON-CL5-2023-SETPLAN-IBA", ("CL5", "CL5-SETPLAN", "CL5-SETPLAN")),
        ("HORIZON-JU", ("JU", "JU", "JU")),
        ("", ("", "", "")),
        ("HORIZON", ("", "", "")),
        ("-2023--HORIZON-", ("", "", "")),
        ("2023", ("", "", "")),
    ],
)
def test_an_identifier_names_its_place_in_the_programme(topic_id: str, said: tuple[str, str, str]) -> None:
    assert lineage(topic_id) == said


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["HORIZON", "CL5", "JU", "MISS", "2023", "01", "D3", "", "IBA", "²"])).map(
        "-".join
    )
)
def test_each_level_of_any_identifier_is_within_the_one_before(topic_id: str) -> None:
    part, destination, series = lineage(topic_id)
    assert destination.startswith(part) and series.startswith(destination)


def test_identifiers_that_name_nothing_have_nothing_in_common(encoder: Encoder) -> None:
    told = seen(
        tables_of([("1", "2021", ["a"])], {"2021": "Welding"}),
        [replace_id(OPEN[0], "2023"), OPEN[1]],
        encoder,
    )
    assert not any(told.features("a")[f"{level}.any"].any() for level in ("part", "destination", "series"))


@pytest.mark.parametrize(
    ("topic_id", "fitted"),
    [
        ("HORIZON-CL5-2023-D3-01-15", True),
        ("horizon-cl5", True),
        ("EURATOM-2023-NRT", True),
        ("DIGITAL-2026-AI-01", False),
        ("LIFE-2026", False),
        ("", False),
        (None, False),
        ("HORIZON", False),
    ],
)
def test_only_programmes_that_the_ranking_was_fitted_on_are_ranked_by_it(
    topic_id: str | None, fitted: bool
) -> None:
    assert has_lineage(topic_id) is fitted


@pytest.mark.shared_data
def test_most_of_todays_identifiers_name_a_destination_that_was_there_before() -> None:
    """Else the ranking would take every topic of a new year for something new."""
    import gzip

    old = pq.read_table(SHARED / "bench/matching-2023/history/topics.parquet")["topic"].to_pylist()
    known = {lineage(topic)[1] for topic in old}
    with gzip.open(SHARED / "eu_portal" / "calls_2026.jsonl.gz", "rt") as stream:
        text = stream.read()
    found = {
        t
        for t in re.findall(r'"(HORIZON-CL[2-6]-202[67]-[\w-]+)"', text)
        if lineage(t)[1].split("-")[-1].isalnum() and not lineage(t)[1].split("-")[-1].isdigit()
    }
    assert len(found) > 200
    assert np.mean([lineage(topic)[1] in known for topic in found]) > 0.8


# --- two orders in one


SCORE = st.floats(0.0, 1.0)
LEARNED = st.one_of(st.just(np.nan), st.floats(-5.0, 5.0), st.sampled_from([0.1, 0.3, -0.7]))


@st.composite
def mixes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(1, 8))
    scores, learned = (draw(st.lists(s, min_size=count, max_size=count)) for s in (SCORE, LEARNED))
    return np.round(scores, 6), np.array(learned)


@given(mixes(), SCORE)
def test_the_mix_is_bounded_and_leaves_alone_what_history_does_not_know(
    case: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    scores, learned = case
    found = with_history(scores, learned, share)
    assert found.min() >= 0.0 and found.max() <= 1.0
    assert (found[np.isnan(learned)] == scores[np.isnan(learned)]).all()
    assert (found == np.round(found, 6)).all()
    assert (with_history(scores, learned, 0.0) == scores).all()


@given(mixes(), SCORE)
def test_of_two_calls_the_one_that_is_first_in_both_orders_is_first(
    case: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    scores, learned = case
    found = with_history(scores, learned, share)
    for i in range(len(scores)):
        better = (learned >= learned[i]) & (scores >= scores[i])
        assert (found[better] >= found[i]).all()


@given(mixes())
def test_a_share_of_all_is_the_learned_order_and_none_is_ones_own(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    scores, learned = case
    known = np.flatnonzero(np.isfinite(learned))
    found = with_history(scores, learned, 1.0)[known]
    if len(known) > 1 and np.ptp(learned[known]) > 1e-6:
        order = np.argsort(learned[known], kind="stable")
        assert (np.diff(found[order]) >= 0).all()


@pytest.mark.parametrize(("value", "count"), [(0.1, 3), (0.1, 7), (-0.7, 49)])
def test_a_history_that_makes_no_difference_moves_nothing(value: float, count: int) -> None:
    """However the sum of like numbers is rounded."""
    scores = np.round(np.linspace(0.2, 0.8, count + 2), 6)
    learned = np.array([*[value] * count, np.nan, np.nan])
    assert (with_history(scores, learned) == scores).all()


def test_one_known_call_or_none_changes_nothing() -> None:
    scores = np.array([0.2, 0.5, 0.9])
    for learned in ([np.nan] * 3, [np.nan, 3.0, np.nan], [np.inf, 3.0, -np.inf]):
        assert (with_history(scores, np.array(learned)) == scores).all()


# --- the adapter


def test_a_saved_adapter_gives_the_same_vectors_bit_for_bit_and_of_length_one(
    tmp_path: Path, encoder: Encoder, bench: Path, weights: tuple[Path, Path]
) -> None:
    fitted = fit_adapter(read_bench(bench), encoder)
    adapters.save(fitted, weights[0])
    loaded = adapter_for(encoder)
    vectors = encoder.encode(["Robots that weld", "Milk", "?", "waterstof"], kind="query")
    assert (
        adapter_for(Encoder(cache_dir=tmp_path / "v")).apply(vectors, "query")
        == loaded.apply(vectors, "query")
    ).all()
    for kind in ("query", "passage"):
        mine, kept = fitted.apply(vectors, kind), loaded.apply(vectors, kind)
        assert mine.tobytes() == kept.tobytes()
        assert mine.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(mine, axis=1), 1.0, atol=1e-6)
        assert np.abs(mine - vectors).max() > 0.01
        assert not loaded.apply(np.zeros((1, encoder.dimension), np.float32), kind).any()
    assert (loaded.apply(vectors, "query") != loaded.apply(vectors, "passage")).any()
    assert not list(weights[0].parent.glob("*.writing"))


def test_the_vectors_of_another_model_stay_as_they_are(
    encoder: Encoder, tmp_path: Path, weights: tuple[Path, Path]
) -> None:
    vectors = encoder.encode(["Robots that weld"], kind="query")
    other = Encoder(str(encoder.folder), cache_dir=tmp_path)
    assert other.name != encoder.name
    assert adapter_for(other).apply(vectors, "query") is vectors
    assert adapter_for(encoder).apply(vectors, "query").tobytes() != vectors.tobytes()
    weights[0].unlink()
    assert adapter_for(encoder).apply(vectors, "passage") is vectors


# --- fitting


TRAINED = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from embeddings import adapter
from flows.bench import read_bench
from flows.home import Home
from flows.train import train
from flows.reporter import Silent
from pipeline import ranking
adapter.FILE, ranking.FILE = Path({into!r}) / "adapter.npz", Path({into!r}) / "ranking.json"
for _ in range({times}):
    train(read_bench(Path({bench!r})), Home(Path({home!r})), Silent())
    print("trained", flush=True)
"""


def trainer(bench: Path, home: Path, into: Path, times: int = 1, **environment: str) -> subprocess.Popen[str]:
    into.mkdir(parents=True, exist_ok=True)
    code = TRAINED.format(
        tests=str(ROOT / "tests"), bench=str(bench), home=str(home), into=str(into), times=times
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def test_two_processes_fit_the_same_bytes(bench: Path, tmp_path: Path) -> None:
    """Each with vectors of its own making, its own hash order and its own number of threads."""
    before = adapters.FILE.read_bytes(), Path(str(ranking.FILE)).read_bytes()
    for name, hashes, threads in (("a", "1", "1"), ("b", "77", "2")):
        started = trainer(
            bench, tmp_path / f"home{name}", tmp_path / name, PYTHONHASHSEED=hashes, OMP_NUM_THREADS=threads
        )
        _, told = started.communicate(timeout=200)
        assert started.returncode == 0, told
    for file in ("adapter.npz", "ranking.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (adapters.FILE.read_bytes(), Path(str(ranking.FILE)).read_bytes()) == before


SAVED = """
import sys
from pathlib import Path
import numpy as np
from embeddings import adapter
path = Path(sys.argv[1])
maps = [{k: (np.full((384, 64), v), np.full((64, 384), v)) for k in ("query", "passage")} for v in (1.0, 2.0)]
print("saving", flush=True)
while True:
    for each in maps:
        adapter.save(adapter.Adapter(each), path)
"""


def test_kill_9_at_any_moment_leaves_one_adapter_or_the_other(tmp_path: Path) -> None:
    file, halves = tmp_path / "adapter.npz", 0
    for number in range(8):
        saver = subprocess.Popen(
            [sys.executable, "-c", SAVED, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert saver.stdout and saver.stdout.readline() == "saving\n"
        time.sleep(0.05 + number * 0.013)
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        halves += bool(list(tmp_path.glob("*.writing")))
        with np.load(file) as data:
            assert sorted(data.files) == ["passage_down", "passage_up", "query_down", "query_up"]
            assert len({float(v) for name in data.files for v in np.unique(data[name])}) == 1
    assert halves  # some were killed while they wrote


def test_a_full_disk_leaves_the_weights_that_were_there(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, maps = tmp_path / "adapter.npz", adapter_for(encoder).maps
    adapters.save(Adapter(maps), file)
    whole = file.read_bytes()

    def torn(stream: Any, **_: Any) -> None:
        stream.write(whole[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(OSError, match="No space"):
        adapters.save(Adapter(maps), file)
    assert file.read_bytes() == whole


BAD: dict[str, tuple[Callable[[dict[str, list[Row]]], Any], str]] = {
    "few organisations": (
        lambda rows: rows.update(rows_of(organisations=20)),
        "only 20 queries have a history",
    ),
    "no known topic": (
        lambda rows: rows.update(topics=[{"topic": "HORIZON-X", "title": "x", "keywords": None}]),
        "no project of the history was funded under a topic of the history",
    ),
    "a leak": (
        lambda rows: rows.update(projects=[row | {"signed": DAY} for row in rows["projects"]]),
        "a leak",
    ),
    "no answer": (lambda rows: rows.update(answers=[]), "holds no answer"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bench_that_teaches_nothing_is_one_line_and_leaves_the_weights(
    tmp_path: Path,
    case: str,
    home: Home,
    weights: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    change, told = BAD[case]
    rows = rows_of()
    change(rows)
    before = [file.read_bytes() for file in weights]
    folder = put_bench(tmp_path / "bad", rows)
    monkeypatch.setattr(sys, "argv", ["f", "--home", str(home.path), "train", str(folder)])
    with pytest.raises(SystemExit) as stopped:
        main()
    shown = capfd.readouterr()
    ours = [line for line in shown.err.splitlines() if line.startswith("fundmatch:")]
    assert stopped.value.code == 2 and shown.out == ""
    assert len(ours) == 1 and told in ours[0], shown.err
    assert [file.read_bytes() for file in weights] == before
    assert sorted(weights[0].parent.iterdir()) == sorted(weights)


@pytest.fixture(scope="module")
def learned(bench: Path, encoder: Encoder) -> tuple[Bench, Outlook]:
    found = read_bench(bench)
    return found, outlook_of(found, encoder, fit_adapter(found, encoder))


def flipped(bench: Bench, query: str) -> Bench:
    """The same bench, in which one organisation was funded under all the other topics."""
    others = {t.topic_id: 1 for t in bench.topics if t.topic_id not in bench.qrels[query]}
    return replace(bench, qrels=bench.qrels | {query: others})


def test_an_organisations_own_answers_do_not_touch_its_scores(learned: tuple[Bench, Outlook]) -> None:
    bench, outlook = learned
    whole = cross_validated(examples(bench, outlook), bench)
    assert set(whole) == {q.query_id for q in bench.queries if len(outlook.history.projects_of(q.query_id))}
    for query in sorted(whole)[:3]:
        other = flipped(bench, query)
        found = cross_validated(examples(other, outlook), other)
        assert found[query] == whole[query]
        moved = [q for q in whole if found[q] != whole[q]]
        assert len(moved) > len(whole) / 2  # those who are learned about from it
    # a model that has seen its answers does say otherwise
    told = [examples(b, outlook) for b in (bench, flipped(bench, query))]
    fitted = [ranking.fit(each.tables, each.answers, each.names, "x") for each in told]
    one, two = (ranker.scores(outlook.features(query)) for ranker in fitted)
    assert (one != two).any()


def test_evaluate_ranks_the_bench_it_was_fitted_on_by_models_that_have_not_seen_the_organisation(
    bench: Path, home: Home, encoder: Encoder, weights: tuple[Path, Path]
) -> None:
    found = read_bench(bench)
    train(found, home, Silent())
    ranker = ranking.load()
    assert ranker.trained_on == found.day.isoformat()
    told = rankers(home, Silent())[PRODUCTION](found)
    outlook = outlook_of(found, encoder, adapter_for(encoder))
    assert set(told) == {query.query_id for query in found.queries}
    held_out = cross_validated(examples(found, outlook), found)
    assert all(told[query] == scores for query, scores in held_out.items())
    query = sorted(held_out)[0]
    in_sample = ranker.scores(outlook.features(query))
    assert not np.allclose(in_sample, list(told[query].values()), atol=1e-4)
    # another year's bench is ranked by what was fitted
    weights[1].write_text(ranking.Ranker(ranker.names, ranker.model, "of another bench").dumped(), "utf-8")
    other = rankers(home, Silent())[PRODUCTION](found)
    np.testing.assert_allclose(list(other[query].values()), in_sample, atol=1e-6)


def test_the_fitted_ranking_finds_what_there_is_to_be_found(learned: tuple[Bench, Outlook]) -> None:
    """Two right ones of thirty, both of the organisation's theme of five topics."""
    bench, outlook = learned
    held_out = cross_validated(examples(bench, outlook), bench)
    hits = []
    for query, scores in held_out.items():
        best = sorted(scores, key=lambda topic: (-scores[topic], topic))[:5]
        hits.append(len(set(best) & set(bench.qrels[query])) / 2)
    assert np.mean(hits) > 0.5  # by chance it is 1 in 6


def test_the_weights_of_the_package_are_whole_and_of_one_another(encoder: Encoder) -> None:
    ranker = ranking.load()
    assert re.fullmatch(r"\d{4}-01-01", ranker.trained_on)
    features = seen(tables_of(*ALONE["no partner"]), OPEN, encoder).features("a")
    assert list(features) == ranker.names
    for kind in ("query", "passage"):
        down, up = adapter_for(encoder).maps[kind]
        assert down.shape == up.T.shape == (encoder.dimension, adapters.RANK)
        assert np.isfinite(down).all() and np.isfinite(up).all()


# --- a week with a history

COMPANY = (
    "We build production lines for lithium battery cells. Our machines coat electrodes and stack cells for "
    "electric vehicles, with cameras that find faults. We want to test dry coating with car makers."
)
WEEK: dict[str, Any] = {
    "known": {"language": "en", "pic": "900000001", "description": COMPANY},
    "newcomer": {"language": "en", "description": COMPANY},
    "stranger": {"language": "en", "pic": "900000099", "description": COMPANY},  # a code of no project
    "waterbedrijf": {
        "language": "nl",
        "pic": "900000002",
        "description": "Wij bouwen installaties die grondwater aanvullen en zuiveren voor boeren en "
        "waterschappen, zodat er in droge zomers water is. We zoeken proeven met infiltratie.",
    },
}
MADE = "Lithium battery cells: coating electrodes and producing batteries for electric vehicles"
AQUIFER = "Managed aquifer recharge: storing groundwater for farms in times of drought"
LATER = "Full-scale demonstration of heat upgrade solutions in industrial processes"
AS_OF = date(2026, 6, 15)


def week_rows() -> dict[str, list[Row]]:
    """Others' projects, two of the profiles' own, and two that were signed too late to be known."""
    rows = rows_of()
    told = {"known": "900000001", "waterbedrijf": "900000002"}
    for row in rows["projects"]:
        row["signed"] += timedelta(days=1200)
    rows["organisations"] = [{**row, "org": f"8{row['org'][1:]}"} for row in rows["organisations"]] + [
        {**rows["organisations"][0], "org": org, "name": name} for name, org in told.items()
    ]
    rows["participations"] = [{**row, "org": f"8{row['org'][1:]}"} for row in rows["participations"]]
    for number, (name, topic, title, signed) in enumerate(
        [
            ("known", "HORIZON-CL5-2022-D2-01-03", MADE, date(2024, 5, 1)),
            ("waterbedrijf", "HORIZON-CL6-2022-ZEROPOLLUTION-01-02", AQUIFER, date(2023, 5, 1)),
            ("known", "HORIZON-CL5-2022-D2-01-03", LATER, AS_OF),
            ("known", "HORIZON-CL5-2022-D2-01-03", LATER, AS_OF + timedelta(days=30)),
        ]
    ):
        project = {"project": str(102000000 + number), "topic": topic, "signed": signed}
        rows["projects"].append(project | {"title": title, "objective": title})
        for org in (told[name], rows["organisations"][number]["org"]):
            rows["participations"].append(
                {"project": project["project"], "org": org, "role": None, "eur": 1.0}
            )
    return rows


def test_a_week_with_a_history_and_feedback(tmp_path: Path) -> None:
    home = tmp_path / "home"

    def ran(*arguments: Any) -> str:
        done = child("--home", home, *arguments, COLUMNS="200")
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def week() -> dict[str, list[Match]]:
        ran("run", "--replay", SAMPLES, "--sources", "eu_portal", "--as-of", AS_OF, "--plain")
        with open_records(home) as warehouse:
            return {name: warehouse.match_records(name) for name in WEEK}

    profiles = [
        {"id": name, "name": name, "kind": "sme", "label": "example"} | about for name, about in WEEK.items()
    ]
    (tmp_path / "p.yml").write_text(json.dumps(profiles), "utf-8")
    ran("profiles", "import", tmp_path / "p.yml")
    without = week()
    ran("history", "import", put_history(tmp_path / "history", week_rows()))
    first = week()

    # a newcomer, and one whose code nothing is known of, lose nothing and gain nothing
    assert all(first[name] == without[name] for name in ("newcomer", "stranger"))
    assert {match.basis for name in WEEK for match in without[name]} == {"text"}
    for name, title, said in (
        ("known", MADE, "Near to your earlier project “{}…” (2024)."),
        ("waterbedrijf", AQUIFER, "Ligt dicht bij uw eerdere project „{}…” (2023)."),
    ):
        assert first[name] != without[name]
        near = [match for match in first[name] if NEAR_PROJECT.search(" ".join(match.reasons))]
        assert near and {match.basis for match in near} == {"text and history"}
        assert any(match.basis == "text" for match in first[name])
        pattern = re.escape(said.format("|")).replace(r"\|…", "(.+?)…?").replace("\\|", "(.+)")
        for match in near:
            told = [re.fullmatch(pattern, reason) for reason in match.reasons]
            assert [title.startswith(found[1]) for found in told if found] == [True]
        for match in first[name]:
            text = " ".join(match.reasons)
            assert (match in near) == any(title in pair.profile_text for pair in match.evidence)
            assert LATER[:30] not in text  # signed on the day or later
    assert "earlier project" in ran("explain", "known", near_of(first["known"]).call_id)

    liked, like = near_of(first["known"]).call_id, identified(home, "HORIZON-CL3-2026-02-CS-ECCC-02")
    for call_id in (liked, like):
        ran("feedback", "known", call_id, "--not-for-us")
    marked = week()
    assert all(marked[name] == first[name] for name in WEEK if name != "known")
    assert {m.call_id for m in marked["known"][-2:]} == {liked, like}
    assert [m.feedback for m in marked["known"]][-3:] == [None, "not-for-us", "not-for-us"]
    before = {match.call_id: match.score for match in first["known"]}
    fell = [m for m in marked["known"] if any("marked as not for you" in reason for reason in m.reasons)]
    assert fell and all(match.score < before[match.call_id] for match in fell)
    assert all(match.score <= before[match.call_id] for match in marked["known"])
    shown, everything = (
        [match["call_id"] for match in json.loads(ran("match", "known", "--top", "50", "--json", *more))]
        for more in ([], ["--all"])
    )
    assert not {liked, like} & set(shown) and {liked, like} == set(everything[-2:])
    for call_id in (liked, like):
        ran("feedback", "known", call_id, "--clear")
    assert week() == first


NEAR_PROJECT = re.compile("earlier project|eerdere project")


def near_of(matches: list[Match]) -> Match:
    return next(match for match in matches if NEAR_PROJECT.search(" ".join(match.reasons)))


def identified(home: Path, identifier: str) -> str:
    with open_records(home) as warehouse:
        (call_id,) = [call.call_id for call in warehouse.call_records() if call.identifier == identifier]
    return call_id
