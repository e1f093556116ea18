"""Matching: what is ranked where and why, and which crawl is not trusted."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import a_call

from embeddings.encode import Encoder
from embeddings.index import build_index, open_index
from embeddings.lexical import LexicalIndex
from pipeline.expect import Expect, faults
from pipeline.match import KEPT, Passage, Similarity, call_passages, lexical_text, rank
from pipeline.profiles import OwnPassage, passages_of
from pipeline.schema import Call, Deadline, Match, Profile, Section

AS_OF = date(2026, 6, 15)
OPEN = (Deadline(at=date(2026, 9, 1), printed="2026-09-01T00:00", kind="single"),)
HUBS_ONLY = "Only designated European Digital Innovation Hubs may apply."


def call(key: str = "1", *texts: str, **more: Any) -> Call:
    """An open call with a section a text."""
    sections = tuple(Section(heading=f"Part {n}", text=text) for n, text in enumerate(texts, start=1))
    own = {"call_id": f"s:{key}", "title": f"Call {key}", "programme": None, "sections": sections}
    return a_call(**own | more)


def profile(**more: Any) -> Profile:
    base: dict[str, Any] = {
        "id": "one",
        "name": "One",
        "kind": "sme",
        "language": "en",
        "label": "example",
        "description": "We make robots that weed fields of organic vegetables without any chemicals. "
        "Growers in Drenthe use forty of them. We want them to see in bad light and to be repaired by "
        "their owners.",
    }
    return Profile(**base | more)


def whole(text: str, prefix: str) -> list[str]:
    """A split that leaves a text as it is."""
    return [text] if text else []


def in_both(a: str, b: str) -> list[str]:
    """Shared words, plainly."""
    return [word for word in dict.fromkeys(b.replace(".", "").split()) if word in a.replace(".", "").split()]


def ranked(
    calls: list[Call],
    dense: Any,
    lexical: Any = None,
    own: list[str] | None = None,
    of_themes: bool = False,
    shared: Any = in_both,
    **more: Any,
) -> list[Match]:
    """Matches for hand-made cosines: a row a profile passage, a column a call passage."""
    passages = [passage for each in calls for passage in call_passages(each, whole)]
    cosines = np.asarray(dense, dtype=np.float32).reshape(-1, len(passages))
    words = np.zeros(len(calls), np.float32) if lexical is None else np.asarray(lexical, np.float32)
    one = profile(**more)
    texts = own or [f"{one.description} {number}" for number in range(len(cosines))]
    mine = [OwnPassage(text, text, "en", of_themes) for text in texts]
    return rank(one, mine, calls, passages, Similarity(cosines, words), shared, AS_OF)


def ids(matches: list[Match]) -> list[str]:
    return [match.call_id.removeprefix("s:") for match in matches]


# --- rank


def test_the_better_score_comes_first_and_ties_go_by_call_id() -> None:
    calls = [call(key, "x") for key in "cfaeb"]
    matches = ranked(calls, [0.5, 0.25, 0.5, 0.75, 0.5])
    assert ids(matches) == ["e", "a", "b", "c", "f"]
    assert [match.rank for match in matches] == [1, 2, 3, 4, 5]
    assert [match.score for match in matches] == [0.675, 0.45, 0.45, 0.45, 0.225]


@pytest.mark.parametrize(
    ("dense", "lexical", "score"),
    [
        ([[0.5]], 0.0, 0.45),  # nine tenths dense
        ([[0.5]], 3.0, 0.45 + 0.1),  # the profile's best lexical score counts as one
        ([[0.5]], 1.5, 0.45 + 0.05),
        ([[-0.4]], 0.0, 0.0),  # an opposite meaning is no less than none
        ([[0.8], [0.6], [0.4], [0.2]], 0.0, 0.54),  # the three best passages of the profile
        ([[0.8, 0.1], [0.1, 0.6]], 0.0, 0.63),  # each meets its best passage of the call
        ([[1 / 3]], 0.0, 0.3),
        ([[2 / 3], [0.0], [0.0]], 1.0, 0.233333),  # 1/5 and 1/30
    ],
)
def test_a_score_is_the_best_passages_and_the_words_together(
    dense: Any, lexical: float, score: float
) -> None:
    texts = ["x"] * len(dense[0])
    other = np.full((len(dense), 1), -1.0)
    matches = ranked([call("1", *texts), call("0", "x")], np.hstack([dense, other]), [lexical, 3.0])
    found = next(match.score for match in matches if match.call_id == "s:1")
    assert found == pytest.approx(score, abs=1e-6)
    assert found == round(found, 6)


@pytest.mark.parametrize(
    ("scores", "percentiles"),
    [
        ([0.9], [0.0]),
        ([0.9, 0.1], [100.0, 0.0]),
        ([0.9, 0.7, 0.5, 0.3, 0.1], [100.0, 75.0, 50.0, 25.0, 0.0]),
        ([0.9, 0.5, 0.5, 0.1], [100.0, 33.3, 33.3, 0.0]),
        ([0.5, 0.5, 0.5], [0.0, 0.0, 0.0]),
    ],
)
def test_a_percentile_is_the_share_of_the_other_open_calls_that_score_lower(
    scores: list[float], percentiles: list[float]
) -> None:
    matches = ranked([call(str(n), "x") for n in range(len(scores))], scores)
    assert [match.percentile for match in matches] == percentiles


def test_percentiles_count_all_open_calls_and_not_only_those_kept() -> None:
    count = KEPT + 51
    matches = ranked([call(f"{n:03d}", "x") for n in range(count)], np.linspace(1.0, 0.0, count))
    assert len(matches) == KEPT
    assert matches[0].percentile == 100.0
    assert matches[-1].percentile == 51.0


def test_calls_that_fail_come_last_and_are_still_there() -> None:
    late = (Deadline(at=date(2026, 6, 1), printed="1 June", kind="single"),)
    calls = [call("a", "x"), call("b", HUBS_ONLY), call("c", "x", deadlines=late), call("d", "x")]
    matches = ranked(calls, [0.2, 0.9, 0.8, 0.4])
    assert ids(matches) == ["d", "a", "b", "c"]
    assert [match.eligibility.verdict for match in matches] == ["unknown", "unknown", "fail", "fail"]
    assert [match.rank for match in matches] == [1, 2, 3, 4]


def test_a_call_that_fails_but_fits_is_kept_among_many_that_do_not_fail() -> None:
    calls = [call("hubs", HUBS_ONLY), *(call(f"{n:03d}", "x") for n in range(2 * KEPT))]
    matches = ranked(calls, [0.9] + [0.5] * 2 * KEPT)
    assert len(matches) == KEPT
    assert matches[-1].call_id == "s:hubs"


def test_no_calls_give_no_matches() -> None:
    nothing = Similarity(np.zeros((1, 0), np.float32), np.zeros(0, np.float32))
    assert rank(profile(), [OwnPassage("x", "x", "en")], [], [], nothing, in_both, AS_OF) == []


# --- evidence and reasons

THEIRS = (
    "Expected outcomes\nThe project's results are expected to contribute to all of the following outcomes:\n"
    "- Autonomous robots that weed organic vegetables reach the market;\n"
    "Growers in all regions can rely on them at a fair price.\n[1] See https://example.org/robots-weed-fields"
)


def test_evidence_is_a_sentence_of_both_texts_with_the_cosine_of_their_passages() -> None:
    own = ["We sell tractors. Our robots weed fields of organic vegetables.", "Cheese is our other trade."]
    (match,) = ranked(
        [call("1", "Other words stand here, all day.", THEIRS)], [[0.1, 0.7], [0.3, 0.2]], own=own
    )
    first, second = match.evidence
    assert first.profile_text == "Our robots weed fields of organic vegetables."
    assert first.call_text == "Autonomous robots that weed organic vegetables reach the market"
    assert (first.call_heading, first.weight) == ("Part 2", 0.7)
    assert (second.profile_text, second.call_text) == (own[1], "Other words stand here, all day.")
    assert (second.call_heading, second.weight) == ("Part 1", 0.3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Robots\nMachines that see are wanted in every field.",
            "Machines that see are wanted in every field.",
        ),
        (
            "[1] Robots and fields are described at length elsewhere.\nA call for better tools.",
            "A call for better tools.",
        ),
        ("Robots weed fields, see https://example.org\nA call for better tools.", "A call for better tools."),
        ("Robots; fields.", "Robots; fields."),
        ("The participation of SMEs is encouraged.\nA call for better tools.", "A call for better tools."),
    ],
)
def test_headings_footnotes_and_stock_phrases_are_no_evidence_while_there_is_other(
    text: str, told: str
) -> None:
    (match,) = ranked([call("1", text)], [0.6], own=["Robots weed fields."])
    assert match.evidence[0].call_text == told


def test_a_section_that_says_nothing_is_the_last_evidence() -> None:
    (match,) = ranked(
        [call("1", "na", "Robots are wanted in every field.", "Tools are wanted too, for all.")],
        [0.9, 0.5, 0.4],
    )
    assert [pair.call_heading for pair in match.evidence] == ["Part 2", "Part 3"]


def test_long_evidence_is_cut_between_words() -> None:
    long = " ".join(["fieldwork"] * 90)
    (match,) = ranked([call("1", long)], [0.6], own=[long])
    for text in (match.evidence[0].call_text, match.evidence[0].profile_text):
        assert len(text) <= 302
        assert text.removesuffix(" …") + " " == long[: len(text) - 1]


@pytest.mark.parametrize(
    ("terms", "cosine", "language", "reason"),
    [
        (["weeds", "AI"], 0.2, "en", "Your text and the call both speak of weeds and AI."),
        (["weeds", "AI"], 0.2, "nl", "Uw tekst en de call gaan allebei over weeds en AI."),
        (["Smart Grids"], 0.2, "en", "Your text and the call both speak of smart grids."),
        (["5G", "a", "b", "c", "d"], 0.2, "en", "Your text and the call both speak of 5G, a, b and c."),
        (
            ["weeds", "European projects", "development"],
            0.5,
            "en",
            "The call's “Part 1” is close in meaning to your “We make robots”.",
        ),
        ([], 0.5, "nl", "De call (“Part 1”) ligt qua betekenis dicht bij uw “We make robots”."),
        (
            [],
            0.44,
            "en",
            "Only loosely related; nearest in your profile: “We make robots”.",
        ),
        (
            [],
            0.44,
            "nl",
            "Slechts zijdelings verwant; het dichtst erbij in uw profiel: “We make robots”.",
        ),
    ],
)
def test_the_first_reason_is_a_plain_sentence_in_the_profiles_language(
    terms: list[str], cosine: float, language: str, reason: str
) -> None:
    def shared(a: str, b: str) -> list[str]:
        return terms

    (match,) = ranked(
        [call("1", "x")],
        [cosine],
        own=["We make robots."],
        shared=shared,
        language=language,
        description="We make robots.",
    )
    assert match.reasons == (reason,)


def test_a_reason_says_when_it_rests_on_the_themes_and_not_on_the_profiles_words() -> None:
    themes = ["robotics, automation"]
    (english,) = ranked([call("1", "x")], [0.6], own=themes, of_themes=True)
    (dutch,) = ranked([call("1", "x")], [0.6], own=themes, of_themes=True, language="nl")
    assert "your themes “robotics, automation”" in english.reasons[0]
    assert "uw thema’s “robotics, automation”" in dutch.reasons[0]


def test_a_dutch_reader_is_shown_the_dutch_theme_that_found_an_english_call() -> None:
    one = profile(language="nl", themes=["waste-water-treatment"], description="Wij zuiveren.")
    found = call("1", "Waste water treatment and water reuse are wanted in all factories.")
    own = passages_of(one)
    passages = call_passages(found, whole)
    cosines = np.asarray([[0.9 if p.of_themes else 0.1] for p in own], np.float32)
    (match,) = rank(one, own, [found], passages, Similarity(cosines, np.zeros(1, np.float32)), in_both, AS_OF)
    assert "afvalwater" in match.evidence[0].profile_text
    assert "waste" not in match.evidence[0].profile_text
    assert match.reasons[0].startswith("Uw thema’s en de call gaan allebei over ")
    assert "water" in match.reasons[0]


@pytest.mark.parametrize(
    "word", "project European development innovation SMEs research technologies results".split()
)
def test_a_word_of_every_call_is_no_reason(word: str) -> None:
    text = f"{word} {word} for weeds is wanted here."
    (match,) = ranked([call("1", text)], [0.6], own=[text], shared=lambda a, b: [word, "weeds", "robots"])
    assert match.reasons == ("Your text and the call both speak of weeds and robots.",)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Only the call's title is known"), ("nl", "Alleen de titel van de call is bekend")],
)
def test_a_call_of_which_only_the_title_is_known_says_so_and_is_uncertain(language: str, said: str) -> None:
    (match,) = ranked([call("1", title="Robots for weeding vegetables")], [0.9], language=language)
    assert match.confidence == "low"
    assert match.reasons[-1].startswith(said)
    assert match.evidence[0].call_text == "Robots for weeding vegetables"
    (with_text,) = ranked([call("1", "x")], [0.9], language=language)
    assert not any(reason.startswith(said) for reason in with_text.reasons)


@pytest.mark.parametrize(
    ("texts", "spoken", "description", "confidence"),
    [
        (("x", "y"), "en", None, "high"),
        (("x", "y"), None, None, "high"),  # the portal's texts are in English
        (("x",), "en", None, "medium"),
        (("x", "y"), "nl", None, "medium"),
        ((), "en", None, "low"),
        (("x", "y"), "en", "We make robots.", "low"),
    ],
)
def test_confidence_tells_how_much_text_a_score_rests_on(
    texts: tuple[str, ...], spoken: str | None, description: str | None, confidence: str
) -> None:
    more: dict[str, Any] = {"description": description} if description else {}
    (match,) = ranked([call("1", *texts, language=spoken)], [0.5] * max(len(texts), 1), **more)
    assert match.confidence == confidence


# --- passages


def test_each_passage_is_embedded_with_the_title_and_shown_without() -> None:
    seen: list[tuple[str, str]] = []

    def split(text: str, prefix: str) -> list[str]:
        seen.append((text, prefix))
        return text.split(" ")

    found = call_passages(call("1", "a b", "c", title="Robots"), split)
    assert seen == [("a b", "Robots. "), ("c", "Robots. ")]
    assert found == [
        Passage("s:1", "Part 1", "a", "Robots. a"),
        Passage("s:1", "Part 1", "b", "Robots. b"),
        Passage("s:1", "Part 2", "c", "Robots. c"),
    ]


def test_a_call_without_text_is_embedded_by_all_that_names_it() -> None:
    bare = call("1", title="Robots", call_title="Better farming", keywords=("weeds", "5G"))
    assert call_passages(bare, whole) == [Passage("s:1", "", "Robots", "Robots. Better farming weeds, 5G")]
    assert call_passages(call("1", title="Robots"), whole)[0].embedded == "Robots."


def test_an_endless_title_leaves_room_for_the_text(encoder: Encoder) -> None:
    endless = call(
        "1", "Soil is measured by sensors in the field. " * 40, title="regeling voor subsidie " * 100
    )
    found = call_passages(endless, lambda text, prefix: encoder.split(text, prefix=prefix))
    counts = encoder._counts([passage.embedded for passage in found])
    assert max(counts) + 2 <= encoder.max_tokens
    assert " ".join(passage.text for passage in found).split() == endless.sections[0].text.split()


def test_a_search_sees_title_identifier_keywords_headings_and_text() -> None:
    words = lexical_text(
        call("1", "body", title="Title", call_title="Parent", identifier="HORIZON-CL4-2027", keywords=("5G",))
    )
    assert words.split() == ["Title", "Parent", "HORIZON-CL4-2027", "5G", "Part", "1", "body"]


# --- the whole way with real vectors

CALLS = [
    call(
        "quantum",
        "Networks that distribute quantum keys over satellites and fibres.",
        title="Quantum networks",
    ),
    call(
        "robots",
        "Autonomous robots for weeding vegetables spare chemicals and soil.",
        title="Robots in farming",
    ),
    call("bare", title="Digital tools for museums"),
    call("hubs", HUBS_ONLY, title="Hubs that help farmers with robots"),
]


@pytest.mark.parametrize("language", ["en", "nl"])
def test_a_farm_robot_maker_finds_the_farm_robots_and_the_same_again(
    encoder: Encoder, tmp_path: Path, language: str
) -> None:
    def split(text: str, prefix: str) -> list[str]:
        return encoder.split(text, prefix=prefix)

    def once(folder: Path) -> list[Match]:
        one = profile(language=language, themes=["robotics", "agrifood-machinery"])
        own = passages_of(one)
        texts = [passage.searched for passage in own]
        passages = [passage for each in CALLS for passage in call_passages(each, split)]
        vectors = encoder.encode([passage.embedded for passage in passages], kind="passage")
        build_index(folder, [passage.embedded for passage in passages], vectors, encoder.model_id)
        rows = range(len(passages))
        stored = open_index(folder, encoder.model_id).grouped(rows, rows)
        dense, _ = stored.cosines(encoder.encode(texts, kind="query"), rows)
        words = LexicalIndex([lexical_text(each) for each in CALLS], ["en"] * len(CALLS))
        similarity = Similarity(dense, words.scores("\n".join(texts), one.language))
        return rank(one, own, CALLS, passages, similarity, words.shared_terms, AS_OF)

    first, second = once(tmp_path / "1"), once(tmp_path / "2")
    assert [match.model_dump_json() for match in first] == [match.model_dump_json() for match in second]
    assert ids(first)[0] == "robots"
    assert ids(first)[-1] == "hubs"
    assert "robots" in first[0].reasons[0]
    assert first[0].evidence[0].call_text.startswith("Autonomous robots")
    assert first[0].score > first[1].score + 0.2


# --- expect


@pytest.mark.parametrize(
    ("expect", "with_programme", "without", "last_good", "told"),
    [
        (Expect(), 0, 0, None, ["0 records; at least 1 are expected"]),
        (Expect(), 1, 0, None, []),
        (Expect(min_records=3), 2, 0, None, ["2 records; at least 3 are expected"]),
        (Expect(min_records=3), 2, 0, 100, ["2 records; at least 3 are expected"]),
        (Expect(min_records=3), 3, 0, None, []),
        (Expect(), 49, 0, 100, ["49 records; the last good crawl had 100"]),
        (Expect(), 50, 0, 100, []),
        (Expect(min_share_of_last=0.9), 89, 0, 100, ["89 records; the last good crawl had 100"]),
        (Expect(), 500, 0, 100, []),
        (Expect(), 1, 0, 0, []),
        (Expect(fill={"programme": 0.5}), 1, 1, None, []),
        (
            Expect(fill={"programme": 0.5}),
            1,
            2,
            None,
            ["programme is filled in 33% of the records; at least 50% is expected"],
        ),
        (
            Expect(fill={"programme": 0.9, "keywords": 0.1}),
            1,
            2,
            100,
            [
                "3 records; the last good crawl had 100",
                "keywords is filled in 0% of the records; at least 10% is expected",
                "programme is filled in 33% of the records; at least 90% is expected",
            ],
        ),
    ],
)
def test_a_crawl_outside_its_bounds_is_told_in_plain_words(
    expect: Expect, with_programme: int, without: int, last_good: int | None, told: list[str]
) -> None:
    calls = [call("1", programme="Horizon Europe")] * with_programme + [call("1", programme="")] * without
    assert faults(expect, calls, last_good) == told
