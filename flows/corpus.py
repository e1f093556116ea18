"""The open calls as the matcher sees them: passages, vectors and words, and a profile compared to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING

from flows.home import Home, HomeError
from pipeline.deadlines import may_be_open
from pipeline.match import Passage, Similarity, call_passages, lexical_text, rank
from pipeline.profiles import passages_of
from pipeline.schema import Call, Match, Profile

if TYPE_CHECKING:
    from embeddings.encode import Encoder
    from embeddings.index import PassageIndex
    from embeddings.lexical import LexicalIndex


@dataclass
class Corpus:
    """Open calls, their passages in the calls' order, and what a profile is compared with."""

    calls: list[Call]
    passages: list[Passage]
    lexical: LexicalIndex
    encoder: Encoder
    index: PassageIndex
    columns: list[int]  # of each passage in the index

    def rank(self, profile: Profile, as_of: date) -> list[Match]:
        """The profile's best open calls, best first."""
        own = passages_of(profile)
        texts = [passage.searched for passage in own]
        dense = self.index.all_scores(self.encoder.encode(texts, kind="query"))[:, self.columns]
        words = self.lexical.scores("\n".join(texts), profile.language)
        similarity = Similarity(dense=dense, lexical=words)
        return rank(profile, own, self.calls, self.passages, similarity, self.lexical.shared_terms, as_of)


def corpus(calls: Sequence[Call], encoder: Encoder, home: Home, as_of: date) -> Corpus:
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
    return Corpus(found, passages, lexical, encoder, index, columns)


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
