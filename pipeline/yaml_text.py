"""YAML from outside, read as plain data: no objects are built, and aliases multiply nothing without end."""

from __future__ import annotations

from typing import Any

import yaml

MOST_NODES = 1_000_000  # with each alias counted as all that it stands for
DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """Plain data, of a depth that a person could have written."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError("it is nested deeper than a file can be")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def read_yaml(text: str | bytes) -> Any:
    """The one document in a text. Raises yaml.YAMLError, also for what would grow out of all proportion.

    A few lines can hold lists of lists of the same list. They take little memory until somebody prints them.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_NODES:
            raise yaml.YAMLError("its aliases stand for more than a file can hold")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes it has when every alias is written out; far too many for one that holds itself."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_NODES + 1  # until it is counted: what meets it within itself has no end
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(child, known) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_size(child, known) for pair in node.value for child in pair)
    known[id(node)] = size
    return size
