"""NWO, the Dutch research council: its calls for proposals, in which companies take part as co-funders."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

from crawlers.reading import Unreadable, clean, headed, labelled, links, one, parsed
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, RawCall

LISTING = "https://www.nwo.nl/en/calls-for-proposals?page={}"
MOST_PAGES = 60  # far more than the site has
_CALL = re.compile(r"^/en/calls/(.+?)/?$")  # some slugs have a slash in them
_NO_PAGE = re.compile(r".*\bnot found\b.*|access denied|(?:site |under )?maintenance|log ?in", re.IGNORECASE)
_BOILERPLATE = re.compile(r"contact\b.*|share(?: this\b.*)?|downloads?|news|sign up\b.*", re.IGNORECASE)
_PUBLISHER = re.compile(r"(?:^|\.)(?:overheid|officielebekendmakingen|regieorgaan-sia|rvo)\.nl$")
_DROPPED = "nav, aside, form, footer, dialog, h1, dl, [role=navigation]"


class Nwo(Source):
    """Crawls the listing page by page, until one brings nothing new, and every call it links to."""

    name = "nwo"
    level: ClassVar[Level] = "national"
    home = "https://www.nwo.nl/en/calls-for-proposals"
    hosts = ("www.nwo.nl", "nwo.nl")
    zone = "Europe/Amsterdam"
    expect = Expect(min_records=3, fill={"title": 1.0, "sections": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every call that is listed, once."""
        found: dict[str, str] = {}
        for number in range(MOST_PAGES):
            url = LISTING.format(number)
            try:
                text, _ = await self.text(url)
                fresh = {key: link for key, link in read_listing(text, url).items() if key not in found}
            except FetchError as error:
                yield self.issue("error", "listing_missing", str(error))
                break
            except Unreadable as error:
                yield self.issue("error", "layout_changed", f"{url}: {error}")
                break
            if not fresh:
                break
            found |= fresh
        else:
            yield self.issue("error", "endless_listing", f"still new calls after {MOST_PAGES} pages")
        if not found:
            yield self.issue("error", "empty_listing", f"{LISTING.format(0)}: no link to a call")
        async for item in self.records(found.items(), read_call):
            yield item


def read_listing(text: str, url: str) -> dict[str, str]:
    """Key → address of the calls that one page of the listing links to; none on the page after the last."""
    found: dict[str, str] = {}
    for link in links(one(parsed(text), "main"), url):
        if match := _CALL.match(urlsplit(link).path):
            key = re.sub(r"[^a-z0-9]+", "-", match[1].lower()).strip("-")
            found.setdefault(key, link.partition("?")[0])
    return found


def read_call(text: str, url: str) -> dict[str, Any]:
    """The fields of one call's page. Raises Unreadable."""
    page = parsed(text)
    main = one(page, "main")
    title = clean(one(page, "h1").get_text(" "))
    if not title or _NO_PAGE.fullmatch(title):
        raise Unreadable(f"no call, but a page titled {title!r}")
    facts = labelled(main)
    references = [link for link in links(main, url) if _PUBLISHER.search(urlsplit(link).netloc)]
    sections = [s for s in headed(main, drop=_DROPPED) if not _BOILERPLATE.fullmatch(s["heading"])]
    if not sections:
        raise Unreadable("no text")
    return {
        "title": title,
        "url": url,
        "language": str(page.html.get("lang") or "en")[:2].lower() if page.html else "en",
        "status": next((fact["text"] for fact in facts if fact["label"].lower() == "status"), None),
        "issuer": "NWO",
        "facts": facts,
        "sections": sections,
        "references": references,
    }
