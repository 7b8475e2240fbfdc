"""HttpClient: HTTP requests to one provider on trio. httpx's errors become Refusals here.

Redirects are never followed, because a provider's endpoint is where its metadata says, and a
redirect could lead into the internal network. The size of a response is limited.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast
from urllib.parse import urlsplit

import httpx
import trio

from extproc import background
from extproc.core.errors import Refusal
from extproc.core.oidc.client import FormRequest
from extproc.core.provider_errors import (
    InvalidAnswer,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
)
from extproc.provider.limits import ConnectLimiter, MemoryBudget, ResponseBody, TickLimiter
from extproc.settings import Limits, ProviderSettings, Timeouts
from extproc.settings.files import client_context

SHARD = 100  # requests in flight in one httpx pool: its bookkeeping is quadratic


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A provider's whole response. `body` is not printed: the token endpoint's has tokens."""

    status: int
    content_type: str
    body: bytes = field(repr=False)

    def expect_success(self) -> None:
        """Accept 200, and 204 of a revocation.

        Raises:
            ProviderFailed: For 5xx and 429, which are the provider's own trouble.
            InvalidAnswer: For every other status; 3xx is not followed.
        """
        if self.status >= 500 or self.status == 429:
            raise ProviderFailed(f"the provider answers {self.status}")
        if self.status not in (200, 204):
            raise InvalidAnswer(f"the provider answers {self.status}")


def client_fault(url: str) -> str | None:
    """Return why httpx cannot request a URL; None if it can.

    It complements core/oidc/urls.py, which finds and names most faults without httpx.
    """
    try:
        # httpx chooses a transport by the host in Unicode; a name that IDNA does not know has none.
        host = httpx.Request("GET", url).url.host
    except (httpx.InvalidURL, ValueError) as error:
        return f"cannot be called ({type(error).__name__})"
    return None if host else "has no host that can be called"


@dataclass(slots=True, eq=False)
class _Pool:
    client: httpx.AsyncClient
    in_flight: int = 0


class HttpClient:
    """HTTP with one provider, in as many httpx pools as the requests in flight need.

    Args:
        name: The provider's name, for error details and the log.
        settings: The provider's settings.
        timeouts: Of which `connect` and `call` count here.
        limits: Of which `connects` and `response_bytes` count here.
        tick_limiter: One for all providers of the process.
        memory_budget: Bytes of the responses, out of one budget of the process.
    """

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        timeouts: Timeouts,
        limits: Limits,
        tick_limiter: TickLimiter,
        memory_budget: MemoryBudget,
    ) -> None:
        self._name = name
        self._settings = settings
        self._timeouts = timeouts
        self._limit = limits.response_bytes
        self._memory_budget = memory_budget
        self._tick_limiter = tick_limiter
        self._connects = trio.Semaphore(limits.connects)
        self._tls = client_context(settings.ca_file)
        self._pools: list[_Pool] = []

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return sum(pool.in_flight for pool in self._pools)

    @property
    def waiting(self) -> int:
        """How many requests wait for a place to connect."""
        return self._connects.statistics().tasks_waiting

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], form: FormRequest | None
    ) -> HttpResponse:
        """Make one request and read its whole response.

        Raises:
            ProviderUnreachable: No connection, or it broke.
            ProviderTimeout: The provider was too slow.
            InvalidAnswer: The response is too long or encoded, or httpx met a bug.
            Overloaded: The responses of all providers use up the memory budget.
        """
        await self._tick_limiter()
        try:
            return await self._request(method, url, headers, form)
        except Refusal:
            raise
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise ProviderUnreachable(
                f"provider {self._name} at {urlsplit(url).netloc}: {type(error).__name__}"
            ) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InvalidAnswer(
                f"provider {self._name}: its URL cannot be called ({type(error).__name__})"
            ) from error
        except httpx.TimeoutException as error:
            raise ProviderTimeout(f"provider {self._name}: {type(error).__name__}") from error
        except httpx.TransportError as error:
            raise ProviderUnreachable(f"provider {self._name}: {type(error).__name__}") from error
        except Exception as error:
            # A bug, of extproc or of a library, must refuse only requests of this provider.
            background.bug("provider_call_failed", error, provider=self._name)
            raise InvalidAnswer(
                f"provider {self._name}: the call met {type(error).__qualname__}"
            ) from error

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], form: FormRequest | None
    ) -> HttpResponse:
        data = dict(form.parameters) if form is not None else None
        pool = self._pool()
        limiter = ConnectLimiter(self._connects, self._tick_limiter)
        pool.in_flight += 1
        try:
            async with pool.client.stream(
                method, url, headers=headers, data=data, extensions={"trace": limiter}
            ) as response:
                return await self._read(response)
        finally:
            pool.in_flight -= 1
            await limiter.aclose()

    async def _read(self, response: httpx.Response) -> HttpResponse:
        # The request asked for no compression. What expands a thousandfold is refused before it
        # does.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise InvalidAnswer("the answer has a content encoding that was not asked for")
        with ResponseBody(self._memory_budget) as body:
            # Closed here, also when the rest of the response is not read, and not by Python's
            # garbage collector at some other time.
            async with aclosing(
                cast("AsyncGenerator[bytes, None]", response.aiter_raw())
            ) as chunks:
                async for chunk in chunks:
                    body.add(chunk)
                    if len(body.data) > self._limit:
                        raise InvalidAnswer(
                            f"the answer is longer than {self._limit} bytes (limits.response_bytes)"
                        )
            content_type = response.headers.get("content-type", "")
            return HttpResponse(response.status_code, content_type, bytes(body.data))

    def _pool(self) -> _Pool:
        for pool in self._pools:
            if pool.in_flight < SHARD:
                return pool
        pool = _Pool(self._client())
        self._pools.append(pool)
        return pool

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._tls,
            trust_env=self._settings.trust_env,
            follow_redirects=False,
            # No cookie is kept: one user's would be sent with the next user's call.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx.Timeout(self._timeouts.call, connect=self._timeouts.connect),
            limits=httpx.Limits(
                max_connections=SHARD, max_keepalive_connections=20, keepalive_expiry=15
            ),
            headers={"user-agent": "extproc", "accept-encoding": "identity"},
        )

    async def close_idle(self) -> None:
        """Close the additional pools of a burst that is over. httpx closes idle connections only
        when a pool is used again.
        """
        idle = [pool for pool in self._pools[1:] if pool.in_flight == 0]
        self._pools = [pool for pool in self._pools if pool not in idle]
        for pool in idle:
            await pool.client.aclose()

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            for pool in self._pools:
                await pool.client.aclose()
