"""The identity headers of one application: presets for the names that applications know, names of
the operator's own, and names that no identity may have.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StrictStr, Tag, model_validator

from extproc.core.http import READ_HEADERS
from extproc.settings.client_headers import COMMAND_PREFIXES, DESCRIPTIONS
from extproc.settings.types import Model

# What applications behind other gateways read. The user is always `sub`: at many providers users
# choose their preferred_username themselves, and a name that becomes free may go to somebody else.
PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "oauth2-proxy": {
            "x-forwarded-user": "sub",
            "x-forwarded-email": "email",
            "x-forwarded-preferred-username": "preferred_username",
            "x-forwarded-groups": "groups",
        },
        "grafana": {
            "x-webauth-user": "sub",
            "x-webauth-email": "email",
            "x-webauth-name": "name",
            "x-webauth-groups": "groups",
        },
        "pomerium": {
            "x-pomerium-claim-sub": "sub",
            "x-pomerium-claim-email": "email",
            "x-pomerium-claim-name": "name",
            "x-pomerium-claim-groups": "groups",
        },
    }
)
# Headers that mean something to HTTP itself, to Envoy, or to those who look at requests.
_NAMES = frozenset(
    (
        *(name for name in READ_HEADERS if not name.startswith(":")),
        *DESCRIPTIONS,
        "authorization",
        "baggage",
        "b3",
        "connection",
        "date",
        "expect",
        "from",
        "grpc-timeout",
        "host",
        "keep-alive",
        "max-forwards",
        "pragma",
        "range",
        "referer",
        "set-cookie",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "via",
        "warning",
        "x-request-id",
    )
)
_PREFIXES = (
    *COMMAND_PREFIXES,
    "accept",
    "access-control-",
    "cache-",
    "content-",
    "if-",
    "proxy",
    "sec-",
    "x-amzn-trace-",
    "x-b3-",
    "x-cloud-trace-",
    "x-datadog-",
    "x-envoy-",
    "x-extproc-",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-http-method",
    "x-original-",
    "x-ot-span-",
    "x-rewrite-",
)
# Claims that an assertion has of its own (core/assertion.py), and that jwt_authn reads.
_CLAIMS = ("aud", "exp", "iat", "iss", "jti", "lasts", "nbf", "session", "sub", "user")


class HeaderSettings(Model):
    """An identity header whose value is written in another way."""

    claim: str = Field(min_length=1, description="the claim, by its name or its path")
    encoding: Literal["percent", "raw"] = Field(
        "percent",
        description="percent: percent-encoded UTF-8, as in identity.headers; raw: plain UTF-8. A "
        "value that an application could take for more than one is left out then: with a comma, a "
        "character that cannot be seen, or a blank at its ends, a list with one of these, and an "
        "object",
    )


def _shape(value: object) -> str:
    return "name" if isinstance(value, str) else "header"


_Header = (
    Annotated[
        Annotated[StrictStr, Tag("name")] | Annotated[HeaderSettings, Tag("header")],
        Discriminator(_shape),
    ]
    | None
)


class ApplicationIdentity(Model):
    """The identity headers of one application, in place of those of `identity`."""

    preset: Literal["oauth2-proxy", "grafana", "pomerium"] | None = Field(
        None,
        description="the names by which applications know users behind that gateway, or by which "
        "Grafana's auth.proxy does (docs/identity.md)",
    )
    headers: dict[str, _Header] = Field(
        {},
        description="further headers and their claims, as header: claim, or as header: {claim, "
        "encoding}; null leaves out one of the preset. Envoy removes each of them from every "
        "client's request, in any spelling",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for header, claim in self.headers.items():
            check_header(header)
            if claim == "":
                raise ValueError(f"headers.{header}: the claim's name is missing")
            if claim is None and header not in PRESETS.get(self.preset or "", {}):
                raise ValueError(
                    f"headers.{header}: null leaves out a header of the preset, which has none of "
                    "this name"
                )
        if (self.headers or self.preset) and not self.all:
            raise ValueError(
                "headers: there is none left; leave identity out for those of identity"
            )
        return self

    @property
    def all(self) -> dict[str, str]:
        """Every header and its claim; empty where nothing is written."""
        named: dict[str, _Header] = {
            **PRESETS.get(self.preset or "", {}),
            **self.headers,
        }
        return {
            header: claim.claim if isinstance(claim, HeaderSettings) else claim
            for header, claim in named.items()
            if claim is not None
        }

    @property
    def raw(self) -> frozenset[str]:
        """The headers whose value is plain UTF-8."""
        return frozenset(
            header
            for header, claim in self.headers.items()
            if isinstance(claim, HeaderSettings) and claim.encoding == "raw"
        )


def check_header(name: str) -> None:
    """Check that a header may hold an identity. Raises ValueError."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,63}", name) or name.endswith("-") or "--" in name:
        raise ValueError(
            f"headers: {name[:80]!r} is not a header name in lower case, such as x-webauth-user"
        )
    if name in _NAMES or name in _CLAIMS or name.startswith(_PREFIXES):
        raise ValueError(
            f"headers: {name} means something else to HTTP, Envoy or the processor; an identity "
            "needs a name of its own, such as x-webauth-user"
        )
