"""AccessTokens: verifies the access tokens that API callers bring, and remembers for a while what
came of it.

A token that was verified counts for a minute without another look, so that is how long a revoked
one may still be used (RFC 7662 section 4). What is remembered is bound to one application: what
another one accepts says nothing here.
"""

import hashlib
import time
from collections.abc import Callable, Mapping

from extproc import telemetry
from extproc.concurrency import shielded_until_deadline
from extproc.core.application import Application
from extproc.core.bearer_access import BearerAccess
from extproc.core.bearer_errors import BearerKeyPending, InvalidAccessToken, TooManyIntrospections
from extproc.core.device import Device
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.access_token import (
    AccessToken,
    AccessTokenProfile,
    UnprovedAccessToken,
    check_size,
    is_jwt,
    issuer_of,
    verify_access_token,
)
from extproc.core.oidc.introspection import introspected, introspection
from extproc.core.oidc.jose import KeySet
from extproc.core.provider_errors import ProviderTimeout
from extproc.provider.cache import Newer
from extproc.provider.client import Provider
from extproc.relying_party.address_limit import AddressLimit
from extproc.relying_party.few_waiting import FewWaiting
from extproc.relying_party.single_flight import SingleFlight
from extproc.relying_party.token_cache import TokenCache

COUNTS = 60.0  # seconds for which a verification counts
REFUSED = 10.0  # seconds for which a refusal counts
TOKENS = 10_000  # verified tokens that are remembered
ROOM = 12_000_000  # characters of tokens and of introspection responses, of all that are remembered
REFUSALS = 2_000  # refused tokens that are remembered
# Introspections in a minute that one client address may cause with tokens that turn out not to be
# active. A token that was active counts for none, so callers that share an address cannot lock each
# other out.
INACTIVE = 60
ACTIVE = 3600.0  # seconds for which a token is known to have been active
# Access tokens of one provider that may wait for its keys at a time, in each process.
WAIT_FOR_KEYS = 16
_NO_KEYS = KeySet(())


