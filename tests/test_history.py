"""Earlier EU projects: every shape gives one history, a bad input changes nothing, and a week keeps it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, SHARED
from test_organisations import ORGANISATION, PROJECT, SHAPES, TABLES, TOPIC, as_csv, flat_json, put
from test_warehouse import PROFILE, call, match, published, week

from crawlers.cordis_files import CordisError
from flows.cli import main
from flows.history import add_history
from flows.home import Home, HomeError
from flows.reporter import Silent
from pipeline.schema import Feedback, Participant, Participation, Project, Topic
from warehouse.errors import WarehouseError
from warehouse.history import TABLES as HELD
from warehouse.history import Imported, read_history
from warehouse.records import Records, open_records

LATE = date(2030, 1, 1)
MODELS = {
    "topics": Topic,
    "projects": Project,
    "participants": Participant,
    "participations": Participation,
}
COLUMNS = {
    "topics": "topic title keywords",
    "projects": "project topic signed action title objective",
    "organisations": "org name country nuts city activity sme",
    "participations": "project org role eur",
}
GOOD: dict[str, list[tuple[Any, ...]]] = {
    "topics": [("T-2", "Second", None), ("T-1", "First", "robots; welding")],
    "projects": [
        ("102", "T-2", "2022-12-31", "HORIZON-IA", "Later", None),
        ("101", "T-1", "2022-06-14", "HORIZON-RIA", "Robots 'weld'", 'A "cell";\nof two lines'),
        ("103", "T-9", None, None, None, None),
    ],
    "organisations": [
        ("900000002", "B", None, None, None, None, None),
        ("900000001", "A", "EL", "EL30", "Αθήνα", "PRC", True),
    ],
    "participations": [
        ("101", "900000001", "coordinator", 960619.95),
        ("101", "900000002", None, None),
        ("102", "900000001", "participant", 0.0),
        ("103", "900000002", "thirdParty", 5.0),
    ],
}
Added = tuple[Imported, list[Any]]


def parquet(folder: Path, **more: list[tuple[Any, ...]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (GOOD | more).items():
        columns = COLUMNS[name].split()
        cells = {column: alike([row[i] for row in rows]) for i, column in enumerate(columns)}
        pq.write_table(pa.table(cells), folder / f"{name}.parquet")
    return folder


def alike(cells: list[Any]) -> list[Any]:
    """A column of cells as text where they are of several types."""
    mixed = len({type(cell) for cell in cells if cell is not None}) > 1
    return [str(cell) if mixed and cell is not None else cell for cell in cells]


def add(home: Path, source: Path) -> Added:
    return add_history(Home(home), source, Silent())


def records(home: Path, table: str) -> list[Any]:
    model = MODELS[table]
    with open_records(home) as warehouse:
        found = warehouse.sql(f"SELECT * FROM core.{table} ORDER BY ALL")
        return [model(**dict(zip(found.columns, row, strict=True))) for row in found.fetchall()]


def everything(home: Path) -> dict[str, list[Any]]:
    return {table: records(home, table) for table in MODELS}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_folder_of_parquet_files_is_typed_and_what_is_not_stated_is_unknown(tmp_path: Path) -> None:
    history = read_history(parquet(tmp_path / "h"))
    found = {name: [MODELS[name](**row) for row in getattr(history, name).to_pylist()] for name in HELD}
    assert found["topics"] == [
        Topic(topic_id="T-1", title="First", keywords="robots; welding"),
        Topic(topic_id="T-2", title="Second"),
    ]
    assert found["projects"][0] == Project(
        project_id="101",
        title="Robots 'weld'",
        objective='A "cell";\nof two lines',
        topic="T-1",
        action="HORIZON-RIA",
        signed_on=date(2022, 6, 14),
    )
    assert found["projects"][2] == Project(project_id="103", topic="T-9")
    assert found["participants"] == [
        Participant(
            org_id="900000001",
            name="A",
            country="EL",
            nuts="EL30",
            place="Αθήνα",
            activity="PRC",
            sme=True,
        ),
        Participant(org_id="900000002", name="B"),
    ]
    assert found["participations"][1] == Participation(project_id="101", org_id="900000002")
    assert [p.eur for p in found["participations"]] == [960619.95, None, 0.0, 5.0]


def test_cells_of_other_types_and_blank_ones_are_read_as_what_they_say(tmp_path: Path) -> None:
    folder = parquet(
        tmp_path / "h",
        topics=[("T-1 ", "\u00a0\u2003First\n", " \u00a0")],
        projects=[(101, "", date(2022, 6, 14), None, "\x0b", "x")],
        organisations=[(900000001, " A ", "", None, "", "", "false")],
        participations=[(101, 900000001, "", "1000000,5")],
    )
    history = read_history(folder)
    assert history.topics.to_pylist() == [{"topic_id": "T-1", "title": "First", "keywords": None}]
    (project,) = history.projects.to_pylist()
    assert (project["project_id"], project["signed_on"]) == ("101", date(2022, 6, 14))
    assert {project["topic"], project["title"], project["action"]} == {None}
    assert history.participants.to_pylist()[0]["sme"] is False
    assert history.participations.to_pylist() == [
        {"project_id": "101", "org_id": "900000001", "role": None, "eur": 1000000.5}
    ]


def lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / f"{name}.parquet").unlink()


def spoil(name: str, body: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / f"{name}.parquet").write_bytes(body) and None


def rename(name: str, columns: str) -> Callable[[Path], None]:
    def renamed(folder: Path) -> None:
        file = folder / f"{name}.parquet"
        pq.write_table(pq.read_table(file).rename_columns(columns.split()), file)

    return renamed


def cut(name: str) -> Callable[[Path], None]:
    def cut_off(folder: Path) -> None:
        file = folder / f"{name}.parquet"
        file.write_bytes(file.read_bytes()[:-40])

    return cut_off


def latin(folder: Path) -> None:
    rows = pa.array([b"T-1"], pa.binary()), pa.array([b"caf\xe9"], pa.binary()), pa.array([None], pa.string())
    torn = [array.view(pa.string()) if array.type == pa.binary() else array for array in rows]
    pq.write_table(pa.table(torn, names=["topic", "title", "keywords"]), folder / "topics.parquet")


UNUSABLE = {
    "file missing": (lose("organisations"), r"there is no organisations\.parquet"),
    "no Parquet": (spoil("projects", b"<html>sign in</html>"), r"projects\.parquet: damaged, or no Parquet"),
    "empty file": (spoil("projects", b""), "damaged, or no Parquet"),
    "cut off": (cut("participations"), "damaged, or no Parquet"),
    "no UTF-8": (latin, r"topics\.parquet: damaged, or no Parquet"),
    "other columns": (rename("participations", "projectID org role eur"), "no column 'project'; it has"),
    "no rows": (lambda folder: parquet(folder, topics=[]) and None, "holds no rows"),
}
PROJECTS, PARTS, ORGS = GOOD["projects"], GOOD["participations"], GOOD["organisations"]
FAULTY: dict[str, dict[str, list[tuple[Any, ...]]]] = {
    "topics_untitled": {"topics": [*GOOD["topics"], ("T-3", " ", None)]},
    "topics_twice": {"topics": [*GOOD["topics"], ("T-1", "Another", None)]},
    "projects_unnumbered": {"projects": [*PROJECTS, (None, "T-1", None, None, "t", None)]},
    "projects_twice": {"projects": [*PROJECTS, ("101", "T-2", None, None, "t", None)]},
    "projects_day_unread": {"projects": [*PROJECTS, ("104", "T-2", "14/06/2022", None, "t", None)]},
    "participants_unnamed": {"organisations": [*ORGS, ("900000003", "\u00a0", None, None, None, None, None)]},
    "participants_twice": {"organisations": [*ORGS, ("900000001", "A2", None, None, None, None, None)]},
    "participants_sme_unread": {"organisations": [*ORGS, ("900000003", "C", *[None] * 4, "perhaps")]},
    "participations_twice": {"participations": [*PARTS, ("102", "900000001", "participant", 7.0)]},
    "participations_of_unknown": {"participations": [*PARTS, ("109", "900000001", None, None)]},
    "participations_amount_unread": {"participations": [*PARTS, ("103", "900000001", None, "1.000,50")]},
}


@pytest.mark.parametrize(("spoiled", "why"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_folder_that_cannot_be_used_is_one_line_and_changes_nothing(
    spoiled: Callable[[Path], None], why: str, tmp_path: Path, home: Path
) -> None:
    add(home, parquet(tmp_path / "good"))
    before = (home / "warehouse.duckdb").read_bytes()
    folder = parquet(tmp_path / "bad")
    spoiled(folder)
    with pytest.raises(WarehouseError, match=why) as error:
        read_history(folder)
    assert str(error.value).count("\n") == 0
    with pytest.raises(WarehouseError, match=why):
        add(home, folder)
    assert (home / "warehouse.duckdb").read_bytes() == before
    assert {file.name for file in home.iterdir()} == {"parquet", "run.lock", "warehouse.duckdb"}


@pytest.mark.parametrize(("code", "rows"), FAULTY.items(), ids=FAULTY.keys())
def test_a_faulty_row_is_refused_or_told_among_many_good_ones(
    code: str, rows: dict[str, list[tuple[Any, ...]]], tmp_path: Path, home: Path
) -> None:
    few = parquet(tmp_path / "few", **rows)
    for read in (read_history, lambda folder: add(home, folder)):
        with pytest.raises(WarehouseError, match=code):
            read(few)
    ((name, faulty),) = rows.items()
    width = len(COLUMNS[name].split())
    if name == "participations":
        more = [(str(1000 + i), "900000001", None, None) for i in range(40)]
        extra = {"projects": [*PROJECTS, *((p, None, None, None, None, None) for p, *_ in more)]}
    else:
        more, extra = [(str(1000 + i), "X", *[None] * (width - 2)) for i in range(40)], {}
    imported, issues = add(home, parquet(tmp_path / "many", **extra, **{name: [*faulty, *more]}))
    assert [(issue.code, issue.severity) for issue in issues] == [(code, "warning")]
    assert imported.faults[0].count == 1
    assert imported.total["participations"] >= 4


def test_what_two_statements_do_not_agree_on_is_unknown_but_a_coordinator_is_one(
    tmp_path: Path, home: Path
) -> None:
    many = [(str(1000 + i), "900000001", None, None) for i in range(60)]
    folder = parquet(
        tmp_path / "h",
        projects=[*PROJECTS, *((p, None, None, None, None, None) for p, *_ in many)],
        participations=[
            *many,
            ("101", "900000001", "participant", 5.0),
            ("101", "900000001", "coordinator", 7.0),
            ("102", "900000002", "participant", 5.0),
            ("102", "900000002", "thirdParty", 5.0),
        ],
    )
    add(home, folder)
    found = [p for p in records(home, "participations") if p.project_id in ("101", "102")]
    assert [(p.role, p.eur) for p in found] == [("coordinator", None), (None, 5.0)]


@pytest.mark.parametrize("where", ["bulk.zip", "folder"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_bulk_file_gives_the_same_records(
    shape: str, where: str, tmp_path: Path, home: Path
) -> None:
    imported, issues = add(home, put(tmp_path / where, SHAPES[shape]))
    assert (imported.rows, issues) == (dict.fromkeys(HELD, 1), [])
    assert everything(home) == {
        "topics": [Topic(topic_id=PROJECT["topics"], title="AI enhanced robotics")],
        "projects": [
            Project(
                project_id="101000001",
                title="Robots that weld; and learn",
                objective='A "smart" cell;\nin two lines.',
                topic="HORIZON-CL4-2021-TWIN-TRANSITION-01-01",
                action="HORIZON-RIA",
                signed_on=date(2022, 6, 14),
            )
        ],
        "participants": [
            Participant(
                org_id="999900001",
                name="VOORBEELD LASROBOTS BV",
                country="NL",
                nuts="NL125",
                place="Drachten",
                activity="PRC",
                sme=True,
            )
        ],
        "participations": [
            Participation(project_id="101000001", org_id="999900001", role="coordinator", eur=960619.95)
        ],
    }
    with open_records(home) as warehouse:
        tables = [name for (name,) in warehouse.sql("SELECT table_name FROM duckdb_tables()").fetchall()]
        held = "".join(str(warehouse.sql(f"FROM core.{name}").fetchall()) for name in HELD)
    assert not [name for name in tables if name.startswith(("printed", "stage"))]
    assert not [kept for kept in ("Nobody", "Staalweg", "contact", "example") if kept in held]


def bulk(path: Path, **tables: list[dict[str, Any]]) -> Path:
    return put(path, {f"{name}.csv": as_csv(rows) for name, rows in (TABLES | tables).items()})


def test_an_organisation_is_as_its_last_signed_project_describes_it(tmp_path: Path, home: Path) -> None:
    later = PROJECT | {"id": "100000009", "ecSignatureDate": "2024-01-01"}
    undated = PROJECT | {"id": "199999999", "ecSignatureDate": ""}
    members = [
        ORGANISATION | {"projectID": "100000009", "SME": "", "city": "Emmen"},
        ORGANISATION,
        ORGANISATION | {"projectID": "199999999", "city": "Assen"},
    ]
    add(home, bulk(tmp_path / "b", project=[PROJECT, later, undated], organization=members))
    (participant,) = records(home, "participants")
    assert (participant.place, participant.sme) == ("Emmen", None)


def test_a_second_import_replaces_the_same_ids_keeps_others_and_drops_who_left(
    tmp_path: Path, home: Path
) -> None:
    add(home, parquet(tmp_path / "first"))
    imported, _ = add(
        home,
        parquet(
            tmp_path / "second",
            topics=[("T-1", "First, renamed", None), ("T-5", "Fifth", None)],
            projects=[("101", "T-1", "2022-06-15", None, "Renamed", None)],
            organisations=[("900000002", "B2", None, None, None, None, False)],
            participations=[("101", "900000002", "coordinator", 1.0)],
        ),
    )
    assert imported.rows == {"topics": 2, "projects": 1, "participants": 1, "participations": 1}
    assert imported.total == {"topics": 3, "projects": 3, "participants": 2, "participations": 3}
    held = everything(home)
    assert [t.title for t in held["topics"]] == ["First, renamed", "Second", "Fifth"]
    renamed = held["projects"][0]
    assert (renamed.title, renamed.signed_on) == ("Renamed", date(2022, 6, 15))
    assert [(o.name, o.sme) for o in held["participants"]] == [("A", True), ("B2", False)]
    assert [(p.project_id, p.org_id) for p in held["participations"]] == [
        ("101", "900000002"),
        ("102", "900000001"),
        ("103", "900000002"),
    ]


def test_an_import_keeps_the_week_and_a_week_keeps_the_history(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    said = Feedback(
        profile_id="one", call_id="eu_portal:1", verdict="relevant", given_at=week().run.started_at
    )
    published(home, week(1, calls=[call("1"), call("2")], feedback=[said]))
    with open_records(home) as warehouse:
        before = state(warehouse)
    add(home, parquet(tmp_path / "h"))
    with open_records(home) as warehouse:
        assert state(warehouse) == before
        assert warehouse.matches("one").fetchall()
    history = everything(home)
    published(home, week(2, matches=[match(score=0.25)]))
    assert everything(home) == history
    with open_records(home) as warehouse:
        assert [m.score for m in warehouse.match_records("one")] == [0.25]
        assert warehouse.feedback_records() == [said]


def state(warehouse: Records) -> dict[str, list[Any]]:
    """Every row of every table that is no history."""
    names = warehouse.sql(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1"
    ).fetchall()
    own = [name for (name,) in names if name.partition(".")[2] not in HELD]
    assert len(own) >= 10
    return {name: warehouse.sql(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in own}


def test_history_before_a_day_has_no_project_of_that_day_or_of_no_day(tmp_path: Path, home: Path) -> None:
    add(home, parquet(tmp_path / "h"))
    with open_records(home) as warehouse:

        def ids(before: date) -> list[str]:
            return [str(row[0]) for row in warehouse.projects(before).fetchall()]

        assert [ids(date(2022, 6, 14)), ids(date(2022, 6, 15)), ids(LATE)] == [[], ["101"], ["101", "102"]]
        found = warehouse.participations(LATE)
        assert found.columns == ["project_id", "org_id", "role", "eur", "topic", "signed_on"]
        assert {row[0] for row in found.fetchall()} == {"101", "102"}
        mine = warehouse.project_records(["900000001", "900000002", "absent"], LATE)
        assert {org: [p.project_id for p in own] for org, own in mine.items()} == {
            "900000001": ["101", "102"],
            "900000002": ["101"],
        }
        assert mine["900000002"][0].objective == 'A "cell";\nof two lines'
        assert warehouse.project_records([], LATE) == {}
        assert warehouse.topics().to_arrow_table().num_rows == 2
        assert warehouse.participants().columns[-2:] == ["activity", "sme"]


def test_rows_that_are_not_whole_are_told_and_too_many_refuse_the_import(tmp_path: Path, home: Path) -> None:
    many = [PROJECT | {"id": str(101000001 + i)} for i in range(60)]
    members = [ORGANISATION | {"projectID": project["id"]} for project in many]
    nobody = [ORGANISATION | {"organisationID": "n/a"}]
    imported, issues = add(
        home, bulk(tmp_path / "one", project=many, organization=[*members, *nobody, members[0]])
    )
    assert imported.rows["participations"] == 60
    assert [issue.code for issue in issues] == ["rows_not_whole", "participations_twice"]
    assert "organisationID is 'n/a'" in issues[0].detail
    before = (home / "warehouse.duckdb").read_bytes()
    with pytest.raises(CordisError, match="nothing is imported: 10 faulty rows beside 60"):
        add(home, bulk(tmp_path / "ten", project=many, organization=[*members, *nobody * 10]))
    assert (home / "warehouse.duckdb").read_bytes() == before


@pytest.mark.parametrize("missing", ["project", "organization", "topics"])
def test_a_bulk_folder_without_a_table_or_cut_in_one_changes_nothing(
    missing: str, tmp_path: Path, home: Path
) -> None:
    files = {f"{name}.json": flat_json(rows) for name, rows in TABLES.items()}
    with pytest.raises(CordisError, match=f"no {missing} table"):
        add(home, put(tmp_path / "a", {k: v for k, v in files.items() if k != f"{missing}.json"}))
    cut_off = files | {f"{missing}.json": files[f"{missing}.json"][:-9]}
    with pytest.raises(CordisError, match="cut off"):
        add(home, put(tmp_path / "b.zip", cut_off))
    assert [file.name for file in home.iterdir()] == ["run.lock"]


def test_beside_a_run_it_is_refused_and_a_damaged_warehouse_is_kept(tmp_path: Path, home: Path) -> None:
    source = parquet(tmp_path / "h")
    add(home, source)
    with Home(home).locked(), pytest.raises(HomeError, match="another run"):
        add(home, source)
    (home / "warehouse.duckdb").write_bytes(b"no database at all" * 1000)
    with pytest.raises(WarehouseError, match="not a readable warehouse"):
        add(home, source)
    assert (home / "warehouse.duckdb").read_bytes()[:11] == b"no database"


KILLED = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from test_history import add
while True:
    for name in ("a.zip", "b"):
        add(Path({home!r}), Path({sources!r}) / name)
"""


