"""The Eureka network: Eurostars, Network Projects, Globalstars, Clusters and Innowwide calls.

A card of the listing names a call and its deadline; the call's own page has the window, the countries and
the text.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from bs4 import Tag

from crawlers.reading import Unreadable, clean, headed, links, one, parsed
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

HOME = "https://www.eurekanetwork.org/programmes-and-calls/"
LISTINGS = (HOME, f"{HOME}?status=upcoming")  # the second may well be empty
# what is below "investment readiness" is coaching, not money
_CALL = re.compile(r"^/programmes-and-calls/(?!page/|investment-readiness)[\w/-]+$")
_DEADLINE = re.compile(r"\bDeadline:")
_PRINTED = re.compile(r"\bDeadline:\s*([^\n]+)")
_WINDOW = re.compile(r"^(Start|End) Date:\s*([^\n]*\d[^\n]*)\n?", re.MULTILINE)
_NO_PAGE = re.compile(r".*\bnot found\b.*|access denied|(?:site |under )?maintenance|log ?in", re.IGNORECASE)
_COUNTRIES = re.compile(r"^(?:participating )?countries(?:(?: and |/)regions)?$", re.IGNORECASE)
_COUNTRY = re.compile(r"^[- ]*([^\W\d_][\w .'’&/()-]{2,40}?)[^\w)]*$")  # a flag may follow
_BOILERPLATE = re.compile(r"contact\b.*|share(?: this\b.*)?|subscribe\b.*|related\b.*", re.IGNORECASE)
_DROPPED = "nav, aside, form, footer, dialog, button, h1, [role=navigation]"


class Eureka(Source):
    """Crawls the cards of open and of upcoming calls, and the page of each."""

    name = "eureka"
    level: ClassVar[Level] = "interregional"
    home = HOME
    hosts = ("www.eurekanetwork.org", "eurekanetwork.org")
    expect = Expect(min_records=3, fill={"title": 1.0, "sections": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every call of the listings once."""
        cards: dict[str, tuple[str | None, Page]] = {}  # address → deadline and the page that prints it
        for listing in LISTINGS:
            try:
                async for address, deadline, page in self._cards(listing):
                    cards.setdefault(address, (deadline, page))
            except FetchError as error:
                yield self.issue("error", "listing_missing", str(error))
            except Unreadable as error:
                yield self.issue("error", "layout_changed", f"{listing}: {error}")
            else:
                if not cards:  # something is open all year
                    yield self.issue("error", "empty_listing", f"{listing}: no card of a call")
        pages = {key(address): address for address in cards}

        def read(text: str, url: str) -> dict[str, Any]:
            return read_call(text, url, cards[url][0])

        async for item in self.records(pages.items(), read):
            if isinstance(item, RawCall):
                _, listed_on = cards[pages[item.key]]
                item = item.model_copy(update={"pages": (*item.pages, listed_on)})
            yield item

    async def _cards(self, listing: str) -> AsyncIterator[tuple[str, str | None, Page]]:
        """Address and deadline of each card, page after page. Raises FetchError, Unreadable."""
        addresses = [listing]
        for url in addresses:
            text, page = await self.text(url)
            found, following = read_listing(text, url)
            addresses += [following] if following and following not in addresses else []
            for address, deadline in found.items():
                yield address, deadline, page


def key(url: str) -> str:
    """A call's path below the listing, which names its programme too."""
    path = urlsplit(url).path.lower().partition("programmes-and-calls/")[2]
    return re.sub(r"[^a-z0-9]+", "-", path).strip("-")


def read_listing(text: str, url: str) -> tuple[dict[str, str | None], str | None]:
    """Address → printed deadline of the calls on one page of a listing, and the address of the next page.

    A card is the nearest element around a deadline that links to a call; it may link to the programme as
    well, whose address is shorter. Without a deadline, only what is called a call is one. Raises Unreadable.
    """
    main = one(parsed(text), "main")
    found: dict[str, str | None] = {}
    for words in main.find_all(string=_DEADLINE):
        card = next((node for node in words.parents if _calls(node, url)), main)
        printed = _PRINTED.findall(clean(card.get_text("\n")))
        if len(printed) == 1:
            found[max(_calls(card, url), key=len)] = printed[0].strip()
    for address in _calls(main, url):
        if "call" in address.rstrip("/").rpartition("/")[2]:
            found.setdefault(address, None)
    following = main.select_one("a.next[href], a[rel=next][href]")
    return found, urljoin(url, str(following["href"])) if following else None


def _calls(node: Tag, url: str) -> list[str]:
    """The addresses below the listing that an element links to, or that it is a link to."""
    anchors = [node] if node.name == "a" else node.select("a")
    hrefs = [str(anchor["href"]) for anchor in anchors if anchor.has_attr("href")]
    found = (urljoin(url, href).partition("?")[0].partition("#")[0] for href in hrefs)
    return [address for address in dict.fromkeys(found) if _CALL.match(urlsplit(address).path)]


def read_call(text: str, url: str, listed_deadline: str | None = None) -> dict[str, Any]:
    """The fields of one call's page, and the deadline its card prints where the page says no such thing.

    Raises Unreadable.
    """
    page = parsed(text)
    main = one(page, "main")
    title = clean(one(page, "h1").get_text(" "))
    if not title or _NO_PAGE.fullmatch(title):
        raise Unreadable(f"no call, but a page titled {title!r}")
    window = dict(reversed(_WINDOW.findall(clean(main.get_text("\n")))))
    references = [link for link in links(main, url) if urlsplit(link).netloc.endswith("rvo.nl")]
    sections, countries = [], []
    for section in headed(main, drop=_DROPPED):
        listed = _listed(section["text"]) if _COUNTRIES.match(section["heading"]) else []
        countries += listed
        section["text"] = _WINDOW.sub("", section["text"]).strip()
        if section["text"] and not listed and not _BOILERPLATE.fullmatch(section["heading"]):
            sections.append(section)
    if not sections:
        raise Unreadable("no text")
    end = window.get("End")
    says_so = listed_deadline is None or (end or "").startswith(listed_deadline)
    return {
        "title": title,
        "url": url,
        "language": "en",
        "opens_on": window.get("Start"),
        "deadlines": [end] if end else [],
        "countries": countries,
        "facts": [] if says_so else [{"label": "Deadline", "text": listed_deadline}],
        "sections": sections,
        "references": references,
    }


def _listed(text: str) -> list[str]:
    """The countries of a plain list, without their flags; none where a line is no name of a country."""
    names = [_COUNTRY.match(line) for line in text.split("\n") if line.strip()]
    return [name[1] for name in names if name] if all(names) else []
