"""Reads YAML of an operator: like yaml.safe_load, and no key stands twice in one mapping.

Of two values YAML libraries take the last in silence. Of settings, that could be the half that says
who is refused.
"""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError

# The words by which yaml_faults.py knows this fault.
TWICE = "found a key that stands twice"


_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuses a mapping with a repeated key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise ConstructorError(None, None, TWICE, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_yaml(text: str) -> Any:
    """Read one document. Raises yaml.YAMLError, ValueError, RecursionError."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
