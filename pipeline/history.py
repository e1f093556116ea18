"""What was funded before a day, and what it says of an organisation's next topic: features to rank with.

Every feature compares an organisation's earlier projects, its partners and its like with the topics that are
open now. Nothing signed on or after the day may be in a `History`; vectors come from outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float32]
Vectors = NDArray[np.float64]  # double, since single products hang on the number of threads

NEAR = 40  # projects of others that are compared with an organisation's own
NEARNESS = 8.0  # how fast a project counts less as it is less like them
SHARPNESS = 12.0  # the same for earlier topics and a topic of today
FLOOR = 0.3  # cosine below which two topics have nothing in common
LINEAGE = 0.1  # what each level of the programme that two topics share adds to their cosine
LEVELS = ("part", "destination", "series")  # of the programme, as `lineage` names them
SAME = 1e-6  # values of all topics within this are one value
RIDGE = 10.0  # of the regression that foretells how many SMEs a topic draws
_YEAR = re.compile(r"-?\b(?:19|20)\d\d\b")
_MARKS = re.compile(r"-(?:two-stage|iba)\b", re.IGNORECASE)


@lru_cache(maxsize=1 << 14)
def lineage(topic_id: str) -> tuple[str, str, str]:
    """Programme part, destination and series that a topic's identifier names, without its year.

    `HORIZON-CL5-2023-D3-01-15`, and `HORIZON-CL5-2026-01-D3-15` as later years write it, are of CL5, of its
    destination D3, and of the series CL5-D3-01. A text that names none gives three empty ones.
    """
    parts = [
        part
        for part in _YEAR.sub("", _MARKS.sub("", topic_id)).upper().split("-")
        if part and part != "HORIZON"
    ]
    if len(parts) > 2 and parts[1].isdigit() and not all(part.isdigit() for part in parts[2:]):
        number = parts.pop(1)  # of the call; it belongs behind the destination's name
        parts.insert(len(parts) - parts[-1].isdigit(), number)
    depth = min(2 if parts[:1] and parts[0] in ("JU", "MISS") else 1, len(parts))
    series = max(depth + 1, len(parts) - 1)  # never wider than the destination
    return "-".join(parts[:depth]), "-".join(parts[: depth + 1]), "-".join(parts[:series])


def has_lineage(topic_id: str | None) -> bool:
    """Whether an identifier is of a programme that the ranking was fitted on: Horizon Europe, Euratom."""
    return (topic_id or "").upper().startswith(("HORIZON-", "EURATOM-"))


@dataclass(frozen=True)
class Heads:
    """What is known of today's topics before anybody applies: identifier, title and keywords.

    `plain` and `adapted` are (topics, d) vectors of length 1; `keywords` and `words` (topics,) count the
    keywords' and the title's words.
    """

    ids: Sequence[str]
    plain: Vectors
    adapted: Vectors
    keywords: Floats
    words: Floats


@dataclass(frozen=True)
class History:
    """Projects signed before a day, as arrays; `members` is (organisations, projects), 1 where one took part.

    `topic_of` and `years` are (projects,): its topic's number and its age. `plain` and `adapted` are
    (projects, d), `topics` (topics, d) adapted, all of length 1. `small` (organisations,) marks private SMEs.
    """

    topic_ids: Sequence[str]
    project_ids: Sequence[str]
    org_ids: Sequence[str]
    topic_of: NDArray[np.int64]
    years: Floats
    members: csr_matrix
    small: NDArray[np.bool_]
    plain: Vectors
    adapted: Vectors
    topics: Vectors

    @cached_property
    def number_of(self) -> dict[str, int]:
        """Organisation → its row in `members`."""
        return {org_id: number for number, org_id in enumerate(self.org_ids)}

    def projects_of(self, org_id: str) -> NDArray[np.int64]:
        """The numbers of an organisation's projects; none where it is unknown here."""
        row = self.number_of.get(org_id)
        if row is None:
            return np.zeros(0, dtype=np.int64)
        start, end = self.members.indptr[row : row + 2]
        return np.sort(self.members.indices[start:end]).astype(np.int64)


