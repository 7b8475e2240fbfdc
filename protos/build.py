"""Build hook: compiles protos/*.proto into the private package extproc/_wire, at every build and
editable install.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WireCodec(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            return
        from importlib.resources import files

        from grpc_tools import protoc

        root = Path(self.root)
        out = root / "extproc" / "_wire"
        out.mkdir(exist_ok=True)
        includes = [f"-I{root / 'protos'}", f"-I{files('grpc_tools') / '_proto'}"]
        sources = [str(path) for path in sorted((root / "protos").glob("*.proto"))]
        if (
            protoc.main(["protoc", *includes, f"--python_out={out}", f"--pyi_out={out}", *sources])
            != 0
        ):
            sys.exit("extproc: protoc could not compile protos/")
        (out / "__init__.py").write_text('"""Generated from protos/ at build time."""\n')
        build_data["artifacts"].append("/extproc/_wire/*")
