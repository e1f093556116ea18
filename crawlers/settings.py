"""How we behave on the web: one set of Scrapy settings for live crawls and one for replays.

A replay never touches the network: every request is answered from the archive or not at all.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline import VERSION

RETRY_CODES = [408, 429, 500, 502, 503, 504, 522, 524]


class SettingsError(ValueError):
    """An environment variable cannot be used; the message names it and says why in one line."""


def number(variable: str, default: float) -> float:
    """A number of 0 or more from the environment. Raises SettingsError."""
    printed = os.environ.get(variable, "").strip()
    try:
        value = float(printed or default)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise SettingsError(f"{variable} is {printed!r}; it must be a number of 0 or more")
    return value


def user_agent() -> str:
    """Who we are, and whom to tell when we are a burden (`FUNDMATCH_CONTACT`: a mail address or page)."""
    contact = " ".join(os.environ.get("FUNDMATCH_CONTACT", "").split()) or "no contact set"
    return f"fundmatch/{VERSION} (weekly reader of public funding calls; contact: {contact})"


def base_url_override(source: str) -> str | None:
    """`FUNDMATCH_BASE_URL__<SOURCE>`: where a live crawl of this source goes instead of the real site.

    Raises SettingsError where it is no http(s) address.
    """
    variable = f"FUNDMATCH_BASE_URL__{source.upper()}"
    value = os.environ.get(variable, "").strip().rstrip("/")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise SettingsError(f"{variable} is {value!r}; it must be an address like http://127.0.0.1:8000")
    return value or None


def _common() -> dict[str, Any]:
    return {
        "ADDONS": {},
        "COOKIES_ENABLED": False,
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
            "crawlers.manners.OwnHostsMiddleware": 50,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "crawlers.manners.BackoffRetryMiddleware": 550,
        },
        "DOWNLOAD_FAIL_ON_DATALOSS": True,
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_POLICY": "scrapy.extensions.httpcache.DummyPolicy",
        "LOG_ENABLED": False,
        "LOG_INSTALL_ROOT_HANDLER": False,
        "REDIRECT_MAX_TIMES": 5,
        "REFERER_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,  # it would execute Python that is posted to it
        "SPIDER_MIDDLEWARES": {"crawlers.manners.LastItemMiddleware": 0},
        "TELNETCONSOLE_ENABLED": False,
        "USER_AGENT": user_agent(),
    }


def live_settings(
    archive: Path, base_url: str, day: str, largest_page: int, hosts: Sequence[str]
) -> dict[str, Any]:
    """Polite settings that write every exchange to `archive` (a .warc.gz that must not exist yet).

    `day` is the crawl's today (ISO), kept for replays; `largest_page` is in bytes, inflated. Each of `hosts`
    must have a public address, but where the operator says with a base URL where to go instead.
    """
    delay = number("FUNDMATCH_DOWNLOAD_DELAY", 0.5)  # seconds between requests
    return _common() | {
        "AUTOTHROTTLE_ENABLED": delay > 0,
        "AUTOTHROTTLE_START_DELAY": delay,
        "AUTOTHROTTLE_MAX_DELAY": 30,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 2,
        "DOWNLOAD_DELAY": delay,
        "DOWNLOAD_MAXSIZE": largest_page,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_TLS_MIN_VERSION": "TLSv1.2",
        "DOWNLOAD_VERIFY_CERTIFICATES": True,  # else a neighbour could move a deadline on its way
        "DOWNLOAD_TIMEOUT": number("FUNDMATCH_DOWNLOAD_TIMEOUT", 60),  # seconds, to the end of the answer
        "FUNDMATCH_ARCHIVE": str(archive),
        "FUNDMATCH_BASE_URL": base_url,
        "FUNDMATCH_DAY": day,
        "FUNDMATCH_BACKOFF_SECONDS": delay * 4,
        "FUNDMATCH_HOSTS": [] if base_url else list(hosts),
        "HTTPCACHE_STORAGE": "crawlers.archive.ArchiveStorage",
        "RETRY_HTTP_CODES": RETRY_CODES,
        "RETRY_TIMES": 5,
        "ROBOTSTXT_OBEY": True,
        "TWISTED_DNS_RESOLVER": "crawlers.resolver.PublicResolver",
    }


def offline_settings() -> dict[str, Any]:
    """Settings that have no way to the network."""
    return _common() | {
        "DOWNLOAD_HANDLERS": dict.fromkeys(("http", "https", "ftp", "file", "data", "s3")),
        "HTTPCACHE_ENABLED": False,
        "RETRY_ENABLED": False,
        "ROBOTSTXT_OBEY": False,  # what is archived was allowed when it was fetched
    }


def replay_settings(archive: Path) -> dict[str, Any]:
    """Settings that answer every request from `archive`: a WARC file or a folder of exchanges."""
    return offline_settings() | {
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
        "FUNDMATCH_REPLAY": str(archive),
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_IGNORE_MISSING": True,
        "HTTPCACHE_STORAGE": "crawlers.archive.ReplayStorage",
    }
