"""Settings of API callers that bring an access token of their own (`bearer`)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, StrictStr, model_validator

from extproc.core.access_values import email_domain
from extproc.core.http import origin
from extproc.settings.providers import ProviderSettings
from extproc.settings.types import Model

Texts = Annotated[tuple[StrictStr, ...], Field(min_length=1)]
# characters of an audience
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Accepted:
    """Whose access tokens an application accepts. providers, opaque: names in providers."""

    audiences: tuple[str, ...]
    providers: tuple[str, ...]
    opaque: str | None


class BearerSettings(Model):
    """Which access tokens an application accepts, where a rule of it accepts any."""

    audiences: Texts | None = Field(
        None,
        description="values of `aud` for which a token is accepted, beside the application's url "
        "with and without the slash at its end",
    )
    providers: Texts | None = Field(
        None, description="names in providers, whose tokens are accepted; default: provider"
    )
    opaque: str | None = Field(
        None,
        description="the provider of `providers` that opaque tokens are introspected at (RFC "
        "7662); default: opaque tokens are refused",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for audience in self.audiences or ():
            if not audience or len(audience) > _LONGEST or not audience.isprintable():
                raise ValueError(
                    f"audiences: {audience[:80]!r} is no audience, such as https://api.example.com"
                )
        return self

    def accepted(self, url: str, provider: str) -> Accepted:
        """What is accepted, with the defaults.

        A client that asks for a token by `resource` (RFC 8707) names the url of the application, as
        its metadata does (RFC 9728), so the url is always among the audiences.

        Args:
            url: the public address of the application.
            provider: its provider.
        """
        audiences = (url, url.rstrip("/"), *(self.audiences or ()))
        return Accepted(tuple(dict.fromkeys(audiences)), self.providers or (provider,), self.opaque)


def check_bearer(bearer: BearerSettings, *, forwards: bool, accepts: bool) -> None:
    """Check that access tokens are spoken of where a rule accepts any. Raises ValueError.

    Args:
        bearer: which access tokens the application accepts.
        forwards: whether the application gets them.
        accepts: whether a rule of it accepts any.
    """
    written = {"bearer": bearer != BearerSettings(), "forward_bearer": forwards}
    for key, is_written in written.items():
        if is_written and not accepts:
            raise ValueError(f"{key}: no rule has accept: [bearer], so no access token is read")


def check_accepted(
    accepted: Mapping[str, Accepted],
    providers: Mapping[str, ProviderSettings],
    client_ids: Collection[str],
) -> None:
    """Check whose access tokens applications accept, and for which audiences. Raises ValueError.

    An audience is of one application alone: a token for one would be good at another. And it is no
    client: an ID token would be an access token.

    Args:
        accepted: by application, of those that accept access tokens.
        providers: by name.
        client_ids: the clients of the processor.
    """
    owners: dict[str, str] = {}
    for name, each in accepted.items():
        key = f"applications.{name}.bearer"
        _check_providers(key, each, providers)
        for audience in each.audiences:
            text = f"{key}.audiences: {audience[:80]!r}"
            if audience in client_ids:
                raise ValueError(
                    f"{text} is a client_id in providers, so ID tokens have it as aud, too; "
                    "register the API as a resource of its own"
                )
            owner = owners.setdefault(_as_providers_read(audience), name)
            if owner != name:
                raise ValueError(
                    f"{text} is an audience of {owner} as well; give each application one of its "
                    "own, otherwise a token for one is good for the other"
                )


def _check_providers(
    key: str, accepted: Accepted, providers: Mapping[str, ProviderSettings]
) -> None:
    """Check whose access tokens an application accepts. Raises ValueError.

    The issuer of a token chooses the provider, so no two have the same.
    """
    issuers: dict[str, str] = {}
    for provider in accepted.providers:
        if provider not in providers:
            raise ValueError(
                f"{key}.providers: there is no provider {provider[:80]!r}; there are: "
                f"{', '.join(providers)}"
            )
        twin = issuers.setdefault(providers[provider].issuer, provider)
        if twin != provider:
            raise ValueError(
                f"{key}.providers: {twin} and {provider} have one issuer, so no token says which "
                "of the two it is of; name one of them"
            )
    opaque = accepted.opaque
    if opaque is not None and opaque not in accepted.providers:
        raise ValueError(
            f"{key}.opaque: {opaque[:80]!r} is none of the providers whose tokens are "
            f"accepted: {', '.join(accepted.providers)}"
        )
    if opaque is not None and providers[opaque].access_tokens.introspection is None:
        raise ValueError(
            f"{key}.opaque: {opaque} has no access_tokens.introspection, the client that asks it "
            "about opaque tokens"
        )


def _as_providers_read(audience: str) -> str:
    """An audience in one form of several that a provider may take for the same: with the scheme and
    host of a URL in lower case, its host as DNS has it, and without its default port and the slash
    at its end. Only for a comparison of settings: `aud` of a token counts byte for byte.
    """
    try:
        parts = urlsplit(audience)
        if not parts.hostname:
            return audience
        host = email_domain(parts.hostname) or parts.hostname
        netloc = host if parts.port is None else f"{host}:{parts.port}"
        home = origin(parts._replace(netloc=netloc).geturl())
    except ValueError:
        return audience
    return home + parts._replace(scheme="", netloc="", path=parts.path.rstrip("/")).geturl()
