"""BM25 over texts in Dutch and English, and the words that two texts share.

The tokeniser keeps digits and identifiers ("TRL 4", "5G", "HORIZON-CL5-2027"), takes hyphenated words
whole and in parts, folds accents and stems by language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

import bm25s
import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_DUTCH, STOPWORDS_EN_PLUS
from numpy.typing import NDArray

COMMON_SHARE = 0.25  # a word in more than this share of the texts explains nothing

_WORD = re.compile(r"\w+(?:[-/.]\w+)*")
_PART = re.compile(r"[^\W_]+")
_ALGORITHM = {"nl": "dutch", "en": "english"}
_STOP = frozenset((*STOPWORDS_EN_PLUS, *STOPWORDS_DUTCH, "etc", "via", "new", "within", "towards", "based"))


def fold(text: str) -> str:
    """Lower case without accents."""
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in apart if not unicodedata.combining(character))


def tokens(text: str) -> list[str]:
    """Words in order, folded, without stop words; a compound first whole, then its parts."""
    found: list[str] = []
    for word in _WORD.findall(fold(text)):
        parts = _PART.findall(word)
        found += [word, *parts] if len(parts) > 1 else parts
    return [token for token in found if token not in _STOP and (len(token) > 1 or token.isdigit())]


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(_ALGORITHM[language])


def stems(words: Sequence[str], language: str | None) -> list[str]:
    """Stems in a language (English where it is neither Dutch nor English); tokens with digits stay whole."""
    stemmer = _stemmer(language if language in _ALGORITHM else "en")
    return [word if any(map(str.isdigit, word)) else stemmer.stemWord(word) for word in words]


class LexicalIndex:
    """BM25 over a fixed list of texts, each in its own language."""

    def __init__(self, texts: Sequence[str], languages: Sequence[str | None]) -> None:
        self._size = len(texts)
        self._languages = sorted({code if code in _ALGORITHM else "en" for code in languages})
        corpus = [stems(tokens(text), code) for text, code in zip(texts, languages, strict=True)]
        self._spread = Counter(stem for document in corpus for stem in set(document))
        self._bm25 = bm25s.BM25(method="lucene")
        if self._spread:
            self._bm25.index(corpus, show_progress=False)

    def scores(self, query: str, language: str | None) -> NDArray[np.float32]:
        """(texts,) BM25 scores, 0 or more, of a query that is stemmed in its own and the texts' languages."""
        words = tokens(query)
        languages = sorted({language if language in _ALGORITHM else "en", *self._languages})
        wanted = {stem for code in languages for stem in stems(words, code)} & self._spread.keys()
        if not wanted:
            return np.zeros(self._size, dtype=np.float32)
        found: NDArray[np.float32] = self._bm25.get_scores(sorted(wanted)).astype(np.float32)
        return found

    def shared_terms(self, a: str, b: str) -> list[str]:
        """Words of `b`, as printed, whose stems occur in `a`, rarest first; common words are left out."""
        known = {stem for code in _ALGORITHM for stem in stems(tokens(a), code)}
        found: dict[str, tuple[int, int, str]] = {}
        for place, word in enumerate(re.findall(r"[^\W_][\w-]*", b)):
            token = fold(word)
            stem = stems([token], "en")[0]
            telling = len(token) > 2 and token not in _STOP and not token.isdigit()
            if telling and stem in known and self._spread[stem] <= max(2, COMMON_SHARE * self._size):
                found.setdefault(stem, (self._spread[stem], place, word))
        return [word for _, _, word in sorted(found.values())]
