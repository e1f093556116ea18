"""What computes vectors: OpenVINO for a plain BERT, sentence-transformers on torch for any other model.

OpenVINO needs neither torch nor an export. It sees one text at a time, unpadded, on one thread: a vector
depends on its text alone, never on what was encoded beside it.
"""

from __future__ import annotations

import json
import logging
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from embeddings.bert import RECIPE, BertGraph, is_plain_bert, openvino

LOG = logging.getLogger(__name__)
RUNTIMES = ("auto", "openvino", "torch")


class Runtime(Protocol):
    """A model in memory."""

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(len(texts), dimension) vectors of length 1, in order."""


def runtime_id(setting: str, folder: Path, max_tokens: int) -> str:
    """The runtime that a setting means for a model, as it stands in the cache's identity.

    "auto" is OpenVINO where it is installed and the model is a plain BERT. Raises ValueError for a setting
    that cannot be had.
    """
    if setting not in RUNTIMES:
        raise ValueError(f"runtime {setting!r} is none of {', '.join(RUNTIMES)}")
    if setting == "torch":
        return "torch"
    plain, possible = is_plain_bert(folder, max_tokens), _openvino_id()
    if plain and possible:
        return possible
    if setting == "auto":
        return "torch"
    why = "OpenVINO cannot be imported" if plain else f"{folder} is not a plain mean-pooling BERT"
    raise ValueError(f"runtime openvino is not possible: {why}")


def load_runtime(name: str, folder: Path, max_tokens: int, batch_size: int) -> Runtime:
    """The model in memory, on the runtime that `runtime_id` named. Raises whatever the runtime raises."""
    if name == "torch":
        return TorchRuntime(folder, max_tokens, batch_size)
    return OpenVinoRuntime(folder, max_tokens, name.split("-")[2])


@cache
def _openvino_id() -> str:
    """OpenVINO's version and the precision it uses on this processor; "" where it cannot be used."""
    try:
        able = openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        # bf16 where the processor multiplies it natively; elsewhere it would be slower, not faster
        return f"openvino-{version('openvino')}-{'bf16' if 'BF16' in able else 'f32'}-{RECIPE}"
    except ModuleNotFoundError:
        return ""
    except Exception as error:
        LOG.warning("OpenVINO cannot be used (%s); torch encodes instead, slower", error)
        return ""


class OpenVinoRuntime:
    """A plain BERT on OpenVINO: one text a request, one thread a request, as many requests as cores."""

    def __init__(self, folder: Path, max_tokens: int, precision: str) -> None:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        if self._tokenizer.get_vocab_size() > config["vocab_size"]:
            raise ValueError("the tokenizer knows more tokens than the model")
        self._dimension = int(config["hidden_size"])
        streams = _threads()
        compiled = (
            openvino()
            .Core()
            .compile_model(
                BertGraph(folder, config).model(),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": precision,
                    "NUM_STREAMS": streams,
                    "INFERENCE_NUM_THREADS": streams,
                    "ENABLE_CPU_PINNING": False,  # a busy core would hold up its stream
                },
            )
        )
        self._queue: Any = openvino().AsyncInferQueue(compiled, 2 * streams)

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(len(texts), dimension) vectors of length 1, in order."""
        found = np.empty((len(texts), self._dimension), dtype=np.float32)

        def keep(request: Any, row: int) -> None:
            found[row] = request.get_output_tensor(0).data[0]

        self._queue.set_callback(keep)
        for row, text in enumerate(texts):  # the next text becomes tokens while others are computed
            tokens = np.array([self._tokenizer.encode(text).ids], dtype=np.int32)
            self._queue.start_async([tokens], row)
        self._queue.wait_all()
        return found


def _threads() -> int:
    """Cores to use: as torch does, OMP_NUM_THREADS where it is set."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    if wished.isdecimal() and int(wished) > 0:
        return int(wished)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TorchRuntime:
    """Any sentence-transformers model."""

    def __init__(self, folder: Path, max_tokens: int, batch_size: int) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as noise

        noise.disable_progress_bar()
        logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
        self._batch_size = batch_size
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self._model.max_seq_length = max_tokens

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(len(texts), dimension) vectors of length 1, in order, where the model gives such."""
        found = self._model.encode(
            texts,
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(found, dtype=np.float32)
