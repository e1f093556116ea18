"""Interreg: the index of all programmes' calls at interreg.eu, and the pages of the programmes of the north.

The index is a search service that the site's own page asks with a public key. The key is read from that page
at every crawl and kept nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from scrapy import Request

from crawlers.archive import json_body
from crawlers.reading import Fields, Unreadable, clean, headed, html_to_text, one, parse_json, parsed
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

INDEX_PAGE = "https://interreg.eu/calls-for-projects/"
INDEX = "prod_en-us_content"
CONTENT = "callForProjectsPage"
FILTERS = f"contentType:{CONTENT} AND (callStatus:Open OR callStatus:Forthcoming)"
MOST_PAGES = 20  # of a hundred calls; all programmes together have fewer
_SEARCH_HOST = re.compile(r"[a-z0-9]{8,14}-dsn\.algolia\.net")
_APP = r"(?=[0-9]*[A-Z])[A-Z0-9]{8,14}"  # with a letter: other services number theirs
_KEY = r"[0-9a-f]{32}"
_APP_FIELD = re.compile(rf"app(?:lication)?[-_]?id[\"']?\s*[:=]\s*[\"']({_APP})[\"']", re.IGNORECASE)
_KEY_FIELD = re.compile(
    rf"(?<![\w-])([\w-]{{0,40}}(?:api|search)[-_]?key)[\"']?\s*[:=]\s*[\"']({_KEY})[\"']", re.IGNORECASE
)
_CONSTRUCTOR = re.compile(rf"algoliasearch\(\s*[\"']({_APP})[\"']\s*,\s*[\"']({_KEY})[\"']", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)  # an old key may be left in one
_OF_NO_USE = "contentType pageId pageType contentUrl teaser image imageUrl themes language".split()
_CALL = re.compile(r"(?:Interreg .{0,30}?)?\bCall \d+\b", re.IGNORECASE)
_OF_ONE_CALL = re.compile(r"\b(?:Call \d|\d{4}\b)", re.IGNORECASE)
_STATUS = re.compile(
    r"\s*\((open|closed|forthcoming|upcoming)\)|\s+is\s+(?:now\s+)?(open|closed)\b", re.IGNORECASE
)
_ALL_SPENT = re.compile(r"\ball (?:our |the )?funds have been committed\b", re.IGNORECASE)
_NO_PAGE = re.compile(r"not found|access denied|maintenance|\blog ?in\b", re.IGNORECASE)
_DROPPED = "nav, header, footer, aside, form, dialog, h1, [role=navigation]"


@dataclass(frozen=True)
class Programme:
    """A programme with pages of its own: its calls are headed there, or it works without calls."""

    key: str
    name: str
    urls: tuple[str, ...]
    has_calls: bool


PROGRAMMES = (
    Programme(
        "deutschland-nederland",
        "Interreg Deutschland-Nederland",
        ("https://deutschland-nederland.eu/en/projects/start-your-own-project/",),
        has_calls=False,
    ),
    Programme(
        "interreg-europe",
        "Interreg Europe",
        ("https://www.interregeurope.eu/call-for-projects",),
        has_calls=False,
    ),
    Programme(
        "nwe", "Interreg North-West Europe", ("https://nweurope.eu/calls-for-projects",), has_calls=True
    ),
    Programme(
        "north-sea",
        "Interreg North Sea",
        ("https://www.interregnorthsea.eu/future-calls", "https://www.interregnorthsea.eu/previous-calls"),
        has_calls=True,
    ),
)


class Interreg(Source):
    """Asks the index for what is open or to come, then reads the programmes' own pages."""

    name = "interreg"
    level: ClassVar[Level] = "interregional"
    home = INDEX_PAGE
    hosts = (
        "interreg.eu",
        "www.interreg.eu",
        *(urlsplit(url).netloc for programme in PROGRAMMES for url in programme.urls),
        *("www.deutschland-nederland.eu", "interregeurope.eu", "www.nweurope.eu", "interregnorthsea.eu"),
    )
    expect = Expect(min_records=8, fill={"title": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield the calls of the index, then those of the programmes."""
        try:
            async for item in self._index():
                yield item
        except FetchError as error:
            yield self.issue("error", "search_failed", str(error))
        except Unreadable as error:
            yield self.issue("error", "layout_changed", f"{INDEX_PAGE}: {error}")
        for programme in PROGRAMMES:
            async for item in self._programme(programme):
                yield item

    async def _index(self) -> AsyncIterator[RawCall | Issue]:
        """Page through the search index. Raises FetchError, Unreadable."""
        host, headers = await self._entrance()
        number, pages, seen, renewed = 0, 1, 0, False
        unknown: Counter[str] = Counter()
        while number < pages:
            try:
                hits, pages, total, page = await self._search(host, headers, number)
            except FetchError as error:
                if error.status != 403 or renewed:
                    raise
                renewed = True  # keys rotate, and the page may have a new one since
                host, headers = await self._entrance()
                continue
            number, seen = number + 1, seen + len(hits)
            for hit in hits:
                key, fields, leftovers = read_hit(hit)
                unknown += leftovers
                yield RawCall(source=self.name, key=key, fields=fields, pages=(page,))
        if seen != total:
            yield self.issue("warning", "totals_differ", f"the index says {total} calls and served {seen}")
        for name, count in sorted(unknown.items()):
            yield self.issue("info", "unknown_field", f"field {name!r} is new, in {count} hits")

    async def _entrance(self) -> tuple[str, dict[str, str]]:
        """The search service's host, and the headers it wants, as the site's page has them."""
        text, _ = await self.text(INDEX_PAGE)
        app, key = read_credentials(text)
        host = f"{app.lower()}-dsn.algolia.net"
        if not _SEARCH_HOST.fullmatch(host):
            raise Unreadable(f"{host!r} is not a host of the search service")
        if not self.base_url:
            self.allowed_netlocs.add(host)  # known only from the page, so it cannot stand in `hosts`
        content = {"Content-Type": "application/json"}
        return host, content | {"X-Algolia-Application-Id": app, "X-Algolia-API-Key": key}

    async def _search(
        self, host: str, headers: dict[str, str], number: int
    ) -> tuple[list[dict[str, Any]], int, int, Page]:
        """One page of hits, the numbers of pages and hits that the service claims, and provenance."""
        body = json_body({"query": "", "filters": FILTERS, "hitsPerPage": 100, "page": number})
        url = self.at(f"https://{host}/1/indexes/{INDEX}/query")
        response = await self.fetch(Request(url, method="POST", body=body, headers=headers))
        hits, pages, total = read_hits(response.body)
        return hits, pages, total, self.page(response)

    async def _programme(self, programme: Programme) -> AsyncIterator[RawCall | Issue]:
        """The records of one programme: itself, or its calls, wherever each is told of."""
        found: dict[str, tuple[dict[str, Any], tuple[Page, ...]]] = {}
        for url in programme.urls:
            try:
                text, page = await self.text(url)
                read = read_calls if programme.has_calls else read_programme
                calls = read(text, url, programme)
            except FetchError as error:
                yield self.issue("error", "page_missing", str(error))
                continue
            except Unreadable as error:
                yield self.issue("error", "layout_changed", f"{url}: {error}")
                continue
            if not calls:
                yield self.issue("info", "no_call_listed", f"{url}: no call has a heading", programme.key)
            for key, fields in calls.items():
                first, pages = found.get(key, (fields, ()))
                if pages:  # on a second page: what the first says stays, and more text is added
                    first = first | {"sections": [*first["sections"], *fields["sections"]]}
                found[key] = first, (*pages, page)
        if not found:
            yield self.issue("error", "empty_programme", f"{programme.name}: nothing found")
        for key, (fields, pages) in found.items():
            yield RawCall(source=self.name, key=key, fields=fields, pages=pages)


def read_credentials(text: str) -> tuple[str, str]:
    """The search service's application id and search key, from a script, attributes or JSON in the page.

    Raises Unreadable where there is none, or several and nothing says which is for searching.
    """
    plain = unescape(_COMMENT.sub("", text)).replace("\\u0022", '"').replace("\\", "")
    pairs = {(app.upper(), key.lower()) for app, key in _CONSTRUCTOR.findall(plain)}
    apps = {app.upper() for app in _APP_FIELD.findall(plain)}
    keys = [(name.lower(), key.lower()) for name, key in _KEY_FIELD.findall(plain)]
    named = {key for name, key in keys if "search" in name} or {key for _, key in keys}
    pairs = pairs or {(app, key) for app in apps for key in named}
    if len(pairs) != 1:
        raise Unreadable(f"{len(pairs) or 'no'} sets of search credentials in the page")
    return next(iter(pairs))


def read_hits(body: bytes) -> tuple[list[dict[str, Any]], int, int]:
    """Hits, number of pages and number of hits out of an answer of the index. Raises Unreadable."""
    try:
        answer = parse_json(body)
        hits, pages, total = answer["hits"], int(answer["nbPages"]), int(answer["nbHits"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"no answer of the search index ({type(error).__name__})") from error
    if not isinstance(hits, list) or not all(isinstance(hit, dict) and hit.get("objectID") for hit in hits):
        raise Unreadable("hits without an identity")
    if any(hit.get("contentType", CONTENT) != CONTENT for hit in hits):
        raise Unreadable("the index ignored the filter: there are other things than calls")
    if not total or pages > MOST_PAGES:
        raise Unreadable(f"the index claims {total} calls on {pages} pages")
    return hits, pages, total


def read_hit(hit: dict[str, Any]) -> tuple[str, dict[str, Any], Counter[str]]:
    """A hit as key and raw fields, and the names of fields that are new to us."""
    f = Fields({name: value for name, value in hit.items() if not name.startswith("_")})
    text = html_to_text(str(hit.get("description") or hit.get("teaser") or ""))
    own_page = urljoin(INDEX_PAGE, str(hit.get("contentUrl") or ""))
    own_page = own_page if urlsplit(own_page).netloc == urlsplit(INDEX_PAGE).netloc else INDEX_PAGE
    external = f.first("callExternalUrl") or ""
    key = f.first("objectID") or ""
    f.drop([*_OF_NO_USE, "description"])
    fields = {
        "title": clean(f.first("title") or ""),
        "url": external if external.lower().startswith(("https://", "http://")) else own_page,
        "language": "en",
        "status": f.first("callStatus"),
        # the hours of the index are labelled UTC, and may be anybody's: the day is the fact
        "opens_on": (f.first("callOpenDate") or "").partition("T")[0] or None,
        "deadlines": [at.partition("T")[0] for at in f.all("callDeadlineDate")],
        "programme": ", ".join(f.all("associatedProgrammes")) or None,
        "countries": f.all("callEligibleCountryNames"),
        "regions": f.all("callEligibleCountryNuts"),
        "keywords": f.all("callThemes"),
        "applicants": f.all("targetAudience"),
        "sections": [{"heading": "", "text": text}] if text else [],
    }
    return key, fields, f.leftovers()


def read_programme(text: str, url: str, programme: Programme) -> dict[str, dict[str, Any]]:
    """A programme without calls as its one record, by key. Raises Unreadable."""
    page = parsed(text)
    main = _main(page)
    sections = headed(main, drop=_DROPPED)
    whole = "\n".join(section["text"] for section in sections)
    if not re.search("proje[ck]t", whole, re.IGNORECASE):
        raise Unreadable("no word of projects")
    spent = _ALL_SPENT.search(whole)
    fields = _fields(page, url, programme) | {"title": programme.name, "sections": sections}
    return {programme.key: fields | {"status": spent[0] if spent else None}}


def read_calls(text: str, url: str, programme: Programme) -> dict[str, dict[str, Any]]:
    """The calls that have a heading on a page, by key. Raises Unreadable.

    A call's part ends at the next heading of its level or above. What the page says above its calls goes with
    each, unless it may be about one of them only.
    """
    page = parsed(text)
    main = _main(page)
    levels = {_heading(tag): int(tag.name[1]) for tag in main.find_all(re.compile("^h[2-6]$"))}
    base = _fields(page, url, programme)
    intro: list[dict[str, str]] = []
    calls: dict[str, dict[str, Any]] = {}
    current: list[dict[str, str]] | None = intro
    level = 0
    for section in headed(main, drop=_DROPPED):
        heading = section["heading"]
        if _CALL.match(heading):
            name, level = _STATUS.sub("", heading).strip(), levels.get(heading, 0)
            key = f"{programme.key}-{_slug(re.sub(r'[(].*?[)]', '', name))}"
            key = f"{programme.key}-{_slug(name)}" if key in calls else key
            status = _STATUS.search(heading)
            current = [section]
            calls[key] = base | {
                "title": f"{programme.name}: {name}",
                "status": status[1] or status[2] if status else None,
                "sections": current,
            }
        elif heading and calls and levels.get(heading, 0) <= level:
            current = None  # the page goes on about something else
        elif current is not None:
            current.append(section)
    common = [part for part in intro if len(calls) == 1 or not _OF_ONE_CALL.search(part["text"])]
    for call in calls.values():
        call["sections"] = [*common, *call["sections"]]
    return calls


def _main(page: BeautifulSoup) -> Tag:
    """The element with a page's own text. Raises Unreadable, also for a page that says there is none."""
    title = page.h1 or page.title
    if title and _NO_PAGE.search(clean(title.get_text(" "))):
        raise Unreadable(f"a page titled {clean(title.get_text(' '))!r}")
    selectors: Sequence[str] = ("main", "[role=main]", "article", "#content")
    return one(page, next((selector for selector in selectors if page.select(selector)), "main"))


def _fields(page: BeautifulSoup, url: str, programme: Programme) -> dict[str, Any]:
    language = str(page.html.get("lang") or "en") if page.html else "en"
    return {"url": url, "language": language[:2].lower(), "programme": programme.name}


def _heading(tag: Tag) -> str:
    return clean(tag.get_text(" ")).replace("\n", " ").rstrip(":").strip()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
