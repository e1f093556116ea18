"""SNN, the front desk of the three northern provinces: business schemes, read off its web pages.

There is no API. A scheme has had three addresses over the years, and sub-pages that repeat its head: records
are known by title and year. What most pages repeat (strategy, contact) is no text of a scheme.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from bs4 import Tag

from crawlers.reading import Unreadable, clean, headed, html_to_text, links, one, parsed, sitemap
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

SITE = "https://www.snn.nl"
LISTING = f"{SITE}/zakelijke-subsidies"
SITEMAP = f"{SITE}/sitemap.xml"
MOST_PAGES = 30  # of the listing
GENERATIONS = ("zakelijke-subsidies", "ondernemers", "alle-subsidies")  # newest first
AMOUNT = r"(?:€|EUR|\d).*"
HEAD = {  # printed label → what its value looks like; anything else behind the label is a sentence
    "Locatie": r"[A-Z][^.€]{2,80}$",
    "Maximaal bedrag": AMOUNT,
    "Maximale subsidie": AMOUNT,
    "Resterend budget": AMOUNT,
    "Subsidiepercentage": AMOUNT,
    "Besluit op aanvraag": r"\d+ \w+",
    "Status": r"(?i:aanvragen|loket|open|opent|gesloten|binnenkort|tijdelijk|nog|niet|verwacht|budget)\b",
}
Sections = list[dict[str, str]]
_SCHEME = re.compile(rf"/({'|'.join(GENERATIONS)})/((?!\S*veelgestelde-vragen)[a-z0-9-]+)/?$")
_FAQ = re.compile(r"/([a-z0-9-]+)[/-]veelgestelde-vragen/?$")
_DAY = re.compile(r"\d{1,2} [a-z]+ \d{4}(?: \d\d[:.]\d\d)?(?: uur)?\.?$")
_OLD_STATUS = re.compile(r"(?:aanvragen (?:niet meer )?mogelijk|loket (?:open|gesloten))\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)20\d\d(?!\d)")
_CITED = re.compile(
    r"https?://(?:[^/]+\.)?(?:officielebekendmakingen\.nl|overheid\.nl|rvo\.nl|provinciegroningen\.nl"
    r"|provincie\.drenthe\.nl|fryslan\.frl)(?:[/?]|$)"
)
_FURNITURE = frozenset({"nav", "footer", "form", "dialog"})
_FURNITURE_ROLES = frozenset({"navigation", "dialog", "contentinfo"})


class Snn(Source):
    """Reads every scheme that the listing or the sitemap knows, with its questions and answers."""

    name = "snn"
    level: ClassVar[Level] = "regional"
    home = LISTING
    hosts = ("www.snn.nl", "snn.nl")
    zone = "Europe/Amsterdam"
    expect = Expect(min_records=4, fill={"title": 1.0, "sections": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every scheme once, without what most of them repeat."""
        listed: list[str] = []
        mapped: list[str] = []
        try:
            await self._list(listed)
        except (FetchError, Unreadable) as error:
            yield self.issue("error", "listing_unreadable", f"{LISTING}: {error}")
        try:
            mapped = read_sitemap((await self.text(SITEMAP))[0])
        except (FetchError, Unreadable) as error:
            yield self.issue("error", "no_sitemap", f"{SITEMAP}: {error}")
        found: dict[str, tuple[dict[str, Any], list[Page]]] = {}
        for path in newest([*listed, *mapped]):
            async for issue in self._read(path, mapped, found):
                yield issue
        kept = without_boilerplate([fields["sections"] for fields, _ in found.values()])
        for (key, (fields, pages)), sections in zip(found.items(), kept, strict=True):
            fields = fields | {"sections": sections}
            yield RawCall(source=self.name, key=key, fields=fields, pages=tuple(pages))

    async def _list(self, paths: list[str]) -> None:
        """Add the paths that the listing links to, page by page."""
        url: str | None = LISTING
        for _ in range(MOST_PAGES):
            if url:
                found, url = read_listing((await self.text(url))[0], url)
                paths += found

    async def _read(
        self, path: str, mapped: Iterable[str], found: dict[str, tuple[dict[str, Any], list[Page]]]
    ) -> AsyncIterator[Issue]:
        """Add the scheme at `path` to what was `found`, unless it is there under another address."""
        slug = path.rstrip("/").rsplit("/", 1)[1]
        try:
            text, page = await self.text(SITE + path)
            at = _SCHEME.search(urlsplit(page.url).path)
            if not at:
                yield self.issue("info", "moved_away", f"{path} leads to {page.url}, no scheme's page", slug)
                return
            fields, faqs = read_scheme(text, f"{SITE}{at[0]}")
        except FetchError as error:
            yield self.missing(error, slug)
            return
        except Unreadable as error:
            yield self.issue("error", "layout_changed", f"{path}: {error}", slug)
            return
        key = known_by(fields["title"], at[2])
        if key in found:
            detail = f"{path} is another address of {found[key][0]['url']}"
            yield self.issue("info", "same_scheme", detail, key)
            return
        found[key] = fields, [page]
        for faq in dict.fromkeys([*faqs, *(p for p in mapped if faq_of(p) in (slug, at[2]))]):
            try:
                text, page = await self.text(SITE + faq)
                fields["sections"] += read_faq(text, fields)
                found[key][1].append(page)
            except (FetchError, Unreadable) as error:
                yield self.issue("warning", "no_faq", f"{faq}: {error}", key)


