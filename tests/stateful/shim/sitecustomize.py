"""What a processor of the world imports first, by its PYTHONPATH: its clock can be set, and its
caches of a provider are young for a moment only.

PYTHON_WORLD_CLOCK names a file with a double: seconds that the clock is ahead. The product knows
nothing of it, and hands variables of Python's on to its workers.
"""

import importlib.abc
import importlib.machinery
import mmap
import os
import struct
import sys
import time
import types
from collections.abc import Sequence

FRESH, PACE = 0.2, 0.1  # seconds


def set_clock(path: str) -> None:
    with open(path, "rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real = time.time
    time.time = lambda: real() + struct.unpack("d", ahead[:8])[0]  # type: ignore[assignment]


def _hurried(module: types.ModuleType) -> None:
    import trio

    async def sleep(seconds: float) -> None:
        await trio.sleep(min(seconds, PACE))

    match module.__name__:
        case "extproc.provider.client":
            module.METADATA_FRESH = module.KEYS_FRESH = FRESH  # type: ignore[attr-defined]
        case "extproc.provider.upkeep":
            module.trio = types.SimpleNamespace(**{**vars(trio), "sleep": sleep})  # type: ignore[attr-defined]
        case "extproc.provider.cache":
            module.RETRY_FIRST = module.RETRY_MOST = PACE  # type: ignore[attr-defined]


_HURRIED = ("extproc.provider.client", "extproc.provider.upkeep", "extproc.provider.cache")


class _Loader(importlib.abc.Loader):
    def __init__(self, inner: importlib.abc.Loader) -> None:
        self._inner = inner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._inner.exec_module(module)
        _hurried(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _HURRIED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


if "PYTHON_WORLD_CLOCK" in os.environ:
    set_clock(os.environ["PYTHON_WORLD_CLOCK"])
    sys.meta_path.insert(0, _Finder())
