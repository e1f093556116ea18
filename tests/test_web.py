"""The pages that mails link to: who may see and change what, once; and that fetching changes nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from flows.feedback import read as read_feedback
from flows.home import Home
from flows.mail.links import DAYS, FORM_SECONDS, Signer
from flows.mail.outbox import Draft, Outbox, open_outbox
from flows.mail.settings import Web
from flows.mail.web import AN_HOUR, BAD_A_MINUTE, application, masked
from pipeline.schema import Subscription
from warehouse.records import open_records

WEB = Web("http://127.0.0.1:8400")
NOW = 1_800_000_000
CALL = {"profile": "voorbeeld-kunststofrecycling", "call": "eu_portal:HORIZON"}
MESSAGE = b"""From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r
Content-Type: text/html; charset=utf-8\r\n\r\n<p style="color: red">The mail itself</p>\r\n"""


class Pages:
    """A home with two readers, and a browser on its pages."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.now = NOW
        with open_outbox(self.home) as outbox:
            readers = [self.reader(outbox, name) for name in ("ann", "bob")]
            outbox.subscribe(readers)
            outbox.write([Draft("<m@x>", readers[0], "2026-W25", date(2026, 6, 15), True, "x", MESSAGE, ())])
            self.ann, self.bob = (reader.subscription_id for reader in readers)
            self.key = outbox.key
        self.browser = TestClient(
            application(self.home, WEB, lambda: self.now),
            base_url=WEB.url,
            client=("192.0.2.1", 1),
            raise_server_exceptions=True,
        )

    @staticmethod
    def reader(outbox: Outbox, name: str, **more: Any) -> Subscription:
        address = f"{name}@example.org"
        return Subscription(
            subscription_id=outbox.subscription_id(address, "digest", CALL["profile"]),
            address=address,
            list="digest",
            profiles=(CALL["profile"],),
            language="en",
            consent_on=date(2026, 5, 1),
            consent_source="a form <b>",
            **more,
        )

    @property
    def signer(self) -> Signer:
        return Signer(self.key, lambda: self.now)

    def path(self, page: Any, reader: str | None = None, **about: str) -> str:
        return self.signer.link(WEB, page, reader or self.ann, **about).removeprefix(WEB.url)

    def state(self) -> tuple[Any, ...]:
        """All that a reader's click could change."""
        with open_outbox(self.home) as outbox:
            readers = [reader.model_dump_json() for reader in outbox.subscriptions()]
            used = outbox._db.execute("SELECT count(*) FROM used").fetchone()
        return (*readers, used, [f.model_dump_json() for f in read_feedback(self.home)[0]])

    def subscription(self, reader: str) -> Subscription:
        with open_outbox(self.home) as outbox:
            found = outbox.subscription(reader)
        assert found is not None
        return found

    def form(self, path: str) -> str:
        (token,) = re.findall(r'name="form" value="([^"]+)"', self.browser.get(path).text)
        return str(token)


@pytest.fixture
def pages(demo: tuple[Path, str], tmp_path: Path) -> Iterator[Pages]:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(demo[0] / "warehouse.duckdb", home)
    made = Pages(home)
    with made.browser:
        yield made


def known(pages: Pages) -> str:
    """The id of a call that the profile is matched to."""
    with open_records(pages.home.warehouse) as warehouse:
        return warehouse.call("HORIZON-CL6-2026-01-CIRCBIO-01").call_id


def all_paths(pages: Pages) -> list[str]:
    with_call = {"profile": CALL["profile"], "call": known(pages)}
    return [
        pages.path("call", **with_call),
        pages.path("call", **with_call) + "?say=not-for-us",
        pages.path("call", **CALL),
        pages.path("choices"),
        pages.path("stop", week="2026-W25"),
        pages.path("digest", week="2026-W25"),
    ]


def test_fetching_any_link_any_number_of_times_changes_nothing(pages: Pages) -> None:
    before = pages.state()
    for path in all_paths(pages) * 3:
        for method in ("GET", "HEAD"):
            assert pages.browser.request(method, path).status_code == 200
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            assert pages.browser.request(method, path).status_code == 405
    assert pages.state() == before


def test_one_click_of_the_mail_program_ends_the_list_without_a_page_or_a_log_in(pages: Pages) -> None:
    path = pages.path("stop", week="2026-W25")
    answer = pages.browser.post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and answer.text.startswith("Stopped.")
    assert pages.subscription(pages.ann).stopped_on and pages.subscription(pages.bob).stopped_on is None
    before = pages.state()
    assert pages.browser.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert pages.state() == before, "a click that comes twice changes nothing more"


def test_one_click_may_come_as_multipart(pages: Pages) -> None:
    files = {"List-Unsubscribe": (None, "One-Click")}
    assert pages.browser.post(pages.path("stop"), files=files).status_code == 200
    assert pages.subscription(pages.ann).stopped_on