def newest(paths: Iterable[str]) -> list[str]:
    """One path a scheme, of the newest generation of addresses, in order of the schemes' slugs."""
    best: dict[str, tuple[int, str]] = {}
    for path in paths:
        if at := _SCHEME.fullmatch(path):
            mine = GENERATIONS.index(at[1]), path
            best[at[2]] = min(mine, best.get(at[2], mine))
    return [path for _, (_, path) in sorted(best.items())]


def faq_of(path: str) -> str | None:
    """The slug of the scheme whose questions and answers stand at a path; None for any other page."""
    found = _FAQ.search(path)
    return found[1] if found else None


def known_by(title: str, slug: str = "") -> str:
    """A scheme's key: its title, and the year where only its address has one."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return "-".join([words, *([] if _YEAR.search(title) else _YEAR.findall(slug))])


def read_listing(text: str, url: str) -> tuple[list[str], str | None]:
    """Paths of the schemes that a page of the listing links to, and the address of its next page."""
    soup = parsed(text)
    after = soup.select_one("a[rel~=next][href], link[rel~=next][href]")
    following = urljoin(url, str(after["href"])) if after else None
    schemes = [path for path in _paths(_content(soup), url) if _SCHEME.fullmatch(path)]
    if not schemes:
        raise Unreadable("no scheme in the listing")
    return schemes, following


def read_sitemap(text: str) -> list[str]:
    """Paths of schemes, and of their questions and answers, that a sitemap names."""
    paths = [urlsplit(url).path for url in sitemap(text)]
    if not any(_SCHEME.fullmatch(path) for path in paths):
        raise Unreadable("no scheme in it")
    return [path for path in paths if _SCHEME.fullmatch(path) or faq_of(path)]


def read_scheme(text: str, url: str) -> tuple[dict[str, Any], list[str]]:
    """The raw fields of a scheme's page, and the paths of its own questions and answers."""
    soup = parsed(text)
    content = _content(soup)
    cited = [link for link in links(content, url) if _CITED.match(link)]
    slug = url.rstrip("/").rsplit("/", 1)[1]
    faqs = [path for path in _paths(content, url) if faq_of(path) == slug]
    title, sections = _titled(content)
    facts: dict[str, str] = {}
    for section in sections:
        if section["heading"].lower() in ("", "in het kort"):
            found, section["text"] = read_head(section["text"])
            facts = found | facts
    sections = [section for section in sections if section["text"]]
    if not title or not facts or not sections:
        raise Unreadable("a page without a title, a head of labelled lines, or a text")
    fields = {
        "title": title,
        "url": url,
        "issuer": "SNN",
        "language": str(soup.html["lang"])[:2] if soup.html and soup.html.get("lang") else "nl",
        "status": facts.get("Status"),
        "facts": [{"label": label, "text": said} for label, said in facts.items()],
        "sections": sections,
        "regions": [place.strip() for place in facts.get("Locatie", "").split(",") if place.strip()],
        "references": cited,
    }
    return fields, faqs


