"""The subsidy pages of the provinces of Groningen, Drenthe and Fryslân.

Three sites, one reader. A scheme of Fryslân may have a page in Dutch and one in West Frisian, which name
each other: that is one record, led by the Dutch text.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawlers.reading import Unreadable, clean, headed, labelled, links, one, parsed
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

# pages about subsidies, and desks that help to find one
_NO_SCHEME = re.compile(
    r"^(?:fy|subsidies|subsydzjes|contact|kontakt|nieuws|nijs)$|subsidieregister|subsydzjeregister"
    r"|veelgestelde-vragen|subsidie-aanvragen|ynbusiness|grobusiness|drents-ondernemer"
)
_NO_PAGE = re.compile(r".*(?:niet gevonden|net fûn).*|inloggen|(?:gepland )?onderhoud|storing", re.IGNORECASE)
_BOILERPLATE = re.compile(
    r"(?:contact|kontakt)\b.*|deel (?:deze|dit)\b.*|diel dizze\b.*|zie ook|sjoch ek", re.IGNORECASE
)
_REGION = re.compile(r"^(?:regio|gebied|werkingsgebied|locatie|gemeenten?|gebiet)$", re.IGNORECASE)
_PUBLISHER = re.compile(r"(?:^|\.)(?:overheid|officielebekendmakingen|snn)\.nl$")
_DROPPED = "nav, aside, form, footer, dialog, button, h1, dl, [role=navigation], [role=dialog], .rs_skip"


@dataclass(frozen=True)
class Province:
    """One site: where it lists its schemes, and what the path of a scheme's page looks like."""

    name: str  # opens the keys
    issuer: str
    listing: str
    path: re.Pattern[str]  # one of its groups is the scheme's slug or number

    def key(self, url: str) -> str | None:
        """The key of the scheme at `url`; None where no scheme is. The query never tells schemes apart."""
        host, own = (urlsplit(address).netloc.removeprefix("www.") for address in (url, self.listing))
        match = self.path.match(urlsplit(url).path) if host == own else None
        slug = next((group for group in match.groups() if group), "").lower() if match else ""
        if not slug or _NO_SCHEME.search(slug):
            return None
        return f"{self.name}-{re.sub(r'[^a-z0-9]+', '-', slug).strip('-')}"


PROVINCES = (
    Province(
        "groningen",
        "Provincie Groningen",
        "https://www.provinciegroningen.nl/subsidies/werken-en-ondernemen/",
        re.compile(r"^(?:/loket)?/subsidies/werken-en-ondernemen/([^/]+)/?$"),
    ),
    Province(
        "drenthe",
        "Provincie Drenthe",
        "https://www.provincie.drenthe.nl/loket/subsidieloket/alle-subsidies-rij/",
        re.compile(r"^/loket/subsidieloket/(?!nieuws)(?:(?:.*/)?@(\d+)(?:/[^/]*)?|alle-[^/]+/([^/@]+))/?$"),
    ),
    Province(
        "fryslan",
        "Provincie Fryslân",
        "https://www.fryslan.frl/subsidies",
        re.compile(r"^/(?:fy/)?([^/]+)/?$"),
    ),
)


