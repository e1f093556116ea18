"""The FAISS index of passages: built aside, switched at once, and refused with another model's vectors.

Exact inner products (`IndexFlatIP`): below some hundred thousand vectors nothing approximate pays.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

POINTER = "CURRENT"


class IndexFault(Exception):
    """The index cannot be used; the message says what to do, in one line."""


class PassageIndex:
    """An opened index: `keys` name its rows."""

    def __init__(self, index: faiss.Index, keys: list[str]) -> None:
        self._index = index
        self._vectors: NDArray[np.float32] = index.reconstruct_n(0, index.ntotal)
        self.keys = keys

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], list[list[str]]]:
        """The k nearest rows of each query: (queries, k) cosines, descending, and their keys."""
        scores, rows = self._index.search(np.ascontiguousarray(vectors), min(k, len(self.keys)))
        return scores, [[self.keys[row] for row in found] for found in rows]

    def all_scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(queries, rows) cosines of every row, in the order of `keys`."""
        found: NDArray[np.float32] = np.ascontiguousarray(vectors) @ self._vectors.T
        return found


def build_index(directory: Path, keys: Sequence[str], vectors: NDArray[np.float32], model_id: str) -> None:
    """Make `keys` and their (n, d) vectors the current index; nothing is done where they already are."""
    digest = hashlib.sha256(json.dumps([model_id, *keys]).encode() + vectors.tobytes()).hexdigest()
    if (current := _manifest(directory)) and current["digest"] == digest:
        return
    generation = directory / f"{digest[:16]}-{secrets.token_hex(3)}"
    generation.mkdir(parents=True)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    faiss.write_index(index, str(generation / "passages.faiss"))
    (generation / "keys.json").write_text(json.dumps(list(keys)), "utf-8")
    manifest = {
        "model_id": model_id,
        "dimension": int(vectors.shape[1]),
        "count": len(keys),
        "digest": digest,
        "files": {name: _sha256(generation / name) for name in ("passages.faiss", "keys.json")},
    }
    (generation / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    aside = directory / f"{POINTER}.{os.getpid()}"
    aside.write_text(generation.name, "utf-8")
    aside.replace(directory / POINTER)
    for old in directory.iterdir():
        if old.is_dir() and old != generation:
            shutil.rmtree(old, ignore_errors=True)


def open_index(directory: Path, model_id: str) -> PassageIndex:
    """Open the current index. Raises IndexFault when there is none, it is damaged, or of another model."""
    for _ in range(3):  # a generation may be switched and removed while it is being opened
        manifest = _manifest(directory)
        if manifest is None:
            raise IndexFault(f"{directory}: there is no index; run: fundmatch run")
        if manifest["model_id"] != model_id:
            raise IndexFault(
                f"{directory}: was made with model {manifest['model_id']}, not {model_id}; "
                "run again with one model"
            )
        generation = directory / str(manifest["generation"])
        try:
            if any(_sha256(generation / name) != digest for name, digest in manifest["files"].items()):
                raise IndexFault(f"{generation}: is damaged; remove it and run: fundmatch run")
            index = faiss.read_index(str(generation / "passages.faiss"))
            keys = json.loads((generation / "keys.json").read_text("utf-8"))
        except (OSError, RuntimeError):
            continue
        return PassageIndex(index, keys)
    raise IndexFault(f"{directory}: cannot be read; remove it and run: fundmatch run")


def _manifest(directory: Path) -> dict[str, Any] | None:
    try:
        generation = (directory / POINTER).read_text("utf-8").strip()
        found = json.loads((directory / generation / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return {**found, "generation": generation}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
