"""One structured line in the log for each event. Its fields are named by this program and hold no
secrets.
"""

import logging
from contextvars import ContextVar

from extproc.telemetry.tracing import Attribute

_LOGGER = logging.getLogger("extproc")
# A process that has set up no log (a command, a program that embeds the processor) writes none:
# without a handler Python prints the bare names of events.
_LOGGER.addHandler(logging.NullHandler())

# The number of the stream that is being served, within this process. It is in each line.
STREAM: ContextVar[int] = ContextVar("stream")


def is_logged(level: int) -> bool:
    """Whether lines of this level are written."""
    return _LOGGER.isEnabledFor(level)


def log(
    level: int, event: str, /, exc_info: BaseException | None = None, **fields: Attribute | None
) -> None:
    """Writes one structured line.

    Args:
        level: as logging has it.
        event: what happened, one of docs/logs.md.
        exc_info: for bugs only: its traceback is written.
        fields: without secrets; those that are None are left out.
    """
    if _LOGGER.isEnabledFor(level):
        extra = {key: value for key, value in fields.items() if value is not None}
        _LOGGER.log(level, event, exc_info=exc_info, extra=extra)
