"""One structured line for each event; fields are named by the processor and hold no secrets."""

import logging
from contextvars import ContextVar

from extproc.telemetry.tracing import Attribute

_LOGGER = logging.getLogger("extproc")


# which stream of this process is served: each of its lines says so
STREAM: ContextVar[int] = ContextVar("stream")


def is_logged(level: int) -> bool:
    return _LOGGER.isEnabledFor(level)


def log(
    level: int, event: str, /, exc_info: BaseException | None = None, **fields: Attribute | None
) -> None:
    """One structured line; fields are named by us and hold no secrets. exc_info: for bugs only, its
    traceback is kept.
    """
    if _LOGGER.isEnabledFor(level):
        extra = {key: value for key, value in fields.items() if value is not None}
        _LOGGER.log(level, event, exc_info=exc_info, extra=extra)
