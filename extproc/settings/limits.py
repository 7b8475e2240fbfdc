"""Settings of deadlines (`timeouts`) and of how much runs at once (`limits`)."""

from pydantic import Field

from extproc.core.decisions import StepKind
from extproc.settings.types import Count, Duration, Model


class Timeouts(Model):
    """Deadlines. The generated Envoy configuration follows them."""

    connect: Duration = Field(2, gt=0, description="time to connect to a provider")
    call: Duration = Field(
        5, gt=0, le=600, description="one call to a provider, including the time to connect"
    )
    callback: Duration = Field(15, gt=0, le=1800, description="a whole callback")
    message: Duration = Field(
        10, ge=1, le=1800, description="how long Envoy waits for the processor's first message"
    )
    drain: Duration = Field(20, description="how long held logins have to finish after SIGTERM")
    clock_skew: float = Field(
        60, ge=0, le=60, description="seconds by which a provider's clock may differ"
    )

    def of(self, kind: StepKind) -> float:
        """Seconds that work of a kind may take.

        A lookup may turn out to be a callback. Work of any other kind makes at most two calls.
        """
        if kind is StepKind.CALLBACK or kind is StepKind.LOOKUP:
            return self.callback
        return self.call * 2

    @property
    def longest_held(self) -> float:
        """Seconds that work of the slowest kind may take."""
        return max(self.callback, self.call * 2)


class Limits(Model):
    """How much runs at once. Above a limit: 503 with Retry-After, and nothing is consumed."""

    streams: Count = Field(20_000, description="requests at the processor, inline and held")
    callback: Count = Field(
        2_000, description="logins that are being finished, at all providers together"
    )
    login: Count = Field(
        2_000, description="logins that are about to start and wait for a provider's metadata"
    )
    lookup: Count = Field(2_000, description="requests that wait for a busy session store")
    refresh: Count = Field(
        2_000, description="requests that wait until their session's tokens are renewed"
    )
    logout: Count = Field(500, description="logouts that are being carried out")
    provider_logout: Count = Field(
        200, description="logouts that a provider started, by a request of its own or in a frame"
    )
    bearer: Count = Field(
        2_000,
        description="API callers whose access token is being verified: the provider's keys are "
        "being fetched, or the token is introspected",
    )
    body: Count = Field(
        200,
        description="requests to `oauth2/backchannel-logout` whose body has not come yet; beyond "
        "it the request that has waited longest is ended, and no other request is refused",
    )
    live: Count = Field(
        10_000,
        description="live streams that end with their session (applications.NAME.end_streams)",
    )
    live_per_user: Count = Field(
        1_000,
        description="live streams of one user in one worker, so that one user leaves room in live "
        "for all others",
    )
    per_provider: Count = Field(
        1_000,
        description="callbacks at one provider. With several providers, its part of `callback` is "
        "also the part of `login`, `refresh`, `logout`, `provider_logout`, `bearer` and of the "
        "file descriptors that one provider may take: half by default",
    )
    connects: Count = Field(
        50,
        description="connections to one provider that are being opened; others wait, within their "
        "deadline",
    )
    response_bytes: Count = Field(1_000_000, description="maximum size of a provider's response")

    def share(self, whole: int) -> int:
        """How much of a limit one of several providers may take, at least 1."""
        return max(1, min(whole, whole * self.per_provider // self.callback))

    def of(self, kind: StepKind) -> int:
        """How many requests may be held for work of a kind at the same time."""
        limits = {
            StepKind.CALLBACK: self.callback,
            StepKind.LOGIN: self.login,
            StepKind.LOOKUP: self.lookup,
            StepKind.REFRESH: self.refresh,
            StepKind.LOGOUT: self.logout,
            StepKind.PROVIDER_LOGOUT: self.provider_logout,
            StepKind.BEARER: self.bearer,
            StepKind.BODY: self.body,
            StepKind.LIVE: self.live,
        }
        return limits[kind]
