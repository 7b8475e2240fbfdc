"""Envoy's configuration as a tree of plain values, in one spelling.

Protobuf's JSON may spell one message in several ways (names in camel case, defaults left out,
durations with more digits, numbers as text), and a configuration may be generated, dumped by a
running Envoy, or written by hand. `plain` brings all of them into one spelling; only trees that
went through it are compared.

`Tree` is a dict on purpose: a foreign configuration may hold anything, so no class describes it.
`snapshot.py` gives names to the parts of it that the checks and `extproc explain` read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Tree = dict[str, Any]
Path = tuple[str, ...]

_DURATION = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)s")
# Fields that are maps: their keys are names of the operator's, and stay as they are.
_MAPS = (
    "typed_per_filter_config",
    "providers",
    "requirement_map",
    "source_codes",
    "metadata",
    "filter_metadata",
)
# Fields that may hold a secret: findings never show their values.
_HIDDEN = ("value", "inline_string", "inline_bytes", "password")
_LONGEST_SHOWN = 60  # characters


def plain(value: Any, *, names: bool = True) -> Any:
    """A value in the one spelling, without defaults; None for a default.

    Args:
        value: what a JSON or YAML reader made of a message.
        names: the keys of a mapping are field names; False for the keys of a map.
    """
    if isinstance(value, Mapping):
        return _plain_mapping(value, names=names)
    if isinstance(value, list | tuple):
        entries = [plain(entry) for entry in value]
        return [entry for entry in entries if entry is not None] or None
    return _scalar(value)


def _plain_mapping(value: Mapping[Any, Any], *, names: bool) -> Tree:
    kept: Tree = {}
    for key, entry in value.items():
        name = _snake(str(key)) if names else str(key)
        converted = plain(entry, names=not (names and name in _MAPS))
        if converted is not None:
            kept[name] = converted
    return kept


def _scalar(value: Any) -> str | None:
    if value is None or value is False or value in (0, "", "0"):
        return None
    if value is True:
        return "true"
    text = _number(repr(value)) if isinstance(value, float) else str(value)
    duration = _DURATION.fullmatch(text)
    if duration is None:
        return text
    seconds = _number(duration[1])
    return None if seconds == "0" else f"{seconds}s"


def _number(digits: str) -> str:
    """A number in its shortest spelling with every digit, since two that differ must stay apart."""
    number = Decimal(digits)
    if number == number.to_integral_value():
        return f"{number:.0f}"
    return f"{number.normalize():f}"


def _snake(name: str) -> str:
    if name.startswith("@"):
        return name
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda capital: "_" + capital[0].lower(), name)


def at(tree: Any, *path: str) -> Any:
    """The value at a path of keys, or None."""
    for key in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def branch(tree: Any, *path: str) -> Tree:
    """The mapping at a path of keys; an empty one where there is none."""
    value = at(tree, *path)
    return value if isinstance(value, dict) else {}


def items(tree: Any, *path: str) -> list[Tree]:
    """The mappings in the list at a path of keys; an empty list where there is none."""
    value = at(tree, *path)
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, dict)]


def kind(config: Any) -> str:
    """The last part of a typed_config's type, such as Lua; empty where it has no type."""
    return str(at(config, "@type") or "").rpartition(".")[2]


def within(tree: Any, wanted: str) -> Iterator[Tree]:
    """Every message of a type (see `kind`), however deep it is wrapped."""
    if isinstance(tree, dict):
        if kind(tree) == wanted:
            yield tree
        for value in tree.values():
            yield from within(value, wanted)
    elif isinstance(tree, list):
        for value in tree:
            yield from within(value, wanted)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two trees differ, both values shortened for people; '' for no value."""

    path: Path
    wanted: str
    found: str


def differences(wanted: Any, found: Any, path: Path = ()) -> Iterator[Difference]:
    """Where two trees differ. List entries with names are compared by name, others by position."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            yield from differences(wanted.get(key), found.get(key), (*path, key))
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from differences(_by_name(wanted), _by_name(found), path)
    elif wanted != found:
        yield Difference(path, _short(wanted), _short(found, path[-1] if path else ""))


def _by_name(entries: list[Any]) -> Tree:
    positions = [f"[{index}]" for index in range(len(entries))]
    names = [
        str(at(entry, "name") or position)
        for entry, position in zip(entries, positions, strict=True)
    ]
    keys = names if len(set(names)) == len(names) else positions
    return dict(zip(keys, entries, strict=True))


def _short(value: Any, key: str = "") -> str:
    if key in _HIDDEN and value is not None:
        return "another text"
    if isinstance(value, dict | list):
        return _described(value)
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _described(value: Tree | list[Any]) -> str:
    message = kind(value)
    if message:
        return f"a {message}"
    return f"{len(value)} {'entries' if isinstance(value, list) else 'fields'}"