class AccessTokens:
    """Verifies access tokens, for all applications of a process.

    Args:
        providers: By their names in the settings.
        clock: Returns the time, in seconds since the epoch.
        trusted_hops: How many proxies before Envoy are trusted for the client's address.
        monotonic: Returns seconds, and never goes back.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        clock: Callable[[], float],
        trusted_hops: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._providers = providers
        self._clock = clock
        self._trusted_hops = trusted_hops
        self._verified = TokenCache[AccessToken](COUNTS, TOKENS, ROOM, monotonic)
        self._refused = TokenCache[tuple[str, str]](REFUSED, REFUSALS, REFUSALS, monotonic)
        self._active = TokenCache[bool](ACTIVE, TOKENS, TOKENS, monotonic)
        self._flights = SingleFlight[bytes, AccessToken | Refusal]()
        self._addresses = AddressLimit(INACTIVE, monotonic)
        self._few = FewWaiting(WAIT_FOR_KEYS)

    def known(self, application: Application, token: str, now: float) -> AccessToken | None:
        """Return a token that can be verified without waiting; None if verify() has to.

        Args:
            application: The application that the token has to be for.
            token: The token.
            now: Seconds since the epoch.

        Raises:
            InvalidAccessToken: The token fails a check.
        """
        key = _key(application, token)
        remembered = self._remembered(key, now)
        if remembered is not None:
            return remembered
        check_size(token)
        profile = _profile(application, token)
        if not is_jwt(token):
            return None
        keys = self._providers[profile.provider].keys_nowait()
        try:
            return self._checked(key, profile, token, keys or _NO_KEYS, now)
        except UnprovedAccessToken:
            return None

    async def verify(self, application: Application, request: Request, token: str) -> AccessToken:
        """Verify a token, with newer keys if those that are known have not signed it, or by asking
        the provider about it.

        Args:
            application: The application that the token has to be for.
            request: The request that brought it, for the address of its client.
            token: The token.

        Raises:
            InvalidAccessToken: The token fails a check.
            BearerKeyPending: Its key may be known later.
            TooManyIntrospections: The client's address brought too many tokens that are not active.
            Refusal: The provider could not be asked.
        """
        known = self.known(application, token, self._clock())
        if known is not None:
            return known
        key, profile = _key(application, token), _profile(application, token)
        if is_jwt(token):
            return await self._with_newest_keys(key, profile, token)
        return await self._introspected(key, profile, token, request)

    def _remembered(self, key: bytes, now: float) -> AccessToken | None:
        refused = self._refused.get(key)
        if refused is not None:
            raise InvalidAccessToken(*refused)
        token = self._verified.get(key)
        if token is None or now >= token.expires_at + token.profile.clock_skew:
            return None
        return token

    def _checked(
        self, key: bytes, profile: AccessTokenProfile, token: str, keys: KeySet, now: float
    ) -> AccessToken:
        """Verify a JWT, and remember it. Raises InvalidAccessToken."""
        verified = verify_access_token(profile, token, keys, now)
        self._verified.put(key, verified, len(token))
        return verified

    async def _with_newest_keys(
        self, key: bytes, profile: AccessTokenProfile, token: str
    ) -> AccessToken:
        """Verify a JWT that no known key has signed."""
        newest = await self._newest_keys(self._providers[profile.provider])
        with telemetry.span("verify"):
            try:
                return self._checked(key, profile, token, newest.value, self._clock())
            except UnprovedAccessToken as error:
                if not newest.certain:
                    raise BearerKeyPending(error.detail) from None
                self._refused.put(key, (error.check, error.detail), 1)
                raise

    async def _newest_keys(self, provider: Provider) -> Newer[KeySet]:
        if provider.keys_nowait() is None:
            # Without keys no token of the provider can be verified, so all may wait.
            return Newer(await provider.keys(), certain=False)
        full = BearerKeyPending("many other tokens with unknown keys wait already")
        with self._few.one(provider.name, full):
            return await provider.newer_keys_for_bearer()

    async def _introspected(
        self, key: bytes, profile: AccessTokenProfile, token: str, request: Request
    ) -> AccessToken:
        """Ask the provider about an opaque token, once for all requests that bring it meanwhile."""
        led: list[bool] = []

        async def ask() -> AccessToken | Refusal:
            led.append(True)
            return await self._ask(key, profile, token, request)

        try:
            outcome = await self._flights.run(key, ask)
        except RuntimeError:
            if led:
                raise
            raise ProviderTimeout("another request asked about the token, in vain") from None
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def _ask(
        self, key: bytes, profile: AccessTokenProfile, token: str, request: Request
    ) -> AccessToken | Refusal:
        """Ask the provider. A refusal is returned, because others may wait for it as well.

        Raises:
            TooManyIntrospections: Before anything is awaited, so this concerns no other request.
        """
        if profile.introspection is None:
            raise InvalidAccessToken("opaque", "its provider has no access_tokens.introspection")
        address = Device.of(request, self._trusted_hops).address
        many = TooManyIntrospections(f"{INACTIVE} tokens of this address were not active")
        counts = self._active.get(key) is None
        if counts:
            self._addresses.take(address, many)
        try:
            # Others may wait for the answer, so it is awaited although this client leaves.
            with shielded_until_deadline():
                provider = self._providers[profile.provider]
                body = await provider.introspect(introspection(profile.introspection, token))
            answered = introspected(profile, body, self._clock())
            self._verified.put(key, answered, len(body))
            self._active.put(key, True, 1)
        except InvalidAccessToken as error:
            counts = False
            self._refused.put(key, (error.check, error.detail), 1)
            return error
        except Refusal as error:
            return error
        finally:
            if counts:
                self._addresses.give_back(address)
        return answered


def _profile(application: Application, token: str) -> AccessTokenProfile:
    """What a token has to be. Raises InvalidAccessToken if no provider's tokens are like it."""
    bearer = application.bearer or BearerAccess(())
    if is_jwt(token):
        # A JWT that fails is refused, and never introspected.
        issuer = issuer_of(token)
        for profile in bearer.profiles:
            if profile.issuer == issuer:
                return profile
        raise InvalidAccessToken("issuer", "iss is the issuer of no provider in bearer.providers")
    if bearer.opaque is None:
        raise InvalidAccessToken("opaque", "it is no JWT, and bearer.opaque names no provider")
    return bearer.opaque


def _key(application: Application, token: str) -> bytes:
    """The key of a token at an application; no name of an application has a NUL."""
    return hashlib.sha256(f"{application.name}\0{token}".encode("utf-8", "surrogatepass")).digest()
