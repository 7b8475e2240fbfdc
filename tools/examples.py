"""Writes the examples in envoy/: each NAME.yaml is generated from NAME.extproc.yaml.

PYTHONPATH=.:tests python tools/examples.py

A test compares them.
"""

import os
from pathlib import Path

from extproc.envoyconfig import to_yaml
from extproc.settings import load

EXAMPLES = Path(__file__).parents[1] / "envoy"
NAMES = sorted(path.name.removesuffix(".extproc.yaml") for path in EXAMPLES.glob("*.extproc.yaml"))
SECRET = "this-is-the-secret-of-the-examples-never-use-it"
HEAD = """\
# An example: what `extproc envoy --config envoy/{name}.extproc.yaml` prints.
"""


def example(name: str) -> str:
    """The text of an example. EXTPROC_SECRET and CLIENT_SECRET must be in the environment."""
    return HEAD.format(name=name) + to_yaml(load(EXAMPLES / f"{name}.extproc.yaml"))


if __name__ == "__main__":
    os.environ |= {"EXTPROC_SECRET": SECRET, "CLIENT_SECRET": SECRET}
    for each in NAMES:
        (EXAMPLES / f"{each}.yaml").write_text(example(each))
