"""How often a profile finds its own call first, by language: 60 subjects, each told in Dutch and in English.

Usage: python tests/benchmarks/languages.py. Reads tests/truth/pairs.yml, whose author knew neither glossary
nor code. "Mixed" has the Dutch and the English calls in one corpus.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import yaml

from embeddings.encode import Encoder
from embeddings.lexical import LexicalIndex
from pipeline.match import DENSE_WEIGHT, Similarity, mixed_scores

PAIRS = Path(__file__).parent.parent / "truth" / "pairs.yml"
LANGUAGES = ("nl", "en")


def recalls(encoder: Encoder, dense_weight: float = DENSE_WEIGHT) -> dict[str, float]:
    """Recall@1 by "profile → calls" as `match` scores them, and the mixed corpus's figures."""
    pairs = yaml.safe_load(PAIRS.read_text("utf-8"))
    calls = {
        code: [f"{p[f'call_{code}']['title']}. {p[f'call_{code}']['text']}" for p in pairs]
        for code in LANGUAGES
    }
    found = {}
    for mine in LANGUAGES:
        profiles = [pair[f"profile_{mine}"] for pair in pairs]
        queries = encoder.encode(profiles, kind="query", languages=[mine] * len(pairs))
        for theirs in (("nl",), ("en",), LANGUAGES):
            texts = [text for code in theirs for text in calls[code]]
            spoken = [code for code in theirs for _ in pairs]
            cosines = queries @ encoder.encode(texts, kind="passage", languages=spoken).T
            lexical = LexicalIndex(texts, spoken)
            scores = np.array(
                [
                    mixed_scores(
                        Similarity(row[None], lexical.scores(profile, mine)),
                        np.arange(len(texts)),
                        len(texts),
                        dense_weight,
                    )
                    for profile, row in zip(profiles, cosines, strict=True)
                ]
            )
            best = np.argsort(-scores, axis=1, kind="stable")
            right = best[:, 0] % len(pairs) == np.arange(len(pairs))
            name = f"{mine} → {theirs[0] if len(theirs) == 1 else 'mixed'}"
            found[name] = float(right.mean())
            if len(theirs) > 1:
                found[f"{name}, Dutch in the top five"] = float((best[:, :5] < len(pairs)).mean())
    return found


def main() -> None:
    """Print the figures with and without the glossary, and for other weights."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(cache_dir=Path(folder))
        rows = {f"glossary, dense {w:.2f}": recalls(encoder, w) for w in (1.0, 0.95, DENSE_WEIGHT, 0.8, 0.5)}
        encoder.glosses = False
        rows = {"model alone, no glossary": recalls(encoder, 1.0)} | rows
    print(f"{'':28}" + "".join(f"{name:>12}" for name in next(iter(rows.values())) if "," not in name))
    for title, told in rows.items():
        print(f"{title:28}" + "".join(f"{value:>12.3f}" for name, value in told.items() if "," not in name))
        shares = [f"{name} {value:.2f}" for name, value in told.items() if "," in name]
        print(f"{'':28}   {'; '.join(shares)}")


if __name__ == "__main__":
    main()
