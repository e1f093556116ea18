"""Mails and pages in a real browser without JavaScript: unsubscribe, feedback, the mail itself."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flows.feedback import read as read_feedback
from flows.home import Home
from flows.mail.links import Signer
from flows.mail.outbox import open_outbox
from flows.mail.send import Post, write_drafts
from flows.mail.settings import Sender, Web
from flows.mail.web import application
from pipeline.schema import Subscription
from warehouse.records import open_records

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; see make programs")
ON_TUESDAY = datetime(2026, 6, 16, 9, tzinfo=UTC)
DAY, WEEK, PROFILE = date(2026, 6, 15), "2026-W25", "voorbeeld-kunststofrecycling"
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield started
        started.close()


def clock() -> int:
    return int(ON_TUESDAY.timestamp())


class Site:
    """The pages of a home whose one reader was written to, served on loopback."""

    def __init__(self, path: Path, port: int) -> None:
        self.home, self.web = Home(path), Web(f"http://127.0.0.1:{port}")
        with open_outbox(self.home) as outbox, open_records(self.home.warehouse) as warehouse:
            self.reader = outbox.subscription_id("ann@example.org", "digest", PROFILE)
            consent = {"consent_on": date(2026, 5, 1), "consent_source": "formulier"}
            outbox.subscribe(
                [
                    Subscription.model_validate(
                        {"subscription_id": self.reader, "address": "ann@example.org", "list": "digest"}
                        | {"profiles": (PROFILE,), "language": "nl"}
                        | consent
                    )
                ]
            )
            sender = Sender("digest@hub.example", "Hub", 0, 0, 0)
            assert write_drafts(Post(self.home, warehouse, outbox, sender, self.web, DAY)) == 1
            self.signer = Signer(outbox.key, clock)

    def link(self, page: Any, **about: str) -> str:
        return self.signer.link(self.web, page, self.reader, **about)


@pytest.fixture
def site(demo: tuple[Path, str], tmp_path: Path) -> Iterator[Site]:
    shutil.copy(demo[0] / "warehouse.duckdb", tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Site(tmp_path, port)
    server = uvicorn.Server(
        uvicorn.Config(application(found.home, found.web, clock), port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    yield found
    server.should_exit = True
    thread.join(10)


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page without JavaScript that notes every host it talks to."""
    context = browser.new_context(viewport=request.param, java_script_enabled=False, color_scheme="dark")
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    opened.asked = []
    opened.on("request", lambda asked: opened.asked.append(asked.url))
    yield opened
    context.close()


def test_a_reader_stops_the_list_from_the_mail(site: Site, page: Any) -> None:
    page.goto(site.link("digest", week=WEEK))
    page.get_by_role("link", name="Stop deze mails").click()
    assert "ann@example.org" not in page.content() and "a…@example.org" in page.content()
    with open_outbox(site.home) as outbox:
        assert outbox.subscriptions()[0].stopped_on is None, "coming here changed nothing"
    page.get_by_role("button", name="Stop").click()
    assert "Gestopt." in page.get_by_role("status").inner_text()
    with open_outbox(site.home) as outbox:
        assert outbox.subscriptions()[0].stopped_on is not None
    page.go_back()
    assert all(asked.startswith(site.web.url) for asked in page.asked)


def test_a_reader_says_from_the_mail_that_a_call_is_not_for_them(site: Site, page: Any) -> None:
    page.goto(site.link("digest", week=WEEK))
    page.get_by_role("link", name="Niets voor ons").first.click()
    assert page.locator("h2").first.inner_text().startswith("Improving circularity")
    page.get_by_role("textbox").fill("Te groot voor ons.")
    page.get_by_role("button", name="Niets voor ons").click()
    assert "Verborgen." in page.get_by_role("status").inner_text()
    (given,), _ = read_feedback(site.home)
    assert (given.profile_id, given.verdict, given.why) == (PROFILE, "not-for-us", "Te groot voor ons.")


def test_a_reader_chooses_less_mail(site: Site, page: Any) -> None:
    page.goto(site.link("choices"))
    assert page.get_by_role("radio", checked=True).count() == 2
    page.get_by_label("geen nieuwe calls").check()
    page.get_by_role("button", name="Bewaar").click()
    assert "Bewaard." in page.get_by_role("status").inner_text()
    with open_outbox(site.home) as outbox:
        assert outbox.subscriptions()[0].cadence == "deadlines"


def test_every_link_of_a_mail_to_our_pages_leads_to_one(site: Site, page: Any) -> None:
    page.goto(site.link("digest", week=WEEK))
    leads = {link.get_attribute("href") for link in page.get_by_role("link").all()}
    ours = sorted(lead for lead in leads if lead.startswith(site.web.url))
    assert len(ours) >= 5 * 3 + 3, "three for each call, and those of the mail"
    for lead in ours:
        answer = page.goto(lead)
        assert answer.status == 200 and page.get_by_role("alert").count() == 0, lead


def test_the_mail_in_a_browser_fits_the_screen_and_asks_nobody_else(site: Site, page: Any) -> None:
    page.goto(site.link("digest", week=WEEK))
    size = page.viewport_size
    box = page.locator("table").first.bounding_box()
    assert box is not None and box["x"] >= 0 and box["width"] <= size["width"]
    card = page.get_by_role("heading", level=3).first
    assert card.is_visible() and card.inner_text().startswith("1. Improving circularity")
    background = page.locator("td").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert background == "rgb(18, 24, 31)", "the dark colours are used"
    assert set(page.asked) == {page.url}