def test_kill_9_at_any_moment_leaves_one_import_or_the_other(tmp_path: Path, home: Path) -> None:
    for name, title in (("a.zip", "old"), ("b", "new")):
        projects = [PROJECT | {"id": str(101000001 + i), "title": title} for i in range(3000)]
        members = [ORGANISATION | {"projectID": p["id"], "name": title} for p in projects]
        bulk(tmp_path / name, project=projects, organization=members)
    add(home, tmp_path / "a.zip")
    code = KILLED.format(tests=str(ROOT / "tests"), home=str(home), sources=str(tmp_path))
    halves = 0
    for number in range(4):
        left = set(home.glob("*.building*"))
        child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
        until = time.monotonic() + 60
        while not set(home.glob("*.building*")) - left and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(number * 0.03)  # from the first moment of an import on
        child.send_signal(signal.SIGKILL)
        child.wait()
        halves += bool(list(home.glob("*.building*")))
        with open_records(home) as warehouse:
            titles = warehouse.sql("SELECT title, count(*) FROM core.projects GROUP BY ALL").fetchall()
            names = warehouse.sql("SELECT name FROM core.participants").fetchall()
            assert titles in ([("old", 3000)], [("new", 3000)])
            assert names == [(titles[0][0],)]
    assert halves
    add(home, tmp_path / "b")
    assert not list(home.glob("*.building*"))