def read_head(text: str) -> tuple[dict[str, str], str]:
    """The labelled lines of a page's head as label → words, and the lines that are none of them.

    A value stands behind its label or on the next line. A label without a value states nothing.
    """
    facts: dict[str, str] = {}
    left: list[str] = []
    lines = [line for line in text.split("\n") if line not in ("", "?")]
    while lines:
        line = lines.pop(0)
        label, value = _labelled(line)
        if not label:
            left.append(line)
            continue
        after, rest = _labelled(lines[0]) if lines else ("", "")
        is_label = after and rest != lines[0]
        if lines and not value and not is_label and re.match(HEAD[label], lines[0]):
            value = lines.pop(0)
        if value.endswith("t/m") and lines and _DAY.match(lines[0]):
            value = f"{value} {lines.pop(0)}"
        if value:
            facts.setdefault(label, value.rstrip(" ?."))  # "?" is the mark of a tooltip
    return facts, "\n".join(left)


def _labelled(line: str) -> tuple[str, str]:
    """A line's label and value; older pages print a status, or its day alone, without the label."""
    for label, form in HEAD.items():
        found = re.fullmatch(rf"{label}\s*:?\s*(.*)", line)
        if found and (not found[1] or re.match(form, found[1])):
            return label, found[1]
    return ("Status", line) if _OLD_STATUS.match(line) or _DAY.match(line) else ("", "")


def read_faq(text: str, scheme: dict[str, Any]) -> Sections:
    """What a scheme's page of questions and answers adds to the fields of its own page."""
    title, sections = _titled(_content(parsed(text)))
    if not sections or not known_by(title).startswith(known_by(scheme["title"])):
        raise Unreadable("no questions and answers of this scheme")
    said = {line for section in scheme["sections"] for line in section["text"].split("\n")}
    found: Sections = []
    for section in sections:
        text = section["text"] if section["heading"] else read_head(section["text"])[1]
        if text := clean("\n".join(line for line in text.split("\n") if line not in said)):
            found.append({"heading": f"Veelgestelde vragen: {section['heading']}".rstrip(": "), "text": text})
    return found


def without_boilerplate(schemes: Sequence[Sections]) -> list[Sections]:
    """Each scheme's sections without the paragraphs that at least three, and at least half, have."""
    said = [{line for section in scheme for line in section["text"].split("\n")} for scheme in schemes]
    counts = Counter(line for lines in said for line in lines)
    repeated = {line for line, count in counts.items() if line and count >= max(3, len(schemes) / 2)}

    def kept(text: str) -> str:
        return clean("\n".join(line for line in text.split("\n") if line not in repeated))

    return [[s | {"text": kept(s["text"])} for s in scheme if kept(s["text"])] for scheme in schemes]


def _content(soup: Tag) -> Tag:
    """What a page is about: its main part, without navigation, forms and cookie banner."""
    content = soup.select_one("main, [role=main]") or soup
    for element in content.find_all(_is_furniture):
        element.decompose()
    return content


def _is_furniture(tag: Tag) -> bool:
    """Navigation, forms and cookie banner. (One predicate is five times quicker than a list of selectors.)"""
    marks = f"{tag.get('id', '')} {tag.get('class', '')}"
    return tag.name in _FURNITURE or tag.get("role") in _FURNITURE_ROLES or "cookie" in marks


def _titled(content: Tag) -> tuple[str, Sections]:
    """A page's title and the headed text below it; above it older pages print the office's address."""
    heading = one(content, "h1")
    for text in heading.find_all_previous(string=True):
        text.extract()
    title = html_to_text(str(heading)).replace("\n", " ")
    heading.decompose()
    return title, headed(content)


def _paths(content: Tag, url: str) -> list[str]:
    """Paths on this site that a part of a page links to."""
    parts = (urlsplit(link) for link in links(content, url))
    return list(dict.fromkeys(part.path for part in parts if part.netloc in Snn.hosts))
