"""How long commands take to start, beside an interpreter that does nothing: `make bench` prints it.

Usage: python tests/benchmarks/startup.py HOME (a home that holds a warehouse)
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15
FUNDMATCH = str(Path(sys.executable).with_name("fundmatch"))
HEAVY = ("torch", "prefect", "sentence_transformers", "scrapy", "faiss")


def seconds(command: list[str]) -> float:
    """Wall-clock seconds of one run; its output is thrown away."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def heavy_imports(arguments: list[str]) -> list[str]:
    """Heavy libraries that a command imports."""
    code = (
        "import sys, contextlib, io; from flows.cli import app\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    app({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.__stdout__)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found: list[str] = eval(done.stdout.splitlines()[-1])
    return found


def main(home: str) -> None:
    """Print medians, ratios and heavy imports, the commands taking turns in every round."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "fundmatch --help": [FUNDMATCH, "--help"],
        "fundmatch calls": [FUNDMATCH, "--home", home, "calls"],
        "fundmatch calls --json": [FUNDMATCH, "--home", home, "calls", "--json"],
        "fundmatch sources": [FUNDMATCH, "--home", home, "sources"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            taken[name].append(seconds(command))
    base = statistics.median(taken["python -c pass"])
    print(f"{'command':<24}{'median ms':>10}{'× python':>10}  imports of {', '.join(HEAVY)}")
    for name, times in taken.items():
        median = statistics.median(times)
        arguments = name.split()[1:]
        heavy = "" if name.startswith("python") else ", ".join(heavy_imports(_at(home, arguments))) or "none"
        print(f"{name:<24}{median * 1000:>10.0f}{median / base:>10.1f}  {heavy}")


def _at(home: str, arguments: list[str]) -> list[str]:
    return arguments if arguments == ["--help"] else ["--home", home, *arguments]


if __name__ == "__main__":
    main(sys.argv[1])
