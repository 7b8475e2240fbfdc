"""An application behind the gateway, and what applications are told of a user."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from extproc.core.step_up import OURS, PROMPTS
from extproc.settings.types import Duration, Model, base_address


class ApplicationSettings(Model):
    """An application behind the gateway: who may address it, where it is, who signs its users
    in.
    """

    hosts: tuple[str, ...] = Field(
        min_length=1, description='host names without ports; "*" is every host'
    )
    path_prefix: str = Field("/", description="where it is on its hosts; begins and ends with /")
    url: str | None = Field(
        None, description="its public address; default: gateway.url and path_prefix"
    )
    upstream: str = Field(description="http://host:port or https://host:port")
    upstream_ca_file: Path | None = Field(
        None,
        description="what an https upstream is verified with; default: the system's authorities",
    )
    provider: str | None = Field(None, description="who signs its users in: a name in providers")
    public_paths: tuple[str, ...] = Field(
        (),
        description="paths that need no login, whole segments: /public/ is all below it, "
        "/robots.txt "
        "that one and what is below it",
    )
    exclude: bool = Field(
        False, description="never reaches the processor: no login, and no header of ours"
    )
    escaped_slashes: Literal["reject", "keep"] = Field(
        "reject", description="%2F and %5C in paths: 400, or passed on as they came"
    )
    dot_segments: Literal["reject", "keep"] = Field(
        "reject",
        description="what a server may read as . or .. although Envoy does not, such as ..; and "
        "%252e%252e: 400, or passed on",
    )
    upstream_paths: Literal["folds", "exact"] = Field(
        "folds",
        description="exact: it reads paths as written; folds: what it may read as another "
        "application's "
        "path is 400 (docs/topologies.md)",
    )
    forward_access_token: bool = Field(
        False,
        description="authorization: Bearer ACCESS_TOKEN to the application, always valid; each "
        "of its "
        "requests then asks the processor",
    )
    stream_lifetime: Duration | None = Field(
        None,
        ge=1,
        description="how long one request may take in all, downloads, event streams and WebSockets "
        "included; none outlasts its session",
    )
    end_streams: tuple[Literal["websocket", "event_stream", "grpc"], ...] = Field(
        (),
        description="which of its live streams end within seconds of their session; to open one "
        "asks "
        "the processor, each gRPC call too",
    )
    upstream_http2: bool = Field(
        False,
        description="HTTP/2 to the application, as gRPC needs it; without TLS by prior knowledge",
    )
    acr_values: tuple[str, ...] = Field(
        (),
        description="how its users must have signed in: one of these acr values of the provider, "
        "the "
        "best first; none: any will do",
    )
    max_age: Duration | None = Field(
        None,
        description="how long ago its users may have signed in at the provider, 1m or more; "
        "default: it "
        "does not matter",
    )
    prompt: str | None = Field(
        None,
        description="what the provider asks at each login: login, consent, select_account, "
        "create, or "
        "several",
    )
    authorization_params: dict[str, str] = Field(
        {},
        description="more parameters of the authorization request, such as kc_idp_hint or "
        "ui_locales",
    )
    strip_cookies: bool = Field(
        True,
        description="our cookies never reach the application; false: they do, and it can act as "
        "its "
        "users; Envoy saves little by it",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for host in self.hosts:
            if host != "*" and not re.fullmatch(
                r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", host
            ):
                raise ValueError(
                    f'hosts: {host[:80]!r} is no host name in lower case without a port (or "*")'
                )
        if not re.fullmatch(r"/(?:[A-Za-z0-9._~-]+/)*", self.path_prefix) or _dots(
            self.path_prefix
        ):
            raise ValueError(
                "path_prefix begins and ends with / and has plain segments, such as / or /wiki/"
            )
        base_address(self.upstream, "upstream")
        if self.exclude and (self.provider or self.public_paths or self.forward_access_token):
            raise ValueError(
                "exclude: true goes with neither provider nor public_paths nor forward_access_token"
            )
        if self.exclude and (self.stream_lifetime is not None or self.end_streams):
            raise ValueError(
                "exclude: true has no sessions, so neither stream_lifetime nor end_streams "
                "can go with it"
            )
        if self.upstream_http2 and "websocket" in self.end_streams:
            raise ValueError(
                "end_streams: a WebSocket needs HTTP/1.1 to the application; leave out "
                "websocket or upstream_http2"
            )
        if not self.exclude and not self.provider:
            raise ValueError("provider is missing (or exclude: true, for no login at all)")
        self._check_demand()
        for path in self.public_paths:
            if (
                not path.startswith(self.path_prefix)
                or not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+/?|/", path)
                or _dots(path)
            ):
                raise ValueError(
                    f"public_paths: {path[:80]!r} is no plain path below path_prefix "
                    f"{self.path_prefix}"
                )
            if path.startswith(self.path_prefix + "oauth2"):
                raise ValueError(f"public_paths: {path[:80]!r} is where our own endpoints are")
        if self.url is not None:
            base_address(self.url, "url", path=True)
            if not self.url.endswith(self.path_prefix):
                raise ValueError(f"url ends with path_prefix {self.path_prefix}")
        return self

    def _check_demand(self) -> None:
        """What is demanded of logins; it becomes part of a URL and of a header."""
        if self.exclude and (
            self.acr_values or self.max_age is not None or self.prompt or self.authorization_params
        ):
            raise ValueError(
                "exclude: true goes with none of acr_values, max_age, prompt, authorization_params"
            )
        for value in self.acr_values:
            if not re.fullmatch(r"[!#-\[\]-~]{1,255}", value):
                raise ValueError(
                    f"acr_values: {value[:80]!r} is no acr value: printable ASCII without "
                    "blanks, quotes and backslashes"
                )
        if self.max_age is not None and (self.max_age < 60 or self.max_age != int(self.max_age)):
            raise ValueError(
                "max_age is whole seconds, 1m or more; to have users sign in anew at each "
                "login set prompt: login"
            )
        if self.prompt is not None:
            _check_prompt(self.prompt)
        for name, value in self.authorization_params.items():
            if name.lower() in OURS:
                own = (
                    " (it has a key of its own)"
                    if name in ("acr_values", "max_age", "prompt")
                    else ""
                )
                raise ValueError(f"authorization_params: {name} is for the gateway to say{own}")
            if not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", name):
                raise ValueError(
                    f"authorization_params: {name[:80]!r} is no name of a parameter: "
                    "letters, digits and . _ : -"
                )
            if not 0 < len(value) <= 2000 or not value.isprintable():
                raise ValueError(
                    f"authorization_params.{name} is printable text of 1 to 2000 characters"
                )


def _dots(path: str) -> bool:
    return any(segment in (".", "..") for segment in path.split("/"))


def _check_prompt(prompt: str) -> None:
    asked = prompt.split(" ")
    if "none" in asked:
        raise ValueError(
            "prompt: none asks nothing, so nobody could sign in; leave it out, or choose among "
            + ", ".join(PROMPTS)
        )
    if not set(asked) <= set(PROMPTS) or len(set(asked)) != len(asked):
        raise ValueError(
            f"prompt: {prompt[:80]!r} is not one or several, with one blank between them, "
            f"of {', '.join(PROMPTS)}"
        )


class Identity(Model):
    """Which claims reach the application in which headers, and how long Envoy may believe an
    assertion.
    """

    header_prefix: str = Field(
        "x-auth-",
        pattern=r"^x-[a-z0-9-]*-$",
        description="every client header with this prefix is removed",
    )
    headers: dict[str, str] = Field(
        {
            "x-auth-sub": "sub",
            "x-auth-email": "email",
            "x-auth-name": "name",
            "x-auth-groups": "groups",
        },
        description="header: claim; a dot in a claim goes into an object, such as "
        "realm_access.roles",
    )
    assertion_lifetime: Duration = Field(
        60, description="how long Envoy lets a user through without asking us; 0: it always asks"
    )
    keys_refresh: Duration = Field(
        10,
        description="how often Envoy gets the keys of assertions; a new key of the ring is "
        "published "
        "for so long before it seals and signs",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for header, claim in self.headers.items():
            if not re.fullmatch(r"[a-z0-9-]+", header) or not header.startswith(self.header_prefix):
                raise ValueError(
                    f"headers: {header[:80]!r} is no lower-case header name that begins "
                    f"with header_prefix {self.header_prefix}"
                )
            if not claim:
                raise ValueError(f"headers.{header}: the claim's name is missing")
        if self.headers.get(self.subject_header) != "sub":
            raise ValueError(
                f"headers must have {self.subject_header}: sub, by which Envoy knows that "
                "somebody is signed in"
            )
        if 0 < self.assertion_lifetime < 8 or self.assertion_lifetime > 3600:
            raise ValueError("assertion_lifetime is 0, or 8 s to 1 h")
        if not 1 <= self.keys_refresh <= 3600:
            raise ValueError("keys_refresh is 1 s to 1 h")
        return self

    @property
    def subject_header(self) -> str:
        return self.header_prefix + "sub"
