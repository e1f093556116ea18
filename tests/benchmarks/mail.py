"""What a digest costs: ten thousand composed, beside Jinja2 rendering the same template."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pipeline.digest
from flows.home import Home
from flows.mail.links import Signer
from flows.mail.message import message, message_id
from flows.mail.outbox import open_outbox
from flows.mail.send import Post
from flows.mail.settings import Sender, Web
from pipeline.digest import Edition, compose
from pipeline.news import News, news, now_told
from pipeline.rendering import environment
from pipeline.schema import Profile, Subscription
from warehouse.records import open_records

READERS, ROUNDS = 10_000, 7
Reader = tuple[Profile, Subscription, list[Any]]


def readers(post: Post, count: int) -> list[Reader]:
    """Readers who were each told of a few other calls before, so that no two mails are alike."""
    chance = random.Random(2026)
    profiles = [post.profiles[key] for key in sorted(post.profiles)]
    week = post.edition.week
    found = []
    for number in range(count):
        profile = profiles[number % len(profiles)]
        matches = post.matches(profile.id)
        before = chance.sample(matches, min(len(matches), chance.randint(0, 6)))
        told = [now_told(None, profile.id, week.calls[m.call_id], week, None) for m in before]
        told = [each.model_copy(update={"on": week.as_of - timedelta(days=7)}) for each in told]
        subscription = Subscription(
            subscription_id=f"{number:020x}",
            address=f"reader{number}@example.org",
            list="digest",
            profiles=(profile.id,),
            language=profile.language,
            consent_on=date(2026, 5, 1),
            consent_source="a form",
            least_percentile=chance.choice([70.0, 80.0, 90.0]),
        )
        found.append((profile, subscription, told))
    return found


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main(home: Path) -> None:
    sender, web = Sender("digest@hub.example", "Hub", 0, 0, 0), Web("https://calls.hub.example")
    with open_records(home / "warehouse.duckdb") as warehouse, open_outbox(Home(home)) as outbox:
        post = Post(Home(home), warehouse, outbox, sender, web, warehouse.day())
        signer = Signer(outbox.key, lambda: int(post.at.timestamp()))
        everybody = readers(post, READERS)
        edition: Edition = post.edition

        def told_to(reader: Reader) -> News:
            profile, subscription, told = reader
            return news(profile.id, post.matches(profile.id), told, subscription, edition.week)

        def composed(reader: Reader, found: News) -> Any:
            profile, subscription, _ = reader
            links = signer.links(web, subscription.subscription_id, post.week)
            return compose(profile, found, edition, subscription, links, subscription)

        def ours() -> None:
            for reader in everybody:
                composed(reader, told_to(reader))

        views: list[tuple[str, dict[str, Any]]] = []
        with patch.object(pipeline.digest, "render", lambda name, view: views.append((name, view)) or ""):
            ours()
        templates = {name: environment().get_template(name) for name, _ in views}

        def bare() -> None:
            for name, view in views:
                templates[name].render(view)

        def whole(some: int) -> None:
            for reader in everybody[:some]:
                found = told_to(reader)
                mail, subscription = composed(reader, found), reader[1]
                links = signer.links(web, subscription.subscription_id, post.week)
                identity = message_id(subscription.subscription_id, "digest", post.week, sender.domain)
                attached = post._calendar([(reader[0], found)], subscription)
                message(mail, subscription, sender, links, identity, post.at, attached)

        pairs = [(seconds(ours), seconds(bare)) for _ in range(ROUNDS)]
        ratios = sorted(mine / theirs for mine, theirs in pairs)
        mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        full = seconds(lambda: whole(1000)) / 1000
    print(
        f"{READERS} digests: {READERS / mine:.0f} a second composed, {READERS / theirs:.0f} rendered bare; "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"as a message with its calendar {1 / full:.0f} a second"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
