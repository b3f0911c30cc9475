"""YAML with line numbers: every value keeps the line it was written on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from benchmark.errors import ConfigError

Location = tuple[str | int, ...]


@dataclass
class Tree:
    """Plain data and, for every place in it, the line where it stands (1-based).

    ``said`` is for places that were given elsewhere: an option of the command line, another file.
    """

    data: Any
    lines: dict[Location, int] = field(default_factory=dict)
    said: dict[Location, str] = field(default_factory=dict)

    def line(self, location: Location) -> int:
        """Return the line of ``location`` or of its nearest ancestor that has one."""
        for end in range(len(location), -1, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 1

    def place(self, path: Path, location: Location) -> str:
        """Return where ``location`` or its nearest known ancestor was given, as ``file:line``."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.said:
                return self.said[location[:end]]
            if location[:end] in self.lines:
                break
        return f"{path}:{self.line(location)}"

    def laid(self, location: Location, value: Any, said: str) -> Tree:
        """Return the tree with one value replaced or added, and how it was said."""
        data = _replaced(self.data, location, value)
        lines = {key: line for key, line in self.lines.items() if key[: len(location)] != location}
        kept = {key: text for key, text in self.said.items() if key[: len(location)] != location}
        return Tree(data, lines, {**kept, location: said})

    def under(self, other: Tree, path: Path) -> Tree:
        """Return the tree with that of another file merged over it, key by key."""
        said = {key: f"{path}:{line}" for key, line in other.lines.items() if key}
        return Tree(_merge(self.data, other.data), self.lines, {**self.said, **said})

    def overlaid(self, section: Location) -> Tree:
        """Return the tree with the mapping at ``section`` merged over the root, key by key."""
        overlay: Any = self.data
        for part in section:
            overlay = overlay[part]
        lines = {key: line for key, line in self.lines.items() if key[: len(section)] != section}
        for key, line in self.lines.items():
            if len(key) > len(section) and key[: len(section)] == section:
                lines[key[len(section) :]] = line
        return Tree(_merge(self.data, overlay or {}), lines, self.said)


# What is laid over the content of a file, and returns it with that.
Layer: TypeAlias = Callable[[Tree], Tree]


def load(path: Path) -> Tree:
    """Read a YAML file.

    Raises:
        ConfigError: The file is absent, no text, no valid YAML, no mapping, or names a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: expected an experiment file, found none. Give the path of one, "
            "for example experiments.yaml."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a readable UTF-8 text file: {error}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1 if node else 1
            raise ConfigError(f"{path}:{line}: expected a mapping of sections such as 'matrix:'.")
        tree = Tree(None)
        tree.data = _plain(node, (), tree.lines, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        tabs = " Indent with spaces instead." if "'\\t'" in str(error.problem) else ""
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}.{tabs}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply to be an experiment file.") from None
    return tree


class _Scalars(yaml.SafeLoader):
    """Constructs single scalars."""


def _plain(node: yaml.Node, where: Location, lines: dict[Location, int], path: Path) -> Any:
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            line = key_node.start_mark.line + 1
            if isinstance(key, list | dict):
                raise ConfigError(f"{path}:{line}: expected a simple key, got a collection.")
            if key in result:
                raise ConfigError(f"{path}:{line}: key {key!r} is given twice; keep one of them.")
            lines[(*where, key)] = line
            result[key] = _plain(value_node, (*where, key), lines, path)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(child, (*where, index), lines, path) for index, child in enumerate(node.value)
        ]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        return []
    loader = _Scalars("")
    try:
        value = loader.construct_object(node, deep=True)
    except ValueError as error:  # e.g. an impossible date
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
    finally:
        loader.dispose()
    if isinstance(value, str) and node.style is None:
        # YAML 1.1 takes 1e-3, without a dot, for text
        try:
            return float(value) if "e" in value.lower() else value
        except ValueError:
            return value
    return value


def value_of(text: str) -> Any:
    """Return what a YAML file would mean by ``text`` as a value.

    Raises:
        ValueError: It is no valid YAML.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else _plain(node, (), {}, Path(text))
    except (yaml.YAMLError, ConfigError) as error:
        raise ValueError(getattr(error, "problem", None) or str(error)) from None


def _replaced(base: Any, location: Location, value: Any) -> Any:
    """Return ``base`` with one value replaced; mappings on the way are made where absent."""
    if not location:
        return value
    mapping = base if isinstance(base, dict) else {}
    first, rest = location[0], location[1:]
    return {**mapping, first: _replaced(mapping.get(first), rest, value)}


def _merge(base: Any, overlay: Any) -> Any:
    if isinstance(base, dict) and isinstance(overlay, dict):
        merged = dict(base)
        for key, value in overlay.items():
            merged[key] = _merge(base[key], value) if key in base else value
        return merged
    return overlay
