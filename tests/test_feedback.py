"""Feedback: nothing that was said is lost or torn, and what it does to a ranking is bounded and told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup
from conftest import PROFILES, ROOT, a_call, child
from hypothesis import given as examples
from hypothesis import strategies as st

from embeddings.encode import Encoder
from flows.feedback import give, read
from flows.home import Home
from pipeline.digest import Edition, compose
from pipeline.feedback import (
    ALIKE,
    MOST,
    UNLIKE,
    call_vectors,
    hidden,
    marks,
    movers,
    placed,
    reason,
    shifted,
    signs,
)
from pipeline.match import call_passages
from pipeline.news import Week, news
from pipeline.schema import Call, Document, Eligibility, Evidence, Feedback, Match, Profile, Section, Wishes

AT = datetime(2026, 6, 15, 9, tzinfo=UTC)


def said(verdict: str = "relevant", call_id: str = "s:1", profile_id: str = "one", **more: Any) -> Feedback:
    base: dict[str, Any] = {"profile_id": profile_id, "call_id": call_id, "verdict": verdict, "given_at": AT}
    return Feedback(**base | more)


def document(document_id: str, role: str = "opening") -> Document:
    where: dict[str, Any] = {"fetched_at": AT, "page_sha256": "a", "archive_record": "b", "printed": {}}
    return Document(document_id=document_id, source="s", role=role, title="T", url="https://e.org", **where)


def a_match(call_id: str, rank: int, verdict: Any = "unknown", **more: Any) -> Match:
    base: dict[str, Any] = {
        "profile_id": "one",
        "call_id": call_id,
        "rank": rank,
        "score": 0.5,
        "percentile": 50.0,
        "confidence": "high",
        "eligibility": Eligibility(verdict=verdict, rules=()),
        "evidence": (Evidence(profile_text="a", call_text="b", weight=0.6),),
        "reasons": ("First.",),
    }
    return Match(**base | more)


# --- stored


def test_what_was_given_is_read_back_in_order_and_the_last_is_the_newest_whatever_the_clock(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path / "new")
    odd = 'two\nlines \u2028 "quoted" é €'
    for number, verdict in enumerate(["relevant", "not-for-us", "cleared"]):
        give(home, said(verdict, why=odd, given_at=AT - timedelta(days=number)))
    found, issues = read(home)
    assert [f.verdict for f in found] == ["relevant", "not-for-us", "cleared"] and not issues
    assert [f.given_at for f in found] == sorted({f.given_at for f in found})
    assert {f.why for f in found} == {odd}
    assert home.feedback.read_bytes().count(b"\n") == 3


def test_a_write_cut_off_at_any_byte_loses_that_line_alone_and_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    give(home, said(call_id="s:1"))
    before = len(home.feedback.read_bytes())
    give(home, said(call_id="s:2", why="é"))
    whole = home.feedback.read_bytes()
    for length in range(before, len(whole) + 1):
        home.feedback.write_bytes(whole[:length])
        kept = ["s:1"] if length < len(whole) - 1 else ["s:1", "s:2"]
        torn = before < length < len(whole) - 1
        found, issues = read(home)
        assert [f.call_id for f in found] == kept
        assert [issue.detail for issue in issues] == (
            ["feedback.jsonl: line 2 is damaged, so what it said is not known"] if torn else []
        )
        give(home, said(call_id="s:3"))
        found, issues = read(home)
        assert [f.call_id for f in found] == [*kept, "s:3"]
        assert len(issues) == torn


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        said().model_dump_json().replace("relevant", "great").encode(),
        said().model_dump_json().replace("T09:00:00Z", "T09:00:00").encode(),  # no zone
        said().model_dump_json().replace('"one"', '"../one"').encode(),
    ],
)
def test_a_line_that_is_no_feedback_stops_nothing(tmp_path: Path, line: bytes) -> None:
    home = Home(tmp_path)
    give(home, said())
    with home.feedback.open("ab") as stream:
        stream.write(line + b"\n\n")
    give(home, said("cleared"))
    found, issues = read(home)
    assert [f.verdict for f in found] == ["relevant", "cleared"]
    assert [issue.severity for issue in issues] == ["warning"]


GIVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from flows.feedback import give
from flows.home import Home
from pipeline.schema import Feedback
for number in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}:{number}"
    give(Home(Path(sys.argv[1])), Feedback(profile_id="one", call_id=name, verdict="relevant", why="x" * 5000,
         given_at=datetime.now(UTC)))
    print(name, flush=True)
"""


