"""The pages that mails link to: why a call fits and what its reader says, how often, stop, the mail itself.

A GET changes nothing, whoever fetches it (scanners do, before the reader). A POST needs a token of a form
that was shown within the hour, once; or is the one click of RFC 8058, once. Pages work without JavaScript,
load nothing from elsewhere, and are for their reader alone.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from flows.feedback import give
from flows.feedback import read as read_feedback
from flows.home import Home, HomeError
from flows.mail.links import ONE_CLICK, Expired, LinkError, Page, Signer, now
from flows.mail.outbox import Outbox, OutboxError, open_outbox
from flows.mail.settings import Web
from pipeline.digest import Edition, because, explained
from pipeline.feedback import marks
from pipeline.news import Week
from pipeline.rendering import render
from pipeline.schema import Feedback, Subscription
from pipeline.wording import wording
from warehouse.errors import NoWarehouse, UnknownCall, WarehouseUnreadable
from warehouse.records import open_records

LARGEST_BODY = 10_000  # bytes of a form
BODY_SECONDS = 10.0  # in which it must be here
LONGEST_WHY = 500  # characters
SAYS = ("relevant", "not-for-us", "cleared")
A_MINUTE = RateLimitItemPerMinute(300)  # requests of one address
BAD_A_MINUTE = RateLimitItemPerMinute(20)  # of those with a link that is none of ours
AN_HOUR = RateLimitItemPerHour(60)  # changes by one reader
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",  # the address of a page is its key
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
# a mail brings its styles in its elements
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class Answer(Exception):
    """An error page: its status, and what it says by its name in the wording of pages."""

    def __init__(self, status: int, error: str, language: str = "nl") -> None:
        super().__init__(error)
        self.status, self.error, self.language = status, error, language


class Pages:
    """What the pages show and change, in one home."""

    def __init__(self, home: Home, web: Web, clock: Callable[[], int]) -> None:
        self.home, self.web, self._clock = home, web, clock
        self._limits = MovingWindowRateLimiter(MemoryStorage())

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def admit(self, client: str) -> None:
        """Count a request. Raises Answer where there were too many."""
        if not self._limits.hit(A_MINUTE, "all", client) or not self._limits.test(
            BAD_A_MINUTE, "bad", client
        ):
            raise Answer(429, "many")

    def reader(
        self, outbox: Outbox, page: Page, subscription_id: str, token: str, client: str
    ) -> tuple[Subscription, dict[str, str]]:
        """Whose link it is, and what it is about. Raises Answer."""
        found = outbox.subscription(subscription_id)
        language = found.language if found else "nl"
        try:
            about = Signer(outbox.key, self._clock).read(page, subscription_id, token)
        except LinkError as error:
            self._limits.hit(BAD_A_MINUTE, "bad", client)
            expired = isinstance(error, Expired)
            raise Answer(410 if expired else 403, "expired" if expired else "forged", language) from error
        if found is None:
            raise Answer(404, "gone")
        return found, about

    def show(self, page: Page, subscription_id: str, token: str, client: str, chosen: str = "") -> Response:
        """A page as it stands; nothing is changed."""
        with open_outbox(self.home) as outbox:
            found, about = self.reader(outbox, page, subscription_id, token, client)
            if page == "digest":
                return self._mail(outbox, found, about)
            return self._page(outbox, page, found, about, chosen=chosen)

    def change(
        self, page: Page, subscription_id: str, token: str, client: str, form: dict[str, str]
    ) -> Response:
        """Do what a form asks, once. Raises Answer where it is not to be done."""
        with open_outbox(self.home) as outbox:
            found, about = self.reader(outbox, page, subscription_id, token, client)
            if not self._limits.hit(AN_HOUR, "change", subscription_id):
                raise Answer(429, "many", found.language)
            name, _, value = ONE_CLICK.partition("=")
            if page == "stop" and form.get(name) == value:
                return self._one_click(outbox, found, token)
            once = form.get("form", "")
            try:
                Signer(outbox.key, self._clock).read_form(page, subscription_id, once)
            except LinkError as error:
                expired = isinstance(error, Expired)
                raise Answer(
                    410 if expired else 403, "expired" if expired else "forged", found.language
                ) from error
            if page == "stop":
                return self._stop(outbox, found, once)
            if found.stopped_on:
                raise Answer(409, "stopped", found.language)
            if page == "choices":
                return self._choose(outbox, found, form, once)
            return self._say(outbox, found, about, form, once)

    def _one_click(self, outbox: Outbox, found: Subscription, token: str) -> Response:
        """End the list by the mail program's click; a click that comes twice finds it ended."""
        if not found.stopped_on:
            stopped = found.model_copy(update={"stopped_on": self._now.date()})
            if not outbox.choose(stopped, "stopped by one click", once=token):
                raise Answer(409, "used", found.language)
        return PlainTextResponse(wording(found.language)["pages"]["stopped"])

    def _stop(self, outbox: Outbox, found: Subscription, once: str) -> Response:
        words = wording(found.language)["pages"]
        if found.stopped_on:
            return self._page(outbox, "stop", found, {}, done=words["already"])
        stopped = found.model_copy(update={"stopped_on": self._now.date()})
        if not outbox.choose(stopped, "stopped on the page", once=once):
            raise Answer(409, "used", found.language)
        return self._page(outbox, "stop", stopped, {}, done=words["stopped"])

    def _choose(self, outbox: Outbox, found: Subscription, form: dict[str, str], once: str) -> Response:
        wished = {name: form.get(name, "") for name in ("cadence", "when_nothing")}
        try:
            changed = Subscription.model_validate(found.model_dump() | wished)
        except ValueError as error:
            raise Answer(422, "unclear", found.language) from error
        told = f"mails {changed.cadence}; when nothing is new: {changed.when_nothing}"
        if not outbox.choose(changed, told, once=once):
            raise Answer(409, "used", found.language)
        return self._page(outbox, "choices", changed, {}, done=wording(found.language)["pages"]["saved"])

    def _say(
        self, outbox: Outbox, found: Subscription, about: dict[str, str], form: dict[str, str], once: str
    ) -> Response:
        say, why = form.get("say", ""), " ".join(form.get("why", "").split())
        if say not in SAYS or len(why) > LONGEST_WHY:
            raise Answer(422, "unclear", found.language)
        said = {"profile_id": about["profile"], "call_id": about["call"], "verdict": say, "why": why or None}
        given = Feedback.model_validate(said | {"given_at": self._now})
        if not outbox.use(once):
            raise Answer(409, "used", found.language)
        give(self.home, given)
        done = wording(found.language)["pages"]["taken"][say]
        return self._page(outbox, "call", found, about, done=done)

    def _page(
        self,
        outbox: Outbox,
        page: Page,
        found: Subscription,
        about: dict[str, str],
        *,
        done: str = "",
        chosen: str = "",
    ) -> Response:
        words = wording(found.language)
        say, signer = words["pages"], Signer(outbox.key, self._clock)
        view: dict[str, Any] = {
            "page": page,
            "title": {"call": say["fits"], "choices": say["choices"], "stop": say["stop"]}[page],
            "masked": say["masked"].format(address=masked(found.address)),
            "done": done,
            "note": "",
            "form": None if found.stopped_on else signer.form(page, found.subscription_id),
        }
        if page == "stop":
            view["because"] = because(found, self._name(found), words)
            view["question"] = say["stop_question"].format(address=masked(found.address))
            view["done"] = done or (say["already"] if found.stopped_on else "")
        elif page == "choices":
            view |= {
                "because": because(found, self._name(found), words),
                "percent": f"{found.least_percentile:g}",
                "cadence": found.cadence,
                "when_nothing": found.when_nothing,
                "stop": signer.link(self.web, "stop", found.subscription_id),
                "wrong": say["already"] if found.stopped_on else "",
            }
        else:
            try:
                view |= self._explained(found, about, chosen)
            except (NoWarehouse, WarehouseUnreadable, HomeError) as error:
                raise Answer(503, "later", found.language) from error
        return self.page(200, found.language, view)

    def _explained(self, found: Subscription, about: dict[str, str], chosen: str) -> dict[str, Any]:
        """Why a call fits, as the last run has it, and what was said of it."""
        profile_id, call_id = about["profile"], about["call"]
        with open_records(self.home.warehouse) as warehouse:
            try:
                call = warehouse.call(call_id)
            except UnknownCall:
                return {"item": None, "marked": None, "says": SAYS[:2], "chosen": chosen} | {
                    "note": wording(found.language)["pages"]["not_matched"]
                }
            as_of = warehouse.day()
            profile = next((p for p in warehouse.profile_records() if p.id == profile_id), None)
            match = next((m for m in warehouse.match_records(profile_id) if m.call_id == call.call_id), None)
        told = marks(read_feedback(self.home)[0], [call]).get(profile_id, {})
        marked = told[call.call_id].verdict if call.call_id in told else None
        edition = Edition(Week(as_of, {call.call_id: call}, frozenset([call.call_id])))
        note = "" if match else wording(found.language)["pages"]["not_matched"]
        return {
            "item": explained(profile, call, match, edition, found),
            "note": note,
            "marked": marked,
            "says": [say for say in SAYS if say != marked and (say != "cleared" or marked)],
            "chosen": chosen,
        }

    def _name(self, found: Subscription) -> str:
        """The name of the profile that a digest is of; its id where the warehouse cannot be read."""
        if not found.profiles:
            return ""
        try:
            with open_records(self.home.warehouse) as warehouse:
                names = {profile.id: profile.name for profile in warehouse.profile_records()}
        except (NoWarehouse, WarehouseUnreadable):
            return found.profiles[0]
        return names.get(found.profiles[0], found.profiles[0])

    def _mail(self, outbox: Outbox, found: Subscription, about: dict[str, str]) -> Response:
        """The mail of a week as it was sent."""
        kept = outbox.message(found.subscription_id, about.get("week", ""))
        if kept is None:
            raise Answer(404, "absent", found.language)
        message = email.message_from_bytes(kept, policy=email.policy.default)
        body = message.get_body(("html",))
        assert body is not None
        return HTMLResponse(body.get_content(), headers={"Content-Security-Policy": MAIL_POLICY})

    def page(self, status: int, language: str, view: dict[str, Any]) -> Response:
        """A page in a language."""
        base = {
            "language": language,
            "words": wording(language),
            "root": self.web.url,
            "wrong": "",
            "masked": "",
        }
        return HTMLResponse(render("page.html.j2", base | view), status)

    def wrong(self, answer: Answer) -> Response:
        """The page of an error."""
        say = wording(answer.language)["pages"]
        view = {"page": "error", "title": say["choices"], "done": "", "wrong": say["errors"][answer.error]}
        response = self.page(answer.status, answer.language, view)
        if answer.status == 429:
            response.headers["Retry-After"] = "60"
        return response


