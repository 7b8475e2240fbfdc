"""Errors thrown inside the processor's own processes, in any function that a test chooses.

    faults = Faults(folder, {
        "extproc.ext_proc.live_streams:LiveStreams.round": "",
        "extproc.provider.http:HttpClient._request": "self._name == 'partner'",
    })
    with Stack(FakeProvider(), env=faults.env) as stack:
        round = "extproc.ext_proc.live_streams:LiveStreams.round"
        with faults.thrown(round, "KeyError('x')"):     # by each call of it, in every process
            wait_until(lambda: faults.met(round))
        wait_until(lambda: faults.passed(round))        # it was called since, and did not throw

A condition is Python, of the call's `self` and `args`. `constants` are values of modules that are
set before anything runs. The product has no switch for any of this: it is a sitecustomize, so each
Python in the stack's environment that imports extproc gets it.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = """
import functools, importlib, inspect, json, os, sys
FOLDER = {folder!r}

def fault(target, condition, self, args):
    def note(what):
        with open(os.path.join(FOLDER, what), "a") as file:
            file.write(target + "\\n")
    if condition and not eval(condition, {{"self": self, "args": args}}):
        return
    with open(os.path.join(FOLDER, "faults.json")) as file:
        error = json.load(file).get(target)
    if error is None:
        note("passed")
        return
    note("met")
    import httpx
    raise eval(error)

def wrapped(target, condition, function):
    if inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def wrapper(*args, **more):
            fault(target, condition, args[0] if args else None, args)
            return await function(*args, **more)
    else:
        @functools.wraps(function)
        def wrapper(*args, **more):
            fault(target, condition, args[0] if args else None, args)
            return function(*args, **more)
    return wrapper

for module, name, value in {constants!r}:
    setattr(importlib.import_module(module), name, value)
for target, condition in {targets!r}.items():
    module, _, path = target.partition(":")
    owner = importlib.import_module(module)
    *parts, name = path.split(".")
    for part in parts:
        owner = getattr(owner, part)
    function = vars(owner)[name]
    static = isinstance(function, (staticmethod, classmethod))
    made = wrapped(target, condition, function.__func__ if static else function)
    setattr(owner, name, type(function)(made) if static else made)
"""


class Faults:
    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, str] | None = None,
        constants: Mapping[str, object] | None = None,
    ) -> None:
        """Prepare the environment `env`; nothing is thrown yet.

        Args:
            targets: MODULE:FUNCTION or MODULE:CLASS.METHOD, and the condition for an error.
            constants: MODULE:NAME and its value.
        """
        self._folder = folder
        set_first = [(*name.split(":"), value) for name, value in (constants or {}).items()]
        text = TEXT.format(folder=str(folder), targets=dict(targets or {}), constants=set_first)
        (folder / "sitecustomize.py").write_text(text)
        self._say({})

    @property
    def env(self) -> dict[str, str]:
        return {"PYTHONPATH": f"{self._folder}:{ROOT}"}

    @contextlib.contextmanager
    def thrown(self, target: str, error: str) -> Iterator[None]:
        """Let this target throw until the block ends. error: Python for an exception."""
        for note in ("met", "passed"):
            (self._folder / note).unlink(missing_ok=True)
        self._say({target: error})
        try:
            yield
        finally:
            self._say({})
            (self._folder / "passed").unlink(missing_ok=True)

    def met(self, target: str) -> int:
        """How often this target has thrown."""
        return self._noted("met", target)

    def passed(self, target: str) -> int:
        """How often this target was called since then without throwing."""
        return self._noted("passed", target)

    def _noted(self, what: str, target: str) -> int:
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / what).read_text().splitlines().count(target)
        return 0

    def _say(self, faults: Mapping[str, str]) -> None:
        new = self._folder / "faults.new"
        new.write_text(json.dumps(faults))
        new.rename(self._folder / "faults.json")
