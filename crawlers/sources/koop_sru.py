"""Official publications: what SNN, the three northern provinces and the ministries decide on subsidies.

They are searched by quarter of publication; what its title and abstract show to be no scheme is not fetched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar

from crawlers.official import concerns_scheme, iso_day, raw_fields, read_html, read_publication
from crawlers.reading import Unreadable
from crawlers.source import GIVE_UP, FetchError
from crawlers.sru import Answer, Found, Rejected, SruSource
from pipeline.expect import Expect
from pipeline.schema import Issue, Level, Page, RawCall

MOST = 9_000  # records of one slice; a larger one is parted
_IDENTIFIER = re.compile(r"[a-z]+(?:-[0-9a-z]+)+")


@dataclass(frozen=True)
class Query:
    """One journal and whose publications in it; `telling`: their titles say that they are about a subsidy."""

    name: str
    journal: str
    whose: str
    telling: bool = True

    def cql(self, begin: date, end: date) -> str:
        """The query for what was published from one day to another, both included."""
        return (
            f'c.product-area==officielepublicaties AND w.publicatienaam=="{self.journal}" AND {self.whose} '
            f'AND dt.available>="{begin}" AND dt.available<="{end}"'
        )


SUBSIDY = 'cql.textAndIndexes="subsidie"'
QUERIES = (
    # SNN gives out subsidies and does little else, so its titles often name no more than a theme
    Query(
        "SNN",
        "Blad gemeenschappelijke regeling",
        'dt.creator="Samenwerkingsverband Noord-Nederland"',
        telling=False,
    ),
    # Groningen is a municipality too
    Query(
        "provinces",
        "Provinciaal blad",
        'w.organisatietype==provincie AND (dt.creator="Groningen" OR dt.creator="Drenthe" '
        f'OR dt.creator="Fryslân") AND {SUBSIDY}',
    ),
    Query("ministries", "Staatscourant", f"w.organisatietype==ministerie AND {SUBSIDY}"),
)


def quarters(day: date) -> list[tuple[date, date]]:
    """Whole quarters from the year before a day's to its own: the same questions for a quarter long."""
    starts = [date(year, month, 1) for year in (day.year - 1, day.year) for month in (1, 4, 7, 10)]
    ends = [start - timedelta(days=1) for start in [*starts[1:], date(day.year + 1, 1, 1)]]
    return [(begin, end) for begin, end in zip(starts, ends, strict=True) if begin <= day]


class KoopSru(SruSource):
    """Searches the repository of official publications and reads those that can concern a scheme."""

    name = "koop_sru"
    level: ClassVar[Level] = "regional"
    home = "https://zoek.officielebekendmakingen.nl/"
    hosts = ("repository.overheid.nl",)
    zone = "Europe/Amsterdam"
    endpoint = "https://repository.overheid.nl/sru?operation=searchRetrieve&version=2.0&recordSchema=gzd"
    expect = Expect(min_records=5, fill={"title": 1.0, "sections": 1.0})

    async def start(self) -> AsyncIterator[RawCall | Issue]:
        """Yield every publication that can concern a scheme, and what was odd about the search."""
        assert self.day is not None
        chosen: Found = {}
        left_out: Counter[str] = Counter()
        for query in QUERIES:
            found: Found = {}
            async for issue in self._search(query, quarters(self.day), found):
                yield issue
            for identifier, (record, page) in found.items():
                if concerns_scheme(record["title"] or "", record["abstract"], telling=query.telling):
                    chosen.setdefault(identifier, (record, page))
                else:
                    left_out[query.name] += 1
        if left_out:
            counts = ", ".join(f"{count} of {name}" for name, count in left_out.items())
            yield self.issue("info", "left_out", f"publications that cannot concern a scheme: {counts}")
        self.total = len(chosen)
        for identifier, (record, page) in sorted(chosen.items()):
            yield await self._publication(identifier, record, page)

    async def _search(
        self, query: Query, slices: list[tuple[date, date]], found: Found
    ) -> AsyncIterator[Issue]:
        """Take all records of a query into `found`, slice by slice."""
        claimed, failed, in_a_row = 0, False, 0
        while slices and in_a_row < GIVE_UP:
            (begin, end), *slices = slices
            asked = query.cql(begin, end)
            try:
                answer, page = await self.ask(asked)
                _check(answer, query, begin, end)
            except (FetchError, Unreadable) as error:
                failed, in_a_row = True, in_a_row + 1
                code = "diagnostics" if isinstance(error, Rejected) else "search_failed"
                yield self.issue("error", code, f"{query.name}, {begin} to {end}: {error}")
                continue
            in_a_row = 0
            if answer.total > MOST and begin < end:
                middle = begin + (end - begin) // 2
                slices = [(begin, middle), (middle + timedelta(days=1), end), *slices]
                continue
            claimed += answer.total
            async for issue in self.scan(asked, answer, page, found):
                yield issue
        if slices:
            detail = f"{query.name}: not asked for {slices[0][0]} and later, since the service fails"
            yield self.issue("error", "gave_up", detail)
        elif not claimed and not failed:
            detail = f"{query.name}: nothing at all, which it also says to a query it does not understand"
            yield self.issue("error", "silent_zero", detail)

    async def _publication(self, identifier: str, record: dict[str, Any], page: Page) -> RawCall | Issue:
        """The record of one publication, from its XML, or its HTML where it has none."""
        kind = next((k for k in ("xml", "html") if record["files"].get(k)), None)
        if kind is None or not _IDENTIFIER.fullmatch(identifier):
            return self.issue("warning", "no_text", "a publication without XML or HTML", identifier)
        public = record["page"] or f"{self.home}{identifier}.html"
        reader = read_publication if kind == "xml" else read_html
        url = record["files"][kind]
        try:
            read, own_page = await self.read(url, lambda text: reader(text, public))
        except FetchError as error:
            return self.missing(error, identifier)
        except Unreadable as error:
            return self.issue("error", "layout_changed", f"{url}: {error}", identifier)
        fields = raw_fields(record, read, identifier) | {"url": public}
        return RawCall(source=self.name, key=identifier, fields=fields, pages=(own_page, page))


def _check(answer: Answer, query: Query, begin: date, end: date) -> None:
    """Raises Unreadable where the service answered another question than it was asked."""
    for record in answer.records:
        published = iso_day(record["available"])
        in_time = published is None or begin <= published <= end
        if not in_time or record["publication"] not in (None, query.journal):
            told = f"{record['identifier']}, {record['publication']}, {published}"
            raise Unreadable(f"the service ignored a part of the query (it served {told})")
