"""A small map on top of the frozen model that brings what organisations do nearer to what topics ask.

Queries and passages each get a low-rank residual, v → unit(v + v·down·up), fitted on earlier projects and the
topics that funded them (InfoNCE, van den Oord et al. 2018). It belongs to the packaged model; the vectors of
any other model stay as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.encode import DEFAULT_MODEL, Encoder, Kind

FILE = Path(__file__).with_name("adapter.npz")
RANK = 16
TEMPERATURE = 0.05
SHRINK = 0.03  # weight of the residual's squared size in the loss: what no pair speaks of stays as it was
EPOCHS = 30
BATCH = 256
RATE = 2e-3
DROPOUT = 0.1
ALIKE = 0.97  # cosine from which two topics are so near that neither is the other's negative

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Adapter:
    """`maps` by kind: (dimension, RANK) and (RANK, dimension); empty where vectors stay as they are."""

    maps: dict[Kind, tuple[Vectors, Vectors]]

    def apply(self, vectors: Vectors, kind: Kind) -> Vectors:
        """(n, dimension) vectors of length 1, adapted, of length 1."""
        if not self.maps:
            return vectors
        down, up = self.maps[kind]
        exact = vectors.astype(np.float64)  # single products hang on the number of threads
        return unit(exact + (exact @ down) @ up)


def adapter_for(encoder: Encoder) -> Adapter:
    """The fitted adapter of the packaged model; for another model one that changes nothing."""
    if encoder.name != DEFAULT_MODEL or not FILE.exists():
        return Adapter({})
    with np.load(FILE, allow_pickle=False) as data:
        found = {name: data[name].astype(np.float32) for name in data.files}
    return Adapter({kind: (found[f"{kind}_down"], found[f"{kind}_up"]) for kind in ("query", "passage")})


def unit(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def fit(queries: Vectors, topics: Vectors, topic_of: NDArray[np.int64], seed: int = 0) -> Adapter:
    """An adapter for (n, d) query vectors whose right one of the (t, d) topic vectors is `topic_of` (n,).

    All topics are each query's negatives. One thread and a fixed seed: the same input gives the same map.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    width = queries.shape[1]
    downs = [torch.randn(width, RANK) / width**0.5 for _ in range(2)]
    ups = [torch.zeros(RANK, width) for _ in range(2)]
    for weight in (*downs, *ups):
        weight.requires_grad_()
    x, y, gold = torch.tensor(queries), torch.tensor(topics), torch.tensor(topic_of)
    near = torch.tensor(topics @ topics.T > ALIKE).fill_diagonal_(False)
    weights = torch.tensor(1 / np.sqrt(np.bincount(topic_of)[topic_of]), dtype=torch.float32)
    optimiser = torch.optim.Adam([*downs, *ups], lr=RATE)

    def mapped(v: torch.Tensor, side: int) -> torch.Tensor:
        return torch.nn.functional.normalize(v + (v @ downs[side]) @ ups[side], dim=-1)

    for _ in range(EPOCHS):
        for batch in torch.tensor(order.permutation(len(queries))).split(BATCH):
            dropped = [torch.nn.functional.dropout(v, DROPOUT) for v in (x[batch], y)]
            cosines = mapped(dropped[0], 0) @ mapped(dropped[1], 1).T / TEMPERATURE
            cosines = cosines.masked_fill(near[gold[batch]], -1e4)
            loss = torch.nn.functional.cross_entropy(cosines, gold[batch], reduction="none")
            size = sum(((down @ up) ** 2).sum() for down, up in zip(downs, ups, strict=True))
            total = (loss * weights[batch]).sum() / weights[batch].sum() + SHRINK * size
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
    torch.set_num_threads(threads)
    # stored and used in half precision, so that a fitted and a loaded map are the same
    halves = [weight.detach().numpy().astype(np.float16).astype(np.float32) for weight in (*downs, *ups)]
    return Adapter({"query": (halves[0], halves[2]), "passage": (halves[1], halves[3])})


def save(adapter: Adapter, path: Path) -> None:
    """Write the maps in half precision, so that a reader sees the old file or the new one. Raises OSError."""
    arrays = {
        f"{kind}_{name}": part.astype(np.float16)
        for kind, parts in adapter.maps.items()
        for name, part in zip(("down", "up"), parts, strict=True)
    }
    aside = path.with_name(f"{path.name}.{os.getpid()}.writing")
    with aside.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