def test_two_processes_and_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    def giver(name: str, count: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", GIVER, str(tmp_path), name, str(count)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    steady, killed = giver("a", 60), giver("b", 100_000)
    assert killed.stdout and steady.stdout
    acknowledged = [killed.stdout.readline().strip() for _ in range(25)]
    os.kill(killed.pid, signal.SIGKILL)
    acknowledged += killed.stdout.read().split()  # it may have been faster than the kill
    acknowledged += steady.communicate()[0].split()
    killed.wait()
    found, issues = read(Home(tmp_path))
    names = [f.call_id for f in found]
    assert len(acknowledged) >= 85 and set(acknowledged) <= set(names)
    assert len(names) == len(set(names)) and len(issues) <= 1
    assert [f.given_at for f in found] == sorted({f.given_at for f in found})
    for name in "ab":
        mine = [int(n.partition(":")[2]) for n in names if n.startswith(f"{name}:")]
        assert mine == list(range(len(mine)))


def test_a_lock_that_is_never_let_go_stops_a_writer_and_no_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    from flows import feedback
    from flows.home import HomeError

    home = Home(tmp_path)
    give(home, said())
    monkeypatch.setattr(feedback, "PATIENCE", 0.05)
    with home.feedback.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert len(read(home)[0]) == 1
        fcntl.flock(stream, fcntl.LOCK_SH)  # a reader at work
        with pytest.raises(HomeError, match="another process"):
            give(home, said())
    assert len(read(home)[0]) == 1


def test_a_full_disk_stores_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import feedback
    from flows.home import HomeError

    home = Home(tmp_path)
    give(home, said())
    before = home.feedback.read_bytes()

    def half(stream: Any, line: bytes) -> None:
        stream.write(line[: len(line) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(feedback, "_write", half)
    with pytest.raises(HomeError, match="No space left on device"):
        give(home, said())
    assert home.feedback.read_bytes() == before


# --- whose mark is on which call


def ids(told: dict[str, dict[str, Feedback]], profile_id: str = "one") -> dict[str, str]:
    return {call_id: given.verdict for call_id, given in told.get(profile_id, {}).items()}


def test_the_last_word_counts_and_a_withdrawn_one_is_gone() -> None:
    calls = [a_call(call_id="s:1"), a_call(call_id="s:2")]
    found = marks(
        [
            said("relevant", "s:1"),
            said("not-for-us", "s:2"),
            said("not-for-us", "s:1"),
            said("cleared", "s:2"),
            said("relevant", "s:2", profile_id="two"),
            said("relevant", "s:9", profile_id="three"),
            said("cleared", "s:9", profile_id="three"),
            said("relevant", "gone:1", profile_id="four"),
        ],
        calls,
    )
    assert ids(found) == {"s:1": "not-for-us"}
    assert ids(found, "two") == {"s:2": "relevant"}
    assert "three" not in found
    assert ids(found, "four") == {"gone:1": "relevant"}


def test_a_mark_follows_its_call_to_another_id() -> None:
    opening = a_call(call_id="koop:1", documents=(document("koop:1"), document("rvo:mit", "page")))
    other_round = a_call(
        call_id="rvo:mit@2025",
        documents=(document("rvo:mit", "page"),),
        opens_on=date(2025, 4, 1),
        deadlines=(),
    )
    this_round = opening.model_copy(update={"opens_on": date(2026, 4, 1), "deadlines": ()})
    both = [this_round, other_round]
    assert ids(marks([said(call_id="rvo:mit@2026")], both)) == {"koop:1": "relevant"}
    assert ids(marks([said(call_id="rvo:mit@2025")], both)) == {"rvo:mit@2025": "relevant"}
    # known by its bare page when it was marked: every round that the page tells of
    assert ids(marks([said(call_id="rvo:mit")], both)) == {"koop:1": "relevant", "rvo:mit@2025": "relevant"}
    later = [said("relevant", "rvo:mit@2026"), said("not-for-us", "koop:1")]
    assert ids(marks(later, both)) == {"koop:1": "not-for-us"}
    assert ids(marks([*later, said("cleared", "rvo:mit@2026")], both)) == {}


# --- what it does to scores

COSINES = st.floats(-1.0, 1.0)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    calls, given = draw(st.integers(1, 6)), draw(st.integers(0, 5))
    scores = draw(st.lists(st.floats(0.0, 1.0), min_size=calls, max_size=calls))
    likeness = draw(st.lists(COSINES, min_size=calls * given, max_size=calls * given))
    kinds = draw(st.lists(st.sampled_from([1.0, -1.0]), min_size=given, max_size=given))
    return np.round(scores, 6), np.array(likeness).reshape(given, calls), np.array(kinds)


@examples(ranked(), st.randoms())
def test_a_shift_is_bounded_and_knows_no_order(case: Any, shuffler: Any) -> None:
    scores, likeness, kinds = case
    moved = shifted(scores, likeness, kinds)
    assert np.abs(moved - scores).max() <= MOST + 1e-6
    assert moved.min() >= 0.0 and moved.max() <= 1.0
    assert (moved == np.round(moved, 6)).all()
    assert (moved[(likeness <= UNLIKE).all(axis=0)] == scores[(likeness <= UNLIKE).all(axis=0)]).all()
    order = list(range(len(kinds)))
    shuffler.shuffle(order)
    assert (shifted(scores, likeness[order], kinds[order]) == moved).all()
    twice = shifted(scores, np.vstack([likeness, likeness]), np.hstack([kinds, kinds]))
    assert (twice == moved).all()  # ten marks on the same call are one


@examples(ranked(), st.data())
def test_a_shift_is_monotone(case: Any, data: st.DataObject) -> None:
    scores, likeness, kinds = case
    moved = shifted(scores, likeness, kinds)
    if len(kinds):
        mark = data.draw(st.integers(0, len(kinds) - 1))
        liker = likeness.copy()
        liker[mark] = np.clip(liker[mark] + data.draw(st.floats(0.0, 1.0)), -1.0, 1.0)
        assert ((shifted(scores, liker, kinds) - moved) * kinds[mark] >= 0).all()
    better = np.clip(scores + data.draw(st.floats(0.0, 1.0)), 0.0, 1.0)
    assert (shifted(better, likeness, kinds) >= moved).all()
    more = np.vstack([likeness, np.array([data.draw(COSINES) for _ in scores])])
    for kind in (1.0, -1.0):  # one more mark moves its way or not at all
        assert ((shifted(scores, more, np.append(kinds, kind)) - moved) * kind >= 0).all()


def test_a_shift_grows_smoothly_and_the_whole_of_it_is_the_most() -> None:
    likeness = np.linspace(UNLIKE - 0.05, ALIKE + 0.05, 501)
    moved = shifted(np.full(501, 0.5), likeness[None], np.array([-1.0]))
    steps = -np.diff(moved)
    assert (steps >= 0).all() and steps.max() < 0.0005
    assert moved[0] == 0.5 and moved[-1] == 0.5 - MOST
    assert moved[250] == pytest.approx(0.5 - MOST / 2, abs=1e-6)


def test_contradictory_marks_pull_against_each_other_and_never_against_their_own_call() -> None:
    # calls: marked relevant, marked not-for-us (much like it), in the middle, nearer the first
    likeness = np.array([[1.0, 0.55, 0.6, 0.65], [0.55, 1.0, 0.6, 0.5]])
    moved = shifted(np.full(4, 0.5), likeness, np.array([1.0, -1.0])) - 0.5
    assert moved[0] > 0 > moved[1] and moved[0] == pytest.approx(-moved[1])
    assert moved[2] == 0.0 < moved[3] < MOST
    twins = shifted(np.full(2, 0.5), np.ones((2, 2)), np.array([1.0, -1.0]))
    assert twins.tolist() == [0.5, 0.5]
    assert movers(likeness, np.array([1.0, -1.0])) == [0, 1, None, 0]


def test_a_reason_names_the_mark_that_moved_a_call_and_none_where_it_hardly_moved() -> None:
    likeness = np.array([[0.4, UNLIKE, 0.9, 0.31], [0.6, 0.2, 0.2, 0.2], [0.5, 0.2, 0.6, 0.2]])
    assert movers(likeness, signs([said(), said(), said("not-for-us")])) == [1, None, 0, None]
    assert movers(np.zeros((0, 3)), signs([])) == [None, None, None]
    assert reason("A  call", said(), "en") == "Like “A call”, which you marked relevant."
    assert reason("Een", said("not-for-us"), "nl") == "Lijkt op „Een”, die u als niet passend aanmerkte."
    told = {
        reason("T", said(verdict), lang) for lang in ("en", "nl") for verdict in ("relevant", "not-for-us")
    }
    assert len(told) == 4
    assert len(reason("word " * 100 + "{0} {title}\n", said(), "en")) < 120
    assert "{0}" in reason("{0}", said(), "en")


# --- with the real model

LIKE = {
    "hydrogen": (
        "Hydrogen storage tanks. Composite pressure vessels keep hydrogen at 700 bar in trucks and ships.",
        "Safer hydrogen storage. Materials and vessels that store compressed hydrogen without leaks.",
        "Large-scale storage of hydrogen. Underground caverns and tanks store hydrogen for industry.",
    ),
    "other": (
        "Museums online. Digital tools let visitors see collections and hear the stories of curators.",
        "Care for older people. Sensors at home help nurses to notice falls and loneliness early.",
        "Robots that weed. Autonomous machines remove weeds from vegetable fields without chemicals.",
        "Safe railways. Train drivers and signals exchange positions so that more trains can run.",
    ),
    "dutch": (
        "Waterstofopslag. Bedrijven in de provincie krijgen subsidie voor tanks die waterstof opslaan.",
        "Opslag van waterstof. Subsidie voor ondernemers die waterstof onder druk opslaan in tanks.",
        "Digitale vaardigheden. Bedrijven in de provincie krijgen subsidie voor cursussen van personeel.",
        "Zonnepanelen op daken. Subsidie voor ondernemers die zonnepanelen leggen op hun bedrijfsdak.",
        "Biodiversiteit. Boeren in de provincie krijgen subsidie voor akkerranden vol bloemen.",
        "Fietspaden. Gemeenten in de provincie krijgen subsidie voor bredere en veilige fietspaden.",
    ),
}


def vectors_of(encoder: Encoder, texts: list[str], languages: list[str]) -> np.ndarray:
    calls = [
        a_call(call_id=f"s:{n}", title=title, sections=(Section(heading="", text=text),))
        for n, (title, text) in enumerate(text.split(". ", 1) for text in texts)
    ]
    passages = [p for call in calls for p in call_passages(call, lambda text, prefix: [text])]
    encoded = encoder.encode([p.embedded for p in passages], kind="passage")
    return call_vectors(encoded, np.array([int(p.call_id[2:]) for p in passages]), languages)


def test_like_calls_follow_a_mark_and_unlike_ones_keep_their_order(encoder: Encoder) -> None:
    texts = [*LIKE["hydrogen"], *LIKE["other"]]
    vectors = vectors_of(encoder, texts, ["en"] * len(texts))
    scores = np.array([0.60, 0.58, 0.57, 0.56, 0.55, 0.54, 0.53])
    for sign in (-1.0, 1.0):
        moved = shifted(scores, vectors[:1] @ vectors.T, np.array([sign]))
        assert ((moved - scores)[:3] * sign > MOST / 4).all()
        assert moved[3:].tolist() == scores[3:].tolist()
    order = np.argsort(-shifted(scores, vectors[:1] @ vectors.T, np.array([-1.0])), kind="stable")
    assert order[:4].tolist() == [3, 4, 5, 6]  # one unwanted call, and its likes are behind the others


def test_a_mark_on_a_dutch_call_does_not_move_all_that_is_dutch(encoder: Encoder) -> None:
    texts = [*LIKE["dutch"], *LIKE["other"]]
    vectors = vectors_of(encoder, texts, ["nl"] * 6 + ["en"] * 4)
    moved = shifted(np.full(10, 0.5), vectors[:1] @ vectors.T, np.array([-1.0])) - 0.5
    assert moved[1] < -MOST / 2
    assert np.abs(moved[2:]).max() < MOST / 4


def test_vectors_are_means_of_length_one_and_no_text_is_like_nothing() -> None:
    passages = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]], np.float32)
    found = call_vectors(passages, np.array([0, 0, 2]), ["en", "en", "nl"])
    assert found[1].tolist() == [0.0, 0.0]
    assert np.linalg.norm(found[[0, 2]], axis=1).tolist() == pytest.approx([1.0, 1.0])
    assert found[2].tolist() == [1.0, 0.0]


