"""The learned rankings: features → an order, by fitted LightGBM models that `fundmatch train` makes.

`ranking.json` puts topics in order for an organisation: LambdaRank (Burges 2010) over organisations that were
really funded. `partners.json` puts organisations in order for a topic and a lead: log-odds of having joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.history import Floats

if TYPE_CHECKING:
    import lightgbm

FILE = files("pipeline").joinpath("ranking.json")
PARTNERS = files("pipeline").joinpath("partners.json")
DIGITS = 4  # to which features are rounded, so that the last bits of a machine decide no branch
PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.04,
    "num_leaves": 8,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 20.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "verbose": -1,
}
ROUNDS = 200
PARTNER_PARAMETERS: dict[str, Any] = PARAMETERS | {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.5,
    "lambda_l2": 5.0,
}
PARTNER_ROUNDS = 400
HARDEST = 100  # of the wrong topics that look best, all are learned from
SHARE = 0.3  # of the other wrong ones
_LOOKS = ("expected.mean", "kin.mean", "near.kin")  # by which the hardest are chosen


class Ranker:
    """A fitted model and what it was fitted on (`trained_on`: the day of the benchmark)."""

    def __init__(self, names: Sequence[str], model: str, trained_on: str) -> None:
        self.names = list(names)
        self.model = model
        self.trained_on = trained_on

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        import lightgbm

        return lightgbm.Booster(model_str=self.model)

    def scores(self, features: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """(rows,) scores of (rows,) features, the higher the better; only their order means something.

        KeyError: a feature that the model was fitted with is missing.
        """
        found = self._booster.predict(table(features, self.names), num_threads=1, raw_score=True)
        return np.asarray(found, dtype=np.float64)

    def dumped(self) -> str:
        """The text of the model's file."""
        return json.dumps({"trained_on": self.trained_on, "names": self.names, "model": self.model}, indent=0)


def load(file: Traversable | None = None) -> Ranker:
    """A model of the package, by default that of topics."""
    found = json.loads((file or FILE).read_text("utf-8"))
    return Ranker(found["names"], found["model"], found["trained_on"])


def table(features: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Floats:
    """(rows, names) features, rounded. ValueError: one is no number."""
    found = np.round(np.stack([features[name] for name in names], axis=1), DIGITS).astype(np.float32)
    if not np.isfinite(found).all():
        odd = [name for name, values in zip(names, found.T, strict=True) if not np.isfinite(values).all()]
        raise ValueError(f"features are no numbers: {', '.join(odd)}")
    return found


def fit(
    tables: Sequence[Floats], answers: Sequence[NDArray[np.bool_]], names: Sequence[str], trained_on: str
) -> Ranker:
    """A model for organisations' (topics, names) features, and which (topics,) really funded them.

    Learns from all right topics, the hardest wrong ones and a share of the others. Same input, same model.
    """
    import lightgbm

    order = np.random.default_rng(PARAMETERS["seed"])
    looks = [list(names).index(name) for name in _LOOKS]
    chosen = []
    for rows, right in zip(tables, answers, strict=True):
        best = np.argsort(np.argsort(-rows[:, looks].sum(axis=1), kind="stable"), kind="stable")
        chosen.append((best < HARDEST) | (order.random(len(rows)) < SHARE) | right)
    data = lightgbm.Dataset(
        np.concatenate([rows[keep] for rows, keep in zip(tables, chosen, strict=True)]),
        np.concatenate([right[keep] for right, keep in zip(answers, chosen, strict=True)]).astype(np.int32),
        group=[int(keep.sum()) for keep in chosen],
        feature_name=list(names),
    )
    booster = lightgbm.train(PARAMETERS, data, num_boost_round=ROUNDS)
    return Ranker(names, booster.model_to_string(), trained_on)


def fit_partners(
    tables: Sequence[Floats],
    answers: Sequence[NDArray[np.bool_]],
    weights: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    trained_on: str,
) -> Ranker:
    """A model for queries' (organisations, names) features, and which (organisations,) really joined.

    `weights` (organisations,) stand for those that were left out of a sample. Same input, same model.
    """
    import lightgbm

    data = lightgbm.Dataset(
        np.concatenate(tables),
        np.concatenate(answers).astype(np.int32),
        weight=np.concatenate(weights),
        feature_name=[name.replace(".", "_") for name in names],
    )
    booster = lightgbm.train(PARTNER_PARAMETERS, data, num_boost_round=PARTNER_ROUNDS)
    return Ranker(names, booster.model_to_string(), trained_on)
