"""Running text: where its sentences end, and which language it is in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

Language = Literal["nl", "fy", "en", "de"]

_BREAK = re.compile(r"(?<=[.!?;])\s+(?=[A-ZÀ-Þ(\[])|\n+")
# Abbreviations that are seldom the last word of a sentence ("art." and "no." often are, in English).
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:bijv|nrs?|incl|excl|inkl|resp|ca|stb|stcrt|approx|bzw|ggf|evtl|e\.g|i\.e|d\.d"
    r"|o\.a|i\.v\.m|m\.b\.t|m\.u\.v|i\.p\.v|t\.b\.v|d\.w\.z|a\.d\.h\.v|z\.\s?b|u\.\s?a)\.$",
    re.IGNORECASE,
)
# Words that one of the four languages has and the others have not, or seldom.
_FUNCTION_WORDS: dict[Language, str] = {
    "nl": "het een van voor niet wordt worden deze aan ook naar bij uit uw met door zijn kunt hebben onze",
    "fy": "it fan foar net wurdt wurde dizze oan ek nei út jo mei troch binne hawwe kinne wy yn kin oant sy",
    "en": "the and to for with are be this that from will or which must can may your their",
    "de": "der das und für mit ist sind wird werden nicht von zu dem ein eine auf auch oder im zur zum sie",
}
_LANGUAGE_OF = {word: language for language, words in _FUNCTION_WORDS.items() for word in words.split()}
_WORD = re.compile(r"[^\W\d_]+")
FEWEST_WORDS = 8
LONGEST_CLAUSE = 2_000
_GLUED = re.compile(r"(?<=[a-zà-ÿ)\]][.!?;])(?=[A-ZÀ-Þ][a-zà-ÿ])")


@lru_cache(maxsize=1 << 14)
def sentences(text: str) -> tuple[str, ...]:
    """Sentences and list items of a text, trimmed, none empty."""
    found, start = [], 0
    for gap in _BREAK.finditer(text):
        if "\n" not in gap[0] and _ABBREVIATED.search(text, max(start, gap.start() - 12), gap.start()):
            continue
        found.append(text[start : gap.start()].strip())
        start = gap.end()
    found.append(text[start:].strip())
    return tuple(sentence for sentence in found if sentence)


def cut(text: str, characters: int) -> str:
    """The text, or as many whole words of its beginning as fit."""
    return text if len(text) <= characters else text[:characters].rsplit(" ", 1)[0] + " …"


def clauses(texts: Iterable[str]) -> Iterator[str]:
    """Single-spaced sentences, also those with no space between; what is too long to be one is left out."""
    for sentence in (s for text in texts for s in sentences(text)):
        for clause in _GLUED.split(sentence):
            if len(clause) <= LONGEST_CLAUSE:
                yield " ".join(clause.split())


def language_of(text: str) -> Language | None:
    """The language of a text by its function words; None where it is short or mixed."""
    words = _WORD.findall(text.lower())
    counts = dict.fromkeys(_FUNCTION_WORDS, 0)
    for word in words:
        if language := _LANGUAGE_OF.get(word):
            counts[language] += 1
    (most, language), (second, _) = sorted(((n, name) for name, n in counts.items()), reverse=True)[:2]
    return language if len(words) >= FEWEST_WORDS and most >= 3 and most >= 4 * second else None