# --- shown


def test_an_unwanted_call_is_last_and_hidden_and_a_relevant_one_is_marked() -> None:
    matches = [a_match("s:1", 1), a_match("s:2", 2), a_match("s:3", 3, "fail"), a_match("s:4", 4, "fail")]
    found = placed(matches, {"s:1": said("not-for-us"), "s:2": said("relevant", "s:2")})
    assert [m.call_id for m in found] == ["s:2", "s:3", "s:4", "s:1"]
    assert [m.rank for m in found] == [1, 2, 3, 4]
    assert [m.feedback for m in found] == ["relevant", None, None, "not-for-us"]
    assert [hidden(m) for m in found] == [False, True, True, True]
    assert placed(found, {})[3].feedback is None  # withdrawn since
    assert placed(matches, {}) == matches


def test_a_digest_never_lists_an_unwanted_call_and_tells_a_relevant_one_in_full() -> None:
    calls: dict[str, Call] = {f"s:{n}": a_call(call_id=f"s:{n}", title=f"Title {n}") for n in (1, 2, 3)}
    far = (Evidence(profile_text="a", call_text="b", weight=0.2),)
    like = "Like “<b>”, which you marked relevant."
    matches = [
        a_match("s:1", 1, feedback="not-for-us"),
        a_match("s:2", 2, feedback="relevant", evidence=far),
        a_match("s:3", 3, reasons=("First.", like)),
    ]
    week, all_fit = Week(date(2026, 6, 15), calls, frozenset(calls)), Wishes(least_percentile=0)
    for language, mark in (("en", "you marked it relevant"), ("nl", "door u als passend aangemerkt")):
        one = Profile(
            id="one", name="One", kind="sme", language=language, label="confirmed", description="We weld."
        )
        found = news(one.id, matches, (), all_fit, week)
        mail = compose(one, found, Edition(week), all_fit)
        shown = BeautifulSoup(mail.html, "lxml").get_text(" ")
        for words in (mail.text, " ".join(shown.split())):
            assert "Title 1" not in words
            assert words.count(mark) == 1 and words.index("1. Title 2") < words.index(mark)
            assert words.index("2. Title 3") < words.index(f"First. {like}")


