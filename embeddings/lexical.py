"""BM25 over texts in Dutch and English, and the words that two texts share.

The tokeniser keeps digits and identifiers ("TRL 4", "5G", "HORIZON-CL5-2027"), takes hyphenated words
whole and in parts, folds accents and stems by language. A Dutch text is found by its English content words,
so that it meets English texts.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise

import bm25s
import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_DUTCH, STOPWORDS_EN_PLUS
from numpy.typing import NDArray

from embeddings.dutch import english_gist, fold

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it tells every index that it builds

COMMON_SHARE = 0.25  # a word in more than this share of the texts explains nothing
PHRASE_WORDS = 4
MANY = 1 << 15  # words and sentences remembered: every profile meets the same calls

_WORD = re.compile(r"\w+(?:[-/.]\w+)*")
_PART = re.compile(r"[^\W_]+")
_BETWEEN = re.compile(r"(?:\s+(?:(?:of|van)\s+)?|-)")  # what may part the words of a phrase
_ALGORITHM = {"nl": "dutch", "en": "english"}
_ONLY_DUTCH = frozenset(STOPWORDS_DUTCH) - frozenset(STOPWORDS_EN_PLUS)
_ONLY_ENGLISH = frozenset(STOPWORDS_EN_PLUS) - frozenset(STOPWORDS_DUTCH)
_STOP = frozenset((*STOPWORDS_EN_PLUS, *STOPWORDS_DUTCH, "etc", "via", "new", "within", "towards", "based"))


def tokens(text: str) -> list[str]:
    """Words in order, folded, without stop words; a compound first whole, then its parts."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text.lower()))
    return [token for word in words for token in _tokens_of(word)]


@lru_cache(maxsize=MANY)
def _tokens_of(word: str) -> tuple[str, ...]:
    parts = _PART.findall(fold(word))
    found = [fold(word), *parts] if len(parts) > 1 else parts
    return tuple(token for token in found if token not in _STOP and (len(token) > 1 or token.isdigit()))


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(_ALGORITHM[language])


def stems(words: Sequence[str], language: str | None) -> list[str]:
    """Stems in a language (English where it is neither Dutch nor English); tokens with digits stay whole."""
    known = language if language in _ALGORITHM else "en"
    return [_stem(word, known) for word in words]


@lru_cache(maxsize=MANY)
def _stem(word: str, language: str) -> str:
    return word if any(map(str.isdigit, word)) else str(_stemmer(language).stemWord(word))


def terms(text: str, language: str | None) -> list[str]:
    """What a text is found by, in order and repeated: the stems of its words, of a Dutch one in English.

    All in one vocabulary, else a text would meet those of its own language twice.
    """
    if language == "nl":
        return stems(tokens(english_gist(text)), "en")
    return stems(tokens(text), language)


class LexicalIndex:
    """BM25 over a fixed list of texts, each in its own language."""

    def __init__(self, texts: Sequence[str], languages: Sequence[str | None]) -> None:
        self._size = len(texts)
        corpus = [terms(text, code) for text, code in zip(texts, languages, strict=True)]
        self._spread = Counter(stem for document in corpus for stem in set(document))
        self._bm25 = bm25s.BM25(method="lucene")
        if self._spread:
            self._bm25.index(corpus, show_progress=False)

    def scores(self, query: str, language: str | None) -> NDArray[np.float32]:
        """(texts,) BM25 scores, 0 or more, of a query in its language; a repeated word counts each time."""
        wanted = sorted(term for term in terms(query, language) if term in self._spread)
        if not wanted:
            return np.zeros(self._size, dtype=np.float32)
        found: NDArray[np.float32] = self._bm25.get_scores(wanted).astype(np.float32)
        return found

    def shared_terms(self, a: str, b: str) -> list[str]:
        """Words and phrases of `b`, as printed, that `a` has too, rarest first.

        A Dutch word and its English one are the same. Words that stand together in both are one phrase.
        Common words are left out, save in a phrase with a rarer one; so are bare numbers and what a phrase
        before already says.
        """
        stems_of_a, pairs_of_a = _stems_and_pairs(a)
        dutch = _is_dutch(b)
        phrases: list[list[re.Match[str]]] = []
        for spot in _spots(b):
            if not _forms(spot[0], dutch) & stems_of_a:
                continue
            last = phrases[-1][-1] if phrases and len(phrases[-1]) < PHRASE_WORDS else None
            if (
                last
                and _BETWEEN.fullmatch(b, last.end(), spot.start())
                and any((x, y) in pairs_of_a for x in _forms(last[0], dutch) for y in _forms(spot[0], dutch))
            ):
                phrases[-1].append(spot)
            else:
                phrases.append([spot])
        found = []
        for place, phrase in enumerate(phrases):
            rare = [spread for spot in phrase if (spread := self._rarity(spot[0], dutch)) is not None]
            if rare:
                found.append((min(rare), -len(phrase), place))
        told: set[str] = set()
        terms = []
        for _, _, place in sorted(found):
            words = phrases[place]
            if not all(_forms(spot[0], dutch) & told for spot in words):
                terms.append(b[words[0].start() : words[-1].end()])
            told.update(*(_forms(spot[0], dutch) for spot in words))
        return terms

    def _rarity(self, word: str, dutch: bool) -> int | None:
        """In how many texts a word occurs; None where it says nothing: too common, too short, a number."""
        telling = len(word) > 2 or (len(word) == 2 and (word.isupper() or not word.isalpha()))
        spread = max(self._spread[stem] for stem in _forms(word, dutch))
        common = spread > max(2, COMMON_SHARE * self._size)
        return None if common or not telling or word.isdigit() else spread


@lru_cache(maxsize=MANY)
def _is_dutch(text: str) -> bool:
    """Whether a text's function words are rather Dutch; False where it has too few to tell."""
    words = [fold(word) for word in _PART.findall(text)]
    return sum(word in _ONLY_DUTCH for word in words) > sum(word in _ONLY_ENGLISH for word in words)


@lru_cache(maxsize=MANY)
def _forms(word: str, dutch: bool) -> frozenset[str]:
    """A word's stems in all languages, for two texts may be in different ones; of a Dutch one in English too.

    An English word is never taken for a Dutch one ("slope"), nor a compound for one of its parts.
    """
    found = {stems([fold(word)], code)[0] for code in _ALGORITHM}
    english = tokens(english_gist(word)) if dutch else []
    return frozenset(found.union(stems(english, "en") if len(english) == 1 else ()))


@lru_cache(maxsize=MANY)
def _spots(text: str) -> list[re.Match[str]]:
    """Where the words of a text stand, without stop words; a compound in its parts."""
    return [spot for spot in _PART.finditer(text) if not _is_stop(spot[0])]


@lru_cache(maxsize=MANY)
def _is_stop(word: str) -> bool:
    return fold(word) in _STOP


@lru_cache(maxsize=MANY)
def _stems_and_pairs(text: str) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The stems of a text, and those that follow one another."""
    forms = [_forms(spot[0], _is_dutch(text)) for spot in _spots(text)]
    pairs = {(x, y) for one, two in pairwise(forms) for x in one for y in two}
    return frozenset().union(*forms), frozenset(pairs)
