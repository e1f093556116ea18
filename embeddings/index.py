"""The FAISS index of passages: built aside, switched at once, and refused with another model's vectors.

Exact inner products (`IndexFlatIP`): below some hundred thousand vectors nothing approximate pays. A
generation is a folder that never changes; a pointer file names the current one.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

POINTER = "CURRENT"
ABANDONED = 3600  # seconds after which a half-built generation is nobody's
ASKED, CHUNK, COLUMNS = 1024, 512, 1536  # vectors asked, calls and passages of one product; measured


class IndexFault(Exception):
    """The index cannot be used; the message says what to do, in one line."""


class PassageIndex:
    """An opened index: `keys` name its rows."""

    def __init__(self, index: faiss.Index, keys: list[str]) -> None:
        self._index = index
        self.keys = keys

    def grouped(self, rows: Sequence[int], starts: Sequence[int]) -> CallVectors:
        """The vectors of `rows`, by call: call i has `rows[starts[i]:starts[i + 1]]`, the last has the rest.

        Raises ValueError where a call has no passage.
        """
        return CallVectors(self._index, np.asarray(rows, np.int64), np.asarray(starts, np.int64))


class CallVectors:
    """Passages' vectors by call, laid out so that a maximum over a call's passages runs along memory.

    Calls are sorted by how many passages they have, in chunks; a chunk holds the first passages of all its
    calls, then the second ones of those that have two, and so on.
    """

    def __init__(self, index: faiss.Index, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        counts = np.diff(starts, append=len(rows))
        if (counts < 1).any() or (len(starts) and starts[0] != 0) or (len(rows) and not len(starts)):
            raise ValueError("every call has at least one passage, and every passage a call")
        self._starts, self._counts = starts, counts
        order = np.argsort(-counts, kind="stable")
        self._chunks = [order[at : at + CHUNK] for at in range(0, len(order), CHUNK)]
        self._widths = [_widths(counts[chunk]) for chunk in self._chunks]
        laid = [
            starts[chunk[:width]] + slot
            for chunk, widths in zip(self._chunks, self._widths, strict=True)
            for slot, width in enumerate(widths)
        ]
        passages = np.concatenate(laid) if laid else np.empty(0, np.int64)
        self._place = np.empty(len(rows), np.int64)  # of each passage among the vectors
        self._place[passages] = np.arange(len(passages))
        self._vectors = np.empty((len(rows), index.d), np.float32)
        if len(rows):
            self._vectors = index.reconstruct_batch(rows[passages])

    def __len__(self) -> int:
        return len(self._starts)

    def as_bytes(self) -> bytes:
        """All vectors and which calls they are of, for a hash."""
        return self._vectors.tobytes() + self._starts.tobytes()

    def best(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(q, calls) greatest cosines of (q, d) unit vectors to the passages of each call.

        Off the true ones by at most d × 2⁻²⁴, which depends on the place in the batch; `cosines` does not.
        Beside the result it needs one product of ASKED by COLUMNS. Raises ValueError at a vector that is
        not finite.
        """
        vectors = finite(np.ascontiguousarray(vectors, np.float32))
        found = np.empty((len(vectors), len(self)), np.float32)
        product = np.empty(ASKED * max(CHUNK, COLUMNS), np.float32)
        for at in range(0, len(vectors), ASKED):
            some = vectors[at : at + ASKED]
            row = 0
            for chunk, widths in zip(self._chunks, self._widths, strict=True):
                greatest = np.full((len(some), len(chunk)), -np.inf, np.float32)
                for slots in _packed(widths):
                    size = sum(slots)
                    cosines = product[: len(some) * size].reshape(len(some), size)
                    np.matmul(some, self._vectors[row : row + size].T, out=cosines)
                    left = 0
                    for width in slots:
                        head = greatest[:, :width]
                        np.maximum(head, cosines[:, left : left + width], out=head)
                        left += width
                    row += size
                found[at : at + ASKED, chunk] = greatest
        return found

    def cosines(
        self, vectors: NDArray[np.float32], calls: Sequence[int] | NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(q, p) cosines to all passages of some calls, call by call, and the (calls,) starts of each call's.

        Summed in double precision and rounded to six digits: the same whatever else is asked. Raises
        ValueError at a vector that is not finite.
        """
        chosen = np.asarray(calls, np.int64)
        counts = self._counts[chosen]
        starts = np.cumsum(counts) - counts
        passages = np.repeat(self._starts[chosen] - starts, counts) + np.arange(counts.sum())
        theirs = self._vectors[self._place[passages]].astype(np.float64)
        return np.round(finite(vectors).astype(np.float64) @ theirs.T, 6) + 0.0, starts


def finite(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (n, d) vectors themselves. Raises ValueError, naming the first row with a NaN or an infinity."""
    sound = np.isfinite(vectors).all(axis=1)
    if not sound.all():
        raise ValueError(f"vector {int(np.argmin(sound))} is not finite")
    return vectors


def _widths(counts: NDArray[np.int64]) -> list[int]:
    """How many of a chunk's calls have a first passage, a second one and so on; `counts` fall."""
    least = -np.arange(1, counts[0] + 1)
    return [int(width) for width in np.searchsorted(-counts, least, side="right")]


def _packed(widths: Sequence[int]) -> Iterator[list[int]]:
    """The widths in runs that add up to at most COLUMNS."""
    run: list[int] = []
    for width in widths:
        if run and sum(run) + width > COLUMNS:
            yield run
            run = []
        run.append(width)
    if run:
        yield run


def build_index(directory: Path, keys: Sequence[str], vectors: NDArray[np.float32], model_id: str) -> None:
    """Make `keys` and their (n, d) vectors the current index; nothing is done where they already are.

    All is on disk before the pointer is switched. The generation before stays, for readers that are
    just opening it. Raises ValueError at a vector that is not finite.
    """
    finite(vectors)
    digest = hashlib.sha256(json.dumps([model_id, *keys]).encode() + vectors.tobytes()).hexdigest()
    previous = _pointed(directory)
    if previous is not None and _is(previous, digest):
        return
    generation = directory / f"{digest[:16]}-{secrets.token_hex(3)}"
    aside = generation.with_suffix(".building")
    aside.mkdir(parents=True)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    faiss.write_index(index, str(aside / "passages.faiss"))
    (aside / "keys.json").write_text(json.dumps(list(keys)), "utf-8")
    manifest = {
        "model_id": model_id,
        "dimension": int(vectors.shape[1]),
        "count": len(keys),
        "digest": digest,
        "files": {name: _sha256(aside / name) for name in ("passages.faiss", "keys.json")},
    }
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    for path in (*aside.iterdir(), aside):
        _sync(path)
    aside.rename(generation)
    pointer = directory / f"{POINTER}.{os.getpid()}.building"
    pointer.write_text(generation.name, "utf-8")
    _sync(pointer)
    _sync(directory)
    pointer.replace(directory / POINTER)
    _sync(directory)
    _tidy(directory, keep=(generation, previous))


def open_index(directory: Path, model_id: str) -> PassageIndex:
    """Open the current index. Raises IndexFault when there is none, it is damaged, or of another model."""
    for _ in range(5):  # a generation may be superseded and removed while it is being opened
        generation = _pointed(directory)
        if generation is None:
            raise IndexFault(f"{directory}: there is no index; run: fundmatch run")
        try:
            manifest = _manifest(generation)
            if manifest["model_id"] != model_id:
                raise IndexFault(
                    f"{directory}: was made with model {manifest['model_id']}, not {model_id}; "
                    "run again with one model"
                )
            if not _intact(generation, manifest):
                raise IndexFault(f"{generation}: is damaged; run: fundmatch run")
            index = faiss.read_index(str(generation / "passages.faiss"))
            keys = json.loads((generation / "keys.json").read_text("utf-8"))
        except (OSError, RuntimeError):
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise IndexFault(f"{generation}: is damaged; run: fundmatch run") from error
        return PassageIndex(index, keys)
    raise IndexFault(f"{directory}: cannot be read; run: fundmatch run")


def _pointed(directory: Path) -> Path | None:
    """The generation that the pointer names, whole or not."""
    try:
        return directory / (directory / POINTER).read_bytes().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return None


def _manifest(generation: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((generation / "manifest.json").read_text("utf-8"))
    return found


def _intact(generation: Path, manifest: dict[str, Any]) -> bool:
    return all(_sha256(generation / name) == digest for name, digest in manifest["files"].items())


def _is(generation: Path, digest: str) -> bool:
    """Whether a generation holds what `digest` stands for, undamaged."""
    try:
        manifest = _manifest(generation)
        return bool(manifest["digest"] == digest) and _intact(generation, manifest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _tidy(directory: Path, keep: Sequence[Path | None]) -> None:
    """Remove superseded generations, and what builds that died have left behind."""
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # another build may be tidying too
            if path.suffix == ".building":
                over = time.time() - path.stat().st_mtime > ABANDONED
            else:
                over = path.is_dir() and path not in keep
            if over and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif over:
                path.unlink()


def _sync(path: Path) -> None:
    """Have a file or a folder written to the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
