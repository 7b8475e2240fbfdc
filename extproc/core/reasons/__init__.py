"""Every way in which a request can end, in one table: REASONS. docs/reasons.md is generated from
it.

The code of a reason is on the page, in the problem document, in Envoy's response code details and
access log, in the span, in the log and in the metrics. Codes are never renamed, because operators
have alarms on them.
"""

from collections.abc import Mapping

from extproc.core.reasons import outcomes, provider, requests, tokens
from extproc.core.reasons.reason import Level, Reason

__all__ = ["PROVIDER_ERRORS", "REASONS", "Level", "Reason"]

_ALL = (
    *outcomes.ADMITTED,
    *outcomes.ANSWERED,
    *requests.REQUESTS,
    *requests.CALLBACKS,
    *requests.OURS,
    *provider.ERRORS,
    *provider.FAULTS,
    *provider.AWAY,
    *tokens.ID_TOKEN,
    *tokens.LOGOUT_TOKEN,
    *tokens.ACCESS_TOKEN,
    *tokens.API_CALLER,
    *outcomes.ENDED,
    *requests.ABORTED,
)
REASONS: Mapping[str, Reason] = {reason.code: reason for reason in _ALL}
# the registered codes of a provider's error answer (RFC 6749 section 4.1.2.1, OpenID Connect Core
# section 3.1.2.6)
PROVIDER_ERRORS = frozenset(reason.code.removeprefix("provider_") for reason in provider.REGISTERED)