def test_an_old_click_does_not_end_a_list_that_was_agreed_to_again(pages: Pages) -> None:
    path = pages.path("stop", week="2026-W25")
    pages.browser.post(path, data={"List-Unsubscribe": "One-Click"})
    with open_outbox(pages.home) as outbox:
        again = pages.subscription(pages.ann).model_copy(
            update={"stopped_on": None, "consent_on": date(2030, 1, 1)}
        )
        outbox.subscribe([again])
    answer = pages.browser.post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 409 and pages.subscription(pages.ann).stopped_on is None


@pytest.mark.parametrize("page", ["call", "choices", "stop"])
def test_a_form_is_good_once_within_the_hour_for_its_reader_and_page(pages: Pages, page: Any) -> None:
    path = pages.path(page, **CALL)
    fields = {"say": "relevant", "cadence": "monthly", "when_nothing": "short"}

    def post(at: str, token: str) -> int:
        return int(pages.browser.post(at, data=fields | {"form": token}).status_code)

    token = pages.form(path)
    before = pages.state()
    assert post(path, "") == 403
    assert post(path, token[:-2] + "xx") == 403
    assert post(pages.path(page, pages.bob, **CALL), token) == 403, "another reader's"
    others = next(name for name in ("choices", "stop", "call") if name != page)
    assert post(pages.path(others, **CALL), token) == 403, "another page's"
    pages.now += FORM_SECONDS + 1
    assert post(path, token) == 410
    assert pages.state() == before
    token = pages.form(path)
    assert post(path, token) == 200
    after = pages.state()
    assert after != before
    assert post(path, token) in (409, 200) and pages.state() == after, "replayed"


LINKS: dict[str, tuple[Callable[[Pages], str], int]] = {
    "forged": (lambda p: p.path("choices")[:-3] + "abc", 403),
    "cut": (lambda p: p.path("choices")[:-20], 403),
    "another reader's": (lambda p: p.path("choices", p.bob).replace(p.bob, p.ann), 403),
    "another page's": (lambda p: p.path("choices").replace("/choices/", "/stop/"), 403),
    "made with another key": (
        lambda p: Signer(b"k" * 32, lambda: NOW).link(WEB, "choices", p.ann).removeprefix(WEB.url),
        403,
    ),
    "no token": (lambda p: f"/choices/{p.ann}/x", 403),
    "of a reader who is not known": (lambda p: p.path("choices", "f" * 20), 404),
    "no page": (lambda p: p.path("choices").replace("/choices/", "/admin/"), 404),
    "nothing": (lambda p: "/", 404),
    "the API's own pages": (lambda p: "/openapi.json", 404),
}


@pytest.mark.parametrize(("path", "status"), LINKS.values(), ids=LINKS.keys())
def test_a_link_that_is_not_ours_shows_and_changes_nothing(pages: Pages, path: Any, status: int) -> None:
    before = pages.state()
    for answer in (
        pages.browser.get(path(pages)),
        pages.browser.post(path(pages), data={"List-Unsubscribe": "One-Click"}),
    ):
        assert answer.status_code in (status, 405 if status == 404 else status)
        assert (
            "example.org" not in answer.text and "<form" not in answer.text and 'role="alert"' in answer.text
        )
    assert pages.state() == before


@pytest.mark.parametrize("page", ["call", "choices", "stop", "digest"])
def test_a_link_ends_after_its_time(pages: Pages, page: Any) -> None:
    path = pages.path(page, week="2026-W25", **CALL)
    pages.now += DAYS[page] * 86_400 - 10
    assert pages.browser.get(path).status_code == 200
    pages.now += 20
    answer = pages.browser.get(path)
    assert answer.status_code == 410 and "too old" in answer.text


def test_what_a_reader_says_of_a_call_is_kept_with_its_reason(pages: Pages) -> None:
    path = pages.path("call", profile=CALL["profile"], call=known(pages))
    page = pages.browser.get(path + "?say=not-for-us").text
    assert "Improving circularity of multilayer flexible plastic" in page and "May you apply?" in page
    assert re.search(r'value="not-for-us" class="first"', page) and 'value="cleared"' not in page
    answer = pages.browser.post(
        path, data={"form": pages.form(path), "say": "not-for-us", "why": "Too\nlarge <b>"}
    )
    assert "Hidden. It counts from the next run on." in answer.text
    (given,), issues = read_feedback(pages.home)
    assert (given.verdict, given.why, issues) == ("not-for-us", "Too large <b>", [])
    page = pages.browser.get(path).text
    assert "You marked it as not for you" in page and 'value="cleared"' in page
    pages.browser.post(path, data={"form": pages.form(path), "say": "cleared"})
    assert [each.verdict for each in read_feedback(pages.home)[0]] == ["not-for-us", "cleared"]


def test_a_call_that_is_not_known_any_more_can_still_be_marked(pages: Pages) -> None:
    path = pages.path("call", **CALL)
    assert "not among the matches of the last run any more" in pages.browser.get(path).text
    assert pages.browser.post(path, data={"form": pages.form(path), "say": "relevant"}).status_code == 200


