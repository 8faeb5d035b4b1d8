"""Read settings as YAML or JSON, and remember in which line everything stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from controller.errors import ConfigError

CONFIG_FILE = Path("config.yaml")


@dataclass(frozen=True)
class Document:
    """What one source says. `name` is how sentences call it; `tree` knows the lines, where the source has any."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    tree: Node | None = None

    def place(self, path: Sequence[str | int], *, of_key: bool = False) -> str:
        """Say where a value (or its key) stands, as an editor counts: ", line 7, column 3"; "" where unknown."""
        node, key = self.tree, None
        for step in path:
            found = _step(node, step)
            if found is None:
                break
            key, node = found
        chosen = key if of_key and key is not None else node
        if chosen is None or not path:
            return ""
        return f", line {chosen.start_mark.line + 1}, column {chosen.start_mark.column + 1}"


def read_config(path: Path | None) -> Document:
    """Read the named file, else ./config.yaml where there is one; ConfigError says what is wrong and where."""
    chosen = path or (CONFIG_FILE if CONFIG_FILE.is_file() else None)
    if chosen is None:
        return Document(str(CONFIG_FILE))
    try:
        text = chosen.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{chosen} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{chosen}, line {line}: this is no UTF-8 text.") from exc
    return parse(str(chosen), text)


def parse(name: str, text: str) -> Document:
    """Take YAML or JSON apart; ConfigError where it is neither, or says a key twice."""
    try:
        tree, values = _understood(text)
    except yaml.YAMLError as exc:
        raise ConfigError(_yaml_sentence(name, exc)) from exc
    except RecursionError as exc:
        raise ConfigError(f"{name}: it is nested too deeply.") from exc
    except ValueError as exc:  # a date such as 2026-02-30
        raise ConfigError(f"{name}: a value cannot be read: {exc}.") from exc
    if values is None:
        return Document(name)
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: expected `key: value` lines, found a {type(values).__name__}.")
    for key, first in _said_twice(tree):
        place = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
        raise ConfigError(f"{name}, {place}: {key.value!r} stands here again; it was said in line {first}.")
    return Document(name, {str(key): value for key, value in values.items()}, tree)


def has_aliases(text: str) -> bool:
    """Say whether a YAML text refers to parts of itself; a few lines of that can mean billions of values."""
    return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))


def _understood(text: str) -> tuple[Node | None, Any]:
    try:
        tree = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        if not text.lstrip().startswith("{"):
            raise
        try:
            return None, json.loads(text)  # JSON may be indented by tabs, YAML may not
        except ValueError:
            pass
        raise
    return tree, yaml.safe_load(text)


def _yaml_sentence(name: str, exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{name}{where}: {getattr(exc, 'problem', None) or exc}."


def _step(node: Node | None, step: str | int) -> tuple[Node, Node] | None:
    """Go from a node to what lies below it, under a key or a number."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == str(step):
                return key, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _said_twice(tree: Node | None) -> Iterator[tuple[ScalarNode, int]]:
    """Find keys that stand twice in one mapping; YAML would silently take the last."""
    seen: set[int] = set()
    waiting = [tree] if tree is not None else []
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue  # an anchor that is used again
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += node.value
        if isinstance(node, MappingNode):
            waiting += [value for _, value in node.value]
            yield from _twins(node)


def _twins(node: MappingNode) -> Iterator[tuple[ScalarNode, int]]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            continue
        if key.value in lines:
            yield key, lines[key.value]
        lines.setdefault(key.value, key.start_mark.line + 1)
