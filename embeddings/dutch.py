"""Dutch texts as English content words, by a glossary and the rules of word building.

A word is looked up as it is, then by its lemma (plurals, adjectives, verb forms, diminutives), then by the
parts of a compound. A word of the international vocabulary that is not found is respelt by rule; any other
word stays as it is printed.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import Stemmer

GLOSSARY = Path(__file__).with_name("dutch.tsv")
NO_MEANING = "-"  # the glossary's mark of a word that tells nothing about a text's subject
LONGEST = 48  # letters; what is longer is no Dutch word
SHORTEST = 3  # letters of a compound's part
LEAST_UNKNOWN = 5  # letters of a part that is not known; what is shorter is rather an ending
MANY = 1 << 15  # words remembered

_WORD = re.compile(r"[^\W_]+(?:['.-][^\W_]+)*")
_SHORT = re.compile(r"(?:^|[^aeiou])[aeiou][bdfgklmnprst]$")  # a closed syllable: las(sen)
_OPEN = re.compile(r"(?:^|[^aeou])([aeou])[bdfgklmnprstvz]$")  # an open syllable's stem: grot(e) for groot
_LONG = re.compile(r"([aeou])\1[bdfgklmnprstvz]$")  # maak(t) for maken
_ENGLISH = re.compile(r"(?:tion|sion|ity|logy|graphy|ness|ous|able|ated|i[sz]ed|i[sz]ing|ary|ance|ence)s?$")
_COINED = re.compile(r"is(?:atie|ering|eren|eert)")  # robotisatie is one word, not robot and a rest
_VOICED = {"v": "f", "z": "s"}
_VOICELESS = {"f": "v", "s": "z"}
_LINKS = ("s", "en", "e", "n")
_PARTICLES = (
    "aan achter af bij door in mee na neer om onder op over samen terug toe uit vast voor weg".split()
)
_DIMINUTIVES = ("etjes", "etje", "tjes", "pjes", "kjes", "jes", "tje", "pje", "kje", "je")
_NOMINAL = ("en", "s", "'s", "e", "n", "er", "ere", "ers", "st", "ste", "heid", *_DIMINUTIVES)
_VERBAL = (
    *("", "t", "d", "te", "de", "ten", "den", "en", "end", "ende"),
    *("ing", "ingen", "er", "ers", "baar", "bare"),
)
_PARTICIPLE = ("t", "d", "te", "de", "en", "ene")

# Endings and roots of the international vocabulary, "Dutch:English"; the first ending that fits is respelt.
_ENDINGS = """
    iser(?:ing|ingen):isation iseren|iseert|iseerde?:ise ificer(?:en|ing):ify uleren|uleert:ulate
    uler(?:ing|ingen):ulation enties?:ence anties?:ance aties?:ation ties?:tion sies?:sion itei(?:t|ten):ity
    logische?:logical logie|logieen:logy grafie:graphy metrie:metry nomie:nomy urgie:urgy therapie:therapy
    ische?:ic ieke?:ic ica:ics isme:ism ieel|iele:ial eel|ele:al aal|ale:al ief|ieve:ive air|aire:ary
    abele?:able ibele?:ible eus|euze:ous oren:ors eurs?:or aat|aten:ate
"""
_ROOTS = """
    ektr:ectr ^kwa:qua ^fys:phys ^foto(?=.{3}):photo ^fosf:phosph ^farma:pharma ^krist:cryst
    ^k(?=linis|ardi|osm|omp|onv|ata|atal):c ^akoe:acou graaf$:graph
