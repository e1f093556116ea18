"""Files of readers: who agreed to get which list, when and how. Nobody is written to without a consent."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows.mail.outbox import Outbox
from flows.mail.settings import plain_address
from pipeline.schema import Subscription
from pipeline.yaml_text import read_yaml

_LISTED = re.compile(r"\s*[|;]\s*")
_FIELDS = (
    "address",
    "list",
    "profile",
    "profiles",
    "language",
    "cadence",
    "when_nothing",
    "least_percentile",
    "zone",
    "consent_on",
    "consent_source",
)


class ReaderError(Exception):
    """A file of readers cannot be used; each line tells of one entry."""


def read_readers(path: Path, outbox: Outbox, languages: Mapping[str, str]) -> list[Subscription]:
    """The subscriptions of a .csv, .yml or .json file, all or none. `languages` are the profiles', by id.

    Raises ReaderError with a line for each entry that is wrong.
    """
    problems: list[str] = []
    found: dict[str, Subscription] = {}
    for number, entry in enumerate(_entries(path), start=1):
        try:
            given = subscription(entry, outbox, languages)
        except ReaderError as error:
            problems += [f"{path.name}: entry {number}: {line}" for line in str(error).splitlines()]
            continue
        if given.subscription_id in found:
            problems.append(
                f"{path.name}: entry {number}: {given.address} has this list already in this file"
            )
        found[given.subscription_id] = given
    if problems:
        raise ReaderError("\n".join(problems))
    return list(found.values())


def subscription(entry: Mapping[str, Any], outbox: Outbox, languages: Mapping[str, str]) -> Subscription:
    """One subscription out of an entry's fields. Raises ReaderError, a line for each thing that is wrong."""
    told = {str(key).strip(): value for key, value in entry.items() if value not in (None, "")}
    problems = [
        f"{name!r} is no field; known are {', '.join(_FIELDS)}" for name in told if name not in _FIELDS
    ]
    mailing_list = str(told.get("list", "digest"))
    named = _names(told.get("profiles")) + _names(told.get("profile"))
    unknown = [name for name in named if name not in languages]
    if unknown:
        problems.append(f"there is no profile {', '.join(unknown)}; see: fundmatch profiles list")
    if mailing_list not in ("digest", "adviser"):
        problems.append(f"list: {mailing_list!r} is none; use digest or adviser")
    if mailing_list == "digest" and len(named) != 1:
        problems.append("a digest is of one profile; give its id as profile")
    address = str(told.get("address", ""))
    try:
        address = plain_address(address)
    except ValueError as error:
        problems.append(str(error))
    for need in ("consent_on", "consent_source"):
        if need not in told:
            problems.append(
                f"{need} is missing: nobody is written to without a consent, its day and its source"
            )
    if problems:
        raise ReaderError("\n".join(problems))
    profile_id = named[0] if mailing_list == "digest" else ""
    given = {key: value for key, value in told.items() if key not in ("profile", "profiles", "address")}
    if profile_id:
        given["language"] = languages[profile_id]  # a digest is in its profile's language
    try:
        return Subscription.model_validate(
            given
            | {
                "list": mailing_list,
                "address": address,
                "profiles": tuple(named),
                "subscription_id": outbox.subscription_id(address, mailing_list, profile_id),
            }
        )
    except ValidationError as error:
        told_of = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ReaderError("\n".join(told_of)) from error


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return [name for name in _LISTED.split(str(value).strip()) if name]


def _entries(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReaderError(f"{path}: cannot be read ({error})") from error
    if path.suffix.lower() == ".csv":
        dialect = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
        return list(csv.DictReader(io.StringIO(text), delimiter=dialect, restkey="extra cells"))
    if path.suffix.lower() not in (".yml", ".yaml", ".json"):
        raise ReaderError(f"{path}: is no .csv, .yml or .json file")
    try:
        found = read_yaml(text)
    except yaml.YAMLError as error:
        raise ReaderError(
            f"{path}: is not readable as YAML or JSON ({' '.join(str(error).split())})"
        ) from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ReaderError(f"{path}: give a list of readers, each with its fields")
    return found
