"""Languages: with an English model a Dutch profile finds Dutch and English calls, and the reverse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.languages import recalls

from embeddings import dutch, encode
from embeddings.dutch import GLOSSARY, glossary_id
from embeddings.encode import Encoder
from embeddings.lexical import LexicalIndex, terms


def test_profiles_find_the_call_of_their_subject_in_either_language(encoder: Encoder) -> None:
    found = recalls(encoder)
    floors = {"nl → nl": 0.75, "nl → en": 0.86, "en → nl": 0.76, "en → en": 0.93, "nl → mixed": 0.80}
    assert not {name: found[name] for name, floor in floors.items() if found[name] < floor}


def test_without_the_glossary_dutch_is_lost(tmp_path: Path) -> None:
    model = Encoder(cache_dir=tmp_path)
    model.glosses = False
    found = recalls(model, 1.0)
    assert found["nl → nl"] < 0.5
    assert found["nl → en"] < 0.6


def test_a_dutch_text_is_encoded_as_its_english_words(encoder: Encoder) -> None:
    text = "Opslagtanks voor waterstof in de scheepvaart"
    dutch, english = encoder.encode(
        [text, "storage tanks hydrogen shipping"], kind="query", languages=["nl", "en"]
    )
    plain = encoder.encode([text], kind="query")[0]
    assert dutch @ english > 0.9 > plain @ english


@pytest.mark.parametrize("text", ["", "de het een", "\x00\x07", "水素貯蔵", "<b>&nbsp;</b>", "é" * 300])
def test_whatever_is_called_dutch_can_be_encoded(encoder: Encoder, text: str) -> None:
    vector = encoder.encode([text], kind="query", languages=["nl"])[0]
    assert np.isfinite(vector).all()


def test_a_text_of_unknown_language_is_taken_as_it_is(encoder: Encoder) -> None:
    text = "Opslagtanks voor waterstof"
    given, bare = encoder.encode([text], kind="query", languages=[None]), encoder.encode([text], kind="query")
    assert (given == bare).all()


def test_a_model_that_knows_dutch_is_given_dutch(encoder: Encoder, tmp_path: Path) -> None:
    same_weights = Encoder(str(encoder.folder), cache_dir=tmp_path)  # by another name: not an English one
    text = "Opslagtanks voor waterstof in de scheepvaart"
    assert not same_weights.glosses
    assert glossary_id() not in same_weights.model_id
    given = same_weights.encode([text], kind="query", languages=["nl"])
    assert (given == same_weights.encode([text], kind="query")).all()


def test_words_of_two_languages_meet() -> None:
    index = LexicalIndex(
        ["hydrogen storage tank", "milking robots", "opslag van waterstof"], ["en", "en", "nl"]
    )
    dutch = index.scores("waterstofopslagtank", "nl")
    assert dutch[0] > 0 and dutch[2] > 0 and dutch[1] == 0
    assert index.scores("storing hydrogen", "en")[2] > 0


def test_a_repeated_word_counts_each_time() -> None:
    index = LexicalIndex(["hydrogen storage", "milking robots", "grid congestion"], ["en"] * 3)
    once, twice = index.scores("hydrogen", "en"), index.scores("hydrogen hydrogen", "en")
    assert twice == pytest.approx(2 * once)


def test_a_dutch_compound_is_found_by_its_parts() -> None:
    assert terms("waterstofopslagtank", "nl") == ["hydrogen", "storag", "tank"]
    assert terms("waterstofopslagtank", "en") == ["waterstofopslagtank"]


def test_another_glossary_makes_another_identity_and_keeps_english_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Encoder(cache_dir=tmp_path / "vectors")
    before.encode(["hydrogen storage", "waterstof"], kind="query", languages=["en", "nl"])
    other = tmp_path / "dutch.tsv"
    other.write_text(GLOSSARY.read_text("utf-8") + "zzwoord\tzz\n", "utf-8")
    monkeypatch.setattr(dutch, "GLOSSARY", other)
    glossary_id.cache_clear()
    try:
        after = Encoder(cache_dir=tmp_path / "vectors")
    finally:
        glossary_id.cache_clear()
    assert before.model_id != after.model_id
    monkeypatch.setattr(encode, "english_gist", lambda text: f"another gist of {text}")
    after.encode(["hydrogen storage", "waterstof"], kind="query", languages=["en", "nl"])
    assert (before.encoded, after.encoded) == (2, 1)


def test_pieces_of_a_dutch_text_fit_as_their_english_words(encoder: Encoder) -> None:
    text = "Aanvragers tonen aan hoe de waterstofopslagtank in de scheepvaart veilig wordt gebruikt. " * 60
    pieces = encoder.split(text, prefix="Opslag van waterstof. ")
    assert len(pieces) > 1
    lengths = encoder._counts([dutch.english_gist(f"Opslag van waterstof. {piece}") for piece in pieces])
    assert max(lengths) <= encoder.max_tokens - 2


SHARED = LexicalIndex(
    ["hydrogen storage", "opslag van waterstof", "milking robots", "een lage helling", *["project"] * 9],
    ["en", "nl", "en", "nl", *["en"] * 9],
)


@pytest.mark.parametrize(
    ("a", "b", "terms"),
    [
        ("Wij slaan waterstof op", "Hydrogen for ships", ["Hydrogen"]),
        ("We store hydrogen", "Opslag van waterstof", ["waterstof"]),
        ("Het lassen van staal", "Steel welding", ["Steel", "welding"]),
        ("We are on the slope", "Demolition of houses", []),  # slopen is to demolish
        ("The peer review of a report", "Pears from the orchard", []),  # a peer is a pear
        ("slope", "demolition", []),  # too short to tell a language
        ("Bouw van de waterstoftanks", "Tanks for the port", []),  # a compound is more than its part
    ],
)
def test_a_dutch_word_and_its_english_one_are_shared_but_no_false_friend(
    a: str, b: str, terms: list[str]
) -> None:
    assert SHARED.shared_terms(a, b) == terms