"""
_ENDING_RULES = [
    (re.compile(f"(?:{nl})$"), en) for nl, _, en in (r.rpartition(":") for r in _ENDINGS.split())
]
_ROOT_RULES = [(re.compile(nl), en) for nl, _, en in (rule.rpartition(":") for rule in _ROOTS.split())]


class _Split(NamedTuple):
    """A way to cut a word up to some letter; the least is the best."""

    unknown: int
    parts: int
    guesses: int
    short: int
    words: tuple[str, ...]


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in apart if not unicodedata.combining(character))


def english_gist(text: str) -> str:
    """The English content words of a Dutch text, in its order, with single spaces; "" where there are none.

    Function words are left out. Words that are not known stay as printed. Any text is taken.
    """
    words = _joined(_WORD.findall(unicodedata.normalize("NFKC", text).replace("’", "'")))
    stems = [_stem(word) if len(word) <= LONGEST else word for word in words]
    found: list[str] = []
    place = 0
    while place < len(words):
        size, english = _phrase(stems, place)
        if not size:
            word = words[place]
            size, english = 1, _english(word) if len(word) <= LONGEST else word
        if english and found[-1:] != [english]:
            found.append(english)
        place += size
    return " ".join(found)


@cache
def glossary_id() -> str:
    """What tells this glossary and its rules from any other: eight hexadecimal digits."""
    return hashlib.sha256(GLOSSARY.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:8]


@cache
def _glossary() -> dict[str, str]:
    """Folded Dutch words, phrases and endings ("-arm") with their English; "" for what has no meaning."""
    rows = (line.split("\t") for line in GLOSSARY.read_text("utf-8").splitlines())
    return {fold(dutch): "" if english == NO_MEANING else english for dutch, english in rows}


@cache
def _phrases() -> dict[str, list[tuple[list[str], str]]]:
    """By the first stem: the stems of each phrase and its English, the longest first."""
    found: dict[str, list[tuple[list[str], str]]] = {}
    for dutch, english in _glossary().items():
        stems = [_stem(word) for word in _WORD.findall(dutch)]
        if len(stems) > 1:
            found.setdefault(stems[0], []).append((stems, english))
    for phrases in found.values():
        phrases.sort(key=lambda phrase: (-len(phrase[0]), phrase))
    return found


def _phrase(stems: list[str], place: int) -> tuple[int, str]:
    """How many words from `place` on are a phrase, and its English; (0, "") where none begins."""
    for phrase, english in _phrases().get(stems[place], ()):
        if stems[place : place + len(phrase)] == phrase:
            return len(phrase), english
    return 0, ""


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)


@lru_cache(maxsize=MANY)
def _stem(word: str) -> str:
    return str(_stemmer("dutch").stemWord(fold(word)))


def _joined(words: list[str]) -> list[str]:
    """Separable verbs in one: "op te slaan" as "opslaan"."""
    found: list[str] = []
    place = 0
    while place < len(words):
        size = 1
        if words[place + 1 : place + 2] == ["te"] and words[place] in _PARTICLES and place + 2 < len(words):
            verb = words[place] + words[place + 2]
            size = 3 if len(verb) <= LONGEST and _lemma(fold(verb)) else 1
        found.append(verb if size == 3 else words[place])
        place += size
    return found


@lru_cache(maxsize=MANY)
def _english(word: str) -> str:
    """A word's English, "" where it has no meaning, the word itself where it is not known."""
    key = fold(word)
    lemma = _lemma(key)
    if lemma is not None:
        return _glossary()[lemma]
    if "-" in key:
        return " ".join(filter(None, map(_english, filter(None, word.split("-")))))
    if not key.isalpha() or not key.isascii() or _ENGLISH.search(key):
        return word
    split = _split(key, unknown=False) or (() if _COINED.search(key) else _split(key, unknown=True))
    if not split:
        return _cognate(key) or word
    glossary = _glossary()
    found = (glossary[part] if part in glossary else _cognate(part) or part for part in split)
    return " ".join(filter(None, found))


@lru_cache(maxsize=MANY)
def _lemma(key: str) -> str | None:
    """The glossary's word that a folded word is a form of; None where there is none."""
    glossary = _glossary()
    if key in glossary:
        return key
    if len(key) <= SHORTEST or not key.isascii():
        return None
    return next((base for base in _bases(key) if len(base) >= SHORTEST and glossary.get(base)), None)


def _bases(key: str) -> Iterator[str]:
    """What a word may be a form of, the likeliest first."""
    for ending in _NOMINAL:
        if key.endswith(ending):
            yield from _spellings(key[: -len(ending)])
    for ending in _VERBAL:
        if key.endswith(ending):
            yield from _infinitives(key[: len(key) - len(ending)])
    if "ge" not in key:
        return
    for ending in _PARTICIPLE:
        for particle in ("", *_PARTICLES):
            if key.startswith(f"{particle}ge") and key.endswith(ending):
                stem = key[len(particle) + 2 : -len(ending)]
                yield from (particle + verb for verb in _infinitives(stem))


