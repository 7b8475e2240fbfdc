"""Settings of deadlines (`timeouts`) and of how much runs at once (`limits`)."""

from pydantic import Field

from extproc.core.decisions import Lane
from extproc.settings.types import Count, Duration, Model


class Timeouts(Model):
    """Deadlines. The generated Envoy configuration follows them."""

    connect: Duration = Field(2, gt=0, description="connecting to a provider")
    call: Duration = Field(
        5, gt=0, le=600, description="one call to a provider, connecting included"
    )
    callback: Duration = Field(15, gt=0, le=1800, description="a whole callback")
    message: Duration = Field(
        10, ge=1, le=1800, description="how long Envoy waits for the processor's first word"
    )
    drain: Duration = Field(20, description="how long held logins may finish after SIGTERM")
    clock_skew: float = Field(
        60, ge=0, le=60, description="seconds that a provider's clock may differ"
    )

    def of(self, lane: Lane) -> float:
        """Seconds that work of a lane may take.

        A lookup may turn out to be a callback. Work of any other lane makes at most two calls.
        """
        if lane is Lane.CALLBACK or lane is Lane.LOOKUP:
            return self.callback
        return self.call * 2

    @property
    def longest_held(self) -> float:
        """Seconds that work of the slowest lane may take."""
        return max(self.callback, self.call * 2)


class Limits(Model):
    """How much is in hand at once; beyond it: 503 with Retry-After, nothing consumed."""

    streams: Count = Field(20_000, description="requests at the processor, of all lanes")
    callback: Count = Field(
        2_000, description="logins that are being finished, whichever the provider"
    )
    login: Count = Field(2_000, description="login starts that wait for a provider's metadata")
    lookup: Count = Field(2_000, description="requests that wait for a busy session store")
    refresh: Count = Field(
        2_000, description="requests that wait for their session's tokens to be renewed"
    )
    logout: Count = Field(500, description="logouts under way")
    provider_logout: Count = Field(
        200, description="logouts under way that a provider started, by itself or in a frame"
    )
    live: Count = Field(
        10_000,
        description="live streams that end with their session (applications.NAME.end_streams)",
    )
    per_provider: Count = Field(1_000, description="callbacks at one provider")
    connects: Count = Field(
        50,
        description="connections to one provider that are being made; more wait, within their "
        "deadline",
    )
    response_bytes: Count = Field(1_000_000, description="of a provider's answer")

    def of(self, lane: Lane) -> int:
        """How many requests may be held in a lane at once."""
        limits = {
            Lane.CALLBACK: self.callback,
            Lane.LOGIN: self.login,
            Lane.LOOKUP: self.lookup,
            Lane.REFRESH: self.refresh,
            Lane.LOGOUT: self.logout,
            Lane.PROVIDER_LOGOUT: self.provider_logout,
            Lane.LIVE: self.live,
        }
        return limits[lane]
