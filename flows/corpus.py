"""The open calls as the matcher sees them: passages, vectors and words, and a profile compared to them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flows.home import Home, HomeError
from flows.past import PastRecords, past_of
from pipeline import VERSION
from pipeline.deadlines import may_be_open
from pipeline.feedback import Marked, Marks, call_vectors, marks
from pipeline.history import History, has_lineage
from pipeline.match import (
    BEST_PASSAGES,
    KEPT,
    Passage,
    Similarity,
    Track,
    call_passages,
    lexical_text,
    mixed,
    rank,
)
from pipeline.profiles import OwnPassage, passages_of
from pipeline.reasons import CLOSE
from pipeline.schema import Call, Feedback, Match, Profile, Project, Topic
from pipeline.scores import blocks, contenders, top_mean

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from embeddings.index import CallVectors
    from embeddings.lexical import LexicalIndex
    from pipeline.history import Outlook
    from pipeline.ranking import Ranker
    from warehouse.records import Records


@dataclass(frozen=True)
class Memory:
    """What is known besides the calls: earlier projects, and what profiles said of calls.

    `projects` are by organisation, all of them in `history`; `marks` by profile, `known` the calls by id that
    they may be of.
    """

    history: History | None = None
    projects: Mapping[str, Sequence[Project]] = field(default_factory=dict)
    marks: Mapping[str, Marks] = field(default_factory=dict)
    known: Mapping[str, Call] = field(default_factory=dict)


@dataclass
class Corpus:
    """Open calls, their passages in the calls' order, and what a profile is compared with."""

    calls: list[Call]
    passages: list[Passage]
    lexical: LexicalIndex
    encoder: Encoder
    starts: NDArray[np.int64]  # (calls + 1,) of each call's passages
    vectors: CallVectors
    memory: Memory

    def rank(self, profile: Profile, as_of: date, also: Collection[str] = ()) -> list[Match]:
        """The profile's best open calls, best first, and those in `also`."""
        return next(iter(self.rank_all([profile], own_vectors([profile], self.encoder), as_of, also)))

    def rank_all(
        self,
        profiles: Sequence[Profile],
        vectors: NDArray[np.float32],
        as_of: date,
        also: Collection[str] = (),
    ) -> Iterator[list[Match]]:
        """Each profile's best open calls, best first; profiles are compared by the block, for one product.

        `vectors` (profile passages, d) are those of `own_vectors`.
        """
        counts = [len(passages_of(profile)) for profile in profiles]
        ends = np.cumsum([0, *counts])
        for block in blocks(counts):
            some = profiles[block]
            mine = vectors[ends[block.start] : ends[block.stop]]
            starts = ends[block.start : block.stop + 1] - ends[block.start]
            dense = top_mean(self.vectors.best(mine), starts[:-1], BEST_PASSAGES)
            for number, profile in enumerate(some):
                own = mine[starts[number] : starts[number + 1]]
                yield self._ranked(profile, passages_of(profile), own, dense[number], as_of, also)

    def settle(self, profiles: Sequence[Profile]) -> None:
        """Compute all that takes the model, so that these profiles can be ranked where there is none."""
        if any(profile.pic for profile in profiles):
            _ = self._learned
        if any(self.memory.marks.get(profile.id) for profile in profiles):
            _ = self._vectors

    def __getstate__(self) -> dict[str, Any]:
        """All but the encoder, which stays on its machine, and calls that `settle` has looked at."""
        return self.__dict__ | {"encoder": None, "memory": replace(self.memory, known={})}

    @cached_property
    def digest(self) -> str:
        """A hash of all that a profile is compared with."""
        found = sha256(self.vectors.as_bytes())
        marks = {p: {c: f.model_dump_json() for c, f in m.items()} for p, m in self.memory.marks.items()}
        told = [[call.model_dump_json() for call in self.calls], marks, self.encoder.model_id, VERSION]
        found.update(json.dumps(told, sort_keys=True).encode())
        if self.memory.history is not None:
            found.update(json.dumps(self.memory.history.project_ids).encode())
            found.update(self.memory.history.plain.tobytes())
        return found.hexdigest()

    def _ranked(
        self,
        profile: Profile,
        own: Sequence[OwnPassage],
        vectors: NDArray[np.float32],
        dense: NDArray[np.float32],
        as_of: date,
        also: Collection[str],
    ) -> list[Match]:
        """One profile's calls out of those that may lead, by their cosines in double precision."""
        words = self.lexical.scores("\n".join(passage.searched for passage in own), profile.language)
        most = float(words.max(initial=0.0))
        track, marked = self._track(profile), self._marked(profile)
        places = np.arange(len(self.calls))
        if not (track or marked or also):
            places = contenders(mixed(dense, words, most), KEPT)
        cosines, _ = self.vectors.cosines(vectors, places)
        return rank(
            profile,
            own,
            [self.calls[place] for place in places],
            [self.passages[j] for i in places for j in range(self.starts[i], self.starts[i + 1])],
            Similarity(cosines, words[places], most, len(self.calls) - len(places)),
            self.lexical.shared_terms,
            as_of,
            track,
            marked,
            also,
        )

    def _track(self, profile: Profile) -> Track | None:
        """What the profile's earlier projects say of the EU topics that are open; None where it has none."""
        if self._learned is None or self.memory.history is None or not profile.pic:
            return None
        own = self.memory.history.projects_of(profile.pic)
        if not len(own):
            return None
        outlook, ranker, places = self._learned
        learned = np.full(len(self.calls), np.nan)
        learned[places] = ranker.scores(outlook.features(profile.pic))
        by_id = {project.project_id: project for project in self.memory.projects.get(profile.pic, ())}
        cosines = np.round(self.memory.history.plain[own] @ outlook.heads.plain.T, 6)
        nearest: list[tuple[Project, float] | None] = [None] * len(self.calls)
        for place, column in zip(places, cosines.T, strict=True):
            best = int(np.argmax(column))
            project = by_id.get(self.memory.history.project_ids[own[best]])
            if project and column[best] >= CLOSE:
                nearest[place] = (project, float(column[best]))
        return Track(learned, nearest)

    @cached_property
    def _learned(self) -> tuple[Outlook, Ranker, NDArray[np.int64]] | None:
        """The history seen from the open EU topics, the fitted ranking, and those topics' places."""
        from embeddings.adapter import adapter_for
        from flows.past import heads
        from pipeline import ranking
        from pipeline.history import Outlook

        # a cascade call has its parent's identifier, and is another call
        places = [i for i, c in enumerate(self.calls) if has_lineage(c.identifier) and c.kind != "cascade"]
        if self.memory.history is None or not places:
            return None
        topics = [
            Topic(
                topic_id=str(self.calls[i].identifier),
                title=self.calls[i].title,
                keywords=", ".join(word for word in self.calls[i].keywords if not has_lineage(word)) or None,
            )
            for i in places
        ]
        ahead = heads(topics, self.encoder, adapter_for(self.encoder))
        return Outlook(self.memory.history, ahead), ranking.load(), np.array(places)

    def _marked(self, profile: Profile) -> Marked | None:
        """The profile's marks and what they are like; None where it gave none."""
        given = {
            call_id: mark
            for call_id, mark in self.memory.marks.get(profile.id, {}).items()
            if call_id in self._places
        }
        if not given:
            return None
        vectors = self._vectors
        rows = [self._places[call_id] for call_id in given]
        titles = [self._whole[row].title for row in rows]
        return Marked(given, titles, vectors[rows] @ vectors[: len(self.calls)].T)

    @cached_property
    def _whole(self) -> list[Call]:
        """The open calls, then those that are marked but not open."""
        here = {call.call_id for call in self.calls}
        away = sorted({call_id for marks in self.memory.marks.values() for call_id in marks} - here)
        return [
            *self.calls,
            *(self.memory.known[call_id] for call_id in away if call_id in self.memory.known),
        ]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {call.call_id: place for place, call in enumerate(self._whole)}

    @cached_property
    def _vectors(self) -> NDArray[np.float64]:
        """(open and marked calls, d) vectors of whole calls, to tell which are alike."""
        away = passages_of_calls(self._whole[len(self.calls) :], self.encoder)
        passages = [*self.passages, *away]
        languages = [call.language for call in self._whole]
        owner = np.array([self._places[passage.call_id] for passage in passages])
        vectors = self.encoder.encode(
            [passage.embedded for passage in passages],
            kind="passage",
            languages=[languages[place] for place in owner],
        )
        return call_vectors(vectors, owner, languages, len(self.calls))


