"""Settings of sessions: how long they last, and what ends them."""

from typing import Annotated, Literal

from pydantic import Field

from extproc.settings.types import OFF, Count, Duration, Model

# Default of session.per_user where sessions are in a store: more than people need, and few enough
# for a page.
SESSIONS_PER_USER = 100


class ApplicationSessionSettings(Model):
    """What differs from `session` at one application."""

    lifetime: Duration | None = Field(
        None, ge=1, description="maximum age of a session; default: session.lifetime"
    )
    idle: Duration | None = Field(
        None,
        ge=1,
        description="time without a request after which a session ends; default: session.idle",
    )
    logout: Literal["all", "application", "local"] | None = Field(
        None,
        description="what a logout at this application ends; default: session.logout",
    )


class SessionSettings(Model):
    """How long users stay signed in."""

    lifetime: Duration = Field(
        43_200, ge=1, description="maximum age of a session, whether it is used or not"
    )
    idle: Duration = Field(
        3600, ge=1, description="time without a request after which a session ends"
    )
    per_user: Count | None = Field(
        SESSIONS_PER_USER,
        description="maximum number of sessions of one user at one application; a login beyond it "
        "ends the oldest. null: no maximum. With `store.kind: cookie` there is none, because "
        "sessions cannot be counted, and a number is refused",
    )
    refresh: Literal["auto", "never"] = Field(
        "auto",
        description="auto: renew tokens if the provider issued a refresh token; a user whose "
        "refresh token the provider refuses is signed out",
    )
    refresh_margin: Duration = Field(
        30,
        le=3600,
        description="time before the end of the access token at which it is renewed; at most half "
        "the token's life, and earlier by a jitter that differs between sessions",
    )
    logout: Literal["all", "application", "local"] = Field(
        "all",
        description="what a logout ends. all: the sessions of this browser at every application "
        "with the same provider, and the provider's own; application: the one session here, and "
        "the provider's; local: the one session here, and the user stays signed in at the provider",
    )
    clear_site_data: Annotated[Literal["cache", "off"], OFF] = Field(
        "cache",
        description="what a browser whose session ends is asked to delete (Clear-Site-Data). "
        "cache: what it has kept of the pages of the host, so that the next person at the machine "
        "does not see them; off: nothing",
    )

    def at(self, application: ApplicationSessionSettings) -> "SessionSettings":
        """The settings at one application."""
        return self.model_copy(update=application.model_dump(exclude_none=True))
