"""Matching and encoding in shards, done by this process or by others, each result kept as it comes.

Shards are cut by the content of what is in them; a profile is compared with all calls in whichever shard it
is, so that results are the same to the last digit however the work is spread.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from flows.corpus import Corpus, own_vectors
from flows.home import write_whole
from pipeline.schema import Match, Profile

if TYPE_CHECKING:
    from embeddings.encode import Encoder, Keep

LEAST, MOST, SHARDS = 16, 512, 256  # profiles in a shard, and about how many shards there are between
NO_CACHE = Path(tempfile.gettempdir()) / "fundmatch-keeps-no-vectors"  # is never made
Item = TypeVar("Item")
Shared = TypeVar("Shared")
Result = TypeVar("Result")


class Engine(Protocol):
    """Who does the work of shards."""

    def map(
        self,
        work: Callable[[Shared, Item], Result],
        items: Sequence[Item],
        shared: Shared,
        keep: Callable[[int, Result], None],
    ) -> None:
        """Give each item's number and result to `keep`, as they come; `shared` goes to each worker once."""


class Here:
    """This process, one item after another."""

    def map(
        self,
        work: Callable[[Shared, Item], Result],
        items: Sequence[Item],
        shared: Shared,
        keep: Callable[[int, Result], None],
    ) -> None:
        """Give each item's number and result to `keep`, in order."""
        for number, item in enumerate(items):
            keep(number, work(shared, item))


@dataclass(frozen=True)
class Shard:
    """Some profiles, by id, with the (passages, d) vectors of what they say of themselves."""

    profiles: tuple[Profile, ...]
    vectors: NDArray[np.float32]
    as_of: date


class Matches:
    """The matches of profiles, read from their shards' files when they are asked for."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[Path, int]] = {}  # of each profile's line
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, file: Path) -> None:
        """Take the lines of a shard's file. Raises OSError, ValueError where it is damaged."""
        at = 0
        for line in file.read_bytes().splitlines(keepends=True):
            told = json.loads(line)
            self._places[told["profile_id"]] = (file, at)
            self._count += len(told["matches"])
            at += len(line)

    def of(self, profile_id: str) -> list[Match]:
        """A profile's matches, best first; none of a profile that is not known."""
        if profile_id not in self._places:
            return []
        file, at = self._places[profile_id]
        with file.open("rb") as stream:
            stream.seek(at)
            return [Match.model_validate(each) for each in json.loads(stream.readline())["matches"]]

    def __iter__(self) -> Iterator[Match]:
        """All matches, by profile."""
        for profile_id in sorted(self._places):
            yield from self.of(profile_id)


def match_in_shards(
    corpus: Corpus,
    profiles: Sequence[Profile],
    as_of: date,
    folder: Path,
    engine: Engine,
    progress: Callable[[int, int], None],
) -> Matches:
    """The matches of all profiles. Shards that `folder` has of the same content are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus.settle(profiles)
    found, todo, done = Matches(), list[tuple[Path, Shard]](), 0
    for some in cut(profiles):
        told = json.dumps([corpus.digest, as_of.isoformat(), *(p.model_dump_json() for p in some)])
        file = folder / f"{sha256(told.encode()).hexdigest()[:32]}.jsonl"
        if _taken(found, file):
            done += len(some)
        else:
            todo.append((file, Shard(some, own_vectors(some, corpus.encoder), as_of)))
    progress(done, len(profiles))

    def keep(number: int, lines: str) -> None:
        nonlocal done
        file, shard = todo[number]
        write_whole(file, lines)
        found.add(file)
        done += len(shard.profiles)
        progress(done, len(profiles))

    engine.map(rank_shard, [shard for _, shard in todo], corpus, keep)
    return found


def cut(profiles: Sequence[Profile]) -> list[tuple[Profile, ...]]:
    """The profiles in shards by their content, so that a changed profile changes one shard; each by id."""
    size = min(MOST, max(LEAST, -(-len(profiles) // SHARDS)))
    count = max(1, -(-len(profiles) // size))
    shards: list[list[Profile]] = [[] for _ in range(count)]
    for profile in sorted(profiles, key=lambda profile: profile.id):
        digest = sha256(profile.model_dump_json().encode()).digest()
        shards[int.from_bytes(digest[:8], "big") % count].append(profile)
    return [tuple(shard) for shard in shards if shard]


def rank_shard(corpus: Corpus, shard: Shard) -> str:
    """A line of JSON for each profile with its matches."""
    ranked = corpus.rank_all(shard.profiles, shard.vectors, shard.as_of)
    lines = [
        {"profile_id": profile.id, "matches": [match.model_dump(mode="json") for match in matches]}
        for profile, matches in zip(shard.profiles, ranked, strict=True)
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def encode_elsewhere(encoder: Encoder, engine: Engine) -> None:
    """Have an engine encode what the encoder's cache does not know; each chunk is cached as it comes."""
    spec = Spec(encoder.name, encoder.runtime, encoder.model_id)

    def elsewhere(chunks: Sequence[list[str]], keep: Keep) -> None:
        engine.map(encode_chunk, chunks, spec, lambda number, vectors: keep(chunks[number], vectors))

    encoder.elsewhere = elsewhere


@dataclass(frozen=True)
class Spec:
    """Which model a worker must have."""

    name: str
    runtime: str
    model_id: str


_models: dict[Spec, Encoder] = {}  # loaded once in a worker process


def encode_chunk(spec: Spec, texts: list[str]) -> NDArray[np.float32]:
    """(texts, d) vectors, by the model that this process keeps. Raises ModelError where it is another."""
    from embeddings.encode import Encoder, ModelError

    if spec not in _models:
        encoder = Encoder(spec.name, cache_dir=NO_CACHE, runtime=spec.runtime.split("-")[0])
        if encoder.model_id != spec.model_id:
            raise ModelError(
                f"a worker has model {encoder.model_id}, this machine {spec.model_id}: install the same "
                "fundmatch and the same model on both"
            )
        _models[spec] = encoder
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # so that torch pads little
    vectors = _models[spec].compute([texts[row] for row in order])
    found = np.empty_like(vectors)
    found[order] = vectors
    return found


def _taken(found: Matches, file: Path) -> bool:
    """Whether a shard is there already; one that is damaged is not."""
    try:
        found.add(file)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