def test_twenty_megabytes_of_projects_are_passed_on_in_a_tenth_of_that(tmp_path: Path, home: Path) -> None:
    projects = [PROJECT | {"id": str(101000001 + i), "objective": "text " * 4000} for i in range(1000)]
    source = bulk(tmp_path / "b.zip", project=projects)
    tracemalloc.start()
    try:
        add(home, source)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def fundmatch(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: (exit status, standard output, standard error)."""

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fundmatch", "--home", str(home), *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return command


def test_the_command_tells_counts_faults_and_what_is_wrong_in_one_line(
    tmp_path: Path, home: Path, fundmatch: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, _ = fundmatch("history", "import", parquet(tmp_path / "h"), "--json")
    assert (status, json.loads(out)["total"]["projects"], json.loads(out)["issues"]) == (0, 3, [])
    many = [TOPIC | {"topic": f"T-{i}"} for i in range(60)]
    members = [ORGANISATION | {"projectID": "101000001", "organisationID": str(10**8 + i)} for i in range(60)]
    odd = bulk(tmp_path / "b", topics=many, organization=[*members, members[0]])
    status, out, err = fundmatch("history", "import", odd)
    assert (status, "warning: history: participations_twice: 101000001 ~ 100000000" in err) == (1, True)
    assert "participations" in out
    status, out, err = fundmatch("history", "import", tmp_path / "absent", "--json")
    assert (status, out, err.startswith("fundmatch: "), err.count("\n")) == (2, "", True, 1)


def test_before_the_first_run_commands_say_that_there_is_none(
    tmp_path: Path, fundmatch: Callable[..., tuple[int, str, str]]
) -> None:
    assert fundmatch("history", "import", parquet(tmp_path / "h"))[0] == 0
    for command in ("sources", "match one", f"explain {PROFILE.id} eu_portal:1", "match --text robots"):
        status, _, err = fundmatch(*command.split())
        assert (status, "no run yet" in err) == (2, True), command
    assert fundmatch("calls", "--json")[:2] == (0, "[]\n")


def test_an_import_loads_nothing_heavy(tmp_path: Path, home: Path) -> None:
    code = (
        f"import sys; sys.argv = ['fundmatch', '--home', {str(home)!r}, 'history', 'import', "
        f"{str(parquet(tmp_path / 'h'))!r}]\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'prefect', 'scrapy', 'faiss', 'pyarrow', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.shared_data
def test_the_real_history_is_whole_and_as_large_as_its_files(home: Path) -> None:
    folder = SHARED / "bench" / "matching-2023" / "history"
    imported, issues = add(home, folder)
    assert issues == []
    assert imported.total == {
        "topics": 1043,
        "projects": 2033,
        "participants": 12359,
        "participations": 30518,
    }
    with open_records(home) as warehouse:
        assert len(warehouse.projects(date(2023, 1, 1)).fetchall()) == 2033
        assert len(warehouse.participations(date(2023, 1, 1)).fetchall()) == 30518
