"""Settings of sessions: how long they last, when they end."""

from typing import Literal

from pydantic import Field

from extproc.settings.types import Count, Duration, Model


class SessionSettings(Model):
    """How long people stay signed in."""

    lifetime: Duration = Field(43_200, gt=0, description="absolute life of a session")
    idle: Duration = Field(
        3600, gt=0, description="a session ends when nothing was asked for so long"
    )
    per_user: Count | None = Field(
        None,
        description="sessions of one user at one application; one more login ends the oldest; "
        "needs a "
        "store. Default: any number",
    )
    refresh: Literal["auto", "never"] = Field(
        "auto",
        description="auto: tokens are renewed where the provider gave a refresh token; a user "
        "whom it "
        "refuses is signed out",
    )
    refresh_margin: Duration = Field(
        30,
        le=3600,
        description="renew so long before the access token ends; at most half its life, and "
        "earlier by "
        "a jitter",
    )
    logout: Literal["all", "application"] = Field(
        "all",
        description="what a logout ends: this browser's sessions of all applications with that "
        "provider, or the one",
    )
