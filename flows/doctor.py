"""Whether the next week will come out: home and disk, profiles, model, last run, sources, schedule, mail."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from crawlers.settings import base_url_override, number
from crawlers.sources import source_names
from flows.home import Home, HomeError
from flows.mail import doctor as mail
from flows.mail import settings
from flows.mail.doctor import Finding
from flows.work import left_over

ROOM = 2 * 1024**3  # bytes free below which a week may not fit, beside twice the warehouse
OVERDUE = timedelta(days=8)  # since the last run
CERTIFICATE = timedelta(days=14)  # before it ends; those of Let's Encrypt are renewed 30 days before
CONNECT_SECONDS = 5.0


def examine(home: Home, *, online: bool, now: datetime | None = None) -> list[Finding]:
    """All findings. `online`: the mail server, the pages' certificate and the DNS are asked, too."""
    now = now or datetime.now(UTC)
    found = [*_home(home), *_settings(), *_model(home), *_runs(home, now)]
    return [*found, *mail.examine(home, online=online), *(_certificate(now) if online else ())]


def _home(home: Home) -> Iterator[Finding]:
    try:
        home.create()
    except HomeError as error:
        yield Finding("home", "wrong", str(error))
        return
    disk = shutil.disk_usage(home.path)
    need = ROOM + 2 * (home.warehouse.stat().st_size if home.warehouse.exists() else 0)
    told = f"{home.path}: {disk.free / 1024**3:.1f} GiB free"
    if disk.free < need:
        yield Finding("disk", "wrong", f"{told}, a week wants {need / 1024**3:.1f}: make room there")
    else:
        yield Finding("disk", "ok", told)
    try:
        yield Finding("profiles", "ok", f"{len(home.profiles())} profiles")
    except HomeError as error:
        yield Finding("profiles", "wrong", str(error))


def _settings() -> Iterator[Finding]:
    """What is set for crawling, and who is told of what breaks."""
    try:
        for name in ("FUNDMATCH_CRAWL_MINUTES", "FUNDMATCH_DOWNLOAD_DELAY", "FUNDMATCH_DOWNLOAD_TIMEOUT"):
            number(name, 1)
        for source in source_names():
            base_url_override(source)
    except ValueError as error:
        yield Finding("crawling", "wrong", str(error))
    if not os.environ.get("FUNDMATCH_CONTACT", "").strip():
        told = "FUNDMATCH_CONTACT is not set: give a mail address, so that sites know whom to ask"
        yield Finding("crawling", "note", told)
    try:
        operator = settings.operator()
    except settings.SettingsError as error:
        yield Finding("operator", "wrong", str(error))
        return
    if operator is None:
        told = "FUNDMATCH_OPERATOR is not set: nobody gets a mail when a source breaks"
        yield Finding("operator", "note", told)
    else:
        yield Finding("operator", "ok", operator)


def _model(home: Home) -> Iterator[Finding]:
    from embeddings.encode import ModelError
    from flows.corpus import encoder_for

    try:
        encoder = encoder_for(home, None)
        encoder.compute(["a"])
        yield Finding("model", "ok", f"{encoder.model_id}, {encoder.dimension} numbers a text")
    except ModelError as error:
        yield Finding("model", "wrong", str(error))


def _runs(home: Home, now: datetime) -> Iterator[Finding]:
    from warehouse.errors import NoWarehouse, WarehouseUnreadable
    from warehouse.records import open_records

    try:
        with open_records(home.warehouse) as warehouse:
            last, health = warehouse.latest_run(), warehouse.health()
    except (NoWarehouse, WarehouseUnreadable) as error:
        yield Finding("warehouse", "wrong", str(error))
        return
    if last is None:
        yield Finding(
            "last run", "wrong", "the warehouse holds no run yet; make one with: fundmatch run --live"
        )
        return
    age = now - last.started_at
    told = f"{last.run_id}, as of {last.as_of}, {last.mode}"
    if age < -timedelta(hours=1):
        yield Finding("clock", "wrong", f"{told} began {-age} from now: set the clock right")
    elif age > OVERDUE:
        yield Finding("last run", "wrong", f"{told}: {age.days} days ago; is the schedule on?")
    else:
        yield Finding("last run", "ok", told)
    for work in left_over(home):
        if work.state == "running":
            yield Finding(
                "run", "note", f"{work.run_id} is at work, or died: the same command goes on with it"
            )
    for source in health:
        if source.state in ("broken", "partial"):
            yield Finding(source.source, "wrong", f"{source.state}: {source.detail or 'no reason is known'}")
        elif last.mode == "live" and source.last_good_at and now - source.last_good_at > OVERDUE:
            days = (now - source.last_good_at).days
            yield Finding(source.source, "wrong", f"last read {days} days ago; is the weekly run on?")
        elif source.stale:
            yield Finding(source.source, "note", f"{source.stale} records were last checked long ago")


def _certificate(now: datetime) -> Iterator[Finding]:
    """How long the certificate of the pages holds, as the world sees it."""
    try:
        web = settings.web()
    except settings.SettingsError:
        return  # told with the settings
    if web is None or not web.url.startswith("https://"):
        return
    port = urlsplit(web.url).port or 443
    try:
        with (
            socket.create_connection((web.host, port), CONNECT_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=web.host) as wrapped,
        ):
            ends = ssl.cert_time_to_seconds(str((wrapped.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        yield Finding("certificate", "wrong", f"{web.host}: is not to be trusted ({error.verify_message})")
        return
    except (OSError, ValueError, KeyError) as error:
        told = f"{web.host}:{port} cannot be reached from here ({error}); is the proxy up?"
        yield Finding("certificate", "note", told)
        return
    left = datetime.fromtimestamp(ends, UTC) - now
    state = "wrong" if left < timedelta(0) else "note" if left < CERTIFICATE else "ok"
    yield Finding("certificate", state, f"{web.host}: holds for {left.days} more days")  # type: ignore[arg-type]
