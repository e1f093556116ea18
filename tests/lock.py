"""Writes requirements.lock anew: `make lock`, with UPGRADE=1 to the newest versions that fit pyproject.toml.

Every distribution is pinned, with the hash of each of its files, so that the lock holds on other platforms.
Pins that fit stay. The Python packages of CUDA are left out: torch's CPU build needs none of them.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
OLDEST = "3.11.5"  # Python
# what stands below a title is needed by those above, and no more than is needed: each part can be cut off
PARTS = {"Running": (), "Development": ("dev",), "JupyterLab": ("dev", "lab")}
OF_CUDA = ("nvidia-", "cuda-", "triton")
HEADER = """\
# Written by `make lock`. Every file of each version, by its SHA-256.
# Install with --require-hashes --no-deps; the parts are cut at their titles.
"""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def main() -> int:
    """Resolve, add what the index does not tell of torch, write. Status 0, or that of the resolver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    parser.add_argument("--keep", type=Path, default=LOCK, help="a file of pins to stay with")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        kept = args.keep if args.keep.exists() and not args.upgrade else None
        try:
            whole = compiled(work / "whole.txt", PARTS["JupyterLab"], kept, "--generate-hashes")
            pins = "".join(block.splitlines()[0].rstrip("\\ ") + "\n" for block in whole.values())
            (work / "pins.txt").write_text(pins, "utf-8")
            named = {
                title: compiled(work / f"{title}.txt", extras, work / "pins.txt")
                for title, extras in PARTS.items()
            }
        except subprocess.CalledProcessError as error:
            return int(error.returncode)
        whole["torch"] = with_hashes(whole["torch"], more_of_torch(whole["torch"], work))
    LOCK.write_text(as_text(whole, named), "utf-8")
    print(f"{LOCK.name}: {len(whole)} distributions")
    return 0


def compiled(out: Path, extras: tuple[str, ...], kept: Path | None, *options: str) -> dict[str, str]:
    """What uv resolves for all platforms, as blocks of lines by name, without CUDA."""
    if kept:
        out.write_text(kept.read_text("utf-8"), "utf-8")  # uv stays with the pins of the file it writes
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal", "--quiet"]
    command += ["--python-version", OLDEST, "--no-annotate", "--no-header", "--output-file", str(out)]
    command += [part for extra in extras for part in ("--extra", extra)]
    subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    blocks = re.split(r"^(?=\S)", out.read_text("utf-8"), flags=re.MULTILINE)
    found = {match[1]: block for block in blocks if (match := _PIN.match(block))}
    return {name: block for name, block in found.items() if not name.startswith(OF_CUDA)}


def more_of_torch(block: str, work: Path) -> set[str]:
    """Hashes of torch that the index does not have: those the lock has of this version, and pip's own choice.

    PyTorch's CPU builds lie on an index or in a folder that pip is told of and uv is not.
    """
    pin = block.split()[0]
    old = re.search(
        rf"^{re.escape(pin)} .*\n(?:    .*\n)*", LOCK.read_text("utf-8") if LOCK.exists() else "", re.M
    )
    hashes = set(re.findall(r"sha256:([0-9a-f]{64})", old[0])) if old else set()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work / "torch")]
    subprocess.run([*command, pin], check=True)
    return hashes | {hashlib.sha256(file.read_bytes()).hexdigest() for file in (work / "torch").iterdir()}


def with_hashes(block: str, more: set[str]) -> str:
    """A block of the lock with these hashes too."""
    first = block.splitlines()[0].rstrip("\\ ")
    hashes = sorted({*more, *re.findall(r"sha256:([0-9a-f]{64})", block)})
    return " \\\n".join([first, *(f"    --hash=sha256:{value}" for value in hashes)]) + "\n"


def as_text(whole: dict[str, str], named: dict[str, dict[str, str]]) -> str:
    """The lock: each distribution once, in the first part that needs it."""
    lines, written = [HEADER], set[str]()
    for title, names in named.items():
        lines.append(f"\n# {title}\n")
        lines += [whole[name] for name in names if name not in written]
        written |= names.keys()
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
