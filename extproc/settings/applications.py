"""Settings of one application behind the gateway."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from extproc.addresses import host_fault
from extproc.core.endpoints import ENDPOINTS
from extproc.settings.access import RuleSettings, check_path, check_rules, check_spellings, has_dots
from extproc.settings.allow import Allow, check_allow
from extproc.settings.bearer import BearerSettings, check_bearer
from extproc.settings.cors import Cors
from extproc.settings.demand import (
    check_acr_values,
    check_max_age,
    check_parameter,
    check_prompt,
)
from extproc.settings.identity_headers import ApplicationIdentity
from extproc.settings.session import ApplicationSessionSettings
from extproc.settings.types import OFF, Duration, Model, Origin, base_address

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


# Applications are compared in pairs, of which there are many where one host has all of them.
@lru_cache(maxsize=1024)
def _address(upstream: str) -> tuple[str, int]:
    parts = urlsplit(upstream)
    host = parts.hostname or ""
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return "localhost" if host in _LOOPBACK else host, port


class ApplicationSettings(Model):
    """An application behind the gateway: the hosts and paths that lead to it, its own address, and
    the provider that signs its users in.
    """

    hosts: tuple[str, ...] = Field(
        min_length=1, description='host names without ports; "*" is every host'
    )
    path_prefix: str = Field(
        "/", description="path of the application on its hosts; begins and ends with /"
    )
    url: str | None = Field(
        None,
        description="public address of the application, whose path is path_prefix; default: "
        "gateway.url and path_prefix",
    )
    upstream: str = Field(
        description="address of the application's server: http://host:port or https://host:port"
    )
    upstream_ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that an https upstream is verified with; "
        "default: the system's authorities",
    )
    provider: str | None = Field(
        None, description="provider that signs the users in: a name in providers"
    )
    public_paths: tuple[str, ...] = Field(
        (),
        description="paths that need no login, by whole segments: /public/ is everything below "
        "it, /robots.txt is that path and everything below it",
    )
    allow: Allow = Field(
        None,
        description="who may use the application at all: one entry, or a list of which one has to "
        "hold; default: everybody who signs in",
    )
    rules: tuple[RuleSettings, ...] = Field(
        (),
        description="rules of paths and methods; the first that takes a request decides it, and "
        "where none does, allow alone",
    )
    bearer: BearerSettings = Field(
        BearerSettings(),
        description="the access tokens of API callers, for rules that accept them",
    )
    forward_bearer: bool = Field(
        False,
        description="send the application the access token that an API caller brought, as it came; "
        "otherwise Authorization is removed from a request that a token admitted",
    )
    identity: ApplicationIdentity = Field(
        ApplicationIdentity(),
        description="the application's own identity headers; default: those of identity.headers",
    )
    session: ApplicationSessionSettings = Field(
        ApplicationSessionSettings(),
        description="what differs from `session` at this application",
    )
    exclude: bool = Field(
        False,
        description="requests never reach the processor: no login, and no identity headers",
    )
    escaped_slashes: Literal["reject", "keep"] = Field(
        "reject", description="%2F and %5C in paths: reject answers 400, keep passes them on"
    )
    dot_segments: Literal["reject", "keep"] = Field(
        "reject",
        description="path segments that a server may read as . or .. although Envoy does not, "
        "such as ..; and %252e%252e: reject answers 400, keep passes them on",
    )
    upstream_paths: Literal["folds", "exact"] = Field(
        "folds",
        description="how the application reads paths. exact: as they are written; folds: it may "
        "normalise them, so a path that it may read as another application's is answered 400 "
        "(docs/topologies.md)",
    )
    csrf: Annotated[Literal["websockets", "same_origin", "off"], OFF] = Field(
        "websockets",
        description="what pages of other origins may not send, such as those of a neighbouring "
        "host or port: a page's WebSocket (websockets), and also POST and every other unsafe "
        "method (same_origin); such a request is answered 403, on public paths too",
    )
    allowed_origins: tuple[Origin, ...] = Field(
        (),
        description="origins whose pages may send it all the same, such as "
        "https://portal.example.com",
    )
    cors: Cors | None = Field(
        None,
        description="pages of other origins that may read the application's answers, a 401 of the "
        "processor included; Envoy answers their preflights, and refuses those of others",
    )
    preflight: Literal["decide", "pass"] = Field(
        "decide",
        description="CORS preflights where there is no cors. decide: like every other request, so "
        "they are answered 401, except on public paths; pass: the application gets them, without "
        "an identity, and answers them itself. Only what browsers send as a preflight passes: "
        "OPTIONS with Origin and Access-Control-Request-Method, and without a body, cookies and "
        "Authorization",
    )
    cache_control: Annotated[Literal["no-cache", "no-store", "off"], OFF] = Field(
        "no-cache",
        description="Cache-Control of responses on protected paths for which the application sets "
        "none. no-cache: private, no-cache, so that browsers ask again before they show a page "
        "from their cache; no-store: nothing is kept, so that Back after a logout shows nothing "
        "either; off: none. Except with off, headers that only shared caches obey, such as "
        "CDN-Cache-Control, become no-store there where the application sets them",
    )
    forward_access_token: bool = Field(
        False,
        description="send the application authorization: Bearer ACCESS_TOKEN, always a valid "
        "token; each of its requests then goes through the processor",
    )
    stream_lifetime: Duration | None = Field(
        None,
        ge=1,
        description="maximum duration of one request, including downloads, event streams and "
        "WebSockets; a request never outlasts its session",
    )
    end_streams: tuple[Literal["websocket", "event_stream", "grpc"], ...] = Field(
        (),
        description="long-lived requests to close within seconds of their session ending; opening "
        "one always goes through the processor (for gRPC: every call)",
    )
    upstream_http2: bool = Field(
        False,
        description="use HTTP/2 to the application, which gRPC needs; without TLS by prior "
        "knowledge",
    )
    acr_values: tuple[str, ...] = Field(
        (),
        description="acr values of the provider of which a login must have one, the preferred one "
        "first; default: any login is accepted",
    )
    max_age: Duration | None = Field(
        None,
        description="maximum time since the user signed in at the provider, 1m or more; default: "
        "no maximum",
    )
    prompt: str | None = Field(
        None,
        description="what the provider asks the user at each login: login, consent, "
        "select_account or create, or several of them",
    )
    authorization_params: dict[str, str] = Field(
        {},
        description="further parameters of the authorization request, such as kc_idp_hint or "
        "ui_locales",
    )
    strip_cookies: bool = Field(
        True,
        description="remove the processor's cookies from requests to the application; false: the "
        "application receives them and can act as its users, and Envoy saves little work",
    )

    @property
    def upstream_address(self) -> tuple[str, int]:
        """The host and port of the upstream; every name of this machine's loopback is localhost."""
        return _address(self.upstream)

    @property
    def accepts_bearer(self) -> bool:
        """Whether a rule accepts access tokens."""
        return any("bearer" in rule.accept for rule in self.rules)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_address()
        self._check_exclude()
        self._check_pages_and_streams()
        if not self.exclude and not self.provider:
            raise ValueError("provider is missing (or exclude: true, for no login at all)")
        self._check_demand()
        for path in self.public_paths:
            check_path("public_paths", path, self.path_prefix, ENDPOINTS)
        check_allow(self.model_fields_set, self.allow)
        check_rules(self.rules, self.public_paths, self.path_prefix, ENDPOINTS)
        if self.upstream_paths == "folds":
            check_spellings(self.rules)
        check_bearer(self.bearer, forwards=self.forward_bearer, accepts=self.accepts_bearer)
        if self.url is not None:
            base_address(self.url, "url", path=True)
            path = urlsplit(self.url).path
            if path != self.path_prefix:
                raise ValueError(
                    f"url has the path {path[:80]!r}, and path_prefix is {self.path_prefix}; they "
                    "are the same, because Envoy passes paths on as they are: otherwise the "
                    "provider's answer would reach the application"
                )
        return self

    def _check_address(self) -> None:
        for host in self.hosts:
            fault = host_fault(host)
            if host != "*" and fault is not None:
                raise ValueError(f'hosts: {host[:80]!r} {fault} (or "*")')
        plain = re.fullmatch(r"/(?:[A-Za-z0-9._~-]+/)*", self.path_prefix)
        if not plain or has_dots(self.path_prefix):
            raise ValueError(
                "path_prefix begins and ends with / and has plain segments, such as / or /wiki/"
            )
        base_address(self.upstream, "upstream")

    def _check_exclude(self) -> None:
        if not self.exclude:
            return
        if self.allow or self.rules:
            raise ValueError("exclude: true goes with neither allow nor rules: nobody signs in")
        if self.provider or self.public_paths or self.forward_access_token or self.identity.all:
            raise ValueError(
                "exclude: true goes with none of provider, public_paths, forward_access_token, "
                "identity"
            )
        of_sessions = self.session != ApplicationSessionSettings()
        if self.stream_lifetime is not None or self.end_streams or of_sessions:
            raise ValueError(
                "exclude: true has no sessions, so none of session, stream_lifetime and "
                "end_streams can go with it"
            )
        changes = self.csrf == "same_origin" or self.cache_control == "no-store"
        if changes or self.allowed_origins or self.cors or self.preflight == "pass":
            raise ValueError(
                "exclude: true goes with none of csrf: same_origin, allowed_origins, "
                "cache_control: no-store, cors, preflight: pass: Envoy passes requests and "
                "responses on as they are"
            )

    def _check_pages_and_streams(self) -> None:
        if self.csrf == "off" and self.allowed_origins:
            raise ValueError(
                "allowed_origins: csrf: off allows every origin; leave out one of them"
            )
        if self.cors and self.preflight == "pass":
            raise ValueError(
                "preflight: pass lets the application answer preflights, and with cors Envoy "
                "answers them; leave out one of them"
            )
        if self.upstream_http2 and "websocket" in self.end_streams:
            raise ValueError(
                "end_streams: a WebSocket needs HTTP/1.1 to the application; leave out "
                "websocket or upstream_http2"
            )

    def _check_demand(self) -> None:
        demands = bool(self.acr_values or self.prompt or self.authorization_params)
        if self.exclude and (demands or self.max_age is not None):
            raise ValueError(
                "exclude: true goes with none of acr_values, max_age, prompt, authorization_params"
            )
        check_acr_values(self.acr_values)
        if self.max_age is not None:
            check_max_age(self.max_age)
        if self.prompt is not None:
            check_prompt(self.prompt)
        for name, value in self.authorization_params.items():
            check_parameter(name, value)
