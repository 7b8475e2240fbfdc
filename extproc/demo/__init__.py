"""The whole stack on loopback, for a person to look at: `extproc demo`.

One Envoy with one worker, the processor, an application on `localhost` and a provider on
`127.0.0.1` behind that same Envoy, and the traces of all four in the processor's admin. All files
are in one temporary folder. All processes end with the demo.
"""

import contextlib
import importlib.util
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from extproc.demo.check import check as run_check
from extproc.demo.files import write_description, write_files
from extproc.demo.layout import ALICE, BOB, USERS, Layout, PortTaken, lay_out
from extproc.demo.stack import PartDied, Stack, envoy_program


class Stopped(Exception):
    """The user pressed Ctrl-C, or another program sent SIGTERM or SIGHUP."""


def main(port: int | None, check: bool, describe: Path | None) -> int:
    """Runs the demo until it is stopped, or with `check` until one login has been checked.

    Args:
        port: the gateway's; None: 8080, or a free one.
        check: do one login and end.
        describe: a JSON file to write, with the addresses and process ids, when all parts are up.

    Returns:
        The exit status of the process.
    """
    lacking = _lacking()
    if lacking:
        print(
            f"extproc demo: not installed: {', '.join(lacking)}; the demo needs more: "
            "pip install 'extproc-oidc[demo]'",
            file=sys.stderr,
        )
        return 1
    try:
        with _signals(), tempfile.TemporaryDirectory(prefix="extproc-demo-") as folder:
            layout = lay_out(Path(folder), port)
            write_files(layout)
            with Stack(layout) as stack:
                return _run(stack, layout, check, describe)
    except Stopped:
        print("\nstopped")
        return 1 if check else 0
    except (PartDied, PortTaken) as error:
        print(f"extproc demo: {error}", file=sys.stderr)
        return 1


def _lacking() -> list[str]:
    """What the demo starts and a plain installation does not have: the provider, and Envoy."""
    lacking = [name for name in ("flask", "nanoidp") if importlib.util.find_spec(name) is None]
    if envoy_program() is None:
        lacking.append("envoy")
    return lacking


def _run(stack: Stack, layout: Layout, check: bool, describe: Path | None) -> int:
    began = time.monotonic()
    print("starting the provider, the application, the processor and Envoy ...", flush=True)
    stack.start()
    print(f"all parts up after {time.monotonic() - began:.1f} s", flush=True)
    if describe is not None:
        write_description(layout, describe, stack.pids())
    if check:
        return run_check(layout, stack)
    print(_welcome(layout), flush=True)
    stack.watch()
    return 0


def _welcome(layout: Layout) -> str:
    people = "\n".join(
        f"               {user.name} / {user.password}   ({user.full_name})" for user in USERS
    )
    return f"""
  open         {layout.app}
  sign in as   {people.strip()}

  application  {layout.app}   public page: {layout.app}public/
  a rule       {layout.admin_page}   open to {ALICE.name}, not to {BOB.name}
  provider     {layout.idp}
  traces       {layout.traces}
  settings     {layout.settings_file}
  logs         {layout.folder}/*.log

  Envoy with one worker listens on 127.0.0.1:{layout.gateway_port}, in front of
  the application and the provider alike.
  Ctrl-C ends the demo."""


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Raises Stopped within the block at SIGINT, SIGTERM or SIGHUP. A second signal is ignored, so
    that it cannot interrupt the clean-up.
    """
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_: int, __: FrameType | None) -> None:
        for number in caught:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    before = {number: signal.signal(number, stop) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


__all__ = ["ALICE", "main"]
