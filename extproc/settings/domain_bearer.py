"""Settings of access tokens at an application as values of the core."""

from extproc.core.bearer_access import BearerAccess, metadata_path
from extproc.core.http import origin
from extproc.settings.domain_tokens import access_token_profile
from extproc.settings.root import Settings


def bearer_access(settings: Settings, name: str) -> BearerAccess | None:
    """The access tokens that an application accepts; None where no rule of it accepts any.

    Raises OSError: the file of a client secret cannot be read.
    """
    accepted = settings.accepted.get(name)
    if accepted is None:
        return None
    profiles = {
        provider: access_token_profile(settings, provider, accepted.audiences)
        for provider in accepted.providers
    }
    url = settings.url(name)
    return BearerAccess(
        profiles=tuple(profiles.values()),
        opaque=profiles[accepted.opaque] if accepted.opaque is not None else None,
        forward=settings.applications[name].forward_bearer,
        metadata_url=origin(url) + metadata_path(url),
    )
