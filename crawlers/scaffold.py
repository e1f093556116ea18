"""A new source to begin from: a spider that works, pages it reads, and an expectation that fails until true.

`make new-source NAME=example HOST=www.example.org LEVEL=regional`
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from string import Template
from typing import get_args

from pipeline.schema import Level

_SPIDER = Template('''"""$title: say in a sentence what is read here, and how."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from crawlers.reading import Unreadable, clean, headed, labelled, links, one, parsed
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, RawCall

LISTING = "https://$host/calls"


class $class_name(Source):
    """Reads the listing, then each call's page."""

    name = "$name"
    level: ClassVar[Level] = "$level"
    home = "https://$host/"
    hosts = ("$host",)
    expect = Expect(min_records=1, fill={"title": 1.0})  # what a healthy crawl looks like

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every call once, and what was odd."""
        try:
            text, _ = await self.text(LISTING)
            pages = read_listing(text, LISTING)
        except (FetchError, Unreadable) as error:
            yield self.issue("error", "no_listing", str(error))
            return
        async for item in self.records(pages, read_page):
            yield item


def read_listing(html: str, url: str) -> list[tuple[str, str]]:
    """(key, address) of each call. Raises Unreadable where there is none: an empty listing is a fault."""
    found = [link for link in links(one(parsed(html, "main"), "main"), url) if "/calls/" in link]
    if not found:
        raise Unreadable("no call in the listing")
    return [(link.rstrip("/").rsplit("/", 1)[-1], link) for link in found]


def read_page(html: str, url: str) -> dict[str, Any]:
    """One call's page as raw fields, words as printed. Raises Unreadable."""
    main = one(parsed(html, "main"), "main")
    title = clean(one(main, "h1").get_text(" "))
    return {
        "title": title,
        "url": url,
        "language": "en",
        "facts": labelled(main),
        "sections": headed(main, drop="h1, dl, nav"),
    }
''')
_LISTING = Template("""<!doctype html>
<html lang="en"><body>
<main><h1>Calls</h1><ul><li><a href="/calls/first-call">First call</a></li></ul></main>
</body></html>
""")
_PAGE = """<!doctype html>
<html lang="en"><body>
<main>
<h1>First call</h1>
<dl><dt>Deadline</dt><dd>15 September 2026</dd><dt>Maximum grant</dt><dd>EUR 50,000</dd></dl>
<h2>What it is for</h2>
<p>Write a page in your own words, in the true shape of the site.</p>
</main>
</body></html>
"""
_EXPECTED = Template("""\
# What a person reads in crawlers/samples/$name. Complete it; or delete this file and run the
# test, which then writes what the spider reads, for you to compare with the pages.
calls:
  $name:first-call: {title: "REPLACE: what the page says"}
issues: {}
""")


def scaffold(root: Path, name: str, host: str, level: str) -> list[Path]:
    """Write the files of a new source below `root`. Raises ValueError, before anything is written, where the
    name, host or level cannot be, or a file is there already."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name):
        raise ValueError(f"NAME={name!r}: use lower case letters, digits and underscores, such as my_source")
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
        raise ValueError(f"HOST={host!r}: give the host alone, such as www.example.org")
    if level not in get_args(Level):
        raise ValueError(f"LEVEL={level!r}: use {', '.join(get_args(Level))}")
    words = {
        "name": name,
        "host": host,
        "level": level,
        "title": name.replace("_", " ").capitalize(),
        "class_name": name.title().replace("_", ""),
    }
    samples = root / "crawlers" / "samples" / name
    files = {
        root / "crawlers" / "sources" / f"{name}.py": _SPIDER.substitute(words),
        samples / "listing.json": _exchange(f"https://{host}/calls", "listing.html"),
        samples / "listing.html": _LISTING.substitute(words),
        samples / "first-call.json": _exchange(f"https://{host}/calls/first-call", "first-call.html"),
        samples / "first-call.html": _PAGE,
        root / "tests" / "expected" / f"{name}.yml": _EXPECTED.substitute(words),
    }
    there = [str(file) for file in files if file.exists()]
    if there:
        raise ValueError(f"{', '.join(there)}: there already; nothing was written")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return list(files)


def _exchange(url: str, file: str) -> str:
    exchange = {
        "request": {"method": "GET", "url": url},
        "fetched_at": "2026-06-15T04:00:00+00:00",
        "response": {"status": 200, "headers": {"Content-Type": "text/html; charset=utf-8"}, "file": file},
    }
    return json.dumps(exchange, indent=1) + "\n"


def main() -> int:
    """Write the files and say what comes next. Status 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m crawlers.scaffold", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("host")
    parser.add_argument("level")
    args = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        files = scaffold(root, args.name, args.host, args.level)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(str(file.relative_to(root)) for file in files))
    print(
        f"Now: .venv/bin/python -m pytest tests/test_sources.py -k {args.name}   (it fails until it is true)"
    )
    print("Then read docs/add-a-source.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