def application(home: Home, web: Web, clock: Callable[[], int] = now) -> FastAPI:
    """The web application of one home, as the world sees it under `web`; `clock` gives seconds since 1970."""
    app, pages = FastAPI(openapi_url=None), Pages(home, web, clock)
    styles = files("pipeline").joinpath("templates", "page.css").read_text("utf-8")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[web.host])

    @app.middleware("http")
    async def guarded(request: Request, then: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            pages.admit(_client(request))
            response = await then(request)
        except Answer as answer:
            response = pages.wrong(answer)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if web.url.startswith("https://"):
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    @app.exception_handler(Answer)
    async def answered(request: Request, answer: Answer) -> Response:
        return pages.wrong(answer)

    @app.exception_handler(HTTPException)
    async def absent(request: Request, error: HTTPException) -> Response:
        return pages.wrong(Answer(error.status_code, "absent"))

    @app.exception_handler(RequestValidationError)
    async def unknown(request: Request, error: Exception) -> Response:
        return pages.wrong(Answer(404, "absent"))

    @app.exception_handler(HomeError)
    @app.exception_handler(OutboxError)
    async def later(request: Request, error: Exception) -> Response:
        return pages.wrong(Answer(503, "later"))

    @app.get("/page.css")
    async def css() -> Response:
        return Response(styles, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    @app.api_route("/{page}/{subscription_id}/{token}", methods=["GET", "HEAD"])
    async def shown(
        page: Page, subscription_id: str, token: str, request: Request, say: str = ""
    ) -> Response:
        return await run_in_threadpool(pages.show, page, subscription_id, token, _client(request), say)

    @app.post("/{page}/{subscription_id}/{token}")
    async def changed(page: Page, subscription_id: str, token: str, request: Request) -> Response:
        if page == "digest":
            raise HTTPException(405)
        try:
            form = await asyncio.wait_for(_form(request), BODY_SECONDS)
        except TimeoutError as error:
            raise Answer(408, "unclear") from error
        return await run_in_threadpool(pages.change, page, subscription_id, token, _client(request), form)

    return app


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form, urlencoded or multipart. Raises Answer where it is large or none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Answer(413, "large")
    request._body = body  # which the parser below reads
    try:
        form = await request.form(max_files=0, max_fields=10)
    except (HTTPException, ValueError) as error:
        raise Answer(422, "unclear") from error
    return {name: value for name, value in form.items() if isinstance(value, str)}


def masked(address: str) -> str:
    """An address that its reader recognises and nobody else learns: d…@hub.example."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"


def _client(request: Request) -> str:
    return request.client.host if request.client else "unknown"
