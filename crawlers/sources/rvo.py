"""RVO, the Netherlands Enterprise Agency: the national schemes, by the JSON that lies in each page.

Its open-data index has no status, dates or money, and may ignore paging; so the sitemap is read beside it,
and only the page itself counts.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import escape
from typing import Any, ClassVar
from urllib.parse import urlsplit

from crawlers.reading import (
    Unreadable,
    clean,
    headed,
    html_to_text,
    json_script,
    links,
    parse_json,
    parsed,
    sitemap,
)
from crawlers.source import FetchError, Source
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, RawCall

SITE = "https://www.rvo.nl"
INDEX = f"{SITE}/api/v1/opendata/subsidies?page="
SITEMAP = f"{SITE}/sitemap.xml"
MOST_PAGES = 100  # of the index, 50 schemes each
BUDGET = {"total": "Totaal budget", "granted": "Verleend", "negotiation": "In behandeling"}
# Sub-pages are no schemes, but those of MIT are its instruments, each with a window of its own.
_SCHEME = re.compile(r"/subsidies-financiering/((?:mit/)?[^/]+)/?")
_CONTACT = re.compile(r"mailto:|tel:|\bcontact\b", re.IGNORECASE)
_PRINTED = re.compile(r"^(?:- )?(Startdatum|Einddatum|Totaal budget)\s*:\s*(\S.*)$", re.MULTILINE)
_CITED = re.compile(
    r"https?://(?:[^/]+\.)?(?:overheid\.nl|officielebekendmakingen\.nl|eurekanetwork\.org|snn\.nl"
    r"|[a-z]*interreg[a-z]*\.(?:eu|nl)|nweurope\.eu|deutschland-nederland\.eu)(?:[/?]|$)"
)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:]+\+0[12]:00)?")


class Rvo(Source):
    """Reads the page of every scheme that the index or the sitemap knows."""

    name = "rvo"
    level: ClassVar[Level] = "national"
    home = f"{SITE}/subsidies-financiering"
    hosts = ("www.rvo.nl",)
    zone = "Europe/Amsterdam"
    expect = Expect(min_records=5, fill={"title": 1.0, "sections": 1.0, "checked_on": 0.8})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every scheme once, and where index and sitemap differ."""
        listed: set[str] = set()
        async for issue in self._list(listed):
            yield issue
        mapped: set[str] = set()
        try:
            mapped = read_sitemap((await self.text(SITEMAP))[0])
            differing = (("not_in_index", mapped - listed), ("not_in_sitemap", listed - mapped))
            for code, slugs in differing:
                if slugs:
                    yield self.issue("info", code, f"{len(slugs)} schemes: {', '.join(sorted(slugs))}")
        except (FetchError, Unreadable) as error:
            yield self.issue("error", "no_sitemap", f"{SITEMAP}: {error}")
        seen: set[str] = set()
        for slug in sorted(listed | mapped):
            async for item in self._scheme(slug, seen, indexed=slug in listed):
                yield item

    async def _list(self, slugs: set[str]) -> AsyncIterator[Issue]:
        """Add the schemes of the index to `slugs`, page by page, until a page brings nothing new."""
        seen: set[str] = set()
        for number in range(MOST_PAGES):
            try:
                entries = read_index((await self.text(f"{INDEX}{number}"))[0])
                if not entries and not number:
                    raise Unreadable("the index is empty")
            except (FetchError, Unreadable) as error:
                severity = "warning" if number else "error"
                yield self.issue(severity, "index_unreadable", f"{INDEX}{number}: {error}")
                return
            if not entries.keys() - seen:
                if entries:
                    detail = f"page {number} of the index has nothing that the pages before it lack"
                    yield self.issue("info", "paging_ignored", detail)
                return
            seen |= entries.keys()
            slugs |= {slug for path in entries.values() if (slug := scheme(path))}

    async def _scheme(self, slug: str, seen: set[str], *, indexed: bool) -> AsyncIterator[RawCall | Issue]:
        """The scheme at an address, unless its key is in `seen`: old addresses redirect.

        A page that only the sitemap has, and that carries no scheme, need not be one.
        """
        key, url = slug.replace("/", "-"), f"{SITE}/subsidies-financiering/{slug}"
        try:
            text, page = await self.text(url)
            data = page_data(text)
            if data.get("type") != "subsidy":
                detail = f"{url}: a page of type {data.get('type')!r}, so no scheme"
                yield self.issue("info", "no_scheme", detail, key)
                return
            fields = read_scheme(data)
        except FetchError as error:
            yield self.missing(error, key)
            return
        except Unreadable as error:
            severity, code = ("error", "layout_changed") if indexed else ("info", "no_scheme")
            yield self.issue(severity, code, f"{url}: {error}", key)
            return
        own = scheme(urlsplit(fields["url"]).path) or slug
        key = own.replace("/", "-")
        if "/" in own and not (fields["opens_on"] or fields["deadlines"]):
            yield self.issue("info", "no_window", f"{url}: a sub-page without a window of its own", key)
        elif key in seen:
            yield self.issue("info", "same_scheme", f"{url} leads to {fields['url']}, which was read", key)
        else:
            seen.add(key)
            yield RawCall(source=self.name, key=key, fields=fields, pages=(page,))