class Outlook:
    """A history seen from today's topics: what all organisations share is reckoned once."""

    def __init__(self, history: History, heads: Heads) -> None:
        self.history, self.heads = history, heads
        count = len(history.topic_ids)
        self._topic_matrix = csr_matrix(
            (np.ones(len(history.topic_of)), (np.arange(len(history.topic_of)), history.topic_of)),
            shape=(len(history.topic_of), count),
        )
        old, new = ([lineage(key) for key in ids] for ids in (history.topic_ids, heads.ids))
        self._same = [
            np.array([[a[level] == b[level] != "" for b in new] for a in old], dtype=np.float64).reshape(
                count, len(new)
            )
            for level in range(3)
        ]
        self._alike = history.topics @ heads.adapted.T  # (earlier topics, topics)
        self._kin = self._alike + LINEAGE * sum(self._same)
        self._soft = np.maximum(self._alike - FLOOR, 0.0) ** 2
        sharp = np.exp(SHARPNESS * (self._kin - self._kin.max(axis=0, initial=-1.0)))
        self._weights = sharp / np.maximum(sharp.sum(axis=0), 1e-9)  # per topic, over earlier ones
        self._of_topics = self._topic_features(old, new)
        ghosts = self._topic_matrix.T @ history.adapted  # of each earlier topic what was funded under it
        ghosts /= np.maximum(np.linalg.norm(ghosts, axis=1, keepdims=True), 1e-9)
        expected = self._weights.T @ ghosts
        self._expected = expected / np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
        self._by_project = history.members.T.tocsr()
        self._projects_each = np.asarray(history.members.sum(axis=1)).ravel()
        self._modest = 1.0 / np.log2(2 + np.maximum(self._projects_each, 1))  # who is everywhere tells little

    def features(self, org_id: str) -> dict[str, Floats]:
        """Feature → (topics,) values for an organisation with projects, as the fitted model names them.

        KeyError: it has none.
        """
        own = self.history.projects_of(org_id)
        if not len(own):
            raise KeyError(org_id)
        org = self.history.number_of[org_id]
        topics = self.history.topic_of[own]
        found: dict[str, Floats] = self._of_texts(own) | self._of_own_topics(own, topics)
        found |= self._of_partners(org, own) | self._of_likes(org, own)
        standing = {name: _standing(values) for name, values in found.items()}
        return standing | self._of_topics | self._of_organisation(org, own)

    def _of_texts(self, own: NDArray[np.int64]) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for name, mine, theirs in (
            ("text", self.history.plain, self.heads.plain),
            ("adapted", self.history.adapted, self.heads.adapted),
            ("expected", self.history.adapted, self._expected),
        ):
            cosines = mine[own] @ theirs.T
            found |= {f"{name}.mean": cosines.mean(axis=0), f"{name}.max": cosines.max(axis=0)}
        return found

    def _of_own_topics(self, own: NDArray[np.int64], topics: NDArray[np.int64]) -> dict[str, Floats]:
        alike, kin = self._alike[topics], self._kin[topics]
        recent = np.exp(-self.history.years[own])
        found = {
            "topic.mean": alike.mean(axis=0),
            "topic.max": alike.max(axis=0),
            "topic.recent": (recent / recent.sum()) @ alike,
            "topic.soft": self._soft[topics].mean(axis=0),
            "kin.mean": kin.mean(axis=0),
            "kin.max": kin.max(axis=0),
        }
        for level, name in enumerate(LEVELS):
            same = self._same[level][topics]
            found |= {f"{name}.share": same.mean(axis=0), f"{name}.any": same.max(axis=0)}
        return found

    def _of_partners(self, org: int, own: NDArray[np.int64]) -> dict[str, Floats]:
        """Where those that it worked with went besides, each counted by how often, and less if everywhere."""
        together = np.asarray(self.history.members[:, own].sum(axis=1)).ravel()
        together[org] = 0
        return self._spread("partners", together * self._modest, own)

    def _of_likes(self, org: int, own: NDArray[np.int64]) -> dict[str, Floats]:
        """Where projects like its own were funded, and where those that were in them went besides."""
        middle = self.history.adapted[own].mean(axis=0)
        alike = self.history.adapted @ (middle / max(float(np.linalg.norm(middle)), 1e-9))
        alike[own] = -2.0
        near = np.lexsort((np.arange(len(alike)), -np.round(alike, 5)))[:NEAR]
        near = near[alike[near] > -2.0]
        if not len(near):
            return self._told("near", np.zeros(len(self.history.topic_ids))) | self._spread(
                "circle", np.zeros(len(self.history.org_ids)), own
            )
        weights = np.exp(NEARNESS * (alike[near] - alike[near[0]]))
        share = np.bincount(self.history.topic_of[near], weights, minlength=len(self.history.topic_ids))
        around = (csr_matrix(weights[None]) @ self._by_project[near]).toarray().ravel()
        around[org] = 0
        return self._told("near", share) | self._spread("circle", around * self._modest, own)

    def _spread(self, name: str, weights: NDArray[np.float64], own: NDArray[np.int64]) -> dict[str, Floats]:
        """What the projects of weighted (organisations,) tell, without one's own."""
        chosen = np.flatnonzero(weights)
        projects = (csr_matrix(weights[chosen][None]) @ self.history.members[chosen]).toarray().ravel()
        projects[own] = 0
        return self._told(name, self._topic_matrix.T @ projects)

    def _told(self, name: str, weights: NDArray[Any]) -> dict[str, Floats]:
        """What (earlier topics,) weights tell of today's topics."""
        share = weights / max(float(weights.sum()), 1e-9)
        found = {f"{name}.soft": share @ self._soft, f"{name}.kin": share @ self._weights}
        return found | {f"{name}.{level}": share @ self._same[i] for i, level in enumerate(LEVELS)}

    def _topic_features(
        self,
        old: list[tuple[str, str, str]],
        new: list[tuple[str, str, str]],
    ) -> dict[str, Floats]:
        """(topics,) what is the same for all organisations: how many like topics drew, what the id says."""
        there = (self.history.members @ self._topic_matrix).tocsr()
        there.data[:] = 1
        drew = np.asarray(there.sum(axis=0)).ravel()
        smes = np.asarray(there[np.flatnonzero(self.history.small)].sum(axis=0)).ravel()
        destinations = [key[1] for key in new]
        ids = [key.upper() for key in self.heads.ids]
        told = {
            "drew.smes": np.log1p(smes) @ self._weights,
            "drew.all": np.log1p(drew) @ self._weights,
            "drew.share": (smes / np.maximum(drew, 1)) @ self._weights,
            "drew.foretold": self._foretold(np.log1p(smes), old, new),
            "novelty": -self._alike.max(axis=0, initial=-1.0),
            "named": np.array([key.endswith("-IBA") for key in ids]),
            "stages": np.array(["TWO-STAGE" in key for key in ids]),
            "keywords": self.heads.keywords,
            "words": self.heads.words,
            "siblings": np.array([destinations.count(key) for key in destinations]),
        }
        return {
            f"topic.{name}": _standing(np.asarray(values, dtype=np.float32)) for name, values in told.items()
        }

    def _foretold(
        self,
        drew: NDArray[np.float64],
        old: list[tuple[str, str, str]],
        new: list[tuple[str, str, str]],
    ) -> NDArray[np.float64]:
        """Ridge regression of how many a topic draws on its vector and its part of the programme."""
        parts = {part: number for number, part in enumerate(sorted({key[0] for key in (*old, *new)}))}

        def design(keys: list[tuple[str, str, str]], vectors: Vectors) -> NDArray[np.float64]:
            part = np.zeros((len(keys), len(parts)))
            part[np.arange(len(keys)), [parts[key[0]] for key in keys]] = 1
            return np.concatenate([part, 3.0 * vectors], axis=1)

        x, mean = design(old, self.history.topics), drew.sum() / max(len(drew), 1)
        weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (drew - mean))
        return np.asarray(mean + design(new, self.heads.adapted) @ weights)

    def _of_organisation(self, org: int, own: NDArray[np.int64]) -> dict[str, Floats]:
        partners = np.count_nonzero(np.asarray(self.history.members[:, own].sum(axis=1)).ravel()) - 1
        told = {
            "projects": np.log1p(len(own)),
            "partners": np.log1p(partners),
            "small": self.history.small[org],
        }
        return {
            f"own.{name}": np.full(len(self.heads.ids), value, dtype=np.float32)
            for name, value in told.items()
        }


def _standing(values: Floats) -> Floats:
    """(topics,) values as distances from their mean in standard deviations, within -4 and 8.

    Values that differ in their last bits alone are all 0: they tell nothing.
    """
    exact = values.astype(np.float64)
    if not len(exact) or np.ptp(exact) < SAME:
        return np.zeros(len(exact), dtype=np.float32)
    found = (exact - exact.mean()) / (exact.std() + 1e-6)
    return np.asarray(np.clip(found, -4.0, 8.0), dtype=np.float32)
