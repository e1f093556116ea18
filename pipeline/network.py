"""Who of all organisations of earlier projects could join a lead on a topic: features, and the learned order.

The history is a network: organisations meet in projects, projects are near a topic or not. Nothing signed
on or after the day may be in it, nor anything of who was funded under the topic itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

from pipeline.history import LINEAGE, Heads, History, Vectors, lineage
from pipeline.ranking import Ranker

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

OF_TOPIC = 0.5  # of the earlier topic's nearness beside the project's own
SHARP, SOFT = 10.0, 5.0  # how fast a project counts less as it is further from the topic
CIRCLE = 40  # organisations nearest to the topic, whose place in the network stands for it
DIMENSIONS = 64  # of an organisation's place in the network (truncated SVD of who was in what)
AGEING = 0.3  # a year
SAME = 1e-9
# Features that are given as they are; all others as distances from the candidates' mean.
PLAIN = frozenset(
    "activity country.projects lead.activity lead.country lead.projects lead.partners lead.region name "
    "name.lead together topic.named topic.nearest topic.stages own.projects own.coordinates own.crowd".split()
)
BOTH = frozenset(("best", "topic.best", "country.pair"))
_OF_LEAD = (
    "together together.share together.near beyond beyond.share place.lead text.lead country.pair "
    "lead.country lead.region lead.activity lead.projects lead.partners met.near met.soft met.around".split()
)
# The candidates that are far from the topic, from the lead and from both stay in the order of these.
LOOKS = ("adapted", "near.soft", "around", "met.near", "beyond")
CONTENDERS = 600  # of all candidates, that the fitted model puts in order


@dataclass(frozen=True)
class Members:
    """What is known of the organisations of a history, in the order of its `org_ids`.

    `country` and `activity` (organisations,) are numbers of their codes, an unknown one has a number too;
    `region` NUTS codes of two digits, empty where unknown; `names` (organisations, d) vectors of length 1;
    `coordinated` (organisations,) projects that each led; `shares` (organisations, projects) of their money.
    """

    country: Numbers
    activity: Numbers
    region: NDArray[np.str_]
    names: Vectors
    coordinated: Values
    shares: csr_matrix

    def without(self, projects: Numbers, led: Values) -> Members:
        """The same with some of the projects only, of which `led` (organisations,) were led by each."""
        return Members(
            self.country, self.activity, self.region, self.names, led, self.shares.tocsr()[:, projects]
        )


class Network:
    """A history as a network of organisations: what all topics and leads share is reckoned once."""

    def __init__(self, history: History, members: Members, heads: Heads) -> None:
        self.history, self.members, self.heads = history, members, heads
        joined = history.members.tocsr().astype(np.float64)
        self.joined, self._indices, self._starts = joined, joined.indices, joined.indptr
        self.size = np.asarray(joined.sum(axis=0)).ravel()  # of each project, in members
        self.projects = np.asarray(joined.sum(axis=1)).ravel()  # of each organisation
        self._modest = 1.0 / np.sqrt(np.maximum(self.size, 2))  # who is in a crowd meets nobody closely
        self._met = (joined @ diags(self._modest)).tocsr()
        self._meet = self._met.T.tocsr()
        self._self = np.asarray(self._met.multiply(self._met).sum(axis=1)).ravel()
        self._reach = np.maximum(self._spread(np.ones(len(self.projects))), 1e-6)
        self._each = np.maximum(self.projects, 1)
        self._recent = np.exp(-AGEING * history.years)
        self._place = _places(joined, self.size)
        self._length = np.maximum(np.linalg.norm(joined @ history.adapted, axis=1), 1e-9)
        old, new = ([lineage(key) for key in ids] for ids in (history.topic_ids, heads.ids))
        self._same = [
            np.array([[a[level] == b[level] != "" for a in old] for b in new], dtype=np.float64).reshape(
                len(new), len(old)
            )
            for level in range(3)
        ]
        self._kin = heads.adapted @ history.topics.T + LINEAGE * sum(self._same)
        self._of_kinds = joined.T @ _one_hot(members.activity)
        self._of_countries = joined.T @ _one_hot(members.country)
        self._pairs = _pairs(self._of_countries)
        counts = np.bincount(members.country, self.projects, minlength=self._of_countries.shape[1])
        self._country = np.log1p(counts)[members.country]
        self._own = {
            "own.projects": np.log1p(self.projects),
            "own.coordinates": members.coordinated / self._each,
            "own.crowd": (joined @ self.size) / self._each,
            "activity": members.activity.astype(np.float64),
            "country.projects": self._country,
        }

    def features(self, topic: int, lead: str | None) -> dict[str, Values]:
        """Feature → (organisations,) values for one of today's topics, and an organisation that leads.

        A lead that is None, or not in the history, has met nobody. Those of names are in `names`.
        """
        nearness = self._nearness(topic)
        found = self._of_texts(topic, nearness)
        found |= self._of_like_topics(topic, nearness)
        found |= self._around(found)
        org = None if lead is None else self.history.number_of.get(lead)
        found |= self._of_lead(org, nearness, found)
        given: dict[str, Values] = {}
        for name, values in found.items():
            if name in PLAIN or name in BOTH:
                given[name] = values
            if name not in PLAIN:
                given[f"{name}.standing" if name in BOTH else name] = _standing(values)
        return given | self._own | self._of_topic(topic, nearness)

    def names(self, topic: int, lead: str | None, orgs: Numbers | slice) -> dict[str, Values]:
        """Feature → values of some organisations by their names alone, apart since they take longest."""
        names = self.members.names[orgs]
        org = None if lead is None else self.history.number_of.get(lead)
        beside = np.zeros(len(names)) if org is None else names @ self.members.names[org]
        return {"name": names @ self.heads.plain[topic], "name.lead": beside}

    def met(self, lead: str) -> Numbers:
        """(organisations,) the number of projects that each was in with a lead; none with itself."""
        own = self.history.projects_of(lead)
        together = np.asarray(self.joined[:, own].sum(axis=1)).ravel().astype(np.int64)
        if (org := self.history.number_of.get(lead)) is not None:
            together[org] = 0
        return together

    def nearest(self, topic: int, org: int) -> tuple[int, float] | None:
        """The number of an organisation's project that says most of what a topic does, and their cosine.

        None where it has no project.
        """
        own = np.sort(self._indices[self._starts[org] : self._starts[org + 1]])
        if not len(own):
            return None
        cosines = np.round(self.history.plain[own] @ self.heads.plain[topic], 6)
        return int(own[np.argmax(cosines)]), float(cosines.max())

    def between(self, codes: Sequence[str]) -> dict[tuple[str, str], int]:
        """Pairs of organisations → the number of projects that both were in; only those with any."""
        known = [code for code in codes if code in self.history.number_of]
        rows = self.joined[[self.history.number_of[code] for code in known]]
        both = (rows @ rows.T).toarray()
        return {
            (one, other): int(both[i, j])
            for i, one in enumerate(known)
            for j, other in enumerate(known)
            if i < j and both[i, j]
        }

    def through(self, lead: str, org: int, most: int) -> list[int]:
        """The lead's partners that an organisation was with most often, best first; itself is none."""
        own = self._indices[self._starts[org] : self._starts[org + 1]]
        with_it = np.asarray(self.joined[:, own].sum(axis=1)).ravel()
        both = np.minimum(with_it, self.met(lead))
        both[org] = 0
        order = np.lexsort((np.arange(len(both)), -both))[:most]
        return [int(other) for other in order if both[other] > 0]

    def _nearness(self, topic: int) -> Values:
        """(projects,) how near each is to a topic: by its text, and by what it was funded under."""
        own: Values = self.history.adapted @ self.heads.adapted[topic]
        found: Values = own + OF_TOPIC * self._kin[topic][self.history.topic_of]
        return found

    def _of_texts(self, topic: int, nearness: Values) -> dict[str, Values]:
        """What the own projects say, best or all together, and the name."""
        adapted = self.history.adapted @ self.heads.adapted[topic]
        of_topic = self._kin[topic][self.history.topic_of]
        soft = _sharp(nearness, SOFT)
        columns = {
            "adapted": _sharp(adapted, SHARP),
            "near.sharp": _sharp(nearness, SHARP),
            "near.soft": soft,
            "near.close": soft * self._modest,
            "text.soft": _sharp(adapted + 0.35 * of_topic, 6.0),
        }
        found = dict(zip(columns, (self.joined @ np.stack(list(columns.values()), axis=1)).T, strict=True))
        found["near.share"] = found["near.soft"] / self._each
        found["near.money"] = self.members.shares @ soft
        found["best"], found["topic.best"] = self._best(nearness), self._best(of_topic)
        found["text.best"] = self._best(self.history.plain @ self.heads.plain[topic])
        return found

    def _of_like_topics(self, topic: int, nearness: Values) -> dict[str, Values]:
        """Shared parts of the programme, and what kinds and countries like projects drew."""
        levels = [same[topic][self.history.topic_of] for same in self._same]
        part, destination, series = (self.joined @ np.stack(levels, axis=1)).T
        weights = _sharp(nearness, SHARP) * self._modest
        kinds, countries = weights @ self._of_kinds, weights @ self._of_countries
        return {
            "part.share": part / self._each,
            "destination": destination,
            "series": series,
            "activity.drawn": _share(kinds)[self.members.activity],
            "country.drawn": _share(countries)[self.members.country],
        }

    def _around(self, texts: Mapping[str, Values]) -> dict[str, Values]:
        """Who works with those that are near the topic."""
        circle = np.argsort(-np.round(texts["near.close"], 9), kind="stable")[:CIRCLE]
        around = self._spread(texts["near.close"])
        return {
            "around": around,
            "around.share": around / self._reach,
            "around.place": self._place @ self._place[circle].mean(axis=0),
        }

    def _of_lead(self, org: int | None, nearness: Values, texts: Mapping[str, Values]) -> dict[str, Values]:
        """Whom the lead met, whom those met, and who is like it; nothing for a lead without a history."""
        if org is None:
            return {name: np.zeros(len(self.projects)) for name in _OF_LEAD}
        own = self._indices[self._starts[org] : self._starts[org + 1]]
        near = np.exp(6.0 * (nearness[own] - nearness.max()))
        modest = self._modest[own] ** 2
        columns = np.stack([np.ones(len(own)), modest, near * modest], axis=1)
        together, met, met_near = np.array((self.joined[:, own] @ columns).T)
        together[org] = met[org] = met_near[org] = 0.0
        about = self.members
        region = about.region[org]
        middle = self.history.adapted[own].sum(axis=0)
        return {
            "together": together,
            "together.share": together / self._each,
            "together.near": met_near,
            "beyond": self._spread(met_near),
            "beyond.share": self._spread(met) / self._reach,
            "place.lead": self._place @ self._place[org],
            "text.lead": (self.joined @ (self.history.adapted @ middle)) / (self._length * self._length[org]),
            "country.pair": self._pairs[about.country[org]][about.country],
            "lead.country": (about.country == about.country[org]).astype(np.float64),
            "lead.region": ((about.region == region) & (region != "")).astype(np.float64),
            "lead.activity": np.full(len(together), float(about.activity[org])),
            "lead.projects": np.full(len(together), np.log1p(len(own))),
            "lead.partners": np.full(len(together), np.log1p(np.count_nonzero(together))),
            "met.near": met * texts["near.close"],
            "met.soft": met * texts["text.soft"],
            "met.around": self._spread(texts["near.close"] * (met > 0)),
        }

    def _of_topic(self, topic: int, nearness: Values) -> dict[str, Values]:
        told = self.heads.ids[topic].upper()
        values = {
            "topic.nearest": float(nearness.max(initial=0.0)),
            "topic.named": float(told.endswith("-IBA")),
            "topic.stages": float("TWO-STAGE" in told),
        }
        return {name: np.full(len(self.projects), value) for name, value in values.items()}

    def _best(self, values: Values) -> Values:
        """(organisations,) the greatest of each one's projects' values; -1 without a project."""
        found = np.full(len(self.projects), -1.0)
        some = np.diff(self._starts) > 0
        found[some] = np.maximum.reduceat(values[self._indices], self._starts[:-1][some])
        return found

    def _spread(self, values: Values) -> Values:
        """(organisations,) the sum of everybody's values that each was with in a project."""
        found: Values = self._met @ (self._meet @ values) - self._self * values
        return found


