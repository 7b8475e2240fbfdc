"""Envoy's configuration as a tree of plain values, in one spelling: generated, running, or written
by hand.

Protobuf's JSON may say the same in several ways (names in camel case, defaults left out, durations
with more digits, numbers as text), so what two trees say is compared only after `plain`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
Path = tuple[str, ...]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_KEYED = (
    "typed_per_filter_config",
    "providers",
    "requirement_map",
    "source_codes",
    "metadata",
    "filter_metadata",
)


def plain(value: Any, *, names: bool = True) -> Any:
    """The same without defaults, in one spelling. names: its keys are fields' names, and not a
    map's.
    """
    if isinstance(value, Mapping):
        kept: Tree = {}
        for key, each in value.items():
            name = _snake(str(key)) if names else str(key)
            made = plain(each, names=not (names and name in _KEYED))
            if made is not None:
                kept[name] = made
        return kept
    if isinstance(value, list | tuple):
        return [made for each in value if (made := plain(each)) is not None] or None
    return _scalar(value)


def _scalar(value: Any) -> str | None:
    if value is None or value is False or value in (0, "", "0"):
        return None
    if value is True:
        return "true"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if match := _DURATION.fullmatch(text):
        return f"{float(match[1]):g}s" if float(match[1]) else None
    return text


def _snake(name: str) -> str:
    return (
        name
        if name.startswith("@")
        else re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: "_" + found[0].lower(), name)
    )


def at(tree: Any, *path: str) -> Any:
    """What is there, or None."""
    for key in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def branch(tree: Any, *path: str) -> Tree:
    found = at(tree, *path)
    return found if isinstance(found, dict) else {}


def items(tree: Any, *path: str) -> list[Tree]:
    """The objects of a list; [] where there is none."""
    found = at(tree, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def kind(config: Any) -> str:
    """The last name of a typed_config's type: Lua, ExternalProcessor."""
    return str(at(config, "@type") or "").rpartition(".")[2]


def within(tree: Any, wanted: str) -> Iterator[Tree]:
    """Every message of that type, however deep it is wrapped."""
    if isinstance(tree, dict):
        if kind(tree) == wanted:
            yield tree
        for each in tree.values():
            yield from within(each, wanted)
    elif isinstance(tree, list):
        for each in tree:
            yield from within(each, wanted)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two trees differ; '' is: nothing there."""

    path: Path
    wanted: str
    found: str


def differences(wanted: Any, found: Any, path: Path = ()) -> Iterator[Difference]:
    """List entries with names are compared by name, others by their place."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            yield from differences(wanted.get(key), found.get(key), (*path, key))
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from differences(_named(wanted), _named(found), path)
    elif wanted != found:
        yield Difference(path, _short(wanted), _short(found, path[-1] if path else ""))


def _named(entries: list[Any]) -> Tree:
    named = [str(at(each, "name") or f"[{index}]") for index, each in enumerate(entries)]
    if len(set(named)) < len(named):
        named = [f"[{index}]" for index in range(len(entries))]
    return dict(zip(named, entries, strict=True))


_HIDDEN = ("value", "inline_string", "inline_bytes", "password")  # where a secret may stand


def _short(value: Any, key: str = "") -> str:
    if key in _HIDDEN and value is not None:
        return "another text"
    if isinstance(value, dict | list):
        return (
            f"a {kind(value)}"
            if kind(value)
            else f"{len(value)} {'entries' if isinstance(value, list) else 'fields'}"
        )
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
