"""One line of what `extproc explain` prints about a request."""

from dataclasses import dataclass

from extproc.core.bearer_errors import InsufficientScope
from extproc.core.errors import NotAllowed, Refusal
from extproc.core.reasons import REASONS


@dataclass(frozen=True, slots=True)
class Observation:
    """One fact about a request, or the verdict: what becomes of it, and the remedy, if any."""

    what: str
    verdict: bool = False
    remedy: str = ""


def of_refusal(refusal: Refusal, condition: str = "") -> Observation:
    """The verdict on a refused request, with the key of the settings that keeps its user out.

    condition: what it hangs on, with a colon at its end.
    """
    names_key = isinstance(refusal, NotAllowed | InsufficientScope)
    missing = f" ({refusal.detail})" if names_key else ""
    return Observation(
        f"{condition}{refusal.status} {refusal.reason}: {refusal.row.text}{missing}",
        verdict=True,
        remedy=REASONS[refusal.reason].remedy,
    )
