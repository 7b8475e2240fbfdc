"""API callers: verifies the access token of a request, and decides by it (core/bearer.py)."""

from collections.abc import Callable, Mapping

from extproc.core.application import Application
from extproc.core.bearer import decide_bearer, provider_of
from extproc.core.decisions import Continue, VerifyAccessToken
from extproc.core.http import Request
from extproc.provider.client import Provider
from extproc.relying_party.access_tokens import AccessTokens


class ApiCallers:
    """Decides the requests that bring an access token.

    Args:
        providers: By their names in the settings.
        clock: Returns the time, in seconds since the epoch.
        trusted_hops: How many proxies before Envoy are trusted for the client's address.
    """

    def __init__(
        self, providers: Mapping[str, Provider], clock: Callable[[], float], trusted_hops: int
    ) -> None:
        self._clock = clock
        self._tokens = AccessTokens(providers, clock, trusted_hops)

    def decide(
        self, application: Application, request: Request, token: str, now: int
    ) -> Continue | VerifyAccessToken:
        """Decide if the token can be verified without waiting; otherwise the step that verifies it.

        Raises:
            Refusal: The request is refused.
        """
        known = self._tokens.known(application, token, now)
        if known is None:
            return VerifyAccessToken(token, provider_of(application, token))
        return decide_bearer(application, request, known, now)

    async def perform(
        self, application: Application, request: Request, step: VerifyAccessToken
    ) -> Continue:
        """Verify the token, in trio, and decide.

        Raises:
            Refusal: The request is refused.
        """
        token = await self._tokens.verify(application, request, step.token)
        return decide_bearer(application, request, token, int(self._clock()))