def own_vectors(
    profiles: Sequence[Profile], encoder: Encoder, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """(profile passages, d) vectors of what profiles say of themselves, in their order."""
    passages = [passage for profile in profiles for passage in passages_of(profile)]
    return encoder.encode(
        [passage.searched for passage in passages],
        kind="query",
        languages=[passage.language for passage in passages],
        progress=progress,
    )


def memory_of(
    warehouse: Records | None,
    profiles: Sequence[Profile],
    feedback: Sequence[Feedback],
    calls: Sequence[Call],
    encoder: Encoder,
    as_of: date,
    progress: Callable[[int, int], None] | None = None,
) -> Memory:
    """What a warehouse and a home remember of profiles; `feedback` is all of it, the oldest first."""
    known = {call.call_id: call for call in calls}
    codes = sorted({profile.pic for profile in profiles if profile.pic})
    told: PastRecords = (None, {})
    if warehouse:
        if feedback:
            known = {call.call_id: call for call in warehouse.call_records()} | known
        told = past_of(warehouse, codes, encoder, as_of, progress)
    history, projects = told
    return Memory(history, projects, marks(feedback, known.values()), known)


def corpus(
    calls: Sequence[Call], encoder: Encoder, home: Home, as_of: date, memory: Memory | None = None
) -> Corpus:
    """The corpus of the calls that one may apply to on a day, as far as is stated.

    Their passages must be in the home's index.

    Raises HomeError when they are not, IndexFault when the index is of another model or damaged.
    """
    from embeddings.index import open_index
    from embeddings.lexical import LexicalIndex

    found = [call for call in calls if may_be_open(call, as_of)]
    passages = passages_of_calls(found, encoder)
    index = open_index(home.index, encoder.model_id)
    column = {key: number for number, key in enumerate(index.keys)}
    try:
        columns = [column[key] for key in passage_keys(passages)]
    except KeyError:
        raise HomeError(f"{home.index}: is of other texts than the warehouse; run: fundmatch run") from None
    lexical = LexicalIndex([lexical_text(c) for c in found], [c.language for c in found])
    counts = Counter(passage.call_id for passage in passages)
    starts = np.cumsum([0, *(counts[call.call_id] for call in found)])
    vectors = index.grouped(columns, starts[:-1].tolist())
    return Corpus(found, passages, lexical, encoder, starts, vectors, memory or Memory())


def passages_of_calls(calls: Sequence[Call], encoder: Encoder) -> list[Passage]:
    """The passages of all calls, each within the encoder's token limit."""

    def split(text: str, prefix: str) -> list[str]:
        return encoder.split(text, prefix=prefix)

    return [passage for call in calls for passage in call_passages(call, split)]


def passage_keys(passages: Sequence[Passage]) -> list[str]:
    """A key a passage that stands for its text, so that an index of other texts is noticed."""
    return [sha256(passage.embedded.encode()).hexdigest() for passage in passages]


def encoder_for(home: Home, model: str | None) -> Encoder:
    """The encoder of a model setting, or of `FUNDMATCH_MODEL`, or of the packaged default."""
    from embeddings.encode import DEFAULT_MODEL, Encoder

    return Encoder(model or os.environ.get("FUNDMATCH_MODEL") or DEFAULT_MODEL, cache_dir=home.vectors)
