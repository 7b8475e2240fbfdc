"""A request as the operator describes it, and what Envoy and the processor get of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urljoin, urlsplit

from extproc.contract import FORWARDED
from extproc.core.http import Request
from extproc.envoyconfig.snapshot import HttpListener
from extproc.explain.route import ChosenRoute, normalised, refused
from extproc.settings import Settings

# What a browser sends when the user types an address.
NAVIGATION = (
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
)
_NAVIGATION_NAMES = {name for name, _ in NAVIGATION}

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request as the operator describes it.

    `url` is absolute, or a path on gateway.url. The names of the headers are in lower case.
    """

    method: str
    url: str
    headers: Headers = ()

    @property
    def says_what_it_is(self) -> bool:
        """Whether it has a header that tells a navigation from a script's request."""
        return any(name in _NAVIGATION_NAMES for name, _ in self.headers)

    def as_navigation(self) -> "SampleRequest":
        """The request with the headers of a navigation, if it does not say what it is."""
        if self.says_what_it_is:
            return self
        return replace(self, headers=(*NAVIGATION, *self.headers))

    def parts(self, settings: Settings) -> SplitResult:
        """The URL in its parts. Raises ValueError if it is none."""
        return urlsplit(urljoin(settings.gateway.url, self.url))

    def refusal(self, settings: Settings, listener: HttpListener) -> str | None:
        """Why Envoy refuses it before it looks for a route, or None."""
        return refused(listener, self.parts(settings).path, self.headers)

    def received(self, settings: Settings) -> Request:
        """The request as Envoy chooses a route by it."""
        url = self.parts(settings)
        path = normalised(url.path or "/")
        return Request(
            application="",
            public=False,
            method=self.method,
            target=path + (f"?{url.query}" if url.query else ""),
            authority=url.netloc.rpartition("@")[2],
            headers=self.headers,
        )


def is_forwarded(name: str) -> bool:
    """Whether the processor reads a header. Pseudo-headers come from the URL instead."""
    return name in FORWARDED.values() and not name.startswith(":")


def routed(request: Request, route: ChosenRoute) -> Request:
    """A request as the processor gets it from a route."""
    return replace(
        request,
        application=route.application,
        public=route.public,
        headers=tuple(_forwarded(request)),
        access=route.access,
        rule=route.rule,
        shadow=route.shadow,
    )


def _forwarded(request: Request) -> Iterator[tuple[str, str]]:
    return (header for header in request.headers if is_forwarded(header[0]))