def looks(features: Mapping[str, Values]) -> Values:
    """(organisations,) a first order, by which those that may lead are chosen; six digits."""
    found: Values = np.round(sum(features[name] for name in LOOKS), 6)
    return found


def scores(network: Network, ranker: Ranker, topic: int, lead: str | None) -> Values:
    """(organisations,) scores for a topic and a lead, of which only the order means something.

    The CONTENDERS are in the model's order, all others behind them. The lead itself is last.
    """
    features = network.features(topic, lead)
    first = looks(features)
    chosen = np.sort(np.argsort(-first, kind="stable")[:CONTENDERS])
    found = first - float(np.ptp(first)) - 100.0  # below any score of the model, which is a log-odds
    told = {name: values[chosen] for name, values in features.items()}
    found[chosen] = ranker.scores(told | network.names(topic, lead, chosen))
    if lead is not None and (org := network.history.number_of.get(lead)) is not None:
        found[org] = found.min() - 1.0
    return found


def _places(joined: csr_matrix, size: Values) -> Vectors:
    """(organisations, dimensions) of length 1: by who was in what, less in a crowd."""
    table = (joined @ diags(1.0 / np.sqrt(np.maximum(size, 1)))).tocsr()
    most = min(DIMENSIONS, min(table.shape) - 1)
    if most < 1 or not table.nnz:
        return np.zeros((table.shape[0], 1))
    begin = np.random.default_rng(0).standard_normal(min(table.shape))
    left, strengths, _ = svds(table, k=most, v0=begin, random_state=0)
    return _unit(left * strengths)


