"""How the cost of a week grows, and what Dask workers are worth: `make bench-growth`, on a home with a run.

Growth: the calls and profiles of the home, multiplied; each stage as its own function, its time fitted by a
power of the count (least squares of the logarithms). Vectors are synthetic, in clusters, so that nothing is
encoded. Workers: one job, texts encoded that nobody knows and profiles matched, by this process and by 1, 2
and 4 processes of one thread each; results must be the same to the last digit.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import faiss
import numpy as np
from match import clustered

from crawlers.source import source_class
from embeddings.encode import Encoder
from embeddings.index import PassageIndex
from embeddings.lexical import LexicalIndex
from flows.corpus import Corpus, Memory, corpus, encoder_for, passages_of_calls
from flows.engine import server
from flows.home import Home
from flows.memory import peak_memory_mib
from flows.shards import Engine, Here, Matches, encode_elsewhere, match_in_shards
from pipeline.deadlines import may_be_open
from pipeline.match import lexical_text
from pipeline.normalise import normalise
from pipeline.schema import Call, Match, Profile, RawCall, Run
from warehouse.build import Week, build
from warehouse.records import open_records

CALLS, PROFILES, FEW = (1_000, 10_000, 30_000, 100_000), (100, 300, 1_000), 100
RAW, BUILT = (1_000, 3_000, 10_000), (1_000, 3_000, 10_000)
TEXTS, MATCHED, WORKERS = 640, 200, (1, 2, 4)


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The power of the size that time grows with."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def told(what: str, sizes: Sequence[int], seconds: Sequence[float]) -> None:
    cells = ", ".join(f"{size:,}: {each:.2f}" for size, each in zip(sizes, seconds, strict=True))
    print(f"{what}: {cells} s; exponent {exponent(sizes, seconds):.2f}", flush=True)


def many_calls(base: Sequence[Call], count: int) -> list[Call]:
    return [base[n % len(base)].model_copy(update={"call_id": f"x:{n}"}) for n in range(count)]


def many_profiles(base: Sequence[Profile], count: int) -> list[Profile]:
    return [base[n % len(base)].model_copy(update={"id": f"p{n}", "pic": None}) for n in range(count)]


def made(base: Sequence[Call], count: int, encoder: Encoder) -> Corpus:
    """A corpus of so many calls with synthetic vectors."""
    calls = many_calls(base, count)
    passages = passages_of_calls(calls, encoder)
    index = faiss.IndexFlatIP(encoder.dimension)
    index.add(clustered(len(passages), 1))
    numbers = {call.call_id: n for n, call in enumerate(calls)}
    owner = np.array([numbers[passage.call_id] for passage in passages])
    starts = np.searchsorted(owner, np.arange(count + 1))
    lexical = LexicalIndex([lexical_text(c) for c in calls], [c.language for c in calls])
    grouped = PassageIndex(index, []).grouped(range(len(passages)), starts[:-1].tolist())
    return Corpus(calls, passages, lexical, encoder, starts, grouped, Memory())


def match(found: Corpus, profiles: Sequence[Profile], day: date, engine: Engine) -> Matches:
    with tempfile.TemporaryDirectory() as folder:
        return match_in_shards(found, profiles, day, Path(folder), engine, lambda done, total: None)


def growth(home: Home, calls: list[Call], raw: list[RawCall], profiles: list[Profile], day: date) -> None:
    encoder = encoder_for(home, None)
    few = many_profiles(profiles, FEW)
    match(made(calls, 500, encoder), few, day, Here())  # what is remembered of words is not what is measured
    typed(raw, len(raw), day)
    seconds, prepared = [], []
    for count in CALLS:
        begun = time.perf_counter()
        found = made(calls, count, encoder)
        prepared.append(time.perf_counter() - begun)
        seconds.append(timed(lambda found=found: match(found, few, day, Here())))  # type: ignore[misc]
    told("passages and words of calls, ready to be searched", CALLS, prepared)
    told(f"match {FEW} profiles by calls", CALLS, seconds)
    found = made(calls, 500, encoder)
    rows = [timed(lambda n=n: match(found, many_profiles(profiles, n), day, Here())) for n in PROFILES]  # type: ignore[misc]
    told("match profiles by 500 calls", PROFILES, rows)
    told("read and type records", RAW, [timed(lambda n=n: typed(raw, n, day)) for n in RAW])  # type: ignore[misc]
    told(
        "build the warehouse, 10 calls a profile with 50 matches",
        BUILT,
        [built(calls, profiles, n, day) for n in BUILT],
    )
    print(f"peak memory of all that {peak_memory_mib():.0f} MiB", flush=True)


def typed(raw: list[RawCall], count: int, day: date) -> None:
    for n in range(count):
        about = source_class(raw[n % len(raw)].source)
        try:
            normalise(raw[n % len(raw)], level=about.level, as_of=day, zone=about.zone, prose=about.prose)
        except ValueError:
            continue


def built(calls: list[Call], profiles: list[Profile], count: int, day: date) -> float:
    some, clients = many_calls(calls, count), many_profiles(profiles, count // 10)
    with tempfile.TemporaryDirectory() as folder:
        found = matches_of(some, clients)
        run = Run(run_id="r", as_of=day, mode="replay", started_at="2026-06-15T05:00:00Z", model="m")  # type: ignore[arg-type]
        week = Week(run=run, calls=some, profiles=clients, matches=found)
        return timed(lambda: build(week, Path(folder) / "w.duckdb", None))


def matches_of(calls: list[Call], profiles: list[Profile]) -> list[Match]:
    blank = {"confidence": "low", "eligibility": {"verdict": "unknown", "rules": []}, "percentile": 50.0}
    return [
        Match.model_validate(
            blank
            | {
                "evidence": [],
                "profile_id": p.id,
                "call_id": calls[n].call_id,
                "rank": n + 1,
                "score": 0.5,
                "reasons": ["Close."],
            }
        )
        for p in profiles
        for n in range(50)
    ]


def workers(home: Home, calls: list[Call], profiles: list[Profile], day: date) -> None:
    from flows.cluster import cluster

    some = many_profiles(profiles, MATCHED)
    words = " ".join(section.text for call in calls for section in call.sections).split()
    pick = random.Random(1)
    texts = [" ".join(pick.choices(words, k=150)) for _ in range(TEXTS)]
    shown = encoder_for(home, None)
    found = corpus(calls, shown, home, day)
    found.settle(some)
    first: dict[str, float] = {}
    expected: object = None
    for count in (0, *WORKERS):
        with tempfile.TemporaryDirectory() as folder, cluster(None, count or 1) as there:
            engine: Engine = there if count else Here()
            encoder = Encoder(cache_dir=Path(folder))
            if count:
                encode_elsewhere(encoder, engine)
                for _ in range(2):  # a worker that has not loaded yet is not what is measured
                    encoder.encode([f"{n} warm" for n in range(300 * count)], kind="passage")
            vectors: list[bytes] = []
            encoding = timed(lambda e=encoder, v=vectors: v.append(e.encode(texts, kind="passage").tobytes()))  # type: ignore[misc]
            matched: list[str] = []
            begun = time.perf_counter()
            with tempfile.TemporaryDirectory() as shards:
                done = match_in_shards(found, some, day, Path(shards), engine, lambda a, b: None)
                matching = time.perf_counter() - begun
                matched = [m.model_dump_json() for m in done]
            result = (vectors, matched)
            expected = expected or result
            first.setdefault(f"{bool(count)}", encoding + matching)
            gain = first[f"{bool(count)}"] / (encoding + matching)
            memory = ", ".join(f"{m:.0f}" for m in (there.memory_mib() if count else [peak_memory_mib()]))
            name = f"{count} workers" if count else "this process"
            print(
                f"{name}: encode {encoding:.1f} s, match {matching:.1f} s; {gain:.2f} of one worker's pace, "
                f"efficiency {gain / max(count, 1):.2f}; MiB {memory}; the same to the last digit: "
                f"{result == expected}",
                flush=True,
            )


def main() -> None:
    """Print both."""
    home = Home(Path(sys.argv[1]))
    with open_records(home.warehouse) as warehouse:
        day = warehouse.day()
        calls = [call for call in warehouse.call_records() if may_be_open(call, day)]
        raw = [
            r for name in ("eu_portal", "rvo", "snn", "nwo", "interreg") for r in warehouse.raw_calls(name)
        ]
        profiles = warehouse.profile_records()
    print(
        f"{len(os.sched_getaffinity(0))} cores; {len(calls)} open calls, {len(profiles)} profiles, multiplied"
    )
    growth(home, calls, raw, profiles, day)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "prefect") as ready:
        ready()
        workers(home, calls, profiles, day)


if __name__ == "__main__":
    main()
