"""Vectors kept by model and text: a text that was encoded once is never encoded again.

A folder per model holds shards, each written aside and moved in place, so a killed run loses at most
the chunk it was working on.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LOG = logging.getLogger(__name__)
COMPACT_ABOVE = 16  # shards; more are merged into one when the cache is opened
ABANDONED = 3600  # seconds after which a half-written shard is nobody's
# what a damaged archive makes zipfile, zlib and numpy raise
_DAMAGE = (OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


def text_key(text: str) -> bytes:
    """32 bytes that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class VectorCache:
    """Vectors of one model, all of one dimension, in memory and on disk."""

    def __init__(self, directory: Path, dimension: int) -> None:
        self.directory = directory
        self.dimension = dimension
        self._vectors: dict[bytes, NDArray[np.float32]] = {}
        shards: set[Path] = set()
        # another process may merge shards meanwhile, so look again until nothing is new
        while new := set(directory.glob("*.npz")) - shards:
            for shard in sorted(new):
                self._load(shard)
            shards |= new
        if len(shards) > COMPACT_ABOVE:
            self._write(sorted(self._vectors))
            for shard in shards:
                shard.unlink(missing_ok=True)
        for aside in directory.glob("*.writing"):
            with suppress(FileNotFoundError):
                if time.time() - aside.stat().st_mtime > ABANDONED:
                    aside.unlink()

    def _load(self, shard: Path) -> None:
        try:
            with np.load(shard, allow_pickle=False) as data:
                keys, vectors = data["keys"], data["vectors"]
            if keys.shape != (len(vectors), 32) or vectors.shape[1:] != (self.dimension,):
                raise ValueError(f"shapes {keys.shape} and {vectors.shape}")
            if not np.isfinite(vectors).all():
                raise ValueError("a vector is no number")
        except FileNotFoundError:
            return  # merged into another shard by another process
        except _DAMAGE as error:
            LOG.warning("%s is damaged (%s); its texts will be encoded again", shard, error)
            shard.replace(shard.with_suffix(".corrupt"))
            return
        self._vectors.update(zip((key.tobytes() for key in keys), vectors, strict=True))

    def missing(self, keys: Iterable[bytes]) -> set[bytes]:
        """The keys that have no vector yet."""
        return {key for key in keys if key not in self._vectors}

    def get(self, keys: Sequence[bytes]) -> NDArray[np.float32]:
        """(len(keys), dimension) vectors, in order. Raises KeyError for a key that is missing."""
        found = np.empty((len(keys), self.dimension), dtype=np.float32)
        for row, key in enumerate(keys):
            found[row] = self._vectors[key]
        return found

    def add(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep (len(keys), dimension) vectors, on disk before this returns. ValueError: of another shape."""
        if vectors.shape != (len(keys), self.dimension):
            raise ValueError(f"{vectors.shape} vectors for {len(keys)} keys of dimension {self.dimension}")
        self._vectors.update(zip(keys, vectors, strict=True))
        self._write(keys)

    def _write(self, keys: Sequence[bytes]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        name = f"{len(list(self.directory.glob('*.npz'))):06d}-{secrets.token_hex(4)}"
        aside = self.directory / f"{name}.{os.getpid()}.writing"
        packed = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), 32)
        with aside.open("wb") as stream:
            np.savez(stream, keys=packed, vectors=self.get(keys))
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self.directory / f"{name}.npz")
