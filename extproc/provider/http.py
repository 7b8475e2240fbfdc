"""HttpClient: HTTP with one provider, and the edge where httpx's errors become ours. Runs in trio.

Redirects are never followed (a provider's endpoint is where its metadata says, and a redirect could
lead inside), and a body has a limit.
"""

import ssl
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx
import trio

from extproc import background
from extproc.core.errors import (
    InvalidAnswer,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
    Refusal,
)
from extproc.core.oidc.client import FormRequest
from extproc.provider.limits import ConnectLimiter, MemoryBudget, ResponseBody, TickLimiter
from extproc.settings import Limits, ProviderSettings, Timeouts

SHARD = 100  # calls in flight in one httpx pool: its bookkeeping is quadratic


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    content_type: str
    body: bytes = field(repr=False)  # of the token endpoint: tokens

    def expect_success(self) -> None:
        """Raises for everything but 200 (and 204 of a revocation): 3xx is not followed, 5xx and 429
        are the provider's trouble.
        """
        if self.status >= 500 or self.status == 429:
            raise ProviderFailed(f"the provider answers {self.status}")
        if self.status not in (200, 204):
            raise InvalidAnswer(f"the provider answers {self.status}")


def client_fault(url: str) -> str | None:
    """What httpx has against a URL; None: it makes a request of it. See extproc.oidc.urls, which
    names what is wrong.
    """
    try:
        # its host in Unicode is what a transport is chosen by, and a name that IDNA does not know
        # has none
        return None if httpx.Request("GET", url).url.host else "has no host that can be called"
    except (httpx.InvalidURL, ValueError) as error:
        return f"cannot be called ({type(error).__name__})"


@dataclass(slots=True, eq=False)
class _Pool:
    client: httpx.AsyncClient
    in_flight: int = 0


class HttpClient:
    """turnstile, bodies: one for all providers of a process."""

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        timeouts: Timeouts,
        limits: Limits,
        tick_limiter: TickLimiter,
        memory_budget: MemoryBudget,
    ) -> None:
        self._name, self._settings, self._timeouts = name, settings, timeouts
        self._limit = limits.response_bytes
        self._memory_budget, self._tick_limiter = memory_budget, tick_limiter
        self._connects = trio.Semaphore(limits.connects)
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._pools: list[_Pool] = []

    @property
    def in_flight(self) -> int:
        return sum(pool.in_flight for pool in self._pools)

    @property
    def waiting(self) -> int:
        """How many wait for their turn to connect."""
        return self._connects.statistics().tasks_waiting

    async def request(
        self, method: str, url: str, headers: dict[str, str], form: FormRequest | None
    ) -> HttpResponse:
        """One request and its whole answer. Raises ProviderUnreachable, ProviderTimeout,
        InvalidAnswer, Overloaded.
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
            # a bug, ours or a library's: it is this provider's trouble and nobody else's
            background.bug("provider_call_failed", error, provider=self._name)
            raise InvalidAnswer(
                f"provider {self._name}: the call met {type(error).__qualname__}"
            ) from error

    async def _request(
        self, method: str, url: str, headers: dict[str, str], form: FormRequest | None
    ) -> HttpResponse:
        data = dict(form.parameters) if form is not None else None
        pool, connecting = self._pool(), ConnectLimiter(self._connects, self._tick_limiter)
        pool.in_flight += 1
        try:
            async with pool.client.stream(
                method, url, headers=headers, data=data, extensions={"trace": connecting}
            ) as response:
                return await self._read(response)
        finally:
            pool.in_flight -= 1
            await connecting.over()

    async def _read(self, response: httpx.Response) -> HttpResponse:
        # compressed bodies were not asked for: what expands a thousandfold is refused before it
        # does
        if response.headers.get("content-encoding", "identity") != "identity":
            raise InvalidAnswer("the answer has a content encoding that was not asked for")
        with ResponseBody(self._memory_budget) as body:
            async for chunk in response.aiter_raw():
                body.add(chunk)
                if len(body.data) > self._limit:
                    raise InvalidAnswer(
                        f"the answer is longer than {self._limit} bytes (limits.response_bytes)"
                    )
            return HttpResponse(
                response.status_code, response.headers.get("content-type", ""), bytes(body.data)
            )

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
            # one user's would go with the next one's call
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx.Timeout(self._timeouts.call, connect=self._timeouts.connect),
            limits=httpx.Limits(
                max_connections=SHARD, max_keepalive_connections=20, keepalive_expiry=15
            ),
            headers={"user-agent": "extproc", "accept-encoding": "identity"},
        )

    async def close_idle(self) -> None:
        """A burst's extra pools go when it is over: httpx itself closes what is idle only when it
        is used again.
        """
        idle = [pool for pool in self._pools[1:] if pool.in_flight == 0]
        self._pools = [pool for pool in self._pools if pool not in idle]
        for pool in idle:
            await pool.client.aclose()

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            for pool in self._pools:
                await pool.client.aclose()
