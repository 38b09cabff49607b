"""How a description changes the YAML document it was read from: only where they differ."""

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from descriptions.format.schema import DescriptionFile

_OMITTED_WHEN: dict[str, Any] = {
    "note": "",
    "locked": False,
    "family": None,
    "part": None,
    "support": None,
    "decided": False,
}
"""Defaults of an anomaly that would only be noise in a file that people read."""


def plain(description: DescriptionFile) -> dict[str, Any]:
    """The description as plain YAML values, without defaults that are only noise."""
    values = description.model_dump(mode="json", exclude_none=True)
    values["created"] = description.created.isoformat().replace("+00:00", "Z")
    for key in ("parts", "change"):
        if not values[key]:
            del values[key]
    origin = values.get("provenance", {})
    for key in ("left_out", "dropped"):
        if not origin.get(key):
            origin.pop(key, None)
    for entry in values["anomalies"]:
        for key, value in _OMITTED_WHEN.items():
            if entry.get(key, value) == value:
                entry.pop(key, None)
    return values


def merge_map(node: CommentedMap, wanted: Mapping[str, Any]) -> None:
    """Make `node` say what is `wanted`, in place; what says it already keeps its comments, order and quoting."""
    for key in [key for key in node if key not in wanted and not _is_default(key, node[key])]:
        del node[key]
    for key, value in wanted.items():
        if isinstance(value, str) and key in node and node[key] != value:
            _drop_cut_comment(node, key)
        node[key] = _merged(node.get(key), value)


def _drop_cut_comment(node: CommentedMap, key: str) -> None:
    """Take away the rest of a text that YAML reads as a comment (`text: dent #2`), now that another text is there."""
    for token in node.ca.items.get(key) or ():
        if token is not None and not isinstance(token, list) and re.match(r"#\S", token.value):
            _, newline, further = token.value.partition("\n")
            token.value = newline + further


def _is_default(key: str, value: Any) -> bool:
    """Whether a key that the dump would leave out may stay because a person spelled the default out."""
    return key in _OMITTED_WHEN and value == _OMITTED_WHEN[key]


def _merged(node: Any, value: Any) -> Any:
    """`value`, kept in the shape of `node` where that already says the same."""
    if isinstance(node, CommentedMap) and isinstance(value, Mapping):
        merge_map(node, value)
        return node
    if isinstance(node, CommentedSeq) and isinstance(value, list):
        return _merged_list(node, value)
    if isinstance(value, Mapping):
        fresh = CommentedMap()
        merge_map(fresh, value)
        return fresh
    if isinstance(value, list):
        return CommentedSeq(_merged(None, item) for item in value)
    return node if node == value else value


def _merged_list(node: CommentedSeq, wanted: list[Any]) -> CommentedSeq:
    """Entries with ids keep their comments wherever they move; plain texts keep them where they stay."""
    known = {item["id"]: item for item in node if isinstance(item, CommentedMap) and "id" in item}
    merged = [
        _merged(known.get(item["id"]) if isinstance(item, Mapping) and "id" in item else _at(node, index), item)
        for index, item in enumerate(wanted)
    ]
    del node[len(merged) :]
    for index, item in enumerate(merged):
        if index < len(node):
            node[index] = item
        else:
            node.append(item)
    return node


def _at(node: CommentedSeq, index: int) -> Any:
    return node[index] if index < len(node) else None