class Provinces(Source):
    """Crawls each province's listing and the pages it links to."""

    name = "provinces"
    level: ClassVar[Level] = "regional"
    home = "https://www.provinciegroningen.nl/subsidies/"
    hosts = (
        "www.provinciegroningen.nl",
        "provinciegroningen.nl",
        "www.provincie.drenthe.nl",
        "provincie.drenthe.nl",
        "www.fryslan.frl",
        "fryslan.frl",
    )
    zone = "Europe/Amsterdam"
    # one site of the three that falls silent is a fault
    expect = Expect(min_records=6, min_share_of_last=0.75, fill={"title": 1.0, "sections": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every scheme of the three provinces once; a site that fails does not stop the others."""
        for province in PROVINCES:
            found: dict[str, str] = {}
            async for issue in self._listed(province, found):
                yield issue
            taken: set[str] = set()  # keys of records, and of the pages that were added to one
            for key, url in found.items():
                if key not in taken:
                    async for item in self._scheme(province, key, url, taken):
                        yield item

    async def _listed(self, province: Province, found: dict[str, str]) -> AsyncIterator[Issue]:
        """Put key → address of all schemes into `found`, from the listing and then its translation."""
        addresses = [province.listing]
        for url in addresses:
            try:
                text, _ = await self.text(url)
                twin = translation(text, url)
                addresses += [twin] if twin and twin not in addresses else []
                for key, link in read_listing(text, url, province).items():
                    found.setdefault(key, link)
            except FetchError as error:
                yield self.issue("error", "listing_missing", str(error))
            except Unreadable as error:
                yield self.issue("error", "layout_changed", f"{url}: {error}")

    async def _scheme(
        self, province: Province, key: str, url: str, taken: set[str]
    ) -> AsyncIterator[RawCall | Issue]:
        """The record of one scheme, out of its page and of the page's translation where there is one."""
        found: list[tuple[str, dict[str, Any], Page]] = []
        addresses = [url]
        for address in addresses:
            try:
                text, page = await self.text(address)
                fields = read_scheme(text, address, province)
                found.append((province.key(fields["url"]) or key, fields, page))
                twin = translation(text, address)
                addresses += [twin] if twin and address == url and province.key(twin) else []
            except FetchError as error:
                yield self.missing(error, key)
            except Unreadable as error:
                yield self.issue("error", "layout_changed", f"{address}: {error}", key)
        keys = {own for own, _, _ in found}
        known = taken & keys
        taken |= keys | {key}
        if known:
            yield self.issue("info", "same_scheme", f"{url} leads to {min(known)}", key)
        elif found:
            found.sort(key=lambda each: each[1]["language"] == "fy")
            key, fields, _ = found[0]
            for name in ("facts", "sections", "references"):
                every = [item for _, each, _ in found for item in each[name]]
                fields[name] = [item for i, item in enumerate(every) if item not in every[:i]]
            yield RawCall(source=self.name, key=key, fields=fields, pages=tuple(page for _, _, page in found))


def read_listing(text: str, url: str, province: Province) -> dict[str, str]:
    """Key → address of the schemes that a listing links to. Raises Unreadable where it links to none."""
    found: dict[str, str] = {}
    for link in links(one(parsed(text), "main"), url):
        if key := province.key(link):
            found.setdefault(key, link.partition("?")[0])
    if not found:
        raise Unreadable("no link to a scheme")
    return found


def translation(text: str, url: str) -> str | None:
    """The address of the same page in the other of the languages nl and fy, as the page names it.

    A page without a translation names the home page of the other language.
    """
    other = "nl" if urlsplit(url).path.startswith("/fy/") else "fy"
    found = parsed(text).select_one(f"link[hreflang^={other}][href], a[hreflang^={other}][href]")
    address = urljoin(url, str(found["href"])).partition("?")[0] if found else ""
    return address if urlsplit(address).path.strip("/") not in ("", "fy", "nl") else None


def read_scheme(text: str, url: str, province: Province) -> dict[str, Any]:
    """The fields of one scheme's page. Raises Unreadable.

    `url` among them is the address that the page gives itself: several addresses may lead to one page.
    """
    page = parsed(text)
    main = one(page, "main")
    title = clean(one(page, "h1").get_text(" "))
    if not title or _NO_PAGE.fullmatch(title):
        raise Unreadable(f"no scheme, but a page titled {title!r}")
    stated = page.select_one("link[rel=canonical][href]")
    canonical = urljoin(url, str(stated["href"])).partition("?")[0] if stated else url
    language = str(page.html.get("lang") or "") if page.html else ""
    frisian = language.startswith("fy") or (not language and urlsplit(url).path.startswith("/fy/"))
    facts = labelled(main)
    references = [link for link in links(main, url) if _PUBLISHER.search(urlsplit(link).netloc)]
    sections = [s for s in headed(main, drop=_DROPPED) if not _BOILERPLATE.fullmatch(s["heading"])]
    if not sections:
        raise Unreadable("no text")
    return {
        "title": title,
        "url": canonical if province.key(canonical) else url,
        "language": "fy" if frisian else "nl",
        "status": next((fact["text"] for fact in facts if fact["label"].lower() == "status"), None),
        "issuer": province.issuer,
        "regions": [fact["text"] for fact in facts if _REGION.match(fact["label"])],
        "facts": [fact for fact in facts if not _REGION.match(fact["label"])],
        "sections": sections,
        "references": references,
    }