def scheme(path: str) -> str | None:
    """The slug of a scheme's page (with a slash: of an instrument of MIT); None for any other page."""
    found = _SCHEME.fullmatch(path)
    return found[1] if found else None


def read_index(text: str) -> dict[str, str]:
    """Path by id of the entries of an index page; none after the last page."""
    try:
        return {str(e["id"]): urlsplit(str(e.get("url") or "")).path for e in parse_json(text)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"no list of schemes ({type(error).__name__}: {error})") from error


def read_sitemap(text: str) -> set[str]:
    """Slugs of the schemes that a sitemap names."""
    slugs = {slug for url in sitemap(text) if (slug := scheme(urlsplit(url).path))}
    if not slugs:
        raise Unreadable("no scheme in it")
    return slugs


def page_data(text: str) -> dict[str, Any]:
    """The data that a page of the site is built from."""
    try:
        data = json_script(text, "__NEXT_DATA__")["props"]["pageProps"]["page"]
    except (KeyError, TypeError) as error:
        raise Unreadable(f"no page in its data ({type(error).__name__}: {error})") from error
    if not isinstance(data, dict):
        raise Unreadable("no page in its data")
    return data


def read_scheme(data: dict[str, Any]) -> dict[str, Any]:
    """The raw fields of a scheme, out of its page's data.

    `countries` is left alone: it names the countries that a scheme has to do with (a partner's, a market),
    mostly without the Netherlands, and so would be misread as where an applicant must be.
    """
    try:
        fields = _fields(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"its data has another shape ({type(error).__name__}: {error})") from error
    if not fields["title"] or not fields["sections"] or not scheme(urlsplit(fields["url"]).path):
        raise Unreadable("a scheme without a title, a text or an address")
    return fields


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    lead = dict.fromkeys(data[name] for name in ("summary", "intro") if data[name])
    body = parsed("".join(lead) + _html(data["contentElements"]))
    cited = [url for url in links(body, SITE) if _CITED.match(url)]
    sections = [s for s in headed(body) if not s["heading"].lower().startswith("ervaringen")]
    budget = data.get("budget") or {}
    facts = [(label, budget.get(name)) for name, label in BUDGET.items()]
    if budget.get("additionalInfo"):
        text = html_to_text(budget["additionalInfo"])
        sections.append({"heading": "Toelichting op het budget", "text": text})
    printed = [pair for section in sections for pair in _PRINTED.findall(section["text"])]
    opens, closes = (_shown(data[name], bool(data["disableTime"])) for name in ("startDate", "endDate"))
    return {
        "title": clean(data["title"]),
        "url": SITE + urlsplit(data["url"]).path,
        "issuer": "RVO",
        "language": "nl",
        "status": (data["subsidyStatus"] or {}).get("name"),
        "opens_on": opens,
        "deadlines": [closes] if closes else [],
        "facts": [{"label": k, "text": clean(str(v))} for k, v in [*facts, *printed] if v is not None],
        "sections": sections,
        "applicants": _names(data["targets"]),
        "keywords": _names(data["tags"] + data["sectors"] + data["subjects"]),
        "programme": next(iter(_names(data["subsidies"])), None),
        "published_on": data.get("created"),
        "checked_on": data.get("checked"),
        "references": cited,
    }


def _html(elements: list[dict[str, Any]]) -> str:
    """A page's elements as HTML, without contact boxes; quotes keep theirs elsewhere than in `text`."""
    parts = []
    for element in elements:
        inner = element.get("text") or ""
        inner += _html((element.get("panels") or []) + (element.get("childElements") or []))
        if element["type"] == "call_to_action" and _CONTACT.search(inner):
            continue
        heading = f"<h3>{escape(element['title'])}</h3>" if element["type"] == "panel" else ""
        parts.append(f"{heading}<div>{inner}</div>")
    return "".join(parts)


def _shown(at: str | None, day_only: bool) -> str | None:
    """A date as the page shows it: where its hour is switched off, the hour in the data is no fact."""
    if not at or not day_only:
        return at
    return at[:10] if _LOCAL.fullmatch(at) else None


def _names(terms: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(clean(term["name"]) for term in terms if term.get("name")))