# --- the command


@pytest.fixture(scope="module")
def home(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the week of the demo and no feedback."""
    folder = tmp_path_factory.mktemp("feedback")
    for name in ("warehouse.duckdb", "profiles.json"):
        (folder / name).write_bytes((demo[0] / name).read_bytes())
    return folder


def test_a_mark_shows_at_once_and_can_be_withdrawn(home: Path) -> None:
    def ran(*arguments: str, status: int = 0) -> str:
        done = child("--home", home, *arguments, COLUMNS="200")
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if status == 0 else done.stderr

    def matches(*arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(ran("match", "betech", "--top", "50", "--json", *arguments))
        return found

    first, second = (match["call_id"] for match in matches()[:2])
    stored = json.loads(
        ran("feedback", "betech", first, "--not-for-us", "--why", " too  far\nout ", "--json")
    )
    assert (stored["call_id"], stored["verdict"], stored["why"]) == (first, "not-for-us", "too far out")
    assert "is marked relevant" in ran("feedback", "betech", second, "--relevant")
    assert matches()[0]["call_id"] == second and matches()[0]["feedback"] == "relevant"
    assert first not in [match["call_id"] for match in matches()]
    last = matches("--all")[-1]
    assert (last["call_id"], last["feedback"]) == (first, "not-for-us")
    assert "marked not-for-us" in ran("explain", "betech", first)
    assert "marked relevant" in ran("match", "betech")
    listed = json.loads(ran("feedback", "betech", "--json"))
    assert {f["call_id"]: f["verdict"] for f in listed} == {first: "not-for-us", second: "relevant"}
    assert all(f["title"] for f in listed)
    assert "too far out" in ran("feedback", "betech")
    assert json.loads(ran("feedback", "binder3d", "--json")) == []
    ran("digest", "preview")
    (mail,) = (home / "digests").glob("*/betech.txt")
    title = next(f["title"] for f in listed if f["call_id"] == first)
    assert title not in mail.read_text("utf-8")
    ran("feedback", "betech", first, "--clear")
    assert [match["call_id"] for match in matches()[:2]] == [first, second]
    assert all(match["call_id"] != first or match["feedback"] is None for match in matches("--all"))
    assert "has said nothing of" in ran("feedback", "betech", first, "--clear", status=2)
    with Home(home).feedback.open("ab") as stream:
        stream.write(b'{"profile_id": "bet')
    assert "line 4 is damaged" in child("--home", home, "match", "betech", COLUMNS="200").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("betech", "x:1"), "--relevant, --not-for-us or --clear"),
        (("betech", "x:1", "--relevant", "--clear"), "one of them"),
        (("betech", "--relevant"), "say which call"),
        (("betech", "--why", "so"), "say which call"),
        (("betecH", "x:1", "--relevant"), "did you mean betech"),
        (("betech", "rvo:mitt", "--relevant"), "there is no call 'rvo:mitt'"),
        (("betech", "rvo:mit", "--relevant", "--why", "x" * 501), "501 characters"),
    ],
)
def test_what_cannot_be_taken_is_one_line_and_stores_nothing(
    home: Path, arguments: tuple[str, ...], told: str
) -> None:
    before = Home(home).feedback.read_bytes() if Home(home).feedback.exists() else None
    done = child("--home", home, "feedback", *arguments)
    assert done.returncode == 2 and told in done.stderr, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("fundmatch:")]) == 1
    assert (Home(home).feedback.read_bytes() if Home(home).feedback.exists() else None) == before


def test_feedback_needs_profiles_and_a_warehouse(tmp_path: Path) -> None:
    assert "no profiles yet" in child("--home", tmp_path, "feedback", "betech").stderr
    assert child("--home", tmp_path, "profiles", "import", *PROFILES).returncode == 0
    assert "no warehouse yet" in child("--home", tmp_path, "feedback", "betech", "s:1", "--relevant").stderr
