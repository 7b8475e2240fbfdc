"""Counts streams: how many are being served, and how each of them ended."""

import asyncio
from types import TracebackType

import grpc
from google.protobuf.message import DecodeError

from extproc.ext_proc.admission import Admission
from extproc.metrics import Metrics


class StreamOutcome:
    """Counts one stream during its `with` block, and by its outcome after that.

    Set `answered` when the answer is about to be written. A class, because a context
    manager made of a generator takes about 4 µs in place of 1 µs.
    """

    __slots__ = ("_admission", "_metrics", "answered")

    def __init__(self, admission: Admission, metrics: Metrics) -> None:
        self._admission = admission
        self._metrics = metrics
        self.answered = False

    def __enter__(self) -> None:
        self._admission.streams += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admission.streams -= 1
        self._metrics.ended(self._outcome(error))

    def _outcome(self, error: BaseException | None) -> str:
        """One of metrics.OUTCOMES, by the error with which the stream ended."""
        if error is None:
            return "answered"
        if isinstance(error, asyncio.CancelledError):
            # Envoy may reset the stream as soon as it has the answer
            return "answered" if self.answered else "cancelled"
        # AbortError: this stream was aborted by the processor; DecodeError: it was no protobuf
        if isinstance(error, grpc.aio.AbortError | DecodeError):
            return "aborted"
        return "unanswered"