def _spellings(stem: str) -> Iterator[str]:
    """How a stem is written without an ending: machin machine, slimm slim, grot groot, bedrijv bedrijf."""
    yield stem
    yield f"{stem}e"
    if stem[-2:-1] == stem[-1:]:
        yield stem[:-1]
    last = _VOICED.get(stem[-1:], stem[-1:])
    yield stem[:-1] + last
    if _OPEN.search(stem):
        yield stem[:-1] + stem[-2] + last


def _infinitives(stem: str) -> Iterator[str]:
    """The infinitives a verb's stem may have: werk(en), las(sen), maak (maken), leef (leven)."""
    if len(stem) < SHORTEST:
        return
    if _SHORT.search(stem):
        yield f"{stem}{stem[-1]}en"
    yield f"{stem}en"
    last = _VOICELESS.get(stem[-1], stem[-1])
    if _LONG.search(stem):
        yield f"{stem[:-2]}{last}en"
    yield f"{stem[:-1]}{last}en"
    yield f"{stem}n"


@lru_cache(maxsize=MANY)
def _split(word: str, *, unknown: bool) -> tuple[str, ...]:
    """The fewest known parts that make up a folded word, as lemmas; empty where they do not.

    With `unknown`, one part that is not known is kept as it is beside known ones of which one is long.
    """
    if not (word.isalpha() and word.isascii()) or len(word) < 2 * SHORTEST:
        return ()
    best: dict[int, _Split] = {0: _Split(0, 0, 0, 0, ())}
    for end in range(SHORTEST, len(word) + 1):
        for start in [place for place in best if place <= end - SHORTEST and end - place < len(word)]:
            before = best[start]
            piece = word[start:end]
            part = _tail(piece) if end == len(word) and start else _front(piece)
            if unknown and part != piece:  # beside what is unknown, nothing is inferred
                part = None
            if part is None and (not unknown or before.unknown or len(piece) < LEAST_UNKNOWN):
                continue
            way = _Split(
                before.unknown + (len(piece) if part is None else 0),
                before.parts + 1,
                before.guesses + (part != piece),
                before.short + (len(piece) <= SHORTEST),
                (*before.words, part or piece),
            )
            best[end] = min(best.get(end, way), way)
    found = best.get(len(word))
    if found is None or found.parts < 2:
        return ()
    long = any(len(part) > SHORTEST + 1 and part in _glossary() for part in found.words)
    return found.words if not found.unknown or long else ()


@lru_cache(maxsize=MANY)
def _front(piece: str) -> str | None:
    """The lemma of a part that others follow: as it is, before a linking sound, or as a verb's stem."""
    glossary = _glossary()
    if glossary.get(piece):
        return piece
    for link in _LINKS:
        bases = _spellings(piece[: -len(link)]) if piece.endswith(link) else ()
        for base in bases:
            if len(base) >= SHORTEST and glossary.get(base):
                return base
    verbs = _infinitives(piece) if len(piece) > SHORTEST else ()
    return next((verb for verb in verbs if glossary.get(verb)), None)


@lru_cache(maxsize=MANY)
def _tail(piece: str) -> str | None:
    """The lemma of a compound's last part, or an ending that makes adjectives, as "-arm"."""
    glossary = _glossary()
    bases = chain([piece], _spellings(piece[:-1]) if piece.endswith("e") else ())
    ending = next((base for base in bases if f"-{base}" in glossary), None)
    if ending:
        return f"-{ending}"
    lemma = _lemma(piece)
    return lemma if lemma and glossary[lemma] else None


def _cognate(key: str) -> str | None:
    """The English spelling of an international word that only ends or begins in a Dutch way."""
    if len(key) <= SHORTEST + 2:
        return None
    found = next((rule.sub(english, key) for rule, english in _ENDING_RULES if rule.search(key)), key)
    for rule, english in _ROOT_RULES:
        found = rule.sub(english, found)
    return found if found != key else None
