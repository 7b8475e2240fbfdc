"""Which access tokens count at an application, as the core needs to know it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from extproc.core.oidc.access_token import AccessTokenProfile

# the path of protected resource metadata, before that of the resource (RFC 9728 section 3.1)
METADATA = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class BearerAccess:
    """The access tokens of API callers that an application accepts.

    Attributes:
        profiles: what the tokens of each provider have to be, one for each issuer.
        opaque: the profile of opaque tokens, which its provider introspects; None: they are
            refused.
        forward: whether the application gets the token itself.
        metadata_url: the address of the application's protected resource metadata (RFC 9728).
    """

    profiles: tuple[AccessTokenProfile, ...]
    opaque: AccessTokenProfile | None = None
    forward: bool = False
    metadata_url: str = field(default="")


def metadata_path(url: str) -> str:
    """The path of the metadata of a resource, whose identifier is the url of an application."""
    path = urlsplit(url).path
    return METADATA + (path if path != "/" else "")
