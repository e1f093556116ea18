"""Signed addresses that a mail leads to: each is for one reader and one page, and ends after a while.

A link shows a page and changes nothing. What changes something is a form on that page, signed anew each time
it is shown and good for one use within an hour; and the one click of RFC 8058, good for one use as well.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Literal

from itsdangerous import BadData, BadSignature, SignatureExpired, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from flows.mail.settings import Web
from pipeline.digest import Links

Page = Literal["call", "choices", "stop", "digest"]
DAYS: dict[Page, int] = {"call": 120, "choices": 400, "stop": 400, "digest": 400}
FORM_SECONDS = 3600
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058, the body of the POST


class LinkError(Exception):
    """A link or a form is not to be trusted."""


class Expired(LinkError):
    """It was good, and is too old."""


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


@dataclass(frozen=True)
class Signer:
    """Makes and reads signed links with a home's key. `clock` gives seconds since 1970."""

    key: bytes
    clock: Callable[[], int] = now
    _signers: dict[str, _Signer] = field(default_factory=dict)

    def link(self, web: Web, page: Page, subscription_id: str, **about: str) -> str:
        """The address of a page for one reader; `about` says of which call or week."""
        return f"{web.url}/{page}/{subscription_id}/{self._signed(page, subscription_id, about)}"

    def links(self, web: Web | None, subscription_id: str, week: str) -> Links:
        """All that a mail of a week leads to; none without a web server."""
        if web is None:
            return Links()
        return Links(
            view=self.link(web, "digest", subscription_id, week=week),
            choices=self.link(web, "choices", subscription_id),
            stop=self.link(web, "stop", subscription_id, week=week),
            call=lambda profile, call: self.link(web, "call", subscription_id, profile=profile, call=call),
        )

    def read(self, page: Page, subscription_id: str, token: str) -> dict[str, str]:
        """What a link is about. Raises LinkError where it is forged or another's, Expired where too old."""
        return self._read(page, subscription_id, token, DAYS[page] * 86_400)

    def form(self, page: Page, subscription_id: str) -> str:
        """A token for a form on a page: good for one use within FORM_SECONDS."""
        return self._signed(f"form {page}", subscription_id, {"once": secrets.token_hex(8)})

    def read_form(self, page: Page, subscription_id: str, token: str) -> None:
        """Check a form's token, but for its one use. Raises LinkError, Expired."""
        self._read(f"form {page}", subscription_id, token, FORM_SECONDS)

    def _signed(self, purpose: str, subscription_id: str, about: dict[str, str]) -> str:
        told = _ENCODE([subscription_id, about])
        return self._signer(purpose).sign(base64_encode(told)).decode()

    def _read(self, purpose: str, subscription_id: str, token: str, seconds: int) -> dict[str, str]:
        try:
            reader, about = json.loads(base64_decode(self._signer(purpose).unsign(token, max_age=seconds)))
        except SignatureExpired as error:
            raise Expired("the link is too old") from error
        except (BadSignature, BadData, ValueError, TypeError) as error:
            raise LinkError("the link is not ours") from error
        if not isinstance(about, dict) or reader != subscription_id:
            raise LinkError("the link is another reader's")
        return {str(name): str(value) for name, value in about.items()}

    def _signer(self, purpose: str) -> TimestampSigner:
        signer = self._signers.get(purpose)
        if signer is None:
            signer = _Signer(self.key, f"fundmatch {purpose}", key_derivation="hmac", digest_method=sha256)
            signer.clock = self.clock
            self._signers[purpose] = signer
        return signer


class _Signer(TimestampSigner):
    """A signer whose clock is an argument."""

    clock: Callable[[], int]

    @cached_property
    def _derived(self) -> bytes:
        return super().derive_key()

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        """Derived once: the key of a signer does not change."""
        return self._derived

    def get_timestamp(self) -> int:
        return self.clock()
