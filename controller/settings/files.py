"""Read settings as YAML or JSON, and remember in which line everything stands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from controller.errors import ConfigError
from controller.settings.wording import shown

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
        text = chosen.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{chosen} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{chosen}{place_of_no_text(exc)}: this is no UTF-8 text.") from exc
    return parse(str(chosen), text)


def place_of_no_text(exc: UnicodeDecodeError) -> str:
    """Say where the first byte stands that is no UTF-8, as an editor counts."""
    return _place_after(exc.object[: exc.start].decode(errors="replace"))


def parse(name: str, text: str) -> Document:
    """Take YAML or JSON apart; ConfigError where it is neither, or says a key twice."""
    try:
        tree, values = _understood(name, text)
    except ReaderError as exc:
        place = _place_after(text[: exc.position])
        raise ConfigError(f"{name}{place}: the character U+{exc.character:04X} cannot stand in settings.") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(_yaml_sentence(name, exc)) from exc
    except RecursionError as exc:
        raise ConfigError(f"{name}: it is nested too deeply.") from exc
    if values is None:
        return Document(name)
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: expected `key: value` lines, found a {type(values).__name__}.")
    for key, first in _said_twice(tree):
        place = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
        raise ConfigError(f"{name}, {place}: {key.value!r} stands here again; it was said in line {first}.")
    return Document(name, {str(key): value for key, value in values.items()}, tree)


def has_aliases(tree: Node | None) -> bool:
    """Say whether a YAML text refers to parts of itself; a few lines of that can mean billions of values."""
    seen: set[int] = set()
    for node in _nodes(tree):
        if id(node) in seen:
            return True
        seen.add(id(node))
    return False


def _understood(name: str, text: str) -> tuple[Node | None, Any]:
    try:
        tree = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        if not text.lstrip().startswith("{"):
            raise
        try:
            values = json.loads(text)  # JSON may be indented by tabs, YAML may not
        except ValueError:
            values = None
        if values is None:
            raise
        return _tree_of_json(name, text), values
    try:
        return tree, yaml.safe_load(text)
    except ValueError as exc:
        raise ConfigError(_value_sentence(name, tree, exc)) from exc


def _tree_of_json(name: str, text: str) -> Node | None:
    """Give JSON's tree for its lines: no tab stands within its strings, so each may be a space."""
    try:
        return yaml.compose(text.replace("\t", " "), yaml.SafeLoader)
    except yaml.YAMLError:
        json.loads(text, object_pairs_hook=lambda pairs: _said_once(name, pairs))
        return None


def _said_once(name: str, pairs: list[tuple[str, Any]]) -> None:
    """Raise ConfigError for a key that stands twice, where no tree can tell the lines."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ConfigError(f"{name}: {key!r} stands there twice.")


def _value_sentence(name: str, tree: Node | None, why: ValueError) -> str:
    """Find the value that YAML takes for what it is not, such as the date 2026-02-30."""
    for node in _nodes(tree):
        try:
            yaml.SafeLoader("").construct_object(node) if isinstance(node, ScalarNode) else None
        except ValueError as exc:
            place = f", line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"
            return f"{name}{place}: {shown(node.value)} cannot be read: {exc}."
    return f"{name}: a value cannot be read: {why}."


def _place_after(text: str) -> str:
    """Say where the next letter stands, as an editor counts."""
    before = text.removeprefix("\ufeff")
    return f", line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


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
    for node in {id(node): node for node in _nodes(tree)}.values():  # an anchor may be used again
        if isinstance(node, MappingNode):
            yield from _twins(node)


def _nodes(tree: Node | None) -> Iterator[Node]:
    """List every node below; one that is referred to comes again, and what lies below it does not."""
    seen: set[int] = set()
    waiting = [tree] if tree is not None else []
    while waiting:
        node = waiting.pop()
        yield node
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += reversed(node.value)
        if isinstance(node, MappingNode):
            waiting += [part for pair in reversed(node.value) for part in reversed(pair)]


def _twins(node: MappingNode) -> Iterator[tuple[ScalarNode, int]]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            continue
        if key.value in lines:
            yield key, lines[key.value]
        lines.setdefault(key.value, key.start_mark.line + 1)