def _pairs(of_countries: csr_matrix) -> Values:
    """(countries, countries) log of how much more often two countries meet in a project than by chance."""
    there = (of_countries.toarray() > 0).astype(np.float64)
    both = there.T @ there
    each = np.diag(both)
    found: Values = np.log((both + 1.0) * len(there) / (np.outer(each, each) + 1.0) + 0.05)
    return found


def _one_hot(numbers: Numbers) -> csr_matrix:
    count = len(numbers)
    most = int(numbers.max(initial=0)) + 1
    return csr_matrix((np.ones(count), (np.arange(count), numbers)), shape=(count, most))


def _sharp(values: Values, sharpness: float) -> Values:
    """Weights within 0 and 1, of which the nearest has 1."""
    found: Values = np.exp(sharpness * (values - values.max(initial=-1.0)))
    return found


def _share(values: Values) -> Values:
    found: Values = np.log(values / max(float(values.sum()), 1e-12) + 1e-4)
    return found


def _unit(vectors: Vectors) -> Vectors:
    found: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return found


def _standing(values: Values) -> Values:
    """Distances from the mean in standard deviations, within -4 and 12; 0 where all are the same."""
    spread = float(values.std())
    if spread < SAME:
        return np.zeros(len(values))
    found: Values = np.clip((values - values.mean()) / spread, -4.0, 12.0)
    return found
