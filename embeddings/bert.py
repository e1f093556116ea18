"""A BERT whose vector is the mean of its tokens: whether a model is one, and its graph for OpenVINO.

The graph is built from the weights as they lie in the model's folder, so nothing is exported or kept.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

LOG = logging.getLogger(__name__)
RECIPE = 1  # raised when the graph computes other numbers than before
_SELF = tuple(f"attention.self.{name}" for name in ("query", "key", "value"))
_DENSE = ("attention.output.dense", "intermediate.dense", "output.dense")
_NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
_TABLES = ("word", "position", "token_type")


def openvino() -> Any:
    """The OpenVINO library. Its companion that reports every import over the network is not let in."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino as library
    import openvino.opset13

    return library


def is_plain_bert(folder: Path, max_tokens: int) -> bool:
    """Whether a model is a BERT whose vector is the mean of its tokens, with nothing between or after."""
    from safetensors import safe_open

    try:
        config, modules, pooling = (
            json.loads((folder / name).read_text("utf-8"))
            for name in ("config.json", "modules.json", "1_Pooling/config.json")
        )
        habits = [folder / "sentence_bert_config.json", folder / "config_sentence_transformers.json"]
        own = [json.loads(path.read_text("utf-8")) for path in habits if path.exists()]
        with safe_open(folder / "model.safetensors", "numpy") as weights:
            prefix = _prefix(weights.keys())
            tensors = {name.removeprefix(prefix): weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118
            fits = all(
                tuple(tensors[name].get_shape()) == shape and tensors[name].get_dtype() in ("F32", "F16")
                for name, shape in _shapes(config)
            )
        return (
            _is_bert(config)
            and _is_mean(pooling)
            and not any(o.get("do_lower_case") or o.get("default_prompt_name") for o in own)
            and [str(m["type"]).rpartition(".")[2] for m in modules]
            in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
            and [str(m["path"]) for m in modules[:2]] == ["", "1_Pooling"]
            and not (folder / "adapter_config.json").exists()
            and fits
            and max_tokens <= int(config["max_position_embeddings"])
        )
    except Exception as error:  # whatever is odd about it, it is not plain
        LOG.debug("%s: not a plain BERT (%s)", folder, error)
        return False


def _is_bert(config: dict[str, Any]) -> bool:
    return (
        config["model_type"] == "bert"
        and config["hidden_act"] == "gelu"
        and config.get("position_embedding_type") in (None, "absolute")
        and not config.get("is_decoder")
        and not config.get("quantization_config")
        and config["hidden_size"] % config["num_attention_heads"] == 0
    )


def _is_mean(pooling: dict[str, Any]) -> bool:
    modes = {key for key, value in pooling.items() if key.startswith("pooling_mode_") and value}
    named = pooling.get("pooling_mode")
    mean = modes == {"pooling_mode_mean_tokens"} if named is None else named == "mean" and not modes
    return mean and pooling.get("include_prompt", True) is not False


def _shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor that the graph reads."""
    width, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    rows = (config["vocab_size"], config["max_position_embeddings"], config["type_vocab_size"])
    for table, count in zip(_TABLES, rows, strict=True):
        yield f"embeddings.{table}_embeddings.weight", (int(count), width)
    norms = ["embeddings.LayerNorm"]
    for layer in range(int(config["num_hidden_layers"])):
        at = f"encoder.layer.{layer}"
        norms += [f"{at}.{name}" for name in _NORMS]
        sizes = [(width, width)] * 4 + [(inner, width), (width, inner)]
        for name, size in zip([*_SELF, *_DENSE], sizes, strict=True):
            yield f"{at}.{name}.weight", size
            yield f"{at}.{name}.bias", size[:1]
    for norm in norms:
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)


def _prefix(names: list[str]) -> str:
    """What stands before the names of the weights where the model was kept with a head."""
    return "bert." if any(name.startswith("bert.") for name in names) else ""


class BertGraph:
    """A BERT as an OpenVINO graph: (1, tokens) token ids to a (1, dimension) vector of length 1."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        from safetensors.numpy import load_file

        self._library = openvino()
        self._ops = self._library.opset13
        self._config = config
        self._width = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        weights = load_file(folder / "model.safetensors")
        prefix = _prefix(list(weights))
        self._weights = {
            name.removeprefix(prefix): values.astype(np.float32, copy=False)
            for name, values in weights.items()
        }

    def model(self) -> Any:
        """The graph, not yet compiled."""
        ops = self._ops
        ids = ops.parameter([-1, -1], np.int32, name="ids")
        hidden = self._embedded(ids)
        for layer in range(int(self._config["num_hidden_layers"])):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        mean = ops.reduce_mean(hidden, self._ints(1), keep_dims=False)
        return self._library.Model([ops.normalize_l2(mean, self._ints(1), 1e-24, "add")], [ids], "bert")

    def _embedded(self, ids: Any) -> Any:
        ops = self._ops
        zero, one = self._ints(0), self._ints(1)
        words, positions, types = (self._weights[f"embeddings.{name}_embeddings.weight"] for name in _TABLES)
        length = ops.gather(ops.shape_of(ids, "i64"), one, zero)
        # every token is of the first type: a text is one segment
        places = ops.slice(ops.constant(positions + types[0]), zero, length, one, zero)
        summed = ops.add(ops.gather(ops.constant(words), ids, zero), ops.unsqueeze(places, zero))
        return self._norm(summed, "embeddings.LayerNorm")

    def _layer(self, hidden: Any, at: str) -> Any:
        ops = self._ops
        out, up, down = (f"{at}.{name}" for name in _DENSE)
        attended = self._dense(self._attention(hidden, at), out)
        hidden = self._norm(ops.add(attended, hidden), f"{at}.{_NORMS[0]}")
        raised = ops.gelu(self._dense(hidden, up), "ERF")
        return self._norm(ops.add(self._dense(raised, down), hidden), f"{at}.{_NORMS[1]}")

    def _attention(self, hidden: Any, at: str) -> Any:
        ops = self._ops
        all_three = self._dense(hidden, *(f"{at}.{name}" for name in _SELF))
        heads = [
            ops.transpose(
                ops.reshape(part, self._ints(0, 0, self._heads, self._width // self._heads), True),
                self._ints(0, 2, 1, 3),
            )
            for part in ops.split(all_three, ops.constant(np.int64(2)), 3).outputs()
        ]
        mixed = ops.transpose(ops.scaled_dot_product_attention(*heads), self._ints(0, 2, 1, 3))
        return ops.reshape(mixed, self._ints(0, 0, self._width), True)

    def _dense(self, hidden: Any, *names: str) -> Any:
        weight = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        bias = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        product = self._ops.matmul(hidden, self._ops.constant(weight), False, True)
        return self._ops.add(product, self._ops.constant(bias))

    def _norm(self, hidden: Any, name: str) -> Any:
        ops = self._ops
        even = ops.mvn(hidden, self._ints(-1), True, float(self._config["layer_norm_eps"]), "INSIDE_SQRT")
        scaled = ops.multiply(even, ops.constant(self._weights[f"{name}.weight"]))
        return ops.add(scaled, ops.constant(self._weights[f"{name}.bias"]))

    def _ints(self, *values: int) -> Any:
        return self._ops.constant(np.array(values, dtype=np.int64))