def test_a_reader_chooses_how_often_and_sees_why_the_mail_came(pages: Pages) -> None:
    path = pages.path("choices")
    page = pages.browser.get(path).text
    assert "You get this mail since 1 May 2026, for the profile of Voorbeeld: Kunststofkring Emmen." in page
    assert "a form &lt;b&gt;" in page and "ann@example.org" not in page and "a…@example.org" in page
    answer = pages.browser.post(
        path, data={"form": pages.form(path), "cadence": "deadlines", "when_nothing": "short"}
    )
    assert answer.status_code == 200 and re.search(r'value="deadlines" checked', answer.text)
    found = pages.subscription(pages.ann)
    assert (found.cadence, found.when_nothing) == ("deadlines", "short")


BAD_FORMS = [{"cadence": "daily", "when_nothing": "short"}, {"cadence": "weekly"}, {}]


@pytest.mark.parametrize("fields", BAD_FORMS)
def test_a_form_with_another_word_changes_nothing(pages: Pages, fields: dict[str, str]) -> None:
    path, before = pages.path("choices"), pages.state()
    assert pages.browser.post(path, data=fields | {"form": pages.form(path)}).status_code == 422
    assert pages.state() == before


def test_bodies_that_are_large_or_none_are_refused(pages: Pages) -> None:
    path, before = pages.path("choices"), pages.state()
    assert pages.browser.post(path, content=b"x" * 20_000).status_code == 413
    many = "&".join(f"f{n}=1" for n in range(500))
    head = {"content-type": "application/x-www-form-urlencoded"}
    assert pages.browser.post(path, content=many, headers=head).status_code in (403, 422)
    torn = {"content-type": "multipart/form-data; boundary=x"}
    assert pages.browser.post(path, content=b"--y\r\nbroken", headers=torn).status_code in (403, 422)
    a_file = {"form": ("f.txt", b"x"), "cadence": (None, "weekly")}
    assert pages.browser.post(path, files=a_file).status_code in (403, 422)
    assert pages.state() == before


def test_a_list_that_was_stopped_takes_no_more_choices(pages: Pages) -> None:
    path = pages.path("choices")
    token = pages.form(path)
    pages.browser.post(pages.path("stop"), data={"List-Unsubscribe": "One-Click"})
    answer = pages.browser.post(path, data={"form": token, "cadence": "weekly", "when_nothing": "none"})
    assert answer.status_code == 409 and "<form" not in pages.browser.get(path).text


def test_every_answer_keeps_others_out(pages: Pages) -> None:
    answers = [pages.browser.get(path) for path in [*all_paths(pages), "/", "/page.css"]]
    answers.append(pages.browser.post(pages.path("stop"), data={"List-Unsubscribe": "One-Click"}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script" not in policy
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert "set-cookie" not in answer.headers and "<script" not in answer.text
        assert answer.headers["cache-control"] == ("max-age=3600" if "css" in str(answer.url) else "no-store")
    mail = pages.browser.get(pages.path("digest", week="2026-W25"))
    assert (
        "The mail itself" in mail.text
        and "style-src 'unsafe-inline'" in mail.headers["content-security-policy"]
    )
    assert pages.browser.get("/", headers={"host": "evil.example"}).status_code == 400


def test_https_is_kept_to() -> None:
    with TestClient(
        application(Home(Path("/nowhere")), Web("https://h.example")), base_url="https://h.example"
    ) as browser:
        assert "max-age" in browser.get("/page.css").headers["strict-transport-security"]


def test_guessing_is_slowed_and_nobody_else_is(pages: Pages) -> None:
    forged = pages.path("choices")[:-3] + "abc"
    seen = [pages.browser.get(forged).status_code for _ in range(BAD_A_MINUTE.amount + 2)]
    assert seen[0] == 403 and seen[-1] == 429
    answer = pages.browser.get(pages.path("choices"))
    assert answer.status_code == 429 and answer.headers["retry-after"] == "60"
    elsewhere = TestClient(pages.browser.app, base_url=WEB.url, client=("192.0.2.2", 1))
    assert elsewhere.get(pages.path("choices")).status_code == 200


def test_one_reader_cannot_keep_the_home_busy(pages: Pages) -> None:
    path = pages.path("choices")
    seen = [pages.browser.post(path, data={"form": "x"}).status_code for _ in range(BAD_A_MINUTE.amount)]
    assert set(seen) == {403}
    for _ in range(AN_HOUR.amount):
        last = pages.browser.post(path, data={"form": "x"}).status_code
    assert last == 429


def test_a_home_that_cannot_be_read_is_told_to_the_reader(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pages.home.path / "warehouse.duckdb").write_bytes(b"no database" * 1000)
    answer = pages.browser.get(pages.path("call", **CALL))
    assert answer.status_code == 503 and "Try again in a few minutes" in answer.text
    assert pages.browser.get(pages.path("choices")).status_code == 200


def test_an_address_is_masked() -> None:
    assert masked("info@hub.example") == "i…@hub.example" and masked("a@b") == "a…@b"
