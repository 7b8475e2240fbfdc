"""The parts that all ext_proc streams of a processor share."""

from dataclasses import dataclass

from extproc.ext_proc.admission import Admission
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.error_boundary import ErrorBoundary
from extproc.ext_proc.live_streams import LiveStreams
from extproc.ext_proc.touches import Touches
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.settings import Timeouts


@dataclass(frozen=True, slots=True)
class Shared:
    """What each Stream uses. Nothing here belongs to one request."""

    relying_party: RelyingParty
    boundary: ErrorBoundary
    bridge: Bridge
    timeouts: Timeouts
    metrics: Metrics
    admission: Admission
    live_streams: LiveStreams
    touches: Touches
